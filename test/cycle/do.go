package cycle

import (
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/fuse_dispatcher/dispatchertest"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
	"github.com/spdk-go/spdk-go/reactor"
)

// do does one action. What makes no sense in this world is skipped.
func (w *world) do(a action) {
	i := w.thread(a.t)
	t := w.bed.Threads[i]
	switch a.op {
	case opPoll:
		w.poll(i, int(a.a))
	case opRest:
		w.rest(int(a.a))
	case opRequest:
		c := caseOf(a.a)
		w.submit(i, c.Op, a.b, c.Room, c.Parts()...)
	case opOdd:
		if op := uint32(a.a); op != FUSE_INIT && op != FUSE_DESTROY {
			w.submit(i, op, a.b, int(a.b)*2%200, make([]byte, a.b%100))
		}
	case opForget:
		n := a.a % 8
		var list []uint64
		for k := range n {
			list = append(list, uint64(9+k), 1)
		}
		w.submit(i, FUSE_BATCH_FORGET, a.b, 0, Bytes(&BatchForgetIn{Count: uint32(n)}), dispatchertest.Forgets(list...))
	case opInterrupt:
		if len(w.live) > 0 {
			unique := w.live[int(a.a)%len(w.live)].Hdr.Unique
			w.submit(i, FUSE_INTERRUPT, 0, 16, dispatchertest.U64(unique))
		}
	case opHog:
		for w.submit(i, FUSE_STATFS, 0, 96) != nil {
		}
	case opInit:
		w.change(i, initKind)
	case opDestroy:
		w.change(i, destroyKind)
	case opDelete:
		w.startDelete(i)
	case opRecreate:
		if w.bed.D == nil {
			w.create()
		}
	case opRemove:
		w.startRemove(i)
	case opRegister:
		if w.dev == nil {
			w.dev = newDevice(w, dispatchertest.FSName)
		}
	case opGet:
		if w.refs[i] < 3 {
			w.get(i)
		}
	case opPut:
		w.put(i)
	case opHold:
		w.hold = a.a
	case opComplete:
		if w.dev != nil && len(w.dev.held) > 0 {
			w.dev.complete(int(a.a)%len(w.dev.held), errnoOf(a.b))
		}
	case opFail:
		if c := class(a.a) % classes; c == classOrdinary || c == classMount || c == classUmount {
			w.failNext[c] = badErrno(a.b)
		}
	case opRefuse:
		w.refuse[i] = a.a != 0
	case opExhaust:
		w.exhaust(i)
	case opRefill:
		w.refill()
	case opFlood:
		w.flood(i)
	default:
		w.doMore(a, i, t)
	}
	w.collect()
}

// notifications are what the module tells.
var notifications = [...]fsdev.Notification{
	{Type: fsdev.NotifyInvalInode, Object: dispatchertest.File, Length: 10},
	{Type: fsdev.NotifyInvalEntry, Object: dispatchertest.Root, Name: []byte("name")},
	{Type: fsdev.NotifyDelete, Object: dispatchertest.Root, Child: dispatchertest.File, Name: []byte("name")},
	{Type: fsdev.NotifyStore, Object: dispatchertest.File, Data: []byte("data")},
	{Type: fsdev.NotifyPoll, Key: 5},
}

func (w *world) doMore(a action, i int, t *reactor.Thread) {
	switch a.op {
	case opNotify:
		if w.dev != nil {
			w.dev.f.Notify(w.bed.T, nil, &notifications[int(a.a)%len(notifications)])
		}
	case opAsk:
		if w.bed.D != nil && w.bed.D.Retrieve(dispatchertest.File, 0, 10, onRetrieved, w) == 0 {
			w.asked++
		}
	case opAnswer:
		w.answer(i, a)
	case opStats:
		if w.bed.D != nil && w.refs[i] > 0 { // who counts must know that the dispatcher stays
			w.counted++
			w.bed.D.Stats(t, onStats, w)
		}
	}
}

func onStats(_ *reactor.Thread, ctx any, _ *fusedispatcher.Stats) { ctx.(*world).counted-- }

func onRetrieved(t *reactor.Thread, ctx any, _ syscall.Errno, _ [][]byte) {
	w := ctx.(*world)
	if t != w.bed.T {
		w.fail("an answer is told on thread %d", w.index(t))
	}
	w.asked--
}

// answer has the client answer a notification, or refuse it.
func (w *world) answer(i int, a action) {
	if len(w.sent) == 0 || w.bed.D == nil {
		return
	}
	msg := w.sent[int(a.a)%len(w.sent)]
	if a.b%2 == 0 {
		// It waits where there is no room for its message.
		for range 8 {
			if w.poll(0, 0); w.noise == 0 && w.bed.D != nil {
				w.bed.D.NotifyRefused(msg, syscall.ENOENT)
				break
			}
		}
		return
	}
	if Overlay[OutHeader](msg[0]).Error != FUSE_NOTIFY_RETRIEVE {
		return
	}
	out := Overlay[NotifyRetrieveOut](msg[0][SizeofOutHeader:])
	w.bed.Unique = out.NotifyUnique - 2
	r := w.submit(i, FUSE_NOTIFY_REPLY, a.b, 0, Bytes(&NotifyRetrieveIn{Offset: out.Offset, Size: 10}),
		dispatchertest.Pattern(int(a.b)%12))
	if r != nil {
		r.refused = true
	}
	w.bed.Unique += 1 << 20 // of requests of its own
}

// poll gives thread i a round.
func (w *world) poll(i, msgs int) (busy bool) {
	t := w.bed.Threads[i]
	w.bed.On(t, func() { busy = t.Poll(msgs, 0) })
	w.stats.polls++
	w.collect()
	return busy
}

const maxRounds = 400

// rest polls all threads until nobody has anything to do, and says whether it has come to that: somebody may be
// trying again and again for what has been taken away.
func (w *world) rest(msgs int) bool {
	for n := range maxRounds {
		if w.exhausting && n == maxRounds/8 {
			return false
		}
		busy := false
		for i := range w.bed.Threads {
			busy = w.poll(i, msgs) || busy
		}
		if !busy {
			if w.dev == nil || len(w.dev.held) == 0 {
				w.book.atRest()
			}
			w.checkRest()
			return true
		}
	}
	w.fail("the threads never come to rest")
	return false
}

// checkRest wants nobody to wait without a reason.
func (w *world) checkRest() {
	if w.noise != 0 {
		w.fail("%d messages are lost", w.noise)
	}
	if w.exhausting {
		return
	}
	if w.dev != nil && len(w.dev.held) > 0 {
		if n := w.dev.spared(); n > 0 && len(w.book.under) > 0 {
			w.fail("%d requests are not aborted by what waits for them", n)
		}
		return
	}
	for _, r := range w.live {
		if r.Done == 0 {
			w.fail("%s waits for nothing", opName(r))
		}
	}
	for _, c := range w.book.under {
		switch {
		case c.kind != deleteKind:
			w.fail("change %d waits for nothing", c.kind)
		case w.refs == [maxThreads]int{}:
			w.fail("Delete waits for nothing")
		}
	}
	if w.counted != 0 {
		w.fail("%d readers of the counters wait for nothing", w.counted)
	}
	if b := &w.book; b.now() == noSession || b.now() == deleted {
		switch {
		case w.asked != 0:
			w.fail("%d questions wait without a session", w.asked)
		case w.dev != nil && w.dev.chans > 0:
			w.fail("%d channels of the device are left without a session", w.dev.chans)
		}
	}
}

package fusedispatcher_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
	"github.com/spdk-go/spdk-go/reactor"
)

// history is a random interleaving of everything that clients, transports, modules and
// administrators do. What must hold all the while is checked where requests complete
// (submitDone), what must hold at the end in the bed's close.
type history struct {
	*bed
	rng     *rand.Rand
	held    []*fsdev.IO // by the module, in no order
	deleted **syscall.Errno
	removed *bool
	asked   int        // questions that wait for an answer
	sent    [][][]byte // notifications
}

// ask asks the client for what it has in its cache.
func (h *history) ask() {
	got := func(*reactor.Thread, any, syscall.Errno, [][]byte) { h.asked-- }
	if h.d.Retrieve(fakeFile, 0, 10, got, nil) == 0 {
		h.asked++
	}
}

// answer answers one such question, or none.
func (h *history) answer() {
	if len(h.sent) == 0 {
		return
	}
	msg := h.sent[h.rng.IntN(len(h.sent))]
	if h.rng.IntN(2) == 0 {
		h.d.NotifyRefused(msg, syscall.ENOENT)
		return
	}
	if Overlay[OutHeader](msg[0]).Error == FUSE_NOTIFY_RETRIEVE {
		out := Overlay[NotifyRetrieveOut](msg[0][16:])
		h.submitMessage(message(InHeader{Opcode: FUSE_NOTIFY_REPLY, Unique: out.NotifyUnique, NodeID: out.NodeID},
			Bytes(&NotifyRetrieveIn{Offset: out.Offset, Size: 10}), pattern(h.rng.IntN(12))), 0)
	}
}

// listen keeps the notifications of the dispatcher there is.
func (h *history) listen() {
	h.d.SetNotify(func(_ *reactor.Thread, msg [][]byte, _ any) { h.sent = append(h.sent, msg) }, nil)
}

// hold completes some requests at once and keeps the others.
func (h *history) hold(io *fsdev.IO) {
	if h.rng.IntN(3) > 0 {
		h.held = append(h.held, io)
		return
	}
	h.end(io)
}

func (h *history) end(io *fsdev.IO) {
	errno := syscall.Errno(0)
	if h.rng.IntN(4) == 0 {
		errno = []syscall.Errno{syscall.ENOENT, syscall.EIO, syscall.ESTALE, syscall.ENOMEM}[h.rng.IntN(4)]
	}
	switch {
	case io.Type == fsdev.IOUmount:
		h.fs.umounted(io)
	case io.Type == fsdev.IOMount && errno == 0:
		h.fs.mounted(io)
	default:
		if errno == 0 {
			fill(io)
		}
		io.Complete(errno)
	}
}

// abort ends the target, or not, at once or later.
func (h *history) abort(io *fsdev.IO) {
	i := slices.Index(h.held, io.Target)
	if i < 0 || h.rng.IntN(4) == 0 {
		io.Complete(syscall.EALREADY)
		return
	}
	h.held = slices.Delete(h.held, i, i+1)
	io.Target.Complete(syscall.EINTR)
	io.Complete(0)
}

// completeOne completes one of what the module holds, not the oldest in particular.
func (h *history) completeOne() {
	if len(h.held) == 0 {
		return
	}
	i := h.rng.IntN(len(h.held))
	io := h.held[i]
	h.held = slices.Delete(h.held, i, i+1)
	h.cur = io.Thread()
	h.end(io)
	h.cur = nil
}

// submit sends a request on a random channel. There may be no room for it.
func (h *history) submit(op uint32, room int, parts ...[]byte) {
	h.submitMessage(h.message(op, node, parts...), room)
}

func (h *history) submitMessage(m []byte, room int) {
	i := h.rng.IntN(len(h.chans))
	if h.chans[i] == nil {
		return
	}
	in := cut(m, h.rng.IntN(len(m)+1))
	out := cut(make([]byte, room), h.rng.IntN(room+1))
	n := len(h.live)
	h.cur = h.Threads[i]
	r := &reply{b: h.bed, t: h.cur, out: out}
	r.known = copy(Bytes(&r.hdr), m)
	for _, seg := range out {
		for j := range seg {
			seg[j] = paint
		}
	}
	h.live = append(h.live, r)
	r.inside = true
	if errno := h.d.SubmitRequest(h.chans[i], in, out, submitDone, r); errno != 0 {
		if errno != syscall.ENOBUFS {
			h.tb.Errorf("SubmitRequest: %v", errno)
		}
		h.live = slices.Delete(h.live, n, n+1)
	}
	r.inside = false
	h.cur = nil
}

func (h *history) step() {
	switch n := h.rng.IntN(1000); {
	case n < 450:
		h.Poll(h.Threads[h.rng.IntN(len(h.Threads))])
	case n < 650:
		c := &handlerCases[h.rng.IntN(len(handlerCases))]
		h.submit(c.op, c.room+h.rng.IntN(2)*64, c.parts()...)
	case n < 830:
		h.completeOne()
	case n < 860:
		h.submit(FUSE_INTERRUPT, h.rng.IntN(2)*16, u64(h.unique-uint64(h.rng.IntN(20))*2))
	case n < 870:
		h.submit(FUSE_BATCH_FORGET, 0, Bytes(&BatchForgetIn{Count: 5}), forgets(9, 1, 9, 2, 9, 3, 9, 4))
	case n < 890:
		h.submit(uint32(h.rng.IntN(64)), h.rng.IntN(200), make([]byte, h.rng.IntN(100)))
	case n < 920:
		h.submit(FUSE_INIT, 80, initIn)
	case n < 930:
		h.submit(FUSE_DESTROY, 16)
	case n < 950:
		h.fs.refuse = nil
		if bad := h.Threads[h.rng.IntN(len(h.Threads))]; h.rng.IntN(4) == 0 {
			h.fs.refuse = func(t *reactor.Thread) bool { return t == bad }
		}
	case n < 980:
		i := h.rng.IntN(len(h.chans))
		if h.chans[i] != nil {
			h.chans[i].Put()
			h.chans[i] = nil
		} else {
			h.chans[i] = h.d.IOChannel(h.Threads[i])
		}
	case n < 984:
		h.fs.f.Notify(h.t, nil, &notifyCases[h.rng.IntN(len(notifyCases))].n)
	case n < 985:
		h.ask()
	case n < 986:
		h.answer()
	case n < 987:
		h.d.Stats(h.Threads[h.rng.IntN(len(h.Threads))], func(*reactor.Thread, any, *fusedispatcher.Stats) {}, nil)
	case n < 990 && h.removed == nil:
		h.removed = h.startRemoveFS()
	case n < 993 && h.deleted == nil:
		h.deleted = h.startDelete(h.Threads[h.rng.IntN(len(h.Threads))])
	}
	h.replace()
}

// replace brings back what has gone.
func (h *history) replace() {
	if h.removed != nil && *h.removed {
		h.removed = nil
		mounts := h.fs.mounts
		h.fs = newFakeFS(h.tb, h.t, fsName)
		h.fs.mounts = mounts
		h.hook()
	}
	if h.deleted != nil && *h.deleted != nil {
		h.deleted = nil
		h.recreate()
		h.listen()
	}
}

func (h *history) hook() {
	h.fs.do, h.fs.mount, h.fs.umount, h.fs.abort = h.hold, h.hold, h.hold, h.abort
}

// settle lets everything come to its end.
func (h *history) settle() {
	h.fs.refuse = nil
	for range 10_000 {
		h.PollOnce()
		for len(h.held) > 0 {
			h.completeOne()
		}
		if h.deleted != nil { // it waits for the channels
			for i, ch := range h.chans {
				if ch != nil {
					ch.Put()
					h.chans[i] = nil
				}
			}
		}
		h.replace()
		if !h.PollOnce() && len(h.held) == 0 && h.deleted == nil && h.removed == nil {
			return
		}
	}
	h.tb.Errorf("never comes to rest: %d requests under way, Delete %v, removal %v",
		len(h.live), h.deleted != nil, h.removed != nil)
}

func TestRandomHistories(t *testing.T) {
	histories, steps := 150, 400
	if testing.Short() {
		histories = 15
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for n := range histories {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, uint64(n)))
			h := &history{rng: rng}
			t.Cleanup(func() { // after the bed's close, which ends the session
				if h.asked != 0 && !t.Failed() {
					t.Errorf("seed %d, history %d: %d questions have not been answered", seed, n, h.asked)
				}
			})
			h.bed = newBed(t, 1+rng.IntN(4), fusedispatcher.Opts{})
			h.hook()
			h.listen()
			for range steps {
				h.step()
				if t.Failed() {
					t.FailNow()
				}
			}
			h.settle()
			if len(h.live) > 0 {
				t.Errorf("opcode %d has not been completed", h.live[0].hdr.Opcode)
			}
			if t.Failed() {
				t.Fatalf("seed %d, history %d", seed, n)
			}
		})
	}
}

package sim

import (
	"math/bits"
	"syscall"

	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

// iter is what the book says of an iteration over channels.
type iter struct {
	w       *world
	id      int
	d       *device
	origin  *thread
	it      *iochannel.Iter
	last    int    // the thread visited last, in order of creation
	must    uint64 // threads that have had a channel all the time and have not been visited
	held    *thread
	refused bool
	status  syscall.Errno // of a Continue that ended it
	ended   bool
	removal bool // it is that of a hot-remove

	// After a thread was forced to exit the book knows less.
	lost      bool // it never ends
	mayBeLost bool

	inVisit, inDone []action
}

func (w *world) forEach(t *thread, a action) {
	d := find(w.devices, a.b)
	if d == nil || find(w.iters, a.a) != nil || a.a < 0 {
		return
	}
	it := &iter{w: w, id: int(a.a), d: d, origin: t, last: -1}
	placeAt(&w.iters, a.a, it)
	it.begin()
}

func (it *iter) begin() {
	w, d := it.w, it.d
	it.must, it.refused = d.mask, d.state != deviceOpen
	w.iterating = append(w.iterating, it)
	it.origin.iters++
	if !it.refused {
		d.iters++
	}
	w.stats.iterations++
	calls := w.calls
	iochannel.ForEachChannel(it.origin.t, d.d, runVisit, it, runIterated)
	if w.calls != calls {
		w.fail("an iteration calls back from inside ForEachChannel")
	}
}

func runVisit(in *iochannel.Iter) {
	it := in.Ctx().(*iter)
	w, d := it.w, it.d
	if w.dead {
		return
	}
	t := w.byThread(in.Channel().Thread())
	if !t.called(in.Channel().Thread(), "visit") {
		return
	}
	c := t.chanOf(d)
	switch {
	case it.ended || it.refused || it.status != 0 || it.held != nil || it.lost:
		w.fail("iteration %d visits %v after its end, or twice at once", it.id, t)
	case c == nil || c.ch != in.Channel() || in.Device() != d.d:
		w.fail("iteration %d visits a channel on %v that is not there", it.id, t)
	case t.ord <= it.last:
		w.fail("iteration %d visits %v after %v", it.id, t, w.byOrder[it.last])
	case d.state == deviceClosed && !d.fuzzy || d.state == deviceGone:
		w.fail("iteration %d visits device %d, which is unregistered", it.id, d.id)
	}
	if left := w.leftOut(it.must & (t.bit - 1)); left != nil {
		w.fail("iteration %d leaves out %v", it.id, left)
	}
	it.it, it.last = in, t.ord
	it.must &^= t.bit
	it.held = t
	t.held = append(t.held, it)
	w.stats.visits++
	after := w.run(at{t: t, in: inVisit, it: it}, &it.inVisit)
	switch {
	case it.held == nil: // one of the actions has continued it
	case it.removal:
		if c.outstanding == 0 {
			it.goOn(0)
		} else {
			c.removal = it
		}
	case after.later:
	case after.eio:
		it.goOn(syscall.EIO)
	default:
		it.goOn(0)
	}
}

func (w *world) byThread(th *reactor.Thread) *thread { return w.byOrder[th.ID()-1] }

// leftOut returns a thread of a set, nil if there is none that has not exited in this round, or
// has been asked to by Stop.
func (w *world) leftOut(set uint64) *thread {
	for ; set != 0; set &= set - 1 {
		if t := w.byOrder[bits.TrailingZeros64(set)]; !t.t.IsExited() && !(w.stopping && !t.t.IsRunning()) {
			return t
		}
	}
	return nil
}

// goOn continues an iteration that waits on t.
func (w *world) goOn(t *thread, it *iter, eio bool) {
	if it == nil || it.held != t || it.removal || it.lost {
		return
	}
	var status syscall.Errno
	if eio {
		status = syscall.EIO
	}
	it.goOn(status)
}

func (it *iter) goOn(status syscall.Errno) {
	drop(&it.held.held, it)
	it.held = nil
	it.status = status
	it.it.Continue(status)
}

func runIterated(th *reactor.Thread, ctx any, status syscall.Errno) {
	it := ctx.(*iter)
	w, d, t := it.w, it.d, it.origin
	if w.dead {
		return
	}
	if it.ended {
		w.fail("iteration %d ends twice", it.id)
	}
	if !t.called(th, "end of an iteration") {
		return
	}
	want := it.status
	if it.refused {
		want = syscall.ENODEV
	}
	switch {
	case it.held != nil || it.lost:
		w.fail("iteration %d ends during a visit", it.id)
	case status != want:
		w.fail("iteration %d ends with %v, want %v", it.id, status, want)
	case d.state == deviceGone && !it.refused:
		w.fail("iteration %d ends after its device is gone", it.id)
	case status == 0 && w.leftOut(it.must) != nil:
		w.fail("iteration %d leaves out %v", it.id, w.leftOut(it.must))
	}
	it.ended = true
	drop(&w.iterating, it)
	t.iters--
	if it.removal && status == 0 {
		if d.outstanding > 0 {
			w.fail("device %d has %d operations when it has been visited", d.id, d.outstanding)
		}
		w.unregister(t, d)
	}
	w.run(at{t: t, in: inDone}, &it.inDone)
	if it.refused {
		return
	}
	// An unregister that has waited for this goes on as soon as we return.
	d.iters--
	if d.state == devicePending && d.iters == 0 && !d.fuzzy {
		d.state = deviceClosed
	}
}

// walk is what the book says of a walk over the threads.
type walk struct {
	w      *world
	id     int
	origin *thread
	last   int
	must   uint64 // threads that have been running all the time and have not been visited
	ended  bool

	goAt           uint64 // the call after which the next thread was chosen
	mayBeLost      bool
	inWalk, inDone []action
}

func (w *world) walk(t *thread, a action) {
	if find(w.walks, a.a) != nil || a.a < 0 {
		return
	}
	k := &walk{w: w, id: int(a.a), origin: t, last: -1}
	for _, t := range w.live {
		if !t.exiting {
			k.must |= t.bit
		}
	}
	placeAt(&w.walks, a.a, k)
	w.walking = append(w.walking, k)
	t.walks++
	w.stats.walks++
	calls := w.calls
	k.goAt = calls
	w.fw.ForEachThread(t.t, runWalk, k, runWalked)
	if w.calls != calls {
		w.fail("a walk calls back from inside ForEachThread")
	}
}

func runWalk(th *reactor.Thread, ctx any) {
	k := ctx.(*walk)
	w := k.w
	if w.dead {
		return
	}
	t := w.byThread(th)
	if !t.called(th, "visit of a walk") {
		return
	}
	if k.ended || t.ord <= k.last {
		w.fail("walk %d visits %v too late", k.id, t)
	}
	if t.exiting && t.exitAt <= k.goAt {
		w.fail("walk %d visits %v, which had begun to exit", k.id, t)
	}
	if left := w.leftOut(k.must & (t.bit - 1)); left != nil {
		w.fail("walk %d leaves out %v", k.id, left)
	}
	k.last = t.ord
	k.must &^= t.bit
	w.run(at{t: t, in: inWalk}, &k.inWalk)
	k.goAt = w.calls
}

func runWalked(th *reactor.Thread, ctx any) {
	k := ctx.(*walk)
	w := k.w
	if !k.origin.called(th, "end of a walk") {
		return
	}
	switch {
	case k.ended:
		w.fail("walk %d ends twice", k.id)
	case w.leftOut(k.must) != nil:
		w.fail("walk %d leaves out %v", k.id, w.leftOut(k.must))
	}
	k.ended = true
	drop(&w.walking, k)
	k.origin.walks--
	w.run(at{t: k.origin, in: inWalked}, &k.inDone)
}

package reactor

import (
	"syscall"

	"github.com/spdk-go/spdk-go/mempool"
)

// EventFunc is the function of an event; r is the reactor that the event was sent to. No
// thread is current inside an event: what needs one sends it a message.
//
// SPDK: spdk_event_fn, which runs with the reactor's first thread set as the current one.
type EventFunc func(r *Reactor, arg1, arg2 any)

// event is a call of a function on a reactor.
//
// SPDK: struct spdk_event
type event struct {
	fn         EventFunc
	arg1, arg2 any
}

// SendEvent has fn called with its arguments on r, in the next round, before any thread is
// polled. Any goroutine may call it. It returns 0, ENOMEM when r has no room for an event, or
// ESRCH when r has ended; fn is called if and only if it returned 0.
//
// SPDK: spdk_event_allocate, spdk_event_call
func (r *Reactor) SendEvent(fn EventFunc, arg1, arg2 any) syscall.Errno {
	switch r.events.ring.Push(event{fn, arg1, arg2}) {
	case mempool.Full:
		return syscall.ENOMEM
	case mempool.Closed:
		return syscall.ESRCH
	}
	r.wake()
	return 0
}

// SendEventFrom is [Reactor.SendEvent] for a caller that runs on the reactor from, and cheaper
// when that is r itself.
//
// Not in SPDK: there spdk_event_call finds out itself.
func (r *Reactor) SendEventFrom(from *Reactor, fn EventFunc, arg1, arg2 any) syscall.Errno {
	if from == r && (r.events.hasLocalRoom() || r.events.makeLocalRoom()) {
		e := r.events.local.Add()
		e.fn, e.arg1, e.arg2 = fn, arg1, arg2
		return 0
	}
	return r.SendEvent(fn, arg1, arg2)
}

// runEvents runs a batch of events.
func (r *Reactor) runEvents() {
	r.running = nil
	local := &r.events.local
	n := min(local.Len(), batchSize)
	for range n {
		e := local.Front()
		fn, arg1, arg2 := e.fn, e.arg1, e.arg2
		local.Drop(e)
		fn(r, arg1, arg2)
	}
	batch := r.events.take(batchSize - n)
	if len(batch) == 0 {
		return
	}
	for i := range batch {
		batch[i].fn(r, batch[i].arg1, batch[i].arg2)
	}
	r.events.done(batch)
}

// post has fn called on r by the framework itself. Unlike an event it cannot find r full; it
// returns false when r has ended.
func (r *Reactor) post(fn EventFunc, arg1, arg2 any) bool {
	r.control.Lock()
	if r.ended {
		r.control.Unlock()
		return false
	}
	r.posted = append(r.posted, event{fn, arg1, arg2})
	r.control.Unlock()
	r.called.Store(true)
	r.wake()
	return true
}

// runPosted runs what has been posted.
//
//go:noinline
func (r *Reactor) runPosted() {
	r.running = nil
	r.called.Store(false)
	r.control.Lock()
	posted := r.posted
	r.posted = nil
	r.control.Unlock()
	for _, e := range posted {
		e.fn(r, e.arg1, e.arg2)
	}
	r.worked()
}

// reactorVisit is a walk over the reactors.
type reactorVisit struct {
	fn, done   EventFunc
	arg1, arg2 any
	origin     *Reactor
	next       int // index of the next reactor
}

// ForEachReactor calls fn with its arguments on each reactor, one after the other in the order
// of [Options.Cores], and then done (which may be nil) on from, the caller's reactor, with the
// same arguments, which does not end before. It returns ESHUTDOWN, and calls nothing, for a
// framework that is being stopped. On from only.
//
// SPDK: spdk_for_each_reactor, which does not say that it called nothing.
func (f *Framework) ForEachReactor(from *Reactor, fn EventFunc, arg1, arg2 any, done EventFunc) syscall.Errno {
	f.mu.Lock()
	stopped := f.stopped
	f.mu.Unlock()
	if stopped {
		return syscall.ESHUTDOWN
	}
	from.visits++
	v := &reactorVisit{fn: fn, done: done, arg1: arg1, arg2: arg2, origin: from}
	v.goOn(f)
	return 0
}

// goOn posts the visit to the next reactor that has not ended, or home.
func (v *reactorVisit) goOn(f *Framework) {
	for v.next < len(f.reactors) {
		r := f.reactors[v.next]
		v.next++
		if r.post(visitReactor, v, nil) {
			return
		}
	}
	v.origin.post(visitEnded, v, nil)
}

func visitEnded(r *Reactor, arg1, _ any) {
	v := arg1.(*reactorVisit)
	r.visits--
	if v.done != nil {
		v.done(r, v.arg1, v.arg2)
	}
}

func visitReactor(r *Reactor, arg1, _ any) {
	v := arg1.(*reactorVisit)
	v.fn(r, v.arg1, v.arg2)
	v.goOn(r.fw)
}

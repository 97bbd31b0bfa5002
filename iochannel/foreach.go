package iochannel

import (
	"syscall"

	"github.com/spdk-go/spdk-go/reactor"
)

// VisitFunc is called on the thread of each channel that an iteration visits. It must see
// to it that [Iter.Continue] is called exactly once, then or later, on the same thread; the
// thread does not exit before.
//
// SPDK: spdk_channel_msg
type VisitFunc func(it *Iter)

// ForEachDoneFunc is called at the end of an iteration, on the thread that began it. status
// is 0, or what ended it early.
//
// SPDK: spdk_channel_for_each_cpl
type ForEachDoneFunc func(t *reactor.Thread, ctx any, status syscall.Errno)

// Iter is an iteration over the channels of a device. It belongs to the visited thread from
// the call of the [VisitFunc] to Continue.
//
// SPDK: struct spdk_io_channel_iter
type Iter struct {
	dev    *Device
	origin *reactor.Thread
	fn     VisitFunc
	ctx    any
	done   ForEachDoneFunc
	status syscall.Errno

	refused bool            // it never began
	t       *reactor.Thread // where it is now
	ch      *Channel        // nil unless a Continue is due
	tried   uint64          // id of the last thread that was visited or found gone
	list    *channelList    // where it was found
	pos     int             // and at which index
	next    *Iter           // in the origin's list of free ones
}

// Channel returns the visited channel. SPDK: spdk_io_channel_iter_get_channel
func (it *Iter) Channel() *Channel { return it.ch }

// Device returns the device. SPDK: spdk_io_channel_iter_get_io_device
func (it *Iter) Device() *Device { return it.dev }

// Ctx returns the ctx of [ForEachChannel]. SPDK: spdk_io_channel_iter_get_ctx
func (it *Iter) Ctx() any { return it.ctx }

// ForEachChannel calls fn for the channels of d, one after the other in order of their
// threads' ids, each on its thread, and then done (which may be nil) on t, with what the
// last Continue said. All calls are made by message (on t itself, by a deferred call), none
// from inside ForEachChannel.
// Channels created meanwhile are visited if their turn is still to come, channels that are
// gone when their turn comes are skipped. For a device that is unregistered or waits to be,
// done is called with ENODEV. The iteration ends when done returns: an Unregister waits for
// that, so that done may use what the device stands for. On t only.
//
// SPDK: spdk_for_each_channel
func ForEachChannel(t *reactor.Thread, d *Device, fn VisitFunc, ctx any, done ForEachDoneFunc) {
	t.AssertCurrent()
	ts := stateOf(t)
	it := ts.newIter()
	*it = Iter{dev: d, origin: t, fn: fn, ctx: ctx, done: done}
	ts.iterations++
	d.mu.Lock()
	if d.pending || d.unregistered.Load() {
		d.mu.Unlock()
		it.status, it.refused = syscall.ENODEV, true
		t.Defer(iterationDone, it)
		return
	}
	d.iterations++
	d.mu.Unlock()
	it.goOn(t)
}

func (ts *threadState) newIter() *Iter {
	it := ts.freeIters
	if it == nil {
		return &Iter{}
	}
	ts.freeIters = it.next
	return it
}

// nextChannel returns the channel with the lowest thread id above that of the last one tried.
func (it *Iter) nextChannel() *Channel {
	list := it.dev.channels.Load()
	i := it.pos + 1
	if list != it.list { // there is another one than at the last step
		i = list.search(it.tried + 1)
	}
	for ; i < len(*list); i++ {
		if ch := (*list)[i].ch.Load(); ch != nil {
			it.list, it.pos = list, i
			return ch
		}
	}
	return nil
}

// goOn sends the iteration to the next channel; from is the caller's thread.
func (it *Iter) goOn(from *reactor.Thread) {
	ch := it.nextChannel()
	if ch == nil {
		it.finish(from)
		return
	}
	if ch.t == from { // keep the order with a Put, which defers its call too
		from.Defer(visit, it)
		return
	}
	switch ch.t.SendMsgFrom(from, visit, it) { // if 0, it belongs to that thread from now on
	case syscall.ENOMEM:
		it.list = nil // the search leads here again
		from.Defer(goOnLater, it)
	case syscall.ESRCH: // it was forced to exit
		it.tried = ch.t.ID()
		it.goOn(from)
	}
}

func goOnLater(t *reactor.Thread, ctx any) { ctx.(*Iter).goOn(t) }

func visit(t *reactor.Thread, ctx any) {
	it := ctx.(*Iter)
	it.t = t
	it.tried = t.ID()
	// The channel may be gone since, or be another one than when the message was sent.
	ts := stateOf(t)
	it.ch = ts.find(it.dev)
	if it.ch == nil {
		it.goOn(t)
		return
	}
	ts.visits++
	it.fn(it)
}

// Continue goes on to the next channel, or ends the iteration if status is not 0. On the
// visited thread only, exactly once per visit.
//
// SPDK: spdk_for_each_channel_continue
func (it *Iter) Continue(status syscall.Errno) {
	if it.ch == nil {
		panic("iochannel: Continue of an iteration that does not wait for it")
	}
	it.t.AssertCurrent()
	it.ch.ts.visits--
	it.ch = nil
	it.status = status
	if status != 0 {
		it.finish(it.t)
		return
	}
	it.goOn(it.t)
}

// finish sends the iteration home; from is the caller's thread.
func (it *Iter) finish(from *reactor.Thread) {
	if it.origin == from {
		from.Defer(iterationDone, it)
		return
	}
	switch it.origin.SendMsgFrom(from, iterationDone, it) {
	case syscall.ENOMEM:
		from.Defer(finishLater, it)
	case syscall.ESRCH: // it was forced to exit
		it.dev.iterationDone(from)
	}
}

func finishLater(t *reactor.Thread, ctx any) { ctx.(*Iter).finish(t) }

func iterationDone(t *reactor.Thread, ctx any) {
	it := ctx.(*Iter)
	d, done, doneCtx, status := it.dev, it.done, it.ctx, it.status
	refused := it.refused
	ts := stateOf(t)
	ts.iterations--
	*it = Iter{next: ts.freeIters}
	ts.freeIters = it
	if done != nil {
		done(t, doneCtx, status)
	}
	if !refused {
		d.iterationDone(t)
	}
}

// iterationDone lets an Unregister go on that has waited for iterations; from is the
// caller's thread.
func (d *Device) iterationDone(from *reactor.Thread) {
	d.mu.Lock()
	d.iterations--
	unregister := d.pending && d.iterations == 0
	finished := unregister && d.markUnregistered()
	d.mu.Unlock()
	if unregister {
		d.reg.hide(d)
	}
	if finished {
		d.finish(from)
	}
}

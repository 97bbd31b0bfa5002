package iochannel

import (
	"slices"
	"syscall"

	"github.com/spdk-go/spdk-go/reactor"
)

// VisitFunc is called on the thread of each channel that an iteration visits. It must see
// to it that [Iter.Continue] is called exactly once, then or later, on the same thread.
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

	t    *reactor.Thread // where it is now
	ch   *Channel
	next *Iter // in the origin's list of free ones
}

// Channel returns the visited channel. SPDK: spdk_io_channel_iter_get_channel
func (it *Iter) Channel() *Channel { return it.ch }

// Device returns the device. SPDK: spdk_io_channel_iter_get_io_device
func (it *Iter) Device() *Device { return it.dev }

// Ctx returns the ctx of [ForEachChannel]. SPDK: spdk_io_channel_iter_get_ctx
func (it *Iter) Ctx() any { return it.ctx }

// ForEachChannel calls fn for the channels of d, one after the other in order of their
// threads' ids, each on its thread, and then done (which may be nil) on t, with what the
// last Continue said. All calls are made by message, none from inside ForEachChannel.
// Channels created meanwhile are visited if their turn is still to come, channels that are
// gone when their turn comes are skipped. For a device that is unregistered or waits to be,
// done is called with ENODEV. On t only.
//
// SPDK: spdk_for_each_channel
func ForEachChannel(t *reactor.Thread, d *Device, fn VisitFunc, ctx any, done ForEachDoneFunc) {
	t.AssertCurrent()
	ts := stateOf(t)
	it := ts.newIter()
	*it = Iter{dev: d, origin: t, fn: fn, ctx: ctx, done: done, t: t}
	ts.iterations++
	d.mu.Lock()
	if d.pending || d.unregistered.Load() {
		d.mu.Unlock()
		it.status = syscall.ENODEV
		t.Defer(iterationDone, it)
		return
	}
	d.iterations++
	first := d.channelAfter(0)
	d.mu.Unlock()
	it.goTo(first)
}

func (ts *threadState) newIter() *Iter {
	it := ts.freeIters
	if it == nil {
		return &Iter{}
	}
	ts.freeIters = it.next
	return it
}

// channelAfter returns the channel with the lowest thread id above id. It needs d.mu.
func (d *Device) channelAfter(id uint64) *Channel {
	if i, _ := slices.BinarySearchFunc(d.channels, id+1, byThread); i < len(d.channels) {
		return d.channels[i]
	}
	return nil
}

// goTo sends the iteration to the thread of ch, or home if there is none.
func (it *Iter) goTo(ch *Channel) {
	from := it.t
	for ch != nil {
		it.t = ch.t
		if ch.t.SendMsgRetry(from, visit, it) {
			return
		}
		// That thread has exited, and its channels with it.
		it.dev.mu.Lock()
		ch = it.dev.channelAfter(ch.t.ID())
		it.dev.mu.Unlock()
	}
	it.finish(from)
}

func visit(t *reactor.Thread, ctx any) {
	it := ctx.(*Iter)
	// The channel may be gone since, or be another one than when the message was sent.
	it.ch = stateOf(t).find(it.dev)
	if it.ch == nil {
		it.Continue(0)
		return
	}
	it.fn(it)
}

// Continue goes on to the next channel, or ends the iteration if status is not 0. On the
// visited thread only, exactly once per visit.
//
// SPDK: spdk_for_each_channel_continue
func (it *Iter) Continue(status syscall.Errno) {
	it.t.AssertCurrent()
	it.ch = nil
	it.status = status
	var next *Channel
	if status == 0 {
		it.dev.mu.Lock()
		next = it.dev.channelAfter(it.t.ID())
		it.dev.mu.Unlock()
	}
	it.goTo(next)
}

// finish ends the iteration; from is the caller's thread.
func (it *Iter) finish(from *reactor.Thread) {
	d := it.dev
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
	// The thread that waits is kept from exiting by its count of iterations; if it was
	// forced to, nobody waits.
	it.origin.SendMsgRetry(from, iterationDone, it)
}

func iterationDone(t *reactor.Thread, ctx any) {
	it := ctx.(*Iter)
	done, doneCtx, status := it.done, it.ctx, it.status
	ts := stateOf(t)
	ts.iterations--
	*it = Iter{next: ts.freeIters}
	ts.freeIters = it
	if done != nil {
		done(t, doneCtx, status)
	}
}

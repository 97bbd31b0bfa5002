package fsdev

import (
	"fmt"
	"iter"
	"slices"
	"syscall"

	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

// Abort asks the module to end the operation that was submitted through d on the same channel
// with uniqueToAbort. The completion gets 0 if it will end early, with EINTR; ENOENT or EALREADY
// if it cannot be found or stopped. ENOENT is also returned at once when no such operation
// is in flight.
//
// SPDK: spdk_fsdev_abort, which does not tell the clients of a channel apart
func (d *Desc) Abort(ch *iochannel.Channel, uniqueToAbort uint64, cb StatusCplFunc, ctx any) syscall.Errno {
	target := iochannel.Ctx[channelState](ch).find(d, uniqueToAbort)
	if target == nil {
		return syscall.ENOENT
	}
	io := d.newIO(ch, IOAbort, 0, cb, ctx)
	if io == nil {
		return syscall.ENOBUFS
	}
	if target.state == ioQueued {
		target.endQueued(syscall.EINTR)
		io.st.hold(ch)
		io.end(0)
		return 0
	}
	io.Target = target
	io.submit()
	return 0
}

// AbortAny is [Desc.Abort] of an operation on any thread's channel, that of ch first. What it
// finds is told to the completion only, ENOENT and ENOBUFS included; it returns ENOBUFS when
// no IO is free on ch's thread, and ENOENT for 0, which is no operation's unique.
//
// Not in SPDK, where the consumer has to know the channel.
func (d *Desc) AbortAny(ch *iochannel.Channel, uniqueToAbort uint64, cb StatusCplFunc, ctx any) syscall.Errno {
	if uniqueToAbort == 0 {
		return syscall.ENOENT
	}
	if errno := d.Abort(ch, uniqueToAbort, cb, ctx); errno != syscall.ENOENT {
		return errno
	}
	// The IO goes from channel to channel, and to no module.
	io := d.newIO(ch, IOAbort, 0, cb, ctx)
	if io == nil {
		return syscall.ENOBUFS
	}
	io.st.hold(ch)
	io.Owner = uniqueToAbort
	io.errno = syscall.ENOENT
	iochannel.ForEachChannel(ch.Thread(), d.f.ioDev, visitAbortAny, io, abortAnyDone)
	return 0
}

func visitAbortAny(it *iochannel.Iter) {
	io := it.Ctx().(*IO)
	switch errno := io.desc.Abort(it.Channel(), io.Owner, abortedThere, it); errno {
	case 0: // abortedThere goes on
	case syscall.ENOENT:
		it.Continue(0)
	default:
		io.errno = errno
		it.Continue(syscall.EALREADY) // found: look no further
	}
}

func abortedThere(ctx any, _ *iochannel.Channel, errno syscall.Errno) {
	it := ctx.(*iochannel.Iter)
	it.Ctx().(*IO).errno = errno
	it.Continue(syscall.EALREADY)
}

func abortAnyDone(_ *reactor.Thread, ctx any, _ syscall.Errno) {
	io := ctx.(*IO)
	io.Owner = 0
	io.state = ioCompleted
	io.join()
	io.deliver()
}

// find returns the operation of d that a client calls unique, nil if it has been completed.
func (st *channelState) find(d *Desc, unique uint64) *IO {
	if unique == 0 {
		return nil
	}
	for io := range st.all() {
		if io.Unique == unique && io.desc == d && io.state != ioCompleted {
			return io
		}
	}
	return nil
}

// all returns what has not been delivered.
func (st *channelState) all() iter.Seq[*IO] {
	return func(yield func(*IO) bool) {
		for io := range st.submitted.All() {
			if !yield(io) {
				return
			}
		}
		slices.Values(st.queued)(yield)
	}
}

// endQueued ends an IO that waits for a reset to end.
func (io *IO) endQueued(errno syscall.Errno) {
	st := io.st
	i := slices.Index(st.queued, io)
	st.queued = slices.Delete(st.queued, i, i+1)
	io.end(errno)
}

// end completes an IO that the module has not got.
func (io *IO) end(errno syscall.Errno) {
	io.errno = errno
	io.state = ioCompleted
	io.join()
	io.ch.Thread().Defer(deliver, io)
}

// aborter asks a module to end IO of a channel, one after the other, with an IO of its own: it
// has to work when all others are taken.
type aborter struct {
	io      IO
	running bool
}

// staysWhole are the operations that the layer does not abort by itself: a client that gives
// something back does not try twice, and has nothing to wait for.
var staysWhole = [NumIOTypes]bool{
	IOUmount: true, IOForget: true, IORelease: true, IOReleasedir: true, IOAbort: true,
}

// abortAll asks the module to end what d has in flight on ch, or all descriptors if d is nil.
// It does not wait for that.
func (st *channelState) abortAll(ch *iochannel.Channel, d *Desc) {
	doomed := false
	for io := range st.all() {
		if (d == nil || io.desc == d) && io.state != ioCompleted && !staysWhole[io.Type] {
			io.doomed, doomed = true, true
		}
	}
	if !doomed {
		return
	}
	if st.aborter == nil {
		st.aborter = &aborter{}
	}
	if !st.aborter.running {
		st.aborter.running = true
		st.special |= specialAborter
		st.hold(ch)
		st.abortNext(ch)
	}
}

// abortNext goes on with the next IO that is to be aborted.
func (st *channelState) abortNext(ch *iochannel.Channel) {
	isDoomed := func(io *IO) bool { return io.doomed }
	for {
		i := slices.IndexFunc(st.queued, isDoomed)
		if i < 0 {
			break
		}
		io := st.queued[i]
		io.doomed = false
		io.endQueued(syscall.EINTR)
	}
	for target := range st.submitted.All() {
		if !target.doomed {
			continue
		}
		target.doomed = false
		if target.state == ioSubmitted {
			io := &st.aborter.io
			*io = IO{Type: IOAbort, Target: target, desc: target.desc, ch: ch, st: st, state: ioAborting}
			io.toModule()
			return
		}
	}
	st.aborter.running = false
	st.special &^= specialAborter
	st.letGo(ch)
	st.goOnDraining()
}

// completeAborter is Complete of an aborter's IO.
func (io *IO) completeAborter() {
	io.state = ioFree
	io.Target, io.Ctx = nil, nil
	if io.st.inSubmit {
		io.ch.Thread().Defer(abortedOne, io)
		return
	}
	abortedOne(nil, io)
}

func abortedOne(_ *reactor.Thread, ctx any) {
	io := ctx.(*IO)
	io.st.abortNext(io.ch)
}

// abortPass has the channels of a device abort what d has in flight, or everybody if d is nil.
// Until all have been asked, the device is not removed.
type abortPass struct {
	f *Fsdev
	d *Desc
}

// abortPass begins one; t is the caller's thread. It needs m.mu.
func (f *Fsdev) abortPass(t *reactor.Thread, d *Desc) {
	f.busy++
	iochannel.ForEachChannel(t, f.ioDev, visitAbortPass, &abortPass{f, d}, abortPassDone)
}

func visitAbortPass(it *iochannel.Iter) {
	ch := it.Channel()
	iochannel.Ctx[channelState](ch).abortAll(ch, it.Ctx().(*abortPass).d)
	it.Continue(0)
}

func abortPassDone(t *reactor.Thread, ctx any, status syscall.Errno) {
	f := ctx.(*abortPass).f
	if status != 0 {
		panic(fmt.Sprintf("fsdev %q: aborting what is in flight ended with %v", f.name, status))
	}
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	f.busy--
	f.removeIfClosed(t)
}

package fsdev

import (
	"fmt"
	"syscall"

	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

// Resetter is implemented by a [Device] that has something to do at a reset.
//
// Not in SPDK: modelled on SPDK_BDEV_IO_TYPE_RESET.
type Resetter interface {
	// Reset brings the device to a known state and calls done exactly once on t, at once or
	// later. No IO is in flight, and none comes, until then. Not in SPDK.
	Reset(t *reactor.Thread, done func(t *reactor.Thread, err error))
}

// ResetFunc is called at the end of a [Fsdev.Reset] with what the module's [Resetter]
// reported. Not in SPDK.
type ResetFunc func(t *reactor.Thread, ctx any, err error)

// reset is a Reset under way.
type reset struct {
	f   *Fsdev
	cb  ResetFunc
	ctx any
	err error
}

// Reset ends what is in flight and lets the module start anew: all channels stop handing
// operations to the module and ask it to abort those it has, as [Fsdev.Unregister] does; when
// the last of these has been completed, in whatever way, the device's [Resetter] runs, if it is
// one; then the channels go on, and cb (which may be nil) is called with ctx on t.
//
// Operations that are submitted meanwhile are not refused but wait in their channel, in order,
// each with its IO; they can be aborted. Objects, handles and locks stay what they are, unless
// the Resetter says otherwise. A reset does not wait for descriptors, and a removal waits for
// a reset.
//
// EALREADY: the device is being reset; ENODEV: it is being removed. cb is not called then. On t
// only.
//
// Not in SPDK: modelled on spdk_bdev_reset.
func (f *Fsdev) Reset(t *reactor.Thread, cb ResetFunc, ctx any) error {
	t.AssertCurrent()
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	switch {
	case f.status != fsdevReady:
		return fmt.Errorf("fsdev %q: it is being removed: %w", f.name, syscall.ENODEV)
	case f.resetting:
		return fmt.Errorf("fsdev %q: it is being reset already: %w", f.name, syscall.EALREADY)
	}
	f.resetting = true // channels that are created from now on hold their operations back
	f.busy++
	iochannel.ForEachChannel(t, f.ioDev, visitFreeze, &reset{f: f, cb: cb, ctx: ctx}, frozen)
	return nil
}

// visitFreeze stops a channel. It does not wait for what is in flight, which may itself wait
// for what another channel has in flight.
func visitFreeze(it *iochannel.Iter) {
	ch := it.Channel()
	st := iochannel.Ctx[channelState](ch)
	st.special |= specialFrozen
	st.abortAll(ch, nil)
	it.Continue(0)
}

func frozen(t *reactor.Thread, ctx any, _ syscall.Errno) {
	iochannel.ForEachChannel(t, ctx.(*reset).f.ioDev, visitDrain, ctx, drained)
}

func visitDrain(it *iochannel.Iter) {
	st := iochannel.Ctx[channelState](it.Channel())
	st.drain = it
	st.special |= specialDrain
	st.goOnDraining()
}

// goOnDraining looks whether the module has anything left.
func (st *channelState) goOnDraining() {
	if it := st.drain; it != nil && st.submitted.Len() == 0 && st.special&specialAborter == 0 {
		st.drain = nil
		st.special &^= specialDrain
		it.Continue(0)
	}
}

func drained(t *reactor.Thread, ctx any, _ syscall.Errno) {
	r := ctx.(*reset)
	if dev, ok := r.f.dev.(Resetter); ok {
		dev.Reset(t, r.wasReset)
		return
	}
	r.wasReset(t, nil)
}

func (r *reset) wasReset(t *reactor.Thread, err error) {
	f := r.f
	r.err = err
	f.m.mu.Lock()
	f.resetting = false
	f.m.mu.Unlock()
	iochannel.ForEachChannel(t, f.ioDev, visitThaw, r, thawed)
}

// visitThaw hands the module what has been waiting, in order.
func visitThaw(it *iochannel.Iter) {
	st := iochannel.Ctx[channelState](it.Channel())
	for len(st.queued) > 0 {
		io := st.queued[0]
		st.queued = st.queued[1:]
		io.start()
	}
	st.queued = nil
	st.special &^= specialFrozen
	it.Continue(0)
}

func thawed(t *reactor.Thread, ctx any, _ syscall.Errno) {
	r := ctx.(*reset)
	f := r.f
	f.m.mu.Lock()
	f.busy--
	f.removeIfClosed(t)
	f.m.mu.Unlock()
	if r.cb != nil {
		r.cb(t, r.ctx, r.err)
	}
}

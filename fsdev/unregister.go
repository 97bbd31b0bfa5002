package fsdev

import (
	"fmt"
	"slices"
	"syscall"

	"github.com/spdk-go/spdk-go/reactor"
)

type fsdevUnregister struct {
	t   *reactor.Thread
	cb  func(t *reactor.Thread, ctx any, err error)
	ctx any
}

// Unregister takes the device away: no new descriptor can be opened, those that are open
// get [EventRemove], and when the last has been closed and the last channel is gone the
// device is destructed and cb (which may be nil) called with ctx on t. It returns false,
// and cb is never called, when the device is being unregistered already. On t only.
//
// When all descriptors have been told, the module is asked to abort what is in flight then,
// whether it waits for a lock or for a disk, so that nobody has to wait for that before he
// lets go; but for what gives something back (UMOUNT, FORGET, RELEASE, RELEASEDIR).
// Operations can still be submitted until the descriptor is closed.
//
// A descriptor whose thread has exited counts as closed. If t has exited when the last
// descriptor is closed, the device is destructed on that one's thread, without cb.
//
// SPDK: spdk_fsdev_unregister, which aborts nothing
func (f *Fsdev) Unregister(t *reactor.Thread, cb func(t *reactor.Thread, ctx any, err error), ctx any) bool {
	t.AssertCurrent()
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if f.status != fsdevReady {
		return false
	}
	f.unregister(t, cb, ctx)
	return true
}

// UnregisterByName is [Fsdev.Unregister] of the device of that name, which must be one of
// module. ENODEV: it is not, or there is none, or it is being unregistered already; cb is not
// called then. On t only.
//
// SPDK: spdk_fsdev_unregister_by_name
func UnregisterByName(t *reactor.Thread, name string, module Module,
	cb func(t *reactor.Thread, ctx any, err error), ctx any) error {
	t.AssertCurrent()
	m := managerOf(t.Framework())
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.find(name)
	switch {
	case f == nil:
		return fmt.Errorf("fsdev %q: there is no such device: %w", name, syscall.ENODEV)
	case f.module != module:
		return fmt.Errorf("fsdev %q: it is one of module %q: %w", name, f.ModuleName(), syscall.ENODEV)
	case f.status != fsdevReady:
		return fmt.Errorf("fsdev %q: it is being removed already: %w", name, syscall.ENODEV)
	}
	f.unregister(t, cb, ctx)
	return nil
}

// unregister begins the removal of a device that is ready. It needs m.mu.
func (f *Fsdev) unregister(t *reactor.Thread, cb func(t *reactor.Thread, ctx any, err error), ctx any) {
	f.status = fsdevUnregistering
	f.unreg = fsdevUnregister{t, cb, ctx}
	f.descs = slices.DeleteFunc(f.descs, func(d *Desc) bool { return !d.t.SendMsgRetry(t, removeNotify, d) })
	f.telling = len(f.descs)
	f.removeIfClosed(t)
}

// removeNotify tells a descriptor's opener, unless it has closed the descriptor meanwhile.
func removeNotify(t *reactor.Thread, ctx any) {
	d := ctx.(*Desc)
	if !d.closed {
		d.event(t, EventRemove, d.f, d.eventCtx)
	}
	f := d.f
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if f.telling--; f.telling == 0 && len(f.descs) > 0 {
		f.abortPass(t, nil)
	}
}

// removeIfClosed goes on with Unregister once all descriptors are closed and nobody goes through
// the channels. It needs m.mu; t
// is the caller's thread.
func (f *Fsdev) removeIfClosed(t *reactor.Thread) {
	if f.status != fsdevUnregistering || len(f.descs) > 0 || f.busy > 0 {
		return
	}
	f.status = fsdevRemoving
	if !f.unreg.t.SendMsgRetry(t, removeDevice, f) {
		f.unreg.cb = nil
		t.Defer(removeDevice, f)
	}
}

func removeDevice(t *reactor.Thread, ctx any) {
	f := ctx.(*Fsdev)
	f.ioDev.Unregister(t, destructDevice, f)
}

func destructDevice(t *reactor.Thread, ctx any) {
	f := ctx.(*Fsdev)
	f.dev.Destruct(t, f.destructed)
}

func (f *Fsdev) destructed(t *reactor.Thread, err error) {
	m := f.m
	m.mu.Lock()
	m.fsdevs = slices.DeleteFunc(m.fsdevs, func(g *Fsdev) bool { return g == f })
	waiting := f.finish
	m.mu.Unlock()
	m.fw.Tracer().UnregisterOwner(f.owner)
	m.tell(t, f, false)
	if f.unreg.cb != nil {
		f.unreg.cb(t, f.unreg.ctx, err)
	}
	if waiting != nil {
		waiting.t.SendMsgRetry(t, finishDevices, waiting)
	}
}

package iochannel

import (
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/spdk-go/spdk-go/reactor"
)

var extKey = reactor.NewExtKey()

// registry is the devices of a framework.
type registry struct {
	mu    sync.Mutex
	byKey map[any]*Device
	slots []*Device // a device's place in every thread's table of channels
	free  []int     // places in slots that nobody has
}

func registryOf(f *reactor.Framework) *registry {
	return f.Ext(extKey, func() any { return &registry{byKey: map[any]*Device{}} }).(*registry)
}

// Device is a registered device. Its methods may be called from any thread of its
// framework.
//
// SPDK: struct io_device
type Device struct {
	key     any
	name    string
	slot    int
	fw      *reactor.Framework
	reg     *registry
	create  func(ch *Channel) syscall.Errno // sets ch.ctx
	destroy func(ch *Channel)

	// unregistered: no new channels. Set under mu, read without.
	unregistered atomic.Bool

	// channels is changed under mu, and read by iterations without.
	channels atomic.Pointer[channelList]

	mu         sync.Mutex
	vacant     int  // places in channels without a channel
	live       int  // channels, and those whose destroy is running
	iterations int  // that are under way
	pending    bool // Unregister waits for the iterations
	unreg      unregister
}

// unregister is an Unregister that has been asked for.
type unregister struct {
	t   *reactor.Thread
	cb  func(t *reactor.Thread, ctx any)
	ctx any
}

// RegisterDevice makes a device known under key, which may be any comparable value. create
// fills the context c of a thread's new channel, whose context type is T, on that thread;
// an errno other than 0 makes the Get fail. destroy undoes it, on the same thread. Either
// may be nil. A key that is registered already is EEXIST. t may be any thread of the framework.
//
// SPDK: spdk_io_device_register, which ignores a duplicate
func RegisterDevice[T any](t *reactor.Thread, key any, name string,
	create func(ch *Channel, c *T) syscall.Errno, destroy func(ch *Channel, c *T)) (*Device, error) {
	d := &Device{key: key, name: name, fw: t.Framework(), reg: registryOf(t.Framework())}
	if name == "" {
		d.name = fmt.Sprintf("%p", d)
	}
	d.channels.Store(&channelList{})
	d.create = func(ch *Channel) syscall.Errno {
		c := new(T)
		ch.ctx = c
		if create == nil {
			return 0
		}
		return create(ch, c)
	}
	d.destroy = func(ch *Channel) {
		if destroy != nil {
			destroy(ch, ch.ctx.(*T))
		}
	}
	if err := d.reg.add(d); err != nil {
		return nil, err
	}
	return d, nil
}

func (r *registry) add(d *Device) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byKey[d.key] != nil {
		return fmt.Errorf("iochannel: device %q: its key is registered already: %w", d.name, syscall.EEXIST)
	}
	r.byKey[d.key] = d
	if n := len(r.free); n > 0 {
		d.slot, r.free = r.free[n-1], r.free[:n-1]
		r.slots[d.slot] = d
		return nil
	}
	d.slot = len(r.slots)
	r.slots = append(r.slots, d)
	return nil
}

// hide makes a device unknown by its key; remove frees its place once it has no channels.
func (r *registry) hide(d *Device) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.byKey, d.key)
}

func (r *registry) remove(d *Device) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.slots[d.slot] = nil
	r.free = append(r.free, d.slot)
}

// Lookup returns the device registered under key, nil if there is none.
//
// SPDK: io_device_get
func Lookup(f *reactor.Framework, key any) *Device {
	r := registryOf(f)
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.byKey[key]
}

// Name returns the device's name. SPDK: spdk_io_device_get_name
func (d *Device) Name() string { return d.name }

// Key returns the value that the device is registered under.
//
// SPDK: spdk_io_channel_get_io_device
func (d *Device) Key() any { return d.key }

// Unregister ends the device. No channel can be had from now on, or, while an iteration is
// under way, from its end on. When the last channel is gone, cb (which may be nil) is
// called with ctx on t, by message, never from inside. It returns EALREADY, and cb is not
// called, for a device that is being unregistered.
//
// SPDK: spdk_io_device_unregister
func (d *Device) Unregister(t *reactor.Thread, cb func(t *reactor.Thread, ctx any), ctx any) syscall.Errno {
	t.AssertCurrent()
	d.mu.Lock()
	if d.pending || d.unregistered.Load() {
		d.mu.Unlock()
		return syscall.EALREADY
	}
	d.unreg = unregister{t: t, cb: cb, ctx: ctx}
	stateOf(t).unregisters++
	if d.iterations > 0 {
		d.pending = true
		d.mu.Unlock()
		return 0
	}
	finished := d.markUnregistered()
	d.mu.Unlock()
	d.reg.hide(d)
	if finished {
		d.finish(t)
	}
	return 0
}

// markUnregistered needs d.mu. It reports whether the device is finished altogether.
func (d *Device) markUnregistered() bool {
	d.pending = false
	d.unregistered.Store(true)
	return d.live == 0
}

// finish lets go of a device that has no channels any more; from is the caller's thread.
func (d *Device) finish(from *reactor.Thread) {
	d.reg.remove(d)
	tell(d.unreg.t, from, unregistered, d)
}

// tell calls fn on the thread t, which waits for it; from is the caller's thread. t is kept
// from exiting by its counts in threadState; if it was forced to, nobody waits.
func tell(t, from *reactor.Thread, fn reactor.MsgFunc, ctx any) {
	if t == from {
		t.Defer(fn, ctx)
	} else {
		t.SendMsgRetry(from, fn, ctx)
	}
}

func unregistered(t *reactor.Thread, ctx any) {
	d := ctx.(*Device)
	stateOf(t).unregisters--
	if d.unreg.cb != nil {
		d.unreg.cb(t, d.unreg.ctx)
	}
}

package fsdev

import (
	"fmt"
	"slices"
	"sync/atomic"
	"syscall"

	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

// Desc is an open file system device. It is opened and closed on one thread; its
// operations may be used on every thread that has a channel.
//
// SPDK: struct spdk_fsdev_desc
type Desc struct {
	f        *Fsdev
	t        *reactor.Thread
	event    EventFunc
	eventCtx any
	closed   bool // on t only, as what follows

	notify    NotifyFunc
	notifyCtx any

	// On any goroutine.
	notices atomic.Int64 // messages of Fsdev.Notify under way
	backlog atomic.Pointer[backlogHook]
}

// Open opens the device registered under name. event receives its events with ctx on t; it
// must not be nil (EINVAL). ENODEV: there is no such device, or it is being removed.
//
// SPDK: spdk_fsdev_open
func Open(t *reactor.Thread, name string, event EventFunc, ctx any) (*Desc, error) {
	t.AssertCurrent()
	if event == nil {
		return nil, fmt.Errorf("fsdev %q: open without an event function: %w", name, syscall.EINVAL)
	}
	m := managerOf(t.Framework())
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.find(name)
	if f == nil {
		return nil, fmt.Errorf("fsdev %q: there is no such device: %w", name, syscall.ENODEV)
	}
	if f.status != fsdevReady {
		return nil, fmt.Errorf("fsdev %q: it is being removed: %w", name, syscall.ENODEV)
	}
	d := &Desc{f: f, t: t, event: event, eventCtx: ctx}
	f.descs = append(f.descs, d)
	return d, nil
}

// Close closes the descriptor. Nothing can be submitted through it any more, and events that
// are under way are not delivered. On the thread that opened it.
//
// What is in flight is completed as ever, on its channel's thread, but the module is asked to
// abort it, as [Fsdev.Unregister] does; so the channels may be put before or after. The
// client's objects and handles are the module's until it is told otherwise: use [Desc.Umount]
// before.
//
// SPDK: spdk_fsdev_close, which leaves alone what is in flight
func (d *Desc) Close() {
	d.t.AssertCurrent()
	if d.closed {
		panic(fmt.Sprintf("fsdev %q: a descriptor is closed twice", d.f.name))
	}
	d.closed = true
	m := d.f.m
	m.mu.Lock()
	defer m.mu.Unlock()
	d.f.descs = slices.DeleteFunc(d.f.descs, func(e *Desc) bool { return e == d })
	d.f.abortPass(d.t, d)
}

// Fsdev returns the device. SPDK: spdk_fsdev_desc_get_fsdev
func (d *Desc) Fsdev() *Fsdev { return d.f }

// IOChannel returns a reference to t's channel of the device, nil if it cannot be created.
// On t only.
//
// SPDK: spdk_fsdev_get_io_channel
func (d *Desc) IOChannel(t *reactor.Thread) *iochannel.Channel { return d.f.ioDev.Get(t) }

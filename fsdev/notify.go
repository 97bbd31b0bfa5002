package fsdev

import (
	"fmt"
	"math"

	"github.com/spdk-go/spdk-go/reactor"
)

// NotifyType is what a module tells the clients of its device without being asked.
//
// Not in SPDK: enum fuse_notify_code.
type NotifyType uint8

// The notifications. Not in SPDK.
const (
	// Object's attributes, and its data from Offset on ([NoData]: none), Length bytes (0: all), are not what they were.
	NotifyInvalInode NotifyType = iota
	NotifyInvalEntry            // Name in Object, a directory, is not what it was
	NotifyDelete                // Name in Object, which was Child, is gone
	NotifyStore                 // Data is now at Offset of Object: keep it for readers
	NotifyPoll                  // what Key was given to [Desc.Poll] for is ready
	NotifyInvalNames            // no name need be what it was, nor any attributes; clients from Linux 6.16 on
)

// NoData is the Offset of a [NotifyInvalInode] that is about attributes alone. Not in SPDK.
const NoData = math.MaxUint64

// Notification is one thing that a module tells clients. Its fields are read-only from
// [Fsdev.Notify] on.
//
// Not in SPDK.
type Notification struct {
	Type   NotifyType
	Object FileObject
	Child  FileObject
	Offset uint64
	Length uint64
	Key    uint64
	Name   []byte
	Data   []byte
}

// NotifyFunc receives notifications on the thread that opened the device.
//
// Not in SPDK.
type NotifyFunc func(t *reactor.Thread, f *Fsdev, n *Notification, ctx any)

// SetNotify has fn called with ctx for what the module has to tell, nil for no more. On the
// thread that opened d.
//
// Not in SPDK.
func (d *Desc) SetNotify(fn NotifyFunc, ctx any) {
	d.t.AssertCurrent()
	if d.closed {
		panic(fmt.Sprintf("fsdev %q: notifications of a closed descriptor", d.f.name))
	}
	d.notify, d.notifyCtx = fn, ctx
}

// SetNotifyBacklog has fn tell, with ctx, how many notifications the receiver has taken and its client has not, for
// [Desc.NotifyBacklog]; nil for none. fn is called on any goroutine. On any goroutine.
//
// Not in SPDK.
func (d *Desc) SetNotifyBacklog(fn func(ctx any) int, ctx any) {
	if fn == nil {
		d.backlog.Store(nil)
		return
	}
	d.backlog.Store(&backlogHook{fn, ctx})
}

type backlogHook struct {
	fn  func(ctx any) int
	ctx any
}

// NotifyBacklog returns how many notifications are on their way to the client of d. A module that has many to send
// should wait while there are some hundreds: of what is too much for a transport it drops what comes last. On any
// goroutine.
//
// Not in SPDK.
func (d *Desc) NotifyBacklog() int {
	n := int(d.notices.Load())
	if h := d.backlog.Load(); h != nil {
		n += h.fn(h.ctx)
	}
	return n
}

// Notify tells every open descriptor, or only the given one, of n, by message. The caller runs
// on the thread t. A descriptor whose thread has no room gets it later, in order with other
// notifications of t.
//
// Not in SPDK.
func (f *Fsdev) Notify(t *reactor.Thread, only *Desc, n *Notification) {
	t.AssertCurrent()
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	for _, d := range f.descs {
		if only == nil || only == d {
			d.notices.Add(1)
			d.t.SendMsgRetry(t, notifyDesc, &notice{d, n})
		}
	}
}

// notice is a notification on its way to a descriptor.
type notice struct {
	d *Desc
	n *Notification
}

func notifyDesc(t *reactor.Thread, ctx any) {
	x := ctx.(*notice)
	if !x.d.closed && x.d.notify != nil {
		x.d.notify(t, x.d.f, x.n, x.d.notifyCtx)
	}
	x.d.notices.Add(-1)
}

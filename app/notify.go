package app

import (
	"fmt"
	"slices"
	"sync"
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/reactor"
)

const (
	// MaxNotifyEvents is how many events are kept.
	//
	// SPDK: SPDK_NOTIFY_MAX_EVENTS
	MaxNotifyEvents = 1024

	// maxNotifyText is how long a type or a context can be. SPDK: SPDK_NOTIFY_MAX_NAME_SIZE, SPDK_NOTIFY_MAX_CTX_SIZE
	maxNotifyText = 127
)

// The events of an application: a device was registered, or is gone, and ctx is its name; something was mounted on the
// directory ctx, or unmounted.
//
// Not in SPDK, which has bdev_register and bdev_unregister.
const (
	NotifyFsdevRegister   = "fsdev_register"
	NotifyFsdevUnregister = "fsdev_unregister"
	NotifyFuseMount       = "fuse_mount"
	NotifyFuseUnmount     = "fuse_unmount"
)

// Notify keeps what has happened for those who ask later: management software that polls. The zero value is ready for
// use. Any goroutine may call the methods; they take a lock for a moment.
//
// SPDK: lib/notify, whose state is the process's
type Notify struct {
	mu     sync.Mutex
	types  []*NotifyType
	events []NotifyEvent // a ring once it has MaxNotifyEvents
	next   uint64
}

// NotifyType is a kind of event.
//
// SPDK: struct spdk_notify_type
type NotifyType struct{ name string }

// Name returns the name that it was registered under.
//
// SPDK: spdk_notify_type_get_name
func (t *NotifyType) Name() string { return t.name }

// NotifyEvent is something that has happened.
//
// SPDK: struct spdk_notify_event
type NotifyEvent struct {
	Type string `json:"type"`
	Ctx  string `json:"ctx" doc:"what it happened to"`
	ID   uint64 `json:"id" doc:"the events are numbered from 0"`
}

// RegisterType makes a type known, or returns the one of that name. Errors wrap EINVAL: the name is empty or longer
// than 127 bytes.
//
// SPDK: spdk_notify_type_register
func (n *Notify) RegisterType(name string) (*NotifyType, error) {
	if name == "" || len(name) > maxNotifyText {
		return nil, fmt.Errorf("notify: a type cannot have a name of %d bytes: %w", len(name), syscall.EINVAL)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, t := range n.types {
		if t.name == name {
			return t, nil
		}
	}
	t := &NotifyType{name}
	n.types = append(n.types, t)
	return t, nil
}

// Types returns the types, oldest first.
//
// SPDK: spdk_notify_foreach_type
func (n *Notify) Types() []*NotifyType {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.types)
}

// Send keeps an event and returns its number. Of type and context the first 127 bytes are kept; the type need not be
// registered. When there are [MaxNotifyEvents] the oldest one goes.
//
// SPDK: spdk_notify_send
func (n *Notify) Send(typ, ctx string) uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	e := NotifyEvent{typ[:min(len(typ), maxNotifyText)], ctx[:min(len(ctx), maxNotifyText)], n.next}
	if len(n.events) < MaxNotifyEvents {
		n.events = append(n.events, e)
	} else {
		n.events[n.next%MaxNotifyEvents] = e
	}
	n.next++
	return e.ID
}

// Events returns the events from number start on, or from the oldest one that is left, but not more than limit.
//
// SPDK: spdk_notify_foreach_event
func (n *Notify) Events(start, limit uint64) []NotifyEvent {
	n.mu.Lock()
	defer n.mu.Unlock()
	start = max(start, n.next-uint64(len(n.events)))
	if start >= n.next {
		return nil
	}
	list := make([]NotifyEvent, min(limit, n.next-start))
	for i := range list {
		list[i] = n.events[(start+uint64(i))%MaxNotifyEvents]
	}
	return list
}

// fsdevChanged sends the event of a device that came or went.
func (a *App) fsdevChanged(_ *reactor.Thread, f *fsdev.Fsdev, registered bool) {
	typ := NotifyFsdevUnregister
	if registered {
		typ = NotifyFsdevRegister
	}
	a.notify.Send(typ, f.Name())
}

// Notify returns the events of the application.
//
// SPDK: lib/notify
func (a *App) Notify() *Notify { return &a.notify }

// registerTypes makes the types known that every application has.
func (n *Notify) registerTypes() {
	for _, name := range []string{NotifyFsdevRegister, NotifyFsdevUnregister, NotifyFuseMount, NotifyFuseUnmount} {
		if _, err := n.RegisterType(name); err != nil {
			panic(err) // they are constants
		}
	}
}

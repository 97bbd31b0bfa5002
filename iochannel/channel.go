package iochannel

import (
	"fmt"
	"iter"
	"reflect"
	"strings"

	"github.com/spdk-go/spdk-go/reactor"
)

// Channel is one thread's access to a device. All methods must be called on that thread.
//
// SPDK: struct spdk_io_channel
type Channel struct {
	dev        *Device
	t          *reactor.Thread
	ts         *threadState
	ctx        any
	refs       int
	destroying int // deferred destroy calls that have not run yet
}

// threadState is a thread's channels.
type threadState struct {
	bySlot      []*Channel
	channels    int // in bySlot
	visits      int // whose Continue is due here
	iterations  int // that this thread waits for
	unregisters int // that this thread waits for
	freeIters   *Iter
}

func stateOf(t *reactor.Thread) *threadState {
	if ts, ok := t.Ext(extKey).(*threadState); ok {
		return ts
	}
	ts := &threadState{}
	t.SetExt(extKey, ts)
	return ts
}

// IsHolding implements [reactor.ThreadExt].
func (ts *threadState) IsHolding() bool {
	return ts.channels+ts.visits+ts.iterations+ts.unregisters > 0
}

// Holding implements [reactor.ThreadExt].
func (ts *threadState) Holding() string {
	var held []string
	for _, ch := range ts.bySlot {
		if ch != nil {
			held = append(held, fmt.Sprintf("channel of %s (%d references)", ch.dev.name, ch.refs))
		}
	}
	if ts.visits > 0 {
		held = append(held, fmt.Sprintf("%d visits without their Continue", ts.visits))
	}
	if ts.iterations > 0 {
		held = append(held, fmt.Sprintf("%d iterations over channels", ts.iterations))
	}
	if ts.unregisters > 0 {
		held = append(held, fmt.Sprintf("%d devices being unregistered", ts.unregisters))
	}
	return strings.Join(held, ", ")
}

// Channels goes through the channels of t, in no particular order. On t only, and without
// creating or destroying channels meanwhile.
//
// SPDK: spdk_thread_get_first_io_channel, spdk_thread_get_next_io_channel
func Channels(t *reactor.Thread) iter.Seq[*Channel] {
	return func(yield func(*Channel) bool) {
		for _, ch := range stateOf(t).bySlot {
			if ch != nil && !yield(ch) {
				return
			}
		}
	}
}

// find returns the thread's channel of d, nil if there is none.
func (ts *threadState) find(d *Device) *Channel {
	if d.slot < len(ts.bySlot) {
		if ch := ts.bySlot[d.slot]; ch != nil && ch.dev == d {
			return ch
		}
	}
	return nil
}

// Get returns t's channel of the device registered under key, with one more reference; nil
// if there is no such device or its channel cannot be created. On t only.
//
// SPDK: spdk_get_io_channel
func Get(t *reactor.Thread, key any) *Channel {
	if d := Lookup(t.Framework(), key); d != nil {
		return d.Get(t)
	}
	return nil
}

// Get returns t's channel of d with one more reference, creating it if need be; nil if d is
// unregistered, t has exited or the creation failed. On t only.
//
// SPDK: spdk_get_io_channel
func (d *Device) Get(t *reactor.Thread) *Channel {
	t.AssertCurrent()
	if d.unregistered.Load() {
		return nil
	}
	ts := stateOf(t)
	ch := ts.find(d)
	if ch != nil {
		ch.refs++
	} else if ch = d.newChannel(t, ts); ch == nil {
		return nil
	}
	if t.Traced(reactor.TpointThreadIOChannelGet) {
		ch.trace(reactor.TpointThreadIOChannelGet)
	}
	return ch
}

// trace records that the number of references has changed, or is about to.
func (ch *Channel) trace(tp reactor.Tpoint) {
	ch.t.TraceRecord(reactor.TraceEntry{
		Tpoint: tp,
		Object: uint64(reflect.ValueOf(ch).Pointer()),
		Args:   [4]uint64{uint64(ch.refs)},
	})
}

func (d *Device) newChannel(t *reactor.Thread, ts *threadState) *Channel {
	if t.Framework() != d.fw {
		panic(fmt.Sprintf("iochannel: device %q belongs to another framework than thread %q", d.name, t.Name()))
	}
	if t.IsExited() {
		return nil
	}
	ch := &Channel{dev: d, t: t, ts: ts, refs: 1}
	d.mu.Lock()
	if d.unregistered.Load() {
		d.mu.Unlock()
		return nil
	}
	// The device knows of the channel before create runs, so that an iteration that begins
	// meanwhile visits it, after create.
	d.addChannel(ch)
	d.live++
	d.mu.Unlock()
	for d.slot >= len(ts.bySlot) {
		ts.bySlot = append(ts.bySlot, nil)
	}
	ts.bySlot[d.slot] = ch
	ts.channels++
	if errno := d.create(ch); errno != 0 {
		ch.detach()
		ch.release()
		return nil
	}
	return ch
}

// detach makes the channel unknown to its thread and its device.
func (ch *Channel) detach() {
	d := ch.dev
	ch.ts.bySlot[d.slot] = nil
	ch.ts.channels--
	d.mu.Lock()
	defer d.mu.Unlock()
	d.removeChannel(ch)
}

// release lets the device go if this was its last channel.
func (ch *Channel) release() {
	d := ch.dev
	d.mu.Lock()
	d.live--
	finished := d.unregistered.Load() && d.live == 0
	d.mu.Unlock()
	if finished {
		d.finish(ch.t)
	}
}

// Put gives one reference back; the last one destroys the channel by a deferred call.
//
// SPDK: spdk_put_io_channel
func (ch *Channel) Put() {
	ch.t.AssertCurrent()
	if ch.t.Traced(reactor.TpointThreadIOChannelPut) {
		ch.trace(reactor.TpointThreadIOChannelPut)
	}
	if ch.refs > 1 {
		ch.refs--
		return
	}
	ch.lastPut()
}

//go:noinline
func (ch *Channel) lastPut() {
	if ch.refs <= 0 {
		ch.badRefs("put")
	}
	ch.refs = 0
	ch.destroying++
	ch.t.Defer(destroyChannel, ch)
}

//go:noinline
func (ch *Channel) badRefs(what string) {
	panic(fmt.Sprintf("iochannel: %s of the channel of %q on thread %q after its last put",
		what, ch.dev.name, ch.t.Name()))
}

func destroyChannel(_ *reactor.Thread, ctx any) {
	ch := ctx.(*Channel)
	// A Get may have revived the channel, and a further Put deferred another call.
	if ch.destroying--; ch.refs > 0 || ch.destroying > 0 {
		return
	}
	ch.detach()
	ch.dev.destroy(ch)
	ch.release()
}

// Ref takes one more reference to a channel that the caller has a reference to.
//
// SPDK: spdk_io_channel_ref
func (ch *Channel) Ref() {
	ch.t.AssertCurrent()
	if ch.refs <= 0 {
		ch.badRefs("reference")
	}
	ch.refs++
}

// Thread returns the channel's thread. SPDK: spdk_io_channel_get_thread
func (ch *Channel) Thread() *reactor.Thread { return ch.t }

// Device returns the channel's device. SPDK: spdk_io_channel_get_io_device
func (ch *Channel) Device() *Device { return ch.dev }

// Refs returns the number of references. SPDK: spdk_io_channel_get_ref_count
func (ch *Channel) Refs() int { return ch.refs }

// Ctx returns the channel's context, whose type is that of [RegisterDevice]. Any thread may
// ask for it, the channel's own thread may use it.
//
// SPDK: spdk_io_channel_get_ctx
func Ctx[T any](ch *Channel) *T { return ch.ctx.(*T) }

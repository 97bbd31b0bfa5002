package sim

import (
	"errors"
	"syscall"

	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

type deviceState uint8

const (
	deviceOpen    deviceState = iota
	devicePending             // its unregister waits for iterations
	deviceClosed              // its unregister waits for channels
	deviceGone
)

// device is what the book says of a device.
type device struct {
	w     *world
	id    int
	key   int
	d     *iochannel.Device
	state deviceState
	by    *thread // who unregistered it
	chans int     // from create to the end of destroy
	mask  uint64  // threads that have a channel
	iters int     // that have not ended

	making      *channel // by the Get that is under way
	removing    bool     // no IO any more
	outstanding int      // IO

	// After a thread was forced to exit the book knows less.
	fuzzy      bool // an iteration may be under way, or not
	stuck      bool // it will never be gone
	mayBeStuck bool

	inCreate, inDestroy, inGone []action
}

// channel is what the book says of a channel.
type channel struct {
	d           *device
	t           *thread
	ch          *iochannel.Channel
	refs        int
	making      bool
	zeroAt      uint32 // the round of the last put
	outstanding int
	removal     *iter // a visit that waits for the end of IO
}

// chanCtx is a channel's context.
type chanCtx struct{ c *channel }

// byKey says whether a key is known to be taken, or free; neither if the book cannot say.
func (w *world) byKey(key int) (taken, free bool) {
	free = true
	for _, d := range w.devs {
		if d.key != key {
			continue
		}
		switch {
		case d.state == deviceOpen, d.state == devicePending && !d.fuzzy:
			return true, false
		case d.state == devicePending:
			free = false
		}
	}
	return false, free
}

func (w *world) register(t *thread, a action) {
	if find(w.devices, a.a) != nil || a.a < 0 {
		return
	}
	taken, free := w.byKey(int(a.b))
	d := &device{w: w, id: int(a.a), key: int(a.b)}
	dev, err := iochannel.RegisterDevice(t.t, d.key, "", d.create, d.destroy)
	switch {
	case err == nil && taken, err != nil && free:
		w.fail("register under key %d, taken %v: %v", d.key, taken, err)
	case err != nil:
		if !errors.Is(err, syscall.EEXIST) {
			w.fail("register under key %d: %v", d.key, err)
		}
		return
	}
	d.d = dev
	if iochannel.Lookup(w.fw, d.key) != dev {
		w.fail("device %d is not found under its key", d.id)
	}
	placeAt(&w.devices, a.a, d)
	w.devs = append(w.devs, d)
	w.stats.devices++
}

func (w *world) unregister(t *thread, d *device) {
	if d == nil {
		return
	}
	var want syscall.Errno
	if d.state != deviceOpen {
		want = syscall.EALREADY
	}
	if errno := d.d.Unregister(t.t, runGone, d); errno != want {
		w.fail("unregister: %v, want %v", errno, want)
	}
	if want != 0 {
		return
	}
	d.by = t
	t.unregs++
	d.state = deviceClosed
	if d.iters > 0 || d.fuzzy {
		d.state = devicePending
	}
	w.stats.unregisters++
	if d.making != nil {
		w.stats.unregisteredInCreate++
	}
}

func runGone(th *reactor.Thread, ctx any) {
	d := ctx.(*device)
	w := d.w
	if w.dead {
		return
	}
	if d.state == deviceGone {
		w.fail("device %d is gone twice", d.id)
	}
	if !d.by.called(th, "unregister callback") {
		return
	}
	switch {
	case d.state == deviceOpen, d.state == devicePending && !d.fuzzy:
		w.fail("device %d is gone in state %d", d.id, d.state)
	case d.chans > 0:
		w.fail("device %d is gone with %d channels", d.id, d.chans)
	case d.iters > 0:
		w.fail("device %d is gone with %d iterations", d.id, d.iters)
	case d.outstanding > 0:
		w.fail("device %d is gone with %d operations", d.id, d.outstanding)
	case d.stuck:
		w.fail("device %d is gone, but something was left on it", d.id)
	case w.cfg.fault == faultGoneEarly && len(w.live) > 2:
		w.fail("device %d is gone, says the canary", d.id)
	}
	d.state = deviceGone
	d.by.unregs--
	drop(&w.devs, d)
	w.run(at{t: d.by, in: inGone}, &d.inGone)
}

// chanOf returns the thread's channel of d, nil if there is none.
func (t *thread) chanOf(d *device) *channel {
	for _, c := range t.chans {
		if c.d == d {
			return c
		}
	}
	return nil
}

func (w *world) get(t *thread, d *device, byKey bool) {
	if d == nil || d.making != nil {
		return // a channel that is being made is nobody's yet
	}
	if byKey && iochannel.Lookup(w.fw, d.key) != d.d {
		if d.state == deviceOpen {
			w.fail("device %d is not found under its key", d.id)
		}
		return
	}
	c := t.chanOf(d)
	before := c
	if before == nil {
		c = &channel{d: d, t: t, making: true}
		d.making = c
		defer func() { d.making = nil }()
	}
	calls := w.stats.creates
	open := d.state == deviceOpen || d.state == devicePending
	var ch *iochannel.Channel
	if byKey {
		ch = iochannel.Get(t.t, d.key)
	} else {
		ch = d.d.Get(t.t)
	}
	switch {
	case ch == nil && before != nil:
		if open && !(d.fuzzy && d.state == devicePending) {
			w.fail("no reference to an existing channel of device %d", d.id)
		}
	case !open && ch != nil:
		w.fail("a channel of device %d, which is unregistered", d.id)
	case before != nil:
		if ch != before.ch || w.stats.creates != calls {
			w.fail("another channel of device %d on %v", d.id, t)
		}
		before.refs++
	case ch == nil:
		if c.making && open && w.stats.creates == calls && !(d.fuzzy && d.state == devicePending) {
			w.fail("no channel of device %d on %v", d.id, t)
		}
		if c.refs > 0 {
			w.fail("no channel of device %d on %v, but it was created", d.id, t)
		}
	case c.making || ch != c.ch:
		w.fail("a channel of device %d on %v that was not created", d.id, t)
	}
}

// create is called when a channel is created.
func (d *device) create(ch *iochannel.Channel, ctx *chanCtx) syscall.Errno {
	w := d.w
	if w.dead {
		return 0
	}
	w.calls++
	w.stats.creates++
	c := d.making
	switch {
	case c == nil || !c.making || c.t.t != ch.Thread():
		w.fail("a channel of device %d is created that nobody wanted", d.id)
	case d.state == deviceClosed && !d.fuzzy, d.state == deviceGone:
		w.fail("a channel of device %d is created, which is unregistered", d.id)
	case c.t.chanOf(d) != nil:
		w.fail("a second channel of device %d is created on %v", d.id, c.t)
	case ch.Device() != d.d:
		w.fail("a channel of device %d belongs to another", d.id)
	}
	c.ch, ctx.c = ch, c
	c.t.chans = append(c.t.chans, c)
	d.chans++
	if w.run(at{t: c.t, in: inCreate}, &d.inCreate).failed {
		drop(&c.t.chans, c)
		d.chans--
		c.making = false
		w.stats.failedCreates++
		return syscall.EIO
	}
	d.mask |= c.t.bit
	c.making = false
	c.refs = 1
	return 0
}

// destroy is called when a channel is destroyed.
func (d *device) destroy(ch *iochannel.Channel, ctx *chanCtx) {
	w, c := d.w, ctx.c
	if w.dead {
		return
	}
	for range 1 + w.cfg.fault.extraDestroys(d) {
		switch {
		case c.ch != ch || c.d != d:
			w.fail("destroy of another channel than that of device %d on %v", d.id, c.t)
		case c.t.chanOf(d) != c:
			w.fail("the channel of device %d on %v is destroyed twice", d.id, c.t)
		case c.refs != 0:
			w.fail("the channel of device %d on %v is destroyed with %d references", d.id, c.t, c.refs)
		case c.outstanding != 0:
			w.fail("the channel of device %d on %v is destroyed with %d operations", d.id, c.t, c.outstanding)
		}
		drop(&c.t.chans, c)
	}
	if !c.t.called(ch.Thread(), "destroy") {
		return
	}
	d.mask &^= c.t.bit
	for _, it := range w.iterating {
		if it.d == d {
			it.must &^= c.t.bit
		}
	}
	w.stats.destroys++
	w.run(at{t: c.t, in: inDestroy}, &d.inDestroy)
	d.chans--
}

func (w *world) put(t *thread, d *device) {
	if c := t.chanOf(d); c != nil && !c.making && c.refs > c.outstanding {
		c.put()
	}
}

func (c *channel) put() {
	c.ch.Put()
	c.refs--
	c.zeroAt = c.d.w.round
}

func (w *world) ref(t *thread, d *device) {
	if c := t.chanOf(d); c != nil && !c.making && c.refs > 0 {
		c.ch.Ref()
		c.refs++
	}
}

// check is made after a round in which the channel's thread was polled.
func (c *channel) check() {
	w := c.d.w
	switch {
	case c.ch.Refs() != c.refs:
		w.fail("the channel of device %d on %v has %d references, want %d", c.d.id, c.t, c.ch.Refs(), c.refs)
	case c.ch.Thread() != c.t.t || c.ch.Device() != c.d.d:
		w.fail("the channel of device %d on %v is on another thread or of another device", c.d.id, c.t)
	case c.refs == 0 && c.zeroAt < w.round:
		w.fail("the channel of device %d on %v is not destroyed", c.d.id, c.t)
	}
}

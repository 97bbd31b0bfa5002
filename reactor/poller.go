package reactor

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"time"
)

// PollerResult is what a poller says of a call: whether it found something to do.
//
// SPDK: enum spdk_thread_poller_rc
type PollerResult int

// Results of a poller. SPDK: SPDK_POLLER_IDLE, SPDK_POLLER_BUSY
const (
	Idle PollerResult = 0
	Busy PollerResult = 1
)

// PollerFunc is a poller's function; t is the thread it was registered on.
//
// SPDK: spdk_poller_fn
type PollerFunc func(t *Thread, ctx any) PollerResult

// PollerState is where a poller is in its life. SPDK: enum spdk_poller_state
type PollerState uint8

// States of a poller. SPDK: SPDK_POLLER_STATE_WAITING and its siblings
const (
	PollerWaiting      PollerState = iota // will run
	PollerRunning                         // its function is on the stack
	PollerUnregistered                    // will be taken away when it would run next
	PollerPausing                         // will be set aside when it would run next
	PollerPaused                          // set aside
)

// String returns the state's name. SPDK: spdk_poller_get_state_str
func (s PollerState) String() string {
	return [...]string{"waiting", "running", "unregistered", "pausing", "paused"}[s]
}

// Poller is a function that its thread calls every round, or every period. All methods
// must be called on the poller's thread.
//
// SPDK: struct spdk_poller
type Poller struct {
	fn    PollerFunc
	ctx   any
	state PollerState
	// interruptible: an interrupt wakes the reactor when this poller has work, so that
	// it does not keep the reactor from sleeping.
	interruptible bool
	runCount      uint64
	busyCount     uint64
	arm           PollerInterruptFunc
	armCtx        any

	period  uint64 // ticks; 0 for an active poller
	nextRun uint64 // ticks
	order   uint64 // equal expiries run first in, first out

	t    *Thread
	id   uint64
	name string
}

// RegisterPoller has fn called with ctx on t, every round if period is 0, else every
// period. An empty name stands for fn's address. On t only. It returns nil when t has
// exited.
//
// SPDK: spdk_poller_register, spdk_poller_register_named
func (t *Thread) RegisterPoller(name string, fn PollerFunc, ctx any, period time.Duration) *Poller {
	t.AssertCurrent()
	if t.IsExited() {
		return nil
	}
	t.lastPollerID++
	p := &Poller{fn: fn, ctx: ctx, t: t, id: t.lastPollerID, name: name}
	if name == "" {
		p.name = fmt.Sprintf("%p", fn)
	}
	if period > 0 {
		p.period = max(1, t.fw.toTicks(period))
	}
	t.pollers++
	t.insertPoller(p)
	return p
}

func (t *Thread) insertPoller(p *Poller) {
	if p.period == 0 {
		t.active = append(t.active, p)
		if !p.interruptible {
			t.spinners++
		}
		return
	}
	p.nextRun = t.fw.Ticks() + p.period
	t.insertTimed(p)
}

func (t *Thread) insertTimed(p *Poller) {
	t.timerOrder++
	p.order = t.timerOrder
	if p.interruptible {
		t.softTimers++
	}
	t.timed.push(p)
}

func (t *Thread) removeTimed() *Poller {
	p := t.timed.pop()
	if p.interruptible {
		t.softTimers--
	}
	return p
}

// sweepActive takes the pollers off the active list that are not to run any more, keeping the
// order. All at once: to close a gap for each would make the end of many cost their square.
//
//go:noinline
func (t *Thread) sweepActive() {
	t.sweep = false
	keep := len(t.active)
	for i := len(t.active) - 1; i >= 0; i-- {
		p := t.active[i]
		if p.state == PollerWaiting {
			keep--
			t.active[keep] = p
			continue
		}
		if !p.interruptible {
			t.spinners--
		}
		p.settle()
	}
	n := copy(t.active, t.active[keep:])
	clear(t.active[n:])
	t.active = t.active[:n]
}

func (t *Thread) removePaused(p *Poller) {
	for i, q := range t.paused {
		if q == p {
			t.paused = append(t.paused[:i], t.paused[i+1:]...)
			return
		}
	}
	panic(fmt.Sprintf("reactor: paused poller %q is not on thread %q", p.name, t.name))
}

// Unregister ends the poller; its function is not called again. It may be called from
// inside the function.
//
// SPDK: spdk_poller_unregister
func (p *Poller) Unregister() {
	p.t.AssertCurrent()
	switch p.state {
	case PollerUnregistered:
		panic(fmt.Sprintf("reactor: poller %q of thread %q is unregistered twice", p.name, p.t.name))
	case PollerPaused:
		p.t.removePaused(p)
	}
	p.state = PollerUnregistered
	p.t.pollers--
	if p.arm != nil {
		p.t.armable--
	}
}

// Pause stops calls until [Poller.Resume]. Pausing twice is harmless.
//
// SPDK: spdk_poller_pause
func (p *Poller) Pause() {
	p.t.AssertCurrent()
	switch p.state {
	case PollerWaiting, PollerRunning:
		p.state = PollerPausing
	case PollerUnregistered:
		panic(fmt.Sprintf("reactor: poller %q of thread %q is paused after its unregister", p.name, p.t.name))
	}
}

// Resume undoes a [Poller.Pause]; a timed poller runs one period from now. Resuming a
// poller that is not paused is harmless.
//
// SPDK: spdk_poller_resume
func (p *Poller) Resume() {
	p.t.AssertCurrent()
	switch p.state {
	case PollerPaused:
		p.t.removePaused(p)
		p.state = PollerWaiting
		p.t.insertPoller(p)
		p.callBeforeSleep()
	case PollerPausing:
		p.state = PollerWaiting
	case PollerUnregistered:
		panic(fmt.Sprintf("reactor: poller %q of thread %q is resumed after its unregister", p.name, p.t.name))
	}
}

// Name returns the poller's name. SPDK: spdk_poller_get_name
func (p *Poller) Name() string { return p.name }

// ID returns the poller's number on its thread, from 1. SPDK: spdk_poller_get_id
func (p *Poller) ID() uint64 { return p.id }

// State returns the poller's state. SPDK: spdk_poller_get_state_str
func (p *Poller) State() PollerState { return p.state }

// PeriodTicks returns the period in ticks, 0 for an active poller.
//
// SPDK: spdk_poller_get_period_ticks
func (p *Poller) PeriodTicks() uint64 { return p.period }

// Stats returns how often the poller ran and how often it was busy.
//
// SPDK: spdk_poller_get_stats
func (p *Poller) Stats() (runs, busy uint64) { return p.runCount, p.busyCount }

// call runs the poller's function and reports whether the poller stays where it is.
func (p *Poller) call(t *Thread) (busy, stays bool) {
	p.state = PollerRunning
	t.watch.poller = p
	rc := p.fn(t, p.ctx)
	p.runCount++
	if t.locks != 0 {
		t.heldDuringSwitch()
	}
	if rc > 0 {
		p.busyCount++
		busy = true
	}
	if p.state == PollerRunning {
		p.state = PollerWaiting
		return busy, true
	}
	return busy, p.state == PollerWaiting
}

// settle puts a poller that has been taken off its list where its state says.
func (p *Poller) settle() {
	if p.state == PollerPausing {
		p.state = PollerPaused
		p.t.paused = append(p.t.paused, p)
	}
}

// pollActive runs every active poller, the last registered first, as SPDK does.
func (t *Thread) pollActive() (busy bool) {
	for i := len(t.active) - 1; i >= 0; i-- {
		p := t.active[i]
		stays := p.state == PollerWaiting
		if stays {
			var b bool
			b, stays = p.call(t)
			busy = busy || b
		}
		if !stays {
			t.sweep = true
		}
		if len(t.after) > 0 {
			t.runAfter()
		}
	}
	if t.sweep {
		t.sweepActive()
	}
	return busy
}

// pollTimed runs the timed pollers that are due, by expiry.
func (t *Thread) pollTimed(now uint64) (busy bool) {
	for len(t.timed) > 0 && t.timed[0].nextRun <= now {
		p := t.removeTimed()
		stays := p.state == PollerWaiting
		if stays {
			var b bool
			b, stays = p.call(t)
			busy = busy || b
		}
		if !stays {
			p.settle()
			continue
		}
		p.nextRun = now + p.period
		t.insertTimed(p)
	}
	return busy
}

// ActivePollers goes through the pollers that run every round, in order of registration.
// On t only, and without registering or ending pollers meanwhile.
//
// SPDK: spdk_thread_get_first_active_poller, spdk_thread_get_next_active_poller
func (t *Thread) ActivePollers() iter.Seq[*Poller] { return slices.Values(t.active) }

// TimedPollers goes through the timed pollers, the first due first. As for [Thread.ActivePollers].
//
// SPDK: spdk_thread_get_first_timed_poller, spdk_thread_get_next_timed_poller
func (t *Thread) TimedPollers() iter.Seq[*Poller] {
	return slices.Values(slices.SortedFunc(slices.Values(t.timed), func(a, b *Poller) int {
		return cmp.Or(cmp.Compare(a.nextRun, b.nextRun), cmp.Compare(a.order, b.order))
	}))
}

// PausedPollers goes through the paused pollers. As for [Thread.ActivePollers].
//
// SPDK: spdk_thread_get_first_paused_poller, spdk_thread_get_next_paused_poller
func (t *Thread) PausedPollers() iter.Seq[*Poller] { return slices.Values(t.paused) }

package sim

import (
	"time"

	"github.com/spdk-go/spdk-go/reactor"
)

type pollerState uint8

const (
	pollerOn   pollerState = iota
	pollerOff              // paused, or to be
	pollerGone             // unregistered
	pollerLost             // its thread was forced to exit
)

// poller is what the book says of a poller.
type poller struct {
	w      *world
	id     int
	t      *thread
	p      *reactor.Poller
	period uint64
	state  pollerState
	due    uint64
	order  uint64 // among the active pollers of its thread, and among timed ones due at once
	since  uint32 // the round in which its state changed last
	last   uint32 // the round in which it was called last
	soft   bool   // an interrupt stands in for it
	armFn  bool   // and it wants to know when
	armed  bool
	wantAt uint64 // the last call before it had to be called once more before a sleep
	callAt uint64 // its last call
	todo   []action
}

func (w *world) registerPoller(t *thread, a action) {
	if find(w.pollers, a.a) != nil || a.a < 0 || len(t.pollers) >= 5 {
		return
	}
	p := &poller{w: w, id: int(a.a), t: t, period: uint64(a.nanos), since: w.round}
	p.p = t.t.RegisterPoller("", runPoller, p, time.Duration(a.nanos))
	t.lastPoller++
	period := p.p.PeriodTicks() // which may be rounded
	if p.p.ID() != t.lastPoller || period > p.period || p.period > period+1 {
		w.fail("poller %d of %v has id %d and period %d, want %d", t.lastPoller, t, p.p.ID(), period, p.period)
	}
	p.period = period
	p.insert()
	placeAt(&w.pollers, a.a, p)
	w.polls = append(w.polls, p)
	t.pollers = append(t.pollers, p)
	w.stats.pollers++
}

// insert writes down that the poller comes last from now on.
func (p *poller) insert() {
	p.t.orders++
	p.order = p.t.orders
	p.wantAt = p.w.calls
	p.due = p.w.clock.now + p.period
}

func (w *world) changePoller(t *thread, a action) {
	p := find(w.pollers, a.a)
	if p == nil || p.t != t || p.state == pollerGone || p.state == pollerLost {
		return
	}
	if p.period > 0 && a.op != opResume {
		t.ghosts = max(t.ghosts, p.due)
	}
	switch a.op {
	case opPause:
		p.p.Pause()
		if p.state == pollerOn {
			p.state, p.since = pollerOff, w.round
		}
	case opResume:
		settled := p.p.State() == reactor.PollerPaused
		p.p.Resume()
		if p.state == pollerOff {
			p.state, p.since = pollerOn, w.round
			if settled {
				p.insert()
			}
		}
	case opStop:
		p.p.Unregister()
		p.state = pollerGone
		drop(&w.polls, p)
		drop(&t.pollers, p)
	case opReliance:
		p.wantAt = w.calls
		p.armed, p.soft, p.armFn, p.since = false, true, a.b != 0, w.round
		var fn reactor.PollerInterruptFunc
		if p.armFn {
			fn = armPoller
		}
		p.p.RegisterInterrupt(fn, p)
	}
}

func armPoller(rp *reactor.Poller, ctx any, sleeps bool) {
	p := ctx.(*poller)
	w := p.w
	if w.dead {
		return
	}
	w.calls++
	switch {
	case p.p != rp:
		w.fail("the interrupt function of poller %d is called for another", p.id)
	case !p.armFn || p.state == pollerGone:
		w.fail("the interrupt function of poller %d is called after its end", p.id)
	case p.armed == sleeps:
		w.fail("the interrupt function of poller %d is called with %v again", p.id, sleeps)
	}
	p.armed, p.wantAt = sleeps, w.calls
}

func runPoller(th *reactor.Thread, ctx any) reactor.PollerResult {
	p := ctx.(*poller)
	w, t := p.w, p.t
	if !t.called(th, "poller") || w.stopping {
		return reactor.Idle
	}
	switch now := t.now() - w.cfg.fault.early(t); {
	case p.state != pollerOn:
		w.fail("poller %d of %v is called in state %d", p.id, t, p.state)
	case p.p.State() != reactor.PollerRunning:
		w.fail("poller %d runs in state %s", p.id, p.p.State())
	case p.last == w.round:
		w.fail("poller %d is called twice in a round", p.id)
	case t.t.IsExited():
		w.fail("poller %d is called after the exit of %v", p.id, t)
	case p.period == 0:
		if t.inCall && t.afterRun != t.after0 {
			w.fail("poller %d runs before the post-poller handlers of the one before", p.id)
		}
		if p.order >= t.lastOrder {
			w.fail("active poller %d runs after one that was registered earlier", p.id)
		}
		t.lastOrder = p.order
		t.inCall = true
	case now < p.due:
		w.fail("timed poller %d runs %d ns early", p.id, p.due-now)
	default:
		if p.due < t.lastDue || p.due == t.lastDue && p.order < t.lastTimedOrder {
			w.fail("timed poller %d, due at %d, runs after one due at %d", p.id, p.due, t.lastDue)
		}
		t.lastDue, t.lastTimedOrder = p.due, p.order
		t.inCall = false
		p.due = now + p.period
	}
	w.calls++
	p.last, p.callAt = w.round, w.calls
	w.stats.calls++
	after := w.run(at{t: t, in: inPoller, p: p}, &p.todo)
	if p.period == 0 {
		t.after0 = t.afterSent
	} else { // it goes back behind what the callback has registered
		t.orders++
		p.order = t.orders
	}
	if after.busy {
		return reactor.Busy
	}
	return reactor.Idle
}

// check is made after a round in which the poller's thread was polled.
func (p *poller) check() {
	w := p.w
	if w.hand != nil && p.armFn && p.armed != p.t.napping {
		w.fail("poller %d is told %v about the sleep of its thread, want %v", p.id, p.armed, p.t.napping)
	}
	if p.since == w.round { // it has changed in this round
		return
	}
	ran := p.last == w.round
	switch {
	case p.state == pollerOff && p.period == 0 && p.p.State() != reactor.PollerPaused:
		w.fail("active poller %d is %s one round after its pause", p.id, p.p.State())
	case p.state == pollerOff || ran:
	case p.period == 0:
		w.fail("active poller %d is not called", p.id)
	case p.due <= p.t.now0:
		w.fail("timed poller %d is not called %d ns after it was due", p.id, p.t.now0-p.due)
	}
}

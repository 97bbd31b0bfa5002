package sim

import (
	"slices"
	"time"

	"github.com/spdk-go/spdk-go/reactor"
)

// maxLag is how many idle rounds a reactor may go without looking at the clock.
const maxLag = 8

// batch is how many messages of a thread, or events of a reactor, a round runs.
const batch = 8

// poll gives a round to reactor i, or to thread i in a world without reactors.
func (w *world) poll(i int32) (busy bool) {
	if len(w.cores) == 0 {
		if t := w.thread(i); t != nil && !t.exited {
			return w.pollThread(t)
		}
		return false
	}
	if c := find(w.cores, i); c != nil {
		return w.pollCore(c)
	}
	return false
}

// pollThread gives a round to a thread, unless whoever polls it is waiting for it to wake.
func (w *world) pollThread(t *thread) (busy bool) {
	if t.asleep {
		waits := t.waiting()
		next := t.t.NextPollerExpiration()
		if !readyFD(t.napFD) && (next == 0 || next > w.clock.now) {
			if waits != "" {
				w.fail("whoever polls %v is not woken for: %s", t, waits)
			}
			return false
		}
		t.asleep = false
	}
	w.round++
	w.wasDown = t.napping
	t.beginRound(w.clock.now)
	w.hand = t
	busy = t.t.Poll(0, 0)
	t.endRound()
	w.hand, w.wasDown = nil, false
	t.maySleep()
	return busy
}

func (w *world) pollCore(c *core) (busy bool) {
	w.round++
	w.wasDown = c.r.Asleep()
	var waits string
	var sleeps uint64
	if w.wasDown {
		waits = c.waits()
		sleeps = c.r.Stats().Sleeps
	}
	now := w.clock.now
	w.onRound = w.onRound[:0]
	for _, t := range w.live {
		if t.t.Reactor() != c.r {
			continue
		}
		w.onRound = append(w.onRound, t)
		if !w.wasDown {
			now = t.t.LastTicks()
		}
	}
	for _, t := range w.onRound {
		t.beginRound(now)
	}
	// Nobody knows of a reason to wake it.
	quiet := w.casualties == 0 && w.internal() == 0 && w.waiters == 0 && !c.hasGhosts()
	c.ran = 0
	events := c.events
	w.polling = c
	busy = c.r.Poll()
	w.polling = nil
	if w.wasDown && c.r.Asleep() && c.r.Stats().Sleeps == sleeps {
		if waits != "" {
			w.fail("reactor %d sleeps on: %s", c.i, waits)
		}
		return busy
	}
	if w.wasDown && waits == "" && quiet {
		w.fail("reactor %d wakes for nothing", c.i)
	}
	if c.ran > batch || events > 0 && c.ran == 0 {
		w.fail("reactor %d runs %d of %d events in a round", c.i, c.ran, events)
	}
	for _, t := range w.onRound {
		t.endRound()
		if !t.exited {
			t.endMove(c)
		}
	}
	c.checkClock(busy)
	if c.r.Asleep() {
		c.checkSleep()
	} else if busy && c.mode != reactor.ModeInterrupt {
		c.checkArmed(false)
	}
	w.wasDown = false
	return busy
}

// checkClock checks that the reactor has looked at the clock lately.
func (c *core) checkClock(busy bool) {
	w := c.w
	if busy || c.r.Asleep() || len(w.onRound) == 0 {
		c.lag = 0
		return
	}
	if t := w.onRound[0]; t.core() != c || t.t.LastTicks() == w.clock.now {
		c.lag = 0
		return
	}
	if c.lag++; c.lag > maxLag {
		w.fail("reactor %d has not looked at the clock for %d rounds", c.i, c.lag)
	}
}

// beginRound notes what a round at time now has to do.
func (t *thread) beginRound(now uint64) {
	t.now0 = now
	t.ran, t.inbox0 = 0, t.inbox
	t.defer0, t.crit0 = t.deferSent, t.critSent
	t.after0, t.inCall = t.afterRun, false
	t.lastDue, t.lastTimedOrder, t.lastOrder = 0, 0, ^uint64(0)
}

// endRound checks what a round has done.
func (t *thread) endRound() {
	w := t.w
	if t.t.IsExited() {
		t.hasExited(t.nowAtEnd())
		return
	}
	if t.inbox0 == 0 || t.ran > 0 {
		t.starved = 0
	} else {
		t.starved++
	}
	switch {
	case t.ran > batch:
		w.fail("%v runs %d messages in a round", t, t.ran)
	case t.starved > 2+w.internal()/batch:
		w.fail("%v runs none of %d messages in %d rounds", t, t.inbox0, t.starved)
	case int32(t.defer0-t.deferRun) > 0:
		w.fail("%v does not run a deferred call in the next round", t)
	case int32(t.crit0-t.critRun) > 0:
		w.fail("%v does not run a critical message in the next round", t)
	case int32(t.after0-t.afterRun) > 0:
		w.fail("%v does not run a post-poller handler after the poller", t)
	case t.exiting && t.now0 >= t.deadline:
		w.fail("%v is not forced to exit %v after its deadline", t, time.Duration(t.now0-t.deadline))
	}
	for _, p := range t.pollers {
		p.check()
	}
	if t.ghosts > 0 && t.ghosts <= t.now0 {
		t.ghosts = 0
	}
	for _, c := range t.chans {
		c.check()
	}
}

// nowAtEnd is the time at which the thread was looked at last.
func (t *thread) nowAtEnd() uint64 {
	if t.w.hand != nil {
		return t.w.clock.now
	}
	return t.t.LastTicks()
}

// endMove checks that the thread is where it wants to be after a round on c.
func (t *thread) endMove(c *core) {
	w := t.w
	to := t.core()
	switch {
	case t.moving && !t.bound:
		if t.mask&(1<<to.i) == 0 {
			w.fail("%v of mask %#x is on reactor %d", t, t.mask, to.i)
		}
		t.moving = false
	case to != c:
		w.fail("%v moves from reactor %d to %d unasked", t, c.i, to.i)
	}
	t.adopted = to == c
	if to != c {
		w.stats.moves++
	}
}

// waits says what a sleeping reactor has to wake up for, "" if for nothing.
func (c *core) waits() string {
	switch {
	case c.events > 0:
		return "events"
	case c.posted > 0:
		return "a visit of all reactors"
	case c.switching != nil:
		return "a mode switch"
	}
	for _, t := range c.w.live {
		if t.t.Reactor() != c.r {
			continue
		}
		if !t.adopted {
			return "a thread that is new to it"
		}
		if waits := t.waiting(); waits != "" {
			return waits
		}
	}
	return ""
}

// hasGhosts says whether a timed poller that was paused or unregistered may be due still: it is
// set aside, or taken away, when it would run.
func (c *core) hasGhosts() bool {
	return slices.ContainsFunc(c.w.onRound, func(t *thread) bool { return t.ghosts > 0 })
}

// waiting says what a thread has to be woken for, "" if for nothing.
func (t *thread) waiting() string {
	now := t.w.clock.now
	switch {
	case t.inbox > 0:
		return "messages"
	case t.deferred > 0:
		return "deferred calls"
	case t.critSent != t.critRun:
		return "a critical message"
	case t.exiting && now >= t.deadline:
		return "a thread that is to be forced out"
	}
	for _, p := range t.pollers {
		if p.state == pollerOn && p.period > 0 && !p.soft && p.due <= now {
			return "a timed poller"
		}
	}
	for _, i := range t.intrs {
		if i.ready {
			return "an interrupt"
		}
	}
	return ""
}

// keepsAwake says whether the thread has a poller that has to be called all the time.
func (t *thread) keepsAwake() bool {
	for _, p := range t.pollers {
		if p.state == pollerOn && !p.soft && p.period == 0 {
			return true
		}
	}
	return false
}

// checkSleep is made when a reactor has gone to sleep.
func (c *core) checkSleep() {
	w := c.w
	w.stats.sleeps++
	switch {
	case c.mode == reactor.ModePoll:
		w.fail("reactor %d sleeps in mode poll", c.i)
	case c.events > 0 || c.posted > 0 || c.switching != nil:
		w.fail("reactor %d goes to sleep, but has %s", c.i, c.waits())
	}
	for _, t := range w.onRound {
		if t.exited || t.core() != c {
			continue
		}
		t.checkSleep()
		if t.keepsAwake() {
			w.fail("reactor %d goes to sleep with an active poller", c.i)
		}
	}
	c.checkArmed(true)
}

// maySleep has whoever polls a thread by hand wait until something wakes it, if that is allowed.
func (t *thread) maySleep() {
	if t.napping && !t.exiting && !t.keepsAwake() && !readyFD(t.napFD) {
		t.asleep = true
		t.checkSleep()
	}
}

// checkSleep is made when nobody polls the thread any more.
func (t *thread) checkSleep() {
	w := t.w
	if t.inbox > 0 || t.deferred > 0 || t.critSent != t.critRun {
		w.fail("%v sleeps, but has %s", t, t.waiting())
	}
	for _, p := range t.pollers {
		if p.state == pollerOn && p.period == 0 && p.callAt <= p.wantAt {
			w.fail("poller %d was not called before the sleep", p.id)
		}
	}
}

// checkArmed checks that the pollers of a reactor know whether they are polled.
func (c *core) checkArmed(armed bool) {
	for _, t := range c.w.onRound {
		if t.exited || t.core() != c {
			continue
		}
		for _, p := range t.pollers {
			if p.armFn && p.armed != armed {
				c.w.fail("poller %d is told %v about the sleep of its reactor, want %v", p.id, p.armed, armed)
			}
		}
	}
}

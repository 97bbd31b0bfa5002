package sim

import (
	"math"
	"slices"
	"syscall"

	"github.com/spdk-go/spdk-go/reactor"
)

// maxRest is how many rounds it may take to come to rest.
const maxRest = 100_000

// drain ends a history: the world comes to rest, everything is released and must be gone.
func (w *world) drain() {
	w.draining = true
	if w.cfg.stop && len(w.cores) > 0 { // without waiting for what is under way
		w.releaseAll()
		w.stop()
	} else {
		w.rest()
		w.checkRest()
		w.checkAsleep()
		w.releaseAll()
		w.rest()
		w.checkRest()
		w.forceOut()
		w.stop()
	}
	for _, d := range w.devs {
		if d.state == deviceOpen && w.casualties > 0 {
			continue // who was to unregister it was forced to exit before
		}
		if !d.weak() {
			w.fail("device %d is left in state %d with %d channels and %d iterations", d.id, d.state, d.chans, d.iters)
		}
	}
}

// forceOut lets time pass until all threads have exited: those that were forced to have left
// behind what holds others.
func (w *world) forceOut() {
	if len(w.live) > 0 && w.casualties == 0 {
		w.fail("%v does not exit, held by %s and %s", w.live[0], w.live[0].holding(), w.live[0].t.Holding())
	}
	for len(w.live) > 0 {
		n := len(w.live)
		w.clock.now += exitTimeout
		w.rest()
		w.checkRest()
		if len(w.live) == n {
			w.fail("%v does not exit after its deadline, held by %s", w.live[0], w.live[0].holding())
		}
	}
	if all := w.fw.Threads(); len(all) > 0 {
		w.fail("thread %s is left", all[0].Name())
	}
}

// stop stops the framework: nothing can be done with it any more.
func (w *world) stop() {
	w.stopping = true
	w.fw.Stop()
	for _, t := range slices.Clone(w.live) {
		if !t.exiting { // Stop has asked for it
			t.exiting, t.deadline = true, math.MaxUint64
		}
		switch {
		case t.t.IsExited():
			t.hasExited(w.clock.now)
		case w.casualties == 0:
			w.fail("%v does not exit after Stop, held by %s and %s", t, t.holding(), t.t.Holding())
		}
	}
	if _, err := w.fw.CreateThread("", nil); err == nil {
		w.fail("a thread was created after the end")
	}
	if len(w.live) > 0 {
		return // so that their reactors have not ended
	}
	w.checkRest()
	for _, c := range w.cores {
		if errno := c.r.SendEvent(runEvent, nil, nil); errno != syscall.ESRCH {
			w.fail("event to reactor %d after the end: %v", c.i, errno)
		}
		for range 2 {
			if errno := c.r.SetMode(c.mode, nil, nil); errno != syscall.ESRCH {
				w.fail("mode of reactor %d after the end: %v", c.i, errno)
			}
		}
	}
}

// weak says that the book cannot say whether the device will be gone.
func (d *device) weak() bool { return d.stuck || d.mayBeStuck || d.fuzzy }

// rest polls until there is nothing to do.
func (w *world) rest() {
	for quiet, n := 0, 0; quiet < 2*maxLag+2; quiet++ {
		busy := false
		for _, c := range w.cores {
			busy = w.pollCore(c) || busy
			n++
		}
		if len(w.cores) == 0 {
			for _, t := range slices.Clone(w.live) {
				busy = w.pollThread(t) || busy
				n++
			}
		}
		if busy {
			quiet = -1
		}
		if n > maxRest {
			w.fail("the world never comes to rest")
		}
	}
}

// checkRest is made when there is nothing to do: then nothing may be waiting either.
func (w *world) checkRest() {
	for _, t := range w.live {
		switch {
		case t.inbox > 0 || t.deferred > 0 || t.waits > 0 || t.critSent != t.critRun:
			w.fail("%v is left with %s", t, t.holding())
		case t.exiting && !t.isHeld():
			w.fail("%v does not exit, held by nothing, but: %s", t, t.t.Holding())
		}
	}
	for _, t := range w.live {
		t.checkPaused()
	}
	for _, it := range w.iterating {
		if it.held == nil && !it.mayBeLost {
			w.fail("iteration %d never ends", it.id)
		}
	}
	for _, k := range w.walking {
		if !k.mayBeLost {
			w.fail("walk %d never ends", k.id)
		}
	}
	for _, d := range w.devs {
		if d.state == deviceClosed && d.chans == 0 && !d.weak() {
			w.fail("device %d is unregistered and has no channels, but is not gone", d.id)
		}
	}
	for _, c := range w.cores {
		if c.events > 0 || c.posted > 0 || c.switching != nil {
			w.fail("reactor %d is left with %s", c.i, c.waits())
		}
	}
	for _, m := range w.retrying {
		w.fail("a message of SendMsgRetry to %v never comes", m.to)
	}
	for _, io := range w.ios {
		w.fail("an operation on device %d never ends", io.c.d.id)
	}
}

// checkPaused checks the thread's list of paused pollers.
func (t *thread) checkPaused() {
	paused := 0
	for p := range t.t.PausedPollers() {
		if p.State() != reactor.PollerPaused {
			t.w.fail("%v has poller %s, which is %s, among its paused ones", t, p.Name(), p.State())
		}
		paused++
	}
	for _, p := range t.pollers {
		if p.p.State() == reactor.PollerPaused {
			paused--
		}
	}
	if paused != 0 {
		t.w.fail("%v has %d paused pollers too many", t, paused)
	}
}

// checkAsleep is made at rest: after a while each reactor that may sleep does.
func (w *world) checkAsleep() {
	spin := uint64(w.cfg.spin)
	for _, d := range []uint64{maxPeriod + 1, spin, spin} { // an interrupt or an old timer may wake it at first
		w.clock.now += d
		w.rest()
	}
	for _, c := range w.cores {
		if c.mode != reactor.ModePoll && !c.r.Asleep() && !c.keepsAwake() {
			w.fail("reactor %d has nothing to do, but does not sleep", c.i)
		}
	}
}

// keepsAwake says whether the reactor has a poller for which it wakes, and spins, now and then.
func (c *core) keepsAwake() bool {
	return slices.ContainsFunc(c.w.polls, func(p *poller) bool {
		return p.t.core() == c && p.state == pollerOn && !p.soft
	})
}

// releaseAll has every thread let go of everything and exit.
func (w *world) releaseAll() {
	if len(w.live) == 0 && len(w.devs) > 0 {
		w.created = min(w.created, maxThreads-1)
		w.createThread(action{a: int32(len(w.threads))})
	}
	for i, t := range slices.Clone(w.live) {
		act := action{op: opRelease, in: direct}
		if i == 0 {
			t.last = true
		}
		if t.reachable() {
			w.exec(at{t: t}, act)
			continue
		}
		for !t.exited && !w.deliver(t, act) { // those that have been released have filled it
			w.rest()
		}
	}
}

// release lets go of everything that t has.
func (t *thread) release() {
	w := t.w
	for _, it := range slices.Clone(t.held) {
		if c := t.chanOf(it.d); c != nil && c.removal == it {
			if c.outstanding > 0 { // the last operation will do it
				continue
			}
			c.removal = nil
		}
		it.goOn(0)
	}
	for _, c := range slices.Clone(t.chans) {
		for c.refs > c.outstanding {
			c.put()
		}
	}
	for _, p := range slices.Clone(t.pollers) {
		w.changePoller(t, action{op: opStop, a: int32(p.id)})
	}
	for _, i := range slices.Clone(t.intrs) {
		w.silence(t, i)
	}
	if t.last {
		for _, d := range slices.Clone(w.devs) {
			if d.state == deviceOpen {
				w.unregister(t, d)
			}
		}
	}
	if !w.cfg.stop || len(w.cores) == 0 {
		t.exit()
	}
}

package sim

import (
	"syscall"

	"github.com/spdk-go/spdk-go/reactor"
)

// core is what the book says of a reactor.
type core struct {
	w         *world
	i         int
	r         *reactor.Reactor
	mode      reactor.Mode
	switching *modeSwitch
	posted    int // visits of all reactors that are due here
	lag       int // idle rounds since its clock was right

	events    int // accepted and not run
	ran       int // in this round
	sent, got [maxCores + 1]uint32
	todo      []action
}

// event is an event on its way.
type event struct {
	c    *core
	from int // 0: no reactor, else its number plus 1
	seq  uint32
}

// here returns the reactor that the world is on, nil if it is on none.
func (w *world) here() *core {
	if w.at.c != nil {
		return w.at.c
	}
	if w.at.t != nil {
		return w.at.t.core()
	}
	return nil
}

func (w *world) sendEvents(t *thread, a action) {
	to := find(w.cores, a.a)
	if to == nil {
		return
	}
	var from *core
	if a.b != sendOutside {
		from = w.here()
	}
	for range a.c {
		e := &event{c: to}
		if from != nil {
			e.from = from.i + 1
		}
		e.seq = to.sent[e.from] + 1
		var errno syscall.Errno
		if from != nil && a.b == sendFrom {
			errno = to.r.SendEventFrom(from.r, runEvent, e, to)
		} else {
			errno = to.r.SendEvent(runEvent, e, to)
		}
		switch {
		case errno == 0:
			to.sent[e.from]++
			to.events++
			w.stats.events++
		case errno != syscall.ENOMEM:
			w.fail("event to reactor %d: %v", to.i, errno)
		case to.events+8 < w.cfg.eventRing || w.polling != to && to.events < w.cfg.eventRing:
			w.fail("reactor %d is full of %d events", to.i, to.events)
		}
	}
}

// called is the beginning of every callback on a reactor; false means that nothing may be done.
func (c *core) called(r *reactor.Reactor, what string) bool {
	w := c.w
	if w.dead {
		return false
	}
	w.calls++
	if c.r != r || w.polling != c && !w.stopping {
		w.fail("%s of reactor %d runs elsewhere, or outside of a round", what, c.i)
	}
	return true
}

func runEvent(r *reactor.Reactor, arg1, arg2 any) {
	e, c := arg1.(*event), arg2.(*core)
	if !c.called(r, "event") {
		return
	}
	c.got[e.from]++
	if e.seq != c.got[e.from] || e.c != c {
		c.w.fail("reactor %d runs event %d of sender %d, want %d", c.i, e.seq, e.from, c.got[e.from])
	}
	c.events--
	c.ran++
	c.w.run(at{c: c, in: inEvent}, &c.todo)
}

// coreVisit is a visit of all reactors.
type coreVisit struct {
	w      *world
	origin *core
	next   int
	ended  bool
}

func (w *world) eachCore(*thread) {
	origin := w.here()
	if origin == nil {
		return
	}
	v := &coreVisit{w: w, origin: origin}
	w.cores[0].posted++
	calls := w.calls
	if errno := w.fw.ForEachReactor(origin.r, visitCore, v, origin, visitedCores); errno != 0 || w.calls != calls {
		w.fail("ForEachReactor: %v, %d calls", errno, w.calls-calls)
	}
	w.stats.coreVisits++
}

func visitCore(r *reactor.Reactor, arg1, _ any) {
	v := arg1.(*coreVisit)
	w := v.w
	if w.dead {
		return
	}
	if v.next >= len(w.cores) {
		w.fail("a visit of all reactors visits too many")
	}
	c := w.cores[v.next]
	if !c.called(r, "visit") {
		return
	}
	c.posted--
	v.next++
	if v.next < len(w.cores) {
		w.cores[v.next].posted++
	} else {
		v.origin.posted++
	}
}

func visitedCores(r *reactor.Reactor, arg1, arg2 any) {
	v := arg1.(*coreVisit)
	w := v.w
	if !v.origin.called(r, "end of a visit") {
		return
	}
	if v.ended || v.next != len(w.cores) || arg2 != v.origin {
		w.fail("a visit of all reactors ends after %d, or twice", v.next)
	}
	v.ended = true
	v.origin.posted--
}

type modeSwitch struct {
	c    *core
	mode reactor.Mode
}

func (w *world) setMode(a action) {
	c := find(w.cores, a.a)
	if c == nil {
		return
	}
	var want syscall.Errno
	if c.switching != nil {
		want = syscall.EBUSY
	}
	s := &modeSwitch{c, reactor.Mode(a.b)}
	if errno := c.r.SetMode(s.mode, switched, s); errno != want {
		w.fail("mode of reactor %d: %v, want %v", c.i, errno, want)
	}
	if want == 0 {
		c.switching = s
		w.stats.switches++
	}
}

func switched(r *reactor.Reactor, arg1, _ any) {
	s := arg1.(*modeSwitch)
	c := s.c
	if !c.called(r, "mode switch") {
		return
	}
	if c.switching != s || r.Mode() != s.mode {
		c.w.fail("reactor %d is in mode %v, want %v", c.i, r.Mode(), s.mode)
	}
	c.switching = nil
	c.mode = s.mode
}

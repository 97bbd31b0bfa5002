package main

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/spdk-go/spdk-go/reactor"
)

// eventsPerCore is how many events each core starts with in SPDK's event_perf.
const eventsPerCore = 4

// eventRing is events that go round the reactors until the first has seen enough.
type eventRing struct {
	clock
	cores []*eventCore
	end   uint64 // ticks; 0 if events do not look at the clock
	_     [64]byte
	left  int // of the first reactor
	_     [64]byte
	ended atomic.Bool
	_     [64]byte
}

// eventCore is a reactor's place in the ring.
type eventCore struct {
	ring   *eventRing
	r      *reactor.Reactor
	next   *eventCore
	events int // it starts with
	first  bool
}

// eventsRound is an event from reactor to reactor, or to the reactor itself if there is one;
// perCore of them start on each. With timed, each reads the clock, as in SPDK's event_perf.
func eventsRound(perCore int, timed bool) func(e *env) (func(int) time.Duration, func()) {
	return func(e *env) (func(int) time.Duration, func()) {
		return func(n int) time.Duration {
			ring := &eventRing{clock: newClock(), left: max(1, n/len(e.cores))}
			if timed {
				ring.end = math.MaxUint64
			}
			for i, r := range e.fw.Reactors() {
				ring.cores = append(ring.cores, &eventCore{ring: ring, r: r, events: perCore, first: i == 0})
			}
			for i, c := range ring.cores {
				c.next = ring.cores[(i+1)%len(ring.cores)]
			}
			ring.start = time.Now()
			for _, c := range ring.cores {
				must(c.r.SendEvent(startEvents, c, nil))
			}
			return <-ring.done
		}, func() {}
	}
}

func startEvents(r *reactor.Reactor, arg1, _ any) {
	c := arg1.(*eventCore)
	for range c.events {
		must(c.next.r.SendEventFrom(r, goRound, c.next, nil))
	}
}

// goRound sends an event on. arg1 is the place that it has come to.
func goRound(r *reactor.Reactor, arg1, _ any) {
	c := arg1.(*eventCore)
	if end := c.ring.end; end != 0 && r.Framework().Ticks() > end || c.ring.ended.Load() {
		return
	}
	if c.first {
		if c.ring.left--; c.ring.left == 0 {
			c.ring.ended.Store(true)
			c.ring.stop()
			return
		}
	}
	must(c.next.r.SendEventFrom(r, goRound, c.next, nil))
}

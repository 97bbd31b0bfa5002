package reactortest

import (
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/reactor"
)

const (
	// restRounds is for how many rounds a reactor has to find nothing before it counts as at
	// rest: an idle one looks at whether it may sleep only every few rounds.
	restRounds = 16
	// maxRounds is how many rounds are given to reactors to come to rest.
	maxRounds = 10_000_000
)

// Reactors is a framework whose reactors run a round when told. All calls must come from the
// goroutine of the test. A single round of a reactor is [reactor.Reactor.Poll].
//
// SPDK: test/unit/lib/event/reactor.c/reactor_ut.c, which mocks the current core
type Reactors struct {
	Framework *reactor.Framework
	Reactors  []*reactor.Reactor // in the order of their cores' being named
	Clock     *Clock
	tb        testing.TB
}

// NewReactors returns a harness with a reactor for each of cores and the given options, of
// which Cores, Manual and Clock are the harness's own. At the end of the test it stops the
// framework and checks that all threads could exit, unless the test has failed.
//
// SPDK: allocate_cores, spdk_reactors_init, spdk_reactors_fini
func NewReactors(tb testing.TB, cores []int, o reactor.Options) *Reactors {
	tb.Helper()
	h := &Reactors{Clock: &Clock{now: 1}, tb: tb}
	o.Cores, o.Manual, o.Clock = cores, true, h.Clock
	fw, err := reactor.NewFramework(o)
	if err != nil {
		tb.Fatal(err)
	}
	h.Framework, h.Reactors = fw, fw.Reactors()
	tb.Cleanup(func() {
		if !tb.Failed() { // a poller that was left behind would be polled for ever
			h.stop()
		}
	})
	return h
}

func (h *Reactors) stop() {
	h.Framework.Stop()
	for _, t := range h.Framework.Threads() {
		h.tb.Errorf("thread %s cannot exit: %s", t.Name(), t.Holding())
	}
}

// Thread creates a thread on one of the cores of mask (nil means any), and has its reactor
// take it.
//
// SPDK: spdk_thread_create, event_queue_run_batch
func (h *Reactors) Thread(mask *reactor.Cpuset) *reactor.Thread {
	h.tb.Helper()
	t, err := h.Framework.CreateThread("", mask)
	if err != nil {
		h.tb.Fatal(err)
	}
	t.Reactor().Poll()
	return t
}

// PollReactor polls reactor i until it has nothing to do. SPDK: _reactor_run
func (h *Reactors) PollReactor(i int) {
	h.tb.Helper()
	h.poll(h.Reactors[i : i+1])
}

// PollReactors polls all reactors in turn until none has anything to do.
//
// SPDK: _run_events_till_completion
func (h *Reactors) PollReactors() {
	h.tb.Helper()
	h.poll(h.Reactors)
}

func (h *Reactors) poll(reactors []*reactor.Reactor) {
	h.tb.Helper()
	for idle, n := 0, 0; idle < restRounds; n++ {
		if n > maxRounds {
			h.tb.Fatal("reactortest: the reactors never come to rest")
		}
		idle++
		for _, r := range reactors {
			if r.Poll() {
				idle = 0
			}
		}
	}
}

// Advance moves the clock. SPDK: spdk_delay_us
func (h *Reactors) Advance(d time.Duration) { h.Clock.now += uint64(d) }

// Schedule has the framework's scheduler run once now, whatever its period, and polls all
// reactors until what it decided has been done. The clock moves by a tick, and pollers must
// not move it.
//
// SPDK: _reactors_scheduler_gather_metrics
func (h *Reactors) Schedule() {
	h.tb.Helper()
	const tick = 1
	before := h.Framework.SchedulerPeriod()
	h.Framework.SetSchedulerPeriod(tick)
	h.Framework.ReactorOn(h.Framework.SchedulingCore()).Poll() // takes the period
	h.Advance(tick)
	h.PollReactors()
	if h.Framework.SchedulerPeriod() == tick { // else the scheduler has changed it
		h.Framework.SetSchedulerPeriod(before)
		h.PollReactors()
	}
}

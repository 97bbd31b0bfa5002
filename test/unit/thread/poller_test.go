package thread_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

func TestThreadPoller(t *testing.T) {
	h := reactortest.New(t, 1)
	th, runs := h.Threads[0], 0
	for _, tc := range []struct {
		name   string
		period time.Duration
		steps  map[time.Duration]bool // does it run after that time?
	}{
		{"active", 0, map[time.Duration]bool{0: true, us: true}},
		{"timed", 1000 * us, map[time.Duration]bool{0: false, 999 * us: false, 1000 * us: true}},
	} {
		p := th.RegisterPoller("", poll, &runs, tc.period)
		if p == nil {
			t.Fatalf("%s: no poller", tc.name)
		}
		for advance, want := range tc.steps {
			for range 3 {
				if tc.period > 0 { // begin a period
					h.Advance(tc.period)
					h.PollThreads()
				}
				runs = 0
				h.Advance(advance)
				h.PollThreads()
				same(t, fmt.Sprintf("%s: runs after %v", tc.name, advance), runs > 0, want)
				if tc.period > 0 {
					runs = 0
					h.PollThreads()
					same(t, tc.name+": runs at the same time", runs, 0)
				}
			}
		}
		p.Unregister()
		runs = 0
		h.Advance(tc.period)
		h.PollThreads()
		same(t, tc.name+": runs after Unregister", runs, 0)
	}
}

// TestPollerGetName: without a name a poller goes by the address of its function.
func TestPollerGetName(t *testing.T) {
	h := reactortest.New(t, 1)
	for given, want := range map[string]string{"name": "name", "": fmt.Sprintf("%p", idle)} {
		p := h.Threads[0].RegisterPoller(given, idle, nil, 0)
		same(t, "name", p.Name(), want)
		p.Unregister()
	}
}

// TestPollerGetID: numbers begin at 1 on every thread and are not used again.
func TestPollerGetID(t *testing.T) {
	h := reactortest.New(t, 2)
	for _, th := range h.Threads {
		for want := range uint64(3) {
			p := th.RegisterPoller("", idle, nil, 0)
			same(t, "id", p.ID(), want+1)
			p.Unregister()
		}
	}
}

func TestPollerGetStateStr(t *testing.T) {
	h := reactortest.New(t, 1)
	var p *reactor.Poller
	runs := 0
	p = h.Threads[0].RegisterPoller("", func(*reactor.Thread, any) reactor.PollerResult {
		runs++
		same(t, "state during a run", p.State().String(), "running")
		return reactor.Idle
	}, nil, 0)
	poll := func(*reactor.Poller) { h.PollThread(0) }
	same(t, "state of a new poller", p.State().String(), "waiting")
	for _, tc := range []struct {
		name string
		do   func(p *reactor.Poller)
		want string
	}{
		{"poll", poll, "waiting"},
		{"pause", (*reactor.Poller).Pause, "pausing"},
		{"poll", poll, "paused"},
		{"poll", poll, "paused"},
		{"resume", (*reactor.Poller).Resume, "waiting"},
		{"poll", poll, "waiting"},
		{"unregister", (*reactor.Poller).Unregister, "unregistered"}, // in C it is freed
		{"poll", poll, "unregistered"},
	} {
		tc.do(p)
		same(t, "state after "+tc.name, p.State().String(), tc.want)
	}
	same(t, "runs", runs, 2)
}

// TestPollerGetPeriodTicks: the clock of the harness has a tick for each nanosecond.
func TestPollerGetPeriodTicks(t *testing.T) {
	h := reactortest.New(t, 1)
	for period, want := range map[time.Duration]uint64{0: 0, 10 * us: 10_000} {
		p := h.Threads[0].RegisterPoller("", idle, nil, period)
		same(t, "period", p.PeriodTicks(), want)
		p.Unregister()
	}
}

func TestPollerGetStats(t *testing.T) {
	type stats struct{ Runs, Busy uint64 }
	h := reactortest.New(t, 1)
	pollers := map[*reactor.Poller]stats{ // after one run
		h.Threads[0].RegisterPoller("idle", idle, nil, 5*us):  {1, 0},
		h.Threads[0].RegisterPoller("busy", busy, nil, 5*us):  {1, 1},
		h.Threads[0].RegisterPoller("later", busy, nil, 6*us): {0, 0},
	}
	h.Advance(5 * us)
	h.PollThread(0)
	for p, want := range pollers {
		runs, busy := p.Stats()
		same(t, "statistics of "+p.Name(), stats{runs, busy}, want)
		p.Unregister()
	}
}

// TestThreadUpdateStatsTest: what a thread's pollers take counts as busy or idle, what happens
// between its rounds does not count.
func TestThreadUpdateStatsTest(t *testing.T) {
	h := reactortest.New(t, 1)
	th, start := h.Threads[0], h.Clock.Ticks()
	same(t, "last ticks of a new thread", th.LastTicks(), start)
	same(t, "statistics of a new thread", th.Stats(), reactor.ThreadStats{})

	type step struct {
		away time.Duration
		last uint64
		want reactor.ThreadStats
	}
	for _, tc := range []struct {
		rc    reactor.PollerResult
		takes time.Duration
		steps []step
	}{
		{reactor.Idle, 1000, []step{
			{100, 1100, reactor.ThreadStats{IdleTicks: 1000}},
			{100, 2200, reactor.ThreadStats{IdleTicks: 2000}},
		}},
		{reactor.Busy, 100_000, []step{
			{10_000, 112_200, reactor.ThreadStats{IdleTicks: 2000, BusyTicks: 100_000}},
			{10_000, 222_200, reactor.ThreadStats{IdleTicks: 2000, BusyTicks: 200_000}},
		}},
	} {
		p := th.RegisterPoller("", func(*reactor.Thread, any) reactor.PollerResult {
			h.Advance(tc.takes)
			return tc.rc
		}, nil, 0)
		for _, s := range tc.steps {
			h.Advance(s.away)
			same(t, "busy", th.Poll(0, 0), tc.rc == reactor.Busy)
			same(t, "last ticks", th.LastTicks()-start, s.last)
			same(t, "statistics", th.Stats(), s.want)
		}
		p.Unregister()
	}
}

package thread_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

// timers are named timed pollers of one thread.
type timers struct {
	h     *reactortest.Harness
	th    *reactor.Thread
	start uint64
	ran   []string // "name@microseconds"
}

func newTimers(t *testing.T) *timers {
	h := reactortest.New(t, 1)
	return &timers{h: h, th: h.Threads[0], start: h.Clock.Ticks()}
}

func (ts *timers) now() int { return int(time.Duration(ts.h.Clock.Ticks()-ts.start) / us) }

// register adds a poller that notes when it runs.
func (ts *timers) register(name string, period time.Duration) *reactor.Poller {
	return ts.th.RegisterPoller(name, func(*reactor.Thread, any) reactor.PollerResult {
		ts.ran = append(ts.ran, fmt.Sprintf("%s@%d", name, ts.now()))
		return reactor.Idle
	}, nil, period)
}

// wait lets time pass and polls.
func (ts *timers) wait(d time.Duration) {
	ts.h.Advance(d)
	ts.h.PollThreads()
}

// expect checks the order in which the pollers are due, and when the first is, in microseconds.
func (ts *timers) expect(t *testing.T, order string, first int) {
	t.Helper()
	var names string
	for p := range ts.th.TimedPollers() {
		names += p.Name()
	}
	same(t, fmt.Sprintf("order of timed pollers at %d", ts.now()), names, order)
	next := ts.th.NextPollerExpiration()
	if order == "" {
		same(t, "expiration without timed pollers", next, 0)
		return
	}
	same(t, fmt.Sprintf("first expiration at %d", ts.now()), int(time.Duration(next-ts.start)/us), first)
}

// TestCacheClosestTimedPoller: one that is unregistered or paused stays the next to expire until it
// does.
func TestCacheClosestTimedPoller(t *testing.T) {
	ts := newTimers(t)
	a, b, c := ts.register("a", 1000*us), ts.register("b", 1500*us), ts.register("c", 1800*us)
	for _, tc := range []struct {
		do    func()
		wait  time.Duration
		order string
		first int
	}{
		{nil, 0, "abc", 1000},
		{nil, 1000 * us, "bca", 1500},
		{b.Unregister, 499 * us, "bca", 1500},
		{nil, us, "ca", 1800},
		{c.Pause, 299 * us, "ca", 1800},
		{nil, us, "a", 2000},
		{func() { a.Unregister(); c.Unregister() }, 200 * us, "", 0},
	} {
		if tc.do != nil {
			tc.do()
		}
		ts.wait(tc.wait)
		ts.expect(t, tc.order, tc.first)
	}
	same(t, "runs", ts.ran, []string{"a@1000"})
}

// TestMultiTimedPollersHaveSameExpiration: of those that expire together, the one that was put in
// first comes first.
func TestMultiTimedPollersHaveSameExpiration(t *testing.T) {
	t.Run("together", func(t *testing.T) {
		ts := newTimers(t)
		var all []*reactor.Poller
		for i, period := range []time.Duration{500 * us, 500 * us, 1000 * us, 1500 * us} {
			all = append(all, ts.register(string(rune('a'+i)), period))
		}
		ts.expect(t, "abcd", 500)
		for _, step := range []struct {
			order string
			first int
		}{
			{"cabd", 1000}, // a, b and c at 1000
			{"dabc", 1500}, // a, b and d at 1500
			{"cabd", 2000}, // c was put back before a and b
			{"abdc", 2500},
			{"dcab", 3000},
			{"abcd", 3500},
		} {
			ts.wait(500 * us)
			ts.expect(t, step.order, step.first)
		}
		same(t, "runs", ts.ran, []string{
			"a@500", "b@500",
			"c@1000", "a@1000", "b@1000",
			"d@1500", "a@1500", "b@1500",
			"c@2000", "a@2000", "b@2000",
			"a@2500", "b@2500",
			"d@3000", "c@3000", "a@3000", "b@3000",
		})
		ts.ran = nil
		for _, p := range all {
			p.Unregister()
		}
		ts.expect(t, "abcd", 3500)
		ts.wait(1500 * us)
		ts.expect(t, "", 0)
		same(t, "runs after Unregister", ts.ran, nil)
	})

	t.Run("unregistered in between", func(t *testing.T) {
		ts := newTimers(t)
		pollers := map[string]*reactor.Poller{"a": ts.register("a", 500*us)}
		ts.expect(t, "a", 500)
		ts.wait(250 * us)
		pollers["b"], pollers["c"] = ts.register("b", 500*us), ts.register("c", 750*us)
		ts.expect(t, "abc", 500)
		for _, tc := range []struct {
			unregister string
			wait       time.Duration
			order      string
			first      int
		}{
			{"b", 250 * us, "bca", 750}, // not the next one: it stays until it expires
			{"", 250 * us, "ca", 1000},
			{"c", 250 * us, "a", 1500},
			{"a", 500 * us, "", 0},
		} {
			if p := pollers[tc.unregister]; p != nil {
				p.Unregister()
			}
			ts.wait(tc.wait)
			ts.expect(t, tc.order, tc.first)
		}
		same(t, "runs", ts.ran, []string{"a@500", "a@1000"})
		same(t, "pollers of the thread", slices.Collect(ts.th.TimedPollers()), nil)
	})
}

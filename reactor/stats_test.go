package reactor_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

func TestThreadStatsSumBusyAndIdleTime(t *testing.T) {
	h := reactortest.New(t, 1)
	th := h.Threads[0]
	takes := func(d time.Duration, rc reactor.PollerResult) reactor.PollerFunc {
		return func(*reactor.Thread, any) reactor.PollerResult { h.Advance(d); return rc }
	}
	type stats = reactor.ThreadStats
	expect := func(what string, want stats) {
		t.Helper()
		th.Poll(0, 0)
		if diff := cmp.Diff(want, th.Stats()); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	expect("nothing", stats{BusyTicks: 0, IdleTicks: 0})
	p := th.RegisterPoller("", takes(100, reactor.Idle), nil, 0)
	expect("idle poller", stats{BusyTicks: 0, IdleTicks: 100})
	q := th.RegisterPoller("", takes(10, reactor.Busy), nil, 0)
	expect("idle and busy poller", stats{BusyTicks: 110, IdleTicks: 100}) // one is enough
	q.Unregister()
	expect("idle poller again", stats{BusyTicks: 110, IdleTicks: 200})
	p.Unregister()
	th.SendMsg(func(*reactor.Thread, any) { h.Advance(1000) }, nil)
	expect("message", stats{BusyTicks: 1110, IdleTicks: 200})
	th.Defer(func(*reactor.Thread, any) { h.Advance(10000) }, nil)
	expect("deferred call", stats{BusyTicks: 11110, IdleTicks: 200})
	th.SendCriticalMsg(func(*reactor.Thread, any) { h.Advance(100000) })
	expect("critical message", stats{BusyTicks: 111110, IdleTicks: 200})
}

func TestReactorStatsFollowTheWork(t *testing.T) {
	noLeaks(t)
	pinning(t, func(t *testing.T, o reactor.Options) {
		o.Mode = reactor.ModePoll
		fw := run(t, o, 1)
		th, r := thread(t, fw, 0), fw.Reactors()[0]
		eventually(t, "idle time grows", func() bool { return r.Stats().IdleTicks > fw.TicksHz()/100 })
		before := r.Stats()
		var p *reactor.Poller
		on(t, th, func(th *reactor.Thread) {
			p = th.RegisterPoller("", func(*reactor.Thread, any) reactor.PollerResult {
				for end := fw.Ticks() + fw.TicksHz()/100; fw.Ticks() < end; {
				}
				p.Unregister()
				return reactor.Busy
			}, nil, 0)
		})
		eventually(t, "busy time grows", func() bool {
			return th.Stats().BusyTicks >= fw.TicksHz()/100 && r.Stats().BusyTicks >= before.BusyTicks+fw.TicksHz()/100
		})
		if n := r.Stats().Sleeps; n != 0 {
			t.Errorf("a reactor in poll mode slept %d times", n)
		}
	})
}

// TestIdleTimeIsNobodysWork has a thread that finds something every other round share a reactor
// with one that never does.
func TestIdleTimeIsNobodysWork(t *testing.T) {
	h := reactortest.NewReactors(t, []int{0}, reactor.Options{StallThreshold: -1})
	th, idle := h.Thread(nil), h.Thread(nil)
	rounds := 0
	p := th.RegisterPoller("", func(*reactor.Thread, any) reactor.PollerResult {
		if rounds++; rounds%2 == 0 {
			h.Advance(5)
			return reactor.Busy
		}
		h.Advance(1)
		return reactor.Idle
	}, nil, 0)
	q := idle.RegisterPoller("", func(*reactor.Thread, any) reactor.PollerResult {
		h.Advance(100)
		return reactor.Idle
	}, nil, 0)
	for range 100 {
		h.Reactors[0].Poll()
	}
	type stats = reactor.ThreadStats
	if diff := cmp.Diff(stats{BusyTicks: 250, IdleTicks: 50}, th.Stats()); diff != "" {
		t.Errorf("the thread that works: %s", diff)
	}
	if diff := cmp.Diff(stats{BusyTicks: 0, IdleTicks: 10000}, idle.Stats()); diff != "" {
		t.Errorf("the thread that does not: %s", diff)
	}
	want := reactor.ReactorStats{BusyTicks: 250, IdleTicks: 10050}
	if diff := cmp.Diff(want, h.Reactors[0].Stats()); diff != "" {
		t.Errorf("the reactor: %s", diff)
	}
	p.Unregister()
	q.Unregister()
}

// TestLastTicksBeginWithTheThread: before the first round they are the time of the creation.
func TestLastTicksBeginWithTheThread(t *testing.T) {
	h := reactortest.New(t, 0)
	h.Advance(time.Second)
	th, created := h.AddThread(""), h.Clock.Ticks()
	for _, want := range []uint64{created, created + 1000} {
		if got := th.LastTicks(); got != want {
			t.Errorf("last ticks %d, want %d", got, want)
		}
		h.Advance(1000)
		th.Poll(0, 0)
	}
}

// TestReactorStatsCountWhatRuns: whatever a reactor calls takes a second here, and that is the
// reactor's and, if it runs on a thread, the thread's.
func TestReactorStatsCountWhatRuns(t *testing.T) {
	for name, tc := range map[string]struct {
		start    func(t *testing.T, th *reactor.Thread, takes func())
		onThread bool
	}{
		"message": {func(_ *testing.T, th *reactor.Thread, takes func()) {
			th.SendMsg(func(*reactor.Thread, any) { takes() }, nil)
		}, true},
		"critical message": {func(_ *testing.T, th *reactor.Thread, takes func()) {
			th.SendCriticalMsg(func(*reactor.Thread, any) { takes() })
		}, true},
		"interrupt": {func(t *testing.T, th *reactor.Thread, takes func()) {
			fd := eventfd(t)
			var i *reactor.Interrupt
			i, err := th.RegisterInterrupt("", fd, 0, func(*reactor.Thread, any) reactor.PollerResult {
				i.Unregister()
				takes()
				return reactor.Idle
			}, nil)
			if err != nil {
				t.Fatal(err)
			}
			signal(t, fd)
		}, true},
		"event": {func(_ *testing.T, th *reactor.Thread, takes func()) {
			th.Reactor().SendEvent(func(*reactor.Reactor, any, any) { takes() }, nil, nil)
		}, false},
		"visit of the reactors": {func(_ *testing.T, th *reactor.Thread, takes func()) {
			th.Framework().ForEachReactor(th.Reactor(), func(*reactor.Reactor, any, any) { takes() }, nil, nil, nil)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			clock := &manualClock{}
			fw := byHand(t, reactor.Options{Clock: clock}, 1)
			r, th := fw.Reactors()[0], thread(t, fw, 0)
			rest := func() {
				for range 100 {
					r.Poll()
					clock.now += uint64(time.Microsecond)
				}
				if !r.Asleep() {
					t.Fatal("the reactor does not go to sleep")
				}
			}
			rest()
			// The clock is read once for several rounds.
			since := func(before, now uint64) time.Duration { return fw.Duration(now - before).Truncate(time.Millisecond) }
			reactorBefore, threadBefore := r.Stats().BusyTicks, th.Stats().BusyTicks
			ran := 0
			tc.start(t, th, func() { ran++; clock.now += uint64(time.Second) })
			rest()
			type busy struct {
				Runs            int
				Reactor, Thread time.Duration
			}
			want := busy{1, time.Second, map[bool]time.Duration{true: time.Second}[tc.onThread]}
			got := busy{ran, since(reactorBefore, r.Stats().BusyTicks), since(threadBefore, th.Stats().BusyTicks)}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

package reactor_test

import (
	"testing"

	"github.com/spdk-go/spdk-go/reactor"
)

func TestCreateReactor(t *testing.T) {
	h := reactors(t, 1)
	r := h.Reactors[0]
	if got := h.Framework.ReactorOn(0); got != r || r.Core() != 0 || r.Framework() != h.Framework {
		t.Errorf("on core 0 runs %v, of core %d", got, r.Core())
	}
	want(t, "threads", nil, runs(r))
	want(t, "what it did", reactor.ReactorStats{}, r.Stats())
	want(t, "mode", reactor.ModeHybrid, r.Mode()) // SPDK polls unless it is told otherwise
}

// TestInitReactors has no state to look at: a framework whose reactors have not run is one.
func TestInitReactors(t *testing.T) {
	h := reactors(t, 3)
	for core := range 3 {
		if r := h.Framework.ReactorOn(core); r == nil || r.Core() != core {
			t.Errorf("core %d has no reactor", core)
		}
	}
	for _, core := range []int{-1, 3, 1 << 30} {
		if h.Framework.ReactorOn(core) != nil {
			t.Errorf("core %d has a reactor", core)
		}
	}
	want(t, "cores", reactor.NewCpuset(0, 1, 2).String(), h.Framework.Cpuset().String())
	want(t, "scheduling core", 0, h.Framework.SchedulingCore())
}

func TestEventCall(t *testing.T) {
	h := reactors(t, 1)
	r := h.Reactors[0]
	var test1, test2 uint8
	utEventFn := func(on *reactor.Reactor, arg1, arg2 any) {
		if on != r {
			t.Error("the event ran on another reactor")
		}
		*arg1.(*uint8), *arg2.(*uint8) = 1, 0xFF
	}
	if errno := r.SendEvent(utEventFn, &test1, &test2); errno != 0 {
		t.Fatal(errno)
	}
	if test1 != 0 {
		t.Error("the event did not wait for its reactor")
	}
	if !r.Poll() || test1 != 1 || test2 != 0xFF {
		t.Errorf("the event left %#x and %#x", test1, test2)
	}
	if r.Poll() {
		t.Error("there was another event")
	}
}

func TestForEachReactor(t *testing.T) {
	h := reactors(t, 5)
	count, done := 0, false
	cb := func(r *reactor.Reactor, arg1, arg2 any) {
		if r != h.Reactors[count] || arg2 != &done {
			t.Errorf("call %d came on core %d", count, r.Core())
		}
		*arg1.(*int)++
	}
	finish := func(r *reactor.Reactor, arg1, arg2 any) {
		if r != h.Reactors[0] {
			t.Errorf("the end came on core %d", r.Core())
		}
		*arg1.(*int)++
		*arg2.(*bool) = true
	}
	if errno := h.Framework.ForEachReactor(h.Reactors[0], cb, &count, &done, finish); errno != 0 {
		t.Fatal(errno)
	}
	want(t, "calls before any reactor ran", 0, count)
	for i, r := range h.Reactors {
		r.Poll()
		if count != i+1 || done {
			t.Errorf("after core %d: %d calls, done %v", i, count, done)
		}
	}
	h.Reactors[0].Poll()
	if count != 6 || !done {
		t.Errorf("at the end: %d calls, done %v", count, done)
	}
}

// TestReactorStats differs in one thing: a thread of a reactor asks the reactor what time it is.
// In SPDK it has the time that its own last round ended, before that of the thread behind it.
func TestReactorStats(t *testing.T) {
	h := reactors(t, 1)
	r := h.Reactors[0]
	h.Advance(99)
	thread1, thread2 := create(t, h.Framework, reactor.NewCpuset(0)), create(t, h.Framework, reactor.NewCpuset(0))
	spent := func(busy, idle uint64) reactor.ThreadStats {
		return reactor.ThreadStats{BusyTicks: busy, IdleTicks: idle}
	}
	check := func(what string, now uint64, s1, s2 reactor.ThreadStats, all reactor.ReactorStats) {
		t.Helper()
		want(t, what+": clock", now, h.Framework.Ticks())
		want(t, what+": thread1", s1, thread1.Stats())
		want(t, what+": thread2", s2, thread2.Stats())
		want(t, what+": reactor", all, r.Stats())
	}
	last := func(what string, now uint64, threads ...*reactor.Thread) {
		t.Helper()
		for _, th := range threads {
			want(t, what+": last time of "+th.Name(), now, th.LastTicks())
		}
	}

	busy1 := thread1.RegisterPoller("", pollerRun(h, reactor.Busy, 100), nil, 0)
	idle2 := thread2.RegisterPoller("", pollerRun(h, reactor.Idle, 300), nil, 0)
	r.Poll()
	check("first round", 500, spent(100, 0), spent(0, 300),
		reactor.ReactorStats{BusyTicks: 100, IdleTicks: 300})
	last("first round", 500, thread1, thread2)

	busy1.Unregister()
	idle1 := thread1.RegisterPoller("", pollerRun(h, reactor.Idle, 200), nil, 0)
	idle2.Unregister()
	busy2 := thread2.RegisterPoller("", pollerRun(h, reactor.Busy, 400), nil, 0)
	r.Poll()
	check("second round", 1100, spent(100, 200), spent(400, 300), reactor.ReactorStats{BusyTicks: 500, IdleTicks: 500})
	last("second round", 1100, thread1, thread2)

	idle1.Unregister()
	thread1.Exit()
	busy2.Unregister()
	thread2.Exit()
	r.Poll()
	want(t, "threads", nil, runs(r))

	h.Advance(900) // in which the reactor has no threads
	r.Poll()
	want(t, "without threads", reactor.ReactorStats{BusyTicks: 500, IdleTicks: 1400}, r.Stats())

	thread1 = create(t, h.Framework, reactor.NewCpuset(0))
	busy1 = thread1.RegisterPoller("", pollerRun(h, reactor.Busy, 100), nil, 0)
	r.Poll()
	check("new thread", 2100, spent(100, 0), spent(400, 300),
		reactor.ReactorStats{BusyTicks: 600, IdleTicks: 1400})
	last("new thread", 2100, thread1)

	busy1.Unregister()
	thread1.Exit()
	r.Poll()
	want(t, "threads", nil, runs(r))
	want(t, "at the end", reactor.ReactorStats{BusyTicks: 600, IdleTicks: 1400}, r.Stats())
	want(t, "clock at the end", uint64(2100), h.Framework.Ticks())
}

// TestMixedWorkload has a thread that is busy for the first fifth of each period, 10 ticks at a
// time, and idle for the rest, a tick at a time.
func TestMixedWorkload(t *testing.T) {
	const period, busyPerPeriod, busyTicks, idleTicks = 1000, 200, 10, 1
	h := reactors(t, 1)
	r := h.Reactors[0]
	h.Advance(period - 1)
	th := h.Thread(reactor.NewCpuset(0))
	poller := th.RegisterPoller("", func(th *reactor.Thread, _ any) reactor.PollerResult {
		if th.LastTicks()%period < busyPerPeriod {
			h.Advance(busyTicks)
			return reactor.Busy
		}
		h.Advance(idleTicks)
		return reactor.Idle
	}, nil, 0)
	for i := range uint64(3) {
		busy, idle := 0, 0
		for h.Framework.Ticks() < (i+2)*period {
			if r.Poll() {
				busy++
			} else {
				idle++
			}
		}
		want(t, "busy rounds", busyPerPeriod/busyTicks, busy)
		want(t, "idle rounds", (period-busyPerPeriod)/idleTicks, idle)
		want(t, "clock", (i+2)*period, h.Framework.Ticks())
	}
	poller.Unregister()
	r.Poll()
	want(t, "time", reactor.ThreadStats{BusyTicks: 3 * busyPerPeriod, IdleTicks: 3 * (period - busyPerPeriod)}, th.Stats())
}

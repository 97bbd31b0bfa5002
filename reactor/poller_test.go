package reactor_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

func TestActivePollersRunInReverseOrderEveryRound(t *testing.T) {
	h := reactortest.New(t, 1)
	var j journal
	var all []*reactor.Poller
	for i := range 4 {
		all = append(all, h.Threads[0].RegisterPoller("", j.polls(fmt.Sprint(i), reactor.Idle), nil, 0))
	}
	for range 3 {
		if h.Threads[0].Poll(0, 0) {
			t.Error("idle pollers made the thread busy")
		}
		if diff := cmp.Diff([]string{"3", "2", "1", "0"}, j.take()); diff != "" {
			t.Error(diff)
		}
	}
	all[2].Unregister()
	h.Threads[0].Poll(0, 0)
	if diff := cmp.Diff([]string{"3", "1", "0"}, j.take()); diff != "" {
		t.Error(diff)
	}
	for _, i := range []int{0, 1, 3} {
		all[i].Unregister()
	}
}

func TestRoundRunsMessagesThenActiveThenTimedPollers(t *testing.T) {
	h := reactortest.NewLeaky(t, 1)
	th := h.Threads[0]
	var j journal
	th.RegisterPoller("", j.polls("timed", reactor.Idle), nil, time.Millisecond)
	th.RegisterPoller("", j.polls("active", reactor.Idle), nil, 0)
	h.Advance(time.Millisecond)
	th.SendMsg(j.says("message"), nil)
	th.Defer(j.says("deferred"), nil)
	th.SendCriticalMsg(j.says("critical"))
	th.Poll(0, 0)
	if diff := cmp.Diff([]string{"critical", "deferred", "message", "active", "timed"}, j.take()); diff != "" {
		t.Error(diff)
	}
}

func TestTimedPollerRunsOncePerPeriod(t *testing.T) {
	h := reactortest.New(t, 1)
	th := h.Threads[0]
	var j journal
	p := th.RegisterPoller("", j.polls("run", reactor.Busy), nil, time.Millisecond)
	for _, step := range []struct {
		advance time.Duration
		runs    int
	}{
		{0, 0},
		{999 * time.Microsecond, 0},
		{time.Microsecond, 1},
		{0, 0},
		{time.Millisecond - 1, 0},
		{1, 1},
		{10 * time.Millisecond, 1}, // what was missed is not made up for
		{time.Millisecond, 1},
	} {
		h.Advance(step.advance)
		th.Poll(0, 0)
		if got := len(j.take()); got != step.runs {
			t.Errorf("after %v: %d runs, want %d", step.advance, got, step.runs)
		}
	}
	p.Unregister()
	h.Advance(time.Second)
	th.Poll(0, 0)
	if got := j.take(); got != nil {
		t.Errorf("ran after its unregister: %v", got)
	}
}

func TestEqualExpiriesRunFirstInFirstOut(t *testing.T) {
	h := reactortest.New(t, 1)
	th := h.Threads[0]
	var j journal
	var all []*reactor.Poller
	reg := func(name string, period time.Duration) {
		all = append(all, th.RegisterPoller(name, j.polls(name, reactor.Busy), nil, period))
	}
	reg("a2", 2*time.Millisecond)
	reg("b1", time.Millisecond)
	reg("c2", 2*time.Millisecond)
	reg("d1", time.Millisecond)
	for _, want := range [][]string{
		{"b1", "d1"},
		{"a2", "c2", "b1", "d1"}, // all four expire now; b1 and d1 were put in later
		{"b1", "d1"},
	} {
		h.Advance(time.Millisecond)
		th.Poll(0, 0)
		if diff := cmp.Diff(want, j.take()); diff != "" {
			t.Error(diff)
		}
	}
	for _, p := range all {
		p.Unregister()
	}
}

// TestPollerActions does one thing to a poller in one state and checks where that leads.
func TestPollerActions(t *testing.T) {
	type action func(p *reactor.Poller)
	var (
		pause      = (*reactor.Poller).Pause
		resume     = (*reactor.Poller).Resume
		unregister = (*reactor.Poller).Unregister
	)
	// reach brings a poller into a state.
	reach := map[reactor.PollerState][]action{
		reactor.PollerWaiting:      nil,
		reactor.PollerPausing:      {pause},
		reactor.PollerPaused:       {pause, nil}, // nil: let it come due
		reactor.PollerUnregistered: {unregister},
	}
	for _, tc := range []struct {
		in     reactor.PollerState
		do     action
		name   string
		out    reactor.PollerState
		runs   bool // when it is due next
		settle reactor.PollerState
		panics bool
	}{
		{in: reactor.PollerWaiting, do: resume, name: "resume", out: reactor.PollerWaiting, runs: true},
		{in: reactor.PollerWaiting, do: pause, name: "pause", out: reactor.PollerPausing, settle: reactor.PollerPaused},
		{in: reactor.PollerWaiting, do: unregister, name: "unregister", out: reactor.PollerUnregistered,
			settle: reactor.PollerUnregistered},
		{in: reactor.PollerPausing, do: pause, name: "pause", out: reactor.PollerPausing, settle: reactor.PollerPaused},
		{in: reactor.PollerPausing, do: resume, name: "resume", out: reactor.PollerWaiting, runs: true},
		{in: reactor.PollerPausing, do: unregister, name: "unregister", out: reactor.PollerUnregistered,
			settle: reactor.PollerUnregistered},
		{in: reactor.PollerPaused, do: pause, name: "pause", out: reactor.PollerPaused, settle: reactor.PollerPaused},
		{in: reactor.PollerPaused, do: resume, name: "resume", out: reactor.PollerWaiting, runs: true},
		{in: reactor.PollerPaused, do: unregister, name: "unregister", out: reactor.PollerUnregistered,
			settle: reactor.PollerUnregistered},
		{in: reactor.PollerUnregistered, do: pause, name: "pause", panics: true},
		{in: reactor.PollerUnregistered, do: resume, name: "resume", panics: true},
		{in: reactor.PollerUnregistered, do: unregister, name: "unregister", panics: true},
	} {
		for _, period := range []time.Duration{0, time.Millisecond} {
			t.Run(fmt.Sprintf("%v/%s/%v", tc.in, tc.name, period), func(t *testing.T) {
				h := reactortest.New(t, 1)
				var j journal
				p := h.Threads[0].RegisterPoller("p", j.polls("run", reactor.Busy), nil, period)
				due := func() { h.Advance(period); h.Threads[0].Poll(0, 0) }
				for _, a := range reach[tc.in] {
					if a == nil {
						due()
					} else {
						a(p)
					}
				}
				if p.State() != tc.in {
					t.Fatalf("state %v", p.State())
				}
				if tc.panics {
					if !panics(func() { tc.do(p) }) {
						t.Error("no panic")
					}
					return
				}
				tc.do(p)
				if p.State() != tc.out {
					t.Errorf("state %v, want %v", p.State(), tc.out)
				}
				due()
				if ran := j.take() != nil; ran != tc.runs || p.State() != tc.settle {
					t.Errorf("when due: ran %v, state %v, want %v, %v", ran, p.State(), tc.runs, tc.settle)
				}
				due()
				if ran := j.take() != nil; ran != tc.runs {
					t.Errorf("when due again: ran %v, want %v", ran, tc.runs)
				}
				if p.State() != reactor.PollerUnregistered {
					p.Unregister()
				}
			})
		}
	}
}

// TestPollerActsOnItself does things from inside the function.
func TestPollerActsOnItself(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   func(p *reactor.Poller)
		out  reactor.PollerState
	}{
		{"nothing", func(*reactor.Poller) {}, reactor.PollerWaiting},
		{"resume", (*reactor.Poller).Resume, reactor.PollerWaiting},
		{"pause", (*reactor.Poller).Pause, reactor.PollerPaused},
		{"pause and resume", func(p *reactor.Poller) { p.Pause(); p.Resume() }, reactor.PollerWaiting},
		{"unregister", (*reactor.Poller).Unregister, reactor.PollerUnregistered},
		{"pause and unregister", func(p *reactor.Poller) { p.Pause(); p.Unregister() }, reactor.PollerUnregistered},
	} {
		for _, period := range []time.Duration{0, time.Millisecond} {
			t.Run(fmt.Sprintf("%s/%v", tc.name, period), func(t *testing.T) {
				h := reactortest.New(t, 1)
				var p *reactor.Poller
				do := tc.do
				runs, during := 0, reactor.PollerWaiting
				p = h.Threads[0].RegisterPoller("p", func(*reactor.Thread, any) reactor.PollerResult {
					runs++
					during = p.State()
					do(p)
					return reactor.Busy
				}, nil, period)
				h.Advance(period)
				if !h.Threads[0].Poll(0, 0) || runs != 1 || during != reactor.PollerRunning || p.State() != tc.out {
					t.Errorf("%d runs, state %v during and %v after, want %v", runs, during, p.State(), tc.out)
				}
				h.Advance(period)
				h.Threads[0].Poll(0, 0)
				if again := runs == 2; again != (tc.out == reactor.PollerWaiting) {
					t.Errorf("ran again: %v", again)
				}
				if p.State() == reactor.PollerPaused {
					do = func(*reactor.Poller) {}
					p.Resume()
					h.Advance(period)
					h.Threads[0].Poll(0, 0)
					if runs != 2 {
						t.Errorf("%d runs after its resume", runs)
					}
				}
				if p.State() != reactor.PollerUnregistered {
					p.Unregister()
				}
			})
		}
	}
}

func TestResumedTimedPollerRunsAFullPeriodLater(t *testing.T) {
	h := reactortest.New(t, 1)
	var j journal
	p := h.Threads[0].RegisterPoller("", j.polls("run", reactor.Busy), nil, 10*time.Millisecond)
	p.Pause()
	h.Advance(10 * time.Millisecond)
	h.Threads[0].Poll(0, 0) // paused now
	h.Advance(7 * time.Millisecond)
	p.Resume()
	h.Advance(9 * time.Millisecond)
	h.Threads[0].Poll(0, 0)
	if j.take() != nil {
		t.Error("ran before its period was over")
	}
	h.Advance(time.Millisecond)
	h.Threads[0].Poll(0, 0)
	if diff := cmp.Diff([]string{"run"}, j.take()); diff != "" {
		t.Error(diff)
	}
	p.Unregister()
}

func TestPollersActOnEachOther(t *testing.T) {
	for _, first := range []bool{true, false} { // is the actor polled before the others?
		for name, want := range map[string]struct {
			do    func(p *reactor.Poller)
			again bool
		}{
			"unregister": {(*reactor.Poller).Unregister, false},
			"pause":      {(*reactor.Poller).Pause, false},
		} {
			t.Run(fmt.Sprintf("%s/first %v", name, first), func(t *testing.T) {
				h := reactortest.New(t, 1)
				th := h.Threads[0]
				var others []*reactor.Poller
				runs := 0
				other := func(*reactor.Thread, any) reactor.PollerResult { runs++; return reactor.Idle }
				act := func(*reactor.Thread, any) reactor.PollerResult {
					for _, p := range others {
						want.do(p)
					}
					others = nil
					return reactor.Idle
				}
				var actor *reactor.Poller
				if !first { // reverse order
					actor = th.RegisterPoller("", act, nil, 0)
				}
				var all []*reactor.Poller
				for range 3 {
					all = append(all, th.RegisterPoller("", other, nil, 0))
				}
				others = slices.Clone(all)
				if first {
					actor = th.RegisterPoller("", act, nil, 0)
				}
				for range 3 {
					th.Poll(0, 0)
				}
				if w := map[bool]int{true: 0, false: 3}[first]; runs != w {
					t.Errorf("%d runs, want %d", runs, w)
				}
				actor.Unregister()
				for _, p := range all {
					if p.State() != reactor.PollerUnregistered {
						p.Unregister()
					}
				}
			})
		}
	}
}

func TestPollerRegisteredByAPollerRunsNextRound(t *testing.T) {
	h := reactortest.New(t, 1)
	th := h.Threads[0]
	var j journal
	var p, q *reactor.Poller
	p = th.RegisterPoller("", func(th *reactor.Thread, _ any) reactor.PollerResult {
		j.add("old")
		q = th.RegisterPoller("", j.polls("new", reactor.Idle), nil, 0)
		p.Unregister()
		return reactor.Idle
	}, nil, 0)
	for _, want := range [][]string{{"old"}, {"new"}, {"new"}} {
		th.Poll(0, 0)
		if diff := cmp.Diff(want, j.take()); diff != "" {
			t.Error(diff)
		}
	}
	q.Unregister()
}

func TestPollerAccessors(t *testing.T) {
	h := reactortest.New(t, 2)
	type facts struct {
		Name       string
		ID, Period uint64
		State      string
		Runs, Busy uint64
	}
	of := func(p *reactor.Poller) facts {
		runs, busy := p.Stats()
		return facts{p.Name(), p.ID(), p.PeriodTicks(), p.State().String(), runs, busy}
	}
	th := h.Threads[0]
	n := 0
	half := func(*reactor.Thread, any) reactor.PollerResult { n++; return reactor.PollerResult(n % 2) }
	a := th.RegisterPoller("a", half, nil, 0)
	b := th.RegisterPoller("b", half, nil, time.Millisecond)
	c := th.RegisterPoller("c", half, nil, 1) // one tick
	other := h.Threads[1].RegisterPoller("", half, nil, 0)
	for range 10 {
		th.Poll(0, 0)
	}
	for want, p := range map[facts]*reactor.Poller{
		{"a", 1, 0, "waiting", 10, 5}:         a,
		{"b", 2, 1e6, "waiting", 0, 0}:        b,
		{"c", 3, 1, "waiting", 0, 0}:          c,
		{other.Name(), 1, 0, "waiting", 0, 0}: other,
	} {
		if diff := cmp.Diff(want, of(p)); diff != "" {
			t.Error(diff)
		}
	}
	if other.Name() == "" {
		t.Error("a poller without a name got none")
	}
	for _, p := range []*reactor.Poller{a, b, c, other} {
		p.Unregister()
	}
	if a.State().String() != "unregistered" {
		t.Errorf("state %v", a.State())
	}
}

// TestTimedPollersAgainstModel registers, pauses, resumes and unregisters at random and
// compares what runs with a list that is searched from end to end.
func TestTimedPollersAgainstModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	h := reactortest.NewLeaky(t, 1)
	th := h.Threads[0]
	type model struct {
		p      *reactor.Poller
		name   string
		period uint64
		next   uint64
		order  int // of insertion
		state  reactor.PollerState
	}
	var all []*model
	var j journal
	order := 0
	insert := func(m *model, now uint64) {
		order++
		m.next, m.order = now+m.period, order
	}
	for step := range 20000 {
		now := h.Clock.Ticks()
		var m *model
		if len(all) > 0 {
			m = all[rng.IntN(len(all))]
		}
		switch op := rng.IntN(10); {
		case op < 2 && len(all) < 30:
			m = &model{name: fmt.Sprint(step), period: 1 + rng.Uint64N(50)}
			m.p = th.RegisterPoller(m.name, j.polls(m.name, reactor.Idle), nil, time.Duration(m.period))
			insert(m, now)
			all = append(all, m)
		case op == 2 && m != nil && m.state != reactor.PollerUnregistered:
			m.p.Unregister()
			if m.state == reactor.PollerPaused {
				all = slices.DeleteFunc(all, func(o *model) bool { return o == m })
			}
			m.state = reactor.PollerUnregistered
		case op == 3 && m != nil && m.state != reactor.PollerUnregistered:
			m.p.Pause()
			if m.state == reactor.PollerWaiting {
				m.state = reactor.PollerPausing
			}
		case op == 4 && m != nil && m.state != reactor.PollerUnregistered:
			m.p.Resume()
			if m.state == reactor.PollerPaused {
				insert(m, now)
			}
			m.state = reactor.PollerWaiting
		default:
			h.Advance(time.Duration(rng.IntN(20)))
			now = h.Clock.Ticks()
			var due []*model
			for _, m := range all {
				if m.state != reactor.PollerPaused && m.next <= now {
					due = append(due, m)
				}
			}
			slices.SortFunc(due, func(a, b *model) int {
				if a.next != b.next {
					return int(int64(a.next - b.next))
				}
				return a.order - b.order
			})
			var want []string
			for _, m := range due {
				switch m.state {
				case reactor.PollerWaiting:
					want = append(want, m.name)
					insert(m, now)
				case reactor.PollerPausing:
					m.state = reactor.PollerPaused
				case reactor.PollerUnregistered:
					all = slices.DeleteFunc(all, func(o *model) bool { return o == m })
				}
			}
			th.Poll(0, 0)
			if diff := cmp.Diff(want, j.take()); diff != "" {
				t.Fatalf("seed %d step %d: %s", seed, step, diff)
			}
		}
		for _, m := range all {
			if m.p.State() != m.state {
				t.Fatalf("seed %d step %d: poller %s is %v, want %v", seed, step, m.name, m.p.State(), m.state)
			}
		}
	}
}

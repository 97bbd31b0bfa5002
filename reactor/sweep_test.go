package reactor_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

// TestManyPollersEndInOneRound ends and pauses pollers all over the list at once: the others
// keep their order, and so do those that are paused.
func TestManyPollersEndInOneRound(t *testing.T) {
	h := reactortest.New(t, 1)
	th := h.Threads[0]
	var j journal
	var pollers []*reactor.Poller
	for i := range 10 {
		name := fmt.Sprint(i)
		pollers = append(pollers, th.RegisterPoller(name, j.polls(name, reactor.Idle), nil, 0))
	}
	for _, i := range []int{0, 3, 4, 9} {
		pollers[i].Unregister()
	}
	for _, i := range []int{2, 7} {
		pollers[i].Pause()
	}
	names := func(list []*reactor.Poller) (names []string) {
		for _, p := range list {
			names = append(names, p.Name())
		}
		return names
	}
	for range 2 {
		th.Poll(0, 0)
		if diff := cmp.Diff([]string{"8", "6", "5", "1"}, j.take()); diff != "" {
			t.Errorf("pollers that ran (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"1", "5", "6", "8"}, names(slices.Collect(th.ActivePollers()))); diff != "" {
			t.Errorf("active pollers (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"7", "2"}, names(slices.Collect(th.PausedPollers()))); diff != "" {
			t.Errorf("paused pollers (-want +got):\n%s", diff)
		}
	}
	for _, p := range pollers {
		if p.State() != reactor.PollerUnregistered {
			p.Unregister()
		}
	}
	th.Poll(0, 0)
	if th.HasPollers() {
		t.Error("pollers are left")
	}
}

// TestResumeInTheRoundThatPauses has a poller find out that a later one, which was to be paused
// in this round, is wanted after all.
func TestResumeInTheRoundThatPauses(t *testing.T) {
	h := reactortest.New(t, 1)
	th := h.Threads[0]
	var j journal
	var late *reactor.Poller
	resume := true
	early := th.RegisterPoller("early", func(*reactor.Thread, any) reactor.PollerResult {
		if resume {
			late.Resume()
		}
		return reactor.Idle
	}, nil, 0)
	late = th.RegisterPoller("late", j.polls("late", reactor.Idle), nil, 0) // it has its turn first
	late.Pause()
	for range 3 {
		th.Poll(0, 0)
	}
	if diff := cmp.Diff([]string{"late", "late"}, j.take()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	early.Unregister()
	late.Unregister()
	th.Poll(0, 0)
	if th.HasPollers() {
		t.Error("pollers are left")
	}
}

// BenchmarkPollerTurnover has half of the pollers give way to new ones in every round.
func BenchmarkPollerTurnover(b *testing.B) {
	for _, n := range []int{100, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			h := reactortest.NewLeaky(b, 1)
			th := h.Threads[0]
			var pollers []*reactor.Poller
			for range n {
				pollers = append(pollers, th.RegisterPoller("p", idlePoller, nil, 0))
			}
			b.ReportAllocs()
			next := 0
			for i := range b.N {
				pollers[next].Unregister()
				pollers[next] = th.RegisterPoller("p", idlePoller, nil, 0)
				next = (next + 1) % n
				if i%(n/2) == 0 {
					th.Poll(0, 0)
				}
			}
		})
	}
}

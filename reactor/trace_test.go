package reactor_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

// TestSchedulerIsTraced has a scheduler move a thread once.
func TestSchedulerIsTraced(t *testing.T) {
	for _, on := range []bool{false, true} {
		tr := &reactortest.Tracer{}
		h := reactortest.NewReactors(t, []int{0, 1}, reactor.Options{StallThreshold: -1, Tracer: tr})
		if err := h.Framework.SetScheduler("test"); err != nil {
			t.Fatal(err)
		}
		h.Framework.Scheduler().(*testScheduler).balance = func(_ *reactor.Framework, cores []reactor.CoreInfo) {
			for i := range cores {
				for j := range cores[i].Threads {
					cores[i].Threads[j].Core = 1
				}
			}
		}
		th := h.Thread(reactor.NewCpuset(0, 1))
		if on {
			tr.Enable(reactor.TpointSchedulerPeriodStart, reactor.TpointSchedulerCoreStats,
				reactor.TpointSchedulerThreadStats, reactor.TpointSchedulerMoveThread)
		}
		h.Framework.SetSchedulerPeriod(time.Millisecond)
		h.PollReactors()
		h.Advance(time.Millisecond)
		h.PollReactors()
		type row struct {
			Core  int
			Owner string
			TP    reactor.Tpoint
			Args  [2]uint64
		}
		var got, want []row
		for _, e := range tr.Entries {
			r := row{e.Core, e.Owner, e.Tpoint, [2]uint64{}}
			if e.Tpoint == reactor.TpointSchedulerMoveThread {
				r.Args = [2]uint64(e.Args[:2])
			} else if e.Tpoint == reactor.TpointSchedulerCoreStats && e.Args[1] == 0 {
				t.Errorf("core %d was not idle", e.Core)
			}
			got = append(got, r)
		}
		if on {
			want = []row{
				{0, "", reactor.TpointSchedulerPeriodStart, [2]uint64{}},
				{0, "reactor_0", reactor.TpointSchedulerCoreStats, [2]uint64{}},
				{0, th.Name(), reactor.TpointSchedulerThreadStats, [2]uint64{}},
				{1, "reactor_1", reactor.TpointSchedulerCoreStats, [2]uint64{}},
				{0, th.Name(), reactor.TpointSchedulerMoveThread, [2]uint64{0, 1}},
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("on %v: %s", on, diff)
		}
	}
}

func TestOwnersOfTracesComeAndGo(t *testing.T) {
	tr := &reactortest.Tracer{}
	fw, err := reactor.NewFramework(reactor.Options{Cores: []int{0, 1}, Manual: true, Tracer: tr})
	if err != nil {
		t.Fatal(err)
	}
	th, err := fw.CreateThread("a thread", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := tr.Owners[th.TraceID()]; got != "a thread" || th.Framework().Tracer() != reactor.Tracer(tr) {
		t.Errorf("the thread's number stands for %q", got)
	}
	want := []string{"a thread", "reactor_0", "reactor_1"}
	if diff := cmp.Diff(want, slices.Sorted(maps.Values(tr.Owners))); diff != "" {
		t.Error(diff)
	}
	fw.Stop()
	if len(tr.Owners) > 0 {
		t.Errorf("after the end there are %v", tr.Owners)
	}
}

func TestWithoutTracerNothingIsOn(t *testing.T) {
	h := reactortest.New(t, 1)
	th := h.Threads[0]
	for tp := range reactor.Tpoint(64 * reactor.TraceGroups) {
		if th.Traced(tp) {
			t.Fatalf("tracepoint %d is on", tp)
		}
	}
	th.TraceRecord(reactor.TraceEntry{}) // polled by hand
	h.Framework.Tracer().TraceRecord(0, reactor.TraceEntry{})
	if id := th.TraceID(); id != 0 {
		t.Errorf("owner %d", id)
	}
}

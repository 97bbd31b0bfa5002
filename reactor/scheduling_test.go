package reactor_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

// testScheduler does in Balance what a test wants.
type testScheduler struct {
	balance func(f *reactor.Framework, cores []reactor.CoreInfo)
	rounds  int
}

func (*testScheduler) Name() string                  { return "test" }
func (*testScheduler) Init(*reactor.Framework) error { return nil }
func (*testScheduler) Deinit(*reactor.Framework)     {}
func (*testScheduler) SetOpts(json.RawMessage) error { return nil }
func (*testScheduler) Opts() any                     { return nil }

func (s *testScheduler) Balance(f *reactor.Framework, cores []reactor.CoreInfo) {
	s.rounds++
	if s.balance != nil {
		s.balance(f, cores)
	}
}

// testGovernor does in Init what a test wants.
type testGovernor struct{}

var onGovernorInit func()

func (*testGovernor) Name() string { return "test" }
func (*testGovernor) Init(*reactor.Cpuset) error {
	if onGovernorInit != nil {
		onGovernorInit()
	}
	return nil
}
func (*testGovernor) Deinit()                                                          {}
func (*testGovernor) CoreFreq(int) uint32                                              { return 0 }
func (*testGovernor) CoreAvailFreqs(int) []uint32                                      { return nil }
func (*testGovernor) CoreFreqUp(int) (bool, error)                                     { return false, nil }
func (*testGovernor) CoreFreqDown(int) (bool, error)                                   { return false, nil }
func (*testGovernor) SetCoreFreqMax(int) (bool, error)                                 { return false, nil }
func (*testGovernor) SetCoreFreqMin(int) (bool, error)                                 { return false, nil }
func (*testGovernor) DumpInfo() any                                                    { return nil }
func (*testGovernor) CoreCapabilities(int) (c reactor.GovernorCapabilities, err error) { return }

func init() {
	reactor.RegisterScheduler("test", func() reactor.Scheduler { return &testScheduler{} })
	reactor.RegisterGovernor("test", func() reactor.Governor { return &testGovernor{} })
}

// scheduled returns manual reactors on n cores with a scheduler that does nothing yet.
func scheduled(tb testing.TB, n int) (*reactortest.Reactors, *testScheduler) {
	tb.Helper()
	cores := make([]int, n)
	for i := range cores {
		cores[i] = i
	}
	h := reactortest.NewReactors(tb, cores, reactor.Options{StallThreshold: -1})
	if err := h.Framework.SetScheduler("test"); err != nil {
		tb.Fatal(err)
	}
	return h, h.Framework.Scheduler().(*testScheduler)
}

// TestSchedulerDoesNotSeeWhatIsOnTheMove begins a round while what the one before it decided is
// being done. A thread that is told to leave would be asked for again, and the second wish lost.
func TestSchedulerDoesNotSeeWhatIsOnTheMove(t *testing.T) {
	h, s := scheduled(t, 2)
	th := h.Thread(reactor.NewCpuset(0, 1))
	p := th.RegisterPoller("", func(*reactor.Thread, any) reactor.PollerResult {
		h.Advance(5 * time.Millisecond) // a round of scheduling is due after every round
		return reactor.Idle
	}, nil, 0)
	var seen []int
	s.balance = func(_ *reactor.Framework, cores []reactor.CoreInfo) {
		at := -1
		for i := range cores {
			for j := range cores[i].Threads {
				at = cores[i].Threads[j].Core
				cores[i].Threads[j].Core = 1 - at
			}
		}
		seen = append(seen, at)
	}
	h.Framework.SetSchedulerPeriod(time.Millisecond)
	for len(seen) < 3 {
		for _, r := range h.Reactors {
			r.Poll()
		}
	}
	if diff := cmp.Diff([]int{0, -1, 1}, seen); diff != "" {
		t.Errorf("where the scheduler sees a thread that it moves: %s", diff)
	}
	p.Unregister()
}

func TestSchedulerRunsWhenItsPeriodIsOver(t *testing.T) {
	h, s := scheduled(t, 1)
	h.Advance(time.Second) // so that the reactor has other chores to do when it gets the period
	h.Framework.SetSchedulerPeriod(10 * time.Microsecond)
	for i := range 10 {
		if s.rounds != i {
			t.Fatalf("after %d periods the scheduler ran %d times", i, s.rounds)
		}
		h.PollReactors()
		h.Advance(9 * time.Microsecond)
		h.PollReactors()
		h.Advance(time.Microsecond)
		if s.rounds != i {
			t.Fatalf("the scheduler ran before period %d was over", i)
		}
		h.PollReactors()
	}
}

// TestSchedulerMoveObeysACpumaskThatIsNew has a thread decide where it runs between the
// scheduler's seeing it and what it decided being done.
func TestSchedulerMoveObeysACpumaskThatIsNew(t *testing.T) {
	h, s := scheduled(t, 2)
	h.Thread(reactor.NewCpuset(0))
	th := h.Thread(reactor.NewCpuset(0, 1))
	if th.Reactor() != h.Reactors[1] {
		t.Fatalf("the thread is on core %d", th.Reactor().Core())
	}
	s.balance = func(_ *reactor.Framework, cores []reactor.CoreInfo) { cores[1].Threads[0].Core = 0 }
	h.Framework.SetSchedulerPeriod(time.Millisecond)
	h.PollReactors()
	h.Advance(5 * time.Millisecond)
	h.Reactors[0].Poll() // a round of scheduling is due
	h.Reactors[0].Poll() // which asks this reactor first
	th.SendMsg(func(th *reactor.Thread, _ any) {
		if err := th.SetCpumask(reactor.NewCpuset(1)); err != nil {
			t.Error(err)
		}
	}, nil)
	h.Reactors[1].Poll() // and then this one, before it runs the message
	h.Reactors[0].Poll()
	if s.rounds != 1 {
		t.Fatalf("the scheduler ran %d times", s.rounds)
	}
	h.Framework.SetSchedulerPeriod(0)
	h.PollReactors()
	if core := th.Reactor().Core(); core != 1 {
		t.Errorf("the scheduler moved a thread that may run on core 1 only to core %d", core)
	}
}

func TestSchedulerMovesNoThreadFromOrToAnIsolatedCore(t *testing.T) {
	for name, want := range map[string][]int{"": {1, 2, 0}, "1": {2, 1, 0}, "0,2": {0, 1, 2}, "0-2": {0, 1, 2}} {
		h, s := scheduled(t, 3)
		var threads []*reactor.Thread
		for range 3 {
			threads = append(threads, h.Thread(nil))
		}
		isolated := &reactor.Cpuset{}
		if name != "" {
			var err error
			if isolated, err = reactor.ParseCpuset("[" + name + "]"); err != nil {
				t.Fatal(err)
			}
		}
		if err := h.Framework.SetIsolatedCores(isolated); err != nil {
			t.Fatal(err)
		}
		var told []int
		s.balance = func(_ *reactor.Framework, cores []reactor.CoreInfo) {
			for i := range cores {
				cores[i].Threads[0].Core = (i + 1) % 3
				if name == "1" {
					cores[i].Threads[0].Core = []int{2, 0, 0}[i]
				}
				if cores[i].Isolated {
					told = append(told, cores[i].Core)
				}
			}
		}
		h.Schedule()
		var got []int
		for _, th := range threads {
			got = append(got, th.Reactor().Core())
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("isolated %q: %s", name, diff)
		}
		if want := isolated.CPUs(); !slices.Equal(told, want) {
			t.Errorf("isolated %q: the scheduler was told %v", name, told)
		}
	}
}

func TestFrameworkWithoutReactorsHasNothingToSchedule(t *testing.T) {
	h := reactortest.New(t, 1)
	fw := h.Framework
	if err := fw.SetScheduler("test"); err != nil {
		t.Error(err)
	}
	fw.SetSchedulerPeriod(time.Second)
	if d := fw.SchedulerPeriod(); d != time.Second {
		t.Errorf("period %v", d)
	}
	if core := fw.SchedulingCore(); core != -1 {
		t.Errorf("the scheduler runs on core %d", core)
	}
	h.PollThreads()
	if n := fw.Scheduler().(*testScheduler).rounds; n != 0 {
		t.Errorf("the scheduler ran %d times", n)
	}
}

func TestNoBalanceWhileTheGovernorIsChanged(t *testing.T) {
	h, s := scheduled(t, 2)
	onGovernorInit = func() { h.Schedule() }
	defer func() { onGovernorInit = nil }()
	if err := h.Framework.SetGovernor("test"); err != nil {
		t.Fatal(err)
	}
	if s.rounds != 0 {
		t.Errorf("the scheduler ran %d times while the governor was being changed", s.rounds)
	}
	h.Schedule()
	if s.rounds != 1 {
		t.Errorf("the scheduler ran %d times, 1 was due", s.rounds)
	}
}

// TestStopEndsSchedulerAndGovernor: cores would keep whatever frequency they have.
func TestStopEndsSchedulerAndGovernor(t *testing.T) {
	fw, err := reactor.NewFramework(reactor.Options{Manual: true, Cores: []int{0}})
	if err != nil {
		t.Fatal(err)
	}
	if err := fw.SetScheduler("test"); err != nil {
		t.Fatal(err)
	}
	if err := fw.SetGovernor("test"); err != nil {
		t.Fatal(err)
	}
	fw.Stop()
	if s, g := fw.Scheduler(), fw.Governor(); s != nil || g != nil {
		t.Errorf("after Stop: scheduler %v, governor %v", s, g)
	}
}

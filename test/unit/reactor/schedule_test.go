package reactor_test

import (
	"errors"
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

func TestScheduleThread(t *testing.T) {
	h := reactors(t, 5)
	th := create(t, h.Framework, reactor.NewCpuset(3))
	h.Reactors[3].Poll()
	want(t, "threads of core 3", []uint64{th.ID()}, runs(h.Reactors[3]))
	want(t, "the reactor of the thread", 3, th.Reactor().Core())
	if _, err := h.Framework.CreateThread("", reactor.NewCpuset(5)); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("a thread for a core without reactor: %v", err) // SPDK takes any core then
	}
}

func TestRescheduleThread(t *testing.T) {
	h := reactors(t, 3)
	r := h.Reactors
	th := create(t, h.Framework, reactor.NewCpuset(1))
	r[1].Poll()
	want(t, "threads of core 1", []uint64{th.ID()}, runs(r[1]))
	// The second one counts.
	for _, core := range []int{0, 2} {
		if err := th.SetCpumask(reactor.NewCpuset(core)); err != nil {
			t.Fatal(err)
		}
	}
	want(t, "threads of core 1 until it runs", []uint64{th.ID()}, runs(r[1]))
	r[1].Poll()
	want(t, "threads of core 1", nil, runs(r[1]))
	if r[0].Poll() {
		t.Error("core 0 was sent something")
	}
	want(t, "threads of core 0", nil, runs(r[0]))
	if !r[2].Poll() {
		t.Error("core 2 was sent nothing")
	}
	want(t, "threads of core 2", []uint64{th.ID()}, runs(r[2]))
	if r[1].Poll(); th.Reactor() != r[2] {
		t.Errorf("the thread went on to core %d", th.Reactor().Core())
	}
}

// threads returns a thread on each reactor that may run on any. SPDK's may run there only, which
// its dynamic scheduler does not mind; here a cpumask is obeyed.
func threads(h *reactortest.Reactors) (threads []*reactor.Thread) {
	for range h.Reactors {
		threads = append(threads, h.Thread(nil))
	}
	return threads
}

// runLow has every thread spend 100 ticks idle.
func runLow(t *testing.T, h *reactortest.Reactors, threads []*reactor.Thread) {
	t.Helper()
	for i, th := range threads {
		r := h.Reactors[i]
		r.Poll() // so that the time of the others is behind it
		before, all := th.Stats(), r.Stats()
		runOnce(h, th, reactor.Idle, 100)
		before.IdleTicks += 100
		all.IdleTicks += 100
		want(t, "time of a thread", before, th.Stats())
		want(t, "time of a reactor", all, r.Stats())
		want(t, "last time of a thread", h.Framework.Ticks(), th.LastTicks())
	}
}

// on checks how many threads each reactor has.
func on(t *testing.T, what string, h *reactortest.Reactors, counts ...int) {
	t.Helper()
	var got []int
	for _, r := range h.Reactors {
		got = append(got, len(r.Threads()))
	}
	want(t, what+": threads of each reactor", counts, got)
}

func TestScheduler(t *testing.T) {
	h := reactors(t, 3)
	use(t, h, "dynamic")
	threads := threads(h)
	runLow(t, h, threads)
	h.Schedule()
	on(t, "idle", h, 3, 0, 0)
	for _, th := range threads {
		want(t, "busy time of an idle thread", 0, th.Stats().BusyTicks)
	}
	// The cores have come to be empty only now. In SPDK's test no time passes on them.
	h.Schedule()
	for i, mode := range []reactor.Mode{reactor.ModeHybrid, reactor.ModeInterrupt, reactor.ModeInterrupt} {
		want(t, "mode", mode, h.Reactors[i].Mode())
	}

	r, all := h.Reactors[0], h.Reactors[0].Stats()
	for _, th := range threads {
		before := th.Stats()
		runOnce(h, th, reactor.Busy, 100)
		before.BusyTicks += 100
		want(t, "time of a busy thread", before, th.Stats())
		want(t, "last time of a busy thread", h.Framework.Ticks(), th.LastTicks())
	}
	all.BusyTicks += 300
	want(t, "time of the reactor", all, r.Stats())
	h.Schedule()
	on(t, "busy", h, 1, 1, 1)
	for _, r := range h.Reactors {
		want(t, "mode", reactor.ModeHybrid, r.Mode())
	}
}

func TestBindThread(t *testing.T) {
	h := reactors(t, 3)
	use(t, h, "dynamic")
	threads := threads(h)
	runLow(t, h, threads)
	threads[1].Bind(true)
	if !threads[1].IsBound() || threads[0].IsBound() {
		t.Error("not the thread that is bound says so")
	}
	h.Schedule()
	on(t, "thread 1 is bound", h, 2, 1, 0)
	threads[1].Bind(false)
	h.Schedule()
	on(t, "it is not any more", h, 3, 0, 0)
}

// mockGovernor has a frequency for each core. SPDK's has one for all.
type mockGovernor struct{ freq map[int]int }

const (
	firstFreq = 100
	maxFreq   = 255
)

func init() {
	reactor.RegisterGovernor("mock_governor", func() reactor.Governor { return &mockGovernor{map[int]int{}} })
}

func (g *mockGovernor) set(core, freq int) (changed bool, err error) {
	changed = freq != g.freq[core]
	g.freq[core] = freq
	return changed, nil
}

func (*mockGovernor) Name() string { return "mock_governor" }

func (g *mockGovernor) Init(cores *reactor.Cpuset) error {
	for core := range cores.All() {
		g.freq[core] = firstFreq
	}
	return nil
}

func (g *mockGovernor) CoreFreqUp(core int) (bool, error) {
	return g.set(core, min(g.freq[core]+1, maxFreq))
}

func (g *mockGovernor) CoreFreqDown(core int) (bool, error) {
	return g.set(core, max(g.freq[core]-1, 0))
}

func (g *mockGovernor) Deinit()                               {}
func (g *mockGovernor) CoreAvailFreqs(int) []uint32           { return nil }
func (g *mockGovernor) CoreFreq(core int) uint32              { return uint32(g.freq[core]) }
func (g *mockGovernor) SetCoreFreqMax(core int) (bool, error) { return g.set(core, maxFreq) }
func (g *mockGovernor) SetCoreFreqMin(core int) (bool, error) { return g.set(core, 0) }
func (g *mockGovernor) DumpInfo() any                         { return nil }

func (g *mockGovernor) CoreCapabilities(int) (c reactor.GovernorCapabilities, err error) {
	return c, nil
}

// TestGovernor does not count the events of a scheduling round, which are nobody's business here.
func TestGovernor(t *testing.T) {
	h := reactors(t, 2)
	fw := h.Framework
	use(t, h, "dynamic")
	if err := fw.SetGovernor("mock_governor"); err != nil {
		t.Fatal(err)
	}
	if err := fw.SetGovernor("no_governor"); !errors.Is(err, syscall.EINVAL) || fw.Governor() == nil {
		t.Errorf("a governor that does not exist: %v", err)
	}
	freqs := func(what string, main, other int) {
		t.Helper()
		g := fw.Governor()
		want(t, what+": frequencies", []int{main, other}, []int{int(g.CoreFreq(0)), int(g.CoreFreq(1))})
	}
	thread0 := h.Thread(reactor.NewCpuset(0)) // or it would leave a main core that is full
	thread1 := h.Thread(nil)
	on(t, "at first", h, 1, 1)

	// Both are idle, and come together. The main core needs less than half of its time.
	runOnce(h, thread0, reactor.Idle, 200)
	runOnce(h, thread1, reactor.Idle, 200)
	h.Schedule()
	on(t, "idle", h, 2, 0)
	freqs("idle", firstFreq-1, firstFreq)

	// The first one needs more than half of the time, which is no reason for it to leave.
	runOnce(h, thread0, reactor.Busy, 1000)
	runOnce(h, thread1, reactor.Idle, 100)
	h.Schedule()
	on(t, "first thread busy", h, 2, 0)
	freqs("first thread busy", firstFreq, 0)
	want(t, "mode of an empty core", reactor.ModeInterrupt, h.Reactors[1].Mode())

	// The second one needs so much that it goes to the other core.
	runOnce(h, thread1, reactor.Busy, 2000)
	runOnce(h, thread0, reactor.Idle, 100)
	h.Schedule()
	on(t, "second thread busy", h, 1, 1)
	freqs("second thread busy", maxFreq, maxFreq)
	want(t, "mode of a core with work", reactor.ModeHybrid, h.Reactors[1].Mode())

	if err := fw.SetGovernor(""); err != nil || fw.Governor() != nil {
		t.Errorf("there is still a governor: %v", err)
	}
}

func TestSchedulerSetIsolatedCoreMask(t *testing.T) {
	fw := reactors(t, 3).Framework
	for _, tc := range []struct {
		cores []int
		ok    bool
		then  string
	}{
		{[]int{1, 2}, true, "1-2"},
		{[]int{4}, false, "1-2"},
		{[]int{0, 1, 4}, false, "1-2"},
		{nil, true, ""},
	} {
		err := fw.SetIsolatedCores(reactor.NewCpuset(tc.cores...))
		if (err == nil) != tc.ok || err != nil && !errors.Is(err, syscall.EINVAL) {
			t.Errorf("cores %v: %v", tc.cores, err)
		}
		isolated := fw.IsolatedCores()
		want(t, "isolated cores", tc.then, isolated.List())
	}
}

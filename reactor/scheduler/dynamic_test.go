package scheduler_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/reactor"
)

// sample is a thread that the scheduler is shown.
type sample struct {
	id         uint64
	busy, idle uint64
	mask       *reactor.Cpuset
	bound      bool
}

// show makes up what the scheduler is shown of a core. Time that no thread had is idle too.
func show(number int, idle uint64, threads ...sample) reactor.CoreInfo {
	c := reactor.CoreInfo{Core: number, Current: reactor.ThreadStats{IdleTicks: idle}}
	for _, s := range threads {
		stats := reactor.ThreadStats{BusyTicks: s.busy, IdleTicks: s.idle}
		c.Threads = append(c.Threads, reactor.ThreadInfo{
			ID: s.id, Core: number, First: number, Cpumask: s.mask, Bound: s.bound, Total: stats, Current: stats,
		})
		c.Current.BusyTicks += s.busy
		c.Current.IdleTicks += s.idle
	}
	c.Total = c.Current
	return c
}

func isolated(c reactor.CoreInfo) reactor.CoreInfo { c.Isolated = true; return c }
func asleep(c reactor.CoreInfo) reactor.CoreInfo   { c.InterruptMode = true; return c }

func TestDynamicBalance(t *testing.T) {
	type freqs = map[int]string
	mask := reactor.NewCpuset
	for _, tc := range []struct {
		name  string
		cores []reactor.CoreInfo
		want  string // thread:core ...
		sleep string // cores in interrupt mode
		freq  freqs
	}{{
		name: "idle threads go to the main core, and cores stay awake until theirs have gone",
		cores: []reactor.CoreInfo{
			show(0, 0, sample{id: 1, idle: 100}),
			show(1, 0, sample{id: 2, idle: 100}),
			show(2, 90, sample{id: 3, busy: 10}),
		},
		want: "1:0 2:0 3:0", freq: freqs{0: "down"},
	}, {
		name:  "and cores without threads sleep",
		cores: []reactor.CoreInfo{show(0, 0, sample{id: 1, idle: 100}), show(1, 100), asleep(show(2, 100))},
		want:  "1:0", sleep: "1 2", freq: freqs{0: "down", 1: "min", 2: "min"},
	}, {
		name:  "even the main one",
		cores: []reactor.CoreInfo{show(0, 100), isolated(show(1, 0, sample{id: 1, busy: 100}))},
		want:  "1:1", sleep: "0", freq: freqs{0: "max", 1: "max"},
	}, {
		name: "busy threads of a full core each get one",
		cores: []reactor.CoreInfo{
			show(0, 0, sample{id: 1, busy: 100}, sample{id: 2, busy: 100}, sample{id: 3, busy: 100}),
			asleep(show(1, 300)), asleep(show(2, 300)),
		},
		want: "1:1 2:2 3:0", freq: freqs{0: "max", 1: "max", 2: "max"},
	}, {
		name: "whatever they have in common with a hundred",
		cores: []reactor.CoreInfo{
			show(0, 1, sample{id: 1, busy: 100}, sample{id: 2, busy: 100}, sample{id: 3, busy: 100}),
			asleep(show(1, 301)), asleep(show(2, 301)),
		},
		want: "1:1 2:2 3:0", freq: freqs{0: "max", 1: "max", 2: "max"},
	}, {
		name: "and share the least busy if there are too few",
		cores: []reactor.CoreInfo{
			show(0, 0, sample{id: 1, busy: 100}, sample{id: 2, busy: 100}, sample{id: 3, busy: 100}, sample{id: 4, busy: 100}),
			asleep(show(1, 400)),
		},
		want: "1:1 2:1 3:0 4:0", freq: freqs{0: "max", 1: "max"},
	}, {
		name: "a busy thread goes back to the main core if it fits",
		cores: []reactor.CoreInfo{
			show(0, 0, sample{id: 1, idle: 60, busy: 40}),
			show(1, 0, sample{id: 2, busy: 39, idle: 61}),
		},
		want: "1:0 2:0", freq: freqs{0: "up"},
	}, {
		name: "and not if the core would come to its limit",
		cores: []reactor.CoreInfo{
			show(0, 0, sample{id: 1, idle: 60, busy: 40}),
			show(1, 0, sample{id: 2, busy: 40, idle: 60}),
		},
		want: "1:0 2:1", freq: freqs{0: "max", 1: "max"},
	}, {
		name: "or else to a lower core, never to a higher one",
		cores: []reactor.CoreInfo{
			show(0, 0, sample{id: 1, idle: 30, busy: 70}),
			show(1, 0, sample{id: 2, busy: 30, idle: 70}),
			show(2, 0, sample{id: 3, busy: 30, idle: 70}),
		},
		want: "1:0 2:1 3:1", freq: freqs{0: "max", 1: "max"},
	}, {
		name:  "one thread alone never makes its core full",
		cores: []reactor.CoreInfo{show(0, 0, sample{id: 1, busy: 100}), show(1, 100)},
		want:  "1:0", sleep: "1", freq: freqs{0: "up", 1: "min"},
	}, {
		name: "what a thread leaves on a core that was full is not given to others",
		cores: []reactor.CoreInfo{
			show(0, 0, sample{id: 1, busy: 60}, sample{id: 2, busy: 40}),
			show(1, 0, sample{id: 3, busy: 20, idle: 80}),
		},
		want: "1:1 2:0 3:1", freq: freqs{0: "max", 1: "max"},
	}, {
		name: "but on one that was not it is",
		cores: []reactor.CoreInfo{
			show(0, 15, sample{id: 1, busy: 55, mask: mask(0)}, sample{id: 2, busy: 30}),
			show(1, 0, sample{id: 3, busy: 21, idle: 79}),
		},
		want: "1:0 2:1 3:0", freq: freqs{0: "max", 1: "max"},
	}, {
		name: "a cpumask is obeyed by idle threads",
		cores: []reactor.CoreInfo{
			show(0, 100),
			show(1, 0, sample{id: 1, idle: 100, mask: mask(1, 2)}),
			show(2, 0, sample{id: 2, idle: 100, mask: mask(0, 2)}),
		},
		want: "1:1 2:0", freq: freqs{0: "max", 1: "max"},
	}, {
		name: "and by busy ones",
		cores: []reactor.CoreInfo{
			show(0, 0, sample{id: 1, busy: 100, mask: mask(0)}, sample{id: 2, busy: 100, mask: mask(0, 2)}),
			show(1, 200),
			show(2, 200),
		},
		want: "1:0 2:2", sleep: "1", freq: freqs{0: "max", 1: "min", 2: "max"},
	}, {
		name: "bound threads stay",
		cores: []reactor.CoreInfo{
			show(0, 0, sample{id: 1, busy: 100, bound: true}, sample{id: 2, busy: 100}),
			show(1, 0, sample{id: 3, idle: 200, bound: true}), asleep(show(2, 200)),
		},
		want: "1:0 2:1 3:1", sleep: "2", freq: freqs{0: "max", 1: "max", 2: "min"},
	}, {
		name: "isolated cores neither give nor take",
		cores: []reactor.CoreInfo{
			show(0, 0, sample{id: 1, busy: 100}, sample{id: 2, busy: 100}),
			isolated(show(1, 200)), isolated(show(2, 0, sample{id: 3, idle: 200})), show(3, 200),
		},
		want: "1:3 2:0 3:2", sleep: "1", freq: freqs{0: "max", 1: "min", 2: "max", 3: "max"},
	}, {
		name: "another core gathers if the main one is isolated",
		cores: []reactor.CoreInfo{
			isolated(show(0, 0, sample{id: 1, idle: 100})),
			show(1, 100),
			show(2, 0, sample{id: 2, idle: 100}),
		},
		want: "1:0 2:1", freq: freqs{0: "max", 1: "max"},
	}, {
		name: "or none",
		cores: []reactor.CoreInfo{
			isolated(show(0, 0, sample{id: 1, idle: 100})),
			isolated(show(1, 0, sample{id: 2, busy: 100})),
		},
		want: "1:0 2:1", freq: freqs{0: "max", 1: "max"},
	}, {
		name: "idle threads beside it do not make a thread look busy",
		cores: []reactor.CoreInfo{
			show(0, 0, sample{id: 1, idle: 100}),
			show(1, 0, sample{id: 2, busy: 10, idle: 9}, sample{id: 3, idle: 81}),
		},
		want: "1:0 2:0 3:0", freq: freqs{0: "down"},
	}, {
		name: "cores in no order",
		cores: []reactor.CoreInfo{
			show(7, 0, sample{id: 1, busy: 100}),
			show(0, 0, sample{id: 2, busy: 50}, sample{id: 3, busy: 50}),
			show(4, 100),
		},
		want: "1:7 2:4 3:0", freq: freqs{7: "max", 0: "max", 4: "max"},
	}, {
		name:  "no time has passed",
		cores: []reactor.CoreInfo{show(0, 0, sample{id: 1}), show(1, 0, sample{id: 2})},
		want:  "1:0 2:0", freq: freqs{0: "down"},
	}} {
		t.Run(tc.name, func(t *testing.T) {
			var numbers []int
			for _, c := range tc.cores {
				numbers = append(numbers, c.Core)
			}
			fw := manual(t, "dynamic", numbers...).Framework
			fw.Scheduler().Balance(fw, tc.cores)
			threads := map[uint64]int{}
			var sleep []string
			for _, c := range tc.cores {
				for _, ti := range c.Threads {
					threads[ti.ID] = ti.Core
				}
				if c.InterruptMode {
					sleep = append(sleep, fmt.Sprint(c.Core))
				}
			}
			var got []string
			for id := range uint64(len(threads)) {
				got = append(got, fmt.Sprintf("%d:%d", id+1, threads[id+1]))
			}
			if diff := cmp.Diff(tc.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("threads: %s", diff)
			}
			if diff := cmp.Diff(tc.sleep, strings.Join(sleep, " ")); diff != "" {
				t.Errorf("cores that sleep: %s", diff)
			}
			if diff := cmp.Diff(tc.freq, fw.Governor().(*governor).take()); diff != "" {
				t.Errorf("frequencies: %s", diff)
			}
		})
	}
}

func TestDynamicFollowsTheSchedulingCore(t *testing.T) {
	h := manual(t, "dynamic", 0, 1)
	threads := []*reactor.Thread{h.Thread(nil), h.Thread(nil)}
	for _, core := range []int{1, 0} {
		if err := h.Framework.SetSchedulingCore(core); err != nil {
			t.Fatal(err)
		}
		h.Schedule()
		if diff := cmp.Diff([]int{core, core}, where(threads)); diff != "" {
			t.Errorf("scheduling core %d: %s", core, diff)
		}
	}
}

func TestDynamicRunsEverySecondUnlessToldOtherwise(t *testing.T) {
	h := manual(t, "dynamic", 0, 1)
	fw := h.Framework
	if d := fw.SchedulerPeriod(); d != time.Second {
		t.Errorf("period %v", d)
	}
	threads := []*reactor.Thread{h.Thread(nil), h.Thread(nil)}
	h.PollReactors()
	h.Advance(999 * time.Millisecond)
	h.PollReactors()
	if diff := cmp.Diff([]int{0, 1}, where(threads)); diff != "" {
		t.Errorf("too early: %s", diff)
	}
	h.Advance(2 * time.Millisecond)
	h.PollReactors()
	if diff := cmp.Diff([]int{0, 0}, where(threads)); diff != "" {
		t.Errorf("after a second: %s", diff)
	}
	fw.SetSchedulerPeriod(time.Minute)
	for _, name := range []string{"gscheduler", "dynamic"} {
		use(t, fw, name)
		if d := fw.SchedulerPeriod(); d != time.Minute {
			t.Errorf("%s changed a period that had been set to %v", name, d)
		}
	}
}

func TestDynamicTakesAndLeavesTheGovernor(t *testing.T) {
	h := manual(t, "dynamic", 0)
	fw := h.Framework
	if fw.Governor() == nil {
		t.Fatal("there is no governor")
	}
	use(t, fw, "")
	if fw.Governor() != nil {
		t.Error("the scheduler left its governor behind")
	}
	if err := fw.SetGovernor("test"); err != nil {
		t.Fatal(err)
	}
	mine := fw.Governor()
	for _, name := range []string{"dynamic", "gscheduler", "dynamic", ""} {
		use(t, fw, name)
		if fw.Governor() != mine {
			t.Errorf("scheduler %q has another governor than the one that had been set", name)
		}
	}
	if err := fw.SetGovernor(""); err != nil {
		t.Fatal(err)
	}
	noGovernor = true
	defer func() { noGovernor = false }()
	use(t, fw, "dynamic")
	h.Thread(nil)
	h.Schedule() // goes without
	if fw.Governor() != nil {
		t.Error("there is a governor that could not begin")
	}
}

func TestDynamicGoesOnWhenTheGovernorFails(t *testing.T) {
	h := manual(t, "dynamic", 0, 1, 2)
	h.Framework.Governor().(*governor).fails = true
	threads := []*reactor.Thread{h.Thread(nil), h.Thread(nil), h.Thread(nil)}
	for range 3 {
		h.Schedule()
	}
	if diff := cmp.Diff([]int{0, 0, 0}, where(threads)); diff != "" {
		t.Error(diff)
	}
	sleep := []reactor.Mode{reactor.ModeHybrid, reactor.ModeInterrupt, reactor.ModeInterrupt}
	if diff := cmp.Diff(sleep, modes(h)); diff != "" {
		t.Error(diff)
	}
}

const dynamicDefaults = `{"load_limit":20,"core_limit":80,"core_busy":95}`

func TestDynamicOptions(t *testing.T) {
	for _, tc := range []struct{ opts, want, err string }{
		{opts: ``, want: dynamicDefaults},
		{opts: `null`, want: dynamicDefaults},
		{opts: `{}`, want: dynamicDefaults},
		{opts: `{"load_limit":null}`, want: dynamicDefaults},
		{opts: `{"load_limit":0,"core_limit":100,"core_busy":1}`, want: `{"load_limit":0,"core_limit":100,"core_busy":1}`},
		{opts: `{"core_limit":70}`, want: `{"load_limit":20,"core_limit":70,"core_busy":95}`},
		{opts: `{"load_limit":5,"core_limit":101}`, err: `option "core_limit": 101 is not a percentage`},
		{opts: `{"load_limit":5,"core_busy":-1}`, err: `option "core_busy": -1 is not a percentage`},
		{opts: `{"load_limit":5,"core_busy":"9"}`, err: `option "core_busy"`},
		{opts: `{"load_limit":5,"core_busy":9.5}`, err: `option "core_busy"`},
		{opts: `{"load_limit":5,"period":10}`, err: `unknown option "period", only ["core_busy" "core_limit" "load_limit"]`},
		{opts: `{"Load_Limit":5}`, err: `unknown option "Load_Limit"`},
		{opts: `[5]`, err: `not a JSON object`},
		{opts: `{"load_limit":5`, err: `not a JSON object`},
	} {
		fw := manual(t, "dynamic", 0).Framework
		err := fw.SetSchedulerOpts(json.RawMessage(tc.opts))
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) || !errors.Is(err, syscall.EINVAL) {
				t.Errorf("%s: error is %v, want EINVAL and %q", tc.opts, err, tc.err)
			}
			tc.want = dynamicDefaults
		} else if err != nil {
			t.Errorf("%s: %v", tc.opts, err)
		}
		got, err := json.Marshal(fw.Scheduler().Opts())
		if err != nil || string(got) != tc.want {
			t.Errorf("%s: options are %s, %v, want %s", tc.opts, got, err, tc.want)
		}
	}
}

func TestDynamicUsesItsOptions(t *testing.T) {
	h := manual(t, "dynamic", 0, 1)
	threads := []*reactor.Thread{h.Thread(nil), h.Thread(nil)}
	once(threads[1], busy(h, 30))
	once(threads[1], idle(h, 70))
	if err := h.Framework.SetSchedulerOpts(json.RawMessage(`{"load_limit":50,"core_limit":0}`)); err != nil {
		t.Fatal(err)
	}
	h.Schedule() // a thread of 30 % goes to the main core as an idle one: there is no room for a busy one
	if diff := cmp.Diff([]int{0, 0}, where(threads)); diff != "" {
		t.Error(diff)
	}
	other := manual(t, "dynamic", 0)
	if got, err := json.Marshal(other.Framework.Scheduler().Opts()); string(got) != dynamicDefaults {
		t.Errorf("another framework has these options: %s, %v", got, err)
	}
}

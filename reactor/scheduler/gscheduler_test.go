package scheduler_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/scheduler"
)

// smt makes a machine of CPUs 0 to 7 of which n and n+4 are siblings.
func smt(t *testing.T) {
	t.Helper()
	root := t.TempDir()
	write := func(name, text string) {
		name = filepath.Join(root, "devices/system/cpu", name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("online", "0-7")
	for cpu := range 8 {
		write(fmt.Sprintf("cpu%d/topology/thread_siblings_list", cpu), fmt.Sprintf("%d,%d", cpu%4, cpu%4+4))
	}
	scheduler.FakeSysfs = root
}

func TestGschedulerSetsFrequenciesByLoad(t *testing.T) {
	smt(t)
	for _, tc := range []struct {
		name string
		load map[int]uint64 // percent, by core
		want map[int]string
	}{
		{"nothing", map[int]uint64{0: 0, 1: 1, 2: 49, 3: 50}, map[int]string{0: "min", 1: "down", 2: "down", 3: "up"}},
		{"much", map[int]uint64{0: 51, 1: 98, 2: 99, 3: 100}, map[int]string{0: "up", 1: "up", 2: "max", 3: "max"}},
		{"of a sibling", map[int]uint64{0: 0, 1: 100, 4: 60, 5: 0}, map[int]string{0: "up", 1: "max", 4: "up", 5: "max"}},
		{"of a sibling without reactor", map[int]uint64{6: 0, 3: 10}, map[int]string{6: "min", 3: "down"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var cores []reactor.CoreInfo
			var numbers []int
			for core, load := range tc.load {
				numbers = append(numbers, core)
				cores = append(cores, show(core, 100-load, sample{id: uint64(core), busy: load}))
			}
			fw := manual(t, "gscheduler on a fake machine", numbers...).Framework
			fw.Scheduler().Balance(fw, cores)
			if diff := cmp.Diff(tc.want, fw.Governor().(*governor).take()); diff != "" {
				t.Error(diff)
			}
			for _, c := range cores {
				if c.Threads[0].Core != c.Core || c.InterruptMode {
					t.Errorf("core %d: its thread was moved, or its mode changed", c.Core)
				}
			}
		})
	}
}

func TestGschedulerTakesCoresThatHaveNoTimeForIdle(t *testing.T) {
	fw := manual(t, "gscheduler", 0).Framework
	fw.Scheduler().Balance(fw, []reactor.CoreInfo{{Core: 0}})
	if diff := cmp.Diff(map[int]string{0: "min"}, fw.Governor().(*governor).take()); diff != "" {
		t.Error(diff)
	}
}

func TestGschedulerGoesOnWithoutTopology(t *testing.T) {
	scheduler.FakeSysfs = t.TempDir()
	fw := manual(t, "gscheduler on a fake machine", 0, 4).Framework
	fw.Scheduler().Balance(fw, []reactor.CoreInfo{show(0, 100), show(4, 0, sample{id: 1, busy: 100})})
	if diff := cmp.Diff(map[int]string{0: "min", 4: "max"}, fw.Governor().(*governor).take()); diff != "" {
		t.Error(diff)
	}
}

// TestGschedulerWantsAGovernor also pins that the scheduler that was there goes on.
func TestGschedulerWantsAGovernor(t *testing.T) {
	noGovernor = true
	defer func() { noGovernor = false }()
	h := manual(t, "dynamic", 0, 1)
	fw := h.Framework
	threads := []*reactor.Thread{h.Thread(nil), h.Thread(nil)}
	if err := fw.SetScheduler("gscheduler"); !errors.Is(err, syscall.EPERM) {
		t.Errorf("error is %v, want that of the governor", err)
	}
	if name := fw.Scheduler().Name(); name != "dynamic" {
		t.Errorf("the scheduler is %s", name)
	}
	h.Schedule()
	if diff := cmp.Diff([]int{0, 0}, where(threads)); diff != "" {
		t.Error(diff)
	}
}

// TestGschedulerFollowsDynamic pins what crashed in SPDK's issues 3388 and 3550: the schedulers
// change while the governor comes and goes.
func TestGschedulerFollowsDynamic(t *testing.T) {
	h := manual(t, "dynamic", 0, 1)
	h.Thread(nil)
	for range 3 {
		for _, name := range []string{"gscheduler", "dynamic", "gscheduler", ""} {
			use(t, h.Framework, name)
			h.Schedule()
		}
	}
	use(t, h.Framework, "gscheduler")
	if err := h.Framework.SetGovernor(""); err != nil {
		t.Fatal(err)
	}
	h.Schedule()
}

func TestGschedulerHasNoOptions(t *testing.T) {
	fw := manual(t, "gscheduler", 0).Framework
	for opts, ok := range map[string]bool{``: true, `{}`: true, `{"load_limit":1}`: false, `1`: false} {
		if err := fw.SetSchedulerOpts(json.RawMessage(opts)); (err == nil) != ok {
			t.Errorf("options %q: %v", opts, err)
		}
	}
	if got, err := json.Marshal(fw.Scheduler().Opts()); string(got) != "{}" {
		t.Errorf("options are %s, %v", got, err)
	}
}

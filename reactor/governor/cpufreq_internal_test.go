package governor

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/reactor"
)

// machine is a fake sysfs and the kernel behind it.
type machine struct {
	t    *testing.T
	root string

	mu   sync.Mutex
	fail map[string]error // of writing to a file
	gate chan struct{}    // if not nil, each write takes one first
	log  []string         // what was written
}

const cpus = "devices/system/cpu/"

// acpi returns the files of a CPU whose driver names frequencies.
func acpi(cpu int, more map[string]string) map[string]string {
	f := map[string]string{
		"topology/thread_siblings_list":         fmt.Sprint(cpu),
		"cpufreq/scaling_driver":                "acpi-cpufreq",
		"cpufreq/scaling_governor":              "schedutil",
		"cpufreq/affected_cpus":                 fmt.Sprint(cpu),
		"cpufreq/cpuinfo_min_freq":              "1000000",
		"cpufreq/cpuinfo_max_freq":              "3000000",
		"cpufreq/scaling_min_freq":              "1000000",
		"cpufreq/scaling_max_freq":              "2000000",
		"cpufreq/scaling_available_frequencies": "3000000 2000000 1000000 ",
	}
	maps.Copy(f, more)
	return f
}

// pstate returns the files of a CPU whose driver takes any frequency.
func pstate(cpu int, driver, base string) map[string]string {
	f := acpi(cpu, map[string]string{"cpufreq/scaling_driver": driver, "cpufreq/base_frequency": base})
	delete(f, "cpufreq/scaling_available_frequencies")
	delete(f, "cpufreq/affected_cpus")
	return f
}

func newMachine(t *testing.T, files ...map[string]string) *machine {
	t.Helper()
	m := &machine{t: t, root: t.TempDir(), fail: map[string]error{}}
	m.put(cpus+"online", fmt.Sprintf("0-%d", len(files)-1))
	for cpu, files := range files {
		for name, text := range files {
			m.put(fmt.Sprintf("%scpu%d/%s", cpus, cpu, name), text)
		}
	}
	return m
}

func (m *machine) put(name, text string) {
	m.t.Helper()
	name = filepath.Join(m.root, name)
	err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text+"\n"), 0o644))
	if err != nil {
		m.t.Fatal(err)
	}
}

// limits returns what a CPU is limited to, "1000000-2000000".
func (m *machine) limits(cpu int) string {
	m.t.Helper()
	dir := filepath.Join(m.root, fmt.Sprintf("%scpu%d/cpufreq", cpus, cpu))
	l, err := readLimits(dir, "scaling_min_freq", "scaling_max_freq")
	if err != nil {
		m.t.Fatal(err)
	}
	return fmt.Sprintf("%d-%d", l.low, l.high)
}

// governor returns one whose writes go through the fake kernel.
func (m *machine) governor() *CPUFreq {
	g := New(m.root)
	g.fs.write = m.write
	m.t.Cleanup(g.Deinit)
	return g
}

// write refuses a lower limit above the upper one, as kernels do, and what the test wants.
func (m *machine) write(name string, kHz uint32) error {
	if m.gate != nil {
		<-m.gate
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	short, _ := filepath.Rel(filepath.Join(m.root, cpus), name)
	if err := m.fail[short]; err != nil {
		return err
	}
	l, err := readLimits(filepath.Dir(name), "scaling_min_freq", "scaling_max_freq")
	if err != nil {
		return err
	}
	switch filepath.Base(name) {
	case "scaling_min_freq":
		l.low = kHz
	case "scaling_max_freq":
		l.high = kHz
	default:
		m.t.Errorf("a write to %s", short)
	}
	if l.low > l.high {
		m.t.Errorf("%s becomes %d: limits %d-%d", short, kHz, l.low, l.high)
		return unix.EINVAL
	}
	if err := writeNumber(name, kHz); err != nil {
		return err
	}
	m.log = append(m.log, fmt.Sprintf("%s=%d", short, kHz))
	return nil
}

// eventually waits for what the governor's goroutine does.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); !ok(); time.Sleep(50 * time.Microsecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

// settles waits until CoreFreq is what it should become.
func settles(t *testing.T, g *CPUFreq, core int, want uint32) {
	t.Helper()
	eventually(t, fmt.Sprintf("CPU %d at %d kHz", core, want), func() bool { return g.CoreFreq(core) == want })
}

func mustInit(t *testing.T, g *CPUFreq, cores ...int) {
	t.Helper()
	if err := g.Init(reactor.NewCpuset(cores...)); err != nil {
		t.Fatal(err)
	}
}

// changes checks the answer of a call that changes something.
func changes(t *testing.T, fn func(int) (bool, error), core int, want bool) {
	t.Helper()
	if changed, err := fn(core); changed != want || err != nil {
		t.Fatalf("changed %v, %v, want %v", changed, err, want)
	}
}

func TestCPUFreqSteps(t *testing.T) {
	m := newMachine(t, acpi(0, nil), acpi(1, nil))
	g := m.governor()
	if g.CoreFreq(0) != 0 || g.CoreAvailFreqs(0) != nil {
		t.Error("it governs before Init")
	}
	mustInit(t, g, 0, 1)
	if diff := cmp.Diff([]uint32{3000000, 2000000, 1000000}, g.CoreAvailFreqs(0)); diff != "" {
		t.Error(diff)
	}
	if g.CoreFreq(0) != 3000000 || m.limits(0) != "3000000-3000000" {
		t.Errorf("CPU 0 begins at %d, limits %s", g.CoreFreq(0), m.limits(0))
	}
	changes(t, g.CoreFreqUp, 0, false)
	changes(t, g.SetCoreFreqMax, 0, false)
	changes(t, g.CoreFreqDown, 0, true)
	settles(t, g, 0, 2000000)
	changes(t, g.CoreFreqDown, 0, true)
	settles(t, g, 0, 1000000)
	changes(t, g.CoreFreqDown, 0, false)
	changes(t, g.SetCoreFreqMin, 0, false)
	changes(t, g.CoreFreqUp, 0, true)
	settles(t, g, 0, 2000000)
	changes(t, g.SetCoreFreqMax, 0, true)
	settles(t, g, 0, 3000000)
	changes(t, g.SetCoreFreqMin, 0, true)
	settles(t, g, 0, 1000000)
	if m.limits(0) != "1000000-1000000" || m.limits(1) != "3000000-3000000" || g.CoreFreq(1) != 3000000 {
		t.Errorf("limits %s and %s", m.limits(0), m.limits(1))
	}
	if err := g.Init(reactor.NewCpuset(0)); !errors.Is(err, unix.EBUSY) {
		t.Errorf("a second Init: %v", err)
	}
	g.Deinit()
	if m.limits(0) != "1000000-2000000" || m.limits(1) != "1000000-2000000" {
		t.Errorf("limits in the end are %s and %s", m.limits(0), m.limits(1))
	}
	if _, err := g.CoreFreqUp(0); !errors.Is(err, unix.EINVAL) {
		t.Errorf("after the end: %v", err)
	}
	g.Deinit()
	mustInit(t, g, 0)
	if _, err := g.CoreFreqDown(1); !errors.Is(err, unix.EINVAL) {
		t.Errorf("a core that is not governed: %v", err)
	}
	if _, err := g.CoreCapabilities(1); !errors.Is(err, unix.EINVAL) {
		t.Errorf("a core that is not governed: %v", err)
	}
}

func TestCPUFreqFrequencies(t *testing.T) {
	many := func(high, low, step int) (f []uint32) {
		for ; high > low; high -= step {
			f = append(f, uint32(high))
		}
		return append(f, uint32(low))
	}
	for _, tc := range []struct {
		name  string
		files map[string]string
		want  []uint32
	}{
		{"unordered and twice", acpi(0, map[string]string{
			"cpufreq/scaling_available_frequencies": "1500000 3000000 1500000 1000000"}),
			[]uint32{3000000, 1500000, 1000000}},
		{"boost is on", acpi(0, map[string]string{
			"cpufreq/cpuinfo_max_freq": "3500000", "cpufreq/scaling_boost_frequencies": "3500000 "}),
			[]uint32{3500000, 3000000, 2000000, 1000000}},
		{"boost is off", acpi(0, map[string]string{"cpufreq/scaling_boost_frequencies": "3500000 "}),
			[]uint32{3000000, 2000000, 1000000}},
		{"no list", pstate(0, "intel_pstate", "0"), many(3000000, 1000000, 100000)},
		{"an empty list", acpi(0, map[string]string{"cpufreq/scaling_available_frequencies": " "}),
			many(3000000, 1000000, 100000)},
		{"no list, odd limits", func() map[string]string {
			f := pstate(0, "intel_pstate", "0")
			f["cpufreq/cpuinfo_min_freq"] = "2750001"
			return f
		}(), []uint32{3000000, 2900000, 2800000, 2750001}},
		{"no list, 64 fit", func() map[string]string {
			f := pstate(0, "intel_pstate", "0")
			f["cpufreq/cpuinfo_min_freq"], f["cpufreq/cpuinfo_max_freq"] = "1", "6300000"
			return f
		}(), many(6300000, 1, 100000)},
		{"no list, a wide range", func() map[string]string {
			f := pstate(0, "intel_pstate", "0")
			f["cpufreq/cpuinfo_min_freq"], f["cpufreq/cpuinfo_max_freq"] = "0", "6300000"
			return f
		}(), many(6300000, 0, 100001)},
		{"one frequency", func() map[string]string {
			f := pstate(0, "cppc_cpufreq", "0")
			f["cpufreq/cpuinfo_min_freq"] = "3000000"
			return f
		}(), []uint32{3000000}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := newMachine(t, tc.files).governor()
			mustInit(t, g, 0)
			if diff := cmp.Diff(tc.want, g.CoreAvailFreqs(0)); diff != "" {
				t.Error(diff)
			}
			if len(tc.want) > maxFreqs {
				t.Errorf("%d frequencies", len(tc.want))
			}
			changes(t, g.SetCoreFreqMin, 0, len(tc.want) > 1)
			settles(t, g, 0, tc.want[len(tc.want)-1])
		})
	}
}

// TestCPUFreqReactorDoesNotWait has the kernel take its time: callers go on, and of all they
// wanted only the last is done.
func TestCPUFreqReactorDoesNotWait(t *testing.T) {
	m := newMachine(t, pstate(0, "amd-pstate-epp", "0"))
	g := m.governor()
	mustInit(t, g, 0)
	g.Deinit()
	m.gate = make(chan struct{}, 1000)
	for range 2 { // for Init
		m.gate <- struct{}{}
	}
	mustInit(t, g, 0)
	for range 19 {
		changes(t, g.CoreFreqDown, 0, true)
	}
	if g.CoreFreq(0) != 3000000 {
		t.Errorf("%d before the kernel said so", g.CoreFreq(0))
	}
	changes(t, g.SetCoreFreqMax, 0, true)
	changes(t, g.CoreFreqDown, 0, true)
	for range 100 {
		m.gate <- struct{}{}
	}
	settles(t, g, 0, 2900000)
	m.mu.Lock()
	writes := len(m.log)
	m.mu.Unlock()
	// Init, Deinit, Init, what was wanted when the goroutine first looked, and the last
	if writes > 2*5 {
		t.Errorf("%d writes: %v", writes, m.log)
	}
}

// TestCPUFreqShared has two CPUs that have one frequency: it is the higher that is wanted.
func TestCPUFreqShared(t *testing.T) {
	both := map[string]string{"cpufreq/affected_cpus": "0 1"}
	m := newMachine(t, acpi(0, both), acpi(1, both), acpi(2, nil))
	g := m.governor()
	err := g.Init(reactor.NewCpuset(0, 2))
	if !errors.Is(err, unix.EINVAL) || !strings.Contains(err.Error(), "CPUs 1 share") {
		t.Errorf("without CPU 1: %v", err)
	}
	if m.log != nil {
		t.Errorf("written: %v", m.log)
	}
	mustInit(t, g, 0, 1, 2)
	changes(t, g.SetCoreFreqMin, 0, true)
	changes(t, g.CoreFreqDown, 1, true)
	settles(t, g, 0, 2000000)
	if g.CoreFreq(1) != 2000000 || g.CoreFreq(2) != 3000000 {
		t.Errorf("CPU 1 at %d, CPU 2 at %d", g.CoreFreq(1), g.CoreFreq(2))
	}
	changes(t, g.CoreFreqDown, 1, true)
	settles(t, g, 1, 1000000)
	changes(t, g.SetCoreFreqMax, 0, true)
	settles(t, g, 1, 3000000)
}

// TestCPUFreqWriteFails checks that the next change says so, once, and starts from what is.
func TestCPUFreqWriteFails(t *testing.T) {
	for _, file := range []string{"cpu0/cpufreq/scaling_min_freq", "cpu0/cpufreq/scaling_max_freq"} {
		m := newMachine(t, acpi(0, nil))
		g := m.governor()
		mustInit(t, g, 0)
		m.mu.Lock()
		m.fail[file] = unix.EIO
		m.mu.Unlock()
		changes(t, g.SetCoreFreqMin, 0, true)
		want := &g.state.Load().cores[0].want
		eventually(t, "it no longer wants what failed", func() bool { return want.Load() == 0 })
		if changed, err := g.SetCoreFreqMin(0); changed || !errors.Is(err, unix.EIO) {
			t.Fatalf("changed %v, %v", changed, err)
		}
		m.mu.Lock()
		clear(m.fail)
		m.mu.Unlock()
		changes(t, g.CoreFreqUp, 0, false)
		changes(t, g.CoreFreqDown, 0, true)
		settles(t, g, 0, 2000000)
		if m.limits(0) != "2000000-2000000" {
			t.Errorf("%s fails: limits %s", file, m.limits(0))
		}
		g.Deinit()
		if m.limits(0) != "1000000-2000000" {
			t.Errorf("%s fails: limits in the end %s", file, m.limits(0))
		}
	}
}

func TestCPUFreqInitRefusals(t *testing.T) {
	bare := map[string]string{"topology/thread_siblings_list": "0"}
	silent := acpi(0, nil)
	delete(silent, "topology/thread_siblings_list")
	sibling := func(cpu int) map[string]string {
		return acpi(cpu, map[string]string{"topology/thread_siblings_list": "0-1"})
	}
	for _, tc := range []struct {
		name  string
		files []map[string]string
		cores []int
		fail  string
		errno unix.Errno
		says  string
	}{
		{"no cpufreq", []map[string]string{bare}, []int{0}, "", unix.ENOTSUP, "no frequency scaling"},
		{"half a core", []map[string]string{sibling(0), sibling(1)}, []int{1}, "", unix.EINVAL, "CPUs 0 are SMT siblings"},
		{"siblings unknown", []map[string]string{silent}, []int{0}, "", unix.ENOTSUP, "does not say"},
		{"may not write", []map[string]string{acpi(0, nil), acpi(1, nil)}, []int{0, 1}, "cpu1/cpufreq/scaling_min_freq",
			unix.EACCES, "run as root"},
		{"the second has none", []map[string]string{acpi(0, nil), {"topology/thread_siblings_list": "1"}}, []int{0, 1}, "",
			unix.ENOTSUP, "CPU 1"},
		{"nonsense", []map[string]string{acpi(0, map[string]string{"cpufreq/cpuinfo_max_freq": "fast"})}, []int{0}, "",
			0, "fast"},
		{"nonsense in the list", []map[string]string{acpi(0, map[string]string{
			"cpufreq/scaling_available_frequencies": "1000000 -1"})}, []int{0}, "", 0, `"-1"`},
	} {
		m := newMachine(t, tc.files...)
		m.fail[tc.fail] = unix.EACCES
		g := m.governor()
		err := g.Init(reactor.NewCpuset(tc.cores...))
		if err == nil || tc.errno != 0 && !errors.Is(err, tc.errno) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, want %v saying %q", tc.name, err, tc.errno, tc.says)
		}
		if _, err := os.Stat(filepath.Join(m.root, cpus, "cpu0/cpufreq")); err == nil && m.limits(0) != "1000000-2000000" {
			t.Errorf("%s: limits %s", tc.name, m.limits(0))
		}
		if _, err := g.CoreFreqUp(0); !errors.Is(err, unix.EINVAL) {
			t.Errorf("%s: it governs: %v", tc.name, err)
		}
	}
	m := newMachine(t, sibling(0), sibling(1))
	mustInit(t, m.governor(), 0, 1)
}

// TestCPUFreqFiles writes to the files itself. They must be there already.
func TestCPUFreqFiles(t *testing.T) {
	m := newMachine(t, acpi(0, nil))
	g := New(m.root)
	mustInit(t, g, 0)
	changes(t, g.SetCoreFreqMin, 0, true)
	settles(t, g, 0, 1000000)
	g.Deinit()
	if m.limits(0) != "1000000-2000000" {
		t.Errorf("limits %s", m.limits(0))
	}
	if err := writeNumber(filepath.Join(m.root, "new"), 1); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a new file: %v", err)
	}
}

func TestCPUFreqInfo(t *testing.T) {
	for driver, env := range map[string]string{
		"acpi-cpufreq": "acpi-cpufreq", "intel_pstate": "intel-pstate", "intel_cpufreq": "intel-pstate",
		"amd-pstate": "amd-pstate", "amd-pstate-epp": "amd-pstate", "cppc_cpufreq": "cppc-cpufreq",
		"cpufreq-dt": "cpufreq-dt", "": "unknown",
	} {
		m := newMachine(t, pstate(0, driver, "2000000"), pstate(1, driver, "2100000"), pstate(2, driver, "unreadable"))
		g := m.governor()
		if g.DumpInfo() != (Info{}) {
			t.Errorf("before Init: %v", g.DumpInfo())
		}
		mustInit(t, g, 0, 1, 2)
		text, err := json.Marshal(g.DumpInfo())
		want := fmt.Sprintf(`{"env":%q,"scaling_driver":%q,"scaling_governor":"schedutil"}`, env, driver)
		if string(text) != want || err != nil {
			t.Errorf("%s, %v, want %s", text, err, want)
		}
		for cpu, priority := range []bool{false, true, false} {
			if caps, err := g.CoreCapabilities(cpu); caps.Priority != priority || err != nil {
				t.Errorf("CPU %d: %+v, %v", cpu, caps, err)
			}
		}
	}
}

func TestCPUFreqIsRegistered(t *testing.T) {
	if !slices.Contains(reactor.GovernorNames(), Name) {
		t.Fatalf("known are %v", reactor.GovernorNames())
	}
	g, err := reactor.NewGovernor(Name)
	if err != nil || g.Name() != Name {
		t.Errorf("%v, %v", g, err)
	}
}

func TestCPUFreqChangesAllocateNothing(t *testing.T) {
	m := newMachine(t, acpi(0, nil))
	g := m.governor()
	mustInit(t, g, 0)
	m.gate = make(chan struct{}) // so that only the caller's allocations count
	changes(t, g.SetCoreFreqMin, 0, true)
	n := testing.AllocsPerRun(1000, func() {
		changes(t, g.SetCoreFreqMax, 0, true)
		changes(t, g.SetCoreFreqMin, 0, true)
		if g.CoreFreq(0) == 0 {
			t.Error("no frequency")
		}
	})
	close(m.gate)
	if n != 0 {
		t.Errorf("two changes allocate %v objects", n)
	}
}

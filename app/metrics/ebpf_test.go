package metrics

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/app/ebpf"
	"github.com/spdk-go/spdk-go/internal/ebpfmon"
	"github.com/spdk-go/spdk-go/reactor"
)

func TestConvertKernel(t *testing.T) {
	h := ebpf.Histogram{Sum: 2_500_000_000, Max: 2_000_000_000}
	h.Buckets[0], h.Buckets[3], h.Buckets[ebpf.Buckets-1] = 5, 7, 2
	n, sum, buckets := convertKernel(&h)
	if n != 14 || sum != 2.5 || len(buckets) != ebpf.Buckets-1 {
		t.Errorf("%d durations of %v s in %d buckets", n, sum, len(buckets))
	}
	for bound, want := range map[float64]uint64{512e-9: 5, 2048e-9: 5, 4096e-9: 12, float64(512<<30) / 1e9: 12} {
		if got, ok := buckets[bound]; !ok || got != want {
			t.Errorf("%d below %v s, want %d", got, bound, want)
		}
	}
}

// TestStolenByName adds up processes of one name, and the kernel's threads of one kind.
func TestStolenByName(t *testing.T) {
	var s stolen
	s.begin(time.Unix(1, 0))
	got := s.from(0, []ebpf.Taker{
		{PID: 7, Comm: "sh", NS: 10}, {PID: 8, Comm: "sh", NS: 20}, {PID: 0, Comm: "swapper/0", NS: 3},
		{PID: 9, Comm: "kworker/0:1", NS: 4}, {PID: 10, Comm: "kworker/0:2H", NS: 5}, {PID: 11, Comm: "/x", NS: 6},
	}, 100)
	want := map[string]uint64{"sh": 30, "swapper": 3, "kworker": 9, "/x": 6, otherThieves: 100}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := s.from(1, nil, 0); len(got) != 1 {
		t.Errorf("another core: %v", got)
	}
	s.begin(time.Unix(1, 0))
	if got := s.from(0, []ebpf.Taker{{PID: 7, Comm: "sh", NS: 15}}, 142); got["sh"] != 35 {
		t.Errorf("later: %v", got)
	}
	s.begin(time.Unix(2, 0))
	if got := s.from(0, []ebpf.Taker{{PID: 7, Comm: "sh", NS: 1}}, 0); got["sh"] != 1 || got[otherThieves] != 0 {
		t.Errorf("after another start: %v", got)
	}
}

// TestStolenOnlyGrows has a table like the kernel's, too small for all processes, forget some of them again and again.
// No counter shrinks while it is there, all together are what was stolen, and their number is bounded.
func TestStolenOnlyGrows(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	var s stolen
	s.begin(time.Unix(1, 0))
	table, other, total := map[uint32]uint64{}, uint64(0), uint64(0)
	last := map[string]uint64{}
	for range 2000 {
		for range rnd.IntN(50) {
			pid, ns := uint32(rnd.IntN(60)), rnd.Uint64N(1000)
			if _, known := table[pid]; !known && len(table) == 32 {
				for victim, had := range table {
					other += had
					delete(table, victim)
					break
				}
			}
			table[pid] += ns
			total += ns
		}
		var takers []ebpf.Taker
		for pid, ns := range table {
			takers = append(takers, ebpf.Taker{PID: pid, Comm: fmt.Sprint("p", pid%30), NS: ns})
		}
		got, sum := s.from(3, takers, other), uint64(0)
		for name, ns := range got {
			sum += ns
			if was, there := last[name]; there && ns < was {
				t.Fatalf("%s had %d, and has %d", name, was, ns)
			}
		}
		if sum != total || len(got) > maxThieves+1 {
			t.Fatalf("%d of %d ns, %d names", sum, total, len(got))
		}
		last = got
	}
}

// skipReason is what a machine lacks, so that it cannot run a test.
type skipReason string

const notPermitted skipReason = "the kernel, or who runs the tests, does not permit programs in it"

// skip gives up on a test for a reason, and fails it where root has no need to.
func skip(t testing.TB, reason skipReason, err error) {
	t.Helper()
	if os.Getenv("CI") != "" && os.Geteuid() == 0 {
		t.Fatalf("%s: %v", reason, err)
	}
	t.Skipf("%s: %v", reason, err)
}

// TestEBPF has the kernel's programs run, fail to, and end: there is nothing about them before and after.
func TestEBPF(t *testing.T) {
	// Pinned, unlike others here: the kernel knows threads, and a reactor has one of its own only if it is.
	a, err := app.New(app.Options{DisableCPUMaskLocks: true, DisableSignalHandlers: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(func(*reactor.Thread, *app.App) error { return nil }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		a.Stop(nil)
		if err := a.Wait(); err != nil {
			t.Error(err)
		}
	})
	r := &rig{t: t, a: a, m: Of(a)}
	addr := r.serve("127.0.0.1:0")
	m := ebpf.Of(a)
	none := func(when string) {
		t.Helper()
		for key := range r.scrape(addr) {
			for d := range unasked {
				if strings.HasPrefix(key, d.name) {
					t.Errorf("%s there is %s", when, key)
				}
			}
		}
	}
	none("before the start")
	if err := m.Start(nil); err != nil {
		var why *ebpfmon.Error
		if errors.As(err, &why) && why.Machine() {
			if got := r.scrape(addr).value(t, `spdk_ebpf_enabled{}`); got != 0 {
				t.Errorf("it cannot be had: %v", got)
			}
			skip(t, notPermitted, err)
		}
		t.Fatal(err)
	}
	core := strconv.Itoa(a.Cores()[0])
	key := func(what, kind string) string {
		return fmt.Sprintf(`spdk_reactor_off_cpu_seconds_%s{core="%s",kind="%s"}`, what, core, kind)
	}
	before, s := r.scrape(addr), samples{}
	eventually(t, "the reactor does not sleep, or never waits for its CPU", func() bool {
		s = r.scrape(addr) // which wakes it
		grown := func(key string) bool { return s.value(t, key) > before.value(t, key) }
		return grown(key("count", "voluntary")) && grown(key("sum", "voluntary")) && grown(key("sum", "runqueue"))
	})
	if got := s.value(t, `spdk_ebpf_enabled{}`); got != 1 {
		t.Errorf("enabled: %v", got)
	}
	taken, off := 0.0, s.value(t, key("sum", "preempted"))+s.value(t, key("sum", "runqueue"))
	for key, v := range s {
		if strings.HasPrefix(key, `spdk_reactor_stolen_seconds_total{`) {
			taken += v
		}
	}
	// Not always the same: what somebody takes counts before the reactor is back. The thief of app/ebpf is exact.
	if taken <= 0 || off <= 0 {
		t.Errorf("%v s were taken, the reactor waited for %v s", taken, off)
	}
	if err := m.Stop(); err != nil {
		t.Fatal(err)
	}
	none("after the end")
	m.Refuse(errors.New("it is Sunday"))
	if got := r.scrape(addr).value(t, `spdk_ebpf_enabled{}`); got != 0 {
		t.Errorf("after a start that has failed: %v", got)
	}
}

// collect is a collector that describes nothing before.
type collect func(out sink)

func (collect) Describe(chan<- *prometheus.Desc)      {}
func (c collect) Collect(ch chan<- prometheus.Metric) { c(ch) }

// TestEBPFMetrics writes a mount's and a reactor's, which have the same names for the same things.
func TestEBPFMetrics(t *testing.T) {
	found := ebpf.Stats{Enabled: true, Since: time.Unix(1, 0)}
	found.Reactors = []ebpf.Reactor{{Core: 2, Reactor: ebpfmon.Reactor{
		Preempted: ebpf.Histogram{Sum: 1e9}, Runqueue: ebpf.Histogram{Sum: 2e9}, Voluntary: ebpf.Histogram{Sum: 3e9},
		Takers: []ebpf.Taker{{PID: 5, Comm: "thief", NS: 3e9}},
	}}}
	times := ebpfmon.Times{
		Queue: ebpf.Histogram{Sum: 4e9}, Service: ebpf.Histogram{Sum: 5e9}, Reply: ebpf.Histogram{Sum: 6e9}, Unserved: 7,
	}
	found.Mounts = []ebpf.Mount{{Dir: "/m", Connection: ebpfmon.Connection{
		Opcodes: []ebpf.Opcode{{Opcode: 1, Times: times}, {Opcode: 3, Times: times}},
	}}}
	reg := prometheus.NewRegistry()
	reg.MustRegister(collect(func(out sink) { out.ebpf(&found, &stolen{}) }))
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			key := strings.TrimPrefix(f.GetName(), "spdk_")
			for _, l := range m.GetLabel() {
				key += " " + l.GetValue()
			}
			got[key] = m.GetGauge().GetValue() + m.GetCounter().GetValue() + m.GetHistogram().GetSampleSum()
		}
	}
	want := map[string]float64{
		"ebpf_enabled":                             1,
		"reactor_off_cpu_seconds 2 preempted":      1,
		"reactor_off_cpu_seconds 2 runqueue":       2,
		"reactor_off_cpu_seconds 2 voluntary":      3,
		"reactor_stolen_seconds_total thief 2":     3,
		"reactor_stolen_seconds_total (other) 2":   0,
		"fuse_request_duration_seconds /m queue":   8,
		"fuse_request_duration_seconds /m service": 10,
		"fuse_request_duration_seconds /m reply":   12,
		"fuse_unserved_requests_total /m":          14,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

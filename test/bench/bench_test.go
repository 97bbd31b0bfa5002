package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/app"
)

// TestNames keeps the names that readers of bench.json look for.
func TestNames(t *testing.T) {
	want := []string{
		"pool_get_put", "pool_bulk_32", "msg_self", "msg_self_qd1", "msg_pingpong_rtt", "msg_oneway",
		"event_perf_1core", "event_perf_2cores", "reactor_perf_qd1", "reactor_perf_qd32",
		"channel_get_put", "foreach_1", "foreach_65_one_core", "foreach_2_cores", "poller_loop_1", "poller_loop_1000_each",
		"dispatch_null_getattr_qd1", "dispatch_null_lookup_qd1", "dispatch_null_read4k_qd1", "dispatch_null_write4k_qd1",
		"dispatch_null_getattr_qd32", "dispatch_null_lookup_qd32",
		"dispatch_null_read4k_qd32", "dispatch_null_write4k_qd32",
	}
	var got []string
	for _, b := range benchmarks {
		got = append(got, b.name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

// TestEachRuns runs every benchmark that the machine has CPUs for, shortly.
func TestEachRuns(t *testing.T) {
	allowed, err := app.AllowedCPUs()
	if err != nil {
		t.Fatal(err)
	}
	cpus := allowed.CPUs()
	for i := range benchmarks {
		b := &benchmarks[i]
		if b.cores > len(cpus) {
			t.Logf("%s needs %d CPUs", b.name, b.cores)
			continue
		}
		s := series{benchmark: b, cores: cpus[:b.cores]}
		s.measure(time.Millisecond)
		s.measure(time.Millisecond)
		f := s.figure()
		if f.NsPerOp <= 0 || f.AllocsPerOp != 0 {
			t.Errorf("%s: %.2f ns and %d allocations per operation", b.name, f.NsPerOp, f.AllocsPerOp)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		v    []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{5, 1, 3}, 3}, {[]float64{4, 1, 3, 2}, 2.5}} {
		if got := median(test.v); got != test.want {
			t.Errorf("median(%v) = %v, want %v", test.v, got, test.want)
		}
	}
}

package metrics

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// TestProcessWithoutProc wants the metrics that the page needs of a process to be those of Prometheus, and to have the
// same values as its, which come from /proc.
func TestProcessWithoutProc(t *testing.T) {
	for end := time.Now().Add(20 * time.Millisecond); time.Now().Before(end); { // use the CPU
	}
	values := func(list []prometheus.Collector) map[string]float64 {
		t.Helper()
		reg := prometheus.NewRegistry()
		reg.MustRegister(list...)
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]float64{}
		for _, f := range families {
			m := f.GetMetric()[0]
			got[f.GetName()+": "+f.GetHelp()] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
		return got
	}
	all, few := values(processCollectors()), values(processWithoutProc())
	if len(few) != 2 {
		t.Errorf("%v", few)
	}
	for name, v := range few {
		if want, there := all[name]; !there || v < want-10 || v > want+10 {
			t.Errorf("%s is %v, want %v (%v)", name, v, want, there)
		}
	}
}

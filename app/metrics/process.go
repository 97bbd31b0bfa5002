package metrics

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// started is when the process was, near enough.
var started = time.Now()

// processCollectors has the metrics of the process; where that does not see itself in /proc, as in a sandbox, those two
// of them that can be had otherwise.
func processCollectors() []prometheus.Collector {
	if _, err := os.Stat(fmt.Sprintf("/proc/%d/stat", os.Getpid())); err == nil {
		return []prometheus.Collector{collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})}
	}
	return processWithoutProc()
}

func processWithoutProc() []prometheus.Collector {
	return []prometheus.Collector{
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "process_cpu_seconds_total",
			Help: "Total user and system CPU time spent in seconds.",
		}, cpuSeconds),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "process_start_time_seconds",
			Help: "Start time of the process since unix epoch in seconds.",
		}, func() float64 { return float64(started.UnixNano()) / 1e9 }),
	}
}

// cpuSeconds returns what the process has used of CPUs.
func cpuSeconds() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

package metrics

import (
	"regexp"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// goMetrics are those of the Go run-time that say how much memory it has, and what may have kept a reactor waiting.
var goMetrics = regexp.MustCompile(`^/(sched/(pauses/total/gc|latencies):seconds|gc/cycles/total:gc-cycles|` +
	`gc/heap/(allocs|goal):bytes|memory/classes/(heap/objects|total):bytes)$`)

// newGoCollector leaves out the metrics that are named after runtime.MemStats: two of them have one name in
// OpenMetrics. None of what it reads stops the world.
func newGoCollector() prometheus.Collector {
	return collectors.NewGoCollector(collectors.WithGoCollectorMemStatsMetricsDisabled(),
		collectors.WithGoCollectorRuntimeMetrics(collectors.GoRuntimeMetricsRule{Matcher: goMetrics}))
}

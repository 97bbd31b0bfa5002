package main

import (
	"context"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// pauseEvery is how often the garbage collector's log is read: it has the last 256 cycles.
const pauseEvery = 50 * time.Millisecond

// gcLog is what stopped the whole process, or the whole CPU, during a measurement.
type gcLog struct {
	stats  debug.GCStats
	last   int64   // NumGC, as of the last look
	pauses []pause // by time
	before string  // /proc/stat at the beginning
	stolen int64   // by the hypervisor, in ticks of 10 ms
}

// pause is the time that the world stood still in a cycle. It is the sum of two pauses; end is
// that of the second.
type pause struct {
	end  time.Time
	took time.Duration
}

func (l *gcLog) begin() {
	debug.ReadGCStats(&l.stats)
	l.last = l.stats.NumGC
	l.before = procStat()
}

func (l *gcLog) end(cpu int) {
	l.look()
	l.stolen = parseSteal(procStat(), cpu) - parseSteal(l.before, cpu)
}

// watch looks from time to time until ctx ends.
func (l *gcLog) watch(ctx context.Context) {
	tick := time.NewTicker(pauseEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			l.look()
		}
	}
}

// look takes over the pauses since the last look, as far as they are known.
func (l *gcLog) look() {
	debug.ReadGCStats(&l.stats)
	n := min(l.stats.NumGC-l.last, int64(len(l.stats.Pause)))
	l.last = l.stats.NumGC
	for i := n - 1; i >= 0; i-- { // the latest is the first
		l.pauses = append(l.pauses, pause{l.stats.PauseEnd[i], l.stats.Pause[i]})
	}
}

// within returns the pause that overlaps a time, give or take slack.
func (l *gcLog) within(begin, end time.Time, slack time.Duration) (pause, bool) {
	for _, p := range l.pauses {
		if p.end.Add(slack).After(begin) && p.end.Add(-p.took-slack).Before(end) {
			return p, true
		}
	}
	return pause{}, false
}

func procStat() string {
	text, _ := os.ReadFile("/proc/stat")
	return string(text)
}

// parseSteal returns how long the hypervisor has run something else on a CPU that had work, in
// ticks of 10 ms; 0 if it does not say.
func parseSteal(stat string, cpu int) int64 {
	const steal = 8 // of proc_stat(5), the name being field 0
	for line := range strings.Lines(stat) {
		fields := strings.Fields(line)
		if len(fields) > steal && fields[0] == "cpu"+strconv.Itoa(cpu) {
			n, _ := strconv.ParseInt(fields[steal], 10, 64)
			return n
		}
	}
	return 0
}

package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// report is what a scenario has brought.
type report struct {
	scenario
	probe   *probe
	gcs     *gcLog
	aborted bool
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// line prints the scenario's line of the table.
func (r *report) line(w io.Writer) {
	h := r.probe.hist
	q := func(percent float64) float64 { return float64(h.ValueAtQuantile(percent)) / 1000 }
	t := &r.probe.total
	fmt.Fprintf(w, "%-7s %-5s %10d | %8.2f %8.2f %8.2f %9.1f | %8d %8d %9d %9.0f %8d\n",
		r.mode, r.load(), h.TotalCount(), q(50), q(99), q(99.9), float64(h.Max())/1000,
		len(r.gcs.pauses), t.parked, t.preempted, micros(t.queued), 10*r.gcs.stolen)
}

// explain says of the largest gaps what they were spent on.
func (r *report) explain(w io.Writer) {
	if r.probe.topCount == 0 {
		return
	}
	fmt.Fprintf(w, "\nThe largest gaps, %s mode, %s:\n", r.mode, r.load())
	for i := range r.probe.topCount {
		g := &r.probe.top[i]
		at := r.probe.fw.Duration(g.end - r.probe.start)
		fmt.Fprintf(w, "%10.1f µs at %7.3f s: %s\n", micros(r.probe.fw.Duration(g.ticks)), at.Seconds(), r.cause(g))
	}
}

const (
	// pauseSlack is how far apart a gap and a pause of the garbage collector may be: a
	// reactor goes on some time after the world does.
	pauseSlack = 100 * time.Microsecond
	// cycleAhead is how soon the end of a cycle must follow for a gap to be its beginning.
	cycleAhead = 20 * time.Millisecond
)

// cause names what a gap was spent on, what explains most of it first.
func (r *report) cause(g *gap) string {
	length := r.probe.fw.Duration(g.ticks)
	end := r.probe.startWall.Add(r.probe.fw.Duration(g.end - r.probe.start))
	var found []string
	add := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }

	slow := r.probe.fw.Duration(g.slow)
	if slow > 0 {
		add("callback slow took %.1f µs", micros(slow))
	}
	if g.queued >= length/2 {
		add("its CPU went to another OS thread for %.1f µs (%d times)", micros(g.queued), max(1, g.preempted))
	}
	parked := g.parked
	if r.probe.timed {
		parked-- // its sleep
	}
	if p, ok := r.gcs.within(end.Add(-length), end, pauseSlack); ok {
		add("the garbage collector stopped the world for %.1f µs", micros(p.took))
	} else if parked > 0 {
		how := "the Go scheduler parked it"
		if _, ok := r.gcs.within(end, end.Add(cycleAhead), 0); ok {
			how += ", in a garbage collection"
		}
		add("%s (%d times)", how, parked)
	}
	if g.queued > 0 && g.queued < length/2 {
		add("it waited %.1f µs for its CPU", micros(g.queued))
	}
	if len(found) == 0 {
		found = append(found, r.unexplained(g, length))
	}
	return strings.Join(found, "; ")
}

// unexplained is for a gap in which the kernel saw the thread do as it should.
func (r *report) unexplained(g *gap, length time.Duration) string {
	switch {
	case r.gcs.stolen > 0:
		return fmt.Sprintf("the kernel saw it run: the hypervisor (it took %d ms in all), or an interrupt", 10*r.gcs.stolen)
	case r.probe.timed && g.preempted == 0:
		return "it slept: the timer came late, or the CPU took long to wake up"
	case !g.known:
		return "unknown, the kernel has no schedstat"
	default:
		return "the kernel saw it run: an interrupt, or the hypervisor, which does not say"
	}
}

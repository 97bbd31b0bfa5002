package main

import (
	"cmp"
	"fmt"
	"slices"
)

func offCPUTab() *tab {
	return &tab{
		name: "offcpu", title: "Off-CPU", needs: kernelMethod, extra: true,
		columns: []column{
			{name: "core", title: "Core", number: true, label: true},
			{name: "state", title: "State", rank: 2},
			{name: "stolen", title: "Stolen %", number: true},
			{name: "asleep", title: "Asleep %", number: true, rank: 3},
			{name: "preempts", title: "Preempted/s", total: "Preempted", number: true, rank: 2},
			{name: "p99", title: "p99", number: true, rank: 1},
			{name: "taker", title: "Most by", wide: true},
			{name: "share", title: "It took %", number: true},
		},
		rows:    offCPURows,
		details: offCPUDetails,
		note:    kernelNote,
	}
}

// offCPU is how a reactor fared with the scheduler in a span, in percent of the time.
type offCPU struct {
	stolen, asleep float64
	preempts       uint64
	stalls         latency
	takers         []taker // the longest first, what they took in the span
	elapsed        uint64  // ns
}

// soFar is a sum with what is not in it yet: a state that lasts.
func soFar(r *kernelReactor, h *kernelHistogram, states ...string) uint64 {
	if slices.Contains(states, r.State) {
		return h.Sum + r.StateNS
	}
	return h.Sum
}

func (s *span) offCPU(r *kernelReactor) offCPU {
	old := find(s.prev.kernel.Reactors, func(o *kernelReactor) bool { return o.Core == r.Core && o.TID == r.TID })
	o := offCPU{elapsed: since(s.prev.kernel.Elapsed, s.cur.kernel.Elapsed)}
	whole := float64(o.elapsed)
	stolen := since(soFar(&old, &old.Preempted, "preempted"), soFar(r, &r.Preempted, "preempted")) +
		since(soFar(&old, &old.Runqueue, "woken"), soFar(r, &r.Runqueue, "woken"))
	o.stolen = percent(float64(stolen), whole)
	o.asleep = percent(float64(since(soFar(&old, &old.Voluntary, "asleep"), soFar(r, &r.Voluntary, "asleep"))), whole)
	o.preempts = since(old.Preempted.Count, r.Preempted.Count)
	o.stalls = latencyOf([]opHistogram{old.Preempted.named("preempted"), old.Runqueue.named("woken")},
		[]opHistogram{r.Preempted.named("preempted"), r.Runqueue.named("woken")}, "")
	for _, t := range r.Takers {
		was := find(old.Takers, func(o *taker) bool { return o.PID == t.PID && o.Comm == t.Comm })
		if took := since(was.NS, t.NS); took > 0 {
			o.takers = append(o.takers, taker{t.Comm, t.PID, took, since(was.Count, t.Count)})
		}
	}
	if took := since(old.Other, r.Other); took > 0 {
		o.takers = append(o.takers, taker{Comm: "others", NS: took})
	}
	slices.SortStableFunc(o.takers, func(a, b taker) int {
		return cmp.Compare(b.NS, a.NS)
	})
	return o
}

// named is asTicks with a name, so that several can be put together.
func (h *kernelHistogram) named(name string) opHistogram {
	o := h.asTicks()
	o.Op = name
	return o
}

// stolenLevel paints what a reactor lost to others: it should be nothing.
func stolenLevel(percent float64) level {
	switch {
	case percent >= 10:
		return hot
	case percent >= 1:
		return warm
	}
	return plain
}

func takerName(t *taker) string {
	switch {
	case t.PID == 0 && t.Count == 0:
		return t.Comm
	case t.PID == 0:
		return "nobody: the CPU woke up"
	}
	return fmt.Sprintf("%s (%d)", printable(t.Comm), t.PID)
}

func offCPURows(s *span, _ history) []row {
	var rows []row
	for i := range s.cur.kernel.Reactors {
		r := &s.cur.kernel.Reactors[i]
		o := s.offCPU(r)
		stolen := number(o.stolen, percentage(o.stolen))
		stolen.level = stolenLevel(o.stolen)
		preempts := number(float64(o.preempts), count(float64(o.preempts)))
		if seconds := s.kernelSeconds(); seconds > 0 && !s.total {
			preempts = number(float64(o.preempts)/seconds, count(float64(o.preempts)/seconds))
		}
		most, took := text(noValue), nothing()
		if len(o.takers) > 0 {
			most = text(takerName(&o.takers[0]))
			p := percent(float64(o.takers[0].NS), float64(o.elapsed))
			took = number(p, percentage(p))
		}
		rows = append(rows, row{coreID(r.Core), []cell{
			whole(uint64(r.Core)), text(r.State), stolen, number(o.asleep, percentage(o.asleep)), preempts,
			quantile(&o.stalls, 0.99, nsPerMicro), most, took,
		}})
	}
	return rows
}

func offCPUDetails(s *span, id string) (title string, lines []string) {
	r := first(s.cur.kernel.Reactors, func(r *kernelReactor) bool { return coreID(r.Core) == id })
	if r == nil {
		return "Off-CPU", []string{"It is not watched any more."}
	}
	o := s.offCPU(r)
	lines = pairs(
		"Kernel thread", fmt.Sprint(r.TID),
		"State", fmt.Sprintf("%s for %s", printable(r.State), duration(float64(r.StateNS)/nsPerMicro)),
		"Stolen", percentage(o.stolen)+" % of the time",
		"Asleep", percentage(o.asleep)+" %",
		"Longest ever", fmt.Sprintf("%s preempted, %s until it ran after it was woken",
			duration(float64(r.Preempted.Max)/nsPerMicro), duration(float64(r.Runqueue.Max)/nsPerMicro)),
	)
	if len(o.takers) == 0 {
		return fmt.Sprintf("Off-CPU of core %d", r.Core), append(lines, "", "Nobody took anything.")
	}
	columns := []column{{title: "Taken by"}, {title: "Time", number: true}, {title: "%", number: true},
		{title: "Times", number: true}}
	var rows []row
	for i := range o.takers {
		t := &o.takers[i]
		rows = append(rows, row{"", []cell{
			text(takerName(t)), number(0, duration(float64(t.NS)/nsPerMicro)),
			number(0, percentage(percent(float64(t.NS), float64(o.elapsed)))), whole(t.Count),
		}})
	}
	return fmt.Sprintf("Off-CPU of core %d", r.Core), append(append(lines, ""), list(columns, rows, s.total)...)
}

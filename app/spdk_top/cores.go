package main

import "fmt"

func coreID(core uint32) string { return fmt.Sprintf("core %d", core) }

func coresTab() *tab {
	return &tab{
		name: "cores", title: "Cores",
		columns: []column{
			{name: "core", title: "Core", number: true, label: true},
			{name: "threads", title: "Threads", number: true, rank: 2},
			{name: "pollers", title: "Pollers", number: true, rank: 3},
			{name: "idle", title: "Idle µs", number: true, rank: 2},
			{name: "busy", title: "Busy µs", number: true, rank: 1},
			{name: "share", title: "Busy %", number: true},
			{name: "status", title: "Status", rank: 1},
			{name: "intr", title: "Intr", rank: 4},
			{name: "usr", title: "Usr %", number: true, rank: 3},
			{name: "sys", title: "Sys %", number: true, rank: 3},
			{name: "irq", title: "Irq %", number: true, rank: 3},
			{name: "freq", title: "MHz", number: true, rank: 6},
			{name: "graph", title: "Busy % lately", rank: 7, graph: true},
		},
		graphed: "share",
		rows:    coreRows,
		details: coreDetails,
	}
}

// kernelHz is how often the kernel counts what a CPU does.
const kernelHz = 100

// coreTimes is what a core did in a span.
type coreTimes struct {
	busy, idle    float64 // µs
	usr, sys, irq float64 // %
}

func (c *coreTimes) busyPercent() float64 { return percent(c.busy, c.busy+c.idle) }

func (s *span) coreTimes(c *coreStat) coreTimes {
	old := find(s.prev.cores, func(o *coreStat) bool { return o.Core == c.Core })
	t := coreTimes{busy: s.micros(since(old.Busy, c.Busy)), idle: s.micros(since(old.Idle, c.Idle))}
	// The reactor is either busy or idle, so that both together are the time that has passed.
	ticks := (t.busy + t.idle) / 1e6 * kernelHz
	t.usr = percent(float64(since(old.Usr, c.Usr)), ticks)
	t.sys = percent(float64(since(old.Sys, c.Sys)), ticks)
	t.irq = percent(float64(since(old.IRQ, c.IRQ)), ticks)
	return t
}

func coreRows(s *span, h history) []row {
	pollers := map[uint64]uint64{}
	for _, t := range s.cur.threads {
		pollers[t.ID] = t.Active + t.Timed + t.Paused
	}
	var rows []row
	for i := range s.cur.cores {
		c := &s.cur.cores[i]
		t := s.coreTimes(c)
		var sum uint64
		for _, th := range c.Threads {
			sum += pollers[th.ID]
		}
		intr := "No"
		if c.InInterrupt {
			intr = "Yes"
		}
		freq := nothing()
		if c.Freq != nil {
			freq = whole(*c.Freq)
		}
		busy := t.busyPercent()
		rows = append(rows, row{coreID(c.Core), []cell{
			whole(uint64(c.Core)), whole(uint64(len(c.Threads))), whole(sum),
			number(t.idle, fmt.Sprintf("%.0f", t.idle)), number(t.busy, fmt.Sprintf("%.0f", t.busy)), share(busy),
			status(t.busy, t.idle), text(intr),
			number(t.usr, percentage(t.usr)), number(t.sys, percentage(t.sys)), number(t.irq, percentage(t.irq)), freq,
			{text: spark(h[coreID(c.Core)])},
		}})
	}
	return rows
}

func coreDetails(s *span, id string) (title string, lines []string) {
	c := first(s.cur.cores, func(c *coreStat) bool { return coreID(c.Core) == id })
	if c == nil {
		return "Core", []string{"There is no reactor on it any more."}
	}
	t := s.coreTimes(c)
	node, freq, mode := noValue, noValue, "it polls"
	if c.NUMANode >= 0 {
		node = fmt.Sprint(c.NUMANode)
	}
	if c.Freq != nil {
		freq = fmt.Sprintf("%d MHz", *c.Freq)
	}
	if c.InInterrupt {
		mode = "it sleeps when it is idle"
	}
	lines = pairs(
		"Kernel thread", fmt.Sprint(c.TID),
		"NUMA node", node,
		"Frequency", freq,
		"Mode", mode,
		"Busy", fmt.Sprintf("%s (%s %%)", duration(t.busy), percentage(t.busyPercent())),
		"Idle", duration(t.idle),
		"The CPU", fmt.Sprintf("%s %% programs, %s %% kernel, %s %% interrupts", percentage(t.usr), percentage(t.sys),
			percentage(t.irq)),
	)
	columns := []column{
		{title: "Thread"}, {title: "Number", number: true}, {title: "Mask"}, {title: "CPU %", number: true},
	}
	previous := s.previousThreads()
	var rows []row
	for _, th := range c.Threads {
		cpu := nothing()
		if st := first(s.cur.threads, func(t *threadStat) bool { return t.ID == th.ID }); st != nil {
			cpu = share(s.shareOf(st, previous[th.ID], c))
		}
		rows = append(rows, row{"", []cell{text(th.Name), whole(th.ID), text(th.Cpumask), cpu}})
	}
	if len(rows) > 0 {
		lines = append(append(lines, ""), list(columns, rows, s.total)...)
	}
	return fmt.Sprintf("Core %d", c.Core), lines
}

package main

import (
	"fmt"
	"strings"
)

func threadID(id uint64) string { return fmt.Sprintf("thread %d", id) }

func threadsTab() *tab {
	return &tab{
		name: "threads", title: "Threads",
		columns: []column{
			{name: "name", title: "Thread", wide: true},
			{name: "core", title: "Core", number: true, label: true},
			{name: "active", title: "Active", number: true, rank: 4},
			{name: "timed", title: "Timed", number: true, rank: 4},
			{name: "paused", title: "Paused", number: true, rank: 5},
			{name: "idle", title: "Idle µs", number: true, rank: 3},
			{name: "busy", title: "Busy µs", number: true, rank: 2},
			{name: "cpu", title: "CPU %", number: true},
			{name: "status", title: "Status", rank: 1},
			{name: "graph", title: "CPU % lately", rank: 6, graph: true},
		},
		graphed: "cpu",
		rows:    threadRows,
		details: threadDetails,
	}
}

// places says on which core each thread is.
func (s *span) places() map[uint64]*coreStat {
	at := map[uint64]*coreStat{}
	for i := range s.cur.cores {
		for _, t := range s.cur.cores[i].Threads {
			at[t.ID] = &s.cur.cores[i]
		}
	}
	return at
}

// previousThreads are those of the earlier sample by number.
func (s *span) previousThreads() map[uint64]threadStat {
	all := make(map[uint64]threadStat, len(s.prev.threads))
	for _, t := range s.prev.threads {
		all[t.ID] = t
	}
	return all
}

// shareOf is the part of the time of its core that a thread was busy.
func (s *span) shareOf(t *threadStat, old threadStat, c *coreStat) float64 {
	if c == nil {
		return 0
	}
	times := s.coreTimes(c)
	return percent(s.micros(since(old.Busy, t.Busy)), times.busy+times.idle)
}

func threadRows(s *span, h history) []row {
	at, previous := s.places(), s.previousThreads()
	var rows []row
	for i := range s.cur.threads {
		t := &s.cur.threads[i]
		old := previous[t.ID]
		busy, idle := s.micros(since(old.Busy, t.Busy)), s.micros(since(old.Idle, t.Idle))
		core, cpu := nothing(), nothing() // it may be on its way from one to the other
		if c := at[t.ID]; c != nil {
			core = whole(uint64(c.Core))
			cpu = share(s.shareOf(t, old, c))
		}
		rows = append(rows, row{threadID(t.ID), []cell{
			text(t.Name), core, whole(t.Active), whole(t.Timed), whole(t.Paused),
			number(idle, fmt.Sprintf("%.0f", idle)), number(busy, fmt.Sprintf("%.0f", busy)), cpu, status(busy, idle),
			{text: spark(h[threadID(t.ID)])},
		}})
	}
	return rows
}

// status says what was more, as SPDK's spdk_top does.
func status(busy, idle float64) cell {
	if busy > idle {
		return cell{text: "Busy", level: warm}
	}
	return cell{text: "Idle", level: good}
}

func threadDetails(s *span, id string) (title string, lines []string) {
	t := first(s.cur.threads, func(t *threadStat) bool { return threadID(t.ID) == id })
	if t == nil {
		return "Thread", []string{"It has ended."}
	}
	core := noValue
	if c := s.places()[t.ID]; c != nil {
		core = fmt.Sprint(c.Core)
	}
	old := s.previousThreads()[t.ID]
	lines = pairs(
		"Number", fmt.Sprint(t.ID),
		"Core", core,
		"May run on", "0x"+strings.TrimPrefix(printable(t.Cpumask), "0x"),
		"Busy", duration(s.micros(since(old.Busy, t.Busy))),
		"Idle", duration(s.micros(since(old.Idle, t.Idle))),
		"Pollers", fmt.Sprintf("%d active, %d timed, %d paused", t.Active, t.Timed, t.Paused),
	)
	columns, rows := pollersTab().columns, []row(nil)
	for _, r := range pollerRows(s, nil) {
		if strings.HasPrefix(r.id, id+" ") {
			rows = append(rows, r)
		}
	}
	if len(rows) > 0 {
		lines = append(append(lines, ""), list(columns, rows, s.total)...)
	}
	return "Thread " + printable(t.Name), lines
}

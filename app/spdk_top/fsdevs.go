package main

import (
	"cmp"
	"fmt"
	"slices"
)

func fsdevID(name string) string { return "fsdev " + name }

func fsdevsTab() *tab {
	return &tab{
		name: "fsdevs", title: "Fsdevs", needs: "fsdev_get_iostat",
		columns: []column{
			{name: "name", title: "Fsdev", wide: true},
			{name: "module", title: "Module", rank: 3},
			{name: "ops", title: "Ops/s", total: "Ops", number: true},
			{name: "read", title: "Read/s", total: "Read", number: true},
			{name: "write", title: "Write/s", total: "Write", number: true},
			{name: "errors", title: "Err/s", total: "Err", number: true, rank: 1},
			{name: "noio", title: "NoIO/s", total: "NoIO", number: true, rank: 5},
			{name: "flight", title: "Flight", number: true, rank: 4},
			{name: "p50", title: "p50", number: true},
			{name: "p99", title: "p99", number: true},
			{name: "p999", title: "p99.9", number: true, rank: 6},
			{name: "graph", title: "Ops/s lately", rank: 7, graph: true},
		},
		graphed: "ops",
		rows:    fsdevRows,
		details: fsdevDetails,
	}
}

func (s *span) previousFsdev(name string) fsdevStat {
	return find(s.prev.fsdevs, func(f *fsdevStat) bool { return f.Name == name })
}

// rate is how often something happened: per second, or in all.
func (s *span) rate(before, now uint64) float64 {
	n := float64(since(before, now))
	if s.total {
		return n
	}
	if seconds := s.seconds(); seconds > 0 {
		return n / seconds
	}
	return 0
}

// percentile is how long a part of the operations took at most, if that is counted.
func (s *span) percentile(l *latency, q float64) cell {
	if s.cur.tickRate == 0 {
		return nothing()
	}
	return quantile(l, q, float64(s.cur.tickRate)/1e6)
}

func fsdevRows(s *span, h history) []row {
	previous := map[string]fsdevStat{}
	for _, f := range s.prev.fsdevs {
		previous[f.Name] = f
	}
	var rows []row
	for i := range s.cur.fsdevs {
		f := &s.cur.fsdevs[i]
		old := previous[f.Name]
		was, is := &old.Stat, &f.Stat
		l := latencyOf(s.prev.latencies[f.Name], s.cur.latencies[f.Name], "")
		ops, read, written := s.rate(was.Ops, is.Ops), s.rate(was.Read, is.Read), s.rate(was.Written, is.Written)
		errors, noIO := s.rate(was.Errors, is.Errors), s.rate(was.NoIO, is.NoIO)
		rows = append(rows, row{fsdevID(f.Name), []cell{
			text(f.Name), text(s.cur.infos[f.Name].Module),
			number(ops, count(ops)), number(read, size(read)), number(written, size(written)),
			number(errors, count(errors)), bad(noIO, count(noIO)), whole(is.InFlight),
			s.percentile(&l, 0.5), s.percentile(&l, 0.99), s.percentile(&l, 0.999),
			{text: spark(relative(h[fsdevID(f.Name)]))},
		}})
	}
	return rows
}

func fsdevDetails(s *span, id string) (title string, lines []string) {
	f := first(s.cur.fsdevs, func(f *fsdevStat) bool { return fsdevID(f.Name) == id })
	if f == nil {
		return "Fsdev", []string{"It was deleted."}
	}
	old, info := s.previousFsdev(f.Name), s.cur.infos[f.Name]
	per := "/s"
	if s.total {
		per = ""
	}
	lines = pairs("Module", printable(info.Module), "In flight", fmt.Sprint(f.Stat.InFlight))
	if !info.Histograms {
		lines = append(lines, "How long operations take is not measured: l switches that on.")
	}
	columns := []column{
		{title: "Operation"}, {title: "Ops" + per, number: true}, {title: "Bytes" + per, number: true},
		{title: "Errors" + per, number: true}, {title: "p50", number: true}, {title: "p99", number: true},
		{title: "max ever", number: true},
	}
	var rows []row
	for _, op := range f.Stat.ByOp {
		was := find(old.Stat.ByOp, func(o *opStat) bool { return o.Op == op.Op })
		l := latencyOf(s.prev.latencies[f.Name], s.cur.latencies[f.Name], op.Op)
		longest := nothing()
		if h := find(s.cur.latencies[f.Name], func(h *opHistogram) bool { return h.Op == op.Op }); h.Count > 0 {
			longest = number(s.micros(h.Max), duration(s.micros(h.Max)))
		}
		ops, moved, errors := s.rate(was.Count, op.Count), s.rate(was.Bytes, op.Bytes), s.rate(was.Errors, op.Errors)
		if ops == 0 {
			continue
		}
		rows = append(rows, row{"", []cell{
			text(op.Op), number(ops, count(ops)), number(moved, size(moved)), number(errors, count(errors)),
			s.percentile(&l, 0.5), s.percentile(&l, 0.99), longest,
		}})
	}
	slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(b.cells[1].num, a.cells[1].num) })
	lines = append(lines, "")
	if len(rows) > 0 {
		lines = append(lines, list(columns, rows, s.total)...)
	} else {
		lines = append(lines, "No operations.")
	}
	columns = []column{{title: "Thread"}, {title: "Ops" + per, number: true}, {title: "Read" + per, number: true},
		{title: "Written" + per, number: true}, {title: "Flight", number: true}}
	rows = nil
	for _, ch := range f.Channels {
		was := find(old.Channels, func(o *channelStat) bool { return o.ID == ch.ID }).Stat
		ops, read := s.rate(was.Ops, ch.Stat.Ops), s.rate(was.Read, ch.Stat.Read)
		written := s.rate(was.Written, ch.Stat.Written)
		rows = append(rows, row{"", []cell{text(ch.Thread), number(ops, count(ops)), number(read, size(read)),
			number(written, size(written)), whole(ch.Stat.InFlight)}})
	}
	if len(rows) > 0 {
		lines = append(append(lines, ""), list(columns, rows, s.total)...)
	}
	return "Fsdev " + printable(f.Name), lines
}

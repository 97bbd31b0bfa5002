package main

import (
	"cmp"
	"fmt"
	"slices"
)

func mountID(m *kernelMount) string { return fmt.Sprintf("mount %s %s", m.Name, m.Mountpoint) }

func waitsTab() *tab {
	return &tab{
		name: "waits", title: "FUSE waits", needs: kernelMethod, extra: true,
		columns: []column{
			{name: "name", title: "Fsdev", wide: true},
			{name: "mountpoint", title: "Mounted on", wide: true, rank: 3},
			{name: "ops", title: "Req/s", total: "Requests", number: true},
			{name: "queue50", title: "Queue p50", number: true, rank: 1},
			{name: "queue99", title: "Queue p99", number: true},
			{name: "service50", title: "Service p50", number: true, rank: 1},
			{name: "service99", title: "Service p99", number: true},
			{name: "reply50", title: "Reply p50", number: true, rank: 2},
			{name: "reply99", title: "Reply p99", number: true, rank: 2},
			{name: "unserved", title: "Unserved", number: true, rank: 4},
		},
		rows:    waitRows,
		details: waitDetails,
		note:    kernelNote,
	}
}

// kernelRate is how often something happened while the kernel watched: per second, or in all.
func (s *span) kernelRate(n uint64) cell {
	rate := float64(n)
	if seconds := s.kernelSeconds(); seconds > 0 && !s.total {
		rate /= seconds
	}
	return number(rate, count(rate))
}

func (s *span) previousMount(m *kernelMount) kernelMount {
	return find(s.prev.kernel.Mounts, func(o *kernelMount) bool { return mountID(o) == mountID(m) })
}

func waitRows(s *span, _ history) []row {
	var rows []row
	for i := range s.cur.kernel.Mounts {
		m := &s.cur.kernel.Mounts[i]
		old := s.previousMount(m)
		queue, service := times(&old.Queue, &m.Queue), times(&old.Service, &m.Service)
		reply := times(&old.Reply, &m.Reply)
		rows = append(rows, row{mountID(m), []cell{
			text(m.Name), text(m.Mountpoint), s.kernelRate(since(old.Queue.Count, m.Queue.Count)),
			quantile(&queue, 0.5, nsPerMicro), quantile(&queue, 0.99, nsPerMicro),
			quantile(&service, 0.5, nsPerMicro), quantile(&service, 0.99, nsPerMicro),
			quantile(&reply, 0.5, nsPerMicro), quantile(&reply, 0.99, nsPerMicro),
			whole(since(old.Unserved, m.Unserved)),
		}})
	}
	return rows
}

func waitDetails(s *span, id string) (title string, lines []string) {
	m := first(s.cur.kernel.Mounts, func(m *kernelMount) bool { return mountID(m) == id })
	if m == nil {
		return "FUSE waits", []string{"It is not mounted any more."}
	}
	old := s.previousMount(m)
	lines = []string{
		"Queue: until a reactor has read the request. Service: until it answers.",
		"Reply: until the kernel has taken the answer.",
		"",
	}
	columns := []column{{title: "Operation"}, {title: "Req/s", total: "Requests", number: true},
		{title: "Queue p50", number: true}, {title: "p99", number: true}, {title: "Service p50", number: true},
		{title: "p99", number: true}, {title: "Reply p99", number: true}}
	var rows []row
	for i := range m.Opcodes {
		op := &m.Opcodes[i]
		was := find(old.Opcodes, func(o *kernelOpcode) bool { return o.Name == op.Name })
		n := since(was.Queue.Count, op.Queue.Count)
		if n == 0 {
			continue
		}
		queue, service := times(&was.Queue, &op.Queue), times(&was.Service, &op.Service)
		reply := times(&was.Reply, &op.Reply)
		rows = append(rows, row{"", []cell{
			text(op.Name), s.kernelRate(n), quantile(&queue, 0.5, nsPerMicro), quantile(&queue, 0.99, nsPerMicro),
			quantile(&service, 0.5, nsPerMicro), quantile(&service, 0.99, nsPerMicro),
			quantile(&reply, 0.99, nsPerMicro),
		}})
	}
	slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(b.cells[1].num, a.cells[1].num) })
	if len(rows) == 0 {
		return "FUSE waits of " + printable(m.Name), append(lines, "No requests.")
	}
	return "FUSE waits of " + printable(m.Name), append(lines, list(columns, rows, s.total)...)
}

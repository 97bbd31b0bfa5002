package main

import (
	"fmt"
	"io"
	"strings"
	"syscall"
	"time"

	"github.com/spdk-go/spdk-go/app/appflags"
	"github.com/spdk-go/spdk-go/app/ebpf"
	"github.com/spdk-go/spdk-go/internal/ebpfmon"
)

// openMonitor loads what --ebpf asks for. That has to happen before the process locks itself up, so that inside of a
// sandbox it has been done by the one before. A lack of rights is no reason not to serve files: the error is what to
// tell about it, once.
func openMonitor(cfg *config, s *stage) (*ebpfmon.Monitor, error) {
	switch {
	case !cfg.ebpf:
		return nil, nil
	case s == nil:
		return ebpfmon.Open()
	case s.EBPF == nil:
		return nil, nil // the one before has told why
	}
	return ebpfmon.Resume(s.EBPF)
}

// errLockedUp says why ebpf_start does nothing in a sandbox, whose filter would end the process for trying.
var errLockedUp = fmt.Errorf("ebpf: a process that has locked itself up loads no programs: start it with --ebpf: %w",
	syscall.EPERM)

// startMonitor has what was loaded watch the target.
func (tg *target) startMonitor() {
	m := ebpf.Of(tg.a)
	if tg.jail.closed() {
		m.Forbid(errLockedUp)
	}
	if tg.refused != nil {
		m.Refuse(tg.refused)
	}
	if tg.mon == nil {
		return
	}
	if err := m.Start(tg.mon); err != nil {
		fmt.Fprintf(tg.stderr, "%s: going on without --ebpf: %s\n", progName, appflags.OneLine(err))
		return
	}
	if missing := m.Stats().Missing; missing != "" {
		fmt.Fprintf(tg.stderr, "%s: --ebpf: %s\n", progName, missing)
	}
}

// shownTakers is how many processes are named at exit, per reactor.
const shownTakers = 3

// printEBPF prints what --ebpf has found out.
func printEBPF(w io.Writer, s *ebpf.Stats) {
	if !s.Enabled {
		return
	}
	ms := func(ns uint64) string { return fmt.Sprintf("%.1f ms", float64(ns)/1e6) }
	fmt.Fprintln(w, "off the CPU:")
	fmt.Fprintf(w, "%10s %12s %12s %12s  %s\n", "core", "preempted", "run queue", "asleep", "taken by")
	for i := range s.Reactors {
		r := &s.Reactors[i]
		var by []string
		for _, t := range r.Takers[:min(len(r.Takers), shownTakers)] {
			by = append(by, fmt.Sprintf("%s (%d) %s", t.Comm, t.PID, ms(t.NS)))
		}
		fmt.Fprintf(w, "%10d %12s %12s %12s  %s\n", r.Core, ms(r.Preempted.Sum), ms(r.Runqueue.Sum), ms(r.Voluntary.Sum),
			strings.Join(by, ", "))
	}
	for i := range s.Mounts {
		mt := &s.Mounts[i]
		t := mt.Total()
		p := func(h *ebpf.Histogram) string {
			us := func(q float64) time.Duration { return time.Duration(h.Quantile(q)).Round(100 * time.Nanosecond) }
			return fmt.Sprintf("%v (99 %% %v)", us(0.5), us(0.99))
		}
		fmt.Fprintf(w, "%s on %s: median times of %d requests: %s in the kernel's queue, %s served, %s answered\n",
			mt.Fsdev, mt.Dir, t.Queue.Count(), p(&t.Queue), p(&t.Service), p(&t.Reply))
	}
}

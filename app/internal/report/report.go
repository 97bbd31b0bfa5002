// Package report prints what dispatchers and reactors did, for programs to show at their end.
package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"time"

	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/reactor"
)

// Requests prints how many requests a dispatcher served, by opcode, most frequent first. title
// begins the first line and detail, which may be empty, ends it.
func Requests(w io.Writer, title string, s *fusedispatcher.Stats, detail string) {
	type line struct {
		op uint32
		n  uint64
	}
	var lines []line
	var total uint64
	for op, n := range s.Requests {
		total += n
		if n > 0 {
			lines = append(lines, line{uint32(op), n})
		}
	}
	slices.SortStableFunc(lines, func(a, b line) int { return cmp.Compare(b.n, a.n) })
	fmt.Fprintf(w, "%s: %d requests%s\n", title, total, detail)
	for _, l := range lines {
		name := fusedispatcher.OpcodeName(l.op)
		if l.op == 0 {
			name = "(unknown opcodes)"
		}
		fmt.Fprintf(w, "%10d  %s\n", l.n, name)
	}
}

// Reactors prints how long each reactor was busy and idle, how often it slept, and how many
// requests it served, which may be nil if that is not known.
func Reactors(w io.Writer, fw *reactor.Framework, elapsed time.Duration, requests []uint64) {
	fmt.Fprintf(w, "reactors in %.1f s:\n", elapsed.Seconds())
	fmt.Fprintf(w, "%10s %8s %9s %9s %9s", "core", "busy", "busy s", "idle s", "sleeps")
	if requests != nil {
		fmt.Fprintf(w, " %10s", "requests")
	}
	fmt.Fprintln(w)
	for i, r := range fw.Reactors() {
		st := r.Stats()
		busy, idle := fw.Duration(st.BusyTicks).Seconds(), fw.Duration(st.IdleTicks).Seconds()
		share := 0.0
		if busy+idle > 0 {
			share = 100 * busy / (busy + idle)
		}
		fmt.Fprintf(w, "%10d %7.1f%% %9.2f %9.2f %9d", r.Core(), share, busy, idle, st.Sleeps)
		if requests != nil {
			fmt.Fprintf(w, " %10d", requests[i])
		}
		fmt.Fprintln(w)
	}
}

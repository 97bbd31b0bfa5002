package appflags

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"

	"github.com/spdk-go/spdk-go/trace"
)

const (
	minTraceEntries = 16
	maxTraceEntries = 1 << 26
)

func (f *Flags) addTrace() {
	f.value("tpoint-group", "e", "none",
		"turn the tracepoints of a `GROUP` on, or some of them, as in GROUP:TPOINT+TPOINT, with commas between groups; "+
			"these are "+groupsHelp()+", and all. A mask of groups or of tracepoints, in hexadecimal, does too. spdk_trace "+
			"shows what was recorded, e.g. thread,fsdev:FSDEV_IO_DONE", f.setTpointGroup)
	f.value("num-trace-entries", "", strconv.Itoa(trace.DefaultNumEntries),
		"how many `ENTRIES` of the trace are kept for each reactor, a power of two; 0 for no trace, e.g. 1048576",
		f.setTraceEntries)
}

// groupsHelp lists the groups of tracepoints.
func groupsHelp() string {
	var names []string
	for _, g := range trace.Groups() {
		names = append(names, g.Name)
	}
	return strings.Join(names, ", ")
}

func (f *Flags) setTpointGroup(v string) error {
	for part := range strings.SplitSeq(v, ",") {
		name, _, _ := strings.Cut(part, ":")
		if _, err := strconv.ParseUint(strings.TrimPrefix(name, "0x"), 16, 64); err == nil {
			continue
		}
		if _, err := trace.GroupMask(name); err != nil {
			return err
		}
	}
	f.o.TpointGroupMask = v // whether there are such tracepoints shows when the trace is made
	return nil
}

func (f *Flags) setTraceEntries(v string) error {
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil || n != 0 && (bits.OnesCount64(n) != 1 || n < minTraceEntries || n > maxTraceEntries) {
		return fmt.Errorf("%q is neither 0 nor a power of two from %d to %d", v, minTraceEntries, maxTraceEntries)
	}
	f.o.NumTraceEntries, f.o.NoTrace = n, n == 0
	return nil
}

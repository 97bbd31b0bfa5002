package metrics

import (
	"strconv"

	"github.com/spdk-go/spdk-go/app/ebpf"
)

// ebpf tells what the kernel has found out, which is nothing where nobody has asked it to. Operations are not told
// apart: to wait for a reactor takes all of them equally long, and the device says itself how long each takes.
func (s sink) ebpf(found *ebpf.Stats, st *stolen) {
	switch {
	case found.Enabled:
		s.gauge(ebpfEnabled, 1)
	case found.Missing != "":
		s.gauge(ebpfEnabled, 0)
	}
	st.begin(found.Since)
	for i := range found.Reactors {
		r := &found.Reactors[i]
		core := strconv.Itoa(r.Core)
		s.kernelTimes(reactorOffCPU, &r.Preempted, core, "preempted")
		s.kernelTimes(reactorOffCPU, &r.Voluntary, core, "voluntary")
		s.kernelTimes(reactorOffCPU, &r.Runqueue, core, "runqueue")
		for comm, ns := range st.from(r.Core, r.Takers, r.Other) {
			s.count(reactorStolen, float64(ns)/1e9, core, comm)
		}
	}
	for i := range found.Mounts {
		m := &found.Mounts[i]
		t := m.Total()
		s.kernelTimes(fusePart, &t.Queue, m.Dir, "queue")
		s.kernelTimes(fusePart, &t.Service, m.Dir, "service")
		s.kernelTimes(fusePart, &t.Reply, m.Dir, "reply")
		s.count(fuseUnserved, float64(t.Unserved), m.Dir)
	}
}

func (s sink) kernelTimes(d *def, h *ebpf.Histogram, labels ...string) {
	n, sum, buckets := convertKernel(h)
	s.histogram(d, n, sum, buckets, labels...)
}

// convertKernel returns a histogram in seconds, the buckets each with those below. A time that is a bound to the
// nanosecond is counted above it, unlike others'.
func convertKernel(h *ebpf.Histogram) (n uint64, sum float64, buckets map[float64]uint64) {
	buckets = make(map[float64]uint64, ebpf.Buckets)
	for i, count := range h.Buckets {
		n += count
		if bound := ebpf.Bound(i); bound != 0 {
			buckets[float64(bound)/1e9] = n
		}
	}
	return n, float64(h.Sum) / 1e9, buckets
}

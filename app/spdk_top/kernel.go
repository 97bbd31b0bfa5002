package main

// What ebpf_get_stats answers: what the kernel has found out, see package app/ebpf. Times are ns.

type kernelBucket struct {
	Below uint64 `json:"below_ns"` // shorter than this, not shorter than half of it; 512: any shorter; 0: any longer
	Count uint64 `json:"count"`
}

type kernelHistogram struct {
	Count   uint64         `json:"count"`
	Sum     uint64         `json:"sum_ns"`
	Max     uint64         `json:"max_ns"`
	Buckets []kernelBucket `json:"buckets"`
}

type taker struct {
	Comm  string `json:"comm"`
	PID   uint64 `json:"pid"`
	NS    uint64 `json:"ns"`
	Count uint64 `json:"count"`
}

type kernelReactor struct {
	Core      uint32          `json:"lcore"`
	TID       uint64          `json:"tid"`
	State     string          `json:"state"`
	StateNS   uint64          `json:"state_ns"`
	Preempted kernelHistogram `json:"preempted"`
	Voluntary kernelHistogram `json:"voluntary"`
	Runqueue  kernelHistogram `json:"runqueue"`
	Takers    []taker         `json:"takers"`
	Other     uint64          `json:"other_ns"`
}

type kernelOpcode struct {
	Name    string          `json:"name"`
	Queue   kernelHistogram `json:"queue"`
	Service kernelHistogram `json:"service"`
	Reply   kernelHistogram `json:"reply"`
}

type kernelMount struct {
	Name       string          `json:"name"`
	Mountpoint string          `json:"mountpoint"`
	Queue      kernelHistogram `json:"queue"`
	Service    kernelHistogram `json:"service"`
	Reply      kernelHistogram `json:"reply"`
	Unserved   uint64          `json:"unserved"`
	Opcodes    []kernelOpcode  `json:"opcodes"`
}

type kernelStats struct {
	Enabled  bool            `json:"enabled"`
	Missing  string          `json:"missing"`
	Elapsed  uint64          `json:"elapsed_ns"`
	Reactors []kernelReactor `json:"reactors"`
	Mounts   []kernelMount   `json:"mounts"`
}

const (
	kernelMethod = "ebpf_get_stats"
	nsPerMicro   = 1000
)

// kernelSeconds is how long the kernel has watched in a span.
func (s *span) kernelSeconds() float64 {
	return float64(since(s.prev.kernel.Elapsed, s.cur.kernel.Elapsed)) / 1e9
}

// times returns how long things took in a span, in ns.
func times(before, now *kernelHistogram) latency {
	return latencyOf([]opHistogram{before.asTicks()}, []opHistogram{now.asTicks()}, "")
}

// asTicks is the histogram as one of operations, with ns for ticks.
func (h *kernelHistogram) asTicks() opHistogram {
	o := opHistogram{Count: h.Count, Max: h.Max}
	for _, b := range h.Buckets {
		low, high := b.Below/2, b.Below
		switch b.Below {
		case 0:
			low, high = h.Max/2, h.Max
		case 512:
			low = 0
		}
		o.Buckets = append(o.Buckets, bucket{low, high, b.Count})
	}
	return o
}

// kernelNote says why there is nothing to see in the tabs that the kernel fills.
func kernelNote(s *span) string {
	k := &s.cur.kernel
	switch {
	case k.Missing != "":
		return printable(k.Missing)
	case !k.Enabled:
		return "the kernel does not watch the reactors: e starts that (ebpf_start)"
	}
	return ""
}

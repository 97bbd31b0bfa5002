package ebpfmon

import "math/bits"

const (
	// Buckets is how many a histogram has.
	Buckets = 32
	// firstBound is the bound of the first bucket, 2^firstShift ns: what is shorter is not told apart.
	firstShift = 9
	firstBound = 1 << firstShift
)

// Histogram says how often something took how long, in buckets whose bounds double. It is a copy, and the reader's.
type Histogram struct {
	Buckets [Buckets]uint64
	Sum     uint64 // ns
	Max     uint64 // ns
}

// Bound returns the end of bucket i in ns, which is not in it any more; the last bucket has none, and 0 is returned.
func Bound(i int) uint64 {
	if i >= Buckets-1 {
		return 0
	}
	return firstBound << i
}

// bucketOf returns the bucket of a duration, as the programs compute it.
func bucketOf(ns uint64) int { return min(bits.Len64(ns>>firstShift), Buckets-1) }

// Count returns how many durations there are.
func (h *Histogram) Count() (n uint64) {
	for _, c := range h.Buckets {
		n += c
	}
	return n
}

// Quantile returns the duration in ns that a share q of all do not exceed, as far as the buckets say: inside of one,
// durations are taken for equally spread. 0 if there are none.
func (h *Histogram) Quantile(q float64) uint64 {
	n := h.Count()
	if n == 0 {
		return 0
	}
	rank := q * float64(n)
	var before float64
	for i, c := range h.Buckets {
		if c == 0 || before+float64(c) < rank {
			before += float64(c)
			continue
		}
		var low uint64
		if i > 0 {
			low = Bound(i - 1)
		}
		high := Bound(i)
		if high == 0 || high > h.Max {
			high = max(h.Max, low)
		}
		return low + uint64(float64(high-low)*max(rank-before, 0)/float64(c))
	}
	return h.Max
}

// Add adds the durations of another histogram.
func (h *Histogram) Add(o *Histogram) {
	for i, c := range o.Buckets {
		h.Buckets[i] += c
	}
	h.Sum += o.Sum
	h.Max = max(h.Max, o.Max)
}

func (h *hist) read() (r Histogram) {
	for i := range h.buckets {
		r.Buckets[i] = h.buckets[i].Load()
	}
	r.Sum, r.Max = h.sum.Load(), h.max.Load()
	return r
}

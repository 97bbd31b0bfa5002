package metrics

import "github.com/spdk-go/spdk-go/fsdev"

// bounds are the upper bounds of latencies, in seconds: powers of two of a nanosecond from 256 ns to 17 s, and between
// 1 us and 134 ms, where it matters, also the numbers half-way. Where the clock has nanoseconds, each is a bound of a
// bucket of fsdev.Histogram, too; elsewhere a bucket of those, an eighth wide, can be on both sides of a bound, and
// counts above it.
var bounds = makeBounds()

func makeBounds() (list []float64) {
	for bit := 8; bit <= 34; bit++ {
		ns := float64(uint64(1) << bit)
		list = append(list, ns/1e9)
		if bit >= 10 && bit < 27 {
			list = append(list, 1.5*ns/1e9)
		}
	}
	return list
}

// scale says which bound each bucket of a histogram of ticks is below; len(bounds) stands for infinity.
type scale struct {
	hz    float64
	bound [fsdev.NumHistogramBuckets]int
}

func newScale(hz uint64) *scale {
	s := &scale{hz: float64(hz)}
	b := 0
	for i := range s.bound {
		_, high := fsdev.HistogramBucket(i)
		for b < len(bounds) && float64(high)/s.hz > bounds[b] {
			b++
		}
		s.bound[i] = b
	}
	s.bound[len(s.bound)-1] = len(bounds) // it has what is beyond its end, too
	return s
}

// convert returns the histogram in seconds, the buckets each with those below.
func (s *scale) convert(h *fsdev.Histogram) (n uint64, sum float64, buckets map[float64]uint64) {
	var per [64]uint64 // bounds, and infinity
	for i, count := range h.All() {
		per[s.bound[i]] += count
	}
	buckets = make(map[float64]uint64, len(bounds))
	for i, bound := range bounds {
		n += per[i]
		buckets[bound] = n
	}
	return n + per[len(bounds)], float64(h.Sum) / s.hz, buckets
}

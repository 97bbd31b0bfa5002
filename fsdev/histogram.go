package fsdev

import (
	"iter"
	"math/bits"
)

// The scale of a [Histogram], in the words of SPDK's struct spdk_histogram_data: ranges of
// 1<<HistogramGranularity buckets each. The buckets of ranges 0 and 1 are one tick wide, those of
// each further range twice as wide as those of the one before, so that no bucket is wider than
// an eighth of what it counts. Range 0 begins at 0 ticks and the last one ends at 1<<41, after
// twelve minutes of 3 GHz; what takes longer is counted in its last bucket.
//
// SPDK: SPDK_HISTOGRAM_GRANULARITY_DEFAULT, which is 7
const (
	HistogramGranularity = 3
	HistogramMinRange    = 0
	HistogramMaxRange    = 38

	// NumHistogramBuckets is the number of buckets of a [Histogram].
	NumHistogramBuckets = (HistogramMaxRange - HistogramMinRange + 1) << HistogramGranularity
)

// Histogram counts how long IO took, in ticks of the framework's clock.
//
// SPDK: struct spdk_histogram_data, without the sum and the longest
type Histogram struct {
	// Buckets has the buckets of all ranges, range 0 first.
	Buckets [NumHistogramBuckets]uint64
	Sum     uint64 // of the ticks of all IO
	Max     uint64 // ticks of the longest
}

// tally counts an IO. SPDK: spdk_histogram_data_tally
func (h *Histogram) tally(ticks uint64) {
	h.Buckets[histogramBucket(ticks)]++
	h.Sum += ticks
	h.Max = max(h.Max, ticks)
}

func histogramBucket(ticks uint64) uint {
	// Range r > 0 has the values with HistogramGranularity+r bits.
	r := max(bits.Len64(ticks)-HistogramGranularity, 0)
	if r > HistogramMaxRange {
		return NumHistogramBuckets - 1
	}
	const mask = 1<<HistogramGranularity - 1
	return uint(r)<<HistogramGranularity | uint(ticks>>max(r-1, 0))&mask
}

// HistogramBucket returns the ticks that bucket i of a [Histogram] counts: from low to below
// high.
//
// SPDK: __spdk_histogram_data_get_bucket_start
func HistogramBucket(i int) (low, high uint64) {
	r, n := i>>HistogramGranularity, uint64(i)&(1<<HistogramGranularity-1)
	if r == 0 {
		return n, n + 1
	}
	n |= 1 << HistogramGranularity
	return n << (r - 1), (n + 1) << (r - 1)
}

// Count returns the number of IO counted. Not in SPDK.
func (h *Histogram) Count() (n uint64) {
	for _, c := range h.Buckets {
		n += c
	}
	return n
}

// All goes through the buckets that have counted something, lowest first.
//
// Not in SPDK: modelled on spdk_histogram_data_iterate.
func (h *Histogram) All() iter.Seq2[int, uint64] {
	return func(yield func(bucket int, count uint64) bool) {
		for i, c := range h.Buckets {
			if c > 0 && !yield(i, c) {
				return
			}
		}
	}
}

// Quantile returns a number of ticks that at least the share q of the IO, 0 to 1, did not exceed,
// not more than an eighth above the least there is; 0 if nothing has been counted.
//
// Not in SPDK.
func (h *Histogram) Quantile(q float64) uint64 {
	want := max(1, uint64(q*float64(h.Count())+0.5))
	seen := uint64(0)
	for i, c := range h.All() {
		if seen += c; seen >= want {
			_, high := HistogramBucket(i)
			return min(high-1, h.Max)
		}
	}
	return h.Max
}

// add adds what o has counted. SPDK: spdk_histogram_data_merge
func (h *Histogram) add(o *Histogram) {
	for i, c := range o.Buckets {
		h.Buckets[i] += c
	}
	h.Sum += o.Sum
	h.Max = max(h.Max, o.Max)
}

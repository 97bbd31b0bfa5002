package fsdev

import (
	"math"
	"math/rand/v2"
	"testing"
)

// The scale has no gaps, and every value falls into the bucket that says so.
func TestHistogramScale(t *testing.T) {
	next := uint64(0)
	for i := range NumHistogramBuckets {
		low, high := HistogramBucket(i)
		if low != next || high <= low {
			t.Fatalf("bucket %d is from %d to %d, the one before ends at %d", i, low, high, next)
		}
		if width := high - low; width > 1 && width > low/8 {
			t.Errorf("bucket %d, from %d to %d, is wider than an eighth", i, low, high)
		}
		for _, v := range []uint64{low, (low + high) / 2, high - 1} {
			if got := histogramBucket(v); got != uint(i) {
				t.Errorf("%d ticks fall into bucket %d, want %d", v, got, i)
			}
		}
		next = high
	}
	if next != 1<<41 {
		t.Errorf("the scale ends at %d", next)
	}
	for _, v := range []uint64{1 << 41, 1 << 50, math.MaxUint64} {
		if got := histogramBucket(v); got != NumHistogramBuckets-1 {
			t.Errorf("%d ticks fall into bucket %d, want the last", v, got)
		}
	}
}

func TestHistogramQuantile(t *testing.T) {
	h := &Histogram{}
	if got := h.Quantile(0.5); got != 0 {
		t.Errorf("median of nothing: %d", got)
	}
	for v := uint64(1); v <= 1000; v++ {
		h.tally(v)
	}
	if h.Count() != 1000 || h.Sum != 500500 || h.Max != 1000 {
		t.Errorf("count %d, sum %d, max %d", h.Count(), h.Sum, h.Max)
	}
	for _, tt := range []struct {
		q    float64
		want uint64
	}{{0, 1}, {0.001, 1}, {0.5, 500}, {0.9, 900}, {0.99, 990}, {1, 1000}, {2, 1000}} {
		got := h.Quantile(tt.q)
		if got < tt.want || got > tt.want+tt.want/8 {
			t.Errorf("quantile %v: %d, want %d and not more than an eighth above", tt.q, got, tt.want)
		}
	}
}

func TestHistogramAllAndAdd(t *testing.T) {
	const seed = 1
	r := rand.New(rand.NewPCG(seed, seed))
	a, b, both := &Histogram{}, &Histogram{}, &Histogram{}
	for range 1000 {
		v := uint64(1) << r.IntN(45) >> r.IntN(3)
		both.tally(v)
		if r.IntN(2) == 0 {
			a.tally(v)
		} else {
			b.tally(v)
		}
	}
	a.add(b)
	if *a != *both {
		t.Errorf("the sum of two histograms is another than that of their values, seed %d", seed)
	}
	last, n := -1, uint64(0)
	for i, c := range a.All() {
		if i <= last || c == 0 {
			t.Errorf("bucket %d with %d after %d", i, c, last)
		}
		last = i
		n += c
	}
	if n != 1000 {
		t.Errorf("%d of 1000 are in the buckets", n)
	}
	for range a.All() {
		break
	}
}

func BenchmarkHistogramTally(b *testing.B) {
	h := &Histogram{}
	b.ReportAllocs()
	v := uint64(1)
	for b.Loop() {
		v = v*6364136223846793005 + 1
		h.tally(v >> 40)
	}
}

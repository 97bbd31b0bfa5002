package ebpfmon

import (
	"math"
	"testing"
)

func TestBucketBounds(t *testing.T) {
	for _, test := range []struct {
		ns     uint64
		bucket int
	}{
		{0, 0}, {511, 0}, {512, 1}, {1023, 1}, {1024, 2}, {1 << 20, 12}, {1<<39 - 1, 30}, {1 << 39, 31},
		{math.MaxUint64, 31},
	} {
		b := bucketOf(test.ns)
		if b != test.bucket {
			t.Errorf("%d ns are in bucket %d, want %d", test.ns, b, test.bucket)
		}
		if end := Bound(b); end != 0 && test.ns >= end || b > 0 && test.ns < Bound(b-1) {
			t.Errorf("%d ns are not between the bounds %d and %d of bucket %d", test.ns, Bound(b-1), end, b)
		}
	}
	if Bound(Buckets-1) != 0 || Bound(Buckets) != 0 {
		t.Error("the last bucket has an end")
	}
}

func TestQuantile(t *testing.T) {
	with := func(max uint64, counts map[int]uint64) *Histogram {
		h := &Histogram{Max: max}
		for i, n := range counts {
			h.Buckets[i] = n
		}
		return h
	}
	for _, test := range []struct {
		name string
		h    *Histogram
		q    float64
		want uint64
	}{
		{"none", &Histogram{}, 0.5, 0},
		{"one bucket, half-way", with(1<<30, map[int]uint64{2: 100}), 0.5, 1536},
		{"the end of the first", with(1<<30, map[int]uint64{0: 50, 5: 50}), 0.5, 512},
		{"in the second", with(1<<30, map[int]uint64{0: 50, 5: 50}), 0.75, 8192 + 4096},
		{"no longer than the longest", with(9000, map[int]uint64{0: 50, 5: 50}), 1, 9000},
		{"the last bucket ends at the longest", with(1<<39+1000, map[int]uint64{31: 10}), 1, 1<<39 + 1000},
		{"the longest is not up to date", with(0, map[int]uint64{5: 10}), 0.99, 8192},
	} {
		if got := test.h.Quantile(test.q); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
}

func TestHistogramAdd(t *testing.T) {
	a := Histogram{Sum: 10, Max: 7}
	a.Buckets[0], a.Buckets[3] = 1, 2
	b := Histogram{Sum: 5, Max: 9}
	b.Buckets[3] = 4
	a.Add(&b)
	if a.Count() != 7 || a.Buckets[3] != 6 || a.Sum != 15 || a.Max != 9 {
		t.Errorf("the sum is %+v", a)
	}
}

package main

import (
	"cmp"
	"slices"
)

// latency is a distribution of ticks, its buckets in order.
type latency struct {
	buckets []bucket
	count   uint64
}

// latencyOf returns how long the operations took that were counted in now and not yet in before. op is the one that is
// wanted, "" for all.
func latencyOf(before, now []opHistogram, op string) latency {
	type bounds struct{ low, high uint64 }
	counts := map[bounds]uint64{}
	for i := range now {
		h := &now[i]
		if op != "" && h.Op != op {
			continue
		}
		old := find(before, func(o *opHistogram) bool { return o.Op == h.Op })
		if old.Count > h.Count {
			old = opHistogram{} // it was switched off and on between
		}
		earlier := map[bounds]uint64{}
		for _, b := range old.Buckets {
			earlier[bounds{b.Low, b.High}] = b.Count
		}
		for _, b := range h.Buckets {
			counts[bounds{b.Low, b.High}] += since(earlier[bounds{b.Low, b.High}], b.Count)
		}
	}
	var l latency
	for at, n := range counts {
		if n > 0 && at.low <= at.high {
			l.buckets = append(l.buckets, bucket{at.low, at.high, n})
			l.count += n
		}
	}
	slices.SortFunc(l.buckets, func(a, b bucket) int {
		return cmp.Or(cmp.Compare(a.Low, b.Low), cmp.Compare(a.High, b.High))
	})
	return l
}

// quantile is how long a part q of the operations took at most, for a table.
func quantile(l *latency, q, ticksPerMicro float64) cell {
	ticks, ok := l.quantile(q)
	if !ok {
		return nothing()
	}
	us := ticks / ticksPerMicro
	return number(us, duration(us))
}

// quantile returns the ticks that a part q of the operations did not exceed, as if those of a bucket were spread
// evenly.
func (l *latency) quantile(q float64) (ticks float64, ok bool) {
	if l.count == 0 {
		return 0, false
	}
	left := q * float64(l.count)
	for _, b := range l.buckets {
		n := float64(b.Count)
		if left <= n {
			return float64(b.Low) + float64(b.High-b.Low)*left/n, true
		}
		left -= n
	}
	return float64(l.buckets[len(l.buckets)-1].High), true
}

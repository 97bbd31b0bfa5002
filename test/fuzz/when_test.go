package fuzz

import (
	"cmp"
	"fmt"
	"math"
	"time"
)

// instant is a point in time as the protocol has it.
type instant struct {
	sec  int64
	nsec uint32
}

func instantOf(t time.Time) instant { return instant{t.Unix(), uint32(t.Nanosecond())} }

func (a instant) compare(b instant) int {
	if c := cmp.Compare(a.sec, b.sec); c != 0 {
		return c
	}
	return cmp.Compare(a.nsec, b.nsec)
}

// span is a time between two instants, both included.
type span struct{ from, to instant }

var anyTime = span{instant{math.MinInt64, 0}, instant{math.MaxInt64, math.MaxUint32}}

// when is what is known of a time stamp: it lies in one of the spans.
type when []span

// maxSpans is how many spans a stamp has before the oldest are thrown together.
const maxSpans = 6

// maybe says that the stamp may have been set within now.
func (w *when) maybe(now when) {
	*w = append(*w, now...)
	for len(*w) > maxSpans {
		a, b := (*w)[0], (*w)[1]
		if b.from.compare(a.from) < 0 {
			a.from = b.from
		}
		if b.to.compare(a.to) > 0 {
			a.to = b.to
		}
		*w = append(when{a}, (*w)[2:]...)
	}
}

// set says that the stamp has been set within now.
func (w *when) set(now when) { *w = append((*w)[:0:0], now...) }

// exactly says what the stamp is.
func (w *when) exactly(i instant) { *w = when{{i, i}} }

// see takes what a client is told, and returns whether it can be.
func (w *when) see(i instant) bool {
	for _, s := range *w {
		if s.from.compare(i) <= 0 && i.compare(s.to) <= 0 {
			w.exactly(i)
			return true
		}
	}
	return false
}

func (i instant) String() string { return fmt.Sprintf("%d.%09d", i.sec, i.nsec) }

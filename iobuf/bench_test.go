package iobuf

import (
	"fmt"
	"testing"
)

// BenchmarkGetPut gets and puts one buffer: from and to the cache; from and to the pool, by a
// channel without a cache; and while an entry waits on another thread.
func BenchmarkGetPut(b *testing.B) {
	for _, cache := range []int{16, 0} {
		for _, n := range []int{4096, 8192} {
			b.Run(fmt.Sprintf("cache=%d/size=%d", cache, n), func(b *testing.B) {
				bench := newBench(b, 1, 64)
				ch := bench.open(0, cache)
				b.ReportAllocs()
				for b.Loop() {
					ch.Put(ch.Get(n, nil, nil))
				}
				bench.mustFinish(ch)
			})
		}
	}
}

// BenchmarkWait has an entry wait and puts the buffer that it gets: on the same thread, and on
// another, with the message that takes.
func BenchmarkWait(b *testing.B) {
	for _, thread := range []int{0, 1} {
		b.Run(fmt.Sprintf("threads=%d", thread+1), func(b *testing.B) {
			bench := newBench(b, 2, 1)
			from, to := bench.open(0, 0), bench.open(thread, 0)
			w := &taker{bufs: make([][]byte, 0, 1)}
			w.Ctx = w
			b.ReportAllocs()
			for b.Loop() {
				buf := from.Get(4096, nil, nil)
				to.Get(4096, &w.Entry, took)
				from.Put(buf)
				for len(w.bufs) == 0 {
					bench.PollOnce()
				}
				to.Put(w.bufs[0])
				w.bufs = w.bufs[:0]
			}
			bench.PollThreads()
			bench.mustFinish(from, to)
		})
	}
}

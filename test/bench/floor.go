package main

import (
	"sync/atomic"
	"time"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/reactor"
)

// bounce is two words that two cores write in turn, each on a cache line of its own.
type bounce struct {
	_    [64]byte
	ping atomic.Uint64
	_    [56]byte
	pong atomic.Uint64
	_    [56]byte
}

// coreRoundTrip returns what it takes two cores to answer each other with nothing but a store
// and a load: figures of two cores are to be read against it, since it depends on where a
// virtual machine's CPUs happen to be, by a factor of ten.
func coreRoundTrip(cores []int) time.Duration {
	const trips = 100_000
	e := newEnv(cores)
	defer e.fw.Stop()
	best := time.Duration(0)
	for range 5 {
		b := &bounce{}
		done := make(chan struct{})
		go func() {
			defer close(done)
			checkErrno("round trip", app.Call(e.threads[1], func(*reactor.Thread) {
				for i := uint64(1); i <= trips; i++ {
					for b.ping.Load() != i {
					}
					b.pong.Store(i)
				}
			}))
		}()
		var took time.Duration
		e.on(e.threads[0], func(*reactor.Thread) {
			start := time.Now()
			for i := uint64(1); i <= trips; i++ {
				b.ping.Store(i)
				for b.pong.Load() != i {
				}
			}
			took = time.Since(start) / trips
		})
		<-done
		if best == 0 || took < best {
			best = took
		}
	}
	return best
}

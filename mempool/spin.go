package mempool

import (
	"runtime"
	"sync/atomic"
)

// spinLock guards critical sections that are a copy of a few hundred words: so short that
// spinning is right even between reactors, which must not park.
type spinLock struct{ held atomic.Uint32 }

func (l *spinLock) acquire() {
	if !l.held.CompareAndSwap(0, 1) {
		l.spin()
	}
}

// spin gives the CPU away after a while, for the holder may have been preempted.
//
//go:noinline
func (l *spinLock) spin() {
	for i := 0; !l.held.CompareAndSwap(0, 1); i++ {
		if i > 1000 {
			runtime.Gosched()
		}
	}
}

func (l *spinLock) release() { l.held.Store(0) }

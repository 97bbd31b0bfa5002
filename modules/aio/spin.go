package aio

import (
	"runtime"
	"sync/atomic"
)

// spinsBeforeYield is some 20 µs: far longer than any spin lock is held by a running thread.
const spinsBeforeYield = 1 << 14

// spin is a lock for a handful of pointer writes, between reactors and workers. Nothing is allocated, called or waited
// for while it is held.
type spin struct {
	held atomic.Uint32
}

func (s *spin) lock() {
	for i := 0; !s.held.CompareAndSwap(0, 1); i++ {
		if i == spinsBeforeYield {
			runtime.Gosched() // the holder lost its CPU in the middle. It can only have ours.
			i = 0
		}
	}
}

func (s *spin) unlock() { s.held.Store(0) }

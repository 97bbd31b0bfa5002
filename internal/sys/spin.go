package sys

import (
	"runtime"
	"sync/atomic"
)

// spinsBeforeYield is some 20 µs: far longer than a [Spin] is held by a running thread.
const spinsBeforeYield = 1 << 14

// Spin is a lock for a handful of pointer writes, between threads that must not sleep and others. Nothing is allocated,
// called that may wait, or waited for while it is held. Its zero value is free. Any goroutine may use it.
type Spin struct {
	held atomic.Uint32
}

// Lock waits for the lock and takes it.
func (s *Spin) Lock() {
	for i := 0; !s.held.CompareAndSwap(0, 1); i++ {
		if i == spinsBeforeYield {
			runtime.Gosched() // the holder lost its CPU in the middle. It can only have ours.
			i = 0
		}
	}
}

// Unlock lets go of the lock.
func (s *Spin) Unlock() { s.held.Store(0) }

package sys

import (
	"runtime"
	"sync"
	"testing"
)

// A spin lock excludes others, and a holder that has lost its CPU gets it back from those who spin.
func TestSpin(t *testing.T) {
	const users, rounds = 4, 2000
	var s Spin
	var wg sync.WaitGroup
	n := 0
	for range users {
		wg.Go(func() {
			for i := range rounds {
				s.Lock()
				n++
				if i%500 == 0 {
					runtime.Gosched()
				}
				s.Unlock()
			}
		})
	}
	wg.Wait()
	if n != users*rounds {
		t.Errorf("counted to %d, want %d", n, users*rounds)
	}
}

func BenchmarkSpin(b *testing.B) {
	var s Spin
	n := 0
	for b.Loop() {
		s.Lock()
		n++
		s.Unlock()
	}
}

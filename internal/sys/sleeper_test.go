package sys

import (
	"runtime"
	"sync"
	"testing"
)

// No Wake is lost, whether it comes before the Sleep, during it or between two.
func TestSleeper(t *testing.T) {
	var ping, pong Sleeper
	const rounds = 2000
	var wg sync.WaitGroup
	wg.Go(func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for range rounds {
			ping.Sleep()
			pong.Wake()
		}
	})
	for range rounds {
		ping.Wake()
		pong.Sleep()
	}
	wg.Wait()
	ping.Wake()
	ping.Wake() // one is kept
	ping.Sleep()
	if ping.woken.Load() != 0 {
		t.Error("two were kept")
	}
}

// A thread that sleeps does not keep the garbage collector waiting.
func TestSleeperDoesNotStopTheWorld(t *testing.T) {
	var s Sleeper
	var wg sync.WaitGroup
	wg.Go(s.Sleep)
	for range 3 {
		runtime.GC()
	}
	s.Wake()
	wg.Wait()
}

// BenchmarkSleeper is a turn of two threads, one of which is locked, as a worker and a reactor are.
func BenchmarkSleeper(b *testing.B) {
	b.Run("sleeper", func(b *testing.B) {
		var ping, pong Sleeper
		go locked(b.N, ping.Sleep, pong.Wake)
		locked(b.N, ping.Wake, pong.Sleep)
	})
	b.Run("channel", func(b *testing.B) {
		ping, pong := make(chan struct{}, 1), make(chan struct{}, 1)
		wait := func(c chan struct{}) func() { return func() { <-c } }
		wake := func(c chan struct{}) func() { return func() { c <- struct{}{} } }
		go locked(b.N, wait(ping), wake(pong))
		locked(b.N, wake(ping), wait(pong))
	})
}

func locked(n int, first, second func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for range n {
		first()
		second()
	}
}

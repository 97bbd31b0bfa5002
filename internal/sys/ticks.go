package sys

import (
	"bytes"
	"os"
	"runtime"
	"sync"
	"time"
)

// counter reads the CPU's constant-rate cycle counter (TSC, CNTVCT_EL0). It costs a third
// of time.Now, which matters in a loop of 20 ns.
func counter() uint64

// Pause tells the CPU that the caller spins, which saves power and leaves more to the other
// half of a core.
func Pause()

var (
	start      = time.Now()
	useCounter = counterIsClock()

	calibrate sync.Once
	ticksHz   uint64 = 1e9
)

// counterIsClock reports whether the kernel itself trusts the counter as a clock, i.e. it
// has one rate and agrees between cores.
func counterIsClock() bool {
	if runtime.GOARCH == "arm64" {
		return true
	}
	b, err := os.ReadFile("/sys/devices/system/clocksource/clocksource0/available_clocksource")
	return err == nil && bytes.Contains(b, []byte("tsc"))
}

// Ticks returns a monotonic tick count of rate [TicksHz]. Any goroutine may call it.
func Ticks() uint64 {
	if useCounter {
		return counter()
	}
	return sinceStart()
}

//go:noinline
func sinceStart() uint64 { return uint64(time.Since(start)) } // keeps Ticks small enough to be inlined

// TicksHz returns the rate of [Ticks] per second. The first call takes a few milliseconds
// to measure it against the kernel's monotonic clock.
func TicksHz() uint64 {
	calibrate.Do(func() {
		if !useCounter {
			return
		}
		// Take the best of several short windows: the one least disturbed by preemption
		// is the one where the two clocks were read closest together.
		best := time.Duration(1 << 62)
		for range 5 {
			t0, c0 := time.Now(), counter()
			time.Sleep(2 * time.Millisecond)
			c1, t1 := counter(), time.Now()
			if d := t1.Sub(t0); d < best {
				best = d
				ticksHz = uint64(float64(c1-c0) * 1e9 / float64(d))
			}
		}
	})
	return ticksHz
}

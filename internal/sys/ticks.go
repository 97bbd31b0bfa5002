package sys

import (
	"bytes"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// counter reads the CPU's constant-rate cycle counter (TSC, CNTVCT_EL0). It costs a third
// of time.Now, and a fifth where the kernel reads a clock of the hypervisor instead, which
// matters in a loop of 20 ns.
func counter() uint64

// Pause tells the CPU that the caller spins, which saves power and leaves more to the other
// half of a core.
func Pause()

var (
	start = time.Now()

	calibrate  sync.Once
	useCounter bool
	ticksHz    uint64 = 1e9
)

// maxSkew is how much the counters of two CPUs may differ.
const maxSkew = 5 * time.Microsecond

// counterHasOneRate reports whether the counter runs at one rate whatever the CPU does. The
// kernel's list of clock sources is not asked: under a hypervisor it often has none but the
// hypervisor's, which is computed from this very counter.
func counterHasOneRate() bool {
	if runtime.GOARCH == "arm64" {
		return true
	}
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return false
	}
	_, flags, _ := bytes.Cut(info, []byte("\nflags"))
	flags, _, _ = bytes.Cut(flags, []byte("\n"))
	words := map[string]bool{}
	for _, w := range bytes.Fields(flags) {
		words[string(w)] = true
	}
	return words["constant_tsc"] && words["nonstop_tsc"]
}

// Ticks returns a monotonic tick count of rate [TicksHz], which must have been called before.
// Any goroutine may call it.
func Ticks() uint64 {
	if useCounter {
		return counter()
	}
	return Nanoticks()
}

// Nanoticks returns the kernel's monotonic clock in nanoseconds since the process started.
//
//go:noinline
func Nanoticks() uint64 { return uint64(time.Since(start)) } // keeps Ticks small enough to be inlined

// TicksHz returns the rate of [Ticks] per second. The first call takes some milliseconds: it
// chooses between the CPU's counter and the kernel's clock, and measures the rate of the one
// against the other.
func TicksHz() uint64 {
	calibrate.Do(func() {
		if !counterHasOneRate() {
			return
		}
		// Take the best of several short windows: the one least disturbed by preemption
		// is the one where the two clocks were read closest together.
		best, hz := time.Duration(1<<62), uint64(0)
		for range 5 {
			t0, c0 := time.Now(), counter()
			time.Sleep(2 * time.Millisecond)
			c1, t1 := counter(), time.Now()
			if d := t1.Sub(t0); d < best {
				best = d
				hz = uint64(float64(c1-c0) * 1e9 / float64(d))
			}
		}
		if hz > 0 && counterSkew(float64(hz)/1e9) <= maxSkew {
			useCounter, ticksHz = true, hz
		}
	})
	return ticksHz
}

// counterSkew returns how far the counters of the CPUs that the process may use are apart, as
// seen from the kernel's clock.
func counterSkew(perNano float64) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all unix.CPUSet
	if unix.SchedGetaffinity(0, &all) != nil {
		return maxSkew + 1
	}
	defer func() {
		if unix.SchedSetaffinity(0, &all) != nil {
			// Other goroutines must not run on a thread that is tied to one CPU: the thread
			// ends with this goroutine if it stays locked.
			runtime.LockOSThread()
		}
	}()
	var lo, hi time.Duration
	first := true
	for cpu, left := 0, all.Count(); left > 0; cpu++ {
		if !all.IsSet(cpu) {
			continue
		}
		left--
		var one unix.CPUSet
		one.Set(cpu)
		if unix.SchedSetaffinity(0, &one) != nil {
			return maxSkew + 1
		}
		off := counterOffset(perNano)
		if first {
			lo, hi, first = off, off, false
		}
		lo, hi = min(lo, off), max(hi, off)
	}
	return hi - lo
}

var base = counter()

// counterOffset returns how far the counter of this CPU is ahead of the kernel's clock.
func counterOffset(perNano float64) time.Duration {
	best, off := time.Duration(1<<62), time.Duration(0)
	for range 20 {
		t0 := time.Since(start)
		c := counter() - base
		t1 := time.Since(start)
		if t1-t0 < best {
			best = t1 - t0
			off = time.Duration(float64(c)/perNano) - (t0+t1)/2
		}
	}
	return off
}

package sys

import (
	"testing"
	"time"
)

// TestTicksKeepTimeWithTheKernel compares the two clocks over a while.
func TestTicksKeepTimeWithTheKernel(t *testing.T) {
	hz := TicksHz()
	t0, c0 := time.Now(), Ticks()
	for time.Since(t0) < 50*time.Millisecond {
	}
	c1, d := Ticks(), time.Since(t0)
	got := time.Duration(float64(c1-c0) * 1e9 / float64(hz))
	if diff := (got - d).Abs(); diff > d/50 {
		t.Errorf("%v by the ticks (%d Hz, counter %v), %v by the kernel", got, hz, useCounter, d)
	}
}

func TestTicksNeverRunBackwards(t *testing.T) {
	TicksHz()
	last := Ticks()
	for range 1_000_000 {
		now := Ticks()
		if now < last {
			t.Fatalf("%d after %d", now, last)
		}
		last = now
	}
}

func TestCounterSkewIsSmallOrTheKernelIsAsked(t *testing.T) {
	hz := TicksHz()
	if !useCounter {
		t.Logf("this machine's counter is not used (one rate: %v)", counterHasOneRate())
		return
	}
	if skew := counterSkew(float64(hz) / 1e9); skew > 2*maxSkew {
		t.Errorf("the CPUs' counters are %v apart", skew)
	}
}

func BenchmarkTicks(b *testing.B) {
	TicksHz()
	for b.Loop() {
		Ticks()
	}
}

func BenchmarkNanoticks(b *testing.B) {
	for b.Loop() {
		Nanoticks()
	}
}

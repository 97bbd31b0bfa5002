package cycle

import (
	"flag"
	"testing"
	"time"
)

var (
	stepsFlag = flag.Int("cycle.steps", 0, "steps of TestCycle; 0 means 50,000 with -short and 1,000,000 without")
	seedFlag  = flag.Uint64("cycle.seed", 1, "seed of TestCycle's first history; 0 means a new one")
)

// TestCycle lives random histories.
func TestCycle(t *testing.T) {
	steps := *stepsFlag
	if steps == 0 {
		if steps = 1_000_000; testing.Short() || raceEnabled {
			steps = 50_000
		}
	}
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", seed)
	var st stats
	begin := time.Now()
	buffer := make([]action, 0, maxHistory)
	for st.steps < steps {
		h := live(seed, lieNone, buffer, &st)
		if h.failure != nil {
			t.Fatalf("%v\n%v", h.failure, h.shrink(30*time.Second))
		}
		seed++
	}
	took := time.Since(begin)
	t.Logf("%v in %v, %.0f steps/s", &st, took, float64(st.steps)/took.Seconds())
}

package sim

import (
	"flag"
	"testing"
	"time"
)

var (
	stepsFlag = flag.Int("sim.steps", 0, "steps of TestSim; 0 means 200,000 with -short and 10,000,000 without")
	seedFlag  = flag.Uint64("sim.seed", 1, "seed of TestSim's first history; 0 means a new one")
)

// TestSim lives random histories.
func TestSim(t *testing.T) {
	steps := *stepsFlag
	if steps == 0 {
		if steps = 10_000_000; testing.Short() {
			steps = 200_000
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
		h := live(seed, maxHistory, faultNone, buffer, &st)
		if h.failure != nil {
			t.Fatalf("%v\n%v", h.failure, h.shrink(30*time.Second))
		}
		seed++
	}
	took := time.Since(begin)
	t.Logf("%v in %v, %.0f steps/s", &st, took, float64(st.steps)/took.Seconds())
}

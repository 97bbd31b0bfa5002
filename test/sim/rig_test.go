package sim

import (
	"fmt"
	"testing"
	"time"
)

// TestCanaries tests the simulation itself: each fault is found soon, the shrunk history has
// only what the fault needs, and without the fault it is none.
func TestCanaries(t *testing.T) {
	for f, most := range map[fault]int{
		faultLostMessage: 5, // a thread, three messages, and what shows the gap
		faultLostWakeUp:  8,
		faultTwoDestroys: 10,
		faultGoneEarly:   8,
		faultEarlyPoller: 8,
	} {
		t.Run(fmt.Sprint(f), func(t *testing.T) {
			h := canary(t, f)
			short := h.shrink(20 * time.Second)
			t.Logf("%d actions, %d of them needed: %v", len(h.actions), len(short.actions), short)
			if short.failure.kind != h.failure.kind {
				t.Errorf("the shrunk history fails with %q, the whole one with %q", short.failure.kind, h.failure.kind)
			}
			if len(short.actions) > most {
				t.Errorf("the shrunk history has %d actions, want at most %d", len(short.actions), most)
			}
			if again := replay(short.cfg, short.actions, &stats{}); again == nil || again.msg != short.failure.msg {
				t.Errorf("repeated, it says %v", again)
			}
			cfg := short.cfg
			cfg.fault = faultNone
			if f := replay(cfg, short.actions, &stats{}); f != nil {
				t.Errorf("without the fault: %v", f)
			}
		})
	}
}

// canary returns a history that finds a fault.
func canary(t *testing.T, f fault) *history {
	t.Helper()
	for seed := range uint64(200) {
		if h := live(seed, maxHistory, f, nil, &stats{}); h.failure != nil {
			return h
		}
	}
	t.Fatal("not found in 200 histories")
	return nil
}

// TestHistoriesRepeat: a seed always gives the same history, and its actions alone, without the
// generator, the same world.
func TestHistoriesRepeat(t *testing.T) {
	for seed := range uint64(20) {
		var first, second, third stats
		a := live(seed, maxHistory, faultNone, nil, &first)
		b := live(seed, maxHistory, faultNone, nil, &second)
		if a.failure != nil || b.failure != nil {
			t.Fatalf("%v, %v", a, b)
		}
		if a.String() != b.String() || first != second {
			t.Fatalf("seed %d gives two histories:\n%v\n%v", seed, &first, &second)
		}
		if f := replay(a.cfg, a.actions, &third); f != nil {
			t.Fatalf("seed %d, repeated: %v", seed, f)
		}
		third.histories, third.steps = first.histories, first.steps
		if first != third {
			t.Fatalf("seed %d, repeated, gives another world:\n%v\n%v", seed, &first, &third)
		}
	}
}

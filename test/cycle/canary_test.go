package cycle

import (
	"fmt"
	"testing"
	"time"
)

// TestCanaries tests the simulation itself: each lie is found soon, the shrunk history has only what it needs, and
// without the lie it is none.
func TestCanaries(t *testing.T) {
	for l, most := range map[lie]int{
		lieMount:   4, // INIT, until it is over, the removal, until it is over
		lieLost:    3,
		lieChannel: 6,
		lieEvent:   4,
		lieErrno:   6,
		lieOrder:   3,
	} {
		t.Run(fmt.Sprint(l), func(t *testing.T) {
			h := canary(t, l)
			short := h.shrink(20 * time.Second)
			t.Logf("%d actions, %d of them needed: %v", len(h.actions), len(short.actions), short)
			if len(short.actions) > most {
				t.Errorf("the shrunk history has %d actions, want at most %d", len(short.actions), most)
			}
			if again := replay(short.cfg, short.actions, &stats{}); again == nil || again.msg != short.failure.msg {
				t.Errorf("repeated, it says %v", again)
			}
			cfg := short.cfg
			cfg.lie = lieNone
			if f := replay(cfg, short.actions, &stats{}); f != nil {
				t.Errorf("without the lie: %v", f)
			}
		})
	}
}

// canary returns a history that finds a lie.
func canary(t *testing.T, l lie) *history {
	t.Helper()
	for seed := range uint64(200) {
		if h := live(seed, l, nil, &stats{}); h.failure != nil {
			return h
		}
	}
	t.Fatal("not found in 200 histories")
	return nil
}

// TestHistoriesRepeat: a seed always gives the same history, and its actions alone, without the generator, the same
// world.
func TestHistoriesRepeat(t *testing.T) {
	for seed := range uint64(20) {
		var first, second, third stats
		a := live(seed, lieNone, nil, &first)
		b := live(seed, lieNone, nil, &second)
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

package cycle

import (
	"fmt"
	"testing"
	"time"
)

// TestTroubleAtEveryStep goes through every scenario with everything that can go wrong, after every one of its steps,
// for one step, for some, and for good; on every thread in turn, and with one or two threads on each. With -short it
// does so after one step of eight.
func TestTroubleAtEveryStep(t *testing.T) {
	begin := time.Now()
	var st stats
	for threads := 1; threads <= maxThreads; threads++ {
		if (testing.Short() || raceEnabled) && threads != 2 {
			continue
		}
		for _, s := range scenarios {
			cfg := config{threads: threads, requests: 6, ring: []int{8, wideRing, 4, wideRing}[threads-1]}
			t.Run(fmt.Sprintf("%d threads/%s", threads, s.name), func(t *testing.T) { s.test(t, cfg, &st) })
		}
	}
	t.Logf("%v in %v", &st, time.Since(begin))
}

func (s *scenario) test(t *testing.T, cfg config, st *stats) {
	actions, f := s.spelled(cfg)
	if f == nil {
		f = replay(cfg, actions, st)
	}
	if f != nil {
		h := &history{name: s.name + " without trouble", cfg: cfg, actions: actions, failure: f}
		t.Fatalf("%v\n%v", f, h.shrink(20*time.Second))
	}
	for n, tr := range troubles {
		for i := range len(actions) + 1 {
			if (testing.Short() || raceEnabled) && (i+n)%8 != 0 {
				continue
			}
			for on := range int32(cfg.threads) {
				if cfg.threads > 2 && (i+n)%cfg.threads != int(on) {
					continue
				}
				for _, lasts := range []int{1, 5, 0} {
					list := inject(actions, tr, i, on, lasts)
					st.histories++
					st.steps += len(list)
					if f := replay(cfg, list, st); f != nil {
						name := fmt.Sprintf("%s; %s after step %d", s.name, tr.name, i)
						h := &history{name: name, cfg: cfg, actions: list, failure: f}
						t.Fatalf("%v\n%v", f, h.shrink(20*time.Second))
					}
					if tr.end == nil {
						break
					}
				}
			}
		}
	}
}

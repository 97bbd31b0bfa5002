package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// maxHistory is how many steps a history has at most.
const maxHistory = 4000

// history is a run of the simulation that can be repeated.
type history struct {
	seed    uint64
	cfg     config
	actions []action
	failure *failure
}

func (h *history) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %v\nwith %v\n", h.seed, h.failure, h.cfg)
	for i, a := range h.actions {
		fmt.Fprintf(&b, "%4d  %v\n", i, a)
	}
	if h.failure != nil {
		b.Write(h.failure.stack)
	}
	return b.String()
}

// live lives a new history of at most limit steps. The actions go into the buffer.
func live(seed uint64, limit int, f fault, buffer []action, st *stats) *history {
	rng := rand.New(rand.NewPCG(seed, 1))
	h := &history{seed: seed, cfg: randomConfig(rng, f), actions: buffer[:0]}
	w := newWorld(h.cfg, st)
	defer w.close()
	g := newGenerator(rng, w)
	limit = min(limit, 200+rng.IntN(maxHistory-200))
	h.failure = w.guard(func() {
		for w.step = range limit {
			a := g.next()
			h.actions = append(h.actions, a)
			w.do(a)
		}
		w.step = limit
		w.drain()
	})
	st.histories++
	st.steps += len(h.actions)
	return h
}

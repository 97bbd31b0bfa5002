package cycle

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// maxHistory is how many steps a history has at most.
const maxHistory = 1500

// history is a run of the simulation that can be repeated.
type history struct {
	name    string // its seed, or which scenario
	cfg     config
	actions []action
	failure *failure
}

// stats count what was done.
type stats struct {
	histories, steps, polls, requests int
	inState                           [between + 1]int // requests, by the state they met
	changes                           [4][2]int        // by kind, and whether they succeeded
	events, refusals, mountFailures   int
}

func (s *stats) String() string {
	return fmt.Sprintf("%d histories of %d steps; %d rounds; %d requests, %d of them without a session, %d with one, "+
		"%d deleted, %d between; INIT %d, failed %d; DESTROY %d; removals %d, told of %d; Delete %d, too late %d; "+
		"%d channels refused, %d MOUNT failed", s.histories, s.steps, s.polls, s.requests,
		s.inState[noSession], s.inState[session], s.inState[deleted], s.inState[between],
		s.changes[initKind][0], s.changes[initKind][1], s.changes[destroyKind][0], s.changes[removeKind][0], s.events,
		s.changes[deleteKind][0], s.changes[deleteKind][1], s.refusals, s.mountFailures)
}

func (h *history) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %v\nwith %v\n", h.name, h.failure, h.cfg)
	for i, a := range h.actions {
		fmt.Fprintf(&b, "%4d  %v\n", i, a)
	}
	if h.failure != nil {
		b.Write(h.failure.stack)
	}
	return b.String()
}

// live lives a new history. The actions go into the buffer.
func live(seed uint64, l lie, buffer []action, st *stats) *history {
	rng := rand.New(rand.NewPCG(seed, 2))
	h := &history{name: fmt.Sprint("seed ", seed), cfg: randomConfig(rng, l), actions: buffer[:0]}
	limit := 50 + rng.IntN(maxHistory-50)
	h.failure = run(h.cfg, st, func(w *world) {
		g := newGenerator(rng, w)
		for w.step = range limit {
			a := g.next()
			h.actions = append(h.actions, a)
			w.do(a)
		}
		w.step = limit
	})
	st.histories++
	st.steps += len(h.actions)
	return h
}

// replay lives a history.
func replay(cfg config, actions []action, st *stats) *failure {
	return run(cfg, st, func(w *world) {
		for i := range actions {
			w.step = i
			w.do(actions[i])
		}
		w.step = len(actions)
	})
}

// run lives in a world and drains it.
func run(cfg config, st *stats, fn func(w *world)) *failure {
	w := &world{cfg: cfg, stats: st}
	return w.guard(func() {
		w.open()
		fn(w)
		w.drain()
	})
}

package sim

import (
	"slices"
	"time"

	"github.com/spdk-go/spdk-go/test/shrink"
)

// shrink returns the shortest history that it finds within a time that fails in the same way.
func (h *history) shrink(limit time.Duration) *history {
	end := time.Now().Add(limit)
	best := *h
	best.actions = slices.Clone(h.actions)
	if step := h.failure.step; step < len(best.actions) {
		best.try(best.actions[:step+1])
	}
	best.actions = shrink.List(slices.Clone(best.actions), end, best.try)
	best.simplify(end)
	return &best
}

// try replaces the actions if others fail in the same way.
func (h *history) try(actions []action) bool {
	f := replay(h.cfg, actions, &stats{})
	if f == nil || f.kind != h.failure.kind {
		return false
	}
	h.actions, h.failure = actions, f
	return true
}

// simplify makes the actions themselves smaller.
func (h *history) simplify(end time.Time) {
	for i := range h.actions {
		for _, change := range []func(a *action) bool{
			func(a *action) bool { a.in = direct; return a.t >= 0 },
			func(a *action) bool { a.c = 1; return true },
			func(a *action) bool { a.b = 0; return true },
		} {
			actions := slices.Clone(h.actions)
			if !change(&actions[i]) || actions[i] == h.actions[i] || time.Now().After(end) {
				continue
			}
			h.try(actions)
		}
	}
}

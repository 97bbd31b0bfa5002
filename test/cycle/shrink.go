package cycle

import (
	"slices"
	"time"

	"github.com/spdk-go/spdk-go/test/shrink"
)

// shrink returns the shortest history that it finds within a time that fails in the same way.
func (h *history) shrink(limit time.Duration) *history {
	end := time.Now().Add(limit)
	best := *h
	if step := h.failure.step; step < len(h.actions) {
		best.try(slices.Clone(h.actions[:step+1]))
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

// simplify makes the world smaller, and the actions themselves.
func (h *history) simplify(end time.Time) {
	for h.cfg.threads > 1 && time.Now().Before(end) {
		h.cfg.threads--
		if !h.try(h.actions) {
			h.cfg.threads++
			break
		}
	}
	for i := range h.actions {
		for _, change := range []func(a *action){
			func(a *action) { a.a, a.b = 0, 0 },
			func(a *action) { a.b = 0 },
			func(a *action) { a.t = 0 },
		} {
			actions := slices.Clone(h.actions)
			change(&actions[i])
			if actions[i] == h.actions[i] || time.Now().After(end) {
				continue
			}
			h.try(actions)
		}
	}
}

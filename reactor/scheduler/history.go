package scheduler

import (
	"sync"

	"github.com/spdk-go/spdk-go/reactor"
)

// history is what schedulers of a framework leave to those that follow them.
type history struct {
	mu    sync.Mutex     // held for a few instructions: Balance takes it on a reactor
	begun bool           // there has been a scheduler
	homes map[uint64]int // where threads belong, by id, if that is not where they ran first
	modes map[int]bool   // of cores, by number: InterruptMode before a scheduler changed it
}

var historyKey = reactor.NewExtKey()

func historyOf(f *reactor.Framework) *history { return f.Ext(historyKey, newHistory).(*history) }

func newHistory() any { return &history{homes: map[uint64]int{}, modes: map[int]bool{}} }

// begin notes that there is a scheduler, and reports whether there was one before.
func (h *history) begin() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	before := h.begun
	h.begun = true
	return before
}

// noteModes keeps the modes of cores of which none is kept yet.
func (h *history) noteModes(cores []reactor.CoreInfo) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range cores {
		c := &cores[i]
		if _, noted := h.modes[c.Core]; !noted {
			h.modes[c.Core] = c.InterruptMode
		}
	}
}

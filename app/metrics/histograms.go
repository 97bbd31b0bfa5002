package metrics

import (
	"syscall"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/reactor"
)

// histograms has the devices count latencies while somebody watches. Only the scrape and, when there is none, Stop
// use it.
type histograms struct {
	want bool
	seen map[*fsdev.Fsdev]bool // those that are there; true: it was switched on here
}

// follow switches the histograms of devices on that were not there before. What an operator switches off stays off.
func (h *histograms) follow(a *app.App) {
	if !h.want {
		return
	}
	seen := map[*fsdev.Fsdev]bool{}
	for _, f := range fsdev.Fsdevs(a.Framework()) {
		ours, known := h.seen[f]
		if !known && !f.HistogramsEnabled() {
			ours = true
			switchHistograms(a, f, true)
		}
		seen[f] = ours
	}
	h.seen = seen
}

// end switches off what follow has switched on.
func (h *histograms) end(a *app.App) {
	for f, ours := range h.seen {
		if ours {
			switchHistograms(a, f, false)
		}
	}
	h.seen = nil
}

func switchHistograms(a *app.App, f *fsdev.Fsdev, on bool) {
	app.CallAsync(a.Thread(), func(t *reactor.Thread, done func()) {
		f.EnableHistograms(t, on, func(*reactor.Thread, any, syscall.Errno) { done() }, nil)
	})
}

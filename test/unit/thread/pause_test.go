package thread_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

// TestPollerPause does things to a poller and looks each time whether it runs when it is due next.
func TestPollerPause(t *testing.T) {
	type step struct {
		do   func(p *reactor.Poller)
		runs bool
	}
	var (
		nothing       = func(*reactor.Poller) {}
		pause         = (*reactor.Poller).Pause
		resume        = (*reactor.Poller).Resume
		unregister    = (*reactor.Poller).Unregister
		pauseResume   = func(p *reactor.Poller) { p.Pause(); p.Resume() }
		pauseByItself = func(p *reactor.Poller) { p.Pause(); p.Resume(); p.Pause() }
	)
	for _, period := range []time.Duration{0, 1000 * us} {
		h := reactortest.New(t, 1)
		th := h.Threads[0]
		byMessage := func(do func(p *reactor.Poller)) func(p *reactor.Poller) {
			return func(p *reactor.Poller) {
				th.SendMsg(func(*reactor.Thread, any) { do(p) }, nil)
				th.Poll(0, h.Clock.Ticks())
			}
		}
		for name, tc := range map[string]struct {
			inside func(p *reactor.Poller) // what the poller does to itself
			steps  []step
		}{
			"pauses itself": {pause, []step{
				{nothing, true}, {nothing, false}, {resume, true}, {nothing, false}}},
			"pauses itself twice": {pauseByItself, []step{
				{nothing, true}, {nothing, false}, {resume, true}, {nothing, false}}},
			"resumed without a pause": {nothing, []step{{resume, true}}},
			"paused twice": {nothing, []step{
				{nothing, true}, {pause, false}, {pause, false}, {resume, true}, {nothing, true}}},
			"paused and resumed at once": {nothing, []step{{pauseResume, true}}},
			"unregistered while paused":  {nothing, []step{{nothing, true}, {pause, false}}},
			"unregistered while pausing": {nothing, []step{{nothing, true}, {func(p *reactor.Poller) {
				p.Pause()
				p.Unregister()
			}, false}}},
			"by messages": {nothing, []step{
				{nothing, true}, {byMessage(pause), false}, {byMessage(resume), true}}},
		} {
			t.Run(fmt.Sprintf("%s, %v", name, period), func(t *testing.T) {
				var p *reactor.Poller
				runs := 0
				p = th.RegisterPoller("", func(*reactor.Thread, any) reactor.PollerResult {
					runs++
					tc.inside(p)
					return reactor.Idle
				}, nil, period)
				for i, s := range tc.steps {
					runs = 0
					s.do(p)
					h.Advance(period)
					h.PollThreads()
					same(t, fmt.Sprintf("step %d: does it run", i), runs > 0, s.runs)
				}
				if p.State() != reactor.PollerUnregistered {
					unregister(p)
				}
				runs = 0
				h.Advance(period)
				h.PollThreads()
				same(t, "runs after Unregister", runs, 0)
				same(t, "has pollers", th.HasPollers(), false)
			})
		}
	}
}

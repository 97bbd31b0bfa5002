package reactor_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

// afterRun is a round of a thread whose pollers and messages register post-poller handlers.
type afterRun struct {
	t *testing.T
	journal
}

// handlers registers handlers named after who does it, and expects the answers to it.
func (a *afterRun) handlers(th *reactor.Thread, name string, want ...syscall.Errno) {
	for i, errno := range want {
		if got := th.RegisterPostPollerHandler(a.says(fmt.Sprintf("after %s %d", name, i)), nil); got != errno {
			a.t.Errorf("handler %d of %s: %v, want %v", i, name, got, errno)
		}
	}
}

// polls returns a poller that registers handlers in its first run.
func (a *afterRun) polls(name string, want ...syscall.Errno) reactor.PollerFunc {
	return func(th *reactor.Thread, _ any) reactor.PollerResult {
		a.add(name)
		a.handlers(th, name, want...)
		want = nil
		return reactor.Idle
	}
}

// expect runs a round.
func (a *afterRun) expect(th *reactor.Thread, want ...string) {
	a.t.Helper()
	th.Poll(0, 0)
	if diff := cmp.Diff(want, a.take()); diff != "" {
		a.t.Error(diff)
	}
}

// TestHandlersRunAfterTheirPoller, in order and once; a fifth is refused.
func TestHandlersRunAfterTheirPoller(t *testing.T) {
	h := reactortest.NewLeaky(t, 1)
	th, a := h.Threads[0], &afterRun{t: t}
	th.RegisterPoller("", a.polls("timed"), nil, 1)
	th.RegisterPoller("", a.polls("last"), nil, 0)
	th.RegisterPoller("", a.polls("second", 0, 0, 0, 0, syscall.ENOSPC, syscall.ENOSPC), nil, 0)
	th.RegisterPoller("", a.polls("first", 0), nil, 0)
	h.Advance(1)
	a.expect(th, "first", "after first 0",
		"second", "after second 0", "after second 1", "after second 2", "after second 3",
		"last", "timed")
	a.expect(th, "first", "second", "last")
}

// TestHandlersOfOthersWaitForAnActivePoller, as in SPDK: those of a message for the first of its
// round, those of a timed poller for the first of the next round. One that is about to be taken
// away will do.
func TestHandlersOfOthersWaitForAnActivePoller(t *testing.T) {
	h := reactortest.NewLeaky(t, 1)
	th, a := h.Threads[0], &afterRun{t: t}
	message := func(th *reactor.Thread, _ any) { a.handlers(th, "message", 0) }
	th.SendMsg(message, nil)
	timed := th.RegisterPoller("", a.polls("timed", 0), nil, 1)
	a.expect(th)
	h.Advance(1)
	a.expect(th, "timed")
	timed.Unregister()
	a.expect(th)

	last := th.RegisterPoller("", a.polls("last"), nil, 0)
	first := th.RegisterPoller("", a.polls("first"), nil, 0)
	a.expect(th, "first", "after message 0", "after timed 0", "last")
	th.SendMsg(message, nil)
	first.Pause()
	a.expect(th, "after message 0", "last")
	th.SendMsg(message, nil)
	last.Unregister()
	a.expect(th, "after message 0")
}

// TestHandlerMayDoAnythingButRegisterAnother handler.
func TestHandlerMayDoAnythingButRegisterAnother(t *testing.T) {
	h := reactortest.NewLeaky(t, 1)
	th, a := h.Threads[0], &afterRun{t: t}
	want := &struct{ n int }{7}
	var p *reactor.Poller
	handler := func(on *reactor.Thread, ctx any) {
		a.add("handler")
		if on != th || ctx != want {
			t.Errorf("called on %s with %v", on.Name(), ctx)
		}
		a.handlers(on, "handler", syscall.EPERM)
		on.Defer(a.says("deferred"), nil)
		on.SendMsg(a.says("message"), nil)
		on.RegisterPoller("", a.journal.polls("new poller", reactor.Idle), nil, 0)
		p.Unregister()
	}
	p = th.RegisterPoller("", func(th *reactor.Thread, _ any) reactor.PollerResult {
		a.add("poller")
		if errno := th.RegisterPostPollerHandler(handler, want); errno != 0 {
			t.Error(errno)
		}
		return reactor.Idle
	}, nil, 0)
	a.expect(th, "poller", "handler")
	a.expect(th, "deferred", "message", "new poller")
	a.handlers(th, "outside", 0) // it is over
	a.expect(th, "new poller", "after outside 0")
}

// TestHandlerActsOnItsPoller does in the poller and in its handler what could lose it.
func TestHandlerActsOnItsPoller(t *testing.T) {
	type action = func(p *reactor.Poller)
	actions := map[string]action{
		"nothing": func(*reactor.Poller) {}, "pause": (*reactor.Poller).Pause,
		"resume": (*reactor.Poller).Resume, "unregister": (*reactor.Poller).Unregister,
	}
	for inside, do := range actions {
		for after, then := range actions {
			if inside == "unregister" && after != "nothing" {
				continue // is a programming error
			}
			t.Run(inside+"/"+after, func(t *testing.T) {
				h := reactortest.New(t, 1)
				th, runs := h.Threads[0], 0
				var p *reactor.Poller
				p = th.RegisterPoller("", func(th *reactor.Thread, _ any) reactor.PollerResult {
					if runs++; runs == 1 {
						do(p)
						th.RegisterPostPollerHandler(func(*reactor.Thread, any) { then(p) }, nil)
					}
					return reactor.Idle
				}, nil, 0)
				h.Advance(time.Second)
				for range 3 {
					th.Poll(0, 0)
				}
				lives := after == "resume" || after == "nothing" && (inside == "nothing" || inside == "resume")
				if want := map[bool]int{true: 3, false: 1}[lives]; runs != want {
					t.Errorf("%d runs, want %d", runs, want)
				}
				if p.State() != reactor.PollerUnregistered {
					p.Resume()
					runs = 0
					th.Poll(0, 0)
					if runs != 1 {
						t.Errorf("%d runs after its resume, state %v", runs, p.State())
					}
					p.Unregister()
				}
			})
		}
	}
}

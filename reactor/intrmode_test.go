package reactor_test

import (
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

// manual returns a framework with n reactors that are polled by hand, and their clock.
func manual(tb testing.TB, n int, o reactor.Options) (*reactor.Framework, *reactortest.Clock) {
	tb.Helper()
	clock := &reactortest.Clock{}
	o.Manual, o.Clock = true, clock
	for i := range n {
		o.Cores = append(o.Cores, i)
	}
	fw, err := reactor.NewFramework(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(fw.Stop)
	return fw, clock
}

// TestBellTellsOfEverything: who polls a thread by hand and waits on its group is told of all
// that a round would run, whichever way it came.
func TestBellTellsOfEverything(t *testing.T) {
	for _, tc := range []struct {
		name string
		send func(to, from *reactor.Thread, fn reactor.MsgFunc)
	}{
		{"SendMsg", func(to, _ *reactor.Thread, fn reactor.MsgFunc) { to.SendMsg(fn, nil) }},
		{"SendMsgFrom", func(to, from *reactor.Thread, fn reactor.MsgFunc) { to.SendMsgFrom(from, fn, nil) }},
		{"SendCriticalMsg", func(to, _ *reactor.Thread, fn reactor.MsgFunc) { to.SendCriticalMsg(fn) }},
		{"more than a batch", func(to, _ *reactor.Thread, fn reactor.MsgFunc) {
			for range 8 {
				to.SendMsg(nothing, nil)
			}
			to.SendMsg(fn, nil)
		}},
		{"Defer in a poller", func(to, _ *reactor.Thread, fn reactor.MsgFunc) {
			var p *reactor.Poller
			p = to.RegisterPoller("", func(to *reactor.Thread, _ any) reactor.PollerResult {
				to.Defer(fn, nil)
				p.Unregister()
				return reactor.Idle
			}, nil, 0)
			to.Poll(0, 0)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := reactortest.New(t, 2)
			to, from := h.Threads[0], h.Threads[1]
			g, err := to.InterruptGroup()
			if err != nil {
				t.Fatal(err)
			}
			to.SetInterruptMode(true)
			ran := false
			tc.send(to, from, func(*reactor.Thread, any) { ran = true })
			for i := 0; readable(t, g.Fd()); i++ {
				if i > 10 {
					t.Fatal("the bell never stops")
				}
				to.Poll(0, 0)
			}
			if !ran {
				t.Error("the bell did not ring for it")
			}
		})
	}
}

// TestArmedByHandIsPolledOnceMore: SetInterruptMode reaches the timed poller that calls it too,
// and has the thread polled once more before its group is quiet.
func TestArmedByHandIsPolledOnceMore(t *testing.T) {
	for name, period := range map[string]time.Duration{"active": 0, "timed": 1} {
		t.Run(name, func(t *testing.T) {
			h := reactortest.New(t, 1)
			th := h.Threads[0]
			g, err := th.InterruptGroup()
			if err != nil {
				t.Fatal(err)
			}
			var j journal
			nap := false
			p := th.RegisterPoller("", func(th *reactor.Thread, _ any) reactor.PollerResult {
				j.add("polled")
				if nap {
					th.SetInterruptMode(true)
				}
				return reactor.Idle
			}, nil, period)
			p.RegisterInterrupt(func(*reactor.Poller, any, bool) { j.add("armed") }, nil)
			h.PollThreads()
			j.take()
			nap = true
			h.Advance(period)
			for i := 0; i == 0 || readable(t, g.Fd()); i++ {
				if i > 10 {
					t.Fatal("the group is never quiet")
				}
				th.Poll(0, 0)
				h.Advance(period)
			}
			if got, want := j.take(), []string{"polled", "armed", "polled"}; !slices.Equal(got, want) {
				t.Errorf("%q, want %q", got, want)
			}
			p.Unregister()
		})
	}
}

// readable reports whether something can be read from fd.
func readable(tb testing.TB, fd int) bool {
	tb.Helper()
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	if err != nil {
		tb.Fatal(err)
	}
	return n > 0
}

// TestPollerIsPolledAfterItWasArmed: a poller that gets its interrupt function while its
// reactor is in interrupt mode is called once more before the reactor sleeps, even if it has
// had its turn in this round.
func TestPollerIsPolledAfterItWasArmed(t *testing.T) {
	fw, _ := manual(t, 1, reactor.Options{Mode: reactor.ModeInterrupt})
	r := fw.Reactors()[0]
	th := thread(t, fw, 0)
	for !r.Asleep() { // its threads are told now to rely on interrupts
		r.Poll()
	}
	var j journal
	arm := func(_ *reactor.Poller, _ any, sleeps bool) {
		if sleeps {
			j.add("armed")
		}
	}
	var p *reactor.Poller
	poll := func(*reactor.Thread, any) reactor.PollerResult {
		j.add("polled")
		if len(j.entries) == 2 {
			p.RegisterInterrupt(arm, nil)
		}
		return reactor.Idle
	}
	th.SendMsg(func(th *reactor.Thread, _ any) { p = th.RegisterPoller("", poll, nil, 0) }, nil)
	r.Poll()
	for i := 0; !r.Asleep() && i < 10; i++ {
		r.Poll()
	}
	got := j.take()
	if i := slices.Index(got, "armed"); !r.Asleep() || i < 0 || i == len(got)-1 {
		t.Errorf("asleep %v after %q, want a poll after armed", r.Asleep(), got)
	}
	p.Unregister()
}

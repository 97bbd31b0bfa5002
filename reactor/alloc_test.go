package reactor_test

import (
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

type counter struct{ n int }

func count(_ *reactor.Thread, ctx any) { ctx.(*counter).n++ }

func countBusy(_ *reactor.Thread, ctx any) reactor.PollerResult {
	ctx.(*counter).n++
	return reactor.Busy
}

func TestHotPathsAllocateNothing(t *testing.T) {
	h := reactortest.NewLeaky(t, 2)
	to, from := h.Threads[0], h.Threads[1]
	c := &counter{}
	for range 10 {
		from.RegisterPoller("", countBusy, c, 0)
		from.RegisterPoller("", countBusy, c, time.Microsecond)
	}
	for name, fn := range map[string]func(){
		"SendMsg":          func() { to.SendMsg(count, c); to.Poll(0, 0) },
		"SendMsgFrom":      func() { to.SendMsgFrom(from, count, c); to.Poll(0, 0) },
		"Defer":            func() { to.Defer(count, c); to.Poll(0, 0) },
		"SendMsgRetry":     func() { to.SendMsgRetry(from, count, c); to.Poll(0, 0) },
		"idle round":       func() { to.Poll(0, 0) },
		"round of pollers": func() { h.Advance(time.Millisecond); from.Poll(0, 0) },
	} {
		fn()
		c.n = 0
		if n := testing.AllocsPerRun(1000, fn); n != 0 {
			t.Errorf("%s allocates %v objects", name, n)
		}
		if c.n == 0 && name != "idle round" {
			t.Errorf("%s did nothing", name)
		}
	}
}

// TestReactorAllocatesNothing counts what a running reactor allocates: rounds with pollers,
// messages within it and from outside, and sleeping.
func TestReactorAllocatesNothing(t *testing.T) {
	noLeaks(t)
	fw := run(t, reactor.Options{NoPin: true, HybridSpin: 1}, 1)
	th, other := thread(t, fw, 0), thread(t, fw, 0)
	var p *reactor.Poller
	c := &counter{}
	on(t, th, func(th *reactor.Thread) { p = th.RegisterPoller("", countBusy, c, 100*time.Microsecond) })
	done := make(chan struct{})
	finish := func(th *reactor.Thread, ctx any) { done <- struct{}{} }
	forward := func(th *reactor.Thread, ctx any) { other.SendMsgFrom(th, finish, ctx) }
	hung := time.AfterFunc(deadline, func() { panic("a message to a running reactor is lost") })
	n := testing.AllocsPerRun(1000, func() { th.SendMsg(forward, c); <-done })
	hung.Stop()
	if n != 0 {
		t.Errorf("a message to a running reactor allocates %v objects", n)
	}
	on(t, th, func(*reactor.Thread) { p.Unregister() })
	if fw.Reactors()[0].Stats().Sleeps == 0 {
		t.Error("the reactor never slept")
	}
}

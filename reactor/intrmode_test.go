package reactor_test

import (
	"slices"
	"testing"

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

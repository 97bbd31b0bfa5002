package reactor_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

// ready reports whether a group has events, within a time.
func ready(tb testing.TB, g *reactor.FDGroup, within time.Duration) bool {
	tb.Helper()
	for end := time.Now().Add(within); ; {
		left := max(0, time.Until(end))
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(g.Fd()), Events: unix.POLLIN}}, int(left.Milliseconds()))
		if err == nil {
			return n > 0
		}
		if err != unix.EINTR {
			tb.Fatal(err)
		}
	}
}

// awaited is a thread that is polled by hand when its group is ready.
type awaited struct {
	*reactortest.Harness
	th *reactor.Thread
	g  *reactor.FDGroup
	journal
}

func newAwaited(t *testing.T) *awaited {
	h := reactortest.NewWith(t, 2, reactor.Options{MsgRingSize: 64})
	a := &awaited{Harness: h, th: h.Threads[0]}
	a.th.SetInterruptMode(true)
	if !a.th.InInterruptMode() {
		t.Error("not in interrupt mode")
	}
	var err error
	if a.g, err = a.th.InterruptGroup(); err != nil {
		t.Fatal(err)
	}
	if ready(t, a.g, 0) {
		t.Error("the group is ready to begin with")
	}
	return a
}

// wakeups are what makes the group of a thread in interrupt mode ready.
var wakeups = map[string]func(t *testing.T, a *awaited){
	"message": func(_ *testing.T, a *awaited) { a.th.SendMsg(a.says("ran"), nil) },
	"message of another goroutine": func(t *testing.T, a *awaited) {
		done := make(chan struct{})
		go func() { a.th.SendMsg(a.says("ran"), nil); close(done) }()
		wait(t, "the sender", done)
	},
	"message of another thread": func(_ *testing.T, a *awaited) {
		a.th.SendMsgFrom(a.Threads[1], a.says("ran"), nil)
	},
	"message to itself":  func(_ *testing.T, a *awaited) { a.th.SendMsgFrom(a.th, a.says("ran"), nil) },
	"message that waits": func(_ *testing.T, a *awaited) { a.th.SendMsgRetry(a.Threads[1], a.says("ran"), nil) },
	"critical message":   func(_ *testing.T, a *awaited) { a.th.SendCriticalMsg(a.says("ran")) },
	"room on another thread": func(_ *testing.T, a *awaited) {
		a.Threads[1].WaitForRoom(a.th, &reactor.RoomWait{}, a.says("ran"), nil)
	},
	"visit of the threads": func(_ *testing.T, a *awaited) {
		a.Framework.ForEachThread(a.Threads[1], func(th *reactor.Thread, _ any) {
			if th == a.th {
				a.add("ran")
			}
		}, nil, nil)
	},
	"end of a visit": func(_ *testing.T, a *awaited) {
		a.Framework.ForEachThread(a.th, nothing, nil, a.says("ran"))
		a.PollThread(0) // its own visit
		a.PollThread(1)
	},
	"interrupt": func(t *testing.T, a *awaited) {
		fd := eventfd(t)
		var i *reactor.Interrupt
		i, err := a.th.RegisterInterrupt("", fd, 0, func(*reactor.Thread, any) reactor.PollerResult {
			a.add("ran")
			i.Unregister()
			return reactor.Busy
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		signal(t, fd)
	},
	"descriptor in the group": func(t *testing.T, a *awaited) {
		fd := eventfd(t)
		if err := a.g.Add(fd, "", func(any) int { a.add("ran"); a.g.Remove(fd); return 1 }, nil); err != nil {
			t.Fatal(err)
		}
		signal(t, fd)
	},
}

func TestInterruptGroupIsReadyWhenThereIsWork(t *testing.T) {
	noLeaks(t)
	for name, do := range wakeups {
		t.Run(name, func(t *testing.T) {
			a := newAwaited(t)
			for range 3 {
				do(t, a)
				if !ready(t, a.g, 0) {
					t.Error("the group is not ready")
				}
				if got := a.take(); got != nil {
					t.Errorf("ran before the poll: %v", got)
				}
				for a.th.Poll(0, 0) {
				}
				if diff := cmp.Diff([]string{"ran"}, a.take()); diff != "" {
					t.Error(diff)
				}
				if ready(t, a.g, 0) {
					t.Error("the group is still ready")
				}
				a.PollThreads()
			}
			a.th.SetInterruptMode(false)
			a.CheckExit()
		})
	}
}

// TestInterruptGroupStaysReadyWhileThereIsWork: a round does not run everything, and who waits after
// each must not sleep on what is left.
func TestInterruptGroupStaysReadyWhileThereIsWork(t *testing.T) {
	noLeaks(t)
	for name, send := range map[string]func(a *awaited, fn reactor.MsgFunc){
		"from outside": func(a *awaited, fn reactor.MsgFunc) { a.th.SendMsg(fn, nil) },
		"from inside":  func(a *awaited, fn reactor.MsgFunc) { a.th.SendMsgFrom(a.Threads[1], fn, nil) },
		"deferred by a message": func(a *awaited, fn reactor.MsgFunc) {
			a.th.SendMsg(func(th *reactor.Thread, _ any) { th.Defer(fn, nil) }, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAwaited(t)
			const n = 20
			for range n {
				send(a, a.says("ran"))
			}
			for ready(t, a.g, 0) {
				a.th.Poll(0, 0)
			}
			if got := len(a.take()); got != n {
				t.Errorf("%d of %d ran", got, n)
			}
			a.CheckExit()
		})
	}
}

// TestInterruptModeTakesWhatWasThereBefore: work that came while the thread was polled makes the
// group ready too.
func TestInterruptModeTakesWhatWasThereBefore(t *testing.T) {
	noLeaks(t)
	for name, do := range wakeups {
		t.Run(name, func(t *testing.T) {
			a := newAwaited(t)
			a.th.SetInterruptMode(false)
			a.th.SetInterruptMode(false) // harmless
			do(t, a)
			a.th.SetInterruptMode(true)
			a.th.SetInterruptMode(true)
			if !ready(t, a.g, 0) {
				t.Error("the group is not ready")
			}
			a.PollThreads()
			if diff := cmp.Diff([]string{"ran"}, a.take()); diff != "" {
				t.Error(diff)
			}
			a.CheckExit() // in interrupt mode
		})
	}
}

// TestHandPolledPollersAreTold by SetInterruptMode, and only then.
func TestHandPolledPollersAreTold(t *testing.T) {
	noLeaks(t)
	h := reactortest.New(t, 1)
	th := h.Threads[0]
	var j journal
	p := th.RegisterPoller("", idle, nil, time.Millisecond)
	p.RegisterInterrupt(func(_ *reactor.Poller, _ any, sleeps bool) { j.add(fmt.Sprint(sleeps)) }, nil)
	for _, on := range []bool{true, true, false, false, true, false} {
		th.SetInterruptMode(on)
		for range 3 {
			th.Poll(0, 0)
		}
	}
	if diff := cmp.Diff([]string{"true", "false", "true", "false"}, j.take()); diff != "" {
		t.Error(diff)
	}
	p.Unregister()
	th.Exit()
	th.SetInterruptMode(true) // it has to be polled: there is no group for a thread that exits
	h.Advance(time.Millisecond)
	th.Poll(0, 0)
	if !th.IsExited() {
		t.Errorf("held by %s", th.Holding())
	}
}

// TestNoMessageIsLostOnAnAwaitedThread has goroutines wait for each answer of a thread that is polled
// only when its group is ready, and that changes its mind about interrupt mode all the time.
func TestNoMessageIsLostOnAnAwaitedThread(t *testing.T) {
	noLeaks(t)
	each := 5_000
	if testing.Short() {
		each = 1_000
	}
	a := newAwaited(t)
	var senders sync.WaitGroup
	for range 4 {
		senders.Go(func() {
			answer := make(chan struct{}, 1)
			fn := func(_ *reactor.Thread, ctx any) { ctx.(chan struct{}) <- struct{}{} }
			for range each {
				if err := a.th.SendMsgWait(t.Context(), fn, answer); err != nil {
					t.Error(err)
				}
				<-answer
			}
		})
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		senders.Wait()
		a.th.SendMsg(func(th *reactor.Thread, _ any) { th.Exit() }, nil)
	}()
	for i := 0; !a.th.IsExited(); i++ {
		a.th.SetInterruptMode(i%100 < 80)
		if !a.th.InInterruptMode() {
			runtime.Gosched()
		} else if !ready(t, a.g, deadline) {
			t.Fatal("a wake-up is lost")
		}
		a.th.Poll(0, 0)
	}
	wait(t, "the senders", done)
}

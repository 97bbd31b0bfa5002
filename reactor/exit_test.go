package reactor_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

// extension is state of another package that holds a thread as long as it says something.
type extension struct{ held string }

func (e *extension) IsHolding() bool { return e.held != "" }
func (e *extension) Holding() string { return e.held }

var extKey = reactor.NewExtKey()

func idle(*reactor.Thread, any) reactor.PollerResult { return reactor.Idle }

// holds are the ways to keep a thread from exiting; each returns what lets go of it.
var holds = []struct {
	name string
	says string // part of Holding
	hold func(t *testing.T, th *reactor.Thread) (release func())
}{
	{"active poller", "poller held", func(t *testing.T, th *reactor.Thread) func() {
		return th.RegisterPoller("held", idle, nil, 0).Unregister
	}},
	{"timed poller", "poller held", func(t *testing.T, th *reactor.Thread) func() {
		return th.RegisterPoller("held", idle, nil, time.Hour).Unregister
	}},
	{"pausing poller", "poller held", func(t *testing.T, th *reactor.Thread) func() {
		p := th.RegisterPoller("held", idle, nil, time.Hour)
		p.Pause()
		return p.Unregister
	}},
	{"paused poller", "poller held", func(t *testing.T, th *reactor.Thread) func() {
		p := th.RegisterPoller("held", idle, nil, 0)
		p.Pause()
		th.Poll(0, 0)
		return p.Unregister
	}},
	{"interrupt", "interrupt held", func(t *testing.T, th *reactor.Thread) func() {
		i, err := th.RegisterInterrupt("held", eventfd(t), 0, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		return i.Unregister
	}},
	{"extension", "a channel", func(t *testing.T, th *reactor.Thread) func() {
		e := &extension{"a channel"}
		th.SetExt(extKey, e)
		return func() { e.held = "" }
	}},
	{"wait for room", "a wait for room on thread full", func(t *testing.T, th *reactor.Thread) func() {
		full, err := th.Framework().CreateThread("full", nil)
		if err != nil {
			t.Fatal(err)
		}
		for full.SendMsg(nothing, nil) == 0 {
		}
		full.WaitForRoom(th, &reactor.RoomWait{}, nothing, nil)
		return func() {
			full.Exit()
			for full.Poll(0, 0) {
			}
		}
	}},
	{"message", "1 messages", func(t *testing.T, th *reactor.Thread) func() {
		stop := false
		var again reactor.MsgFunc
		again = func(th *reactor.Thread, _ any) {
			if !stop {
				th.SendMsg(again, nil)
			}
		}
		th.SendMsg(again, nil)
		return func() { stop = true }
	}},
	{"own message", "1 messages", func(t *testing.T, th *reactor.Thread) func() {
		stop := false
		var again reactor.MsgFunc
		again = func(th *reactor.Thread, _ any) {
			if !stop {
				th.SendMsgFrom(th, again, nil)
			}
		}
		th.SendMsgFrom(th, again, nil)
		return func() { stop = true }
	}},
	{"deferred call", "1 messages", func(t *testing.T, th *reactor.Thread) func() {
		stop := false
		var again reactor.MsgFunc
		again = func(th *reactor.Thread, _ any) {
			if !stop {
				th.Defer(again, nil)
			}
		}
		th.Defer(again, nil)
		return func() { stop = true }
	}},
}

// lockedBuffer is where the framework's reports go.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func TestExitWaitsForWhatHoldsTheThread(t *testing.T) {
	for _, tc := range holds {
		t.Run(tc.name, func(t *testing.T) {
			h := reactortest.New(t, 1)
			th := h.Threads[0]
			release := tc.hold(t, th)
			if !th.IsRunning() || th.IsExited() {
				t.Error("not running before Exit")
			}
			th.Exit()
			th.Exit() // harmless
			for range 5 {
				th.Poll(0, 0)
				if th.IsRunning() || th.IsExited() {
					t.Fatalf("running %v, exited %v while it is held by %q", th.IsRunning(), th.IsExited(), th.Holding())
				}
				h.Advance(time.Second - 1)
			}
			if got := th.Holding(); !strings.Contains(got, tc.says) {
				t.Errorf("held by %q, want %q", got, tc.says)
			}
			release()
			th.Poll(0, 0)
			if !th.IsExited() {
				t.Errorf("not exited, held by %q", th.Holding())
			}
			if got := h.Framework.Threads(); len(got) != 0 {
				t.Errorf("the framework still has %d threads", len(got))
			}
		})
	}
}

func TestExitIsForcedAfterFiveSeconds(t *testing.T) {
	for _, tc := range holds {
		t.Run(tc.name, func(t *testing.T) {
			var log lockedBuffer
			h := reactortest.NewWith(t, 1, reactor.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
			th := h.AddThread("stuck")
			tc.hold(t, th)
			th.Exit()
			h.Advance(5*time.Second - 1)
			th.Poll(0, 0)
			if th.IsExited() {
				t.Fatal("exited too early")
			}
			h.Advance(1)
			th.Poll(0, 0)
			if !th.IsExited() {
				t.Fatal("not forced to exit")
			}
			if errno := th.SendMsg(func(*reactor.Thread, any) {}, nil); errno != syscall.ESRCH {
				t.Errorf("message: %v", errno)
			}
			eventually(t, "the report", func() bool { return strings.Contains(log.String(), "\n") })
			for _, want := range []string{"level=WARN", "thread=stuck", tc.says} {
				if !strings.Contains(log.String(), want) {
					t.Errorf("report %q does not say %q", log.String(), want)
				}
			}
		})
	}
}

// TestForcedExitRunsWhatWasTaken pins the promise of SendMsg: 0 means that the function is
// called, even by a thread that is forced out with more messages than a round runs.
func TestForcedExitRunsWhatWasTaken(t *testing.T) {
	for name, send := range senders {
		t.Run(name, func(t *testing.T) {
			h := reactortest.NewWith(t, 2, reactor.Options{
				MsgRingSize: 64, Log: slog.New(slog.DiscardHandler),
			})
			th, from := h.Threads[0], h.Threads[1]
			th.RegisterPoller("held", idle, nil, 0)
			th.Exit()
			h.Advance(5 * time.Second)
			sent, ran, resent := 0, 0, 0
			for send(from, th, func(th *reactor.Thread, _ any) {
				ran++
				if th.IsExited() && send(th, th, func(*reactor.Thread, any) { ran++ }) == 0 {
					resent++
				}
			}) == 0 {
				sent++
			}
			if errno := th.SendCriticalMsg(func(th *reactor.Thread, _ any) {
				ran++
				if errno := th.SendCriticalMsg(func(*reactor.Thread, any) { ran++ }); errno != 0 {
					t.Errorf("critical message: %v", errno)
				}
			}); errno != 0 {
				t.Errorf("critical message: %v", errno)
			}
			th.Poll(0, 0)
			if !th.IsExited() || ran != sent+2 || resent != 0 {
				t.Errorf("exited %v, %d of %d messages ran, %d were taken after the exit", th.IsExited(), ran, sent+2, resent)
			}
			if errno := th.SendCriticalMsg(func(*reactor.Thread, any) {}); errno != syscall.ESRCH {
				t.Errorf("critical message to an exited thread: %v", errno)
			}
		})
	}
}

// TestExitWaitsForCriticalMessage pins that a critical message that was taken is run, also
// when it was sent in the round in which the thread would have ended.
func TestExitWaitsForCriticalMessage(t *testing.T) {
	h := reactortest.New(t, 1)
	th := h.Threads[0]
	var j journal
	th.SendMsg(func(th *reactor.Thread, _ any) {
		th.Exit()
		if errno := th.SendCriticalMsg(j.says("critical")); errno != 0 {
			t.Errorf("critical message: %v", errno)
		}
	}, nil)
	h.PollThreads()
	if diff := cmp.Diff([]string{"critical"}, j.take()); diff != "" || !th.IsExited() {
		t.Errorf("exited %v: %s", th.IsExited(), diff)
	}
}

func TestExitingThreadStillWorks(t *testing.T) {
	h := reactortest.New(t, 1)
	th := h.Threads[0]
	var j journal
	p := th.RegisterPoller("", j.polls("poller", reactor.Idle), nil, 0)
	th.Exit()
	if errno := th.SendMsg(j.says("message"), nil); errno != 0 {
		t.Errorf("message to an exiting thread: %v", errno)
	}
	q := th.RegisterPoller("", j.polls("new poller", reactor.Idle), nil, 0)
	th.Poll(0, 0)
	if diff := cmp.Diff([]string{"message", "new poller", "poller"}, j.take()); diff != "" {
		t.Error(diff)
	}
	p.Unregister()
	q.Unregister()
	th.Poll(0, 0)
	if !th.IsExited() {
		t.Errorf("held by %s", th.Holding())
	}
}

func TestAllThatHoldsIsReported(t *testing.T) {
	h := reactortest.NewWith(t, 1, reactor.Options{})
	th := h.Threads[0]
	th.RegisterPoller("a", idle, nil, 0)
	th.RegisterPoller("b", idle, nil, time.Second)
	gone := th.RegisterPoller("c", idle, nil, time.Second)
	gone.Unregister()
	th.Defer(nothing, nil)
	for range 4 {
		th.SendMsg(nothing, nil)
	}
	th.SetExt(extKey, &extension{"channel of nvme0"})
	want := "5 messages (reactor_test.nothing, reactor_test.nothing, reactor_test.nothing, ...), " +
		"poller a, poller b, channel of nvme0"
	if diff := cmp.Diff(want, th.Holding()); diff != "" {
		t.Error(diff)
	}
}

// slowLog is a log that takes its time.
type slowLog struct {
	slog.Handler
	lines atomic.Int32
}

func (l *slowLog) Enabled(context.Context, slog.Level) bool { return true }

func (l *slowLog) Handle(context.Context, slog.Record) error {
	time.Sleep(20 * time.Millisecond)
	l.lines.Add(1)
	return nil
}

// TestStopWaitsForWarnings has what is reported on the way down in the log before the process can end.
func TestStopWaitsForWarnings(t *testing.T) {
	l := &slowLog{Handler: slog.DiscardHandler}
	fw, err := reactor.NewFramework(reactor.Options{Log: slog.New(l)})
	if err != nil {
		t.Fatal(err)
	}
	fw.Warn("one")
	fw.Warn("two")
	fw.Stop()
	if got := l.lines.Load(); got != 2 {
		t.Errorf("%d lines are in the log, want 2", got)
	}
}

package reactor_test

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

func TestThreadIDsAndNames(t *testing.T) {
	h := reactortest.New(t, 2)
	h.AddThread("nvme")
	h.AddThread("nvme") // names need not be unique
	type id struct {
		ID   uint64
		Name string
	}
	got := func() (ids []id) {
		for _, th := range h.Framework.Threads() {
			ids = append(ids, id{th.ID(), th.Name()})
		}
		return ids
	}
	want := []id{{1, "thread1"}, {2, "thread2"}, {3, "nvme"}, {4, "nvme"}}
	if diff := cmp.Diff(want, got()); diff != "" {
		t.Error(diff)
	}
	if h.Framework.AppThread() != h.Threads[0] {
		t.Error("the first thread is not the app thread")
	}
	h.Threads[0].Exit()
	h.PollThreads()
	h.AddThread("later")
	if diff := cmp.Diff(append(want[1:], id{5, "later"}), got()); diff != "" {
		t.Errorf("after an exit: %s", diff)
	}
	if app := h.Framework.AppThread(); app != nil {
		t.Errorf("%s took the place of the app thread", app.Name())
	}
}

func TestMessageRunsOnceWhenItsThreadIsPolled(t *testing.T) {
	h := reactortest.New(t, 2)
	var j journal
	h.Threads[0].SendMsg(j.says("hello"), nil)
	h.PollThread(1)
	if got := j.take(); got != nil {
		t.Errorf("the poll of another thread ran %v", got)
	}
	h.PollThread(0)
	h.PollThread(0)
	if diff := cmp.Diff([]string{"hello"}, j.take()); diff != "" {
		t.Error(diff)
	}
}

// senders are the two ways to a thread's messages.
var senders = map[string]func(from, to *reactor.Thread, fn reactor.MsgFunc) syscall.Errno{
	"SendMsg": func(_, to *reactor.Thread, fn reactor.MsgFunc) syscall.Errno {
		return to.SendMsg(fn, nil)
	},
	"SendMsgFrom": func(from, to *reactor.Thread, fn reactor.MsgFunc) syscall.Errno {
		return to.SendMsgFrom(from, fn, nil)
	},
}

func TestRoundRunsEightMessagesInOrder(t *testing.T) {
	for name, send := range senders {
		t.Run(name, func(t *testing.T) {
			h := reactortest.New(t, 2)
			var j journal
			var all []string
			for i := range 20 {
				s := fmt.Sprint(i)
				all = append(all, s)
				send(h.Threads[1], h.Threads[0], j.says(s))
			}
			for _, want := range [][]string{all[:8], all[8:16], all[16:], nil} {
				busy := h.Threads[0].Poll(0, 0)
				if diff := cmp.Diff(want, j.take()); diff != "" || busy != (want != nil) {
					t.Errorf("busy %v: %s", busy, diff)
				}
			}
		})
	}
}

// TestMessageSentInARoundWaitsForTheNext pins that a thread which sends to itself cannot
// keep its own round going.
func TestMessageSentInARoundWaitsForTheNext(t *testing.T) {
	for name, send := range senders {
		t.Run(name, func(t *testing.T) {
			h := reactortest.New(t, 1)
			var j journal
			left := 3
			var again reactor.MsgFunc
			again = func(th *reactor.Thread, _ any) {
				j.add(fmt.Sprint(left))
				if left--; left > 0 {
					send(th, th, again)
				}
			}
			th := h.Threads[0]
			send(th, th, again)
			for _, want := range []string{"3", "2", "1"} {
				th.Poll(0, 0)
				if diff := cmp.Diff([]string{want}, j.take()); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

// TestSelfSenderCannotStarveItsRound floods a round from inside: it ends after eight.
func TestSelfSenderCannotStarveItsRound(t *testing.T) {
	for name, send := range senders {
		t.Run(name, func(t *testing.T) {
			h := reactortest.New(t, 1)
			th, runs, stop := h.Threads[0], 0, false
			var again reactor.MsgFunc
			again = func(th *reactor.Thread, _ any) {
				runs++
				if !stop {
					send(th, th, again)
				}
			}
			send(th, th, again)
			for range 5 {
				before := runs
				th.Poll(0, 0)
				if n := runs - before; n < 1 || n > 8 {
					t.Errorf("a round ran %d messages", n)
				}
			}
			stop = true
		})
	}
}

// TestOrderOfOneSenderAcrossBothQueues sends by SendMsgFrom, for which the harness has a
// short way, while messages of others lie in the shared ring: the short way must not
// overtake.
func TestOrderOfOneSenderAcrossBothQueues(t *testing.T) {
	h := reactortest.New(t, 2)
	to, from := h.Threads[0], h.Threads[1]
	var j journal
	var want []string
	sent := 0
	for range 100 {
		for range sent%7 + 1 {
			s := fmt.Sprint(sent)
			sent++
			want = append(want, s)
			switch {
			case sent%5 == 0:
				to.SendMsg(j.says(s), nil)
			default:
				to.SendMsgFrom(from, j.says(s), nil)
			}
			if sent%11 == 0 { // somebody else's
				done := make(chan syscall.Errno)
				go func() { done <- to.SendMsg(func(*reactor.Thread, any) {}, nil) }()
				<-done
			}
		}
		to.Poll(0, 0)
	}
	h.PollThreads()
	if diff := cmp.Diff(want, j.take()); diff != "" {
		t.Error(diff)
	}
}

// A message counts once, whichever way it took: through the ring, the local queue, or from one to the other.
func TestMessagesAreCounted(t *testing.T) {
	h := reactortest.New(t, 2)
	a, b := h.Threads[0], h.Threads[1]
	nothing := func(*reactor.Thread, any) {}
	check := func(what string, run uint64, waiting int) {
		t.Helper()
		if r, w := a.Messages(); r != run || w != waiting {
			t.Errorf("%s: %d run and %d waiting, want %d and %d", what, r, w, run, waiting)
		}
	}
	check("at first", 0, 0)
	for range 10 {
		a.SendMsg(nothing, nil)
	}
	check("sent", 0, 10)
	a.Poll(0, 0)
	check("a round", 8, 2)
	for range 20 { // the first moves what is in the ring, and the local queue has to grow
		a.SendMsgFrom(b, nothing, nil)
	}
	check("sent from a neighbour", 8, 22)
	a.SendMsg(nothing, nil)
	check("and from elsewhere", 8, 23)
	for range 3 {
		h.PollThread(0)
	}
	check("all run", 31, 0)
	a.Defer(nothing, nil)
	h.PollThread(0)
	check("a deferred one", 31, 0)
}

func TestDeferRunsBeforeMessagesAndAllAtOnce(t *testing.T) {
	h := reactortest.New(t, 1)
	th := h.Threads[0]
	var j journal
	th.SendMsg(j.says("message"), nil)
	th.SendMsgFrom(th, j.says("own message"), nil)
	want := []string{}
	for i := range 20 { // no batch of 8 here
		s := fmt.Sprint("deferred ", i)
		want = append(want, s)
		th.Defer(j.says(s), nil)
	}
	th.Defer(func(th *reactor.Thread, _ any) { th.Defer(j.says("deferred by deferred"), nil) }, nil)
	th.Poll(0, 0)
	if diff := cmp.Diff(append(want, "message", "own message"), j.take()); diff != "" {
		t.Error(diff)
	}
	th.Poll(0, 0)
	if diff := cmp.Diff([]string{"deferred by deferred"}, j.take()); diff != "" {
		t.Error(diff)
	}
}

func TestContextReachesMessage(t *testing.T) {
	h := reactortest.New(t, 2)
	want := &struct{ n int }{7}
	for name, send := range map[string]func(fn reactor.MsgFunc){
		"SendMsg":      func(fn reactor.MsgFunc) { h.Threads[0].SendMsg(fn, want) },
		"SendMsgFrom":  func(fn reactor.MsgFunc) { h.Threads[0].SendMsgFrom(h.Threads[1], fn, want) },
		"SendMsgRetry": func(fn reactor.MsgFunc) { h.Threads[0].SendMsgRetry(h.Threads[1], fn, want) },
		"Defer":        func(fn reactor.MsgFunc) { h.Threads[0].Defer(fn, want) },
		"ExecMsg":      func(fn reactor.MsgFunc) { h.Threads[0].ExecMsg(h.Threads[1], fn, want) },
		"ExecMsg self": func(fn reactor.MsgFunc) { h.Threads[0].ExecMsg(h.Threads[0], fn, want) },
	} {
		ran := false
		send(func(th *reactor.Thread, ctx any) {
			ran = true
			if th != h.Threads[0] || ctx != want {
				t.Errorf("%s: ran on %s with %v", name, th.Name(), ctx)
			}
		})
		if self := name == "ExecMsg self"; ran != self {
			t.Errorf("%s: called at once: %v", name, ran)
		}
		h.PollThreads()
		if !ran {
			t.Errorf("%s: never called", name)
		}
	}
}

func TestFullRingRefusesAndRecovers(t *testing.T) {
	h := reactortest.NewWith(t, 1, reactor.Options{MsgRingSize: 16})
	th := h.Threads[0]
	for range 3 { // round and round
		for i := range 16 {
			if errno := th.SendMsg(func(*reactor.Thread, any) {}, nil); errno != 0 {
				t.Fatalf("message %d of 16: %v", i, errno)
			}
		}
		var j journal
		for range 2 {
			if errno := th.SendMsg(j.says("refused"), nil); errno != syscall.ENOMEM {
				t.Errorf("message to a full ring: %v", errno)
			}
		}
		th.Poll(0, 0)
		for i := range 8 { // a round has made room for eight
			if errno := th.SendMsg(func(*reactor.Thread, any) {}, nil); errno != 0 {
				t.Fatalf("message %d after a round: %v", i, errno)
			}
		}
		if errno := th.SendMsg(j.says("refused"), nil); errno != syscall.ENOMEM {
			t.Errorf("message to a ring that is full again: %v", errno)
		}
		h.PollThreads()
		if got := j.take(); got != nil {
			t.Errorf("refused messages ran: %v", got)
		}
	}
}

func TestSendMsgFromIsBounded(t *testing.T) {
	h := reactortest.NewWith(t, 2, reactor.Options{MsgRingSize: 16})
	sent, ran := 0, 0
	for h.Threads[0].SendMsgFrom(h.Threads[1], func(*reactor.Thread, any) { ran++ }, nil) == 0 {
		if sent++; sent > 1000 {
			t.Fatal("no end of messages is taken")
		}
	}
	h.PollThreads()
	if ran != sent {
		t.Errorf("%d of %d messages ran", ran, sent)
	}
}

func TestSendMsgRetryWaitsForRoom(t *testing.T) {
	h := reactortest.NewWith(t, 2, reactor.Options{MsgRingSize: 2})
	to, from := h.Threads[0], h.Threads[1]
	var j journal
	for to.SendMsgFrom(from, j.says("filler"), nil) == 0 {
	}
	if !to.SendMsgRetry(from, j.says("late"), nil) {
		t.Fatal("refused")
	}
	for range 5 {
		if from.Poll(0, 0) {
			t.Error("the sender is busy waiting")
		}
	}
	h.PollThreads()
	if got := j.take(); got[len(got)-1] != "late" {
		t.Errorf("ran: %v", got)
	}
}

func TestExitedThreadTakesNothing(t *testing.T) {
	h := reactortest.New(t, 2)
	dead, th := h.Threads[0], h.Threads[1]
	dead.Exit()
	h.PollThreads()
	var j journal
	fn := j.says("ran")
	for name, send := range map[string]func() syscall.Errno{
		"SendMsg":         func() syscall.Errno { return dead.SendMsg(fn, nil) },
		"SendMsgFrom":     func() syscall.Errno { return dead.SendMsgFrom(th, fn, nil) },
		"ExecMsg":         func() syscall.Errno { return dead.ExecMsg(th, fn, nil) },
		"SendCriticalMsg": func() syscall.Errno { return dead.SendCriticalMsg(fn) },
	} {
		if errno := send(); errno != syscall.ESRCH {
			t.Errorf("%s to an exited thread: %v", name, errno)
		}
	}
	if dead.SendMsgRetry(th, fn, nil) {
		t.Error("SendMsgRetry to an exited thread was taken")
	}
	if dead.RegisterPoller("", func(*reactor.Thread, any) reactor.PollerResult { return reactor.Busy }, nil, 0) != nil {
		t.Error("an exited thread took a poller")
	}
	if dead.Poll(0, 0) || j.take() != nil {
		t.Error("an exited thread ran something")
	}
}

func TestCriticalMessageRunsFirst(t *testing.T) {
	h := reactortest.New(t, 1)
	th := h.Threads[0]
	var j journal
	th.Defer(j.says("deferred"), nil)
	th.SendMsg(j.says("message"), nil)
	again := func(th *reactor.Thread, _ any) {
		j.add("critical")
		if errno := th.SendCriticalMsg(j.says("critical from critical")); errno != 0 {
			t.Errorf("critical message from a critical message: %v", errno)
		}
	}
	if errno := th.SendCriticalMsg(again); errno != 0 {
		t.Errorf("critical message: %v", errno)
	}
	if errno := th.SendCriticalMsg(j.says("refused")); errno != syscall.EBUSY {
		t.Errorf("second critical message: %v", errno)
	}
	th.Poll(0, 0)
	if diff := cmp.Diff([]string{"critical", "deferred", "message"}, j.take()); diff != "" {
		t.Error(diff)
	}
	th.Poll(0, 0)
	if diff := cmp.Diff([]string{"critical from critical"}, j.take()); diff != "" {
		t.Error(diff)
	}
}

func TestPollByHandOfARunningReactorsThreadPanics(t *testing.T) {
	noLeaks(t)
	fw := run(t, reactor.Options{NoPin: true}, 1)
	th := thread(t, fw, 0)
	if !panics(func() { th.Poll(0, 0) }) {
		t.Error("no panic")
	}
}

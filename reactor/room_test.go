package reactor_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

// fill sends messages to th until it takes no more, the way that other reactors and goroutines do.
func fill(th *reactor.Thread) {
	for th.SendMsg(nothing, nil) == 0 {
	}
}

// waiters are waits of one thread for room on another, numbered in the order they began.
type waiters struct {
	to, from *reactor.Thread
	begun    int
	journal
}

func (w *waiters) wait(n int) {
	for range n {
		w.to.WaitForRoom(w.from, &reactor.RoomWait{}, w.says(fmt.Sprint(w.begun)), nil)
		w.begun++
	}
}

// expect polls the waiting thread and checks which waits end.
func (w *waiters) expect(t *testing.T, what string, first, n int) {
	t.Helper()
	w.from.Poll(0, 0)
	var want []string
	for i := range n {
		want = append(want, fmt.Sprint(first+i))
	}
	if diff := cmp.Diff(want, w.take()); diff != "" {
		t.Errorf("%s: waits called: %s", what, diff)
	}
}

func newWaiters(t *testing.T, size int) (*reactortest.Harness, *waiters) {
	h := reactortest.NewWith(t, 2, reactor.Options{MsgRingSize: size})
	return h, &waiters{to: h.Threads[0], from: h.Threads[1]}
}

// TestRoomGoesToTheLongestWaiting, and to as many as messages have been run.
func TestRoomGoesToTheLongestWaiting(t *testing.T) {
	h, w := newWaiters(t, 16)
	fill(w.to)
	w.wait(6)
	w.expect(t, "full", 0, 0)
	w.to.Poll(2, 0)
	w.expect(t, "room for two", 0, 2)
	fill(w.to) // who was called does not take the room, others do
	w.wait(4)
	w.to.Poll(5, 0)
	w.expect(t, "room for five", 2, 5)
	fill(w.to)
	for w.to.Poll(0, 0) {
	}
	w.expect(t, "empty", 7, 3)
	h.CheckExit()
}

// TestAllAreCalledWhenNothingMakesRoom: those who wait outnumber the messages that were in the ring,
// and no more come.
func TestAllAreCalledWhenNothingMakesRoom(t *testing.T) {
	h, w := newWaiters(t, 2)
	fill(w.to)
	w.wait(100)
	w.to.Poll(0, 0)
	w.expect(t, "empty", 0, 100)
	if w.from.Holding() != "" {
		t.Errorf("held by %s", w.from.Holding())
	}
	h.CheckExit()
}

// TestWaitWithoutNeedIsCalledInTurn: a wait for a thread that has room, or none any more because it
// has exited, ends with the next round, and never from inside.
func TestWaitWithoutNeedIsCalledInTurn(t *testing.T) {
	for _, exited := range []bool{false, true} {
		h, w := newWaiters(t, 2)
		if exited {
			w.to.Exit()
			h.PollThreads()
		}
		w.wait(3)
		if got := w.take(); got != nil {
			t.Errorf("exited %v: called from inside WaitForRoom: %v", exited, got)
		}
		w.expect(t, fmt.Sprintf("exited %v", exited), 0, 3)
		h.CheckExit()
	}
}

// TestRoomMadeByASenderOnTheReactor: a sender that runs on the thread's reactor takes messages out
// of the ring, to get past them. That is room like any other.
func TestRoomMadeByASenderOnTheReactor(t *testing.T) {
	h, w := newWaiters(t, 16)
	fill(w.to)
	w.wait(2)
	if errno := w.to.SendMsgFrom(w.from, nothing, nil); errno != 0 {
		t.Fatal(errno)
	}
	w.wait(1)
	for range 5 {
		w.to.Poll(0, 0)
	}
	w.expect(t, "empty", 0, 3)
	if w.to.Poll(0, 0) || !w.to.IsIdle() {
		t.Error("the thread does not come to rest")
	}
	h.CheckExit()
}

// TestWaitIsUsedAgainInItsFunction waits with one entry as often as it takes.
func TestWaitIsUsedAgainInItsFunction(t *testing.T) {
	h, w := newWaiters(t, 2)
	const times = 10
	var entry reactor.RoomWait
	called, sent := 0, 0
	var again reactor.MsgFunc
	again = func(from *reactor.Thread, ctx any) {
		called++
		if ctx != &sent || from != w.from {
			t.Errorf("called on %s with %v", from.Name(), ctx)
		}
		if called == times {
			if errno := w.to.SendMsg(nothing, nil); errno != 0 {
				t.Errorf("no room: %v", errno)
			}
			sent++
			return
		}
		fill(w.to)
		w.to.WaitForRoom(from, &entry, again, ctx)
		if !panics(func() { w.to.WaitForRoom(from, &entry, again, ctx) }) {
			t.Error("an entry that waits can be used")
		}
	}
	fill(w.to)
	w.to.WaitForRoom(w.from, &entry, again, &sent)
	h.PollThreads()
	if called != times || sent != 1 {
		t.Errorf("called %d times, sent %d", called, sent)
	}
	h.CheckExit()
}

// TestExitOfTheTargetEndsWaits: who waits is called once the thread is gone, and learns that then.
func TestExitOfTheTargetEndsWaits(t *testing.T) {
	for name, hold := range map[string]bool{"exits": false, "forced": true} {
		t.Run(name, func(t *testing.T) {
			h := reactortest.NewWith(t, 2, reactor.Options{MsgRingSize: 2, Log: discard})
			to, from := h.Threads[0], h.Threads[1]
			if hold {
				to.RegisterPoller("held", idle, nil, 0)
			}
			fill(to)
			var got []syscall.Errno
			for range 3 {
				to.WaitForRoom(from, &reactor.RoomWait{}, func(*reactor.Thread, any) {
					got = append(got, to.SendMsg(nothing, nil))
				}, nil)
			}
			if !to.SendMsgRetry(from, nothing, nil) {
				t.Error("the retry was refused")
			}
			to.Exit()
			h.Advance(5 * time.Second)
			to.Poll(0, 0)
			if !to.IsExited() {
				t.Fatalf("held by %s", to.Holding())
			}
			from.Poll(0, 0)
			if diff := cmp.Diff([]syscall.Errno{syscall.ESRCH, syscall.ESRCH, syscall.ESRCH}, got); diff != "" {
				t.Error(diff)
			}
			if from.Holding() != "" {
				t.Errorf("held by %s", from.Holding())
			}
		})
	}
}

// TestSendMsgWaitGivesUp, and what it was to send is not sent then.
func TestSendMsgWaitGivesUp(t *testing.T) {
	h := reactortest.NewWith(t, 1, reactor.Options{MsgRingSize: 2})
	th := h.Threads[0]
	fill(th)
	var j journal
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error)
		go func() { result <- th.SendMsgWait(ctx, j.says("given up"), nil) }()
		cancel()
		if err := <-result; !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	}
	h.PollThreads()
	if got := j.take(); got != nil {
		t.Errorf("ran %v", got)
	}
	if err := th.SendMsgWait(t.Context(), j.says("sent"), nil); err != nil {
		t.Error(err)
	}
	h.PollThreads()
	if diff := cmp.Diff([]string{"sent"}, j.take()); diff != "" {
		t.Error(diff)
	}
	h.CheckExit()
	if err := th.SendMsgWait(t.Context(), nothing, nil); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("message to an exited thread: %v", err)
	}
}

// TestGivingUpLeavesNothingBehind: a thread that never makes room must not collect those who did
// not wait for it, and forgets none of those who do.
func TestGivingUpLeavesNothingBehind(t *testing.T) {
	h, w := newWaiters(t, 2)
	fill(w.to)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	before := liveHeap()
	const times = 20_000
	for i := range times {
		if i%(times/10) == 0 {
			w.wait(1)
		}
		if err := w.to.SendMsgWait(gone, nothing, nil); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	if grown := int64(liveHeap()) - int64(before); grown > times {
		t.Errorf("%d bytes are left of %d that gave up", grown, times)
	}
	w.to.Poll(0, 0)
	w.expect(t, "those who waited on", 0, 10)
	h.CheckExit()
}

// liveHeap returns the bytes of reachable objects.
func liveHeap() uint64 {
	runtime.GC()
	runtime.GC() // what a pool lets go of at the first
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestExitWithWaitersOnARealReactor: every SendMsgWait to a thread that exits comes back, with nil
// if and only if its message was run.
func TestExitWithWaitersOnARealReactor(t *testing.T) {
	noLeaks(t)
	pinning(t, func(t *testing.T, o reactor.Options) {
		o.MsgRingSize = 2
		fw := run(t, o, 1)
		th := thread(t, fw, 0)
		release := make(chan struct{})
		th.SendMsg(func(th *reactor.Thread, _ any) { <-release; th.Exit() }, nil)
		eventually(t, "the thread is full", func() bool { return th.SendMsg(nothing, nil) == syscall.ENOMEM })
		var sent, ran atomic.Int64
		var all sync.WaitGroup
		for range 32 {
			all.Go(func() {
				switch err := th.SendMsgWait(t.Context(), func(*reactor.Thread, any) { ran.Add(1) }, nil); {
				case err == nil:
					sent.Add(1)
				case !errors.Is(err, syscall.ESRCH):
					t.Error(err)
				}
			})
		}
		close(release)
		done := make(chan struct{})
		go func() { all.Wait(); close(done) }()
		wait(t, "the last SendMsgWait", done)
		eventually(t, "the thread exits", th.IsExited)
		if sent.Load() != ran.Load() {
			t.Errorf("%d messages were taken, %d ran", sent.Load(), ran.Load())
		}
	})
}

// TestFloodWithBackPressure: senders of every kind flood one thread. Nothing is lost, doubled or
// reordered, and what waits is bounded by the senders.
func TestFloodWithBackPressure(t *testing.T) {
	noLeaks(t)
	each := 2000
	if testing.Short() {
		each = 300
	}
	const waiting, trying, local = 64, 64, 3
	pinning(t, func(t *testing.T, o reactor.Options) {
		o.HybridSpin, o.MsgRingSize = 1, 64
		fw := run(t, o, 2)
		th := thread(t, fw, 0)
		f, all := newFlood(waiting+trying+local, each)
		before := liveHeap()
		var done sync.WaitGroup
		for _, s := range all[:waiting] {
			done.Go(func() {
				for n := range s.seqs {
					if err := th.SendMsgWait(t.Context(), receive, &s.seqs[n]); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for _, s := range all[waiting : waiting+trying] {
			done.Go(func() {
				for n := range s.seqs {
					for th.SendMsg(receive, &s.seqs[n]) == syscall.ENOMEM {
						runtime.Gosched()
					}
				}
			})
		}
		for i, s := range all[waiting+trying:] { // on both reactors
			from := thread(t, fw, i%2)
			from.SendMsg(sendAll, &patient{flooder: s, to: th})
		}
		wait(t, "the last message", f.done)
		done.Wait()
		on(t, th, func(*reactor.Thread) {
			if f.wrong != "" || f.received != f.total {
				t.Errorf("%d of %d messages; %s", f.received, f.total, f.wrong)
			}
		})
		if grown := int64(liveHeap()) - int64(before); grown > 1<<20 {
			t.Errorf("%d bytes more than before the flood", grown)
		}
		runtime.KeepAlive(all)
	})
}

// patient is a flooder on a thread, which waits for room.
type patient struct {
	*flooder
	to   *reactor.Thread
	sent int
	wait reactor.RoomWait
}

func sendAll(from *reactor.Thread, ctx any) {
	p := ctx.(*patient)
	for p.sent < len(p.seqs) {
		if p.to.SendMsgFrom(from, receive, &p.seqs[p.sent]) == syscall.ENOMEM {
			p.to.WaitForRoom(from, &p.wait, sendAll, p)
			return
		}
		p.sent++
	}
}

// TestRoomAgainstModel has threads send to each other at random, with every kind of send and wait,
// and checks that each sender's messages arrive in order, and that nobody waits for a thread that
// has come to rest.
func TestRoomAgainstModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	m := newRoomModel(t, seed)
	steps := 50_000
	if testing.Short() {
		steps = 5_000
	}
	for i := range steps {
		m.step(i)
	}
	m.rest(steps)
	for _, s := range m.senders {
		if s.sent != s.received {
			t.Errorf("seed %d: %d messages of %d arrived", seed, s.received, s.sent)
		}
	}
	m.h.CheckExit()
}

// Package reactortest drives threads one step at a time: no OS threads, no sleeping, a clock
// that moves only when told. It is SPDK's ut_multithread for Go tests.
package reactortest

import (
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/reactor"
)

// Clock is a clock of 1 GHz that stands still. It is for one goroutine.
//
// SPDK: spdk_delay_us and the mocked spdk_get_ticks of test/common/lib/test_env.c
type Clock struct{ now uint64 }

// Ticks returns the current time in nanoseconds.
func (c *Clock) Ticks() uint64 { return c.now }

// TicksHz returns 1e9.
func (c *Clock) TicksHz() uint64 { return 1e9 }

// Harness is a framework without reactors and some threads of it. All calls must come from
// the goroutine of the test.
//
// SPDK: test/common/lib/ut_multithread.c
type Harness struct {
	Framework *reactor.Framework
	Threads   []*reactor.Thread
	Clock     *Clock
	tb        testing.TB
}

// New returns a harness with n threads named thread0 and so on. At the end of the test it
// checks that the threads can exit, i.e. that nothing was left on them.
//
// SPDK: allocate_threads, free_threads
func New(tb testing.TB, n int) *Harness {
	tb.Helper()
	h := NewLeaky(tb, n)
	tb.Cleanup(func() {
		if !tb.Failed() {
			h.CheckExit()
		}
	})
	return h
}

// NewLeaky is New without the check at the end, for tests that leave things behind on
// purpose.
func NewLeaky(tb testing.TB, n int) *Harness {
	tb.Helper()
	return NewWith(tb, n, reactor.Options{})
}

// NewWith is [NewLeaky] with options; their Clock is the harness's own.
func NewWith(tb testing.TB, n int, o reactor.Options) *Harness {
	tb.Helper()
	h := &Harness{Clock: &Clock{now: 1}, tb: tb}
	o.Clock = h.Clock
	fw, err := reactor.NewFramework(o)
	if err != nil {
		tb.Fatal(err)
	}
	h.Framework = fw
	for range n {
		h.AddThread("")
	}
	return h
}

// AddThread creates one more thread.
func (h *Harness) AddThread(name string) *reactor.Thread {
	h.tb.Helper()
	t, err := h.Framework.CreateThread(name, nil)
	if err != nil {
		h.tb.Fatal(err)
	}
	h.Threads = append(h.Threads, t)
	return t
}

// PollOnce gives every thread one round and reports whether any was busy.
//
// SPDK: poll_threads_once
func (h *Harness) PollOnce() (busy bool) {
	for _, t := range h.Threads {
		if !t.IsExited() && t.Poll(0, 0) {
			busy = true
		}
	}
	return busy
}

// PollThread polls thread i until it has nothing to do. SPDK: poll_thread
func (h *Harness) PollThread(i int) {
	for h.Threads[i].Poll(0, 0) {
	}
}

// PollThreads polls all threads until none has anything to do. SPDK: poll_threads
func (h *Harness) PollThreads() {
	h.tb.Helper()
	for i := 0; h.PollOnce(); i++ {
		if i > 10_000_000 {
			h.tb.Fatal("reactortest: the threads never come to rest")
		}
	}
}

// Advance moves the clock. SPDK: spdk_delay_us
func (h *Harness) Advance(d time.Duration) { h.Clock.now += uint64(d) }

// CheckExit asks all threads to exit and fails the test when something holds one.
//
// SPDK: free_threads
func (h *Harness) CheckExit() {
	h.tb.Helper()
	for _, t := range h.Threads {
		if !t.IsExited() {
			t.Exit()
		}
	}
	h.PollThreads()
	for _, t := range h.Threads {
		if !t.IsExited() {
			h.tb.Errorf("thread %s cannot exit: %s", t.Name(), t.Holding())
		}
	}
}

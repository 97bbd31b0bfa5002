package thread_test

import (
	"strings"
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

// TestThreadSendMsg also pins that a thread which is full says ENOMEM, where C aborts.
func TestThreadSendMsg(t *testing.T) {
	const room = 4
	h := reactortest.NewWith(t, 2, reactor.Options{MsgRingSize: room})
	runs := 0
	for range room {
		same(t, "message", h.Threads[0].SendMsg(message, &runs), 0)
	}
	same(t, "message to a full thread", h.Threads[0].SendMsg(message, &runs), syscall.ENOMEM)
	same(t, "runs before any poll", runs, 0)
	h.PollThread(1)
	same(t, "runs after the poll of another thread", runs, 0)
	for range 2 {
		h.PollThread(0)
		same(t, "runs", runs, room)
	}
	h.CheckExit()
}

func TestThreadForEach(t *testing.T) {
	h := reactortest.New(t, 3)
	forEachThread(t, h, func() {})
}

// TestForEachThreadAndThreadExitRace: the thread that began the walk is asked to exit before it has
// been visited. Its turn had come, so it is visited, and it lives to hear of the end.
func TestForEachThreadAndThreadExitRace(t *testing.T) {
	h := reactortest.New(t, 3)
	th := h.Threads[0]
	forEachThread(t, h, func() {
		if got, want := th.Holding(), "1 iterations over threads"; !strings.Contains(got, want) {
			t.Errorf("the thread is held by %q, want %q", got, want)
		}
		same(t, "life", life(th), "running")
		th.Exit()
		same(t, "life", life(th), "exiting")
	})
	same(t, "life", life(th), "exited")
	same(t, "what holds the thread", th.Holding(), "")
}

// forEachThread walks over three threads from the first one, polling one after the other. then is
// called before any poll.
func forEachThread(t *testing.T, h *reactortest.Harness, then func()) {
	t.Helper()
	visits := 0
	h.Framework.ForEachThread(h.Threads[0], message, &visits, message)
	then()
	same(t, "visits from inside ForEachThread", visits, 0)
	for i := range h.Threads {
		h.PollThread(i)
		same(t, "visits", visits, i+1)
	}
	h.PollThread(0)
	same(t, "visits and the end", visits, 4)
}

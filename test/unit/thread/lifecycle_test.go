package thread_test

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

// TestThreadAlloc creates threads that nobody schedules, that a reactor takes, and that are refused.
//
// In C a callback of the application decides (new_thread_fn, SPDK_THREAD_OP_NEW). Here the
// framework does: it refuses a mask without a reactor, and everything after Stop.
func TestThreadAlloc(t *testing.T) {
	reactors := reactor.Options{Cores: []int{0, 1}, Manual: true}
	for name, tc := range map[string]struct {
		o       reactor.Options
		mask    *reactor.Cpuset
		stopped bool
		want    error
		cores   []int // that the thread may run on, none if it is polled by hand
	}{
		"by hand":            {},
		"by hand, masked":    {mask: reactor.NewCpuset(7)},
		"by hand, stopped":   {stopped: true, want: syscall.ESHUTDOWN},
		"scheduled":          {o: reactors, cores: []int{0, 1}},
		"scheduled by mask":  {o: reactors, mask: reactor.NewCpuset(1, 7), cores: []int{1}},
		"not schedulable":    {o: reactors, mask: reactor.NewCpuset(7), want: syscall.EINVAL},
		"scheduled, stopped": {o: reactors, stopped: true, want: syscall.ESHUTDOWN},
	} {
		t.Run(name, func(t *testing.T) {
			fw, err := reactor.NewFramework(tc.o)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(fw.Stop)
			if tc.stopped {
				fw.Stop()
			}
			th, err := fw.CreateThread("", tc.mask)
			if !errors.Is(err, tc.want) || (th == nil) != (tc.want != nil) {
				t.Fatalf("thread %v, error %v, want %v", th, err, tc.want)
			}
			if tc.want != nil {
				same(t, "threads", len(fw.Threads()), 0)
				return
			}
			for range 4 { // one of another core would show
				if (th.Reactor() == nil) != (tc.cores == nil) {
					t.Fatalf("its reactor is %v", th.Reactor())
				}
				if r := th.Reactor(); r != nil && !reactor.NewCpuset(tc.cores...).Get(r.Core()) {
					t.Errorf("it is on core %d", r.Core())
				}
				exit(t, fw, th)
				same(t, "threads", len(fw.Threads()), 0)
				if th, err = fw.CreateThread("", tc.mask); err != nil {
					t.Fatal(err)
				}
			}
			exit(t, fw, th)
		})
	}
}

// exit has th exit and whoever runs it polled.
func exit(t *testing.T, fw *reactor.Framework, th *reactor.Thread) {
	t.Helper()
	th.Exit()
	for range 10 {
		if th.Reactor() == nil {
			th.Poll(0, 0)
		}
		for _, r := range fw.Reactors() {
			r.Poll()
		}
	}
	same(t, "life of an idle thread after Exit", life(th), "exited")
}

func TestThreadName(t *testing.T) {
	h := reactortest.New(t, 0)
	names := map[string]bool{}
	for range 2 {
		th := h.AddThread("")
		if th.Name() == "" || names[th.Name()] { // in C the thread's address, here its number
			t.Errorf("a thread is named %q by default", th.Name())
		}
		names[th.Name()] = true
	}
	same(t, "a given name", h.AddThread("test_thread").Name(), "test_thread")
	h.CheckExit()
}

// TestThreadExitTest: a thread that was asked to exit works on, until nothing holds it or five
// seconds are over.
func TestThreadExitTest(t *testing.T) {
	h := reactortest.NewWith(t, 4, quiet)

	t.Run("messages", func(t *testing.T) {
		th, before, after := h.Threads[0], 0, 0
		same(t, "message to a running thread", th.SendMsg(message, &before), 0)
		th.Exit()
		same(t, "life", life(th), "exiting")
		same(t, "message to an exiting thread", th.SendMsg(message, &after), 0)
		same(t, "messages run before the poll", before+after, 0)
		h.PollThread(0)
		same(t, "messages run", []int{before, after}, []int{1, 1})
		same(t, "life", life(th), "exited")
		// C aborts.
		same(t, "message to an exited thread", th.SendMsg(message, &after), syscall.ESRCH)
	})

	t.Run("channel", func(t *testing.T) {
		th := h.Threads[1]
		d := register(t, th, "device")
		ch := iochannel.Get(th, "device")
		same(t, "channels created", d.created, 1)
		ch.Put()
		th.Exit()
		same(t, "life", life(th), "exiting")
		again := iochannel.Get(th, "device") // which is not created again
		if again != ch || d.created != 1 || iochannel.Ctx[mark](again).of != d {
			t.Errorf("an exiting thread gets channel %p, had %p; %d were created", again, ch, d.created)
		}
		again.Put()
		same(t, "channels destroyed from inside Put", d.destroyed, 0)
		h.PollThreads()
		same(t, "channels destroyed", d.destroyed, 1)
		same(t, "life", life(th), "exited")
		d.unregister(t, h, h.Threads[2])
	})

	t.Run("pollers", func(t *testing.T) {
		th, ended, late := h.Threads[2], 0, 0
		th.RegisterPoller("", poll, &ended, 0).Unregister()
		th.Exit()
		p := th.RegisterPoller("", poll, &late, 0)
		h.PollThreads()
		if ended != 0 || late == 0 {
			t.Errorf("an unregistered poller ran %d times, one registered while exiting %d times", ended, late)
		}
		same(t, "life with a poller", life(th), "exiting")
		p.Unregister()
		h.PollThreads()
		same(t, "life", life(th), "exited")
		if th.RegisterPoller("", poll, &late, 0) != nil {
			t.Error("an exited thread took a poller")
		}
	})

	t.Run("forced", func(t *testing.T) {
		th, runs := h.Threads[3], 0
		p := th.RegisterPoller("", poll, &runs, 0)
		th.Exit()
		for range 5 {
			h.PollThreads()
			same(t, "life before the time is over", life(th), "exiting")
			h.Advance(time.Second)
		}
		before := runs
		h.PollThreads()
		same(t, "life after 5 s", life(th), "exited")
		same(t, "runs of the poller in the last round", runs, before+1)
		p.Unregister() // of a thread that is gone: harmless
		h.PollThreads()
		same(t, "runs after the exit", runs, before+1)
	})

	same(t, "threads left", len(h.Framework.Threads()), 0)
}

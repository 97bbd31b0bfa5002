package sim

import (
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

// The tests below re-enact races of SPDK that its users have reported, and those that its unit
// tests pin. The book checks all along what every history is checked for.

// TestUpstream278: the last put on one core while the unregister on another has just begun. The
// callback comes once, on the thread that unregistered, after the destroy.
func TestUpstream278(t *testing.T) {
	t.Run("unregister first", func(t *testing.T) {
		scenario(t, 2,
			who(0).register(0), who(1).get(0),
			who(0).unregister(0), who(1).put(0), channels(0, 1),
			who(0).poll(), gone(0, false),
			who(1).poll(), channels(0, 0), gone(0, false), // the callback is another thread's
			who(0).poll(), gone(0, true))
	})
	t.Run("put first", func(t *testing.T) {
		scenario(t, 2,
			who(0).register(0), who(1).get(0),
			who(1).put(0), who(0).unregister(0),
			who(0).poll(), gone(0, false),
			who(1).poll(), who(0).poll(), gone(0, true), destroys(1))
	})
	t.Run("unregister in the destroy", func(t *testing.T) {
		scenario(t, 2,
			who(0).register(0), who(1).get(0),
			who(1).unregister(0).inside(inDestroy, 0), who(1).put(0),
			who(1).poll(), channels(0, 0), gone(0, false),
			who(1).poll(), gone(0, true))
	})
}

// TestUpstream2617: somebody who does not own the device iterates over its channels while it is
// being unregistered: ENODEV, not an abort.
func TestUpstream2617(t *testing.T) {
	t.Run("unregistered, channels alive", func(t *testing.T) {
		scenario(t, 3,
			who(0).register(0), who(1).get(0), who(2).get(0),
			who(0).unregister(0), who(2).forEach(0, 0), refused(0),
			rounds(3, 2), ended(0, true), visited(0), gone(0, false),
			who(1).put(0), who(2).put(0), rounds(3, 2), gone(0, true))
	})
	t.Run("unregister waits for another iteration", func(t *testing.T) {
		scenario(t, 3,
			who(0).register(0), who(1).get(0),
			who(0).forEach(0, 0), who(0).unregister(0), who(2).forEach(1, 0), refused(1),
			rounds(3, 3), ended(0, true), ended(1, true), visited(0, 1), visited(1),
			who(1).put(0), rounds(3, 2), gone(0, true))
	})
}

// TestUpstream2982: a thread ends between being found for a visit and being sent it.
func TestUpstream2982(t *testing.T) {
	scenario(t, 3,
		who(0).register(0), who(1).get(0), who(2).get(0),
		who(0).forEach(0, 0), // the visit of thread 1 is on its way
		who(1).put(0), who(1).exit(), who(1).poll(),
		rounds(3, 3), exited(1, true), ended(0, true), visited(0, 2))
}

// TestUpstream3201: a thread ends while it waits for the end of an iteration, or while one
// waits on it for its Continue. It must not, or the iteration has nowhere to go.
func TestUpstream3201(t *testing.T) {
	t.Run("where it began", func(t *testing.T) {
		scenario(t, 3,
			who(1).register(0), who(1).get(0), who(2).get(0),
			who(0).forEach(0, 0), action{op: opLater}.inside(inVisit, 0),
			who(0).exit(), rounds(3, 4), exited(0, false), visited(0, 1),
			who(1).goOn(0), rounds(3, 4), ended(0, true), exited(0, true))
	})
	t.Run("where it is", func(t *testing.T) {
		scenario(t, 3,
			who(0).register(0), who(1).get(0), who(2).get(0),
			who(0).forEach(0, 0), action{op: opLater}.inside(inVisit, 0),
			rounds(3, 1), who(1).put(0), who(1).exit(), rounds(3, 4), exited(1, false), channels(0, 1),
			who(1).goOn(0), rounds(3, 4), exited(1, true), ended(0, true), visited(0, 2))
	})
}

// TestUpstream3242: a device is unregistered again by a clean-up that does not know that it has
// been already: EALREADY, and one callback.
func TestUpstream3242(t *testing.T) {
	scenario(t, 2,
		who(0).register(0), who(1).get(0),
		who(0).unregister(0), who(0).unregister(0), who(1).unregister(0),
		who(1).put(0), who(1).unregister(0).inside(inDestroy, 0),
		rounds(2, 3), gone(0, true), who(0).unregister(0), rounds(2, 2))
}

// TestUpstream3367: a timed poller begins an iteration every period while its device goes.
func TestUpstream3367(t *testing.T) {
	scenario(t, 2,
		who(0).register(0), who(1).get(0), who(1).timed(0, 1000),
		who(1).forEach(0, 0).inside(inPoller, 0), pass(time.Microsecond), rounds(2, 20), ended(0, true), visited(0, 1),
		who(0).unregister(0),
		who(1).forEach(1, 0).inside(inPoller, 0), pass(time.Microsecond), rounds(2, 20), refused(1), ended(1, true),
		who(1).put(0), rounds(2, 3), gone(0, true),
		who(1).forEach(2, 0).inside(inPoller, 0), pass(time.Microsecond), rounds(2, 20), refused(2), ended(2, true))
}

// TestUpstream3736: a poller that is unregistered together with its device is not called a last
// time, whoever unregisters it: what was due in the same round is not called either.
func TestUpstream3736(t *testing.T) {
	t.Run("before the round", func(t *testing.T) {
		scenario(t, 1,
			who(0).register(0), who(0).timed(0, 1000), who(0).forEach(0, 0).inside(inPoller, 0),
			pass(time.Microsecond), who(0).do(opStop, 0), who(0).unregister(0),
			rounds(1, 10), gone(0, true), calls(0))
	})
	t.Run("in a poller that is due at once", func(t *testing.T) {
		scenario(t, 1,
			who(0).register(0), who(0).timed(1, 1000), who(0).timed(0, 1000),
			who(0).forEach(0, 0).inside(inPoller, 0),
			who(0).unregister(0).inside(inPoller, 1), who(0).do(opStop, 0).inside(inPoller, 1),
			pass(time.Microsecond), rounds(1, 10), gone(0, true), calls(1))
	})
}

// TestUpstream3840: the end of an iteration lets go of the device while the thread that was
// visited last is still in its Continue.
func TestUpstream3840(t *testing.T) {
	t.Run("unregister at the end", func(t *testing.T) {
		scenario(t, 2,
			who(0).register(0), who(1).get(0),
			who(0).forEach(0, 0), who(0).unregister(0).inside(inDone, 0), who(1).put(0).inside(inVisit, 0),
			rounds(2, 4), ended(0, true), gone(0, true))
	})
	t.Run("unregister waits", func(t *testing.T) {
		scenario(t, 3,
			who(0).register(0), who(1).get(0), who(0).forEach(0, 0),
			who(1).unregister(0).inside(inVisit, 0), who(1).put(0).inside(inVisit, 0),
			rounds(3, 4), ended(0, true), gone(0, true))
	})
	t.Run("another device at once", func(t *testing.T) {
		scenario(t, 2,
			who(0).register(0), who(1).get(0),
			who(0).forEach(0, 0), who(0).unregister(0).inside(inDone, 0), who(1).put(0).inside(inVisit, 0),
			who(0).do(opRegister, 1, 0).inside(inGone, 0),
			rounds(2, 4), gone(0, true),
			who(1).get(1), who(1).forEach(1, 1), rounds(2, 4), ended(1, true), visited(1, 1))
	})
}

// TestUpstream3840Race is the same with reactors that run at once, for the race detector.
func TestUpstream3840Race(t *testing.T) {
	n := 2000
	if testing.Short() {
		n = 500
	}
	fw, err := reactor.NewFramework(reactor.Options{Cores: []int{0, 1, 2}, NoPin: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := fw.Start(); err != nil {
		t.Fatal(err)
	}
	defer fw.Stop()
	r := &removal{done: make(chan struct{})}
	for i := range 3 {
		th, err := fw.CreateThread("", reactor.NewCpuset(i))
		if err != nil {
			t.Fatal(err)
		}
		r.threads = append(r.threads, th)
	}
	r.left.Store(int64(n))
	r.begin()
	select {
	case <-r.done:
	case <-time.After(time.Minute):
		t.Fatalf("%d of %d removals are left", r.left.Load(), n)
	}
}

// removal registers a device, has two threads get a channel, iterates with a visit that puts
// it, unregisters at the end of the iteration, and begins again.
type removal struct {
	threads []*reactor.Thread
	d       *iochannel.Device
	left    atomic.Int64
	done    chan struct{}
}

func (r *removal) begin() { r.send(r.threads[0], removalRegister) }

// send cannot find a full thread: one message is under way.
func (r *removal) send(t *reactor.Thread, fn reactor.MsgFunc) {
	for t.SendMsg(fn, r) == syscall.ENOMEM {
		runtime.Gosched()
	}
}

func removalRegister(t *reactor.Thread, ctx any) {
	r := ctx.(*removal)
	if r.left.Add(-1) < 0 {
		close(r.done)
		return
	}
	d, err := iochannel.RegisterDevice[struct{}](t, r, "", nil, nil)
	if err != nil {
		panic(err)
	}
	r.d = d
	r.send(r.threads[1], removalGet)
}

func removalGet(t *reactor.Thread, ctx any) {
	r := ctx.(*removal)
	if r.d.Get(t) == nil {
		panic("no channel")
	}
	if t == r.threads[1] {
		r.send(r.threads[2], removalGet)
	} else {
		r.send(r.threads[0], removalIterate)
	}
}

func removalIterate(t *reactor.Thread, ctx any) {
	r := ctx.(*removal)
	iochannel.ForEachChannel(t, r.d, removalVisit, r, removalEnd)
}

func removalVisit(it *iochannel.Iter) {
	it.Channel().Put()
	it.Continue(0)
}

func removalEnd(t *reactor.Thread, ctx any, _ syscall.Errno) {
	r := ctx.(*removal)
	if errno := r.d.Unregister(t, removalRegister, r); errno != 0 {
		panic(errno)
	}
}

// TestUpstreamDeviceUnregisterAndThreadExitRace: SPDK's device_unregister_and_thread_exit_race.
// A thread that exits stays until the device that it has unregistered is gone.
func TestUpstreamDeviceUnregisterAndThreadExitRace(t *testing.T) {
	scenario(t, 2,
		who(0).register(0), who(0).get(0), who(1).get(0),
		who(0).exit(), who(0).poll(), exited(0, false),
		who(0).put(0), who(0).unregister(0), who(0).poll(), exited(0, false),
		who(1).exit(), who(1).poll(), exited(1, false),
		who(1).put(0), rounds(2, 4), exited(0, true), exited(1, true), gone(0, true))
}

// TestUpstreamForEachChannelAndThreadExitRace: SPDK's for_each_channel_and_thread_exit_race. A
// thread without a channel exits right after it has begun an iteration.
func TestUpstreamForEachChannelAndThreadExitRace(t *testing.T) {
	scenario(t, 3,
		who(0).register(0), who(1).get(0), who(2).get(0),
		who(0).forEach(0, 0), visited(0), who(0).exit(), exited(0, false), who(0).poll(), exited(0, false),
		rounds(3, 4), ended(0, true), visited(0, 2), exited(0, true))
}

// TestUpstreamForEachThreadAndThreadExitRace: SPDK's for_each_thread_and_thread_exit_race. A
// thread exits right after it has begun a walk over the threads.
func TestUpstreamForEachThreadAndThreadExitRace(t *testing.T) {
	scenario(t, 3,
		who(0).walk(0), who(0).exit(),
		who(0).poll(), who(1).poll(), exited(0, false), who(2).poll(),
		rounds(3, 2), exited(0, true),
		who(1).walk(1), who(2).exit(), rounds(3, 3), exited(2, true))
}

// TestUpstreamChannelDestroyRaces: SPDK's channel_destroy_races. Two puts with a get between
// them, all before the first deferred destroy runs, destroy once.
func TestUpstreamChannelDestroyRaces(t *testing.T) {
	scenario(t, 1,
		who(0).register(0),
		who(0).get(0), who(0).put(0), who(0).get(0), who(0).put(0), destroys(0),
		rounds(1, 3), destroys(1), channels(0, 0),
		who(0).get(0), who(0).put(0), who(0).get(0), rounds(1, 3), destroys(1), channels(0, 1),
		who(0).put(0), who(0).unregister(0), rounds(1, 3), destroys(2), gone(0, true))
}

// TestUpstreamUnregisterInAFailingCreate: SPDK's channel_create_cb_failed. A create that
// unregisters its device and then fails lets the device go.
func TestUpstreamUnregisterInAFailingCreate(t *testing.T) {
	fail := action{op: opFail}.inside(inCreate, 0)
	t.Run("the only channel", func(t *testing.T) {
		scenario(t, 1,
			who(0).register(0), who(0).unregister(0).inside(inCreate, 0), fail, who(0).get(0),
			channels(0, 0), gone(0, false), rounds(1, 1), gone(0, true))
	})
	t.Run("another thread has one", func(t *testing.T) {
		scenario(t, 2,
			who(0).register(0), who(1).get(0),
			who(0).unregister(0).inside(inCreate, 0), fail, who(0).get(0),
			rounds(2, 2), gone(0, false), who(1).put(0), rounds(2, 2), gone(0, true))
	})
	t.Run("during an iteration", func(t *testing.T) {
		scenario(t, 2,
			who(0).register(0), who(1).get(0),
			who(1).forEach(0, 0), who(0).unregister(0).inside(inCreate, 0), fail, who(0).get(0),
			rounds(2, 3), ended(0, true), visited(0, 1), gone(0, false),
			who(1).put(0), rounds(2, 2), gone(0, true))
	})
}

// TestUpstreamNestedChannel: SPDK's nested_channel. A create gets a channel of another device,
// the destroy puts it; one level goes each round.
func TestUpstreamNestedChannel(t *testing.T) {
	scenario(t, 1,
		who(0).register(0), who(0).register(1), who(0).register(2),
		who(0).get(1).inside(inCreate, 0), who(0).get(2).inside(inCreate, 1), who(0).get(0),
		channels(0, 1), channels(1, 1), channels(2, 1),
		who(0).put(1).inside(inDestroy, 0), who(0).put(2).inside(inDestroy, 1),
		who(0).unregister(0), who(0).unregister(1), who(0).unregister(2),
		who(0).put(0), rounds(1, 1), destroys(1), rounds(1, 1), destroys(2), rounds(1, 1), destroys(3),
		rounds(1, 1), gone(0, true), gone(1, true), gone(2, true))
}

// TestUpstreamHotRemove: a device goes while operations are under way: it is gone when the last
// has come back, and nobody can begin one meanwhile.
func TestUpstreamHotRemove(t *testing.T) {
	scenario(t, 3,
		who(0).register(0), who(0).get(0), who(1).get(0),
		who(0).do(opIO, 0, 2), who(1).do(opIO, 0, 2), who(1).do(opIO, 0, 1),
		who(2).do(opRemove, 0), who(1).do(opIO, 0, 2),
		who(0).poll(), who(1).poll(), gone(0, false),
		who(0).put(0), who(1).put(0), rounds(3, 6), channels(0, 0), gone(0, true))
}

// TestForcedExitLetsTheDeviceGo: the thread that began an iteration is forced to exit while a
// visit is held elsewhere. Nobody is told of the end, but an unregister that waited goes on.
func TestForcedExitLetsTheDeviceGo(t *testing.T) {
	scenario(t, 2,
		who(1).register(0), who(1).get(0),
		who(0).forEach(0, 0), action{op: opLater}.inside(inVisit, 0), rounds(2, 2),
		who(0).exit(), pass(6*time.Second), rounds(2, 20), exited(0, true), ended(0, false),
		who(1).unregister(0), who(1).put(0), rounds(2, 2), channels(0, 0), gone(0, false),
		who(1).goOn(0), rounds(2, 2), ended(0, false), gone(0, true))
}

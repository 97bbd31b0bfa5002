package thread_test

import (
	"errors"
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

// walk is an iteration over a device's channels.
type walk struct {
	d       *device
	visited []uint64 // threads
	ends    int
}

func (d *device) forEach(t *reactor.Thread) *walk {
	w := &walk{d: d}
	iochannel.ForEachChannel(t, d.Device, visit, w, ended)
	return w
}

func visit(it *iochannel.Iter) {
	w := it.Ctx().(*walk)
	if m := iochannel.Ctx[mark](it.Channel()); m.of != w.d { // as it is after the destruction
		panic("a channel is visited that is not of the device")
	}
	w.visited = append(w.visited, it.Channel().Thread().ID())
	it.Continue(0)
}

func ended(_ *reactor.Thread, ctx any, _ syscall.Errno) { ctx.(*walk).ends++ }

func (w *walk) expect(t *testing.T, ends int, visited ...uint64) {
	t.Helper()
	same(t, "visited threads", w.visited, visited)
	same(t, "ends", w.ends, ends)
}

// TestForEachChannelRemove iterates over channels of which the first is put in different moments.
func TestForEachChannelRemove(t *testing.T) {
	for name, tc := range map[string]struct {
		do      func(h *reactortest.Harness, d *device, ch *iochannel.Channel) *walk
		visited []uint64
		left    int
	}{
		"put and destroyed before": {func(h *reactortest.Harness, d *device, ch *iochannel.Channel) *walk {
			ch.Put()
			same(t, "channels before the poll", d.channels(), 3)
			h.PollThreads()
			same(t, "channels after the poll", d.channels(), 2)
			return d.forEach(h.Threads[0])
		}, []uint64{2, 3}, 2},
		"put after the beginning": {func(h *reactortest.Harness, d *device, ch *iochannel.Channel) *walk {
			w := d.forEach(h.Threads[0])
			ch.Put()
			return w
		}, []uint64{1, 2, 3}, 2},
		"put before": {func(h *reactortest.Harness, d *device, ch *iochannel.Channel) *walk {
			ch.Put()
			return d.forEach(h.Threads[0])
		}, []uint64{2, 3}, 2},
		"put before and created again": {func(h *reactortest.Harness, d *device, ch *iochannel.Channel) *walk {
			ch.Put()
			h.Threads[0].Defer(func(th *reactor.Thread, _ any) { d.Get(th) }, nil)
			return d.forEach(h.Threads[0])
		}, []uint64{1, 2, 3}, 3},
		// In C all of these are messages that a thread sends to itself and stay in order. Here they
		// are deferred calls, which a message comes after.
		"put before and created by message": {func(h *reactortest.Harness, d *device, ch *iochannel.Channel) *walk {
			ch.Put()
			h.Threads[0].SendMsg(func(th *reactor.Thread, _ any) { d.Get(th) }, nil)
			return d.forEach(h.Threads[0])
		}, []uint64{2, 3}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			h := reactortest.New(t, 3)
			d := register(t, h.Threads[0], nil)
			var chs []*iochannel.Channel
			for _, th := range h.Threads {
				chs = append(chs, d.Get(th))
			}
			same(t, "channels", d.channels(), 3)
			w := tc.do(h, d, chs[0])
			w.expect(t, 0)
			h.PollThreads()
			w.expect(t, 1, tc.visited...)
			same(t, "channels", d.channels(), tc.left)

			if tc.left == 3 {
				again := d.Get(h.Threads[0])
				same(t, "references of the channel created meanwhile", again.Refs(), 2)
				again.Put()
				again.Put()
			}
			chs[1].Put()
			chs[2].Put()
			same(t, "channels before the poll", d.channels(), tc.left)
			h.PollThreads()
			same(t, "channels", d.channels(), 0)
			d.unregister(t, h, h.Threads[0])
		})
	}
}

// TestForEachChannelUnreg: a device that is iterated over is not unregistered before the end, and
// its key cannot be registered meanwhile. That is EEXIST; C logs it and keeps the first device.
func TestForEachChannelUnreg(t *testing.T) {
	h := reactortest.New(t, 1)
	th := h.Threads[0]
	known := func(d *device) bool { return d != nil && iochannel.Lookup(h.Framework, "target") == d.Device }
	if iochannel.Lookup(h.Framework, "target") != nil {
		t.Fatal("the framework has a device to begin with")
	}
	d := register(t, th, "target")
	same(t, "is it known", known(d), true)
	ch := d.Get(th)

	_, err := iochannel.RegisterDevice(th, "target", "", d.create, d.destroy)
	same(t, "is a second one EEXIST", errors.Is(err, syscall.EEXIST), true)
	same(t, "is the first one known", known(d), true)

	w := d.forEach(th)
	same(t, "unregister", d.Unregister(th, func(*reactor.Thread, any) { d.gone++ }, nil), 0)
	same(t, "is it known during the iteration", known(d), true)
	h.PollThread(0)
	w.expect(t, 1, 1)
	same(t, "is it known after the iteration", iochannel.Lookup(h.Framework, "target") != nil, false)

	same(t, "callbacks while there is a channel", d.gone, 0)
	ch.Put()
	h.PollThreads()
	same(t, "callbacks", d.gone, 1)
}

// TestForEachChannelAndThreadExitRace: a thread without a channel begins an iteration and exits at
// once. It lives to hear of the end.
func TestForEachChannelAndThreadExitRace(t *testing.T) {
	h := reactortest.New(t, 3)
	th := h.Threads[0]
	d := register(t, th, nil)
	chs := []*iochannel.Channel{d.Get(h.Threads[1]), d.Get(h.Threads[2])}
	same(t, "what holds the thread", th.Holding(), "")
	w := d.forEach(th)
	w.expect(t, 0)
	same(t, "what holds the thread", th.Holding(), "1 iterations over channels")
	same(t, "life", life(th), "running")
	th.Exit()
	same(t, "life", life(th), "exiting")
	h.PollThread(0) // which has nothing to do but wait
	same(t, "life", life(th), "exiting")
	h.PollThreads()
	w.expect(t, 1, 2, 3)
	same(t, "what holds the thread", th.Holding(), "")
	same(t, "life", life(th), "exited")

	for _, ch := range chs {
		ch.Put()
	}
	same(t, "channels before the poll", d.channels(), 2)
	h.PollThreads()
	same(t, "channels", d.channels(), 0)
	d.unregister(t, h, h.Threads[1])
}

package iochannel_test

import (
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

// visits is what an iteration did.
type visits struct {
	threads []uint64
	ends    int
	endedOn *reactor.Thread
	status  syscall.Errno

	stopAt uint64 // thread whose Continue ends the iteration with EIO
	hold   bool   // leave the Continue to the test
	held   *iochannel.Iter
	wrong  string
}

func visit(it *iochannel.Iter) {
	v := it.Ctx().(*visits)
	ch := it.Channel()
	if ch.Device() != it.Device() || iochannel.Ctx[chanCtx](ch).thread != ch.Thread().ID() {
		v.wrong = "the channel is not what was created"
	}
	v.threads = append(v.threads, ch.Thread().ID())
	switch {
	case v.hold:
		v.held = it
	case v.stopAt == ch.Thread().ID():
		it.Continue(syscall.EIO)
	default:
		it.Continue(0)
	}
}

func ended(t *reactor.Thread, ctx any, status syscall.Errno) {
	v := ctx.(*visits)
	v.ends++
	v.endedOn, v.status = t, status
}

func (v *visits) start(t *reactor.Thread, d *device) *visits {
	iochannel.ForEachChannel(t, d.Device, visit, v, ended)
	return v
}

func forEach(t *reactor.Thread, d *device) *visits { return new(visits).start(t, d) }

func (v *visits) expect(t *testing.T, status syscall.Errno, threads ...uint64) {
	t.Helper()
	if diff := cmp.Diff(threads, v.threads); diff != "" {
		t.Errorf("visited threads: %s", diff)
	}
	if v.ends != 1 || v.status != status || v.wrong != "" {
		t.Errorf("ended %d times with %v, want %v; %s", v.ends, v.status, status, v.wrong)
	}
}

// TestForEachChannelRemove is thread_ut's for_each_channel_remove: the first thread's
// channel is put in four different moments.
func TestForEachChannelRemove(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   func(h *reactortest.Harness, d *device, ch0 *iochannel.Channel) *visits
		want []uint64
		left int
	}{
		{"put and polled before", func(h *reactortest.Harness, d *device, ch0 *iochannel.Channel) *visits {
			ch0.Put()
			h.PollThreads()
			return forEach(h.Threads[0], d)
		}, []uint64{2, 3}, 2},
		{"put after", func(h *reactortest.Harness, d *device, ch0 *iochannel.Channel) *visits {
			v := forEach(h.Threads[0], d)
			ch0.Put()
			return v
		}, []uint64{1, 2, 3}, 2},
		{"put before", func(h *reactortest.Harness, d *device, ch0 *iochannel.Channel) *visits {
			ch0.Put()
			return forEach(h.Threads[0], d)
		}, []uint64{2, 3}, 2},
		{"put and created again", func(h *reactortest.Harness, d *device, ch0 *iochannel.Channel) *visits {
			ch0.Put()
			h.Threads[0].Defer(func(t *reactor.Thread, _ any) { d.Get(t) }, nil)
			return forEach(h.Threads[0], d)
		}, []uint64{1, 2, 3}, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := reactortest.New(t, 3)
			d := newDevice(t, h.Threads[0], nil)
			var chs []*iochannel.Channel
			for _, th := range h.Threads {
				chs = append(chs, d.Get(th))
			}
			v := tc.do(h, d, chs[0])
			if v.threads != nil {
				t.Error("a visit from inside ForEachChannel")
			}
			h.PollThreads()
			v.expect(t, 0, tc.want...)
			if v.endedOn != h.Threads[0] || d.alive() != tc.left {
				t.Errorf("ended on %s, %d channels left", v.endedOn.Name(), d.alive())
			}
			if tc.left == 3 {
				chs[0] = d.Get(h.Threads[0])
				chs[0].Put()
				chs[0].Put()
			}
			chs[1].Put()
			chs[2].Put()
			d.unregister(t, h.Threads[0])
			h.PollThreads()
			if d.alive() != 0 || d.gone != 1 {
				t.Errorf("%d channels left, %d callbacks", d.alive(), d.gone)
			}
		})
	}
}

// TestForEachChannelUnreg is thread_ut's for_each_channel_unreg, and what may be done in
// between.
func TestForEachChannelUnreg(t *testing.T) {
	h := reactortest.New(t, 2)
	th := h.Threads[0]
	d := newDevice(t, th, "key")
	ch := d.Get(th)
	v := &visits{hold: true}
	v.start(th, d)
	var order []string
	iochannel.ForEachChannel(th, d.Device, func(it *iochannel.Iter) { it.Continue(0) }, nil,
		func(*reactor.Thread, any, syscall.Errno) { order = append(order, "iteration") })
	d.Unregister(th, func(*reactor.Thread, any) { order = append(order, "unregister") }, nil)
	h.PollThreads()
	if iochannel.Lookup(h.Framework, "key") != d.Device {
		t.Error("unregistered under an iteration")
	}
	if errno := d.Unregister(th, nil, nil); errno != syscall.EALREADY {
		t.Errorf("second unregister: %v", errno)
	}
	if _, err := iochannel.RegisterDevice[int](th, "key", "", nil, nil); err == nil {
		t.Error("the key could be used again")
	}
	refused := forEach(h.Threads[1], d)
	h.PollThreads()
	refused.expect(t, syscall.ENODEV)
	ch1 := d.Get(h.Threads[1]) // still possible
	if ch1 == nil {
		t.Fatal("no channel while the unregister waits")
	}
	v.hold = false
	v.held.Continue(0)
	h.PollThreads()
	v.expect(t, 0, 1, 2)
	if iochannel.Lookup(h.Framework, "key") != nil || d.Get(th) != nil {
		t.Error("not unregistered after the last iteration")
	}
	refused = forEach(th, d)
	h.PollThreads()
	refused.expect(t, syscall.ENODEV)
	ch.Put()
	ch1.Put()
	h.PollThreads()
	if diff := cmp.Diff([]string{"iteration", "unregister"}, order); diff != "" {
		t.Error(diff)
	}
}

// TestIterationEndsBeforeItsDevice: who iterates may free in the callback of the unregister
// what the end of the iteration uses.
func TestIterationEndsBeforeItsDevice(t *testing.T) {
	for _, on := range []int{0, 1} { // the thread whose channel is put during the visit
		h := reactortest.New(t, 2)
		d := newDevice(t, h.Threads[0], nil)
		d.Get(h.Threads[on])
		var order []string
		iochannel.ForEachChannel(h.Threads[0], d.Device, func(it *iochannel.Iter) {
			ch := it.Channel()
			ch.Put()
			// the destruction comes first, so that the end of the iteration ends the device too
			ch.Thread().Defer(func(*reactor.Thread, any) { it.Continue(0) }, nil)
		}, nil, func(*reactor.Thread, any, syscall.Errno) { order = append(order, "iteration") })
		d.Unregister(h.Threads[0], func(*reactor.Thread, any) { order = append(order, "device") }, nil)
		h.PollThreads()
		if diff := cmp.Diff([]string{"iteration", "device"}, order); diff != "" {
			t.Error(diff)
		}
	}
}

// TestForEachChannelAndThreadExitRace is the thread_ut test of that name.
func TestForEachChannelAndThreadExitRace(t *testing.T) {
	h := reactortest.New(t, 3)
	d := newDevice(t, h.Threads[0], nil)
	ch1, ch2 := d.Get(h.Threads[1]), d.Get(h.Threads[2])
	v := forEach(h.Threads[0], d)
	h.Threads[0].Exit()
	h.Threads[0].Poll(0, 0)
	if h.Threads[0].IsExited() {
		t.Error("exited with an iteration under way")
	}
	h.PollThreads()
	v.expect(t, 0, 2, 3)
	if !h.Threads[0].IsExited() {
		t.Errorf("held by %s", h.Threads[0].Holding())
	}
	ch1.Put()
	ch2.Put()
	d.unregister(t, h.Threads[1])
	h.PollThreads()
}

// TestVisitedThreadExitsWhileItsRingIsFull: the visit has to wait for room, and when there
// is room there is no thread any more.
func TestVisitedThreadExitsWhileItsRingIsFull(t *testing.T) {
	h := reactortest.NewWith(t, 3, reactor.Options{MsgRingSize: 2})
	d := newDevice(t, h.Threads[0], nil)
	ch1, ch2 := d.Get(h.Threads[1]), d.Get(h.Threads[2])
	for h.Threads[1].SendMsgFrom(h.Threads[0], func(*reactor.Thread, any) {}, nil) == 0 {
	}
	v := forEach(h.Threads[0], d)
	ch1.Put()
	h.Threads[1].Exit()
	h.PollThread(1)
	if !h.Threads[1].IsExited() {
		t.Fatalf("held by %s", h.Threads[1].Holding())
	}
	h.PollThreads()
	v.expect(t, 0, 3)
	ch2.Put()
	d.unregister(t, h.Threads[0])
	h.PollThreads()
	if d.gone != 1 {
		t.Error("not unregistered")
	}
	h.CheckExit()
}

// TestVisitedThreadDoesNotExitBeforeItsContinue, even if its channel is gone.
func TestVisitedThreadDoesNotExitBeforeItsContinue(t *testing.T) {
	h := reactortest.New(t, 2)
	d := newDevice(t, h.Threads[0], nil)
	ch := d.Get(h.Threads[1])
	v := &visits{hold: true}
	v.start(h.Threads[0], d)
	h.PollThreads()
	ch.Put()
	h.Threads[1].Exit()
	h.PollThreads()
	if h.Threads[1].IsExited() {
		t.Fatal("exited")
	}
	v.held.Continue(0)
	h.PollThreads()
	v.expect(t, 0, 2)
	d.unregister(t, h.Threads[0])
	h.PollThreads()
	if !h.Threads[1].IsExited() || d.gone != 1 {
		t.Errorf("exited %v, %d callbacks", h.Threads[1].IsExited(), d.gone)
	}
}

func TestChannelsCreatedMeanwhileAreVisitedInTheirTurn(t *testing.T) {
	h := reactortest.New(t, 4)
	d := newDevice(t, h.Threads[0], nil)
	chs := []*iochannel.Channel{d.Get(h.Threads[1]), d.Get(h.Threads[3])}
	v := &visits{hold: true}
	v.start(h.Threads[0], d)
	h.PollThreads() // it is at the second thread now
	chs = append(chs, d.Get(h.Threads[0]), d.Get(h.Threads[2]))
	v.hold = false
	v.held.Continue(0)
	h.PollThreads()
	v.expect(t, 0, 2, 3, 4) // the turn of the first was over
	for _, ch := range chs {
		ch.Put()
	}
	d.unregister(t, h.Threads[0])
	h.PollThreads()
}

func TestContinueStatusEndsTheIteration(t *testing.T) {
	h := reactortest.New(t, 3)
	d := newDevice(t, h.Threads[0], nil)
	for _, th := range h.Threads {
		d.Get(th)
	}
	for stop, want := range map[uint64][]uint64{1: {1}, 2: {1, 2}, 3: {1, 2, 3}} {
		v := &visits{stopAt: stop}
		v.start(h.Threads[1], d)
		h.PollThreads()
		v.expect(t, syscall.EIO, want...)
		if v.endedOn != h.Threads[1] {
			t.Errorf("ended on %s", v.endedOn.Name())
		}
	}
	for _, th := range h.Threads {
		ch := d.Get(th)
		ch.Put()
		ch.Put()
	}
	v := forEach(h.Threads[2], d) // the channels are on their way out: visited or not, it ends
	h.PollThreads()
	if v.ends != 1 || d.alive() != 0 {
		t.Errorf("ended %d times, %d channels left", v.ends, d.alive())
	}
	v = forEach(h.Threads[2], d)
	if v.ends != 0 {
		t.Error("ended from inside ForEachChannel")
	}
	h.PollThreads()
	v.expect(t, 0)
	iochannel.ForEachChannel(h.Threads[0], d.Device, visit, v, nil) // no callback
	d.unregister(t, h.Threads[0])
	h.PollThreads()
}

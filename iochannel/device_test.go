package iochannel_test

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

// TestIODeviceLookup is thread_ut's io_device_lookup: equal low halves are not equal keys,
// nor are equal values of different types.
func TestIODeviceLookup(t *testing.T) {
	h := reactortest.New(t, 1)
	th := h.Threads[0]
	type name string
	p, q := new(int), new(int)
	keys := []any{uint64(0x7f), uint64(0x1_0000_007f), uint64(0x2_0000_007f), int64(0x7f), "a", name("a"), p, q}
	devs := map[any]*device{}
	for _, k := range keys {
		devs[k] = newDevice(t, th, k)
	}
	for _, k := range keys {
		d := iochannel.Lookup(h.Framework, k)
		if d != devs[k].Device || d.Key() != k || d.Name() != "dev" {
			t.Errorf("key %v: %+v", k, d)
		}
		other, err := iochannel.RegisterDevice[int](th, k, "twin", nil, nil)
		if !errors.Is(err, syscall.EEXIST) || other != nil {
			t.Errorf("key %v was registered twice: %v, %v", k, other, err)
		}
		ch := iochannel.Get(th, k)
		if ch.Device() != d {
			t.Errorf("key %v: channel of %v", k, ch.Device().Key())
		}
		ch.Put()
	}
	if iochannel.Lookup(h.Framework, uint64(0x3_0000_007f)) != nil {
		t.Error("found a device that does not exist")
	}
	for _, k := range keys {
		devs[k].unregister(t, th)
		if iochannel.Lookup(h.Framework, k) != nil {
			t.Errorf("key %v is found after its unregister", k)
		}
	}
	h.PollThreads()
}

func TestDefaultName(t *testing.T) {
	h := reactortest.New(t, 1)
	d, err := iochannel.RegisterDevice[int](h.Threads[0], 1, "", nil, nil)
	if err != nil || d.Name() == "" {
		t.Errorf("name %q, %v", d.Name(), err)
	}
	d.Unregister(h.Threads[0], nil, nil)
}

// TestUnregisterWaitsForChannels also reuses the key at once, and later the slot.
func TestUnregisterWaitsForChannels(t *testing.T) {
	h := reactortest.New(t, 2)
	t0, t1 := h.Threads[0], h.Threads[1]
	old := newDevice(t, t0, "key")
	ch0, ch1 := old.Get(t0), old.Get(t1)
	old.unregister(t, t0)
	if errno := old.Unregister(t1, func(*reactor.Thread, any) { t.Error("called") }, nil); errno != syscall.EALREADY {
		t.Errorf("second unregister: %v", errno)
	}
	if old.Get(t0) != nil {
		t.Error("an unregistered device gave one more reference")
	}
	young := newDevice(t, t0, "key")
	if iochannel.Lookup(h.Framework, "key") != young.Device {
		t.Error("the key leads to the old device")
	}
	y0 := young.Get(t0)
	if y0 == ch0 || iochannel.Get(t0, "key") != y0 {
		t.Error("the devices share a channel")
	}
	y0.Put()
	ch0.Put()
	h.PollThreads()
	if old.gone != 0 || old.alive() != 1 {
		t.Error("unregistered with a channel left")
	}
	ch1.Put()
	h.PollThreads()
	if old.gone != 1 || old.alive() != 0 || young.alive() != 1 {
		t.Errorf("%d callbacks, %d old and %d young channels", old.gone, old.alive(), young.alive())
	}
	third := newDevice(t, t0, "third") // in the slot of the old one
	if third.Get(t0) == y0 || young.Get(t0) != y0 {
		t.Error("the slots are mixed up")
	}
	y0.Put()
	y0.Put()
	iochannel.Get(t0, "third").Put()
	third.Get(t0).Put()
	h.PollThreads()
	if third.alive() != 1 {
		t.Errorf("%d channels of the third device", third.alive())
	}
	third.Get(t0).Put()
	ch := third.Get(t0)
	for ch.Refs() > 0 {
		ch.Put()
	}
	young.unregister(t, t0)
	third.unregister(t, t1)
	h.PollThreads()
	if young.gone != 1 || third.gone != 1 {
		t.Errorf("%d and %d callbacks", young.gone, third.gone)
	}
}

// TestUnregisterCallback pins where and when it is called.
func TestUnregisterCallback(t *testing.T) {
	h := reactortest.New(t, 2)
	d := newDevice(t, h.Threads[0], nil)
	ch := d.Get(h.Threads[1])
	want, calls := new(int), 0
	d.Unregister(h.Threads[0], func(th *reactor.Thread, ctx any) {
		calls++
		if th != h.Threads[0] || ctx != want {
			t.Errorf("called on %s with %v", th.Name(), ctx)
		}
	}, want)
	ch.Put()
	h.PollThread(1)
	if calls != 0 {
		t.Error("called on the thread of the last channel")
	}
	h.PollThread(0)
	if calls != 1 {
		t.Errorf("%d calls", calls)
	}
}

// TestDeviceUnregisterAndThreadExitRace is the thread_ut test of that name.
func TestDeviceUnregisterAndThreadExitRace(t *testing.T) {
	h := reactortest.New(t, 2)
	t0, t1 := h.Threads[0], h.Threads[1]
	d := newDevice(t, t0, nil)
	ch0, ch1 := d.Get(t0), d.Get(t1)
	t0.Exit()
	t0.Poll(0, 0)
	ch0.Put()
	d.unregister(t, t0)
	h.PollThread(0)
	if t0.IsExited() {
		t.Error("a thread exited with an unregister under way")
	}
	t1.Exit()
	t1.Poll(0, 0)
	if t1.IsExited() {
		t.Error("a thread exited with a channel")
	}
	ch1.Put()
	h.PollThread(1)
	if t0.IsExited() || !t1.IsExited() {
		t.Errorf("exited: %v, %v", t0.IsExited(), t1.IsExited())
	}
	h.PollThread(0)
	if !t0.IsExited() || d.gone != 1 {
		t.Errorf("exited %v, %d callbacks", t0.IsExited(), d.gone)
	}
}

// TestThreadExitWaitsForChannels is the channel part of thread_ut's thread_exit_test.
func TestThreadExitWaitsForChannels(t *testing.T) {
	h := reactortest.New(t, 2)
	th := h.Threads[0]
	d := newDevice(t, th, nil)
	ch := d.Get(th)
	ch.Put()
	th.Exit()
	if d.Get(th) != ch || d.created != 1 {
		t.Error("an exiting thread did not get its channel again")
	}
	late := newDevice(t, th, nil)
	other := late.Get(th)
	if other == nil {
		t.Fatal("an exiting thread got no new channel")
	}
	ch.Put()
	h.PollThreads()
	if d.destroyed != 1 || th.IsExited() {
		t.Errorf("destroyed %d times, exited %v", d.destroyed, th.IsExited())
	}
	other.Put()
	h.PollThreads()
	if !th.IsExited() {
		t.Errorf("held by %s", th.Holding())
	}
	if d.Get(th) != nil || late.Get(th) != nil {
		t.Error("an exited thread got a channel")
	}
	d.unregister(t, h.Threads[1])
	late.unregister(t, h.Threads[1])
	h.PollThreads()
}

// TestForcedExitDoesNotStopOthers: the channel of a thread that was forced out is skipped.
func TestForcedExitDoesNotStopOthers(t *testing.T) {
	h := reactortest.NewWith(t, 3, reactor.Options{})
	d := newDevice(t, h.Threads[0], nil)
	for _, th := range h.Threads {
		d.Get(th)
	}
	h.Threads[1].Exit()
	h.Advance(5 * time.Second)
	h.PollThreads()
	if !h.Threads[1].IsExited() {
		t.Fatal("not forced out")
	}
	v := forEach(h.Threads[0], d)
	h.PollThreads()
	v.expect(t, 0, 1, 3)
}

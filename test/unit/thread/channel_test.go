package thread_test

import (
	"errors"
	"fmt"
	"math"
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

func TestChannel(t *testing.T) {
	h := reactortest.New(t, 1)
	th := h.Threads[0]
	devs := []*device{register(t, th, "device1"), register(t, th, "device2")}

	ch1 := iochannel.Get(th, "device1")
	if again := iochannel.Get(th, "device1"); ch1 == nil || again != ch1 {
		t.Fatalf("channels %p and %p, want the same twice", ch1, again)
	}
	ch1.Ref()
	ch2 := iochannel.Get(th, "device2")
	if ch2 == nil || ch2 == ch1 {
		t.Fatalf("channel %p, and %p of another device", ch1, ch2)
	}
	for i, ch := range []*iochannel.Channel{ch1, ch2} {
		if ch.Device() != devs[i].Device || ch.Thread() != th || iochannel.Ctx[mark](ch).of != devs[i] {
			t.Errorf("channel of device %d has device %q, thread %q and context %v",
				i+1, ch.Device().Name(), ch.Thread().Name(), *iochannel.Ctx[mark](ch))
		}
		same(t, "channels created", devs[i].created, 1)
	}
	for _, put := range []struct {
		ch        *iochannel.Channel
		destroyed [2]int // of each device, after a poll
	}{
		{ch1, [2]int{0, 0}},
		{ch1, [2]int{0, 0}},
		{ch1, [2]int{1, 0}},
		{ch2, [2]int{1, 1}},
	} {
		before := devs[0].destroyed + devs[1].destroyed
		put.ch.Put()
		same(t, "channels destroyed from inside Put", devs[0].destroyed+devs[1].destroyed-before, 0)
		h.PollThreads()
		same(t, "channels destroyed", [2]int{devs[0].destroyed, devs[1].destroyed}, put.destroyed)
	}
	if ch := iochannel.Get(th, "device3"); ch != nil {
		t.Errorf("a device that was never registered has channel %p", ch)
	}
	for _, d := range devs {
		d.unregister(t, h, th)
	}
	h.CheckExit()
	same(t, "threads left", len(h.Framework.Threads()), 0)
}

// TestChannelDestroyRaces: get, put, get, put before the thread is polled destroys the channel once.
func TestChannelDestroyRaces(t *testing.T) {
	h := reactortest.New(t, 1)
	d := register(t, h.Threads[0], nil)
	for range 2 {
		ch := d.Get(h.Threads[0])
		if ch == nil {
			t.Fatal("no channel")
		}
		ch.Put()
	}
	h.PollThreads()
	same(t, "channels created and destroyed", [2]int{d.created, d.destroyed}, [2]int{1, 1})
	d.unregister(t, h, h.Threads[0])
}

// TestNestedChannel: a channel whose creation gets another device's channel, which gets a third.
// Put takes them down one level a round, and their thread exits in the last of these rounds.
func TestNestedChannel(t *testing.T) {
	type nested struct {
		child  *iochannel.Channel
		poller *reactor.Poller
	}
	h := reactortest.New(t, 1)
	th := h.Threads[0]
	const depth = 3
	devs := make([]*iochannel.Device, depth)
	alive := make([]bool, depth)
	for i := depth - 1; i >= 0; i-- {
		var err error
		devs[i], err = iochannel.RegisterDevice(th, i, fmt.Sprint("dev", i+1),
			func(ch *iochannel.Channel, c *nested) syscall.Errno {
				if i+1 < depth {
					c.child = devs[i+1].Get(ch.Thread())
				}
				c.poller = ch.Thread().RegisterPoller("", idle, nil, 0)
				alive[i] = true
				return 0
			},
			func(_ *iochannel.Channel, c *nested) {
				if c.child != nil {
					c.child.Put()
				}
				c.poller.Unregister()
				alive[i] = false
			})
		if err != nil {
			t.Fatal(err)
		}
	}
	chs := []*iochannel.Channel{devs[0].Get(th)}
	for i, dev := range devs {
		ch := chs[i]
		if ch == nil || ch.Device() != dev || ch.Refs() != 1 || !alive[i] || iochannel.Ctx[nested](ch).poller == nil {
			t.Fatalf("level %d: channel %+v, created %v", i+1, ch, alive[i])
		}
		chs = append(chs, iochannel.Ctx[nested](ch).child)
	}
	same(t, "is there a channel below", chs[depth] != nil, false)

	th.RegisterPoller("", idle, nil, 0).Unregister()
	th.Poll(0, 0)
	chs[0].Put()
	th.Exit()
	for i := range depth {
		same(t, "life", life(th), "exiting")
		same(t, "references before the destruction", chs[i].Refs(), 0)
		same(t, "channels before the destruction", alive, []bool{i < 1, i < 2, i < 3})
		th.Poll(0, 0)
	}
	same(t, "channels at the end", alive, []bool{false, false, false})
	same(t, "life", life(th), "exited")

	// In C the exited thread may do this; here a thread that waits for the end has to be polled.
	last := h.AddThread("")
	for i, dev := range devs {
		same(t, "unregister", dev.Unregister(last, nil, nil), 0)
		if iochannel.Lookup(h.Framework, i) != nil {
			t.Errorf("device %d is still registered", i+1)
		}
	}
}

// TestDeviceUnregisterAndThreadExitRace: a thread that unregisters a device and exits lives until
// another thread has given up the device's last channel and the end has been told.
func TestDeviceUnregisterAndThreadExitRace(t *testing.T) {
	h := reactortest.New(t, 2)
	d := register(t, h.Threads[0], nil)
	chs := []*iochannel.Channel{d.Get(h.Threads[0]), d.Get(h.Threads[1])}
	lives := func(want ...string) {
		t.Helper()
		same(t, "lives", []string{life(h.Threads[0]), life(h.Threads[1])}, want)
	}

	h.Threads[0].Exit()
	h.PollThread(0)
	chs[0].Put()
	channels := -1
	d.Unregister(h.Threads[0], func(*reactor.Thread, any) { channels = d.channels() }, nil)
	h.PollThread(0)
	lives("exiting", "running")

	h.Threads[1].Exit()
	h.PollThread(1)
	lives("exiting", "exiting")

	chs[1].Put()
	h.PollThread(1)
	lives("exiting", "exited")
	same(t, "callback on the wrong thread", channels, -1)

	h.PollThread(0)
	lives("exited", "exited")
	same(t, "channels when the device ended", channels, 0)
}

// TestIODeviceLookup: in C keys are addresses, and those that differ in their upper half only were
// taken for each other. Here they are any comparable values.
func TestIODeviceLookup(t *testing.T) {
	h := reactortest.New(t, 1)
	th := h.Threads[0]
	devs := map[any]*device{}
	for _, key := range []any{
		uintptr(0x1), uintptr(0x7fffffff), uintptr(0x80000000), uintptr(0x100000000), uintptr(0x8000000000000000),
		uintptr(0x8000000100000000), uintptr(math.MaxUint64),
		uint32(0x1), uint64(0x1), // of another type, so other keys
		[2]uint32{0x1, 0}, [2]uint32{0x1, 1},
		new(int), new(int),
	} {
		devs[key] = register(t, th, key)
		// C logs a duplicate and keeps the first.
		_, err := iochannel.RegisterDevice[mark](th, key, "", nil, nil)
		same(t, "is a second one EEXIST", errors.Is(err, syscall.EEXIST), true)
	}
	for key, d := range devs {
		same(t, fmt.Sprintf("is %T %v looked up", key, key), iochannel.Lookup(h.Framework, key) == d.Device, true)
		ch := iochannel.Get(th, key)
		if ch == nil || ch.Device() != d.Device || ch.Device().Key() != key || iochannel.Ctx[mark](ch).of != d {
			t.Fatalf("key %T %v leads to channel %+v", key, key, ch)
		}
		ch.Put()
	}
	h.PollThreads()
	for _, d := range devs {
		same(t, "channels created and destroyed", [2]int{d.created, d.destroyed}, [2]int{1, 1})
		d.unregister(t, h, th)
	}
}

// TestChannelCreateCbFailed: the creation of a channel unregisters the device and fails.
func TestChannelCreateCbFailed(t *testing.T) {
	h := reactortest.New(t, 1)
	th := h.Threads[0]
	gone := false
	d, err := iochannel.RegisterDevice(th, "device", "", func(ch *iochannel.Channel, _ *mark) syscall.Errno {
		ch.Device().Unregister(ch.Thread(), func(*reactor.Thread, any) { gone = true }, nil)
		return syscall.EIO
	}, func(*iochannel.Channel, *mark) {
		t.Error("a channel that was never created is destroyed")
	})
	if err != nil {
		t.Fatal(err)
	}
	if ch := d.Get(th); ch != nil {
		t.Errorf("a failed creation made channel %p", ch)
	}
	h.PollThreads()
	same(t, "unregister callback", gone, true)
	same(t, "is the device known", iochannel.Lookup(h.Framework, "device") != nil, false)
}

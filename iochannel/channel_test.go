package iochannel_test

import (
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

// device counts what is asked of it.
type device struct {
	*iochannel.Device
	created, destroyed int
	fail               syscall.Errno // what the next creation answers
	gone               int           // unregister callbacks
}

type chanCtx struct{ thread uint64 }

func newDevice(tb testing.TB, t *reactor.Thread, key any) *device {
	tb.Helper()
	d := &device{}
	if key == nil {
		key = d
	}
	var err error
	d.Device, err = iochannel.RegisterDevice(t, key, "dev",
		func(ch *iochannel.Channel, c *chanCtx) syscall.Errno {
			if d.fail != 0 {
				return d.fail
			}
			d.created++
			c.thread = ch.Thread().ID()
			return 0
		},
		func(ch *iochannel.Channel, c *chanCtx) {
			d.destroyed++
			if c.thread != ch.Thread().ID() || ch.Refs() != 0 {
				tb.Errorf("destroy of the channel of thread %d, made on %d, with %d references",
					ch.Thread().ID(), c.thread, ch.Refs())
			}
		})
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func (d *device) alive() int { return d.created - d.destroyed }

func (d *device) unregister(tb testing.TB, t *reactor.Thread) {
	tb.Helper()
	if errno := d.Unregister(t, func(*reactor.Thread, any) { d.gone++ }, nil); errno != 0 {
		tb.Errorf("unregister: %v", errno)
	}
}

func panics(fn func()) (did bool) {
	defer func() { did = recover() != nil }()
	fn()
	return false
}

// TestChannel is thread_ut's channel.
func TestChannel(t *testing.T) {
	h := reactortest.New(t, 1)
	th := h.Threads[0]
	dev1, dev2 := newDevice(t, th, "one"), newDevice(t, th, "two")
	ch1 := iochannel.Get(th, "one")
	if ch1 == nil || dev1.created != 1 || ch1.Device() != dev1.Device || ch1.Thread() != th || ch1.Refs() != 1 {
		t.Fatalf("first get: %+v", ch1)
	}
	if again := dev1.Get(th); again != ch1 || dev1.created != 1 {
		t.Error("the second get gave another channel")
	}
	ch1.Ref()
	if ch1.Refs() != 3 {
		t.Errorf("%d references, want 3", ch1.Refs())
	}
	ch2 := iochannel.Get(th, "two")
	if ch2 == ch1 || dev2.created != 1 || iochannel.Ctx[chanCtx](ch2).thread != th.ID() {
		t.Errorf("channel of the second device: %+v", ch2)
	}
	for refs := 3; refs > 0; refs-- {
		ch1.Put()
		if dev1.destroyed != 0 {
			t.Error("destroyed from inside Put")
		}
		h.PollThreads()
		if want := map[bool]int{true: 1}[refs == 1]; dev1.destroyed != want {
			t.Errorf("%d of 3 puts: destroyed %d times", 4-refs, dev1.destroyed)
		}
	}
	ch2.Put()
	h.PollThreads()
	if dev2.destroyed != 1 {
		t.Errorf("destroyed %d times", dev2.destroyed)
	}
	if iochannel.Get(th, "three") != nil {
		t.Error("a device that was never registered has a channel")
	}
	dev1.unregister(t, th)
	dev2.unregister(t, th)
	h.PollThreads()
	if dev1.gone != 1 || dev2.gone != 1 || iochannel.Lookup(h.Framework, "one") != nil {
		t.Error("the devices are still there")
	}
	if dev1.Get(th) != nil {
		t.Error("an unregistered device has a channel")
	}
}

// TestChannelDestroyRaces is thread_ut's channel_destroy_races, and longer.
func TestChannelDestroyRaces(t *testing.T) {
	h := reactortest.New(t, 1)
	th := h.Threads[0]
	for rounds := 1; rounds < 5; rounds++ {
		d := newDevice(t, th, nil)
		first := d.Get(th)
		first.Put()
		for range rounds {
			if ch := d.Get(th); ch != first {
				t.Error("a get before the destruction did not revive the channel")
			}
			first.Put()
		}
		h.PollThreads()
		if d.created != 1 || d.destroyed != 1 {
			t.Errorf("created %d, destroyed %d times", d.created, d.destroyed)
		}
		first = d.Get(th)
		first.Put()
		d.Get(th)
		h.PollThreads()
		if d.alive() != 1 {
			t.Error("a revived channel was destroyed")
		}
		first.Put()
		d.unregister(t, th)
		h.PollThreads()
		if d.alive() != 0 || d.gone != 1 {
			t.Errorf("%d channels left, %d callbacks", d.alive(), d.gone)
		}
	}
}

// TestNestedChannel is thread_ut's nested_channel: one level is destroyed per round.
func TestNestedChannel(t *testing.T) {
	h := reactortest.New(t, 1)
	th := h.Threads[0]
	type nested struct {
		child  *iochannel.Channel
		poller *reactor.Poller
	}
	var destroyed []string
	var devs []*iochannel.Device
	register := func(name string, child *iochannel.Device) *iochannel.Device {
		d, err := iochannel.RegisterDevice(th, name, name,
			func(ch *iochannel.Channel, c *nested) syscall.Errno {
				c.poller = ch.Thread().RegisterPoller(name, idlePoll, nil, 0)
				if child != nil {
					c.child = child.Get(ch.Thread())
				}
				return 0
			},
			func(ch *iochannel.Channel, c *nested) {
				destroyed = append(destroyed, name)
				c.poller.Unregister()
				if c.child != nil {
					c.child.Put()
				}
			})
		if err != nil {
			t.Fatal(err)
		}
		devs = append(devs, d)
		return d
	}
	dev1 := register("dev1", register("dev2", register("dev3", nil)))
	ch := dev1.Get(th)
	if iochannel.Ctx[nested](iochannel.Ctx[nested](ch).child).child == nil {
		t.Fatal("the channels are not nested three deep")
	}
	th.Poll(0, 0)
	ch.Put()
	th.Exit()
	for _, want := range []string{"dev1", "dev2", "dev3"} {
		if th.IsExited() {
			t.Error("exited with channels")
		}
		th.Poll(0, 0)
		if diff := cmp.Diff([]string{want}, destroyed); diff != "" {
			t.Error(diff)
		}
		destroyed = nil
	}
	if !th.IsExited() {
		t.Errorf("held by %s", th.Holding())
	}
	other := h.AddThread("")
	for _, d := range devs {
		d.Unregister(other, nil, nil)
	}
}

func idlePoll(*reactor.Thread, any) reactor.PollerResult { return reactor.Idle }

// TestChannelCreateFails is thread_ut's channel_create_cb_failed, with and without an
// unregister from inside.
func TestChannelCreateFails(t *testing.T) {
	h := reactortest.New(t, 1)
	th := h.Threads[0]
	d := newDevice(t, th, nil)
	d.fail = syscall.ENOMEM
	for range 3 {
		if d.Get(th) != nil {
			t.Error("a channel came of a failed creation")
		}
	}
	d.fail = 0
	ch := d.Get(th)
	if ch == nil || d.created != 1 || d.destroyed != 0 {
		t.Errorf("after failures: created %d, destroyed %d", d.created, d.destroyed)
	}
	ch.Put()
	d.unregister(t, th)
	h.PollThreads()
	if d.gone != 1 {
		t.Error("not unregistered")
	}

	gone := false
	var u *iochannel.Device
	u, err := iochannel.RegisterDevice(th, "u", "", func(ch *iochannel.Channel, _ *chanCtx) syscall.Errno {
		u.Unregister(th, func(*reactor.Thread, any) { gone = true }, nil)
		return syscall.EIO
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if u.Get(th) != nil {
		t.Error("a channel came of a failed creation")
	}
	if gone {
		t.Error("the callback was called from inside")
	}
	h.PollThreads()
	if !gone || iochannel.Lookup(h.Framework, "u") != nil {
		t.Error("a device that was unregistered by its failing creation is still there")
	}
}

func TestMisusePanics(t *testing.T) {
	h := reactortest.New(t, 1)
	th := h.Threads[0]
	d := newDevice(t, th, nil)
	ch := d.Get(th)
	ch.Put()
	if !panics(ch.Put) {
		t.Error("a put without a reference does not panic")
	}
	if !panics(ch.Ref) {
		t.Error("a ref without a reference does not panic")
	}
	h.PollThreads()
	if !panics(ch.Put) || !panics(ch.Ref) {
		t.Error("the use of a destroyed channel does not panic")
	}
	ch = d.Get(th)
	if !panics(func() { iochannel.Ctx[int](ch) }) {
		t.Error("a context of another type does not panic")
	}
	ch.Put()
	other := reactortest.New(t, 1)
	if !panics(func() { d.Get(other.Threads[0]) }) {
		t.Error("a channel on a thread of another framework does not panic")
	}
	var it *iochannel.Iter
	ch = d.Get(th)
	iochannel.ForEachChannel(th, d.Device, func(i *iochannel.Iter) { it = i; i.Continue(0) }, nil, nil)
	h.PollThreads()
	if !panics(func() { it.Continue(0) }) {
		t.Error("a second Continue does not panic")
	}
	ch.Put()
	d.unregister(t, th)
	h.PollThreads()
	if d.gone != 1 || d.created != d.destroyed {
		t.Errorf("created %d, destroyed %d, %d callbacks", d.created, d.destroyed, d.gone)
	}
}

// TestOnlyTheChannelsThreadMayUseIt needs real reactors: by hand everything is one thread.
func TestOnlyTheChannelsThreadMayUseIt(t *testing.T) {
	fw, err := reactor.NewFramework(reactor.Options{Cores: []int{0}, NoPin: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := fw.Start(); err != nil {
		t.Fatal(err)
	}
	defer fw.Stop()
	var ths []*reactor.Thread
	for range 2 {
		th, err := fw.CreateThread("", nil)
		if err != nil {
			t.Fatal(err)
		}
		ths = append(ths, th)
	}
	var d *device
	var ch *iochannel.Channel
	on(ths[0], func(th *reactor.Thread) { d = newDevice(t, th, nil); ch = d.Get(th) })
	on(ths[1], func(th *reactor.Thread) {
		for name, fn := range map[string]func(){
			"Put":            ch.Put,
			"Ref":            ch.Ref,
			"Get":            func() { d.Get(ths[0]) },
			"Unregister":     func() { d.Unregister(ths[0], nil, nil) },
			"ForEachChannel": func() { iochannel.ForEachChannel(ths[0], d.Device, nil, nil, nil) },
		} {
			if !panics(fn) {
				t.Errorf("%s from another thread does not panic", name)
			}
		}
	})
	on(ths[0], func(th *reactor.Thread) { ch.Put(); d.unregister(t, th) })
}

func TestHotPathsAllocateNothing(t *testing.T) {
	h := reactortest.New(t, 3)
	th := h.Threads[0]
	d := newDevice(t, th, nil)
	var chs []*iochannel.Channel
	for _, th := range h.Threads {
		chs = append(chs, d.Get(th))
	}
	ends := 0
	visit := func(it *iochannel.Iter) { it.Continue(0) }
	end := func(*reactor.Thread, any, syscall.Errno) { ends++ }
	for name, fn := range map[string]func(){
		"Get and Put":    func() { d.Get(th).Put() },
		"ForEachChannel": func() { iochannel.ForEachChannel(th, d.Device, visit, nil, end); h.PollThreads() },
	} {
		fn()
		if n := testing.AllocsPerRun(500, fn); n != 0 {
			t.Errorf("%s allocates %v objects", name, n)
		}
	}
	if ends != 502 {
		t.Errorf("%d iterations ended", ends)
	}
	for _, ch := range chs {
		ch.Put()
	}
	d.unregister(t, th)
	h.PollThreads()
}

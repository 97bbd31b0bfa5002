package fsdev_test

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

func TestUnregisterByName(t *testing.T) {
	e := newEnv(t, 1)
	first, second := fsdev.FindModule("first"), fsdev.FindModule("second")
	d := newFakeDevice(t, e.t)
	f, err := fsdev.Register(e.t, "fs0", first, d)
	if err != nil {
		t.Fatal(err)
	}
	if f.Device() != fsdev.Device(d) || f.Framework() != e.Framework || fsdev.Lookup(e.Framework, "fs0") != f {
		t.Error("the device is not what was registered")
	}
	gone := 0
	cb := func(th *reactor.Thread, ctx any, err error) {
		if th != e.t || ctx != "ctx" || err != nil {
			t.Errorf("called back on %s with %v: %v", th.Name(), ctx, err)
		}
		gone++
	}
	for _, tt := range []struct {
		name   string
		dev    string
		module fsdev.Module
	}{
		{"unknown name", "fs1", first},
		{"another module", "fs0", second},
		{"no module", "fs0", nil},
	} {
		if err := fsdev.UnregisterByName(e.t, tt.dev, tt.module, cb, "ctx"); !errors.Is(err, syscall.ENODEV) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	e.PollThreads()
	if gone != 0 || fsdev.Lookup(e.Framework, "fs0") != f {
		t.Fatal("a refused call unregistered something")
	}
	desc := e.open(e.t, "fs0", nil)
	if err := fsdev.UnregisterByName(e.t, "fs0", first, cb, "ctx"); err != nil {
		t.Error(err)
	}
	if err := fsdev.UnregisterByName(e.t, "fs0", first, cb, "ctx"); !errors.Is(err, syscall.ENODEV) {
		t.Errorf("a second time: %v", err)
	}
	desc.Close()
	e.PollThreads()
	if gone != 1 || fsdev.Lookup(e.Framework, "fs0") != nil {
		t.Errorf("%d callbacks", gone)
	}
}

// Nobody can close the descriptor of a thread that is no more.
func TestADescriptorEndsWithItsThread(t *testing.T) {
	e := newEnv(t, 2)
	_, f := e.register("fs0")
	e.open(e.Threads[1], "fs0", nil)
	e.Threads[1].Exit()
	e.PollThreads()
	gone := false
	f.Unregister(e.t, func(*reactor.Thread, any, error) { gone = true }, nil)
	e.PollThreads()
	if !gone {
		t.Error("the device waits for a thread that has exited")
	}
}

func TestUnregisterOutlivesItsThread(t *testing.T) {
	e := newEnv(t, 2)
	d, f := e.register("fs0")
	desc := e.open(e.t, "fs0", nil)
	f.Unregister(e.Threads[1], func(*reactor.Thread, any, error) {
		t.Error("called back on a thread that has exited")
	}, nil)
	e.PollThreads()
	e.Threads[1].Exit()
	e.PollThreads()
	desc.Close()
	e.PollThreads()
	if d.destructs != 1 {
		t.Errorf("destructed %d times", d.destructs)
	}
}

// hotRemoved is a user of a device that is being removed: one of several, on threads of their
// own, each with channels on two threads.
type hotRemoved struct {
	t    *reactor.Thread
	desc *fsdev.Desc
	chs  []*iochannel.Channel
}

// The device is removed in the middle of the traffic of several users; each lets go when it is
// told, which takes messages to other threads.
func TestHotRemoveWithSeveralUsers(t *testing.T) {
	e := newEnvOpts(t, 4, fsdev.Opts{IOPoolSize: 256, IOCacheSize: 8})
	d, f := e.register("fs0")
	var log []string
	completed := 0
	for i := range 6 {
		u := &hotRemoved{t: e.Threads[i%3]}
		u.desc = e.open(u.t, "fs0", func(th *reactor.Thread, _ fsdev.EventType, _ *fsdev.Fsdev, _ any) {
			if th != u.t {
				t.Errorf("user %d was told on %s", i, th.Name())
			}
			log = append(log, fmt.Sprint("told ", i))
			for _, ch := range u.chs {
				ch.Thread().SendMsg(func(*reactor.Thread, any) { ch.Put() }, nil)
			}
			u.desc.Close()
		})
		for k := range 2 {
			th := e.Threads[(i+k)%4]
			ch := u.desc.IOChannel(th)
			u.chs = append(u.chs, ch)
			for range 4 {
				u.desc.Fsync(ch, 0, 1, 0, false, func(any, *iochannel.Channel, syscall.Errno) { completed++ }, nil)
			}
		}
	}
	f.Unregister(e.Threads[3], func(th *reactor.Thread, _ any, err error) {
		log = append(log, fmt.Sprint("gone on ", th.Name(), " ", err))
	}, nil)
	e.PollThreads()
	want := []string{"told 0", "told 3", "told 1", "told 4", "told 2", "told 5"}
	if diff := cmp.Diff(want, log); diff != "" {
		t.Error(diff)
	}
	if d.destructs != 0 {
		t.Error("destructed with IO in flight")
	}
	d.completeAll(0)
	e.PollThreads()
	want = append(want, "gone on thread4 <nil>")
	if diff := cmp.Diff(want, log); diff != "" {
		t.Error(diff)
	}
	if completed != 6*2*4 || d.destructs != 1 {
		t.Errorf("%d IO completed, destructed %d times", completed, d.destructs)
	}
}

// The event function may close the descriptor at once, the last one included.
func TestCloseFromInsideTheEvent(t *testing.T) {
	e := newEnv(t, 1)
	d, f := e.register("fs0")
	var desc *fsdev.Desc
	desc = e.open(e.t, "fs0", func(*reactor.Thread, fsdev.EventType, *fsdev.Fsdev, any) { desc.Close() })
	f.Unregister(e.t, nil, nil)
	e.PollThreads()
	if d.destructs != 1 {
		t.Errorf("destructed %d times", d.destructs)
	}
}

// By hand everything is one thread; this needs reactors.
func TestOnlyItsThreadMayUseADescriptor(t *testing.T) {
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
	var d *fakeDevice
	var f *fsdev.Fsdev
	var desc *fsdev.Desc
	var ch *iochannel.Channel
	on(ths[0], func(th *reactor.Thread) {
		err = fsdev.Initialize(th, fsdev.Opts{})
		d = newFakeDevice(t, th)
		f, _ = fsdev.Register(th, "fs0", nil, d)
		desc, _ = fsdev.Open(th, "fs0", noEvent, nil)
		ch = desc.IOChannel(th)
		desc.Umount(ch, 0, func(any, *iochannel.Channel, syscall.Errno) {}, nil)
	})
	if err != nil || desc == nil || ch == nil {
		t.Fatal(err, desc, ch)
	}
	on(ths[1], func(*reactor.Thread) {
		for name, fn := range map[string]func(){
			"Open":             func() { _, _ = fsdev.Open(ths[0], "fs0", noEvent, nil) },
			"Close":            desc.Close,
			"IOChannel":        func() { desc.IOChannel(ths[0]) },
			"SetNotify":        func() { desc.SetNotify(nil, nil) },
			"Unregister":       func() { f.Unregister(ths[0], nil, nil) },
			"UnregisterByName": func() { _ = fsdev.UnregisterByName(ths[0], "fs0", nil, nil, nil) },
			"Notify":           func() { f.Notify(ths[0], nil, nil) },
			"Complete":         func() { d.pending[0].Complete(0) },
		} {
			t.Run(name, func(t *testing.T) { mustPanic(t, "must be made on thread", fn) })
		}
	})
	finished := make(chan error, 1)
	on(ths[0], func(th *reactor.Thread) {
		d.completeAll(0)
		ch.Put()
		desc.Close()
		fsdev.Finish(th, func(_ *reactor.Thread, _ any, err error) { finished <- err }, nil)
	})
	if err := <-finished; err != nil {
		t.Error(err)
	}
}

// on runs fn on a thread of a reactor and waits for it.
func on(th *reactor.Thread, fn func(th *reactor.Thread)) {
	c := &call{fn, make(chan struct{})}
	th.SendMsg(runCall, c)
	<-c.done
}

type call struct {
	fn   func(th *reactor.Thread)
	done chan struct{}
}

func runCall(th *reactor.Thread, ctx any) {
	c := ctx.(*call)
	defer close(c.done)
	c.fn(th)
}

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

func TestOpenClose(t *testing.T) {
	e := newEnv(t, 1)
	_, f := e.register("fs0")
	descs := []*fsdev.Desc{e.open(e.t, "fs0", nil), e.open(e.t, "fs0", nil)}
	for _, d := range descs {
		if d.Fsdev() != f || f.Name() != "fs0" || f.ModuleName() != "" {
			t.Errorf("opened %q of module %q", d.Fsdev().Name(), f.ModuleName())
		}
		d.Close()
	}
	defer func() {
		if recover() == nil {
			t.Error("closing a descriptor twice did not panic")
		}
	}()
	descs[0].Close()
}

func TestOpenRefuses(t *testing.T) {
	e := newEnv(t, 1)
	_, f := e.register("fs0")
	keep := e.open(e.t, "fs0", nil)
	_, removing := e.register("removing")
	other := e.open(e.t, "removing", nil)
	removing.Unregister(e.t, nil, nil)
	for _, tt := range []struct {
		name  string
		dev   string
		event fsdev.EventFunc
		want  error
	}{
		{"unknown name", "fs1", noEvent, syscall.ENODEV},
		{"empty name", "", noEvent, syscall.ENODEV},
		{"no event function", "fs0", nil, syscall.EINVAL},
		{"being removed", "removing", noEvent, syscall.ENODEV},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if d, err := fsdev.Open(e.t, tt.dev, tt.event, nil); d != nil || !errors.Is(err, tt.want) {
				t.Errorf("Open: %v, %v", d, err)
			}
		})
	}
	other.Close()
	keep.Close()
	f.Unregister(e.t, nil, nil)
	if _, err := fsdev.Open(e.t, "fs0", noEvent, nil); !errors.Is(err, syscall.ENODEV) {
		t.Errorf("Open of a removed device: %v", err)
	}
}

func TestRegisterRefuses(t *testing.T) {
	e := newEnv(t, 1)
	d, f := e.register("fs0")
	for _, tt := range []struct {
		name string
		dev  string
		want error
	}{
		{"empty name", "", syscall.EINVAL},
		{"duplicate", "fs0", syscall.EEXIST},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if f, err := fsdev.Register(e.t, tt.dev, nil, d); f != nil || !errors.Is(err, tt.want) {
				t.Errorf("Register: %v, %v", f, err)
			}
		})
	}
	// The name is free again once the device has gone, and not before.
	d.hold = true
	f.Unregister(e.t, nil, nil)
	e.PollThreads()
	if _, err := fsdev.Register(e.t, "fs0", nil, d); !errors.Is(err, syscall.EEXIST) {
		t.Errorf("Register during Destruct: %v", err)
	}
	d.heldDone(e.t, nil)
	e.register("fs0")
}

func TestUnregisterReportsTheDestruct(t *testing.T) {
	e := newEnv(t, 2)
	d, f := e.register("fs0")
	d.err = syscall.EBUSY
	var got []string
	cb := func(th *reactor.Thread, ctx any, err error) {
		got = append(got, fmt.Sprint(th.Name(), " ", ctx, " ", err == syscall.EBUSY))
	}
	if !f.Unregister(e.Threads[1], cb, "ctx") {
		t.Error("Unregister was refused")
	}
	if f.Unregister(e.t, cb, "again") {
		t.Error("a second Unregister was accepted")
	}
	if len(got) != 0 {
		t.Error("Unregister called back from inside the call")
	}
	e.PollThreads()
	if diff := cmp.Diff([]string{"thread2 ctx true"}, got); diff != "" {
		t.Error(diff)
	}
	if f.Unregister(e.t, cb, "late") {
		t.Error("Unregister of a removed device was accepted")
	}
	if n := len(fsdev.Fsdevs(e.Framework)); n != 0 {
		t.Errorf("%d devices are left", n)
	}
}

// Each descriptor is told once, on its own thread, and Destruct comes after the last Close
// and the last channel.
func TestUnregisterTellsEveryDescriptorOnItsThread(t *testing.T) {
	e := newEnv(t, 3)
	d, f := e.register("fs0")
	type opener struct {
		t    *reactor.Thread
		desc *fsdev.Desc
		ch   *iochannel.Channel
	}
	var events []string
	var openers []*opener
	for i := range 6 {
		o := &opener{t: e.Threads[i%3]}
		var err error
		o.desc, err = fsdev.Open(o.t, "fs0", func(th *reactor.Thread, typ fsdev.EventType, g *fsdev.Fsdev, ctx any) {
			if typ != fsdev.EventRemove || g != f || ctx != o {
				t.Errorf("event %d of %v with %v", typ, g, ctx)
			}
			events = append(events, fmt.Sprint(i, " on ", th.Name()))
		}, o)
		if err != nil {
			t.Fatal(err)
		}
		o.ch = o.desc.IOChannel(o.t)
		openers = append(openers, o)
	}
	gone := false
	f.Unregister(e.t, func(*reactor.Thread, any, error) { gone = true }, nil)
	if len(events) != 0 {
		t.Error("an event was delivered from inside Unregister")
	}
	// One closes before its event arrives, and does not get it.
	openers[4].ch.Put()
	openers[4].desc.Close()
	e.PollThreads()
	want := []string{"0 on thread1", "3 on thread1", "1 on thread2", "2 on thread3", "5 on thread3"}
	if diff := cmp.Diff(want, events); diff != "" {
		t.Error(diff)
	}
	for i, o := range openers {
		if i == 4 {
			continue
		}
		o.desc.Close()
		e.PollThreads()
		if d.destructs != 0 || gone {
			t.Fatalf("destructed after descriptor %d", i)
		}
	}
	for i, o := range openers {
		if i == 4 {
			continue
		}
		if d.destructs != 0 || gone {
			t.Fatalf("destructed before channel %d", i)
		}
		o.ch.Put()
		e.PollThreads()
	}
	if d.destructs != 1 || !gone {
		t.Errorf("destructed %d times, gone %v", d.destructs, gone)
	}
}

func TestIOFlowsWhileADeviceIsBeingRemoved(t *testing.T) {
	e := newEnv(t, 1)
	d, f := e.register("fs0")
	desc := e.open(e.t, "fs0", nil)
	ch := desc.IOChannel(e.t)
	f.Unregister(e.t, nil, nil)
	e.PollThreads()
	done := 0
	cb := func(any, *iochannel.Channel, syscall.Errno) { done++ }
	if errno := desc.Unlink(ch, 1, 1, nil, cb, nil); errno != 0 {
		t.Error(errno)
	}
	e.PollThreads()
	d.completeAll(0)
	if done != 1 {
		t.Errorf("completed %d times", done)
	}
	ch.Put()
	desc.Close()
}

func TestChannelFailsWhenTheModuleHasNone(t *testing.T) {
	e := newEnv(t, 2)
	d, _ := e.register("fs0")
	d.refuse = func(th *reactor.Thread) bool { return th == e.Threads[1] }
	desc := e.open(e.t, "fs0", nil)
	if ch := desc.IOChannel(e.Threads[1]); ch != nil {
		t.Error("got a channel")
	}
	ch := desc.IOChannel(e.t)
	if ch == nil {
		t.Fatal("got no channel where there is one")
	}
	ch.Put()
	d.refuse = nil
	if ch = desc.IOChannel(e.Threads[1]); ch == nil {
		t.Fatal("got no channel at the second try")
	}
	ch.Put()
	desc.Close()
}

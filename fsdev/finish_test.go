package fsdev_test

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

// finish finishes the layer and returns what Finish reports; it fails if there is no report.
func finish(tb testing.TB, h *reactortest.Harness) error {
	tb.Helper()
	called := 0
	var got error
	fsdev.Finish(h.Threads[0], func(t *reactor.Thread, ctx any, err error) {
		if t != h.Threads[0] || ctx != "ctx" {
			tb.Errorf("Finish called back on %s with %v", t.Name(), ctx)
		}
		called++
		got = err
	}, "ctx")
	if called != 0 {
		tb.Error("Finish called back from inside the call")
	}
	h.PollThreads()
	if called != 1 {
		tb.Errorf("Finish called back %d times", called)
	}
	return got
}

func TestFinishWithoutInitializeAndTwice(t *testing.T) {
	h := reactortest.New(t, 1)
	if err := finish(t, h); err != nil {
		t.Error(err)
	}
	if err := fsdev.Initialize(h.Threads[0], fsdev.Opts{}); err != nil {
		t.Fatal(err)
	}
	called := 0
	for range 2 {
		fsdev.Finish(h.Threads[0], func(_ *reactor.Thread, _ any, err error) {
			called++
			if err != nil {
				t.Error(err)
			}
		}, nil)
	}
	h.PollThreads()
	if called != 2 {
		t.Errorf("two calls of Finish were called back %d times", called)
	}
}

func TestFinishUnregistersDevicesAndWaitsForDescriptors(t *testing.T) {
	h := reactortest.New(t, 2)
	e := &env{Harness: h, tb: t, t: h.Threads[0]}
	if err := fsdev.Initialize(e.t, fsdev.Opts{}); err != nil {
		t.Fatal(err)
	}
	var fakes []*fakeDevice
	for i := range 3 {
		d, _ := e.register(fmt.Sprintf("fs%d", i))
		fakes = append(fakes, d)
	}
	removed := 0
	desc := e.open(h.Threads[1], "fs1", func(*reactor.Thread, fsdev.EventType, *fsdev.Fsdev, any) { removed++ })
	finished := false
	fsdev.Finish(e.t, func(_ *reactor.Thread, _ any, err error) {
		finished = true
		if err != nil {
			t.Error(err)
		}
	}, nil)
	for range 100 {
		h.PollOnce()
	}
	if finished || removed != 1 {
		t.Fatalf("finished %v with an open descriptor, which got %d events", finished, removed)
	}
	desc.Close()
	h.PollThreads()
	if !finished {
		t.Error("not finished after the descriptor has been closed")
	}
	for i, d := range fakes {
		if d.destructs != 1 {
			t.Errorf("device %d was destructed %d times", i, d.destructs)
		}
	}
}

func TestFinishWaitsForADeviceThatSomebodyElseUnregisters(t *testing.T) {
	h := reactortest.New(t, 1)
	e := &env{Harness: h, tb: t, t: h.Threads[0]}
	if err := fsdev.Initialize(e.t, fsdev.Opts{}); err != nil {
		t.Fatal(err)
	}
	d, f := e.register("fs0")
	d.hold = true
	unregistered, finished := false, false
	f.Unregister(e.t, func(*reactor.Thread, any, error) { unregistered = true }, nil)
	fsdev.Finish(e.t, func(*reactor.Thread, any, error) { finished = true }, nil)
	for range 100 {
		h.PollOnce()
	}
	if finished || unregistered {
		t.Fatal("finished before the device's Destruct was done")
	}
	d.heldDone(e.t, nil)
	h.PollThreads()
	if !finished || !unregistered {
		t.Errorf("finished %v, unregistered %v", finished, unregistered)
	}
}

func TestFinishWaitsForIOInFlight(t *testing.T) {
	h := reactortest.NewLeaky(t, 1)
	e := &env{Harness: h, tb: t, t: h.Threads[0]}
	if err := fsdev.Initialize(e.t, fsdev.Opts{IOPoolSize: 64, IOCacheSize: 8}); err != nil {
		t.Fatal(err)
	}
	e.register("fs0")
	desc := e.open(e.t, "fs0", nil)
	ch := desc.IOChannel(e.t)
	if errno := desc.Statfs(ch, 0, 1, func(any, *iochannel.Channel, syscall.Errno, *fsdev.Statfs) {}, nil); errno != 0 {
		t.Fatal(errno)
	}
	// The IO holds its channel, which holds the device: Finish waits.
	ch.Put()
	desc.Close()
	finished := false
	fsdev.Finish(e.t, func(*reactor.Thread, any, error) { finished = true }, nil)
	for range 100 {
		h.PollOnce()
	}
	if finished {
		t.Error("finished with an IO in flight")
	}
}

// While it waits for a device that somebody else unregisters, Finish leaves the threads idle.
func TestFinishDoesNotPoll(t *testing.T) {
	h := reactortest.New(t, 1)
	e := &env{Harness: h, tb: t, t: h.Threads[0]}
	if err := fsdev.Initialize(e.t, fsdev.Opts{}); err != nil {
		t.Fatal(err)
	}
	d, f := e.register("fs0")
	d.hold = true
	f.Unregister(e.t, nil, nil)
	var order []string
	for i := range 3 {
		fsdev.Finish(e.t, func(*reactor.Thread, any, error) { order = append(order, fmt.Sprint("finished ", i)) }, nil)
	}
	h.PollThreads() // would not come to rest
	if len(order) > 0 {
		t.Fatalf("%v with a device there", order)
	}
	d.heldDone(e.t, nil)
	h.PollThreads()
	if diff := cmp.Diff([]string{"finished 0", "finished 1", "finished 2"}, order); diff != "" {
		t.Error(diff)
	}
}

func TestFinishReportsAFailedDestruct(t *testing.T) {
	h := reactortest.New(t, 1)
	e := &env{Harness: h, tb: t, t: h.Threads[0]}
	if err := fsdev.Initialize(e.t, fsdev.Opts{}); err != nil {
		t.Fatal(err)
	}
	d, _ := e.register("fs0")
	d.err = syscall.EIO
	gone, _ := e.register("fs1")
	if err := finish(t, h); !errors.Is(err, syscall.EIO) {
		t.Errorf("Finish: %v", err)
	}
	if d.destructs != 1 || gone.destructs != 1 {
		t.Errorf("destructed %d and %d times", d.destructs, gone.destructs)
	}
}

func TestNothingIsRegisteredDuringFinish(t *testing.T) {
	h := reactortest.New(t, 1)
	e := &env{Harness: h, tb: t, t: h.Threads[0]}
	if err := fsdev.Initialize(e.t, fsdev.Opts{}); err != nil {
		t.Fatal(err)
	}
	d, _ := e.register("fs0")
	d.hold = true
	fsdev.Finish(e.t, func(*reactor.Thread, any, error) {}, nil)
	h.PollThreads()
	if _, err := fsdev.Register(e.t, "fs1", nil, d); !errors.Is(err, syscall.ESHUTDOWN) {
		t.Errorf("Register: %v", err)
	}
	if err := fsdev.Initialize(e.t, fsdev.Opts{}); !errors.Is(err, syscall.EALREADY) {
		t.Errorf("Initialize: %v", err)
	}
	d.heldDone(e.t, nil)
	h.PollThreads()
	if _, err := fsdev.Register(e.t, "fs1", nil, d); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("Register after Finish: %v", err)
	}
}

// A module that fails may leave devices of its own and of those before it.
func TestInitializeUnregistersTheDevicesOfFailingModules(t *testing.T) {
	h := reactortest.New(t, 1)
	var calls []string
	fakes := map[string]*fakeDevice{}
	hooks.init = func(m *testModule, th *reactor.Thread) error {
		d := newFakeDevice(t, th)
		fakes[m.name] = d
		if _, err := fsdev.Register(th, m.name+"0", m, d); err != nil {
			return err
		}
		if m.name == "second" {
			d.hold = true
			return syscall.ENOSPC
		}
		return nil
	}
	hooks.fini = func(m *testModule, th *reactor.Thread) {
		calls = append(calls, fmt.Sprint("fini ", m.name, ", devices ", len(fsdev.Fsdevs(th.Framework()))))
	}
	t.Cleanup(func() { hooks.init, hooks.fini = nil, nil })
	err := fsdev.Initialize(h.Threads[0], fsdev.Opts{})
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "second") {
		t.Errorf("Initialize: %v", err)
	}
	h.PollThreads()
	if len(calls) > 0 {
		t.Errorf("%v with a device there", calls)
	}
	if err := fsdev.Initialize(h.Threads[0], fsdev.Opts{}); !errors.Is(err, syscall.EALREADY) {
		t.Errorf("Initialize while the first is undone: %v", err)
	}
	finished := false
	fsdev.Finish(h.Threads[0], func(*reactor.Thread, any, error) { finished = true }, nil)
	fakes["second"].heldDone(h.Threads[0], nil)
	h.PollThreads()
	if diff := cmp.Diff([]string{"fini first, devices 0"}, calls); diff != "" || !finished {
		t.Error(diff, finished)
	}
	for name, d := range fakes {
		if d.destructs != 1 {
			t.Errorf("the device of %s was destructed %d times", name, d.destructs)
		}
	}
	hooks.init = nil
	if err := fsdev.Initialize(h.Threads[0], fsdev.Opts{}); err != nil {
		t.Errorf("Initialize after that: %v", err)
	}
	if err := finish(t, h); err != nil {
		t.Error(err)
	}
}

package fsdev_test

import (
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

// fakeDevice is a module's device that does what the test says. It is for tests that are
// polled by hand, so nothing in it is locked.
type fakeDevice struct {
	ioDev *iochannel.Device
	// submit handles an IO; nil keeps it in pending.
	submit  func(io *fsdev.IO)
	pending []*fsdev.IO
	// refuse makes the module's channel fail on the threads it says.
	refuse    func(t *reactor.Thread) bool
	destructs int
	// destruct, if not nil, holds the done of Destruct back.
	hold     bool
	heldDone func(t *reactor.Thread, err error)
	err      error // of the destruct
}

type fakeChannel struct{ dev *fakeDevice }

func newFakeDevice(tb testing.TB, t *reactor.Thread) *fakeDevice {
	tb.Helper()
	d := &fakeDevice{}
	var err error
	d.ioDev, err = iochannel.RegisterDevice(t, d, "fake",
		func(ch *iochannel.Channel, c *fakeChannel) syscall.Errno {
			if d.refuse != nil && d.refuse(ch.Thread()) {
				return syscall.ENOMEM
			}
			c.dev = d
			return 0
		}, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func (d *fakeDevice) SubmitRequest(_ *iochannel.Channel, io *fsdev.IO) {
	if d.submit == nil {
		d.pending = append(d.pending, io)
		return
	}
	d.submit(io)
}

func (d *fakeDevice) IOChannel(t *reactor.Thread) *iochannel.Channel { return d.ioDev.Get(t) }

func (d *fakeDevice) Destruct(t *reactor.Thread, done func(t *reactor.Thread, err error)) {
	d.destructs++
	d.ioDev.Unregister(t, func(t *reactor.Thread, _ any) {
		if d.hold {
			d.heldDone = done
			return
		}
		done(t, d.err)
	}, nil)
}

// completeAll completes what is pending, the oldest first.
func (d *fakeDevice) completeAll(errno syscall.Errno) {
	pending := d.pending
	d.pending = nil
	for _, io := range pending {
		io.Complete(errno)
	}
}

// env is an initialised fsdev layer on threads that are polled by hand. At the end it is
// finished, and nothing may be left.
type env struct {
	*reactortest.Harness
	tb testing.TB
	t  *reactor.Thread // the app thread
}

func newEnv(tb testing.TB, threads int) *env {
	tb.Helper()
	return newEnvOpts(tb, threads, fsdev.Opts{IOPoolSize: 64, IOCacheSize: 8})
}

func newEnvOpts(tb testing.TB, threads int, o fsdev.Opts) *env {
	tb.Helper()
	h := reactortest.New(tb, threads)
	e := &env{Harness: h, tb: tb, t: h.Threads[0]}
	if err := fsdev.Initialize(e.t, o); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			return
		}
		finished := false
		fsdev.Finish(e.t, func(_ *reactor.Thread, _ any, err error) {
			finished = true
			if err != nil {
				tb.Error(err)
			}
		}, nil)
		e.PollThreads()
		if !finished {
			tb.Error("Finish has not called back")
		}
	})
	return e
}

// register registers a new fake device.
func (e *env) register(name string) (*fakeDevice, *fsdev.Fsdev) {
	e.tb.Helper()
	d := newFakeDevice(e.tb, e.t)
	f, err := fsdev.Register(e.t, name, nil, d)
	if err != nil {
		e.tb.Fatal(err)
	}
	return d, f
}

func noEvent(*reactor.Thread, fsdev.EventType, *fsdev.Fsdev, any) {}

// open opens a device on the thread t; the test closes it.
func (e *env) open(t *reactor.Thread, name string, event fsdev.EventFunc) *fsdev.Desc {
	e.tb.Helper()
	if event == nil {
		event = noEvent
	}
	d, err := fsdev.Open(t, name, event, nil)
	if err != nil {
		e.tb.Fatal(err)
	}
	return d
}

// opened is a fake device with a descriptor and a channel on the app thread, closed at the
// end of the test.
type opened struct {
	*env
	dev  *fakeDevice
	f    *fsdev.Fsdev
	desc *fsdev.Desc
	ch   *iochannel.Channel
}

func newOpened(tb testing.TB) *opened {
	tb.Helper()
	return newOpenedOpts(tb, fsdev.Opts{IOPoolSize: 64, IOCacheSize: 8})
}

func newOpenedOpts(tb testing.TB, opts fsdev.Opts) *opened {
	tb.Helper()
	o := &opened{env: newEnvOpts(tb, 1, opts)}
	o.dev, o.f = o.register("fs0")
	o.desc = o.open(o.t, "fs0", nil)
	o.ch = o.desc.IOChannel(o.t)
	tb.Cleanup(func() {
		if tb.Failed() {
			return
		}
		o.ch.Put()
		o.PollThreads()
		o.desc.Close()
	})
	return o
}

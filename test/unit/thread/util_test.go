package thread_test

import (
	"fmt"
	"log/slog"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

const us = time.Microsecond

// quiet are the options of threads that a test has forced out, which is reported.
var quiet = reactor.Options{Log: slog.New(slog.DiscardHandler)}

// same fails the test unless got is want.
func same[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// caught returns what fn panics with, nil if it does not.
func caught(fn func()) (v any) {
	defer func() { v = recover() }()
	fn()
	return nil
}

// message counts in its ctx that it ran.
func message(_ *reactor.Thread, ctx any) { *ctx.(*int)++ }

// poll is a poller that counts in its ctx that it ran. A negative answer is as good as Idle, in C
// it stands for an error.
func poll(_ *reactor.Thread, ctx any) reactor.PollerResult {
	*ctx.(*int)++
	return -1
}

// idle and busy are pollers that say so.
func idle(*reactor.Thread, any) reactor.PollerResult { return reactor.Idle }
func busy(*reactor.Thread, any) reactor.PollerResult { return reactor.Busy }

// life is where a thread is in its.
func life(th *reactor.Thread) string {
	switch {
	case th.IsExited():
		return "exited"
	case th.IsRunning():
		return "running"
	}
	return "exiting"
}

// device is an io_device that counts its channels.
type device struct {
	*iochannel.Device
	created, destroyed int
	gone               int // unregister callbacks
}

// mark is the context of a device's channels.
type mark struct{ of *device }

// register returns a device known under key, or under itself if key is nil.
func register(t *testing.T, th *reactor.Thread, key any) *device {
	t.Helper()
	d := &device{}
	if key == nil {
		key = d
	}
	var err error
	if d.Device, err = iochannel.RegisterDevice(th, key, "", d.create, d.destroy); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *device) create(ch *iochannel.Channel, m *mark) syscall.Errno {
	if *m != (mark{}) {
		panic(fmt.Sprintf("the context of a new channel is %v", *m))
	}
	m.of = d
	d.created++
	return 0
}

func (d *device) destroy(ch *iochannel.Channel, m *mark) {
	if *m != (mark{d}) {
		panic(fmt.Sprintf("the context of a channel is %v at its end", *m))
	}
	d.destroyed++
}

// channels is how many the device has.
func (d *device) channels() int { return d.created - d.destroyed }

// unregister ends the device on th.
func (d *device) unregister(t *testing.T, h *reactortest.Harness, th *reactor.Thread) {
	t.Helper()
	if errno := d.Unregister(th, func(*reactor.Thread, any) { d.gone++ }, nil); errno != 0 {
		t.Error(errno)
	}
	if d.gone != 0 {
		t.Error("the callback of Unregister was called from inside")
	}
	h.PollThreads()
	same(t, "unregister callbacks", d.gone, 1)
	same(t, "channels of an unregistered device", d.channels(), 0)
	if iochannel.Lookup(h.Framework, d.Key()) != nil {
		t.Error("an unregistered device is known by its key")
	}
}

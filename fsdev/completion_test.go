package fsdev_test

import (
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

// mustPanic calls fn and wants a panic whose message holds part.
func mustPanic(t *testing.T, part string, fn func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if msg, ok := recover().(string); !ok || !strings.Contains(msg, part) {
			t.Errorf("panic %q, want one with %q", msg, part)
		}
	}()
	fn()
}

func TestCompletionOfAnotherIOInsideASubmitIsDeferred(t *testing.T) {
	o := newOpened(t)
	var order []string
	add := func(ctx any, _ *iochannel.Channel, _ syscall.Errno) { order = append(order, ctx.(string)) }
	if errno := o.desc.Unlink(o.ch, 1, 1, nil, add, "first"); errno != 0 {
		t.Fatal(errno)
	}
	first := o.dev.pending[0]
	o.dev.submit = func(io *fsdev.IO) {
		first.Complete(0)
		io.Complete(0)
		order = append(order, "submitted")
	}
	if errno := o.desc.Unlink(o.ch, 2, 1, nil, add, "second"); errno != 0 {
		t.Fatal(errno)
	}
	if want := []string{"submitted"}; !slices.Equal(order, want) {
		t.Errorf("inside the call: %v", order)
	}
	o.PollThreads()
	if want := []string{"submitted", "first", "second"}; !slices.Equal(order, want) {
		t.Errorf("got %v, want %v", order, want)
	}
}

// A completion may submit the next IO, and gets its completion in turn.
func TestCompletionSubmitsTheNextIO(t *testing.T) {
	o := newOpened(t)
	o.dev.submit = func(io *fsdev.IO) { io.Complete(0) }
	left := 100
	var again fsdev.StatusCplFunc
	again = func(any, *iochannel.Channel, syscall.Errno) {
		if left--; left > 0 {
			if errno := o.desc.Umount(o.ch, 0, again, nil); errno != 0 {
				t.Error(errno)
			}
		}
	}
	again(nil, nil, 0)
	o.PollThreads()
	if left != 0 {
		t.Errorf("%d were not completed", left)
	}
}

func TestDoubleCompletionPanics(t *testing.T) {
	for _, inline := range []bool{true, false} {
		o := newOpened(t)
		var held *fsdev.IO
		o.dev.submit = func(io *fsdev.IO) {
			held = io
			if inline {
				io.Complete(0)
				mustPanic(t, "UMOUNT with unique 5 is completed", func() { io.Complete(0) })
			}
		}
		done := 0
		o.desc.Umount(o.ch, 5, func(any, *iochannel.Channel, syscall.Errno) { done++ }, nil)
		o.PollThreads()
		if !inline {
			held.Complete(0)
		}
		mustPanic(t, "UMOUNT with unique 5 is completed", func() { held.Complete(0) })
		o.PollThreads()
		if done != 1 {
			t.Errorf("inline %v: completed %d times", inline, done)
		}
	}
}

func TestIOInFlightKeepsAPutChannelAlive(t *testing.T) {
	e := newEnv(t, 1)
	d, f := e.register("fs0")
	desc := e.open(e.t, "fs0", nil)
	ch := desc.IOChannel(e.t)
	done := 0
	desc.Umount(ch, 0, func(_ any, got *iochannel.Channel, _ syscall.Errno) {
		if got != ch {
			t.Error("completed on another channel")
		}
		done++
	}, nil)
	ch.Put()
	desc.Close()
	gone := false
	f.Unregister(e.t, func(*reactor.Thread, any, error) { gone = true }, nil)
	e.PollThreads()
	if gone {
		t.Error("the device went with an IO in flight")
	}
	d.completeAll(0)
	e.PollThreads()
	if done != 1 || !gone {
		t.Errorf("completed %d times, device gone %v", done, gone)
	}
}

func TestPoolExhaustionIsENOBUFS(t *testing.T) {
	o := newOpened(t)
	done := 0
	submit := func() syscall.Errno {
		return o.desc.Umount(o.ch, 0, func(any, *iochannel.Channel, syscall.Errno) { done++ }, nil)
	}
	n := 0
	for submit() == 0 {
		n++
	}
	if n != 64 {
		t.Errorf("%d of 64 IO could be used", n)
	}
	for _, op := range operations {
		c := &completions{ch: o.ch, tb: t}
		if errno := op.call(o.desc, o.ch, c); errno != syscall.ENOBUFS {
			t.Errorf("%v without a free IO: %v", op.io.Type, errno)
		}
	}
	if len(o.dev.pending) != n {
		t.Errorf("the module saw %d IO", len(o.dev.pending))
	}
	o.dev.pending[0].Complete(0)
	o.dev.pending = o.dev.pending[1:]
	if errno := submit(); errno != 0 {
		t.Errorf("after a completion: %v", errno)
	}
	o.dev.completeAll(0)
	o.PollThreads()
	if done != n+1 {
		t.Errorf("%d of %d completed", done, n+1)
	}
}

// An IO lets go of what its caller lent it, and a module's Ctx starts out nil.
func TestCtxIsNilAtSubmit(t *testing.T) {
	o := newOpened(t)
	for range 3 {
		o.dev.submit = func(io *fsdev.IO) {
			if io.Ctx != nil {
				t.Error("Ctx is that of an earlier IO")
			}
			io.Ctx = t
			io.Complete(0)
		}
		o.desc.Umount(o.ch, 0, func(any, *iochannel.Channel, syscall.Errno) {}, nil)
		o.PollThreads()
	}
}

func TestOperationsDoNotAllocate(t *testing.T) {
	o := newOpened(t)
	c := &completions{ch: o.ch, tb: t}
	for _, inline := range []bool{true, false} {
		var held *fsdev.IO
		o.dev.submit = func(io *fsdev.IO) {
			if held = io; inline {
				held = nil
				io.Complete(0)
			}
		}
		for _, op := range operations {
			n := testing.AllocsPerRun(20, func() {
				c.got = c.got[:0]
				op.call(o.desc, o.ch, c)
				if held != nil {
					held.Complete(0)
				}
				o.t.Poll(0, 0)
			})
			if n != 0 {
				t.Errorf("%v (inline %v): %v allocations", op.io.Type, inline, n)
			}
		}
	}
}

func BenchmarkGetattrInline(b *testing.B) {
	o := newOpened(b)
	o.dev.submit = func(io *fsdev.IO) { io.Complete(0) }
	cb := func(any, *iochannel.Channel, syscall.Errno, *fsdev.Attr) {}
	b.ReportAllocs()
	for b.Loop() {
		o.desc.Getattr(o.ch, 1, 1, 0, cb, nil)
		o.t.Poll(0, 0)
	}
}

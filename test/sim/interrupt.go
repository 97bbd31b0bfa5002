package sim

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/reactor"
)

// interrupt is what the book says of an interrupt.
type interrupt struct {
	w     *world
	id    int
	t     *thread
	in    *reactor.Interrupt // nil: unregistered
	fd    int
	reads bool // the framework resets it
	ready bool
	todo  []action
}

// eventfd returns a descriptor that nothing waits on.
func (w *world) eventfd() int {
	if n := len(w.fds); n > 0 {
		fd := w.fds[n-1]
		w.fds = w.fds[:n-1]
		resetFD(fd)
		return fd
	}
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		panic(err)
	}
	return fd
}

// registerInterrupt registers an eventfd.
func (w *world) registerInterrupt(t *thread, a action) {
	if find(w.intrs, a.a) != nil || a.a < 0 || len(t.intrs) >= 2 {
		return
	}
	i := &interrupt{w: w, id: int(a.a), t: t, fd: w.eventfd(), reads: a.b != 0}
	o := reactor.FDOpts{Events: unix.EPOLLIN}
	if i.reads {
		o.Type = reactor.FDTypeEventfd
	}
	in, err := t.t.RegisterInterruptExt("sim", i.fd, o, runInterrupt, i)
	if err != nil {
		if t.exiting && errors.Is(err, unix.ESHUTDOWN) {
			w.fds = append(w.fds, i.fd)
			return
		}
		w.fail("interrupt on %v: %v", t, err)
	}
	if t.exiting {
		w.fail("interrupt on %v, which is exiting", t)
	}
	i.in = in
	placeAt(&w.intrs, a.a, i)
	t.intrs = append(t.intrs, i)
}

func resetFD(fd int) {
	var b [8]byte
	_, _ = unix.Read(fd, b[:]) // EAGAIN: it is reset
}

func readyFD(fd int) bool {
	n, _ := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	return n > 0
}

func closeFD(fd int) { unix.Close(fd) }

// ring makes an interrupt ready.
func (w *world) ring(i *interrupt) {
	if i == nil || i.in == nil {
		return
	}
	if _, err := unix.Write(i.fd, []byte{1, 0, 0, 0, 0, 0, 0, 0}); err != nil {
		panic(err)
	}
	i.ready = true
}

func (w *world) silence(t *thread, i *interrupt) {
	if i == nil || i.in == nil || i.t != t {
		return
	}
	i.in.Unregister()
	i.in = nil
	drop(&t.intrs, i)
	w.fds = append(w.fds, i.fd)
	i.fd = -1
}

func runInterrupt(th *reactor.Thread, ctx any) reactor.PollerResult {
	i := ctx.(*interrupt)
	w := i.w
	if !i.t.called(th, "interrupt") {
		return reactor.Idle
	}
	switch {
	case i.in == nil:
		w.fail("interrupt %d is called after its unregister", i.id)
	case !i.ready:
		w.fail("interrupt %d is called but is not ready", i.id)
	case !w.wasDown && !w.stopping:
		w.fail("interrupt %d is called while its thread is polled", i.id)
	}
	if !i.reads {
		resetFD(i.fd)
	}
	i.ready = false
	w.stats.interrupts++
	w.run(at{t: i.t, in: inInterrupt}, &i.todo)
	return reactor.Busy
}

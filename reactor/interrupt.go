package reactor

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// InterruptFunc is called when an interrupt's file descriptor is ready; t is the thread it
// was registered on. SPDK: spdk_interrupt_fn
type InterruptFunc func(t *Thread, ctx any) PollerResult

// Interrupt is a file descriptor that wakes a sleeping reactor. While the reactor is awake
// it does not look at the descriptor: what has to be served then needs a poller too.
//
// SPDK: struct spdk_interrupt
type Interrupt struct {
	t    *Thread
	name string
	fd   int
	fn   InterruptFunc
	ctx  any
}

// RegisterInterrupt has t's reactor wait for events (EPOLLIN and so on) on fd while it
// sleeps and call fn, which may be nil, with ctx on waking. On t only. The descriptor must
// stay open until [Interrupt.Unregister].
//
// SPDK: spdk_interrupt_register, spdk_interrupt_register_for_events
func (t *Thread) RegisterInterrupt(name string, fd int, events uint32, fn InterruptFunc, ctx any) (*Interrupt, error) {
	t.AssertCurrent()
	i := &Interrupt{t: t, name: name, fd: fd, fn: fn, ctx: ctx}
	if r := t.reactor; r != nil {
		ev := unix.EpollEvent{Events: events, Fd: int32(fd)}
		if err := unix.EpollCtl(r.epfd, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
			return nil, fmt.Errorf("reactor: interrupt %q on fd %d: epoll_ctl: %w", name, fd, err)
		}
	}
	t.interrupts = append(t.interrupts, i)
	return i, nil
}

// Unregister ends the interrupt. On its thread only. SPDK: spdk_interrupt_unregister
func (i *Interrupt) Unregister() {
	t := i.t
	t.AssertCurrent()
	k := slices.Index(t.interrupts, i)
	if k < 0 {
		panic(fmt.Sprintf("reactor: interrupt %q of thread %q is unregistered twice", i.name, t.name))
	}
	t.interrupts = slices.Delete(t.interrupts, k, k+1)
	if err := i.forget(); err != nil {
		panic(fmt.Sprintf("reactor: interrupt %q: fd %d was closed before its Unregister: %v", i.name, i.fd, err))
	}
}

// forget takes the descriptor out of the reactor's epoll.
func (i *Interrupt) forget() error {
	if r := i.t.reactor; r != nil {
		return unix.EpollCtl(r.epfd, unix.EPOLL_CTL_DEL, i.fd, nil)
	}
	return nil
}

// serve handles one event of the reactor's epoll.
func (r *Reactor) serve(ev *unix.EpollEvent) {
	if int(ev.Fd) == r.wakefd {
		var count [8]byte
		_, _ = unix.Read(r.wakefd, count[:]) // EAGAIN: another event said the same
		return
	}
	for _, t := range r.threads {
		for _, i := range t.interrupts {
			if i.fd == int(ev.Fd) {
				if i.fn != nil {
					t.inPoll = true
					i.fn(t, i.ctx)
					t.inPoll = false
				}
				return
			}
		}
	}
}

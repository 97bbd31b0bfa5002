package uring

import (
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// WakeFd returns an eventfd that the kernel writes to when there is something for [Ring.Poll]: what a reactor registers
// as an interrupt (of the type that reads the counter) and sleeps on. It is made at the first call and closed with the
// ring. Poll once more between [Ring.SetEventfd] and going to sleep.
//
// The ring's own descriptor would do, were it not for IORING_SETUP_DEFER_TASKRUN: then completions wait in a list that
// does not make it readable.
func (r *Ring) WakeFd() (int, error) {
	if r.wake >= 0 {
		return r.wake, nil
	}
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return -1, fmt.Errorf("uring: making an eventfd: %w", err)
	}
	if err := r.RegisterEventfd(fd, false); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	r.wake = fd
	return fd, nil
}

// RegisterEventfd has the kernel write to an eventfd for every completion or, with async, only for those that its
// workers post. One can be registered at a time. Most want [Ring.WakeFd].
func (r *Ring) RegisterEventfd(fd int, async bool) error {
	op := uint32(IORING_REGISTER_EVENTFD)
	if async {
		op = IORING_REGISTER_EVENTFD_ASYNC
	}
	if _, errno := r.registerFds(op, []int32{int32(fd)}); errno != 0 {
		return r.explain(fmt.Sprintf("registering eventfd %d", fd), errno)
	}
	return nil
}

// UnregisterEventfd ends it.
func (r *Ring) UnregisterEventfd() error {
	if _, errno := r.register(IORING_UNREGISTER_EVENTFD, nil, 0); errno != 0 {
		return r.explain("giving up the eventfd", errno)
	}
	return nil
}

// SetEventfd silences the registered eventfd, or has it written to again: while a loop polls the ring anyway, the
// writes are wasted. Poll after switching it on: what was completed before does not write.
func (r *Ring) SetEventfd(on bool) {
	flags := uint32(IORING_CQ_EVENTFD_DISABLED)
	if on {
		flags = 0
	}
	atomic.StoreUint32(r.cq.kflags, flags)
}

package uring

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// SetMaxWorkers bounds the threads that the kernel starts for what may block, per NUMA node: those for regular files
// and block devices, and those for everything else. 0 leaves a bound as it is. It returns what they were.
func (r *Ring) SetMaxWorkers(bounded, unbounded uint32) (oldBounded, oldUnbounded uint32, err error) {
	arg := [2]uint32{IO_WQ_BOUND: bounded, IO_WQ_UNBOUND: unbounded}
	if errno := r.registerMaxWorkers(&arg); errno != 0 {
		return 0, 0, r.explain(fmt.Sprintf("setting the bounds of workers to %d and %d", bounded, unbounded), errno)
	}
	return arg[IO_WQ_BOUND], arg[IO_WQ_UNBOUND], nil
}

// SetWorkerAffinity says on which CPUs the kernel's workers may run. They inherit those of the submitting thread, which
// for a pinned reactor is its own CPU: work that blocks then competes with it.
func (r *Ring) SetWorkerAffinity(cpus *unix.CPUSet) error {
	if errno := r.registerAffinity(cpus); errno != 0 {
		return r.explain("setting the CPUs of workers", errno)
	}
	return nil
}

// UnsetWorkerAffinity undoes it.
func (r *Ring) UnsetWorkerAffinity() error {
	if _, errno := r.register(IORING_UNREGISTER_IOWQ_AFF, nil, 0); errno != 0 {
		return r.explain("unsetting the CPUs of workers", errno)
	}
	return nil
}

// RegisterRingFd makes the kernel find the ring faster when this thread enters it: only this thread may use the ring
// from here on, so it must be locked, and before [Ring.Close] it must call [Ring.UnregisterRingFd], since the
// registration holds the ring. A thread can have 16.
func (r *Ring) RegisterRingFd() error {
	if r.enterFlags&IORING_ENTER_REGISTERED_RING != 0 {
		return r.explain("registering the ring twice", unix.EEXIST)
	}
	arg := RsrcUpdate{Offset: ^uint32(0), Data: uint64(r.fd)}
	if errno := r.registerRingFd(IORING_REGISTER_RING_FDS, &arg); errno != 0 {
		return r.explain("registering the ring with its thread", errno)
	}
	r.enterFd = int(arg.Offset)
	r.enterFlags |= IORING_ENTER_REGISTERED_RING
	return nil
}

// UnregisterRingFd undoes it, on the same thread.
func (r *Ring) UnregisterRingFd() error {
	if r.enterFlags&IORING_ENTER_REGISTERED_RING == 0 {
		return nil
	}
	arg := RsrcUpdate{Offset: uint32(r.enterFd)}
	if errno := r.registerRingFd(IORING_UNREGISTER_RING_FDS, &arg); errno != 0 {
		return r.explain("unregistering the ring", errno)
	}
	r.enterFd = r.fd
	r.enterFlags &^= IORING_ENTER_REGISTERED_RING
	return nil
}

package uring

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// Ring is one io_uring: a submission queue, a completion queue and the descriptor that joins them. One thread at a
// time uses it; with IORING_SETUP_SINGLE_ISSUER always the same one, the one that called [Open] or, if the ring came
// with IORING_SETUP_R_DISABLED, [Ring.Enable].
type Ring struct {
	sq sq
	cq cq

	fd         int
	enterFd    int    // fd, or the index of the registered ring
	wake       int    // eventfd of WakeFd, or -1
	enterFlags uint32 // IORING_ENTER_REGISTERED_RING once the ring is registered
	flags      uint32
	features   uint32
	sqpoll     bool

	arg GeteventsArg // of Wait; here because the kernel must find it where it was
	ts  Timespec

	stats   Stats
	probe   Probe
	buffers [][]byte // keeps registered memory reachable
	groups  []*BufRing

	ringMem, sqeMem []byte
}

// Stats counts what a ring did. It may be read by the ring's thread only.
type Stats struct {
	Submitted uint64 // entries that the kernel took; of a ring with SQPOLL, that were shown to it
	Completed uint64 // CQEs that [Ring.Advance] gave back
	Enters    uint64 // calls of io_uring_enter(2)
	Overflows uint64 // times that CQEs waited in the kernel for room in the queue
}

// Open makes a ring. Close it with [Ring.Close]. The errors wrap the errno of io_uring_setup(2) and say what the
// operator can do; ENOSYS is returned also for kernels before 5.19, on whose rings too much is missing.
func Open(o Options) (*Ring, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	wanted := o.Wanted &^ o.Flags
	if o.Flags&IORING_SETUP_SQPOLL != 0 {
		wanted &^= IORING_SETUP_COOP_TASKRUN | IORING_SETUP_DEFER_TASKRUN // they contradict each other
	}
	p := o.params(wanted)
	fd, errno := setup(o.Entries, &p)
	for _, f := range newest {
		if errno != unix.EINVAL {
			break
		}
		if wanted&f != 0 {
			wanted &^= f
			p = o.params(wanted)
			fd, errno = setup(o.Entries, &p)
		}
	}
	if errno != 0 {
		return nil, explainSetup(errno, p.Flags, disabledSetting(), release())
	}
	r := &Ring{fd: fd, enterFd: fd, wake: -1, flags: p.Flags, features: p.Features,
		sqpoll: p.Flags&IORING_SETUP_SQPOLL != 0}
	if err := r.mmap(&p); err != nil {
		_ = r.Close()
		return nil, err
	}
	if err := r.checkAge(); err != nil {
		_ = r.Close()
		return nil, err
	}
	return r, nil
}

// mmap makes the queues visible.
func (r *Ring) mmap(p *Params) error {
	const needed = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_EXT_ARG
	if p.Features&needed != needed {
		return tooOld(release())
	}
	sqeShift, cqeShift := shifts(p.Flags)
	ringSize := max(int(p.SqOff.Array+p.SqEntries*4), int(p.CqOff.Cqes+p.CqEntries*SizeofCQE<<cqeShift))
	sqeSize := int(p.SqEntries) * SizeofSQE << sqeShift
	var err error
	const prot, how = unix.PROT_READ | unix.PROT_WRITE, unix.MAP_SHARED | unix.MAP_POPULATE
	if r.ringMem, err = unix.Mmap(r.fd, IORING_OFF_SQ_RING, ringSize, prot, how); err != nil {
		return fmt.Errorf("uring: mapping %d bytes of queues: %w", ringSize, err)
	}
	if r.sqeMem, err = unix.Mmap(r.fd, IORING_OFF_SQES, sqeSize, prot, how); err != nil {
		return fmt.Errorf("uring: mapping %d bytes of entries: %w", sqeSize, err)
	}
	r.layout(p)
	return nil
}

// shifts returns by how much larger than usual the entries are.
func shifts(flags uint32) (sqe, cqe uint32) {
	if flags&IORING_SETUP_SQE128 != 0 {
		sqe = 1
	}
	if flags&IORING_SETUP_CQE32 != 0 {
		cqe = 1
	}
	return sqe, cqe
}

// checkAge asks the kernel what it can do. A distribution's old kernel may have a new io_uring, so its version says
// nothing; the last opcode of 5.19 does.
func (r *Ring) checkAge() error {
	if err := r.loadProbe(); err != nil {
		return err
	}
	if !r.probe.Has(IORING_OP_URING_CMD) {
		return tooOld(release())
	}
	return nil
}

// Fd returns the ring's descriptor, for messages from other rings; the ring owns it. To be woken use [Ring.WakeFd].
// Without IORING_SETUP_DEFER_TASKRUN it is readable (EPOLLIN) while there is something for [Ring.Poll].
func (r *Ring) Fd() int { return r.fd }

// Flags returns the IORING_SETUP_ flags that the ring has.
func (r *Ring) Flags() uint32 { return r.flags }

// Features returns the IORING_FEAT_ flags of the kernel.
func (r *Ring) Features() uint32 { return r.features }

// SQEntries returns the size of the submission queue.
func (r *Ring) SQEntries() int { return int(r.sq.entries) }

// CQEntries returns the size of the completion queue.
func (r *Ring) CQEntries() int { return int(r.cq.entries) }

// Stats returns what the ring did so far.
func (r *Ring) Stats() Stats { return r.stats }

// Enable lets a ring that was made with IORING_SETUP_R_DISABLED submit. With IORING_SETUP_SINGLE_ISSUER the ring
// belongs to the thread that calls this: lock the goroutine to it first.
func (r *Ring) Enable() error {
	if _, errno := r.register(IORING_REGISTER_ENABLE_RINGS, nil, 0); errno != 0 {
		return r.explain("enabling the ring", errno)
	}
	return nil
}

// Close gives the ring back. What is in flight is cancelled, but not waited for: the kernel may still be writing to
// the memory of such operations after Close has returned. Use [Queue.Close], or complete everything first. A
// registered ring descriptor ([Ring.RegisterRingFd]) must be unregistered before, by its thread.
func (r *Ring) Close() error {
	if r.fd < 0 {
		return nil
	}
	for _, b := range r.groups {
		b.unmap()
	}
	err := unix.Close(r.fd)
	if r.wake >= 0 {
		_ = unix.Close(r.wake)
	}
	r.fd, r.enterFd, r.wake = -1, -1, -1
	for _, m := range [][]byte{r.ringMem, r.sqeMem} {
		if m != nil {
			if e := unix.Munmap(m); err == nil {
				err = e
			}
		}
	}
	r.ringMem, r.sqeMem = nil, nil
	r.sq, r.cq = sq{}, cq{}
	r.buffers, r.groups = nil, nil
	if err != nil {
		return fmt.Errorf("uring: closing the ring: %w", err)
	}
	return nil
}

// explain wraps the errno of something that a ring refused.
func (r *Ring) explain(what string, errno syscall.Errno) error {
	hint := ""
	switch {
	case errno == unix.EEXIST && r.flags&IORING_SETUP_SINGLE_ISSUER != 0:
		hint = " (the ring has IORING_SETUP_SINGLE_ISSUER and belongs to the thread that made or enabled it: " +
			"lock the goroutine to that thread)"
	case errno == unix.EBADFD:
		hint = " (the ring has IORING_SETUP_R_DISABLED and is not enabled)"
	case errno == unix.ENOMEM:
		hint = " (pinned memory counts against RLIMIT_MEMLOCK: raise it with ulimit -l or LimitMEMLOCK=)"
	}
	return fmt.Errorf("uring: %s: %w%s", what, errno, hint)
}

package uring

import (
	"sync/atomic"
	"syscall"
)

// cq is the completion queue. The kernel moves tail, we move head.
type cq struct {
	cqes      []CQE
	khead     *uint32
	ktail     *uint32
	kflags    *uint32
	koverflow *uint32
	head      uint32
	mask      uint32
	entries   uint32
	shift     uint32
}

// Errno returns what went wrong, 0 if nothing did.
func (c *CQE) Errno() syscall.Errno {
	if c.Res < 0 {
		return syscall.Errno(-c.Res)
	}
	return 0
}

// Buffer returns the id of the provided buffer that the operation used, if it used one.
func (c *CQE) Buffer() (bid uint16, ok bool) {
	return uint16(c.Flags >> IORING_CQE_BUFFER_SHIFT), c.Flags&IORING_CQE_F_BUFFER != 0
}

// Ready returns how many completions can be read. It looks at memory only: see [Ring.Poll].
func (r *Ring) Ready() int { return int(atomic.LoadUint32(r.cq.ktail) - r.cq.head) }

// CQE returns the i-th of the completions that are ready. It stays as it is until [Ring.Advance].
func (r *Ring) CQE(i int) *CQE {
	return &r.cq.cqes[((r.cq.head+uint32(i))&r.cq.mask)<<r.cq.shift]
}

// Advance gives the first n completions back to the kernel, which may overwrite them at once.
func (r *Ring) Advance(n int) {
	r.cq.head += uint32(n)
	atomic.StoreUint32(r.cq.khead, r.cq.head)
	r.stats.Completed += uint64(n)
}

// Poll returns how many completions can be read, after having let the kernel post those that it holds back: because
// they need the thread, as with IORING_SETUP_DEFER_TASKRUN, or because the queue was full. It never waits, and calls
// the kernel only if the kernel wants it. The errno, of the call, leaves the number valid.
func (r *Ring) Poll() (int, syscall.Errno) {
	if n := r.Ready(); n != 0 || !r.kernelWants() {
		return n, 0
	}
	_, errno := r.enter(0, 0, IORING_ENTER_GETEVENTS)
	return r.Ready(), errno
}

// kernelWants says whether the kernel holds completions back.
func (r *Ring) kernelWants() bool {
	f := atomic.LoadUint32(r.sq.kflags)
	if f&(IORING_SQ_CQ_OVERFLOW|IORING_SQ_TASKRUN) == 0 {
		return false
	}
	if f&IORING_SQ_CQ_OVERFLOW != 0 {
		r.stats.Overflows++
	}
	return true
}

// Lost returns how many completions were lost because the kernel found neither room in the queue nor memory to keep
// them, since the ring was made. Anything but 0 means that operations never complete.
func (r *Ring) Lost() uint32 { return atomic.LoadUint32(r.cq.koverflow) }

// Invalid returns how many entries of the submission queue the kernel threw away. It is 0 unless memory was
// corrupted.
func (r *Ring) Invalid() uint32 { return atomic.LoadUint32(r.sq.kdropped) }

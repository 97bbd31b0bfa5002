package uring

import (
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Submit shows the kernel the entries that were filled since, and returns how many it took. It never waits, but the
// kernel runs there what it can finish at once: a read from the page cache copies its data in this call. It also lets
// the kernel post what it holds back, so that a loop of Submit, [Ring.Ready] and [Ring.Advance] misses nothing.
//
// EAGAIN and EBUSY mean that the kernel is out of memory or has too many completions waiting: what was not taken
// stays in the queue, complete something and submit again. EEXIST and EBADFD are those of [Ring.Enable].
func (r *Ring) Submit() (int, syscall.Errno) {
	n := r.sq.publish()
	flags := uint32(0)
	need := n != 0
	if r.sqpoll {
		// The store of the tail was a barrier: either the thread sees it, or we see that the thread sleeps.
		need = n != 0 && atomic.LoadUint32(r.sq.kflags)&IORING_SQ_NEED_WAKEUP != 0
		if need {
			flags |= IORING_ENTER_SQ_WAKEUP
		}
	}
	if r.kernelWants() {
		flags |= IORING_ENTER_GETEVENTS
		need = true
	}
	if !need {
		if r.sqpoll {
			r.countShown()
		}
		return int(n), 0
	}
	return r.enter(n, 0, flags)
}

// Wait submits, and then waits until n completions are ready or timeout has passed; a negative timeout waits without
// limit. A signal may end it early, without an errno; ETIME says that the time was over and nothing was submitted.
// Others are as with [Ring.Submit].
func (r *Ring) Wait(n int, timeout time.Duration) (int, syscall.Errno) {
	if n <= r.Ready() || timeout == 0 {
		return r.Submit()
	}
	flags := uint32(IORING_ENTER_GETEVENTS)
	r.arg.Ts = 0
	if timeout > 0 {
		r.ts = Timespec{TvSec: int64(timeout / time.Second), TvNsec: int64(timeout % time.Second)}
		r.arg.Ts = r.tsAddr()
	}
	pending := r.sq.publish()
	if r.sqpoll && pending != 0 && atomic.LoadUint32(r.sq.kflags)&IORING_SQ_NEED_WAKEUP != 0 {
		flags |= IORING_ENTER_SQ_WAKEUP
	}
	r.kernelWants()
	done, errno := r.enter(pending, uint32(n), flags|IORING_ENTER_EXT_ARG)
	if errno == unix.EINTR {
		errno = 0
	}
	return done, errno
}

// WaitRoom waits until the thread of IORING_SETUP_SQPOLL has made room in the submission queue.
func (r *Ring) WaitRoom() syscall.Errno {
	flags := uint32(IORING_ENTER_SQ_WAIT)
	if r.sq.publish(); atomic.LoadUint32(r.sq.kflags)&IORING_SQ_NEED_WAKEUP != 0 {
		flags |= IORING_ENTER_SQ_WAKEUP
	}
	_, errno := r.enter(0, 0, flags)
	return errno
}

// enter calls the kernel and counts.
func (r *Ring) enter(submit, wait, flags uint32) (int, syscall.Errno) {
	r.stats.Enters++
	for {
		n, errno := r.sysEnter(submit, wait, flags|r.enterFlags)
		if errno == unix.EINTR && wait == 0 {
			continue
		}
		if r.sqpoll {
			r.countShown()
		} else {
			r.stats.Submitted += uint64(n)
		}
		return n, errno
	}
}

// countShown counts, of a ring whose entries another thread takes, those that were published.
func (r *Ring) countShown() {
	r.stats.Submitted += uint64(r.sq.published - uint32(r.stats.Submitted))
}

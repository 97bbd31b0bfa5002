package uring

import (
	"fmt"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Cancel asks for the end of an operation, which completes as ever: with ECANCELED, and what it had moved, or as if
// nothing had been asked, if the kernel is doing it or has done it. What is half done is not continued. ENOENT if it
// has completed, or was not started. Cancel does not call back.
func (q *Queue) Cancel(h Handle) syscall.Errno {
	op := q.table.Find(h)
	if op == nil || !op.started {
		return unix.ENOENT
	}
	q.cancel(op)
	return 0
}

// CancelAll cancels all that were started. Those only begun ([Queue.Get]) are the caller's to drop.
func (q *Queue) CancelAll() {
	for _, op := range q.table.All() {
		if op.started {
			q.cancel(op)
		}
	}
}

func (q *Queue) cancel(op *Op) {
	if op.cancelled {
		return
	}
	op.cancelled = true
	q.stats.Cancelled++
	if op.list == &q.waiting {
		q.waiting.remove(op)
		q.dead.push(op)
		return
	}
	if q.cancels.first != nil || !q.placeCancel(op) {
		q.cancels.push(op)
	}
}

// placeCancel puts the cancellation of an operation into the submission queue, where it comes after the operation.
func (q *Queue) placeCancel(op *Op) bool {
	s := q.ring.nextSQE()
	if s == nil {
		return false
	}
	s.PrepCancel(uint64(op.h), 0)
	s.Flags = IOSQE_CQE_SKIP_SUCCESS
	s.UserData = uint64(Discard(q.table.kind))
	return true
}

// abandoned keeps reachable, for good, what the kernel may still write to.
var abandoned struct {
	sync.Mutex
	queues []*Queue
}

// Close cancels everything, waits up to timeout until it has completed (negative: without limit) and calls back for it;
// nothing can be begun after that. If there is something left, such as a read from a dead disk, Close returns
// ETIMEDOUT: that never calls back, and its memory stays reachable for good, since the kernel may write to it whenever
// the disk wakes up. In either case the ring can be closed then.
func (q *Queue) Close(timeout time.Duration) error {
	q.closing = true
	q.CancelAll()
	end := time.Now().Add(timeout)
	for {
		q.Poll()
		n := q.InFlight()
		if n == 0 {
			return nil
		}
		left := time.Until(end)
		if timeout < 0 {
			left = -1
		} else if left <= 0 {
			q.abandon()
			return fmt.Errorf("uring: %d operations did not end within %v of having been cancelled: %w", n, timeout,
				unix.ETIMEDOUT)
		}
		switch errno := q.sleep(left); errno {
		case 0, unix.ETIME, unix.EAGAIN, unix.EBUSY:
		default:
			q.abandon()
			return q.ring.explain(fmt.Sprintf("waiting for the end of %d operations", n), errno)
		}
	}
}

func (q *Queue) abandon() {
	abandoned.Lock()
	defer abandoned.Unlock()
	abandoned.queues = append(abandoned.queues, q)
}

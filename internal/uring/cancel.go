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
	q.issueCancel(op)
}

func (q *Queue) issueCancel(op *Op) {
	if q.cancels.first != nil || !q.placeCancel(op) {
		q.cancels.push(op)
	}
}

// placeCancel puts the cancellation of an operation into the submission queue, where it comes after the operation, or
// the pause before it is tried again.
func (q *Queue) placeCancel(op *Op) bool {
	s := q.ring.nextSQE()
	if s == nil {
		return false
	}
	if op.pause {
		s.PrepTimeout(&pauses[min(int(op.tries), len(pauses))-1], 0, 0)
		s.UserData = uint64(op.h) | pauseOf
		return true
	}
	s.PrepCancel(uint64(op.h), 0)
	s.Flags = IOSQE_CQE_SKIP_SUCCESS
	s.UserData = uint64(op.h) | cancelOf
	return true
}

// pauses are how long a cancellation waits before it is tried again, by how often it has been.
var pauses = func() (p [12]Timespec) {
	for i := range p {
		p[i].TvNsec = 50_000 << i // up to 102 ms
	}
	return p
}()

// cancelMissed handles the completion of what is about a cancellation. One fails if the kernel does not find the
// operation, or finds it running, and that is not the last word: a read of a pipe that has just become readable is
// nowhere for a moment, and waits again after that, if somebody else was faster. So what has not completed then is
// looked for again, after a pause, since an operation may also be nowhere for as long as its disk takes.
func (q *Queue) cancelMissed(h Handle) {
	op := q.table.Find(h &^ aboutOf)
	if op == nil || !op.cancelled || op.list != nil {
		return
	}
	if op.pause = h&cancelOf != 0; op.pause && int(op.tries) < len(pauses) {
		op.tries++
	}
	q.issueCancel(op)
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

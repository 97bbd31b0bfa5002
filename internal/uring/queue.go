package uring

import (
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Queue runs operations on a ring: it waits for room in the submission queue, finishes what comes back half done, and
// calls back. It belongs to the thread of its ring, and takes all of the ring's completions.
type Queue struct {
	ring    *Ring
	table   *Table[Op]
	stats   QueueStats
	running int // operations that were started

	waiting opList // for room in the submission queue, in order
	cancels opList // in flight; their cancellation waits for room
	dead    opList // cancelled before they were submitted

	foreign    func(ctx any, cqe *CQE)
	foreignCtx any

	batch   [64]CQE
	budget  int
	polling bool
	closing bool
}

// QueueOptions are those of [NewQueue].
type QueueOptions struct {
	Depth  int   // how many operations there can be; 0 means as many as the completion queue holds
	IOVs   int   // buffers of one transfer that are submitted at once, the others follow; 0 means 32
	Budget int   // completions that one [Queue.Poll] takes; 0 means 256
	Kind   uint8 // of the handles

	// Foreign is told of completions whose user data is of another kind: messages from other rings, tags of registered
	// buffers, other tables. Without it they are counted as stale.
	Foreign    func(ctx any, cqe *CQE)
	ForeignCtx any
}

// QueueStats counts what a queue did.
type QueueStats struct {
	Started     uint64
	Completed   uint64 // callbacks
	Resubmitted uint64 // transfers that had to go on after a part, or try again
	Waited      uint64 // operations that found the submission queue full
	Cancelled   uint64 // calls of Cancel that found something
	Stale       uint64 // completions that belonged to nothing
}

// NewQueue makes a queue for a ring. The queue does not own the ring.
func NewQueue(r *Ring, o QueueOptions) *Queue {
	if o.Depth == 0 {
		o.Depth = r.CQEntries()
	}
	if o.IOVs == 0 {
		o.IOVs = 32
	}
	if o.Budget == 0 {
		o.Budget = 256
	}
	if o.IOVs < 1 || o.IOVs > 1024 || o.Budget < 1 {
		panic(fmt.Sprintf("uring: a queue of %d buffers per operation and %d completions per poll", o.IOVs, o.Budget))
	}
	q := &Queue{ring: r, table: NewTable[Op](o.Depth, o.Kind), budget: o.Budget,
		foreign: o.Foreign, foreignCtx: o.ForeignCtx}
	iovs := make([]unix.Iovec, o.Depth*o.IOVs)
	for i := range q.table.slots {
		q.table.slots[i].val.iovs = iovs[i*o.IOVs : (i+1)*o.IOVs : (i+1)*o.IOVs]
	}
	return q
}

// Ring returns the queue's ring.
func (q *Queue) Ring() *Ring { return q.ring }

// InFlight returns how many operations were started and have not completed.
func (q *Queue) InFlight() int { return q.running }

// Depth returns how many operations there can be.
func (q *Queue) Depth() int { return q.table.Cap() }

// Stats returns what the queue did so far.
func (q *Queue) Stats() QueueStats {
	s := q.stats
	s.Stale += q.table.Stale()
	return s
}

// Get begins an operation that will call fn with ctx, or returns nil if there are Depth already (ENOBUFS for the
// caller) or the queue is closed. fn is a package-level function and ctx a pointer, or each operation allocates. The
// queue keeps ctx reachable until then: names, structures and data that the kernel is given must be in it, or be
// reachable from it.
func (q *Queue) Get(fn DoneFunc, ctx any) *Op {
	if q.closing {
		return nil
	}
	op, h := q.table.Get()
	if op == nil {
		return nil
	}
	op.fn, op.ctx, op.h = fn, ctx, h
	op.SQE = SQE{}
	return op
}

// Drop ends an operation that was begun and not started. It does not call back.
func (q *Queue) Drop(op *Op) {
	if op.started {
		panic(fmt.Sprintf("uring: operation %v was started and is dropped", op.h))
	}
	h := op.h
	op.clear()
	q.table.Put(h)
}

// Start has the operation submitted by the next [Queue.Poll] or [Queue.Flush], in the order of the calls of Start. It
// never calls back.
func (q *Queue) Start(op *Op) Handle {
	if op.SQE.Flags&(IOSQE_IO_LINK|IOSQE_IO_HARDLINK|IOSQE_CQE_SKIP_SUCCESS) != 0 {
		panic(fmt.Sprintf("uring: flags %#x of %s are not for a Queue", op.SQE.Flags, OpName(op.SQE.Opcode)))
	}
	q.stats.Started++
	q.running++
	op.started = true
	q.issue(op)
	return op.h
}

// issue submits an operation when its turn comes.
func (q *Queue) issue(op *Op) {
	if q.waiting.first != nil || !q.place(op) {
		q.stats.Waited++
		q.waiting.push(op)
	}
}

// place puts an operation into the submission queue, if there is room.
func (q *Queue) place(op *Op) bool {
	s := q.ring.nextSQE()
	if s == nil {
		return false
	}
	switch {
	case op.polling:
		s.PrepPollAdd(int(op.SQE.Fd), op.ready(), 0)
		s.Flags = op.SQE.Flags & IOSQE_FIXED_FILE
	case op.kind != noTransfer:
		op.prepare()
		fallthrough
	default:
		*s = op.SQE
	}
	s.UserData = uint64(op.h)
	return true
}

// Flush submits what was started. It calls back nothing, so it may be called from anywhere on the thread: a reactor
// does before it sleeps. EAGAIN and EBUSY are those of [Ring.Submit]; poll again soon, nothing else will.
func (q *Queue) Flush() syscall.Errno {
	for {
		q.refill()
		n, errno := q.ring.Submit()
		if errno == unix.EEXIST || errno == unix.EBADFD {
			panic(q.ring.explain("submitting", errno)) // else nothing would ever complete
		}
		if errno != 0 || n == 0 || q.ring.sqpoll || q.waiting.first == nil && q.cancels.first == nil {
			return errno
		}
	}
}

// refill moves what waits into the submission queue: first cancellations, which make room elsewhere.
func (q *Queue) refill() {
	for op := q.cancels.first; op != nil && q.placeCancel(op); op = q.cancels.first {
		q.cancels.remove(op)
	}
	for op := q.waiting.first; op != nil && q.place(op); op = q.waiting.first {
		q.waiting.remove(op)
	}
}

// Poll submits what was started, and calls back for what has completed. It returns the number of calls, and never
// waits. It panics if the ring belongs to another thread or is not enabled. A queue that returns 0 can be slept on
// through [Ring.WakeFd] unless [Queue.Busy].
func (q *Queue) Poll() int {
	if q.polling {
		panic("uring: Poll is called from a callback of the queue")
	}
	q.polling = true
	before := q.stats.Completed
	_ = q.Flush() // what was not taken is tried again, see Busy
	for op := q.dead.first; op != nil; op = q.dead.first {
		q.finish(op, Result{N: op.done, Errno: unix.ECANCELED})
	}
	for left := q.budget; left > 0; {
		n, _ := q.ring.Poll()
		if n == 0 {
			break
		}
		n = min(n, left, len(q.batch))
		for i := range n {
			q.batch[i] = *q.ring.CQE(i)
		}
		q.ring.Advance(n)
		for i := range n {
			q.complete(&q.batch[i])
		}
		left -= n
	}
	q.polling = false
	return int(q.stats.Completed - before)
}

// Busy says whether there is work that no descriptor will announce: operations that the kernel has not been given.
func (q *Queue) Busy() bool {
	return q.dead.first != nil || q.waiting.first != nil || q.cancels.first != nil ||
		!q.ring.sqpoll && q.ring.Pending() != 0
}

// Wait is [Queue.Poll] that waits up to timeout for something to complete; negative is without limit.
func (q *Queue) Wait(timeout time.Duration) (int, syscall.Errno) {
	if n := q.Poll(); n != 0 || q.InFlight() == 0 {
		return n, 0
	}
	errno := q.sleep(timeout)
	return q.Poll(), errno
}

// sleep waits for something to complete or, if there is work that the kernel has not been given, until it can be.
func (q *Queue) sleep(timeout time.Duration) syscall.Errno {
	if q.waiting.first == nil && q.cancels.first == nil {
		_, errno := q.ring.Wait(1, timeout)
		return errno
	}
	if q.ring.sqpoll {
		return q.ring.WaitRoom()
	}
	// The kernel is short of memory: completions help, and so does time.
	if timeout < 0 || timeout > time.Millisecond {
		timeout = time.Millisecond
	}
	if _, errno := q.ring.Wait(1, timeout); errno != unix.ETIME {
		return errno
	}
	return 0
}

// complete handles a completion.
func (q *Queue) complete(cqe *CQE) {
	h := Handle(cqe.UserData)
	if h.Kind() != q.table.kind {
		if q.foreign == nil {
			q.stats.Stale++
			return
		}
		q.foreign(q.foreignCtx, cqe)
		return
	}
	switch slot := h.Slot(); {
	case slot == noSlot:
		return
	case slot&aboutOf == cancelOf, slot&aboutOf == pauseOf:
		q.cancelMissed(h)
		return
	}
	op := q.table.Lookup(h)
	if op == nil {
		return
	}
	errno := cqe.Errno()
	switch {
	case cqe.Flags&IORING_CQE_F_MORE != 0:
		q.stats.Completed++
		op.fn(op.ctx, Result{N: int(max(cqe.Res, 0)), Errno: errno, Flags: cqe.Flags})
	case op.kind != noTransfer:
		q.transferred(op, cqe, errno)
	case errno == unix.EINTR && !op.cancelled && repeatable(op.SQE.Opcode):
		q.again(op)
	default:
		q.finish(op, Result{N: int(max(cqe.Res, 0)), Errno: q.reason(op, errno), Flags: cqe.Flags})
	}
}

// transferred decides how a transfer goes on.
func (q *Queue) transferred(op *Op, cqe *CQE, errno syscall.Errno) {
	if op.polling {
		op.polling = false
		if errno == 0 && !op.cancelled {
			q.again(op)
			return
		}
		if errno == 0 {
			errno = unix.ECANCELED
		}
		q.finish(op, Result{N: op.done, Errno: q.reason(op, errno), Flags: cqe.Flags})
		return
	}
	switch {
	case cqe.Res > 0:
		op.advance(int(cqe.Res))
		switch {
		case len(op.bufs) == 0 || op.Once:
		case op.cancelled:
			errno = unix.ECANCELED
		default:
			q.again(op)
			return
		}
	case errno == unix.EINTR && !op.cancelled:
		q.again(op)
		return
	case errno == unix.EAGAIN && !op.cancelled && op.SQE.OpFlags&unix.RWF_NOWAIT == 0:
		// The descriptor is non-blocking, and has nothing. A regular file is always ready: then it is tried again.
		op.polling = true
		q.again(op)
		return
	}
	q.finish(op, Result{N: op.done, Errno: q.reason(op, errno), Flags: cqe.Flags})
}

// reason returns the errno of an operation: one that was cancelled while it ran in a worker was interrupted.
func (q *Queue) reason(op *Op, errno syscall.Errno) syscall.Errno {
	if op.cancelled && errno == unix.EINTR {
		return unix.ECANCELED
	}
	return errno
}

// repeatable says whether an operation can be repeated after EINTR without doing it twice.
func repeatable(opcode uint8) bool {
	switch opcode {
	case IORING_OP_FSYNC, IORING_OP_SYNC_FILE_RANGE, IORING_OP_FALLOCATE, IORING_OP_FTRUNCATE, IORING_OP_STATX,
		IORING_OP_OPENAT2, IORING_OP_FGETXATTR, IORING_OP_GETXATTR, IORING_OP_FADVISE:
		return true
	}
	return false
}

func (q *Queue) again(op *Op) {
	q.stats.Resubmitted++
	q.issue(op)
}

// finish gives an operation back and says how it ended.
func (q *Queue) finish(op *Op, res Result) {
	if op.list != nil {
		op.list.remove(op)
	}
	fn, ctx, h := op.fn, op.ctx, op.h
	op.clear()
	q.table.Put(h)
	q.stats.Completed++
	q.running--
	fn(ctx, res)
}

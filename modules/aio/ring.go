package aio

import (
	"math"
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/internal/uring"
	"github.com/spdk-go/spdk-go/reactor"
)

type ringHandle = uring.Handle

// ring is what a channel does data with that have to be waited for.
type ring struct {
	c      *channel
	r      *uring.Ring
	q      *uring.Queue // nil: there is none
	poller *reactor.Poller
	intr   *reactor.Interrupt
	due    bool // flush is about to be called
	polled bool // the poller runs
}

const ringEntries = 128

// ringOps are the operations that start prepares beside transfers. The ring takes no others, whoever submits them: they
// would have the rights that the process had when the ring was made, and no filter of system calls sees them.
var ringOps = []uint8{uring.IORING_OP_FSYNC, uring.IORING_OP_FALLOCATE}

// open makes the ring, if that is possible. A thread may move to another reactor, so that it is a ring for any.
func (r *ring) open(c *channel) {
	r.c = c
	if c.a.o.NoRing {
		return
	}
	u, err := uring.Open(uring.Options{Entries: ringEntries, Flags: uring.IORING_SETUP_R_DISABLED})
	if err != nil {
		return
	}
	wake, err := u.WakeFd()
	if err == nil {
		err = u.RestrictToQueue(ringOps...)
	}
	if err == nil {
		err = u.Enable()
	}
	if err == nil {
		r.intr, err = c.t.RegisterInterruptExt("aio_ring", wake, reactor.FDOpts{Type: reactor.FDTypeEventfd}, wakeRing, r)
	}
	if err != nil {
		_ = u.Close()
		return
	}
	r.r = u
	r.q = uring.NewQueue(u, uring.QueueOptions{IOVs: 16})
	r.poller = c.t.RegisterPoller("aio_ring", pollRing, r, 0)
	u.SetEventfd(false) // as long as the thread looks by itself
	r.poller.RegisterInterrupt(armRing, r)
	r.poller.Pause()
}

func (r *ring) close() {
	if r.q == nil {
		return
	}
	r.poller.Unregister()
	r.intr.Unregister()
	_ = r.q.Close(0) // there is nothing in flight
	_ = r.r.Close()
}

// start submits a job, and says whether it could.
func (r *ring) start(j *job) bool {
	if r.q == nil {
		return false
	}
	op := r.q.Get(ringDone, j)
	if op == nil {
		return false
	}
	io, fd := j.io, j.h.fd
	switch io.Type {
	case fsdev.IORead:
		op.Read(fd, j.data(), int64(io.Offset)+int64(j.moved))
	case fsdev.IOWrite:
		op.Write(fd, j.data(), int64(io.Offset)+int64(j.moved))
		op.SQE.OpFlags = appends(j.h, io)
	case fsdev.IOFsync, fsdev.IOFsyncdir:
		flags := uint32(0)
		if io.Datasync {
			flags = uring.IORING_FSYNC_DATASYNC
		}
		op.SQE.PrepFsync(fd, flags)
	case fsdev.IOFallocate:
		// A thread of the kernel would act as the process, with CAP_FSETID.
		if io.Offset > math.MaxInt64 || io.Length > math.MaxInt64 || io.Mode&fsdev.FlagKillSuidgid != 0 {
			r.q.Drop(op)
			return false
		}
		op.SQE.PrepFallocate(fd, io.Mode, int64(io.Offset), int64(io.Length))
	}
	j.inRing = true
	j.state.Store(jobRunning)
	j.handle = r.q.Start(op)
	if !r.due {
		r.due = true
		r.c.t.Defer(flushRing, r) // what the round brings goes to the kernel together
	}
	return true
}

// data returns what is left to be moved.
func (j *job) data() [][]byte {
	skip, size := j.moved, int(j.io.Size)-j.moved
	for _, b := range j.io.Iovs {
		if skip >= len(b) {
			skip -= len(b)
			continue
		}
		b = b[skip:min(len(b), skip+size)]
		skip = 0
		if size -= len(b); len(b) > 0 {
			j.bufs = append(j.bufs, b)
		}
		if size == 0 {
			break
		}
	}
	return j.bufs
}

func flushRing(_ *reactor.Thread, ctx any) {
	r := ctx.(*ring)
	r.due = false
	if !r.polled {
		r.polled = true
		r.poller.Resume()
	}
	r.poll()
}

// armRing has the kernel wake the thread, or not.
func armRing(_ *reactor.Poller, ctx any, sleeps bool) { ctx.(*ring).r.SetEventfd(sleeps) }

func wakeRing(_ *reactor.Thread, ctx any) reactor.PollerResult { return ctx.(*ring).poll() }
func pollRing(_ *reactor.Thread, ctx any) reactor.PollerResult { return ctx.(*ring).poll() }

func (r *ring) poll() reactor.PollerResult {
	n := r.q.Poll()
	if r.q.InFlight() == 0 && r.polled && !r.due {
		r.polled = false
		r.poller.Pause()
	}
	if n > 0 || r.q.Busy() {
		return reactor.Busy
	}
	return reactor.Idle
}

func ringDone(ctx any, res uring.Result) {
	j := ctx.(*job)
	errno := res.Errno
	if errno == syscall.ECANCELED {
		errno = syscall.EINTR
	}
	if t := j.io.Type; t == fsdev.IORead || t == fsdev.IOWrite {
		n := j.moved + res.N
		j.io.OutSize = uint64(n)
		switch {
		case n == 0:
		case t == fsdev.IOWrite:
			errno = 0 // see moveAll
		case errno == syscall.EINVAL && j.h.align > 0:
			errno = 0 // see moveDirect
		}
	}
	j.inRing = false
	j.c.complete(j, errno)
}

// cancel asks for the early end of a job.
func (r *ring) cancel(j *job) syscall.Errno {
	if errno := r.q.Cancel(j.handle); errno != 0 {
		return syscall.EALREADY
	}
	if !r.due {
		r.due = true
		r.c.t.Defer(flushRing, r)
	}
	return 0
}

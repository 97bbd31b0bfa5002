package aio

import (
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/internal/locks"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

// channel is the context of a thread's channel.
type channel struct {
	a *Aio
	t *reactor.Thread

	free *job                // jobs that nobody uses
	done atomic.Pointer[job] // jobs that workers have run, the last one first

	client *client // of the last request, for the next
	self   *worker // for jobs that this thread does itself
	here   int     // how many there were

	// For calls on this thread.
	name [maxName + 1]byte
	how  unix.OpenHow
	stx  unix.Statx_t
	st   unix.Stat_t
	iovs [maxIovs]unix.Iovec

	ring ring

	locks   locks.Lane
	goingOn bool // goOn is about to be called
}

// job is a request that is not completed on its thread at once.
type job struct {
	c     *channel
	io    *fsdev.IO
	run   func(w *worker, j *job) syscall.Errno
	errno syscall.Errno

	// One reference to each, if there is one.
	n, n2 *node
	h, h2 *handle

	state      atomic.Int32
	pool       *pool          // that it is for
	prev, next *job           // in a list
	doneNext   *job           // in channel.done, or channel.free
	woken      *locks.Request // whose wait for a lock the job has ended

	bufs   [][]byte // data: what the ring is given
	moved  int      // data: bytes that were moved before; READDIR: entries that were taken
	inRing bool
	own    bool // its handles, or one of them, are its own
	killed bool // the file may have lost set-ID bits
	handle ringHandle
}

func (a *Aio) createChannel(ch *iochannel.Channel, c *channel) syscall.Errno {
	c.a = a
	c.t = ch.Thread()
	c.self = a.newInline()
	c.how = unix.OpenHow{Flags: unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: resolveCached}
	c.ring.open(c)
	c.locks.Open(a.locks)
	return 0
}

func destroyChannel(_ *iochannel.Channel, c *channel) {
	c.ring.close()
	c.self.unreserve()
	for c.locks.IsUnfinished() { // nobody else would
		c.locks.GrantMore()
	}
	c.completeWoken(c.locks.TakeWoken())
	c.locks.Close()
}

// clientOf is Aio.ensureClient with a memory.
func (c *channel) clientOf(desc *fsdev.Desc) *client {
	if cl := c.client; cl != nil && cl.desc == desc && !cl.gone.Load() {
		return cl
	}
	c.client = c.a.ensureClient(desc)
	return c.client
}

// newJob returns a job for a request.
func (c *channel) newJob(io *fsdev.IO, run func(w *worker, j *job) syscall.Errno) *job {
	j := c.free
	if j == nil {
		j = &job{c: c}
	} else {
		c.free = j.doneNext
		j.doneNext = nil
	}
	j.io, j.run, j.pool = io, run, &c.a.pool
	io.Ctx = j
	return j
}

// freeJob gives up what a job holds and returns its request.
func (c *channel) freeJob(j *job) *fsdev.IO {
	io := j.io
	if j.h != nil {
		c.a.putHandle(j.h)
	}
	if j.h2 != nil {
		c.a.putHandle(j.h2)
	}
	if j.n != nil {
		c.a.put(j.n)
	}
	if j.n2 != nil {
		c.a.put(j.n2)
	}
	clear(j.bufs)
	j.io, j.run, j.n, j.n2, j.h, j.h2, j.bufs, j.moved = nil, nil, nil, nil, nil, nil, j.bufs[:0], 0
	j.inRing, j.own, j.killed = false, false, false
	j.state.Store(jobIdle)
	j.doneNext = c.free
	c.free = j
	return io
}

// finished sends a job that has been run back to its thread. Workers.
func (c *channel) finished(j *job) {
	for {
		top := c.done.Load()
		j.doneNext = top
		if c.done.CompareAndSwap(top, j) {
			if top == nil {
				c.send()
			}
			return
		}
	}
}

// send has the thread look at what is done. There is a request on its way, so that the thread does not exit.
func (c *channel) send() {
	if c.t.SendMsg(completeJobs, c) != 0 {
		_ = c.t.SendMsgWait(c.a.pool.ctx, completeJobs, c)
	}
}

// completeJobs completes what workers have run, in the order in which they did.
func completeJobs(_ *reactor.Thread, ctx any) {
	c := ctx.(*channel)
	var list *job
	for j := c.done.Swap(nil); j != nil; {
		next := j.doneNext
		j.doneNext = list
		list, j = j, next
	}
	for j := list; j != nil; {
		next := j.doneNext
		j.doneNext = nil
		c.complete(j, j.errno)
		j = next
	}
}

// complete ends a job.
func (c *channel) complete(j *job, errno syscall.Errno) {
	if j.woken != nil {
		c.completeWoken(j.woken)
		j.woken = nil
	}
	switch j.io.Type {
	case fsdev.IOReaddir:
		var done bool
		if done, errno = c.emit(j, errno); !done {
			return
		}
	case fsdev.IOWrite, fsdev.IOFopen, fsdev.IOFallocate, fsdev.IOCopyFileRange:
		if j.killed {
			c.tellKilled(j)
		}
	}
	c.a.reply(c.freeJob(j), errno)
}

// abort is ABORT. Errors: EALREADY.
func (c *channel) abort(target *fsdev.IO) syscall.Errno {
	switch x := target.Ctx.(type) {
	case *locks.Request:
		if c.locks.Abort(x) {
			c.a.put(x.Node().(*node))
			c.followUp()
			target.Complete(syscall.EINTR)
			return 0
		}
	case *job:
		switch {
		case x.inRing:
			return c.ring.cancel(x)
		case x.io.Type == fsdev.IOReaddir && x.moved > 0:
			return syscall.EALREADY // the client has references by it
		case x.pool.abort(x):
			c.leaveDir(x)
		case !c.leaveWaiting(x):
			return syscall.EALREADY
		}
		c.freeJob(x)
		target.Complete(syscall.EINTR)
		return 0
	}
	return syscall.EALREADY
}

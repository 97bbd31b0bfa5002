package aio

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/internal/locks"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

// maxWaiters is how many requests of one export can wait for locks.
const maxWaiters = 1024

// lockHandle returns the part of h that locks are tied to.
func (h *handle) lockHandle() *locks.Handle {
	if h == nil {
		return nil
	}
	return &h.lock
}

// mayLock says whether h, which may be nil, is open for a byte-range lock of a type.
func (h *handle) mayLock(typ uint32) bool {
	if h == nil {
		return true
	}
	mode := h.flags & unix.O_ACCMODE
	return !(typ == unix.F_RDLCK && mode == unix.O_WRONLY || typ == unix.F_WRLCK && mode == unix.O_RDONLY)
}

// lock is FLOCK, GETLK, SETLK and what FLUSH has to do with locks. On errLater, which means that the request waits, it
// takes the references. Errors: EBADF (also: not opened for that), EINVAL, EAGAIN, EDEADLK, ENOLCK.
func (c *channel) lock(io *fsdev.IO, n *node, h *handle) (errno syscall.Errno) {
	var r *locks.Request
	cl := c.clientOf(io.Desc()).locks
	switch io.Type {
	case fsdev.IOFlock:
		r, errno = c.locks.Flock(&n.locks, n, cl, h.lockHandle(), io.Owner, io.Flags, io)
	case fsdev.IOGetlk:
		return c.locks.Getlk(&n.locks, cl, io.Owner, (*locks.Range)(&io.Lock))
	case fsdev.IOSetlk:
		if !h.mayLock(io.Lock.Type) {
			return syscall.EBADF
		}
		r, errno = c.locks.Setlk(&n.locks, n, cl, h.lockHandle(), io.Owner, (*locks.Range)(&io.Lock), io.Wait, io)
	case fsdev.IOFlush:
		c.locks.Flush(&n.locks, cl, io.Owner)
	}
	if errno == locks.Waits {
		io.Ctx = r
		if h != nil {
			c.a.putHandle(h)
		}
		errno = errLater
	}
	c.followUp()
	return errno
}

// followUp does what a change of locks has left to be done for others.
func (c *channel) followUp() {
	if r := c.locks.TakeWoken(); r != nil {
		c.completeWoken(r)
	}
	if c.locks.IsUnfinished() && !c.goingOn {
		c.goingOn = true
		c.t.Defer(goOn, c)
	}
}

// goOn has those that wait for locks served, a part of them in a round.
func goOn(_ *reactor.Thread, ctx any) {
	c := ctx.(*channel)
	c.goingOn = false
	c.locks.GrantMore()
	c.followUp()
}

// completeWoken completes the requests whose wait for a lock has ended, each on its own thread.
func (c *channel) completeWoken(r *locks.Request) {
	for r != nil {
		next := r.Next()
		if t := r.IO.(*fsdev.IO).Thread(); t == c.t {
			c.t.Defer(completeLock, r)
		} else {
			t.SendMsgRetry(c.t, completeLock, r)
		}
		r = next
	}
}

func completeLock(_ *reactor.Thread, ctx any) {
	r := ctx.(*locks.Request)
	io := r.IO.(*fsdev.IO)
	r.IO = nil
	iochannel.Ctx[channel](io.Channel()).a.put(r.Node().(*node))
	io.Complete(r.Errno)
}

// takeWoken returns the requests whose wait for a lock has ended by what the worker did. It may take its time.
func (w *worker) takeWoken() *locks.Request {
	for w.locks.IsUnfinished() {
		w.locks.GrantMore()
	}
	return w.locks.TakeWoken()
}

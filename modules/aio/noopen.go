package aio

import (
	"math"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
)

// With [Opts].NoOpen a client that keeps everything it has read need not open what it reads, writes and lists. A file
// has a descriptor then from the first READ or WRITE without a handle on, until nobody knows it any more. What else
// wants a handle gets one for itself, which ends with the request.

// withoutHandle says whether a request names a file alone, and may.
func (a *Aio) withoutHandle(io *fsdev.IO) bool { return io.Handle == 0 && a.o.NoOpen }

// nodeData is READ and WRITE without a handle.
func (c *channel) nodeData(io *fsdev.IO) syscall.Errno {
	n := c.a.get(io.Object)
	switch {
	case n == nil:
		return syscall.ESTALE
	case n.typ != unix.S_IFREG:
		c.a.put(n)
		return syscall.EBADF
	}
	if h := n.data.Load(); h != nil && (io.Type == fsdev.IORead || h.flags&unix.O_ACCMODE == unix.O_RDWR) {
		h.refs.Add(1) // it lives as long as the node
		errno := c.dataBy(io, h)
		c.a.put(n)
		return errno
	}
	j := c.newJob(io, runNodeData)
	j.n = n
	c.a.pool.push(j)
	return errLater
}

// runNodeData is the first READ, or WRITE, of a file without a handle.
func runNodeData(w *worker, j *job) (errno syscall.Errno) {
	io := j.io
	write := io.Type == fsdev.IOWrite
	switch {
	case io.Offset > math.MaxInt64:
		return syscall.EINVAL
	case write && w.a.o.ReadOnly:
		return syscall.EROFS
	}
	if j.h, errno = w.dataHandle(j.n, write); errno != 0 {
		return errno
	}
	switch {
	case w.a.o.SkipRW:
		io.OutSize = uint64(io.Size)
		return 0
	case !write:
		return runRead(w, j)
	case io.Flags&fsdev.FlagKillSuidgid != 0:
		return runKillWrite(w, j)
	}
	return runWrite(w, j)
}

// dataHandle returns the handle of a node, with one more reference, and makes it if there is none. What may be read and
// not written has one for reading; a WRITE gets to hear why.
func (w *worker) dataHandle(n *node, write bool) (*handle, syscall.Errno) {
	if h := n.data.Load(); h != nil && !write {
		h.refs.Add(1)
		return h, 0
	}
	flags := uint32(unix.O_RDWR)
	if w.a.o.ReadOnly {
		flags = unix.O_RDONLY
	}
	fd, errno := w.reopen(n, flags)
	if errno != 0 && !write && flags != unix.O_RDONLY {
		flags = unix.O_RDONLY
		fd, errno = w.reopen(n, flags)
	}
	if errno != 0 {
		return nil, errno
	}
	h := w.a.looseHandle(n, fd, flags)
	h.nodes = true
	h.refs.Store(2)
	if n.data.CompareAndSwap(nil, h) {
		return h, 0
	}
	h.nodes = false // somebody has been faster, or the one that there is cannot write
	h.refs.Store(1)
	n.refs.Add(1)
	return h, 0
}

// looseHandle makes a handle that no client knows, with one reference. That to the node is for the caller to add.
func (a *Aio) looseHandle(n *node, fd int, flags uint32) *handle {
	h := &handle{node: n, fd: fd, flags: flags, client: &a.nobody}
	h.refs.Store(1)
	if n.isDir() {
		h.dir = new(dirState)
	}
	return h
}

// ownHandle opens what a request that wants a handle is about, for itself.
func (w *worker) ownHandle(n *node, flags uint32) (*handle, syscall.Errno) {
	fd, errno := w.reopen(n, flags)
	if errno != 0 {
		return nil, errno
	}
	n.refs.Add(1)
	return w.a.looseHandle(n, fd, flags), 0
}

// runOwnHandle is a request without a handle that wants one, or two.
func runOwnHandle(w *worker, j *job) (errno syscall.Errno) {
	op := &operations[j.io.Type]
	if j.h == nil {
		if j.h, errno = w.ownHandle(j.n, ownFlags(op, j.n)); errno != 0 {
			return errno
		}
	}
	if op.flags&handled2 != 0 && j.h2 == nil {
		if j.h2, errno = w.ownHandle(j.n2, unix.O_WRONLY); errno != 0 {
			return errno
		}
	}
	return op.run(w, j)
}

// ownFlags says how to open a file for an operation: COPY_FILE_RANGE changes the other one.
func ownFlags(op *operation, n *node) uint32 {
	switch {
	case n.isDir():
		return unix.O_RDONLY | unix.O_DIRECTORY
	case op.flags&changes != 0 && op.flags&handled2 == 0:
		return unix.O_RDWR
	}
	return unix.O_RDONLY
}

// checkOwnHandle says whether a file that has no handle could have one for an operation. Errors: EBADF.
func checkOwnHandle(op *operation, n *node) syscall.Errno {
	if op.flags&dirs != 0 && n.isDir() || op.flags&dirs == 0 && n.typ == unix.S_IFREG {
		return 0
	}
	return syscall.EBADF
}

// endData gives up the handle that a node has. Nobody has the node any more.
func (a *Aio) endData(n *node) {
	if h := n.data.Swap(nil); h != nil {
		a.putHandle(h)
	}
}

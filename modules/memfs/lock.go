package memfs

import (
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/internal/locks"
)

// errWait says that a request waits for a lock: some lane's locks will name it when it does no longer. It never leaves
// the package.
const errWait = locks.Waits

// lockHandle returns the part of h that locks are tied to.
func (h *handle) lockHandle() *locks.Handle {
	if h == nil {
		return nil
	}
	return &h.lock
}

// flock is FLOCK. On errWait the request is returned for abortion.
// Errors: ESTALE, those of [locks.Lane.Flock].
func (l *lane) flock(desc *fsdev.Desc, n *inode, h *handle, id uint64, op uint32, io *fsdev.IO) (
	*locks.Request, syscall.Errno,
) {
	if !n.tryRef() {
		return nil, syscall.ESTALE
	}
	r, errno := l.locks.Flock(&n.locks, n, l.fs.ensureClient(desc).locks, h.lockHandle(), id, op, io)
	if errno != errWait { // a waiter keeps its reference
		l.put(n)
	}
	return r, errno
}

// getlk is GETLK. Errors: EINVAL.
func (l *lane) getlk(desc *fsdev.Desc, n *inode, owner uint64, k *fsdev.Lock) syscall.Errno {
	return l.locks.Getlk(&n.locks, l.fs.ensureClient(desc).locks, owner, (*locks.Range)(k))
}

// setlk is SETLK. On errWait the request is returned for abortion.
// Errors: ESTALE, EBADF (not opened for that), those of [locks.Lane.Setlk].
func (l *lane) setlk(desc *fsdev.Desc, n *inode, h *handle, owner uint64, k *fsdev.Lock, wait bool, io *fsdev.IO) (
	*locks.Request, syscall.Errno,
) {
	if k.Type == syscall.F_RDLCK && !h.readable() || k.Type == syscall.F_WRLCK && !h.writable() {
		return nil, syscall.EBADF
	}
	if !n.tryRef() {
		return nil, syscall.ESTALE
	}
	r, errno := l.locks.Setlk(&n.locks, n, l.fs.ensureClient(desc).locks, h.lockHandle(), owner, (*locks.Range)(k),
		wait, io)
	if errno != errWait {
		l.put(n)
	}
	return r, errno
}

// flush is FLUSH: the owner closes the file somewhere, and has no more byte-range locks on it.
func (l *lane) flush(desc *fsdev.Desc, n *inode, owner uint64) {
	if n.locks.IsUsed() {
		l.locks.Flush(&n.locks, l.fs.ensureClient(desc).locks, owner)
	}
}

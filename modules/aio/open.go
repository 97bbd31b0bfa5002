package aio

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/internal/sys"
)

// openFlags are those of a client's open that the host's open gets too. O_APPEND is obeyed by each WRITE, for
// O_DIRECT see isDirect, and what else there is either concerns names or is for the client to obey.
const openFlags = unix.O_ACCMODE | unix.O_TRUNC | unix.O_SYNC | unix.O_DSYNC

// hostFlags turns the flags of a client's open of a regular file into ours.
func (a *Aio) hostFlags(cl *client, flags uint32) uint32 {
	if a.isDirect(cl, flags) {
		return flags & (openFlags | unix.O_DIRECT)
	}
	flags &= openFlags
	if cl.writeback.Load() && flags&unix.O_ACCMODE == unix.O_WRONLY {
		flags = flags&^unix.O_ACCMODE | unix.O_RDWR // it reads what it writes a part of
	}
	return flags
}

// mayOpen says what is in the way of opening a file as a regular one.
func (a *Aio) mayOpen(n *node, flags uint32) syscall.Errno {
	if a.o.ReadOnly && flags&(unix.O_ACCMODE|unix.O_TRUNC) != 0 {
		return syscall.EROFS
	}
	switch n.typ {
	case unix.S_IFREG:
		return 0
	case unix.S_IFDIR:
		return syscall.EISDIR
	case unix.S_IFLNK:
		return syscall.ELOOP
	}
	return syscall.ENXIO
}

func runOpen(w *worker, j *job) syscall.Errno {
	cl := w.a.ensureClient(j.io.Desc())
	if errno := w.a.mayOpen(j.n, j.io.Flags); errno != 0 {
		return errno
	}
	fd, killed, errno := w.reopenAs(j.n, cl, j.io.Flags)
	j.killed = killed
	if errno != 0 {
		return errno
	}
	j.io.OutHandle, errno = w.a.addHandle(cl, j.n, fd, j.io.Flags)
	return errno
}

func runOpendir(w *worker, j *job) syscall.Errno {
	if !j.n.isDir() {
		return syscall.ENOTDIR
	}
	fd, errno := w.reopen(j.n, unix.O_RDONLY|unix.O_DIRECTORY)
	if errno != 0 {
		return errno
	}
	j.io.OutHandle, errno = w.a.addHandle(w.a.ensureClient(j.io.Desc()), j.n, fd, unix.O_RDONLY)
	return errno
}

// createTries is how often CREATE looks again when a file comes and goes.
const createTries = 100

// runCreate makes a file with O_EXCL, which follows no symbolic link, or opens the one that is there as FOPEN does.
func runCreate(w *worker, j *job) syscall.Errno {
	io := j.io
	if errno := w.reserve(2); errno != 0 {
		return errno
	}
	for range createTries {
		perm, errno := w.thread.become(io)
		fd := -1
		if errno == 0 {
			fd, errno = w.createNew(j.n, io, perm)
		}
		w.thread.restore()
		if errno == 0 {
			if errno = w.labelOpened(j, fd); errno != 0 {
				return errno
			}
			if errno = w.opened(j, fd); errno != 0 && errno != syscall.ENOENT {
				w.undo(j.n, cstring(w.name[:], io.Name), unix.S_IFREG, nil)
			}
			return errno
		}
		if errno != syscall.EEXIST || io.Flags&unix.O_EXCL != 0 {
			return errno
		}
		if errno = w.createExisting(j); errno != syscall.ENOENT {
			return errno
		}
	}
	return syscall.ENOENT
}

func (w *worker) createNew(d *node, io *fsdev.IO, perm uint32) (fd int, errno syscall.Errno) {
	flags := w.a.hostFlags(w.a.ensureClient(io.Desc()), io.Flags) &^ unix.O_TRUNC
	flags |= unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW | unix.O_CLOEXEC | unix.O_NOCTTY
	for {
		fd, errno = sys.Openat(d.fd, cstring(w.name[:], io.Name), flags, perm)
		if errno != syscall.EINTR && !w.room(errno) {
			return fd, errno
		}
	}
}

// createExisting is CREATE of a file that is there.
func (w *worker) createExisting(j *job) syscall.Errno {
	if errno := w.lookupName(j, j.n); errno != 0 {
		return errno
	}
	cl := w.a.ensureClient(j.io.Desc())
	n := w.a.get(j.io.OutObject)
	if n == nil {
		return syscall.ENOENT // somebody has forgotten it already, for us
	}
	defer w.a.put(n)
	errno := w.a.mayOpen(n, j.io.Flags)
	if errno == 0 {
		var fd int
		if fd, _, errno = w.reopenAs(n, cl, j.io.Flags); errno == 0 { // the answer has the attributes
			j.io.OutHandle, errno = w.a.addHandle(cl, n, fd, j.io.Flags)
		}
	}
	if errno == 0 && j.io.Flags&unix.O_TRUNC != 0 {
		if errno = w.statNode(n); errno == 0 {
			fillAttr(&j.io.OutAttr, &w.stx)
		} else {
			w.a.closeHandle(j.io.OutHandle, &w.locks)
		}
	}
	if errno != 0 {
		w.a.forget(n, cl, 1)
	}
	return errno
}

func runTmpfile(w *worker, j *job) syscall.Errno {
	io := j.io
	if !j.n.isDir() {
		return syscall.ENOTDIR
	}
	if io.Flags&unix.O_ACCMODE == unix.O_RDONLY {
		return syscall.EINVAL
	}
	perm, errno := w.thread.become(io)
	fd := -1
	if errno == 0 {
		flags := w.a.hostFlags(w.a.ensureClient(io.Desc()), io.Flags)&^unix.O_TRUNC | io.Flags&unix.O_EXCL
		fd, errno = sys.Openat(j.n.fd, dot, flags|unix.O_TMPFILE|unix.O_CLOEXEC, perm)
	}
	w.thread.restore()
	if errno == 0 {
		errno = w.labelOpened(j, fd)
	}
	if errno != 0 {
		return errno
	}
	return w.opened(j, fd)
}

// opened makes a node and a handle of a new file, which is open at fd, the result of a job.
func (w *worker) opened(j *job, fd int) syscall.Errno {
	path, errno := sys.Openat(w.a.proc, w.fdName(fd), unix.O_PATH|unix.O_CLOEXEC, 0)
	for w.room(errno) {
		path, errno = sys.Openat(w.a.proc, w.fdName(fd), unix.O_PATH|unix.O_CLOEXEC, 0)
	}
	if errno == 0 {
		errno = w.found(j, path)
	}
	if errno != 0 {
		_ = sys.Close(fd)
		return errno
	}
	cl := w.a.ensureClient(j.io.Desc())
	n := w.a.get(j.io.OutObject)
	if n == nil {
		_ = sys.Close(fd)
		return syscall.ENOENT
	}
	defer w.a.put(n)
	if j.io.OutHandle, errno = w.a.addHandle(cl, n, fd, j.io.Flags); errno != 0 {
		w.a.forget(n, cl, 1)
	}
	return errno
}

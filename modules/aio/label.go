package aio

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/internal/sys"
)

// What a client's security module wants a file to have from the beginning is set before anybody hears of the file by
// us; what cannot have it is removed again. A process of the host may see it without for a moment. A file system that
// has no such attributes makes the file nevertheless, as the kernel does when it labels files itself.

// labels says whether a request that makes a file has something to set.
func (a *Aio) labels(io *fsdev.IO) bool {
	switch io.Type {
	case fsdev.IOSymlink, fsdev.IOMknod, fsdev.IOMkdir, fsdev.IOCreate, fsdev.IOTmpfile:
		return a.o.SecurityLabel && len(io.Security) > 0
	}
	return false
}

// checkLabels refuses what could not be set, before there is a file. Errors: those of hostXattr, E2BIG.
func (a *Aio) checkLabels(io *fsdev.IO) syscall.Errno {
	if !a.labels(io) {
		return 0
	}
	for i := range io.Security {
		if _, errno := a.hostXattr(io.Security[i].Name); errno != 0 {
			return errno
		}
		if len(io.Security[i].Value) > maxXattr {
			return syscall.E2BIG
		}
	}
	return 0
}

// setLabels sets what there is to be set.
func (a *Aio) setLabels(io *fsdev.IO, set func(name string, value []byte) error) syscall.Errno {
	if !a.labels(io) {
		return 0
	}
	for i := range io.Security {
		name, errno := a.hostXattr(io.Security[i].Name)
		if errno == 0 {
			errno = errnoOf(set(name, io.Security[i].Value))
		}
		if errno != 0 && errno != syscall.EOPNOTSUPP {
			return errno
		}
	}
	return 0
}

// labelOpened labels a file that has just been made and is open at fd. On an error it closes fd and removes the file.
func (w *worker) labelOpened(j *job, fd int) syscall.Errno {
	errno := w.a.setLabels(j.io, func(name string, value []byte) error { return unix.Fsetxattr(fd, name, value, 0) })
	if errno != 0 {
		_ = sys.Close(fd)
		w.unmake(j)
	}
	return errno
}

// labelFound labels what has just been made and is the result of a job. On an error it is not, and is removed.
func (w *worker) labelFound(j *job) syscall.Errno {
	if !w.a.labels(j.io) {
		return 0
	}
	n := w.a.get(j.io.OutObject)
	if n == nil {
		return syscall.ENOENT // somebody has forgotten it already, for us
	}
	defer w.a.put(n)
	errno := w.a.hold(n)
	if errno == 0 {
		path := w.path(n)
		errno = w.a.setLabels(j.io, func(name string, value []byte) error { return unix.Setxattr(path, name, value, 0) })
		w.a.unpin(n)
	}
	if errno != 0 {
		w.a.forget(n, w.a.ensureClient(j.io.Desc()), 1)
		w.unmake(j)
	}
	return errno
}

// unmake removes what a request has made.
func (w *worker) unmake(j *job) {
	flags := 0
	switch j.io.Type {
	case fsdev.IOTmpfile:
		return
	case fsdev.IOMkdir:
		flags = unix.AT_REMOVEDIR
	}
	_ = sys.Unlinkat(j.n.fd, cstring(w.name[:], j.io.Name), flags)
}

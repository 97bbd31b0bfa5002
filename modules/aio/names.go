package aio

import (
	"bytes"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/internal/sys"
)

func runReadlink(_ *worker, j *job) syscall.Errno {
	if j.n.typ != unix.S_IFLNK {
		return syscall.EINVAL
	}
	buf := make([]byte, maxTarget+1) // the client has it until the completion has returned
	n, errno := sys.Readlinkat(j.n.fd, empty, buf)
	if errno == 0 {
		j.io.OutTarget = buf[:n]
	}
	return errno
}

func runSymlink(w *worker, j *job) syscall.Errno {
	target := j.io.Name2
	switch {
	case len(target) == 0:
		return syscall.ENOENT
	case len(target) > maxTarget:
		return syscall.ENAMETOOLONG
	case bytes.IndexByte(target, 0) >= 0:
		return syscall.EINVAL
	}
	if errno := w.reserve(1); errno != 0 {
		return errno
	}
	_, errno := w.thread.become(j.io)
	if errno == 0 {
		errno = sys.Symlinkat(cstring(w.name2[:], target), j.n.fd, cstring(w.name[:], j.io.Name))
	}
	return w.made(j, unix.S_IFLNK, errno)
}

func runMkdir(w *worker, j *job) syscall.Errno {
	if errno := w.reserve(1); errno != 0 {
		return errno
	}
	perm, errno := w.thread.become(j.io)
	if errno == 0 {
		errno = sys.Mkdirat(j.n.fd, cstring(w.name[:], j.io.Name), perm)
	}
	return w.made(j, unix.S_IFDIR, errno)
}

func runMknod(w *worker, j *job) syscall.Errno {
	io := j.io
	dev := uint32(0)
	typ := io.Mode & unix.S_IFMT
	switch typ {
	case unix.S_IFREG, unix.S_IFIFO, unix.S_IFSOCK:
	case 0:
		typ = unix.S_IFREG
	case unix.S_IFCHR, unix.S_IFBLK:
		if !w.a.o.Devices {
			return syscall.EPERM
		}
		dev = io.Rdev
	default:
		return syscall.EINVAL
	}
	if errno := w.reserve(1); errno != 0 {
		return errno
	}
	perm, errno := w.thread.become(io)
	if errno == 0 {
		if dev != 0 {
			w.thread.mayMknod()
		}
		errno = sys.Mknodat(j.n.fd, cstring(w.name[:], io.Name), typ|perm, dev)
	}
	return w.made(j, typ, errno)
}

// made ends the making of a file of a type: the thread is itself again, and the file is the result.
func (w *worker) made(j *job, typ uint32, errno syscall.Errno) syscall.Errno {
	w.thread.restore()
	if errno != 0 {
		return errno
	}
	if errno = w.lookupName(j, j.n); errno == 0 {
		return w.labelFound(j)
	}
	if errno != syscall.ENOENT {
		w.undo(j.n, cstring(w.name[:], j.io.Name), typ, nil)
	}
	return errno
}

// runLink makes another name by way of /proc, since AT_EMPTY_PATH wants a privilege. A node whose type is that of a
// symbolic link is not followed by this: the link in /proc leads to the file itself.
func runLink(w *worker, j *job) syscall.Errno {
	if j.n.isDir() {
		if !j.n2.isDir() {
			return syscall.ENOTDIR
		}
		return syscall.EPERM
	}
	if errno := w.reserve(1); errno != 0 {
		return errno
	}
	errno := sys.Linkat(w.a.proc, w.fdName(j.n.fd), j.n2.fd, cstring(w.name[:], j.io.Name), unix.AT_SYMLINK_FOLLOW)
	if errno != 0 {
		return errno
	}
	if errno = w.lookupName(j, j.n2); errno != 0 && errno != syscall.ENOENT {
		w.undo(j.n2, cstring(w.name[:], j.io.Name), j.n.typ, j.n)
	}
	return errno
}

// runUnlink is UNLINK and RMDIR.
func runUnlink(w *worker, j *job) syscall.Errno {
	flags := 0
	if j.io.Type == fsdev.IORmdir {
		flags = unix.AT_REMOVEDIR
	}
	return sys.Unlinkat(j.n.fd, cstring(w.name[:], j.io.Name), flags)
}

func runRename(w *worker, j *job) syscall.Errno {
	io := j.io
	known := uint32(unix.RENAME_NOREPLACE | unix.RENAME_EXCHANGE)
	if w.a.o.Devices {
		known |= unix.RENAME_WHITEOUT
	}
	if io.Flags&^known != 0 {
		return syscall.EINVAL
	}
	return sys.Renameat2(j.n.fd, cstring(w.name[:], io.Name), j.n2.fd, cstring(w.name2[:], io.Name2), io.Flags)
}

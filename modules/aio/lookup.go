package aio

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/internal/sys"
)

const (
	resolve       = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS
	resolveCached = resolve | 0x20 // RESOLVE_CACHED, linux/openat2.h

	statxMask = unix.STATX_BASIC_STATS | unix.STATX_MNT_ID
	statxAt   = unix.AT_EMPTY_PATH | unix.AT_NO_AUTOMOUNT
)

var (
	empty   = &[]byte{0}[0]
	dot     = &[]byte{'.', 0}[0]
	dotDot  = &[]byte{'.', '.', 0}[0]
	pathHow = unix.OpenHow{Flags: unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: resolve}
)

// lookup is LOOKUP on the thread of its channel, if the kernel knows the name.
func (c *channel) lookup(io *fsdev.IO) syscall.Errno {
	a := c.a
	d := a.get(io.Object)
	if d == nil {
		return syscall.ESTALE
	}
	isUp := isDots(io.Name)
	if !isUp {
		if errno := checkName(io.Name); errno != 0 {
			a.put(d)
			return errno
		}
	}
	errno := syscall.EAGAIN
	if !isUp && d.speed != remote && c.pin(d) {
		errno = syscall.EXDEV
		if d.speed == memory && a.pool.hook == nil && a.o.InodeFileHandles == FileHandlesNever {
			errno = c.lookupInline(io, d)
		}
		if errno == syscall.EXDEV {
			errno = c.lookupCached(io, d)
		}
		a.unpin(d)
	}
	// Without a descriptor left, a worker may find one in a cache.
	if errno == syscall.EMFILE && a.o.InodeFileHandles != FileHandlesNever {
		errno = syscall.EAGAIN
	}
	if errno == syscall.EAGAIN || errno == syscall.EINTR {
		j := c.newJob(io, runLookup)
		j.n = d
		a.pool.push(j)
		return errLater
	}
	a.put(d)
	return errno
}

// lookupCached returns EAGAIN if that would wait.
func (c *channel) lookupCached(io *fsdev.IO, d *node) syscall.Errno {
	fd, errno := sys.Openat2(d.fd, cstring(c.name[:], io.Name), &c.how)
	if errno != 0 {
		return errno
	}
	if errno := sys.Statx(fd, empty, statxAt|unix.AT_STATX_DONT_SYNC, statxMask, &c.stx); errno != 0 {
		_ = sys.Close(fd)
		return errno
	}
	sp, ok := c.a.speedOf(&c.stx)
	if !ok || sp == remote {
		_ = sys.Close(fd)
		return syscall.EAGAIN
	}
	errno = c.a.found(io, c.clientOf(io.Desc()), fd, &c.stx, sp, false)
	io.OutAttr.Submount = errno == 0 && c.a.isSubmount(d, &c.stx)
	return errno
}

// isSubmount says whether what was found in a directory is the root of another file system, to be announced.
func (a *Aio) isSubmount(d *node, st *unix.Statx_t) bool {
	return a.o.AnnounceSubmounts && st.Mode&unix.S_IFMT == unix.S_IFDIR &&
		(st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0 || keyOf(st).dev != d.key.dev) // btrfs has such without a mount
}

// pin is node.pin, which opens the file if it can do so without waiting.
func (c *channel) pin(n *node) bool { return n.pin() || n.speed == memory && c.a.hold(n) == 0 }

// found makes the file that fd stands for the result of a request. It takes fd. Errors: those of adopt.
func (a *Aio) found(io *fsdev.IO, cl *client, fd int, st *unix.Statx_t, sp speed, mayWait bool) syscall.Errno {
	n, left, errno := a.adopt(fd, st, sp, mayWait)
	if left >= 0 {
		_ = sys.Close(left) // the node has another one of the same file, so that this has nothing to do
	}
	if errno != 0 {
		return errno
	}
	a.addLookup(n, cl)
	io.OutObject = n.obj
	fillAttr(&io.OutAttr, st)
	a.put(n)
	return 0
}

// runLookup is LOOKUP where it may wait.
func runLookup(w *worker, j *job) syscall.Errno {
	io := j.io
	if isDots(io.Name) {
		return w.lookupDots(j, len(io.Name) == 2)
	}
	return w.lookupName(j, j.n)
}

// lookupName looks the name of a request up in d.
func (w *worker) lookupName(j *job, d *node) syscall.Errno {
	fd, errno := w.openPath(d, cstring(w.name[:], j.io.Name))
	if errno != 0 {
		return errno
	}
	errno = w.found(j, fd)
	j.io.OutAttr.Submount = errno == 0 && w.a.isSubmount(d, &w.stx)
	return errno
}

// openPath opens a name in a directory, whatever it is, to have a node made of it.
func (w *worker) openPath(d *node, name *byte) (fd int, errno syscall.Errno) {
	for range 100 {
		// EAGAIN comes from renames that are under way.
		fd, errno = sys.Openat2(d.fd, name, w.how)
		if errno != syscall.EINTR && errno != syscall.EAGAIN && !w.room(errno) {
			break
		}
	}
	if errno == syscall.EAGAIN {
		errno = syscall.EIO
	}
	return fd, errno
}

// found makes the file that fd, which it takes, stands for the result of a job.
func (w *worker) found(j *job, fd int) syscall.Errno {
	if errno := sys.Statx(fd, empty, statxAt, statxMask, &w.stx); errno != 0 {
		_ = sys.Close(fd)
		return errno
	}
	return w.a.found(j.io, w.a.ensureClient(j.io.Desc()), fd, &w.stx, w.a.learnSpeed(fd, &w.stx), true)
}

// lookupDots looks up "." or "..", which clients that export the file system do.
func (w *worker) lookupDots(j *job, up bool) syscall.Errno {
	n := j.n
	if !n.isDir() {
		return syscall.ENOTDIR
	}
	if up && n != w.a.root {
		fd, errno := sys.Openat(n.fd, dotDot, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if errno != 0 {
			return errno
		}
		if errno := w.isBelowRoot(fd); errno != 0 {
			_ = sys.Close(fd)
			return errno
		}
		return w.found(j, fd)
	}
	if errno := sys.Statx(n.fd, empty, statxAt, statxMask, &w.stx); errno != 0 {
		return errno
	}
	w.a.addLookup(n, w.a.ensureClient(j.io.Desc()))
	j.io.OutObject = n.obj
	fillAttr(&j.io.OutAttr, &w.stx)
	return 0
}

// maxDepth ends the search for the root.
const maxDepth = 1 << 12

// isBelowRoot says whether a directory is the root or below it: the way up from it leads there. Errors: ESTALE (it
// does not; the host has moved the directory out).
func (w *worker) isBelowRoot(fd int) syscall.Errno {
	at, last := fd, nodeKey{}
	defer func() {
		if at != fd {
			_ = sys.Close(at)
		}
	}()
	for range maxDepth {
		if errno := sys.Statx(at, empty, statxAt, statxMask, &w.stx); errno != 0 {
			return errno
		}
		key := keyOf(&w.stx)
		if key == w.a.root.key {
			return 0
		}
		if key == last { // the root of the system
			return syscall.ESTALE
		}
		last = key
		up, errno := sys.Openat(at, dotDot, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if errno != 0 {
			return errno
		}
		if at != fd {
			_ = sys.Close(at)
		}
		at = up
	}
	return syscall.ELOOP
}

// fillAttr turns the host's attributes into ours.
func fillAttr(a *fsdev.Attr, st *unix.Statx_t) {
	*a = fsdev.Attr{
		Ino:       st.Ino,
		Size:      st.Size,
		Blocks:    st.Blocks,
		Atime:     uint64(st.Atime.Sec),
		Mtime:     uint64(st.Mtime.Sec),
		Ctime:     uint64(st.Ctime.Sec),
		AtimeNsec: st.Atime.Nsec,
		MtimeNsec: st.Mtime.Nsec,
		CtimeNsec: st.Ctime.Nsec,
		Mode:      uint32(st.Mode),
		Nlink:     st.Nlink,
		UID:       st.Uid,
		GID:       st.Gid,
		Rdev:      uint32(unix.Mkdev(st.Rdev_major, st.Rdev_minor)),
		Blksize:   st.Blksize,
	}
}

func runUmount(w *worker, j *job) syscall.Errno {
	w.a.umount(j.io.Desc(), &w.locks)
	return 0
}

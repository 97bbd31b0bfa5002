package aio

import (
	"math"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/internal/sys"
)

// getattr is GETATTR on the thread of its channel, unless it has to wait.
func (c *channel) getattr(io *fsdev.IO) syscall.Errno {
	n := c.a.get(io.Object)
	if n == nil {
		return syscall.ESTALE
	}
	if n.speed == remote {
		c.a.put(n)
		return c.exec(io)
	}
	var errno syscall.Errno
	if io.Handle != 0 {
		var h *handle
		if h, errno = c.a.handleOf(io.Desc(), io.Object, io.Handle); errno == 0 {
			c.a.putHandle(h)
		}
	}
	if errno == 0 && !c.pin(n) {
		c.a.put(n)
		return c.exec(io)
	}
	if errno == 0 {
		if errno = sys.Fstat(n.fd, &c.st); errno == 0 {
			fillAttrOld(&io.OutAttr, &c.st)
		}
		c.a.unpin(n)
	}
	c.a.put(n)
	return errno
}

// fillAttrOld is fillAttr of what fstat(2) says, which is faster than statx(2).
func fillAttrOld(a *fsdev.Attr, st *unix.Stat_t) {
	*a = fsdev.Attr{
		Ino:       st.Ino,
		Size:      uint64(st.Size),
		Blocks:    uint64(st.Blocks),
		Atime:     uint64(st.Atim.Sec),
		Mtime:     uint64(st.Mtim.Sec),
		Ctime:     uint64(st.Ctim.Sec),
		AtimeNsec: uint32(st.Atim.Nsec),
		MtimeNsec: uint32(st.Mtim.Nsec),
		CtimeNsec: uint32(st.Ctim.Nsec),
		Mode:      st.Mode,
		Nlink:     uint32(st.Nlink),
		UID:       st.Uid,
		GID:       st.Gid,
		Rdev:      uint32(st.Rdev),
		Blksize:   uint32(st.Blksize),
	}
}

// statNode asks for the attributes of a node that the job is not about.
func (w *worker) statNode(n *node) syscall.Errno {
	if errno := w.a.hold(n); errno != 0 {
		return errno
	}
	defer w.a.unpin(n)
	return sys.Statx(n.fd, empty, statxAt, statxMask, &w.stx)
}

func runGetattr(w *worker, j *job) syscall.Errno {
	errno := sys.Statx(j.n.fd, empty, statxAt, statxMask, &w.stx)
	if errno == 0 {
		fillAttr(&j.io.OutAttr, &w.stx)
	}
	return errno
}

// statx is STATX.
func statx(n *node, io *fsdev.IO, st *unix.Statx_t) syscall.Errno {
	const known = unix.AT_STATX_FORCE_SYNC | unix.AT_STATX_DONT_SYNC
	if io.Flags&^known != 0 {
		return syscall.EINVAL
	}
	if errno := sys.Statx(n.fd, empty, statxAt|int(io.Flags), io.Mode, st); errno != 0 {
		return errno
	}
	out := &io.OutStatx
	*out = fsdev.Statx{
		Mask:           st.Mask & (unix.STATX_BASIC_STATS | unix.STATX_BTIME),
		Attributes:     st.Attributes & st.Attributes_mask,
		AttributesMask: st.Attributes_mask,
		Btime:          uint64(st.Btime.Sec),
		BtimeNsec:      st.Btime.Nsec,
	}
	fillAttr(&out.Attr, st)
	return 0
}

func runStatx(w *worker, j *job) syscall.Errno { return statx(j.n, j.io, &w.stx) }

// fdName returns the name of a descriptor in /proc/self/fd.
func (w *worker) fdName(fd int) *byte {
	w.num[len(strconv.AppendInt(w.num[:0], int64(fd), 10))] = 0
	return &w.num[0]
}

// reopen opens what a node stands for: it is a regular file or a directory, and nothing else can be in its place.
func (w *worker) reopen(n *node, flags uint32) (fd int, errno syscall.Errno) {
	if n.typ != unix.S_IFREG && n.typ != unix.S_IFDIR {
		return -1, syscall.ENXIO
	}
	if errno = w.a.hold(n); errno != 0 {
		return -1, errno
	}
	defer w.a.unpin(n)
	for {
		fd, errno = sys.Openat(w.a.proc, w.fdName(n.fd), flags|unix.O_CLOEXEC|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
		if errno != syscall.EINTR && !w.room(errno) {
			return fd, errno
		}
	}
}

// runSetattr looks for what stands in the way of any of it first, since it cannot undo a part. Then it sets the size,
// which changes the times, then the owner, which changes the mode.
func runSetattr(w *worker, j *job) syscall.Errno {
	io := j.io
	set, mask := &io.Attr, io.Flags
	if errno := w.maySetattr(j.n, set, mask); errno != 0 {
		return errno
	}
	if mask&fsdev.SetAttrSize != 0 {
		if errno := w.truncateAs(j, set.Size); errno != 0 {
			return errno
		}
	}
	if mask&(fsdev.SetAttrUID|fsdev.SetAttrGID) != 0 {
		uid, gid := uint32(math.MaxUint32), uint32(math.MaxUint32)
		if mask&fsdev.SetAttrUID != 0 {
			uid = set.UID
		}
		if mask&fsdev.SetAttrGID != 0 {
			gid = set.GID
		}
		if errno := sys.Fchownat(j.n.fd, empty, uid, gid, unix.AT_EMPTY_PATH); errno != 0 {
			return errno
		}
	}
	if mask&fsdev.SetAttrMode != 0 {
		if errno := sys.Fchmodat(w.a.proc, w.fdName(j.n.fd), set.Mode&0o7777); errno != 0 {
			return errno
		}
		if setIDs(set.Mode) != 0 {
			j.n.gainsPrivileges()
		}
	}
	if times, any := timesOf(set, mask); any {
		if errno := sys.Utimensat(j.n.fd, empty, &times, unix.AT_EMPTY_PATH); errno != 0 {
			return errno
		}
	}
	return runGetattr(w, j)
}

// truncate sets the size, by the handle if it can.
func (w *worker) truncate(j *job, size uint64) syscall.Errno {
	if j.h != nil && j.h.flags&unix.O_ACCMODE != unix.O_RDONLY {
		return ftruncate(j.h.fd, size)
	}
	fd, errno := w.reopen(j.n, unix.O_WRONLY)
	if errno != 0 {
		return errno
	}
	errno = ftruncate(fd, size)
	_ = sys.Close(fd)
	return errno
}

func ftruncate(fd int, size uint64) syscall.Errno {
	for {
		if errno := errnoOf(unix.Ftruncate(fd, int64(size))); errno != syscall.EINTR {
			return errno
		}
	}
}

// timesOf returns what to pass to utimensat(2), and whether there is any need to.
func timesOf(set *fsdev.Attr, mask uint32) (times [2]unix.Timespec, any bool) {
	const atimes = fsdev.SetAttrAtime | fsdev.SetAttrAtimeNow
	const mtimes = fsdev.SetAttrMtime | fsdev.SetAttrMtimeNow
	times[0] = timeOf(set.Atime, set.AtimeNsec, mask&atimes != 0, mask&fsdev.SetAttrAtimeNow != 0)
	times[1] = timeOf(set.Mtime, set.MtimeNsec, mask&mtimes != 0, mask&fsdev.SetAttrMtimeNow != 0)
	return times, mask&(atimes|mtimes) != 0
}

func timeOf(sec uint64, nsec uint32, set, now bool) (ts unix.Timespec) {
	switch {
	case !set:
		ts.Nsec = unix.UTIME_OMIT
	case now:
		ts.Nsec = unix.UTIME_NOW
	default:
		ts.Sec, ts.Nsec = int64(sec), int64(min(nsec, 999_999_999))
	}
	return ts
}

// errnoOf turns the error of a system call into its number.
func errnoOf(err error) syscall.Errno {
	if err == nil {
		return 0
	}
	if errno, ok := err.(syscall.Errno); ok {
		return errno
	}
	return syscall.EIO
}

func runStatfs(w *worker, j *job) syscall.Errno {
	var st unix.Statfs_t
	if errno := errnoOf(unix.Fstatfs(j.n.fd, &st)); errno != 0 {
		return errno
	}
	j.io.OutStatfs = fsdev.Statfs{
		Blocks:  st.Blocks,
		Bfree:   st.Bfree,
		Bavail:  st.Bavail,
		Files:   st.Files,
		Ffree:   st.Ffree,
		Bsize:   uint32(st.Bsize),
		Frsize:  uint32(st.Frsize),
		Namelen: uint32(st.Namelen),
	}
	return 0
}

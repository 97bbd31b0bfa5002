package aio

import (
	"math"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/internal/sys"
)

// data is READ and WRITE: what the page cache has, or takes, is moved here, and the rest is a job.
func (c *channel) data(io *fsdev.IO) syscall.Errno {
	if c.a.withoutHandle(io) {
		return c.nodeData(io)
	}
	h, errno := c.a.handleOf(io.Desc(), io.Object, io.Handle)
	if errno != 0 {
		return errno
	}
	return c.dataBy(io, h)
}

// dataBy is data by a handle, whose reference it takes.
func (c *channel) dataBy(io *fsdev.IO, h *handle) (errno syscall.Errno) {
	moved, kills := 0, false
	switch {
	case h.dir != nil:
		errno = syscall.EBADF
	case io.Offset > math.MaxInt64:
		errno = syscall.EINVAL
	case c.a.o.SkipRW && !(io.Type == fsdev.IOWrite && c.a.o.ReadOnly):
		moved = int(io.Size)
	case io.Type == fsdev.IORead:
		moved, errno = c.readNow(h, io)
	case c.a.o.ReadOnly:
		errno = syscall.EROFS
	case io.Flags&fsdev.FlagKillSuidgid != 0 && !c.keepsPrivileges(h):
		kills, errno = true, errLater
	default:
		moved, errno = c.writeNow(h, io)
	}
	if errno != errLater {
		io.OutSize = uint64(moved)
		c.a.putHandle(h)
		return errno
	}
	run := runRead
	switch {
	case kills:
		run = runKillWrite
	case io.Type == fsdev.IOWrite:
		run = runWrite
	}
	j := c.newJob(io, run)
	j.h, j.moved = h, moved
	switch {
	case kills, !h.isAligned(io):
		c.a.pool.push(j) // the ring cannot do that
	case io.Type == fsdev.IOWrite && c.startWrite(j):
	default:
		c.start(j, &operations[io.Type])
	}
	return errLater
}

// errNoWaitless is errLater, and says that there is no use in trying again. It never leaves the package.
const errNoWaitless = syscall.Errno(0xfffc)

// readNow reads what it can without waiting. errLater says that there is more to read.
func (c *channel) readNow(h *handle, io *fsdev.IO) (moved int, errno syscall.Errno) {
	return c.moveNow(h, io, &h.slowReads, 0, false)
}

// writeNow is readNow for WRITE.
func (c *channel) writeNow(h *handle, io *fsdev.IO) (moved int, errno syscall.Errno) {
	return c.moveNow(h, io, &h.slowWrites, appends(h, io), true)
}

func (c *channel) moveNow(h *handle, io *fsdev.IO, slow *atomic.Bool, flags uint32, write bool) (int, syscall.Errno) {
	if h.node.speed == remote || slow.Load() {
		return 0, errLater
	}
	if h.node.speed == disk {
		flags |= unix.RWF_NOWAIT
	}
	moved, errno := moveAll(h.fd, io, c.iovs[:], 0, flags, write)
	if errno == errNoWaitless {
		slow.Store(true)
		errno = errLater
	}
	return moved, errno
}

// appends returns RWF_APPEND if a WRITE goes to the end of the file. A client that caches writes has resolved O_APPEND
// itself. Otherwise the flags of the write say what the file's flags are now; a client that passes none at all means
// those of its open.
func appends(h *handle, io *fsdev.IO) uint32 {
	flags := io.Flags &^ fsdev.FlagKillSuidgid
	if flags == 0 {
		flags = h.flags
	}
	if flags&unix.O_APPEND == 0 || h.client.writeback.Load() {
		return 0
	}
	return unix.RWF_APPEND
}

// moveAll reads or writes the data of a request from byte moved of it on, until all is moved, the file ends, or an
// error; a write that can be done in part is. With RWF_NOWAIT it returns errLater or errNoWaitless if there is
// more to do.
func moveAll(fd int, io *fsdev.IO, iovs []unix.Iovec, moved int, flags uint32, write bool) (int, syscall.Errno) {
	size := int(io.Size)
	if room := math.MaxInt64 - io.Offset; uint64(size) > room {
		if write && room == 0 {
			return 0, syscall.EFBIG
		}
		size = int(room) // the end of the longest file
	}
	for {
		n := segments(iovs, io.Iovs, moved, size-moved)
		off := int64(io.Offset) + int64(moved)
		var k int
		var errno syscall.Errno
		if write {
			k, errno = sys.Pwritev2(fd, iovs[:n], off, flags)
		} else {
			k, errno = sys.Preadv2(fd, iovs[:n], off, flags)
		}
		switch {
		case errno == 0:
			moved += k
			if k == 0 || moved == size {
				return moved, 0
			}
		case errno == syscall.EINTR:
		case flags&unix.RWF_NOWAIT != 0 && errno == syscall.EAGAIN:
			return moved, errLater
		case flags&unix.RWF_NOWAIT != 0 && errno == syscall.EOPNOTSUPP:
			return moved, errNoWaitless
		case moved > 0 && write:
			return moved, 0 // who writes the rest hears of the error; a short read would be the end of the file
		default:
			return 0, errno
		}
	}
}

// segments makes an array of what follows the first skip bytes of bufs, size bytes or as much as there is room for, and
// returns how many elements it has.
func segments(iovs []unix.Iovec, bufs [][]byte, skip, size int) (n int) {
	for _, b := range bufs {
		if size == 0 || n == len(iovs) {
			break
		}
		if skip >= len(b) {
			skip -= len(b)
			continue
		}
		b = b[skip:min(len(b), skip+size)]
		skip = 0
		size -= len(b)
		iovs[n].Base = &b[0]
		iovs[n].SetLen(len(b))
		n++
	}
	return n
}

func (w *worker) move(j *job, flags uint32, write bool) (int, syscall.Errno) {
	if !j.h.isAligned(j.io) {
		return w.moveBounced(j, flags, write)
	}
	return moveAll(j.h.fd, j.io, w.iovs[:], j.moved, flags, write)
}

func runRead(w *worker, j *job) syscall.Errno {
	n, errno := w.move(j, 0, false)
	j.io.OutSize = uint64(n)
	return errno
}

func runWrite(w *worker, j *job) syscall.Errno {
	n, errno := w.move(j, appends(j.h, j.io), true)
	j.io.OutSize = uint64(n)
	return errno
}

// runFsync is FSYNC and FSYNCDIR.
func runFsync(w *worker, j *job) syscall.Errno {
	fd, errno := w.fdOf(j)
	if errno != 0 {
		return errno
	}
	if j.io.Datasync {
		errno = errnoOf(unix.Fdatasync(fd))
	} else {
		errno = errnoOf(unix.Fsync(fd))
	}
	w.doneWith(j, fd)
	return errno
}

// fdOf returns a descriptor of what a job is about that can be used: that of its handle, or one for doneWith to close.
func (w *worker) fdOf(j *job) (fd int, errno syscall.Errno) {
	if j.h != nil {
		return j.h.fd, 0
	}
	fd, errno = w.reopen(j.n, unix.O_RDONLY)
	if errno == syscall.ENXIO {
		errno = syscall.EINVAL
	}
	return fd, errno
}

func (w *worker) doneWith(j *job, fd int) {
	if j.h == nil {
		_ = sys.Close(fd)
	}
}

// runSyncfs syncs the file system of a node, or that of the root for a node that cannot be opened.
func runSyncfs(w *worker, j *job) syscall.Errno {
	fd, errno := w.reopen(j.n, unix.O_RDONLY)
	if errno != 0 {
		if fd, errno = w.reopen(w.a.root, unix.O_RDONLY); errno != 0 {
			return errno
		}
	}
	errno = errnoOf(unix.Syncfs(fd))
	_ = sys.Close(fd)
	return errno
}

// runFlush closes the file once more, which on a remote file system says whether writes have failed.
func runFlush(_ *worker, j *job) syscall.Errno {
	if j.h == nil {
		return 0
	}
	fd, err := unix.FcntlInt(uintptr(j.h.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return errnoOf(err)
	}
	return sys.Close(fd)
}

func runFallocate(_ *worker, j *job) syscall.Errno {
	return errnoOf(unix.Fallocate(j.h.fd, j.io.Mode&^fsdev.FlagKillSuidgid, int64(j.io.Offset), int64(j.io.Length)))
}

func runLseek(_ *worker, j *job) syscall.Errno {
	whence := int(j.io.Flags)
	if whence != unix.SEEK_DATA && whence != unix.SEEK_HOLE {
		return syscall.EINVAL
	}
	off, err := unix.Seek(j.h.fd, int64(j.io.Offset), whence)
	if err == nil {
		j.io.OutSize = uint64(off)
	}
	return errnoOf(err)
}

// maxCopy bounds what one COPY_FILE_RANGE keeps a worker busy with.
const maxCopy = 16 << 20

func runCopy(_ *worker, j *job) syscall.Errno {
	io := j.io
	if io.Flags&^fsdev.FlagKillSuidgid != 0 || io.Offset > math.MaxInt64 || io.Offset2 > math.MaxInt64 {
		return syscall.EINVAL
	}
	from, to := int64(io.Offset), int64(io.Offset2)
	for {
		n, err := unix.CopyFileRange(j.h.fd, &from, j.h2.fd, &to, int(min(io.Length, maxCopy)), 0)
		if err == unix.EINTR {
			continue
		}
		if err == nil {
			io.OutSize = uint64(n)
		}
		return errnoOf(err)
	}
}

package aio

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/internal/sys"
)

// What a client has opened with O_DIRECT is so for the host, too, with [Opts].DirectIO. Offsets and lengths are the
// client's to align: EINVAL. Where its data lie in memory is not: the payload of a request follows its header, at an
// address that no disk takes, so that such data go through memory of a worker. The rest is for the ring: RWF_NOWAIT
// does not keep such a transfer from waiting for the disk.

// isDirect says whether an open with those flags goes around the host's cache. A client that caches writes sends them
// by the page, and the last one of a file by the byte, by any handle.
func (a *Aio) isDirect(cl *client, flags uint32) bool {
	return a.o.DirectIO && flags&unix.O_DIRECT != 0 && !cl.writeback.Load()
}

// unknownAlign is for file systems that do not say what they want.
const unknownAlign = 4096

// setDirect prepares a handle for transfers around the cache.
func (h *handle) setDirect() {
	h.align = 1
	if h.node.speed == memory {
		return
	}
	var st unix.Statx_t
	if errno := sys.Statx(h.fd, empty, statxAt, unix.STATX_DIOALIGN, &st); errno == 0 && st.Dio_mem_align > 0 {
		h.align = st.Dio_mem_align
	} else {
		h.align = unknownAlign
	}
	h.slowReads.Store(true)
	h.slowWrites.Store(true)
}

// isAligned says whether a handle can move the data of a request from and to where they are.
func (h *handle) isAligned(io *fsdev.IO) bool {
	if h.align <= 1 {
		return true
	}
	mask := uintptr(h.align) - 1
	size := int(io.Size)
	for _, b := range io.Iovs {
		b = b[:min(len(b), size)]
		size -= len(b)
		// The last one may end anywhere: that is the length of it all.
		if sys.Addr(b)&mask != 0 || size > 0 && uintptr(len(b))&mask != 0 {
			return false
		}
		if size == 0 {
			break
		}
	}
	return true
}

// bounceSize is how much goes through a worker's memory at a time: a multiple of all alignments.
const bounceSize = 1 << 20

// bounceBuffer returns memory that any disk takes.
func (w *worker) bounceBuffer() ([]byte, syscall.Errno) {
	if w.bounce == nil {
		b, err := sys.MapAnon(bounceSize)
		if err != nil {
			return nil, errnoOf(err)
		}
		w.bounce = b
	}
	return w.bounce, 0
}

// freeBounce gives that memory back. The worker ends.
func (w *worker) freeBounce() {
	if w.bounce != nil {
		_ = sys.Unmap(w.bounce)
		w.bounce = nil
	}
}

// moveBounced moves the data of a request through the worker's memory.
func (w *worker) moveBounced(j *job, flags uint32, write bool) (moved int, errno syscall.Errno) {
	buf, errno := w.bounceBuffer()
	if errno != 0 {
		return 0, errno
	}
	io := j.io
	for size := int(io.Size); moved < size; {
		part := buf[:min(size-moved, bounceSize)]
		if write {
			copyIovs(part, io.Iovs, moved, false)
		}
		n, errno := moveDirect(j.h.fd, part, int64(io.Offset)+int64(moved), flags, write)
		if !write {
			copyIovs(part[:n], io.Iovs, moved, true)
		}
		moved += n
		switch {
		case errno == 0 && n == len(part):
		case errno == 0, moved > 0 && write:
			return moved, 0 // see moveAll
		default:
			return 0, errno
		}
	}
	return moved, 0
}

// moveDirect moves part, or, at the end of the file, what there is.
func moveDirect(fd int, part []byte, off int64, flags uint32, write bool) (moved int, errno syscall.Errno) {
	var iov [1]unix.Iovec
	for moved < len(part) {
		iov[0].Base = &part[moved]
		iov[0].SetLen(len(part) - moved)
		n := 0
		if write {
			n, errno = sys.Pwritev2(fd, iov[:], off+int64(moved), flags)
		} else {
			n, errno = sys.Preadv2(fd, iov[:], off+int64(moved), flags)
		}
		switch {
		case errno == syscall.EINTR:
		case errno == syscall.EINVAL && moved > 0 && !write:
			return moved, 0 // the file ends between two blocks
		case errno != 0:
			return moved, errno
		case n == 0:
			return moved, 0
		}
		moved += n
	}
	return moved, 0
}

// copyIovs copies between part and what follows the first skip bytes of iovs.
func copyIovs(part []byte, iovs [][]byte, skip int, toIovs bool) {
	for _, b := range iovs {
		if skip >= len(b) {
			skip -= len(b)
			continue
		}
		n := 0
		if toIovs {
			n = copy(b[skip:], part)
		} else {
			n = copy(part, b[skip:])
		}
		skip = 0
		if part = part[n:]; len(part) == 0 {
			return
		}
	}
}

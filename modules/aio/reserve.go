package aio

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/internal/sys"
)

// maxSpares is how many descriptors a new file takes until its client has it: an open one and one of its node.
const maxSpares = 2

// reserve makes sure that there are n descriptors for what the job is about to make, so that it is not made in vain.
// The worker keeps them until room gives them up. Errors: EMFILE, ENFILE (nothing has been done).
func (w *worker) reserve(n int) syscall.Errno {
	for len(w.spares) < n {
		fd, err := unix.FcntlInt(uintptr(w.a.proc), unix.F_DUPFD_CLOEXEC, 0)
		if errno := errnoOf(err); errno != 0 {
			if w.room(errno) {
				continue
			}
			return errno
		}
		w.spares = append(w.spares, fd)
	}
	w.reserved = true
	return 0
}

// unreserve closes what reserve has got.
func (w *worker) unreserve() {
	for _, fd := range w.spares {
		_ = sys.Close(fd)
	}
	w.spares = w.spares[:0]
}

// room says whether a call that failed may succeed now, because it found no descriptor free and there is one. Somebody
// else may be faster to take it.
func (w *worker) room(errno syscall.Errno) bool {
	if errno != syscall.EMFILE && errno != syscall.ENFILE {
		return false
	}
	if w.a.shed() {
		return true
	}
	if n := len(w.spares); w.reserved && n > 0 {
		_ = sys.Close(w.spares[n-1])
		w.spares = w.spares[:n-1]
		return true
	}
	return false
}

// undo removes what a job has made and its client does not get, for an error, unless somebody else has found it and
// done something with it. of is the file that a link is to, nil for what is new.
func (w *worker) undo(d *node, name *byte, typ uint32, of *node) {
	const flags = unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT
	if sys.Statx(d.fd, name, flags, statxMask, &w.stx) != 0 || uint32(w.stx.Mode)&unix.S_IFMT != typ {
		return
	}
	remove := 0
	switch {
	case of != nil:
		if keyOf(&w.stx) != of.key {
			return
		}
	case typ == unix.S_IFDIR:
		remove = unix.AT_REMOVEDIR // if it is empty
	case w.stx.Nlink > 1 || typ == unix.S_IFREG && w.stx.Size > 0:
		return
	}
	_ = sys.Unlinkat(d.fd, name, remove)
}

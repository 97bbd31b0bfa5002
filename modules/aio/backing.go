package aio

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/internal/sys"
)

var _ fsdev.Backer = (*Aio)(nil)

// Backing implements [fsdev.Backer]. The handle stays open meanwhile, whatever the client does, so that the number of
// its descriptor cannot become another file's. A program with set-ID bits is not lent: it is the client who writes that
// decides whether they stay, and a kernel that writes by itself does not ask who that is.
//
// Not in SPDK.
func (a *Aio) Backing(desc *fsdev.Desc, obj fsdev.FileObject, id fsdev.FileHandle, use fsdev.BackingFunc,
	ctx any) syscall.Errno {
	h, errno := a.handleOf(desc, obj, id)
	if errno != 0 {
		return errno
	}
	switch {
	case h.dir != nil:
		errno = syscall.EBADF
	case a.o.SkipRW:
		errno = syscall.EOPNOTSUPP // the kernel would not skip anything
	case h.hasSetIDs():
		errno = syscall.EOPNOTSUPP
	default:
		errno = use(ctx, h.fd)
	}
	a.putHandle(h)
	return errno
}

// hasSetIDs says whether a file has set-ID bits, if that can be found out without waiting.
func (h *handle) hasSetIDs() bool {
	if h.node.speed == remote {
		return false
	}
	var st unix.Stat_t
	return sys.Fstat(h.fd, &st) == 0 && st.Mode&(unix.S_ISUID|unix.S_ISGID) != 0
}

package aio

import (
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
)

var _ fsdev.Backer = (*Aio)(nil)

// Backing implements [fsdev.Backer]. The handle stays open meanwhile, whatever the client does, so that the number of
// its descriptor cannot become another file's.
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
	default:
		errno = use(ctx, h.fd)
	}
	a.putHandle(h)
	return errno
}

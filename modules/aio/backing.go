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
	errno = syscall.EBADF
	if h.dir == nil {
		errno = use(ctx, h.fd)
	}
	a.putHandle(h)
	return errno
}

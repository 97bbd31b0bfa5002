package memfs

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
)

// statx is STATX. It tells all there is whatever mask asks for: nothing of it is dear.
// Errors: errBusy, ESTALE, EINVAL (flags that contradict each other, a mask of the future).
func (l *lane) statx(n *inode, flags, mask uint32, out *fsdev.Statx) syscall.Errno {
	const bothWays = unix.AT_STATX_FORCE_SYNC | unix.AT_STATX_DONT_SYNC
	if flags&bothWays == bothWays || mask&unix.STATX__RESERVED != 0 {
		return syscall.EINVAL
	}
	if errno := n.lk.rlock(l.insist); errno != 0 {
		return errno
	}
	*out = fsdev.Statx{
		Mask:      unix.STATX_BASIC_STATS | unix.STATX_BTIME,
		Btime:     uint64(n.born / 1e9),
		BtimeNsec: uint32(n.born % 1e9),
	}
	n.fillAttr(&out.Attr)
	l.runlock(n)
	return 0
}

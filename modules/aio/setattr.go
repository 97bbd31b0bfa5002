package aio

import (
	"math"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/internal/sys"
)

// The parts of a SETATTR, each of which is a call.
const (
	setsOwner = fsdev.SetAttrUID | fsdev.SetAttrGID
	setsTimes = fsdev.SetAttrAtime | fsdev.SetAttrMtime // by a client's clock
	setsNow   = fsdev.SetAttrAtimeNow | fsdev.SetAttrMtimeNow
)

// maySetattr returns what one of the parts of a SETATTR will fail with, as far as that can be known before any of them.
// A request with one part is left to its call, if it knows better.
func (w *worker) maySetattr(n *node, set *fsdev.Attr, mask uint32) syscall.Errno {
	if mask&fsdev.SetAttrSize != 0 {
		switch {
		case n.isDir():
			return syscall.EISDIR
		case n.typ != unix.S_IFREG:
			return syscall.EINVAL
		case set.Size > math.MaxInt64:
			return syscall.EFBIG
		}
	}
	if mask&fsdev.SetAttrMode != 0 && n.typ == unix.S_IFLNK {
		return syscall.EOPNOTSUPP
	}
	parts := 0
	for _, part := range [...]uint32{fsdev.SetAttrSize, setsOwner, fsdev.SetAttrMode, setsTimes | setsNow} {
		if mask&part != 0 {
			parts++
		}
	}
	if parts < 2 {
		return 0
	}
	if errno := sys.Statx(n.fd, empty, statxAt, statxMask, &w.stx); errno != 0 {
		return errno
	}
	return allowed(&w.stx, set, mask, &rights{w.a.creds.uid, w.a.creds.gid, w.thread.caps[0].Effective})
}

// rights are those of who changes attributes.
type rights struct {
	uid, gid int
	caps     uint32
}

// allowed says what the kernel would, but for the rights to write and to give a file to a supplementary group of the
// process's.
func allowed(st *unix.Statx_t, set *fsdev.Attr, mask uint32, who *rights) syscall.Errno {
	if mask&(setsOwner|fsdev.SetAttrMode|setsTimes) != 0 &&
		st.Attributes&(unix.STATX_ATTR_IMMUTABLE|unix.STATX_ATTR_APPEND) != 0 {
		return syscall.EPERM
	}
	if st.Attributes&unix.STATX_ATTR_IMMUTABLE != 0 {
		return syscall.EPERM // now as well, and the size
	}
	owns := st.Uid == uint32(who.uid)
	if who.caps&(1<<unix.CAP_CHOWN) == 0 {
		if mask&fsdev.SetAttrUID != 0 && (!owns || set.UID != st.Uid) {
			return syscall.EPERM
		}
		if mask&fsdev.SetAttrGID != 0 && !owns {
			return syscall.EPERM
		}
	}
	if mask&(fsdev.SetAttrMode|setsTimes) != 0 && !owns && who.caps&(1<<unix.CAP_FOWNER) == 0 {
		return syscall.EPERM
	}
	return 0
}

package fusedispatcher

import (
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
	"github.com/spdk-go/spdk-go/iochannel"
)

const statxOutSize = 288

// doStatx asks for what GETATTR has no room for, above all the time of birth. A module that has
// no more than GETATTR says ENOSYS, and the client's kernel, which asks with STATX only then,
// goes back to GETATTR for good.
func doStatx(r *request) {
	in := args[StatxIn](r)
	var fh fsdev.FileHandle
	if in.GetattrFlags&FUSE_GETATTR_FH != 0 {
		fh = fsdev.FileHandle(in.Fh)
	}
	r.started(r.sess.desc.Statx(r.c.fsdevCh, r.seq, r.object(), fh, in.SxFlags, in.SxMask, statxDone, r))
}

func statxDone(ctx any, _ *iochannel.Channel, errno syscall.Errno, st *fsdev.Statx) {
	r := ctx.(*request)
	if errno != 0 {
		r.fail(errno)
		return
	}
	a := &st.Attr
	valid := r.sess.validity(a)
	out := payload[StatxOut](r, 0)
	out.AttrValid, out.AttrValidNsec = valid.sec, valid.nsec
	out.Stat = Statx{
		Mask:           st.Mask,
		Blksize:        a.Blksize,
		Attributes:     st.Attributes,
		AttributesMask: st.AttributesMask,
		Nlink:          a.Nlink, UID: a.UID, GID: a.GID, Mode: uint16(a.Mode),
		Ino: a.Ino, Size: a.Size, Blocks: a.Blocks,
		Atime: SxTime{TvSec: int64(a.Atime), TvNsec: a.AtimeNsec},
		Btime: SxTime{TvSec: int64(st.Btime), TvNsec: st.BtimeNsec},
		Ctime: SxTime{TvSec: int64(a.Ctime), TvNsec: a.CtimeNsec},
		Mtime: SxTime{TvSec: int64(a.Mtime), TvNsec: a.MtimeNsec},
		// The 32 bits of Rdev are cut as the kernel's new_encode_dev does. linux/kdev_t.h
		RdevMajor: a.Rdev >> 8 & 0xfff,
		RdevMinor: a.Rdev&0xff | a.Rdev>>12&0xfff00,
	}
	r.succeed(statxOutSize)
}

package fusedispatcher

import (
	"math"
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

// Mapper maps file data into memory that the client shares with the transport, so that the
// client reads and writes without requests (DAX of virtio-fs). It belongs to whoever knows both
// the window and what a module's objects are made of.
//
// SetupMapping and RemoveMapping are called on the thread of ch, the fsdev channel. As
// everywhere, an errno means that cb is not called, and 0 that it is, once, on that thread,
// later than the call returns.
//
// Not in SPDK.
type Mapper interface {
	// MapAlignment returns the base-2 logarithm of what all offsets and lengths are multiples of,
	// 12 to 21.
	MapAlignment() uint16
	// SetupMapping maps m, in place of what was mapped there.
	SetupMapping(ch *iochannel.Channel, m Mapping, cb fsdev.StatusCplFunc, ctx any) syscall.Errno
	// RemoveMapping unmaps length bytes at offset of the window.
	RemoveMapping(ch *iochannel.Channel, offset, length uint64, cb fsdev.StatusCplFunc, ctx any) syscall.Errno
	// RemoveAll unmaps everything, since the session ends, and calls cb with ctx on t, the
	// control thread, at once or later. No other call is under way.
	RemoveAll(t *reactor.Thread, cb reactor.MsgFunc, ctx any)
}

// Mapping is what a [Mapper] maps where.
//
// Not in SPDK: struct fuse_setupmapping_in.
type Mapping struct {
	Desc         *fsdev.Desc
	Object       fsdev.FileObject
	Handle       fsdev.FileHandle // 0: the client means the file as such, which is what Linux does
	FileOffset   uint64
	WindowOffset uint64
	Length       uint64 // bytes
	Read, Write  bool   // what the client may do
}

// Limits of MapAlignment: a page, and what the client's kernel takes at most. linux, fs/fuse/dax.c,
// FUSE_DAX_SHIFT
const (
	minMapAlignment = 12
	maxMapAlignment = 21
)

// aligned says whether a range begins and ends at multiples of what the mapper wants, and is one.
func (r *request) aligned(offset, length uint64) bool {
	mask := uint64(1)<<r.c.d.opts.Mapper.MapAlignment() - 1
	return length > 0 && length <= math.MaxInt64 && offset <= math.MaxInt64-length && (offset|length)&mask == 0
}

func doSetupmapping(r *request) {
	if r.c.d.opts.Mapper == nil {
		r.fail(syscall.ENOSYS)
		return
	}
	in := args[SetupmappingIn](r)
	const known = FUSE_SETUPMAPPING_FLAG_READ | FUSE_SETUPMAPPING_FLAG_WRITE
	if !r.aligned(in.Foffset, in.Len) || !r.aligned(in.Moffset, in.Len) || in.Flags&^known != 0 {
		r.fail(syscall.EINVAL)
		return
	}
	fh := fsdev.FileHandle(in.Fh)
	if in.Fh == math.MaxUint64 {
		fh = 0
	}
	r.started(r.c.d.opts.Mapper.SetupMapping(r.c.fsdevCh, Mapping{
		Desc: r.sess.desc, Object: r.object(), Handle: fh,
		FileOffset: in.Foffset, WindowOffset: in.Moffset, Length: in.Len,
		Read:  in.Flags&FUSE_SETUPMAPPING_FLAG_READ != 0,
		Write: in.Flags&FUSE_SETUPMAPPING_FLAG_WRITE != 0,
	}, statusDone, r))
}

// doRemovemapping unmaps a list of ranges, one after the other, and all of them even if some
// cannot be. The reply has the first error.
func doRemovemapping(r *request) {
	if r.c.d.opts.Mapper == nil {
		r.fail(syscall.ENOSYS)
		return
	}
	count := args[RemovemappingIn](r).Count
	if uint64(count)*uint64(Size[RemovemappingOne]()) > uint64(r.in.left) {
		r.fail(syscall.EINVAL)
		return
	}
	r.forget = forgetState{left: count}
	r.nextRemove()
}

func (r *request) nextRemove() {
	for r.forget.left > 0 {
		r.forget.left--
		var one RemovemappingOne
		r.in.read(Bytes(&one))
		errno := syscall.EINVAL
		if r.aligned(one.Moffset, one.Len) {
			errno = r.c.d.opts.Mapper.RemoveMapping(r.c.fsdevCh, one.Moffset, one.Len, removeDone, r)
			if errno == 0 {
				return
			}
		}
		r.noteError(errno)
	}
	if r.forget.errno != 0 {
		r.fail(r.forget.errno)
		return
	}
	r.succeed(0)
}

func removeDone(ctx any, _ *iochannel.Channel, errno syscall.Errno) {
	r := ctx.(*request)
	r.noteError(errno)
	r.nextRemove()
}

// noteError keeps the first error of a list.
func (r *request) noteError(errno syscall.Errno) {
	if r.forget.errno == 0 {
		r.forget.errno = errno
	}
}

// removeMappings ends what the client has mapped, if anything, before its files are let go of.
func removeMappings(t *reactor.Thread, op *controlOp) {
	if m := op.d.opts.Mapper; m != nil && op.d.control.mounted {
		m.RemoveAll(t, umount, op)
		return
	}
	umount(t, op)
}

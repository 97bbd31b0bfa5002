package fusedispatcher

import (
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

// maxXattr is the largest value that setxattr(2) takes. linux/limits.h XATTR_SIZE_MAX
const maxXattr = 65536

func doSetxattr(r *request) {
	in := args[SetxattrIn](r)
	switch {
	case in.Size > maxXattr:
		r.fail(syscall.E2BIG)
		return
	case int(in.Size) > r.in.left:
		r.refuse(syscall.EINVAL, missingPayload)
		return
	}
	r.iovs = r.in.slices(r.segs[:0], 0, int(in.Size))
	var value []byte
	switch len(r.iovs) {
	case 0:
	case 1:
		value = r.iovs[0]
	default:
		// Not a hot path, and rare on top.
		for _, seg := range r.iovs {
			value = append(value, seg...)
		}
	}
	done := statusDone
	if r.sess.posixACL && in.SetxattrFlags&FUSE_SETXATTR_ACL_KILL_SGID != 0 {
		done = aclSet
	}
	r.started(r.sess.desc.Setxattr(r.c.fsdevCh, r.seq, r.object(), r.name, value, in.Flags, done, r))
}

// aclSet goes on with setting an access control list by one who may not keep the file's
// set-group-ID bit: modules know nothing of that, so it is cleared afterwards.
func aclSet(ctx any, _ *iochannel.Channel, errno syscall.Errno) {
	r := ctx.(*request)
	if errno != 0 {
		r.fail(errno)
		return
	}
	askMode(nil, r)
}

// askMode asks for the mode. What has been begun has to be done: without an IO it tries again.
func askMode(_ *reactor.Thread, ctx any) {
	r := ctx.(*request)
	if r.sess.desc.Getattr(r.c.fsdevCh, r.seq, r.object(), 0, modeKnown, r) != 0 {
		r.ch.Thread().Defer(askMode, r)
		return
	}
	r.goesOn()
}

func modeKnown(ctx any, _ *iochannel.Channel, errno syscall.Errno, attr *fsdev.Attr) {
	r := ctx.(*request)
	switch {
	case errno != 0:
		r.fail(errno)
		return
	case attr.Mode&syscall.S_ISGID == 0:
		r.succeed(0)
		return
	}
	r.mode = attr.Mode &^ (syscall.S_IFMT | syscall.S_ISGID)
	clearSgid(nil, r)
}

func clearSgid(_ *reactor.Thread, ctx any) {
	r := ctx.(*request)
	attr := fsdev.Attr{Mode: r.mode}
	if r.sess.desc.Setattr(r.c.fsdevCh, r.seq, r.object(), 0, &attr, fsdev.SetAttrMode, sgidCleared, r) != 0 {
		r.ch.Thread().Defer(clearSgid, r)
		return
	}
	r.goesOn()
}

func sgidCleared(ctx any, ch *iochannel.Channel, errno syscall.Errno, _ *fsdev.Attr) {
	statusDone(ctx, ch, errno)
}

func doGetxattr(r *request) {
	size, ok := r.xattrRoom()
	if !ok {
		return
	}
	done := xattrSizeDone
	if size > 0 {
		done = dataDone
	}
	r.started(r.sess.desc.Getxattr(r.c.fsdevCh, r.seq, r.object(), r.name, r.iovs, size, done, r))
}

func doListxattr(r *request) {
	size, ok := r.xattrRoom()
	if !ok {
		return
	}
	done := xattrSizeDone
	if size > 0 {
		done = dataDone
	}
	r.started(r.sess.desc.Listxattr(r.c.fsdevCh, r.seq, r.object(), r.iovs, size, done, r))
}

// xattrRoom prepares the room for a value or list, none if the client asks for its size.
func (r *request) xattrRoom() (size uint32, ok bool) {
	size = args[GetxattrIn](r).Size
	room := r.out.left - outHeaderSize
	if size == 0 && room < 8 {
		r.fail(syscall.EINVAL)
		return 0, false
	}
	// A vector that is shorter than the client says must not be mistaken for a question.
	if size > 0 && room == 0 {
		r.fail(syscall.ERANGE)
		return 0, false
	}
	size = uint32(min(int(size), room))
	r.iovs = r.out.slices(r.segs[:0], outHeaderSize, int(size))
	return size, true
}

func xattrSizeDone(ctx any, _ *iochannel.Channel, errno syscall.Errno, n uint64) {
	r := ctx.(*request)
	if errno != 0 {
		r.fail(errno)
		return
	}
	payload[GetxattrOut](r, 0).Size = uint32(n)
	r.succeed(8)
}

func doRemovexattr(r *request) {
	r.started(r.sess.desc.Removexattr(r.c.fsdevCh, r.seq, r.object(), r.name, statusDone, r))
}

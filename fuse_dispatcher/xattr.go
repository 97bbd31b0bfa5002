package fusedispatcher

import (
	"syscall"

	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
	"github.com/spdk-go/spdk-go/iochannel"
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
		r.fail(syscall.EINVAL)
		return
	}
	r.iovs = r.in.slices(r.segs[:0], int(in.Size))
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
	r.started(r.sess.desc.Setxattr(r.c.fsdevCh, r.seq, r.object(), r.name, value, in.Flags, statusDone, r))
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
	data := r.out
	data.skip(outHeaderSize)
	if size == 0 && data.left < 8 {
		r.fail(syscall.EINVAL)
		return 0, false
	}
	// A vector that is shorter than the client says must not be mistaken for a question.
	if size > 0 && data.left == 0 {
		r.fail(syscall.ERANGE)
		return 0, false
	}
	size = uint32(min(int(size), data.left))
	r.iovs = data.slices(r.segs[:0], int(size))
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

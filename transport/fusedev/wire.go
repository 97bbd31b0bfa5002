package fusedev

import (
	"syscall"

	"github.com/spdk-go/spdk-go/internal/fuseabi"
)

const (
	inHeaderSize  = fuseabi.SizeofInHeader
	outHeaderSize = fuseabi.SizeofOutHeader
)

// expectsReply says whether the kernel waits for a reply to op. To INTERRUPT there is a reply only if it
// is to be sent again.
func expectsReply(op uint32) bool {
	switch op {
	case fuseabi.FUSE_FORGET, fuseabi.FUSE_BATCH_FORGET, fuseabi.FUSE_INTERRUPT, fuseabi.FUSE_NOTIFY_REPLY:
		return false
	}
	return true
}

// replyRoom returns the bytes that the reply to a request with args may take if the request says so itself, and else 0:
// a slot's own buffer will do. It will do too for a request whose arguments are cut short; the reply will be an error.
func replyRoom(op uint32, args []byte) int {
	switch op {
	case fuseabi.FUSE_READ, fuseabi.FUSE_READDIR, fuseabi.FUSE_READDIRPLUS:
		if len(args) >= fuseabi.CompatReadInSize {
			// The fields up to Size are the same in all versions; a copy makes room for the rest.
			var in fuseabi.ReadIn
			copy(fuseabi.Bytes(&in), args)
			return outHeaderSize + int(in.Size)
		}
	case fuseabi.FUSE_GETXATTR, fuseabi.FUSE_LISTXATTR:
		if len(args) >= fuseabi.SizeofGetxattrIn {
			return outHeaderSize + max(int(fuseabi.Overlay[fuseabi.GetxattrIn](args).Size), fuseabi.SizeofGetxattrOut)
		}
	case fuseabi.FUSE_IOCTL:
		if len(args) >= fuseabi.SizeofIoctlIn {
			return outHeaderSize + fuseabi.SizeofIoctlOut + int(fuseabi.Overlay[fuseabi.IoctlIn](args).OutSize)
		}
	}
	return 0
}

// putError makes b the reply that a request has failed, and returns its length.
func putError(b []byte, unique uint64, errno syscall.Errno) uint32 {
	*fuseabi.Overlay[fuseabi.OutHeader](b) = fuseabi.OutHeader{
		Len:    outHeaderSize,
		Error:  -int32(errno),
		Unique: unique,
	}
	return outHeaderSize
}

// putInterrupt makes b an INTERRUPT of the request called target, and returns its length.
func putInterrupt(b []byte, target uint64) int {
	const n = inHeaderSize + fuseabi.SizeofInterruptIn
	*fuseabi.Overlay[fuseabi.InHeader](b) = fuseabi.InHeader{
		Len:    n,
		Opcode: fuseabi.FUSE_INTERRUPT,
		Unique: target | fuseabi.FUSE_INT_REQ_BIT,
	}
	*fuseabi.Overlay[fuseabi.InterruptIn](b[inHeaderSize:]) = fuseabi.InterruptIn{Unique: target}
	return n
}

// destroyUnique is no unique of the kernel's: those count up from 2, with the highest bit for resent requests.
const destroyUnique = fuseabi.FUSE_UNIQUE_RESEND - 2

// putDestroy makes b a DESTROY, and returns its length.
func putDestroy(b []byte) int {
	*fuseabi.Overlay[fuseabi.InHeader](b) = fuseabi.InHeader{
		Len:    inHeaderSize,
		Opcode: fuseabi.FUSE_DESTROY,
		Unique: destroyUnique,
	}
	return inHeaderSize
}

// adjustInit keeps the kernel from sending more than maxWrite bytes, whatever the dispatcher agreed to: it would not
// fit into a large buffer, and then nothing can be read at all. And it takes the kernel's offer of io_uring if there
// are rings.
func (q *queue) adjustInit(sl *slot, reply []byte) {
	const end = 24 // of MaxWrite, in InitOut
	if len(reply) < outHeaderSize+end {
		return
	}
	var in fuseabi.InitIn
	copy(fuseabi.Bytes(&in), sl.args())
	var out fuseabi.InitOut
	n := copy(fuseabi.Bytes(&out), reply[outHeaderSize:])
	out.MaxWrite = min(out.MaxWrite, q.maxWrite)
	const offer = fuseabi.FUSE_OVER_IO_URING >> 32
	if q.ring != nil && in.Flags&fuseabi.FUSE_INIT_EXT != 0 && in.Flags2&offer != 0 && n == fuseabi.SizeofInitOut {
		out.Flags |= fuseabi.FUSE_INIT_EXT
		out.Flags2 |= offer
		out.MaxPages = min(out.MaxPages, uint16(q.maxWrite/pageSize))
		q.ringAgreed = true
	}
	copy(reply[outHeaderSize:], fuseabi.Bytes(&out)[:n])
}

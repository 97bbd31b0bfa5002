package fusedispatcher

import (
	"math"
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
	"github.com/spdk-go/spdk-go/iochannel"
)

func doOpen(r *request) {
	if r.sess.noOpen {
		r.fail(syscall.ENOSYS)
		return
	}
	in := args[OpenIn](r)
	flags := r.sess.openFlags(in.Flags)
	if in.OpenFlags&FUSE_OPEN_KILL_SUIDGID != 0 && r.sess.killPriv {
		flags |= fsdev.FlagKillSuidgid
	}
	r.started(r.sess.desc.Fopen(r.c.fsdevCh, r.seq, r.object(), flags, openDone, r))
}

func openDone(ctx any, _ *iochannel.Channel, errno syscall.Errno, h fsdev.FileHandle) {
	r := ctx.(*request)
	if errno != 0 {
		r.fail(errno)
		return
	}
	r.fillOpen(payload[OpenOut](r, 0), r.object(), h)
	r.succeed(openOutSize)
}

func (r *request) replyOpen(errno syscall.Errno, h fsdev.FileHandle, flags uint32) {
	if errno != 0 {
		r.fail(errno)
		return
	}
	out := payload[OpenOut](r, 0)
	out.Fh, out.OpenFlags = uint64(h), flags
	r.succeed(openOutSize)
}

func doCreate(r *request) {
	in := args[CreateIn](r)
	flags := r.sess.writebackFlags(r.sess.arch.hostOpenFlags(in.Flags))
	if in.OpenFlags&FUSE_OPEN_KILL_SUIDGID != 0 && r.sess.killPriv {
		flags |= fsdev.FlagKillSuidgid
	}
	by, errno := r.creator(in.Umask)
	if errno != 0 {
		r.refuse(errno, badExtension)
		return
	}
	r.started(r.sess.desc.Create(r.c.fsdevCh, r.seq, r.object(), r.name, in.Mode, flags, &by, createDone, r))
}

// doTmpfile creates a file without a name: what stands in the request for one is "/".
func doTmpfile(r *request) {
	in := args[CreateIn](r)
	flags := r.sess.openFlags(in.Flags) | in.Flags&syscall.O_EXCL
	flags &^= oTmpfile | syscall.O_DIRECTORY // said by the opcode
	if in.OpenFlags&FUSE_OPEN_KILL_SUIDGID != 0 && r.sess.killPriv {
		flags |= fsdev.FlagKillSuidgid
	}
	by, errno := r.creator(in.Umask)
	if errno != 0 {
		r.refuse(errno, badExtension)
		return
	}
	r.started(r.sess.desc.Tmpfile(r.c.fsdevCh, r.seq, r.object(), in.Mode, flags, &by, createDone, r))
}

func createDone(ctx any, _ *iochannel.Channel, errno syscall.Errno, obj fsdev.FileObject, attr *fsdev.Attr,
	h fsdev.FileHandle) {
	r := ctx.(*request)
	if errno != 0 {
		r.fail(errno)
		return
	}
	size := r.sess.entrySize()
	r.sess.fillEntry(payload[EntryOut](r, 0), obj, attr)
	r.fillOpen(payload[OpenOut](r, size), obj, h)
	r.succeed(size + openOutSize)
}

func doRead(r *request) {
	in := args[ReadIn](r)
	size := uint32(min(int(in.Size), r.out.left-outHeaderSize))
	r.iovs = r.out.slices(r.segs[:0], outHeaderSize, int(size))
	r.started(r.sess.desc.Read(r.c.fsdevCh, r.seq, r.object(), fsdev.FileHandle(in.Fh),
		size, in.Offset, r.sess.arch.hostOpenFlags(in.Flags), r.iovs, dataDone, r))
}

// dataDone replies n bytes that the module put in their place.
func dataDone(ctx any, _ *iochannel.Channel, errno syscall.Errno, n uint64) {
	r := ctx.(*request)
	if errno != 0 {
		r.fail(errno)
		return
	}
	r.succeedData(int(n))
}

func doWrite(r *request) {
	in := args[WriteIn](r)
	if int(in.Size) > r.in.left {
		r.refuse(syscall.EINVAL, missingPayload)
		return
	}
	flags := r.sess.writebackFlags(r.sess.arch.hostOpenFlags(in.Flags))
	if in.WriteFlags&FUSE_WRITE_KILL_SUIDGID != 0 && r.sess.killPriv {
		flags |= fsdev.FlagKillSuidgid
	}
	if in.WriteFlags&FUSE_WRITE_CACHE != 0 {
		// A page has its place. The kernel sends no flags with it, and none would mean those of the open.
		flags = flags&^syscall.O_APPEND | syscall.O_RDWR
	}
	r.iovs = r.in.slices(r.segs[:0], 0, int(in.Size))
	r.started(r.sess.desc.Write(r.c.fsdevCh, r.seq, r.object(), fsdev.FileHandle(in.Fh),
		in.Size, in.Offset, flags, r.iovs, writeDone, r))
}

// writeDone replies how many bytes were moved.
func writeDone(ctx any, _ *iochannel.Channel, errno syscall.Errno, n uint64) {
	r := ctx.(*request)
	if errno != 0 {
		r.fail(errno)
		return
	}
	payload[WriteOut](r, 0).Size = uint32(n)
	r.succeed(8)
}

func doRelease(r *request) {
	fh := fsdev.FileHandle(args[ReleaseIn](r).Fh)
	r.released(r.object(), fh)
	r.started(r.sess.desc.Release(r.c.fsdevCh, r.seq, r.object(), fh, statusDone, r))
}

// What has nothing to do, FLUSH, FSYNC and FSYNCDIR, is refused: the client takes that for
// success and sends no more of them.

func doFlush(r *request) {
	if r.sess.noFlush {
		r.fail(syscall.ENOSYS)
		return
	}
	in := args[FlushIn](r)
	r.started(r.sess.desc.Flush(r.c.fsdevCh, r.seq, r.object(), fsdev.FileHandle(in.Fh), in.LockOwner, statusDone, r))
}

func doFsync(r *request) {
	if r.sess.noFsync {
		r.fail(syscall.ENOSYS)
		return
	}
	in := args[FsyncIn](r)
	r.started(r.sess.desc.Fsync(r.c.fsdevCh, r.seq, r.object(), fsdev.FileHandle(in.Fh),
		in.FsyncFlags&FUSE_FSYNC_FDATASYNC != 0, statusDone, r))
}

func doFallocate(r *request) {
	in := args[FallocateIn](r)
	if in.Mode&fsdev.FlagKillSuidgid != 0 { // a mode that there is not, and a word of ours to modules
		r.fail(syscall.EOPNOTSUPP)
		return
	}
	r.started(r.sess.desc.Fallocate(r.c.fsdevCh, r.seq, r.object(), fsdev.FileHandle(in.Fh),
		in.Mode|r.killSuidgid(), in.Offset, in.Length, statusDone, r))
}

// killSuidgid is what modules are told about set-ID bits by requests in which the protocol has no room for it. The
// kernel leaves the clearing to the server all the same. Who is not root lacks CAP_FSETID, and cannot keep them.
func (r *request) killSuidgid() uint32 {
	if r.sess.killPriv && r.hdr.UID != 0 {
		return fsdev.FlagKillSuidgid
	}
	return 0
}

// maxCopy is the most that COPY_FILE_RANGE copies: its reply has 32 bits for the length.
const maxCopy = 1 << 30

func doCopyFileRange(r *request) { r.copyFileRange(maxCopy, writeDone) }

func doCopyFileRange64(r *request) { r.copyFileRange(math.MaxInt64, copiedDone) }

// copyFileRange copies at most limit bytes. Copying less than asked for is allowed.
func (r *request) copyFileRange(limit uint64, done fsdev.SizeCplFunc) {
	in := args[CopyFileRangeIn](r)
	if in.Flags != 0 {
		r.fail(syscall.EINVAL)
		return
	}
	r.started(r.sess.desc.CopyFileRange(r.c.fsdevCh, r.seq,
		r.object(), fsdev.FileHandle(in.FhIn), in.OffIn,
		r.sess.object(in.NodeIDOut), fsdev.FileHandle(in.FhOut), in.OffOut,
		min(in.Len, limit), r.killSuidgid(), done, r))
}

func copiedDone(ctx any, _ *iochannel.Channel, errno syscall.Errno, n uint64) {
	r := ctx.(*request)
	if errno != 0 {
		r.fail(errno)
		return
	}
	payload[CopyFileRangeOut](r, 0).BytesCopied = n
	r.succeed(8)
}

// What lseek(2) of a client asks for; the other ways to seek stay with the client's kernel. linux/fs.h
const (
	seekData = 3
	seekHole = 4
)

func doLseek(r *request) {
	in := args[LseekIn](r)
	if in.Whence != seekData && in.Whence != seekHole {
		r.fail(syscall.EINVAL)
		return
	}
	r.started(r.sess.desc.Lseek(r.c.fsdevCh, r.seq, r.object(), fsdev.FileHandle(in.Fh),
		in.Offset, in.Whence, lseekDone, r))
}

func lseekDone(ctx any, _ *iochannel.Channel, errno syscall.Errno, offset uint64) {
	r := ctx.(*request)
	if errno != 0 {
		r.fail(errno)
		return
	}
	payload[LseekOut](r, 0).Offset = offset
	r.succeed(8)
}

func doSyncfs(r *request) {
	r.started(r.sess.desc.Syncfs(r.c.fsdevCh, r.seq, r.object(), statusDone, r))
}

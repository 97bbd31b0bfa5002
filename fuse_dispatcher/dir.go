package fusedispatcher

import (
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
	"github.com/spdk-go/spdk-go/iochannel"
)

func doOpendir(r *request) {
	if r.sess.noOpendir {
		r.fail(syscall.ENOSYS)
		return
	}
	flags := r.sess.arch.hostOpenFlags(args[OpenIn](r).Flags)
	r.started(r.sess.desc.Opendir(r.c.fsdevCh, r.seq, r.object(), flags, opendirDone, r))
}

func opendirDone(ctx any, _ *iochannel.Channel, errno syscall.Errno, h fsdev.FileHandle) {
	r := ctx.(*request)
	r.replyOpen(errno, h, r.sess.rules.dirFlags)
}

func doReleasedir(r *request) {
	fh := fsdev.FileHandle(args[ReleaseIn](r).Fh)
	r.started(r.sess.desc.Releasedir(r.c.fsdevCh, r.seq, r.object(), fh, statusDone, r))
}

func doFsyncdir(r *request) {
	if r.sess.noFsync {
		r.fail(syscall.ENOSYS)
		return
	}
	in := args[FsyncIn](r)
	r.started(r.sess.desc.Fsyncdir(r.c.fsdevCh, r.seq, r.object(), fsdev.FileHandle(in.Fh),
		in.FsyncFlags&FUSE_FSYNC_FDATASYNC != 0, statusDone, r))
}

// readdirState is where a READDIR has got to.
type readdirState struct {
	data    cursor // room for entries
	written int
	full    bool // an entry did not fit
	plus    bool
}

func doReaddir(r *request) { r.startReaddir(false) }

func doReaddirplus(r *request) { r.startReaddir(true) }

func (r *request) startReaddir(plus bool) {
	in := args[ReadIn](r)
	data := r.out
	data.skip(outHeaderSize)
	data.left = min(data.left, int(in.Size))
	r.readdir = readdirState{data: data, plus: plus}
	errno := r.sess.desc.Readdir(r.c.fsdevCh, r.seq, r.object(), fsdev.FileHandle(in.Fh),
		in.Offset, plus, readdirEntry, readdirDone, r)
	if errno != 0 {
		r.readdir = readdirState{} // it points to the client's memory
	}
	r.started(errno)
}

var direntPadding [8]byte

// readdirEntry adds an entry to the reply.
func readdirEntry(ctx any, _ *iochannel.Channel, name []byte, obj fsdev.FileObject, attr *fsdev.Attr,
	next uint64) bool {
	r := ctx.(*request)
	rd := &r.readdir
	size := DirentSize(len(name))
	if rd.plus {
		size = DirentplusSize(len(name))
	}
	if size > rd.data.left {
		rd.full = true
		return false
	}
	fixed := FUSE_NAME_OFFSET
	if rd.plus {
		fixed = FUSE_NAME_OFFSET_DIRENTPLUS
		entry := payload[EntryOut](r, 0)
		if obj != 0 {
			r.sess.fillEntry(entry, obj, attr)
		}
	}
	*payload[Dirent](r, fixed-FUSE_NAME_OFFSET) = Dirent{
		Ino: attr.Ino, Off: next, Namelen: uint32(len(name)), Type: attr.Mode >> 12 & 15,
	}
	rd.data.write(Bytes(&r.reply)[outHeaderSize : outHeaderSize+fixed])
	rd.data.write(name)
	rd.data.write(direntPadding[:size-fixed-len(name)])
	rd.written += size
	return true
}

// readdirDone replies what has been written. An error counts only if that is nothing: the
// client comes back for the rest and meets it then, while references that entries carry
// must reach it.
func readdirDone(ctx any, _ *iochannel.Channel, errno syscall.Errno) {
	r := ctx.(*request)
	written := r.readdir.written
	full := r.readdir.full
	r.readdir = readdirState{}
	switch {
	case written > 0:
		r.succeedData(written)
	case errno != 0:
		r.fail(errno)
	case full:
		r.fail(syscall.EINVAL) // room for no entry at all must not look like the end
	default:
		r.succeed(0)
	}
}

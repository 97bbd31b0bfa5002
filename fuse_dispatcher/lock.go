package fusedispatcher

import (
	"math"
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
	"github.com/spdk-go/spdk-go/iochannel"
)

// Locks of two kinds come in the same requests: those of flock(2), on the whole file and for an
// open file, and those of fcntl(2), on a range of bytes and for a process. The latter are only
// served if that has been agreed on; else the client's kernel keeps them itself.

func doSetlk(r *request) { r.setlk(false) }

func doSetlkw(r *request) { r.setlk(true) }

func (r *request) setlk(wait bool) {
	in := args[LkIn](r)
	if in.LkFlags&FUSE_LK_FLOCK != 0 {
		r.flock(in, wait)
		return
	}
	l, errno := r.rangeLock(in)
	if errno != 0 {
		r.fail(errno)
		return
	}
	r.started(r.sess.desc.Setlk(r.c.fsdevCh, r.seq, r.object(), fsdev.FileHandle(in.Fh),
		in.Owner, &l, wait, statusDone, r))
}

func (r *request) flock(in *LkIn, wait bool) {
	var op uint32
	switch in.Lk.Type {
	case syscall.F_RDLCK:
		op = syscall.LOCK_SH
	case syscall.F_WRLCK:
		op = syscall.LOCK_EX
	case syscall.F_UNLCK:
		op = syscall.LOCK_UN
	default:
		r.fail(syscall.EINVAL)
		return
	}
	if !wait {
		op |= syscall.LOCK_NB
	}
	r.started(r.sess.desc.Flock(r.c.fsdevCh, r.seq, r.object(), fsdev.FileHandle(in.Fh), op, in.Owner, statusDone, r))
}

// rangeLock returns the byte-range lock that a request is about.
func (r *request) rangeLock(in *LkIn) (fsdev.Lock, syscall.Errno) {
	if !r.sess.posixLocks {
		return fsdev.Lock{}, syscall.ENOSYS
	}
	l := fsdev.Lock{Type: in.Lk.Type, PID: in.Lk.PID, Start: in.Lk.Start, End: in.Lk.End}
	switch {
	case l.Start > l.End, l.End > math.MaxInt64,
		l.Type != syscall.F_RDLCK && l.Type != syscall.F_WRLCK && l.Type != syscall.F_UNLCK:
		return fsdev.Lock{}, syscall.EINVAL
	}
	return l, 0
}

func doGetlk(r *request) {
	in := args[LkIn](r)
	l, errno := r.rangeLock(in)
	switch {
	case errno != 0:
	case in.LkFlags&FUSE_LK_FLOCK != 0: // flock(2) cannot ask
		errno = syscall.EINVAL
	case l.Type == syscall.F_UNLCK:
		errno = syscall.EINVAL
	}
	if errno != 0 {
		r.fail(errno)
		return
	}
	r.started(r.sess.desc.Getlk(r.c.fsdevCh, r.seq, r.object(), fsdev.FileHandle(in.Fh), in.Owner, &l, getlkDone, r))
}

func getlkDone(ctx any, _ *iochannel.Channel, errno syscall.Errno, l *fsdev.Lock) {
	r := ctx.(*request)
	if errno != 0 {
		r.fail(errno)
		return
	}
	payload[LkOut](r, 0).Lk = FileLock{Start: l.Start, End: l.End, Type: l.Type, PID: l.PID}
	r.succeed(24)
}

package fsdev

import (
	"syscall"

	"github.com/spdk-go/spdk-go/iochannel"
)

// The operations of this file are not in SPDK, whose clients get ENOSYS for them.

// Lseek finds, from offset on, data (whence SEEK_DATA) or a hole (SEEK_HOLE). The completion
// gets the offset found; ENXIO if there is none.
//
// Not in SPDK: lseek(2), FUSE_LSEEK.
func (d *Desc) Lseek(ch *iochannel.Channel, unique uint64, obj FileObject, h FileHandle, offset uint64, whence uint32,
	cb SizeCplFunc, ctx any) syscall.Errno {
	io := d.newIO(ch, IOLseek, unique, cb, ctx)
	if io == nil {
		return syscall.ENOBUFS
	}
	io.Object, io.Handle, io.Offset, io.Flags = obj, h, offset, whence
	io.submit()
	return 0
}

// Statx returns the extended attributes of obj; h is optional, flags are AT_STATX_*, and mask
// (STATX_*) says what the client asks for. A module that has no more than [Desc.Getattr] gives
// may answer ENOSYS.
//
// Not in SPDK: statx(2), FUSE_STATX.
func (d *Desc) Statx(ch *iochannel.Channel, unique uint64, obj FileObject, h FileHandle, flags, mask uint32,
	cb StatxCplFunc, ctx any) syscall.Errno {
	io := d.newIO(ch, IOStatx, unique, cb, ctx)
	if io == nil {
		return syscall.ENOBUFS
	}
	io.Object, io.Handle, io.Flags, io.Mode = obj, h, flags, mask
	io.submit()
	return 0
}

// Tmpfile creates and opens a regular file without a name in the file system of the directory
// parent; [Desc.Link] can give it one, unless flags have O_EXCL.
//
// Not in SPDK: O_TMPFILE of open(2), FUSE_TMPFILE.
func (d *Desc) Tmpfile(ch *iochannel.Channel, unique uint64, parent FileObject, mode, flags uint32, by *Creator,
	cb CreateCplFunc, ctx any) syscall.Errno {
	io := d.newIO(ch, IOTmpfile, unique, cb, ctx)
	if io == nil {
		return syscall.ENOBUFS
	}
	io.Object, io.Mode, io.Flags = parent, mode, flags
	io.by(by)
	io.submit()
	return 0
}

// Syncfs makes durable all that has been written to the file system of obj.
//
// Not in SPDK: syncfs(2), FUSE_SYNCFS.
func (d *Desc) Syncfs(ch *iochannel.Channel, unique uint64, obj FileObject, cb StatusCplFunc, ctx any) syscall.Errno {
	io := d.newIO(ch, IOSyncfs, unique, cb, ctx)
	if io == nil {
		return syscall.ENOBUFS
	}
	io.Object = obj
	io.submit()
	return 0
}

// Getlk looks for a byte-range lock of another owner that is in the way of l. The completion
// gets the first one, or one of type F_UNLCK if there is none.
//
// Not in SPDK: F_GETLK of fcntl(2), FUSE_GETLK.
func (d *Desc) Getlk(ch *iochannel.Channel, unique uint64, obj FileObject, h FileHandle, owner uint64, l *Lock,
	cb LockCplFunc, ctx any) syscall.Errno {
	io := d.newIO(ch, IOGetlk, unique, cb, ctx)
	if io == nil {
		return syscall.ENOBUFS
	}
	io.Object, io.Handle, io.Owner, io.Lock = obj, h, owner, *l
	io.submit()
	return 0
}

// Setlk takes, changes or drops (F_UNLCK) the byte-range lock l for owner. If another owner's
// is in the way it is EAGAIN, or, with wait, completes when it has gone; [Desc.Abort] ends the
// waiting with EINTR.
//
// Not in SPDK: F_SETLK and F_SETLKW of fcntl(2), FUSE_SETLK and FUSE_SETLKW.
func (d *Desc) Setlk(ch *iochannel.Channel, unique uint64, obj FileObject, h FileHandle, owner uint64, l *Lock,
	wait bool, cb StatusCplFunc, ctx any) syscall.Errno {
	io := d.newIO(ch, IOSetlk, unique, cb, ctx)
	if io == nil {
		return syscall.ENOBUFS
	}
	io.Object, io.Handle, io.Owner, io.Lock, io.Wait = obj, h, owner, *l, wait
	io.submit()
	return 0
}

// Ioctl performs a device control of a file: in is what the command reads, iovs take what it
// writes, at most size bytes. ENOTTY: the module does not know cmd. It has to be one that
// cannot do harm, since a module may hand it on to the host.
//
// Not in SPDK: ioctl(2), FUSE_IOCTL.
func (d *Desc) Ioctl(ch *iochannel.Channel, unique uint64, obj FileObject, h FileHandle, cmd uint32, arg uint64,
	in []byte, iovs [][]byte, size uint32, cb IoctlCplFunc, ctx any) syscall.Errno {
	io := d.newIO(ch, IOIoctl, unique, cb, ctx)
	if io == nil {
		return syscall.ENOBUFS
	}
	io.Object, io.Handle, io.Flags, io.Length, io.Value = obj, h, cmd, arg, in
	io.Iovs, io.Size = iovs, size
	io.submit()
	return 0
}

// Poll asks which of events (POLLIN and so on) a file is ready for. With notify, the module
// sends [NotifyPoll] with key once when it becomes ready for one of them.
//
// Not in SPDK: poll(2), FUSE_POLL.
func (d *Desc) Poll(ch *iochannel.Channel, unique uint64, obj FileObject, h FileHandle, events uint32, key uint64,
	notify bool, cb PollCplFunc, ctx any) syscall.Errno {
	io := d.newIO(ch, IOPoll, unique, cb, ctx)
	if io == nil {
		return syscall.ENOBUFS
	}
	io.Object, io.Handle, io.Flags, io.Owner, io.Wait = obj, h, events, key, notify
	io.submit()
	return 0
}

package memfs

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/internal/locks"
)

// alwaysReady is what files and directories are ready for, as in poll(2): they never become it.
const alwaysReady = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDNORM | unix.EPOLLWRNORM

// errMore says that a part of an operation is done, and the rest has to follow. It never leaves the package.
const errMore = syscall.Errno(0xfffc)

// exec carries out an operation once and returns its errno, errBusy to have it tried again (nothing
// has happened yet), errMore to have it gone on with, or errWait when it completes by itself.
func (c *channel) exec(io *fsdev.IO) syscall.Errno {
	switch io.Type {
	case fsdev.IOUmount:
		if !c.umountPart(io.Desc()) {
			return errMore
		}
		return 0
	case fsdev.IOAbort:
		return c.abort(io.Target)
	}
	c.as(io.Desc())
	switch io.Type {
	case fsdev.IOMount:
		io.Mount.NoOpen, io.Mount.KillPriv, io.Mount.NoSync = true, true, true
		io.Mount.PosixLocks, io.Mount.SecurityCtx, io.Mount.SuppGroup = true, true, true
		io.OutObject = c.mount(io.Desc(), io.Mount.WritebackCache)
		return 0
	case fsdev.IOForget:
		c.forget(io.Object, io.Nlookup)
		return 0
	case fsdev.IOLookup, fsdev.IOSymlink, fsdev.IOMknod, fsdev.IOMkdir, fsdev.IOLink, fsdev.IOCreate,
		fsdev.IOTmpfile, fsdev.IOUnlink, fsdev.IORmdir, fsdev.IORename, fsdev.IOReadlink:
		return c.execName(io)
	case fsdev.IOCopyFileRange:
		return c.execCopy(io)
	}
	n, errno := c.get(io.Object)
	if errno != 0 {
		return errno
	}
	switch io.Type {
	case fsdev.IOFopen:
		io.OutHandle, errno = c.fopen(io.Desc(), n, io.Flags)
	case fsdev.IOOpendir:
		io.OutHandle, errno = c.opendir(io.Desc(), n, io.Flags)
	case fsdev.IOStatfs:
		c.fs.statfs(&io.OutStatfs)
	case fsdev.IOSyncfs:
		// memory is as safe as it gets
	case fsdev.IOSetxattr:
		errno = c.setxattr(n, io.Name, io.Value, io.Flags)
	case fsdev.IOGetxattr:
		io.OutSize, errno = c.getxattr(n, io.Name, io.Iovs, uint64(io.Size))
	case fsdev.IOListxattr:
		io.OutSize, errno = c.listxattr(n, io.Iovs, uint64(io.Size))
	case fsdev.IORemovexattr:
		errno = c.removexattr(n, io.Name)
	default:
		errno = c.execHandle(io, n)
	}
	return errno
}

// execName carries out an operation that begins with a name in a directory, or has a target.
func (c *channel) execName(io *fsdev.IO) (errno syscall.Errno) {
	switch io.Type {
	case fsdev.IOLookup:
		io.OutObject, errno = c.lookup(io.Object, io.Name, &io.OutAttr)
	case fsdev.IOSymlink:
		cr := creationOf(io, syscall.S_IFLNK)
		cr.target = io.Name2
		io.OutObject, errno = c.symlink(io.Object, io.Name, &cr, &io.OutAttr)
	case fsdev.IOMknod:
		cr := creationOf(io, 0)
		cr.rdev = io.Rdev
		io.OutObject, errno = c.mknod(io.Object, io.Name, &cr, &io.OutAttr)
	case fsdev.IOMkdir:
		cr := creationOf(io, syscall.S_IFDIR)
		io.OutObject, errno = c.create(io.Object, io.Name, &cr, &io.OutAttr)
	case fsdev.IOCreate:
		cr := creationOf(io, syscall.S_IFREG)
		io.OutObject, io.OutHandle, errno = c.createOpen(io.Desc(), io.Object, io.Name, &cr, io.Flags, &io.OutAttr)
	case fsdev.IOTmpfile:
		cr := creationOf(io, syscall.S_IFREG)
		io.OutObject, io.OutHandle, errno = c.tmpfile(io.Desc(), io.Object, &cr, io.Flags, &io.OutAttr)
	case fsdev.IOLink:
		io.OutObject, errno = c.link(io.Object, io.Object2, io.Name, &io.OutAttr)
	case fsdev.IOUnlink:
		errno = c.remove(io.Object, io.Name, false)
	case fsdev.IORmdir:
		errno = c.remove(io.Object, io.Name, true)
	case fsdev.IORename:
		errno = c.rename(io.Object, io.Name, io.Object2, io.Name2, io.Flags)
	case fsdev.IOReadlink:
		io.OutTarget, errno = c.readlink(io.Object)
	}
	return errno
}

// execHandle carries out an operation on n that may have a handle.
func (c *channel) execHandle(io *fsdev.IO, n *inode) syscall.Errno {
	h, errno := c.handleOf(io.Desc(), n, io.Handle)
	if errno != 0 {
		return errno
	}
	if h != nil && !fits(io.Type, n) {
		return syscall.EBADF
	}
	switch io.Type {
	case fsdev.IORead:
		io.OutSize, errno = c.read(n, h, io.Offset, uint64(io.Size), io.Iovs)
	case fsdev.IOWrite:
		if !h.writable() {
			return syscall.EBADF
		}
		io.OutSize, errno = c.write(n, io.Offset, uint64(io.Size), io.Iovs, writeMode{
			end:  c.appends(io, h),
			kill: io.Flags&fsdev.FlagKillSuidgid != 0,
		})
	case fsdev.IOGetattr:
		errno = c.getattr(n, &io.OutAttr)
	case fsdev.IOStatx:
		errno = c.statx(n, io.Flags, io.Mode, &io.OutStatx)
	case fsdev.IOSetattr:
		errno = c.setattr(n, &io.Attr, io.Flags, &io.OutAttr)
	case fsdev.IORelease, fsdev.IOReleasedir:
		errno = c.release(io.Desc(), n, io.Handle)
	case fsdev.IOReaddir:
		errno = c.readdir(n, io.Offset, io.Plus, io)
	case fsdev.IOFallocate:
		if !h.writable() {
			return syscall.EBADF
		}
		errno = c.fallocate(n, io.Mode, io.Offset, io.Length)
	case fsdev.IOLseek:
		io.OutSize, errno = c.seek(n, io.Offset, io.Flags)
	case fsdev.IOFlock:
		var r *locks.Request
		if r, errno = c.flock(io.Desc(), n, h, io.Owner, io.Flags, io); errno == errWait {
			io.Ctx = r
		}
	case fsdev.IOPoll:
		io.OutResult = int32(io.Flags & alwaysReady)
	case fsdev.IOIoctl:
		errno = syscall.ENOTTY
	case fsdev.IOGetlk:
		errno = c.getlk(io.Desc(), n, io.Owner, &io.Lock)
	case fsdev.IOSetlk:
		var r *locks.Request
		if r, errno = c.setlk(io.Desc(), n, h, io.Owner, &io.Lock, io.Wait, io); errno == errWait {
			io.Ctx = r
		}
	case fsdev.IOFlush:
		c.flush(io.Desc(), n, io.Owner)
	case fsdev.IOFsync, fsdev.IOFsyncdir:
		// as IOSyncfs
	default:
		errno = syscall.ENOSYS
	}
	return errno
}

// fits says whether a handle of n, which is a directory or a regular file, suits the operation.
func fits(t fsdev.IOType, n *inode) bool {
	switch t {
	case fsdev.IORead, fsdev.IOWrite, fsdev.IOFallocate, fsdev.IORelease:
		return !n.isDir()
	case fsdev.IOReaddir, fsdev.IOReleasedir:
		return n.isDir()
	}
	return true
}

// appends says whether a WRITE goes to the end of the file. A client that caches writes has resolved
// O_APPEND itself. Otherwise the flags of the write say what the file's flags are now; a client
// that passes none at all means those of its open.
func (c *channel) appends(io *fsdev.IO, h *handle) bool {
	flags := io.Flags &^ fsdev.FlagKillSuidgid
	if flags == 0 && h != nil {
		flags = h.flags
	}
	if flags&syscall.O_APPEND == 0 {
		return false
	}
	cl := c.fs.clientOf(io.Desc())
	return cl == nil || !cl.writeback
}

func (c *channel) execCopy(io *fsdev.IO) syscall.Errno {
	src, errno := c.get(io.Object)
	if errno != 0 {
		return errno
	}
	dst, errno := c.get(io.Object2)
	if errno != 0 {
		return errno
	}
	from, errno := c.handleOf(io.Desc(), src, io.Handle)
	if errno != 0 {
		return errno
	}
	to, errno := c.handleOf(io.Desc(), dst, io.Handle2)
	if errno != 0 {
		return errno
	}
	if from != nil && src.isDir() || to != nil && dst.isDir() || !to.writable() {
		return syscall.EBADF
	}
	io.OutSize, errno = c.copyFileRange(src, io.Offset, dst, io.Offset2, io.Length, io.Flags)
	return errno
}

package fsdevtest

import (
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
)

// The operations of a client, each with its completion waited for; those that can wait
// themselves are started only.

func (c *client) lookup(dir fsdev.FileObject, name string) *result {
	c.Helper()
	return c.do(fsdev.IOLookup, func(x *call) syscall.Errno {
		return c.desc.Lookup(c.ch, x.unique, dir, []byte(name), entryDone, x)
	})
}

func (c *client) forget(obj fsdev.FileObject, n uint64) *result {
	c.Helper()
	return c.do(fsdev.IOForget, func(x *call) syscall.Errno {
		return c.desc.Forget(c.ch, x.unique, obj, n, statusDone, x)
	})
}

func (c *client) getattr(obj fsdev.FileObject, h fsdev.FileHandle) *result {
	c.Helper()
	return c.do(fsdev.IOGetattr, func(x *call) syscall.Errno {
		return c.desc.Getattr(c.ch, x.unique, obj, h, attrDone, x)
	})
}

func (c *client) setattr(obj fsdev.FileObject, h fsdev.FileHandle, a fsdev.Attr, mask uint32) *result {
	c.Helper()
	return c.do(fsdev.IOSetattr, func(x *call) syscall.Errno {
		return c.desc.Setattr(c.ch, x.unique, obj, h, &a, mask, attrDone, x)
	})
}

func (c *client) readlink(obj fsdev.FileObject) *result {
	c.Helper()
	return c.do(fsdev.IOReadlink, func(x *call) syscall.Errno {
		return c.desc.Readlink(c.ch, x.unique, obj, readlinkDone, x)
	})
}

func (c *client) symlink(dir fsdev.FileObject, name, target string) *result {
	c.Helper()
	return c.do(fsdev.IOSymlink, func(x *call) syscall.Errno {
		return c.desc.Symlink(c.ch, x.unique, dir, []byte(name), []byte(target), &fsdev.Creator{}, entryDone, x)
	})
}

func (c *client) mknod(dir fsdev.FileObject, name string, mode, rdev uint32) *result {
	c.Helper()
	return c.do(fsdev.IOMknod, func(x *call) syscall.Errno {
		return c.desc.Mknod(c.ch, x.unique, dir, []byte(name), mode, rdev, &fsdev.Creator{}, entryDone, x)
	})
}

func (c *client) mkdir(dir fsdev.FileObject, name string) *result {
	c.Helper()
	return c.mkdirBy(dir, name, 0o755, &fsdev.Creator{})
}

func (c *client) mkdirBy(dir fsdev.FileObject, name string, mode uint32, by *fsdev.Creator) *result {
	c.Helper()
	return c.do(fsdev.IOMkdir, func(x *call) syscall.Errno {
		return c.desc.Mkdir(c.ch, x.unique, dir, []byte(name), mode, by, entryDone, x)
	})
}

func (c *client) unlink(dir fsdev.FileObject, name string) *result {
	c.Helper()
	return c.do(fsdev.IOUnlink, func(x *call) syscall.Errno {
		return c.desc.Unlink(c.ch, x.unique, dir, []byte(name), statusDone, x)
	})
}

func (c *client) rmdir(dir fsdev.FileObject, name string) *result {
	c.Helper()
	return c.do(fsdev.IORmdir, func(x *call) syscall.Errno {
		return c.desc.Rmdir(c.ch, x.unique, dir, []byte(name), statusDone, x)
	})
}

func (c *client) rename(dir fsdev.FileObject, name string, dir2 fsdev.FileObject, name2 string, flags uint32) *result {
	c.Helper()
	return c.do(fsdev.IORename, func(x *call) syscall.Errno {
		return c.desc.Rename(c.ch, x.unique, dir, []byte(name), dir2, []byte(name2), flags, statusDone, x)
	})
}

func (c *client) link(obj, dir fsdev.FileObject, name string) *result {
	c.Helper()
	return c.do(fsdev.IOLink, func(x *call) syscall.Errno {
		return c.desc.Link(c.ch, x.unique, obj, dir, []byte(name), entryDone, x)
	})
}

func (c *client) fopen(obj fsdev.FileObject, flags uint32) *result {
	c.Helper()
	return c.do(fsdev.IOFopen, func(x *call) syscall.Errno {
		return c.desc.Fopen(c.ch, x.unique, obj, flags, openDone, x)
	})
}

// read reads size bytes into iovs.
func (c *client) read(obj fsdev.FileObject, h fsdev.FileHandle, off uint64, size int, iovs [][]byte) *result {
	c.Helper()
	return c.do(fsdev.IORead, func(x *call) syscall.Errno {
		return c.desc.Read(c.ch, x.unique, obj, h, uint32(size), off, 0, iovs, sizeDone, x)
	})
}

// write writes size bytes of iovs.
func (c *client) write(obj fsdev.FileObject, h fsdev.FileHandle, off uint64, size int, iovs [][]byte) *result {
	c.Helper()
	return c.writeFlags(obj, h, off, size, iovs, syscall.O_RDWR)
}

func (c *client) writeFlags(obj fsdev.FileObject, h fsdev.FileHandle, off uint64, size int, iovs [][]byte,
	flags uint32) *result {
	c.Helper()
	return c.do(fsdev.IOWrite, func(x *call) syscall.Errno {
		return c.desc.Write(c.ch, x.unique, obj, h, uint32(size), off, flags, iovs, sizeDone, x)
	})
}

// put writes all of data, however often that takes.
func (c *client) put(obj fsdev.FileObject, h fsdev.FileHandle, off uint64, data []byte) {
	c.Helper()
	for len(data) > 0 {
		n := c.write(obj, h, off, len(data), [][]byte{data}).ok().n
		if n == 0 || n > uint64(len(data)) {
			c.Fatalf("WRITE of %d bytes writes %d", len(data), n)
		}
		data, off = data[n:], off+n
	}
}

// get reads n bytes, less at the end of the file only.
func (c *client) get(obj fsdev.FileObject, h fsdev.FileHandle, off uint64, n int) []byte {
	c.Helper()
	buf := make([]byte, n)
	got := c.read(obj, h, off, n, [][]byte{buf}).ok().n
	if got > uint64(n) {
		c.Fatalf("READ of %d bytes reads %d", n, got)
	}
	return buf[:got]
}

func (c *client) statfs(obj fsdev.FileObject) *result {
	c.Helper()
	return c.do(fsdev.IOStatfs, func(x *call) syscall.Errno {
		return c.desc.Statfs(c.ch, x.unique, obj, statfsDone, x)
	})
}

func (c *client) release(obj fsdev.FileObject, h fsdev.FileHandle) *result {
	c.Helper()
	return c.do(fsdev.IORelease, func(x *call) syscall.Errno {
		return c.desc.Release(c.ch, x.unique, obj, h, statusDone, x)
	})
}

func (c *client) fsync(obj fsdev.FileObject, h fsdev.FileHandle, datasync bool) *result {
	c.Helper()
	return c.do(fsdev.IOFsync, func(x *call) syscall.Errno {
		return c.desc.Fsync(c.ch, x.unique, obj, h, datasync, statusDone, x)
	})
}

func (c *client) setxattr(obj fsdev.FileObject, name string, value []byte, flags uint32) *result {
	c.Helper()
	return c.do(fsdev.IOSetxattr, func(x *call) syscall.Errno {
		return c.desc.Setxattr(c.ch, x.unique, obj, []byte(name), value, flags, statusDone, x)
	})
}

func (c *client) getxattr(obj fsdev.FileObject, name string, size int, iovs [][]byte) *result {
	c.Helper()
	return c.do(fsdev.IOGetxattr, func(x *call) syscall.Errno {
		return c.desc.Getxattr(c.ch, x.unique, obj, []byte(name), iovs, uint32(size), sizeDone, x)
	})
}

func (c *client) listxattr(obj fsdev.FileObject, size int, iovs [][]byte) *result {
	c.Helper()
	return c.do(fsdev.IOListxattr, func(x *call) syscall.Errno {
		return c.desc.Listxattr(c.ch, x.unique, obj, iovs, uint32(size), sizeDone, x)
	})
}

func (c *client) removexattr(obj fsdev.FileObject, name string) *result {
	c.Helper()
	return c.do(fsdev.IORemovexattr, func(x *call) syscall.Errno {
		return c.desc.Removexattr(c.ch, x.unique, obj, []byte(name), statusDone, x)
	})
}

func (c *client) flush(obj fsdev.FileObject, h fsdev.FileHandle, owner uint64) *result {
	c.Helper()
	return c.do(fsdev.IOFlush, func(x *call) syscall.Errno {
		return c.desc.Flush(c.ch, x.unique, obj, h, owner, statusDone, x)
	})
}

func (c *client) opendir(obj fsdev.FileObject) *result {
	c.Helper()
	return c.do(fsdev.IOOpendir, func(x *call) syscall.Errno {
		return c.desc.Opendir(c.ch, x.unique, obj, syscall.O_RDONLY|syscall.O_DIRECTORY, openDone, x)
	})
}

// readdir reads entries from off on, as many as there is room for.
func (c *client) readdir(obj fsdev.FileObject, h fsdev.FileHandle, off uint64, plus bool, room int) *result {
	c.Helper()
	return c.do(fsdev.IOReaddir, func(x *call) syscall.Errno {
		x.room = room
		return c.desc.Readdir(c.ch, x.unique, obj, h, off, plus, takeEntry, statusDone, x)
	})
}

func (c *client) releasedir(obj fsdev.FileObject, h fsdev.FileHandle) *result {
	c.Helper()
	return c.do(fsdev.IOReleasedir, func(x *call) syscall.Errno {
		return c.desc.Releasedir(c.ch, x.unique, obj, h, statusDone, x)
	})
}

func (c *client) fsyncdir(obj fsdev.FileObject, h fsdev.FileHandle, datasync bool) *result {
	c.Helper()
	return c.do(fsdev.IOFsyncdir, func(x *call) syscall.Errno {
		return c.desc.Fsyncdir(c.ch, x.unique, obj, h, datasync, statusDone, x)
	})
}

func (c *client) startFlock(obj fsdev.FileObject, h fsdev.FileHandle, op uint32, owner uint64) *call {
	c.Helper()
	return c.start(fsdev.IOFlock, func(x *call) syscall.Errno {
		return c.desc.Flock(c.ch, x.unique, obj, h, op, owner, statusDone, x)
	})
}

func (c *client) flock(obj fsdev.FileObject, h fsdev.FileHandle, op uint32, owner uint64) *result {
	c.Helper()
	return c.startFlock(obj, h, op, owner).wait()
}

func (c *client) create(dir fsdev.FileObject, name string) *result {
	c.Helper()
	return c.createBy(dir, name, 0o644, syscall.O_RDWR|syscall.O_EXCL, &fsdev.Creator{})
}

func (c *client) createBy(dir fsdev.FileObject, name string, mode, flags uint32, by *fsdev.Creator) *result {
	c.Helper()
	return c.do(fsdev.IOCreate, func(x *call) syscall.Errno {
		return c.desc.Create(c.ch, x.unique, dir, []byte(name), mode, flags, by, createDone, x)
	})
}

func (c *client) fallocate(obj fsdev.FileObject, h fsdev.FileHandle, mode uint32, off, n uint64) *result {
	c.Helper()
	return c.do(fsdev.IOFallocate, func(x *call) syscall.Errno {
		return c.desc.Fallocate(c.ch, x.unique, obj, h, mode, off, n, statusDone, x)
	})
}

// extent is a place in an open file.
type extent struct {
	obj fsdev.FileObject
	h   fsdev.FileHandle
	off uint64
}

func (c *client) copyRange(in, out extent, n uint64, flags uint32) *result {
	c.Helper()
	return c.do(fsdev.IOCopyFileRange, func(x *call) syscall.Errno {
		return c.desc.CopyFileRange(c.ch, x.unique, in.obj, in.h, in.off, out.obj, out.h, out.off, n, flags, sizeDone, x)
	})
}

// abort aborts x, or finds that there is nothing to abort.
func (c *client) abort(x *call) syscall.Errno {
	c.Helper()
	var errno syscall.Errno
	a := &call{c: c, typ: fsdev.IOAbort, inside: true}
	a.x = a
	if errno = c.desc.Abort(c.ch, x.unique, statusDone, a); errno != 0 {
		return errno
	}
	a.inside = false
	return a.wait().errno
}

// abortAny aborts x on whatever channel it is.
func (c *client) abortAny(x *call) syscall.Errno {
	c.Helper()
	return c.do(fsdev.IOAbort, func(a *call) syscall.Errno {
		return c.desc.AbortAny(c.ch, x.unique, statusDone, a)
	}).errno
}

func (c *client) lseek(obj fsdev.FileObject, h fsdev.FileHandle, off uint64, whence uint32) *result {
	c.Helper()
	return c.do(fsdev.IOLseek, func(x *call) syscall.Errno {
		return c.desc.Lseek(c.ch, x.unique, obj, h, off, whence, sizeDone, x)
	})
}

func (c *client) getStatx(obj fsdev.FileObject, h fsdev.FileHandle, flags, mask uint32) *result {
	c.Helper()
	return c.do(fsdev.IOStatx, func(x *call) syscall.Errno {
		return c.desc.Statx(c.ch, x.unique, obj, h, flags, mask, statxDone, x)
	})
}

func (c *client) tmpfile(dir fsdev.FileObject, mode, flags uint32, by *fsdev.Creator) *result {
	c.Helper()
	return c.do(fsdev.IOTmpfile, func(x *call) syscall.Errno {
		return c.desc.Tmpfile(c.ch, x.unique, dir, mode, flags, by, createDone, x)
	})
}

func (c *client) syncfs(obj fsdev.FileObject) *result {
	c.Helper()
	return c.do(fsdev.IOSyncfs, func(x *call) syscall.Errno {
		return c.desc.Syncfs(c.ch, x.unique, obj, statusDone, x)
	})
}

func (c *client) getlk(obj fsdev.FileObject, h fsdev.FileHandle, owner uint64, l fsdev.Lock) *result {
	c.Helper()
	return c.do(fsdev.IOGetlk, func(x *call) syscall.Errno {
		return c.desc.Getlk(c.ch, x.unique, obj, h, owner, &l, lockDone, x)
	})
}

func (c *client) startSetlk(obj fsdev.FileObject, h fsdev.FileHandle, owner uint64, l fsdev.Lock, wait bool) *call {
	c.Helper()
	return c.start(fsdev.IOSetlk, func(x *call) syscall.Errno {
		return c.desc.Setlk(c.ch, x.unique, obj, h, owner, &l, wait, statusDone, x)
	})
}

func (c *client) setlk(obj fsdev.FileObject, h fsdev.FileHandle, owner uint64, l fsdev.Lock) *result {
	c.Helper()
	return c.startSetlk(obj, h, owner, l, false).wait()
}

func (c *client) ioctl(obj fsdev.FileObject, h fsdev.FileHandle, cmd uint32) *result {
	c.Helper()
	return c.do(fsdev.IOIoctl, func(x *call) syscall.Errno {
		buf := make([]byte, 64)
		return c.desc.Ioctl(c.ch, x.unique, obj, h, cmd, 0, buf, [][]byte{buf}, uint32(len(buf)), ioctlDone, x)
	})
}

func (c *client) poll(obj fsdev.FileObject, h fsdev.FileHandle, events uint32) *result {
	c.Helper()
	return c.do(fsdev.IOPoll, func(x *call) syscall.Errno {
		return c.desc.Poll(c.ch, x.unique, obj, h, events, 1, false, pollDone, x)
	})
}

package fsdev

import (
	"syscall"

	"github.com/spdk-go/spdk-go/iochannel"
)

// Mount negotiates with the module and returns the root with one lookup reference. Once
// per session of a client.
//
// SPDK: spdk_fsdev_mount
func (d *Desc) Mount(ch *iochannel.Channel, unique uint64, opts *MountOpts,
	cb MountCplFunc, ctx any) syscall.Errno {
	io := d.newIO(ch, IOMount, unique, cb, ctx)
	if io == nil {
		return syscall.ENOBUFS
	}
	io.Mount = *opts
	io.submit()
	return 0
}

// Umount drops every lookup reference and handle that was given out through d.
//
// SPDK: spdk_fsdev_umount
func (d *Desc) Umount(ch *iochannel.Channel, unique uint64, cb StatusCplFunc, ctx any) syscall.Errno {
	io := d.newIO(ch, IOUmount, unique, cb, ctx)
	if io == nil {
		return syscall.ENOBUFS
	}
	io.submit()
	return 0
}

// Lookup finds name in the directory parent.
//
// SPDK: spdk_fsdev_lookup
func (d *Desc) Lookup(ch *iochannel.Channel, unique uint64, parent FileObject, name []byte,
	cb EntryCplFunc, ctx any) syscall.Errno {
	io := d.newIO(ch, IOLookup, unique, cb, ctx)
	if io == nil {
		return syscall.ENOBUFS
	}
	io.Object, io.Name = parent, name
	io.submit()
	return 0
}

// Forget gives nlookup lookup references to obj back.
//
// SPDK: spdk_fsdev_forget
func (d *Desc) Forget(ch *iochannel.Channel, unique uint64, obj FileObject, nlookup uint64,
	cb StatusCplFunc, ctx any) syscall.Errno {
	io := d.newIO(ch, IOForget, unique, cb, ctx)
	if io == nil {
		return syscall.ENOBUFS
	}
	io.Object, io.Nlookup = obj, nlookup
	io.submit()
	return 0
}

// Getattr returns the attributes of obj; h is optional.
//
// SPDK: spdk_fsdev_getattr
func (d *Desc) Getattr(ch *iochannel.Channel, unique uint64, obj FileObject, h FileHandle,
	cb AttrCplFunc, ctx any) syscall.Errno {
	io := d.newIO(ch, IOGetattr, unique, cb, ctx)
	if io == nil {
		return syscall.ENOBUFS
	}
	io.Object, io.Handle = obj, h
	io.submit()
	return 0
}

// Setattr changes those attributes of obj that mask (SetAttr*) names; h is optional.
//
// SPDK: spdk_fsdev_setattr
func (d *Desc) Setattr(ch *iochannel.Channel, unique uint64, obj FileObject, h FileHandle, attr *Attr, mask uint32,
	cb AttrCplFunc, ctx any) syscall.Errno {
	io := d.newIO(ch, IOSetattr, unique, cb, ctx)
	if io == nil {
		return syscall.ENOBUFS
	}
	io.Object, io.Handle, io.Attr, io.Flags = obj, h, *attr, mask
	io.submit()
	return 0
}

// Readlink returns the target of a symbolic link, without a terminating NUL.
//
// SPDK: spdk_fsdev_readlink
func (d *Desc) Readlink(ch *iochannel.Channel, unique uint64, obj FileObject,
	cb ReadlinkCplFunc, ctx any) syscall.Errno {
	io := d.newIO(ch, IOReadlink, unique, cb, ctx)
	if io == nil {
		return syscall.ENOBUFS
	}
	io.Object = obj
	io.submit()
	return 0
}

// Symlink creates the symbolic link name in parent, which points to target.
//
// SPDK: spdk_fsdev_symlink
func (d *Desc) Symlink(ch *iochannel.Channel, unique uint64, parent FileObject, name, target []byte, by *Creator,
	cb EntryCplFunc, ctx any) syscall.Errno {
	io := d.newIO(ch, IOSymlink, unique, cb, ctx)
	if io == nil {
		return syscall.ENOBUFS
	}
	io.Object, io.Name, io.Name2 = parent, name, target
	io.by(by)
	io.submit()
	return 0
}

// Mknod creates a file that is not a directory; mode holds its type and permissions.
//
// SPDK: spdk_fsdev_mknod
func (d *Desc) Mknod(ch *iochannel.Channel, unique uint64, parent FileObject, name []byte, mode, rdev uint32,
	by *Creator, cb EntryCplFunc, ctx any) syscall.Errno {
	io := d.newIO(ch, IOMknod, unique, cb, ctx)
	if io == nil {
		return syscall.ENOBUFS
	}
	io.Object, io.Name, io.Mode, io.Rdev = parent, name, mode, rdev
	io.by(by)
	io.submit()
	return 0
}

// Mkdir creates a directory.
//
// SPDK: spdk_fsdev_mkdir
func (d *Desc) Mkdir(ch *iochannel.Channel, unique uint64, parent FileObject, name []byte, mode uint32, by *Creator,
	cb EntryCplFunc, ctx any) syscall.Errno {
	io := d.newIO(ch, IOMkdir, unique, cb, ctx)
	if io == nil {
		return syscall.ENOBUFS
	}
	io.Object, io.Name, io.Mode = parent, name, mode
	io.by(by)
	io.submit()
	return 0
}

// by fills in who creates a file.
func (io *IO) by(c *Creator) {
	io.UID, io.GID, io.Umask = c.UID, c.GID, c.Umask
	io.Group, io.HasGroup, io.Security = c.Group, c.HasGroup, c.Security
}

// Unlink removes the name of a file that is not a directory.
//
// SPDK: spdk_fsdev_unlink
func (d *Desc) Unlink(ch *iochannel.Channel, unique uint64, parent FileObject, name []byte,
	cb StatusCplFunc, ctx any) syscall.Errno {
	io := d.newIO(ch, IOUnlink, unique, cb, ctx)
	if io == nil {
		return syscall.ENOBUFS
	}
	io.Object, io.Name = parent, name
	io.submit()
	return 0
}

// Rmdir removes an empty directory.
//
// SPDK: spdk_fsdev_rmdir
func (d *Desc) Rmdir(ch *iochannel.Channel, unique uint64, parent FileObject, name []byte,
	cb StatusCplFunc, ctx any) syscall.Errno {
	io := d.newIO(ch, IORmdir, unique, cb, ctx)
	if io == nil {
		return syscall.ENOBUFS
	}
	io.Object, io.Name = parent, name
	io.submit()
	return 0
}

// Rename moves name in parent to newName in newParent; flags are RENAME_*.
//
// SPDK: spdk_fsdev_rename
func (d *Desc) Rename(ch *iochannel.Channel, unique uint64, parent FileObject, name []byte, newParent FileObject,
	newName []byte, flags uint32, cb StatusCplFunc, ctx any) syscall.Errno {
	io := d.newIO(ch, IORename, unique, cb, ctx)
	if io == nil {
		return syscall.ENOBUFS
	}
	io.Object, io.Name, io.Object2, io.Name2, io.Flags = parent, name, newParent, newName, flags
	io.submit()
	return 0
}

// Link creates the further name of obj in newParent.
//
// SPDK: spdk_fsdev_link
func (d *Desc) Link(ch *iochannel.Channel, unique uint64, obj, newParent FileObject, name []byte,
	cb EntryCplFunc, ctx any) syscall.Errno {
	io := d.newIO(ch, IOLink, unique, cb, ctx)
	if io == nil {
		return syscall.ENOBUFS
	}
	io.Object, io.Object2, io.Name = obj, newParent, name
	io.submit()
	return 0
}

// Fopen opens a file; flags are O_* of the host.
//
// SPDK: spdk_fsdev_fopen
func (d *Desc) Fopen(ch *iochannel.Channel, unique uint64, obj FileObject, flags uint32,
	cb OpenCplFunc, ctx any) syscall.Errno {
	io := d.newIO(ch, IOFopen, unique, cb, ctx)
	if io == nil {
		return syscall.ENOBUFS
	}
	io.Object, io.Flags = obj, flags
	io.submit()
	return 0
}

// Read reads at most size bytes at offset into iovs, which hold at least size bytes. The
// completion gets how many it were; fewer mean the end of the file.
//
// SPDK: spdk_fsdev_read
func (d *Desc) Read(ch *iochannel.Channel, unique uint64, obj FileObject, h FileHandle, size uint32, offset uint64,
	flags uint32, iovs [][]byte, cb SizeCplFunc, ctx any) syscall.Errno {
	io := d.newIO(ch, IORead, unique, cb, ctx)
	if io == nil {
		return syscall.ENOBUFS
	}
	io.Object, io.Handle, io.Size, io.Offset, io.Flags, io.Iovs = obj, h, size, offset, flags, iovs
	io.submit()
	return 0
}

// Write writes size bytes of iovs at offset. The completion gets how many it were.
//
// SPDK: spdk_fsdev_write
func (d *Desc) Write(ch *iochannel.Channel, unique uint64, obj FileObject, h FileHandle, size uint32,
	offset uint64, flags uint32, iovs [][]byte, cb SizeCplFunc, ctx any) syscall.Errno {
	io := d.newIO(ch, IOWrite, unique, cb, ctx)
	if io == nil {
		return syscall.ENOBUFS
	}
	io.Object, io.Handle, io.Size, io.Offset, io.Flags, io.Iovs = obj, h, size, offset, flags, iovs
	io.submit()
	return 0
}

// Statfs returns the space of the file system.
//
// SPDK: spdk_fsdev_statfs
func (d *Desc) Statfs(ch *iochannel.Channel, unique uint64, obj FileObject,
	cb StatfsCplFunc, ctx any) syscall.Errno {
	io := d.newIO(ch, IOStatfs, unique, cb, ctx)
	if io == nil {
		return syscall.ENOBUFS
	}
	io.Object = obj
	io.submit()
	return 0
}

// Release closes a file handle and releases its flocks.
//
// SPDK: spdk_fsdev_release
func (d *Desc) Release(ch *iochannel.Channel, unique uint64, obj FileObject, h FileHandle,
	cb StatusCplFunc, ctx any) syscall.Errno {
	io := d.newIO(ch, IORelease, unique, cb, ctx)
	if io == nil {
		return syscall.ENOBUFS
	}
	io.Object, io.Handle = obj, h
	io.submit()
	return 0
}

// Fsync makes a file durable, without its times if datasync; h is optional.
//
// SPDK: spdk_fsdev_fsync
func (d *Desc) Fsync(ch *iochannel.Channel, unique uint64, obj FileObject, h FileHandle, datasync bool,
	cb StatusCplFunc, ctx any) syscall.Errno {
	io := d.newIO(ch, IOFsync, unique, cb, ctx)
	if io == nil {
		return syscall.ENOBUFS
	}
	io.Object, io.Handle, io.Datasync = obj, h, datasync
	io.submit()
	return 0
}

// Setxattr sets an extended attribute; flags are XATTR_*.
//
// SPDK: spdk_fsdev_setxattr
func (d *Desc) Setxattr(ch *iochannel.Channel, unique uint64, obj FileObject, name, value []byte, flags uint32,
	cb StatusCplFunc, ctx any) syscall.Errno {
	io := d.newIO(ch, IOSetxattr, unique, cb, ctx)
	if io == nil {
		return syscall.ENOBUFS
	}
	io.Object, io.Name, io.Value, io.Flags = obj, name, value, flags
	io.submit()
	return 0
}

// Getxattr reads an extended attribute into iovs, which hold at least size bytes (ERANGE
// if that is too little); size 0 asks for its size.
//
// SPDK: spdk_fsdev_getxattr
func (d *Desc) Getxattr(ch *iochannel.Channel, unique uint64, obj FileObject, name []byte, iovs [][]byte, size uint32,
	cb SizeCplFunc, ctx any) syscall.Errno {
	io := d.newIO(ch, IOGetxattr, unique, cb, ctx)
	if io == nil {
		return syscall.ENOBUFS
	}
	io.Object, io.Name, io.Iovs, io.Size = obj, name, iovs, size
	io.submit()
	return 0
}

// Listxattr lists the names of extended attributes, each with its NUL, as [Desc.Getxattr]
// does.
//
// SPDK: spdk_fsdev_listxattr
func (d *Desc) Listxattr(ch *iochannel.Channel, unique uint64, obj FileObject, iovs [][]byte, size uint32,
	cb SizeCplFunc, ctx any) syscall.Errno {
	io := d.newIO(ch, IOListxattr, unique, cb, ctx)
	if io == nil {
		return syscall.ENOBUFS
	}
	io.Object, io.Iovs, io.Size = obj, iovs, size
	io.submit()
	return 0
}

// Removexattr removes an extended attribute.
//
// SPDK: spdk_fsdev_removexattr
func (d *Desc) Removexattr(ch *iochannel.Channel, unique uint64, obj FileObject, name []byte,
	cb StatusCplFunc, ctx any) syscall.Errno {
	io := d.newIO(ch, IORemovexattr, unique, cb, ctx)
	if io == nil {
		return syscall.ENOBUFS
	}
	io.Object, io.Name = obj, name
	io.submit()
	return 0
}

// Flush is called at each close of a file descriptor of the client; owner names its POSIX
// locks.
//
// SPDK: spdk_fsdev_flush
func (d *Desc) Flush(ch *iochannel.Channel, unique uint64, obj FileObject, h FileHandle, owner uint64,
	cb StatusCplFunc, ctx any) syscall.Errno {
	io := d.newIO(ch, IOFlush, unique, cb, ctx)
	if io == nil {
		return syscall.ENOBUFS
	}
	io.Object, io.Handle, io.Owner = obj, h, owner
	io.submit()
	return 0
}

// Opendir opens a directory.
//
// SPDK: spdk_fsdev_opendir
func (d *Desc) Opendir(ch *iochannel.Channel, unique uint64, obj FileObject, flags uint32,
	cb OpenCplFunc, ctx any) syscall.Errno {
	io := d.newIO(ch, IOOpendir, unique, cb, ctx)
	if io == nil {
		return syscall.ENOBUFS
	}
	io.Object, io.Flags = obj, flags
	io.submit()
	return 0
}

// Readdir passes the entries after offset (0 for the first) to entry, which shares ctx
// with the completion; see [IO.Emit] for plus.
//
// SPDK: spdk_fsdev_readdir
func (d *Desc) Readdir(ch *iochannel.Channel, unique uint64, obj FileObject, h FileHandle, offset uint64,
	plus bool, entry ReaddirEntryFunc, cb StatusCplFunc, ctx any) syscall.Errno {
	io := d.newIO(ch, IOReaddir, unique, cb, ctx)
	if io == nil {
		return syscall.ENOBUFS
	}
	io.Object, io.Handle, io.Offset, io.Plus, io.emit = obj, h, offset, plus, entry
	io.submit()
	return 0
}

// Releasedir closes a directory handle.
//
// SPDK: spdk_fsdev_releasedir
func (d *Desc) Releasedir(ch *iochannel.Channel, unique uint64, obj FileObject, h FileHandle,
	cb StatusCplFunc, ctx any) syscall.Errno {
	io := d.newIO(ch, IOReleasedir, unique, cb, ctx)
	if io == nil {
		return syscall.ENOBUFS
	}
	io.Object, io.Handle = obj, h
	io.submit()
	return 0
}

// Fsyncdir makes a directory durable; h is optional.
//
// SPDK: spdk_fsdev_fsyncdir
func (d *Desc) Fsyncdir(ch *iochannel.Channel, unique uint64, obj FileObject, h FileHandle, datasync bool,
	cb StatusCplFunc, ctx any) syscall.Errno {
	io := d.newIO(ch, IOFsyncdir, unique, cb, ctx)
	if io == nil {
		return syscall.ENOBUFS
	}
	io.Object, io.Handle, io.Datasync = obj, h, datasync
	io.submit()
	return 0
}

// Flock takes or drops a BSD lock for owner; op is LOCK_SH, LOCK_EX or LOCK_UN, with
// LOCK_NB EWOULDBLOCK instead of waiting.
//
// SPDK: spdk_fsdev_flock
func (d *Desc) Flock(ch *iochannel.Channel, unique uint64, obj FileObject, h FileHandle, op uint32, owner uint64,
	cb StatusCplFunc, ctx any) syscall.Errno {
	io := d.newIO(ch, IOFlock, unique, cb, ctx)
	if io == nil {
		return syscall.ENOBUFS
	}
	io.Object, io.Handle, io.Flags, io.Owner = obj, h, op, owner
	io.submit()
	return 0
}

// Create creates a regular file and opens it; flags are O_* of the host.
//
// SPDK: spdk_fsdev_create
func (d *Desc) Create(ch *iochannel.Channel, unique uint64, parent FileObject, name []byte, mode, flags uint32,
	by *Creator, cb CreateCplFunc, ctx any) syscall.Errno {
	io := d.newIO(ch, IOCreate, unique, cb, ctx)
	if io == nil {
		return syscall.ENOBUFS
	}
	io.Object, io.Name, io.Mode, io.Flags = parent, name, mode, flags
	io.by(by)
	io.submit()
	return 0
}

// Fallocate reserves, zeroes or punches length bytes at offset; mode is FALLOC_FL_*.
//
// SPDK: spdk_fsdev_fallocate
func (d *Desc) Fallocate(ch *iochannel.Channel, unique uint64, obj FileObject, h FileHandle, mode uint32, offset,
	length uint64, cb StatusCplFunc, ctx any) syscall.Errno {
	io := d.newIO(ch, IOFallocate, unique, cb, ctx)
	if io == nil {
		return syscall.ENOBUFS
	}
	io.Object, io.Handle, io.Mode, io.Offset, io.Length = obj, h, mode, offset, length
	io.submit()
	return 0
}

// CopyFileRange copies length bytes between two open files. The completion gets how many
// it were.
//
// SPDK: spdk_fsdev_copy_file_range
func (d *Desc) CopyFileRange(ch *iochannel.Channel, unique uint64, in FileObject, hIn FileHandle, offIn uint64,
	out FileObject, hOut FileHandle, offOut, length uint64, flags uint32,
	cb SizeCplFunc, ctx any) syscall.Errno {
	io := d.newIO(ch, IOCopyFileRange, unique, cb, ctx)
	if io == nil {
		return syscall.ENOBUFS
	}
	io.Object, io.Handle, io.Offset = in, hIn, offIn
	io.Object2, io.Handle2, io.Offset2 = out, hOut, offOut
	io.Length, io.Flags = length, flags
	io.submit()
	return 0
}

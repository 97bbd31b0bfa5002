package loopback

import (
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
)

// Operation codes, as in enum fuse_opcode of include/uapi/linux/fuse.h.
const (
	opLookup        = 1
	opForget        = 2
	opGetattr       = 3
	opSetattr       = 4
	opReadlink      = 5
	opSymlink       = 6
	opMknod         = 8
	opMkdir         = 9
	opUnlink        = 10
	opRmdir         = 11
	opRename        = 12
	opLink          = 13
	opOpen          = 14
	opRead          = 15
	opWrite         = 16
	opStatfs        = 17
	opRelease       = 18
	opFsync         = 20
	opSetxattr      = 21
	opGetxattr      = 22
	opListxattr     = 23
	opRemovexattr   = 24
	opFlush         = 25
	opInit          = 26
	opOpendir       = 27
	opReaddir       = 28
	opReleasedir    = 29
	opFsyncdir      = 30
	opSetlk         = 32
	opSetlkw        = 33
	opAccess        = 34
	opCreate        = 35
	opInterrupt     = 36
	opDestroy       = 38
	opBatchForget   = 42
	opFallocate     = 43
	opReaddirplus   = 44
	opRename2       = 45
	opLseek         = 46
	opCopyFileRange = 47
)

// Bits of fuse_setattr_in.valid (FATTR_*).
const (
	fattrMode        = 1 << 0
	fattrUID         = 1 << 1
	fattrGID         = 1 << 2
	fattrSize        = 1 << 3
	fattrAtime       = 1 << 4
	fattrMtime       = 1 << 5
	fattrFH          = 1 << 6
	fattrAtimeNow    = 1 << 7
	fattrMtimeNow    = 1 << 8
	fattrCtime       = 1 << 10
	fattrKillSuidgid = 1 << 11
)

// fattrBits translates fsdev's mask of SETATTR into the wire's.
var fattrBits = [...]struct{ fsdev, wire uint32 }{
	{fsdev.SetAttrMode, fattrMode},
	{fsdev.SetAttrUID, fattrUID},
	{fsdev.SetAttrGID, fattrGID},
	{fsdev.SetAttrSize, fattrSize},
	{fsdev.SetAttrAtime, fattrAtime},
	{fsdev.SetAttrMtime, fattrMtime},
	// A "now" is announced together with the time it stands for, as the kernel does.
	{fsdev.SetAttrAtimeNow, fattrAtime | fattrAtimeNow},
	{fsdev.SetAttrMtimeNow, fattrMtime | fattrMtimeNow},
	{fsdev.SetAttrCtime, fattrCtime},
	{fsdev.SetAttrKillSuidgid, fattrKillSuidgid},
}

// Other flags of the wire.
const (
	getattrFH     = 1 << 0 // FUSE_GETATTR_FH
	fsyncDatasync = 1 << 0 // FUSE_FSYNC_FDATASYNC
	lkFlock       = 1 << 0 // FUSE_LK_FLOCK
)

// Flags of INIT that a client may offer (FUSE_*), the low 32 bits.
const (
	InitAsyncRead      = 1 << 0
	InitPosixLocks     = 1 << 1
	InitAtomicOTrunc   = 1 << 3
	InitExportSupport  = 1 << 4
	InitBigWrites      = 1 << 5
	InitDontMask       = 1 << 6
	InitFlockLocks     = 1 << 10
	InitAutoInvalData  = 1 << 12
	InitReaddirplus    = 1 << 13
	InitReadirplusAuto = 1 << 14
	InitAsyncDIO       = 1 << 15
	InitWritebackCache = 1 << 16
	InitNoOpen         = 1 << 17
	InitParallelDirops = 1 << 18
	InitMaxPages       = 1 << 22
	InitNoOpendir      = 1 << 24
	InitKillprivV2     = 1 << 28
	InitSetxattrExt    = 1 << 29
	InitExt            = 1 << 30
)

// DefaultInitFlags is what [InitOptions] offers if not told otherwise. FUSE_DONT_MASK,
// FUSE_SETXATTR_EXT and FUSE_NO_OPEN_SUPPORT are not among them: this client sends modes
// that are masked already and the short form of SETXATTR, and always opens files.
const DefaultInitFlags = InitAsyncRead | InitAtomicOTrunc | InitBigWrites | InitFlockLocks |
	InitReaddirplus | InitReadirplusAuto | InitParallelDirops | InitMaxPages | InitExt

// InitOptions is the client's half of the negotiation. The zero value offers protocol
// 7.38 and [DefaultInitFlags].
type InitOptions struct {
	Major, Minor uint32 // 0 means 7 and 38
	MaxReadahead uint32 // bytes; 0 means 128 KiB
	Flags        uint32 // 0 means DefaultInitFlags
	Flags2       uint32
}

// Init negotiates; the answer is in [Reply.Init].
func (c *Conn) Init(o InitOptions, fn ReplyFunc, ctx any) syscall.Errno {
	if o.Major == 0 {
		o.Major, o.Minor = 7, 38
	}
	if o.MaxReadahead == 0 {
		o.MaxReadahead = 128 << 10
	}
	if o.Flags == 0 {
		o.Flags = DefaultInitFlags
	}
	r, errno := c.begin(opInit, 0)
	if errno != 0 {
		return errno
	}
	r.u32(o.Major)
	r.u32(o.Minor)
	r.u32(o.MaxReadahead)
	r.u32(o.Flags)
	if o.Minor >= 36 {
		r.u32(o.Flags2)
		for range 11 {
			r.u32(0)
		}
	}
	return c.send(r, nil, nil, fn, ctx)
}

// Destroy ends the session.
func (c *Conn) Destroy(fn ReplyFunc, ctx any) syscall.Errno {
	return c.plain(opDestroy, 0, fn, ctx)
}

// plain sends a request that is a header and nothing else.
func (c *Conn) plain(op uint32, node uint64, fn ReplyFunc, ctx any) syscall.Errno {
	r, errno := c.begin(op, node)
	if errno != 0 {
		return errno
	}
	return c.send(r, nil, nil, fn, ctx)
}

// named sends a request whose only argument is a name.
func (c *Conn) named(op uint32, node uint64, name string, fn ReplyFunc, ctx any) syscall.Errno {
	if len(name) > maxNameSize {
		return syscall.ENAMETOOLONG
	}
	r, errno := c.begin(op, node)
	if errno != 0 {
		return errno
	}
	r.str(name)
	return c.send(r, nil, nil, fn, ctx)
}

// Lookup asks for a name in a directory; the answer is in [Reply.Entry], and holds one
// reference that [Conn.Forget] gives back.
func (c *Conn) Lookup(parent uint64, name string, fn ReplyFunc, ctx any) syscall.Errno {
	return c.named(opLookup, parent, name, fn, ctx)
}

// Forget gives back nlookup references of a node. It has no reply: fn is called when the
// dispatcher is through with it.
func (c *Conn) Forget(node, nlookup uint64, fn ReplyFunc, ctx any) syscall.Errno {
	r, errno := c.begin(opForget, node)
	if errno != 0 {
		return errno
	}
	r.u64(nlookup)
	return c.send(r, nil, nil, fn, ctx)
}

// ForgetOne is an element of [Conn.BatchForget].
type ForgetOne struct{ Node, Nlookup uint64 }

// MaxBatchForget is how many elements fit into one BATCH_FORGET.
const MaxBatchForget = 256

// BatchForget gives back references of up to [MaxBatchForget] nodes; E2BIG if there are
// more.
func (c *Conn) BatchForget(list []ForgetOne, fn ReplyFunc, ctx any) syscall.Errno {
	if len(list) > MaxBatchForget {
		return syscall.E2BIG
	}
	r, errno := c.begin(opBatchForget, 0)
	if errno != 0 {
		return errno
	}
	r.u32(uint32(len(list)))
	r.u32(0)
	for _, f := range list {
		r.u64(f.Node)
		r.u64(f.Nlookup)
	}
	return c.send(r, nil, nil, fn, ctx)
}

// Getattr asks for attributes, through the handle fh if that is not 0; the answer is in
// [Reply.Entry].Attr.
func (c *Conn) Getattr(node, fh uint64, fn ReplyFunc, ctx any) syscall.Errno {
	r, errno := c.begin(opGetattr, node)
	if errno != 0 {
		return errno
	}
	var flags uint32
	if fh != 0 {
		flags = getattrFH
	}
	r.u32(flags)
	r.u32(0)
	r.u64(fh)
	return c.send(r, nil, nil, fn, ctx)
}

// Setattr changes the attributes named by mask (fsdev.SetAttr*), through the handle fh if
// that is not 0.
func (c *Conn) Setattr(node, fh uint64, a *fsdev.Attr, mask uint32, fn ReplyFunc, ctx any) syscall.Errno {
	r, errno := c.begin(opSetattr, node)
	if errno != 0 {
		return errno
	}
	var valid uint32
	for _, b := range fattrBits {
		if mask&b.fsdev != 0 {
			valid |= b.wire
		}
	}
	if fh != 0 {
		valid |= fattrFH
	}
	r.u32(valid)
	r.u32(0)
	r.u64(fh)
	r.u64(a.Size)
	r.u64(0) // lock_owner
	r.u64(a.Atime)
	r.u64(a.Mtime)
	r.u64(a.Ctime)
	r.u32(a.AtimeNsec)
	r.u32(a.MtimeNsec)
	r.u32(a.CtimeNsec)
	r.u32(a.Mode)
	r.u32(0)
	r.u32(a.UID)
	r.u32(a.GID)
	r.u32(0)
	return c.send(r, nil, nil, fn, ctx)
}

// Readlink asks for the target of a symbolic link; the answer is in [Reply.Data].
func (c *Conn) Readlink(node uint64, fn ReplyFunc, ctx any) syscall.Errno {
	return c.plain(opReadlink, node, fn, ctx)
}

// Symlink makes a symbolic link.
func (c *Conn) Symlink(parent uint64, name, target string, fn ReplyFunc, ctx any) syscall.Errno {
	if len(name) > maxNameSize || len(target) > maxNameSize {
		return syscall.ENAMETOOLONG
	}
	r, errno := c.begin(opSymlink, parent)
	if errno != 0 {
		return errno
	}
	r.str(name)
	r.str(target)
	return c.send(r, nil, nil, fn, ctx)
}

// Mknod makes a file of any type; mode has the type and the masked permissions.
func (c *Conn) Mknod(parent uint64, name string, mode, rdev uint32, fn ReplyFunc, ctx any) syscall.Errno {
	if len(name) > maxNameSize {
		return syscall.ENAMETOOLONG
	}
	r, errno := c.begin(opMknod, parent)
	if errno != 0 {
		return errno
	}
	r.u32(mode)
	r.u32(rdev)
	r.u32(0) // umask
	r.u32(0)
	r.str(name)
	return c.send(r, nil, nil, fn, ctx)
}

// Mkdir makes a directory.
func (c *Conn) Mkdir(parent uint64, name string, mode uint32, fn ReplyFunc, ctx any) syscall.Errno {
	if len(name) > maxNameSize {
		return syscall.ENAMETOOLONG
	}
	r, errno := c.begin(opMkdir, parent)
	if errno != 0 {
		return errno
	}
	r.u32(mode)
	r.u32(0) // umask
	r.str(name)
	return c.send(r, nil, nil, fn, ctx)
}

// Unlink removes a file's name.
func (c *Conn) Unlink(parent uint64, name string, fn ReplyFunc, ctx any) syscall.Errno {
	return c.named(opUnlink, parent, name, fn, ctx)
}

// Rmdir removes an empty directory.
func (c *Conn) Rmdir(parent uint64, name string, fn ReplyFunc, ctx any) syscall.Errno {
	return c.named(opRmdir, parent, name, fn, ctx)
}

// Rename moves a name; flags are RENAME_NOREPLACE and its like. As the kernel does, it sends
// RENAME2 only if there are any.
func (c *Conn) Rename(parent uint64, name string, newParent uint64, newName string, flags uint32,
	fn ReplyFunc, ctx any) syscall.Errno {
	if len(name) > maxNameSize || len(newName) > maxNameSize {
		return syscall.ENAMETOOLONG
	}
	op := uint32(opRename)
	if flags != 0 {
		op = opRename2
	}
	r, errno := c.begin(op, parent)
	if errno != 0 {
		return errno
	}
	r.u64(newParent)
	if flags != 0 {
		r.u32(flags)
		r.u32(0)
	}
	r.str(name)
	r.str(newName)
	return c.send(r, nil, nil, fn, ctx)
}

// Link gives node another name.
func (c *Conn) Link(node, newParent uint64, newName string, fn ReplyFunc, ctx any) syscall.Errno {
	if len(newName) > maxNameSize {
		return syscall.ENAMETOOLONG
	}
	r, errno := c.begin(opLink, newParent)
	if errno != 0 {
		return errno
	}
	r.u64(node)
	r.str(newName)
	return c.send(r, nil, nil, fn, ctx)
}

// Open opens a file (flags are O_*); the handle is in [Reply.Handle].
func (c *Conn) Open(node uint64, flags uint32, fn ReplyFunc, ctx any) syscall.Errno {
	return c.open(opOpen, node, flags, fn, ctx)
}

// Opendir opens a directory; the handle is in [Reply.Handle].
func (c *Conn) Opendir(node uint64, flags uint32, fn ReplyFunc, ctx any) syscall.Errno {
	return c.open(opOpendir, node, flags, fn, ctx)
}

func (c *Conn) open(op uint32, node uint64, flags uint32, fn ReplyFunc, ctx any) syscall.Errno {
	r, errno := c.begin(op, node)
	if errno != 0 {
		return errno
	}
	r.u32(flags)
	r.u32(0)
	return c.send(r, nil, nil, fn, ctx)
}

// Create makes a regular file and opens it; the answer is in [Reply.Entry] and
// [Reply.Handle].
func (c *Conn) Create(parent uint64, name string, mode, flags uint32, fn ReplyFunc, ctx any) syscall.Errno {
	if len(name) > maxNameSize {
		return syscall.ENAMETOOLONG
	}
	r, errno := c.begin(opCreate, parent)
	if errno != 0 {
		return errno
	}
	r.u32(flags)
	r.u32(mode)
	r.u32(0) // umask
	r.u32(0)
	r.str(name)
	return c.send(r, nil, nil, fn, ctx)
}

// Read reads up to len(p) bytes at off into p, which is borrowed until fn is called; the
// part that was read is [Reply.Data].
func (c *Conn) Read(node, fh, off uint64, p []byte, fn ReplyFunc, ctx any) syscall.Errno {
	return c.read(opRead, node, fh, off, p, fn, ctx)
}

// Readdir reads directory entries from the cookie off into p, which is borrowed until fn is
// called; decode [Reply.Data] with [ParseDirents].
func (c *Conn) Readdir(node, fh, off uint64, plus bool, p []byte, fn ReplyFunc, ctx any) syscall.Errno {
	op := uint32(opReaddir)
	if plus {
		op = opReaddirplus
	}
	return c.read(op, node, fh, off, p, fn, ctx)
}

func (c *Conn) read(op uint32, node, fh, off uint64, p []byte, fn ReplyFunc, ctx any) syscall.Errno {
	r, errno := c.begin(op, node)
	if errno != 0 {
		return errno
	}
	r.u64(fh)
	r.u64(off)
	r.u32(uint32(len(p)))
	r.u32(0) // read_flags
	r.u64(0) // lock_owner
	r.u32(0) // flags
	r.u32(0)
	if p == nil {
		p = []byte{}
	}
	return c.send(r, nil, p, fn, ctx)
}

// Write writes p at off; p is borrowed until fn is called. How much was written is in
// [Reply.Size].
func (c *Conn) Write(node, fh, off uint64, p []byte, fn ReplyFunc, ctx any) syscall.Errno {
	r, errno := c.begin(opWrite, node)
	if errno != 0 {
		return errno
	}
	r.u64(fh)
	r.u64(off)
	r.u32(uint32(len(p)))
	r.u32(0) // write_flags
	r.u64(0) // lock_owner
	r.u32(0) // flags
	r.u32(0)
	return c.send(r, p, nil, fn, ctx)
}

// Statfs asks for the file system's space; the answer is in [Reply.Statfs].
func (c *Conn) Statfs(node uint64, fn ReplyFunc, ctx any) syscall.Errno {
	return c.plain(opStatfs, node, fn, ctx)
}

// Release closes a handle of [Conn.Open] or [Conn.Create].
func (c *Conn) Release(node, fh uint64, fn ReplyFunc, ctx any) syscall.Errno {
	return c.releaseOp(opRelease, node, fh, fn, ctx)
}

// Releasedir closes a handle of [Conn.Opendir].
func (c *Conn) Releasedir(node, fh uint64, fn ReplyFunc, ctx any) syscall.Errno {
	return c.releaseOp(opReleasedir, node, fh, fn, ctx)
}

func (c *Conn) releaseOp(op uint32, node, fh uint64, fn ReplyFunc, ctx any) syscall.Errno {
	r, errno := c.begin(op, node)
	if errno != 0 {
		return errno
	}
	r.u64(fh)
	r.u32(0) // flags
	r.u32(0) // release_flags
	r.u64(0) // lock_owner
	return c.send(r, nil, nil, fn, ctx)
}

// Fsync writes a file out; fh may be 0.
func (c *Conn) Fsync(node, fh uint64, datasync bool, fn ReplyFunc, ctx any) syscall.Errno {
	return c.fsync(opFsync, node, fh, datasync, fn, ctx)
}

// Fsyncdir writes a directory out; fh may be 0.
func (c *Conn) Fsyncdir(node, fh uint64, datasync bool, fn ReplyFunc, ctx any) syscall.Errno {
	return c.fsync(opFsyncdir, node, fh, datasync, fn, ctx)
}

func (c *Conn) fsync(op uint32, node, fh uint64, datasync bool, fn ReplyFunc, ctx any) syscall.Errno {
	r, errno := c.begin(op, node)
	if errno != 0 {
		return errno
	}
	var flags uint32
	if datasync {
		flags = fsyncDatasync
	}
	r.u64(fh)
	r.u32(flags)
	r.u32(0)
	return c.send(r, nil, nil, fn, ctx)
}

// Flush is sent at every close of a file descriptor of fh.
func (c *Conn) Flush(node, fh, owner uint64, fn ReplyFunc, ctx any) syscall.Errno {
	r, errno := c.begin(opFlush, node)
	if errno != 0 {
		return errno
	}
	r.u64(fh)
	r.u64(0)
	r.u64(owner)
	return c.send(r, nil, nil, fn, ctx)
}

// Setxattr sets an extended attribute; value is borrowed until fn is called.
func (c *Conn) Setxattr(node uint64, name string, value []byte, flags uint32, fn ReplyFunc, ctx any) syscall.Errno {
	if len(name) > maxNameSize {
		return syscall.ENAMETOOLONG
	}
	r, errno := c.begin(opSetxattr, node)
	if errno != 0 {
		return errno
	}
	r.u32(uint32(len(value)))
	r.u32(flags)
	r.str(name)
	return c.send(r, value, nil, fn, ctx)
}

// Getxattr asks for an extended attribute. With an empty p the answer is the value's size,
// in [Reply.Size]; otherwise the value itself, in [Reply.Data].
func (c *Conn) Getxattr(node uint64, name string, p []byte, fn ReplyFunc, ctx any) syscall.Errno {
	if len(name) > maxNameSize {
		return syscall.ENAMETOOLONG
	}
	r, errno := c.begin(opGetxattr, node)
	if errno != 0 {
		return errno
	}
	r.u32(uint32(len(p)))
	r.u32(0)
	r.str(name)
	return c.send(r, nil, bodyOrNil(p), fn, ctx)
}

// Listxattr asks for the NUL-terminated names of the extended attributes; empty p as in
// [Conn.Getxattr].
func (c *Conn) Listxattr(node uint64, p []byte, fn ReplyFunc, ctx any) syscall.Errno {
	r, errno := c.begin(opListxattr, node)
	if errno != 0 {
		return errno
	}
	r.u32(uint32(len(p)))
	r.u32(0)
	return c.send(r, nil, bodyOrNil(p), fn, ctx)
}

func bodyOrNil(p []byte) []byte {
	if len(p) == 0 {
		return nil
	}
	return p
}

// Removexattr removes an extended attribute.
func (c *Conn) Removexattr(node uint64, name string, fn ReplyFunc, ctx any) syscall.Errno {
	return c.named(opRemovexattr, node, name, fn, ctx)
}

// Flock takes or drops a lock of the whole file for owner; how is LOCK_SH, LOCK_EX or
// LOCK_UN, and without LOCK_NB the request waits (SETLKW).
func (c *Conn) Flock(node, fh, owner uint64, how int, fn ReplyFunc, ctx any) syscall.Errno {
	var typ uint32
	switch how &^ syscall.LOCK_NB {
	case syscall.LOCK_SH:
		typ = syscall.F_RDLCK
	case syscall.LOCK_EX:
		typ = syscall.F_WRLCK
	case syscall.LOCK_UN:
		typ = syscall.F_UNLCK
	default:
		return syscall.EINVAL
	}
	op := uint32(opSetlkw)
	if how&syscall.LOCK_NB != 0 {
		op = opSetlk
	}
	r, errno := c.begin(op, node)
	if errno != 0 {
		return errno
	}
	r.u64(fh)
	r.u64(owner)
	r.u64(0)         // start
	r.u64(1<<63 - 1) // end
	r.u32(typ)
	r.u32(c.opts.PID)
	r.u32(lkFlock)
	r.u32(0)
	return c.send(r, nil, nil, fn, ctx)
}

// Access checks permissions (R_OK and so on).
func (c *Conn) Access(node uint64, mask uint32, fn ReplyFunc, ctx any) syscall.Errno {
	r, errno := c.begin(opAccess, node)
	if errno != 0 {
		return errno
	}
	r.u32(mask)
	r.u32(0)
	return c.send(r, nil, nil, fn, ctx)
}

// Interrupt asks that the request called unique be given up. It may stay without a reply;
// fn is called all the same.
func (c *Conn) Interrupt(unique uint64, fn ReplyFunc, ctx any) syscall.Errno {
	r, errno := c.begin(opInterrupt, 0)
	if errno != 0 {
		return errno
	}
	r.u64(unique)
	return c.send(r, nil, nil, fn, ctx)
}

// Fallocate reserves or punches a range of a file; mode is FALLOC_FL_*.
func (c *Conn) Fallocate(node, fh uint64, mode uint32, off, length uint64, fn ReplyFunc, ctx any) syscall.Errno {
	r, errno := c.begin(opFallocate, node)
	if errno != 0 {
		return errno
	}
	r.u64(fh)
	r.u64(off)
	r.u64(length)
	r.u32(mode)
	r.u32(0)
	return c.send(r, nil, nil, fn, ctx)
}

// Lseek finds data or a hole; the offset is in [Reply.Offset].
func (c *Conn) Lseek(node, fh, off uint64, whence uint32, fn ReplyFunc, ctx any) syscall.Errno {
	r, errno := c.begin(opLseek, node)
	if errno != 0 {
		return errno
	}
	r.u64(fh)
	r.u64(off)
	r.u32(whence)
	r.u32(0)
	return c.send(r, nil, nil, fn, ctx)
}

// CopyFileRange copies within the file system; how much is in [Reply.Size].
func (c *Conn) CopyFileRange(node, fh, off, nodeOut, fhOut, offOut, length, flags uint64,
	fn ReplyFunc, ctx any) syscall.Errno {
	return c.copyFileRange(opCopyFileRange, node, fh, off, nodeOut, fhOut, offOut, length, flags, fn, ctx)
}

func (c *Conn) copyFileRange(op uint32, node, fh, off, nodeOut, fhOut, offOut, length, flags uint64,
	fn ReplyFunc, ctx any) syscall.Errno {
	r, errno := c.begin(op, node)
	if errno != 0 {
		return errno
	}
	r.u64(fh)
	r.u64(off)
	r.u64(nodeOut)
	r.u64(fhOut)
	r.u64(offOut)
	r.u64(length)
	r.u64(flags)
	return c.send(r, nil, nil, fn, ctx)
}

package fuseabi

// Flags of INIT, request and reply. Bits 32 to 63 travel shifted down by 32 in
// [InitIn.Flags2] and [InitOut.Flags2], and only if FUSE_INIT_EXT is set in the low word
// (7.36). linux/fuse.h
const (
	FUSE_ASYNC_READ          = 1 << 0  // asynchronous read requests
	FUSE_POSIX_LOCKS         = 1 << 1  // remote locking for POSIX file locks
	FUSE_FILE_OPS            = 1 << 2  // kernel sends file handle for fstat (not yet supported)
	FUSE_ATOMIC_O_TRUNC      = 1 << 3  // the file system handles O_TRUNC in OPEN
	FUSE_EXPORT_SUPPORT      = 1 << 4  // LOOKUP of "." and ".." is handled
	FUSE_BIG_WRITES          = 1 << 5  // WRITE may exceed 4 KiB
	FUSE_DONT_MASK           = 1 << 6  // the kernel does not apply the umask
	FUSE_SPLICE_WRITE        = 1 << 7  // splice to the device is supported
	FUSE_SPLICE_MOVE         = 1 << 8  // page moving splice to the device is supported
	FUSE_SPLICE_READ         = 1 << 9  // splice from the device is supported
	FUSE_FLOCK_LOCKS         = 1 << 10 // remote locking for BSD file locks
	FUSE_HAS_IOCTL_DIR       = 1 << 11 // ioctl on directories
	FUSE_AUTO_INVAL_DATA     = 1 << 12 // pages are invalidated when the attributes changed
	FUSE_DO_READDIRPLUS      = 1 << 13 // READDIRPLUS may be sent
	FUSE_READDIRPLUS_AUTO    = 1 << 14 // READDIRPLUS only where it seems useful
	FUSE_ASYNC_DIO           = 1 << 15 // asynchronous direct I/O
	FUSE_WRITEBACK_CACHE     = 1 << 16 // buffered writes are cached
	FUSE_NO_OPEN_SUPPORT     = 1 << 17 // ENOSYS to OPEN means "opens need no message"
	FUSE_PARALLEL_DIROPS     = 1 << 18 // parallel LOOKUP and READDIR in one directory
	FUSE_HANDLE_KILLPRIV     = 1 << 19 // the file system kills suid/sgid/caps
	FUSE_POSIX_ACL           = 1 << 20 // POSIX ACLs are supported
	FUSE_ABORT_ERROR         = 1 << 21 // reading an aborted device gives ECONNABORTED
	FUSE_MAX_PAGES           = 1 << 22 // InitOut.MaxPages is valid
	FUSE_CACHE_SYMLINKS      = 1 << 23 // READLINK answers are cached
	FUSE_NO_OPENDIR_SUPPORT  = 1 << 24 // ENOSYS to OPENDIR means "needs no message"
	FUSE_EXPLICIT_INVAL_DATA = 1 << 25 // pages are invalidated only on request
	FUSE_MAP_ALIGNMENT       = 1 << 26 // InitOut.MapAlignment is valid
	FUSE_SUBMOUNTS           = 1 << 27 // FUSE_ATTR_SUBMOUNT is understood
	FUSE_HANDLE_KILLPRIV_V2  = 1 << 28 // the file system kills suid/sgid when told to
	FUSE_SETXATTR_EXT        = 1 << 29 // SetxattrIn has its 16-byte form
	FUSE_INIT_EXT            = 1 << 30 // the Flags2 fields are valid
	FUSE_INIT_RESERVED       = 1 << 31 // reserved, do not use

	FUSE_SECURITY_CTX         = 1 << 32 // security context with create, mkdir, symlink, mknod
	FUSE_HAS_INODE_DAX        = 1 << 33 // DAX per inode
	FUSE_CREATE_SUPP_GROUP    = 1 << 34 // supplementary group with create, mkdir, symlink, mknod; 7.38, Linux 6.3
	FUSE_HAS_EXPIRE_ONLY      = 1 << 35 // FUSE_EXPIRE_ONLY is understood
	FUSE_DIRECT_IO_ALLOW_MMAP = 1 << 36 // shared mmap of FOPEN_DIRECT_IO files; 7.39, Linux 6.6
	FUSE_PASSTHROUGH          = 1 << 37 // backing files are supported; 7.40, Linux 6.9
	FUSE_NO_EXPORT_SUPPORT    = 1 << 38 // no export, even by file handle; 7.40, Linux 6.9
	FUSE_HAS_RESEND           = 1 << 39 // FUSE_NOTIFY_RESEND is understood; 7.40, Linux 6.9
	FUSE_ALLOW_IDMAP          = 1 << 40 // ID-mapped mounts are allowed; 7.41, Linux 6.12
	FUSE_OVER_IO_URING        = 1 << 41 // requests may travel over io_uring; 7.42, Linux 6.14
	FUSE_REQUEST_TIMEOUT      = 1 << 42 // InitOut.RequestTimeout is valid; 7.43, Linux 6.15

	FUSE_DIRECT_IO_RELAX = FUSE_DIRECT_IO_ALLOW_MMAP // obsolete alias; 7.39, Linux 6.6
)

// CUSE_UNRESTRICTED_IOCTL is the one flag of CUSE_INIT. linux/fuse.h
const CUSE_UNRESTRICTED_IOCTL = 1 << 0

// Bits of [SetattrIn.Valid]. linux/fuse.h
const (
	FATTR_MODE         = 1 << 0
	FATTR_UID          = 1 << 1
	FATTR_GID          = 1 << 2
	FATTR_SIZE         = 1 << 3
	FATTR_ATIME        = 1 << 4
	FATTR_MTIME        = 1 << 5
	FATTR_FH           = 1 << 6
	FATTR_ATIME_NOW    = 1 << 7
	FATTR_MTIME_NOW    = 1 << 8
	FATTR_LOCKOWNER    = 1 << 9
	FATTR_CTIME        = 1 << 10
	FATTR_KILL_SUIDGID = 1 << 11
)

// Flags of an open file, [OpenOut.OpenFlags]. linux/fuse.h
const (
	FOPEN_DIRECT_IO              = 1 << 0 // bypass the page cache
	FOPEN_KEEP_CACHE             = 1 << 1 // do not invalidate the page cache on open
	FOPEN_NONSEEKABLE            = 1 << 2 // the file is not seekable
	FOPEN_CACHE_DIR              = 1 << 3 // the directory may be cached
	FOPEN_STREAM                 = 1 << 4 // the file has no position at all
	FOPEN_NOFLUSH                = 1 << 5 // no FLUSH on close (unless FUSE_WRITEBACK_CACHE)
	FOPEN_PARALLEL_DIRECT_WRITES = 1 << 6 // concurrent direct writes to one inode
	FOPEN_PASSTHROUGH            = 1 << 7 // OpenOut.BackingID is valid; 7.40, Linux 6.9
)

// Flags of single operations. linux/fuse.h
const (
	FUSE_RELEASE_FLUSH        = 1 << 0 // ReleaseIn.ReleaseFlags
	FUSE_RELEASE_FLOCK_UNLOCK = 1 << 1

	FUSE_GETATTR_FH = 1 << 0 // GetattrIn.GetattrFlags: Fh is valid

	FUSE_LK_FLOCK = 1 << 0 // LkIn.LkFlags: flock(2), not fcntl(2)

	FUSE_WRITE_CACHE        = 1 << 0 // WriteIn.WriteFlags: from the page cache, Fh is a guess
	FUSE_WRITE_LOCKOWNER    = 1 << 1 // LockOwner is valid
	FUSE_WRITE_KILL_SUIDGID = 1 << 2 // kill suid and sgid bits

	FUSE_WRITE_KILL_PRIV = FUSE_WRITE_KILL_SUIDGID // obsolete alias

	FUSE_READ_LOCKOWNER = 1 << 1 // ReadIn.ReadFlags: LockOwner is valid

	FUSE_IOCTL_COMPAT       = 1 << 0 // IoctlIn.Flags: 32-bit compat ioctl on a 64-bit machine
	FUSE_IOCTL_UNRESTRICTED = 1 << 1 // not restricted to well-formed ioctls, retry allowed
	FUSE_IOCTL_RETRY        = 1 << 2 // retry with new iovecs
	FUSE_IOCTL_32BIT        = 1 << 3 // 32-bit ioctl
	FUSE_IOCTL_DIR          = 1 << 4 // on a directory
	FUSE_IOCTL_COMPAT_X32   = 1 << 5 // x32 compat ioctl (64-bit time_t)
	FUSE_IOCTL_MAX_IOV      = 256    // most in and out iovecs together

	FUSE_POLL_SCHEDULE_NOTIFY = 1 << 0 // PollIn.Flags: a NOTIFY_POLL is wanted

	FUSE_FSYNC_FDATASYNC = 1 << 0 // FsyncIn.FsyncFlags: data only

	FUSE_ATTR_SUBMOUNT = 1 << 0 // Attr.Flags: root of a submount
	FUSE_ATTR_DAX      = 1 << 1 // DAX for this file

	FUSE_OPEN_KILL_SUIDGID = 1 << 0 // OpenIn.OpenFlags, CreateIn.OpenFlags

	FUSE_SETXATTR_ACL_KILL_SGID = 1 << 0 // SetxattrIn.SetxattrFlags

	FUSE_EXPIRE_ONLY = 1 << 0 // NotifyInvalEntryOut.Flags: expire, do not drop

	FUSE_SETUPMAPPING_FLAG_WRITE = 1 << 0 // SetupmappingIn.Flags
	FUSE_SETUPMAPPING_FLAG_READ  = 1 << 1
)

// Types of request extensions, [ExtHeader.Type]. linux/fuse.h, enum fuse_ext_type
const (
	FUSE_MAX_NR_SECCTX = 31 // types up to this are the SecctxHeader.NrSecctx of a SecctxHeader
	FUSE_EXT_GROUPS    = 32 // 7.38, Linux 6.3
)

// Control requests of /dev/fuse. linux/fuse.h; the numbers are those of amd64 and arm64
// (asm-generic/ioctl.h)
const (
	FUSE_DEV_IOC_MAGIC         = 229
	FUSE_DEV_IOC_CLONE         = 0x8004e500 // _IOR(229, 0, uint32_t): the fd of the session
	FUSE_DEV_IOC_BACKING_OPEN  = 0x4010e501 // _IOW(229, 1, struct fuse_backing_map); 7.40, Linux 6.9
	FUSE_DEV_IOC_BACKING_CLOSE = 0x4004e502 // _IOW(229, 2, uint32_t); 7.40, Linux 6.9
	FUSE_DEV_IOC_SYNC_INIT     = 0xe503     // _IO(229, 3): mount(2) waits for INIT; 7.45, Linux 6.18
)

// FUSE over io_uring. linux/fuse.h; 7.42, Linux 6.14
const (
	FUSE_URING_IN_OUT_HEADER_SZ = 128
	FUSE_URING_OP_IN_OUT_SZ     = 128

	FUSE_IO_URING_CMD_INVALID          = 0
	FUSE_IO_URING_CMD_REGISTER         = 1 // hand over a buffer and fetch a request
	FUSE_IO_URING_CMD_COMMIT_AND_FETCH = 2 // reply to a request and fetch the next
)

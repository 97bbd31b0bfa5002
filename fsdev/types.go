package fsdev

// FileObject names a file of a file system device: what FUSE calls a node and SPDK a
// spdk_fsdev_file_object. It is an opaque handle minted by the module (see [HandleTable]),
// never an address. Zero is never a valid object.
//
// SPDK: struct spdk_fsdev_file_object
type FileObject uint64

// FileHandle names one open file or directory. It is an opaque handle minted by the
// module. Zero means "no handle" where an operation takes one optionally.
//
// SPDK: struct spdk_fsdev_file_handle
type FileHandle uint64

// Attr holds the attributes of a file object. Times are seconds and nanoseconds since the
// epoch, Blocks counts 512-byte units.
//
// SPDK: struct spdk_fsdev_file_attr
type Attr struct {
	Ino       uint64
	Size      uint64
	Blocks    uint64
	Atime     uint64
	Mtime     uint64
	Ctime     uint64
	AtimeNsec uint32
	MtimeNsec uint32
	CtimeNsec uint32
	Mode      uint32 // type and permission bits, as in st_mode
	Nlink     uint32
	UID       uint32
	GID       uint32
	Rdev      uint32
	Blksize   uint32
	// ValidMS is how long the client may cache these attributes, in milliseconds.
	// Modules that do not know leave it zero; the consumer's cache policy applies.
	ValidMS uint32
	// Submount says that a directory that was looked up is where another file system begins, if
	// the module said [MountOpts].Submounts. Not in SPDK.
	Submount bool
}

// Bits of the mask of [Desc.Setattr]: which fields of the Attr to apply.
//
// SPDK: FSDEV_SET_ATTR_MODE and its siblings
const (
	SetAttrMode     uint32 = 1 << 0
	SetAttrUID      uint32 = 1 << 1
	SetAttrGID      uint32 = 1 << 2
	SetAttrSize     uint32 = 1 << 3
	SetAttrAtime    uint32 = 1 << 4
	SetAttrMtime    uint32 = 1 << 5
	SetAttrAtimeNow uint32 = 1 << 6
	SetAttrMtimeNow uint32 = 1 << 7
	SetAttrCtime    uint32 = 1 << 8
	// SetAttrKillSuidgid asks that S_ISUID and (for group-executable files) S_ISGID be
	// cleared along with the change. Not in SPDK.
	SetAttrKillSuidgid uint32 = 1 << 9
)

// Statfs describes the space of a file system device.
//
// SPDK: struct spdk_fsdev_file_statfs
type Statfs struct {
	Blocks  uint64 // in units of Frsize
	Bfree   uint64
	Bavail  uint64
	Files   uint64
	Ffree   uint64
	Bsize   uint32
	Frsize  uint32
	Namelen uint32
}

// Creator is who creates a file, and what the file shall have from the beginning.
//
// SPDK: the euid and egid of spdk_fsdev_mkdir and its siblings; the rest is not in SPDK.
type Creator struct {
	UID, GID uint32
	// Umask has still to be applied to the mode, unless the directory has a default ACL. It is
	// 0 if the client has applied it, which is the usual case.
	Umask uint32
	// Group is a supplementary group of the creator, if HasGroup: that of the directory, so
	// that a file which inherits it may keep its set-group-ID bit. FUSE_EXT_GROUPS
	Group    uint32
	HasGroup bool
	// Security are extended attributes of namespace security that the file gets as it is
	// created; valid until the completion. FUSE_SECURITY_CTX
	Security []Xattr
}

// Xattr is an extended attribute. Not in SPDK.
type Xattr struct{ Name, Value []byte }

// Lock is a byte-range lock of [Desc.Getlk] and [Desc.Setlk].
//
// Not in SPDK: struct flock, struct fuse_file_lock.
type Lock struct {
	Type  uint32 // F_RDLCK, F_WRLCK, F_UNLCK
	PID   uint32 // of the owner's process, for who asks
	Start uint64
	End   uint64 // the last byte; math.MaxInt64 for "to the end, wherever that will be"
}

// Statx holds what [Desc.Statx] returns. Mask says which fields are valid.
//
// Not in SPDK: struct statx.
type Statx struct {
	Mask           uint32 // STATX_*
	Attributes     uint64 // STATX_ATTR_*
	AttributesMask uint64 // those of Attributes that the file system knows
	Btime          uint64
	BtimeNsec      uint32
	Attr           Attr
}

// MountOpts is offered by the client to [Desc.Mount] and narrowed by the module.
//
// SPDK: struct spdk_fsdev_mount_opts
type MountOpts struct {
	// MaxWrite is the largest WRITE payload in bytes. In: what the transport can
	// carry; out: what the module accepts, never more.
	MaxWrite uint32
	// WritebackCache: in, the client is able and wishes to cache writes; out, it may.
	WritebackCache bool
	// NoOpen (out only): files can be read, written and synced by FileObject alone, so
	// a client may leave out FOPEN and OPENDIR and pass a zero FileHandle. Not in SPDK.
	NoOpen bool
	// KillPriv (out only): the module obeys [FlagKillSuidgid] and [SetAttrKillSuidgid],
	// and drops security.capability when a file is written, truncated or given away, so
	// that a client need not look for it before each write. Not in SPDK.
	KillPriv bool
	// NoSync (out only): FLUSH, FSYNC and FSYNCDIR have nothing to do, so that a client
	// may leave them out. Not in SPDK.
	NoSync bool
	// PosixLocks (out only): the module has byte-range locks, see [Desc.Setlk]. Otherwise
	// the client keeps them itself. Not in SPDK.
	PosixLocks bool
	// PosixACL (out only): the module stores POSIX ACLs as extended attributes, and obeys
	// them and [Creator].Umask when it creates files. Not in SPDK.
	PosixACL bool
	// SecurityCtx (out only): the module obeys [Creator].Security. Not in SPDK.
	SecurityCtx bool
	// SuppGroup (out only): the module obeys [Creator].Group. Not in SPDK.
	SuppGroup bool
	// Submounts (out only): the module says where other file systems begin ([Attr].Submount),
	// whose inode numbers may be those of other files. Not in SPDK.
	Submounts bool
}

// FlagKillSuidgid may be set, beside O_*, in the flags of [Desc.Write], [Desc.Fopen] and
// [Desc.Create], in the flags of [Desc.CopyFileRange], where it is about the file that is copied
// to, and in the mode of [Desc.Fallocate], when the module said [MountOpts].KillPriv: clear
// S_ISUID, and S_ISGID of a group-executable file, if the operation changes the file's data.
//
// Not in SPDK.
const FlagKillSuidgid uint32 = 1 << 31

// IOType is the operation that an [IO] asks for.
//
// SPDK: enum spdk_fsdev_io_type
type IOType uint8

// The operations of a file system device.
//
// SPDK: SPDK_FSDEV_IO_MOUNT and its siblings
const (
	IOMount IOType = iota
	IOUmount
	IOLookup
	IOForget
	IOGetattr
	IOSetattr
	IOReadlink
	IOSymlink
	IOMknod
	IOMkdir
	IOUnlink
	IORmdir
	IORename
	IOLink
	IOFopen
	IORead
	IOWrite
	IOStatfs
	IORelease
	IOFsync
	IOSetxattr
	IOGetxattr
	IOListxattr
	IORemovexattr
	IOFlush
	IOOpendir
	IOReaddir
	IOReleasedir
	IOFsyncdir
	IOFlock
	IOCreate
	IOAbort
	IOFallocate
	IOCopyFileRange
	// What follows is not in SPDK.
	IOLseek
	IOStatx
	IOTmpfile
	IOSyncfs
	IOGetlk
	IOSetlk
	IOIoctl
	IOPoll
	ioTypeCount
)

// NumIOTypes is the number of operations, for tables indexed by [IOType].
//
// SPDK: __SPDK_FSDEV_IO_LAST
const NumIOTypes = int(ioTypeCount)

var ioTypeNames = [NumIOTypes]string{
	"MOUNT", "UMOUNT", "LOOKUP", "FORGET", "GETATTR", "SETATTR", "READLINK", "SYMLINK",
	"MKNOD", "MKDIR", "UNLINK", "RMDIR", "RENAME", "LINK", "FOPEN", "READ", "WRITE", "STATFS",
	"RELEASE", "FSYNC", "SETXATTR", "GETXATTR", "LISTXATTR", "REMOVEXATTR", "FLUSH", "OPENDIR",
	"READDIR", "RELEASEDIR", "FSYNCDIR", "FLOCK", "CREATE", "ABORT", "FALLOCATE", "COPY_FILE_RANGE",
	"LSEEK", "STATX", "TMPFILE", "SYNCFS", "GETLK", "SETLK", "IOCTL", "POLL",
}

// String returns the operation's name as SPDK spells it, for logs and statistics.
func (t IOType) String() string {
	if int(t) < NumIOTypes {
		return ioTypeNames[t]
	}
	return "UNKNOWN"
}

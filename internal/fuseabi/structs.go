package fuseabi

import "structs"

// InHeader begins every request. linux/fuse.h, struct fuse_in_header
type InHeader struct {
	_           structs.HostLayout
	Len         uint32 // of the whole request, this header included, bytes
	Opcode      uint32
	Unique      uint64 // name of the request; even, except for INTERRUPT
	NodeID      uint64
	UID         uint32
	GID         uint32
	PID         uint32
	TotalExtlen uint16 // length of the extensions at the end, in 8-byte units; 7.38
	Padding     uint16
}

// OutHeader begins every reply and notification. linux/fuse.h, struct fuse_out_header
type OutHeader struct {
	_      structs.HostLayout
	Len    uint32 // of the whole reply, this header included, bytes
	Error  int32  // 0 or a negated errno in (-512, 0); a notification's code when Unique is 0
	Unique uint64 // that of the request; 0 for a notification
}

// Attr is the inode part of replies. linux/fuse.h, struct fuse_attr; Blksize and Flags since 7.9
type Attr struct {
	_         structs.HostLayout
	Ino       uint64
	Size      uint64
	Blocks    uint64 // of 512 bytes
	Atime     uint64
	Mtime     uint64
	Ctime     uint64
	AtimeNsec uint32
	MtimeNsec uint32
	CtimeNsec uint32
	Mode      uint32
	Nlink     uint32
	UID       uint32
	GID       uint32
	Rdev      uint32
	Blksize   uint32
	Flags     uint32 // FUSE_ATTR_*; padding before 7.32
}

// SxTime is a time stamp of [Statx]. linux/fuse.h, struct fuse_sx_time; 7.39, Linux 6.6
type SxTime struct {
	_        structs.HostLayout
	TvSec    int64
	TvNsec   uint32
	Reserved int32
}

// Statx is compatible with struct statx of statx(2). linux/fuse.h, struct fuse_statx; 7.39, Linux 6.6
type Statx struct {
	_              structs.HostLayout
	Mask           uint32
	Blksize        uint32
	Attributes     uint64
	Nlink          uint32
	UID            uint32
	GID            uint32
	Mode           uint16
	Spare0         [1]uint16
	Ino            uint64
	Size           uint64
	Blocks         uint64
	AttributesMask uint64
	Atime          SxTime
	Btime          SxTime
	Ctime          SxTime
	Mtime          SxTime
	RdevMajor      uint32
	RdevMinor      uint32
	DevMajor       uint32
	DevMinor       uint32
	Spare2         [14]uint64
}

// Kstatfs is the body of [StatfsOut]. linux/fuse.h, struct fuse_kstatfs; Frsize since 7.4
type Kstatfs struct {
	_       structs.HostLayout
	Blocks  uint64 // of Frsize bytes
	Bfree   uint64
	Bavail  uint64
	Files   uint64
	Ffree   uint64
	Bsize   uint32
	Namelen uint32
	Frsize  uint32
	Padding uint32
	Spare   [6]uint32
}

// FileLock is a byte range lock. linux/fuse.h, struct fuse_file_lock
type FileLock struct {
	_     structs.HostLayout
	Start uint64
	End   uint64 // inclusive
	Type  uint32 // F_RDLCK, F_WRLCK, F_UNLCK
	PID   uint32
}

// EntryOut replies to LOOKUP, SYMLINK, MKNOD, MKDIR, LINK and begins the reply to CREATE and
// TMPFILE. linux/fuse.h, struct fuse_entry_out
type EntryOut struct {
	_              structs.HostLayout
	NodeID         uint64 // 0: a negative entry that may be cached for EntryValid
	Generation     uint64 // (NodeID, Generation) is unique for the life of the file system
	EntryValid     uint64 // how long the name may be cached, s
	AttrValid      uint64 // how long the attributes may be cached, s
	EntryValidNsec uint32
	AttrValidNsec  uint32
	Attr           Attr
}

// ForgetIn is the argument of FORGET. linux/fuse.h, struct fuse_forget_in
type ForgetIn struct {
	_       structs.HostLayout
	Nlookup uint64
}

// ForgetOne is one element after [BatchForgetIn]. linux/fuse.h, struct fuse_forget_one
type ForgetOne struct {
	_       structs.HostLayout
	NodeID  uint64
	Nlookup uint64
}

// BatchForgetIn is the argument of BATCH_FORGET; Count [ForgetOne] follow.
// linux/fuse.h, struct fuse_batch_forget_in
type BatchForgetIn struct {
	_     structs.HostLayout
	Count uint32
	Dummy uint32
}

// GetattrIn is the argument of GETATTR, absent before 7.9. linux/fuse.h, struct fuse_getattr_in
type GetattrIn struct {
	_            structs.HostLayout
	GetattrFlags uint32 // FUSE_GETATTR_FH
	Dummy        uint32
	Fh           uint64
}

// AttrOut replies to GETATTR and SETATTR. linux/fuse.h, struct fuse_attr_out
type AttrOut struct {
	_             structs.HostLayout
	AttrValid     uint64 // how long the attributes may be cached, s
	AttrValidNsec uint32
	Dummy         uint32
	Attr          Attr
}

// StatxIn is the argument of STATX. linux/fuse.h, struct fuse_statx_in; 7.39, Linux 6.6
type StatxIn struct {
	_            structs.HostLayout
	GetattrFlags uint32
	Reserved     uint32
	Fh           uint64
	SxFlags      uint32
	SxMask       uint32
}

// StatxOut replies to STATX. linux/fuse.h, struct fuse_statx_out; 7.39, Linux 6.6
type StatxOut struct {
	_             structs.HostLayout
	AttrValid     uint64
	AttrValidNsec uint32
	Flags         uint32
	Spare         [2]uint64
	Stat          Statx
}

// MknodIn is the argument of MKNOD; the name follows. 8 bytes before 7.12.
// linux/fuse.h, struct fuse_mknod_in
type MknodIn struct {
	_       structs.HostLayout
	Mode    uint32
	Rdev    uint32
	Umask   uint32
	Padding uint32
}

// MkdirIn is the argument of MKDIR; the name follows. Umask is padding before 7.12.
// linux/fuse.h, struct fuse_mkdir_in
type MkdirIn struct {
	_     structs.HostLayout
	Mode  uint32
	Umask uint32
}

// RenameIn is the argument of RENAME; old and new name follow.
// linux/fuse.h, struct fuse_rename_in
type RenameIn struct {
	_      structs.HostLayout
	Newdir uint64
}

// Rename2In is the argument of RENAME2; old and new name follow.
// linux/fuse.h, struct fuse_rename2_in
type Rename2In struct {
	_       structs.HostLayout
	Newdir  uint64
	Flags   uint32 // RENAME_*
	Padding uint32
}

// LinkIn is the argument of LINK; the name follows. linux/fuse.h, struct fuse_link_in
type LinkIn struct {
	_         structs.HostLayout
	OldNodeID uint64
}

// SetattrIn is the argument of SETATTR. linux/fuse.h, struct fuse_setattr_in
type SetattrIn struct {
	_         structs.HostLayout
	Valid     uint32 // FATTR_*
	Padding   uint32
	Fh        uint64
	Size      uint64
	LockOwner uint64
	Atime     uint64
	Mtime     uint64
	Ctime     uint64
	AtimeNsec uint32
	MtimeNsec uint32
	CtimeNsec uint32
	Mode      uint32
	Unused4   uint32
	UID       uint32
	GID       uint32
	Unused5   uint32
}

// OpenIn is the argument of OPEN and OPENDIR. linux/fuse.h, struct fuse_open_in
type OpenIn struct {
	_         structs.HostLayout
	Flags     uint32 // O_*
	OpenFlags uint32 // FUSE_OPEN_*; unused before 7.33
}

// CreateIn is the argument of CREATE and TMPFILE; the name follows. 8 bytes, those of [OpenIn],
// before 7.12. linux/fuse.h, struct fuse_create_in
type CreateIn struct {
	_         structs.HostLayout
	Flags     uint32 // O_*
	Mode      uint32
	Umask     uint32
	OpenFlags uint32 // FUSE_OPEN_*; padding before 7.33
}

// OpenOut replies to OPEN and OPENDIR and ends the reply to CREATE and TMPFILE.
// linux/fuse.h, struct fuse_open_out
type OpenOut struct {
	_         structs.HostLayout
	Fh        uint64
	OpenFlags uint32 // FOPEN_*
	BackingID int32  // of FUSE_DEV_IOC_BACKING_OPEN, with FOPEN_PASSTHROUGH; padding before 7.40
}

// ReleaseIn is the argument of RELEASE and RELEASEDIR. linux/fuse.h, struct fuse_release_in
type ReleaseIn struct {
	_            structs.HostLayout
	Fh           uint64
	Flags        uint32 // O_*
	ReleaseFlags uint32 // FUSE_RELEASE_*
	LockOwner    uint64
}

// FlushIn is the argument of FLUSH. linux/fuse.h, struct fuse_flush_in
type FlushIn struct {
	_         structs.HostLayout
	Fh        uint64
	Unused    uint32
	Padding   uint32
	LockOwner uint64
}

// ReadIn is the argument of READ, READDIR and READDIRPLUS. 24 bytes before 7.9.
// linux/fuse.h, struct fuse_read_in
type ReadIn struct {
	_         structs.HostLayout
	Fh        uint64
	Offset    uint64
	Size      uint32
	ReadFlags uint32 // FUSE_READ_*
	LockOwner uint64
	Flags     uint32 // O_*
	Padding   uint32
}

// WriteIn is the argument of WRITE; Size bytes follow. 24 bytes before 7.9.
// linux/fuse.h, struct fuse_write_in
type WriteIn struct {
	_          structs.HostLayout
	Fh         uint64
	Offset     uint64
	Size       uint32
	WriteFlags uint32 // FUSE_WRITE_*
	LockOwner  uint64
	Flags      uint32 // O_*
	Padding    uint32
}

// WriteOut replies to WRITE and COPY_FILE_RANGE. linux/fuse.h, struct fuse_write_out
type WriteOut struct {
	_       structs.HostLayout
	Size    uint32
	Padding uint32
}

// StatfsOut replies to STATFS. 48 bytes before 7.4. linux/fuse.h, struct fuse_statfs_out
type StatfsOut struct {
	_  structs.HostLayout
	St Kstatfs
}

// FsyncIn is the argument of FSYNC and FSYNCDIR. linux/fuse.h, struct fuse_fsync_in
type FsyncIn struct {
	_          structs.HostLayout
	Fh         uint64
	FsyncFlags uint32 // FUSE_FSYNC_*
	Padding    uint32
}

// SetxattrIn is the argument of SETXATTR; name and value follow. 8 bytes unless
// FUSE_SETXATTR_EXT was negotiated (7.33). linux/fuse.h, struct fuse_setxattr_in
type SetxattrIn struct {
	_             structs.HostLayout
	Size          uint32 // of the value
	Flags         uint32 // XATTR_*
	SetxattrFlags uint32 // FUSE_SETXATTR_*
	Padding       uint32
}

// GetxattrIn is the argument of GETXATTR, whose name follows, and of LISTXATTR.
// linux/fuse.h, struct fuse_getxattr_in
type GetxattrIn struct {
	_       structs.HostLayout
	Size    uint32 // 0 asks for the size
	Padding uint32
}

// GetxattrOut replies to GETXATTR and LISTXATTR with size 0.
// linux/fuse.h, struct fuse_getxattr_out
type GetxattrOut struct {
	_       structs.HostLayout
	Size    uint32
	Padding uint32
}

// LkIn is the argument of GETLK, SETLK and SETLKW. 40 bytes before 7.9.
// linux/fuse.h, struct fuse_lk_in
type LkIn struct {
	_       structs.HostLayout
	Fh      uint64
	Owner   uint64
	Lk      FileLock
	LkFlags uint32 // FUSE_LK_*
	Padding uint32
}

// LkOut replies to GETLK. linux/fuse.h, struct fuse_lk_out
type LkOut struct {
	_  structs.HostLayout
	Lk FileLock
}

// AccessIn is the argument of ACCESS. linux/fuse.h, struct fuse_access_in
type AccessIn struct {
	_       structs.HostLayout
	Mask    uint32
	Padding uint32
}

// InitIn is the argument of INIT. 8 bytes before 7.6, 16 before 7.36.
// linux/fuse.h, struct fuse_init_in
type InitIn struct {
	_            structs.HostLayout
	Major        uint32
	Minor        uint32
	MaxReadahead uint32
	Flags        uint32 // the low 32 INIT flags
	Flags2       uint32 // the high 32, if Flags has FUSE_INIT_EXT
	Unused       [11]uint32
}

// InitOut replies to INIT. 8 bytes before 7.5, 24 before 7.23.
// linux/fuse.h, struct fuse_init_out
type InitOut struct {
	_                   structs.HostLayout
	Major               uint32
	Minor               uint32
	MaxReadahead        uint32
	Flags               uint32
	MaxBackground       uint16 // 7.13; 0: the kernel's default, 12
	CongestionThreshold uint16 // 7.13; 0: the kernel's default, 9
	MaxWrite            uint32 // bytes; at least 4096
	TimeGran            uint32 // ns; 7.23
	MaxPages            uint16 // with FUSE_MAX_PAGES; 7.28
	MapAlignment        uint16 // log2, with FUSE_MAP_ALIGNMENT; 7.31
	Flags2              uint32 // with FUSE_INIT_EXT; 7.36
	MaxStackDepth       uint32 // with FUSE_PASSTHROUGH; 7.40
	RequestTimeout      uint16 // s, with FUSE_REQUEST_TIMEOUT; 7.43
	Unused              [11]uint16
}

// CuseInitIn is the argument of CUSE_INIT. linux/fuse.h, struct cuse_init_in
type CuseInitIn struct {
	_      structs.HostLayout
	Major  uint32
	Minor  uint32
	Unused uint32
	Flags  uint32
}

// CuseInitOut replies to CUSE_INIT. linux/fuse.h, struct cuse_init_out
type CuseInitOut struct {
	_        structs.HostLayout
	Major    uint32
	Minor    uint32
	Unused   uint32
	Flags    uint32
	MaxRead  uint32
	MaxWrite uint32
	DevMajor uint32
	DevMinor uint32
	Spare    [10]uint32
}

// InterruptIn is the argument of INTERRUPT. linux/fuse.h, struct fuse_interrupt_in
type InterruptIn struct {
	_      structs.HostLayout
	Unique uint64 // of the request to interrupt
}

// BmapIn is the argument of BMAP. linux/fuse.h, struct fuse_bmap_in
type BmapIn struct {
	_         structs.HostLayout
	Block     uint64
	Blocksize uint32
	Padding   uint32
}

// BmapOut replies to BMAP. linux/fuse.h, struct fuse_bmap_out
type BmapOut struct {
	_     structs.HostLayout
	Block uint64
}

// IoctlIn is the argument of IOCTL; InSize bytes follow. linux/fuse.h, struct fuse_ioctl_in
type IoctlIn struct {
	_       structs.HostLayout
	Fh      uint64
	Flags   uint32 // FUSE_IOCTL_*
	Cmd     uint32
	Arg     uint64
	InSize  uint32
	OutSize uint32
}

// IoctlIovec describes memory that an unrestricted ioctl wants. linux/fuse.h,
// struct fuse_ioctl_iovec
type IoctlIovec struct {
	_    structs.HostLayout
	Base uint64
	Len  uint64
}

// IoctlOut replies to IOCTL; iovecs or output data follow. linux/fuse.h, struct fuse_ioctl_out
type IoctlOut struct {
	_       structs.HostLayout
	Result  int32
	Flags   uint32
	InIovs  uint32
	OutIovs uint32
}

// PollIn is the argument of POLL. linux/fuse.h, struct fuse_poll_in
type PollIn struct {
	_      structs.HostLayout
	Fh     uint64
	Kh     uint64 // names the poll in NOTIFY_POLL
	Flags  uint32 // FUSE_POLL_*
	Events uint32 // since 7.21
}

// PollOut replies to POLL. linux/fuse.h, struct fuse_poll_out
type PollOut struct {
	_       structs.HostLayout
	Revents uint32
	Padding uint32
}

// NotifyPollWakeupOut is the body of NOTIFY_POLL. linux/fuse.h,
// struct fuse_notify_poll_wakeup_out
type NotifyPollWakeupOut struct {
	_  structs.HostLayout
	Kh uint64
}

// FallocateIn is the argument of FALLOCATE. linux/fuse.h, struct fuse_fallocate_in
type FallocateIn struct {
	_       structs.HostLayout
	Fh      uint64
	Offset  uint64
	Length  uint64
	Mode    uint32
	Padding uint32
}

// Dirent is the fixed part of one entry of a READDIR reply; Namelen bytes of name without a
// terminator follow, then zeros up to a multiple of 8. linux/fuse.h, struct fuse_dirent
type Dirent struct {
	_       structs.HostLayout
	Ino     uint64
	Off     uint64 // where to continue after this entry
	Namelen uint32
	Type    uint32 // DT_*
}

// Direntplus is the fixed part of one entry of a READDIRPLUS reply; the name follows as after
// [Dirent]. linux/fuse.h, struct fuse_direntplus
type Direntplus struct {
	_        structs.HostLayout
	EntryOut EntryOut // NodeID 0: no lookup was done for this entry
	Dirent   Dirent
}

// NotifyInvalInodeOut is the body of NOTIFY_INVAL_INODE. linux/fuse.h,
// struct fuse_notify_inval_inode_out
type NotifyInvalInodeOut struct {
	_   structs.HostLayout
	Ino uint64
	Off int64 // negative: attributes only
	Len int64 // 0 or negative: up to the end
}

// NotifyInvalEntryOut is the body of NOTIFY_INVAL_ENTRY; the name and a NUL follow.
// linux/fuse.h, struct fuse_notify_inval_entry_out
type NotifyInvalEntryOut struct {
	_       structs.HostLayout
	Parent  uint64
	Namelen uint32 // without the NUL
	Flags   uint32 // FUSE_EXPIRE_ONLY; padding before 7.38
}

// NotifyDeleteOut is the body of NOTIFY_DELETE; the name and a NUL follow. linux/fuse.h,
// struct fuse_notify_delete_out
type NotifyDeleteOut struct {
	_       structs.HostLayout
	Parent  uint64
	Child   uint64
	Namelen uint32 // without the NUL
	Padding uint32
}

// NotifyStoreOut is the body of NOTIFY_STORE; Size bytes follow. linux/fuse.h,
// struct fuse_notify_store_out
type NotifyStoreOut struct {
	_       structs.HostLayout
	NodeID  uint64
	Offset  uint64
	Size    uint32
	Padding uint32
}

// NotifyRetrieveOut is the body of NOTIFY_RETRIEVE. linux/fuse.h,
// struct fuse_notify_retrieve_out
type NotifyRetrieveOut struct {
	_            structs.HostLayout
	NotifyUnique uint64
	NodeID       uint64
	Offset       uint64
	Size         uint32
	Padding      uint32
}

// NotifyRetrieveIn is the argument of NOTIFY_REPLY; Size bytes follow. linux/fuse.h,
// struct fuse_notify_retrieve_in
type NotifyRetrieveIn struct {
	_      structs.HostLayout
	Dummy1 uint64
	Offset uint64
	Size   uint32
	Dummy2 uint32
	Dummy3 uint64
	Dummy4 uint64
}

// NotifyPruneOut is the body of NOTIFY_PRUNE; Count node IDs follow. linux/fuse.h,
// struct fuse_notify_prune_out; 7.45, Linux 6.18
type NotifyPruneOut struct {
	_       structs.HostLayout
	Count   uint32
	Padding uint32
	Spare   uint64
}

// BackingMap is the argument of FUSE_DEV_IOC_BACKING_OPEN. linux/fuse.h,
// struct fuse_backing_map; 7.40, Linux 6.9
type BackingMap struct {
	_       structs.HostLayout
	Fd      int32
	Flags   uint32
	Padding uint64
}

// LseekIn is the argument of LSEEK. linux/fuse.h, struct fuse_lseek_in
type LseekIn struct {
	_       structs.HostLayout
	Fh      uint64
	Offset  uint64
	Whence  uint32 // SEEK_DATA, SEEK_HOLE
	Padding uint32
}

// LseekOut replies to LSEEK. linux/fuse.h, struct fuse_lseek_out
type LseekOut struct {
	_      structs.HostLayout
	Offset uint64
}

// CopyFileRangeIn is the argument of COPY_FILE_RANGE and COPY_FILE_RANGE_64. linux/fuse.h,
// struct fuse_copy_file_range_in
type CopyFileRangeIn struct {
	_         structs.HostLayout
	FhIn      uint64
	OffIn     uint64
	NodeIDOut uint64
	FhOut     uint64
	OffOut    uint64
	Len       uint64
	Flags     uint64
}

// CopyFileRangeOut replies to COPY_FILE_RANGE_64; the older operation has [WriteOut].
// linux/fuse.h, struct fuse_copy_file_range_out; 7.45, Linux 6.18
type CopyFileRangeOut struct {
	_           structs.HostLayout
	BytesCopied uint64
}

// SetupmappingIn is the argument of SETUPMAPPING. linux/fuse.h, struct fuse_setupmapping_in
type SetupmappingIn struct {
	_       structs.HostLayout
	Fh      uint64
	Foffset uint64
	Len     uint64
	Flags   uint64 // FUSE_SETUPMAPPING_FLAG_*
	Moffset uint64
}

// RemovemappingIn is the argument of REMOVEMAPPING; Count [RemovemappingOne] follow at once,
// at offset 4. linux/fuse.h, struct fuse_removemapping_in
type RemovemappingIn struct {
	_     structs.HostLayout
	Count uint32
}

// RemovemappingOne is one element after [RemovemappingIn]. linux/fuse.h,
// struct fuse_removemapping_one
type RemovemappingOne struct {
	_       structs.HostLayout
	Moffset uint64
	Len     uint64
}

// SyncfsIn is the argument of SYNCFS. linux/fuse.h, struct fuse_syncfs_in
type SyncfsIn struct {
	_       structs.HostLayout
	Padding uint64
}

// Secctx begins one security context; name and context follow. linux/fuse.h,
// struct fuse_secctx
type Secctx struct {
	_       structs.HostLayout
	Size    uint32
	Padding uint32
}

// SecctxHeader begins the security context extension. linux/fuse.h, struct fuse_secctx_header
type SecctxHeader struct {
	_        structs.HostLayout
	Size     uint32
	NrSecctx uint32
}

// ExtHeader begins an extension at the end of a request. linux/fuse.h, struct fuse_ext_header;
// 7.38
type ExtHeader struct {
	_    structs.HostLayout
	Size uint32 // this header included
	Type uint32 // FUSE_EXT_*
}

// SuppGroups is the fixed part of the supplementary groups extension; NrGroups 32-bit group IDs
// follow. linux/fuse.h, struct fuse_supp_groups; 7.38, Linux 6.3
type SuppGroups struct {
	_        structs.HostLayout
	NrGroups uint32
}

// UringEntInOut describes one request of a FUSE ring. linux/fuse.h,
// struct fuse_uring_ent_in_out; 7.42, Linux 6.14
type UringEntInOut struct {
	_         structs.HostLayout
	Flags     uint64
	CommitID  uint64
	PayloadSz uint32
	Padding   uint32
	Reserved  uint64
}

// UringReqHeader is the header buffer of a FUSE ring entry. linux/fuse.h,
// struct fuse_uring_req_header; 7.42, Linux 6.14
type UringReqHeader struct {
	_            structs.HostLayout
	InOut        [FUSE_URING_IN_OUT_HEADER_SZ]byte // InHeader, then OutHeader
	OpIn         [FUSE_URING_OP_IN_OUT_SZ]byte     // the operation's argument, then its reply
	RingEntInOut UringEntInOut
}

// UringCmdReq is the command area of an SQE of a FUSE ring. linux/fuse.h,
// struct fuse_uring_cmd_req; 7.42, Linux 6.14
type UringCmdReq struct {
	_        structs.HostLayout
	Flags    uint64
	CommitID uint64
	QID      uint16
	Padding  [6]uint8
}

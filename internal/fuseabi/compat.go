package fuseabi

// FUSE_MIN_READ_BUFFER is the least size of a buffer for read(2) from /dev/fuse; the kernel
// refuses less. A session must also offer 4 KiB more than its largest WRITE. linux/fuse.h
const FUSE_MIN_READ_BUFFER = 8192

// CUSE_INIT_INFO_MAX is the largest payload of a reply to CUSE_INIT. linux/fuse.h
const CUSE_INIT_INFO_MAX = 4096

// Sizes, in bytes, that structures had in older minor versions. linux/fuse.h
const (
	FUSE_COMPAT_ENTRY_OUT_SIZE   = 120 // EntryOut before 7.9
	FUSE_COMPAT_ATTR_OUT_SIZE    = 96  // AttrOut before 7.9
	FUSE_COMPAT_MKNOD_IN_SIZE    = 8   // MknodIn before 7.12
	FUSE_COMPAT_WRITE_IN_SIZE    = 24  // WriteIn before 7.9
	FUSE_COMPAT_STATFS_SIZE      = 48  // StatfsOut before 7.4
	FUSE_COMPAT_SETXATTR_IN_SIZE = 8   // SetxattrIn without FUSE_SETXATTR_EXT
	FUSE_COMPAT_INIT_OUT_SIZE    = 8   // InitOut before 7.5
	FUSE_COMPAT_22_INIT_OUT_SIZE = 24  // InitOut before 7.23
)

// More old sizes. The kernel never had names for these: it only ever sends its newest form, but a
// virtual machine may run an old kernel.
const (
	CompatReadInSize   = 24 // ReadIn before 7.9
	CompatLkInSize     = 40 // LkIn before 7.9
	CompatInitInSize   = 8  // InitIn before 7.6: Major and Minor
	Compat36InitInSize = 16 // InitIn before 7.36: without Flags2
)

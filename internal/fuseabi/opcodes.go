package fuseabi

// FUSE_KERNEL_VERSION and FUSE_KERNEL_MINOR_VERSION are the newest protocol version this package
// describes. linux/fuse.h
const (
	FUSE_KERNEL_VERSION       = 7
	FUSE_KERNEL_MINOR_VERSION = 45
)

// FUSE_ROOT_ID is the node ID of the root. linux/fuse.h
const FUSE_ROOT_ID = 1

// Operations, [InHeader.Opcode]. linux/fuse.h, enum fuse_opcode
const (
	FUSE_LOOKUP       = 1
	FUSE_FORGET       = 2 // no reply
	FUSE_GETATTR      = 3
	FUSE_SETATTR      = 4
	FUSE_READLINK     = 5
	FUSE_SYMLINK      = 6
	FUSE_MKNOD        = 8
	FUSE_MKDIR        = 9
	FUSE_UNLINK       = 10
	FUSE_RMDIR        = 11
	FUSE_RENAME       = 12
	FUSE_LINK         = 13
	FUSE_OPEN         = 14
	FUSE_READ         = 15
	FUSE_WRITE        = 16
	FUSE_STATFS       = 17
	FUSE_RELEASE      = 18
	FUSE_FSYNC        = 20
	FUSE_SETXATTR     = 21
	FUSE_GETXATTR     = 22
	FUSE_LISTXATTR    = 23
	FUSE_REMOVEXATTR  = 24
	FUSE_FLUSH        = 25
	FUSE_INIT         = 26
	FUSE_OPENDIR      = 27
	FUSE_READDIR      = 28
	FUSE_RELEASEDIR   = 29
	FUSE_FSYNCDIR     = 30
	FUSE_GETLK        = 31
	FUSE_SETLK        = 32
	FUSE_SETLKW       = 33
	FUSE_ACCESS       = 34
	FUSE_CREATE       = 35
	FUSE_INTERRUPT    = 36 // no reply, except EAGAIN to have it sent again
	FUSE_BMAP         = 37
	FUSE_DESTROY      = 38
	FUSE_IOCTL        = 39
	FUSE_POLL         = 40
	FUSE_NOTIFY_REPLY = 41 // no reply; 7.15
	FUSE_BATCH_FORGET = 42 // no reply; 7.16
	FUSE_FALLOCATE    = 43 // 7.19
	FUSE_READDIRPLUS  = 44 // 7.21
	FUSE_RENAME2      = 45 // 7.23
	FUSE_LSEEK        = 46 // 7.24

	FUSE_COPY_FILE_RANGE    = 47 // 7.28
	FUSE_SETUPMAPPING       = 48 // 7.31
	FUSE_REMOVEMAPPING      = 49 // 7.31
	FUSE_SYNCFS             = 50 // 7.34
	FUSE_TMPFILE            = 51 // 7.37
	FUSE_STATX              = 52 // 7.39, Linux 6.6
	FUSE_COPY_FILE_RANGE_64 = 53 // 7.45, Linux 6.18

	CUSE_INIT = 4096 // character devices in user space only

	// What INIT looks like when it comes from a machine of the other byte order.
	CUSE_INIT_BSWAP_RESERVED = 1048576
	FUSE_INIT_BSWAP_RESERVED = 436207616
)

// Notifications: the error field, which is positive here, of an [OutHeader] whose Unique is 0.
// linux/fuse.h, enum fuse_notify_code
const (
	FUSE_NOTIFY_POLL        = 1 // 7.11
	FUSE_NOTIFY_INVAL_INODE = 2 // 7.12
	FUSE_NOTIFY_INVAL_ENTRY = 3 // 7.12
	FUSE_NOTIFY_STORE       = 4 // 7.15
	FUSE_NOTIFY_RETRIEVE    = 5 // 7.15; answered by a NOTIFY_REPLY request
	FUSE_NOTIFY_DELETE      = 6 // 7.18
	FUSE_NOTIFY_RESEND      = 7 // 7.40, Linux 6.9
	FUSE_NOTIFY_INC_EPOCH   = 8 // 7.44, Linux 6.16
	FUSE_NOTIFY_PRUNE       = 9 // 7.45, Linux 6.18
)

// Request names, [InHeader.Unique].
const (
	// FUSE_UNIQUE_RESEND marks a request that the kernel sends again after
	// FUSE_NOTIFY_RESEND. linux/fuse.h; 7.40, Linux 6.9
	FUSE_UNIQUE_RESEND = 1 << 63
	// FUSE_INT_REQ_BIT is set in the unique of an INTERRUPT request; without it the unique is
	// that of the request to interrupt. Ordinary requests have even uniques.
	// Kernel internal: fs/fuse/fuse_dev_i.h
	FUSE_INT_REQ_BIT = 1 << 0
	// FUSE_REQ_ID_STEP is the distance between the uniques of two requests.
	// Kernel internal: fs/fuse/fuse_dev_i.h
	FUSE_REQ_ID_STEP = 1 << 1
)

// FUSE_INVALID_UIDGID stands in [InHeader.UID] and [InHeader.GID] for an ID that an ID-mapped
// mount cannot express; only with FUSE_ALLOW_IDMAP. linux/fuse.h; 7.41, Linux 6.12
const FUSE_INVALID_UIDGID = 0xffffffff

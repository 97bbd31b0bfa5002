package fsdev

import (
	"syscall"

	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

// IO is one operation on its way to a module and back. fsdev fills the request fields
// before [Device.SubmitRequest]; the module fills the result fields and calls
// [IO.Complete] exactly once, from the thread of the IO's channel, at once or later.
//
// The fields are shared by all operations; those an operation does not list below are
// undefined. Byte slices of the request belong to the caller and stay valid and unchanged
// until the completion. On an error the results are ignored; on success all of them count,
// so a module assigns OutAttr and OutStatfs as a whole: they hold what an earlier use left.
//
//	operation        request                                              result
//	MOUNT            Mount                                                Mount, OutObject (one reference)
//	UMOUNT           (drops every reference and handle of this Desc)
//	LOOKUP           Object (parent), Name                                OutObject (+1 reference), OutAttr
//	FORGET           Object, Nlookup
//	GETATTR          Object, Handle (optional)                            OutAttr
//	SETATTR          Object, Handle (optional), Attr, Flags (SetAttr*)    OutAttr
//	READLINK         Object                                               OutTarget
//	SYMLINK          Object (parent), Name, Name2 (target), UID, GID      OutObject (+1), OutAttr
//	MKNOD            Object (parent), Name, Mode, Rdev, UID, GID          OutObject (+1), OutAttr
//	MKDIR            Object (parent), Name, Mode, UID, GID                OutObject (+1), OutAttr
//	UNLINK, RMDIR    Object (parent), Name
//	RENAME           Object, Name, Object2 (new parent), Name2, Flags (RENAME_*)
//	LINK             Object (file), Object2 (new parent), Name            OutObject (+1), OutAttr
//	FOPEN, OPENDIR   Object, Flags (O_*)                                  OutHandle
//	CREATE           Object (parent), Name, Mode, Flags, Umask, UID, GID  OutObject (+1), OutAttr, OutHandle
//	READ, WRITE      Object, Handle, Offset, Size, Flags, Iovs            OutSize (bytes moved)
//	STATFS           Object                                               OutStatfs
//	RELEASE(DIR)     Object, Handle
//	FSYNC(DIR)       Object, Handle (optional), Datasync
//	FLUSH            Object, Handle, Owner
//	SETXATTR         Object, Name, Value, Flags (XATTR_*)
//	GETXATTR         Object, Name, Iovs, Size                             OutSize (whole value's size)
//	LISTXATTR        Object, Iovs, Size                                   OutSize (whole list's size)
//	REMOVEXATTR      Object, Name
//	READDIR          Object, Handle, Offset, Plus; entries by [IO.Emit]
//	FLOCK            Object, Handle, Flags (LOCK_*), Owner
//	FALLOCATE        Object, Handle, Mode, Offset, Length
//	COPY_FILE_RANGE  Object, Handle, Offset, Object2, Handle2, Offset2, Length, Flags  OutSize
//	ABORT            Target
//	LSEEK            Object, Handle, Offset, Flags (SEEK_DATA, SEEK_HOLE)  OutSize (the offset)
//	STATX            Object, Handle (optional), Flags (AT_STATX_*), Mode (STATX_*)  OutStatx
//	TMPFILE          Object (parent), Mode, Flags, UID, GID               OutObject (+1), OutAttr, OutHandle
//	SYNCFS           Object
//	GETLK            Object, Handle, Owner, Lock                          Lock
//	SETLK            Object, Handle, Owner, Lock, Wait
//	IOCTL            Object, Handle, Flags (command), Length (argument), Value, Iovs, Size  OutSize, OutResult
//	POLL             Object, Handle, Flags (events), Owner (key), Wait (notify)  OutResult (events)
//
// What creates a file has, beside UID and GID, the other fields of [Creator]: Umask, Group,
// HasGroup and Security.
//
// GETXATTR and LISTXATTR with Size 0 only ask for the size; a Size that is too small is
// ERANGE. The sum of the lengths of Iovs is at least Size.
//
// SPDK: struct spdk_fsdev_io
type IO struct {
	// What most operations use is together in few lines of the cache.
	Type     IOType
	Plus     bool
	Datasync bool
	Wait     bool
	HasGroup bool
	state    ioState
	doomed   bool   // st.aborter is about to abort it
	Unique   uint64 // the client's name for this request, for ABORT; 0 cannot be aborted
	Object   FileObject
	Handle   FileHandle
	Offset   uint64
	Size     uint32
	Flags    uint32

	ch     *iochannel.Channel // the fsdev channel
	st     *channelState
	desc   *Desc
	cpl    any // one of the *CplFunc types
	cplCtx any

	// Ctx is the module's to use while it owns the IO, for queueing and aborting. It is
	// nil at submit.
	Ctx  any
	Iovs [][]byte
	Name []byte

	OutSize   uint64
	OutObject FileObject
	OutHandle FileHandle
	errno     syscall.Errno
	startedAt uint64 // ticks, 0 if it is not timed; only while histograms are on
	OutAttr   Attr

	Mode    uint32
	Rdev    uint32
	Umask   uint32
	UID     uint32
	GID     uint32
	Group   uint32
	Object2 FileObject
	Handle2 FileHandle
	Offset2 uint64
	Length  uint64
	Nlookup uint64
	Owner   uint64
	Attr    Attr
	Mount   MountOpts
	Lock    Lock

	// References that few operations have, see lendsMore.
	Name2     []byte
	Value     []byte
	Security  []Xattr
	Target    *IO
	OutTarget []byte // READLINK; stays valid until the completion has returned
	emit      ReaddirEntryFunc

	OutStatfs Statfs
	OutStatx  Statx
	OutResult int32
}

// Thread returns the thread that submitted the IO and on which it must be completed.
//
// SPDK: spdk_fsdev_io_get_thread
func (io *IO) Thread() *reactor.Thread { return io.ch.Thread() }

// Channel returns the module's channel of the IO.
//
// SPDK: spdk_fsdev_io_get_io_channel
func (io *IO) Channel() *iochannel.Channel { return io.st.moduleCh }

// Desc returns the descriptor through which the IO was submitted. It identifies the
// client: a module that tracks handles per client keys them by it.
//
// Not in SPDK, where a device has one client.
func (io *IO) Desc() *Desc { return io.desc }

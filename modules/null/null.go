// Package null is an fsdev module that does nothing, at once: every request completes
// inside the submit and no payload is touched. What is left is the cost of the stack above
// it, which makes it the yardstick of the benchmarks, as SPDK's null bdev is for block
// devices.
//
// A null device has a root directory, which lists as empty, and one regular file, which every
// name looks up to. Reads return as many bytes as were asked for (whatever the buffer held
// before), writes claim to have stored everything. Nothing can be added but by CREATE, TMPFILE
// and MKNOD, which give the one file again. Locks exclude nobody.
//
// SPDK has no null fsdev; the name and the idea are those of module/bdev/null.
package null

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

// The handles of a null device. They never change meaning, so there is no generation to
// check; anything else a client names is stale.
const (
	// Root is the object of the root directory.
	Root fsdev.FileObject = 1
	// File is the object that every name of the root looks up to.
	File fsdev.FileObject = 2
	// Handle is what every FOPEN, OPENDIR and CREATE returns.
	Handle fsdev.FileHandle = 2
)

// FileSize is the size in bytes that the file claims to have. Reads are not limited by it.
const FileSize = 1 << 30

const blockSize = 4096

// alwaysReady is what POLL finds a file or directory ready for, as poll(2) does.
const alwaysReady = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDNORM | unix.EPOLLWRNORM

var rootAttr = fsdev.Attr{
	Ino:     uint64(Root),
	Mode:    syscall.S_IFDIR | 0o755,
	Nlink:   2,
	Blksize: blockSize,
}

var fileAttr = fsdev.Attr{
	Ino:     uint64(File),
	Size:    FileSize,
	Blocks:  FileSize / 512,
	Mode:    syscall.S_IFREG | 0o644,
	Nlink:   1,
	Blksize: blockSize,
}

// module is the registration of this package with fsdev.
type module struct{}

// Name implements [fsdev.Module].
func (module) Name() string { return "null" }

// Init implements [fsdev.Module].
func (module) Init(*reactor.Thread) error { return nil }

// Fini implements [fsdev.Module].
func (module) Fini(*reactor.Thread) {}

func init() { fsdev.RegisterModule(module{}) }

// channel is the per-thread context. A null device needs none.
type channel struct{}

// device is one null file system.
type device struct {
	iodev *iochannel.Device
	fsdev *fsdev.Fsdev
}

// Create registers a null device under name and returns it. Call it on the app thread.
//
// Errors wrap EINVAL (empty name) or EEXIST (name taken).
//
// Not in SPDK: modelled on bdev_null_create.
func Create(t *reactor.Thread, name string) (*fsdev.Fsdev, error) {
	d := &device{}
	iodev, err := iochannel.RegisterDevice(t, d, "null_"+name, createChannel, nil)
	if err != nil {
		return nil, fmt.Errorf("null: create %q: %w", name, err)
	}
	d.iodev = iodev
	f, err := fsdev.Register(t, name, module{}, d)
	if err != nil {
		iodev.Unregister(t, nil, nil)
		return nil, fmt.Errorf("null: create %q: %w", name, err)
	}
	d.fsdev = f
	return f, nil
}

func createChannel(*iochannel.Channel, *channel) syscall.Errno { return 0 }

// Delete unregisters a device made by [Create]: its users are told to close it, and when the
// last one has, it is freed and cb (which may be nil) called with ctx on t. It returns false, and
// never calls cb, when the device is being deleted already.
//
// Not in SPDK: modelled on bdev_null_delete.
func Delete(t *reactor.Thread, f *fsdev.Fsdev, cb func(t *reactor.Thread, ctx any, err error), ctx any) bool {
	return f.Unregister(t, cb, ctx)
}

// IOChannel implements [fsdev.Device].
func (d *device) IOChannel(t *reactor.Thread) *iochannel.Channel { return d.iodev.Get(t) }

// Destruct implements [fsdev.Device].
func (d *device) Destruct(t *reactor.Thread, done func(t *reactor.Thread, err error)) {
	d.iodev.Unregister(t, func(t *reactor.Thread, _ any) { done(t, nil) }, nil)
}

// SubmitRequest implements [fsdev.Device]. It completes io before it returns.
func (d *device) SubmitRequest(_ *iochannel.Channel, io *fsdev.IO) {
	if io.Type == fsdev.IOMount {
		io.OutObject = Root
		io.Mount.KillPriv = true // there are no bits to clear
		io.Complete(0)
		return
	}
	// MOUNT aside, a request that names an object this device never gave out is refused
	// before anything else is looked at. UMOUNT and ABORT name none.
	if io.Object != File && io.Object != Root && io.Type != fsdev.IOUmount && io.Type != fsdev.IOAbort {
		io.Complete(syscall.ESTALE)
		return
	}
	io.Complete(d.handle(io))
}

func attrOf(obj fsdev.FileObject) *fsdev.Attr {
	if obj == Root {
		return &rootAttr
	}
	return &fileAttr
}

func (d *device) handle(io *fsdev.IO) syscall.Errno {
	switch io.Type {
	case fsdev.IOGetattr, fsdev.IOSetattr:
		io.OutAttr = *attrOf(io.Object)
	case fsdev.IOStatx:
		io.OutStatx = fsdev.Statx{Mask: unix.STATX_BASIC_STATS, Attr: *attrOf(io.Object)}
	case fsdev.IOLookup:
		if io.Object != Root {
			return syscall.ENOTDIR
		}
		io.OutObject = File
		io.OutAttr = fileAttr
	case fsdev.IORead, fsdev.IOWrite:
		if io.Object == Root {
			return syscall.EISDIR
		}
		io.OutSize = uint64(io.Size)
	case fsdev.IOFopen, fsdev.IOOpendir:
		io.OutHandle = Handle
	case fsdev.IOCreate, fsdev.IOTmpfile:
		if io.Object != Root {
			return syscall.ENOTDIR
		}
		io.OutObject = File
		io.OutAttr = fileAttr
		io.OutHandle = Handle
	case fsdev.IOMknod:
		if io.Object != Root {
			return syscall.ENOTDIR
		}
		if typ := io.Mode & syscall.S_IFMT; typ != syscall.S_IFREG && typ != 0 {
			return syscall.EPERM
		}
		io.OutObject = File
		io.OutAttr = fileAttr
	case fsdev.IOStatfs:
		io.OutStatfs = fsdev.Statfs{
			Blocks:  FileSize / blockSize,
			Files:   2,
			Bsize:   blockSize,
			Frsize:  blockSize,
			Namelen: 255,
		}
	case fsdev.IOCopyFileRange:
		io.OutSize = io.Length
	case fsdev.IOLseek:
		return seek(io)
	case fsdev.IOGetlk:
		io.Lock.Type = syscall.F_UNLCK
	case fsdev.IOPoll:
		io.OutResult = int32(io.Flags & alwaysReady)
	case fsdev.IOIoctl:
		return syscall.ENOTTY
	case fsdev.IOListxattr:
		io.OutSize = 0
	case fsdev.IOSetxattr:
		return syscall.EOPNOTSUPP
	case fsdev.IOGetxattr, fsdev.IORemovexattr:
		return syscall.ENODATA
	case fsdev.IOReadlink:
		return syscall.EINVAL
	case fsdev.IOAbort:
		// Nothing is ever outstanding here.
		return syscall.ENOENT
	case fsdev.IOSymlink, fsdev.IOMkdir, fsdev.IOLink:
		return syscall.EPERM
	case fsdev.IOUmount, fsdev.IOForget, fsdev.IOUnlink, fsdev.IORmdir, fsdev.IORename,
		fsdev.IORelease, fsdev.IOFsync, fsdev.IOFlush, fsdev.IOReaddir, fsdev.IOReleasedir,
		fsdev.IOFsyncdir, fsdev.IOFlock, fsdev.IOFallocate, fsdev.IOSyncfs, fsdev.IOSetlk:
	default:
		return syscall.ENOSYS
	}
	return 0
}

// seek is LSEEK. All of the file is data, and the hole is what follows it.
func seek(io *fsdev.IO) syscall.Errno {
	switch {
	case io.Object == Root:
		return syscall.EINVAL
	case io.Flags != unix.SEEK_DATA && io.Flags != unix.SEEK_HOLE:
		return syscall.EINVAL
	case io.Offset >= FileSize:
		return syscall.ENXIO
	case io.Flags == unix.SEEK_DATA:
		io.OutSize = io.Offset
	default:
		io.OutSize = FileSize
	}
	return 0
}

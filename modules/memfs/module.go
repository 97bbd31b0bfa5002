package memfs

import (
	"fmt"
	"math"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

// Opts are the options of a file system. The zero value of each field means its default.
//
// Not in SPDK.
type Opts struct {
	// Size is how many bytes of file data, extended attributes and long symbolic link
	// targets there is room for, rounded up to pages of 4 KiB. Default: half of the
	// machine's memory. Memory is used when it is needed.
	Size uint64
	// Inodes is how many files, and second and further names of files, there can be. Each
	// takes some 500 bytes of Go heap. Default: one for every 4 KiB of Size, as in tmpfs.
	Inodes uint64
	// Handles is how many files and directories can be open at a time, by all clients.
	// Default: 1 Mi.
	Handles int
	// Locks is how many locks, of flock(2) and byte ranges of fcntl(2), all files can have together, each of up to some
	// 200 bytes of Go heap. Default: 256 Ki.
	Locks int
	// LockWaiters is how many requests can wait for locks, of flock(2) and fcntl(2), at a time, each with
	// an IO of the framework. Default: 1024.
	LockWaiters int
	// RootMode is the permission bits of the root directory. Default: 01777, as in tmpfs.
	RootMode uint32
	// RootUID and RootGID own the root directory.
	RootUID uint32
	RootGID uint32
	// NoHugePages keeps file data out of huge pages: a first write to 2 MiB of memory then
	// takes twice as long in total, but a hundred times less at once.
	NoHugePages bool
}

func (o *Opts) setDefaults() error {
	if o.Size == 0 {
		var si unix.Sysinfo_t
		if err := unix.Sysinfo(&si); err != nil {
			return fmt.Errorf("memfs: how much memory is there: %w", err)
		}
		o.Size = uint64(si.Totalram) * uint64(si.Unit) / 2
	}
	if o.Size > math.MaxInt64-pageSize {
		return fmt.Errorf("memfs: a size of %d bytes: %w", o.Size, syscall.EINVAL)
	}
	o.Size = (o.Size + pageMask) &^ pageMask
	if o.Inodes == 0 {
		o.Inodes = min(max(o.Size>>pageShift, 1), math.MaxInt32)
	}
	if o.Handles == 0 {
		o.Handles = 1 << 20
	}
	if o.Locks == 0 {
		o.Locks = 1 << 18
	}
	if o.LockWaiters == 0 {
		o.LockWaiters = 1024
	}
	if o.RootMode == 0 {
		o.RootMode = 0o1777
	}
	if o.Inodes > math.MaxInt32 || o.Handles < 0 || o.Handles > math.MaxInt32 || o.Locks < 0 || o.LockWaiters < 0 {
		return fmt.Errorf("memfs: %d inodes, %d handles, %d locks, %d lock waiters: %w", o.Inodes, o.Handles, o.Locks,
			o.LockWaiters, syscall.EINVAL)
	}
	return nil
}

// module is the registration of this package with fsdev.
type module struct{}

func (module) Name() string               { return "memfs" }
func (module) Init(*reactor.Thread) error { return nil }
func (module) Fini(*reactor.Thread)       {}

func init() { fsdev.RegisterModule(module{}) }

// Memfs is a file system device made by [Create]. Its methods implement [fsdev.Device] and are
// called by package fsdev.
//
// Not in SPDK.
type Memfs struct {
	fs    *fileSystem
	iodev *iochannel.Device
	fsdev *fsdev.Fsdev
}

// Create makes an empty file system and registers it with fsdev under name. On the app thread.
//
// Errors wrap EINVAL (options, an empty name), EEXIST (the name is taken) and what mmap(2) returns,
// such as ENOMEM.
//
// Not in SPDK: modelled on spdk_fsdev_aio_create.
func Create(t *reactor.Thread, name string, o Opts) (*Memfs, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	fs, err := newFileSystem(&o)
	if err != nil {
		return nil, err
	}
	m := &Memfs{fs: fs}
	m.iodev, err = iochannel.RegisterDevice(t, m, "memfs_"+name, m.createChannel, destroyChannel)
	if err == nil {
		if m.fsdev, err = fsdev.Register(t, name, module{}, m); err != nil {
			m.iodev.Unregister(t, nil, nil)
		}
	}
	if err != nil {
		_ = fs.arena.close()
		return nil, fmt.Errorf("memfs: create %q: %w", name, err)
	}
	return m, nil
}

// Delete unregisters a file system made by [Create]: its users are told to close it, and when the
// last one has, its contents are freed and cb (which may be nil) is called with ctx on t. On the
// app thread. It returns false, and cb is never called, when m is being deleted already.
//
// Not in SPDK: modelled on spdk_fsdev_aio_delete.
func Delete(t *reactor.Thread, m *Memfs, cb func(t *reactor.Thread, ctx any, err error), ctx any) bool {
	return m.fsdev.Unregister(t, cb, ctx)
}

// Fsdev returns the device under which the file system is registered. Any goroutine.
//
// Not in SPDK.
func (m *Memfs) Fsdev() *fsdev.Fsdev { return m.fsdev }

// Statfs returns the space of the file system as of now. Any goroutine, until [Delete].
//
// Not in SPDK.
func (m *Memfs) Statfs() (st fsdev.Statfs) {
	m.fs.statfs(&st)
	return st
}

// IOChannel implements [fsdev.Device]. It returns nil when 256 threads use the file system already.
//
// Not in SPDK.
func (m *Memfs) IOChannel(t *reactor.Thread) *iochannel.Channel { return m.iodev.Get(t) }

// Destruct implements [fsdev.Device]: it gives the memory of file data back to the system and the
// rest to the garbage collector.
//
// Not in SPDK.
func (m *Memfs) Destruct(t *reactor.Thread, done func(t *reactor.Thread, err error)) {
	m.iodev.Unregister(t, func(t *reactor.Thread, _ any) {
		err := m.fs.arena.close()
		m.fs = nil
		done(t, err)
	}, nil)
}

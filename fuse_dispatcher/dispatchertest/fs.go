package dispatchertest

import (
	"slices"
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

// FS is a module's device that records what it is asked and does what the test says. What is
// nil below does what is good for most tests.
type FS struct {
	Fsdev *fsdev.Fsdev
	// Calls are the requests but MOUNT, UMOUNT and ABORT, as [Request] returns them.
	Calls []fsdev.IO
	Data  [][]byte // of each WRITE, as a copy
	// Do handles a request; nil fills and completes it at once.
	Do func(io *fsdev.IO)
	// Raw handles it instead of Do, and nothing is recorded.
	Raw func(io *fsdev.IO)
	// Mount handles MOUNT; nil accepts it, has byte-range locks and knows what may follow names.
	Mount  func(io *fsdev.IO)
	Umount func(io *fsdev.IO) // nil is Umounted
	Abort  func(io *fsdev.IO) // nil is Aborted
	// Pending are the requests that Hold has kept, the oldest first.
	Pending []*fsdev.IO
	Mounts  int // MOUNT less UMOUNT
	// Refuse says for which threads there is no channel; nil means there is one for each.
	Refuse func(t *reactor.Thread) bool
	// Back lends the descriptor of a handle; nil has none.
	Back func(obj fsdev.FileObject, h fsdev.FileHandle) (fd int, errno syscall.Errno)

	ioDev *iochannel.Device
}

// NewFS registers a device on t by that name.
func NewFS(tb testing.TB, t *reactor.Thread, name string) *FS {
	tb.Helper()
	fs := &FS{}
	var err error
	fs.ioDev, err = iochannel.RegisterDevice(t, fs, "fake", func(ch *iochannel.Channel, _ *struct{}) syscall.Errno {
		if fs.Refuse != nil && fs.Refuse(ch.Thread()) {
			return syscall.ENOMEM
		}
		return 0
	}, nil)
	if err != nil {
		tb.Fatal(err)
	}
	if fs.Fsdev, err = fsdev.Register(t, name, nil, fs); err != nil {
		tb.Fatal(err)
	}
	return fs
}

// IOChannel implements [fsdev.Device].
func (fs *FS) IOChannel(t *reactor.Thread) *iochannel.Channel { return fs.ioDev.Get(t) }

// Destruct implements [fsdev.Device].
func (fs *FS) Destruct(t *reactor.Thread, done func(t *reactor.Thread, err error)) {
	fs.ioDev.Unregister(t, func(t *reactor.Thread, _ any) { done(t, nil) }, nil)
}

// SubmitRequest implements [fsdev.Device].
func (fs *FS) SubmitRequest(_ *iochannel.Channel, io *fsdev.IO) {
	switch io.Type {
	case fsdev.IOMount:
		if fs.Mount == nil {
			io.Mount.PosixLocks, io.Mount.SecurityCtx, io.Mount.SuppGroup = true, true, true
			fs.Mounted(io)
			return
		}
		fs.Mount(io)
	case fsdev.IOUmount:
		if fs.Umount == nil {
			fs.Umounted(io)
			return
		}
		fs.Umount(io)
	case fsdev.IOAbort:
		if fs.Abort == nil {
			fs.Aborted(io)
			return
		}
		fs.Abort(io)
	default:
		if fs.Raw != nil {
			fs.Raw(io)
			return
		}
		fs.Calls = append(fs.Calls, Request(io))
		if io.Type == fsdev.IOWrite {
			fs.Data = append(fs.Data, slices.Concat(io.Iovs...))
		}
		if fs.Do == nil {
			Fill(io)
			io.Complete(0)
			return
		}
		fs.Do(io)
	}
}

// Backing implements [fsdev.Backer].
func (fs *FS) Backing(_ *fsdev.Desc, obj fsdev.FileObject, h fsdev.FileHandle, use fsdev.BackingFunc,
	ctx any) syscall.Errno {
	if fs.Back == nil {
		return syscall.EOPNOTSUPP
	}
	fd, errno := fs.Back(obj, h)
	if errno != 0 {
		return errno
	}
	return use(ctx, fd)
}

// Forget forgets the calls and their data.
func (fs *FS) Forget() { fs.Calls, fs.Data = nil, nil }

// Hold keeps a request in flight: a Do.
func (fs *FS) Hold(io *fsdev.IO) { fs.Pending = append(fs.Pending, io) }

// Fail returns a Do that completes every request with errno.
func Fail(errno syscall.Errno) func(io *fsdev.IO) {
	return func(io *fsdev.IO) { io.Complete(errno) }
}

// Release fills and completes what is held, the oldest first.
func (fs *FS) Release(errno syscall.Errno) {
	pending := fs.Pending
	fs.Pending = nil
	for _, io := range pending {
		Fill(io)
		io.Complete(errno)
	}
}

// Mounted completes a MOUNT with [Root].
func (fs *FS) Mounted(io *fsdev.IO) {
	fs.Mounts++
	io.OutObject = Root
	io.Complete(0)
}

// Umounted completes an UMOUNT.
func (fs *FS) Umounted(io *fsdev.IO) {
	fs.Mounts--
	io.Complete(0)
}

// Aborted completes an ABORT: what is held ends with EINTR, of the rest nothing is known.
func (fs *FS) Aborted(io *fsdev.IO) {
	if i := slices.Index(fs.Pending, io.Target); i >= 0 {
		fs.Pending = slices.Delete(fs.Pending, i, i+1)
		io.Target.Complete(syscall.EINTR)
		io.Complete(0)
		return
	}
	io.Complete(syscall.EALREADY)
}

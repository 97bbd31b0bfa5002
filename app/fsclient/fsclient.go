package fsclient

import (
	"fmt"
	"math"
	"sync/atomic"
	"syscall"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

// FS is a device as one thread has it mounted. Any number of goroutines may use it at once, until Close.
//
// Not in SPDK.
type FS struct {
	t      *reactor.Thread
	name   string
	d      *fsdev.Desc
	ch     *iochannel.Channel
	root   fsdev.FileObject
	unique atomic.Uint64
}

// Open opens the device of that name and mounts it; its operations run on t. The device does not go away before Close.
// Errors wrap ENODEV (there is no such device), ENOMEM and what the device says.
//
// SPDK: spdk_fsdev_open, spdk_fsdev_get_io_channel, spdk_fsdev_mount
func Open(t *reactor.Thread, name string) (*FS, error) {
	f := &FS{t: t, name: name}
	var err error
	errno := app.Call(t, func(t *reactor.Thread) {
		if f.d, err = fsdev.Open(t, name, ignoreEvent, nil); err != nil {
			return
		}
		if f.ch = f.d.IOChannel(t); f.ch == nil {
			err = syscall.ENOMEM
			f.d.Close()
		}
	})
	if err == nil && errno != 0 {
		err = errno
	}
	if err != nil {
		return nil, fmt.Errorf("fsclient: open %s: %w", name, err)
	}
	err = f.do("mount", "", func(unique uint64, done func(syscall.Errno)) syscall.Errno {
		return f.d.Mount(f.ch, unique, &fsdev.MountOpts{MaxWrite: maxIO},
			func(_ any, _ *iochannel.Channel, errno syscall.Errno, _ *fsdev.MountOpts, root fsdev.FileObject) {
				f.root = root
				done(errno)
			}, nil)
	})
	if err != nil {
		f.letGo()
		return nil, err
	}
	return f, nil
}

const maxIO = 128 << 10 // bytes of a read or write; every device can do that

// ignoreEvent leaves a removal to wait for Close.
func ignoreEvent(*reactor.Thread, fsdev.EventType, *fsdev.Fsdev, any) {}

// do has an operation submitted on the thread and waits for it.
func (f *FS) do(op, file string, submit func(unique uint64, done func(syscall.Errno)) syscall.Errno) error {
	result := syscall.Errno(0)
	errno := app.CallAsync(f.t, func(_ *reactor.Thread, done func()) {
		finish := func(errno syscall.Errno) {
			result = errno
			done()
		}
		if errno := submit(f.unique.Add(1), finish); errno != 0 {
			finish(errno)
		}
	})
	if errno == 0 {
		errno = result
	}
	if errno != 0 {
		return fmt.Errorf("fsclient: %s %s/%s: %w", op, f.name, file, errno)
	}
	return nil
}

// status makes a completion of what waits for it.
func status(done func(syscall.Errno)) fsdev.StatusCplFunc {
	return func(_ any, _ *iochannel.Channel, errno syscall.Errno) { done(errno) }
}

// Close ends the mount.
//
// SPDK: spdk_fsdev_umount, spdk_put_io_channel, spdk_fsdev_close
func (f *FS) Close() error {
	err := f.do("umount", "", func(unique uint64, done func(syscall.Errno)) syscall.Errno {
		return f.d.Umount(f.ch, unique, status(done), nil)
	})
	f.letGo()
	return err
}

func (f *FS) letGo() {
	app.Call(f.t, func(*reactor.Thread) {
		f.ch.Put()
		f.d.Close()
	})
}

// WriteFile writes data to a new file of the root directory. An error that wraps EEXIST: it is there.
//
// SPDK: spdk_fsdev_create, spdk_fsdev_write, spdk_fsdev_release
func (f *FS) WriteFile(name string, data []byte, perm uint32) (err error) {
	var file fsdev.FileObject
	var h fsdev.FileHandle
	err = f.do("create", name, func(unique uint64, done func(syscall.Errno)) syscall.Errno {
		return f.d.Create(f.ch, unique, f.root, []byte(name), syscall.S_IFREG|perm, syscall.O_RDWR|syscall.O_EXCL,
			&fsdev.Creator{}, func(_ any, _ *iochannel.Channel, errno syscall.Errno, obj fsdev.FileObject, _ *fsdev.Attr,
				handle fsdev.FileHandle) {
				file, h = obj, handle
				done(errno)
			}, nil)
	})
	if err != nil {
		return err
	}
	defer f.release(name, file, h, &err)
	for at := 0; at < len(data); {
		piece := data[at:min(at+maxIO, len(data))]
		var n uint64
		err := f.do("write", name, func(unique uint64, done func(syscall.Errno)) syscall.Errno {
			return f.d.Write(f.ch, unique, file, h, uint32(len(piece)), uint64(at), 0, [][]byte{piece}, size(&n, done), nil)
		})
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("fsclient: write %s/%s: nothing was written: %w", f.name, name, syscall.EIO)
		}
		at += int(n)
	}
	return nil
}

// size makes a completion that tells how many bytes it were.
func size(n *uint64, done func(syscall.Errno)) fsdev.SizeCplFunc {
	return func(_ any, _ *iochannel.Channel, errno syscall.Errno, bytes uint64) {
		*n = bytes
		done(errno)
	}
}

// ReadFile returns all of a file of the root directory. An error that wraps ENOENT: it is not there.
//
// SPDK: spdk_fsdev_lookup, spdk_fsdev_fopen, spdk_fsdev_read, spdk_fsdev_release
func (f *FS) ReadFile(name string) (data []byte, err error) {
	var file fsdev.FileObject
	var h fsdev.FileHandle
	err = f.do("lookup", name, func(unique uint64, done func(syscall.Errno)) syscall.Errno {
		return f.d.Lookup(f.ch, unique, f.root, []byte(name),
			func(_ any, _ *iochannel.Channel, errno syscall.Errno, obj fsdev.FileObject, _ *fsdev.Attr) {
				file = obj
				done(errno)
			}, nil)
	})
	if err != nil {
		return nil, err
	}
	err = f.do("open", name, func(unique uint64, done func(syscall.Errno)) syscall.Errno {
		return f.d.Fopen(f.ch, unique, file, syscall.O_RDONLY,
			func(_ any, _ *iochannel.Channel, errno syscall.Errno, handle fsdev.FileHandle) {
				h = handle
				done(errno)
			}, nil)
	})
	if err != nil {
		return nil, f.forget(file, err)
	}
	defer f.release(name, file, h, &err)
	for len(data) < math.MaxInt32 {
		piece := make([]byte, maxIO)
		var n uint64
		err := f.do("read", name, func(unique uint64, done func(syscall.Errno)) syscall.Errno {
			return f.d.Read(f.ch, unique, file, h, maxIO, uint64(len(data)), 0, [][]byte{piece}, size(&n, done), nil)
		})
		if err != nil {
			return nil, err
		}
		data = append(data, piece[:n]...)
		if n < maxIO {
			return data, nil
		}
	}
	return nil, fmt.Errorf("fsclient: read %s/%s: %w", f.name, name, syscall.EFBIG)
}

// Remove removes a file of the root directory, which is no directory.
//
// SPDK: spdk_fsdev_unlink
func (f *FS) Remove(name string) error {
	return f.do("unlink", name, func(unique uint64, done func(syscall.Errno)) syscall.Errno {
		return f.d.Unlink(f.ch, unique, f.root, []byte(name), status(done), nil)
	})
}

// release closes a file, and adds what goes wrong to err.
func (f *FS) release(name string, file fsdev.FileObject, h fsdev.FileHandle, err *error) {
	e := f.do("close", name, func(unique uint64, done func(syscall.Errno)) syscall.Errno {
		return f.d.Release(f.ch, unique, file, h, status(done), nil)
	})
	if *err == nil {
		*err = e
	}
	_ = f.forget(file, nil)
}

// forget gives the reference of a lookup back, and returns err.
func (f *FS) forget(file fsdev.FileObject, err error) error {
	_ = f.do("forget", "", func(unique uint64, done func(syscall.Errno)) syscall.Errno {
		return f.d.Forget(f.ch, unique, file, 1, status(done), nil)
	})
	return err
}

package null_test

import (
	"errors"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/fsdev/fsdevtest"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/modules/null"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

// bench is a null device, opened on a thread that is polled by hand.
type bench struct {
	*reactortest.Harness
	t     *reactor.Thread
	dev   *fsdev.Fsdev
	desc  *fsdev.Desc
	ch    *iochannel.Channel
	calls int
	got   result
}

// result is what a completion was given.
type result struct {
	Errno syscall.Errno
	Obj   fsdev.FileObject
	Ino   uint64
	H     fsdev.FileHandle
	N     uint64
}

func open(tb testing.TB) *bench {
	tb.Helper()
	b := &bench{Harness: reactortest.New(tb, 1)}
	b.t = b.Threads[0]
	if err := fsdev.Initialize(b.t, fsdev.Opts{IOPoolSize: 64, IOCacheSize: 16}); err != nil {
		tb.Fatal(err)
	}
	var err error
	if b.dev, err = null.Create(b.t, "null0"); err != nil {
		tb.Fatal(err)
	}
	onEvent := func(*reactor.Thread, fsdev.EventType, *fsdev.Fsdev, any) {}
	if b.desc, err = fsdev.Open(b.t, "null0", onEvent, nil); err != nil {
		tb.Fatal(err)
	}
	b.ch = b.desc.IOChannel(b.t)
	tb.Cleanup(func() {
		b.ch.Put()
		b.PollThreads()
		b.desc.Close()
		fsdev.Finish(b.t, func(_ *reactor.Thread, _ any, err error) {
			if err != nil {
				tb.Error(err)
			}
		}, nil)
		b.PollThreads()
	})
	return b
}

// The completions.
func status(ctx any, _ *iochannel.Channel, errno syscall.Errno) {
	ctx.(*bench).done(result{Errno: errno})
}

func size(ctx any, _ *iochannel.Channel, errno syscall.Errno, n uint64) {
	ctx.(*bench).done(result{Errno: errno, N: n})
}

func attr(ctx any, _ *iochannel.Channel, errno syscall.Errno, a *fsdev.Attr) {
	ctx.(*bench).done(result{Errno: errno, Ino: a.Ino})
}

func entry(ctx any, _ *iochannel.Channel, errno syscall.Errno, obj fsdev.FileObject, a *fsdev.Attr) {
	ctx.(*bench).done(result{Errno: errno, Obj: obj, Ino: a.Ino})
}

func opened(ctx any, _ *iochannel.Channel, errno syscall.Errno, h fsdev.FileHandle) {
	ctx.(*bench).done(result{Errno: errno, H: h})
}

func created(ctx any, _ *iochannel.Channel, errno syscall.Errno, obj fsdev.FileObject, a *fsdev.Attr,
	h fsdev.FileHandle) {
	ctx.(*bench).done(result{Errno: errno, Obj: obj, Ino: a.Ino, H: h})
}

func mounted(ctx any, _ *iochannel.Channel, errno syscall.Errno, o *fsdev.MountOpts, root fsdev.FileObject) {
	ctx.(*bench).done(result{Errno: errno, Obj: root, N: uint64(o.MaxWrite)})
}

func statfs(ctx any, _ *iochannel.Channel, errno syscall.Errno, st *fsdev.Statfs) {
	ctx.(*bench).done(result{Errno: errno, N: uint64(st.Namelen)})
}

func readlink(ctx any, _ *iochannel.Channel, errno syscall.Errno, target []byte) {
	ctx.(*bench).done(result{Errno: errno, N: uint64(len(target))})
}

func statx(ctx any, _ *iochannel.Channel, errno syscall.Errno, st *fsdev.Statx) {
	ctx.(*bench).done(result{Errno: errno, Ino: st.Attr.Ino, N: uint64(st.Mask)})
}

func lock(ctx any, _ *iochannel.Channel, errno syscall.Errno, l *fsdev.Lock) {
	ctx.(*bench).done(result{Errno: errno, N: uint64(l.Type)})
}

func ioctl(ctx any, _ *iochannel.Channel, errno syscall.Errno, _ int32, n uint64) {
	ctx.(*bench).done(result{Errno: errno, N: n})
}

func poll(ctx any, _ *iochannel.Channel, errno syscall.Errno, events uint32) {
	ctx.(*bench).done(result{Errno: errno, N: uint64(events)})
}

func dirent(any, *iochannel.Channel, []byte, fsdev.FileObject, *fsdev.Attr, uint64) bool {
	panic("a null device has no directory entries")
}

func (b *bench) done(r result) {
	b.calls++
	b.got = r
}

// check submits an operation, which must complete once, later, with what is wanted.
func (b *bench) check(t *testing.T, op func() syscall.Errno, want result) {
	t.Helper()
	b.calls, b.got = 0, result{}
	if errno := op(); errno != 0 {
		t.Fatalf("submit: %v", errno)
	}
	if b.calls != 0 {
		t.Error("completed inside of the submit")
	}
	b.PollThreads()
	if b.calls != 1 {
		t.Errorf("completed %d times", b.calls)
	}
	if diff := cmp.Diff(want, b.got); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
}

func TestEveryOperation(t *testing.T) {
	b := open(t)
	d, ch := b.desc, b.ch
	name, other := []byte("name"), []byte("other")
	buf := []byte("untouched")
	iovs := [][]byte{buf}
	size32 := uint32(len(buf))
	const stale = fsdev.FileObject(77)
	attrs := &fsdev.Attr{}
	for _, test := range []struct {
		name string
		op   func() syscall.Errno
		want result
	}{
		{"mount", func() syscall.Errno { return d.Mount(ch, 1, &fsdev.MountOpts{MaxWrite: 4096}, mounted, b) },
			result{Obj: null.Root, N: 4096}},
		{"lookup", func() syscall.Errno { return d.Lookup(ch, 1, null.Root, name, entry, b) },
			result{Obj: null.File, Ino: 2}},
		{"lookup in a file", func() syscall.Errno { return d.Lookup(ch, 1, null.File, name, entry, b) },
			result{Errno: syscall.ENOTDIR}},
		{"lookup stale", func() syscall.Errno { return d.Lookup(ch, 1, stale, name, entry, b) },
			result{Errno: syscall.ESTALE}},
		{"forget", func() syscall.Errno { return d.Forget(ch, 1, null.File, 1, status, b) }, result{}},
		{"getattr", func() syscall.Errno { return d.Getattr(ch, 1, null.File, 0, attr, b) }, result{Ino: 2}},
		{"getattr root", func() syscall.Errno { return d.Getattr(ch, 1, null.Root, 0, attr, b) }, result{Ino: 1}},
		{"getattr stale", func() syscall.Errno { return d.Getattr(ch, 1, stale, 0, attr, b) },
			result{Errno: syscall.ESTALE}},
		{"setattr", func() syscall.Errno {
			return d.Setattr(ch, 1, null.File, 0, attrs, fsdev.SetAttrMode, attr, b)
		}, result{Ino: 2}},
		{"readlink", func() syscall.Errno { return d.Readlink(ch, 1, null.File, readlink, b) },
			result{Errno: syscall.EINVAL}},
		{"symlink", func() syscall.Errno { return d.Symlink(ch, 1, null.Root, name, other, &fsdev.Creator{}, entry, b) },
			result{Errno: syscall.EPERM}},
		{"mknod", func() syscall.Errno {
			return d.Mknod(ch, 1, null.Root, name, syscall.S_IFREG|0o644, 0, &fsdev.Creator{}, entry, b)
		}, result{Obj: null.File, Ino: 2}},
		{"mknod of a fifo", func() syscall.Errno {
			return d.Mknod(ch, 1, null.Root, name, syscall.S_IFIFO|0o644, 0, &fsdev.Creator{}, entry, b)
		}, result{Errno: syscall.EPERM}},
		{"mkdir", func() syscall.Errno { return d.Mkdir(ch, 1, null.Root, name, 0o755, &fsdev.Creator{}, entry, b) },
			result{Errno: syscall.EPERM}},
		{"unlink", func() syscall.Errno { return d.Unlink(ch, 1, null.Root, name, status, b) }, result{}},
		{"rmdir", func() syscall.Errno { return d.Rmdir(ch, 1, null.Root, name, status, b) }, result{}},
		{"rename", func() syscall.Errno {
			return d.Rename(ch, 1, null.Root, name, null.Root, other, 0, status, b)
		}, result{}},
		{"link", func() syscall.Errno { return d.Link(ch, 1, null.File, null.Root, other, entry, b) },
			result{Errno: syscall.EPERM}},
		{"fopen", func() syscall.Errno { return d.Fopen(ch, 1, null.File, 0, opened, b) }, result{H: null.Handle}},
		{"read", func() syscall.Errno { return d.Read(ch, 1, null.File, null.Handle, size32, 0, 0, iovs, size, b) },
			result{N: uint64(size32)}},
		{"read a directory", func() syscall.Errno {
			return d.Read(ch, 1, null.Root, null.Handle, size32, 0, 0, iovs, size, b)
		}, result{Errno: syscall.EISDIR}},
		{"write", func() syscall.Errno { return d.Write(ch, 1, null.File, null.Handle, size32, 0, 0, iovs, size, b) },
			result{N: uint64(size32)}},
		{"statfs", func() syscall.Errno { return d.Statfs(ch, 1, null.Root, statfs, b) }, result{N: 255}},
		{"release", func() syscall.Errno { return d.Release(ch, 1, null.File, null.Handle, status, b) }, result{}},
		{"fsync", func() syscall.Errno { return d.Fsync(ch, 1, null.File, null.Handle, true, status, b) }, result{}},
		{"setxattr", func() syscall.Errno { return d.Setxattr(ch, 1, null.File, name, buf, 0, status, b) },
			result{Errno: syscall.EOPNOTSUPP}},
		{"getxattr", func() syscall.Errno { return d.Getxattr(ch, 1, null.File, name, iovs, size32, size, b) },
			result{Errno: syscall.ENODATA}},
		{"listxattr", func() syscall.Errno { return d.Listxattr(ch, 1, null.File, iovs, size32, size, b) }, result{}},
		{"removexattr", func() syscall.Errno { return d.Removexattr(ch, 1, null.File, name, status, b) },
			result{Errno: syscall.ENODATA}},
		{"flush", func() syscall.Errno { return d.Flush(ch, 1, null.File, null.Handle, 0, status, b) }, result{}},
		{"opendir", func() syscall.Errno { return d.Opendir(ch, 1, null.Root, 0, opened, b) }, result{H: null.Handle}},
		{"readdir", func() syscall.Errno {
			return d.Readdir(ch, 1, null.Root, null.Handle, 0, true, dirent, status, b)
		}, result{}},
		{"releasedir", func() syscall.Errno { return d.Releasedir(ch, 1, null.Root, null.Handle, status, b) }, result{}},
		{"fsyncdir", func() syscall.Errno { return d.Fsyncdir(ch, 1, null.Root, null.Handle, false, status, b) }, result{}},
		{"flock", func() syscall.Errno {
			return d.Flock(ch, 1, null.File, null.Handle, syscall.LOCK_EX, 1, status, b)
		}, result{}},
		{"create", func() syscall.Errno {
			return d.Create(ch, 1, null.Root, name, 0o644, 0, &fsdev.Creator{}, created, b)
		}, result{Obj: null.File, Ino: 2, H: null.Handle}},
		{"create in a file", func() syscall.Errno {
			return d.Create(ch, 1, null.File, name, 0o644, 0, &fsdev.Creator{}, created, b)
		}, result{Errno: syscall.ENOTDIR}},
		{"fallocate", func() syscall.Errno {
			return d.Fallocate(ch, 1, null.File, null.Handle, 0, 0, 4096, status, b)
		}, result{}},
		{"copy_file_range", func() syscall.Errno {
			return d.CopyFileRange(ch, 1, null.File, null.Handle, 0, null.File, null.Handle, 0, 4096, 0, size, b)
		}, result{N: 4096}},
		{"umount", func() syscall.Errno { return d.Umount(ch, 1, status, b) }, result{}},
	} {
		t.Run(test.name, func(t *testing.T) { b.check(t, test.op, test.want) })
	}
	if string(buf) != "untouched" {
		t.Errorf("the payload was touched: %q", buf)
	}
}

func TestEveryOperationBeyondSPDK(t *testing.T) {
	b := open(t)
	d, ch := b.desc, b.ch
	seek := func(obj fsdev.FileObject, offset uint64, whence uint32) func() syscall.Errno {
		return func() syscall.Errno { return d.Lseek(ch, 1, obj, null.Handle, offset, whence, size, b) }
	}
	statxOf := func(obj fsdev.FileObject) func() syscall.Errno {
		return func() syscall.Errno { return d.Statx(ch, 1, obj, 0, 0, unix.STATX_ALL, statx, b) }
	}
	tmpfile := func(obj fsdev.FileObject) func() syscall.Errno {
		return func() syscall.Errno {
			return d.Tmpfile(ch, 1, obj, 0o600, syscall.O_RDWR, &fsdev.Creator{}, created, b)
		}
	}
	all := &fsdev.Lock{Type: syscall.F_WRLCK, PID: 1, End: 100}
	for _, test := range []struct {
		name string
		op   func() syscall.Errno
		want result
	}{
		{"lseek to data", seek(null.File, 5, unix.SEEK_DATA), result{N: 5}},
		{"lseek to the last data", seek(null.File, null.FileSize-1, unix.SEEK_DATA), result{N: null.FileSize - 1}},
		{"lseek to the hole", seek(null.File, 5, unix.SEEK_HOLE), result{N: null.FileSize}},
		{"lseek to data beyond the end", seek(null.File, null.FileSize, unix.SEEK_DATA), result{Errno: syscall.ENXIO}},
		{"lseek to a hole beyond the end", seek(null.File, null.FileSize, unix.SEEK_HOLE), result{Errno: syscall.ENXIO}},
		{"lseek otherwise", seek(null.File, 0, 0), result{Errno: syscall.EINVAL}},
		{"lseek in a directory", seek(null.Root, 0, unix.SEEK_DATA), result{Errno: syscall.EINVAL}},
		{"lseek stale", seek(77, 0, unix.SEEK_DATA), result{Errno: syscall.ESTALE}},
		{"statx", statxOf(null.File), result{Ino: 2, N: unix.STATX_BASIC_STATS}},
		{"statx root", statxOf(null.Root), result{Ino: 1, N: unix.STATX_BASIC_STATS}},
		{"tmpfile", tmpfile(null.Root), result{Obj: null.File, Ino: 2, H: null.Handle}},
		{"tmpfile in a file", tmpfile(null.File), result{Errno: syscall.ENOTDIR}},
		{"syncfs", func() syscall.Errno { return d.Syncfs(ch, 1, null.Root, status, b) }, result{}},
		{"getlk", func() syscall.Errno { return d.Getlk(ch, 1, null.File, null.Handle, 1, all, lock, b) },
			result{N: syscall.F_UNLCK}},
		{"setlk", func() syscall.Errno { return d.Setlk(ch, 1, null.File, null.Handle, 1, all, false, status, b) },
			result{}},
		{"setlk of another", func() syscall.Errno {
			return d.Setlk(ch, 1, null.File, null.Handle, 2, all, true, status, b)
		}, result{}},
		{"ioctl", func() syscall.Errno {
			return d.Ioctl(ch, 1, null.File, null.Handle, unix.FS_IOC_GETFLAGS, 0, nil, nil, 0, ioctl, b)
		}, result{Errno: syscall.ENOTTY}},
		{"poll", func() syscall.Errno {
			return d.Poll(ch, 1, null.File, null.Handle, unix.EPOLLIN|unix.EPOLLPRI|unix.EPOLLOUT, 1, false, poll, b)
		}, result{N: unix.EPOLLIN | unix.EPOLLOUT}},
	} {
		t.Run(test.name, func(t *testing.T) { b.check(t, test.op, test.want) })
	}
}

func TestCreateRefusesNames(t *testing.T) {
	b := open(t)
	for _, test := range []struct {
		name string
		want error
	}{{"", syscall.EINVAL}, {"null0", syscall.EEXIST}} {
		if _, err := null.Create(b.t, test.name); !errors.Is(err, test.want) {
			t.Errorf("Create(%q) returns %v, want %v", test.name, err, test.want)
		}
		b.PollThreads()
	}
}

func TestDeleteAndCreateAgain(t *testing.T) {
	b := open(t)
	deleted := 0
	for range 3 {
		f, err := null.Create(b.t, "again")
		if err != nil {
			t.Fatal(err)
		}
		if f.Name() != "again" || f.ModuleName() != "null" {
			t.Errorf("device %q of module %q", f.Name(), f.ModuleName())
		}
		ok := null.Delete(b.t, f, func(th *reactor.Thread, ctx any, err error) {
			if th != b.t || ctx != any(b) || err != nil {
				t.Errorf("deleted on %v with %v: %v", th, ctx, err)
			}
			deleted++
		}, b)
		if !ok || null.Delete(b.t, f, nil, nil) {
			t.Error("the second Delete of two has to be refused, and only that")
		}
		b.PollThreads()
	}
	if deleted != 3 {
		t.Errorf("%d of 3 were deleted", deleted)
	}
}

// hot returns the operations that must not allocate.
func (b *bench) hot() map[string]func() {
	name, iovs := []byte("name"), [][]byte{make([]byte, 4096)}
	return map[string]func(){
		"getattr": func() { b.desc.Getattr(b.ch, 0, null.File, 0, attr, b) },
		"lookup":  func() { b.desc.Lookup(b.ch, 0, null.Root, name, entry, b) },
		"read":    func() { b.desc.Read(b.ch, 0, null.File, null.Handle, 4096, 0, 0, iovs, size, b) },
		"write":   func() { b.desc.Write(b.ch, 0, null.File, null.Handle, 4096, 0, 0, iovs, size, b) },
		"release": func() { b.desc.Release(b.ch, 0, null.File, null.Handle, status, b) },
		"stale":   func() { b.desc.Getattr(b.ch, 0, 77, 0, attr, b) },
	}
}

func TestNothingIsAllocated(t *testing.T) {
	b := open(t)
	for name, op := range b.hot() {
		t.Run(name, func(t *testing.T) {
			n := testing.AllocsPerRun(1000, func() {
				op()
				b.PollThreads()
			})
			if n != 0 {
				t.Errorf("%v allocations per operation", n)
			}
		})
	}
}

func BenchmarkFsdevOnNull(bb *testing.B) {
	b := open(bb)
	for name, op := range b.hot() {
		bb.Run(name, func(bb *testing.B) {
			bb.ReportAllocs()
			for bb.Loop() {
				op()
				b.PollThread(0)
			}
		})
	}
}

func TestConformance(t *testing.T) {
	fsdevtest.Run(t, fsdevtest.Options{
		Kind: fsdevtest.NoOp,
		New: func(tb testing.TB, th *reactor.Thread, name string) *fsdev.Fsdev {
			f, err := null.Create(th, name)
			if err != nil {
				tb.Fatal(err)
			}
			return f
		},
		Lacks: []fsdev.IOType{fsdev.IOSetxattr},
	})
}

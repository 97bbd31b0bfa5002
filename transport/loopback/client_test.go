package loopback_test

import (
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/modules/null"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/transport/loopback"
)

// live is a client of a device on running reactors.
type live struct {
	*loopback.Client
	init loopback.InitReply
	disp *fusedispatcher.Dispatcher
	a    *app.App
}

// serve starts reactors, a device made by create, and a client that has sent INIT.
func serve(tb testing.TB, create func(t *reactor.Thread, name string) error, o loopback.Options) *live {
	tb.Helper()
	a, err := app.New(app.Options{Name: "test", NoPin: true, DisableSignalHandlers: true})
	if err != nil {
		tb.Fatal(err)
	}
	l := &live{a: a}
	err = a.Start(func(t *reactor.Thread, _ *app.App) (err error) {
		if err := create(t, "dev0"); err != nil {
			return err
		}
		l.disp, err = fusedispatcher.Create(t, fusedispatcher.Opts{FsdevName: "dev0"})
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	if l.Client, err = loopback.NewClient(a.Thread(), l.disp, o); err != nil {
		tb.Fatal(err)
	}
	var errno syscall.Errno
	if l.init, errno = l.Init(loopback.InitOptions{}); errno != 0 {
		tb.Fatal("INIT:", errno)
	}
	tb.Cleanup(func() {
		if errno := l.Destroy(); errno != 0 {
			tb.Error("DESTROY:", errno)
		}
		if errno := l.Close(); errno != 0 {
			tb.Error("Close:", errno)
		}
		app.CallAsync(a.Thread(), func(t *reactor.Thread, done func()) {
			l.disp.Delete(t, func(_ *reactor.Thread, _ any, errno syscall.Errno) {
				if errno != 0 {
					tb.Error("Delete:", errno)
				}
				done()
			}, nil)
		})
		a.Stop(nil)
		if err := a.Wait(); err != nil {
			tb.Error(err)
		}
	})
	return l
}

func createNull(t *reactor.Thread, name string) error {
	_, err := null.Create(t, name)
	return err
}

// TestClientMethods calls every method once on the null device, whose answers are known.
func TestClientMethods(t *testing.T) {
	c := serve(t, createNull, loopback.Options{})
	e, errno := c.Lookup(loopback.RootID, "any")
	if errno != 0 || e.Node == 0 {
		t.Fatal("LOOKUP:", e, errno)
	}
	node, root := e.Node, uint64(loopback.RootID)
	const fh = uint64(null.Handle)
	buf := make([]byte, 4096)
	entry := func(_ loopback.Entry, errno syscall.Errno) syscall.Errno { return errno }
	attr := func(_ fsdev.Attr, errno syscall.Errno) syscall.Errno { return errno }
	count := func(want int) func(n int, errno syscall.Errno) syscall.Errno {
		return func(n int, errno syscall.Errno) syscall.Errno {
			if n != want {
				t.Errorf("%d bytes, want %d", n, want)
			}
			return errno
		}
	}
	handle := func(h uint64, errno syscall.Errno) syscall.Errno {
		if errno == 0 && h != fh {
			t.Errorf("handle %d, want %d", h, fh)
		}
		return errno
	}
	for _, test := range []struct {
		name string
		got  func() syscall.Errno
		want syscall.Errno
	}{
		{"getattr", func() syscall.Errno { return attr(c.Getattr(node, fh)) }, 0},
		{"setattr", func() syscall.Errno { return attr(c.Setattr(node, 0, fsdev.Attr{}, fsdev.SetAttrMode)) }, 0},
		{"open", func() syscall.Errno { return handle(c.Open(node, syscall.O_RDWR)) }, 0},
		{"opendir", func() syscall.Errno { return handle(c.Opendir(root, 0)) }, 0},
		{"create", func() syscall.Errno {
			e, h, errno := c.Create(root, "new", syscall.S_IFREG|0o644, syscall.O_RDWR)
			if e.Node != node {
				t.Errorf("CREATE returns node %d, want %d", e.Node, node)
			}
			return handle(h, errno)
		}, 0},
		{"read", func() syscall.Errno { return count(4096)(c.Read(node, fh, 0, buf)) }, 0},
		{"empty read", func() syscall.Errno { return count(0)(c.Read(node, fh, 0, nil)) }, 0},
		{"write", func() syscall.Errno { return count(4096)(c.Write(node, fh, 0, buf)) }, 0},
		{"mknod", func() syscall.Errno { return entry(c.Mknod(root, "n", syscall.S_IFREG|0o600, 0)) }, 0},
		{"mkdir", func() syscall.Errno { return entry(c.Mkdir(root, "d", 0o755)) }, syscall.EPERM},
		{"symlink", func() syscall.Errno { return entry(c.Symlink(root, "s", "target")) }, syscall.EPERM},
		{"link", func() syscall.Errno { return entry(c.Link(node, root, "l")) }, syscall.EPERM},
		{"readlink", func() syscall.Errno { _, errno := c.Readlink(node); return errno }, syscall.EINVAL},
		{"unlink", func() syscall.Errno { return c.Unlink(root, "n") }, 0},
		{"rmdir", func() syscall.Errno { return c.Rmdir(root, "d") }, 0},
		{"rename", func() syscall.Errno { return c.Rename(root, "a", root, "b", 0) }, 0},
		{"rename2", func() syscall.Errno { return c.Rename(root, "a", root, "b", 1) }, 0},
		{"readdir", func() syscall.Errno {
			l, errno := c.Readdir(root, fh, 0, false, 4096)
			return count(0)(len(l), errno)
		}, 0},
		{"readdirplus", func() syscall.Errno {
			l, errno := c.Readdir(root, fh, 0, true, 4096)
			return count(0)(len(l), errno)
		}, 0},
		{"statfs", func() syscall.Errno {
			st, errno := c.Statfs(root)
			if st.Namelen != 255 {
				t.Errorf("name length %d, want 255", st.Namelen)
			}
			return errno
		}, 0},
		{"flush", func() syscall.Errno { return c.Flush(node, fh, 1) }, 0},
		{"fsync", func() syscall.Errno { return c.Fsync(node, fh, true) }, 0},
		{"fsyncdir", func() syscall.Errno { return c.Fsyncdir(root, fh, false) }, 0},
		{"setxattr", func() syscall.Errno { return c.Setxattr(node, "user.a", []byte("v"), 0) }, syscall.EOPNOTSUPP},
		{"getxattr", func() syscall.Errno { return count(0)(c.Getxattr(node, "user.a", buf)) }, syscall.ENODATA},
		{"listxattr", func() syscall.Errno { return count(0)(c.Listxattr(node, buf)) }, 0},
		{"listxattr size", func() syscall.Errno { return count(0)(c.Listxattr(node, nil)) }, 0},
		{"removexattr", func() syscall.Errno { return c.Removexattr(node, "user.a") }, syscall.ENODATA},
		{"flock", func() syscall.Errno { return c.Flock(node, fh, 1, syscall.LOCK_EX|syscall.LOCK_NB) }, 0},
		{"unlock", func() syscall.Errno { return c.Flock(node, fh, 1, syscall.LOCK_UN) }, 0},
		{"flock of no kind", func() syscall.Errno { return c.Flock(node, fh, 1, 64) }, syscall.EINVAL},
		{"fallocate", func() syscall.Errno { return c.Fallocate(node, fh, 0, 0, 4096) }, 0},
		{"copy_file_range", func() syscall.Errno {
			return count(4096)(c.CopyFileRange(node, fh, 0, node, fh, 8192, 4096, 0))
		}, 0},
		{"access", func() syscall.Errno { return c.Access(node, 4) }, syscall.ENOSYS},
		{"release", func() syscall.Errno { return c.Release(node, fh) }, 0},
		{"releasedir", func() syscall.Errno { return c.Releasedir(root, fh) }, 0},
		{"forget", func() syscall.Errno { return c.Forget(node, 3) }, 0},
		{"batch forget", func() syscall.Errno { return c.BatchForget([]loopback.ForgetOne{{Node: node, Nlookup: 1}}) }, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := test.got(); got != test.want {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
}

func TestClientIsForManyGoroutines(t *testing.T) {
	// Far fewer slots than goroutines: requests have to wait for each other.
	c := serve(t, createNull, loopback.Options{Depth: 2})
	goroutines := runtime.NumGoroutine()
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for range 50 {
				a, errno := c.Getattr(loopback.RootID, 0)
				if errno != 0 || a.Ino != 1 {
					t.Errorf("GETATTR: %+v, %v", a, errno)
					return
				}
			}
		})
	}
	wg.Wait()
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > goroutines; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("goroutines are left")
		}
	}
}

func TestClientAfterClose(t *testing.T) {
	c := serve(t, createNull, loopback.Options{})
	other, err := loopback.NewClient(c.Thread(), c.disp, loopback.Options{ID: 77})
	if err != nil {
		t.Fatal(err)
	}
	if _, errno := other.Getattr(loopback.RootID, 0); errno != 0 {
		t.Error(errno)
	}
	for range 2 {
		if errno := other.Close(); errno != 0 {
			t.Error("Close:", errno)
		}
	}
	if _, errno := other.Getattr(loopback.RootID, 0); errno != syscall.ENOTCONN {
		t.Errorf("after Close: %v, want ENOTCONN", errno)
	}
}

func TestClientRaw(t *testing.T) {
	c := serve(t, createNull, loopback.Options{})
	out := make([]byte, 64)
	n, errno := c.Raw([][]byte{make([]byte, 40)}, [][]byte{out})
	if _, said, _, ok := loopback.ParseReply(out[:n]); !ok || said != errno || errno == 0 {
		t.Errorf("a request of zeros: %v, replied %v in %d bytes, well-formed %v", errno, said, n, ok)
	}
}

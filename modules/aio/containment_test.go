package aio_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/modules/aio"
	"github.com/spdk-go/spdk-go/transport/loopback"
)

const root = loopback.RootID

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// outside makes a directory with a file "secret", and in it the directory "export".
func outside(tb testing.TB) (dir, export string) {
	tb.Helper()
	dir = tempDir(tb, "")
	export = filepath.Join(dir, "export")
	must(tb, os.Mkdir(export, 0o755))
	must(tb, os.WriteFile(filepath.Join(dir, "secret"), []byte("secret"), 0o644))
	return dir, export
}

func inode(tb testing.TB, path string) uint64 {
	tb.Helper()
	var st unix.Stat_t
	must(tb, unix.Lstat(path, &st))
	return st.Ino
}

// TestNoWayUp looks ".." up after all kinds of lookups: it never leads above the root.
func TestNoWayUp(t *testing.T) {
	dir, export := outside(t)
	must(t, os.MkdirAll(filepath.Join(export, "a/b"), 0o755))
	r := newRig(t, aio.Opts{Root: export})
	rootIno, above := inode(t, export), inode(t, dir)
	a := r.ok(r.lookup(root, "a")).r.Entry
	b := r.ok(r.lookup(a.Node, "b")).r.Entry
	self := r.ok(r.lookup(root, ".")).r.Entry
	for _, path := range [][]string{{".."}, {".", ".."}, {"..", ".."}, {"a", "..", ".."},
		{"a", "b", "..", "..", "..", ".."}, {"a", ".", "..", ".", "..", "a", ".."}} {
		at := uint64(root)
		for _, name := range path {
			e := r.ok(r.lookup(at, name)).r.Entry
			if e.Attr.Ino == above {
				t.Fatalf("%q leads out", path)
			}
			at = e.Node
		}
		if got := r.ok(r.getattr(at, 0)).r.Entry.Attr.Ino; got != rootIno {
			t.Errorf("%q leads to inode %d, want the root, %d", path, got, rootIno)
		}
	}
	if self.Attr.Ino != rootIno {
		t.Error("the root is not itself")
	}
	// A directory that the host moves out, or up, has no way up any more.
	must(t, os.Rename(filepath.Join(export, "a/b"), filepath.Join(dir, "b")))
	r.want(syscall.ESTALE, r.lookup(b.Node, ".."))
	must(t, os.Rename(filepath.Join(dir, "b"), filepath.Join(export, "b")))
	if got := r.ok(r.lookup(b.Node, "..")).r.Entry.Attr.Ino; got != rootIno {
		t.Errorf("moved back, the directory is in %d", got)
	}
}

// TestRenameOfAParent moves a directory out of the root and back while ".." is looked up in it.
func TestRenameOfAParent(t *testing.T) {
	dir, export := outside(t)
	must(t, os.MkdirAll(filepath.Join(export, "a/b"), 0o755))
	r := newRig(t, aio.Opts{Root: export})
	a := r.ok(r.lookup(root, "a")).r.Entry
	b := r.ok(r.lookup(a.Node, "b")).r.Entry
	above := inode(t, dir)
	stop := race(t, func() {
		_ = os.Rename(filepath.Join(export, "a"), filepath.Join(dir, "a"))
		_ = os.Rename(filepath.Join(dir, "a"), filepath.Join(export, "a"))
	})
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		up := r.do(r.lookup(b.Node, ".."))
		if up.r.Errno == syscall.ESTALE {
			continue
		}
		if up.r.Errno != 0 {
			t.Fatal(up.r.Errno)
		}
		if up2 := r.do(r.lookup(up.r.Entry.Node, "..")); up2.r.Errno == 0 && up2.r.Entry.Attr.Ino == above {
			t.Fatal("there is a way out")
		}
	}
	stop()
}

// race calls fn again and again until the function that it returns is called.
func race(tb testing.TB, fn func()) (stop func()) {
	tb.Helper()
	var end atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !end.Load() {
			fn()
		}
	}()
	return func() { end.Store(true); <-done }
}

// TestSymlinksAreNotFollowed plants links to a file outside, and swaps files for them all the while.
func TestSymlinksAreNotFollowed(t *testing.T) {
	dir, export := outside(t)
	secret := filepath.Join(dir, "secret")
	link := filepath.Join(export, "link")
	must(t, os.Symlink(secret, link))
	must(t, os.Symlink(dir, filepath.Join(export, "up")))
	must(t, os.Symlink("/proc/self/root", filepath.Join(export, "magic")))
	r := newRig(t, aio.Opts{Root: export})
	e := r.ok(r.lookup(root, "link")).r.Entry
	if e.Attr.Mode&syscall.S_IFMT != syscall.S_IFLNK {
		t.Fatalf("mode %#o", e.Attr.Mode)
	}
	r.want(syscall.ELOOP, r.open(e.Node, syscall.O_RDONLY))
	r.want(syscall.ELOOP, r.create(root, "link", syscall.O_RDWR|syscall.O_CREAT))
	r.want(syscall.ELOOP, r.create(root, "link", syscall.O_RDWR|syscall.O_CREAT|syscall.O_TRUNC))
	r.want(syscall.EEXIST, r.create(root, "link", syscall.O_RDWR|syscall.O_CREAT|syscall.O_EXCL))
	for _, name := range []string{"up", "magic"} {
		up := r.ok(r.lookup(root, name)).r.Entry
		r.want(syscall.ENOTDIR, r.lookup(up.Node, "secret"))
		r.want(syscall.ENOTDIR, r.create(up.Node, "new", syscall.O_RDWR|syscall.O_CREAT))
		r.want(syscall.ENOTDIR, r.mkdir(up.Node, "new"))
		r.want(syscall.ENOTDIR, r.unlink(up.Node, "secret"))
	}
	plain := filepath.Join(export, "plain")
	stop := race(t, func() {
		_ = os.WriteFile(plain, []byte("plain"), 0o644)
		_ = os.Remove(plain)
		_ = os.Symlink(secret, plain)
		_ = os.Remove(plain)
	})
	opened := 0
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		a := r.do(r.create(root, "plain", syscall.O_RDWR|syscall.O_CREAT|syscall.O_TRUNC))
		if a.r.Errno != 0 {
			continue
		}
		opened++
		node, fh := a.r.Entry.Node, a.r.Handle
		r.ok(r.write(node, fh, 0, []byte("mine")))
		r.ok(r.release(node, fh))
		r.ok(r.forget(node, 1))
	}
	stop()
	if got, _ := os.ReadFile(secret); string(got) != "secret" {
		t.Fatalf("the file outside has %q", got)
	}
	t.Logf("%d files were opened", opened)
}

// TestSpecialFilesAreNotOpened wants FIFOs, sockets and devices to have attributes and nothing else. Opening a FIFO
// would wait for its other end.
func TestSpecialFilesAreNotOpened(t *testing.T) {
	_, export := outside(t)
	must(t, unix.Mkfifo(filepath.Join(export, "fifo"), 0o666))
	must(t, unix.Mknod(filepath.Join(export, "sock"), unix.S_IFSOCK|0o666, 0))
	names := []string{"fifo", "sock"}
	if unix.Mknod(filepath.Join(export, "null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))) == nil {
		names = append(names, "null")
	}
	r := newRig(t, aio.Opts{Root: export})
	for _, name := range names {
		e := r.ok(r.lookup(root, name)).r.Entry
		for _, flags := range []uint32{
			syscall.O_RDONLY, syscall.O_WRONLY, syscall.O_RDWR, syscall.O_RDWR | syscall.O_TRUNC,
		} {
			r.want(syscall.ENXIO, r.open(e.Node, flags))
			r.want(syscall.ENXIO, r.create(root, name, flags|syscall.O_CREAT))
		}
		r.want(syscall.EINVAL, func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return r.c.Fsync(e.Node, 0, false, fn, ctx)
		})
	}
	for _, typ := range []uint32{syscall.S_IFCHR, syscall.S_IFBLK} {
		r.want(syscall.EPERM, func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return r.c.Mknod(root, "dev", typ|0o666, 0x103, fn, ctx)
		})
	}
}

// TestHostileNames sends names that are none.
func TestHostileNames(t *testing.T) {
	dir, export := outside(t)
	r := newRig(t, aio.Opts{Root: export})
	for _, name := range []string{"../secret", "/etc/passwd", "a/../../secret", ".", "..", "", "./..",
		"../export/../secret", strings.Repeat("../", 80) + "etc/passwd", strings.Repeat("n", 256)} {
		for what, op := range map[string]opFunc{
			"create": r.create(root, name, syscall.O_RDWR|syscall.O_CREAT), "mkdir": r.mkdir(root, name),
			"unlink": r.unlink(root, name),
			"link": func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
				return r.c.Symlink(root, name, "target", fn, ctx)
			},
			"rename": func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
				return r.c.Rename(root, name, root, "stolen", 0, fn, ctx)
			},
		} {
			if a := r.do(op); a.r.Errno == 0 {
				t.Errorf("%s of %q succeeds", what, name)
			}
		}
		if name != "." && name != ".." {
			if a := r.do(r.lookup(root, name)); a.r.Errno == 0 {
				t.Errorf("lookup of %q succeeds", name)
			}
		}
	}
	entries, err := os.ReadDir(dir)
	must(t, err)
	if len(entries) != 2 {
		t.Errorf("outside there is now %v", entries)
	}
	if got, _ := os.ReadFile(filepath.Join(dir, "secret")); string(got) != "secret" {
		t.Errorf("the file outside has %q", got)
	}
}

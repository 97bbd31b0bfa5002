package loopback_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/modules/memfs"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/transport/loopback"
)

func createMemfs(t *reactor.Thread, name string) error {
	_, err := memfs.Create(t, name, memfs.Opts{Size: 64 << 20, Inodes: 10000})
	return err
}

func serveFS(tb testing.TB) (*loopback.FS, *live) {
	tb.Helper()
	l := serve(tb, createMemfs, loopback.Options{})
	return loopback.NewFS(l.Client, l.init.MaxWrite), l
}

func names(tb testing.TB, f *loopback.FS, path string) []string {
	tb.Helper()
	entries, err := f.ReadDir(path)
	if err != nil {
		tb.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name)
	}
	return list
}

func ok(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func TestFS(t *testing.T) {
	f, _ := serveFS(t)
	ok(t, f.MkdirAll("/a/b//c/", 0o755))
	ok(t, f.MkdirAll("a/b/c", 0o755))
	ok(t, f.WriteFile("a/b/hello", []byte("hello"), 0o644))
	ok(t, f.WriteFile("a/b/empty", nil, 0o600))

	if diff := cmp.Diff([]string{"c", "empty", "hello"}, names(t, f, "a/b")); diff != "" {
		t.Errorf("a/b (-want +got):\n%s", diff)
	}
	if got, err := f.ReadFile("/a/b/hello"); err != nil || string(got) != "hello" {
		t.Errorf("read %q, %v", got, err)
	}
	a, err := f.Stat("a/b/hello")
	if err != nil || a.Size != 5 || a.Mode != syscall.S_IFREG|0o644 {
		t.Errorf("stat: %+v, %v", a, err)
	}
	if a, err := f.Stat("."); err != nil || a.Mode&syscall.S_IFMT != syscall.S_IFDIR {
		t.Errorf("stat of the root: %+v, %v", a, err)
	}
	// A shorter file replaces the longer one altogether.
	ok(t, f.WriteFile("a/b/hello", []byte("hi"), 0o644))
	if got, err := f.ReadFile("a/b/hello"); err != nil || string(got) != "hi" {
		t.Errorf("read %q, %v", got, err)
	}
	ok(t, f.Rename("a/b/hello", "a/moved"))
	ok(t, f.Rename("a/b", "b"))
	if diff := cmp.Diff([]string{"a", "b"}, names(t, f, "")); diff != "" {
		t.Errorf("root (-want +got):\n%s", diff)
	}
	ok(t, f.Remove("b/empty"))
	ok(t, f.Remove("b/c"))
	ok(t, f.Remove("b"))
	if got := names(t, f, "/"); len(got) != 1 {
		t.Errorf("root: %q", got)
	}
}

func TestFSErrors(t *testing.T) {
	f, _ := serveFS(t)
	ok(t, f.MkdirAll("d/e", 0o755))
	ok(t, f.WriteFile("f", []byte("x"), 0o644))
	second := func(_ any, err error) error { return err }
	for _, test := range []struct {
		name string
		err  error
		want error
	}{
		{"read what is not there", second(f.ReadFile("none")), fs.ErrNotExist},
		{"read below what is not there", second(f.ReadFile("none/x")), fs.ErrNotExist},
		{"read below a file", second(f.ReadFile("f/x")), syscall.ENOTDIR},
		{"mkdir on a file", f.MkdirAll("f", 0o755), syscall.ENOTDIR},
		{"mkdir below a file", f.MkdirAll("f/g", 0o755), syscall.ENOTDIR},
		{"list a file", second(f.ReadDir("f")), syscall.ENOTDIR},
		{"list what is not there", second(f.ReadDir("none")), fs.ErrNotExist},
		{"stat", second(f.Stat("d/none")), fs.ErrNotExist},
		{"remove a full directory", f.Remove("d"), syscall.ENOTEMPTY},
		{"remove what is not there", f.Remove("none"), fs.ErrNotExist},
		{"remove the root", f.Remove("/"), syscall.EINVAL},
		{"rename what is not there", f.Rename("none", "x"), fs.ErrNotExist},
		{"rename into itself", f.Rename("d", "d/e/x"), syscall.EINVAL},
		{"open exclusively", second(f.Open("f", syscall.O_CREAT|syscall.O_EXCL|syscall.O_RDWR, 0o644)), fs.ErrExist},
	} {
		var pathErr *fs.PathError
		if !errors.Is(test.err, test.want) || !errors.As(test.err, &pathErr) {
			t.Errorf("%s: %v, want a PathError of %v", test.name, test.err, test.want)
		}
	}
}

// TestFSForgets checks that walks leave no references behind: a file that is removed goes.
func TestFSForgets(t *testing.T) {
	f, l := serveFS(t)
	before, errno := l.Statfs(loopback.RootID)
	if errno != 0 {
		t.Fatal(errno)
	}
	ok(t, f.MkdirAll("x/y", 0o755))
	for i := range 10 {
		name := fmt.Sprintf("x/y/%d", i)
		ok(t, f.WriteFile(name, bytes.Repeat([]byte("z"), 100_000), 0o644))
		if _, err := f.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	names(t, f, "x/y")
	for i := range 10 {
		ok(t, f.Remove(fmt.Sprintf("x/y/%d", i)))
	}
	ok(t, f.Remove("x/y"))
	ok(t, f.Remove("x"))
	after, errno := l.Statfs(loopback.RootID)
	if errno != 0 {
		t.Fatal(errno)
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("space (-before +after):\n%s", diff)
	}
}

func TestFSLargeFileAndDirectory(t *testing.T) {
	f, l := serveFS(t)
	data := make([]byte, 3*int(l.init.MaxWrite)+12345)
	for i := range data {
		data[i] = byte(i * 7 >> 3)
	}
	ok(t, f.WriteFile("large", data, 0o644))
	if got, err := f.ReadFile("large"); err != nil || !bytes.Equal(got, data) {
		t.Errorf("read back %d bytes of %d, %v", len(got), len(data), err)
	}
	file, err := f.Open("large", syscall.O_RDWR, 0)
	ok(t, err)
	if n, err := file.WriteAt([]byte("patch"), 1000); n != 5 || err != nil {
		t.Errorf("WriteAt: %d, %v", n, err)
	}
	buf := make([]byte, 7)
	if _, err := file.ReadAt(buf, 999); err != nil || string(buf[1:6]) != "patch" {
		t.Errorf("ReadAt: %q, %v", buf, err)
	}
	if n, err := file.ReadAt(buf, int64(len(data))-3); n != 3 || err != io.EOF {
		t.Errorf("ReadAt over the end: %d, %v", n, err)
	}
	ok(t, file.Close())

	ok(t, f.MkdirAll("many", 0o755))
	var want []string
	for i := range 1000 {
		name := fmt.Sprintf("file-with-a-longish-name-%04d", i)
		want = append(want, name)
		ok(t, f.WriteFile("many/"+name, nil, 0o644))
	}
	if diff := cmp.Diff(want, names(t, f, "many")); diff != "" {
		t.Errorf("many (-want +got):\n%s", diff)
	}
}

// TestClientOnMemfs asks for what the null device does not have.
func TestClientOnMemfs(t *testing.T) {
	_, l := serveFS(t)
	root := uint64(loopback.RootID)
	e, fh, errno := l.Create(root, "f", syscall.S_IFREG|0o640, syscall.O_RDWR)
	if errno != 0 {
		t.Fatal(errno)
	}
	n := e.Node
	check := func(what string, errno syscall.Errno) {
		t.Helper()
		if errno != 0 {
			t.Errorf("%s: %v", what, errno)
		}
	}
	size, errno := l.Write(n, fh, 0, []byte("0123456789"))
	if errno != 0 || size != 10 {
		t.Errorf("write: %d, %v", size, errno)
	}
	a, errno := l.Setattr(n, fh, fsdev.Attr{Size: 4, Mode: 0o600}, fsdev.SetAttrSize|fsdev.SetAttrMode)
	if errno != 0 || a.Size != 4 || a.Mode != syscall.S_IFREG|0o600 {
		t.Errorf("setattr: %+v, %v", a, errno)
	}
	a, errno = l.Setattr(n, 0, fsdev.Attr{Mtime: 42, MtimeNsec: 7}, fsdev.SetAttrMtime)
	if errno != 0 || a.Mtime != 42 || a.MtimeNsec != 7 {
		t.Errorf("setattr of the time: %+v, %v", a, errno)
	}
	a, errno = l.Setattr(n, 0, fsdev.Attr{}, fsdev.SetAttrMtimeNow)
	if errno != 0 || a.Mtime < 1e9 {
		t.Errorf("setattr of the time to now: %+v, %v", a, errno)
	}

	check("setxattr", l.Setxattr(n, "user.k", []byte("value"), 0))
	check("setxattr of nothing", l.Setxattr(n, "user.empty", nil, 0))
	buf := make([]byte, 64)
	if size, errno := l.Getxattr(n, "user.k", nil); errno != 0 || size != 5 {
		t.Errorf("size of the xattr: %d, %v", size, errno)
	}
	if size, errno := l.Getxattr(n, "user.k", buf); errno != 0 || string(buf[:size]) != "value" {
		t.Errorf("xattr: %q, %v", buf[:size], errno)
	}
	if _, errno := l.Getxattr(n, "user.k", buf[:2]); errno != syscall.ERANGE {
		t.Errorf("xattr into 2 bytes: %v, want ERANGE", errno)
	}
	if size, errno := l.Listxattr(n, buf); errno != 0 || size != len("user.k")+len("user.empty")+2 {
		t.Errorf("list of xattrs: %q, %v", buf[:size], errno)
	}
	check("removexattr", l.Removexattr(n, "user.k"))

	link, errno := l.Symlink(root, "s", "to/nowhere")
	check("symlink", errno)
	if target, errno := l.Readlink(link.Node); errno != 0 || target != "to/nowhere" {
		t.Errorf("readlink: %q, %v", target, errno)
	}
	hard, errno := l.Link(n, root, "h")
	if errno != 0 || hard.Node != n || hard.Attr.Nlink != 2 {
		t.Errorf("link: %+v, %v", hard, errno)
	}
	if _, errno = l.Mknod(root, "p", syscall.S_IFIFO|0o644, 0); errno != 0 {
		t.Errorf("mknod: %v", errno)
	}
	if errno := l.Rename(root, "s", root, "p", 1 /* RENAME_NOREPLACE */); errno != syscall.EEXIST {
		t.Errorf("rename without replacing: %v, want EEXIST", errno)
	}
	check("fallocate", l.Fallocate(n, fh, 0, 0, 8192))
	if size, errno := l.CopyFileRange(n, fh, 0, n, fh, 4096, 4, 0); errno != 0 || size != 4 {
		t.Errorf("copy_file_range: %d, %v", size, errno)
	}
	if size, errno := l.Read(n, fh, 4096, buf[:8]); errno != 0 || string(buf[:size]) != "0123\x00\x00\x00\x00" {
		t.Errorf("read: %q, %v", buf[:size], errno)
	}
	check("flush", l.Flush(n, fh, 1))
	check("fsync", l.Fsync(n, fh, false))
	check("release", l.Release(n, fh))
	if _, errno := l.Read(n, fh, 0, buf); errno == 0 {
		t.Error("read through a handle that was released")
	}
}

// TestBlockingFlock waits for a lock, and is woken by its release or by an interrupt.
func TestBlockingFlock(t *testing.T) {
	_, l := serveFS(t)
	e, fh, errno := l.Create(loopback.RootID, "f", syscall.S_IFREG|0o640, syscall.O_RDWR)
	if errno != 0 {
		t.Fatal(errno)
	}
	for _, test := range []struct {
		name string
		end  func(unique uint64) syscall.Errno
		want syscall.Errno
	}{
		{"unlock", func(uint64) syscall.Errno { return l.Flock(e.Node, fh, 1, syscall.LOCK_UN) }, 0},
		{"interrupt", l.Interrupt, syscall.EINTR},
	} {
		t.Run(test.name, func(t *testing.T) {
			if errno := l.Flock(e.Node, fh, 1, syscall.LOCK_EX|syscall.LOCK_NB); errno != 0 {
				t.Fatal(errno)
			}
			if errno := l.Flock(e.Node, fh, 2, syscall.LOCK_EX|syscall.LOCK_NB); errno != syscall.EAGAIN {
				t.Errorf("a second exclusive lock: %v, want EAGAIN", errno)
			}
			unique := make(chan uint64, 1)
			got := make(chan syscall.Errno, 1)
			go func() {
				got <- l.Do(func(c *loopback.Conn, fn loopback.ReplyFunc, ctx any) syscall.Errno {
					errno := c.Flock(e.Node, fh, 2, syscall.LOCK_EX, fn, ctx)
					unique <- c.LastUnique()
					return errno
				}, nil)
			}()
			u := <-unique
			select {
			case errno := <-got:
				t.Fatalf("a blocking lock did not wait: %v", errno)
			default:
			}
			if errno := test.end(u); errno != 0 {
				t.Errorf("end: %v", errno)
			}
			if errno := <-got; errno != test.want {
				t.Errorf("the blocking lock ends with %v, want %v", errno, test.want)
			}
			for owner := range uint64(3) {
				l.Flock(e.Node, fh, owner, syscall.LOCK_UN)
			}
		})
	}
}

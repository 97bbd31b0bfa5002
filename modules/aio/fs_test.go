package aio_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/modules/aio"
	"github.com/spdk-go/spdk-go/transport/loopback"
)

// TestHardLinksAreOneNode finds a file by two names, in two directories, made on the host.
func TestHardLinksAreOneNode(t *testing.T) {
	dir := tempDir(t, "")
	must(t, os.Mkdir(filepath.Join(dir, "d"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "one"), []byte("x"), 0o644))
	must(t, os.Link(filepath.Join(dir, "one"), filepath.Join(dir, "d/two")))
	r := newRig(t, aio.Opts{Root: dir})
	d := r.ok(r.lookup(root, "d")).r.Entry.Node
	one, two := r.ok(r.lookup(root, "one")).r.Entry, r.ok(r.lookup(d, "two")).r.Entry
	if one.Node != two.Node {
		t.Errorf("a file is node %d and %d", one.Node, two.Node)
	}
	must(t, os.Rename(filepath.Join(dir, "one"), filepath.Join(dir, "three")))
	if got := r.ok(r.lookup(root, "three")).r.Entry.Node; got != one.Node {
		t.Errorf("renamed on the host, it is node %d", got)
	}
	nodes, _ := aio.Counts(r.a)
	r.ok(r.forget(one.Node, 3))
	if now, _ := aio.Counts(r.a); now != nodes-1 {
		t.Errorf("%d nodes before FORGET, %d after", nodes, now)
	}
	if n := aio.TableLen(r.a); n != nodes-1 {
		t.Errorf("%d nodes are in the table, %d exist", n, nodes-1)
	}
}

// TestReplacedOnTheHost has the host put another file in the place of one that is known and open.
func TestReplacedOnTheHost(t *testing.T) {
	dir := tempDir(t, "")
	path := filepath.Join(dir, "file")
	must(t, os.WriteFile(path, []byte("old"), 0o644))
	r := newRig(t, aio.Opts{Root: dir})
	old := r.ok(r.lookup(root, "file")).r.Entry
	fh := r.ok(r.open(old.Node, syscall.O_RDONLY)).r.Handle
	must(t, os.WriteFile(path+"2", []byte("new"), 0o644))
	must(t, os.Rename(path+"2", path))
	if got := r.ok(r.read(old.Node, fh, 0, make([]byte, 10))).data; string(got) != "old" {
		t.Errorf("the open file has %q", got)
	}
	if a := r.ok(r.getattr(old.Node, 0)).r.Entry.Attr; a.Nlink != 0 || a.Ino != old.Attr.Ino {
		t.Errorf("the old file: %+v", a)
	}
	fresh := r.ok(r.lookup(root, "file")).r.Entry
	if fresh.Node == old.Node || fresh.Attr.Ino == old.Attr.Ino {
		t.Error("the new file is the old one")
	}
	r.ok(r.release(old.Node, fh))
}

// TestCreators makes files as several users and wants the host to see them so.
func TestCreators(t *testing.T) {
	dir := tempDir(t, "")
	r := newRig(t, aio.Opts{Root: dir, Workers: 1})
	if !aio.SwitchesUsers(r.a) {
		skip(t, needsRoot)
	}
	must(t, os.Chmod(dir, 0o700)) // not even to be entered by them: that is for their kernel to check
	d := direct(t, r)
	for i, by := range []fsdev.Creator{
		{UID: 1000, GID: 1000}, {}, {UID: 0, GID: 77}, {UID: 1001, GID: 0, Umask: 0o77}, {UID: 65534, GID: 65534},
		{UID: 1000, GID: 1000, Group: 55, HasGroup: true, Umask: 0o22},
	} {
		name := fmt.Sprint("file", i)
		if errno := d.create(name, 0o666, &by); errno != 0 {
			t.Fatal(errno)
		}
		var st unix.Stat_t
		must(t, unix.Lstat(filepath.Join(dir, name), &st))
		if want := 0o666 &^ by.Umask; st.Uid != by.UID || st.Gid != by.GID || st.Mode&0o7777 != want {
			t.Errorf("%+v: %d:%d %#o, want mode %#o", by, st.Uid, st.Gid, st.Mode&0o7777, want)
		}
		// The worker is itself again: only root may do this.
		r.ok(r.unlink(root, name))
	}
	// In a set-group-ID directory a program keeps the bit if its creator is in the group.
	must(t, os.Chown(dir, 0, 55))
	must(t, unix.Chmod(dir, 0o2777))
	for i, by := range []fsdev.Creator{{UID: 1000, GID: 1000}, {UID: 1000, GID: 1000, Group: 55, HasGroup: true}} {
		name := fmt.Sprint("program", i)
		if errno := d.create(name, 0o2755, &by); errno != 0 {
			t.Fatal(errno)
		}
		var st unix.Stat_t
		must(t, unix.Lstat(filepath.Join(dir, name), &st))
		if has := st.Mode&unix.S_ISGID != 0; st.Gid != 55 || has != by.HasGroup {
			t.Errorf("%+v makes a program of group %d with mode %#o", by, st.Gid, st.Mode)
		}
	}
}

// TestAccessModeThree pins Linux's fourth access mode, which opens for ioctl(2) alone: there is a handle, by which
// nothing can be read or written.
func TestAccessModeThree(t *testing.T) {
	export := t.TempDir()
	must(t, os.WriteFile(filepath.Join(export, "f"), []byte("text"), 0o666))
	r := newRig(t, aio.Opts{Root: export})
	node := r.ok(r.lookup(root, "f")).r.Entry.Node
	fh := r.ok(r.open(node, syscall.O_ACCMODE)).r.Handle
	r.want(syscall.EBADF, r.read(node, fh, 0, make([]byte, 4)))
	r.want(syscall.EBADF, r.write(node, fh, 0, []byte("x")))
	r.ok(r.release(node, fh))
}

// TestReadOnly wants every change to be EROFS, and everything else to work.
func TestReadOnly(t *testing.T) {
	dir := tempDir(t, "")
	must(t, os.WriteFile(filepath.Join(dir, "file"), []byte("contents"), 0o644))
	r := newRig(t, aio.Opts{Root: dir, ReadOnly: true, Xattr: true})
	f := r.ok(r.lookup(root, "file")).r.Entry.Node
	fh := r.ok(r.open(f, syscall.O_RDONLY)).r.Handle
	if got := r.ok(r.read(f, fh, 0, make([]byte, 10))).data; string(got) != "contents" {
		t.Errorf("%q", got)
	}
	for what, op := range map[string]opFunc{
		"create": r.create(root, "new", syscall.O_RDWR|syscall.O_CREAT), "mkdir": r.mkdir(root, "new"),
		"unlink": r.unlink(root, "file"), "open to write": r.open(f, syscall.O_WRONLY),
		"open to cut": r.open(f, syscall.O_RDONLY|syscall.O_TRUNC), "write": r.write(f, fh, 0, []byte("x")),
		"setattr": func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return r.c.Setattr(f, 0, &fsdev.Attr{}, fsdev.SetAttrMode, fn, ctx)
		},
		"setxattr": func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return r.c.Setxattr(f, "user.x", []byte("x"), 0, fn, ctx)
		},
		"fallocate": func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return r.c.Fallocate(f, fh, 0, 0, 1, fn, ctx) },
		"rename": func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return r.c.Rename(root, "file", root, "new", 0, fn, ctx)
		},
		"link":    func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return r.c.Link(f, root, "new", fn, ctx) },
		"symlink": func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return r.c.Symlink(root, "new", "x", fn, ctx) },
		"tmpfile": func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return r.c.Tmpfile(root, 0o600, syscall.O_RDWR, fn, ctx)
		},
	} {
		if a := r.do(op); a.r.Errno != syscall.EROFS {
			t.Errorf("%s: %v", what, a.r.Errno)
		}
	}
	r.ok(r.release(f, fh))
	if got, _ := os.ReadFile(filepath.Join(dir, "file")); !bytes.Equal(got, []byte("contents")) {
		t.Errorf("the file has %q now", got)
	}
}

// TestReaddirPlusWithoutDescriptors wants all entries of a directory when there are no descriptors left, and LOOKUP
// to say why it fails.
func TestReaddirPlusWithoutDescriptors(t *testing.T) {
	dir := tempDir(t, "")
	const files = 100
	for i := range files {
		must(t, os.WriteFile(filepath.Join(dir, fmt.Sprint("file", i)), nil, 0o644))
	}
	r := newRig(t, aio.Opts{Root: dir})
	fh := r.ok(func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return r.c.Opendir(root, 0, fn, ctx) }).r.Handle
	restore := fewDescriptors(t, 20)
	defer restore()
	r.want(syscall.EMFILE, func() opFunc {
		for i := range files {
			if a := r.do(r.lookup(root, fmt.Sprint("file", i))); a.r.Errno != 0 {
				return r.lookup(root, fmt.Sprint("file", i))
			}
		}
		t.Fatal("there are enough descriptors for everything")
		return nil
	}())
	seen, without := map[string]int{}, 0
	buf := make([]byte, 4096)
	for off := uint64(0); ; {
		a := r.ok(func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return r.c.Readdir(root, fh, off, true, buf, fn, ctx)
		})
		n := 0
		if !loopback.ParseDirents(a.data, true, func(e *loopback.Dirent) bool {
			n++
			off = e.Next
			seen[string(e.Name)]++
			if e.Entry.Node == 0 && e.Name[0] == 'f' {
				without++
			}
			return true
		}) {
			t.Fatal("malformed entries")
		}
		if n == 0 {
			break
		}
	}
	restore()
	for i := range files {
		if n := seen[fmt.Sprint("file", i)]; n != 1 {
			t.Errorf("file%d is given %d times", i, n)
		}
	}
	if without == 0 {
		t.Error("every entry has an object")
	}
	r.ok(r.lookup(root, "file99"))
	r.ok(func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return r.c.Releasedir(root, fh, fn, ctx) })
}

// fewDescriptors lets the process open n more files.
func fewDescriptors(tb testing.TB, n uint64) (restore func()) {
	tb.Helper()
	var old unix.Rlimit
	must(tb, unix.Getrlimit(unix.RLIMIT_NOFILE, &old))
	f, err := os.Open("/")
	must(tb, err)
	next := uint64(f.Fd())
	must(tb, f.Close())
	must(tb, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: next + n, Max: old.Max}))
	return sync.OnceFunc(func() { must(tb, unix.Setrlimit(unix.RLIMIT_NOFILE, &old)) })
}

// TestFullDisk fills a small file system: nothing that was acknowledged is lost.
func TestFullDisk(t *testing.T) {
	dir := tempDir(t, "")
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m,nr_inodes=20"); err != nil {
		skip(t, needsRoot)
	}
	t.Cleanup(func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	r := newRig(t, aio.Opts{Root: dir})
	e := r.ok(r.create(root, "file", syscall.O_RDWR|syscall.O_CREAT)).r
	node, fh := e.Entry.Node, e.Handle
	chunk := bytes.Repeat([]byte("0123456789abcdef"), 6<<10)
	written := uint64(0)
	for range 100 {
		a := r.do(r.write(node, fh, written, chunk))
		if a.r.Errno != 0 {
			if a.r.Errno != syscall.ENOSPC {
				t.Fatal(a.r.Errno)
			}
			break
		}
		written += uint64(a.r.Size)
	}
	if written < 512<<10 || written > 1<<20 {
		t.Errorf("%d bytes fit into 1 MiB", written)
	}
	got := make([]byte, len(chunk))
	for off := uint64(0); off < written; off += uint64(len(chunk)) {
		data := r.ok(r.read(node, fh, off, got)).data
		if !bytes.Equal(data, chunk[:len(data)]) || uint64(len(data)) < min(written-off, uint64(len(chunk))) {
			t.Fatalf("at %d, what was written is not there", off)
		}
	}
	r.ok(r.release(node, fh))
	for i := range 30 {
		if a := r.do(r.mkdir(root, fmt.Sprint("dir", i))); a.r.Errno == syscall.ENOSPC {
			return
		}
	}
	t.Error("there is room for any number of directories")
}

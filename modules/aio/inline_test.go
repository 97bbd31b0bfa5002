package aio_test

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/modules/aio"
)

// memoryDir makes a directory on a tmpfs.
func memoryDir(t *testing.T) string {
	t.Helper()
	var fs unix.Statfs_t
	const shm = "/dev/shm"
	if err := unix.Statfs(shm, &fs); err != nil || fs.Type != unix.TMPFS_MAGIC {
		skip(t, needsTmpfs)
	}
	return tempDir(t, shm)
}

// Names in memory are done on the thread that asks, unless that would be as another user, with permissions that the
// process's umask spoils, or of a file whose pages would be freed.
func TestNamesInMemoryNeedNoWorker(t *testing.T) {
	dir := memoryDir(t)
	umask := unix.Umask(0o022)
	defer unix.Umask(umask)
	r := newRig(t, aio.Opts{Root: dir})
	if !aio.SwitchesUsers(r.a) {
		skip(t, needsRoot)
	}
	must(t, os.WriteFile(filepath.Join(dir, "there"), []byte("content"), 0o644))
	d := direct(t, r)
	creates := func(name string, mode uint32, by *fsdev.Creator) func() syscall.Errno {
		return func() syscall.Errno { return d.create(name, mode, by) }
	}
	asks := func(op opFunc) func() syscall.Errno { return func() syscall.Errno { return r.do(op).r.Errno } }
	for _, tt := range []struct {
		name string
		do   func() syscall.Errno
		want syscall.Errno
		here int // jobs that the thread has done itself
	}{
		{"CREATE", creates("mine", 0o644, &fsdev.Creator{}), 0, 1},
		{"MKDIR", asks(r.mkdir(root, "dir")), 0, 1},
		{"SYMLINK", asks(r.mkdirLike(root)), 0, 1},
		{"UNLINK", asks(r.unlink(root, "symlink")), 0, 1},
		{"UNLINK of nothing", asks(r.unlink(root, "nothing")), syscall.ENOENT, 1},
		{"LOOKUP of nothing", asks(r.lookup(root, "nothing")), syscall.ENOENT, 0}, // no job at all
		{"CREATE as another", creates("his", 0o644, &fsdev.Creator{UID: 1000, GID: 1000}), 0, 0},
		{"CREATE with a group", creates("group", 0o644, &fsdev.Creator{Group: 55, HasGroup: true}), 0, 0},
		{"CREATE with a umask", creates("masked", 0o666, &fsdev.Creator{Umask: 0o077}), 0, 0},
		{"CREATE for all", creates("open", 0o666, &fsdev.Creator{}), 0, 0},
		{"CREATE of what is there", asks(r.create(root, "there", syscall.O_RDWR)), 0, 0},
		{"CREATE of what must not be there", creates("there", 0o644, &fsdev.Creator{}), syscall.EEXIST, 1},
	} {
		before := aio.DoneHere(r.a, r.t)
		if errno := tt.do(); errno != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, errno, tt.want)
		}
		if here := aio.DoneHere(r.a, r.t) - before; here != tt.here {
			t.Errorf("%s: %d jobs were done on the thread, want %d", tt.name, here, tt.here)
		}
	}
	for name, want := range map[string]string{"his": "644 1000", "masked": "600 0", "open": "666 0", "mine": "644 0"} {
		var st unix.Stat_t
		must(t, unix.Stat(filepath.Join(dir, name), &st))
		if got := fmt.Sprintf("%o %d", st.Mode&0o7777, st.Uid); got != want {
			t.Errorf("%s: mode and user are %s, want %s", name, got, want)
		}
	}
	if got, err := os.ReadFile(filepath.Join(dir, "there")); err != nil || string(got) != "content" {
		t.Errorf("a file that was there holds %q, %v", got, err)
	}
	there := r.ok(r.lookup(root, "there")).r.Entry.Node
	before := aio.DoneHere(r.a, r.t)
	fh := r.ok(r.open(there, syscall.O_RDWR)).r.Handle
	r.ok(r.release(there, fh))
	if here := aio.DoneHere(r.a, r.t) - before; here != 1 {
		t.Errorf("OPEN: %d jobs were done on the thread", here)
	}
	fh = r.ok(r.open(there, syscall.O_RDWR|syscall.O_TRUNC)).r.Handle
	if here := aio.DoneHere(r.a, r.t) - before; here != 1 {
		t.Errorf("OPEN with O_TRUNC: %d jobs were done on the thread", here-1)
	}
	r.ok(r.release(there, fh))
}

// A name in memory that leads to another file system is found nevertheless.
func TestMountsInMemoryAreFound(t *testing.T) {
	dir := memoryDir(t)
	if os.Geteuid() != 0 {
		skip(t, needsRoot)
	}
	inner := filepath.Join(dir, "mnt")
	must(t, os.Mkdir(inner, 0o755))
	must(t, unix.Mount("tmpfs", inner, "tmpfs", 0, "size=1m"))
	t.Cleanup(func() { must(t, unix.Unmount(inner, unix.MNT_DETACH)) })
	must(t, os.WriteFile(filepath.Join(inner, "file"), []byte("inside"), 0o644))
	r := newRig(t, aio.Opts{Root: dir})
	mnt := r.ok(r.lookup(root, "mnt")).r.Entry.Node
	if size := r.ok(r.lookup(mnt, "file")).r.Entry.Attr.Size; size != uint64(len("inside")) {
		t.Errorf("the file there has %d bytes", size)
	}
}

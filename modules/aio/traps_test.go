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
	"github.com/spdk-go/spdk-go/transport/loopback"
)

// TestMagicLinks exports an entry of /proc, where links lead to files by themselves, whatever their text.
func TestMagicLinks(t *testing.T) {
	r := newRig(t, aio.Opts{Root: fmt.Sprintf("/proc/%d", os.Getpid())})
	fds := r.ok(r.lookup(root, "fd")).r.Entry.Node
	file, err := os.Open(filepath.Join("/proc", "self", "status"))
	must(t, err)
	defer file.Close()
	for _, link := range []struct {
		dir  uint64
		name string
	}{{root, "root"}, {root, "cwd"}, {root, "exe"}, {fds, fmt.Sprint(file.Fd())}} {
		e := r.ok(r.lookup(link.dir, link.name)).r.Entry
		if e.Attr.Mode&syscall.S_IFMT != syscall.S_IFLNK {
			t.Errorf("%s has mode %#o", link.name, e.Attr.Mode)
		}
		r.want(syscall.ELOOP, r.open(e.Node, syscall.O_RDONLY))
		r.want(syscall.ENOTDIR, r.lookup(e.Node, "etc"))
		r.want(syscall.ENOTDIR, r.lookup(e.Node, ".."))
		r.want(syscall.ENOTDIR, func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return r.c.Opendir(e.Node, 0, fn, ctx)
		})
	}
	// The way to all files of the process, the module's own descriptors among them.
	for _, name := range []string{"../../self/root", "/proc/self/root", "root/etc", "fd/0"} {
		if a := r.do(r.lookup(root, name)); a.r.Errno == 0 {
			t.Errorf("lookup of %q succeeds", name)
		}
	}
}

// TestLinksAreChangedThemselves changes all that can be changed of a symbolic link to a file outside, and makes hard
// links to it: the file is as it was.
func TestLinksAreChangedThemselves(t *testing.T) {
	dir, export := outside(t)
	secret := filepath.Join(dir, "secret")
	must(t, os.Symlink(secret, filepath.Join(export, "link")))
	var before, after unix.Stat_t
	must(t, unix.Lstat(secret, &before))
	r := newRig(t, aio.Opts{Root: export, Xattr: true})
	link := r.ok(r.lookup(root, "link")).r.Entry.Node
	set := func(mask uint32) opFunc {
		return func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return r.c.Setattr(link, 0, &fsdev.Attr{Mode: 0o777, Size: 1, UID: 7, GID: 7, Mtime: 1}, mask, fn, ctx)
		}
	}
	r.want(syscall.EOPNOTSUPP, r.modeOf(link))
	r.want(syscall.EINVAL, set(fsdev.SetAttrSize))
	if os.Geteuid() == 0 {
		r.ok(set(fsdev.SetAttrUID | fsdev.SetAttrGID))
	}
	r.ok(set(fsdev.SetAttrMtime))
	for _, name := range []string{"user.x", "trusted.x", "security.capability"} {
		if a := r.do(func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return r.c.Setxattr(link, name, make([]byte, 20), 0, fn, ctx)
		}); a.r.Errno == 0 && name == "user.x" {
			t.Error("a symbolic link has got an attribute of a user")
		}
	}
	hard := r.ok(func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
		return r.c.Link(link, root, "hard", fn, ctx)
	}).r.Entry
	if hard.Attr.Mode&syscall.S_IFMT != syscall.S_IFLNK {
		t.Errorf("the hard link to a symbolic one has mode %#o", hard.Attr.Mode)
	}
	must(t, unix.Lstat(secret, &after))
	before.Atim, after.Atim = unix.Timespec{}, unix.Timespec{}
	if before != after {
		t.Errorf("the file outside was\n%+v, is\n%+v", before, after)
	}
	if n, err := unix.Llistxattr(secret, nil); n > 0 && err == nil {
		t.Errorf("the file outside has got attributes of %d bytes", n)
	}
}

func (r *rig) modeOf(node uint64) opFunc {
	return func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
		return r.c.Setattr(node, 0, &fsdev.Attr{Mode: 0o777}, fsdev.SetAttrMode, fn, ctx)
	}
}

// TestBindMounts has the host bind directories of the export, and one from outside, in it. Up from a mount is where it
// is mounted; and a directory that is moved out of what was bound has no way up at all.
func TestBindMounts(t *testing.T) {
	if os.Geteuid() != 0 {
		skip(t, needsRoot)
	}
	dir, export := outside(t)
	for _, d := range []string{"export/a/b/c", "export/mnt", "other/x/y"} {
		must(t, os.MkdirAll(filepath.Join(dir, d), 0o755))
	}
	bind := func(from, to string) {
		t.Helper()
		at := filepath.Join(export, to)
		must(t, unix.Mount(filepath.Join(dir, from), at, "", unix.MS_BIND, ""))
		t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })
	}
	r := newRig(t, aio.Opts{Root: export})
	rootIno := inode(t, export)
	up := func(node uint64) *answer { t.Helper(); return r.do(r.lookup(node, "..")) }

	bind("export/a/b", "mnt")
	mnt := r.ok(r.lookup(root, "mnt")).r.Entry
	c := r.ok(r.lookup(mnt.Node, "c")).r.Entry
	if got := up(mnt.Node); got.r.Entry.Attr.Ino != rootIno {
		t.Errorf("up from the mount: inode %d, %v", got.r.Entry.Attr.Ino, got.r.Errno)
	}
	if got := up(c.Node); got.r.Entry.Attr.Ino != mnt.Attr.Ino {
		t.Errorf("up from below the mount: inode %d, %v", got.r.Entry.Attr.Ino, got.r.Errno)
	}

	bind("other/x", "mnt")
	x := r.ok(r.lookup(root, "mnt")).r.Entry
	y := r.ok(r.lookup(x.Node, "y")).r.Entry
	if got := up(x.Node); got.r.Entry.Attr.Ino != rootIno {
		t.Errorf("up from what is outside: inode %d, %v", got.r.Entry.Attr.Ino, got.r.Errno)
	}
	// y leaves what is bound: by way of the mount nothing is above it but all that the host has. The kernel says so.
	must(t, os.Rename(filepath.Join(dir, "other/x/y"), filepath.Join(dir, "other/y")))
	r.want(syscall.ENOENT, r.lookup(y.Node, ".."))
	for _, name := range []string{"secret", "other", "x"} {
		if a := r.do(r.lookup(y.Node, name)); a.r.Errno != syscall.ENOENT {
			t.Errorf("lookup of %q in what was moved out: %v", name, a.r.Errno)
		}
	}
	sub := r.ok(r.mkdir(y.Node, "new")).r.Entry
	if got := up(sub.Node); got.r.Errno == 0 && r.do(r.lookup(got.r.Entry.Node, "..")).r.Errno == 0 {
		t.Error("there is a way up from a directory in what was moved out")
	}
}

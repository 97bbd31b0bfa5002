package aio_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/modules/aio"
	"github.com/spdk-go/spdk-go/transport/loopback"
)

const (
	getFlags   = unix.FS_IOC_GETFLAGS
	setFlags   = unix.FS_IOC_SETFLAGS
	getVersion = 0x80087601
	getFsxattr = 0x801c581f
	setFsxattr = 0x401c5820
	fiFreeze   = 0xc0045877

	nodump, noatime, immutable, projinherit = 0x40, 0x80, 0x10, 0x20000000
)

func (r *rig) ioctl(node, fh uint64, cmd uint32, in []byte, size uint32) opFunc {
	return func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
		return r.c.Ioctl(node, fh, cmd, 0, in, size, fn, ctx)
	}
}

// needFlags skips the test where files have no flags.
func needFlags(tb testing.TB, path string) {
	tb.Helper()
	f, err := os.Open(path)
	must(tb, err)
	defer func() { _ = f.Close() }()
	if _, err := unix.IoctlGetInt(int(f.Fd()), getFlags); err != nil {
		skip(tb, needsFlags)
	}
}

// TestIoctls reads and changes the flags of files and directories, and nothing else.
func TestIoctls(t *testing.T) {
	dir := tempDir(t, "")
	path := filepath.Join(dir, "file")
	must(t, os.WriteFile(path, nil, 0o644))
	must(t, os.Mkdir(filepath.Join(dir, "dir"), 0o755))
	must(t, unix.Mkfifo(filepath.Join(dir, "fifo"), 0o644))
	needFlags(t, path)
	r := newRig(t, aio.Opts{Root: dir})
	int4 := func(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }
	for _, name := range []string{"file", "dir"} {
		n := r.ok(r.lookup(root, name)).r.Entry.Node
		var fh uint64
		if name == "dir" {
			fh = r.ok(func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return r.c.Opendir(n, 0, fn, ctx) }).r.Handle
		} else {
			fh = r.ok(r.open(n, syscall.O_RDONLY)).r.Handle
		}
		for _, h := range []uint64{fh, 0} {
			old := r.ok(r.ioctl(n, h, getFlags, nil, 4)).data
			flags := binary.NativeEndian.Uint32(old) &^ (nodump | noatime)
			r.ok(r.ioctl(n, h, setFlags, int4(flags|nodump|noatime), 0))
			if got := r.ok(r.ioctl(n, h, getFlags, nil, 4)).data; len(got) != 4 ||
				binary.NativeEndian.Uint32(got) != flags|nodump|noatime {
				t.Errorf("%s: flags %x", name, got)
			}
			if got := r.ok(r.ioctl(n, h, getFsxattr, nil, 28)).data; len(got) != 28 ||
				binary.NativeEndian.Uint32(got)&0xc0 != 0xc0 { // FS_XFLAG_NOATIME, FS_XFLAG_NODUMP
				t.Errorf("%s: %x", name, got)
			}
			r.ok(r.ioctl(n, h, setFlags, int4(flags), 0))
			r.want(syscall.EOPNOTSUPP, r.ioctl(n, h, setFlags, int4(flags^projinherit), 0))
			if got := binary.NativeEndian.Uint32(r.ok(r.ioctl(n, h, getFlags, nil, 4)).data); got != flags {
				t.Errorf("%s: flags %x after what is refused, want %x", name, got, flags)
			}
			r.want(syscall.ENOTTY, r.ioctl(n, h, setFsxattr, make([]byte, 28), 0))
			r.want(syscall.ENOTTY, r.ioctl(n, h, fiFreeze, int4(0), 4))
			r.want(syscall.EINVAL, r.ioctl(n, h, setFlags, int4(0)[:2], 0))
		}
		if name == "dir" {
			r.ok(func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return r.c.Releasedir(n, fh, fn, ctx) })
		} else {
			_ = r.do(r.ioctl(n, fh, getVersion, nil, 4)) // not every file system has one
			r.ok(r.release(n, fh))
			r.want(syscall.EBADF, r.ioctl(n, fh, getFlags, nil, 4))
		}
	}
	fifo := r.ok(r.lookup(root, "fifo")).r.Entry.Node
	r.want(syscall.ENOTTY, r.ioctl(fifo, 0, getFlags, nil, 4))
}

// TestReadOnlyIoctls lets flags be read alone.
func TestReadOnlyIoctls(t *testing.T) {
	dir := tempDir(t, "")
	must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o644))
	needFlags(t, filepath.Join(dir, "file"))
	r := newRig(t, aio.Opts{Root: dir, ReadOnly: true})
	n := r.ok(r.lookup(root, "file")).r.Entry.Node
	r.ok(r.ioctl(n, 0, getFlags, nil, 4))
	r.want(syscall.EROFS, r.ioctl(n, 0, setFlags, make([]byte, 4), 0))
}

// TestImmutable wants a file that a client has made immutable to be so for all.
func TestImmutable(t *testing.T) {
	dir := tempDir(t, "")
	path := filepath.Join(dir, "file")
	must(t, os.WriteFile(path, nil, 0o644))
	needFlags(t, path)
	r := newRig(t, aio.Opts{Root: dir})
	n := r.ok(r.lookup(root, "file")).r.Entry.Node
	old := r.ok(r.ioctl(n, 0, getFlags, nil, 4)).data
	flags := binary.NativeEndian.Uint32(old)
	set := r.do(r.ioctl(n, 0, setFlags, binary.NativeEndian.AppendUint32(nil, flags|immutable), 0))
	if set.r.Errno == syscall.EPERM {
		skip(t, needsRoot)
	}
	r.want(syscall.EPERM, r.open(n, syscall.O_RDWR))
	if err := os.Remove(path); !os.IsPermission(err) {
		t.Errorf("removed on the host: %v", err)
	}
	r.ok(r.ioctl(n, 0, setFlags, old, 0))
	r.ok(r.unlink(root, "file"))
}

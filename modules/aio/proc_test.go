package aio_test

import (
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/modules/aio"
	"github.com/spdk-go/spdk-go/transport/loopback"
)

// TestProcIsGiven exports with a descriptor of /proc/self/fd from somebody else, who keeps it. It is for opening again,
// links and extended attributes.
func TestProcIsGiven(t *testing.T) {
	proc, err := unix.Open("/proc/self/fd", unix.O_PATH|unix.O_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(proc)
	t.Run("export", func(t *testing.T) {
		r := newRig(t, aio.Opts{Proc: proc, Xattr: true})
		f := r.ok(r.create(root, "file", syscall.O_RDWR|syscall.O_CREAT)).r
		r.ok(r.release(f.Entry.Node, f.Handle))
		h := r.ok(r.open(f.Entry.Node, syscall.O_RDWR)).r.Handle
		r.ok(r.release(f.Entry.Node, h))
		r.ok(func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return r.c.Setxattr(f.Entry.Node, "user.x", []byte("value"), 0, fn, ctx)
		})
		r.ok(func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return r.c.Link(f.Entry.Node, root, "link", fn, ctx)
		})
		var buf [16]byte
		n, err := unix.Lgetxattr(filepath.Join(r.dir, "link"), "user.x", buf[:])
		if err != nil || string(buf[:n]) != "value" {
			t.Errorf("the host has %q, %v", buf[:max(n, 0)], err)
		}
	})
	if _, err := unix.FcntlInt(uintptr(proc), unix.F_GETFD, 0); err != nil {
		t.Errorf("the descriptor was closed with the export: %v", err)
	}
}

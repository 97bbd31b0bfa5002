package aio_test

import (
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/internal/uring"
	"github.com/spdk-go/spdk-go/modules/aio"
	"github.com/spdk-go/spdk-go/transport/loopback"
)

// TestRingTakesNothingElse submits to a channel's ring what the module never does, by way of a mistake or a bug that
// somebody exploits, and then all that it does.
func TestRingTakesNothingElse(t *testing.T) {
	r := newRig(t, aio.Opts{Root: tempDir(t, "")})
	ch := r.a.IOChannel(r.t)
	u := aio.RingOf(ch)
	if u == nil {
		t.Fatal("the channel has no ring")
	}
	how := unix.OpenHow{Flags: unix.O_RDONLY}
	name := []byte(filepath.Join(r.dir, "..") + "\x00")
	for what, prep := range map[string]func(s *uring.SQE){
		"open":   func(s *uring.SQE) { s.PrepOpenat2(unix.AT_FDCWD, name, &how) },
		"unlink": func(s *uring.SQE) { s.PrepUnlinkat(unix.AT_FDCWD, name, unix.AT_REMOVEDIR) },
		"mkdir":  func(s *uring.SQE) { s.PrepMkdirat(unix.AT_FDCWD, name, 0o777) },
	} {
		s := u.GetSQE()
		prep(s)
		if n, errno := u.Wait(1, patience); n != 1 || errno != 0 {
			t.Fatalf("%s: %d, %v", what, n, errno)
		}
		if res := u.CQE(0).Res; res != -int32(unix.EACCES) {
			t.Errorf("%s: %d, want EACCES", what, res)
		}
		u.Advance(1)
	}
	ch.Put()
	e := r.ok(r.create(root, "file", syscall.O_RDWR)).r
	data, back := make([]byte, 1<<16), make([]byte, 1<<16)
	r.ok(r.write(e.Entry.Node, e.Handle, 0, data))
	r.ok(func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
		return r.c.Fallocate(e.Entry.Node, e.Handle, 0, 0, 1<<20, fn, ctx)
	})
	for _, datasync := range []bool{false, true} {
		r.ok(func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return r.c.Fsync(e.Entry.Node, e.Handle, datasync, fn, ctx)
		})
	}
	dropCaches(t, filepath.Join(r.dir, "file"))
	if a := r.ok(r.read(e.Entry.Node, e.Handle, 0, back)); len(a.data) != len(back) {
		t.Errorf("%d bytes were read", len(a.data))
	}
}

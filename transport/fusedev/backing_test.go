package fusedev

import (
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/log"
)

// fakeBackingUser is a dispatcher that is offered registration.
type fakeBackingUser struct{ b fusedispatcher.Backing }

func (f *fakeBackingUser) SetBacking(b fusedispatcher.Backing) { f.b = b }

func newTestBacking(t *testing.T, fd int) (*backing, *fakeBackingUser, func() []string) {
	t.Helper()
	user, kept := &fakeBackingUser{}, &faults{}
	l := log.NewLimiter(slog.New(kept), "test", log.Limits{Now: func() time.Duration { return 0 }})
	b := newBacking(user, fd, l)
	return b, user, func() []string {
		l.Flush()
		kept.mu.Lock()
		defer kept.mu.Unlock()
		return kept.list
	}
}

// A session offers registration as long as it lives, unless it is not to.
func TestBackingIsOffered(t *testing.T) {
	b, user, _ := newTestBacking(t, -1)
	if user.b != b {
		t.Error("registration is not offered")
	}
	b.CloseBacking(1, true) // fails, elsewhere
	b.end()
	if user.b != nil {
		t.Error("registration is offered after the end")
	}
	r := newRig(t, 1)
	s := r.mount()
	if s.backing != nil || s.BackingStats() != (BackingStats{}) {
		t.Errorf("a server that has no use for it is offered registration: %+v", s.BackingStats())
	}
	if err := s.Unmount(); err != nil {
		t.Error(err)
	}
}

// What the kernel does not want to register is counted, and said why.
func TestBackingRefused(t *testing.T) {
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(null)
	b, _, reported := newTestBacking(t, null) // which is no connection
	for range 2 {
		if id, errno := b.OpenBacking(null); id != 0 || errno != unix.ENOTTY {
			t.Errorf("number %d, %v", id, errno)
		}
	}
	b.CloseBacking(7, false)
	got := reported()
	if len(got) != 3 || !strings.Contains(got[0], "its data are requests") ||
		!strings.Contains(got[2], "giving file 7 back") {
		t.Errorf("reported %q", got)
	}
	if n := b.refused.Load(); n != 2 || b.denied.Load() {
		t.Errorf("%d refused, denied for good: %t", n, b.denied.Load())
	}
}

// Without CAP_SYS_ADMIN files are not registered, and the log says what it would take.
func TestBackingNeedsCapability(t *testing.T) {
	r := newRig(t, 1)
	s := r.mount()
	var fd int
	if err := do(s.queues[0], func(q *queue) error { fd = q.fd; return nil }); err != nil {
		t.Fatal(err)
	}
	b, _, reported := newTestBacking(t, fd)
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // the thread, which has lost its rights, ends with the goroutine
		hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var data [2]unix.CapUserData
		if err := unix.Capget(&hdr, &data[0]); err != nil {
			t.Error(err)
			return
		}
		data[0].Effective &^= 1 << unix.CAP_SYS_ADMIN
		if err := unix.Capset(&hdr, &data[0]); err != nil {
			t.Error(err)
			return
		}
		if err := mayPassThrough(); !errors.Is(err, unix.EPERM) {
			t.Errorf("without CAP_SYS_ADMIN: %v", err)
		}
		if errno := b.CheckBacking(); errno != unix.EPERM {
			t.Errorf("CheckBacking: %v", errno)
		}
		for range 3 {
			if _, errno := b.OpenBacking(0); errno != unix.EPERM {
				t.Errorf("OpenBacking: %v", errno)
			}
		}
	}()
	<-done
	got := reported()
	if len(got) != 2 || !strings.Contains(got[0], "CAP_SYS_ADMIN") || !strings.Contains(got[1], "CAP_SYS_ADMIN") {
		t.Errorf("reported %q, want what is missing at INIT, and once at an open", got)
	}
	if n := b.refused.Load(); n != 3 || !b.denied.Load() {
		t.Errorf("%d refused, denied for good: %t", n, b.denied.Load())
	}
	b.end()
	if err := s.Unmount(); err != nil {
		t.Error(err)
	}
}

package fusedev

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// outside serves a host over a socket, as another process would.
type outside struct {
	t      *testing.T
	remote *RemoteHost
	ended  sync.WaitGroup
	err    error

	ends atomic.Int32 // a socket is no synchronisation that the race detector knows
	left []string
}

func newOutside(t *testing.T, mountpoints ...string) *outside {
	t.Helper()
	socks, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	o := &outside{t: t, remote: NewRemoteHost(socks[0])}
	o.ended.Go(func() {
		o.err = ServeHost(socks[1], HostOptions{
			Mountpoints: mountpoints,
			Users:       func(path string) []string { return []string{"somebody in " + path} },
			End:         func() { o.ends.Add(1) },
			Left:        func(path string) { o.left = append(o.left, path) },
		})
		unix.Close(socks[1])
	})
	t.Cleanup(func() {
		o.hangUp()
		unix.Close(socks[0])
	})
	return o
}

// hangUp is the end of the process that has the mounts, as far as the other one can see.
func (o *outside) hangUp() {
	_ = unix.Shutdown(o.remote.sock, unix.SHUT_RDWR)
	o.ended.Wait()
	if o.err != nil {
		o.t.Error(o.err)
	}
}

// TestRemoteSession mounts, works and unmounts through another process, by mount(2) and by fusermount3.
func TestRemoteSession(t *testing.T) {
	for _, byHelper := range []bool{false, true} {
		t.Run(fmt.Sprintf("fusermount3 %v", byHelper), func(t *testing.T) {
			before := openFiles(t)
			r := newRig(t, 2)
			if byHelper {
				skipIf(t, noHelper)
			}
			out := newOutside(t, r.o.Mountpoint)
			r.o.Host = out.remote
			if err := r.o.setDefaults(); err != nil {
				t.Fatal(err)
			}
			s, err := mount(t.Context(), r.o, r.srv, byHelper)
			if err != nil {
				t.Fatal(err)
			}
			if m, ok, err := findMount(r.o.Mountpoint); !ok || err != nil || m.connection() != s.connection || !s.known {
				t.Errorf("mounted: %+v, %v, %v; session: %d, %v", m, ok, err, s.connection, s.known)
			}
			want := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
			if err := os.WriteFile(r.file("file"), want, 0); err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(r.file("file")); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes came back, %v", len(got), err)
			}
			f, err := os.Open(r.file("file"))
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Unmount(); !errors.Is(err, unix.EBUSY) || !strings.Contains(err.Error(), "fuser -vm") {
				t.Errorf("unmounting with an open file: %v", err)
			}
			f.Close()
			if users := out.remote.Users(r.o.Mountpoint); len(users) != 1 || users[0] != "somebody in "+r.o.Mountpoint {
				t.Errorf("users: %q", users)
			}
			if err := s.Unmount(); err != nil {
				t.Fatal(err)
			}
			r.wantDone(s)
			r.wantUnmounted()
			if err := out.remote.End(); err != nil || out.ends.Load() != 1 {
				t.Errorf("%d ends, %v", out.ends.Load(), err)
			}
			if n := r.srv.polls.Load(); n != 0 {
				t.Errorf("the server saw %d POLL", n)
			}
			out.hangUp()
			if len(out.left) != 0 {
				t.Errorf("left behind: %q", out.left)
			}
			r.close()
			if after := openFiles(t); after > before+3 { // the socket, and the runtime's own epoll and eventfd
				t.Errorf("%d descriptors are open, %d before", after, before)
			}
		})
	}
}

func TestRemoteAbort(t *testing.T) {
	r := newRig(t, 1)
	r.o.Host = newOutside(t, r.o.Mountpoint).remote
	s := r.mount()
	f, err := os.Open(r.file("slow"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	failed := make(chan error)
	go func() {
		_, err := f.Read(make([]byte, 1<<16))
		failed <- err
	}()
	r.waitSlow(1)
	if err := s.Abort(); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; err == nil {
		t.Error("the read has ended well")
	}
	r.wantDone(s)
	r.wantUnmounted()
}

// TestRemoteDetachesWhatIsLeft ends the connection to the other process while a file system is mounted.
func TestRemoteDetachesWhatIsLeft(t *testing.T) {
	r := newRig(t, 1)
	out := newOutside(t, r.o.Mountpoint)
	r.o.Host = out.remote
	s := r.mount()
	out.hangUp()
	r.wantUnmounted()
	if len(out.left) != 1 || out.left[0] != r.o.Mountpoint {
		t.Errorf("left behind: %q, want %s", out.left, r.o.Mountpoint)
	}
	r.wantDone(s)
}

// TestRemoteErrors wants the errors of the other process to be those that this one would have had.
func TestRemoteErrors(t *testing.T) {
	r := newRig(t, 1)
	dir := r.o.Mountpoint
	missing := filepath.Join(dir, "missing")
	out := newOutside(t, dir, missing)
	r.o.Host = out.remote
	r.o.Mountpoint = missing
	_, err := r.tryMount(t.Context())
	r.o.Host = nil
	_, want := r.tryMount(t.Context())
	if err == nil || want == nil || err.Error() != want.Error() || !errors.Is(err, unix.ENOENT) {
		t.Errorf("%v, want %v", err, want)
	}
	r.o.Host, r.o.Mountpoint = out.remote, dir
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.tryMount(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	out.hangUp()
	r.wantUnmounted()
	if _, err := r.tryMount(t.Context()); err == nil {
		t.Error("mounted by nobody")
	}
}

// TestHostTrustsNobody sends what a process might that was taken over.
func TestHostTrustsNobody(t *testing.T) {
	r := newRig(t, 1)
	dir := r.o.Mountpoint
	out := newOutside(t, dir)
	other := t.TempDir()
	plain := &Options{FsName: "x", Subtype: "x", MaxWrite: 4096}
	for _, req := range []hostRequest{
		{Op: "mount", Path: other, Options: plain},
		{Op: "mount", Path: "/", Options: plain},
		{Op: "mount", Path: dir + "/../", Options: plain},
		{Op: "mount", Path: dir},
		{Op: "mount", Options: plain},
		{Op: "mount", Path: dir, Options: &Options{Suid: true, Subtype: "x", MaxWrite: 4096}},
		{Op: "mount", Path: dir, Options: &Options{Dev: true, Subtype: "x", MaxWrite: 4096}},
		{Op: "prepare", Path: other, Flag: true},
		{Op: "unmount", Path: "/"},
		{Op: "unmount", Path: dir},
		{Op: "unmount"},
		{Op: "find", Path: "/proc"},
		{Op: "users", Path: other},
		{Op: "probe", Path: other + "/" + probeName},
		{Op: "execute"},
	} {
		if rep, fd, err := out.remote.ask(t.Context(), &req); err == nil || fd >= 0 {
			t.Errorf("%+v gives %+v, descriptor %d", req, rep, fd)
		}
	}
	for _, req := range []hostRequest{{Op: "probe", Path: dir + "/file"}, {Op: "abort", Path: dir}} {
		if rep, fd, err := out.remote.ask(t.Context(), &req); err != nil || fd >= 0 || rep.OK {
			t.Errorf("%+v gives %+v, descriptor %d, %v", req, rep, fd, err)
		}
	}
	if err := sendWithFD(out.remote.sock, []byte("no json"), -1); err != nil {
		t.Error(err)
	}
	if _, err := out.remote.prepare(dir, false); err != nil {
		t.Errorf("after all that: %v", err)
	}
}

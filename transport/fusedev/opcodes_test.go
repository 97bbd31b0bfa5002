package fusedev

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
)

// open opens a file of the board without package os, whose poller would poll it.
func (m *mounted) open(name string, flags int) int {
	m.t.Helper()
	fd, err := unix.Open(filepath.Join(m.dir, name), flags|unix.O_CLOEXEC, 0o600)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func TestLseekOfAKernel(t *testing.T) {
	m := mountBoard(t, Options{})
	m.set("file", "0123456789")
	fd := m.open("file", unix.O_RDONLY)
	for _, tt := range []struct {
		offset int64
		whence int
		want   int64
		err    error
	}{
		{2, unix.SEEK_DATA, 2, nil}, {5, unix.SEEK_DATA, -1, unix.ENXIO}, {2, unix.SEEK_HOLE, 5, nil},
		{7, unix.SEEK_HOLE, 7, nil}, {-3, unix.SEEK_END, 7, nil},
	} {
		if got, err := unix.Seek(fd, tt.offset, tt.whence); err != tt.err || err == nil && got != tt.want {
			t.Errorf("%d, whence %d: %d, %v", tt.offset, tt.whence, got, err)
		}
	}
}

func TestStatxOfAKernel(t *testing.T) {
	m := mountBoard(t, Options{})
	m.set("file", "0123456789")
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, filepath.Join(m.dir, "file"), 0, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &st)
	if err != nil {
		t.Fatal(err)
	}
	if st.Mask&unix.STATX_BTIME == 0 {
		t.Log("this kernel does not ask for the time of birth (Linux 6.6)")
	} else if st.Btime.Sec != 1234 || st.Btime.Nsec != 5678 || st.Size != 10 {
		t.Errorf("born at %d.%d, %d bytes", st.Btime.Sec, st.Btime.Nsec, st.Size)
	}
}

func TestIoctlOfAKernel(t *testing.T) {
	m := mountBoard(t, Options{})
	f := m.set("file", "")
	m.with(func() { f.flags = [4]byte{0x40, 0, 0, 0} }) // FS_NODUMP_FL
	fd := m.open("file", unix.O_RDONLY)
	flags, err := unix.IoctlGetInt(fd, unix.FS_IOC_GETFLAGS)
	if err != nil || flags != 0x40 {
		t.Errorf("flags %#x, %v", flags, err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, 0x80); err != nil {
		t.Error(err)
	}
	m.with(func() {
		if diff := cmp.Diff([4]byte{0x80, 0, 0, 0}, f.flags); diff != "" {
			t.Errorf("flags (-want +got):\n%s", diff)
		}
	})
	if _, err := unix.IoctlGetTermios(fd, unix.TCGETS); err != unix.ENOTTY {
		t.Errorf("isatty: %v", err)
	}
}

func TestByteRangeLocksOfAKernel(t *testing.T) {
	m := mountBoard(t, Options{})
	f := m.set("file", "0123456789")
	a, b := m.open("file", unix.O_RDWR), m.open("file", unix.O_RDWR)
	// Locks of open file descriptions have owners of their own, so that one process will do.
	lock := unix.Flock_t{Type: unix.F_WRLCK, Start: 2, Len: 3}
	if err := unix.FcntlFlock(uintptr(a), unix.F_OFD_SETLK, &lock); err != nil {
		t.Fatal(err)
	}
	m.with(func() {
		if f.lock.Type != unix.F_WRLCK || f.lock.Start != 2 || f.lock.End != 4 {
			t.Errorf("the module has %+v", f.lock)
		}
	})
	other := unix.Flock_t{Type: unix.F_RDLCK}
	if err := unix.FcntlFlock(uintptr(b), unix.F_OFD_SETLK, &other); err != unix.EAGAIN {
		t.Errorf("the other's lock: %v", err)
	}
	asked := unix.Flock_t{Type: unix.F_RDLCK}
	if err := unix.FcntlFlock(uintptr(b), unix.F_OFD_GETLK, &asked); err != nil {
		t.Error(err)
	}
	if asked.Type != unix.F_WRLCK || asked.Start != 2 || asked.Len != 3 {
		t.Errorf("in the way is %+v", asked)
	}
	lock.Type = unix.F_UNLCK
	if err := unix.FcntlFlock(uintptr(a), unix.F_OFD_SETLK, &lock); err != nil {
		t.Error(err)
	}
	if err := unix.FcntlFlock(uintptr(b), unix.F_OFD_SETLK, &other); err != nil {
		t.Errorf("the other's lock at last: %v", err)
	}
}

func TestTmpfileOfAKernel(t *testing.T) {
	m := mountBoard(t, Options{})
	fd := m.open(".", unix.O_TMPFILE|unix.O_RDWR)
	if _, err := unix.Pwrite(fd, []byte("content"), 0); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 20)
	if n, err := unix.Pread(fd, buf, 0); err != nil || string(buf[:n]) != "content" {
		t.Errorf("%q, %v", buf[:n], err)
	}
}

func TestCopyFileRangeOfAKernel(t *testing.T) {
	m := mountBoard(t, Options{})
	m.set("from", "0123456789")
	to := m.set("to", "abc")
	in, out := m.open("from", unix.O_RDONLY), m.open("to", unix.O_RDWR)
	offIn, offOut := int64(2), int64(1)
	if n, err := unix.CopyFileRange(in, &offIn, out, &offOut, 5, 0); n != 5 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	m.with(func() {
		if string(to.content) != "a23456" {
			t.Errorf("%q", to.content)
		}
	})
}

// With Options.Poll, whoever polls a file waits for the module.
func TestPollOfAKernel(t *testing.T) {
	m := mountBoard(t, Options{Poll: true})
	f := m.set("file", "")
	fd := m.open("file", unix.O_RDONLY)
	poll := func(timeout int) (int16, error) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		_, err := unix.Poll(fds, timeout)
		return fds[0].Revents, err
	}
	if got, err := poll(0); got != 0 || err != nil {
		t.Errorf("at first: %#x, %v", got, err)
	}
	type result struct {
		events int16
		err    error
	}
	waited := make(chan result, 1)
	go func() {
		events, err := poll(10_000)
		for err == unix.EINTR {
			events, err = poll(10_000)
		}
		waited <- result{events, err}
	}()
	m.waitFor("nobody waits", func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return f.key != 0
	})
	select {
	case got := <-waited:
		t.Fatalf("%+v before the file is ready", got)
	case <-time.After(20 * time.Millisecond):
	}
	var key uint64
	m.with(func() { f.ready, key = true, f.key })
	m.start(fsdev.Notification{Type: fsdev.NotifyPoll, Key: key})
	if got := <-waited; got.events != unix.POLLIN || got.err != nil {
		t.Errorf("%+v", got)
	}
}

// Without, every file is ready, and package os works.
func TestNoPollByDefault(t *testing.T) {
	m := mountBoard(t, Options{})
	m.set("file", "")
	f, err := os.Open(filepath.Join(m.dir, "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fds := []unix.PollFd{{Fd: int32(f.Fd()), Events: unix.POLLIN}}
	if n, err := unix.Poll(fds, 0); n != 1 || err != nil || fds[0].Revents != unix.POLLIN {
		t.Errorf("%d, %v, %#x", n, err, fds[0].Revents)
	}
}

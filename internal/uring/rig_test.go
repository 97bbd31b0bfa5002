package uring_test

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/internal/uring"
)

// flavours are the kinds of rings that everything must work on.
var flavours = []struct {
	name  string
	flags uint32
}{
	{"default", 0},
	{"coop", uring.IORING_SETUP_COOP_TASKRUN},
	{"single", uring.IORING_SETUP_SINGLE_ISSUER},
	{"defer", uring.IORING_SETUP_SINGLE_ISSUER | uring.IORING_SETUP_DEFER_TASKRUN},
	{"reactor", uring.ReactorFlags},
	{"big", uring.IORING_SETUP_SQE128 | uring.IORING_SETUP_CQE32},
	{"bigdefer", uring.IORING_SETUP_SQE128 | uring.IORING_SETUP_CQE32 | uring.ReactorFlags},
	{"sqpoll", uring.IORING_SETUP_SQPOLL},
	{"nosqarray", uring.IORING_SETUP_NO_SQARRAY},
}

// onEvery runs a test on every flavour of rings, each on a thread of its own.
func onEvery(t *testing.T, test func(t *testing.T, r *uring.Ring)) {
	for _, f := range flavours {
		t.Run(f.name, func(t *testing.T) { test(t, open(t, f.flags, 16)) })
	}
}

// open makes a ring for the test's thread, closed at its end.
func open(t testing.TB, flags, entries uint32) *uring.Ring {
	t.Helper()
	return openWith(t, uring.Options{Entries: entries, Wanted: flags &^ uring.IORING_SETUP_SQPOLL,
		Flags: flags & uring.IORING_SETUP_SQPOLL, SQThreadIdle: 10 * time.Millisecond})
}

func openWith(t testing.TB, o uring.Options) *uring.Ring {
	t.Helper()
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	r, err := uring.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if r.Fd() < 0 {
			return
		}
		if n := r.Lost(); n != 0 {
			t.Errorf("%d completions were lost", n)
		}
		if n := r.Invalid(); n != 0 {
			t.Errorf("%d entries were invalid", n)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	skipWithout(t, r, flagReason(o.Wanted&^uring.IORING_SETUP_TASKRUN_FLAG))
	return r
}

// sqe returns an entry, of which there must be one.
func sqe(t testing.TB, r *uring.Ring) *uring.SQE {
	t.Helper()
	s := r.GetSQE()
	if s == nil {
		t.Fatal("no room for an entry")
	}
	return s
}

const patience = 20 * time.Second

// next waits for one completion and takes it.
func next(t testing.TB, r *uring.Ring) uring.CQE {
	t.Helper()
	end := time.Now().Add(patience)
	for {
		if n, errno := r.Poll(); errno != 0 {
			t.Fatalf("Poll: %v", errno)
		} else if n > 0 {
			c := *r.CQE(0)
			r.Advance(1)
			return c
		}
		if time.Now().After(end) {
			t.Fatal("no completion")
		}
		if _, errno := r.Wait(1, patience); errno != 0 {
			t.Fatalf("Wait: %v", errno)
		}
	}
}

// do submits what prep prepares, waits for it and returns its result.
func do(t testing.TB, r *uring.Ring, prep func(s *uring.SQE)) int32 {
	t.Helper()
	s := sqe(t, r)
	prep(s)
	s.UserData = 4711
	c := next(t, r)
	if c.UserData != 4711 {
		t.Fatalf("user data %d of %s", c.UserData, uring.OpName(s.Opcode))
	}
	return c.Res
}

// want is do that expects a result.
func want(t testing.TB, r *uring.Ring, res int32, prep func(s *uring.SQE)) {
	t.Helper()
	if got := do(t, r, prep); got != res {
		t.Fatalf("result %d (%v), want %d", got, syscall.Errno(-min(got, 0)), res)
	}
}

// none checks that nothing else comes.
func none(t testing.TB, r *uring.Ring) {
	t.Helper()
	if n, errno := r.Poll(); n != 0 || errno != 0 {
		t.Fatalf("%d more completions (%v), the first %+v", n, errno, *r.CQE(0))
	}
}

// tempFile makes an open file with the given content.
func tempFile(t testing.TB, content string) (fd int, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd, path
}

// pipe makes a pipe with flags.
func pipe(t testing.TB, flags int) (r, w int) {
	t.Helper()
	var p [2]int
	if err := unix.Pipe2(p[:], flags|unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(p[0]); _ = unix.Close(p[1]) })
	return p[0], p[1]
}

func name(s string) []byte { return uring.AppendName(nil, s) }

func content(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

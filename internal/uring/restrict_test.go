package uring_test

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/internal/uring"
)

// TestRestrict wants a restricted ring, of every kind, to take what it may and nothing else.
func TestRestrict(t *testing.T) {
	for _, f := range flavours {
		t.Run(f.name, func(t *testing.T) {
			o := uring.Options{Entries: 16, Flags: uring.IORING_SETUP_R_DISABLED, Wanted: f.flags}
			if f.flags&uring.IORING_SETUP_SQPOLL != 0 {
				o.Flags, o.Wanted = o.Flags|uring.IORING_SETUP_SQPOLL, 0
			}
			r := openWith(t, o)
			fd, path := tempFile(t, "hello")
			wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { unix.Close(wake) })
			if err := r.RegisterEventfd(wake, false); err != nil {
				t.Fatal(err)
			}
			if err := r.Restrict([]uint8{uring.IORING_OP_READ, uring.IORING_OP_FSYNC}, 0,
				uring.IORING_UNREGISTER_EVENTFD); err != nil {
				t.Fatal(err)
			}
			if err := r.Restrict(nil, 0); err == nil {
				t.Error("restricted twice")
			}
			if err := r.Enable(); err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 8)
			name := append([]byte(path), 0)
			denied := -int32(unix.EACCES)
			want(t, r, 5, func(s *uring.SQE) { s.PrepRead(fd, buf, 0) })
			want(t, r, 0, func(s *uring.SQE) { s.PrepFsync(fd, 0) })
			want(t, r, denied, func(s *uring.SQE) { s.PrepWrite(fd, buf, 0) })
			want(t, r, denied, func(s *uring.SQE) { s.PrepNop() })
			how := unix.OpenHow{Flags: unix.O_RDONLY}
			want(t, r, denied, func(s *uring.SQE) { s.PrepOpenat2(unix.AT_FDCWD, name, &how) })
			want(t, r, denied, func(s *uring.SQE) {
				s.PrepRead(fd, buf, 0)
				s.Flags = uring.IOSQE_ASYNC
			})
			want(t, r, 5, func(s *uring.SQE) { s.PrepRead(fd, buf, 0) })
			if err := r.RegisterFiles([]int32{int32(fd)}); !errors.Is(err, unix.EACCES) {
				t.Errorf("registering files: %v", err)
			}
			if err := r.UnregisterEventfd(); err != nil {
				t.Error(err)
			}
			if got, err := os.ReadFile(path); err != nil || string(got) != "hello" {
				t.Errorf("the file has %q, %v", got, err)
			}
		})
	}
}

// TestRestrictedQueue moves data through a queue whose ring takes no more than what a queue needs.
func TestRestrictedQueue(t *testing.T) {
	r := openWith(t, uring.Options{Entries: 16, Flags: uring.IORING_SETUP_R_DISABLED})
	if err := r.RestrictToQueue(uring.IORING_OP_FSYNC); err != nil {
		t.Fatal(err)
	}
	if err := r.Enable(); err != nil {
		t.Fatal(err)
	}
	q := uring.NewQueue(r, uring.QueueOptions{IOVs: 4})
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	fd, _ := tempFile(t, "hello")
	var results []uring.Result
	done := func(_ any, res uring.Result) { results = append(results, res) }
	start := func(prep func(op *uring.Op)) uring.Handle {
		op := q.Get(done, nil)
		prep(op)
		return q.Start(op)
	}
	until := func(n int) {
		t.Helper()
		for i := 0; len(results) < n; i++ {
			q.Poll()
			if i > 1e8 {
				t.Fatalf("%d results", len(results))
			}
		}
	}
	a, b := make([]byte, 2), make([]byte, 3)
	start(func(op *uring.Op) { op.Read(fd, [][]byte{a, b}, 0) })
	until(1)
	start(func(op *uring.Op) { op.Write(fd, [][]byte{b, a}, 5) })
	until(2)
	start(func(op *uring.Op) { op.SQE.PrepFsync(fd, 0) })
	until(3)
	start(func(op *uring.Op) { op.ReadBuf(p[0], a, uring.CurrentPosition) }) // waits for the pipe to be ready
	q.Poll()
	if _, err := unix.Write(p[1], []byte("xy")); err != nil {
		t.Fatal(err)
	}
	until(4)
	h := start(func(op *uring.Op) { op.ReadBuf(p[0], a, uring.CurrentPosition) })
	q.Poll()
	if errno := q.Cancel(h); errno != 0 {
		t.Error(errno)
	}
	until(5)
	start(func(op *uring.Op) { op.SQE.PrepNop() })
	until(6)
	for i, want := range []uring.Result{{N: 5}, {N: 5}, {}, {N: 2}, {Errno: unix.ECANCELED}, {Errno: unix.EACCES}} {
		if results[i].N != want.N || results[i].Errno != want.Errno {
			t.Errorf("result %d is %+v, want %+v", i, results[i], want)
		}
	}
	unix.Close(p[0])
	unix.Close(p[1])
	if err := q.Close(0); err != nil {
		t.Error(err)
	}
}

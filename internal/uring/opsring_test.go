package uring_test

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/internal/uring"
)

// results returns n results by user data: what operates on operations completes together with them, in either order.
func results(t *testing.T, r *uring.Ring, n int) map[uint64]int32 {
	t.Helper()
	m := map[uint64]int32{}
	for range n {
		c := next(t, r)
		m[c.UserData] = c.Res
	}
	if len(m) != n {
		t.Fatalf("%d different completions of %d: %v", len(m), n, m)
	}
	return m
}

func expect(t *testing.T, got, want map[uint64]int32) {
	t.Helper()
	for k, v := range want {
		if got[k] != v {
			t.Errorf("operation %d: %d, want %d", k, got[k], v)
		}
	}
}

// hang starts a read that has nothing to read.
func hang(t *testing.T, r *uring.Ring, fd int, id uint64) *uring.SQE {
	t.Helper()
	s := sqe(t, r)
	s.PrepRead(fd, make([]byte, 8), uring.CurrentPosition)
	s.UserData = id
	return s
}

func testCancel(t *testing.T, r *uring.Ring) {
	pr, _ := pipe(t, 0)
	pr2, _ := pipe(t, 0)
	cancelled := -int32(unix.ECANCELED)

	// by user data
	hang(t, r, pr, 1)
	s := sqe(t, r)
	s.PrepCancel(1, 0)
	s.UserData = 2
	expect(t, results(t, r, 2), map[uint64]int32{1: cancelled, 2: 0})
	want(t, r, -int32(unix.ENOENT), func(s *uring.SQE) { s.PrepCancel(1, 0) })

	// by descriptor
	hang(t, r, pr, 1)
	hang(t, r, pr, 2)
	hang(t, r, pr2, 3)
	s = sqe(t, r)
	s.PrepCancelFd(pr, uring.IORING_ASYNC_CANCEL_ALL)
	s.UserData = 4
	expect(t, results(t, r, 3), map[uint64]int32{1: cancelled, 2: cancelled, 4: 2})

	// everything
	hang(t, r, pr, 1)
	s = sqe(t, r)
	s.PrepCancel(0, uring.IORING_ASYNC_CANCEL_ANY|uring.IORING_ASYNC_CANCEL_ALL)
	s.UserData = 4
	expect(t, results(t, r, 3), map[uint64]int32{1: cancelled, 3: cancelled, 4: 2})

	// and from outside of the queue
	hang(t, r, pr, 1)
	if _, errno := r.Submit(); errno != 0 {
		t.Fatal(errno)
	}
	for r.Pending() != 0 { // SQPOLL takes its time
		if r.Flags()&uring.IORING_SETUP_SQPOLL == 0 {
			t.Fatal("not taken")
		}
	}
	forever := uring.Timespec{TvSec: -1, TvNsec: -1}
	errno := r.SyncCancel(&uring.SyncCancelReg{Addr: 1, Timeout: forever})
	for errno == unix.ENOENT && r.Flags()&uring.IORING_SETUP_SQPOLL != 0 {
		errno = r.SyncCancel(&uring.SyncCancelReg{Addr: 1, Timeout: forever})
	}
	if errno != 0 {
		t.Fatal(errno)
	}
	expect(t, results(t, r, 1), map[uint64]int32{1: cancelled})
}

func testTimeout(t *testing.T, r *uring.Ring) {
	ts := &uring.Timespec{TvNsec: int64(2 * time.Millisecond)}
	start := time.Now()
	want(t, r, -int32(unix.ETIME), func(s *uring.SQE) { s.PrepTimeout(ts, 0, 0) })
	if d := time.Since(start); d < 2*time.Millisecond {
		t.Errorf("after %v", d)
	}
	want(t, r, -int32(unix.ETIME), func(s *uring.SQE) { s.PrepTimeout(ts, 0, uring.IORING_TIMEOUT_ETIME_SUCCESS) })

	// after others
	s := sqe(t, r)
	s.PrepTimeout(&uring.Timespec{TvSec: 100}, 1, 0)
	s.UserData = 1
	s = sqe(t, r)
	s.PrepNop()
	s.UserData = 2
	expect(t, results(t, r, 2), map[uint64]int32{1: 0, 2: 0})
}

func testTimeoutRemove(t *testing.T, r *uring.Ring) {
	s := sqe(t, r)
	s.PrepTimeout(&uring.Timespec{TvSec: 100}, 0, 0)
	s.UserData = 1
	s = sqe(t, r)
	s.PrepTimeoutRemove(1)
	s.UserData = 2
	expect(t, results(t, r, 2), map[uint64]int32{1: -int32(unix.ECANCELED), 2: 0})
}

func testLinkTimeout(t *testing.T, r *uring.Ring) {
	pr, pw := pipe(t, 0)
	// The read loses,
	bounded(t, r, pr, &uring.Timespec{TvNsec: int64(time.Millisecond)})
	expect(t, results(t, r, 2), map[uint64]int32{1: -int32(unix.ECANCELED), 2: -int32(unix.ETIME)})
	// and the read wins.
	if _, err := unix.Write(pw, []byte("x")); err != nil {
		t.Fatal(err)
	}
	bounded(t, r, pr, &uring.Timespec{TvSec: 100})
	expect(t, results(t, r, 2), map[uint64]int32{1: 1, 2: -int32(unix.ECANCELED)})

	// Chains: what is behind a failure is cancelled, unless the link is hard.
	for flag, third := range map[uint8]int32{uring.IOSQE_IO_LINK: -int32(unix.ECANCELED), uring.IOSQE_IO_HARDLINK: 0} {
		for i := range uint64(3) {
			s := sqe(t, r)
			s.PrepNop()
			if i == 1 {
				s.PrepFsync(-1, 0)
			}
			if i < 2 {
				s.Flags |= flag
			}
			s.UserData = i
		}
		expect(t, results(t, r, 3), map[uint64]int32{0: 0, 1: -int32(unix.EBADF), 2: third})
	}
}

// bounded reads from fd, for no longer than ts.
func bounded(t *testing.T, r *uring.Ring, fd int, ts *uring.Timespec) {
	t.Helper()
	hang(t, r, fd, 1).Flags |= uring.IOSQE_IO_LINK
	s := sqe(t, r)
	s.PrepLinkTimeout(ts, 0)
	s.UserData = 2
}

func testPoll(t *testing.T, r *uring.Ring) {
	pr, pw := pipe(t, 0)
	s := sqe(t, r)
	s.PrepPollAdd(pr, unix.POLLIN, 0)
	s.UserData = 1
	if _, errno := r.Submit(); errno != 0 {
		t.Fatal(errno)
	}
	none(t, r)
	if _, err := unix.Write(pw, []byte("x")); err != nil {
		t.Fatal(err)
	}
	expect(t, results(t, r, 1), map[uint64]int32{1: unix.POLLIN})
	want(t, r, unix.POLLOUT, func(s *uring.SQE) { s.PrepPollAdd(pw, unix.POLLOUT, 0) })
}

func testPollRemove(t *testing.T, r *uring.Ring) {
	pr, pw := pipe(t, 0)
	s := sqe(t, r)
	s.PrepPollAdd(pr, unix.POLLIN, uring.IORING_POLL_ADD_MULTI)
	s.UserData = 1
	if _, errno := r.Submit(); errno != 0 {
		t.Fatal(errno)
	}
	for range 3 {
		if _, err := unix.Write(pw, []byte("x")); err != nil {
			t.Fatal(err)
		}
		c := next(t, r)
		if c.UserData != 1 || c.Res != unix.POLLIN || c.Flags&uring.IORING_CQE_F_MORE == 0 {
			t.Fatalf("%+v", c)
		}
	}
	s = sqe(t, r)
	s.PrepPollRemove(1)
	s.UserData = 2
	expect(t, results(t, r, 2), map[uint64]int32{1: -int32(unix.ECANCELED), 2: 0})
}

func testMsgRing(t *testing.T, r *uring.Ring) {
	other := open(t, 0, 4)
	want(t, r, 0, func(s *uring.SQE) { s.PrepMsgRing(other.Fd(), 77, 1<<40, 0) })
	if c := next(t, other); c.Res != 77 || c.UserData != 1<<40 {
		t.Errorf("%+v", c)
	}
	want(t, r, -int32(unix.EBADFD), func(s *uring.SQE) { s.PrepMsgRing(0, 0, 0, 0); s.Fd = int32(devNull(t)) })

	// a registered file
	fd, _ := tempFile(t, "hello")
	if err := r.RegisterFiles([]int32{-1, int32(fd)}); err != nil {
		t.Fatal(err)
	}
	if err := other.RegisterFilesSparse(3); err != nil {
		t.Fatal(err)
	}
	want(t, r, 0, func(s *uring.SQE) { s.PrepMsgRingFd(other.Fd(), 1, 2, 5, 0) })
	if c := next(t, other); c.Res != 0 || c.UserData != 5 {
		t.Errorf("%+v", c)
	}
	want(t, other, 5, func(s *uring.SQE) { s.PrepRead(2, make([]byte, 9), 0); s.Flags |= uring.IOSQE_FIXED_FILE })
}

func devNull(t testing.TB) int {
	t.Helper()
	fd, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd
}

func testFilesUpdate(t *testing.T, r *uring.Ring) {
	if err := r.RegisterFilesSparse(4); err != nil {
		t.Fatal(err)
	}
	fd, _ := tempFile(t, "hello")
	want(t, r, 2, func(s *uring.SQE) { s.PrepFilesUpdate(1, []int32{int32(fd), int32(fd)}) })
	buf := make([]byte, 9)
	fixed := func(i int) func(s *uring.SQE) {
		return func(s *uring.SQE) { s.PrepRead(i, buf, 0); s.Flags |= uring.IOSQE_FIXED_FILE }
	}
	want(t, r, 5, fixed(2))
	want(t, r, 1, func(s *uring.SQE) { s.PrepFilesUpdate(2, []int32{-1}) })
	want(t, r, -int32(unix.EBADF), fixed(2))
	fds := []int32{int32(fd)}
	want(t, r, 1, func(s *uring.SQE) { s.PrepFilesUpdate(uring.IORING_FILE_INDEX_ALLOC, fds) })
	if fds[0] < 0 || fds[0] == 1 || fds[0] > 3 {
		t.Fatalf("the kernel chose entry %d", fds[0])
	}
	want(t, r, 5, fixed(int(fds[0])))
}

func testUringCmd(t *testing.T, r *uring.Ring) {
	fd := devNull(t)
	res := do(t, r, func(s *uring.SQE) {
		s.PrepUringCmd(fd, 0x1234, 0)
		s.Cmd()[15] = 1
	})
	if res == -int32(unix.EOPNOTSUPP) {
		skip(t, noDriver)
	}
	if res != 0 {
		t.Fatal(unix.Errno(-res))
	}
	if r.Flags()&uring.IORING_SETUP_SQE128 != 0 {
		s := r.GetSQE128()
		if n := len(s.Cmd()); n != 80 {
			t.Fatalf("%d bytes", n)
		}
		s.PrepUringCmd(fd, 1, 0)
		for i := range s.Cmd() {
			s.Cmd()[i] = 0xff
		}
		s.UserData = 9
		expect(t, results(t, r, 1), map[uint64]int32{9: 0})
	}
}

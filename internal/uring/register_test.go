package uring_test

import (
	"errors"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/internal/uring"
)

func TestRegisterFiles(t *testing.T) {
	onEvery(t, func(t *testing.T, r *uring.Ring) {
		a, _ := tempFile(t, "a")
		b, _ := tempFile(t, "bb")
		buf := make([]byte, 9)
		fixed := func(i int) func(s *uring.SQE) {
			return func(s *uring.SQE) { s.PrepRead(i, buf, 0); s.Flags |= uring.IOSQE_FIXED_FILE }
		}
		if err := r.RegisterFiles([]int32{int32(a), -1, int32(b)}); err != nil {
			t.Fatal(err)
		}
		if err := r.RegisterFiles([]int32{int32(a)}); !errors.Is(err, unix.EBUSY) {
			t.Errorf("twice: %v", err)
		}
		want(t, r, 1, fixed(0))
		want(t, r, -int32(unix.EBADF), fixed(1))
		want(t, r, 2, fixed(2))
		if n, err := r.UpdateFiles(0, []int32{uring.IORING_REGISTER_FILES_SKIP, int32(b), -1}); n != 3 || err != nil {
			t.Fatal(n, err)
		}
		want(t, r, 1, fixed(0))
		want(t, r, 2, fixed(1))
		want(t, r, -int32(unix.EBADF), fixed(2))
		if _, err := r.UpdateFiles(3, []int32{-1}); !errors.Is(err, unix.EINVAL) {
			t.Errorf("beyond the end: %v", err)
		}
		if err := r.RegisterFileAllocRange(1, 1); err != nil {
			t.Fatal(err)
		}
		fds := []int32{int32(a)}
		want(t, r, -int32(unix.ENFILE), func(s *uring.SQE) { s.PrepFilesUpdate(uring.IORING_FILE_INDEX_ALLOC, fds) })
		if err := r.UnregisterFiles(); err != nil {
			t.Fatal(err)
		}
		if err := r.UnregisterFiles(); !errors.Is(err, unix.ENXIO) {
			t.Errorf("twice: %v", err)
		}
	})
}

func TestRegisterBuffers(t *testing.T) {
	onEvery(t, func(t *testing.T, r *uring.Ring) {
		fd, _ := tempFile(t, "hello")
		mem := [][]byte{make([]byte, 4096), nil, make([]byte, 8192)}
		fixed := func(b []byte, i uint16) func(s *uring.SQE) {
			return func(s *uring.SQE) { s.PrepReadFixed(fd, b[:9], 0, i) }
		}
		if err := r.RegisterBuffersTagged(mem, []uint64{0, 0, 99}); err != nil {
			t.Fatal(err)
		}
		want(t, r, 5, fixed(mem[0], 0))
		want(t, r, 5, fixed(mem[2], 2))
		want(t, r, -int32(unix.EFAULT), fixed(mem[0], 2))
		fresh := make([]byte, 4096)
		if n, err := r.UpdateBuffers(1, [][]byte{fresh, nil}, nil); n != 2 || err != nil {
			t.Fatal(n, err)
		}
		if c := next(t, r); c.UserData != 99 {
			t.Errorf("%+v instead of the tag", c)
		}
		want(t, r, 5, fixed(fresh, 1))
		want(t, r, -int32(unix.EFAULT), fixed(mem[2], 2))
		if _, err := r.UpdateBuffers(3, [][]byte{fresh}, nil); !errors.Is(err, unix.EINVAL) {
			t.Errorf("beyond the end: %v", err)
		}
		if err := r.UnregisterBuffers(); err != nil {
			t.Fatal(err)
		}
		if err := r.RegisterBuffersSparse(4); err != nil {
			t.Fatal(err)
		}
		if n, err := r.UpdateBuffers(3, [][]byte{fresh}, []uint64{0}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		want(t, r, 5, fixed(fresh, 3))
	})
}

// TestBufRing reads with buffers that the kernel takes when there is data.
func TestBufRing(t *testing.T) {
	onEvery(t, func(t *testing.T, r *uring.Ring) {
		if _, err := r.RegisterBufRing(1, 3); !errors.Is(err, unix.EINVAL) {
			t.Errorf("3 entries: %v", err)
		}
		b, err := r.RegisterBufRing(7, 4)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.RegisterBufRing(7, 4); !errors.Is(err, unix.EEXIST) {
			t.Errorf("twice: %v", err)
		}
		pr, pw := pipe(t, 0)
		read := func() uring.CQE {
			s := sqe(t, r)
			s.PrepReadSelect(pr, 100, uring.CurrentPosition, b.Group())
			if _, errno := r.Submit(); errno != 0 {
				t.Fatal(errno)
			}
			return next(t, r)
		}
		if _, err := unix.Write(pw, []byte("hello")); err != nil {
			t.Fatal(err)
		}
		if c := read(); c.Res != -int32(unix.ENOBUFS) {
			t.Errorf("without a buffer: %+v", c)
		}
		for id := range uint16(4) {
			b.Add(id, make([]byte, 1+id))
		}
		b.Publish()
		// round and round
		seen := map[uint16]int{}
		for range 3 {
			if _, err := unix.Write(pw, []byte("0123456789")); err != nil {
				t.Fatal(err)
			}
		}
		for range 10 {
			c := read()
			id, ok := c.Buffer()
			if !ok || int(c.Res) != len(b.Buf(id)) || c.Res != int32(id)+1 {
				t.Fatalf("%+v", c)
			}
			seen[id]++
			b.Add(id, b.Buf(id))
			b.Publish()
		}
		if len(seen) != 4 {
			t.Errorf("buffers %v", seen)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		if c := read(); c.Res != -int32(unix.ENOBUFS) {
			t.Errorf("without a group: %+v", c)
		}
	})
}

// TestPersonality acts as someone else.
func TestPersonality(t *testing.T) {
	if unix.Geteuid() != 0 {
		skip(t, notRoot)
	}
	onEvery(t, func(t *testing.T, r *uring.Ring) {
		_, path := tempFile(t, "x") // mode 0600
		root, err := r.RegisterPersonality()
		if err != nil {
			t.Fatal(err)
		}
		if _, _, errno := unix.RawSyscall(unix.SYS_SETFSUID, 12345, 0, 0); errno != 0 {
			t.Fatal(errno)
		}
		other, err := r.RegisterPersonality()
		if _, _, errno := unix.RawSyscall(unix.SYS_SETFSUID, 0, 0, 0); errno != 0 {
			t.Fatal(errno)
		}
		if err != nil {
			t.Fatal(err)
		}
		how := &unix.OpenHow{Flags: unix.O_RDONLY | unix.O_CLOEXEC}
		as := func(id uint16) int32 {
			fd := do(t, r, func(s *uring.SQE) {
				s.PrepOpenat2(unix.AT_FDCWD, name(path), how)
				s.Personality = id
			})
			if fd >= 0 {
				_ = unix.Close(int(fd))
			}
			return fd
		}
		if fd := as(root); fd < 0 {
			t.Errorf("root: %v", unix.Errno(-fd))
		}
		if fd := as(other); fd != -int32(unix.EACCES) {
			t.Errorf("someone else: %d", fd)
		}
		for _, id := range []uint16{root, other} {
			if err := r.UnregisterPersonality(id); err != nil {
				t.Error(err)
			}
			if fd := as(id); fd != -int32(unix.EINVAL) {
				t.Errorf("no one: %d", fd)
			}
		}
	})
}

func TestWorkers(t *testing.T) {
	onEvery(t, func(t *testing.T, r *uring.Ring) {
		if _, _, err := r.SetMaxWorkers(3, 5); err != nil {
			t.Fatal(err)
		}
		if b, u, err := r.SetMaxWorkers(0, 0); b != 3 || u != 5 || err != nil {
			t.Errorf("%d, %d, %v", b, u, err)
		}
		var cpus unix.CPUSet
		if err := unix.SchedGetaffinity(0, &cpus); err != nil {
			t.Fatal(err)
		}
		if err := r.SetWorkerAffinity(&cpus); err != nil {
			t.Fatal(err)
		}
		fd, _ := tempFile(t, "hello")
		want(t, r, 5, func(s *uring.SQE) { s.PrepRead(fd, make([]byte, 9), 0); s.Flags |= uring.IOSQE_ASYNC })
		if err := r.UnsetWorkerAffinity(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestPrepMakesMemoryEscape pins that what the kernel is given is not on a stack, which may move.
func TestPrepMakesMemoryEscape(t *testing.T) {
	var s uring.SQE
	for name, f := range map[string]func(){
		"buffer":   func() { var b [64]byte; s.PrepRead(0, b[:], 0) },
		"iovec":    func() { var v [2]unix.Iovec; s.PrepReadv(0, v[:], 0, 0) },
		"name":     func() { var b [64]byte; s.PrepMkdirat(0, b[:], 0) },
		"stat":     func() { var st unix.Statx_t; n := [1]byte{}; s.PrepStatx(0, n[:], 0, 0, &st) },
		"how":      func() { var how unix.OpenHow; n := [1]byte{}; s.PrepOpenat2(0, n[:], &how) },
		"timespec": func() { var ts uring.Timespec; s.PrepTimeout(&ts, 0, 0) },
		"fds":      func() { var fds [3]int32; s.PrepFilesUpdate(0, fds[:]) },
	} {
		if n := testing.AllocsPerRun(100, f); n == 0 {
			t.Errorf("%s: on the stack", name)
		}
	}
	runtime.KeepAlive(&s)
}

func TestNamesEndWithNUL(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a name without a NUL was taken")
		}
	}()
	new(uring.SQE).PrepMkdirat(0, []byte("name"), 0)
}

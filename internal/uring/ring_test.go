package uring_test

import (
	"errors"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/internal/uring"
)

// TestSQFull fills the submission queue, and uses it round and round.
func TestSQFull(t *testing.T) {
	onEvery(t, func(t *testing.T, r *uring.Ring) {
		id := uint64(0)
		for range 5 {
			for range r.SQEntries() {
				s := sqe(t, r)
				s.PrepNop()
				s.UserData = id
				id++
			}
			if s := r.GetSQE(); s != nil || r.Room() != 0 {
				t.Fatalf("an entry more than there are, room for %d", r.Room())
			}
			if n, errno := r.Submit(); errno != 0 || n != r.SQEntries() {
				t.Fatalf("%d submitted, %v", n, errno)
			}
			for i := id - uint64(r.SQEntries()); i < id; i++ {
				if c := next(t, r); c.UserData != i || c.Res != 0 {
					t.Fatalf("%+v, want %d", c, i)
				}
			}
			if r.Room() != r.SQEntries() || r.Pending() != 0 {
				t.Fatalf("room for %d of %d, %d pending", r.Room(), r.SQEntries(), r.Pending())
			}
		}
		if s := r.Stats(); s.Submitted != id || s.Completed != id {
			t.Errorf("%+v after %d operations", s, id)
		}
	})
}

// TestWaitRoom waits for the kernel's thread to take entries.
func TestWaitRoom(t *testing.T) {
	r := open(t, uring.IORING_SETUP_SQPOLL, 4)
	for i := range 100 {
		s := r.GetSQE()
		for s == nil {
			if errno := r.WaitRoom(); errno != 0 {
				t.Fatal(errno)
			}
			s = r.GetSQE()
		}
		s.PrepNop()
		s.UserData = uint64(i)
		if _, errno := r.Submit(); errno != 0 {
			t.Fatal(errno)
		}
		r.Advance(r.Ready())
	}
	for r.Stats().Completed != 100 {
		if _, errno := r.Wait(1, patience); errno != 0 {
			t.Fatal(errno)
		}
		r.Advance(r.Ready())
	}
}

// TestCQOverflow has more completions than the queue holds: all come, and the overflow is counted.
func TestCQOverflow(t *testing.T) {
	for _, f := range flavours {
		t.Run(f.name, func(t *testing.T) {
			r := openWith(t, uring.Options{Entries: 8, CQEntries: 8, Wanted: f.flags &^ uring.IORING_SETUP_SQPOLL,
				Flags: f.flags & uring.IORING_SETUP_SQPOLL})
			const total = 100
			for i := range uint64(total) {
				s := r.GetSQE()
				for s == nil {
					if _, errno := r.Submit(); errno != 0 && errno != unix.EBUSY {
						t.Fatal(errno)
					}
					s = r.GetSQE()
				}
				s.PrepNop()
				s.UserData = i
			}
			seen := map[uint64]bool{}
			for len(seen) < total {
				seen[next(t, r).UserData] = true
			}
			none(t, r)
			if s := r.Stats(); s.Overflows == 0 || s.Completed != total || r.Lost() != 0 {
				t.Errorf("%+v, %d lost", s, r.Lost())
			}
		})
	}
}

// TestBatch reads many completions before it gives them back.
func TestBatch(t *testing.T) {
	onEvery(t, func(t *testing.T, r *uring.Ring) {
		for round := range 7 {
			for i := range 5 {
				s := sqe(t, r)
				s.PrepNop()
				s.UserData = uint64(round*5 + i)
			}
			if _, errno := r.Wait(5, patience); errno != 0 {
				t.Fatal(errno)
			}
			for r.Ready() < 5 {
				if _, errno := r.Wait(5, patience); errno != 0 {
					t.Fatal(errno)
				}
			}
			for i := range 5 {
				if c := r.CQE(i); c.UserData != uint64(round*5+i) {
					t.Fatalf("%d is %+v in round %d", i, *c, round)
				}
				if r.Flags()&uring.IORING_SETUP_CQE32 != 0 && r.BigCQE(i) != [2]uint64{} {
					t.Errorf("the second half is %v", r.BigCQE(i))
				}
			}
			r.Advance(5)
		}
	})
}

// TestBigCQE has the kernel say something in the second half of a completion.
func TestBigCQE(t *testing.T) {
	r := open(t, uring.IORING_SETUP_SQE128|uring.IORING_SETUP_CQE32, 4)
	s := sqe(t, r)
	s.PrepNop()
	s.OpFlags = uring.IORING_NOP_CQE32
	s.Off, s.Addr = 11, 22 // the kernel returns them there; Linux 6.18
	if _, errno := r.Wait(1, patience); errno != 0 {
		t.Fatal(errno)
	}
	if r.CQE(0).Res == -int32(unix.EINVAL) {
		skip(t, noBigNop)
	}
	if got := r.BigCQE(0); got != [2]uint64{11, 22} {
		t.Errorf("%v", got)
	}
	r.Advance(1)
	defer func() {
		if recover() == nil {
			t.Error("BigCQE of a small ring")
		}
	}()
	open(t, 0, 4).BigCQE(0)
}

func TestWaitTimesOut(t *testing.T) {
	onEvery(t, func(t *testing.T, r *uring.Ring) {
		start := time.Now()
		if n, errno := r.Wait(1, 3*time.Millisecond); n != 0 || errno != unix.ETIME {
			t.Fatalf("%d, %v", n, errno)
		}
		if d := time.Since(start); d < 3*time.Millisecond {
			t.Errorf("after %v", d)
		}
		if n, errno := r.Wait(1, 0); n != 0 || errno != 0 {
			t.Fatalf("%d, %v", n, errno)
		}
		want(t, r, 0, func(s *uring.SQE) { s.PrepNop() })
	})
}

// TestNothingToDoIsNoCall pins that a poll of an idle ring costs no system call.
func TestNothingToDoIsNoCall(t *testing.T) {
	onEvery(t, func(t *testing.T, r *uring.Ring) {
		want(t, r, 0, func(s *uring.SQE) { s.PrepNop() })
		before := r.Stats().Enters
		for range 100 {
			_, _ = r.Submit()
			_, _ = r.Poll()
		}
		if n := r.Stats().Enters - before; n != 0 {
			t.Errorf("%d system calls", n)
		}
	})
}

// TestInvalidEntryDoesNotStopOthers pins IORING_SETUP_SUBMIT_ALL.
func TestInvalidEntryDoesNotStopOthers(t *testing.T) {
	onEvery(t, func(t *testing.T, r *uring.Ring) {
		for i := range uint64(3) {
			s := sqe(t, r)
			s.PrepNop()
			if i == 1 {
				s.Opcode = 250
			}
			s.UserData = i
		}
		expect(t, results(t, r, 3), map[uint64]int32{0: 0, 1: -int32(unix.EINVAL), 2: 0})
	})
}

// onThread runs f on a thread of its own.
func onThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // the thread ends with the goroutine
		if unix.Gettid() == unix.Getpid() {
			onThread(f) // the first thread does not
			runtime.UnlockOSThread()
			return
		}
		f()
	}()
	<-done
}

// TestThreadIdentity pins to whom a ring of a single issuer belongs.
func TestThreadIdentity(t *testing.T) {
	o := uring.Options{Entries: 4,
		Flags: uring.IORING_SETUP_SINGLE_ISSUER | uring.IORING_SETUP_DEFER_TASKRUN | uring.IORING_SETUP_R_DISABLED}
	r := openWith(t, o)
	s := sqe(t, r)
	s.PrepNop()
	if _, errno := r.Submit(); errno != unix.EBADFD {
		t.Errorf("before it is enabled: %v", errno)
	}
	if err := r.Enable(); err != nil {
		t.Fatal(err)
	}
	if c := next(t, r); c.Res != 0 {
		t.Errorf("%+v", c)
	}
	s = sqe(t, r)
	s.PrepNop()
	onThread(func() {
		if _, errno := r.Submit(); errno != unix.EEXIST {
			t.Errorf("another thread: %v", errno)
		}
		_, err := r.RegisterPersonality()
		if !errors.Is(err, unix.EEXIST) || !strings.Contains(err.Error(), "lock the goroutine") {
			t.Errorf("another thread: %v", err)
		}
	})
	if c := next(t, r); c.Res != 0 {
		t.Errorf("%+v", c)
	}
	if err := r.Enable(); !errors.Is(err, unix.EBADFD) {
		t.Errorf("enabled twice: %v", err)
	}
}

// TestEnabledElsewhere makes a ring on one thread and uses it on another, as a reactor does.
func TestEnabledElsewhere(t *testing.T) {
	r := openWith(t, uring.Options{Entries: 4, Flags: uring.IORING_SETUP_R_DISABLED, Wanted: uring.ReactorFlags})
	onThread(func() {
		if err := r.Enable(); err != nil {
			t.Error(err)
			return
		}
		if err := r.RegisterRingFd(); err != nil {
			t.Error(err)
			return
		}
		if err := r.RegisterRingFd(); err == nil {
			t.Error("registered twice")
		}
		s := r.GetSQE()
		s.PrepNop()
		if n, errno := r.Wait(1, patience); n != 1 || errno != 0 || r.Ready() != 1 {
			t.Errorf("%d, %v", n, errno)
		}
		r.Advance(r.Ready())
		if err := r.UnregisterRingFd(); err != nil {
			t.Error(err)
		}
		s = r.GetSQE()
		s.PrepNop()
		if n, errno := r.Wait(1, patience); n != 1 || errno != 0 || r.Ready() != 1 {
			t.Errorf("%d, %v", n, errno)
		}
		r.Advance(r.Ready())
	})
}

// TestThreadEnds pins what happens to what a thread started when it ends.
func TestThreadEnds(t *testing.T) {
	r := open(t, 0, 4)
	pr, pw := pipe(t, 0)
	tid := 0
	onThread(func() {
		tid = unix.Gettid()
		hang(t, r, pr, 1)
		if _, errno := r.Submit(); errno != 0 {
			t.Error(errno)
		}
	})
	for end := time.Now().Add(patience); unix.Tgkill(unix.Getpid(), tid, 0) == nil; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("the thread lives on")
		}
	}
	if _, err := unix.Write(pw, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if c := next(t, r); c.UserData != 1 || c.Res != -int32(unix.ECANCELED) {
		t.Errorf("%+v", c)
	}
}

// TestCloseInFlight closes rings that have something to do, and sees the descriptors go.
func TestCloseInFlight(t *testing.T) {
	for _, f := range flavours {
		t.Run(f.name, func(t *testing.T) {
			pr, pw := pipe(t, 0)
			keep := make([]byte, 8)
			r := open(t, f.flags, 8)
			for range 4 {
				s := sqe(t, r)
				s.PrepRead(pr, keep, uring.CurrentPosition)
			}
			s := sqe(t, r)
			s.PrepTimeout(&uring.Timespec{TvSec: 1000}, 0, 0)
			if _, errno := r.Submit(); errno != 0 {
				t.Fatal(errno)
			}
			fd := r.Fd()
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			if err := r.Close(); err != nil {
				t.Errorf("twice: %v", err)
			}
			if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != unix.EBADF {
				t.Errorf("the descriptor is there: %v", err)
			}
			// The reads die, sooner or later, and leave the data to others.
			if _, err := unix.Write(pw, []byte("x")); err != nil {
				t.Fatal(err)
			}
			runtime.KeepAlive(keep)
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, tc := range []struct {
		name  string
		o     uring.Options
		errno syscall.Errno
		text  string
	}{
		{"no entries", uring.Options{}, unix.EINVAL, "0 entries"},
		{"fewer completions", uring.Options{Entries: 8, CQEntries: 4}, unix.EINVAL, "fewer"},
		{"our own memory", uring.Options{Entries: 8, Flags: uring.IORING_SETUP_NO_MMAP}, unix.EINVAL, "not supported"},
		{"iopoll", uring.Options{Entries: 8, Wanted: uring.IORING_SETUP_IOPOLL}, unix.EINVAL, "not supported"},
		{"unknown flag", uring.Options{Entries: 8, Flags: 1 << 31}, unix.EINVAL, "does not know flags"},
		{"defer alone", uring.Options{Entries: 8, Flags: uring.IORING_SETUP_DEFER_TASKRUN}, unix.EINVAL, "DEFER_TASKRUN"},
	} {
		r, err := uring.Open(tc.o)
		if err == nil {
			_ = r.Close()
		}
		if !errors.Is(err, tc.errno) || !strings.Contains(err.Error(), tc.text) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	// what is wanted and not there is done without
	r := openWith(t, uring.Options{Entries: 3, CQEntries: 100, Wanted: uring.IORING_SETUP_SINGLE_ISSUER})
	if r.SQEntries() != 4 || r.CQEntries() != 128 || r.Flags()&uring.IORING_SETUP_CQSIZE == 0 {
		t.Errorf("%d and %d entries, %s", r.SQEntries(), r.CQEntries(), uring.FlagNames(r.Flags()))
	}
	r2, err := uring.Open(uring.Options{Entries: 3, Wanted: uring.IORING_SETUP_DEFER_TASKRUN})
	if err != nil {
		t.Fatal(err)
	}
	if r2.Flags()&uring.IORING_SETUP_DEFER_TASKRUN != 0 {
		t.Error("DEFER_TASKRUN without SINGLE_ISSUER")
	}
	_ = r2.Close()
}

// TestAttachWQ has a ring use the workers of another.
func TestAttachWQ(t *testing.T) {
	r := open(t, 0, 4)
	r2 := openWith(t, uring.Options{Entries: 4, AttachWQ: r})
	fd, _ := tempFile(t, "hello")
	want(t, r2, 5, func(s *uring.SQE) { s.PrepRead(fd, make([]byte, 9), 0); s.Flags |= uring.IOSQE_ASYNC })
}

func TestProbe(t *testing.T) {
	r := open(t, 0, 4)
	if !r.Has(uring.IORING_OP_NOP) || r.Has(255) {
		t.Error("NOP is missing, or 255 is there")
	}
	if got := r.Missing(uring.IORING_OP_READ, 254, uring.IORING_OP_STATX, 255); len(got) != 2 || got[0] != 254 {
		t.Errorf("%v are missing", got)
	}
	if got := uring.OpName(uring.IORING_OP_URING_CMD128) + uring.OpName(200); got != "URING_CMD128opcode 200" {
		t.Error(got)
	}
	if got := uring.FlagNames(uring.IORING_SETUP_SQPOLL | 1<<30); got != "SQPOLL|0x40000000" {
		t.Error(got)
	}
	t.Logf("the kernel has %s, features %#x", uring.OpName(r.Probe().Last()), r.Features())
}

// TestMsgRingBetweenThreads passes a token between two rings on two threads.
func TestMsgRingBetweenThreads(t *testing.T) {
	a := open(t, uring.ReactorFlags, 8)
	b := openWith(t, uring.Options{Entries: 8, Wanted: uring.ReactorFlags, Flags: uring.IORING_SETUP_R_DISABLED})
	const rounds = 200
	ready, done := make(chan struct{}), make(chan error, 1)
	go onThread(func() {
		if err := b.Enable(); err != nil {
			done <- err
			return
		}
		close(ready)
		for i := range uint32(rounds) {
			if c := nextFrom(b); c.UserData != 1 || uint32(c.Res) != i {
				done <- errors.New("the wrong token")
				return
			}
			s := b.GetSQE()
			s.PrepMsgRing(a.Fd(), i, 2, 0)
			s.Flags |= uring.IOSQE_CQE_SKIP_SUCCESS
			if _, errno := b.Submit(); errno != 0 {
				done <- errno
				return
			}
		}
		done <- nil
	})
	select {
	case <-ready:
	case err := <-done:
		t.Fatal(err)
	}
	for i := range uint32(rounds) {
		s := sqe(t, a)
		s.PrepMsgRing(b.Fd(), i, 1, 0)
		s.Flags |= uring.IOSQE_CQE_SKIP_SUCCESS
		if c := next(t, a); c.UserData != 2 || uint32(c.Res) != i {
			t.Fatalf("%+v in round %d", c, i)
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// nextFrom is next for threads that may not end the test.
func nextFrom(r *uring.Ring) uring.CQE {
	for r.Ready() == 0 {
		if _, errno := r.Wait(1, patience); errno != 0 {
			return uring.CQE{}
		}
	}
	c := *r.CQE(0)
	r.Advance(1)
	return c
}

// epoll returns a function that says whether fd becomes readable within a time.
func epoll(t *testing.T, fd int) func(time.Duration) bool {
	t.Helper()
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(ep) })
	if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN}); err != nil {
		t.Fatal(err)
	}
	return func(d time.Duration) bool {
		var ev [1]unix.EpollEvent
		for {
			n, err := unix.EpollWait(ep, ev[:], int(d.Milliseconds()))
			if err == unix.EINTR {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			return n == 1
		}
	}
}

// drain reads an eventfd and returns its count.
func drain(t *testing.T, fd int) byte {
	t.Helper()
	var b [8]byte
	if _, err := unix.Read(fd, b[:]); err == unix.EAGAIN {
		return 0
	} else if err != nil {
		t.Fatal(err)
	}
	return b[0]
}

// TestWake pins that a sleeper is woken, on every flavour by the eventfd and on most by the ring itself.
func TestWake(t *testing.T) {
	onEvery(t, func(t *testing.T, r *uring.Ring) {
		fd, err := r.WakeFd()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := r.WakeFd(); again != fd || err != nil {
			t.Errorf("another one: %d, %v", again, err)
		}
		woken, readable := epoll(t, fd), epoll(t, r.Fd())
		pr, pw := pipe(t, 0)
		for range 3 {
			hang(t, r, pr, 1)
			if _, errno := r.Submit(); errno != 0 {
				t.Fatal(errno)
			}
			none(t, r)
			if woken(0) {
				t.Fatal("woken before anything completed")
			}
			if _, err := unix.Write(pw, []byte("x")); err != nil {
				t.Fatal(err)
			}
			if !woken(patience) {
				t.Fatal("not woken")
			}
			if r.Flags()&uring.IORING_SETUP_DEFER_TASKRUN == 0 && !readable(patience) {
				t.Fatal("the ring is not readable")
			}
			if drain(t, fd) == 0 {
				t.Error("the count is 0")
			}
			if c := next(t, r); c.Res != 1 {
				t.Fatalf("%+v", c)
			}
			drain(t, fd)
		}
	})
}

// TestEventfd pins when one is written to.
func TestEventfd(t *testing.T) {
	onEvery(t, func(t *testing.T, r *uring.Ring) {
		efd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(efd)
		pr, pw := pipe(t, 0)
		wait := func() {
			hang(t, r, pr, 1)
			if _, errno := r.Submit(); errno != 0 {
				t.Fatal(errno)
			}
			if _, err := unix.Write(pw, []byte("x")); err != nil {
				t.Fatal(err)
			}
			next(t, r)
		}
		if err := r.RegisterEventfd(efd, false); err != nil {
			t.Fatal(err)
		}
		if err := r.RegisterEventfd(efd, false); !errors.Is(err, unix.EBUSY) {
			t.Errorf("twice: %v", err)
		}
		wait()
		if drain(t, efd) == 0 {
			t.Error("silent")
		}
		r.SetEventfd(false)
		wait()
		if n := drain(t, efd); n != 0 {
			t.Errorf("%d writes while it is off", n)
		}
		r.SetEventfd(true)
		wait()
		if drain(t, efd) == 0 {
			t.Error("silent after it was switched on")
		}
		if err := r.UnregisterEventfd(); err != nil {
			t.Fatal(err)
		}
		wait()
		if n := drain(t, efd); n != 0 {
			t.Errorf("%d writes after the end", n)
		}

		if err := r.RegisterEventfd(efd, true); err != nil {
			t.Fatal(err)
		}
		wait()
		if n := drain(t, efd); n != 0 {
			t.Errorf("async: %d writes without a worker", n)
		}
	})
}

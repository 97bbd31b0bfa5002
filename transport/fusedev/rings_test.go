package fusedev

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/internal/fuseabi"
)

// byRing has mounts of tests take rings, and reactors that are pinned to CPUs.
var byRing bool

func ringMode() RingMode {
	if byRing {
		return RingOn
	}
	return RingOff
}

// useRings has the rest of the test mount with rings, if the kernel can.
func useRings(t *testing.T) {
	t.Helper()
	skipIf(t, noFuseDevice)
	skipIf(t, notRoot)
	skipIf(t, noRing)
	skipIf(t, oneCPU)
	setOffer(t, "Y")
	byRing = true
	t.Cleanup(func() { byRing = false })
}

// setOffer has the kernel offer io_uring, or not, for the time of the test.
func setOffer(t *testing.T, value string) {
	t.Helper()
	old, err := os.ReadFile(ringSetting)
	if err == nil {
		err = os.WriteFile(ringSetting, []byte(value), 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(ringSetting, old, 0); err != nil {
			t.Error(err)
		}
	})
}

// TestByRing runs what other tests pin of a mount over io_uring.
func TestByRing(t *testing.T) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T)
	}{
		{"Session", TestSession},
		{"SessionBusy", TestSessionBusy},
		{"SessionAbort", TestSessionAbort},
		{"SessionInterrupt", TestSessionInterrupt},
		{"SessionEndsByItself", TestSessionEndsByItself},
		{"SessionUnmountTwice", TestSessionUnmountTwice},
		{"SessionAbortedByOthers", TestSessionAbortedByOthers},
		{"SessionMountedOver", TestSessionMountedOver},
		{"SessionPollsItself", TestSessionPollsItself},
		{"LseekOfAKernel", TestLseekOfAKernel},
		{"StatxOfAKernel", TestStatxOfAKernel},
		{"IoctlOfAKernel", TestIoctlOfAKernel},
		{"ByteRangeLocksOfAKernel", TestByteRangeLocksOfAKernel},
		{"TmpfileOfAKernel", TestTmpfileOfAKernel},
		{"CopyFileRangeOfAKernel", TestCopyFileRangeOfAKernel},
		{"SessionWatch", TestSessionWatch},
		{"PollOfAKernel", TestPollOfAKernel},
		{"NoPollByDefault", TestNoPollByDefault},
		{"NotifyInvalInode", TestNotifyInvalInode},
		{"NotifyInvalEntry", TestNotifyInvalEntry},
		{"NotifyDelete", TestNotifyDelete},
		{"NotifyInvalNames", TestNotifyInvalNames},
		{"NotifyStore", TestNotifyStore},
		{"Retrieve", TestRetrieve},
		{"NotifyWaitsForPagesAlone", TestNotifyWaitsForPagesAlone},
		{"AbortEndsANotification", TestAbortEndsANotification},
	} {
		t.Run(test.name, func(t *testing.T) {
			useRings(t)
			test.run(t)
		})
	}
}

// Everything but FORGET and INTERRUPT comes by the ring, on whatever CPU it was asked for.
func TestRingServesAllCPUs(t *testing.T) {
	useRings(t)
	r := newRig(t, 1)
	s := r.mount()
	want := strings.Repeat("0123456789abcdef", 1<<14) // 256 KiB
	if err := os.WriteFile(r.file("file"), []byte(want), 0o666); err != nil {
		t.Fatal(err)
	}
	for cpu := range 2 {
		onCPU(t, cpu, func() {
			if got, err := os.ReadFile(r.file("file")); err != nil || string(got) != want {
				t.Errorf("on CPU %d: %d bytes, %v", cpu, len(got), err)
			}
		})
	}
	stats, err := s.Stats()
	if err != nil {
		t.Fatal(err)
	}
	if q := stats[0]; q.ByRing < 10 || q.Requests-q.ByRing > q.Requests/2 {
		t.Errorf("%d of %d requests by the ring", q.ByRing, q.Requests)
	}
}

// onCPU runs fn pinned to a CPU.
func onCPU(t *testing.T, cpu int, fn func()) {
	var wg sync.WaitGroup
	wg.Go(func() {
		// The thread ends with the goroutine, since nobody unlocks it.
		lockToCPU(t, cpu)
		fn()
	})
	wg.Wait()
}

// Requests that wait for locks take no room from others: each gets an entry of its own.
func TestRingKeepsRoomForUnlock(t *testing.T) {
	useRings(t)
	r := newRig(t, 2)
	r.srv.holdLocks = true
	s := r.mount()
	const waiters = 3 * ringDepth
	fd, err := unix.Open(r.file("file"), unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	var wg sync.WaitGroup
	errs := make([]error, waiters)
	for i := range waiters {
		wg.Go(func() {
			lock := unix.Flock_t{Type: unix.F_WRLCK, Start: int64(i), Len: 1}
			errs[i] = unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLKW, &lock)
		})
		if i%(ringDepth/2) == 0 { // not all at once
			r.srv.waitForSlow(t, i+1)
		}
	}
	r.srv.waitForSlow(t, waiters)
	if _, err := os.ReadFile(r.file("file")); err != nil {
		t.Errorf("while %d wait: %v", waiters, err)
	}
	r.srv.endSlow()
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	// What was added for them is used again.
	before := ringEntriesOf(t, s)
	r.srv.mu.Lock()
	r.srv.holdLocks = false
	r.srv.mu.Unlock()
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLKW, &lock); err != nil {
		t.Error(err)
	}
	if after := ringEntriesOf(t, s); after != before || before < 2*ringDepth+waiters {
		t.Errorf("%d entries, then %d", before, after)
	}
}

func ringEntriesOf(t *testing.T, s *Session) (n int) {
	t.Helper()
	for _, q := range s.queues {
		if err := do(q, func(q *queue) error { n += len(q.ring.entries); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// Many who ask for locks at once may be refused, but none of them keeps others out or waits for ever.
func TestRingSurvivesAStormOfLocks(t *testing.T) {
	useRings(t)
	r := newRig(t, 1)
	r.srv.holdLocks = true
	r.mount()
	fd, err := unix.Open(r.file("file"), unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	const waiters = 6 * ringDepth
	var wg sync.WaitGroup
	var refused atomic.Int32
	for i := range waiters {
		wg.Go(func() {
			lock := unix.Flock_t{Type: unix.F_WRLCK, Start: int64(i), Len: 1}
			switch err := unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLKW, &lock); err {
			case nil:
			case unix.ENOLCK:
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	for held := -1; held < waiters; {
		if _, err := os.ReadFile(r.file("file")); err != nil {
			t.Errorf("while %d wait: %v", held, err)
		}
		r.srv.mu.Lock()
		held = len(r.srv.slow) + int(refused.Load())
		r.srv.mu.Unlock()
	}
	t.Logf("%d of %d were refused", refused.Load(), waiters)
	r.srv.endSlow()
	wg.Wait()
}

// More than the limit of waiting locks is refused.
func TestRingRefusesTooManyLocks(t *testing.T) {
	useRings(t)
	r := newRig(t, 1)
	r.srv.holdLocks = true
	r.o.LockWaits = 2
	r.mount()
	fd, err := unix.Open(r.file("file"), unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	var wg sync.WaitGroup
	for i := range 2 {
		wg.Go(func() {
			lock := unix.Flock_t{Type: unix.F_WRLCK, Start: int64(i), Len: 1}
			_ = unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLKW, &lock)
		})
	}
	r.srv.waitForSlow(t, 2)
	lock := unix.Flock_t{Type: unix.F_WRLCK, Start: 2, Len: 1}
	if err := unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLKW, &lock); err != unix.ENOLCK {
		t.Errorf("the third: %v", err)
	}
	r.srv.endSlow()
	wg.Wait()
}

// An INTERRUPT, which comes by the descriptor, may overtake the request that it is about, which comes by a ring. The
// kernel does not send it again.
func TestRingInterruptsAgain(t *testing.T) {
	for _, test := range []struct {
		name   string
		notYet int
		want   int // INTERRUPTs
	}{
		{"found at last", 3, 4},
		{"never found", 2 * maxTries, 1 + maxTries},
	} {
		t.Run(test.name, func(t *testing.T) {
			useRings(t)
			r := newRig(t, 2)
			r.srv.notYet = test.notYet
			s := r.mount()
			cmd := exec.Command("cat", r.file("slow"))
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			r.waitSlow(1)
			_ = cmd.Process.Signal(syscall.SIGINT)
			for range 2000 {
				if int(r.srv.interrupts.Load()) == test.want {
					break
				}
				time.Sleep(time.Millisecond)
			}
			r.srv.endSlow()
			_ = cmd.Wait()
			if got := int(r.srv.interrupts.Load()); got != test.want {
				t.Errorf("%d INTERRUPTs, want %d", got, test.want)
			}
			if err := s.Unmount(); err != nil {
				t.Error(err)
			}
		})
	}
}

// wantNoRing wants a mount to work by the descriptor alone, and ends it.
func (r *rig) wantNoRing(s *Session) {
	r.t.Helper()
	if _, err := os.ReadFile(r.file("file")); err != nil {
		r.t.Error(err)
	}
	if stats, err := s.Stats(); err != nil || stats[0].ByRing != 0 {
		r.t.Errorf("%d requests by the ring, %v", stats[0].ByRing, err)
	}
	if err := s.Unmount(); err != nil {
		r.t.Error(err)
	}
}

func TestRingIsNotOffered(t *testing.T) {
	for _, test := range []struct {
		name string
		mode RingMode
		pin  bool
		want string // of the error; "" if there is none
	}{
		{"auto", RingAuto, true, ""},
		{"on", RingOn, true, ringSetting},
		{"auto, not pinned", RingAuto, false, ""},
		{"on, not pinned", RingOn, false, "pinned"},
	} {
		t.Run(test.name, func(t *testing.T) {
			useRings(t)
			setOffer(t, "N")
			byRing = test.pin
			r := newRig(t, 2)
			r.o.Ring = test.mode
			s, err := r.tryMount(t.Context())
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Fatalf("error %v, want one with %q", err, test.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			r.wantNoRing(s)
		})
	}
}

// If the kernel does not take the entries, here since its requests can be larger, they come by the descriptor, unless
// they may not.
func TestRingIsRefused(t *testing.T) {
	for _, mode := range []RingMode{RingAuto, RingOn} {
		t.Run(mode.String(), func(t *testing.T) {
			useRings(t)
			r := newRig(t, 2)
			r.o.Ring, r.o.MaxWrite = mode, minRingWrite
			r.srv.maxWrite, r.srv.without = minRingWrite, fuseabi.FUSE_MAX_PAGES
			s, err := r.tryMount(t.Context())
			if mode == RingOn {
				if !errors.Is(err, unix.EINVAL) || !errors.Is(err, errRefused) {
					t.Errorf("error %v", err)
				}
				r.wantUnmounted()
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			r.wantNoRing(s)
		})
	}
}

// A thread goes back to being movable when the last of its rings ends, of several mounts, unless it was bound before.
func TestRingBindsItsThread(t *testing.T) {
	for _, before := range []bool{false, true} {
		t.Run(fmt.Sprint(before), func(t *testing.T) {
			useRings(t)
			r := newRig(t, 1)
			r.o.Threads[0].Bind(before)
			sessions := []*Session{r.mount()}
			r.o.Mountpoint = t.TempDir()
			sessions = append(sessions, r.mount())
			for i, s := range sessions {
				if !r.o.Threads[0].IsBound() {
					t.Errorf("a thread with %d rings can be moved", len(sessions)-i)
				}
				if err := s.Unmount(); err != nil {
					t.Fatal(err)
				}
			}
			if r.o.Threads[0].IsBound() != before {
				t.Errorf("bound: %v, as it was not before there were rings", !before)
			}
		})
	}
}

func TestShareCPUs(t *testing.T) {
	for _, test := range []struct {
		name  string
		n     int
		cores []int
		want  [][]uint16
	}{
		{"one each", 2, []int{0, 1}, [][]uint16{{0}, {1}}},
		{"the other way round", 2, []int{1, 0}, [][]uint16{{1}, {0}}},
		{"one for all", 3, []int{1}, [][]uint16{{0, 1, 2}}},
		{"the rest in turn", 6, []int{4, 1}, [][]uint16{{0, 3, 4}, {1, 2, 5}}},
		{"two on one CPU", 2, []int{0, 0}, [][]uint16{{0, 1}, nil}},
		{"no such CPU", 1, []int{5}, [][]uint16{{0}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, shareCPUs(test.n, test.cores)); diff != "" {
				t.Errorf("shares differ (-want, +got):\n%s", diff)
			}
		})
	}
}

func TestPossibleCPUs(t *testing.T) {
	for _, test := range []struct {
		text string
		want int
		err  bool
	}{
		{"0\n", 1, false}, {"0-3\n", 4, false}, {"0-3,8-15\n", 12, false}, {"0,2\n", 2, false},
		{"", 0, true}, {"0-x", 0, true}, {"0,\n", 0, true},
	} {
		file := filepath.Join(t.TempDir(), "possible")
		if err := os.WriteFile(file, []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if n, err := readPossibleCPUs(file); n != test.want || err != nil != test.err {
			t.Errorf("%q: %d, %v, want %d", test.text, n, err, test.want)
		}
	}
	if n, err := (localHost{}).possibleCPUs(); err != nil || n < 1 {
		t.Errorf("here: %d, %v", n, err)
	}
}

func TestParseRingMode(t *testing.T) {
	for _, m := range []RingMode{RingAuto, RingOff, RingOn} {
		if got, err := ParseRingMode(m.String()); got != m || err != nil {
			t.Errorf("%v: %v, %v", m, got, err)
		}
	}
	if _, err := ParseRingMode("maybe"); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("maybe: %v", err)
	}
}

// waitForSlow waits until so many requests are held.
func (s *tinyServer) waitForSlow(t *testing.T, n int) {
	t.Helper()
	for range 2000 {
		s.mu.Lock()
		have := len(s.slow)
		s.mu.Unlock()
		if have == n {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("not %d requests are held", n)
}

// endSlow ends what is held, without an error.
func (s *tinyServer) endSlow() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.slow {
		r.reply(nil, 0)
		r.t.SendMsg(completeTiny, r)
	}
	s.slow = nil
}

func lockToCPU(t *testing.T, cpu int) {
	t.Helper()
	runtime.LockOSThread()
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		t.Error(err)
	}
}

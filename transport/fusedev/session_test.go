package fusedev

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/reactor"
)

// skipReason is what a machine lacks, so that it cannot run a test.
type skipReason int

const (
	noFuseDevice skipReason = iota
	notRoot
	noHelper
	noRing
	oneCPU
)

var skipReasons = [...]struct {
	text  string
	holds func() bool
}{
	noFuseDevice: {"no /dev/fuse: load the fuse module", func() bool {
		_, err := os.Stat(devFuse)
		return err != nil
	}},
	notRoot: {"not root: mounting needs CAP_SYS_ADMIN", func() bool { return os.Geteuid() != 0 }},
	noRing: {"no FUSE over io_uring: it needs Linux 6.14", func() bool {
		_, err := os.Stat(ringSetting)
		return err != nil
	}},
	oneCPU: {"one CPU: two reactors are to be pinned", func() bool { return runtime.NumCPU() < 2 }},
	noHelper: {"no fusermount3: install fuse3", func() bool {
		_, err := exec.LookPath(helperName)
		return err != nil
	}},
}

// skipIf skips the test if the machine lacks something.
func skipIf(t testing.TB, reason skipReason) {
	t.Helper()
	if r := skipReasons[reason]; r.holds() {
		t.Skip(r.text)
	}
}

// rig is a running framework with a tinyServer and a place to mount it.
type rig struct {
	t   *testing.T
	fw  *reactor.Framework
	srv *tinyServer
	o   Options

	closed bool
}

func newRig(t *testing.T, reactors int) *rig {
	t.Helper()
	skipIf(t, noFuseDevice)
	skipIf(t, notRoot)
	r := &rig{t: t, srv: &tinyServer{maxWrite: 1 << 20}}
	cores := make([]int, reactors)
	for i := range cores {
		cores[i] = i
	}
	var err error
	if r.fw, err = reactor.NewFramework(reactor.Options{Cores: cores, NoPin: !byRing}); err != nil {
		t.Fatal(err)
	}
	if err := r.fw.Start(); err != nil {
		t.Fatal(err)
	}
	for range reactors {
		th, err := r.fw.CreateThread("", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.o.Threads = append(r.o.Threads, th)
	}
	r.o.Dispatcher = &fusedispatcher.Dispatcher{} // only there to be given
	r.o.maxRequests = 2048
	r.o.Ring = ringMode()
	r.o.Mountpoint = t.TempDir()
	registered := make(chan error, 1)
	r.o.Threads[0].SendMsg(func(th *reactor.Thread, _ any) {
		var err error
		r.srv.dev, err = registerTiny(th, r.srv)
		registered <- err
	}, nil)
	if err := <-registered; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.close)
	return r
}

// close ends the server and the framework.
func (r *rig) close() {
	if r.closed {
		return
	}
	r.closed = true
	_ = unix.Unmount(r.o.Mountpoint, unix.MNT_DETACH|unix.MNT_FORCE)
	gone := make(chan struct{})
	r.o.Threads[0].SendMsg(func(th *reactor.Thread, _ any) {
		r.srv.dev.Unregister(th, func(*reactor.Thread, any) { close(gone) }, nil)
	}, nil)
	select {
	case <-gone:
	case <-time.After(5 * time.Second):
		r.t.Error("channels of the server are left")
	}
	r.fw.Stop()
}

func (r *rig) tryMount(ctx context.Context) (*Session, error) {
	if err := r.o.setDefaults(); err != nil {
		return nil, err
	}
	return mount(ctx, r.o, r.srv, false)
}

func (r *rig) mount() *Session {
	r.t.Helper()
	s, err := r.tryMount(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

func (r *rig) file(name string) string { return filepath.Join(r.o.Mountpoint, name) }

func (r *rig) wantDone(s *Session) {
	r.t.Helper()
	select {
	case <-s.Done():
	case <-time.After(5 * time.Second):
		r.t.Fatal("the session is not done")
	}
	if n := r.srv.destroys.Load(); n != 1 {
		r.t.Errorf("the server saw %d DESTROY", n)
	}
}

func (r *rig) wantUnmounted() {
	r.t.Helper()
	if m, ok, err := findMount(r.o.Mountpoint); ok || err != nil {
		r.t.Errorf("%+v is still mounted, %v", m, err)
	}
}

// TestSession mounts, moves data of all sizes from many processes' point of view, and unmounts.
func TestSession(t *testing.T) {
	for _, reactors := range []int{1, 2} {
		t.Run(map[int]string{1: "one reactor", 2: "two reactors"}[reactors], func(t *testing.T) {
			before := openFiles(t)
			r := newRig(t, reactors)
			s := r.mount()
			m, ok, err := findMount(r.o.Mountpoint)
			if !ok || err != nil || m.fsType != "fuse.spdk" || m.source != "spdk-go" {
				t.Errorf("mounted: %+v, %v, %v", m, ok, err)
			}
			if n, ok := s.Connection(); !ok || n != m.connection() || s.Mountpoint() != r.o.Mountpoint {
				t.Errorf("connection %d, %v, mountpoint %s", n, ok, s.Mountpoint())
			}
			for _, size := range []int{0, 1, 4096, 8112, 8113, 100_000, 1 << 20, 3<<20 + 5} {
				want := make([]byte, size)
				_, _ = rand.Read(want)
				if err := os.WriteFile(r.file("file"), want, 0); err != nil {
					t.Fatal(err)
				}
				got, err := os.ReadFile(r.file("file"))
				if err != nil || !bytes.Equal(got, want) {
					t.Fatalf("%d bytes came back as %d, %v", size, len(got), err)
				}
			}
			var wg sync.WaitGroup
			for range 16 {
				wg.Go(func() {
					for range 100 {
						if _, err := os.Stat(r.file("none")); !os.IsNotExist(err) {
							t.Errorf("stat of what is not there: %v", err)
						}
					}
				})
			}
			wg.Wait()
			if byRing { // a queue serves those who run on its CPU
				for cpu := range reactors {
					onCPU(t, cpu, func() { _, _ = os.Stat(r.file("none")) })
				}
			}
			checkStats(t, s, reactors)
			if err := s.Unmount(); err != nil {
				t.Fatal(err)
			}
			r.wantDone(s)
			r.wantUnmounted()
			if err := s.Unmount(); err != nil {
				t.Errorf("unmounting again: %v", err)
			}
			if _, err := s.Stats(); err != nil {
				t.Errorf("statistics after the end: %v", err)
			}
			r.close()
			if after := openFiles(t); after > before+2 { // the runtime's own epoll and eventfd
				t.Errorf("%d descriptors are open, %d before", after, before)
			}
		})
	}
}

func checkStats(t *testing.T, s *Session, reactors int) {
	t.Helper()
	stats, err := s.Stats()
	if err != nil || len(stats) != reactors {
		t.Fatalf("%d statistics, %v", len(stats), err)
	}
	var sum QueueStats
	for i, q := range stats {
		t.Logf("queue %d: %+v", i, q)
		if q.Requests == 0 {
			t.Errorf("queue %d has not served anything", i)
		}
		sum.Requests += q.Requests
		sum.BytesIn += q.BytesIn
		sum.BytesOut += q.BytesOut
		sum.Refused += q.Refused
		sum.FailedReads += q.FailedReads
		sum.Rejected += q.Rejected
	}
	const data = 4 << 20
	if sum.Requests < 1600 || sum.BytesIn < data || sum.BytesOut < data ||
		sum.Refused+sum.FailedReads+sum.Rejected != 0 {
		t.Errorf("statistics look wrong: %+v", sum)
	}
}

func TestSessionBusy(t *testing.T) {
	r := newRig(t, 2)
	s := r.mount()
	f, err := os.Open(r.file("file"))
	if err != nil {
		t.Fatal(err)
	}
	err = s.Unmount()
	if !errors.Is(err, unix.EBUSY) || !strings.Contains(err.Error(), "fuser -vm") {
		t.Errorf("unmounting with an open file: %v", err)
	}
	if _, err := f.Stat(); err != nil {
		t.Errorf("the refused unmount has done harm: %v", err)
	}
	if err := s.Detach(); err != nil {
		t.Fatal(err)
	}
	r.wantUnmounted()
	if _, err := f.Stat(); err != nil {
		t.Errorf("an open file after the detach: %v", err)
	}
	if err := s.Unmount(); !errors.Is(err, unix.EBUSY) || !strings.Contains(err.Error(), "detached") {
		t.Errorf("unmounting what is detached: %v", err)
	}
	select {
	case <-s.Done():
		t.Error("the session is done with a file open")
	default:
	}
	f.Close()
	r.wantDone(s)
}

// TestSessionAbort aborts while a process waits for an answer that does not come.
func TestSessionAbort(t *testing.T) {
	r := newRig(t, 2)
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
	if err := <-failed; !errors.Is(err, unix.ECONNABORTED) && !errors.Is(err, unix.EINTR) {
		t.Errorf("the read ended with %v", err)
	}
	r.wantDone(s)
	r.wantUnmounted()
	if err := s.Abort(); err != nil {
		t.Errorf("aborting again: %v", err)
	}
}

func (r *rig) waitSlow(n int) {
	r.t.Helper()
	for range 500 {
		r.srv.mu.Lock()
		got := len(r.srv.slow)
		r.srv.mu.Unlock()
		if got == n {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	r.t.Fatalf("the server does not hold %d requests", n)
}

// TestSessionInterrupt kills a process that waits.
func TestSessionInterrupt(t *testing.T) {
	r := newRig(t, 2)
	s := r.mount()
	cmd := exec.Command("cat", r.file("slow"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.waitSlow(1)
	_ = cmd.Process.Signal(syscall.SIGINT)
	_ = cmd.Wait()
	r.waitSlow(0)
	if n := r.srv.interrupts.Load(); n == 0 {
		t.Error("the server saw no INTERRUPT")
	}
	if err := s.Unmount(); err != nil {
		t.Fatal(err)
	}
	r.wantDone(s)
}

// TestSessionEndsByItself unmounts behind the session's back.
func TestSessionEndsByItself(t *testing.T) {
	r := newRig(t, 2)
	s := r.mount()
	if err := unix.Unmount(r.o.Mountpoint, 0); err != nil {
		t.Fatal(err)
	}
	r.wantDone(s)
}

// TestSessionUnmountTwice unmounts from several goroutines at once; each finds it done.
func TestSessionUnmountTwice(t *testing.T) {
	r := newRig(t, 2)
	s := r.mount()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := s.Unmount(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	r.wantDone(s)
}

// TestSessionAbortedByOthers aborts the way an administrator does.
func TestSessionAbortedByOthers(t *testing.T) {
	r := newRig(t, 2)
	s := r.mount()
	n, _ := s.Connection()
	if err := os.WriteFile(fmt.Sprintf("/sys/fs/fuse/connections/%d/abort", n), []byte("1"), 0); err != nil {
		// That file system need not be mounted; a forced unmount aborts too.
		if err := unix.Unmount(r.o.Mountpoint, unix.MNT_FORCE|unix.MNT_DETACH); err != nil {
			t.Fatal(err)
		}
	}
	r.wantDone(s)
	r.wantUnmounted()
}

func TestSessionMountedOver(t *testing.T) {
	r := newRig(t, 1)
	s := r.mount()
	if err := unix.Mount("tmpfs", r.o.Mountpoint, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	if err := s.Unmount(); !errors.Is(err, unix.EBUSY) || !strings.Contains(err.Error(), "mounted over") {
		t.Errorf("unmounting with another mount on top: %v", err)
	}
	if err := unix.Unmount(r.o.Mountpoint, 0); err != nil {
		t.Fatal(err)
	}
	if err := s.Unmount(); err != nil {
		t.Fatal(err)
	}
	r.wantDone(s)
}

// TestReplaceDeadMountInCache mounts where a server has died whose attributes the kernel still remembers.
func TestReplaceDeadMountInCache(t *testing.T) {
	r := newRig(t, 1)
	r.srv.attrValid = 3600
	s := r.mount()
	if _, err := os.Stat(r.o.Mountpoint); err != nil {
		t.Fatal(err)
	}
	s.known = false // so that the dead mount stays
	s.queues[0].t.SendMsg(hangupMsg, s.queues[0])
	r.wantDone(s)
	if _, err := os.Stat(r.o.Mountpoint); err != nil {
		t.Logf("the kernel did not remember: %v", err)
	}
	if _, err := r.tryMount(t.Context()); !errors.Is(err, unix.ENOTCONN) {
		t.Errorf("mounting on a dead mount: %v", err)
	}
	r.o.Replace = true
	s = r.mount()
	if err := s.Unmount(); err != nil {
		t.Fatal(err)
	}
	r.wantUnmounted()
}

func TestMountFails(t *testing.T) {
	t.Run("mounted already", func(t *testing.T) {
		r := newRig(t, 1)
		s := r.mount()
		r.o.Replace = true // only what is dead may be replaced
		if _, err := r.tryMount(t.Context()); !errors.Is(err, unix.EBUSY) ||
			!strings.Contains(err.Error(), "unmount it first") {
			t.Errorf("mounting twice: %v", err)
		}
		if err := s.Unmount(); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("INIT refused", func(t *testing.T) {
		r := newRig(t, 2)
		r.srv.initErrno = syscall.ENODEV
		if _, err := r.tryMount(t.Context()); !errors.Is(err, unix.ENODEV) {
			t.Errorf("error %v", err)
		}
		r.wantUnmounted()
	})
	t.Run("context ends", func(t *testing.T) {
		r := newRig(t, 2)
		r.srv.hangInit = true
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Millisecond, cancel)
		if _, err := r.tryMount(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		r.wantUnmounted()
	})
	t.Run("no channel", func(t *testing.T) {
		r := newRig(t, 2)
		dev := r.srv.dev
		_ = do(&queue{t: r.o.Threads[0]}, func(q *queue) error {
			dev.Unregister(q.t, nil, nil)
			return nil
		})
		if _, err := r.tryMount(t.Context()); !errors.Is(err, errNoChannel) {
			t.Errorf("error %v", err)
		}
		r.wantUnmounted()
		_ = do(&queue{t: r.o.Threads[0]}, func(q *queue) (err error) {
			r.srv.dev, err = registerTiny(q.t, r.srv)
			return err
		})
	})
}

// TestSessionByHelper mounts through the real fusermount3, and reads duplicates where the device is out of reach.
func TestSessionByHelper(t *testing.T) {
	r := newRig(t, 2)
	skipIf(t, noHelper)
	if err := r.o.setDefaults(); err != nil {
		t.Fatal(err)
	}
	s, err := mount(t.Context(), r.o, r.srv, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(r.file("file"), make([]byte, 1<<20), 0); err != nil {
		t.Error(err)
	}
	if err := s.Unmount(); err != nil {
		t.Fatal(err)
	}
	r.wantDone(s)
}

// TestReplaceDeadMount mounts where a server has died.
func TestReplaceDeadMount(t *testing.T) {
	r := newRig(t, 1)
	fd, err := openDevice()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.o.setDefaults(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // one dead mount on another
		if err := unix.Mount("dead", r.o.Mountpoint, "fuse.dead", 0, r.o.kernelOptions(fd, 0, 0)); err != nil {
			t.Fatal(err)
		}
		unix.Close(fd)
		if fd, err = openDevice(); err != nil {
			t.Fatal(err)
		}
	}
	unix.Close(fd)
	if _, err := r.tryMount(t.Context()); !errors.Is(err, unix.ENOTCONN) ||
		!strings.Contains(err.Error(), "umount -l "+r.o.Mountpoint) {
		t.Errorf("mounting on a dead mount: %v", err)
	}
	r.o.Replace = true
	s := r.mount()
	if _, err := os.Stat(r.file("file")); err != nil {
		t.Error(err)
	}
	if err := s.Unmount(); err != nil {
		t.Fatal(err)
	}
	r.wantDone(s)
	r.wantUnmounted()
}

// TestSessionPollsItself opens files of the file system that this process serves while the garbage collector stops the
// world as often as it can, which was a deadlock before the kernel was told that there is no POLL.
func TestSessionPollsItself(t *testing.T) {
	r := newRig(t, 2)
	s := r.mount()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	})
	for range 200 {
		f, err := os.Open(r.file("file"))
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	close(stop)
	wg.Wait()
	if n := r.srv.polls.Load(); n != 0 {
		t.Errorf("the server saw %d POLL", n)
	}
	if _, err := os.Stat(r.file(probeName)); !os.IsNotExist(err) {
		t.Errorf("stat of the probe's file: %v", err)
	}
	if err := s.Unmount(); err != nil {
		t.Fatal(err)
	}
}

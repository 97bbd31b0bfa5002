package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/app"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/modules/memfs"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/transport/fusedev"
)

func init() { helpers["readwrite"] = readWriteHelper }

// stack is what spdk_tgt is made of, in this process. Nothing here may touch the mount itself, not even by starting a
// program with the mount as its working directory: where the run time cannot stop a thread that waits for the mount, a
// garbage collection waits for the thread and the reactors for the garbage collection. Clients are processes that
// started elsewhere.
type stack struct {
	app     *app.App
	disp    *fusedispatcher.Dispatcher
	session *fusedev.Session
	mount   string
}

// newStack mounts a memfs served by two reactors.
func newStack(t *testing.T, mount string, cache fusedispatcher.CachePolicy) *stack {
	t.Helper()
	s := &stack{mount: mount}
	mask, err := reactor.ParseCpuset("0x3")
	if err != nil {
		t.Fatal(err)
	}
	s.app, err = app.New(app.Options{Name: "integration", CPUMask: mask, DisableSignalHandlers: true})
	if err != nil {
		t.Fatal(err)
	}
	err = s.app.Start(func(th *reactor.Thread, _ *app.App) error {
		if _, err := memfs.Create(th, "mem0", memfs.Opts{}); err != nil {
			return err
		}
		s.disp, err = fusedispatcher.Create(th, fusedispatcher.Opts{FsdevName: "mem0", Cache: cache})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var threads []*reactor.Thread
	for _, core := range s.app.Cores() {
		th, err := s.app.Framework().CreateThread(fmt.Sprint("fuse_", core), reactor.NewCpuset(core))
		if err != nil {
			t.Fatal(err)
		}
		threads = append(threads, th)
	}
	s.session, err = fusedev.Mount(context.Background(), fusedev.Options{
		Dispatcher: s.disp,
		Threads:    threads,
		Mountpoint: mount,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// requests returns how many requests the dispatcher has served.
func (s *stack) requests(t *testing.T) (total uint64) {
	t.Helper()
	errno := app.CallAsync(s.app.Thread(), func(th *reactor.Thread, done func()) {
		s.disp.Stats(th, func(_ *reactor.Thread, _ any, st *fusedispatcher.Stats) {
			for _, n := range st.Requests {
				total += n
			}
			done()
		}, nil)
	})
	if errno != 0 {
		t.Fatal(errno)
	}
	return total
}

// close takes everything down in order.
func (s *stack) close(t *testing.T) {
	t.Helper()
	if err := s.session.Unmount(); err != nil {
		t.Errorf("unmount: %v", err)
		_ = s.session.Detach()
	}
	var fini sync.WaitGroup
	fini.Add(1)
	errno := app.CallAsync(s.app.Thread(), func(th *reactor.Thread, done func()) {
		s.disp.Delete(th, func(_ *reactor.Thread, _ any, errno unix.Errno) {
			if errno != 0 {
				t.Errorf("delete the dispatcher: %v", errno)
			}
			fini.Done()
			done()
		}, nil)
	})
	if errno != 0 {
		t.Errorf("delete the dispatcher: %v", errno)
	}
	fini.Wait()
	s.app.Stop(nil)
	if err := s.app.Wait(); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// TestSteadyAllocations reads and writes for a while and wants the heap not to move: no allocation per request.
func TestSteadyAllocations(t *testing.T) {
	needMount(t)
	if raceEnabled {
		t.Log("the race detector allocates by itself; without it this test means something")
		return
	}
	const limit = 0.01 // objects per request
	span := 15 * time.Second
	if *long {
		span = time.Minute
	}
	s := newStack(t, mountDir(t), fusedispatcher.CacheNone)
	j := startHelper(t, scratch, "readwrite", s.mount, (span + 4*time.Second).String())
	time.Sleep(2 * time.Second)
	requests, objects := s.requests(t), heapObjects()
	time.Sleep(span)
	objects, requests = heapObjects()-objects, s.requests(t)-requests
	j.mustEnd(t, workloadTimeout)
	per := float64(objects) / float64(requests)
	t.Logf("%d requests in %v, %.0f a second; %d objects allocated, %.6f per request",
		requests, span, float64(requests)/span.Seconds(), objects, per)
	if requests < 10000 || per >= limit {
		t.Errorf("%.4f objects allocated per request in %d requests, want less than %v in many", per, requests, limit)
	}
	s.close(t)
}

// heapObjects returns how many heap objects this process has allocated so far.
func heapObjects() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:objects"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// readWriteHelper has four goroutines write and read back files of their own below args[0] for the time args[1].
func readWriteHelper(args []string) error {
	span, err := time.ParseDuration(args[1])
	if err != nil {
		return err
	}
	end := time.Now().Add(span)
	errs := make([]error, 4)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = readWriteLoop(filepath.Join(args[0], strconv.Itoa(i)), uint64(i), end) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func readWriteLoop(name string, seed uint64, end time.Time) error {
	fd, err := unix.Open(name, unix.O_RDWR|unix.O_CREAT, 0o600)
	if err != nil {
		return err
	}
	sizes := []int{4096, 100, 4096, 65536, 4096, 512}
	buf := make([]byte, slices.Max(sizes))
	for n := uint64(0); time.Now().Before(end); n++ {
		size, off := sizes[n%uint64(len(sizes))], int64(n%97*4096)
		if _, err := unix.Pwrite(fd, pattern(buf[:size], seed+n, off), off); err != nil {
			return err
		}
		got, err := unix.Pread(fd, buf[:size], off)
		if err != nil {
			return err
		}
		if got != size || !samePattern(buf[:size], seed+n, off) {
			return fmt.Errorf("%s: read something else than was written at %d", name, off)
		}
	}
	return unix.Close(fd)
}

// TestLeaks starts, mounts, works, unmounts and stops again and again, and wants nothing to stay behind.
func TestLeaks(t *testing.T) {
	needMount(t)
	dir, src := mountDir(t), filepath.Join(repoRoot, "test")
	cycle := func() {
		s := newStack(t, dir, fusedispatcher.CacheAuto)
		start(t, scratch, nil, "cp", "-a", src, dir).mustEnd(t, clientTimeout)
		start(t, scratch, nil, "diff", "-r", src, filepath.Join(dir, "test")).mustEnd(t, clientTimeout)
		s.close(t)
	}
	cycle() // what is made once and kept is made here
	goroutines, fds, size := runtime.NumGoroutine(), openFiles(t), virtualSize(t)
	for range 10 {
		cycle()
		if t.Failed() {
			return
		}
	}
	if !eventually(5*time.Second, func() bool { return runtime.NumGoroutine() <= goroutines }) {
		t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), goroutines)
		_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
	}
	var now []string
	if !eventually(5*time.Second, func() bool { now = openFiles(t); return len(now) <= len(fds) }) {
		t.Errorf("%d open files, %d before:\n%s\nbefore:\n%s", len(now), len(fds),
			strings.Join(now, "\n"), strings.Join(fds, "\n"))
	}
	runtime.GC()
	grown := virtualSize(t) - size
	t.Logf("the address space has grown by %d MiB in 10 cycles", grown>>20)
	// a cycle maps hundreds of MiB of buffers; what the runtime keeps for threads and heap is less
	if grown > 256<<20 && !raceEnabled {
		t.Errorf("the address space has grown by %d MiB in 10 cycles: something stays mapped", grown>>20)
	}
}

// openFiles returns what this process has open.
func openFiles(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	var open []string
	for _, e := range entries {
		if name, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil { // not the directory just read
			open = append(open, e.Name()+" "+name)
		}
	}
	return open
}

// virtualSize returns the size of this process's address space in bytes.
func virtualSize(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(text))[0])
	if err != nil {
		t.Fatal(err)
	}
	return pages * unix.Getpagesize()
}

package ebpf_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/app/ebpf"
	"github.com/spdk-go/spdk-go/app/fusemount"
	"github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/internal/fuseabi"
	"github.com/spdk-go/spdk-go/modules/memfs"
	"github.com/spdk-go/spdk-go/reactor"
)

func TestMain(m *testing.M) {
	if cpu := os.Getenv(thiefEnv); cpu != "" {
		os.Exit(thief(cpu))
	}
	os.Exit(m.Run())
}

// startApp starts an application that ends with the test.
func startApp(t testing.TB, o app.Options) *app.App {
	t.Helper()
	o.DisableCPUMaskLocks, o.DisableSignalHandlers = true, true
	a, err := app.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(func(*reactor.Thread, *app.App) error { return nil }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		a.Stop(nil)
		if err := a.Wait(); err != nil {
			t.Error(err)
		}
	})
	return a
}

// mountMemfs mounts a new file system that nothing is cached of.
func mountMemfs(t testing.TB, a *app.App, name string) *fusemount.Mount {
	t.Helper()
	needFuse(t)
	var err error
	app.Call(a.Thread(), func(th *reactor.Thread) { _, err = memfs.Create(th, name, memfs.Opts{Size: 16 << 20}) })
	if err != nil {
		t.Fatal(err)
	}
	mt, err := fusemount.Of(a).Mount(context.Background(), fusemount.Options{
		Fsdev: name, Dir: t.TempDir(), Cache: fusedispatcher.CacheNone,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := mt.Unmount(true); err != nil {
			t.Error(err)
		}
	})
	return mt
}

func start(t *testing.T, a *app.App) *ebpf.Manager {
	t.Helper()
	m := ebpf.Of(a)
	needPrograms(t, m.Start(nil))
	if s := m.Stats(); !s.Enabled || s.Missing != "" || len(s.Reactors) != len(a.Cores()) {
		t.Fatalf("started: %+v", s)
	}
	return m
}

// opcode returns what was found out about an operation of the only mount.
func opcode(t *testing.T, s ebpf.Stats, op uint32) *ebpf.Opcode {
	t.Helper()
	if len(s.Mounts) != 1 {
		t.Fatalf("%d mounts are watched, want 1", len(s.Mounts))
	}
	for i := range s.Mounts[0].Opcodes {
		if o := &s.Mounts[0].Opcodes[i]; o.Opcode == op {
			return o
		}
	}
	return &ebpf.Opcode{}
}

// TestQueueTime blocks the only reactor for a known time while a request waits for it, and finds that time before it
// was read; the same request unhindered has waited less. What the three times add up to is no longer than the caller
// has waited.
func TestQueueTime(t *testing.T) {
	const blocked = 150 * time.Millisecond
	a := startApp(t, app.Options{})
	mt := mountMemfs(t, a, "m0")
	m := start(t, a)
	name := filepath.Join(mt.Dir, "missing")
	// A lookup may be two requests: one to see whether the directory may be searched.
	lookup := func() time.Duration {
		began := time.Now()
		if _, err := os.Stat(name); !os.IsNotExist(err) {
			t.Error(err)
		}
		return time.Since(began)
	}
	took := lookup()
	s := m.Stats()
	before := s.Mounts[0].Total()
	if n := opcode(t, s, fuseabi.FUSE_LOOKUP).Queue.Count(); n != 1 || time.Duration(before.Queue.Max) > took {
		t.Fatalf("%d lookups, of %v: %+v", n, took, before)
	}

	there, release := make(chan struct{}), make(chan struct{})
	a.Thread().SendMsg(func(*reactor.Thread, any) {
		close(there)
		<-release
	}, nil)
	<-there
	began := time.Now()
	done := make(chan time.Duration)
	go func() { done <- lookup() }()
	time.Sleep(blocked)
	held := time.Since(began)
	close(release)
	took = <-done
	s = m.Stats()
	after := s.Mounts[0].Total()

	if n := opcode(t, s, fuseabi.FUSE_LOOKUP).Queue.Count(); n != 2 || after.Unserved != 0 ||
		after.Service.Count() != after.Queue.Count() || after.Reply.Count() != after.Queue.Count() {
		t.Fatalf("two lookups: %+v", after)
	}
	queue := time.Duration(after.Queue.Sum - before.Queue.Sum)
	longest := time.Duration(after.Queue.Max)
	if longest < held/2 || longest > took {
		t.Errorf("the reactor was blocked for %v, the caller waited for %v, a request in the kernel for up to %v",
			held, took, longest)
	}
	all := queue + time.Duration(after.Service.Sum-before.Service.Sum+after.Reply.Sum-before.Reply.Sum)
	if all > took {
		t.Errorf("queue, service and reply took %v of the %v that the caller waited", all, took)
	}
	t.Logf("blocked for %v: %v in the queue, %v in all, the caller waited for %v", held, queue, all, took)
}

// TestMounts watches a mount that comes later, another one at the same place under the same number perhaps, and none
// after the end, which may come more than once.
func TestMounts(t *testing.T) {
	a := startApp(t, app.Options{})
	m := start(t, a)
	for i, name := range []string{"m0", "m1"} {
		mt := mountMemfs(t, a, name)
		if _, err := os.ReadDir(mt.Dir); err != nil {
			t.Fatal(err)
		}
		s := m.Stats()
		n := opcode(t, s, fuseabi.FUSE_OPENDIR).Queue.Count()
		if n != 1 || s.Mounts[0].Fsdev != name || s.Mounts[0].Dir != mt.Dir {
			t.Errorf("mount %d: %+v", i, s.Mounts)
		}
		if err := mt.Unmount(false); err != nil {
			t.Fatal(err)
		}
		if s := m.Stats(); len(s.Mounts) != 0 {
			t.Errorf("after the end of mount %d: %+v", i, s.Mounts)
		}
	}
	mt := mountMemfs(t, a, "m2")
	for range 2 {
		if err := m.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	if s := m.Stats(); s.Enabled || len(s.Reactors)+len(s.Mounts) != 0 {
		t.Errorf("after the end: %+v", s)
	}
	if _, err := os.ReadDir(mt.Dir); err != nil {
		t.Fatal(err)
	}
	m = start(t, a)
	if s := m.Stats(); opcode(t, s, fuseabi.FUSE_OPENDIR).Queue.Count() != 0 {
		t.Errorf("after a new start: %+v", s)
	}
}

// TestStatsDoNotWait reads what was found out while the reactor hangs, which is when it is wanted.
func TestStatsDoNotWait(t *testing.T) {
	a := startApp(t, app.Options{})
	m := start(t, a)
	there, release := make(chan struct{}), make(chan struct{})
	a.Thread().SendMsg(func(*reactor.Thread, any) {
		close(there)
		<-release
	}, nil)
	<-there
	defer close(release)
	for m.Stats().Reactors[0].State != ebpf.Asleep {
		time.Sleep(time.Millisecond)
	}
	before := m.Stats().Reactors[0].For
	time.Sleep(10 * time.Millisecond)
	if after := m.Stats().Reactors[0].For; after < before+10*time.Millisecond {
		t.Errorf("asleep for %v, and 10 ms later for %v", before, after)
	}
}

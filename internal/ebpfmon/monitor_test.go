package ebpfmon

import (
	"encoding/binary"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// testSizes are those of a small machine.
var testSizes = sizes{CPUs: 2, Shards: 2}

// newBare returns a monitor whose memory no program writes to.
func newBare(t *testing.T) *Monitor {
	t.Helper()
	anon := func(n int) []byte {
		b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	m := &Monitor{
		kept:      Kept{Sizes: testSizes, Shared: -1, Fuse: -1},
		sharedMem: anon(testSizes.shared()),
		fuseMem:   anon(testSizes.fuse()),
	}
	m.overlay()
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// TestWatchThread fills the table of threads, whatever their numbers, and makes room again.
func TestWatchThread(t *testing.T) {
	m := newBare(t)
	if err := m.WatchThread(0); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("thread 0: %v", err)
	}
	for tid := uint32(1000); tid < 1000+maxReactors; tid++ {
		for range 2 { // the second time it is watched already
			if err := m.WatchThread(tid); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := m.WatchThread(1); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("one too many: %v", err)
	}
	m.head.reactors[5].other.Store(77) // of thread 1005
	m.ForgetThread(1005)
	if err := m.WatchThread(50000); err != nil {
		t.Errorf("in place of one that was forgotten: %v", err)
	}
	s := m.Stats()
	if r := s.Reactors[5]; len(s.Reactors) != maxReactors || r.TID != 50000 || r.Other != 0 {
		t.Errorf("it is %+v", r)
	}
	for i := range s.Reactors {
		m.ForgetThread(s.Reactors[i].TID)
	}
	// Numbers that have the same place are found at those behind it, of which there are few.
	same := places(7, indexBits)[0]
	n := 0
	for tid := uint32(7); n <= probes; tid++ {
		if places(tid, indexBits)[0] != same {
			continue
		}
		if n++; n <= probes {
			if err := m.WatchThread(tid); err != nil {
				t.Error(err)
			}
		} else if err := m.WatchThread(tid); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("too many at one place: %v", err)
		}
	}
}

func TestWatchConnection(t *testing.T) {
	m := newBare(t)
	if _, err := m.WatchConnection(0); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("connection 0: %v", err)
	}
	for number := uint32(40); number < 40+maxMounts; number++ {
		for range 2 {
			if r, err := m.WatchConnection(number); err != nil || r == nil {
				t.Fatal(r, err)
			}
		}
	}
	if _, err := m.WatchConnection(1); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("one too many: %v", err)
	}
	for shard := range testSizes.Shards {
		m.tables[shard*maxMounts+3].ops[1].queue.buckets[0].Store(5) // of connection 43
	}
	c := m.Stats().Connections[3]
	if n := c.Opcodes[0].Queue.Count(); c.Number != 43 || n != 10 {
		t.Errorf("it is %+v", c)
	}
	m.ForgetConnection(43)
	if _, err := m.WatchConnection(43); err != nil {
		t.Error(err)
	}
	if c := m.Stats().Connections[3]; c.Number != 43 || len(c.Opcodes) != 0 {
		t.Errorf("after it was forgotten it is %+v", c)
	}
}

// TestRequests pins what a reactor puts down, and for which requests.
func TestRequests(t *testing.T) {
	m := newBare(t)
	r, err := m.WatchConnection(40)
	if err != nil {
		t.Fatal(err)
	}
	var ts unix.Timespec
	now := func() uint64 {
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
			t.Fatal(err)
		}
		return uint64(ts.Nano())
	}
	near := func(got, from uint64) bool { return got+1000 >= from && got <= now()+1000 } // a microsecond
	began := now()
	s := &m.fuse.stamps[0][7]
	r.Reply(14) // which was never read
	if s.write.Load() != 0 {
		t.Error("the answer to another request was put down")
	}
	r.Read(14)
	r.Read(15) // the INTERRUPT of it
	if s.unique.Load() != 14 || !near(s.read.Load(), began) || s.write.Load() != 0 {
		t.Errorf("after reading: %d at %d, the time is %d", s.unique.Load(), s.read.Load(), now())
	}
	replied := now()
	r.Reply(14)
	if !near(s.write.Load(), replied) {
		t.Errorf("the answer is put down at %d, the time is %d", s.write.Load(), now())
	}
	r.Read(14 + 2*maxStamps) // takes its place
	if s.unique.Load() != 14+2*maxStamps || s.write.Load() != 0 {
		t.Error("the place was not taken over")
	}
	if n := testing.AllocsPerRun(100, func() { r.Read(2); r.Reply(2) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestStats decodes what programs may have written.
func TestStats(t *testing.T) {
	m := newBare(t)
	if err := m.WatchThread(77); err != nil {
		t.Fatal(err)
	}
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	r := &m.head.reactors[0]
	r.state.Store(uint32(Preempted))
	r.since.Store(uint64(ts.Nano()) - uint64(time.Second))
	r.preempted.buckets[2].Store(3)
	r.preempted.sum.Store(5000)
	r.preempted.max.Store(1900)
	for i, k := range []struct {
		pid       uint32
		comm      string
		ns, count uint64
	}{
		{0, "swapper/1", 10, 1}, {4, "fifteen letters", 30, 2}, {5, "bad\xff\xfe", 20, 1}, {6, "not yet", 0, 0},
	} {
		var comm [16]byte
		copy(comm[:], k.comm)
		e := &r.takers[3*i]
		e.key.Store(k.pid + 1)
		e.ns.Store(k.ns)
		e.count.Store(k.count)
		e.comm[0].Store(binary.NativeEndian.Uint64(comm[:8]))
		e.comm[1].Store(binary.NativeEndian.Uint64(comm[8:]))
	}
	got := m.Stats().Reactors[0]
	if got.For < time.Second || got.For > time.Minute {
		t.Errorf("preempted for %v, want a second", got.For)
	}
	got.For = 0
	want := Reactor{
		TID: 77, State: Preempted, Preempted: Histogram{Sum: 5000, Max: 1900},
		Takers: []Taker{{4, "fifteen letters", 30, 2}, {5, "bad?", 20, 1}, {0, "swapper/1", 10, 1}},
	}
	want.Preempted.Buckets[2] = 3
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if text := State(99).String(); text != "unknown" {
		t.Errorf("state 99 is %s", text)
	}
}

// TestClosed pins that nothing touches what is not mapped any more.
func TestClosed(t *testing.T) {
	m := newBare(t)
	if err := m.WatchThread(1); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := m.WatchThread(2); !errors.Is(err, syscall.EBADF) {
		t.Errorf("watch a thread: %v", err)
	}
	if _, err := m.WatchConnection(2); !errors.Is(err, syscall.EBADF) {
		t.Errorf("watch a connection: %v", err)
	}
	m.ForgetThread(1)
	m.ForgetConnection(1)
	if s := m.Stats(); len(s.Reactors)+len(s.Connections) != 0 {
		t.Errorf("statistics: %+v", s)
	}
}

// TestResumeRefuses wants no more of what a process is told by its environment than it can be sure of.
func TestResumeRefuses(t *testing.T) {
	for _, k := range []Kept{
		{Sizes: sizes{0, 1}, Shared: -1, Fuse: -1},
		{Sizes: sizes{1, 0}, Shared: -1, Fuse: -1},
		{Sizes: sizes{1, maxShards + 1}, Shared: -1, Fuse: -1},
		{Sizes: sizes{1, 1}, Shared: -1, Fuse: -1},
	} {
		if m, err := Resume(&k); err == nil {
			t.Errorf("%+v becomes %+v", k, m)
		}
	}
}

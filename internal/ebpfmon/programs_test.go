package ebpfmon

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// skipReason is what a machine lacks, so that it cannot run a test.
type skipReason string

const notPermitted skipReason = "the kernel, or who runs the tests, does not permit programs in it"

// skip gives up on a test for a reason, and fails it where root has no need to.
func skip(t testing.TB, reason skipReason, err error) {
	t.Helper()
	if os.Getenv("CI") != "" && os.Geteuid() == 0 {
		t.Fatalf("%s: %v", reason, err)
	}
	t.Skipf("%s: %v", reason, err)
}

// need skips the test if err is because of the machine, and fails it for any other.
func need(t testing.TB, err error) {
	t.Helper()
	if err == nil {
		return
	}
	var verifier *ebpf.VerifierError
	if errors.As(err, &verifier) {
		t.Logf("%+v", verifier)
	}
	var why *Error
	if !errors.As(err, &why) {
		why = refuse(err)
	}
	if why.Machine() {
		skip(t, notPermitted, err)
	}
	t.Fatal(err)
}

// newRun loads a program that is run by hand, with its arguments at r6, over the memory of a monitor.
func newRun(t *testing.T, build func(b *builder)) (m *Monitor, run func(args ...uint64)) {
	t.Helper()
	b := &builder{}
	b.add(asm.Mov.Reg(r6, r1))
	build(b)
	coll, err := ebpf.NewCollection(&ebpf.CollectionSpec{
		Maps: map[string]*ebpf.MapSpec{mapShared: {
			Type: ebpf.Array, KeySize: 4, ValueSize: uint32(testSizes.shared()), MaxEntries: 1, Flags: bpfMmapable,
		}},
		Programs: map[string]*ebpf.ProgramSpec{"run": {
			Type: ebpf.RawTracepoint, License: license, Instructions: b.end(),
		}},
	})
	need(t, err)
	t.Cleanup(coll.Close)
	fd, err := dup(coll.Maps[mapShared].FD())
	if err != nil {
		t.Fatal(err)
	}
	kept := Kept{Sizes: testSizes, Shared: fd, Fuse: -1}
	if m, err = kept.open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m, func(args ...uint64) {
		t.Helper()
		if _, err := coll.Programs["run"].Run(&ebpf.RunOptions{Context: args}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCount runs the instructions that count a duration beside what this package takes their result for.
func TestCount(t *testing.T) {
	m, run := newRun(t, func(b *builder) {
		b.add(
			asm.LoadMem(r1, r6, 0, u64),
			mapValue(r5, mapShared, offReactors+offPreempted),
		)
		b.count("test")
	})
	var want Histogram
	add := func(ns uint64) {
		run(ns)
		want.Buckets[bucketOf(ns)]++
		want.Sum += ns
		want.Max = max(want.Max, ns)
	}
	for bit := range 64 {
		add(1 << bit)
		add(1<<bit - 1)
	}
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 0))
	for range 100 {
		add(rnd.Uint64() >> rnd.IntN(64))
	}
	if diff := cmp.Diff(want, m.head.reactors[0].preempted.read()); diff != "" {
		t.Errorf("seed %d: %s", seed, diff)
	}
}

// TestAccount charges more processes than there are accounts: nothing gets lost, and who takes much keeps an account.
func TestAccount(t *testing.T) {
	m, run := newRun(t, func(b *builder) {
		b.add(
			asm.Mov.Reg(r7, r6),
			asm.LoadMem(r1, r7, 0, u64),
			asm.LoadMem(r4, r7, 8, u64),
			mapValue(r5, mapShared, offReactors),
		)
		b.account()
		b.add(
			asm.AddAtomic.Mem(r0, r4, u64, offTakerNS),
			asm.Mov.Imm(r1, 1),
			asm.AddAtomic.Mem(r0, r1, u64, offTakerCount),
		)
	})
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 0))
	const greedy = 4711
	var all, greedyNS uint64
	for i := range 2000 {
		pid, ns := uint64(rnd.IntN(300)), uint64(rnd.IntN(1000))
		if i%3 == 0 {
			pid, ns = greedy, 1000
			greedyNS += ns
		}
		run(pid+1, ns)
		all += ns
	}
	r := m.head.reactors[0].read(0)
	sum := r.Other
	pids := map[uint32]bool{}
	for _, k := range r.Takers {
		sum += k.NS
		if pids[k.PID] {
			t.Errorf("seed %d: process %d has two accounts", seed, k.PID)
		}
		pids[k.PID] = true
	}
	if sum != all || len(r.Takers) != maxTakers {
		t.Errorf("seed %d: %d accounts and what is apart have %d ns of %d", seed, len(r.Takers), sum, all)
	}
	if k := r.Takers[0]; k.PID != greedy || k.NS != greedyNS {
		t.Errorf("seed %d: %+v is first, want process %d with %d ns", seed, k, greedy, greedyNS)
	}
}

// TestLoadOlder loads and runs the programs as for kernels that tell less, which this one tells as well.
func TestLoadOlder(t *testing.T) {
	k, err := readKernel()
	need(t, err)
	for _, test := range []struct {
		name   string
		change func(k *kernel)
	}{
		{"as it is", func(*kernel) {}},
		{"no CPU of the thread", func(k *kernel) { k.cpu = -1 }},
		{"no FUSE", func(k *kernel) { k.fuse = nil }},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := *k
			test.change(&k)
			s, err := machineSizes()
			if err != nil {
				t.Fatal(err)
			}
			m, err := load(&k, k.fuse != nil, int32(os.Getpid()), s)
			need(t, err)
			defer m.Close()
			sleepWatched(t, m, k.cpu >= 0)
			if r, err := m.WatchConnection(1); err != nil || (r != nil) != (k.fuse != nil) {
				t.Errorf("a connection: %v, %v", r, err)
			}
		})
	}
}

// sleepWatched has a thread sleep a few times, and wants that to be seen, and who had the CPU after the wake-ups.
func sleepWatched(t *testing.T, m *Monitor, charged bool) {
	t.Helper()
	const times, length = 20, time.Millisecond
	const most = times * 8 / 10 // a hypervisor's kernel may not report every switch
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		err := m.WatchThread(uint32(unix.Gettid()))
		for range times {
			ts := unix.NsecToTimespec(int64(length))
			_ = unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, &ts, nil)
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	r := m.Stats().Reactors[0]
	if n := r.Voluntary.Count(); n < most || r.Voluntary.Sum < most*uint64(length) {
		t.Errorf("%d sleeps of %v: %+v", times, length, r.Voluntary)
	}
	if n := r.Runqueue.Count(); n < most {
		t.Errorf("%d waits after %d wake-ups: %+v", n, times, r)
	}
	if charged && len(r.Takers) == 0 {
		t.Errorf("nobody had the CPU after the wake-ups: %+v", r)
	}
}

// noRightsEnv says that the test runs as a user who may do nothing.
const noRightsEnv = "SPDK_EBPF_TEST_NO_RIGHTS"

// TestOpenWithoutRights opens a monitor as a user who may not: root has somebody else do that.
func TestOpenWithoutRights(t *testing.T) {
	if os.Geteuid() == 0 && os.Getenv(noRightsEnv) == "" {
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestOpenWithoutRights$")
		cmd.Env = append(os.Environ(), noRightsEnv+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	m, err := Open()
	var why *Error
	if !errors.As(err, &why) || !why.Machine() || !errors.Is(err, fs.ErrPermission) {
		t.Errorf("without rights: %v", err)
	}
	if err == nil {
		m.Close()
	}
}

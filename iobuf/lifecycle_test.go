package iobuf

import (
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

func TestOpts(t *testing.T) {
	h := reactortest.New(t, 1)
	fw := h.Framework
	defaults := Opts{SmallPoolCount: 8192, LargePoolCount: 1024, SmallBufsize: 8192, LargeBufsize: 135168}
	if diff := cmp.Diff(defaults, GetOpts(fw)); diff != "" {
		t.Error(diff)
	}
	for _, o := range []Opts{
		{SmallPoolCount: 63},
		{LargePoolCount: 7},
		{SmallBufsize: 4095},
		{LargeBufsize: 8191},
		{SmallPoolCount: -1},
		{SmallBufsize: 1 << 20}, // more than a large one
		{LargePoolCount: -1, NoMinimum: true},
	} {
		if err := SetOpts(fw, o); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("%+v: %v, want EINVAL", o, err)
		}
		if err := Initialize(h.Threads[0], o); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("initialized with %+v: %v, want EINVAL", o, err)
		}
	}
	if diff := cmp.Diff(defaults, GetOpts(fw)); diff != "" {
		t.Errorf("options that were refused are used: %s", diff)
	}
	if err := SetOpts(fw, Opts{SmallPoolCount: 64, LargePoolCount: 8, SmallBufsize: 4097}); err != nil {
		t.Error(err)
	}
	if err := Initialize(h.Threads[0], Opts{LargeBufsize: 10_000}); err != nil {
		t.Fatal(err)
	}
	want := Opts{SmallPoolCount: 64, LargePoolCount: 8, SmallBufsize: 8192, LargeBufsize: 12288}
	if diff := cmp.Diff(want, GetOpts(fw)); diff != "" {
		t.Errorf("options in use: %s", diff)
	}
	if err := SetOpts(fw, Opts{}); !errors.Is(err, syscall.EBUSY) {
		t.Errorf("options that have no effect: %v, want EBUSY", err)
	}
	if err := Initialize(h.Threads[0], Opts{}); !errors.Is(err, syscall.EALREADY) {
		t.Errorf("second Initialize: %v, want EALREADY", err)
	}
	Finish(h.Threads[0], nil, nil)
	if err := Initialize(h.Threads[0], Opts{}); !errors.Is(err, syscall.EALREADY) {
		t.Errorf("Initialize during Finish: %v, want EALREADY", err)
	}
	h.PollThreads()
	want = Opts{SmallPoolCount: 64, LargePoolCount: 8, SmallBufsize: 4097, LargeBufsize: DefaultLargeBufsize}
	if diff := cmp.Diff(want, GetOpts(fw)); diff != "" {
		t.Errorf("options after Finish: %s", diff)
	}
}

func TestInitializeNeedsMemory(t *testing.T) {
	h := reactortest.New(t, 1)
	for _, o := range []Opts{{SmallPoolCount: 1 << 50}, {LargePoolCount: 1 << 50}} {
		if err := Initialize(h.Threads[0], o); !errors.Is(err, syscall.ENOMEM) {
			t.Errorf("%v, want ENOMEM", err)
		}
	}
	if err := Initialize(h.Threads[0], Opts{}); err != nil {
		t.Error(err)
	}
	Finish(h.Threads[0], nil, nil)
	h.PollThreads()
}

func TestModules(t *testing.T) {
	h := reactortest.New(t, 1)
	fw, th := h.Framework, h.Threads[0]
	for _, tc := range []struct {
		what string
		fn   func() error
		want error
	}{
		{"register", func() error { return RegisterModule(fw, "a") }, nil},
		{"register again", func() error { return RegisterModule(fw, "a") }, syscall.EEXIST},
		{"register another", func() error { return RegisterModule(fw, "b") }, nil},
		{"open before Initialize", func() error { return new(Channel).Init(th, "a", 0, 0) }, syscall.ENODEV},
		{"initialize", func() error { return Initialize(th, Opts{}) }, nil},
		{"open for a stranger", func() error { return new(Channel).Init(th, "c", 0, 0) }, syscall.ENODEV},
		{"open with a negative cache", func() error { return new(Channel).Init(th, "a", 0, -1) }, syscall.EINVAL},
		{"unregister", func() error { return UnregisterModule(fw, "a") }, nil},
		{"unregister again", func() error { return UnregisterModule(fw, "a") }, syscall.ENOENT},
		{"open after that", func() error { return new(Channel).Init(th, "a", 0, 0) }, syscall.ENODEV},
		{"register again after that", func() error { return RegisterModule(fw, "a") }, nil},
	} {
		if err := tc.fn(); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.what, err, tc.want)
		}
	}
	Finish(th, nil, nil)
	if err := new(Channel).Init(th, "a", 0, 0); !errors.Is(err, syscall.ENODEV) {
		t.Errorf("open during Finish: %v, want ENODEV", err)
	}
	h.PollThreads()
	if err := UnregisterModule(fw, "b"); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("modules have survived Finish: %v", err)
	}
}

// TestFrameworksAreApart: what one framework does concerns no other.
func TestFrameworksAreApart(t *testing.T) {
	a, b := newBench(t, 1, 1), newBench(t, 1, 1)
	ch, other := a.open(0, 1), b.open(0, 0)
	buf := hold(t, other, 1, 1)[0]
	mustPanic(t, "no buffer", func() { ch.Put(buf) })
	w := take(other, 1)
	put(ch, hold(t, ch, 1, 1)...)
	a.PollThreads()
	b.PollThreads()
	if len(w.bufs) != 0 {
		t.Error("got a buffer of another framework")
	}
	other.Put(buf)
	put(other, w.bufs...)
	a.mustFinish(ch)
	b.mustFinish(other)
}

func TestFinishReportsLeaks(t *testing.T) {
	b := newBench(t, 2, 4)
	if err := RegisterModule(b.Framework, "tidy"); err != nil {
		t.Fatal(err)
	}
	if err := RegisterModule(b.Framework, "other"); err != nil {
		t.Fatal(err)
	}
	mod := b.open(0, 1)
	var tidy, other Channel
	if err := tidy.Init(b.Threads[1], "tidy", 0, 0); err != nil {
		t.Fatal(err)
	}
	if err := other.Init(b.Threads[1], "other", 0, 0); err != nil {
		t.Fatal(err)
	}
	small := hold(t, mod, 1, 3)
	hold(t, &other, 1, 1)
	w := take(&other, 1)
	mod.Put(small[0]) // from "mod" to "other"
	large := hold(t, mod, 8192, 3)
	tidy.Put(large[0])
	hold(t, &tidy, 8192, 1)
	tidy.Put(large[1]) // "tidy" has put what it has not got, and not what it has got
	b.PollThreads()
	if len(w.bufs) != 1 {
		t.Fatal("got no buffer")
	}
	err := b.finish(mod, &tidy, &other)
	var leaks *LeakError
	if !errors.As(err, &leaks) || !errors.Is(err, syscall.EBUSY) {
		t.Fatalf("%v", err)
	}
	want := []Leak{{Module: "mod", Small: 2, Large: 1}, {Module: "other", Small: 2}, {Module: "tidy", Large: 1}}
	slices.SortFunc(leaks.Leaks, func(a, b Leak) int { return strings.Compare(a.Module, b.Module) })
	if diff := cmp.Diff(want, leaks.Leaks); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(err.Error(), `"mod" has 2 small and 1 large`) {
		t.Error(err)
	}
	small[1][0] = 1 // still mapped
}

func TestFinishWaitsForChannels(t *testing.T) {
	b := newBench(t, 2, 4)
	ch, other := b.open(0, 2), b.open(1, 2)
	var order []string
	Finish(b.Threads[0], func(th *reactor.Thread, _ any, err error) {
		if th != b.Threads[0] || err != nil {
			t.Errorf("on %s: %v", th.Name(), err)
		}
		order = append(order, "first")
	}, nil)
	Finish(b.Threads[1], func(_ *reactor.Thread, _ any, err error) {
		if !errors.Is(err, syscall.EALREADY) {
			t.Error(err)
		}
		order = append(order, "second")
	}, nil)
	b.PollThreads()
	put(ch, hold(t, ch, 1, 2)...) // channels go on
	ch.Fini()
	b.PollThreads()
	order = append(order, "last channel")
	other.Fini()
	b.PollThreads()
	Finish(b.Threads[0], func(_ *reactor.Thread, _ any, err error) {
		if err != nil {
			t.Error(err)
		}
		order = append(order, "not initialized")
	}, nil)
	b.PollThreads()
	if diff := cmp.Diff([]string{"second", "last channel", "first", "not initialized"}, order); diff != "" {
		t.Error(diff)
	}
	b.CheckExit()
}

func TestLevels(t *testing.T) {
	b := newBench(t, 2, 16)
	want := func(smallFree, waiting int) {
		t.Helper()
		s, l, errno := Levels(b.Framework)
		if diff := cmp.Diff([]PoolLevel{{4096, 16, smallFree, waiting}, {8192, 16, 12, 0}}, []PoolLevel{s, l}); diff != "" ||
			errno != 0 {
			t.Errorf("%v %s", errno, diff)
		}
	}
	idle, ch := b.open(1, 4), b.open(0, 0)
	want(12, 0) // the others are in the cache
	held := hold(t, ch, 1, 12)
	want(0, 0)
	e := take(ch, 1)
	want(0, 1)
	ch.EntryAbort(&e.Entry)
	put(ch, held...)
	want(12, 0)
	b.mustFinish(idle, ch)
	if _, _, errno := Levels(b.Framework); errno != syscall.ENODEV {
		t.Errorf("after Finish: %v", errno)
	}
}

func TestStats(t *testing.T) {
	b := newBench(t, 2, 16)
	if err := RegisterModule(b.Framework, "other"); err != nil {
		t.Fatal(err)
	}
	stats := func() (got []ModuleStats) {
		t.Helper()
		calls := 0
		errno := GetStats(b.Threads[1], func(th *reactor.Thread, ctx any, stats []ModuleStats, status syscall.Errno) {
			if calls++; th != b.Threads[1] || ctx != b || status != 0 {
				t.Errorf("on %s, %v", th.Name(), status)
			}
			got = stats
		}, b)
		if errno != 0 || calls != 0 {
			t.Errorf("%v, called back from inside %d times", errno, calls)
		}
		b.PollThreads()
		if calls != 1 {
			t.Errorf("called back %d times", calls)
		}
		return got
	}
	chs := []*Channel{b.open(0, 2), b.open(0, 0), b.open(1, 3)} // two of one module on a thread
	var other Channel
	if err := other.Init(b.Threads[1], "other", 1, 2); err != nil {
		t.Fatal(err)
	}
	held := hold(t, chs[0], 1, 4)                 // 2 out of the cache, 1 out of the pool, 1 out of the cache
	held = append(held, hold(t, chs[1], 1, 7)...) // out of the pool
	held = append(held, hold(t, chs[2], 1, 3)...) // out of the cache
	held = append(held, hold(t, &other, 1, 2)...)
	take(chs[1], 1)
	take(&other, 1)
	large := hold(t, &other, 8192, 1)
	want := []ModuleStats{
		{"mod", PoolStats{CacheSize: 5, Cache: 6, Main: 8, Retry: 1}, PoolStats{CacheSize: 5}},
		{"other", PoolStats{CacheSize: 1, Cache: 1, Main: 1, Retry: 1}, PoolStats{CacheSize: 2, Cache: 1}},
	}
	if diff := cmp.Diff(want, stats()); diff != "" {
		t.Error(diff)
	}
	// Channels that are gone still count.
	for _, ch := range append(chs, &other) {
		ch.ForEachEntry(func(ch *Channel, e *Entry, _ any) syscall.Errno { ch.EntryAbort(e); return 0 }, nil)
	}
	put(chs[0], held...)
	put(&other, large...)
	chs[1].Fini()
	chs[2].Fini()
	want[0].Small.CacheSize, want[0].Large.CacheSize = 2, 2
	if diff := cmp.Diff(want, stats()); diff != "" {
		t.Error(diff)
	}
	if err := UnregisterModule(b.Framework, "mod"); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(want[1:], stats()); diff != "" {
		t.Error(diff)
	}
	b.mustFinish(chs[0], &other)
	if errno := GetStats(reactortest.New(t, 1).Threads[0], nil, nil); errno != syscall.ENODEV {
		t.Errorf("not initialized: %v", errno)
	}
}

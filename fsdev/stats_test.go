package fsdev_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

// gathered is what a StatsFunc was called with.
type gathered struct {
	t     *reactor.Thread
	calls int
	got   *fsdev.DeviceStats
	errno syscall.Errno
}

func gatherDone(t *reactor.Thread, ctx any, s *fsdev.DeviceStats, errno syscall.Errno) {
	g := ctx.(*gathered)
	g.t, g.got, g.errno = t, s, errno
	g.calls++
}

// stats returns the counts of f, which are asked for on the app thread.
func (e *env) stats(f *fsdev.Fsdev) *fsdev.DeviceStats { return e.gather(f.Stats) }

func (e *env) gather(fn func(*reactor.Thread, fsdev.StatsFunc, any)) *fsdev.DeviceStats {
	e.tb.Helper()
	g := &gathered{}
	fn(e.t, gatherDone, g)
	if g.calls != 0 {
		e.tb.Error("called back from inside the call")
	}
	e.PollThreads()
	if g.calls != 1 || g.t != e.t || g.errno != 0 {
		e.tb.Fatalf("called back %d times, errno %v", g.calls, g.errno)
	}
	return g.got
}

// histograms switches the histograms of f.
func (e *env) histograms(f *fsdev.Fsdev, on bool) {
	e.tb.Helper()
	calls := 0
	f.EnableHistograms(e.t, on, func(th *reactor.Thread, ctx any, errno syscall.Errno) {
		if th != e.t || ctx != "ctx" || errno != 0 {
			e.tb.Errorf("called back on %s with %v: %v", th.Name(), ctx, errno)
		}
		calls++
	}, "ctx")
	e.PollThreads()
	if calls != 1 || f.HistogramsEnabled() != on {
		e.tb.Errorf("called back %d times, on %v", calls, f.HistogramsEnabled())
	}
}

func TestStatsCountEveryOperation(t *testing.T) {
	o := newOpened(t)
	c := &completions{ch: o.ch, tb: t}
	fails := syscall.Errno(0)
	o.dev.submit = func(io *fsdev.IO) {
		fill(io)
		io.Complete(fails)
	}
	var want fsdev.DeviceStats
	want.TicksHz = 1e9
	for _, op := range operations {
		for _, fails = range []syscall.Errno{0, 0, syscall.EIO} {
			op.call(o.desc, o.ch, c)
			o.PollThreads()
		}
		s := &want.Ops[op.io.Type]
		s.Count, s.Errors = 3, 1
	}
	for _, typ := range []fsdev.IOType{fsdev.IORead, fsdev.IOWrite, fsdev.IOCopyFileRange} {
		want.Ops[typ].Bytes = 2 * 303
	}
	want.Channels = []fsdev.ChannelStats{{Thread: "thread1", ThreadID: 1, Stats: want.Stats}}
	got := o.stats(o.f)
	if diff := cmp.Diff(&want, got); diff != "" {
		t.Error(diff)
	}
	if got.BytesRead() != 606 || got.BytesWritten() != 606 {
		t.Errorf("%d bytes read, %d written", got.BytesRead(), got.BytesWritten())
	}
	n := uint64(len(operations))
	if total := (fsdev.OpStats{Count: 3 * n, Errors: n, Bytes: 3 * 606}); got.Total() != total {
		t.Errorf("in total %+v, want %+v", got.Total(), total)
	}
}

func TestStatsOfAChannel(t *testing.T) {
	o := newOpened(t)
	for i := 1; o.desc.Umount(o.ch, 0, func(any, *iochannel.Channel, syscall.Errno) {}, nil) == 0; i++ {
		if i == 64 {
			o.dev.completeAll(0)
		}
	}
	var got fsdev.Stats
	o.desc.ChannelStats(o.ch, &got)
	if got.Ops[fsdev.IOUmount].Count != 64 || got.NoIO != 1 || got.InFlight != 64 {
		t.Errorf("%d completed, %d in flight, %d without an IO", got.Ops[fsdev.IOUmount].Count, got.InFlight, got.NoIO)
	}
	if size, free := fsdev.IOPoolLevel(o.t); size != 64 || free != 0 {
		t.Errorf("%d of %d IO are free", free, size)
	}
	o.dev.completeAll(0)
	o.PollThreads()
	if size, free := fsdev.IOPoolLevel(o.t); size != 64 || free < 64-16 {
		t.Errorf("%d of %d IO are free at the end", free, size)
	}
	o.desc.ChannelStats(o.ch, &got)
	if got.Ops[fsdev.IOUmount].Count != 128 || got.InFlight != 0 {
		t.Errorf("at the end: %d completed, %d in flight", got.Ops[fsdev.IOUmount].Count, got.InFlight)
	}
}

// user is a descriptor with a channel on each thread.
type user struct {
	*env
	dev  *fakeDevice
	f    *fsdev.Fsdev
	desc *fsdev.Desc
	chs  []*iochannel.Channel // nil once put
}

func newUser(tb testing.TB, threads int) *user {
	tb.Helper()
	u := &user{env: newEnvOpts(tb, threads, fsdev.Opts{IOPoolSize: 256, IOCacheSize: 16})}
	u.dev, u.f = u.register("fs0")
	u.desc = u.open(u.t, "fs0", nil)
	for _, th := range u.Threads {
		u.chs = append(u.chs, u.desc.IOChannel(th))
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			return
		}
		for i := range u.chs {
			u.put(i)
		}
		u.PollThreads()
		u.desc.Close()
	})
	return u
}

func (u *user) put(i int) {
	if ch := u.chs[i]; ch != nil {
		u.chs[i] = nil
		ch.Put()
	}
}

// do has n operations completed on channel i.
func (u *user) do(i, n int) {
	u.dev.submit = func(io *fsdev.IO) { io.Complete(0) }
	for range n {
		u.desc.Umount(u.chs[i], 0, func(any, *iochannel.Channel, syscall.Errno) {}, nil)
		u.PollThread(i)
	}
	u.dev.submit = nil
}

// counts returns the operations completed in total, and per channel.
func counts(s *fsdev.DeviceStats) (total uint64, channels []uint64) {
	for i := range s.Channels {
		channels = append(channels, s.Channels[i].Total().Count)
	}
	return s.Total().Count, channels
}

func TestStatsKeepTheCountsOfChannelsThatAreGone(t *testing.T) {
	u := newUser(t, 3)
	for i := range 3 {
		u.do(i, 1<<i)
	}
	for gone, want := range [][]uint64{{1, 2, 4}, {2, 4}, {4}, nil} {
		total, channels := counts(u.stats(u.f))
		if diff := cmp.Diff(want, channels); diff != "" || total != 7 {
			t.Errorf("%d channels gone: in total %d, %s", gone, total, diff)
		}
		if gone < 3 {
			u.put(gone)
			u.PollThreads()
		}
	}
}

func TestResetStats(t *testing.T) {
	u := newUser(t, 3)
	for i := range 3 {
		u.do(i, 1<<i)
	}
	u.put(0)
	u.PollThreads()
	u.desc.Umount(u.chs[1], 0, func(any, *iochannel.Channel, syscall.Errno) {}, nil)
	if total, _ := counts(u.gather(u.f.ResetStats)); total != 7 {
		t.Errorf("the reset found %d", total)
	}
	s := u.stats(u.f)
	if total, channels := counts(s); total != 0 || len(channels) != 2 || s.InFlight != 1 {
		t.Errorf("after a reset: %d, on channels %v, %d in flight", total, channels, s.InFlight)
	}
	u.dev.completeAll(0)
	u.do(2, 3)
	u.f.ResetStats(u.t, nil, nil)
	u.put(2)
	u.PollThreads()
	if total, _ := counts(u.stats(u.f)); total != 0 {
		t.Errorf("after a reset and the end of a channel: %d", total)
	}
}

// TestStatsOfChannelsThatGoMeanwhile lets a channel go at every step of several walks at once.
// Nothing is lost or counted twice.
func TestStatsOfChannelsThatGoMeanwhile(t *testing.T) {
	for step := range 12 {
		u := newUser(t, 3)
		for i := range 3 {
			u.do(i, 1<<i)
		}
		reads, resets := [2]gathered{}, [2]gathered{}
		u.f.Stats(u.Threads[0], gatherDone, &reads[0])
		u.f.ResetStats(u.Threads[1], gatherDone, &resets[0])
		for i := range step {
			u.Threads[i%3].Poll(0, 0)
		}
		u.f.ResetStats(u.Threads[2], gatherDone, &resets[1])
		u.put(1)
		u.put(2)
		u.PollThreads()
		u.f.Stats(u.t, gatherDone, &reads[1])
		u.PollThreads()
		sum := uint64(0)
		for _, g := range resets {
			total, _ := counts(g.got)
			sum += total
		}
		left, _ := counts(reads[1].got)
		if sum != 7 || left != 0 {
			t.Errorf("step %d: two resets found %d, %d are left", step, sum, left)
		}
		if n, _ := counts(reads[0].got); n > 7 {
			t.Errorf("step %d: %d were read", step, n)
		}
	}
}

func TestStatsOfADeviceThatIsGone(t *testing.T) {
	e := newEnv(t, 1)
	_, f := e.register("fs0")
	f.Unregister(e.t, nil, nil)
	e.PollThreads()
	g := &gathered{}
	f.Stats(e.t, gatherDone, g)
	var switched syscall.Errno
	f.EnableHistograms(e.t, true, func(_ *reactor.Thread, _ any, errno syscall.Errno) { switched = errno }, nil)
	f.EnableHistograms(e.t, false, nil, nil)
	e.PollThreads()
	if g.calls != 1 || g.errno != syscall.ENODEV || g.got == nil || switched != syscall.ENODEV {
		t.Errorf("got %+v, switched %v", g, switched)
	}
}

func TestHistogramsAreOffAtFirst(t *testing.T) {
	u := newUser(t, 1)
	u.do(0, 1)
	if s := u.stats(u.f); s.Histograms != nil || s.Channels[0].Histograms != nil || u.f.HistogramsEnabled() {
		t.Error("there are histograms")
	}
}

// took has one operation take so long.
func (u *user) took(i int, d time.Duration) {
	u.desc.Umount(u.chs[i], 0, func(any, *iochannel.Channel, syscall.Errno) {}, nil)
	u.Advance(d)
	u.dev.completeAll(0)
}

func TestHistogramsTimeFromSubmitToCompletion(t *testing.T) {
	u := newUser(t, 2)
	u.histograms(u.f, true)
	if s := u.stats(u.f); s.Histograms == nil {
		t.Fatal("there are none")
	}
	u.took(0, 1000)
	u.took(0, 3000)
	u.took(1, 5000)
	s := u.stats(u.f)
	h := s.Histograms[fsdev.IOUmount]
	if h.Count() != 3 || h.Sum != 9000 || h.Max != 5000 || s.TicksHz != 1e9 {
		t.Errorf("%d IO in %d ticks, at most %d", h.Count(), h.Sum, h.Max)
	}
	if h := s.Channels[1].Histograms[fsdev.IOUmount]; h.Count() != 1 || h.Quantile(0.5) != 5000 {
		t.Errorf("on the second channel: %d IO, median %d", h.Count(), h.Quantile(0.5))
	}
	if h := s.Histograms[fsdev.IORead]; h.Count() != 0 {
		t.Errorf("%d READs", h.Count())
	}
	// It stays when the channel goes, and goes when it is reset.
	u.put(1)
	u.PollThreads()
	if s := u.gather(u.f.ResetStats); s.Histograms[fsdev.IOUmount].Count() != 3 {
		t.Errorf("%d IO after a channel has gone", s.Histograms[fsdev.IOUmount].Count())
	}
	if s := u.stats(u.f); s.Histograms[fsdev.IOUmount].Count() != 0 {
		t.Error("a reset leaves histograms")
	}
}

// What was submitted while histograms were off is not timed, whatever its IO kept of before.
func TestHistogramsLeaveOutWhatIsInFlight(t *testing.T) {
	u := newUser(t, 1)
	for range 3 {
		u.histograms(u.f, true)
		u.took(0, 10)
		u.desc.Umount(u.chs[0], 0, func(any, *iochannel.Channel, syscall.Errno) {}, nil)
		u.histograms(u.f, false)
		if u.stats(u.f).Histograms != nil {
			t.Error("switched off, they are still there")
		}
		u.dev.completeAll(0)
		for range 20 {
			u.desc.Umount(u.chs[0], 0, func(any, *iochannel.Channel, syscall.Errno) {}, nil)
		}
		u.histograms(u.f, true)
		u.Advance(time.Hour)
		u.dev.completeAll(0)
		if h := u.stats(u.f).Histograms[fsdev.IOUmount]; h.Count() != 0 {
			t.Errorf("%d IO were timed, %d ticks at most", h.Count(), h.Max)
		}
	}
}

func TestHistogramsOfChannelsThatComeAndGo(t *testing.T) {
	u := newUser(t, 2)
	u.put(1)
	u.PollThreads()
	u.histograms(u.f, true)
	u.chs[1] = u.desc.IOChannel(u.Threads[1])
	u.took(1, 10)
	if h := u.stats(u.f).Histograms[fsdev.IOUmount]; h.Count() != 1 {
		t.Error("a channel that came later has no histograms")
	}
	// A channel goes between the switch and the visit that tells it.
	u.f.EnableHistograms(u.Threads[0], false, nil, nil)
	u.put(1)
	u.PollThreads()
	u.histograms(u.f, true)
	if h := u.stats(u.f).Histograms[fsdev.IOUmount]; h.Count() != 0 {
		t.Error("switched off, the histogram of a channel stayed")
	}
	// Of two switches at the same time the last counts.
	u.f.EnableHistograms(u.Threads[0], false, nil, nil)
	u.f.EnableHistograms(u.Threads[1], true, nil, nil)
	u.f.EnableHistograms(u.Threads[0], false, nil, nil)
	u.PollThreads()
	if u.f.HistogramsEnabled() || u.stats(u.f).Channels[0].Histograms != nil {
		t.Error("an earlier switch won")
	}
}

func TestHistogramsDoNotAllocate(t *testing.T) {
	u := newUser(t, 1)
	u.histograms(u.f, true)
	u.dev.submit = func(io *fsdev.IO) { io.Complete(0) }
	cb := func(any, *iochannel.Channel, syscall.Errno) {}
	if n := testing.AllocsPerRun(100, func() {
		u.desc.Umount(u.chs[0], 0, cb, nil)
		u.t.Poll(0, 0)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkGetattrHistograms(b *testing.B) {
	u := newUser(b, 1)
	u.histograms(u.f, true)
	u.dev.submit = func(io *fsdev.IO) { io.Complete(0) }
	cb := func(any, *iochannel.Channel, syscall.Errno, *fsdev.Attr) {}
	b.ReportAllocs()
	for b.Loop() {
		u.desc.Getattr(u.chs[0], 1, 1, 0, cb, nil)
		u.t.Poll(0, 0)
	}
}

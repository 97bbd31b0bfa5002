package fsdev

import (
	"slices"
	"syscall"

	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

// OpStats are the counts of one operation.
//
// Not in SPDK: modelled on struct spdk_bdev_io_stat.
type OpStats struct {
	Count  uint64 // completed, those that failed included
	Errors uint64 // completed with an errno
	Bytes  uint64 // moved by READ, WRITE and COPY_FILE_RANGE
}

// Histograms are the latencies of each operation, from submit to completion.
//
// Not in SPDK, where a bdev has one for all operations or for one.
type Histograms [NumIOTypes]Histogram

// Stats are the counts of a channel, or the sum of several.
//
// Not in SPDK: modelled on struct spdk_bdev_io_stat.
type Stats struct {
	Ops [NumIOTypes]OpStats
	// NoIO is how many operations were refused with ENOBUFS: [Opts].IOPoolSize is too small.
	NoIO uint64
	// InFlight is how many operations have not been completed. It is not a count: a reset
	// leaves it.
	InFlight int
	// Histograms is nil while they are off, see [Fsdev.EnableHistograms].
	Histograms *Histograms
}

// BytesRead returns the bytes moved by READ. Not in SPDK.
func (s *Stats) BytesRead() uint64 { return s.Ops[IORead].Bytes }

// BytesWritten returns the bytes moved by WRITE. Not in SPDK.
func (s *Stats) BytesWritten() uint64 { return s.Ops[IOWrite].Bytes }

// Total returns the counts of all operations together. Not in SPDK.
func (s *Stats) Total() (sum OpStats) {
	for i := range s.Ops {
		sum.add(&s.Ops[i])
	}
	return sum
}

func (s *OpStats) add(o *OpStats) {
	s.Count += o.Count
	s.Errors += o.Errors
	s.Bytes += o.Bytes
}

// add adds o.
func (s *Stats) add(o *Stats) {
	for i := range s.Ops {
		s.Ops[i].add(&o.Ops[i])
	}
	s.NoIO += o.NoIO
	s.InFlight += o.InFlight
	if o.Histograms == nil {
		return
	}
	if s.Histograms == nil {
		s.Histograms = &Histograms{}
	}
	for i := range s.Histograms {
		if o.Ops[i].Count > 0 {
			s.Histograms[i].add(&o.Histograms[i])
		}
	}
}

// ChannelStats are the counts of a thread's channel of a device.
//
// Not in SPDK: modelled on the channels of bdev_get_iostat.
type ChannelStats struct {
	Thread   string // its name
	ThreadID uint64
	Stats
}

// DeviceStats are the counts of a device.
//
// Not in SPDK: modelled on the bdevs of bdev_get_iostat.
type DeviceStats struct {
	Stats                   // of all channels, those that are gone included
	TicksHz  uint64         // the unit of Histograms, per second
	Channels []ChannelStats // those that are there, in the order of their threads' ids
}

// StatsFunc receives the result of [Fsdev.Stats] and [Fsdev.ResetStats] on the thread that
// asked. errno is ENODEV if the device is gone, and s then has what was counted.
//
// Not in SPDK: modelled on spdk_bdev_get_device_stat_cb.
type StatsFunc func(t *reactor.Thread, ctx any, s *DeviceStats, errno syscall.Errno)

// IOPoolLevel returns how many [IO] there are, and how many of them are neither in use nor in a thread's cache; 0 and 0
// while the layer is not initialised. It takes the pool's lock for a moment: call it on a thread, so that who holds the
// lock has a CPU.
//
// SPDK: spdk_mempool_count of g_fsdev_mgr.fsdev_io_pool
func IOPoolLevel(t *reactor.Thread) (size, free int) {
	m := managerOf(t.Framework())
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pool == nil {
		return 0, 0
	}
	return m.pool.Size(), m.pool.Count()
}

// channelStats are the counts of a channel, its thread's.
type channelStats struct {
	ops  [NumIOTypes]OpStats
	noIO uint64
	hist *Histograms // nil: off
}

// goneStats are what a device keeps beside its channels, guarded by manager.mu.
type goneStats struct {
	Stats             // of channels that are gone
	gathers []*gather // that are under way
	on      bool      // histograms
}

// gather is a Stats or ResetStats under way.
type gather struct {
	f     *Fsdev
	reset bool
	sum   *DeviceStats
	seen  []*channelState
	cb    StatsFunc
	ctx   any
}

// ChannelStats returns in s the counts of ch, a channel of d's device. On its thread only.
//
// Not in SPDK: modelled on spdk_bdev_get_io_stat.
func (d *Desc) ChannelStats(ch *iochannel.Channel, s *Stats) {
	ch.Thread().AssertCurrent()
	iochannel.Ctx[channelState](ch).copyStats(s)
}

func (st *channelState) copyStats(s *Stats) {
	*s = Stats{Ops: st.stats.ops, NoIO: st.stats.noIO, InFlight: st.inFlight}
	if st.stats.hist == nil {
		return
	}
	s.Histograms = &Histograms{}
	for i := range s.Histograms {
		if s.Ops[i].Count > 0 { // of most operations there are none, and a reactor does this
			s.Histograms[i] = st.stats.hist[i]
		}
	}
}

// Stats adds up the counts of all channels and passes them to cb with ctx on t. Every IO that
// was completed before the call is counted, once. On t only.
//
// Not in SPDK: modelled on spdk_bdev_get_device_stat.
func (f *Fsdev) Stats(t *reactor.Thread, cb StatsFunc, ctx any) { f.gather(t, cb, ctx, false) }

// ResetStats is [Fsdev.Stats], and sets the counts to 0 as it reads them: what it leaves out
// will be counted by the next. cb may be nil. On t only.
//
// Not in SPDK: modelled on spdk_bdev_get_device_stat with SPDK_BDEV_RESET_STAT_ALL.
func (f *Fsdev) ResetStats(t *reactor.Thread, cb StatsFunc, ctx any) { f.gather(t, cb, ctx, true) }

func (f *Fsdev) gather(t *reactor.Thread, cb StatsFunc, ctx any, reset bool) {
	t.AssertCurrent()
	g := &gather{f: f, reset: reset, cb: cb, ctx: ctx, sum: &DeviceStats{TicksHz: t.Framework().TicksHz()}}
	f.m.mu.Lock()
	if f.gone.on {
		g.sum.Histograms = &Histograms{}
	}
	g.sum.add(&f.gone.Stats)
	if reset {
		f.gone.Stats = Stats{}
	}
	f.gone.gathers = append(f.gone.gathers, g)
	f.m.mu.Unlock()
	iochannel.ForEachChannel(t, f.ioDev, visitStats, g, gathered)
}

func visitStats(it *iochannel.Iter) {
	g := it.Ctx().(*gather)
	st := iochannel.Ctx[channelState](it.Channel())
	t := it.Channel().Thread()
	c := ChannelStats{Thread: t.Name(), ThreadID: t.ID()}
	st.copyStats(&c.Stats)
	if g.reset {
		st.stats.ops, st.stats.noIO = [NumIOTypes]OpStats{}, 0
		if st.stats.hist != nil {
			*st.stats.hist = Histograms{}
		}
	}
	g.f.m.mu.Lock()
	g.sum.Channels = append(g.sum.Channels, c)
	g.sum.add(&c.Stats)
	g.seen = append(g.seen, st)
	g.f.m.mu.Unlock()
	it.Continue(0)
}

func gathered(t *reactor.Thread, ctx any, status syscall.Errno) {
	g := ctx.(*gather)
	f := g.f
	f.m.mu.Lock()
	f.gone.gathers = slices.DeleteFunc(f.gone.gathers, func(o *gather) bool { return o == g })
	f.m.mu.Unlock()
	if g.cb != nil {
		g.cb(t, g.ctx, g.sum, status)
	}
}

// keepStats keeps the counts of a channel that goes.
func (f *Fsdev) keepStats(st *channelState) {
	var s Stats
	st.copyStats(&s)
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if !f.gone.on {
		s.Histograms = nil
	}
	// Those who have not seen the channel do not find it any more. The first that resets takes
	// its counts away.
	for _, g := range f.gone.gathers {
		if slices.Contains(g.seen, st) {
			continue
		}
		g.sum.add(&s)
		if g.reset {
			return
		}
	}
	f.gone.add(&s)
}

// EnableHistograms switches the histograms of the device on or off; they are off at first, since
// each costs two looks at the clock, and some 100 KiB per channel. Switching them off forgets
// them. cb (which may be nil) is called with ctx on t when all channels follow, with ENODEV if
// the device is gone; of calls at the same time the last counts. On t only.
//
// Not in SPDK: modelled on spdk_bdev_histogram_enable.
func (f *Fsdev) EnableHistograms(t *reactor.Thread, on bool, cb HistogramsFunc, ctx any) {
	t.AssertCurrent()
	f.m.mu.Lock()
	f.gone.on = on
	if !on {
		f.gone.Histograms = nil
	}
	f.m.mu.Unlock()
	iochannel.ForEachChannel(t, f.ioDev, visitHistograms, &histogramSwitch{f, cb, ctx}, histogramsSwitched)
}

// HistogramsFunc is called when [Fsdev.EnableHistograms] has done what it was asked for.
//
// Not in SPDK: modelled on spdk_bdev_histogram_status_cb.
type HistogramsFunc func(t *reactor.Thread, ctx any, errno syscall.Errno)

// HistogramsEnabled says whether histograms are on. Any goroutine. Not in SPDK.
func (f *Fsdev) HistogramsEnabled() bool {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	return f.gone.on
}

type histogramSwitch struct {
	f   *Fsdev
	cb  HistogramsFunc
	ctx any
}

func visitHistograms(it *iochannel.Iter) {
	f := it.Ctx().(*histogramSwitch).f
	iochannel.Ctx[channelState](it.Channel()).setHistograms(f.HistogramsEnabled())
	it.Continue(0)
}

func histogramsSwitched(t *reactor.Thread, ctx any, status syscall.Errno) {
	if s := ctx.(*histogramSwitch); s.cb != nil {
		s.cb(t, s.ctx, status)
	}
}

// setHistograms makes a channel follow the switch.
func (st *channelState) setHistograms(on bool) {
	switch {
	case !on:
		st.stats.hist = nil
		st.special &^= specialHistograms
	case st.stats.hist == nil:
		st.stats.hist = &Histograms{}
		st.special |= specialHistograms
		// What is in flight was not timed, whatever its IO may have kept of an earlier use.
		for io := range st.all() {
			io.startedAt = 0
		}
	}
}

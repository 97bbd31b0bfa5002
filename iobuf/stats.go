package iobuf

import (
	"slices"
	"syscall"

	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

// PoolStats counts how a module got buffers of one size. SPDK: struct spdk_iobuf_pool_stats
type PoolStats struct {
	CacheSize int    // the sum of the sizes of its channels' caches
	Cache     uint64 // got from a cache
	Main      uint64 // got from the pool
	Retry     uint64 // not got at once: an entry waited
}

func (s *PoolStats) addCounts(o *PoolStats) {
	s.Cache += o.Cache
	s.Main += o.Main
	s.Retry += o.Retry
}

// PoolLevel says how full the pool of one size of buffers is.
//
// Not in SPDK: spdk_iobuf_get_stats tells what was got, not what is left.
type PoolLevel struct {
	BufSize int // bytes
	Count   int // buffers that there are
	Free    int // of them, those that are neither with a user nor in a thread's cache
	Waiting int // threads where somebody waits for one
}

// Levels returns how full the pools are at the moment, or ENODEV if iobuf is not initialized. Any goroutine.
//
// Not in SPDK.
func Levels(f *reactor.Framework) (smalls, larges PoolLevel, errno syscall.Errno) {
	m := managerOf(f)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.io == nil {
		return smalls, larges, syscall.ENODEV
	}
	return m.io.pools[small].level(), m.io.pools[large].level(), 0
}

func (p *pool) level() PoolLevel {
	return PoolLevel{BufSize: p.size, Count: len(p.bufs), Free: p.ring.Count(), Waiting: int(p.waiting.Load())}
}

// ModuleStats is what one module did, on all threads. SPDK: struct spdk_iobuf_module_stats
type ModuleStats struct {
	Module string
	Small  PoolStats
	Large  PoolStats
}

// StatsFunc is the callback of [GetStats]; stats, in the order of registration, is for it to
// keep. status is ENODEV if a Finish came between, 0 otherwise.
//
// SPDK: spdk_iobuf_get_stats_cb
type StatsFunc func(t *reactor.Thread, ctx any, stats []ModuleStats, status syscall.Errno)

type statsRequest struct {
	modules []*module
	stats   []ModuleStats
	cb      StatsFunc
	ctx     any
}

// GetStats adds up what the channels of each module have counted, thread by thread, and those
// that are gone, and calls cb with ctx on t, never from inside. A channel that closes meanwhile
// may be left out. It returns ENODEV, and cb is not called, if iobuf is not initialized. On t
// only.
//
// SPDK: spdk_iobuf_get_stats, which has one channel of a module and thread counted, and none
// that is gone
func GetStats(t *reactor.Thread, cb StatsFunc, ctx any) syscall.Errno {
	t.AssertCurrent()
	m := managerOf(t.Framework())
	m.mu.Lock()
	io := m.io
	if io == nil {
		m.mu.Unlock()
		return syscall.ENODEV
	}
	r := &statsRequest{modules: slices.Clone(m.modules), cb: cb, ctx: ctx}
	for _, mod := range m.modules {
		r.stats = append(r.stats, ModuleStats{Module: mod.name, Small: mod.gone[small], Large: mod.gone[large]})
	}
	m.mu.Unlock()
	iochannel.ForEachChannel(t, io.dev, addThreadStats, r, statsDone)
	return 0
}

func addThreadStats(it *iochannel.Iter) {
	r := it.Ctx().(*statsRequest)
	for _, ch := range iochannel.Ctx[thread](it.Channel()).channels {
		if ch == nil {
			continue
		}
		if i := slices.Index(r.modules, ch.module); i >= 0 {
			for c, to := range [classes]*PoolStats{&r.stats[i].Small, &r.stats[i].Large} {
				from := &ch.caches[c].stats
				to.addCounts(from)
				to.CacheSize += from.CacheSize
			}
		}
	}
	it.Continue(0)
}

func statsDone(t *reactor.Thread, ctx any, status syscall.Errno) {
	r := ctx.(*statsRequest)
	r.cb(t, r.ctx, r.stats, status)
}

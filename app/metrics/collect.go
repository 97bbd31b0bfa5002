package metrics

import (
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/app/ebpf"
	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/iobuf"
	"github.com/spdk-go/spdk-go/reactor"
)

// collector is the table's. Collect waits for the reactors.
type collector struct {
	m       *Manager
	gathers float64 // one Collect at a time
	stolen  stolen
}

// Describe implements [prometheus.Collector].
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range defs {
		ch <- d.desc
	}
}

// Collect implements [prometheus.Collector].
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	out := sink(ch)
	a := c.m.a
	c.m.histograms.follow(a)
	start := time.Now()
	s, err := gather(a)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(gatherSeconds.desc, err)
		return
	}
	c.gathers++
	end := time.Now()
	out.gauge(gatherSeconds, end.Sub(start).Seconds())
	out.gauge(gatherTime, float64(end.UnixNano())/1e9)
	out.count(gathers, c.gathers)
	out.count(connsRefused, float64(c.m.refused.Load()))
	out.gauge(buildInfo, 1, app.Version, runtime.Version(), runtime.GOARCH)

	out.reactors(a.Framework(), s)
	out.threads(a.Framework(), s)
	out.fsdevs(s)
	out.iobufs(a.Framework(), s)
	for i := range s.mounts {
		out.mount(a.Cores(), &s.mounts[i])
	}
	found := ebpf.Of(a).Stats()
	out.ebpf(&found, &c.stolen)
}

func (s sink) reactors(fw *reactor.Framework, snap *snapshot) {
	threads := map[int]float64{}
	for _, t := range snap.threads {
		threads[t.core]++
	}
	for _, r := range fw.Reactors() {
		core, st := strconv.Itoa(r.Core()), r.Stats()
		s.count(reactorBusy, fw.Duration(st.BusyTicks).Seconds(), core)
		s.count(reactorIdle, fw.Duration(st.IdleTicks).Seconds(), core)
		s.count(reactorSleeps, float64(st.Sleeps), core)
		s.count(reactorStalls, float64(st.Stalls), core)
		s.gauge(reactorLongestStall, st.MaxStall.Seconds(), core)
		s.gauge(reactorThreads, threads[r.Core()], core)
		inInterrupt := 0.0
		if r.Mode() == reactor.ModeInterrupt {
			inInterrupt = 1
		}
		s.gauge(reactorInInterrupt, inInterrupt, core)
		if fw.ContextSwitchMonitorEnabled() {
			voluntary, involuntary := r.ContextSwitches()
			s.count(reactorSwitches, float64(voluntary), core, "voluntary")
			s.count(reactorSwitches, float64(involuntary), core, "involuntary")
		}
	}
}

func (s sink) threads(fw *reactor.Framework, snap *snapshot) {
	for i := range snap.threads {
		t := &snap.threads[i]
		id := strconv.FormatUint(t.id, 10)
		s.count(threadBusy, fw.Duration(t.stats.BusyTicks).Seconds(), t.name, id)
		s.count(threadIdle, fw.Duration(t.stats.IdleTicks).Seconds(), t.name, id)
		s.count(threadMessages, float64(t.messages), t.name, id)
		s.gauge(threadQueue, float64(t.waiting), t.name, id)
		s.gauge(threadCore, float64(t.core), t.name, id)
		for _, p := range t.pollers {
			pollerID := strconv.FormatUint(p.id, 10)
			s.count(pollerRuns, float64(p.runs), t.name, id, p.name, pollerID)
			s.count(pollerBusy, float64(p.busy), t.name, id, p.name, pollerID)
		}
	}
}

func (s sink) fsdevs(snap *snapshot) {
	s.gauge(ioPoolSize, float64(snap.ioPool.size))
	s.gauge(ioPoolFree, float64(snap.ioPool.free))
	for i := range snap.fsdevs {
		f := &snap.fsdevs[i]
		scale := newScale(f.stats.TicksHz)
		s.gauge(fsdevInfo, 1, f.name, f.module)
		s.gauge(fsdevInFlight, float64(f.stats.InFlight), f.name)
		s.count(fsdevNoIO, float64(f.stats.NoIO), f.name)
		for typ := range fsdev.IOType(fsdev.NumIOTypes) {
			st := &f.stats.Ops[typ]
			if st.Count == 0 {
				continue
			}
			op := typ.String()
			s.count(fsdevOps, float64(st.Count), f.name, op)
			s.count(fsdevErrors, float64(st.Errors), f.name, op)
			if typ == fsdev.IORead || typ == fsdev.IOWrite || typ == fsdev.IOCopyFileRange {
				s.count(fsdevBytes, float64(st.Bytes), f.name, op)
			}
			if f.stats.Histograms != nil {
				n, sum, buckets := scale.convert(&f.stats.Histograms[typ])
				s.histogram(fsdevLatency, n, sum, buckets, f.name, op)
			}
		}
	}
}

func (s sink) iobufs(fw *reactor.Framework, snap *snapshot) {
	if smalls, larges, errno := iobuf.Levels(fw); errno == 0 {
		for pool, l := range map[string]iobuf.PoolLevel{"small": smalls, "large": larges} {
			s.gauge(iobufBuffers, float64(l.Count), pool)
			s.gauge(iobufFree, float64(l.Free), pool)
			s.gauge(iobufSize, float64(l.BufSize), pool)
			s.gauge(iobufWaiting, float64(l.Waiting), pool)
		}
	}
	for _, m := range snap.iobuf {
		for pool, st := range map[string]iobuf.PoolStats{"small": m.Small, "large": m.Large} {
			s.count(iobufGets, float64(st.Cache), m.Module, pool, "cache")
			s.count(iobufGets, float64(st.Main), m.Module, pool, "pool")
			s.count(iobufRetries, float64(st.Retry), m.Module, pool)
			s.gauge(iobufCaches, float64(st.CacheSize), m.Module, pool)
		}
	}
}

func (s sink) mount(cores []int, m *mountState) {
	s.gauge(fuseInfo, 1, m.dir, m.fsdev, m.cache)
	for op, n := range m.stats.Requests.Requests {
		if n > 0 {
			s.count(fuseRequests, float64(n), m.dir, fusedispatcher.OpcodeName(uint32(op)))
		}
	}
	for i, q := range m.stats.Queues { // in the order of the reactors
		core := strconv.Itoa(cores[i])
		s.gauge(fuseInFlight, float64(q.InFlight), m.dir, core)
		s.count(fuseRing, float64(q.ByRing), m.dir, core)
		s.count(fuseReads, float64(q.Requests-q.ByRing), m.dir, core, "request")
		s.count(fuseReads, float64(q.EmptyReads), m.dir, core, "empty")
		s.count(fuseReads, float64(q.AbortedReads), m.dir, core, "aborted")
		s.count(fuseReads, float64(q.FailedReads), m.dir, core, "failed")
		s.count(fuseReplies, float64(q.Replies), m.dir, core, "sent")
		s.count(fuseReplies, float64(q.Stale), m.dir, core, "stale")
		s.count(fuseReplies, float64(q.Refused), m.dir, core, "refused")
		s.count(fuseRequestBytes, float64(q.BytesIn), m.dir, core)
		s.count(fuseReplyBytes, float64(q.BytesOut), m.dir, core)
		s.count(fuseRejected, float64(q.Rejected), m.dir, core)
		s.count(fuseRetries, float64(q.Retries), m.dir, core)
		s.count(fuseStalls, float64(q.Stalls), m.dir, core)
	}
	n := m.stats.Notify
	s.count(fuseNotifications, float64(n.Sent), m.dir, "sent")
	s.count(fuseNotifications, float64(n.Unknown), m.dir, "unknown")
	s.count(fuseNotifications, float64(n.Refused), m.dir, "refused")
	s.count(fuseNotifications, float64(n.Dropped), m.dir, "dropped")
	s.gauge(fuseBacking, float64(m.stats.Backing.Open), m.dir)
	s.count(fuseBackingOpened, float64(m.stats.Backing.Opened), m.dir)
	s.count(fuseBackingRefused, float64(m.stats.Backing.Refused), m.dir)
	s.count(fuseLogDropped, float64(m.stats.LogDropped), m.dir)
}

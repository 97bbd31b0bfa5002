package main

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/spdk-go/spdk-go/reactor"
)

const (
	warmUp      = 50 * time.Millisecond // not measured: everything has just been started
	timerPeriod = time.Millisecond      // of the poller that is measured in hybrid mode
	slowPeriod  = 50 * time.Millisecond // of the callback that takes too long
	maxTop      = 100
	maxGap      = 100 * time.Second // longer ones count as that
)

// probe measures the gaps of a reactor, from a poller on its app thread.
type probe struct {
	cfg       *config
	fw        *reactor.Framework
	hist      *hdrhistogram.Histogram // of nanoseconds
	poller    *reactor.Poller
	slow      *reactor.Poller
	timed     bool // the poller has a period
	startWall time.Time
	start     uint64 // ticks, of the measurement
	last      uint64 // ticks: of the last call, or at which the next is due
	threshold uint64 // ticks, of gaps to look into

	slowBegin, slowEnd uint64 // ticks, of the last call of the slow callback

	thread   osThread
	seen     counters // when the thread was looked at last
	first    counters // when the measurement began
	total    counters // of the whole measurement, at its end
	top      [maxTop]gap
	topCount int
}

// gap is a gap that has been looked into.
type gap struct {
	end      uint64 // ticks
	ticks    uint64
	counters        // of the thread in the gap
	slow     uint64 // ticks of it that the slow callback took
}

func newProbe(cfg *config, mode reactor.Mode) *probe {
	return &probe{
		cfg:   cfg,
		hist:  hdrhistogram.New(1, int64(maxGap), 3),
		timed: mode != reactor.ModePoll,
	}
}

// begin registers the pollers, on the thread that they are to run on.
func (p *probe) begin(t *reactor.Thread) {
	p.fw = t.Framework()
	p.threshold = uint64(p.cfg.gap.Seconds() * float64(p.fw.TicksHz()))
	p.thread.open()
	period := time.Duration(0)
	if p.timed {
		period = timerPeriod
	}
	p.poller = t.RegisterPoller("probe", probePoller, p, period)
	if p.cfg.slow > 0 {
		p.slow = t.RegisterPoller("slow", slowPoller, p, slowPeriod)
	}
	p.startWall = time.Now()
	p.start = p.fw.Ticks()
}

func (p *probe) end() {
	p.poller.Unregister()
	if p.slow != nil {
		p.slow.Unregister()
	}
	p.total = p.thread.read().minus(&p.first)
	p.thread.close()
}

func probePoller(t *reactor.Thread, ctx any) reactor.PollerResult {
	p := ctx.(*probe)
	now := p.fw.Ticks()
	switch {
	case p.last != 0:
		p.record(now)
	case p.fw.Duration(now-p.start) < warmUp:
		return reactor.Idle
	default: // the measurement begins
		p.first = p.thread.read()
		p.seen = p.first
	}
	if p.timed {
		p.last = t.LastTicks() + p.poller.PeriodTicks()
	} else {
		p.last = p.fw.Ticks() // what record did is no gap
	}
	return reactor.Idle
}

// record takes note of the gap that ended now.
func (p *probe) record(now uint64) {
	d := uint64(0)
	if now > p.last {
		d = now - p.last
	}
	_ = p.hist.RecordValue(int64(min(p.fw.Duration(d), maxGap)))
	// A timed poller looks every time, since its thread sleeps between the calls: what is
	// counted meanwhile would be laid at the door of the next gap.
	if d < p.threshold && !p.timed {
		return
	}
	c := p.thread.read()
	g := gap{end: now, ticks: d, counters: c.minus(&p.seen)}
	p.seen = c
	if d < p.threshold {
		return
	}
	if begin := now - d; p.slowEnd > begin {
		g.slow = p.slowEnd - max(begin, p.slowBegin)
	}
	p.keep(g)
}

// keep puts g in its place if it is one of the largest.
func (p *probe) keep(g gap) {
	if p.topCount < p.cfg.top {
		p.topCount++
	} else if p.topCount == 0 || g.ticks <= p.top[p.topCount-1].ticks {
		return
	}
	i := p.topCount - 1
	for i > 0 && p.top[i-1].ticks < g.ticks {
		p.top[i] = p.top[i-1]
		i--
	}
	p.top[i] = g
}

// slowPoller is a callback that takes too long.
func slowPoller(_ *reactor.Thread, ctx any) reactor.PollerResult {
	p := ctx.(*probe)
	p.slowBegin = p.fw.Ticks()
	p.fw.Delay(p.cfg.slow)
	p.slowEnd = p.fw.Ticks()
	return reactor.Busy
}

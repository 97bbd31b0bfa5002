package scheduler

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spdk-go/spdk-go/reactor"
)

// defaultPeriod is how often a scheduler runs. SPDK: SCHEDULER_PERIOD_DEFAULT
const defaultPeriod = time.Second

// limits are the parameters of the dynamic scheduler, in percent.
type limits struct {
	Load int `json:"load_limit"`
	Core int `json:"core_limit"`
	Busy int `json:"core_busy"`
}

// dynamic gathers idle threads and spreads those that work.
//
// SPDK: module/scheduler/dynamic/scheduler_dynamic.c
type dynamic struct {
	frequencies
	opts atomic.Pointer[limits] // what they point to does not change

	// what follows is of one Balance

	limit limits
	cores []core // by number
	main  *core  // where idle threads go; nil: nowhere
}

// core is what the dynamic scheduler reckons a core to be like after what it has decided so far.
type core struct {
	*reactor.CoreInfo
	busy, idle uint64
	threads    int
}

func newDynamic() *dynamic {
	d := &dynamic{}
	d.opts.Store(&limits{Load: 20, Core: 80, Busy: 95})
	return d
}

func (*dynamic) Name() string { return "dynamic" }

func (d *dynamic) Init(f *reactor.Framework) error {
	if err := d.begin(f); err != nil && len(reactor.GovernorNames()) > 0 {
		f.Warn("dynamic scheduler leaves frequencies alone", "error", err)
	}
	historyOf(f).begin()
	beginPeriod(f)
	return nil
}

func (d *dynamic) Deinit(f *reactor.Framework) { d.end(f) }

func (d *dynamic) Balance(f *reactor.Framework, infos []reactor.CoreInfo) {
	historyOf(f).noteModes(infos)
	d.limit = *d.opts.Load()
	d.look(f, infos)
	// Idle threads first, so that the others are spread by what is left.
	d.forEachThread(func(c *core, t *reactor.ThreadInfo) {
		if d.isIdle(c, t) && d.main != nil && allows(t.Cpumask, d.main.Core) {
			d.move(t, d.main)
		}
	})
	d.forEachThread(func(c *core, t *reactor.ThreadInfo) {
		if !d.isIdle(c, t) {
			d.move(t, d.bestCore(c, t))
		}
	})
	d.power(f)
	clear(d.cores) // the infos belong to the framework
}

// look prepares what is reckoned with.
func (d *dynamic) look(f *reactor.Framework, infos []reactor.CoreInfo) {
	d.cores, d.main = d.cores[:0], nil
	for i := range infos {
		c := core{CoreInfo: &infos[i], threads: len(infos[i].Threads)}
		// A core that slept for want of threads did not show what it can take, and after a
		// sleep that SPDK does not measure the first thread that it gets fills it: so each of
		// several threads that have shared a core gets one for itself.
		if !c.InterruptMode || c.threads > 0 {
			c.busy, c.idle = c.Current.BusyTicks, c.Current.IdleTicks
		}
		d.cores = append(d.cores, c)
	}
	slices.SortFunc(d.cores, func(a, b core) int { return cmp.Compare(a.Core, b.Core) })
	scheduling := f.SchedulingCore()
	for i := range d.cores {
		if c := &d.cores[i]; !c.Isolated && (d.main == nil || c.Core == scheduling) {
			d.main = c
		}
	}
}

// forEachThread calls fn with every thread that may be moved and the core that it came from.
func (d *dynamic) forEachThread(fn func(c *core, t *reactor.ThreadInfo)) {
	for i := range d.cores {
		c := &d.cores[i]
		if c.Isolated {
			continue
		}
		for j := range c.Threads {
			if t := &c.Threads[j]; !t.Bound {
				fn(c, t)
			}
		}
	}
}

// isIdle reports whether a thread that ran on c was busy less than the load limit, of the time
// that was its own or nobody's. SPDK takes what the thread's rounds took in vain instead of all
// that was nobody's; then a thread looks the busier the more idle ones it shares the core with.
func (d *dynamic) isIdle(c *core, t *reactor.ThreadInfo) bool {
	return percent(t.Current.BusyTicks, max(t.Current.IdleTicks, c.Current.IdleTicks)) < d.limit.Load
}

// coreOf returns the core that t is on, or has been decided to be on.
func (d *dynamic) coreOf(t *reactor.ThreadInfo) *core {
	i, _ := slices.BinarySearchFunc(d.cores, t.Core, func(c core, number int) int { return cmp.Compare(c.Core, number) })
	return &d.cores[i]
}

// move decides that t goes to another core, and takes its work along.
func (d *dynamic) move(t *reactor.ThreadInfo, to *core) {
	from := d.coreOf(t)
	if from == to {
		return
	}
	t.Core = to.Core
	work, before := t.Current.BusyTicks, percent(from.busy, from.idle)
	to.threads++
	to.busy += work
	to.idle -= min(to.idle, work)
	from.threads--
	from.idle += min(from.busy, work)
	from.busy -= min(from.busy, work)
	if before >= d.limit.Busy && percent(from.busy, from.idle) < d.limit.Core {
		// The others may have been short of time and take all that has become free: nobody
		// else is to be moved here before that is known. Rounded down, as in SPDK, it would
		// be just below the limit.
		total := from.busy + from.idle
		from.busy = (total*uint64(d.limit.Core) + 99) / 100
		from.idle = total - from.busy
	}
}

// fits reports whether another core can take a thread's work and stay below the limit.
func (d *dynamic) fits(t *reactor.ThreadInfo, c *core) bool {
	work := t.Current.BusyTicks
	switch {
	case c.threads == 0 || c.busy+c.idle == 0:
		return true
	case c.idle < work:
		return false
	}
	return percent(c.busy+work, c.idle-work) < d.limit.Core
}

// isFull reports whether a core does more than it should and can give something away.
func (d *dynamic) isFull(c *core) bool {
	return c.threads > 1 && c.busy > 0 && percent(c.busy, c.idle) >= d.limit.Core
}

// bestCore returns where a thread that works should be: on the main core or else the lowest one
// that can take it, but not on a higher one than now unless its core is full; and if that is so
// and none can take it, where there is least to do.
func (d *dynamic) bestCore(now *core, t *reactor.ThreadInfo) *core {
	full, least := d.isFull(now), now
	if d.isPlace(d.main, t) && d.main != now && d.fits(t, d.main) {
		return d.main
	}
	for i := range d.cores {
		c := &d.cores[i]
		if !d.isPlace(c, t) {
			continue
		}
		if c.busy < least.busy {
			least = c
		}
		below := c.Core < now.Core && now != d.main
		if c != now && (below || full) && d.fits(t, c) {
			return c
		}
	}
	if full {
		return least
	}
	return now
}

// isPlace reports whether t may run on c.
func (d *dynamic) isPlace(c *core, t *reactor.ThreadInfo) bool {
	return c != nil && !c.Isolated && allows(t.Cpumask, c.Core)
}

// power puts cores without threads to sleep and wakes those that get some. A core is left awake
// until its threads have gone.
func (d *dynamic) power(f *reactor.Framework) {
	governor := f.Governor()
	busyElsewhere := false
	for i := range d.cores {
		c := &d.cores[i]
		switch {
		case c.threads > 0:
			c.InterruptMode = false
			if c != d.main {
				busyElsewhere = true // or it could not be moved
				if governor != nil {
					d.set(f, c.Core, governor.SetCoreFreqMax)
				}
			}
		case len(c.Threads) == 0:
			c.InterruptMode = true
			if governor != nil {
				d.set(f, c.Core, governor.SetCoreFreqMin)
			}
		}
	}
	if governor == nil || d.main == nil {
		return
	}
	switch {
	case busyElsewhere:
		d.set(f, d.main.Core, governor.SetCoreFreqMax)
	case d.main.busy > d.main.idle:
		d.set(f, d.main.Core, governor.CoreFreqUp)
	default:
		d.set(f, d.main.Core, governor.CoreFreqDown)
	}
}

// SetOpts changes limits, from the next Balance on.
func (d *dynamic) SetOpts(opts json.RawMessage) error {
	next := *d.opts.Load()
	options := map[string]any{"load_limit": &next.Load, "core_limit": &next.Core, "core_busy": &next.Busy}
	if err := decode(opts, options); err != nil {
		return err
	}
	for name, value := range options {
		if n := *value.(*int); n < 0 || n > 100 {
			return fmt.Errorf("option %q: %d is not a percentage from 0 to 100: %w", name, n, syscall.EINVAL)
		}
	}
	d.opts.Store(&next)
	return nil
}

func (d *dynamic) Opts() any { return *d.opts.Load() }

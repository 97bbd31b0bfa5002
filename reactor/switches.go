package reactor

import (
	"math"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// switchPeriod is how often context switches are reported. SPDK: CONTEXT_SWITCH_MONITOR_PERIOD
const switchPeriod = time.Second

// switchMonitor counts the context switches of a reactor's OS thread.
type switchMonitor struct {
	at          uint64 // ticks, when to look next
	looked      uint64 // ticks, when it looked last
	voluntary   atomic.Int64
	involuntary atomic.Int64
}

// EnableContextSwitchMonitor has every reactor look once a second, while it is awake, at how often
// it was switched off its CPU, and report it at level info if that happened. Reactors that are
// not pinned have no OS thread of their own and do not look. Any goroutine.
//
// SPDK: spdk_framework_enable_context_switch_monitor
func (f *Framework) EnableContextSwitchMonitor(on bool) {
	f.switchMonitor.Store(on)
	for _, r := range f.reactors {
		r.post(armSwitches, nil, nil)
	}
}

// ContextSwitchMonitorEnabled reports whether the monitor is on. Any goroutine.
//
// SPDK: spdk_framework_context_switch_monitor_enabled
func (f *Framework) ContextSwitchMonitorEnabled() bool { return f.switchMonitor.Load() }

// ContextSwitches returns how often the reactor's OS thread gave its CPU away and how often it
// was taken from it, as the monitor saw it last. Any goroutine.
//
// SPDK: the rusage field of struct spdk_reactor
func (r *Reactor) ContextSwitches() (voluntary, involuntary int64) {
	return r.switches.voluntary.Load(), r.switches.involuntary.Load()
}

func armSwitches(r *Reactor, _, _ any) {
	r.switches.at = math.MaxUint64
	if r.tid != 0 && r.fw.switchMonitor.Load() {
		r.lookAtSwitches() // what was before is nobody's business
	}
}

// countSwitches reports what happened since the last look.
func (r *Reactor) countSwitches() {
	since := r.fw.Duration(r.now - r.switches.looked)
	voluntary, involuntary := r.lookAtSwitches()
	if voluntary != 0 || involuntary != 0 {
		go r.fw.opts.Log.Info("context switches of a reactor",
			"core", r.core, "voluntary", voluntary, "involuntary", involuntary, "in", since)
	}
}

// lookAtSwitches looks at the OS thread that it runs on and returns what is new.
func (r *Reactor) lookAtSwitches() (voluntary, involuntary int64) {
	s := &r.switches
	s.looked = r.now
	s.at = r.now + r.fw.toTicks(switchPeriod)
	var ru unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &ru); err != nil {
		s.at = math.MaxUint64
		return 0, 0
	}
	return ru.Nvcsw - s.voluntary.Swap(ru.Nvcsw), ru.Nivcsw - s.involuntary.Swap(ru.Nivcsw)
}

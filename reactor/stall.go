package reactor

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// watch says what a thread is running, for the stall monitor, which looks at it from outside
// and without synchronisation: a store that others can rely on would cost as much as the call
// of a poller. What it reads can be one call old.
type watch struct {
	fn        MsgFunc
	poller    *Poller
	interrupt *Interrupt
}

// message says that it is messages from now on.
func (w *watch) message() { w.poller = nil }

// String names what is being run.
//
//go:norace
func (w *watch) String() string {
	fn, p, i := w.fn, w.poller, w.interrupt
	switch {
	case i != nil:
		return "interrupt " + i.name
	case p != nil:
		return "poller " + p.name
	case fn != nil:
		return "message " + message{fn: fn}.funcName()
	}
	return "nothing known"
}

// stallRecord is what is known of a reactor's being blocked.
type stallRecord struct {
	beat    atomic.Uint64 // ticks, at the last chores; 0 while the reactor sleeps or has ended
	count   atomic.Uint64
	longest atomic.Uint64 // ticks
}

// check is the reactor's own part: it comes round every millisecond, unless it was blocked.
func (s *stallRecord) check(r *Reactor) {
	before := s.beat.Load()
	s.beat.Store(r.now)
	if before == 0 || r.fw.stallTicks == 0 {
		return
	}
	if d := r.now - before; d > r.fw.stallTicks {
		s.count.Add(1)
		if d > s.longest.Load() {
			s.longest.Store(d)
		}
	}
}

// stallMonitor watches the reactors of a framework from a goroutine of its own.
type stallMonitor struct {
	fw   *Framework
	quit chan struct{}
	done chan struct{}
	seen []uint64 // the beat of the stall that has been reported of each reactor, 0 if none
}

func startStallMonitor(f *Framework) *stallMonitor {
	m := &stallMonitor{fw: f, quit: make(chan struct{}), done: make(chan struct{}), seen: make([]uint64, len(f.reactors))}
	go m.run()
	return m
}

func (m *stallMonitor) stop() {
	close(m.quit)
	<-m.done
}

func (m *stallMonitor) run() {
	defer close(m.done)
	period := max(time.Millisecond, m.fw.opts.StallThreshold/4)
	timer := time.NewTimer(period)
	defer timer.Stop()
	for {
		select {
		case <-m.quit:
			return
		case <-timer.C:
		}
		awake := false
		for i, r := range m.fw.reactors {
			awake = m.look(i, r) || awake
		}
		if awake {
			timer.Reset(period)
		} else {
			timer.Reset(4 * period) // who sleeps is not blocked, and the monitor shall cost nothing then
		}
	}
}

// look reports the beginning and the end of a stall of r, and whether r is awake.
func (m *stallMonitor) look(i int, r *Reactor) (awake bool) {
	beat := r.stall.beat.Load()
	now := m.fw.Ticks()
	if seen := m.seen[i]; seen != 0 && seen != beat {
		m.seen[i] = 0
		m.fw.opts.Log.Warn("reactor goes on", "core", r.core, "was blocked for about", m.fw.Duration(now-seen))
	}
	if beat == 0 || m.seen[i] == beat || now < beat || now-beat <= m.fw.stallTicks {
		return beat != 0
	}
	m.seen[i] = beat
	what, state := r.whatRuns(), r.osState()
	if r.stall.beat.Load() != beat {
		return true // it went on while we looked
	}
	m.fw.opts.Log.Warn("reactor is blocked: a callback must not take this long",
		"core", r.core, "for", m.fw.Duration(now-beat), "by", what, "os thread", state)
	return true
}

// whatRuns names the thread and the callback that a reactor is in.
//
//go:norace
func (r *Reactor) whatRuns() string {
	t := r.running
	if t == nil {
		return "an event"
	}
	return t.watch.String() + " of thread " + t.name
}

// osState says what the kernel has the reactor's OS thread do, which tells a callback that
// computes from one that waits, and from a CPU that was taken away.
func (r *Reactor) osState() string {
	if r.tid == 0 {
		return "unknown, it is not pinned"
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/stat", r.tid))
	if err != nil {
		return "unknown"
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	switch state, _, _ := strings.Cut(rest, " "); state {
	case "R":
		return "runs, or waits for its CPU"
	case "S":
		return "sleeps in a system call or a lock"
	case "D":
		return "waits for a device"
	default:
		return state
	}
}

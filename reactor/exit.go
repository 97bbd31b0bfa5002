package reactor

import (
	"fmt"
	"runtime"
	"strings"
	"time"
)

const (
	// exitTimeout is how long an exiting thread may be held. SPDK: SPDK_THREAD_EXIT_TIMEOUT_SEC
	exitTimeout = 5 * time.Second
	// forcedRounds is how often the deferred calls of a thread that is forced to exit are run.
	forcedRounds = 1000
	// heldMessages is how many messages are named of those that hold a thread.
	heldMessages = 3
)

// Exit asks t to end: it ends once it holds no message, poller, channel or interrupt, or
// after 5 seconds, by force and with a report of what held it: the messages are run then,
// pollers and interrupts are never called again. Until then it runs as before. On t only;
// calling it again is harmless.
//
// SPDK: spdk_thread_exit
func (t *Thread) Exit() {
	t.AssertCurrent()
	t.exit()
}

func (t *Thread) exit() {
	if t.state.CompareAndSwap(uint32(threadRunning), uint32(threadExiting)) {
		t.exitDeadline = t.fw.Ticks() + t.fw.toTicks(exitTimeout)
	}
}

// tryExit ends an exiting thread if nothing holds it any more.
func (t *Thread) tryExit(now uint64) {
	if t.IsExited() {
		return
	}
	switch {
	case !t.isHeld() && t.close():
	case now >= t.exitDeadline:
		held := t.Holding()
		t.force()
		t.fw.Warn("thread is forced to exit: release what holds it before Exit",
			"thread", t.name, "held by", held)
	default:
		return
	}
	t.end()
}

// end is the last that happens to a thread.
func (t *Thread) end() {
	t.state.Store(uint32(threadExited))
	t.fw.removeThread(t)
	t.fw.tracer.UnregisterOwner(t.traceID)
	t.giveRoom(0) // the ring is closed: who waits for room gets ESRCH at the next try
	if t.group != nil {
		t.closeGroup()
	}
}

// close stops t from taking messages, unless one came in meanwhile.
func (t *Thread) close() bool {
	if !t.critical.CompareAndSwap(nil, &noMoreCritical) {
		return false
	}
	if !t.msgs.ring.Close() {
		t.critical.Store(nil)
		return false
	}
	return true
}

// force stops t from taking messages, and runs those it has taken.
func (t *Thread) force() {
	t.state.Store(uint32(threadExited)) // so that nothing is added to the local queue
	t.msgs.ring.Shut()
	if fn := t.critical.Swap(&noMoreCritical); fn != nil {
		(*fn)(t, nil)
	}
	t.runQueue(&t.deferred, t.deferred.Len())
	for !t.msgs.empty() {
		if t.msgs.ready() {
			t.runMessages(batchSize)
		} else {
			runtime.Gosched() // its sender is about to write it
		}
	}
	// What ran may have put off work that others count on; what puts itself off for ever is given up.
	for i := 0; i < forcedRounds && t.deferred.Len() > 0; i++ {
		t.runQueue(&t.deferred, t.deferred.Len())
	}
	for _, i := range t.interrupts {
		i.forget()
	}
}

// isHeld reports whether something keeps t from exiting, see Holding for the words.
func (t *Thread) isHeld() bool {
	if t.hasWork() || t.pollers+len(t.interrupts)+len(t.roomWaits)+t.visits > 0 {
		return true
	}
	for _, e := range t.exts {
		if e != nil && e.IsHolding() {
			return true
		}
	}
	return false
}

// Holding says in words what keeps t from exiting, "" if nothing does. On t only.
//
// Not in SPDK, which logs the first such thing.
func (t *Thread) Holding() string {
	held := t.heldByMessages()
	for _, pollers := range [][]*Poller{t.active, t.timed, t.paused} {
		for _, p := range pollers {
			if p.state != PollerUnregistered {
				held = append(held, fmt.Sprintf("poller %s", p.name))
			}
		}
	}
	for _, i := range t.interrupts {
		held = append(held, fmt.Sprintf("interrupt %s", i.name))
	}
	for _, w := range t.roomWaits {
		held = append(held, fmt.Sprintf("a wait for room on thread %s", w.to.name))
	}
	if t.visits > 0 {
		held = append(held, fmt.Sprintf("%d iterations over threads", t.visits))
	}
	for _, e := range t.exts {
		if e != nil && e.IsHolding() {
			held = append(held, e.Holding())
		}
	}
	return strings.Join(held, ", ")
}

// heldByMessages counts what is queued and names the first functions.
func (t *Thread) heldByMessages() []string {
	n := t.deferred.Len() + t.msgs.count()
	if t.urgent.Load()&urgentCritical != 0 {
		n++
	}
	if n == 0 {
		return nil
	}
	var names []string
	add := func(m message) {
		if len(names) < heldMessages {
			names = append(names, m.funcName())
		}
	}
	for i := range min(t.deferred.Len(), heldMessages) {
		add(t.deferred.At(i))
	}
	for i := range min(t.msgs.local.Len(), heldMessages) {
		add(t.msgs.local.At(i))
	}
	for i := range heldMessages {
		if m, ok := t.msgs.ring.At(i); ok {
			add(m)
		}
	}
	if n > len(names) {
		names = append(names, "...")
	}
	return []string{fmt.Sprintf("%d messages (%s)", n, strings.Join(names, ", "))}
}

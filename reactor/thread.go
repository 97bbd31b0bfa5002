package reactor

import (
	"fmt"
	"sync/atomic"

	"github.com/spdk-go/spdk-go/mempool"
)

type threadState uint32

const (
	threadRunning threadState = iota
	threadExiting
	threadExited
)

// Thread is a cooperative thread: messages and pollers that run one at a time on one
// reactor. SendMsg and the accessors may be called from any goroutine, everything else
// only from the thread itself.
//
// SPDK: struct spdk_thread
type Thread struct {
	fw      *Framework
	name    string
	id      uint64
	reactor atomic.Pointer[Reactor] // changes when the thread moves; nil when polled by hand
	state   atomic.Uint32
	urgent  atomic.Uint32 // urgentCritical and so on

	msgs     mailbox[message]
	deferred mempool.FIFO[message] // from this thread, see Defer

	inPoll   bool
	leaving  bool // SetCpumask or the scheduler wants it on another reactor
	locks    int  // spinlocks held
	active   []*Poller
	sweep    bool // some of active are to be taken off
	spinners int  // active pollers that keep the reactor from sleeping
	timed    timerHeap
	after    []message // post-poller handlers, see AfterPoller
	watch    watch

	traceMasks *TraceMasks // the framework's

	// what follows is not touched in a round without something special

	critical  atomic.Pointer[MsgFunc]
	roomQueue atomic.Pointer[RoomWait] // who waits for room here, a stack
	roomList  *RoomWait                // and a list of those taken off it
	roomCalls atomic.Pointer[RoomWait] // waits of this thread that have come to their end, a stack
	roomWaits []*RoomWait              // waits of this thread

	cpumask atomic.Pointer[Cpuset] // nil: any
	bound   atomic.Bool
	target  int // the core to move to, anyCore to choose one of cpumask
	first   int // the core it ran on first, anyCore before that

	pollers      int // registered and not unregistered
	paused       []*Poller
	softTimers   int // timed pollers that an interrupt stands in for
	armable      int // pollers with an interrupt function
	runningAfter bool
	lastPollerID uint64
	timerOrder   uint64

	exitDeadline uint64
	visits       int // of ForEachThread that this thread waits for, or that are here
	interrupts   []*Interrupt
	group        *FDGroup // of the interrupts, nested in that of the reactor
	intrMode     bool
	bell         atomic.Pointer[bell]
	exts         [maxExt]ThreadExt

	traceID    uint16
	lastTicks  uint64 // at the end of the last round, when polled by hand
	busyLocal  uint64 // ticks, not yet published
	idleLocal  uint64
	busyTicks  atomic.Uint64
	idleTicks  atomic.Uint64
	schedStats ThreadStats // as of the last gathering of the scheduler
}

// Name returns the name given at creation. SPDK: spdk_thread_get_name
func (t *Thread) Name() string { return t.name }

// ID returns the thread's number in its framework, from 1, never reused.
//
// SPDK: spdk_thread_get_id
func (t *Thread) ID() uint64 { return t.id }

// Framework returns the framework that owns the thread. Not in SPDK, where it is the
// process.
func (t *Thread) Framework() *Framework { return t.fw }

// Reactor returns the reactor that runs the thread, nil when it is polled by hand. On t the
// answer stays true for the round; elsewhere the thread may have moved meanwhile.
//
// SPDK: struct spdk_lw_thread
func (t *Thread) Reactor() *Reactor { return t.reactor.Load() }

// IsAppThread reports whether t is the first thread of its framework.
//
// SPDK: spdk_thread_is_app_thread
func (t *Thread) IsAppThread() bool { return t.id == 1 }

// IsRunning reports whether [Thread.Exit] has not been called yet.
//
// SPDK: spdk_thread_is_running
func (t *Thread) IsRunning() bool { return threadState(t.state.Load()) == threadRunning }

// IsExited reports whether the thread has come to its end and will not run again.
//
// SPDK: spdk_thread_is_exited
func (t *Thread) IsExited() bool { return threadState(t.state.Load()) == threadExited }

// ThreadStats says what a thread did with its time. SPDK: struct spdk_thread_stats
type ThreadStats struct {
	BusyTicks uint64
	IdleTicks uint64
}

// Stats returns the ticks that the thread spent busy and idle, until a few milliseconds ago
// for a thread of a reactor. Any goroutine.
//
// SPDK: spdk_thread_get_stats
func (t *Thread) Stats() ThreadStats { return ThreadStats{t.busyTicks.Load(), t.idleTicks.Load()} }

// LastTicks returns the time that the last round ended, that of the creation before the first
// one, or, on a reactor, at which the reactor last looked at the clock. On t only.
//
// SPDK: spdk_thread_get_last_tsc
func (t *Thread) LastTicks() uint64 {
	if r := t.reactor.Load(); r != nil {
		return r.now
	}
	return t.lastTicks
}

// IsIdle reports whether t has neither messages nor a poller that would run; paused pollers
// do not count. On t only.
//
// SPDK: spdk_thread_is_idle
func (t *Thread) IsIdle() bool { return !t.hasWork() && len(t.active) == 0 && len(t.timed) == 0 }

// HasActivePollers reports whether t has pollers that run every round. On t only.
//
// SPDK: spdk_thread_has_active_pollers
func (t *Thread) HasActivePollers() bool { return len(t.active) > 0 }

// HasPollers reports whether t has any poller, paused ones included. On t only.
//
// SPDK: spdk_thread_has_pollers
func (t *Thread) HasPollers() bool { return len(t.active)+len(t.timed)+len(t.paused) > 0 }

// NextPollerExpiration returns the tick at which the next timed poller is due, 0 if there is
// none. On t only.
//
// SPDK: spdk_thread_next_poller_expiration
func (t *Thread) NextPollerExpiration() uint64 {
	if len(t.timed) == 0 {
		return 0
	}
	return t.timed[0].nextRun
}

// AssertCurrent panics when t is not in a round, so that the caller cannot be running on it.
// It costs a load, so the calls that need it make it always; a caller from elsewhere that
// comes while t happens to be in a round is left to the race detector. A framework without
// reactors has no rounds of its own: there nothing is checked.
//
// Not in SPDK, where spdk_get_thread() == thread is asserted.
func (t *Thread) AssertCurrent() {
	if !t.inPoll && !t.fw.manual {
		t.notCurrent()
	}
}

//go:noinline
func (t *Thread) notCurrent() {
	panic(fmt.Sprintf("reactor: this call must be made on thread %q", t.name))
}

// Poll runs one round of the thread by hand, at the time now in ticks (0 means the
// framework's clock), with at most maxMsgs messages (0, or more than 8, means 8). It reports
// whether there was anything to do. Only for frameworks without reactors.
//
// SPDK: spdk_thread_poll
func (t *Thread) Poll(maxMsgs int, now uint64) (busy bool) {
	if t.reactor.Load() != nil {
		panic(fmt.Sprintf("reactor: thread %q is polled by hand but belongs to a reactor", t.name))
	}
	if t.IsExited() {
		return false
	}
	if maxMsgs <= 0 {
		maxMsgs = batchSize
	}
	if now == 0 {
		now = t.fw.Ticks()
	}
	if t.intrMode && t.group != nil {
		busy = t.serveInterrupts()
	}
	busy = t.poll(now, min(maxMsgs, batchSize)) || busy
	if t.intrMode && t.hasWork() {
		t.ring() // what is left, and what was deferred, nobody else tells
	}
	t.lastTicks = t.fw.Ticks()
	if busy {
		t.busyLocal += t.lastTicks - now
	} else {
		t.idleLocal += t.lastTicks - now
	}
	t.publish()
	return busy
}

func (t *Thread) publish() {
	t.busyTicks.Store(t.busyLocal)
	t.idleTicks.Store(t.idleLocal)
}

// poll runs one round.
func (t *Thread) poll(now uint64, maxMsgs int) (busy bool) {
	t.inPoll = true
	if t.urgent.Load() != 0 {
		t.runUrgent()
		busy = true
	}
	if n := t.deferred.Len(); n > 0 {
		t.runQueue(&t.deferred, n)
		busy = true
	}
	if t.msgs.ready() {
		t.runMessages(maxMsgs)
		busy = true
	}
	if len(t.active) > 0 && t.pollActive() {
		busy = true
	}
	if len(t.timed) > 0 && t.timed[0].nextRun <= now && t.pollTimed(now) {
		busy = true
	}
	if t.state.Load() != uint32(threadRunning) {
		t.tryExit(now)
	}
	t.inPoll = false
	return busy
}

// hasWork reports whether a round would find something other than pollers.
func (t *Thread) hasWork() bool {
	return t.deferred.Len() > 0 || !t.msgs.empty() || t.urgent.Load() != 0 || t.roomQueue.Load() != nil
}

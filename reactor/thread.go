package reactor

import (
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spdk-go/spdk-go/mempool"
)

const (
	// msgBatch is how many messages a round runs. SPDK: SPDK_MSG_BATCH_SIZE
	msgBatch = 8
	// exitTimeout is how long an exiting thread may be held. SPDK: SPDK_THREAD_EXIT_TIMEOUT_SEC
	exitTimeout = 5 * time.Second
	// forcedRounds is how often the deferred calls of a thread that is forced to exit are run.
	forcedRounds = 1000
)

// MsgFunc is the function of a message; t is the thread that the message was sent to.
//
// SPDK: spdk_msg_fn
type MsgFunc func(t *Thread, ctx any)

type message struct {
	fn  MsgFunc
	ctx any
}

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
	reactor *Reactor
	state   atomic.Uint32

	critical atomic.Pointer[MsgFunc]
	msgs     mempool.MPSC[message] // from anywhere
	local    mempool.FIFO[message] // from threads of the same reactor, see SendMsgFrom
	deferred mempool.FIFO[message] // from this thread, see Defer

	batch    [msgBatch]message // being run, see runMessages
	inPoll   bool
	active   []*Poller
	spinners int // active pollers that keep the reactor from sleeping
	timed    timerHeap
	paused   []*Poller

	lastPollerID uint64
	timerOrder   uint64
	exitDeadline uint64
	interrupts   []*Interrupt
	exts         [maxExt]ThreadExt

	busyLocal uint64 // ticks, not yet published
	idleLocal uint64
	busyTicks atomic.Uint64
	idleTicks atomic.Uint64
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

// Reactor returns the reactor that runs the thread, nil when it is polled by hand.
//
// SPDK: struct spdk_lw_thread
func (t *Thread) Reactor() *Reactor { return t.reactor }

// IsRunning reports whether [Thread.Exit] has not been called yet.
//
// SPDK: spdk_thread_is_running
func (t *Thread) IsRunning() bool { return threadState(t.state.Load()) == threadRunning }

// IsExited reports whether the thread has come to its end and will not run again.
//
// SPDK: spdk_thread_is_exited
func (t *Thread) IsExited() bool { return threadState(t.state.Load()) == threadExited }

// Stats returns the ticks that the thread spent busy and idle, until a few milliseconds ago
// for a thread of a reactor.
//
// SPDK: spdk_thread_get_stats
func (t *Thread) Stats() (busy, idle uint64) { return t.busyTicks.Load(), t.idleTicks.Load() }

// AssertCurrent panics when t is not in a round, so that the caller cannot be running on it.
// It costs a load, so the calls that need it make it always; a caller from elsewhere that
// comes while t happens to be in a round is left to the race detector.
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

// SendMsg has fn called with ctx on t, later. Any goroutine may call it. It returns 0,
// ENOMEM when t has no room for a message, or ESRCH when t has exited; fn is called if and
// only if it returned 0, even if t is forced to exit.
//
// SPDK: spdk_thread_send_msg, which aborts the process instead of returning an error.
func (t *Thread) SendMsg(fn MsgFunc, ctx any) syscall.Errno {
	switch t.msgs.Push(message{fn, ctx}) {
	case mempool.Full:
		return syscall.ENOMEM
	case mempool.Closed:
		return syscall.ESRCH
	}
	t.wake()
	return 0
}

// SendMsgFrom is [Thread.SendMsg] for a caller that runs on the thread from, and cheaper
// when both threads belong to one reactor.
//
// Not in SPDK: there spdk_thread_send_msg finds out itself.
func (t *Thread) SendMsgFrom(from *Thread, fn MsgFunc, ctx any) syscall.Errno {
	// The local queue is taken only while the shared ring is empty, and always run before
	// it: so messages of one sender stay in order, and the ring cannot starve.
	if from.reactor == t.reactor && !t.IsExited() {
		if !t.msgs.Empty() {
			t.takeRing()
		}
		if t.local.Len() < t.fw.opts.MsgRingSize && t.msgs.Empty() {
			t.local.Push(message{fn, ctx})
			return 0
		}
	}
	return t.SendMsg(fn, ctx)
}

// takeRing moves the messages of the shared ring to the local queue. Otherwise threads that
// keep a few messages going round would never get off the ring again.
//
//go:noinline
func (t *Thread) takeRing() {
	var m message
	for t.local.Len() < t.fw.opts.MsgRingSize && t.msgs.Pop(&m) {
		t.local.Push(m)
	}
	t.msgs.Release()
}

// Defer has fn called with ctx on t in its next round, before any message. On t only. It
// cannot fail: use it for work whose amount is bounded by objects that exist already, such
// as the completion of an IO.
//
// SPDK: spdk_thread_send_msg to the calling thread
func (t *Thread) Defer(fn MsgFunc, ctx any) { t.deferred.Push(message{fn, ctx}) }

// SendMsgRetry is [Thread.SendMsgFrom] that does not give up: while t has no room, the
// caller's thread tries again every round. It returns false, and fn is never called, when t
// has exited by the time of the call. It allocates when t is full; not for hot paths.
//
// Not in SPDK, whose queue is assumed to be large enough.
func (t *Thread) SendMsgRetry(from *Thread, fn MsgFunc, ctx any) bool {
	switch t.SendMsgFrom(from, fn, ctx) {
	case 0:
		return true
	case syscall.ESRCH:
		return false
	}
	from.Defer(retrySend, &sendRetry{to: t, msg: message{fn, ctx}})
	return true
}

type sendRetry struct {
	to  *Thread
	msg message
}

func retrySend(t *Thread, ctx any) {
	r := ctx.(*sendRetry)
	if r.to.SendMsgFrom(t, r.msg.fn, r.msg.ctx) == syscall.ENOMEM {
		t.Defer(retrySend, r)
	}
}

// SendCriticalMsg has fn called on t before anything else. There is one slot: EBUSY says
// that an earlier critical message has not run yet. Any goroutine may call it.
//
// SPDK: spdk_thread_send_critical_msg, which aborts the process when the slot is taken.
func (t *Thread) SendCriticalMsg(fn MsgFunc) syscall.Errno {
	if !t.critical.CompareAndSwap(nil, &fn) {
		if t.IsExited() {
			return syscall.ESRCH
		}
		return syscall.EBUSY
	}
	t.wake()
	return 0
}

// noMoreCritical takes the slot of an exited thread.
var noMoreCritical MsgFunc

// ExecMsg calls fn at once if the caller's thread is t, and sends a message otherwise.
//
// SPDK: spdk_thread_exec_msg
func (t *Thread) ExecMsg(from *Thread, fn MsgFunc, ctx any) syscall.Errno {
	if from == t {
		fn(t, ctx)
		return 0
	}
	return t.SendMsgFrom(from, fn, ctx)
}

func (t *Thread) wake() {
	if r := t.reactor; r != nil {
		r.wake()
	}
}

// Poll runs one round of the thread by hand, at the time now in ticks (0 means the
// framework's clock). It reports whether there was anything to do. Only for frameworks
// without reactors.
//
// SPDK: spdk_thread_poll
func (t *Thread) Poll(now uint64) (busy bool) {
	if t.reactor != nil {
		panic(fmt.Sprintf("reactor: thread %q is polled by hand but belongs to a reactor", t.name))
	}
	if t.IsExited() {
		return false
	}
	start := t.fw.Ticks()
	if now == 0 {
		now = start
	}
	busy = t.poll(now)
	if busy {
		t.busyLocal += t.fw.Ticks() - start
	} else {
		t.idleLocal += t.fw.Ticks() - start
	}
	t.publish()
	return busy
}

func (t *Thread) publish() {
	t.busyTicks.Store(t.busyLocal)
	t.idleTicks.Store(t.idleLocal)
}

// poll runs one round.
func (t *Thread) poll(now uint64) (busy bool) {
	t.inPoll = true
	if t.critical.Load() != nil {
		t.runCritical()
		busy = true
	}
	if t.deferred.Len() > 0 {
		runQueue(t, &t.deferred, t.deferred.Len())
		busy = true
	}
	if t.local.Len() > 0 || t.msgs.Ready() {
		t.runMessages()
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

func (t *Thread) runCritical() {
	fn := t.critical.Load()
	t.critical.Store(nil)
	(*fn)(t, nil)
}

// runMessages runs at most msgBatch messages that were there at the start.
func (t *Thread) runMessages() {
	n := min(t.local.Len(), msgBatch)
	runQueue(t, &t.local, n)
	if t.local.Len() > 0 {
		return // the shared ring has to wait until the local queue is empty, see SendMsgFrom
	}
	// All are taken before the first runs, which may send more. Counting them instead would
	// touch the cache line that senders fight for.
	batch := t.batch[:0]
	for n+len(batch) < msgBatch && t.msgs.Pop(&t.batch[len(batch)]) {
		batch = t.batch[:len(batch)+1]
	}
	for i := range batch {
		batch[i].fn(t, batch[i].ctx)
	}
	clear(batch)
	t.msgs.Release()
}

func runQueue(t *Thread, q *mempool.FIFO[message], n int) {
	for range n {
		m := q.Pop()
		m.fn(t, m.ctx)
	}
}

// hasWork reports whether a round would find something other than pollers.
func (t *Thread) hasWork() bool {
	return t.deferred.Len() > 0 || t.local.Len() > 0 || !t.msgs.Empty() || t.critical.Load() != nil
}

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
	held := t.Holding()
	switch {
	case held == "" && t.close():
	case now >= t.exitDeadline:
		t.force()
		t.fw.warn("thread is forced to exit: release what holds it before Exit",
			"thread", t.name, "held by", held)
	default:
		return
	}
	t.state.Store(uint32(threadExited))
	t.fw.removeThread(t)
}

// close stops t from taking messages, unless one came in meanwhile.
func (t *Thread) close() bool {
	if !t.critical.CompareAndSwap(nil, &noMoreCritical) {
		return false
	}
	if !t.msgs.Close() {
		t.critical.Store(nil)
		return false
	}
	return true
}

// force stops t from taking messages, runs those it has taken, and lets go of what the
// kernel knows of it.
func (t *Thread) force() {
	t.state.Store(uint32(threadExited)) // so that nothing is added to the local queue
	t.msgs.Shut()
	if fn := t.critical.Swap(&noMoreCritical); fn != nil {
		(*fn)(t, nil)
	}
	runQueue(t, &t.deferred, t.deferred.Len())
	runQueue(t, &t.local, t.local.Len())
	for m := (message{}); !t.msgs.Empty(); {
		if t.msgs.Pop(&m) {
			m.fn(t, m.ctx)
		} else {
			runtime.Gosched() // its sender is about to write it
		}
	}
	t.msgs.Release()
	// What ran may have put off work that others count on; what puts itself off for ever is given up.
	for i := 0; i < forcedRounds && t.deferred.Len() > 0; i++ {
		runQueue(t, &t.deferred, t.deferred.Len())
	}
	for _, i := range t.interrupts {
		_ = i.forget() // EBADF: it was closed already
	}
}

// Holding says in words what keeps t from exiting, "" if nothing does. On t only.
//
// Not in SPDK, which logs the first such thing.
func (t *Thread) Holding() string {
	var held []string
	if n := t.deferred.Len() + t.local.Len() + t.msgs.Count(); n > 0 {
		held = append(held, fmt.Sprintf("%d messages", n))
	}
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
	for _, e := range t.exts {
		if e != nil {
			if h := e.Holding(); h != "" {
				held = append(held, h)
			}
		}
	}
	return strings.Join(held, ", ")
}

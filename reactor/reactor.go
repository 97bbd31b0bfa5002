package reactor

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/internal/sys"
)

const (
	// clockRounds is how many idle rounds share one reading of the clock, which costs as
	// much as the round itself. For as many rounds after work it is read thread by thread:
	// who finds work next would be charged with what others did in vain.
	clockRounds = 8
	// chorePeriod is how often a reactor that is awake looks after what is not a round's work.
	chorePeriod = time.Millisecond
	// publishPeriod is how often a reactor that is awake publishes its statistics.
	publishPeriod = 10 * time.Millisecond
)

// Reactor runs the threads of one core.
//
// SPDK: struct spdk_reactor
type Reactor struct {
	fw   *Framework
	core int
	tid  int

	traceID uint16

	threads []*Thread
	events  mailbox[event]
	running *Thread // for the stall monitor

	group  *FDGroup // of the wake-up, and those of the threads
	wakefd int

	now          uint64 // ticks, at the last reading
	lastWork     uint64
	choresAt     uint64
	publishAt    uint64
	crowdedUntil uint64 // see spin
	round        uint
	mode         Mode
	idleEvery    uint // rounds without work after which the reactor asks itself whether to sleep
	spinTicks    uint64
	armed        bool // the threads' pollers have been told that nobody polls them
	asleep       bool // only of a reactor that is polled by hand
	begun        bool
	stopped      bool
	visits       int    // of ForEachReactor that began here
	busyLocal    uint64 // not yet published
	idleLocal    uint64
	sched        schedTurn
	switches     switchMonitor

	_        [64]byte
	sleeping atomic.Uint32
	wakers   atomic.Int32 // that may be about to write to wakefd
	called   atomic.Bool  // something has been posted
	_        [56]byte

	control   sync.Mutex // guards what follows; held for a few instructions
	posted    []event
	ended     bool
	switching bool // a SetMode is under way

	modeNow   atomic.Int32
	polls     atomic.Int32 // the last mode that was not ModeInterrupt
	busyTicks atomic.Uint64
	idleTicks atomic.Uint64
	sleeps    atomic.Uint64
	stall     stallRecord
}

func newReactor(f *Framework, core int) (*Reactor, error) {
	r := &Reactor{fw: f, core: core, wakefd: -1}
	r.traceID = f.tracer.RegisterOwner(OwnerTypeReactor, fmt.Sprintf("reactor_%d", core))
	r.sched.at, r.switches.at = math.MaxUint64, math.MaxUint64
	r.events.init(f.opts.EventRingSize)
	r.applyMode(f.opts.Mode)
	var err error
	if r.group, err = NewFDGroup(); err != nil {
		return nil, fmt.Errorf("reactor %d: %w", core, err)
	}
	r.wakefd, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err == nil {
		err = r.group.AddExt(r.wakefd, "wake-up", serveWake, r, FDOpts{Type: FDTypeEventfd})
	}
	if err != nil {
		r.close()
		return nil, fmt.Errorf("reactor %d: %w", core, err)
	}
	return r, nil
}

func serveWake(any) int { return 0 }

func (r *Reactor) close() {
	r.fw.tracer.UnregisterOwner(r.traceID)
	if r.wakefd >= 0 {
		unix.Close(r.wakefd)
		r.wakefd = -1
	}
	r.group.abandon()
}

// Core returns the CPU that the reactor is pinned to. SPDK: spdk_reactor.lcore
func (r *Reactor) Core() int { return r.core }

// IsPinned says whether the reactor is one thread of the operating system's, which it is unless that was not wanted
// ([Options.NoPin], [Options.Manual]). Not in SPDK, whose reactors always are.
func (r *Reactor) IsPinned() bool { return !r.fw.opts.NoPin && !r.fw.opts.Manual }

// Framework returns the framework that owns the reactor. Not in SPDK, where it is the process.
func (r *Reactor) Framework() *Framework { return r.fw }

// ReactorStats says what a reactor did. SPDK: spdk_reactor.busy_tsc, idle_tsc
type ReactorStats struct {
	BusyTicks uint64
	IdleTicks uint64 // spinning without work, and sleeping
	Sleeps    uint64 // how often it went to sleep
	Stalls    uint64 // how often a callback blocked it for [Options.StallThreshold]
	MaxStall  time.Duration
}

// Stats returns what the reactor did until about 10 ms ago, or, of a reactor that is polled by
// hand, up to the last round. Any goroutine.
//
// SPDK: framework_get_reactors
func (r *Reactor) Stats() ReactorStats {
	return ReactorStats{
		BusyTicks: r.busyTicks.Load(),
		IdleTicks: r.idleTicks.Load(),
		Sleeps:    r.sleeps.Load(),
		Stalls:    r.stall.count.Load(),
		MaxStall:  r.fw.Duration(r.stall.longest.Load()),
	}
}

// Threads returns the threads that the reactor runs now. On r only.
//
// SPDK: the threads list of struct spdk_reactor
func (r *Reactor) Threads() []*Thread { return slices.Clone(r.threads) }

// wake interrupts the reactor's sleep. Of many callers at once, one writes.
func (r *Reactor) wake() {
	if r.sleeping.Load() != 0 {
		r.interrupt()
	}
}

//go:noinline
func (r *Reactor) interrupt() {
	r.wakers.Add(1)
	if r.sleeping.CompareAndSwap(1, 0) {
		one := [8]byte{1}
		_, _ = unix.Write(r.wakefd, one[:]) // EAGAIN: it is awake as can be
	}
	r.wakers.Add(-1)
}

// main is the reactor's goroutine.
func (r *Reactor) main(ready chan<- error) {
	if !r.fw.opts.NoPin {
		// The goroutine ends locked, so that its pinned OS thread ends with it.
		runtime.LockOSThread()
		if err := r.pin(); err != nil {
			r.end()
			ready <- err
			return
		}
	}
	ready <- nil
	r.begin()
	for !r.stopped || len(r.threads) > 0 || !r.end() {
		r.runRound()
	}
	r.publish()
	for r.wakers.Load() != 0 { // wakefd is closed next, and its number is anybody's then
		runtime.Gosched()
	}
}

func (r *Reactor) begin() {
	r.begun = true
	r.now = r.fw.Ticks()
	r.lastWork = r.now
	r.chores()
}

// end makes the reactor take no events any more, unless one came in meanwhile.
func (r *Reactor) end() bool {
	r.control.Lock()
	defer r.control.Unlock()
	if r.visits > 0 || len(r.posted) > 0 || !r.events.empty() || !r.events.ring.Close() {
		return false
	}
	r.ended = true
	r.stall.beat.Store(0)
	return true
}

func (r *Reactor) pin() error {
	r.tid = unix.Gettid()
	name := append([]byte(fmt.Sprintf("reactor_%d", r.core)), 0)
	err := unix.Prctl(unix.PR_SET_NAME, sys.Addr(name), 0, 0, 0)
	runtime.KeepAlive(name)
	if err != nil {
		return fmt.Errorf("reactor %d: naming the thread: %w", r.core, err)
	}
	var set unix.CPUSet
	set.Set(r.core)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("reactor %d: pinning to CPU %d: %w (is it in the process's CPU mask?)", r.core, r.core, err)
	}
	return nil
}

// Poll runs one round of a reactor of a [Options.Manual] framework and reports whether there
// was anything to do. A reactor that went to sleep in an earlier round stays asleep until
// something has woken it or a timed poller is due. From one goroutine at a time.
//
// SPDK: _reactor_run
func (r *Reactor) Poll() (busy bool) {
	switch {
	case !r.fw.opts.Manual:
		panic(fmt.Sprintf("reactor %d is polled by hand but the framework is not manual", r.core))
	case r.ended:
		return false
	case !r.begun:
		r.begin()
	}
	r.tick() // whoever polls did something else meanwhile
	if r.asleep {
		n := r.waitFDs(0)
		if n == 0 && r.sleepTime() != 0 {
			return false
		}
		r.asleep = false
		r.wakeUp(n)
	}
	busy = r.runRound()
	r.publish()
	return busy
}

// Asleep reports whether a reactor that is polled by hand has gone to sleep.
//
// Not in SPDK, whose unit tests cannot put a reactor to sleep.
func (r *Reactor) Asleep() bool { return r.asleep }

// runRound runs a batch of events, polls every thread once and accounts for the time.
func (r *Reactor) runRound() (busy bool) {
	if r.called.Load() {
		r.runPosted()
		busy = true
	}
	if r.events.ready() {
		r.runEvents()
		r.worked()
		busy = true
	}
	changed, exact := false, r.round < clockRounds
	for _, t := range r.threads {
		r.running = t
		if t.poll(r.now, batchSize) {
			t.busyLocal += r.worked()
			busy = true
		} else if exact {
			now := r.clock()
			t.idleLocal += now - r.now
			r.idleLocal += now - r.now
			r.now = now
		}
		if t.leaving || t.state.Load() == uint32(threadExited) {
			changed = true
		}
	}
	if changed {
		r.letGo()
	}
	if busy {
		r.lastWork = r.now
		r.round = 0
		if r.armed {
			r.disarm()
		}
	} else if r.round++; r.round%r.idleEvery == 0 {
		r.idle()
	}
	if r.now >= r.choresAt {
		r.chores()
	}
	return busy
}

// idle runs after idleEvery rounds without work.
func (r *Reactor) idle() {
	r.tick()
	if r.fw.opts.NoPin && !r.fw.opts.Manual {
		runtime.Gosched()
	}
	switch {
	case r.mode == ModePoll:
	case r.now-r.lastWork < r.spinTicks && r.now >= r.crowdedUntil:
		r.spin()
	case !r.maySleep():
		r.disarm()
	case r.arm():
		r.sleep()
	}
}

// arm tells the pollers that nobody polls them any more. It returns false if there was one to
// tell: then another round has to show that they have no work.
func (r *Reactor) arm() bool {
	if r.armed {
		return true
	}
	r.armed = true
	told := false
	for _, t := range r.threads {
		t.setIntrMode(true)
		told = told || t.armable > 0
	}
	return !told
}

// disarm tells the pollers that they are polled again, unless the reactor's mode has them rely
// on interrupts for good.
func (r *Reactor) disarm() {
	if !r.armed || r.mode == ModeInterrupt {
		return
	}
	r.armed = false
	for _, t := range r.threads {
		t.setIntrMode(false)
	}
}

// clock returns the time. The counters of two CPUs can be a little apart, and a reactor that is
// not pinned meets both.
func (r *Reactor) clock() uint64 { return max(r.now, r.fw.Ticks()) }

// tick reads the clock and accounts the time since the last reading as idle.
func (r *Reactor) tick() {
	now := r.clock()
	r.idleLocal += now - r.now
	for _, t := range r.threads {
		t.idleLocal += (now - r.now) / uint64(len(r.threads))
	}
	r.now = now
}

// worked reads the clock and accounts the time since the last reading as busy.
func (r *Reactor) worked() (ticks uint64) {
	now := r.clock()
	ticks = now - r.now
	r.busyLocal += ticks
	r.now = now
	return ticks
}

// chores is what has to be done from time to time.
//
//go:noinline
func (r *Reactor) chores() {
	r.stall.check(r)
	if r.now >= r.publishAt {
		r.publish()
	}
	if r.now >= r.sched.at {
		r.startScheduling()
	}
	if r.now >= r.switches.at {
		r.countSwitches()
	}
	r.choresAt = min(r.now+r.fw.toTicks(chorePeriod), r.sched.at)
}

func (r *Reactor) publish() {
	r.busyTicks.Store(r.busyLocal)
	r.idleTicks.Store(r.idleLocal)
	for _, t := range r.threads {
		t.publish()
	}
	r.publishAt = r.now + r.fw.toTicks(publishPeriod)
}

// maySleep reports whether everything that the reactor's threads wait for can wake it.
func (r *Reactor) maySleep() bool {
	if r.stopped && len(r.threads) == 0 {
		return false // it has come to its end
	}
	for _, t := range r.threads {
		if t.spinners > 0 {
			return false
		}
	}
	return true
}

// sleep waits for a message, an interrupt or the next timed poller. A reactor that is polled
// by hand only notes that it does.
func (r *Reactor) sleep() {
	r.publish()
	r.stall.check(r)
	r.sleeping.Store(1)
	// A sender pushes first and looks at sleeping second; here it is the other way round,
	// so that one of the two sees the other.
	if r.hasWork() {
		r.sleeping.Store(0)
		r.disarm()
		return
	}
	r.sleeps.Store(r.sleeps.Load() + 1)
	if r.fw.opts.Manual {
		r.asleep = true
		return
	}
	r.stall.beat.Store(0)
	n := r.waitFDs(r.sleepTime())
	r.wakeUp(n)
}

func (r *Reactor) waitFDs(timeout int64) int {
	n, errno := r.group.poll(timeout)
	if errno != 0 && errno != unix.EINTR {
		panic(fmt.Sprintf("reactor %d: waiting for interrupts: %v", r.core, errno))
	}
	return n
}

// wakeUp ends a sleep: n interrupts have come.
func (r *Reactor) wakeUp(n int) {
	r.sleeping.Store(0)
	r.tick()
	r.stall.beat.Store(r.now)
	if _, errno := r.group.serve(n); errno != 0 {
		panic(fmt.Sprintf("reactor %d: serving interrupts: %v", r.core, errno))
	}
	r.disarm()
	r.lastWork = r.now
}

func (r *Reactor) hasWork() bool {
	if r.called.Load() || !r.events.empty() {
		return true
	}
	for _, t := range r.threads {
		if t.hasWork() {
			return true
		}
	}
	return false
}

// sleepTime returns the nanoseconds until the reactor has to be awake again, -1 if it need not
// be on its own account.
func (r *Reactor) sleepTime() int64 {
	next := r.sched.at
	for _, t := range r.threads {
		next = min(next, t.nextTimer())
		if t.state.Load() != uint32(threadRunning) {
			next = min(next, t.exitDeadline)
		}
	}
	switch {
	case next == math.MaxUint64:
		return -1
	case next <= r.now:
		return 0
	}
	return int64(r.fw.Duration(next - r.now))
}

// nextTimer returns when a timed poller of t needs its reactor awake.
func (t *Thread) nextTimer() uint64 {
	if len(t.timed) == 0 {
		return math.MaxUint64
	}
	if t.softTimers == 0 {
		return t.timed[0].nextRun
	}
	next := uint64(math.MaxUint64)
	for _, p := range t.timed {
		if !p.interruptible {
			next = min(next, p.nextRun)
		}
	}
	return next
}

package reactor

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/internal/sys"
)

const (
	// clockRounds is how many idle rounds share one reading of the clock, which costs as
	// much as the round itself.
	clockRounds = 8
	// publishHz is how often a spinning reactor publishes its statistics.
	publishHz = 100
	// maxEvents is how many file descriptors one wake-up serves.
	maxEvents = 32
)

// Reactor runs the threads of one core.
//
// SPDK: struct spdk_reactor
type Reactor struct {
	fw   *Framework
	core int
	tid  int

	threads []*Thread
	stopped bool

	control   sync.Mutex // guards newcomers and stopping
	newcomers []*Thread
	stopping  bool
	called    atomic.Bool // control has something to say

	epfd   int
	wakefd int
	events [maxEvents]unix.EpollEvent

	now       uint64 // ticks, at the last reading
	lastWork  uint64
	spinTicks uint64
	round     uint
	busyLocal uint64 // not yet published
	idleLocal uint64
	published uint64

	_        [64]byte
	sleeping atomic.Uint32
	wakers   atomic.Int32 // that may be about to write to wakefd
	_        [56]byte

	busyTicks atomic.Uint64
	idleTicks atomic.Uint64
	sleeps    atomic.Uint64
}

func newReactor(f *Framework, core int) (*Reactor, error) {
	r := &Reactor{fw: f, core: core, epfd: -1, wakefd: -1, spinTicks: f.toTicks(f.opts.HybridSpin)}
	var err error
	if r.epfd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("reactor %d: epoll_create: %w", core, err)
	}
	if r.wakefd, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		r.close()
		return nil, fmt.Errorf("reactor %d: eventfd: %w", core, err)
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(r.wakefd)}
	if err = unix.EpollCtl(r.epfd, unix.EPOLL_CTL_ADD, r.wakefd, &ev); err != nil {
		r.close()
		return nil, fmt.Errorf("reactor %d: epoll_ctl: %w", core, err)
	}
	return r, nil
}

func (r *Reactor) close() {
	for _, fd := range []*int{&r.epfd, &r.wakefd} {
		if *fd >= 0 {
			unix.Close(*fd)
			*fd = -1
		}
	}
}

// Core returns the CPU that the reactor is pinned to. SPDK: spdk_reactor.lcore
func (r *Reactor) Core() int { return r.core }

// ReactorStats says what a reactor did. SPDK: spdk_reactor.busy_tsc, idle_tsc
type ReactorStats struct {
	BusyTicks uint64
	IdleTicks uint64 // spinning without work, and sleeping
	Sleeps    uint64 // how often it went to sleep
}

// Stats returns what the reactor did until about 10 ms ago. Any goroutine.
//
// SPDK: framework_get_reactors
func (r *Reactor) Stats() ReactorStats {
	return ReactorStats{r.busyTicks.Load(), r.idleTicks.Load(), r.sleeps.Load()}
}

func (r *Reactor) addThread(t *Thread) {
	r.control.Lock()
	r.newcomers = append(r.newcomers, t)
	r.control.Unlock()
	r.called.Store(true)
	r.wake()
}

func (r *Reactor) stop() {
	r.control.Lock()
	r.stopping = true
	r.control.Unlock()
	r.called.Store(true)
	r.wake()
}

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
			ready <- err
			return
		}
	}
	ready <- nil
	r.now = r.fw.Ticks()
	r.lastWork = r.now
	for !r.stopped || len(r.threads) > 0 {
		r.runRound()
	}
	r.publish()
	for r.wakers.Load() != 0 { // wakefd is closed next, and its number is anybody's then
		runtime.Gosched()
	}
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

// runRound polls every thread once and accounts for the time.
func (r *Reactor) runRound() {
	if r.called.Load() {
		r.runControl()
	}
	anyBusy, exited := false, false
	for _, t := range r.threads {
		if t.poll(r.now) {
			now := r.fw.Ticks()
			t.busyLocal += now - r.now
			r.busyLocal += now - r.now
			r.now = now
			anyBusy = true
		}
		if t.state.Load() == uint32(threadExited) {
			exited = true
		}
	}
	if exited {
		r.threads = slices.DeleteFunc(r.threads, (*Thread).IsExited)
	}
	if anyBusy {
		r.lastWork = r.now
		r.round = 0
	} else if r.round++; r.round%clockRounds == 0 {
		r.idle()
	}
}

// idle runs after clockRounds rounds without work.
func (r *Reactor) idle() {
	r.tick()
	if r.now-r.published > r.fw.hz/publishHz {
		r.publish()
	}
	if r.fw.opts.NoPin {
		runtime.Gosched()
	}
	if r.fw.opts.Mode == ModeHybrid && r.now-r.lastWork > r.spinTicks && r.maySleep() {
		r.sleep()
	}
}

// tick reads the clock and accounts the time since the last reading as idle.
func (r *Reactor) tick() {
	now := r.fw.Ticks()
	r.idleLocal += now - r.now
	for _, t := range r.threads {
		t.idleLocal += (now - r.now) / uint64(len(r.threads))
	}
	r.now = now
}

func (r *Reactor) publish() {
	r.busyTicks.Store(r.busyLocal)
	r.idleTicks.Store(r.idleLocal)
	r.published = r.now
	for _, t := range r.threads {
		t.publish()
	}
}

func (r *Reactor) runControl() {
	r.called.Store(false)
	r.control.Lock()
	r.threads = append(r.threads, r.newcomers...)
	r.newcomers = nil
	r.stopped = r.stopping
	r.control.Unlock()
	if r.stopped {
		for _, t := range r.threads {
			t.exit()
		}
	}
}

// maySleep reports whether everything that the reactor's threads wait for can wake it.
func (r *Reactor) maySleep() bool {
	if r.stopped {
		return false // nobody would wake it when its last thread has exited
	}
	for _, t := range r.threads {
		if t.spinners > 0 || t.state.Load() != uint32(threadRunning) {
			return false
		}
	}
	return true
}

// sleep waits in epoll for a message, an interrupt or the next timed poller.
func (r *Reactor) sleep() {
	r.publish()
	r.sleeping.Store(1)
	// A sender pushes first and looks at sleeping second; here it is the other way round,
	// so that one of the two sees the other.
	if r.hasWork() {
		r.sleeping.Store(0)
		return
	}
	r.sleeps.Store(r.sleeps.Load() + 1)
	n, errno := sys.EpollWait(r.epfd, r.events[:], r.sleepTime())
	r.sleeping.Store(0)
	if errno != 0 && errno != unix.EINTR {
		panic(fmt.Sprintf("reactor %d: epoll_wait on fd %d: %v", r.core, r.epfd, errno))
	}
	r.tick()
	for i := range n {
		r.serve(&r.events[i])
	}
	r.lastWork = r.now
}

func (r *Reactor) hasWork() bool {
	if r.called.Load() {
		return true
	}
	for _, t := range r.threads {
		if t.hasWork() {
			return true
		}
	}
	return false
}

// sleepTime returns the nanoseconds until the next timed poller, -1 if there is none.
func (r *Reactor) sleepTime() int64 {
	next := uint64(math.MaxUint64)
	for _, t := range r.threads {
		if len(t.timed) > 0 {
			next = min(next, t.timed[0].nextRun)
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

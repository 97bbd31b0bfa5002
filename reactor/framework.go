package reactor

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spdk-go/spdk-go/internal/sys"
)

// Framework owns reactors and threads. Its methods may be called from any goroutine.
//
// SPDK: the globals of lib/thread and lib/event
type Framework struct {
	opts       Options
	hz         uint64
	stallTicks uint64     // 0: nobody watches for stalls
	manual     bool       // reactors, or threads if there are none, are polled by hand
	reactors   []*Reactor // in the order of Options.Cores
	sched      scheduling
	tracer     Tracer
	traceMasks *TraceMasks // the tracer's

	nextCore      atomic.Uint32 // whose turn it is to get a thread
	switchMonitor atomic.Bool
	warnings      atomic.Int32 // that are being written
	stalls        *stallMonitor

	mu      sync.Mutex // guards what follows; never held while a callback runs
	threads []*Thread  // in order of id
	lastID  uint64
	started bool
	stopped bool
	exts    [maxExt]any

	done   sync.WaitGroup
	closed sync.Once
}

// NewFramework returns a framework with a reactor for each of o.Cores, not started yet.
//
// SPDK: spdk_reactors_init, spdk_thread_lib_init_ext
func NewFramework(o Options) (*Framework, error) {
	o.setDefaults()
	for name, size := range map[string]int{"MsgRingSize": o.MsgRingSize, "EventRingSize": o.EventRingSize} {
		if size < 2 || size&(size-1) != 0 {
			return nil, fmt.Errorf("reactor: %s %d is not a power of two from 2 on: %w", name, size, syscall.EINVAL)
		}
	}
	if !o.Mode.valid() {
		return nil, fmt.Errorf("reactor: there is no %v: %w", o.Mode, syscall.EINVAL)
	}
	if sorted := slices.Sorted(slices.Values(o.Cores)); len(slices.Compact(sorted)) != len(o.Cores) {
		return nil, fmt.Errorf("reactor: Cores %v has a CPU twice: %w", o.Cores, syscall.EINVAL)
	}
	f := &Framework{opts: o, hz: o.ticksHz(), manual: o.Manual || len(o.Cores) == 0, tracer: o.Tracer}
	f.traceMasks = f.tracer.TraceMasks()
	f.stallTicks = f.toTicks(max(0, o.StallThreshold))
	for _, core := range o.Cores {
		r, err := newReactor(f, core)
		if err != nil {
			f.close()
			return nil, err
		}
		f.reactors = append(f.reactors, r)
	}
	if len(f.reactors) > 0 {
		f.sched.core = f.reactors[0]
	}
	return f, nil
}

// Start starts the reactors and returns when all of them run. It raises GOMAXPROCS to the
// number of reactors plus two, so that the garbage collector and the other goroutines do
// not have to take a reactor's place.
//
// SPDK: spdk_reactors_start
func (f *Framework) Start() error {
	f.mu.Lock()
	if f.started || f.stopped || f.manual {
		f.mu.Unlock()
		return fmt.Errorf("reactor: framework has no reactors to start, or has been started or stopped before: %w",
			syscall.EINVAL)
	}
	f.started = true
	f.done.Add(len(f.reactors)) // here, for Stop may be waiting as soon as the lock is free
	f.mu.Unlock()
	if want := len(f.reactors) + 2; !f.opts.NoPin && runtime.GOMAXPROCS(0) < want {
		runtime.GOMAXPROCS(want)
	}
	ready := make(chan error, len(f.reactors))
	for _, r := range f.reactors {
		go func() {
			defer f.done.Done()
			r.main(ready)
		}()
	}
	var failed error
	for range f.reactors {
		if err := <-ready; err != nil && failed == nil {
			failed = err
		}
	}
	if failed != nil {
		f.Stop()
		for _, t := range f.Threads() { // of a reactor that never ran
			t.force()
			t.end()
		}
		return failed
	}
	if f.stallTicks > 0 {
		f.stalls = startStallMonitor(f)
	}
	return nil
}

// Stop asks every thread to exit, waits until all have, and ends the reactors. It must not
// be called from a reactor. Release channels and pollers first: a thread that is held is
// forced out after 5 seconds. No thread can be created from now on; stopping again is
// harmless. A scheduler and a governor end too. Reactors that are polled by hand are polled
// until they have ended or have nothing to do but wait.
//
// SPDK: spdk_reactors_stop, spdk_reactors_fini
func (f *Framework) Stop() {
	f.mu.Lock()
	started := f.started
	f.stopped = true
	f.mu.Unlock()
	if started || f.opts.Manual {
		for _, r := range f.reactors {
			r.post(stopReactor, nil, nil)
		}
	}
	if f.opts.Manual {
		f.pollUntilStopped()
	}
	if started {
		f.done.Wait()
		if f.stalls != nil {
			f.stalls.stop()
			f.stalls = nil
		}
	}
	// Whoever scheduled has nothing left to schedule, and gives back what it took.
	_ = f.SetScheduler("")
	_ = f.SetGovernor("")
	f.close()
	f.waitForWarnings()
}

// pollUntilStopped polls the reactors of a manual framework.
func (f *Framework) pollUntilStopped() {
	for busy := true; busy; {
		busy = false
		for _, r := range f.reactors {
			busy = r.Poll() || busy
		}
	}
	for _, r := range f.reactors {
		if len(r.threads) == 0 {
			r.end()
		}
	}
}

func stopReactor(r *Reactor, _, _ any) {
	r.stopped = true
	for _, t := range r.threads {
		t.exit()
	}
}

func (f *Framework) close() {
	f.closed.Do(func() {
		for _, r := range f.reactors {
			r.close()
		}
	})
}

// CreateThread creates a thread that runs on one of the cores of mask (nil means any),
// taking turns. The first thread of a framework is its app thread. A framework that has
// been stopped creates none: ESHUTDOWN.
//
// SPDK: spdk_thread_create
func (f *Framework) CreateThread(name string, mask *Cpuset) (*Thread, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stopped {
		return nil, fmt.Errorf("reactor: thread %q: the framework has been stopped: %w", name, syscall.ESHUTDOWN)
	}
	r, err := f.pickReactor(mask)
	if err != nil {
		return nil, fmt.Errorf("reactor: thread %q: %w", name, err)
	}
	f.lastID++
	if name == "" {
		name = fmt.Sprintf("thread%d", f.lastID)
	}
	t := &Thread{fw: f, name: name, id: f.lastID, first: anyCore, lastTicks: f.Ticks(), traceMasks: f.traceMasks}
	t.traceID = f.tracer.RegisterOwner(OwnerTypeThread, name)
	t.msgs.init(f.opts.MsgRingSize)
	if mask != nil {
		own := *mask
		t.cpumask.Store(&own)
	}
	f.threads = append(f.threads, t)
	if r != nil {
		t.reactor.Store(r)
		r.post(adopt, t, nil)
	}
	return t, nil
}

// pickReactor takes the next reactor of mask in turn, nil if there are none at all.
func (f *Framework) pickReactor(mask *Cpuset) (*Reactor, error) {
	for range f.reactors {
		n := f.nextCore.Add(1) - 1
		if r := f.reactors[n%uint32(len(f.reactors))]; mask.allows(r.core) {
			return r, nil
		}
	}
	if len(f.reactors) == 0 {
		return nil, nil
	}
	return nil, fmt.Errorf("no reactor runs on a core of mask %s: %w", mask, syscall.EINVAL)
}

func (f *Framework) removeThread(t *Thread) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if i, ok := slices.BinarySearchFunc(f.threads, t.id, byID); ok {
		f.threads = slices.Delete(f.threads, i, i+1)
	}
}

// AppThread returns the first thread that was created, nil if there was none or it has
// exited.
//
// SPDK: spdk_thread_get_app_thread
func (f *Framework) AppThread() *Thread {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.threads) == 0 || f.threads[0].id != 1 {
		return nil
	}
	return f.threads[0]
}

// ThreadByID returns the thread with that number, nil if there is none or it has exited. Any
// goroutine.
//
// SPDK: spdk_thread_get_by_id
func (f *Framework) ThreadByID(id uint64) *Thread {
	f.mu.Lock()
	defer f.mu.Unlock()
	if i, ok := slices.BinarySearchFunc(f.threads, id, byID); ok {
		return f.threads[i]
	}
	return nil
}

func byID(t *Thread, id uint64) int { return cmp.Compare(t.id, id) }

// runningThreadAfter returns the running thread with the lowest id above that.
func (f *Framework) runningThreadAfter(id uint64) *Thread {
	f.mu.Lock()
	defer f.mu.Unlock()
	i, _ := slices.BinarySearchFunc(f.threads, id+1, byID)
	for ; i < len(f.threads); i++ {
		if f.threads[i].IsRunning() {
			return f.threads[i]
		}
	}
	return nil
}

// Threads returns the threads that have not exited, oldest first.
//
// SPDK: spdk_thread_get_count
func (f *Framework) Threads() []*Thread {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.threads)
}

// Reactors returns the reactors in the order of [Options.Cores].
//
// SPDK: spdk_env_get_core_count, spdk_env_get_first_core, spdk_env_get_next_core,
// spdk_env_get_last_core, spdk_env_get_main_core
func (f *Framework) Reactors() []*Reactor { return slices.Clone(f.reactors) }

// ReactorOn returns the reactor on a core, nil if there is none. Any goroutine.
//
// SPDK: spdk_reactor_get
func (f *Framework) ReactorOn(core int) *Reactor {
	for _, r := range f.reactors {
		if r.core == core {
			return r
		}
	}
	return nil
}

// Cpuset returns the cores that have a reactor. Any goroutine.
//
// SPDK: spdk_env_get_cpuset, spdk_app_get_core_mask
func (f *Framework) Cpuset() *Cpuset { return NewCpuset(f.opts.Cores...) }

// Ticks returns the time of the framework's clock. SPDK: spdk_get_ticks
func (f *Framework) Ticks() uint64 {
	if f.opts.Clock == nil {
		return sys.Ticks()
	}
	return f.opts.Clock.Ticks()
}

// TicksHz returns the rate of [Framework.Ticks]. SPDK: spdk_get_ticks_hz
func (f *Framework) TicksHz() uint64 { return f.hz }

func (f *Framework) toTicks(d time.Duration) uint64 {
	return uint64(float64(d) * float64(f.hz) / 1e9)
}

// Duration converts a difference of ticks. Not in SPDK, where the caller divides.
func (f *Framework) Duration(ticks uint64) time.Duration {
	return time.Duration(float64(ticks) * 1e9 / float64(f.hz))
}

// Delay spins for d: for hardware that wants a moment, never for something that may take
// longer. It spins on the framework's clock, so that a clock which stands still is no place for it.
//
// SPDK: spdk_delay_us
func (f *Framework) Delay(d time.Duration) {
	for end := f.Ticks() + f.toTicks(d); f.Ticks() < end; {
		sys.Pause()
	}
}

// Pause tells the CPU that the caller spins. SPDK: spdk_pause
func Pause() { sys.Pause() }

// Warn reports something in [Options.Log] from a place that must not wait for the log: a
// scheduler's Balance, a callback. Any goroutine.
//
// Not in SPDK, whose reactors write to the log themselves.
func (f *Framework) Warn(msg string, args ...any) {
	f.warnings.Add(1)
	go func() {
		defer f.warnings.Add(-1)
		f.opts.Log.Warn(msg, args...)
	}()
}

// lastWords is how long Stop waits for a log that takes its time.
const lastWords = time.Second

// waitForWarnings lets what was reported on the way down get into the log before the process ends.
func (f *Framework) waitForWarnings() {
	for end := time.Now().Add(lastWords); f.warnings.Load() > 0 && time.Now().Before(end); {
		time.Sleep(100 * time.Microsecond)
	}
}

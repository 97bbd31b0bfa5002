package reactor

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/spdk-go/spdk-go/internal/sys"
)

// Framework owns reactors and threads. Its methods may be called from any goroutine.
//
// SPDK: the globals of lib/thread and lib/event
type Framework struct {
	opts   Options
	hz     uint64
	manual bool // no reactors: threads are polled by hand

	mu       sync.Mutex // guards what follows; never held while a callback runs
	reactors []*Reactor
	threads  []*Thread // in order of id
	lastID   uint64
	nextCore int
	started  bool
	stopped  bool
	exts     [maxExt]any

	done   sync.WaitGroup
	closed sync.Once
}

// NewFramework returns a framework with a reactor for each of o.Cores, not started yet.
//
// SPDK: spdk_reactors_init, spdk_thread_lib_init_ext
func NewFramework(o Options) (*Framework, error) {
	o.setDefaults()
	if o.MsgRingSize < 2 || o.MsgRingSize&(o.MsgRingSize-1) != 0 {
		return nil, fmt.Errorf("reactor: MsgRingSize %d is not a power of two from 2 on: %w", o.MsgRingSize, syscall.EINVAL)
	}
	if sorted := slices.Sorted(slices.Values(o.Cores)); len(slices.Compact(sorted)) != len(o.Cores) {
		return nil, fmt.Errorf("reactor: Cores %v has a CPU twice: %w", o.Cores, syscall.EINVAL)
	}
	f := &Framework{opts: o, hz: o.ticksHz(), manual: len(o.Cores) == 0}
	for _, core := range o.Cores {
		r, err := newReactor(f, core)
		if err != nil {
			f.close()
			return nil, err
		}
		f.reactors = append(f.reactors, r)
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
			f.removeThread(t)
		}
	}
	return failed
}

// Stop asks every thread to exit, waits until all have, and ends the reactors. It must not
// be called from a reactor. Release channels and pollers first: a thread that is held is
// forced out after 5 seconds. No thread can be created from now on; stopping again is
// harmless.
//
// SPDK: spdk_reactors_stop, spdk_reactors_fini
func (f *Framework) Stop() {
	f.mu.Lock()
	started := f.started
	f.stopped = true
	f.mu.Unlock()
	if started {
		for _, r := range f.reactors {
			r.stop()
		}
		f.done.Wait()
	}
	f.close()
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
	t := &Thread{fw: f, name: name, id: f.lastID, reactor: r}
	t.msgs.Init(f.opts.MsgRingSize)
	f.threads = append(f.threads, t)
	if r != nil {
		r.addThread(t)
	}
	return t, nil
}

// pickReactor takes the next reactor of mask in turn, nil if there are none at all.
func (f *Framework) pickReactor(mask *Cpuset) (*Reactor, error) {
	for range f.reactors {
		r := f.reactors[f.nextCore%len(f.reactors)]
		f.nextCore++
		if mask == nil || mask.Get(r.core) {
			return r, nil
		}
	}
	if f.manual {
		return nil, nil
	}
	return nil, fmt.Errorf("no reactor runs on a core of mask %s", mask)
}

func (f *Framework) removeThread(t *Thread) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if i := slices.Index(f.threads, t); i >= 0 {
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

// Threads returns the threads that have not exited, oldest first.
//
// SPDK: spdk_thread_get_count, spdk_thread_get_by_id
func (f *Framework) Threads() []*Thread {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.threads)
}

// Reactors returns the reactors in the order of [Options.Cores].
//
// SPDK: spdk_reactor_get
func (f *Framework) Reactors() []*Reactor { return slices.Clone(f.reactors) }

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

// warn reports something from a place that must not wait for the log.
func (f *Framework) warn(msg string, args ...any) {
	go f.opts.Log.Warn(msg, args...)
}

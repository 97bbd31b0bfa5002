package reactor

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Scheduler decides, once a period, which thread runs on which core. Its methods are called one
// at a time.
//
// SPDK: struct spdk_scheduler
type Scheduler interface {
	// Name is what it is registered under.
	Name() string
	// Init begins the work for f; it may set the period. Not called on a reactor.
	Init(f *Framework) error
	// Deinit ends it.
	Deinit(f *Framework)
	// Balance changes the Core of threads, and InterruptMode of cores, in place; what it
	// decides is done after it has returned. It is called on the scheduling reactor and must
	// not block.
	Balance(f *Framework, cores []CoreInfo)
	// SetOpts changes the parameters that the JSON object names, all or none.
	SetOpts(opts json.RawMessage) error
	// Opts returns the parameters, for encoding/json.
	Opts() any
}

// CoreInfo is what a [Scheduler] knows of a core.
//
// SPDK: struct spdk_scheduler_core_info
type CoreInfo struct {
	Core          int
	Total         ThreadStats // of the reactor's life
	Current       ThreadStats // since the last Balance
	InterruptMode bool
	Isolated      bool // nothing may be moved to or from it
	Threads       []ThreadInfo
}

// ThreadInfo is what a [Scheduler] knows of a thread.
//
// SPDK: struct spdk_scheduler_thread_info
type ThreadInfo struct {
	ID      uint64
	Core    int // where it runs; Balance sets it to where it shall run
	First   int // where it ran first
	Cpumask *Cpuset
	Bound   bool
	Total   ThreadStats // of the thread's life
	Current ThreadStats // since the last Balance
}

// schedulers is filled by init functions and read-only afterwards.
var schedulers = map[string]func() Scheduler{}

// RegisterScheduler makes a scheduler known by name; a framework that is to use it gets one
// from create. Call it from an init function. It panics if the name is taken.
//
// SPDK: spdk_scheduler_register
func RegisterScheduler(name string, create func() Scheduler) {
	if schedulers[name] != nil {
		panic(fmt.Sprintf("reactor: scheduler %q is registered twice", name))
	}
	schedulers[name] = create
}

// Schedulers returns the names of the registered schedulers. Not in SPDK.
func Schedulers() []string { return sortedNames(schedulers) }

// sortedNames returns the names that a registry knows.
func sortedNames[T any](registry map[string]T) []string {
	names := make([]string, 0, len(registry))
	for name := range registry {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// scheduling is a framework's scheduler.
type scheduling struct {
	turn  sync.Mutex // held while a method of the scheduler runs; a reactor only tries it
	power sync.Mutex // the same for the governor, taken after turn

	mu       sync.Mutex // guards what follows, for a few instructions
	current  Scheduler
	governor Governor
	period   time.Duration
	core     *Reactor // the scheduling reactor
	isolated Cpuset
	running  bool // a round is under way

	cores []CoreInfo // belongs to whoever has the round
}

// schedTurn is when a reactor looks after the scheduler: never, unless it is the scheduling one.
type schedTurn struct {
	at   uint64 // ticks
	prev ThreadStats
}

// SetScheduler ends the scheduler that f has and begins one of the given name; "" means none.
// If the new one cannot begin, the old one goes on. It must not be called on a reactor, since
// schedulers may look at files. Errors: EINVAL for an unknown name, or what the scheduler says.
//
// SPDK: spdk_scheduler_set
func (f *Framework) SetScheduler(name string) error {
	var next Scheduler
	if name != "" {
		create := schedulers[name]
		if create == nil {
			return fmt.Errorf("reactor: there is no scheduler %q, only %q (is its package imported?): %w",
				name, Schedulers(), syscall.EINVAL)
		}
		next = create()
	}
	s := &f.sched
	s.turn.Lock()
	defer s.turn.Unlock()
	old := f.Scheduler()
	if old != nil && name == old.Name() {
		return nil
	}
	if old != nil {
		old.Deinit(f)
	}
	var err error
	if next != nil {
		if err = next.Init(f); err != nil {
			err = fmt.Errorf("reactor: scheduler %q: %w", name, err)
			if next = old; old != nil {
				if e := old.Init(f); e != nil {
					err, next = fmt.Errorf("%w; and going back to %q: %w", err, old.Name(), e), nil
				}
			}
		}
	}
	s.mu.Lock()
	s.current = next
	s.mu.Unlock()
	return err
}

// Scheduler returns the scheduler that f has, nil if there is none. Any goroutine.
//
// SPDK: spdk_scheduler_get
func (f *Framework) Scheduler() Scheduler {
	f.sched.mu.Lock()
	defer f.sched.mu.Unlock()
	return f.sched.current
}

// SetSchedulerOpts changes parameters of the scheduler that f has. Not on a reactor. Errors:
// ENOENT if there is no scheduler, or what it says.
//
// SPDK: set_opts of struct spdk_scheduler
func (f *Framework) SetSchedulerOpts(opts json.RawMessage) error {
	f.sched.turn.Lock()
	defer f.sched.turn.Unlock()
	s := f.Scheduler()
	if s == nil {
		return fmt.Errorf("reactor: there is no scheduler to set parameters of: %w", syscall.ENOENT)
	}
	if err := s.SetOpts(opts); err != nil {
		return fmt.Errorf("reactor: scheduler %q: %w", s.Name(), err)
	}
	return nil
}

// SetSchedulerPeriod changes how often the scheduler runs; 0 means never. It never runs in a
// framework without reactors. Any goroutine.
//
// SPDK: spdk_scheduler_set_period
func (f *Framework) SetSchedulerPeriod(d time.Duration) {
	f.sched.mu.Lock()
	f.sched.period = d
	r := f.sched.core
	f.sched.mu.Unlock()
	if r != nil {
		r.post(armScheduler, nil, nil)
	}
}

// SchedulerPeriod returns how often the scheduler runs. Any goroutine.
//
// SPDK: spdk_scheduler_get_period
func (f *Framework) SchedulerPeriod() time.Duration {
	f.sched.mu.Lock()
	defer f.sched.mu.Unlock()
	return f.sched.period
}

// SchedulingCore returns the core of the reactor that the scheduler runs on: the first one,
// unless that was changed; -1 in a framework without reactors. Any goroutine.
//
// SPDK: spdk_scheduler_get_scheduling_lcore
func (f *Framework) SchedulingCore() int {
	f.sched.mu.Lock()
	defer f.sched.mu.Unlock()
	if f.sched.core == nil {
		return anyCore
	}
	return f.sched.core.core
}

// SetSchedulingCore has the scheduler run on another reactor. Any goroutine. EINVAL: there is no
// reactor on that core.
//
// SPDK: spdk_scheduler_set_scheduling_lcore
func (f *Framework) SetSchedulingCore(core int) error {
	r := f.ReactorOn(core)
	if r == nil {
		return fmt.Errorf("reactor: no reactor runs on core %d, the scheduler cannot: %w", core, syscall.EINVAL)
	}
	f.sched.mu.Lock()
	old := f.sched.core
	f.sched.core = r
	f.sched.mu.Unlock()
	old.post(armScheduler, nil, nil)
	r.post(armScheduler, nil, nil)
	return nil
}

// SetIsolatedCores names the cores that the scheduler moves nothing to or from. Any goroutine.
// EINVAL: one of them has no reactor; nothing changes then.
//
// SPDK: scheduler_set_isolated_core_mask
func (f *Framework) SetIsolatedCores(mask *Cpuset) error {
	for _, cpu := range mask.CPUs() {
		if f.ReactorOn(cpu) == nil {
			return fmt.Errorf("reactor: core %d of isolated cores %s has no reactor: %w", cpu, mask, syscall.EINVAL)
		}
	}
	f.sched.mu.Lock()
	defer f.sched.mu.Unlock()
	f.sched.isolated = *mask
	return nil
}

// IsolatedCores returns what [Framework.SetIsolatedCores] set. Any goroutine.
//
// SPDK: scheduler_get_isolated_core_mask
func (f *Framework) IsolatedCores() Cpuset {
	f.sched.mu.Lock()
	defer f.sched.mu.Unlock()
	return f.sched.isolated
}

// SetGovernor begins a governor of the given name and ends the one that f has; "" means none.
// It must not be called on a reactor. Errors: EINVAL for an unknown name, or what the governor
// says, and then the old one stays.
//
// SPDK: spdk_governor_set
func (f *Framework) SetGovernor(name string) error {
	f.sched.power.Lock()
	defer f.sched.power.Unlock()
	old := f.Governor()
	if old != nil && old.Name() == name {
		return nil
	}
	var next Governor
	if name != "" {
		var err error
		if next, err = NewGovernor(name); err != nil {
			return err
		}
		if err := next.Init(f.Cpuset()); err != nil {
			return fmt.Errorf("reactor: governor %q: %w", name, err)
		}
	}
	f.sched.mu.Lock()
	f.sched.governor = next
	f.sched.mu.Unlock()
	if old != nil {
		old.Deinit()
	}
	return nil
}

// Governor returns the governor that f has, nil if there is none. Any goroutine.
//
// SPDK: spdk_governor_get
func (f *Framework) Governor() Governor {
	f.sched.mu.Lock()
	defer f.sched.mu.Unlock()
	return f.sched.governor
}

// armScheduler sets when r has to look after the scheduler.
func armScheduler(r *Reactor, _, _ any) {
	s := &r.fw.sched
	s.mu.Lock()
	defer s.mu.Unlock()
	r.sched.at = math.MaxUint64
	if s.core == r && s.period > 0 {
		r.sched.at = r.now + r.fw.toTicks(s.period)
		r.choresAt = min(r.choresAt, r.sched.at)
	}
}

// startScheduling begins a round of scheduling: every reactor says what it did, the scheduler
// decides, and what it decided is done.
//
// SPDK: _reactors_scheduler_gather_metrics and what follows it
func (r *Reactor) startScheduling() {
	s := &r.fw.sched
	s.mu.Lock()
	r.sched.at = math.MaxUint64
	on := s.core == r && s.period > 0
	if on {
		r.sched.at = r.now + r.fw.toTicks(s.period)
	}
	on = on && s.current != nil && !s.running
	s.running = s.running || on
	s.mu.Unlock()
	if !on {
		return
	}
	if r.traced(TpointSchedulerPeriodStart) {
		r.traceRecord(TraceEntry{Tpoint: TpointSchedulerPeriodStart})
	}
	s.cores = s.cores[:0]
	for _, other := range r.fw.reactors {
		s.cores = append(s.cores, CoreInfo{Core: other.core})
	}
	if r.fw.ForEachReactor(r, gather, s, nil, balance) != 0 {
		s.end()
	}
}

func (s *scheduling) end() {
	s.mu.Lock()
	s.running = false
	s.mu.Unlock()
}

// gather fills in what r did since the last time.
func gather(r *Reactor, arg1, _ any) {
	s := arg1.(*scheduling)
	c := &s.cores[slices.Index(r.fw.reactors, r)]
	c.Total = ThreadStats{r.busyLocal, r.idleLocal}
	c.Current = c.Total.since(r.sched.prev)
	r.sched.prev = c.Total
	if r.traced(TpointSchedulerCoreStats) {
		r.traceStats(TpointSchedulerCoreStats, r.traceID, c.Current)
	}
	c.InterruptMode = r.mode == ModeInterrupt
	for _, t := range r.threads {
		if t.leaving && !t.bound.Load() {
			continue // it is neither here nor there: the next round sees where it has come to
		}
		total := ThreadStats{t.busyLocal, t.idleLocal}
		current := total.since(t.schedStats)
		c.Threads = append(c.Threads, ThreadInfo{
			ID: t.id, Core: r.core, First: t.first, Cpumask: t.cpumask.Load(), Bound: t.bound.Load(),
			Total: total, Current: current,
		})
		if r.traced(TpointSchedulerThreadStats) {
			r.traceStats(TpointSchedulerThreadStats, t.traceID, current)
		}
		t.schedStats = total
	}
}

func (r *Reactor) traceStats(tp Tpoint, owner uint16, s ThreadStats) {
	r.traceRecord(TraceEntry{Tpoint: tp, Owner: owner, Args: [4]uint64{s.BusyTicks, s.IdleTicks}})
}

func (s ThreadStats) since(before ThreadStats) ThreadStats {
	return ThreadStats{s.BusyTicks - before.BusyTicks, s.IdleTicks - before.IdleTicks}
}

// balance has the scheduler decide. On the reactor that began.
func balance(r *Reactor, arg1, _ any) {
	s := arg1.(*scheduling)
	if !s.turn.TryLock() { // the scheduler is being changed
		s.end()
		return
	}
	defer s.turn.Unlock()
	if !s.power.TryLock() { // the governor is being changed
		s.end()
		return
	}
	defer s.power.Unlock()
	current := r.fw.Scheduler()
	if current == nil {
		s.end()
		return
	}
	isolated := r.fw.IsolatedCores()
	for i := range s.cores {
		s.cores[i].Isolated = isolated.Get(s.cores[i].Core)
	}
	current.Balance(r.fw, s.cores)
	nextMode(r, &modeRound{s: s, origin: r}, nil)
}

// modeRound goes through the cores whose mode the scheduler changed.
type modeRound struct {
	s      *scheduling
	origin *Reactor
	next   int
}

// nextMode switches the next core whose mode is not what the scheduler wants, one at a time.
func nextMode(r *Reactor, arg1, _ any) {
	m := arg1.(*modeRound)
	for m.next < len(m.s.cores) {
		c := &m.s.cores[m.next]
		other := r.fw.ReactorOn(c.Core)
		m.next++
		if (other.Mode() == ModeInterrupt) == c.InterruptMode {
			continue
		}
		mode := ModeInterrupt
		if !c.InterruptMode {
			mode = other.pollMode()
		}
		if other.SetMode(mode, modeSwitched, m) == 0 {
			return
		}
	}
	m.s.move(r)
}

func modeSwitched(_ *Reactor, arg1, _ any) {
	m := arg1.(*modeRound)
	m.origin.post(nextMode, m, nil)
}

// move asks the reactors to send away the threads that shall run elsewhere.
func (s *scheduling) move(r *Reactor) {
	for i := range s.cores {
		c := &s.cores[i]
		for _, ti := range c.Threads {
			to := r.fw.ReactorOn(ti.Core)
			if ti.Core == c.Core || to == nil || c.Isolated || s.isolatedCore(ti.Core) || !ti.Cpumask.allows(ti.Core) {
				continue
			}
			r.fw.ReactorOn(c.Core).post(moveThread, ti.ID, ti.Core)
		}
	}
	s.end()
}

func (s *scheduling) isolatedCore(core int) bool {
	return slices.ContainsFunc(s.cores, func(c CoreInfo) bool { return c.Core == core && c.Isolated })
}

// moveThread sends a thread, if it is still here and still may, to another core after the next
// round.
func moveThread(r *Reactor, arg1, arg2 any) {
	core := arg2.(int)
	for _, t := range r.threads {
		if t.id == arg1.(uint64) && !t.bound.Load() && !t.leaving && t.cpumask.Load().allows(core) {
			t.leaving, t.target = true, core
		}
	}
}

package reactor

import (
	"fmt"
	"slices"
	"syscall"
)

// anyCore stands for no core in particular. SPDK: SPDK_ENV_LCORE_ID_ANY
const anyCore = -1

// Cpumask returns the CPUs that t may run on, nil for any. The caller must not change it. Any
// goroutine.
//
// SPDK: spdk_thread_get_cpumask
func (t *Thread) Cpumask() *Cpuset { return t.cpumask.Load() }

// SetCpumask changes the CPUs that t may run on; nil means any. After the round t moves to a
// reactor of the mask, taking turns; of several calls in a round the last counts. On t only.
// Errors: ENOTSUP for a thread that is polled by hand, EINVAL for a mask without a reactor.
//
// SPDK: spdk_thread_set_cpumask
func (t *Thread) SetCpumask(mask *Cpuset) error {
	t.AssertCurrent()
	if t.reactor.Load() == nil {
		return fmt.Errorf("reactor: thread %q is polled by hand and cannot move: %w", t.name, syscall.ENOTSUP)
	}
	if !slices.ContainsFunc(t.fw.reactors, func(r *Reactor) bool { return mask.allows(r.core) }) {
		return fmt.Errorf("reactor: thread %q: no reactor runs on a core of mask %s: %w", t.name, mask, syscall.EINVAL)
	}
	if mask != nil {
		own := *mask
		mask = &own
	}
	t.cpumask.Store(mask)
	t.leaving, t.target = true, anyCore
	return nil
}

// allows reports whether cpu is in a mask of which nil means any.
func (s *Cpuset) allows(cpu int) bool { return s == nil || s.Get(cpu) }

// Bind keeps t where it is: neither [Thread.SetCpumask] nor the scheduler moves it until
// Bind(false). Any goroutine.
//
// SPDK: spdk_thread_bind
func (t *Thread) Bind(on bool) { t.bound.Store(on) }

// IsBound reports whether t is bound. Any goroutine.
//
// SPDK: spdk_thread_is_bound
func (t *Thread) IsBound() bool { return t.bound.Load() }

// adopt makes the reactor that it runs on t's. arg1 is t, arg2 the reactor it comes from, nil
// for a new thread.
func adopt(r *Reactor, arg1, arg2 any) {
	t := arg1.(*Thread)
	if err := r.nest(t); err != nil {
		from, _ := arg2.(*Reactor)
		r.fw.Warn("a thread cannot move and goes back", "thread", t.name, "to core", r.core, "error", err)
		t.reactor.Store(from)
		if !from.post(adopt, t, nil) {
			panic(fmt.Sprintf("reactor %d: thread %q can neither stay nor go back: %v", r.core, t.name, err))
		}
		return
	}
	if t.first == anyCore {
		t.first = r.core
	}
	t.target = r.core
	r.threads = append(r.threads, t)
	if r.armed {
		t.setIntrMode(true)
	}
	if r.stopped {
		t.exit()
	}
}

// nest has t's interrupts wake r. It fails if another thread here waits for the same descriptor.
func (r *Reactor) nest(t *Thread) error {
	if t.group == nil {
		return nil
	}
	return r.group.Nest(t.group)
}

// letGo removes threads that have exited, and sends those that are to move to another reactor.
func (r *Reactor) letGo() {
	stays := r.threads[:0]
	for _, t := range r.threads {
		switch {
		case t.IsExited():
		case t.leaving && !t.bound.Load() && r.send(t):
		default:
			stays = append(stays, t)
		}
	}
	clear(r.threads[len(stays):])
	r.threads = stays
	r.running = nil
}

// send moves t to the reactor it wants to be on; false means that it stays.
func (r *Reactor) send(t *Thread) bool {
	to := r.fw.ReactorOn(t.target)
	if to == nil {
		to, _ = r.fw.pickReactor(t.cpumask.Load()) // SetCpumask saw to it that there is one
	}
	t.leaving, t.target = false, r.core
	if to == nil || to == r || r.stopped {
		return false
	}
	if t.group != nil {
		if err := r.group.Unnest(t.group); err != nil {
			panic(fmt.Sprintf("reactor %d: interrupts of thread %q: %v", r.core, t.name, err))
		}
	}
	if r.armed {
		t.setIntrMode(false)
	}
	t.publish()
	t.reactor.Store(to) // from here on t is not ours
	if to.post(adopt, t, r) {
		if r.traced(TpointSchedulerMoveThread) {
			r.traceRecord(TraceEntry{
				Tpoint: TpointSchedulerMoveThread,
				Owner:  t.traceID,
				Args:   [4]uint64{uint64(r.core), uint64(to.core)},
			})
		}
		return true
	}
	t.reactor.Store(r) // the other has ended, since the framework is being stopped
	if err := r.nest(t); err != nil {
		panic(fmt.Sprintf("reactor %d: interrupts of thread %q: %v", r.core, t.name, err))
	}
	if r.armed {
		t.setIntrMode(true)
	}
	return false
}

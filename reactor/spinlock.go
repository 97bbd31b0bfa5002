package reactor

import (
	"fmt"
	"runtime"
	"sync/atomic"
)

// SpinError is how a [Spinlock] was misused. The lock panics with it.
//
// SPDK: enum spin_error in lib/thread/thread.c
type SpinError int

// Misuses of a Spinlock. SPDK: SPIN_ERR_NOT_SPDK_THREAD and its siblings
const (
	SpinNotThread        SpinError = iota + 1 // the caller is not on a thread
	SpinDeadlock                              // the caller holds the lock already
	SpinWrongThread                           // another thread holds the lock, or none
	SpinHoldDuringSwitch                      // a callback returned with a lock held
	SpinLockHeld                              // the lock is destroyed while it is held
	SpinDestroyed                             // the lock was destroyed before
)

// Error returns the misuse in words.
func (e SpinError) Error() string {
	return [...]string{
		SpinNotThread:        "called without a thread",
		SpinDeadlock:         "the thread holds the lock already",
		SpinWrongThread:      "the thread does not hold the lock",
		SpinHoldDuringSwitch: "a lock is held at the end of a callback",
		SpinLockHeld:         "the lock is destroyed while it is held",
		SpinDestroyed:        "the lock has been destroyed",
	}[e]
}

// spinGosched is how often a lock is tried before other goroutines get a turn: the holder may
// be an unpinned reactor that waits for this very processor.
const spinGosched = 1000

// Spinlock is a lock between threads for a few instructions. It spins, and it must be given
// back before the callback that took it returns. The zero value is an unlocked lock. Misuse
// panics with a [SpinError] wrapped in words that name lock and threads.
//
// SPDK: struct spdk_spinlock, spdk_spin_init
type Spinlock struct {
	holder    atomic.Pointer[Thread]
	destroyed atomic.Bool
}

// Destroy ends the lock: whoever uses it from now on panics. Any goroutine.
//
// SPDK: spdk_spin_destroy
func (s *Spinlock) Destroy() {
	s.mustExist("destroy")
	if h := s.holder.Load(); h != nil {
		spinPanic(SpinLockHeld, "destroy of a lock of thread %q", h.name)
	}
	s.destroyed.Store(true)
}

// Lock takes the lock for t, the caller's thread, and spins until it has it.
//
// SPDK: spdk_spin_lock
func (s *Spinlock) Lock(t *Thread) {
	s.mustExist("lock")
	if t == nil {
		spinPanic(SpinNotThread, "lock")
	}
	if s.holder.Load() == t {
		spinPanic(SpinDeadlock, "lock by thread %q", t.name)
	}
	for i := 1; !s.holder.CompareAndSwap(nil, t); i++ {
		if i%spinGosched == 0 {
			runtime.Gosched()
		}
	}
	t.locks++
}

// Unlock gives the lock back. t is the caller's thread.
//
// SPDK: spdk_spin_unlock
func (s *Spinlock) Unlock(t *Thread) {
	s.mustExist("unlock")
	if t == nil {
		spinPanic(SpinNotThread, "unlock")
	}
	if h := s.holder.Load(); h != t {
		spinPanic(SpinWrongThread, "unlock by thread %q", t.name)
	}
	t.locks--
	s.holder.Store(nil)
}

// Held reports whether t, the caller's thread, holds the lock.
//
// SPDK: spdk_spin_held
func (s *Spinlock) Held(t *Thread) bool {
	if t == nil {
		spinPanic(SpinNotThread, "held")
	}
	return s.holder.Load() == t
}

func (s *Spinlock) mustExist(what string) {
	if s.destroyed.Load() {
		spinPanic(SpinDestroyed, "%s", what)
	}
}

func spinPanic(e SpinError, format string, args ...any) {
	panic(fmt.Errorf("reactor: spinlock: "+format+": %w", append(args, e)...))
}

// heldDuringSwitch is called when a callback has returned with locks held.
//
//go:noinline
func (t *Thread) heldDuringSwitch() {
	spinPanic(SpinHoldDuringSwitch, "thread %q holds %d locks", t.name, t.locks)
}

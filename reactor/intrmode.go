package reactor

import (
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// PollerInterruptFunc prepares p for its thread's going to sleep, or not: with sleeps true it
// has to see to it that an interrupt wakes the thread when p has work, with false it may stop
// that. After a call with true p is polled once more before the thread sleeps, so that work
// which came just before is not missed. On p's thread.
//
// SPDK: spdk_poller_set_interrupt_mode_cb
type PollerInterruptFunc func(p *Poller, ctx any, sleeps bool)

// RegisterInterrupt says that this poller need not be called while its reactor sleeps,
// because an [Interrupt] or a message wakes the reactor whenever the poller would find work.
// fn, if not nil, is called with ctx whenever the thread changes between sleeping and being
// polled, and at once if it sleeps now: in [ModeInterrupt] once for good, in [ModeHybrid] around
// each sleep. A later call replaces an earlier one.
//
// SPDK: spdk_poller_register_interrupt
func (p *Poller) RegisterInterrupt(fn PollerInterruptFunc, ctx any) {
	t := p.t
	t.AssertCurrent()
	if p.state == PollerUnregistered {
		panic(fmt.Sprintf("reactor: poller %q of thread %q gets an interrupt after its unregister", p.name, t.name))
	}
	if p.arm != nil {
		t.armable--
	}
	if p.arm, p.armCtx = fn, ctx; fn != nil {
		t.armable++
	}
	if !p.interruptible {
		p.interruptible = true
		for _, q := range t.active {
			if q == p {
				t.spinners--
			}
		}
		for _, q := range t.timed {
			if q == p {
				t.softTimers++
			}
		}
	}
	if fn != nil && t.intrMode {
		fn(p, ctx, true)
	}
	p.callBeforeSleep()
}

// callBeforeSleep has p called once more before its thread sleeps: it may have had its turn in
// this round, and what it would find now nobody tells again.
func (p *Poller) callBeforeSleep() {
	if p.interruptible && p.period == 0 {
		p.t.Defer(anotherRound, nil)
		p.t.wake()
	}
}

func anotherRound(*Thread, any) {}

// SetInterruptMode tells t's pollers that nobody polls them any more (true), or that they are
// polled again (false). The reactor does this for its threads; who polls a thread by hand calls
// it before he waits on [Thread.InterruptGroup], which is ready from then on when a message has
// come, and for no longer than until [Thread.NextPollerExpiration]. On t only.
//
// SPDK: spdk_thread_set_interrupt_mode
func (t *Thread) SetInterruptMode(on bool) {
	t.AssertCurrent()
	t.setIntrMode(on)
}

// InInterruptMode reports whether t's pollers have been told to rely on interrupts. On t only.
//
// SPDK: in_interrupt of struct spdk_thread
func (t *Thread) InInterruptMode() bool { return t.intrMode }

func (t *Thread) setIntrMode(on bool) {
	if on == t.intrMode {
		return
	}
	if t.reactor.Load() == nil {
		t.hangBell(on)
	}
	t.intrMode = on
	if t.armable == 0 {
		return
	}
	wasInPoll := t.inPoll
	t.inPoll = true
	for _, pollers := range [][]*Poller{t.timed, t.active, t.paused, t.offList()} {
		for _, p := range pollers {
			if p.arm != nil && p.state != PollerUnregistered {
				p.arm(p, p.armCtx, on)
			}
		}
	}
	t.inPoll = wasInPoll
	if on && t.reactor.Load() == nil { // a reactor makes another round by itself
		t.Defer(anotherRound, nil)
		t.wake()
	}
}

// offList returns the timed poller that is running, which is on none of the lists, if there is
// one.
func (t *Thread) offList() []*Poller {
	p := t.watch.poller
	if p == nil || p.period == 0 || slices.Contains(t.timed, p) || slices.Contains(t.paused, p) {
		return nil
	}
	return []*Poller{p}
}

// bell wakes whoever waits on the group of a thread that is polled by hand.
type bell struct {
	fd      int
	ringers atomic.Int32 // that may be about to write to fd
}

// hangBell gives t a bell, or takes it away.
func (t *Thread) hangBell(on bool) {
	if !on {
		if b := t.bell.Swap(nil); b != nil {
			for b.ringers.Load() != 0 { // fd is closed next, and its number is anybody's then
				runtime.Gosched()
			}
			t.group.Remove(b.fd)
			unix.Close(b.fd)
		}
		return
	}
	g, err := t.InterruptGroup()
	if err != nil {
		return // an exiting thread has to be polled
	}
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err == nil {
		err = g.AddExt(fd, "messages", serveBell, t, FDOpts{Type: FDTypeEventfd})
	}
	if err != nil {
		panic(fmt.Sprintf("reactor: interrupt mode of thread %q: %v", t.name, err))
	}
	t.bell.Store(&bell{fd: fd})
	if t.hasWork() { // that came before there was a bell
		t.ring()
	}
}

func serveBell(any) int { return 1 }

//go:noinline
func (t *Thread) ring() {
	b := t.bell.Load()
	if b == nil {
		return
	}
	b.ringers.Add(1)
	if t.bell.Load() == b {
		one := [8]byte{1}
		_, _ = unix.Write(b.fd, one[:]) // EAGAIN: it rings already
	}
	b.ringers.Add(-1)
}

// serveInterrupts serves the descriptors of a thread that is polled by hand.
func (t *Thread) serveInterrupts() bool {
	n, errno := t.group.Wait(0)
	if errno != 0 && errno != unix.EINTR {
		panic(fmt.Sprintf("reactor: interrupts of thread %q: %v", t.name, errno))
	}
	return n > 0
}

package sim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spdk-go/spdk-go/reactor"
)

// exitTimeout is when an exiting thread is forced out.
const exitTimeout = uint64(5 * time.Second)

// thread is what the book says of a thread.
type thread struct {
	w   *world
	id  int
	t   *reactor.Thread
	ord int    // how many were created before it
	bit uint64 // its place in the sets of threads

	adopted  bool // its reactor polls it
	exiting  bool
	exited   bool
	exitAt   uint64 // the call in which it was asked to
	deadline uint64
	moving   bool // SetCpumask wants it elsewhere
	mask     uint32
	bound    bool
	napping  bool // polled by hand, it relies on interrupts
	asleep   bool // and whoever polls it waits for one
	napFD    int
	last     bool // it unregisters the devices at the end of the history

	// what holds it
	inbox    int // messages accepted and not run
	deferred int
	waits    int // for room
	pollers  []*poller
	intrs    []*interrupt
	chans    []*channel
	held     []*iter // visits that wait for their Continue
	iters    int
	unregs   int
	walks    int

	// Messages are numbered for each pair of sender and receiver. Sender 0 is the outside.
	sent, got              [maxThreads + 2]uint32
	deferSent, deferRun    uint32
	critSent, critRun      uint32
	afterSent, afterRun    uint32
	onCritical             reactor.MsgFunc
	inCritical, inAfter    []action
	lastPoller             uint64 // that was registered
	inCall                 bool   // an active poller of it has been called in this round
	ran                    int    // messages in this round
	starved                int    // rounds in which it had messages and ran none
	inbox0                 int    // at the beginning of the round
	defer0, crit0, after0  uint32
	now0                   uint64
	ghosts                 uint64 // when the last timed poller is due that was paused or unregistered
	lastDue                uint64 // of the timed poller called last in this round
	lastOrder              uint64 // of the active poller called last in this round
	lastTimedOrder, orders uint64
}

func (w *world) thread(i int32) *thread { return find(w.threads, i) }

func (t *thread) String() string { return fmt.Sprintf("thread %d", t.id) }

func (w *world) createThread(a action) {
	if a.a < 0 || a.a >= maxNumber || find(w.threads, a.a) != nil || w.created >= maxThreads {
		return
	}
	all := uint32(1)<<len(w.cores) - 1
	mask := uint32(a.b) & all
	var set *reactor.Cpuset
	if mask != 0 {
		set = cpuset(mask)
	} else {
		mask = all
	}
	th, err := w.fw.CreateThread("", set)
	if err != nil {
		w.fail("a thread cannot be created: %v", err)
	}
	w.created++
	ord := int(th.ID()) - 1
	t := &thread{w: w, id: int(a.a), t: th, ord: ord, bit: 1 << ord, mask: mask, adopted: len(w.cores) == 0}
	t.onCritical = func(th *reactor.Thread, _ any) { t.runCritical(th) }
	placeAt(&w.threads, a.a, t)
	placeAt(&w.byOrder, int32(ord), t)
	w.live = append(w.live, t)
	if r := th.Reactor(); r != nil && mask&(1<<r.Core()) == 0 {
		w.fail("%v of mask %#x begins on reactor %d", t, mask, r.Core())
	}
	w.stats.threads++
}

func cpuset(bits uint32) *reactor.Cpuset {
	s := reactor.NewCpuset()
	for i := range maxCores {
		if bits&(1<<i) != 0 {
			s.Set(i, true)
		}
	}
	return s
}

// core returns the book of the reactor that the thread belongs to, nil if it is polled by hand.
func (t *thread) core() *core {
	if r := t.t.Reactor(); r != nil {
		return t.w.cores[r.Core()]
	}
	return nil
}

// reachable says whether somebody runs the thread now, so that something can be done on it
// between two rounds.
func (t *thread) reachable() bool {
	if c := t.core(); c != nil {
		return t.adopted && !c.r.Asleep()
	}
	return !t.asleep
}

// now is the time of the round that the thread is in.
func (t *thread) now() uint64 {
	if t.w.hand != nil {
		return t.w.clock.now
	}
	return t.t.LastTicks()
}

// called is the beginning of every callback on a thread; false means that nothing may be done.
func (t *thread) called(th *reactor.Thread, what string) bool {
	w := t.w
	if w.dead {
		return false
	}
	w.calls++
	switch {
	case t.t != th:
		w.fail("%s of %v runs on another thread", what, t)
	case t.exited:
		w.fail("%s of %v runs after its exit", what, t)
	case w.stopping:
	case w.polling == nil && w.hand == nil:
		w.fail("%s of %v runs outside of a round", what, t)
	case w.polling != nil && t.core() != w.polling, w.hand != nil && w.hand != t:
		w.fail("%s of %v runs in a round of another", what, t)
	}
	return true
}

func (t *thread) exit() {
	t.t.Exit()
	if t.exiting {
		return
	}
	t.w.calls++
	t.exiting, t.exitAt = true, t.w.calls
	t.deadline = t.w.clock.now + exitTimeout
	for _, k := range t.w.walking {
		k.must &^= t.bit
	}
	t.w.stats.exits++
}

func (t *thread) setMask(bits int32) {
	mask := uint32(bits) & (1<<len(t.w.cores) - 1)
	if mask == 0 {
		return
	}
	if err := t.t.SetCpumask(cpuset(mask)); err != nil {
		t.w.fail("cpumask of %v: %v", t, err)
	}
	t.mask, t.moving = mask, true
}

func (w *world) bind(a action) {
	if t := w.thread(a.a); t != nil && !t.exited {
		t.bound = a.b != 0
		t.t.Bind(t.bound)
	}
}

// holding says what the book knows to keep the thread from exiting.
func (t *thread) holding() string {
	var held []string
	add := func(n int, what string) {
		if n > 0 {
			held = append(held, fmt.Sprintf("%d %s", n, what))
		}
	}
	add(t.inbox, "messages")
	add(t.deferred, "deferred calls")
	add(int(t.critSent-t.critRun), "critical message")
	add(t.waits, "waits for room")
	add(len(t.pollers), "pollers")
	add(len(t.intrs), "interrupts")
	add(len(t.chans), "channels")
	add(len(t.held), "visits")
	add(t.iters, "iterations")
	add(t.unregs, "unregisters")
	add(t.walks, "walks")
	return strings.Join(held, ", ")
}

func (t *thread) isHeld() bool {
	return t.inbox+t.deferred+t.waits+len(t.pollers)+len(t.intrs)+len(t.chans)+len(t.held)+t.iters+t.unregs+t.walks > 0 ||
		t.critSent != t.critRun
}

// hasExited is called after the round in which the thread ended.
func (t *thread) hasExited(now uint64) {
	w := t.w
	forced := now >= t.deadline
	switch {
	case !t.exiting:
		w.fail("%v exited unasked", t)
	case t.inbox > 0 || t.deferred > 0 || t.critSent != t.critRun:
		w.fail("%v exited with %s", t, t.holding())
	case t.isHeld() && !forced:
		w.fail("%v exited %v before its deadline, held by %s", t, time.Duration(t.deadline-now), t.holding())
	}
	t.exited = true
	drop(&w.live, t)
	if forced {
		w.stats.forced++
		w.casualties++
		w.forcedOut(t)
	}
	w.forgetRetries(t, forced)
	for _, k := range w.walking {
		k.must &^= t.bit
	}
	if errno := t.t.SendMsg(nothing, nil); errno != syscall.ESRCH {
		w.fail("message to %v, which has exited: %v", t, errno)
	}
}

func nothing(*reactor.Thread, any) {}

// forcedOut writes down what is lost with a thread that did not exit by itself.
func (w *world) forcedOut(t *thread) {
	for _, p := range t.pollers {
		p.state = pollerLost
		drop(&w.polls, p)
	}
	for _, i := range t.intrs {
		i.in = nil
		w.fds = append(w.fds, i.fd)
		i.fd = -1
	}
	t.pollers, t.intrs = nil, nil
	for _, c := range t.chans {
		c.d.stuck = true
		c.d.mask &^= t.bit
		for _, it := range w.iterating {
			if it.d == c.d {
				it.must &^= t.bit
			}
		}
	}
	for _, it := range slices.Clone(w.iterating) {
		it.lostWith(t)
	}
	for _, it := range t.held {
		it.d.stuck, it.lost = true, true
		drop(&w.iterating, it)
	}
	t.held = nil
	for _, k := range slices.Clone(w.walking) {
		k.mayBeLost = true // it may have waited on t to get on
		if k.origin == t {
			k.must = 0
			drop(&w.walking, k)
			w.forgotten++
		}
	}
	for _, d := range w.devs {
		if d.state == deviceClosed {
			d.mayBeStuck = true // the last word on it may have waited on t
		}
		if d.by == t {
			d.stuck = true
		}
	}
	for _, io := range slices.Clone(w.ios) {
		if io.on == t || io.c.t == t {
			io.lose()
		}
	}
}

// lostWith writes down what becomes of an iteration when t is forced to exit.
func (it *iter) lostWith(t *thread) {
	it.mayBeLost, it.d.mayBeStuck = true, true // it may have waited on t to get on
	if it.origin != t {
		return
	}
	if !it.refused {
		it.d.iters--
	}
	it.d.fuzzy = true // how far it is cannot be seen any more
	it.must = 0
	drop(&it.w.iterating, it)
	it.w.forgotten++
}

// nap has a thread that is polled by hand rely on interrupts, or not any more.
func (t *thread) nap(on bool) {
	if len(t.w.cores) > 0 || on && t.exiting {
		return
	}
	if on {
		g, err := t.t.InterruptGroup()
		if err != nil {
			t.w.fail("interrupts of %v: %v", t, err)
		}
		t.napFD = g.Fd()
	}
	changes := on != t.napping
	t.napping, t.asleep = on, false
	t.t.SetInterruptMode(on)
	if t.t.InInterruptMode() != on {
		t.w.fail("interrupt mode of %v is not %v", t, on)
	}
	if changes && t.w.hand == nil && t.w.at.in == direct {
		t.maySleep()
	}
}

// registerAfter registers a post-poller handler.
func (t *thread) registerAfter() {
	w := t.w
	var want syscall.Errno
	switch {
	case w.at.in == inAfter:
		want = syscall.EPERM
	case t.afterSent-t.afterRun == 4:
		want = syscall.ENOSPC
	}
	errno := t.t.RegisterPostPollerHandler(runAfter, t)
	if errno != want {
		w.fail("post-poller handler: %v, want %v", errno, want)
	}
	if errno == 0 {
		t.afterSent++
	}
}

func runAfter(th *reactor.Thread, ctx any) {
	t := ctx.(*thread)
	if !t.called(th, "post-poller handler") {
		return
	}
	if t.afterRun == t.afterSent {
		t.w.fail("a post-poller handler of %v runs twice", t)
	}
	t.afterRun++
	t.w.run(at{t: t, in: inAfter}, &t.inAfter)
}

// spin takes the world's spinlock and gives it back.
func (w *world) spin(t *thread) {
	if w.lock.Held(t.t) {
		w.fail("%v holds a lock that nobody took", t)
	}
	w.lock.Lock(t.t)
	if !w.lock.Held(t.t) {
		w.fail("%v does not hold the lock that it took", t)
	}
	defer w.lock.Unlock(t.t)
	defer func() {
		if err, ok := recover().(error); !ok || !errors.Is(err, reactor.SpinDeadlock) {
			w.fail("%v took a lock twice: %v", t, err)
		}
	}()
	w.lock.Lock(t.t)
}

package sim

import (
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spdk-go/spdk-go/reactor"
)

// limits of a world; the sets of threads are bits of a word.
const (
	maxThreads = 62
	maxNumber  = 1 << 20
	maxCores   = 4
	maxTodo    = 4 // actions that wait for one callback
)

// config is what a world is made with.
type config struct {
	cores     int // 0: the threads are polled by hand
	mode      reactor.Mode
	ring      int // MsgRingSize
	eventRing int
	spin      time.Duration
	stop      bool // the history ends with Stop, not with the exit of the threads
	fault     fault
}

func (c config) String() string {
	return fmt.Sprintf("%d reactors in mode %s, rings of %d messages and %d events, spin %v, Stop %v, fault %d",
		c.cores, c.mode, c.ring, c.eventRing, c.spin, c.stop, c.fault)
}

// failure is what a check found. kind is the same for all failures of one sort.
type failure struct {
	kind, msg string
	step      int
	stack     []byte // of a panic that is not ours
}

func (f *failure) String() string { return fmt.Sprintf("step %d: %s", f.step, f.msg) }

// world is a framework and the book that is kept of it.
type world struct {
	cfg   config
	fw    *reactor.Framework
	clock clock
	step  int
	round uint32 // polls so far
	calls uint64 // callbacks so far

	cores   []*core
	polling *core // being polled
	hand    *thread
	wasDown bool // it was asleep before that
	onRound []*thread

	threads    []*thread // by number
	live       []*thread
	byOrder    []*thread // by id of the reactor.Thread, less one
	created    int
	casualties int // threads that were forced to exit
	devices    []*device
	devs       []*device // not gone
	pollers    []*poller
	polls      []*poller // registered
	iters      []*iter
	iterating  []*iter // not ended
	walks      []*walk
	walking    []*walk
	intrs      []*interrupt
	fds        []int // of interrupts that are unregistered
	ios        []*diskIO
	retrying   []*msg // of SendMsgRetry, that have not come yet
	forgotten  int    // of them and of what a thread that was forced to exit has begun: it may be on the way still
	lock       reactor.Spinlock

	at       at
	waiters  int // for room
	draining bool
	stopping bool // inside Stop, which polls by itself
	dead     bool // a failure has been found: callbacks do nothing any more
	freeMsgs *msg
	stats    *stats
}

// at is where the world is: inside which callback.
type at struct {
	t      *thread // nil: on none
	in     place
	p      *poller
	it     *iter
	c      *core
	failed bool // opFail
	later  bool // opLater
	eio    bool // opStatus
	busy   bool // opBusy
}

// clock moves only when told.
type clock struct {
	now  uint64
	dead bool
}

func (c *clock) Ticks() uint64 {
	if c.dead { // what has failed shall come to its end by force
		c.now += uint64(time.Millisecond)
	}
	return c.now
}

func (c *clock) TicksHz() uint64 { return 1e9 }

// newWorld returns a world without threads.
func newWorld(cfg config, st *stats) *world {
	w := &world{cfg: cfg, stats: st}
	w.clock.now = 1
	o := reactor.Options{
		Manual: true, Mode: cfg.mode, MsgRingSize: cfg.ring, EventRingSize: cfg.eventRing, HybridSpin: cfg.spin,
		StallThreshold: -1, Clock: &w.clock, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	for i := range cfg.cores {
		o.Cores = append(o.Cores, i)
	}
	fw, err := reactor.NewFramework(o)
	if err != nil {
		panic(err)
	}
	w.fw = fw
	for i, r := range fw.Reactors() {
		w.cores = append(w.cores, &core{w: w, i: i, r: r, mode: cfg.mode})
	}
	return w
}

// fail ends the history. The format says which sort of failure it is.
func (w *world) fail(format string, args ...any) {
	if w.dead {
		return
	}
	panic(&failure{kind: format, msg: fmt.Sprintf(format, args...), step: w.step})
}

// guard runs fn and returns what it failed with.
func (w *world) guard(fn func()) (f *failure) {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case *failure:
			f = v
		default:
			text := fmt.Sprint(v)
			kind := strings.Map(func(r rune) rune {
				if r >= '0' && r <= '9' {
					return -1
				}
				return r
			}, text)
			f = &failure{kind: "panic: " + kind, msg: "panic: " + text, step: w.step, stack: debug.Stack()}
		}
	}()
	fn()
	return nil
}

// close frees what the world has of the operating system.
func (w *world) close() {
	w.dead, w.clock.dead = true, true
	_ = w.guard(w.fw.Stop)
	for _, i := range w.intrs {
		if i != nil && i.fd >= 0 {
			closeFD(i.fd)
		}
	}
	for _, fd := range w.fds {
		closeFD(fd)
	}
}

// replay lives a history.
func replay(cfg config, actions []action, st *stats) *failure {
	w := newWorld(cfg, st)
	defer w.close()
	f := w.guard(func() {
		for i := range actions {
			w.step = i
			w.do(actions[i])
		}
		w.step = len(actions)
		w.drain()
	})
	return f
}

// do does one action, or skips it if it makes no sense here.
func (w *world) do(a action) {
	switch a.in {
	case direct:
		w.doDirect(a)
	case inMessage:
		if th := w.thread(a.t); th != nil && !th.exited && !w.draining {
			w.deliver(th, a)
		}
	default:
		if q := w.todo(a); q != nil && len(*q) < maxTodo {
			*q = append(*q, a)
		}
	}
}

func (w *world) doDirect(a action) {
	switch a.op {
	case opPoll:
		w.poll(a.t)
		return
	case opAdvance:
		w.clock.now += uint64(a.nanos)
		return
	}
	if a.t < 0 {
		w.exec(at{}, a)
		return
	}
	switch th := w.thread(a.t); {
	case th == nil || th.exited:
	case th.reachable():
		w.exec(at{t: th}, a)
	default: // nobody runs on it now: it needs a message to wake it
		w.deliver(th, a)
	}
}

// todo returns the list of what waits for the callback that an action names, nil if there is
// no such callback.
func (w *world) todo(a action) *[]action {
	switch a.in {
	case inCritical:
		if th := w.thread(a.t); th != nil {
			return &th.inCritical
		}
	case inAfter:
		if th := w.thread(a.t); th != nil {
			return &th.inAfter
		}
	case inPoller:
		if p := find(w.pollers, a.at); p != nil {
			return &p.todo
		}
	case inVisit:
		if it := find(w.iters, a.at); it != nil {
			return &it.inVisit
		}
	case inDone:
		if it := find(w.iters, a.at); it != nil {
			return &it.inDone
		}
	case inCreate:
		if d := find(w.devices, a.at); d != nil {
			return &d.inCreate
		}
	case inDestroy:
		if d := find(w.devices, a.at); d != nil {
			return &d.inDestroy
		}
	case inGone:
		if d := find(w.devices, a.at); d != nil {
			return &d.inGone
		}
	case inWalk:
		if k := find(w.walks, a.at); k != nil {
			return &k.inWalk
		}
	case inWalked:
		if k := find(w.walks, a.at); k != nil {
			return &k.inDone
		}
	case inInterrupt:
		if i := find(w.intrs, a.at); i != nil {
			return &i.todo
		}
	case inEvent:
		if int(a.at) < len(w.cores) {
			return &w.cores[a.at].todo
		}
	}
	return nil
}

// run does what waits for a callback, in place where, and returns what that changed.
func (w *world) run(where at, q *[]action) at {
	if len(*q) == 0 || w.draining {
		*q = (*q)[:0]
		return where
	}
	var list [maxTodo]action
	n := copy(list[:], *q)
	*q = (*q)[:0]
	outer := w.at
	w.at = where
	for i := range list[:n] {
		w.apply(list[i])
	}
	where, w.at = w.at, outer
	return where
}

// exec does an action in place where.
func (w *world) exec(where at, a action) {
	outer := w.at
	w.at = where
	w.apply(a)
	w.at = outer
}

// apply does an action where the world is.
func (w *world) apply(a action) {
	t := w.at.t
	if t == nil && a.needsThread() || t != nil && t.t.IsExited() && !a.inForce() {
		return
	}
	switch a.op {
	case opThread:
		w.createThread(a)
	case opExit:
		t.exit()
	case opMask:
		t.setMask(a.a)
	case opBind:
		w.bind(a)
	case opRegister:
		w.register(t, a)
	case opUnregister:
		w.unregister(t, find(w.devices, a.a))
	case opGet:
		w.get(t, find(w.devices, a.a), a.b != 0)
	case opPut:
		w.put(t, find(w.devices, a.a))
	case opRef:
		w.ref(t, find(w.devices, a.a))
	case opFail:
		w.at.failed = w.at.in == inCreate
	case opForEach:
		w.forEach(t, a)
	case opLater:
		w.at.later = true
	case opStatus:
		w.at.eio = true
	case opContinue:
		w.goOn(t, find(w.iters, a.a), a.b != 0)
	case opWalk:
		w.walk(t, a)
	case opSend:
		w.sendMany(t, a)
	case opFlood:
		w.flood(t, w.thread(a.a), a.b, a.c)
	case opCritical:
		w.critical(w.thread(a.a))
	case opWait:
		w.waitForRoom(t, w.thread(a.a), a.c)
	case opPoller:
		w.registerPoller(t, a)
	case opPause, opResume, opStop, opReliance:
		w.changePoller(t, a)
	case opBusy:
		w.at.busy = true
	case opAfter:
		t.registerAfter()
	case opLock:
		w.spin(t)
	case opEvent:
		w.sendEvents(t, a)
	case opEachCore:
		w.eachCore(t)
	case opMode:
		w.setMode(a)
	case opInterrupt:
		w.registerInterrupt(t, a)
	case opRing:
		w.ring(find(w.intrs, a.a))
	case opSilence:
		w.silence(t, find(w.intrs, a.a))
	case opNap:
		t.nap(a.a != 0)
	case opIO:
		w.startIO(t, find(w.devices, a.a), w.thread(a.b))
	case opRemove:
		w.remove(t, find(w.devices, a.a))
	case opRelease:
		t.release()
	}
}

// find returns object i, nil if it has never been there.
func find[T any](all []*T, i int32) *T {
	if i < 0 || int(i) >= len(all) {
		return nil
	}
	return all[i]
}

// placeAt puts object i into a list by number.
func placeAt[T any](all *[]*T, i int32, v *T) {
	for int(i) >= len(*all) {
		*all = append(*all, nil)
	}
	(*all)[i] = v
}

// drop takes v out of a list.
func drop[T comparable](list *[]T, v T) {
	if i := slices.Index(*list, v); i >= 0 {
		*list = slices.Delete(*list, i, i+1)
	}
}

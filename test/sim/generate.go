package sim

import (
	"math/rand/v2"
	"time"

	"github.com/spdk-go/spdk-go/reactor"
)

// usual is how often each action is chosen, before a history changes it.
var usual = [opCount]int{
	opAdvance: 10, opThread: 3, opExit: 2, opMask: 3, opBind: 2,
	opRegister: 5, opUnregister: 2, opGet: 20, opPut: 14, opRef: 3, opFail: 2,
	opForEach: 10, opLater: 3, opStatus: 1, opContinue: 10, opWalk: 3,
	opSend: 16, opFlood: 3, opCritical: 2, opWait: 2,
	opPoller: 5, opPause: 4, opResume: 5, opStop: 3, opBusy: 2, opReliance: 2, opAfter: 2, opLock: 1,
	opEvent: 4, opEachCore: 1, opMode: 3, opInterrupt: 1, opRing: 3, opSilence: 1, opNap: 4,
	opIO: 8, opRemove: 1,
}

// maxPeriod is the longest period of a timed poller, in nanoseconds.
const maxPeriod = 1_000_000

// generator chooses what happens next.
type generator struct {
	rng     *rand.Rand
	w       *world
	weights [opCount]int
	total   int
	long    bool     // the clock may jump by seconds
	queue   []action // that come next

	// A mood lasts for some steps.
	left    int
	polls   int // per cent of the steps
	starved int // the reactor that is polled seldom, -1 for none

	nextThread, nextDevice, nextPoller, nextIter, nextWalk, nextIntr int32
}

// randomConfig returns a configuration.
func randomConfig(rng *rand.Rand, f fault) config {
	return config{
		cores:     rng.IntN(maxCores + 1),
		mode:      reactor.Mode(rng.IntN(3)),
		ring:      4 << rng.IntN(3),
		eventRing: 4 << rng.IntN(3),
		spin:      []time.Duration{1, 50 * time.Microsecond}[rng.IntN(2)],
		stop:      rng.IntN(3) == 0,
		fault:     f,
	}
}

// newGenerator returns a generator with preferences of its own.
func newGenerator(rng *rand.Rand, w *world) *generator {
	g := &generator{rng: rng, w: w, long: rng.IntN(5) == 0, starved: -1}
	for op, n := range usual {
		switch rng.IntN(8) {
		case 0:
			n = 0
		case 1:
			n *= 4
		}
		if g.long && opcode(op) == opExit {
			n *= 3
		}
		g.weights[op] = n
		g.total += n
	}
	for range 2 + rng.IntN(3) {
		g.queue = append(g.queue, g.thread())
	}
	for range 1 + rng.IntN(2) {
		g.queue = append(g.queue, g.device())
	}
	return g
}

// next returns the next action.
func (g *generator) next() action {
	if len(g.queue) > 0 {
		a := g.queue[0]
		g.queue = g.queue[1:]
		return a
	}
	if g.left--; g.left < 0 {
		g.mood()
	}
	if g.rng.IntN(100) < g.polls {
		return g.poll()
	}
	if len(g.w.live) < 2 {
		return g.thread()
	}
	n := g.rng.IntN(g.total)
	for op, weight := range g.weights {
		if n -= weight; n < 0 {
			if a, ok := g.action(opcode(op)); ok {
				return a
			}
			break
		}
	}
	return g.poll()
}

// mood changes the mood.
func (g *generator) mood() {
	g.left = 20 + g.rng.IntN(200)
	g.starved = -1
	switch g.rng.IntN(5) {
	case 0: // everything comes to rest
		g.polls = 92
	case 1:
		g.polls = 25
	case 2:
		g.polls = 50
		g.starved = g.rng.IntN(maxCores)
	default:
		g.polls = 55
	}
}

func (g *generator) poll() action {
	if n := len(g.w.cores); n > 0 {
		i := g.rng.IntN(n)
		if i == g.starved && g.rng.IntN(20) > 0 {
			i = g.rng.IntN(n)
		}
		return action{op: opPoll, t: int32(i)}
	}
	if len(g.w.live) == 0 {
		return g.thread()
	}
	i := g.rng.IntN(len(g.w.live))
	if i == g.starved {
		i = g.rng.IntN(len(g.w.live))
	}
	return action{op: opPoll, t: int32(g.w.live[i].id)}
}

func (g *generator) thread() action {
	g.nextThread++
	mask := 0
	if g.rng.IntN(2) == 0 {
		mask = g.rng.IntN(1 << len(g.w.cores))
	}
	return action{op: opThread, t: -1, a: g.nextThread - 1, b: int32(mask)}
}

func (g *generator) device() action {
	g.nextDevice++
	return action{op: opRegister, t: g.anyThread(), a: g.nextDevice - 1, b: g.n(6)}
}

func (g *generator) n(n int) int32 { return int32(g.rng.IntN(n)) }

// pick returns the number of one of the objects.
func pick[T any](g *generator, from []T) (v T, ok bool) {
	if len(from) == 0 {
		return v, false
	}
	return from[g.rng.IntN(len(from))], true
}

func (g *generator) anyThread() int32 {
	if t, ok := pick(g, g.w.live); ok {
		return int32(t.id)
	}
	return g.n(max(1, int(g.nextThread)))
}

func (g *generator) anyDevice() (int32, bool) {
	d, ok := pick(g, g.w.devs)
	if !ok {
		return 0, false
	}
	return int32(d.id), true
}

func (g *generator) anyPoller() (*poller, bool) { return pick(g, g.w.polls) }

// action returns an action of the wanted kind, if there is something to do it with.
func (g *generator) action(op opcode) (a action, ok bool) {
	w := g.w
	a = action{op: op, t: g.anyThread()}
	ok = true
	switch op {
	case opAdvance:
		return g.advance(), true
	case opThread:
		if len(w.live) >= 7 || w.created >= maxThreads-2 {
			return a, false
		}
		a = g.thread()
	case opExit:
		g.lastWords(a.t)
	case opMask:
		a.a = g.n(1 << len(w.cores))
		ok = a.a != 0
	case opBind:
		a.a, a.b = a.t, g.n(2)
	case opRegister:
		if len(w.devs) >= 5 {
			return a, false
		}
		a = g.device()
	case opUnregister, opPut, opRef, opRemove:
		a.a, ok = g.anyDevice()
		ok = ok && (op != opRemove || g.rng.IntN(3) == 0)
	case opGet:
		a.a, ok = g.anyDevice()
		a.b = g.n(2)
	case opFail:
		a.in = inCreate
		a.at, ok = g.anyDevice()
		return a, ok
	case opForEach:
		a.b, ok = g.anyDevice()
		if !ok || len(w.iterating) >= 6 {
			return a, false
		}
		a.a = g.nextIter
		g.nextIter++
		if g.rng.IntN(3) == 0 {
			g.queue = append(g.queue, action{op: opLater, in: inVisit, at: a.a})
		}
	case opLater, opStatus:
		it, found := pick(g, w.iterating)
		if !found {
			return a, false
		}
		a.in, a.at = inVisit, int32(it.id)
		return a, !it.removal
	case opContinue:
		return g.goOn()
	case opWalk:
		if len(w.walking) >= 3 {
			return a, false
		}
		a.a = g.nextWalk
		g.nextWalk++
	case opSend:
		a.a, a.b, a.c = g.anyThread(), g.n(sendManners), 1+g.n(4)
		if a.b == sendDefer {
			a.a = a.t
		}
	case opFlood:
		a.a, a.b, a.c = g.anyThread(), []int32{sendPlain, sendFrom, sendManners}[g.n(3)], 1+g.n(60)
	case opCritical:
		a.a = g.anyThread()
	case opWait:
		a.a, a.c = g.anyThread(), 1+g.n(12)
	case opPoller, opPause, opResume, opStop, opReliance, opBusy, opAfter:
		return g.poller(a)
	case opLock:
	case opEvent, opEachCore, opMode:
		return g.core(a)
	case opInterrupt, opRing, opSilence:
		return g.interrupt(a)
	case opNap:
		a.a = g.n(4)
		ok = len(w.cores) == 0
		if p, found := g.anyPoller(); found && g.rng.IntN(4) == 0 {
			a.in, a.at = inPoller, int32(p.id)
			return a, ok
		}
	case opIO:
		a.a, ok = g.anyDevice()
		a.b = g.anyThread()
	}
	if !ok {
		return a, false
	}
	return g.placed(a), true
}

// lastWords has more come for a thread that is asked to exit, and perhaps no time for it.
func (g *generator) lastWords(t int32) {
	if g.rng.IntN(2) == 0 {
		return
	}
	g.queue = append(g.queue, action{op: opCritical, t: t, a: t},
		action{op: opSend, t: t, a: g.anyThread(), b: g.n(sendManners), c: 1})
	if !g.long || g.rng.IntN(4) > 0 {
		return
	}
	g.queue = append(g.queue, action{op: opCritical, t: t, a: t},
		action{op: opSend, in: inMessage, t: t, a: t, b: sendDefer, c: 1},
		action{op: opFlood, t: g.anyThread(), a: t, c: 40},
		action{op: opAdvance, nanos: int64(exitTimeout) + 1})
}

func (g *generator) advance() action {
	var d int
	switch n := g.rng.IntN(100); {
	case n < 40:
		d = 1 + g.rng.IntN(1000)
	case n < 80:
		d = 1 + g.rng.IntN(100_000)
	case n < 95 || !g.long:
		d = 1 + g.rng.IntN(2_000_000)
	default:
		d = 1 + g.rng.IntN(3_000_000_000)
	}
	return action{op: opAdvance, nanos: int64(d)}
}

// goOn continues an iteration that waits for it.
func (g *generator) goOn() (a action, ok bool) {
	for _, t := range g.w.live {
		for _, it := range t.held {
			if !it.removal && g.rng.IntN(3) == 0 {
				a = action{op: opContinue, t: int32(t.id), a: int32(it.id), b: g.n(8) / 7}
				if g.rng.IntN(3) == 0 {
					a.in = inMessage
				}
				return a, true
			}
		}
	}
	return a, false
}

func (g *generator) poller(a action) (action, bool) {
	if a.op == opPoller {
		if len(g.w.polls) >= 10 {
			return a, false
		}
		a.a = g.nextPoller
		g.nextPoller++
		if g.rng.IntN(5) < 2 {
			a.nanos = int64(1 + g.rng.IntN([]int{10, 10_000, maxPeriod}[g.rng.IntN(3)]))
		}
		if g.rng.IntN(2) == 0 { // active pollers that rely on nothing keep their reactor awake
			g.queue = append(g.queue, action{op: opReliance, t: a.t, a: a.a, b: g.n(2)})
		}
		return g.placed(a), true
	}
	p, ok := g.anyPoller()
	if !ok {
		return a, false
	}
	a.t, a.a, a.b = int32(p.t.id), int32(p.id), g.n(2)
	switch a.op {
	case opBusy:
		a.in, a.at = inPoller, int32(p.id)
		return a, true
	case opAfter:
		a.in, a.at = []place{direct, inPoller, inPoller, inPoller, inAfter}[g.n(5)], int32(p.id)
		return a, true
	}
	switch g.rng.IntN(5) {
	case 0: // in its own callback
		a.in, a.at = inPoller, int32(p.id)
	case 1, 2: // in that of another of the same thread
		if q, ok := pick(g, p.t.pollers); ok {
			a.in, a.at = inPoller, int32(q.id)
		}
	default:
		return g.placed(a), true
	}
	return a, true
}

func (g *generator) core(a action) (action, bool) {
	n := len(g.w.cores)
	if n == 0 {
		return a, false
	}
	a.a = g.n(n)
	switch a.op {
	case opMode:
		a.b = g.n(3)
		if g.rng.IntN(2) == 0 {
			a.t = -1
		}
	case opEvent:
		a.b, a.c = []int32{sendPlain, sendFrom, sendOutside}[g.n(3)], 1+g.n(6)
	}
	switch g.rng.IntN(5) {
	case 0:
		a.in, a.at = inEvent, g.n(n)
		return a, true
	case 1:
		if p, ok := g.anyPoller(); ok {
			a.in, a.at = inPoller, int32(p.id)
			return a, true
		}
	}
	return g.placed(a), true
}

func (g *generator) interrupt(a action) (action, bool) {
	w := g.w
	if a.op == opInterrupt {
		a.a, a.b = g.nextIntr, g.n(2)
		g.nextIntr++
		return g.placed(a), true
	}
	t, _ := pick(g, w.live)
	i, ok := pick(g, t.intrs)
	if !ok {
		return a, false
	}
	a.t, a.a = int32(t.id), int32(i.id)
	if a.op == opRing {
		a.t = -1
		return a, true
	}
	return g.placed(a), true
}

// placed decides where an action is done.
func (g *generator) placed(a action) action {
	if a.t < 0 {
		return a
	}
	n := g.rng.IntN(100)
	switch {
	case n < 58:
		return a
	case n < 68:
		a.in = inMessage
		return a
	}
	w := g.w
	switch a.in = place(2 + g.rng.IntN(int(placeCount)-2)); a.in {
	case inPoller:
		if p, ok := g.anyPoller(); ok {
			a.at = int32(p.id)
			return a
		}
	case inVisit, inDone:
		if it, ok := pick(g, w.iterating); ok && !it.removal {
			a.at = int32(it.id)
			return a
		}
	case inCreate, inDestroy, inGone:
		if d, ok := g.anyDevice(); ok {
			a.at = d
			if a.op == opUnregister && g.rng.IntN(2) == 0 {
				a.a = d
			}
			return a
		}
	case inWalk, inWalked:
		if k, ok := pick(g, w.walking); ok {
			a.at = int32(k.id)
			return a
		}
	case inInterrupt:
		if t, ok := pick(g, w.live); ok && len(t.intrs) > 0 {
			a.at = int32(t.intrs[0].id)
			return a
		}
	case inEvent:
		if !a.needsThread() && len(w.cores) > 0 {
			a.at = g.n(len(w.cores))
			return a
		}
	default:
		return a
	}
	a.in = direct
	return a
}

package cycle

import "math/rand/v2"

// usual is how often each action is chosen, before a history changes it.
var usual = [opCount]int{
	opRest: 3, opRequest: 60, opOdd: 4, opForget: 6, opInterrupt: 12, opHog: 2,
	opInit: 16, opDestroy: 7, opDelete: 3, opRecreate: 6, opRemove: 4, opRegister: 8,
	opGet: 12, opPut: 9, opHold: 8, opComplete: 60, opFail: 5, opRefuse: 6,
	opExhaust: 3, opRefill: 4, opFlood: 3, opNotify: 4, opAsk: 3, opAnswer: 3, opStats: 2,
}

// generator chooses what happens next.
type generator struct {
	rng     *rand.Rand
	w       *world
	weights [opCount]int
	total   int
	single  bool     // rounds of one message
	queue   []action // that come next

	// A mood lasts for some steps.
	left  int
	polls int  // per cent of the steps
	calm  bool // a session is to be had
}

// unrest is what a calm mood does without.
var unrest = [opCount]bool{
	opInit: true, opDestroy: true, opDelete: true, opRemove: true, opRefuse: true, opExhaust: true, opFlood: true,
	opFail: true,
}

func randomConfig(rng *rand.Rand, l lie) config {
	return config{
		threads:  1 + rng.IntN(maxThreads),
		requests: 2 + rng.IntN(9),
		ring:     []int{4, 8, 16, wideRing}[rng.IntN(4)],
		lie:      l,
	}
}

// newGenerator returns a generator with preferences of its own.
func newGenerator(rng *rand.Rand, w *world) *generator {
	g := &generator{rng: rng, w: w, single: rng.IntN(2) == 0}
	for op, n := range usual {
		switch rng.IntN(6) {
		case 0:
			n /= 4
		case 1:
			n *= 3
		}
		g.weights[op] = n
		g.total += n
	}
	return g
}

func (g *generator) n(n int) int32 { return int32(g.rng.IntN(n)) }

// next returns the next action.
func (g *generator) next() action {
	if g.left--; g.left < 0 {
		g.mood()
	}
	if len(g.queue) > 0 {
		a := g.queue[0]
		g.queue = g.queue[1:]
		return a
	}
	if g.rng.IntN(100) >= g.polls {
		n := g.rng.IntN(g.total)
		for op, weight := range g.weights {
			if n -= weight; n < 0 {
				if g.calm && unrest[op] {
					op = int(opRequest)
				}
				return g.action(opcode(op))
			}
		}
	}
	return g.poll()
}

func (g *generator) poll() action {
	a := action{op: opPoll, t: g.n(g.w.cfg.threads)}
	if g.single {
		a.a = 1
	}
	return a
}

// flurry has a channel go and come while something visits them all.
func (g *generator) flurry() {
	t := g.n(g.w.cfg.threads)
	for range g.w.refs[t] {
		g.queue = append(g.queue, action{op: opPut, t: t})
	}
	for range 2 {
		for range g.rng.IntN(6) {
			g.queue = append(g.queue, action{op: opPoll, t: []int32{0, t, g.n(g.w.cfg.threads)}[g.rng.IntN(3)], a: 1})
		}
		g.queue = append(g.queue, action{op: opGet, t: t})
	}
}

// mood changes the mood.
func (g *generator) mood() {
	g.left = 10 + g.rng.IntN(100)
	g.polls = []int{30, 50, 60, 80}[g.rng.IntN(4)]
	g.calm = g.rng.IntN(3) == 0
	if !g.calm {
		return
	}
	g.queue = append(g.queue, action{op: opHold}, action{op: opRefill})
	for range 16 {
		g.queue = append(g.queue, action{op: opComplete})
	}
	for t := range int32(g.w.cfg.threads) {
		g.queue = append(g.queue, action{op: opRefuse, t: t})
		if g.w.book.deletes > 0 {
			g.queue = append(g.queue, action{op: opPut, t: t}, action{op: opPut, t: t}, action{op: opPut, t: t})
		}
	}
	g.queue = append(g.queue, action{op: opRest}, action{op: opRegister}, action{op: opRecreate})
	for t := range int32(g.w.cfg.threads) {
		g.queue = append(g.queue, action{op: opGet, t: t})
	}
	g.queue = append(g.queue, action{op: opInit, t: g.n(g.w.cfg.threads)}, action{op: opRest})
}

// action returns an action of that kind. It may make no sense, if it is to be tried too.
func (g *generator) action(op opcode) action {
	w := g.w
	a := action{op: op, t: g.n(w.cfg.threads)}
	switch op {
	case opRest:
		a.a = g.n(2)
	case opRequest:
		a.a, a.b = g.n(len(cases)), g.n(200)
		if g.rng.IntN(8) == 0 {
			a.a = severalOps
		}
	case opOdd:
		a.a, a.b = g.n(64), g.n(200)
	case opForget:
		a.a, a.b = g.n(8), g.n(200)
	case opInterrupt:
		a.a = g.n(max(1, len(w.live)))
	case opInit, opDestroy:
		if w.bed.D == nil {
			a.op = opRecreate
		} else if g.rng.IntN(3) == 0 {
			g.flurry()
		}
	case opHold:
		switch n := g.rng.IntN(3); {
		case n == 0:
		case n == 1 || g.calm:
			a.a = 1
		default:
			a.a = g.n(1 << (stubborn + 1))
		}
	case opComplete:
		a.a, a.b = g.n(64), g.n(2*len(errnos))
		if int(a.b) >= len(errnos) {
			a.b = 0
		}
	case opFail:
		a.a, a.b = g.n(3), g.n(4)
	case opRefuse:
		if g.rng.IntN(3) == 0 {
			a.a = 1
		}
	case opRegister:
		if w.dev != nil {
			return g.poll()
		}
	case opRecreate:
		if w.bed.D != nil {
			return g.poll()
		}
	case opGet:
		if w.refs[a.t] > 0 && g.rng.IntN(4) > 0 {
			return g.poll()
		}
	case opPut:
		if w.book.deletes == 0 && g.rng.IntN(2) > 0 {
			return g.poll()
		}
	case opNotify, opAnswer:
		a.a, a.b = g.n(16), g.n(16)
	}
	return a
}

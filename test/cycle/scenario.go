package cycle

import (
	"slices"

	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
)

// scenario is a short history that is gone through again and again, with something going wrong after each step.
type scenario struct {
	name    string
	actions func(threads int32) []action
}

func rest() action { return action{op: opRest, a: 1} }

// each is one action on every thread.
func each(op opcode, threads, a int32) (list []action) {
	for t := range threads {
		list = append(list, action{op: op, t: t, a: a})
	}
	return list
}

func script(parts ...[]action) []action { return slices.Concat(parts...) }

func one(a ...action) []action { return a }

var (
	initAt    = func(t int32) action { return action{op: opInit, t: t} }
	destroyAt = func(t int32) action { return action{op: opDestroy, t: t} }
	hold      = func(classes int32) action { return action{op: opHold, a: classes} }
)

const (
	holdRequests = 1 << classOrdinary
	holdMount    = 1 << classMount
	holdUmount   = 1 << classUmount
	holdAborts   = 1 << classAbort
	holdAll      = holdRequests | holdMount | holdUmount | holdAborts
	obstinate    = 1 << stubborn
)

// scenarios are what the life of a dispatcher is made of.
var scenarios = []scenario{
	{"INIT", func(n int32) []action {
		return script(one(initAt(n-1), rest()), each(opRequest, n, caseNamed(FUSE_READ)), one(rest()))
	}},
	{"INIT, requests, DESTROY", func(n int32) []action {
		return script(one(initAt(0), rest()), each(opRequest, n, caseNamed(FUSE_WRITE)),
			each(opRequest, n, caseNamed(FUSE_READDIRPLUS)), each(opForget, n, 3), one(destroyAt(n-1), rest()),
			each(opRequest, n, caseNamed(FUSE_READ)), one(rest()))
	}},
	{"DESTROY while requests are under way", func(n int32) []action {
		return script(one(initAt(0), rest(), hold(holdRequests)), each(opRequest, n, caseNamed(FUSE_LOOKUP)),
			each(opForget, n, 2), one(destroyAt(0), rest()))
	}},
	{"DESTROY while the module does not abort", func(n int32) []action {
		return script(one(initAt(0), rest(), hold(holdAll|obstinate)), each(opRequest, n, caseNamed(FUSE_LOOKUP)),
			one(destroyAt(0), rest(), action{op: opComplete, a: 1}, rest(), action{op: opComplete}, rest()))
	}},
	{"DESTROY between two operations of a request", func(n int32) []action {
		return script(one(initAt(0), rest(), hold(holdRequests|obstinate)), each(opRequest, n, severalOps),
			one(destroyAt(0), rest(), hold(holdRequests), action{op: opComplete}, rest()))
	}},
	{"second INIT", func(n int32) []action {
		return script(one(initAt(0), rest(), hold(holdRequests)), each(opRequest, n, caseNamed(FUSE_READ)),
			one(initAt(n-1), rest(), hold(0)), each(opRequest, n, caseNamed(FUSE_READ)), one(rest()))
	}},
	{"INIT and DESTROY from everywhere", func(n int32) []action {
		return script(each(opInit, n, 0), each(opDestroy, n, 0), each(opInit, n, 0), one(rest()))
	}},
	{"DESTROY while MOUNT is under way", func(n int32) []action {
		return script(one(hold(holdMount|holdUmount), initAt(0), rest(), destroyAt(n-1), rest(),
			action{op: opComplete}, rest(), action{op: opComplete}, rest()))
	}},
	{"removal while requests are under way", func(n int32) []action {
		return script(one(initAt(0), rest(), hold(holdRequests)), each(opRequest, n, caseNamed(FUSE_READ)),
			one(action{op: opRemove, t: n - 1}, rest(), hold(0), action{op: opRegister}, initAt(0), rest()),
			each(opRequest, n, caseNamed(FUSE_READ)), one(rest()))
	}},
	{"removal while MOUNT is under way", func(n int32) []action {
		return one(hold(holdMount), initAt(0), rest(), action{op: opRemove, t: n - 1}, rest(), action{op: opComplete},
			rest(), hold(0), action{op: opRegister}, initAt(0), rest())
	}},
	{"Delete while requests are under way", func(n int32) []action {
		return script(one(initAt(0), rest(), hold(holdRequests)), each(opRequest, n, caseNamed(FUSE_READ)),
			one(action{op: opDelete, t: n - 1}, rest()), each(opPut, n, 0), one(rest()),
			one(action{op: opRecreate}, hold(0), initAt(0), rest()), each(opRequest, n, caseNamed(FUSE_READ)), one(rest()))
	}},
	{"Delete during a removal, twice", func(n int32) []action {
		return script(one(initAt(0), rest(), action{op: opRemove, t: 0}, action{op: opDelete, t: n - 1},
			action{op: opDelete, t: 0}, rest()), each(opPut, n, 0), one(rest()))
	}},
	{"channels come and go while INIT visits them", func(n int32) []action {
		list := one(initAt(0))
		for t := range n {
			list = append(list, action{op: opPoll, t: t, a: 1}, action{op: opPut, t: t}, action{op: opPoll, a: 1},
				action{op: opPoll, t: t, a: 1}, action{op: opGet, t: t}, action{op: opPoll, t: t, a: 1})
		}
		list = append(list, rest())
		return append(list, append(each(opRequest, n, caseNamed(FUSE_READ)), destroyAt(0), rest())...)
	}},
	{"channels come and go while DESTROY visits them", func(n int32) []action {
		list := script(one(initAt(0), rest()), each(opRequest, n, caseNamed(FUSE_READ)), one(destroyAt(0)))
		for t := range n {
			list = append(list, action{op: opPoll, t: t, a: 1}, action{op: opPut, t: t}, action{op: opPoll, a: 1},
				action{op: opPoll, t: t, a: 1}, action{op: opGet, t: t}, action{op: opPoll, t: t, a: 1})
		}
		return append(list, rest(), initAt(0), rest())
	}},
	{"questions, notifications and interrupts", func(n int32) []action {
		return script(one(initAt(0), rest(), hold(holdRequests), action{op: opAsk}, action{op: opAsk}),
			one(action{op: opNotify, a: 0}, action{op: opNotify, a: 1}), each(opRequest, n, caseNamed(FUSE_READ)),
			one(rest(), action{op: opAnswer, a: 0, b: 1}), each(opInterrupt, n, 0), each(opStats, n, 0), one(rest()),
			one(destroyAt(0), rest()))
	}},
}

// trouble is something that goes wrong, and what ends it, if anything does before the history's end.
type trouble struct {
	name  string
	begin func(t int32) []action
	end   func(t int32) []action
}

func act(a action) func(int32) []action {
	return func(t int32) []action {
		a.t = t
		return one(a)
	}
}

// troubles are all that can go wrong.
var troubles = []trouble{
	{"no IO on this thread", act(action{op: opExhaust}), act(action{op: opRefill})},
	{"no IO anywhere", func(int32) []action { return each(opExhaust, maxThreads, 0) }, act(action{op: opRefill})},
	{"no request is free", act(action{op: opHog}), nil},
	{"no request is free and the module keeps them", func(t int32) []action {
		return one(hold(holdRequests), action{op: opHog, t: t})
	}, act(hold(0))},
	{"no room for messages", act(action{op: opFlood}), nil},
	{"no room for messages anywhere", func(int32) []action { return each(opFlood, maxThreads, 0) }, nil},
	{"the module has no channel", act(action{op: opRefuse, a: 1}), act(action{op: opRefuse})},
	{"the next MOUNT fails", act(action{op: opFail, a: int32(classMount), b: 1}), nil},
	{"the next UMOUNT fails", act(action{op: opFail, a: int32(classUmount), b: 1}), nil},
	{"the next request fails", act(action{op: opFail, a: int32(classOrdinary), b: 1}), nil},
	{"the module keeps everything", act(hold(holdAll)), act(hold(0))},
	{"the module keeps everything and aborts nothing", act(hold(holdAll | obstinate)), act(hold(0))},
	{"the device goes", act(action{op: opRemove}), act(action{op: opRegister})},
	{"another INIT", act(action{op: opInit}), nil},
	{"another DESTROY", act(action{op: opDestroy}), nil},
	{"Delete", act(action{op: opDelete}), nil},
	{"the channel is put", act(action{op: opPut}), act(action{op: opGet})},
	{"one more channel", act(action{op: opGet}), act(action{op: opPut})},
}

// spelled returns the scenario with every round written down that there is when nothing goes wrong.
func (s *scenario) spelled(cfg config) (actions []action, f *failure) {
	f = run(cfg, &stats{}, func(w *world) {
		for _, a := range s.actions(int32(cfg.threads)) {
			if a.op != opRest {
				actions = append(actions, a)
				w.do(a)
				continue
			}
			for quiet := 0; quiet < cfg.threads; {
				for t := range cfg.threads {
					busy := w.poll(t, 1)
					if quiet++; busy {
						quiet = 0
						actions = append(actions, action{op: opPoll, t: int32(t), a: 1})
					}
				}
			}
			actions = append(actions, a)
			w.do(a)
		}
	})
	return actions, f
}

// inject puts trouble after step i, which ends some steps later, or does not.
func inject(actions []action, tr trouble, i int, t int32, lasts int) []action {
	list := script(actions[:i], tr.begin(t))
	if lasts > 0 && tr.end != nil {
		until := min(i+lasts, len(actions))
		return script(list, actions[i:until], tr.end(t), actions[until:])
	}
	return append(list, actions[i:]...)
}

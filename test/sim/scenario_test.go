package sim

import (
	"fmt"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/reactor"
)

// who is the thread that does an action.
type who int32

func (t who) do(op opcode, args ...int32) action {
	a := action{op: op, t: int32(t)}
	for i, p := range []*int32{&a.a, &a.b, &a.c} {
		if i < len(args) {
			*p = args[i]
		}
	}
	return a
}

func (t who) register(d int32) action          { return t.do(opRegister, d, d) }
func (t who) unregister(d int32) action        { return t.do(opUnregister, d) }
func (t who) get(d int32) action               { return t.do(opGet, d) }
func (t who) put(d int32) action               { return t.do(opPut, d) }
func (t who) forEach(i, d int32) action        { return t.do(opForEach, i, d) }
func (t who) goOn(i int32) action              { return t.do(opContinue, i) }
func (t who) walk(k int32) action              { return t.do(opWalk, k) }
func (t who) exit() action                     { return t.do(opExit) }
func (t who) timed(p int32, d int64) action    { return action{op: opPoller, t: int32(t), a: p, nanos: d} }
func (t who) poll() action                     { return t.do(opPoll) }
func (a action) inside(p place, at int) action { a.in, a.at = p, int32(at); return a }

func pass(d time.Duration) action { return action{op: opAdvance, nanos: int64(d)} }

// expect is a check in the middle of a scenario.
type expect func(w *world) error

// scenario lives a fixed history: actions, slices of actions and expectations. The world has n
// threads, each with a reactor of its own or polled by hand; nobody exits but by the actions.
func scenario(t *testing.T, n int, steps ...any) {
	t.Helper()
	for _, cores := range []int{0, n} {
		for _, mode := range []reactor.Mode{reactor.ModePoll, reactor.ModeHybrid} {
			t.Run(fmt.Sprintf("%d reactors/%s", cores, mode), func(t *testing.T) {
				t.Helper()
				cfg := config{cores: cores, mode: mode, ring: 4, eventRing: 4, spin: 1}
				w := newWorld(cfg, &stats{})
				defer w.close()
				step := func(a action) {
					w.do(a)
					w.step++
				}
				f := w.guard(func() {
					for i := range int32(n) {
						step(action{op: opThread, t: -1, a: i, b: 1 << i})
						step(who(i).poll())
						w.threads[i].adopted = true
					}
					for i, s := range steps {
						switch s := s.(type) {
						case action:
							step(s)
						case []action:
							for _, a := range s {
								step(a)
							}
						case expect:
							if err := s(w); err != nil {
								t.Errorf("before step %d: %v", i, err)
							}
						}
					}
					w.drain()
				})
				if f != nil {
					t.Errorf("%v\n%s", f, f.stack)
				}
			})
		}
	}
}

// rounds polls all threads n times.
func rounds(threads, n int) (polls []action) {
	for range n {
		for i := range threads {
			polls = append(polls, who(i).poll())
		}
	}
	return polls
}

func exited(t int, want bool) expect {
	return func(w *world) error {
		if got := w.threads[t].exited; got != want {
			return fmt.Errorf("thread %d exited: %v, held by %s", t, got, w.threads[t].t.Holding())
		}
		return nil
	}
}

func gone(d int, want bool) expect {
	return func(w *world) error {
		if got := w.devices[d].state == deviceGone; got != want {
			return fmt.Errorf("device %d is gone: %v, state %d", d, got, w.devices[d].state)
		}
		return nil
	}
}

func ended(i int, want bool) expect {
	return func(w *world) error {
		if got := w.iters[i].ended; got != want {
			return fmt.Errorf("iteration %d ended: %v", i, got)
		}
		return nil
	}
}

func refused(i int) expect {
	return func(w *world) error {
		if !w.iters[i].refused {
			return fmt.Errorf("iteration %d began", i)
		}
		return nil
	}
}

func visited(i int, threads ...int) expect {
	return func(w *world) error {
		last := w.iters[i].last
		if len(threads) == 0 && last != -1 || len(threads) > 0 && last != threads[len(threads)-1] {
			return fmt.Errorf("iteration %d came to thread %d last, want %v", i, last, threads)
		}
		return nil
	}
}

func channels(d, want int) expect {
	return func(w *world) error {
		if got := w.devices[d].chans; got != want {
			return fmt.Errorf("device %d has %d channels, want %d", d, got, want)
		}
		return nil
	}
}

func destroys(want int) expect {
	return func(w *world) error {
		if w.stats.destroys != want {
			return fmt.Errorf("%d channels were destroyed, want %d", w.stats.destroys, want)
		}
		return nil
	}
}

func calls(want int) expect {
	return func(w *world) error {
		if w.stats.calls != want {
			return fmt.Errorf("pollers were called %d times, want %d", w.stats.calls, want)
		}
		return nil
	}
}

package reactor_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/reactor"
)

// TestSetModeAnswersOnTheReactor, after the switch, once, and one switch at a time.
func TestSetModeAnswersOnTheReactor(t *testing.T) {
	fw := byHand(t, reactor.Options{Mode: reactor.ModeInterrupt}, 2)
	r := fw.Reactors()[0]
	ctx := &struct{}{}
	for _, m := range []reactor.Mode{reactor.ModePoll, reactor.ModePoll, reactor.ModeHybrid, reactor.ModeInterrupt} {
		before, answers := r.Mode(), 0
		done := func(on *reactor.Reactor, arg1, arg2 any) {
			answers++
			if on != r || arg1 != ctx || arg2 != nil || r.Mode() != m {
				t.Errorf("called on reactor %d in mode %v with %v and %v", on.Core(), r.Mode(), arg1, arg2)
			}
			if errno := r.SetMode(m, nil, nil); errno != 0 { // it is over
				t.Errorf("a switch from the end of another: %v", errno)
			}
		}
		if errno := r.SetMode(m, done, ctx); errno != 0 {
			t.Fatal(errno)
		}
		for range 2 {
			if errno := r.SetMode(reactor.ModePoll, done, ctx); errno != syscall.EBUSY {
				t.Errorf("a second switch: %v", errno)
			}
		}
		if errno := fw.Reactors()[1].SetMode(m, nil, nil); errno != 0 {
			t.Errorf("a switch of another reactor: %v", errno)
		}
		if r.Mode() != before || answers != 0 {
			t.Errorf("mode %v before the reactor is polled, want %v; %d answers", r.Mode(), before, answers)
		}
		for range 3 {
			r.Poll()
			fw.Reactors()[1].Poll()
		}
		if answers != 1 || fw.Reactors()[1].Mode() != m {
			t.Errorf("%d answers, the other reactor is in mode %v", answers, fw.Reactors()[1].Mode())
		}
	}
}

// TestModesSleepWhenTheyShould: at once, after a while or never, with the same threads.
func TestModesSleepWhenTheyShould(t *testing.T) {
	const spin = 50 * time.Microsecond // the default
	for _, tc := range []struct {
		mode     reactor.Mode
		from, to time.Duration // when it goes to sleep, with a clock that moves by a microsecond a round
	}{
		{reactor.ModeInterrupt, 0, 2 * time.Microsecond},
		{reactor.ModeHybrid, spin, spin + 20*time.Microsecond},
		{reactor.ModePoll, -1, -1},
	} {
		clock := &manualClock{}
		fw := byHand(t, reactor.Options{Mode: tc.mode, Clock: clock}, 1)
		r, th := fw.Reactors()[0], thread(t, fw, 0)
		r.Poll()
		for range 3 {
			th.SendMsg(nothing, nil)
			r.Poll()
			slept := time.Duration(-1)
			for i := range 1000 {
				if r.Asleep() {
					slept = time.Duration(i) * time.Microsecond
					break
				}
				clock.now += uint64(time.Microsecond)
				r.Poll()
			}
			if slept < tc.from || slept > tc.to {
				t.Errorf("%v: asleep after %v, want %v to %v", tc.mode, slept, tc.from, tc.to)
			}
		}
	}
}

// crowdedClock is that of a reactor on a CPU that others want: each reading comes late.
type crowdedClock struct {
	manualClock
	late time.Duration
}

func (c *crowdedClock) Ticks() uint64 {
	c.now += uint64(c.late)
	return c.manualClock.Ticks()
}

// TestHybridReactorDoesNotSpinOnACrowdedCPU, where it would have to wait for its turn, until that has passed.
func TestHybridReactorDoesNotSpinOnACrowdedCPU(t *testing.T) {
	clock := &crowdedClock{}
	fw := byHand(t, reactor.Options{HybridSpin: time.Second, Clock: clock}, 1)
	r, th := fw.Reactors()[0], thread(t, fw, 0)
	spins := func() bool {
		th.SendMsg(nothing, nil)
		for range 50 {
			if r.Poll(); r.Asleep() {
				return false
			}
		}
		return true
	}
	if r.Poll(); !spins() {
		t.Error("it does not spin on a CPU of its own")
	}
	clock.late = 200 * time.Microsecond
	if spins() {
		t.Error("it spins on a crowded CPU")
	}
	clock.late = 0
	if spins() {
		t.Error("it spins right after the CPU was crowded")
	}
	clock.now += uint64(20 * time.Millisecond)
	if !spins() {
		t.Error("it does not spin when that has passed")
	}
}

// TestSleepingReactorWakesForWhatItWaitsFor and for nothing else, in both modes that sleep.
func TestSleepingReactorWakesForWhatItWaitsFor(t *testing.T) {
	for _, mode := range []reactor.Mode{reactor.ModeHybrid, reactor.ModeInterrupt} {
		s := newSleeper(t, mode, 1)
		r, th := s.reactor(), thread(t, s.fw, 0)
		fd := eventfd(t)
		var i *reactor.Interrupt
		th.SendMsg(func(th *reactor.Thread, _ any) {
			th.RegisterPoller("", s.polls("timer", reactor.Busy), nil, time.Second)
			th.RegisterPoller("", s.polls("soft timer", reactor.Busy), nil, time.Millisecond).RegisterInterrupt(nil, nil)
			var err error
			opts := reactor.FDOpts{Type: reactor.FDTypeEventfd}
			if i, err = th.RegisterInterruptExt("", fd, opts, func(*reactor.Thread, any) reactor.PollerResult {
				s.add("interrupt")
				return reactor.Busy
			}, nil); err != nil {
				t.Fatal(err)
			}
		}, nil)
		s.rest()
		s.take()
		for _, tc := range []struct {
			name string
			do   func()
			want []string
		}{
			{"nothing", func() {}, nil},
			{"a soft timer", func() { s.clock.now += uint64(2 * time.Millisecond) }, nil},
			{"message", func() { th.SendMsg(s.says("message"), nil) }, []string{"message", "soft timer"}},
			{"event", func() { r.SendEvent(func(*reactor.Reactor, any, any) { s.add("event") }, nil, nil) }, []string{"event"}},
			{"critical message", func() { th.SendCriticalMsg(s.says("critical")) }, []string{"critical"}},
			{"interrupt", func() { signal(t, fd) }, []string{"interrupt"}},
			{"timer", func() { s.clock.now += uint64(time.Second) }, []string{"soft timer", "timer"}},
			{"two at once", func() { signal(t, fd); th.SendMsg(s.says("message"), nil) }, []string{"interrupt", "message"}},
		} {
			tc.do()
			for range 3 {
				r.Poll()
			}
			s.expect(fmt.Sprintf("%v, %s", mode, tc.name), tc.want...)
			s.rest()
			s.take()
		}
		i.Unregister()
	}
}

// TestNothingIsLostWhileModesChange sends messages, runs timed pollers and signals interrupts on
// reactors that are switched from every mode to every other all the time.
func TestNothingIsLostWhileModesChange(t *testing.T) {
	noLeaks(t)
	switches := 300
	if testing.Short() {
		switches = 60
	}
	pinning(t, func(t *testing.T, o reactor.Options) {
		o.HybridSpin = 1
		fw := run(t, o, 2)
		var stop atomic.Bool
		var senders sync.WaitGroup
		var runs [2]atomic.Int64 // of the timed pollers
		var pollers []*reactor.Poller
		var interrupts []*reactor.Interrupt
		hung := time.AfterFunc(deadline, func() { panic("something is lost") })
		for core, r := range fw.Reactors() {
			th := thread(t, fw, core)
			answer := make(chan int, 1)
			served := make(chan struct{}, 1)
			fd := eventfd(t)
			serve := func(*reactor.Thread, any) reactor.PollerResult {
				var b [8]byte
				if n, _ := unix.Read(fd, b[:]); n != 8 {
					return reactor.Idle
				}
				served <- struct{}{}
				return reactor.Busy
			}
			on(t, th, func(th *reactor.Thread) {
				i, err := th.RegisterInterrupt("device", fd, 0, serve, nil)
				if err != nil {
					t.Error(err)
				}
				interrupts = append(interrupts, i)
				p := th.RegisterPoller("device", serve, nil, 0) // while it is awake
				p.RegisterInterrupt(nil, nil)
				pollers = append(pollers, p, th.RegisterPoller("timed", func(*reactor.Thread, any) reactor.PollerResult {
					runs[core].Add(1)
					return reactor.Busy
				}, nil, 100*time.Microsecond))
			})
			senders.Go(func() {
				for n := 0; !stop.Load(); n++ {
					if errno := th.SendMsg(func(*reactor.Thread, any) { answer <- n }, nil); errno != 0 {
						t.Error(errno)
					}
					if got := <-answer; got != n {
						t.Errorf("answer %d, want %d", got, n)
					}
				}
			})
			senders.Go(func() {
				for !stop.Load() {
					signal(t, fd)
					<-served
				}
			})
			senders.Go(func() { // who calls what it is told is done with
				for !stop.Load() {
					done := make(chan struct{})
					if errno := r.SendEvent(func(*reactor.Reactor, any, any) { close(done) }, nil, nil); errno != 0 {
						t.Error(errno)
					}
					<-done
				}
			})
		}
		// From every mode to every other, and to itself.
		for i := range switches {
			m := reactor.Modes[i%len(reactor.Modes)]
			if i/len(reactor.Modes)%2 == 1 {
				m = reactor.Modes[len(reactor.Modes)-1-i%len(reactor.Modes)]
			}
			var switched sync.WaitGroup
			for core, r := range fw.Reactors() {
				switched.Add(1)
				before := runs[core].Load()
				if errno := r.SetMode(m, func(r *reactor.Reactor, _, _ any) {
					if r.Mode() != m {
						t.Errorf("mode %v, want %v", r.Mode(), m)
					}
					switched.Done()
				}, nil); errno != 0 {
					t.Errorf("mode %v: %v", m, errno)
					switched.Done()
				}
				eventually(t, "the timed poller runs", func() bool { return runs[core].Load() > before })
			}
			switched.Wait()
		}
		stop.Store(true)
		senders.Wait()
		hung.Stop()
		for core := range fw.Reactors() {
			on(t, fw.Threads()[core], func(*reactor.Thread) {
				interrupts[core].Unregister()
				pollers[2*core].Unregister()
				pollers[2*core+1].Unregister()
			})
		}
	})
}

// TestSwitchesRace: of those who switch one reactor at the same time, all but one are told so, and
// the others get their answer.
func TestSwitchesRace(t *testing.T) {
	noLeaks(t)
	pinning(t, func(t *testing.T, o reactor.Options) {
		o.HybridSpin = 1
		fw := run(t, o, 1)
		var accepted, answered atomic.Int64
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				for k := range 500 {
					switch errno := fw.Reactors()[0].SetMode(reactor.Modes[(i+k)%3], func(*reactor.Reactor, any, any) {
						answered.Add(1)
					}, nil); errno {
					case 0:
						accepted.Add(1)
					case syscall.EBUSY:
					default:
						t.Error(errno)
					}
				}
			})
		}
		all.Wait()
		eventually(t, "every switch that was accepted is answered", func() bool { return answered.Load() == accepted.Load() })
		if accepted.Load() == 0 {
			t.Error("no switch was accepted")
		}
	})
}

// TestIdleThreadsUseNoCPU: a hundred threads with nothing to do but wait cost less than 1 % of a
// CPU in the modes that sleep, also if they have come there from another mode.
func TestIdleThreadsUseNoCPU(t *testing.T) {
	noLeaks(t)
	pinning(t, func(t *testing.T, o reactor.Options) {
		o.Mode = reactor.ModePoll
		fw := run(t, o, 2)
		for i := range 100 {
			th := thread(t, fw, i%2)
			fd := eventfd(t)
			on(t, th, func(th *reactor.Thread) {
				i, err := th.RegisterInterrupt("quiet", fd, 0, nil, nil)
				if err != nil {
					t.Error(err)
				}
				p := th.RegisterPoller("quiet", idle, nil, 0)
				p.RegisterInterrupt(func(*reactor.Poller, any, bool) {}, nil)
				th.SetExt(quietKey, &quiet{i, p})
			})
		}
		for _, mode := range []reactor.Mode{reactor.ModeInterrupt, reactor.ModeHybrid} {
			for _, r := range fw.Reactors() {
				r.SetMode(mode, nil, nil)
				eventually(t, "the reactor goes to sleep", func() bool { return asleep(r) })
			}
			lightly(t, fmt.Sprintf("two reactors and 100 threads in mode %v", mode), time.Second, 0.01*raceFactor)
		}
		for _, th := range fw.Threads() {
			on(t, th, func(th *reactor.Thread) { th.Ext(quietKey).(*quiet).end() })
		}
		if diff := cmp.Diff(100, len(fw.Threads())); diff != "" {
			t.Error(diff)
		}
	})
}

var quietKey = reactor.NewExtKey()

// quiet is what a thread waits for.
type quiet struct {
	i *reactor.Interrupt
	p *reactor.Poller
}

func (q *quiet) IsHolding() bool { return false }
func (q *quiet) Holding() string { return "" }
func (q *quiet) end()            { q.i.Unregister(); q.p.Unregister() }

// lightly checks that the process uses at most a part of a CPU, in the best of several tries: the
// garbage collector and the test itself may run too.
func lightly(t *testing.T, what string, nap time.Duration, most float64) {
	t.Helper()
	best := time.Hour
	limit := time.Duration(float64(nap) * most)
	for range 10 {
		before := cpuTime(t)
		time.Sleep(nap)
		if best = min(best, cpuTime(t)-before); best <= limit {
			t.Logf("%s use %v of %v", what, best, nap)
			return
		}
	}
	t.Errorf("%s use at least %v of %v", what, best, nap)
}

func TestUnknownModeIsRefused(t *testing.T) {
	for _, m := range []reactor.Mode{-1, 3} {
		_, err := reactor.NewFramework(reactor.Options{Mode: m})
		mustErr(t, "options with "+m.String(), err, unix.EINVAL)
		fw := byHand(t, reactor.Options{}, 1)
		if errno := fw.Reactors()[0].SetMode(m, nil, nil); errno != syscall.EINVAL {
			t.Errorf("SetMode(%v): %v, want EINVAL", m, errno)
		}
	}
}

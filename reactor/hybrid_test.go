package reactor_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/reactor"
)

// sleeper is reactors that are polled by hand, and what the interrupt functions of pollers said.
type sleeper struct {
	t     *testing.T
	fw    *reactor.Framework
	clock *manualClock
	journal
}

func newSleeper(t *testing.T, mode reactor.Mode, cores int) *sleeper {
	s := &sleeper{t: t, clock: &manualClock{}}
	s.fw = byHand(t, reactor.Options{Mode: mode, Clock: s.clock}, cores)
	return s
}

func (s *sleeper) reactor() *reactor.Reactor { return s.fw.Reactors()[0] }

// rest polls until all reactors sleep.
func (s *sleeper) rest() {
	s.t.Helper()
	for range 200 {
		asleep := true
		for _, r := range s.fw.Reactors() {
			r.Poll()
			asleep = asleep && r.Asleep()
		}
		if asleep {
			return
		}
		s.clock.now += uint64(time.Microsecond)
	}
	s.t.Fatal("the reactors do not go to sleep")
}

// wakes polls until the reactor's threads have run a message.
func (s *sleeper) wakes(th *reactor.Thread) {
	s.t.Helper()
	if errno := th.SendMsg(s.says("message"), nil); errno != 0 {
		s.t.Fatal(errno)
	}
	s.reactor().Poll()
	if s.reactor().Asleep() {
		s.t.Error("a message does not wake the reactor")
	}
}

func (s *sleeper) expect(what string, want ...string) {
	s.t.Helper()
	if diff := cmp.Diff(want, s.take()); diff != "" {
		s.t.Errorf("%s: %s", what, diff)
	}
}

// armed is an interrupt function that writes down what it is told.
func (s *sleeper) armed(p *reactor.Poller, ctx any, sleeps bool) {
	p.Stats() // may be called: it is on the poller's thread
	s.add(fmt.Sprintf("%v %v", ctx, map[bool]string{true: "sleeps", false: "is polled"}[sleeps]))
}

// register returns a poller with an interrupt function.
func (s *sleeper) register(th *reactor.Thread, name string, period time.Duration) *reactor.Poller {
	p := th.RegisterPoller(name, idle, nil, period)
	p.RegisterInterrupt(s.armed, name)
	return p
}

// TestPollersAreToldOfSleepInHybridMode, whatever their state, each time, and polled once more
// before.
func TestPollersAreToldOfSleepInHybridMode(t *testing.T) {
	s := newSleeper(t, reactor.ModeHybrid, 1)
	th, other := thread(t, s.fw, 0), thread(t, s.fw, 0)
	s.register(th, "active", 0)
	s.register(th, "timed", time.Hour)
	s.register(th, "paused", 0).Pause()
	s.register(th, "gone", time.Hour).Unregister()
	s.register(th, "forgotten", 0).RegisterInterrupt(nil, nil)
	s.register(other, "other", 0)
	s.expect("registered")
	for range 3 {
		s.rest()
		s.expect("asleep", "timed sleeps", "active sleeps", "paused sleeps", "other sleeps")
		s.rest()
		s.expect("still asleep")
		s.wakes(th)
		s.expect("awake", "timed is polled", "active is polled", "paused is polled", "other is polled", "message")
	}
}

// TestPollerIsPolledOnceMoreBeforeSleep: work that comes between the last poll and the call of the
// interrupt function is found, and keeps the reactor awake.
func TestPollerIsPolledOnceMoreBeforeSleep(t *testing.T) {
	for _, mode := range []reactor.Mode{reactor.ModeHybrid, reactor.ModeInterrupt} {
		t.Run(mode.String(), func(t *testing.T) {
			s := newSleeper(t, mode, 1)
			work := 0
			p := thread(t, s.fw, 0).RegisterPoller("", func(*reactor.Thread, any) reactor.PollerResult {
				if work == 0 {
					return reactor.Idle
				}
				s.add("work")
				work--
				return reactor.Busy
			}, nil, 0)
			p.RegisterInterrupt(func(_ *reactor.Poller, _ any, sleeps bool) {
				if s.add(fmt.Sprint(sleeps)); sleeps && len(s.entries) < 4 {
					work = 2 // just before it can be signalled
				}
			}, nil)
			s.rest()
			want := []string{"true", "work", "false", "work", "true"}
			if mode == reactor.ModeInterrupt { // is told once for good
				want = []string{"true", "work", "work"}
			}
			s.expect("asleep", want...)
		})
	}
}

// TestPollersAreToldOnceInInterruptMode, when it begins and when it ends, and at once if they come
// in between.
func TestPollersAreToldOnceInInterruptMode(t *testing.T) {
	s := newSleeper(t, reactor.ModeHybrid, 1)
	th := thread(t, s.fw, 0)
	s.register(th, "a", 0)
	s.reactor().Poll()
	mode := func(m reactor.Mode) {
		t.Helper()
		if errno := s.reactor().SetMode(m, nil, nil); errno != 0 {
			t.Fatal(errno)
		}
		s.reactor().Poll()
	}
	mode(reactor.ModeInterrupt)
	s.expect("interrupt mode begins", "a sleeps")
	for range 3 {
		s.rest()
		s.wakes(th)
		s.expect("awake in interrupt mode", "message")
	}
	th.SendMsg(func(th *reactor.Thread, _ any) { s.register(th, "b", time.Hour) }, nil)
	s.rest()
	s.expect("registered in interrupt mode", "b sleeps")
	for _, m := range []reactor.Mode{reactor.ModePoll, reactor.ModeInterrupt, reactor.ModeInterrupt} {
		mode(m)
	}
	s.expect("to poll mode and back, twice", "b is polled", "a is polled", "b sleeps", "a sleeps")
	mode(reactor.ModeHybrid)
	s.expect("interrupt mode ends", "b is polled", "a is polled")
	s.rest()
	s.expect("asleep", "b sleeps", "a sleeps")
	mode(reactor.ModeInterrupt) // wakes it, and has it sleep again
	s.expect("interrupt mode begins", "b is polled", "a is polled", "b sleeps", "a sleeps")
}

// TestInterruptFunctionIsReplaced by the last one that was registered.
func TestInterruptFunctionIsReplaced(t *testing.T) {
	s := newSleeper(t, reactor.ModeInterrupt, 1)
	th := thread(t, s.fw, 0)
	s.rest()
	var p *reactor.Poller
	th.SendMsg(func(th *reactor.Thread, _ any) {
		p = s.register(th, "first", 0)
		p.RegisterInterrupt(s.armed, "second")
	}, nil)
	s.rest()
	s.expect("registered", "first sleeps", "second sleeps")
	s.reactor().SetMode(reactor.ModePoll, nil, nil)
	s.reactor().Poll()
	s.expect("polled", "second is polled")
	p.Unregister()
	if !panics(func() { p.RegisterInterrupt(s.armed, "late") }) {
		t.Error("an unregistered poller gets an interrupt")
	}
}

// TestPollersAreToldWhenTheirThreadMoves to a reactor in another mode.
func TestPollersAreToldWhenTheirThreadMoves(t *testing.T) {
	s := newSleeper(t, reactor.ModeHybrid, 2)
	s.fw.Reactors()[1].SetMode(reactor.ModeInterrupt, nil, nil)
	th := thread(t, s.fw, 0)
	s.register(th, "a", 0)
	move := func(core int) {
		t.Helper()
		th.SendMsg(func(th *reactor.Thread, _ any) {
			if err := th.SetCpumask(reactor.NewCpuset(core)); err != nil {
				t.Error(err)
			}
		}, nil)
		s.rest()
		if got := th.Reactor().Core(); got != core {
			t.Errorf("the thread is on core %d, want %d", got, core)
		}
	}
	s.rest()
	s.expect("at rest", "a sleeps")
	move(1) // awake for the message
	s.expect("moved to interrupt mode", "a is polled", "a sleeps")
	move(0)
	s.expect("moved to hybrid mode, and at rest", "a is polled", "a sleeps")
}

// kicked is a device that kicks, by an eventfd, only who asked for it, as a virtqueue does: the
// smallest mistake in the order of arming, polling and sleeping is a hang.
type kicked struct {
	items  atomic.Int64 // made
	wanted atomic.Bool  // kick
	fd     int
	taken  int64
	answer chan int64
}

func pollKicked(_ *reactor.Thread, ctx any) reactor.PollerResult {
	k := ctx.(*kicked)
	n := k.items.Load()
	if n == k.taken {
		return reactor.Idle
	}
	k.taken = n
	k.answer <- n
	return reactor.Busy
}

func armKicked(_ *reactor.Poller, ctx any, sleeps bool) { ctx.(*kicked).wanted.Store(sleeps) }

func TestNoKickIsLost(t *testing.T) {
	noLeaks(t)
	items := int64(5_000)
	if testing.Short() {
		items = 500
	}
	for _, mode := range []reactor.Mode{reactor.ModeHybrid, reactor.ModeInterrupt} {
		t.Run(mode.String(), func(t *testing.T) {
			pinning(t, func(t *testing.T, o reactor.Options) {
				o.Mode, o.HybridSpin = mode, 1
				fw := run(t, o, 1)
				th := thread(t, fw, 0)
				k := &kicked{fd: eventfd(t), answer: make(chan int64, 1)}
				var p *reactor.Poller
				var i *reactor.Interrupt
				on(t, th, func(th *reactor.Thread) {
					var err error
					opts := reactor.FDOpts{Events: unix.EPOLLIN, Type: reactor.FDTypeEventfd}
					if i, err = th.RegisterInterruptExt("kick", k.fd, opts, nil, nil); err != nil {
						t.Error(err)
					}
					p = th.RegisterPoller("kicked", pollKicked, k, 0)
					p.RegisterInterrupt(armKicked, k)
				})
				kicks := 0
				hung := time.AfterFunc(deadline, func() { panic("a kick is lost") })
				for want := int64(1); want <= items; want++ {
					k.items.Add(1)
					if k.wanted.Load() {
						signal(t, k.fd)
						kicks++
					}
					if got := <-k.answer; got != want {
						t.Fatalf("item %d, want %d", got, want)
					}
				}
				hung.Stop()
				t.Logf("%d kicks and %d sleeps for %d items", kicks, fw.Reactors()[0].Stats().Sleeps, items)
				on(t, th, func(*reactor.Thread) { p.Unregister(); i.Unregister() })
			})
		})
	}
}

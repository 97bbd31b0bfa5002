package reactor_test

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/reactor"
)

// sleeps returns when r has gone to sleep once more.
func sleeps(tb testing.TB, r *reactor.Reactor) {
	tb.Helper()
	before := r.Stats().Sleeps
	eventually(tb, "the reactor goes to sleep", func() bool { return r.Stats().Sleeps > before || asleep(r) })
}

// asleep reports whether r has slept and does not publish idle time any more, which a
// spinning reactor does every 10 ms.
func asleep(r *reactor.Reactor) bool {
	if r.Stats().Sleeps == 0 {
		return false
	}
	before := r.Stats()
	time.Sleep(30 * time.Millisecond)
	return before == r.Stats()
}

// cpuTime returns what the process has used.
func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var ru unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &ru); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}

func TestIdleReactorUsesNoCPU(t *testing.T) {
	noLeaks(t)
	pinning(t, func(t *testing.T, o reactor.Options) {
		fw := run(t, o, 2)
		for core, r := range fw.Reactors() {
			thread(t, fw, core)
			sleeps(t, r)
		}
		best := time.Hour
		const nap = 100 * time.Millisecond
		for range 20 { // others in the process, the garbage collector above all, may run too
			before := cpuTime(t)
			time.Sleep(nap)
			if best = min(best, cpuTime(t)-before); best < nap/10 {
				return
			}
		}
		t.Errorf("two idle reactors use at least %v of %v", best, nap)
	})
}

func TestSleepEndsWithATimedPoller(t *testing.T) {
	noLeaks(t)
	pinning(t, func(t *testing.T, o reactor.Options) {
		fw := run(t, o, 1)
		th := thread(t, fw, 0)
		const period = 20 * time.Millisecond
		var p *reactor.Poller
		var at []time.Time
		done := make(chan struct{})
		on(t, th, func(th *reactor.Thread) {
			at = append(at, time.Now())
			p = th.RegisterPoller("", func(*reactor.Thread, any) reactor.PollerResult {
				if at = append(at, time.Now()); len(at) == 6 {
					p.Unregister()
					close(done)
				}
				return reactor.Busy
			}, nil, period)
		})
		wait(t, "the poller", done)
		for i := 1; i < len(at); i++ {
			if d := at[i].Sub(at[i-1]); d < period*9/10 {
				t.Errorf("run %d came %v after the one before", i, d)
			}
		}
		if n := fw.Reactors()[0].Stats().Sleeps; n < 4 {
			t.Errorf("slept %d times", n)
		}
	})
}

func TestSpinningPollerKeepsTheReactorAwake(t *testing.T) {
	noLeaks(t)
	pinning(t, func(t *testing.T, o reactor.Options) {
		o.HybridSpin = 1
		fw := run(t, o, 1)
		r := fw.Reactors()[0]
		th := thread(t, fw, 0)
		var p *reactor.Poller
		step := func(what string, fn func(), wantAwake bool) {
			t.Helper()
			on(t, th, func(*reactor.Thread) { fn() })
			if !wantAwake {
				eventually(t, what+": the reactor goes to sleep", func() bool { return asleep(r) })
				return
			}
			var before, after uint64
			on(t, th, func(*reactor.Thread) { before, _ = p.Stats() })
			slept := r.Stats().Sleeps
			eventually(t, what+": the poller runs", func() bool {
				on(t, th, func(*reactor.Thread) { after, _ = p.Stats() })
				return after > before+1000
			})
			if n := r.Stats().Sleeps; n != slept {
				t.Errorf("%s: slept %d times", what, n-slept)
			}
		}
		step("registered", func() { p = th.RegisterPoller("", idle, nil, 0) }, true)
		step("paused", func() { p.Pause() }, false)
		step("resumed", func() { p.Resume() }, true)
		step("interruptible", func() { p.RegisterInterrupt(nil, nil); p.RegisterInterrupt(nil, nil) }, false)
		step("paused, interruptible", func() { p.Pause() }, false)
		step("resumed, interruptible", func() { p.Resume() }, false)
		step("unregistered", func() { p.Unregister() }, false)
		step("registered again", func() { p = th.RegisterPoller("", idle, nil, 0) }, true)
		step("made interruptible while pausing", func() { p.Pause(); p.RegisterInterrupt(nil, nil) }, false)
		step("resumed", func() { p.Resume() }, false)
		step("replaced", func() { p.Unregister(); p = th.RegisterPoller("", idle, nil, 0) }, true)
		step("unregistered", func() { p.Unregister() }, false)
	})
}

func signal(tb testing.TB, fd int) {
	if _, err := unix.Write(fd, binary.NativeEndian.AppendUint64(nil, 1)); err != nil {
		tb.Error(err)
	}
}

func TestInterruptWakesTheReactor(t *testing.T) {
	noLeaks(t)
	for name, events := range map[string]uint32{
		"level":     unix.EPOLLIN,
		"edge":      unix.EPOLLIN | unix.EPOLLET,
		"exclusive": unix.EPOLLIN | unix.EPOLLEXCLUSIVE,
	} {
		t.Run(name, func(t *testing.T) {
			pinning(t, func(t *testing.T, o reactor.Options) {
				fw := run(t, o, 1)
				th := thread(t, fw, 0)
				fd := eventfd(t)
				served := make(chan uint64, 1)
				var i *reactor.Interrupt
				// While the reactor is awake only the poller looks.
				serve := func(th *reactor.Thread, _ any) reactor.PollerResult {
					th.AssertCurrent()
					var b [8]byte
					if n, _ := unix.Read(fd, b[:]); n == 8 {
						served <- binary.NativeEndian.Uint64(b[:])
						return reactor.Busy
					}
					return reactor.Idle
				}
				var p *reactor.Poller
				on(t, th, func(th *reactor.Thread) {
					var err error
					if i, err = th.RegisterInterrupt("eventfd", fd, events, serve, nil); err != nil {
						t.Error(err)
					}
					if _, err := th.RegisterInterrupt("same again", fd, events, nil, nil); err == nil {
						t.Error("one descriptor was registered twice")
					}
					if _, err := th.RegisterInterrupt("closed", 1<<20, events, nil, nil); err == nil {
						t.Error("a descriptor that is not open was registered")
					}
					p = th.RegisterPoller("eventfd", serve, nil, 0)
					p.RegisterInterrupt(nil, nil)
				})
				for range 5 {
					sleeps(t, fw.Reactors()[0])
					signal(t, fd)
					select {
					case n := <-served:
						if n != 1 {
							t.Errorf("eventfd said %d", n)
						}
					case <-time.After(deadline):
						t.Fatal("the interrupt did not wake the reactor")
					}
				}
				on(t, th, func(*reactor.Thread) {
					i.Unregister()
					p.Unregister()
					if !panics(i.Unregister) {
						t.Error("a second Unregister does not panic")
					}
				})
			})
		})
	}
}

func TestManyInterruptsAtOnceAreAllServed(t *testing.T) {
	noLeaks(t)
	fw := run(t, reactor.Options{NoPin: true}, 1)
	th := thread(t, fw, 0)
	const n = 100 // more than one epoll_wait returns
	var left sync.WaitGroup
	left.Add(n)
	var fds []int
	for k := range n {
		fd := eventfd(t)
		fds = append(fds, fd)
		on(t, th, func(th *reactor.Thread) {
			var i *reactor.Interrupt
			i, err := th.RegisterInterrupt(fmt.Sprint(k), fd, unix.EPOLLIN, func(*reactor.Thread, any) reactor.PollerResult {
				i.Unregister() // from inside
				left.Done()
				return reactor.Busy
			}, nil)
			if err != nil {
				t.Error(err)
			}
		})
	}
	for _, fd := range fds {
		signal(t, fd)
	}
	done := make(chan struct{})
	go func() { left.Wait(); close(done) }()
	wait(t, "all interrupts", done)
}

// TestForcedExitForgetsInterrupts: a descriptor of a thread that is gone must not keep its
// reactor awake.
func TestForcedExitForgetsInterrupts(t *testing.T) {
	noLeaks(t)
	clock := &fastClock{}
	fw := run(t, reactor.Options{NoPin: true, Clock: clock, Log: slog.New(slog.DiscardHandler)}, 1)
	th := thread(t, fw, 0)
	fd := eventfd(t)
	signal(t, fd) // and nobody reads it
	on(t, th, func(th *reactor.Thread) {
		if _, err := th.RegisterInterrupt("never unregistered", fd, unix.EPOLLIN, nil, nil); err != nil {
			t.Error(err)
		}
		th.Exit()
	})
	clock.skip.Add(int64(6 * time.Second))
	eventually(t, "the thread is forced out", th.IsExited)
	eventually(t, "the reactor goes to sleep", func() bool { return asleep(fw.Reactors()[0]) })
}

// TestNoWakeUpIsLost bounces a message between two reactors that go to sleep at once, so
// that every message meets a reactor somewhere between awake and asleep.
func TestNoWakeUpIsLost(t *testing.T) {
	noLeaks(t)
	trips := 100_000
	if testing.Short() {
		trips = 10_000
	}
	pinning(t, func(t *testing.T, o reactor.Options) {
		o.HybridSpin = 1
		fw := run(t, o, 2)
		r := &relay{
			left: 2 * trips,
			to:   []*reactor.Thread{thread(t, fw, 0), thread(t, fw, 1)},
			done: make(chan struct{}),
		}
		r.to[0].SendMsg(relayMsg, r)
		sleeps := func() (n uint64) {
			for _, re := range fw.Reactors() {
				n += re.Stats().Sleeps
			}
			return n
		}
		waitWhile(t, "the last round trip", sleeps, r.done)
		for i, re := range fw.Reactors() {
			t.Logf("reactor %d slept %d times in %d round trips", i, re.Stats().Sleeps, trips)
		}
	})
}

// TestNoWakeUpIsLostFromGoroutines waits for every single message, so that a lost wake-up
// shows as a hang.
func TestNoWakeUpIsLostFromGoroutines(t *testing.T) {
	noLeaks(t)
	each := 5000
	if testing.Short() {
		each = 500
	}
	pinning(t, func(t *testing.T, o reactor.Options) {
		o.HybridSpin = 1
		fw := run(t, o, 1)
		th := thread(t, fw, 0)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				answer := make(chan struct{}, 1)
				fn := func(_ *reactor.Thread, ctx any) { ctx.(chan struct{}) <- struct{}{} }
				for range each {
					th.SendMsg(fn, answer)
					<-answer
				}
			})
		}
		done := make(chan struct{})
		go func() { wg.Wait(); close(done) }()
		wait(t, "the last answer", done)
	})
}

func TestOneCPUIsEnoughUnpinned(t *testing.T) {
	noLeaks(t)
	before := runtime.GOMAXPROCS(1)
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
	for _, mode := range []reactor.Mode{reactor.ModeHybrid, reactor.ModePoll} {
		t.Run(mode.String(), func(t *testing.T) {
			fw := run(t, reactor.Options{NoPin: true, Mode: mode}, 3)
			if n := runtime.GOMAXPROCS(0); n != 1 {
				t.Errorf("GOMAXPROCS was set to %d", n)
			}
			r := &relay{left: 3000, done: make(chan struct{})}
			for core := range 3 {
				r.to = append(r.to, thread(t, fw, core))
			}
			r.to[0].SendMsg(relayMsg, r)
			wait(t, "the last message", r.done)
			fw.Stop()
		})
	}
}

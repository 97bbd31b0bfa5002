package reactor_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/reactor"
)

func TestStartAndStopAgainAndAgain(t *testing.T) {
	noLeaks(t)
	pinning(t, func(t *testing.T, o reactor.Options) {
		for i := range 20 {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				o.Mode = reactor.Mode(i % 2)
				fw := run(t, o, 2)
				var got []int
				for _, r := range fw.Reactors() {
					got = append(got, r.Core())
				}
				if diff := cmp.Diff([]int{0, 1}, got); diff != "" {
					t.Error(diff)
				}
				for core := range 2 {
					th := thread(t, fw, core)
					on(t, th, func(th *reactor.Thread) {
						if th.Reactor() != fw.Reactors()[core] || th.Framework() != fw {
							t.Errorf("thread of core %d is elsewhere", core)
						}
					})
				}
				fw.Stop()
				if n := len(fw.Threads()); n != 0 {
					t.Errorf("%d threads are left", n)
				}
			})
		}
	})
}

func TestPinnedReactorRunsOnItsCore(t *testing.T) {
	noLeaks(t)
	fw := run(t, reactor.Options{}, 2)
	for core := range 2 {
		on(t, thread(t, fw, core), func(*reactor.Thread) {
			name, err := os.ReadFile("/proc/thread-self/comm")
			if want := fmt.Sprintf("reactor_%d\n", core); err != nil || string(name) != want {
				t.Errorf("OS thread is named %q, %v, want %q", name, err, want)
			}
		})
	}
}

func TestThreadsTakeTurnsOnTheCoresOfTheirMask(t *testing.T) {
	noLeaks(t)
	fw := run(t, reactor.Options{NoPin: true}, 4)
	perCore := map[int]int{}
	for range 8 {
		th, err := fw.CreateThread("", nil)
		if err != nil {
			t.Fatal(err)
		}
		perCore[th.Reactor().Core()]++
	}
	if diff := cmp.Diff(map[int]int{0: 2, 1: 2, 2: 2, 3: 2}, perCore); diff != "" {
		t.Error(diff)
	}
	for range 8 {
		th, err := fw.CreateThread("", reactor.NewCpuset(1, 3, 9))
		if err != nil {
			t.Fatal(err)
		}
		if core := th.Reactor().Core(); core != 1 && core != 3 {
			t.Errorf("thread for cores 1 and 3 is on core %d", core)
		}
	}
	if _, err := fw.CreateThread("", reactor.NewCpuset(4)); err == nil {
		t.Error("a thread was created on a core without a reactor")
	}
}

func TestFrameworksDoNotMeet(t *testing.T) {
	noLeaks(t)
	var fws []*reactor.Framework
	var wg sync.WaitGroup
	for range 5 {
		fw := run(t, reactor.Options{NoPin: true}, 2)
		fws = append(fws, fw)
		for core := range 2 {
			th := thread(t, fw, core)
			if th.ID() != uint64(core+1) {
				t.Errorf("thread id %d, want %d", th.ID(), core+1)
			}
			wg.Go(func() {
				on(t, th, func(th *reactor.Thread) {
					if th.Framework() != fw {
						t.Error("a message ran in another framework")
					}
				})
			})
		}
	}
	wg.Wait()
	fws[2].Stop()
	for i, fw := range fws {
		if i != 2 {
			on(t, fw.AppThread(), func(*reactor.Thread) {})
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	noLeaks(t)
	for _, size := range []int{-4, 1, 3, 100} {
		if _, err := reactor.NewFramework(reactor.Options{MsgRingSize: size}); err == nil {
			t.Errorf("MsgRingSize %d was taken", size)
		}
	}
	for _, core := range []int{-1, 1023, 100000} {
		fw, err := reactor.NewFramework(reactor.Options{Cores: []int{0, core}})
		if err != nil {
			continue
		}
		if err := fw.Start(); err == nil {
			t.Errorf("a reactor was started on core %d", core)
		}
		fw.Stop()
	}
	fw, err := reactor.NewFramework(reactor.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if fw.Start() == nil {
		t.Error("a framework without reactors was started")
	}
}

func TestStopIsFinal(t *testing.T) {
	noLeaks(t)
	for _, started := range []bool{false, true} {
		fw, err := reactor.NewFramework(reactor.Options{Cores: []int{0}, NoPin: true})
		if err != nil {
			t.Fatal(err)
		}
		if started {
			if err := fw.Start(); err != nil {
				t.Fatal(err)
			}
			if fw.Start() == nil {
				t.Error("started twice")
			}
		}
		fw.Stop()
		// The numbers of the descriptors that Stop closed are this file's now.
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		fw.Stop()
		if _, err := w.Write([]byte("still open")); err != nil {
			t.Errorf("started %v: a second Stop closed somebody's file: %v", started, err)
		}
		r.Close()
		w.Close()
		if fw.Start() == nil {
			t.Errorf("started %v: started after Stop", started)
		}
		created := make(chan error, 1)
		go func() {
			_, err := fw.CreateThread("late", nil)
			created <- err
		}()
		select {
		case err := <-created:
			if !errors.Is(err, syscall.ESHUTDOWN) {
				t.Errorf("started %v: a thread was created after Stop: %v", started, err)
			}
		case <-time.After(deadline):
			t.Fatal("CreateThread hangs after Stop")
		}
	}
}

// TestCreateRacesStop creates threads while the framework stops: a message that was taken
// is run.
func TestCreateRacesStop(t *testing.T) {
	noLeaks(t)
	for range 50 {
		fw := run(t, reactor.Options{NoPin: true, MsgRingSize: 16}, 2)
		var sent, ran atomic.Int64
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for {
					th, err := fw.CreateThread("", nil)
					if err != nil {
						return
					}
					if th.SendMsg(func(*reactor.Thread, any) { ran.Add(1) }, nil) == 0 {
						sent.Add(1)
					}
				}
			})
		}
		runtime.Gosched()
		stop(t, fw)
		wg.Wait()
		if sent.Load() != ran.Load() {
			t.Fatalf("%d messages were taken, %d ran", sent.Load(), ran.Load())
		}
	}
}

// TestStopEndsASleepyReactor stops reactors that would go to sleep in the very round in
// which their last thread exits.
func TestStopEndsASleepyReactor(t *testing.T) {
	noLeaks(t)
	for i := range 300 {
		fw := run(t, reactor.Options{NoPin: true, HybridSpin: 1}, 1)
		th := thread(t, fw, 0)
		var p *reactor.Poller
		on(t, th, func(th *reactor.Thread) { // stay awake for a number of rounds that varies
			left := i
			p = th.RegisterPoller("", func(*reactor.Thread, any) reactor.PollerResult {
				if left--; left < 0 && !th.IsRunning() {
					p.Unregister()
				}
				return reactor.Idle
			}, nil, 0)
		})
		stop(t, fw)
	}
}

// stop is Stop with a deadline.
func stop(tb testing.TB, fw *reactor.Framework) {
	tb.Helper()
	done := make(chan struct{})
	go func() { fw.Stop(); close(done) }()
	wait(tb, "Stop", done)
}

// TestManyThreadsBeforeStart creates more threads than any queue would hold.
func TestManyThreadsBeforeStart(t *testing.T) {
	noLeaks(t)
	n := 40000
	if testing.Short() {
		n = 17000
	}
	fw, err := reactor.NewFramework(reactor.Options{Cores: []int{0}, NoPin: true, MsgRingSize: 2})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range n {
			if _, err := fw.CreateThread("", nil); err != nil {
				t.Error(err)
			}
		}
	}()
	wait(t, "threads are created", done)
	if err := fw.Start(); err != nil {
		t.Fatal(err)
	}
	on(t, fw.Threads()[n-1], func(*reactor.Thread) {})
	fw.Stop()
}

// fastClock is the machine's clock, put forward by a test.
type fastClock struct{ skip atomic.Int64 }

var clockStart = time.Now()

func (c *fastClock) Ticks() uint64   { return uint64(int64(time.Since(clockStart)) + c.skip.Load()) }
func (c *fastClock) TicksHz() uint64 { return 1e9 }

func TestStopForcesHeldThreadsOut(t *testing.T) {
	noLeaks(t)
	pinning(t, func(t *testing.T, o reactor.Options) {
		clock := &fastClock{}
		o.Clock = clock
		o.Log = slog.New(slog.DiscardHandler)
		fw := run(t, o, 1)
		th := thread(t, fw, 0)
		on(t, th, func(th *reactor.Thread) { th.RegisterPoller("never unregistered", idle, nil, 0) })
		stopped := make(chan struct{})
		go func() { fw.Stop(); close(stopped) }()
		eventually(t, "the thread is asked to exit", func() bool { return !th.IsRunning() })
		if th.IsExited() {
			t.Error("exited although it is held")
		}
		clock.skip.Add(int64(6 * time.Second))
		wait(t, "Stop", stopped)
	})
}

func TestThreadExitsWhileItsReactorSleeps(t *testing.T) {
	noLeaks(t)
	pinning(t, func(t *testing.T, o reactor.Options) {
		o.HybridSpin = 1
		fw := run(t, o, 1)
		th, stays := thread(t, fw, 0), thread(t, fw, 0)
		sleeps(t, fw.Reactors()[0])
		th.SendMsg(func(th *reactor.Thread, _ any) { th.Exit() }, nil)
		eventually(t, "the thread exits", th.IsExited)
		if errno := th.SendMsg(func(*reactor.Thread, any) {}, nil); errno != syscall.ESRCH {
			t.Errorf("message to an exited thread: %v", errno)
		}
		on(t, stays, func(*reactor.Thread) {})
		sleeps(t, fw.Reactors()[0])
	})
}

func TestAssertCurrent(t *testing.T) {
	noLeaks(t)
	fw := run(t, reactor.Options{NoPin: true}, 1)
	th, other := thread(t, fw, 0), thread(t, fw, 0)
	on(t, th, func(th *reactor.Thread) {
		th.AssertCurrent()
		for name, fn := range map[string]func(){
			"AssertCurrent":     other.AssertCurrent,
			"Exit":              other.Exit,
			"RegisterPoller":    func() { other.RegisterPoller("", idle, nil, 0) },
			"RegisterInterrupt": func() { other.RegisterInterrupt("", 0, 0, nil, nil) },
		} {
			if !panics(fn) {
				t.Errorf("%s from another thread does not panic", name)
			}
		}
	})
}

// TestThreadGoesBackWhereItsInterruptsClash has two threads wait for one descriptor, which is
// possible only on different reactors.
func TestThreadGoesBackWhereItsInterruptsClash(t *testing.T) {
	pinning(t, func(t *testing.T, o reactor.Options) {
		logged := make(chan string, 16)
		o.Log = slog.New(logTo(logged))
		fw := run(t, o, 2)
		a, b := thread(t, fw, 0), thread(t, fw, 1)
		fd := eventfd(t)
		var ia, ib *reactor.Interrupt
		register := func(th *reactor.Thread, i **reactor.Interrupt) {
			on(t, th, func(th *reactor.Thread) {
				var err error
				if *i, err = th.RegisterInterrupt("shared", fd, unix.EPOLLIN, nil, nil); err != nil {
					t.Error(err)
				}
			})
		}
		register(a, &ia)
		register(b, &ib)
		on(t, b, func(b *reactor.Thread) {
			if err := b.SetCpumask(reactor.NewCpuset(0)); err != nil {
				t.Error(err)
			}
		})
		if got := <-logged; !strings.Contains(got, "goes back") {
			t.Errorf("the log says %q", got)
		}
		eventually(t, "it is back", func() bool { return b.Reactor().Core() == 1 })
		on(t, b, func(*reactor.Thread) { ib.Unregister() })
		on(t, b, func(b *reactor.Thread) {
			if err := b.SetCpumask(reactor.NewCpuset(0)); err != nil {
				t.Error(err)
			}
		})
		eventually(t, "it moves without the interrupt", func() bool { return b.Reactor().Core() == 0 })
		on(t, a, func(*reactor.Thread) { ia.Unregister() })
	})
}

// logTo sends the messages of a log to a channel.
type logTo chan<- string

func (logTo) Enabled(context.Context, slog.Level) bool        { return true }
func (l logTo) Handle(_ context.Context, r slog.Record) error { l <- r.Message; return nil }
func (l logTo) WithAttrs([]slog.Attr) slog.Handler            { return l }
func (l logTo) WithGroup(string) slog.Handler                 { return l }

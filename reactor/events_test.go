package reactor_test

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/reactor"
)

// byHand returns a framework whose reactors, one for each of cores, are polled by the test.
func byHand(tb testing.TB, o reactor.Options, cores int) *reactor.Framework {
	tb.Helper()
	o.Manual = true
	for i := range cores {
		o.Cores = append(o.Cores, i)
	}
	fw, err := reactor.NewFramework(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(fw.Stop)
	return fw
}

// event is an event that writes its arguments down.
func (j *journal) event(r *reactor.Reactor, arg1, arg2 any) {
	j.add(fmt.Sprintf("%v %v on %d", arg1, arg2, r.Core()))
}

func noEvent(*reactor.Reactor, any, any) {}

func countEvent(_ *reactor.Reactor, arg1, _ any) { arg1.(*counter).n++ }

// eventSenders are the ways to a reactor's events.
var eventSenders = map[string]func(r, from *reactor.Reactor, fn reactor.EventFunc, arg1, arg2 any) syscall.Errno{
	"SendEvent": func(r, _ *reactor.Reactor, fn reactor.EventFunc, arg1, arg2 any) syscall.Errno {
		return r.SendEvent(fn, arg1, arg2)
	},
	"SendEventFrom another": func(r, from *reactor.Reactor, fn reactor.EventFunc, arg1, arg2 any) syscall.Errno {
		return r.SendEventFrom(from, fn, arg1, arg2)
	},
	"SendEventFrom itself": func(r, _ *reactor.Reactor, fn reactor.EventFunc, arg1, arg2 any) syscall.Errno {
		return r.SendEventFrom(r, fn, arg1, arg2)
	},
}

// TestRoundRunsEightEventsBeforeThreads, and what an event sends waits for the next round.
func TestRoundRunsEightEventsBeforeThreads(t *testing.T) {
	for name, send := range eventSenders {
		t.Run(name, func(t *testing.T) {
			fw := byHand(t, reactor.Options{}, 2)
			r, from := fw.Reactors()[0], fw.Reactors()[1]
			th := thread(t, fw, 0)
			var j journal
			r.Poll()
			th.SendMsg(j.says("message"), nil)
			var all []string
			for i := range 10 {
				send(r, from, func(r *reactor.Reactor, arg1, arg2 any) {
					j.event(r, arg1, arg2)
					if i == 0 {
						send(r, from, j.event, "sent by", "an event")
					}
				}, i, "x")
				all = append(all, fmt.Sprintf("%d x on 0", i))
			}
			for _, want := range [][]string{append(all[:8:8], "message"), append(all[8:], "sent by an event on 0"), nil} {
				if busy := r.Poll(); busy != (want != nil) {
					t.Errorf("busy: %v", busy)
				}
				if diff := cmp.Diff(want, j.take()); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

// TestEventsOfOneSenderStayInOrder, whichever way it takes, also when others send in between.
func TestEventsOfOneSenderStayInOrder(t *testing.T) {
	fw := byHand(t, reactor.Options{}, 1)
	r := fw.Reactors()[0]
	var got, want []int
	for sent := 0; sent < 2000; {
		for range sent%13 + 1 {
			fn := func(_ *reactor.Reactor, arg1, _ any) { got = append(got, arg1.(int)) }
			if sent%3 == 0 {
				r.SendEvent(fn, sent, nil)
			} else {
				r.SendEventFrom(r, fn, sent, nil)
			}
			want = append(want, sent)
			if sent++; sent%7 == 0 {
				done := make(chan syscall.Errno)
				go func() { done <- r.SendEvent(noEvent, nil, nil) }()
				<-done
			}
		}
		r.Poll()
	}
	for r.Poll() {
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFullReactorRefusesEvents(t *testing.T) {
	for name, send := range eventSenders {
		t.Run(name, func(t *testing.T) {
			fw := byHand(t, reactor.Options{EventRingSize: 4}, 2)
			r, from := fw.Reactors()[0], fw.Reactors()[1]
			for range 3 {
				c := &counter{}
				sent := 0
				for ; send(r, from, countEvent, c, nil) == 0; sent++ {
				}
				if sent < 4 || sent > 8 { // as many again beside the ring for the reactor itself
					t.Errorf("%d events were taken", sent)
				}
				if errno := send(r, from, countEvent, c, nil); errno != syscall.ENOMEM {
					t.Errorf("event to a full reactor: %v", errno)
				}
				for r.Poll() {
				}
				if c.n != sent {
					t.Errorf("%d of %d events ran", c.n, sent)
				}
			}
		})
	}
}

// TestStoppedReactorTakesNoEvents, and runs those that it has taken.
func TestStoppedReactorTakesNoEvents(t *testing.T) {
	for name, start := range map[string]func(*testing.T) *reactor.Framework{
		"by hand": func(t *testing.T) *reactor.Framework { return byHand(t, reactor.Options{}, 2) },
		"running": func(t *testing.T) *reactor.Framework { return run(t, reactor.Options{NoPin: true}, 2) },
	} {
		t.Run(name, func(t *testing.T) {
			fw := start(t)
			var ran atomic.Int64
			const sent = 100
			for range sent {
				if errno := fw.Reactors()[1].SendEvent(func(*reactor.Reactor, any, any) { ran.Add(1) }, nil, nil); errno != 0 {
					t.Fatal(errno)
				}
			}
			stop(t, fw)
			if n := ran.Load(); n != sent {
				t.Errorf("%d of %d events ran", n, sent)
			}
			for _, r := range fw.Reactors() {
				if errno := r.SendEvent(noEvent, nil, nil); errno != syscall.ESRCH {
					t.Errorf("event to a reactor that has ended: %v", errno)
				}
				for range 2 {
					if errno := r.SetMode(reactor.ModePoll, noEvent, nil); errno != syscall.ESRCH {
						t.Errorf("mode of a reactor that has ended: %v", errno)
					}
				}
			}
			if errno := fw.ForEachReactor(fw.Reactors()[0], noEvent, nil, nil, noEvent); errno != syscall.ESHUTDOWN {
				t.Errorf("walk over reactors that have ended: %v", errno)
			}
		})
	}
}

// TestForEachReactorGoesInOrder of the cores, not of their numbers, and comes home.
func TestForEachReactorGoesInOrder(t *testing.T) {
	fw := byHand(t, reactor.Options{Cores: []int{5, 2, 9}}, 0)
	rs := fw.Reactors()
	for _, from := range rs {
		var j journal
		end := func(r *reactor.Reactor, arg1, arg2 any) { j.add(fmt.Sprintf("end %v %v on %d", arg1, arg2, r.Core())) }
		if errno := fw.ForEachReactor(from, j.event, "a", "b", end); errno != 0 {
			t.Fatal(errno)
		}
		if errno := fw.ForEachReactor(from, j.event, "no", "end", nil); errno != 0 {
			t.Fatal(errno)
		}
		if got := j.take(); got != nil {
			t.Errorf("from inside: %v", got)
		}
		for i, r := range rs {
			for k := len(rs) - 1; k > i; k-- { // it is not their turn
				rs[k].Poll()
			}
			r.Poll()
			want := []string{fmt.Sprintf("a b on %d", r.Core()), fmt.Sprintf("no end on %d", r.Core())}
			if diff := cmp.Diff(want, j.take()); diff != "" {
				t.Errorf("reactor %d: %s", i, diff)
			}
		}
		from.Poll()
		if diff := cmp.Diff([]string{fmt.Sprintf("end a b on %d", from.Core())}, j.take()); diff != "" {
			t.Error(diff)
		}
	}
}

// TestForEachReactorComesHomeBeforeTheEnd: a walk that began ends, even if the framework is stopped
// at once.
func TestForEachReactorComesHomeBeforeTheEnd(t *testing.T) {
	noLeaks(t)
	for i := range 100 {
		fw := run(t, reactor.Options{NoPin: true, HybridSpin: 1}, 3)
		var began, visited, ended atomic.Int64
		visit := func(*reactor.Reactor, any, any) { visited.Add(1); runtime.Gosched() }
		end := func(*reactor.Reactor, any, any) { ended.Add(1) }
		begin := func(r *reactor.Reactor, _, _ any) {
			if fw.ForEachReactor(r, visit, nil, nil, end) == 0 {
				began.Add(1)
			}
		}
		for range i % 5 {
			for _, r := range fw.Reactors() {
				r.SendEvent(begin, nil, nil)
			}
			runtime.Gosched()
		}
		stop(t, fw)
		if began.Load() != ended.Load() {
			t.Fatalf("%d walks began, %d ended", began.Load(), ended.Load())
		}
	}
}

// TestEventFlood sends from goroutines and reactors: nothing is lost, doubled or reordered.
func TestEventFlood(t *testing.T) {
	noLeaks(t)
	each := 3000
	if testing.Short() {
		each = 500
	}
	const goroutines, reactors = 16, 2
	pinning(t, func(t *testing.T, o reactor.Options) {
		o.HybridSpin, o.EventRingSize = 1, 64
		fw := run(t, o, reactors)
		to := fw.Reactors()[0]
		f, all := newFlood(goroutines+reactors, each)
		event := func(_ *reactor.Reactor, arg1, _ any) { receive(nil, arg1) }
		var done sync.WaitGroup
		for _, s := range all[:goroutines] {
			done.Go(func() {
				for n := range s.seqs {
					for to.SendEvent(event, &s.seqs[n], nil) == syscall.ENOMEM {
						runtime.Gosched()
					}
				}
			})
		}
		for i, s := range all[goroutines:] {
			sent := 0
			var p *reactor.Poller
			on(t, thread(t, fw, i), func(th *reactor.Thread) {
				p = th.RegisterPoller("flood", func(th *reactor.Thread, _ any) reactor.PollerResult {
					for range 5 {
						if sent == each {
							p.Unregister()
							break
						}
						if to.SendEventFrom(th.Reactor(), event, &s.seqs[sent], nil) != 0 {
							break
						}
						sent++
					}
					return reactor.Busy
				}, nil, 0)
			})
		}
		wait(t, "the last event", f.done)
		done.Wait()
		if f.wrong != "" {
			t.Error(f.wrong)
		}
	})
}

func TestEventsAllocateNothing(t *testing.T) {
	fw := byHand(t, reactor.Options{}, 2)
	r, other := fw.Reactors()[0], fw.Reactors()[1]
	th := thread(t, fw, 0)
	c := &counter{}
	for name, fn := range map[string]func(){
		"SendEvent":             func() { r.SendEvent(countEvent, c, c); r.Poll() },
		"SendEventFrom itself":  func() { r.SendEventFrom(r, countEvent, c, c); r.Poll() },
		"SendEventFrom another": func() { r.SendEventFrom(other, countEvent, c, c); r.Poll() },
		"message":               func() { th.SendMsg(count, c); r.Poll() },
		"idle round":            func() { r.Poll() },
	} {
		fn()
		c.n = 0
		if n := testing.AllocsPerRun(1000, fn); n != 0 {
			t.Errorf("%s allocates %v objects", name, n)
		}
		if c.n == 0 && name != "idle round" {
			t.Errorf("%s did nothing", name)
		}
	}
}

func BenchmarkEvent(b *testing.B) {
	fw := byHand(b, reactor.Options{}, 2)
	r, other := fw.Reactors()[0], fw.Reactors()[1]
	c := &counter{}
	for _, name := range slices.Sorted(maps.Keys(eventSenders)) {
		send := eventSenders[name]
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				send(r, other, countEvent, c, c)
				r.Poll()
			}
		})
	}
}

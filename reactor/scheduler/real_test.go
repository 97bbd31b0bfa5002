package scheduler_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/reactor"
)

// deadline is long enough for a machine that does other things too.
const deadline = 60 * time.Second

// eventually polls until ok, and fails the test when that takes too long.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for end := time.Now().Add(deadline); !ok(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(end) {
			tb.Fatalf("%s: not within %v", what, deadline)
		}
	}
}

// wait returns when done is closed and fails the test when that takes too long.
func wait(tb testing.TB, what string, done <-chan struct{}) {
	tb.Helper()
	select {
	case <-done:
	case <-time.After(deadline):
		tb.Fatalf("%s: not within %v", what, deadline)
	}
}

// on runs fn on t and waits for it.
func on(tb testing.TB, t *reactor.Thread, fn func(t *reactor.Thread)) {
	tb.Helper()
	done := make(chan struct{})
	if errno := t.SendMsg(func(t *reactor.Thread, _ any) { fn(t); close(done) }, nil); errno != 0 {
		tb.Fatalf("message to %s: %v", t.Name(), errno)
	}
	wait(tb, "message to "+t.Name(), done)
}

// pinning runs a test with two reactors that are pinned, and with two that are not.
func pinning(t *testing.T, test func(t *testing.T, fw *reactor.Framework)) {
	for _, noPin := range []bool{false, true} {
		name := "pinned"
		if noPin {
			name = "unpinned"
		}
		t.Run(name, func(t *testing.T) {
			if !noPin {
				skipUnless(t, needCPUs(2))
			}
			o := reactor.Options{Cores: []int{0, 1}, NoPin: noPin, StallThreshold: -1, Log: slog.New(slog.DiscardHandler)}
			fw, err := reactor.NewFramework(o)
			if err != nil {
				t.Fatal(err)
			}
			if err := fw.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				done := make(chan struct{})
				go func() { fw.Stop(); close(done) }()
				wait(t, "Stop", done)
			})
			test(t, fw)
		})
	}
}

func create(tb testing.TB, fw *reactor.Framework, n int) (threads []*reactor.Thread) {
	tb.Helper()
	for range n {
		t, err := fw.CreateThread("", nil)
		if err != nil {
			tb.Fatal(err)
		}
		threads = append(threads, t)
	}
	return threads
}

func TestDynamicSpreadsWorkAndGathersIdleThreads(t *testing.T) {
	pinning(t, func(t *testing.T, fw *reactor.Framework) {
		threads := create(t, fw, 4)
		fw.SetSchedulerPeriod(20 * time.Millisecond)
		use(t, fw, "dynamic")
		mode := func(core int) reactor.Mode { return fw.ReactorOn(core).Mode() }
		works := func(*reactor.Thread, any) reactor.PollerResult {
			for end := fw.Ticks() + fw.TicksHz()/100_000; fw.Ticks() < end; {
				reactor.Pause()
			}
			return reactor.Busy
		}
		for range 2 {
			eventually(t, "all threads are on the main core and the other one sleeps", func() bool {
				return slices.Equal(where(threads), []int{0, 0, 0, 0}) && mode(1) == reactor.ModeInterrupt
			})
			var pollers []*reactor.Poller
			for _, th := range threads[:2] {
				on(t, th, func(th *reactor.Thread) { pollers = append(pollers, th.RegisterPoller("works", works, nil, 0)) })
			}
			eventually(t, "those that work have a core each, the idle ones share the main one", func() bool {
				at := where(threads)
				return at[0] != at[1] && at[2] == 0 && at[3] == 0 && mode(1) == reactor.ModeHybrid
			})
			for i, th := range threads[:2] {
				on(t, th, func(*reactor.Thread) { pollers[i].Unregister() })
			}
		}
		use(t, fw, "static")
		eventually(t, "all threads are back where they were", func() bool {
			return slices.Equal(where(threads), []int{0, 1, 0, 1}) && mode(1) == reactor.ModeHybrid && fw.SchedulerPeriod() == 0
		})
	})
}

// shuttle has every thread go to the next core and changes the modes of cores.
type shuttle struct{ rounds int }

func init() { reactor.RegisterScheduler("shuttle", func() reactor.Scheduler { return &shuttle{} }) }

func (*shuttle) Name() string                  { return "shuttle" }
func (*shuttle) Init(*reactor.Framework) error { return nil }
func (*shuttle) Deinit(*reactor.Framework)     {}
func (*shuttle) SetOpts(json.RawMessage) error { return nil }
func (*shuttle) Opts() any                     { return nil }

func (s *shuttle) Balance(_ *reactor.Framework, cores []reactor.CoreInfo) {
	s.rounds++
	for i := range cores {
		cores[i].InterruptMode = s.rounds>>i&1 == 0
		for j := range cores[i].Threads {
			cores[i].Threads[j].Core = cores[(i+1)%len(cores)].Core
		}
	}
}

// traveller is a thread that is kept busy while it is moved about.
type traveller struct {
	t     *reactor.Thread
	fd    int
	total uint64 // that will be written to fd

	// what follows belongs to t

	read      uint64
	last      int // the last message
	timed     int
	interrupt *reactor.Interrupt
	pollers   []*reactor.Poller
	errs      []string

	served, heard sync.WaitGroup
	cores         [2]atomic.Bool // that it has been seen on
}

// serve reads what has been written to the descriptor.
func serve(t *reactor.Thread, ctx any) reactor.PollerResult {
	tr := ctx.(*traveller)
	tr.cores[t.Reactor().Core()].Store(true)
	var buf [8]byte
	if _, err := unix.Read(tr.fd, buf[:]); err != nil {
		if err != unix.EAGAIN {
			tr.errs = append(tr.errs, err.Error())
		}
		return reactor.Idle
	}
	n := binary.NativeEndian.Uint64(buf[:])
	if tr.read += n; tr.read == tr.total {
		tr.served.Done()
	}
	return reactor.Busy
}

func tick(_ *reactor.Thread, ctx any) reactor.PollerResult {
	ctx.(*traveller).timed++
	return reactor.Busy
}

// letter is a message with a number.
type letter struct {
	to     *traveller
	number int
	isLast bool
}

func hear(_ *reactor.Thread, ctx any) {
	l := ctx.(*letter)
	if l.number != l.to.last+1 {
		l.to.errs = append(l.to.errs, fmt.Sprintf("message %d came after %d", l.number, l.to.last))
	}
	if l.to.last = l.number; l.isLast {
		l.to.heard.Done()
	}
}

// token goes from one traveller to the next.
type token struct {
	travellers []*traveller
	left       int
	done       chan struct{}
}

func pass(t *reactor.Thread, ctx any) {
	k := ctx.(*token)
	if k.left--; k.left < 0 {
		close(k.done)
		return
	}
	if !k.travellers[k.left%len(k.travellers)].t.SendMsgRetry(t, pass, k) {
		panic("a thread has exited")
	}
}

// TestNothingIsLostWhileThreadsMove has threads with interrupts, timers and messages moved to and
// fro, by one scheduler after the other, while everything that can be changed is.
func TestNothingIsLostWhileThreadsMove(t *testing.T) {
	n := 4000
	if testing.Short() {
		n = 1000
	}
	pinning(t, func(t *testing.T, fw *reactor.Framework) {
		threads := create(t, fw, 5)
		home := where(threads)
		var travellers []*traveller
		for _, th := range threads {
			travellers = append(travellers, depart(t, th, n))
		}
		k := &token{travellers: travellers, left: n, done: make(chan struct{})}
		threads[0].SendMsg(pass, k)
		arrived := make(chan struct{})
		go func() {
			defer close(arrived)
			for _, tr := range travellers {
				tr.served.Wait()
				tr.heard.Wait()
			}
			<-k.done
		}()
		stir(t, fw, arrived)
		wait(t, "everything is served", arrived)
		for _, tr := range travellers {
			arrive(t, tr, n)
		}
		use(t, fw, "")
		use(t, fw, "static")
		eventually(t, "all threads are home", func() bool { return slices.Equal(where(threads), home) })
		eventually(t, "static has no period", func() bool { return fw.SchedulerPeriod() == 0 })
	})
}

// depart has a traveller expect n writes and messages, and sends them.
func depart(tb testing.TB, th *reactor.Thread, n int) *traveller {
	tb.Helper()
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		tb.Fatal(err)
	}
	tr := &traveller{t: th, fd: fd, total: uint64(n)}
	tr.served.Add(1)
	tr.heard.Add(1)
	on(tb, th, func(th *reactor.Thread) {
		if tr.interrupt, err = th.RegisterInterrupt("served", fd, unix.EPOLLIN, serve, tr); err != nil {
			tb.Error(err)
		}
		p := th.RegisterPoller("served", serve, tr, 0)
		p.RegisterInterrupt(nil, nil)
		tr.pollers = append(tr.pollers, p, th.RegisterPoller("tick", tick, tr, time.Millisecond))
	})
	go func() {
		one := binary.NativeEndian.AppendUint64(nil, 1)
		for i := range n {
			if _, err := unix.Write(fd, one); err != nil {
				tb.Error(err)
			}
			if i%16 == 0 {
				time.Sleep(50 * time.Microsecond) // let the reactors fall asleep at times
			}
		}
	}()
	go func() {
		for i := range n {
			l := &letter{tr, i + 1, i == n-1}
			if err := th.SendMsgWait(context.Background(), hear, l); err != nil {
				tb.Error(err)
			}
		}
	}()
	return tr
}

// arrive checks what became of a traveller.
func arrive(tb testing.TB, tr *traveller, n int) {
	tb.Helper()
	on(tb, tr.t, func(*reactor.Thread) {
		if tr.read != tr.total || tr.last != n || tr.timed == 0 || len(tr.errs) > 0 {
			tb.Errorf("%s: %d of %d written, last message %d, %d ticks, errors %q",
				tr.t.Name(), tr.read, tr.total, tr.last, tr.timed, tr.errs)
		}
		for _, p := range tr.pollers {
			p.Unregister()
		}
		tr.interrupt.Unregister()
	})
	unix.Close(tr.fd)
	if !tr.cores[0].Load() || !tr.cores[1].Load() {
		tb.Errorf("%s was never moved", tr.t.Name())
	}
}

// stir changes what there is to change about scheduling until done is closed and a while longer.
func stir(tb testing.TB, fw *reactor.Framework, done <-chan struct{}) {
	tb.Helper()
	check := func(err error) {
		if err != nil {
			tb.Error(err)
		}
	}
	names := []string{"shuttle", "dynamic", "shuttle", "gscheduler", "shuttle", "static", "shuttle", ""}
	threads := fw.Threads()
	end := time.Now().Add(deadline)
	for i, ended := 0, false; (i < 3*len(names) || !ended) && time.Now().Before(end); i++ {
		check(fw.SetScheduler(names[i%len(names)]))
		fw.SetSchedulerPeriod(200 * time.Microsecond)
		threads[i%len(threads)].Bind(i%3 == 0)
		check(fw.SetSchedulingCore(i % 2))
		if i%16 == 7 {
			check(fw.SetIsolatedCores(reactor.NewCpuset(1)))
		} else {
			check(fw.SetIsolatedCores(&reactor.Cpuset{}))
		}
		if s := fw.Scheduler(); s != nil {
			if _, err := json.Marshal(s.Opts()); err != nil {
				tb.Error(err)
			}
			check(fw.SetSchedulerOpts(nil))
		}
		if i%5 == 0 {
			check(fw.SetGovernor(""))
		}
		select {
		case <-done:
			ended = true
		case <-time.After(3 * time.Millisecond):
		}
	}
	for _, th := range threads {
		th.Bind(false)
	}
	check(fw.SetIsolatedCores(&reactor.Cpuset{}))
	check(fw.SetScheduler("shuttle"))
	fw.SetSchedulerPeriod(200 * time.Microsecond)
	for _, th := range threads { // under a scheduler that moves all, both cores are seen in no time
		eventually(tb, th.Name()+" moves", func() bool { return th.Reactor().Core() == 0 })
		eventually(tb, th.Name()+" moves", func() bool { return th.Reactor().Core() == 1 })
	}
	check(fw.SetScheduler("dynamic"))
}

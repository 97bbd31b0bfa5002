package iobuf

import (
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/reactor"
)

// deadline is long enough for a machine that does other things too.
const deadline = 60 * time.Second

// stress is threads on reactors that run at the same time, and workers that go from one to
// another.
type stress struct {
	threads []*reactor.Thread
	chans   []Channel
	working atomic.Int32
	done    chan struct{}
}

// worker gets a buffer, takes it to another thread and puts it there, again and again.
type worker struct {
	s    *stress
	rng  *rand.Rand
	left int
	on   int // index of its thread
	e    Entry
	buf  []byte
}

func start(_ *reactor.Thread, ctx any) {
	w := ctx.(*worker)
	if buf := w.s.chans[w.on].Get(1+w.rng.IntN(8192), &w.e, moveOn); buf != nil {
		moveOn(&w.e, buf)
	}
}

func moveOn(e *Entry, buf []byte) {
	w := e.Ctx.(*worker)
	w.buf = buf
	from := w.s.threads[w.on]
	w.on = w.rng.IntN(len(w.s.threads))
	w.s.threads[w.on].SendMsgRetry(from, arrived, w)
}

func arrived(t *reactor.Thread, ctx any) {
	w := ctx.(*worker)
	w.s.chans[w.on].Put(w.buf)
	if w.left--; w.left > 0 {
		start(t, w)
	} else if w.s.working.Add(-1) == 0 {
		close(w.s.done)
	}
}

// on runs fn on t and waits for it.
func on(tb testing.TB, t *reactor.Thread, fn func(t *reactor.Thread)) {
	tb.Helper()
	done := make(chan struct{})
	if errno := t.SendMsg(func(t *reactor.Thread, _ any) { fn(t); close(done) }, nil); errno != 0 {
		tb.Fatal(errno)
	}
	waitFor(tb, "a message", done)
}

func waitFor(tb testing.TB, what string, done <-chan struct{}) {
	tb.Helper()
	select {
	case <-done:
	case <-time.After(deadline):
		tb.Fatalf("%s: not within %v", what, deadline)
	}
}

// TestNobodyIsForgotten: with far fewer buffers than workers on three reactors, and buffers
// that are put elsewhere than they were got, all workers come to their end.
func TestNobodyIsForgotten(t *testing.T) {
	const workers = 24
	rounds := 10_000
	if testing.Short() {
		rounds = 1000
	}
	for _, caches := range [][]int{{0, 0, 0}, {2, 1, 0}, {2, 2, 2}, {40, 0, 0}} {
		fw, err := reactor.NewFramework(reactor.Options{Cores: []int{0, 1, 2}, NoPin: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := fw.Start(); err != nil {
			t.Fatal(err)
		}
		s := &stress{chans: make([]Channel, len(caches)), done: make(chan struct{})}
		count := 7
		for i, cache := range caches {
			th, err := fw.CreateThread("", reactor.NewCpuset(i))
			if err != nil {
				t.Fatal(err)
			}
			s.threads = append(s.threads, th)
			on(t, th, func(th *reactor.Thread) {
				if i == 0 {
					if cache > count {
						count = cache // all of them in one cache
					}
					if err := Initialize(th, Opts{
						SmallPoolCount: count, LargePoolCount: count, SmallBufsize: 4096, LargeBufsize: 8192, NoMinimum: true,
					}); err != nil {
						t.Error(err)
					}
					if err := RegisterModule(fw, "mod"); err != nil {
						t.Error(err)
					}
				}
				if err := s.chans[i].Init(th, "mod", cache, cache); err != nil {
					t.Error(err)
				}
			})
		}
		if t.Failed() {
			return
		}
		n := workers
		if count > workers {
			n = 2 * count
		}
		s.working.Store(int32(n))
		for i := range n {
			w := &worker{s: s, rng: rand.New(rand.NewPCG(1, uint64(i))), left: rounds, on: i % len(caches)}
			w.e.Ctx = w
			if errno := s.threads[w.on].SendMsg(start, w); errno != 0 {
				t.Fatal(errno)
			}
		}
		waitFor(t, "the end of all workers", s.done)
		for i, th := range s.threads {
			on(t, th, func(*reactor.Thread) { s.chans[i].Fini() })
		}
		finished := make(chan error, 1)
		on(t, s.threads[0], func(th *reactor.Thread) {
			Finish(th, func(_ *reactor.Thread, ctx any, err error) { ctx.(chan error) <- err }, finished)
		})
		if err := <-finished; err != nil {
			t.Error(err)
		}
		fw.Stop()
	}
}

// TestForcedExit: a thread that is forced to exit while entries wait on it does not take the
// buffers of others with it.
func TestForcedExit(t *testing.T) {
	b := newBenchWith(t, 3, 1, reactor.Options{Log: slog.New(slog.DiscardHandler)})
	chs := []*Channel{b.open(0, 0), b.open(1, 0), b.open(2, 0)}
	buf := hold(t, chs[0], 1, 1)[0]
	lost, other := take(chs[1], 1), take(chs[2], 1)
	b.Threads[1].Exit()
	b.Advance(6 * time.Second)
	b.PollThread(1)
	if !b.Threads[1].IsExited() {
		t.Fatalf("held by %s", b.Threads[1].Holding())
	}
	for range 2 { // to whomever the turn is
		chs[0].Put(buf)
		b.PollThreads()
		if len(lost.bufs) != 0 || len(other.bufs) != 1 {
			t.Fatalf("the thread that is gone got %d buffers, the other %d", len(lost.bufs), len(other.bufs))
		}
		buf, other = other.bufs[0], take(chs[2], 1)
	}
	if n := b.io().pools[small].waiting.Load(); n != 1 {
		t.Errorf("%d threads wait", n)
	}
}

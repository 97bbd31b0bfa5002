package iobuf

import (
	"testing"

	"github.com/spdk-go/spdk-go/reactor"
)

// TestPutWakesOtherThreads: what is put on one thread reaches the entry that waits on another,
// wherever it would go otherwise.
func TestPutWakesOtherThreads(t *testing.T) {
	for _, cache := range []int{0, 1, 4} {
		for _, n := range []int{4096, 8192} {
			b := newBench(t, 2, 8)
			ch, other := b.open(0, cache), b.open(1, 0)
			held := hold(t, ch, n, 8)
			first, second := take(other, n), take(other, n)
			b.PollThreads()
			ch.Put(held[0])
			if len(first.bufs) != 0 {
				t.Error("called back on another thread")
			}
			b.PollThreads()
			if len(first.bufs) != 1 || len(second.bufs) != 0 {
				t.Fatalf("cache of %d: the first entry got %d buffers, the second %d", cache, len(first.bufs), len(second.bufs))
			}
			put(other, first.bufs...) // the thread's own entry comes first
			if len(second.bufs) != 1 {
				t.Fatal("the second entry got no buffer")
			}
			put(other, second.bufs...)
			put(ch, held[1:]...)
			b.mustFinish(ch, other)
		}
	}
}

// TestIdleCachesAreNotInTheWay: an entry that waits gets what other channels hold and do not
// use, without any put.
func TestIdleCachesAreNotInTheWay(t *testing.T) {
	for _, tc := range []struct {
		name   string
		caches [3]int // of the second channel of the thread that waits, and of two other threads
		more   int    // buffers that the third channel has put and not got
		kept   [3]int // what the caches have in the end
	}{
		{"more than the size of a cache", [3]int{0, 0, 2}, 1, [3]int{0, 0, 2}},
		{"all in one cache", [3]int{0, 8, 0}, 0, [3]int{}},
		{"all in a cache of the same thread", [3]int{8, 0, 0}, 0, [3]int{}},
		{"all in caches of other threads", [3]int{0, 4, 4}, 0, [3]int{}},
		{"enough on the same thread", [3]int{2, 4, 2}, 0, [3]int{0, 4, 2}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t, 3, 8)
			var chs []*Channel
			for i, cache := range tc.caches {
				chs = append(chs, b.open(i, cache))
			}
			ch := b.open(0, 0)
			put(chs[2], hold(t, ch, 1, tc.more)...)
			held := hold(t, ch, 1, b.io().pools[small].ring.Count()) // what is left in the pool
			w := take(ch, 1)
			if len(w.bufs) != 0 {
				t.Fatal("got a buffer at once")
			}
			b.PollThreads()
			if len(w.bufs) != 1 {
				t.Fatal("got no buffer")
			}
			for i, c := range chs {
				if n := len(c.caches[small].free); n != tc.kept[i] {
					t.Errorf("the cache of channel %d has %d buffers, want %d", i, n, tc.kept[i])
				}
			}
			put(ch, append(held, w.bufs...)...)
			b.mustFinish(append(chs, ch)...)
		})
	}
}

// TestCacheIsKept: as long as others have buffers, what is in a cache is its channel's, whoever
// waits.
func TestCacheIsKept(t *testing.T) {
	b := newBench(t, 2, 8)
	ch, sibling, other := b.open(0, 4), b.open(0, 0), b.open(1, 0)
	held := hold(t, other, 1, 4)
	waiting := []*taker{take(other, 1), take(sibling, 1)}
	b.PollThreads()
	for _, w := range waiting {
		if len(w.bufs) != 0 {
			t.Fatal("got a buffer out of the cache of another")
		}
	}
	own := hold(t, ch, 1, 4)
	if ch.Get(1, nil, nil) != nil {
		t.Error("got more than there is")
	}
	put(other, held[0])
	b.PollThreads()
	if len(waiting[0].bufs) != 1 || len(waiting[1].bufs) != 0 {
		t.Errorf("the entries got %d and %d buffers", len(waiting[0].bufs), len(waiting[1].bufs))
	}
	put(ch, own...) // the first to the entry that waits, the others to the cache
	b.PollThreads()
	if len(waiting[1].bufs) != 1 || len(ch.caches[small].free) != 3 {
		t.Errorf("the entry got %d buffers, the cache %d", len(waiting[1].bufs), len(ch.caches[small].free))
	}
	put(other, waiting[0].bufs...)
	put(sibling, waiting[1].bufs...)
	put(other, held[1:]...)
	b.mustFinish(ch, sibling, other)
}

// TestNobodyJumpsTheQueue: while entries wait, on any thread, what is in the pool is for them.
func TestNobodyJumpsTheQueue(t *testing.T) {
	b := newBench(t, 3, 1)
	from, to, thief := b.open(0, 0), b.open(1, 0), b.open(2, 0)
	buf := hold(t, from, 1, 1)[0]
	w := take(to, 1)
	from.Put(buf)
	if thief.Get(1, nil, nil) != nil {
		t.Fatal("got the buffer of an entry that waits")
	}
	late := take(thief, 1)
	b.PollThreads()
	if len(w.bufs) != 1 || len(late.bufs) != 0 {
		t.Fatalf("who was first got %d buffers, who was late %d", len(w.bufs), len(late.bufs))
	}
	put(to, w.bufs...)
	b.PollThreads()
	if len(late.bufs) != 1 {
		t.Fatal("who was late got no buffer")
	}
	put(thief, late.bufs...)
	b.mustFinish(from, to, thief)
}

// TestThreadsTakeTurns: a thread that has always entries of its own to serve does not keep the
// buffers from another.
func TestThreadsTakeTurns(t *testing.T) {
	b := newBench(t, 2, 1)
	busy, other := b.open(0, 0), b.open(1, 0)
	buf := hold(t, busy, 1, 1)[0]
	w := take(other, 1)
	b.PollThreads()
	served := 0
	for len(w.bufs) == 0 {
		next := take(busy, 1)
		busy.Put(buf)
		if len(next.bufs) == 1 {
			buf = next.bufs[0]
			if served++; served > fairness {
				t.Fatalf("the busy thread served itself %d times", served)
			}
			continue
		}
		b.PollOnce()
		b.PollOnce()
		if len(w.bufs) != 1 {
			t.Fatal("the buffer went nowhere")
		}
		put(other, w.bufs...)
		b.PollThreads()
		buf = next.bufs[0]
	}
	if served != fairness {
		t.Errorf("the busy thread served itself %d times, want %d", served, fairness)
	}
	busy.Put(buf)
	b.mustFinish(busy, other)
}

// TestThreadsShare: what comes to the pool at once is shared among the threads that wait.
func TestThreadsShare(t *testing.T) {
	b := newBench(t, 3, 8)
	from := b.open(0, 8)
	chs := []*Channel{b.open(1, 0), b.open(2, 0)}
	held := hold(t, from, 1, 8)
	var ws [2][]*taker
	for range 8 {
		for i, ch := range chs {
			ws[i] = append(ws[i], take(ch, 1))
		}
	}
	b.PollThreads()
	put(from, held...)
	b.PollThreads()
	total := 0
	for i := range ws {
		got := 0
		for k, w := range ws[i] {
			if len(w.bufs) == 0 {
				continue
			}
			if k != got {
				t.Errorf("thread %d: entry %d was served before %d", i, k, got)
			}
			got++
		}
		if got < 3 {
			t.Errorf("thread %d got %d of 8 buffers", i, got)
		}
		total += got
	}
	if total != 8 {
		t.Errorf("%d of 8 buffers were taken", total)
	}
	for i, ch := range chs {
		for _, w := range ws[i] {
			ch.EntryAbort(&w.Entry)
			put(ch, w.bufs...)
		}
	}
	b.mustFinish(append(chs, from)...)
}

// TestAbortPassesOn: a buffer that is on its way to an entry that is aborted goes to the next,
// or stays in the pool.
func TestAbortPassesOn(t *testing.T) {
	b := newBench(t, 3, 1)
	chs := []*Channel{b.open(0, 0), b.open(1, 0), b.open(2, 0)}
	buf := hold(t, chs[0], 1, 1)[0]
	ws := []*taker{take(chs[1], 1), take(chs[2], 1)}
	chs[0].Put(buf)
	for i, w := range ws { // whichever it was for
		if b.io().pools[small].waiting.Load() == 2 && !chs[i+1].EntryAbort(&w.Entry) {
			t.Error("abort of an entry that did not wait")
		}
	}
	b.PollThreads()
	if got := len(ws[0].bufs) + len(ws[1].bufs); got != 1 {
		t.Fatalf("%d buffers came", got)
	}
	if chs[1].EntryAbort(&ws[0].Entry) || chs[2].EntryAbort(&ws[1].Entry) {
		t.Error("abort of an entry that did not wait")
	}
	put(chs[0], append(ws[0].bufs, ws[1].bufs...)...)
	b.mustFinish(chs...)
}

// TestInitAndFiniWake: a new channel does not take from those that wait what it need not have,
// and a channel that closes leaves its buffers to them.
func TestInitAndFiniWake(t *testing.T) {
	b := newBench(t, 2, 4)
	ch, other := b.open(0, 0), b.open(1, 0)
	held := hold(t, ch, 1, 4)
	w := take(other, 1)
	ch.Put(held[0])
	late := b.open(0, 1) // before the buffer is taken
	put(ch, held[1:]...)
	b.PollThreads()
	if len(w.bufs) != 1 {
		t.Fatal("got no buffer")
	}
	held = hold(t, ch, 1, 2)
	again := take(other, 1)
	b.PollThreads()
	late.Fini()
	b.PollThreads()
	if len(again.bufs) != 1 {
		t.Fatal("got no buffer of a channel that closed")
	}
	put(ch, held...)
	put(other, append(w.bufs, again.bufs...)...)
	// A channel that takes the last buffers, so that all are in caches.
	held = hold(t, ch, 1, 4)
	w = take(other, 1)
	put(ch, held...)
	late = b.open(0, 3)
	b.PollThreads()
	if len(w.bufs) != 1 {
		t.Fatal("got no buffer")
	}
	put(other, w.bufs...)
	b.mustFinish(ch, other, late)
}

// TestRaces goes through what can happen on another thread between two steps of one.
func TestRaces(t *testing.T) {
	setup := func(t *testing.T, cache int) (b *bench, p *pool, ch, other *Channel, w *taker) {
		b = newBench(t, 2, 8)
		ch, other = b.open(0, cache), b.open(1, 0)
		w = &taker{}
		w.Entry = Entry{Ctx: w, ch: other, cb: took, n: 1}
		return b, b.io().pools[small], ch, other, w
	}
	check := func(t *testing.T, b *bench, w *taker, held [][]byte, chs ...*Channel) {
		t.Helper()
		b.PollThreads()
		if len(w.bufs) != 1 {
			t.Fatal("got no buffer")
		}
		put(w.Channel(), append(held, w.bufs...)...)
		b.mustFinish(chs...)
	}
	t.Run("a put between a look into the pool and the wait", func(t *testing.T) {
		b, p, ch, other, w := setup(t, 0)
		held := hold(t, ch, 1, 8)
		if p.take() != nil {
			t.Fatal("a ninth buffer")
		}
		ch.Put(held[0])
		other.caches[small].queue.wait(&w.Entry)
		check(t, b, w, held[1:], ch, other)
	})
	t.Run("a wait between a look at who waits and the return of a batch", func(t *testing.T) {
		b, p, ch, other, w := setup(t, 2)
		held := hold(t, ch, 1, 8)
		put(ch, held[:3]...)
		c := &ch.caches[small]
		last := &p.bufs[p.arena.Index(held[3])]
		last.owner = nil // this much has Put done
		other.caches[small].queue.wait(&w.Entry)
		c.push(last)
		if len(c.free) != 2 || p.ring.Count() != 2 {
			t.Fatalf("%d in the cache and %d in the pool", len(c.free), p.ring.Count())
		}
		check(t, b, w, held[4:], ch, other)
	})
	t.Run("the end of all other waits before a buffer is left to them", func(t *testing.T) {
		b, p, ch, other, w := setup(t, 0)
		held := hold(t, ch, 1, 8)
		q := other.caches[small].queue
		q.wait(&w.Entry)
		b.PollThreads()
		buf := &p.bufs[p.arena.Index(held[0])]
		buf.owner = nil
		p.add(buf)
		p.kick(b.Threads[1], q)
		check(t, b, w, held[1:], ch, other)
	})
	t.Run("a put while entries are served", func(t *testing.T) {
		b, _, ch, other, w := setup(t, 0)
		held := hold(t, ch, 1, 8)
		first := &taker{}
		first.Ctx = first
		other.Get(1, &first.Entry, func(e *Entry, buf []byte) {
			ch.Put(held[1]) // as if on its own thread
			took(e, buf)
		})
		other.Get(1, &w.Entry, took)
		ch.Put(held[0])
		b.PollThreads()
		check(t, b, w, append(held[2:], first.bufs...), ch, other)
	})
}

// TestFullRings: no wake-up is lost when threads have no room for messages.
func TestFullRings(t *testing.T) {
	b := newBenchWith(t, 2, 2, reactor.Options{MsgRingSize: 2})
	fill := func() {
		for _, th := range b.Threads {
			for th.SendMsgFrom(th, func(*reactor.Thread, any) {}, nil) == 0 {
			}
		}
	}
	ch, other := b.open(0, 0), b.open(1, 0)
	held := hold(t, ch, 1, 2)
	fill()
	w := take(other, 1)
	fill()
	ch.Put(held[0])
	b.PollThreads()
	if len(w.bufs) != 1 {
		t.Fatal("got no buffer")
	}
	put(other, w.bufs[0], held[1])
	b.mustFinish(ch, other)

	b = newBenchWith(t, 2, 2, reactor.Options{MsgRingSize: 2})
	ch, other = b.open(0, 2), b.open(1, 0)
	fill()
	w = take(other, 1) // wants what the first thread has in its cache
	b.PollThreads()
	if len(w.bufs) != 1 {
		t.Fatal("got no buffer out of an idle cache")
	}
	put(other, w.bufs...)
	b.mustFinish(ch, other)
}

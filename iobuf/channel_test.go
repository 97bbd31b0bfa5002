package iobuf

import (
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/internal/sys"
)

func TestBuffers(t *testing.T) {
	b := newBench(t, 1, 4)
	ch := b.open(0, 2)
	for _, tc := range []struct{ n, size int }{{0, 4096}, {1, 4096}, {4096, 4096}, {4097, 8192}, {8192, 8192}} {
		buf := ch.Get(tc.n, nil, nil)
		if len(buf) != tc.n || cap(buf) != tc.size || buf == nil {
			t.Errorf("asked for %d bytes, got %d of %d", tc.n, len(buf), cap(buf))
		}
		if addr := sys.Addr(buf); addr%Alignment != 0 {
			t.Errorf("a buffer at %#x", addr)
		}
		for i := range buf[:cap(buf)] {
			buf[:cap(buf)][i] = 0xff
		}
		ch.Put(buf[:tc.size/2]) // of whatever length
	}
	for _, n := range []int{8193, -1} {
		mustPanic(t, "the largest buffer is of 8192", func() { ch.Get(n, nil, nil) })
	}
	b.mustFinish(ch)
}

func TestBadPutsPanic(t *testing.T) {
	b := newBench(t, 1, 4)
	ch := b.open(0, 2)
	held := hold(t, ch, 4096, 4)
	large := hold(t, ch, 8192, 2)
	for name, buf := range map[string][]byte{
		"nil": nil, "heap": make([]byte, 4096), "not its start": held[0][1:], "middle of a large one": large[0][4096:],
	} {
		mustPanic(t, `module "mod" puts`, func() { ch.Put(buf) })
		if t.Failed() {
			t.Fatal(name)
		}
	}
	ch.Put(held[3])
	mustPanic(t, "which is free", func() { ch.Put(held[3]) }) // in the cache
	put(ch, held[:3]...)
	for _, buf := range held {
		mustPanic(t, "which is free", func() { ch.Put(buf) }) // in the cache or the pool
	}
	put(ch, large...)
	b.mustFinish(ch)
}

func TestMisusePanics(t *testing.T) {
	b := newBench(t, 2, 1)
	ch := b.open(0, 0)
	other := b.open(1, 0)
	mustPanic(t, `Init of a channel that module "mod" uses`, func() { _ = ch.Init(b.Threads[0], "mod", 0, 0) })
	buf := hold(t, ch, 1, 1)
	w := take(ch, 1)
	mustPanic(t, "waits for 1 already", func() { ch.Get(2, &w.Entry, took) })
	mustPanic(t, "with an entry that waits", ch.Fini)
	mustPanic(t, "an entry that waits on thread", func() { other.EntryAbort(&w.Entry) })
	ch.EntryAbort(&w.Entry)
	put(ch, buf...)
	b.mustFinish(ch, other)
	mustPanic(t, "that is not open", ch.Fini)
}

// TestChannelsOfAThread: there can be 64, also of one module.
func TestChannelsOfAThread(t *testing.T) {
	b := newBench(t, 2, 100)
	var chs []*Channel
	for range 64 {
		chs = append(chs, b.open(0, 1))
	}
	if err := new(Channel).Init(b.Threads[0], "mod", 1, 1); !errors.Is(err, syscall.ENOMEM) ||
		!strings.Contains(err.Error(), "64 channels") {
		t.Errorf("a 65th channel: %v, want ENOMEM", err)
	}
	chs = append(chs, b.open(1, 1))
	if n := b.io().pools[small].ring.Count(); n != 35 {
		t.Errorf("%d buffers are in the pool, want 35", n)
	}
	chs[7].Fini()
	chs[7] = b.open(0, 0)
	b.mustFinish(chs...)
}

// TestInitGivesBackWhatItCannotUse: a channel that could have the one and not the other has
// nothing.
func TestInitGivesBackWhatItCannotUse(t *testing.T) {
	b := newBench(t, 1, 100)
	for _, caches := range [][2]int{{101, 1}, {1, 101}, {100, 101}} {
		err := new(Channel).Init(b.Threads[0], "mod", caches[0], caches[1])
		if !errors.Is(err, syscall.ENOMEM) || !strings.Contains(err.Error(), "101") {
			t.Errorf("%v: %v, want ENOMEM", caches, err)
		}
		b.PollThreads()
		for _, p := range b.io().pools {
			if p.ring.Count() != 100 || p.reserved.Load() != 0 {
				t.Errorf("%v: %d %s buffers are left, %d reserved", caches, p.ring.Count(), p.class, p.reserved.Load())
			}
		}
	}
	b.mustFinish()
}

// TestBatches: a cache takes from its pool and gives to it in batches of its size, at most 32.
func TestBatches(t *testing.T) {
	for _, tc := range []struct {
		cache int
		left  []int // in the pool after each get
		back  []int // in the pool after each put that changes it
	}{
		{0, []int{99, 98, 97}, []int{98, 99, 100}},
		{1, []int{99, 98, 97}, []int{98, 99}},
		{2, []int{98, 98, 96, 96, 94}, []int{96, 98}},
		{40, append(slices.Repeat([]int{60}, 40), append(slices.Repeat([]int{28}, 32), 0)...), []int{32}},
	} {
		b := newBench(t, 1, 100)
		ch := b.open(0, tc.cache)
		pool := b.io().pools[small].ring
		var held [][]byte
		var left []int
		for range tc.left {
			held = append(held, hold(t, ch, 1, 1)...)
			left = append(left, pool.Count())
		}
		if diff := cmp.Diff(tc.left, left); diff != "" {
			t.Errorf("cache of %d: after each get: %s", tc.cache, diff)
		}
		var back []int
		last := pool.Count()
		for _, buf := range held {
			ch.Put(buf)
			if n := len(ch.caches[small].free); n >= max(1, tc.cache+min(32, tc.cache)) {
				t.Errorf("%d buffers in a cache of %d", n, tc.cache)
			}
			if n := pool.Count(); n != last {
				back = append(back, n)
				last = n
			}
		}
		if diff := cmp.Diff(tc.back, back); diff != "" {
			t.Errorf("cache of %d: after the puts: %s", tc.cache, diff)
		}
		b.mustFinish(ch)
	}
}

// TestCallbackPuts: a callback that puts its buffer at once serves the next one, without a call
// stack as deep as the queue is long.
func TestCallbackPuts(t *testing.T) {
	b := newBench(t, 1, 1)
	ch := b.open(0, 0)
	buf := hold(t, ch, 1, 1)[0]
	const waiting = 1000
	depth, deepest, served := 0, 0, 0
	var entries [waiting]Entry
	for i := range entries {
		ch.Get(1, &entries[i], func(e *Entry, buf []byte) {
			if e != &entries[served] {
				t.Errorf("not the turn of who was served as number %d", served)
			}
			served++
			depth++
			deepest = max(deepest, depth)
			e.Channel().Put(buf)
			depth--
		})
	}
	ch.Put(buf)
	if served != waiting || deepest != 1 {
		t.Errorf("%d of %d were served, %d callbacks deep", served, waiting, deepest)
	}
	b.mustFinish(ch)
}

// TestForEachEntry stops when it is told to, and does not mind what happens to the queue.
func TestForEachEntry(t *testing.T) {
	b := newBench(t, 1, 1)
	ch, same := b.open(0, 0), b.open(0, 0)
	held := append(hold(t, ch, 1, 1), hold(t, ch, 8192, 1)...)
	ws := []*taker{take(ch, 1), take(same, 2), take(ch, 3), take(ch, 8191), take(same, 8192)}
	visit := func(fn func(e *Entry) syscall.Errno) (lengths []int, errno syscall.Errno) {
		errno = ch.ForEachEntry(func(c *Channel, e *Entry, _ any) syscall.Errno {
			lengths = append(lengths, e.n)
			return fn(e)
		}, nil)
		return lengths, errno
	}
	for _, tc := range []struct {
		name  string
		fn    func(e *Entry) syscall.Errno
		want  []int
		errno syscall.Errno
	}{
		{"all", func(e *Entry) syscall.Errno { return 0 }, []int{1, 2, 3, 8191, 8192}, 0},
		{"up to one", func(e *Entry) syscall.Errno {
			if e.n == 2 {
				return syscall.EINTR
			}
			return 0
		}, []int{1, 2}, syscall.EINTR},
		{"the next one to the end", func(e *Entry) syscall.Errno {
			if e.n == 1 {
				ch.EntryAbort(&ws[1].Entry)
				same.Get(2, &ws[1].Entry, took)
			}
			return 0
		}, []int{1, 3, 2, 8191, 8192}, 0},
		{"itself to the end", func(e *Entry) syscall.Errno {
			if e.n == 3 {
				ch.EntryAbort(e)
				ch.Get(3, e, took)
			}
			return 0
		}, []int{1, 3, 2, 8191, 8192}, 0},
		{"abort all", func(e *Entry) syscall.Errno { ch.EntryAbort(e); return 0 }, []int{1, 2, 3, 8191, 8192}, 0},
		{"none", func(e *Entry) syscall.Errno { return 0 }, nil, 0},
	} {
		got, errno := visit(tc.fn)
		if diff := cmp.Diff(tc.want, got); diff != "" || errno != tc.errno {
			t.Errorf("%s: %v, %s", tc.name, errno, diff)
		}
	}
	put(ch, held...)
	b.mustFinish(ch, same)
}

func TestHotPathsAllocateNothing(t *testing.T) {
	b := newBench(t, 2, 64)
	cached, plain, other := b.open(0, 8), b.open(0, 0), b.open(1, 0)
	w := &taker{bufs: make([][]byte, 0, 1)}
	w.Ctx = w
	var held [64][]byte
	n := 64 - 8
	for name, fn := range map[string]func(){
		"cache": func() { cached.Put(cached.Get(1, nil, nil)) },
		"pool":  func() { plain.Put(plain.Get(8192, nil, nil)) },
		"batches": func() {
			for i := range 30 {
				held[i] = cached.Get(1, nil, nil)
			}
			for _, buf := range held[:30] {
				cached.Put(buf)
			}
		},
		"wait, put and message": func() {
			for i := range n {
				held[i] = plain.Get(8192, nil, nil)
			}
			other.Get(8192, &w.Entry, took)
			plain.Put(held[0])
			b.PollThreads()
			for _, buf := range held[1:n] {
				plain.Put(buf)
			}
			other.Put(w.bufs[0])
			w.bufs = w.bufs[:0]
		},
		"abort": func() {
			for i := range n {
				held[i] = plain.Get(8192, nil, nil)
			}
			plain.Get(8192, &w.Entry, took)
			plain.EntryAbort(&w.Entry)
			put(plain, held[:n]...)
		},
	} {
		fn()
		b.PollThreads()
		if n := testing.AllocsPerRun(100, fn); n != 0 {
			t.Errorf("%s allocates %v objects", name, n)
		}
		b.PollThreads()
	}
	b.mustFinish(cached, plain, other)
}

package mempool

import (
	"runtime"
	"sync"
	"testing"
)

func TestMPSCIsBoundedAndFIFO(t *testing.T) {
	var q MPSC[int]
	q.Init(4)
	for i := range 4 {
		if r := q.Push(i); r != Pushed {
			t.Fatalf("push %d: %v", i, r)
		}
	}
	if r := q.Push(4); r != Full {
		t.Errorf("push into a full ring: %v", r)
	}
	for want := range 4 {
		var got int
		if !q.Pop(&got) || got != want {
			t.Fatalf("pop %d: got %d", want, got)
		}
	}
	if r := q.Push(5); r != Full {
		t.Errorf("slots were reusable before Release: %v", r)
	}
	q.Release()
	if r := q.Push(5); r != Pushed || !q.Ready() || q.Empty() {
		t.Errorf("after Release: push %v, ready %v, empty %v", r, q.Ready(), q.Empty())
	}
}

func TestMPSCClosesOnlyWhenEmpty(t *testing.T) {
	var q MPSC[int]
	q.Init(4)
	q.Push(1)
	if q.Close() {
		t.Error("a ring with a value in it closed")
	}
	var v int
	q.Pop(&v)
	q.Release()
	if !q.Close() {
		t.Error("an empty ring did not close")
	}
	if r := q.Push(2); r != Closed {
		t.Errorf("push into a closed ring: %v", r)
	}
	if !q.Empty() || q.Count() != 0 {
		t.Errorf("closed ring: empty %v, count %d", q.Empty(), q.Count())
	}
}

// TestMPSCKeepsOrderPerPusher floods a small ring from several goroutines: nothing lost,
// nothing twice, each pusher's values in order.
func TestMPSCKeepsOrderPerPusher(t *testing.T) {
	const pushers, each = 8, 20000
	type msg struct{ from, n int }
	var q MPSC[msg]
	q.Init(64)
	var wg sync.WaitGroup
	for p := range pushers {
		wg.Go(func() {
			for i := range each {
				for q.Push(msg{p, i}) != Pushed {
					runtime.Gosched()
				}
			}
		})
	}
	var next [pushers]int
	for got := 0; got < pushers*each; {
		var m msg
		if !q.Pop(&m) {
			q.Release()
			runtime.Gosched()
			continue
		}
		if m.n != next[m.from] {
			t.Fatalf("pusher %d: got %d, want %d", m.from, m.n, next[m.from])
		}
		next[m.from]++
		got++
	}
	wg.Wait()
}

func TestFIFOKeepsOrderAcrossGrowth(t *testing.T) {
	var f FIFO[int]
	next, want := 0, 0
	for round := range 50 {
		for range round {
			f.Push(next)
			next++
		}
		for range round / 2 {
			if got := f.Pop(); got != want {
				t.Fatalf("got %d, want %d", got, want)
			}
			want++
		}
	}
	for f.Len() > 0 {
		if got := f.Pop(); got != want {
			t.Fatalf("got %d, want %d", got, want)
		}
		want++
	}
	if want != next || f.Taken() != uint64(next) {
		t.Errorf("%d of %d values came out, %d were counted", want, next, f.Taken())
	}
}

// message has the shape of the reactor's. An array of three words would be copied through
// memory in overlapping halves, which costs four times the queue.
type message struct {
	fn  func(any)
	ctx any
}

func BenchmarkMPSCPushPop(b *testing.B) {
	q := new(MPSC[message])
	q.Init(64)
	v := message{func(any) {}, q}
	b.ReportAllocs()
	for b.Loop() {
		q.Push(v)
		q.Pop(&v)
		q.Release()
	}
}

func BenchmarkFIFO(b *testing.B) {
	q := new(FIFO[message])
	v := message{func(any) {}, q}
	b.ReportAllocs()
	for b.Loop() {
		q.Push(v)
		v = q.Pop()
	}
}

// event has the shape of the reactor's.
type event struct {
	fn         func(any, any)
	arg1, arg2 any
}

//go:noinline
func pushEvent(q *FIFO[event], fn func(any, any), arg1, arg2 any) { q.Push(event{fn, arg1, arg2}) }

//go:noinline
func addEvent(q *FIFO[event], fn func(any, any), arg1, arg2 any) {
	e := q.Add()
	e.fn, e.arg1, e.arg2 = fn, arg1, arg2
}

func BenchmarkFIFOOfFiveWords(b *testing.B) {
	nothing := func(any, any) {}
	b.Run("Push", func(b *testing.B) {
		q := new(FIFO[event])
		b.ReportAllocs()
		for b.Loop() {
			pushEvent(q, nothing, q, b)
			e := q.Pop()
			e.fn(e.arg1, e.arg2)
		}
	})
	b.Run("Add", func(b *testing.B) {
		q := new(FIFO[event])
		b.ReportAllocs()
		for b.Loop() {
			addEvent(q, nothing, q, b)
			e := q.Front()
			fn, arg1, arg2 := e.fn, e.arg1, e.arg2
			q.Drop(e)
			fn(arg1, arg2)
		}
	})
}

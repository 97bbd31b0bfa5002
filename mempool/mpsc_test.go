package mempool

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestMPSCSizeIsAPowerOfTwo(t *testing.T) {
	for _, size := range []int{-2, 0, 1, 3, 6} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("size %d was taken", size)
				}
			}()
			new(MPSC[int]).Init(size)
		}()
	}
}

// TestMPSCAgainstModel uses all of the ring from one goroutine, round and round.
func TestMPSCAgainstModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	const size = 8
	var q MPSC[*int]
	q.Init(size)
	var model []*int
	popped := 0 // not released yet
	for step := range 200_000 {
		switch rng.IntN(5) {
		case 0, 1:
			v := new(int)
			want := Pushed
			if len(model)+popped == size {
				want = Full
			} else {
				model = append(model, v)
			}
			if r := q.Push(v); r != want {
				t.Fatalf("seed %d step %d: push says %v, want %v", seed, step, r, want)
			}
		case 2, 3:
			var v *int
			if ok := q.Pop(&v); ok != (len(model) > 0) || ok && v != model[0] {
				t.Fatalf("seed %d step %d: pop says %v, wrong value %v", seed, step, ok, ok)
			} else if ok {
				model = model[1:]
				popped++
			}
		case 4:
			q.Release()
			popped = 0
		}
		if q.Ready() != (len(model) > 0) || q.Empty() != (len(model) == 0) || q.Count() != len(model)+popped {
			t.Fatalf("seed %d step %d: ready %v, empty %v, count %d with %d values",
				seed, step, q.Ready(), q.Empty(), q.Count(), len(model))
		}
	}
}

// TestMPSCNeverRefusesWhatHasRoom: pushers that share tokens, one for each slot, never find
// the ring full.
func TestMPSCNeverRefusesWhatHasRoom(t *testing.T) {
	const size, pushers = 2, 8
	total := 500_000
	if testing.Short() {
		total = 50_000
	}
	var q MPSC[int]
	q.Init(size)
	var tokens, left, refused atomic.Int64
	tokens.Store(size)
	left.Store(int64(total))
	var wg sync.WaitGroup
	for range pushers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				for tokens.Add(-1) < 0 {
					tokens.Add(1)
					runtime.Gosched()
				}
				for q.Push(1) != Pushed {
					refused.Add(1)
				}
			}
		})
	}
	for got := 0; got < total; {
		var v int
		if !q.Pop(&v) {
			runtime.Gosched()
			continue
		}
		got++
		q.Release()
		tokens.Add(1)
	}
	wg.Wait()
	if n := refused.Load(); n != 0 {
		t.Errorf("%d pushes were refused although there was room", n)
	}
}

// TestMPSCCloseLosesNothing closes a ring under its pushers: what was pushed is popped, and
// nothing is pushed after the close.
func TestMPSCCloseLosesNothing(t *testing.T) {
	rounds := 3000
	if testing.Short() {
		rounds = 300
	}
	for _, shut := range []bool{false, true} {
		for round := range rounds {
			var q MPSC[*int]
			q.Init(8)
			var pushed atomic.Int64
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					v := new(int)
					for {
						switch q.Push(v) {
						case Pushed:
							pushed.Add(1)
						case Closed:
							return
						case Full:
							runtime.Gosched()
						}
					}
				})
			}
			popped := 0
			drain := func(n int) {
				var v *int
				for ; n > 0 && q.Pop(&v); n-- {
					if v == nil {
						t.Fatal("popped a value that was never written")
					}
					popped++
				}
				q.Release()
			}
			drain(round % 50)
			if shut {
				q.Shut()
				for !q.Empty() {
					drain(8)
				}
				if q.Close() {
					t.Fatal("a closed ring closed again")
				}
			} else {
				for !q.Close() {
					drain(8)
				}
			}
			wg.Wait()
			drain(100)
			if int64(popped) != pushed.Load() || !q.Empty() || q.Count() != 0 {
				t.Fatalf("round %d: %d of %d values came out, %d are left", round, popped, pushed.Load(), q.Count())
			}
		}
	}
}

package fsdev_test

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/fsdev"
)

func TestHandleTableGivesEveryHandleOnce(t *testing.T) {
	for _, limit := range []int{0, 1, 2, 1023, 1024, 1025, 3000} {
		ht := fsdev.NewHandleTable[int](limit)
		handles := map[uint64]*int{}
		for {
			v := new(int)
			h, ok := ht.Alloc(v)
			if !ok {
				break
			}
			if h < 1<<32 || handles[h] != nil {
				t.Fatalf("limit %d: handle %#x is small or came twice", limit, h)
			}
			handles[h] = v
		}
		if len(handles) != limit || ht.Len() != limit {
			t.Errorf("limit %d: got %d handles, Len %d", limit, len(handles), ht.Len())
		}
		for h, v := range handles {
			if ht.Get(h) != v {
				t.Fatalf("handle %#x gets another value", h)
			}
		}
		seen := 0
		ht.Range(func(h uint64, v *int) {
			seen++
			if handles[h] != v {
				t.Errorf("Range: handle %#x with another value", h)
			}
		})
		if seen != limit {
			t.Errorf("limit %d: Range saw %d", limit, seen)
		}
		for h, v := range handles {
			if ht.Free(h) != v || ht.Free(h) != nil || ht.Get(h) != nil {
				t.Fatalf("handle %#x is not freed exactly once", h)
			}
		}
		ht.Range(func(h uint64, _ *int) { t.Errorf("Range: handle %#x of an empty table", h) })
		if ht.Len() != 0 {
			t.Errorf("limit %d: Len %d after all have been freed", limit, ht.Len())
		}
	}
}

func TestHandleTableRefusesWhatItDidNotGiveOut(t *testing.T) {
	ht := fsdev.NewHandleTable[int](2000)
	v := new(int)
	live, _ := ht.Alloc(v)
	stale, _ := ht.Alloc(v)
	ht.Free(stale)
	for _, tt := range []struct {
		name   string
		handle uint64
	}{
		{"zero", 0},
		{"FUSE_ROOT_ID", 1},
		{"slot without a generation", live & 0xffffffff},
		{"stale", stale},
		{"the generation of a free slot", stale + 1<<32},
		{"a generation to come", stale + 2<<32},
		{"earlier generation", live - 1<<32},
		{"next generation", live + 1<<32},
		{"slot never used", 1<<32 | 2},
		{"slot of a chunk never used", 1<<32 | 1999},
		{"slot beyond the table", 1<<32 | 2000},
		{"slot far beyond the table", 1<<32 | 0xffffffff},
		{"all ones", 1<<64 - 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if ht.Get(tt.handle) != nil || ht.Free(tt.handle) != nil {
				t.Errorf("handle %#x was taken", tt.handle)
			}
		})
	}
	if ht.Get(live) != v || ht.Len() != 1 {
		t.Errorf("the one handle there is has gone, Len %d", ht.Len())
	}
}

func TestHandleTableUsesSlotsAgainWithAnotherGeneration(t *testing.T) {
	ht := fsdev.NewHandleTable[int](1)
	seen := map[uint64]bool{}
	for range 1000 {
		h, ok := ht.Alloc(new(int))
		if !ok || seen[h] {
			t.Fatalf("handle %#x came twice", h)
		}
		if _, ok := ht.Alloc(new(int)); ok {
			t.Fatal("a full table gave a handle")
		}
		seen[h] = true
		ht.Free(h)
	}
}

// Goroutines allocate, look up and free against a model of their own handles; in between they
// try each other's handles and invented ones, for which there is one right answer: the value
// that was allocated under that very handle, or nil.
func TestHandleTableConcurrently(t *testing.T) {
	const workers, limit = 4, 100
	steps := 50_000
	if testing.Short() {
		steps = 5_000
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	type entry struct{ owner int }
	ht := fsdev.NewHandleTable[entry](limit)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(w)))
			own := map[uint64]*entry{}
			var order []uint64
			for range steps {
				switch n := rng.IntN(10); {
				case n < 3:
					e := &entry{owner: w}
					h, ok := ht.Alloc(e)
					if !ok {
						continue
					}
					if own[h] != nil {
						t.Errorf("handle %#x was given out twice", h)
					}
					own[h] = e
					order = append(order, h)
				case n < 6 && len(order) > 0:
					i := rng.IntN(len(order))
					h := order[i]
					order = slices.Delete(order, i, i+1)
					if got := ht.Free(h); got != own[h] {
						t.Errorf("Free(%#x) gave %v, want %v", h, got, own[h])
					}
					if ht.Get(h) != nil || ht.Free(h) != nil {
						t.Errorf("handle %#x works after its Free", h)
					}
					delete(own, h)
				case n < 9 && len(order) > 0:
					h := order[rng.IntN(len(order))]
					if got := ht.Get(h); got != own[h] {
						t.Errorf("Get(%#x) gave %v, want %v", h, got, own[h])
					}
				default:
					// Generations that a free slot has: nobody owns them, whatever happens meanwhile.
					h := uint64(rng.IntN(2*steps))<<33 | uint64(rng.IntN(limit))
					if ht.Get(h) != nil || ht.Free(h) != nil {
						t.Errorf("invented handle %#x was taken", h)
					}
				}
			}
			for _, h := range order {
				if ht.Free(h) != own[h] {
					t.Errorf("handle %#x was lost", h)
				}
			}
		})
	}
	wg.Wait()
	if ht.Len() != 0 {
		t.Errorf("Len %d at the end", ht.Len())
	}
	n := 0
	for _, ok := ht.Alloc(&entry{}); ok; _, ok = ht.Alloc(&entry{}) {
		n++
	}
	if n != limit {
		t.Errorf("%d of %d slots are left", n, limit)
	}
}

// Of any number of calls that free one handle, one gets the value.
func TestHandleTableFreesOnce(t *testing.T) {
	rounds := 20_000
	if testing.Short() {
		rounds = 2_000
	}
	ht := fsdev.NewHandleTable[int](4)
	v := new(int)
	for range rounds {
		h, ok := ht.Alloc(v)
		if !ok {
			t.Fatal("a slot was lost")
		}
		var wg sync.WaitGroup
		var got [3]int
		for w := range got {
			wg.Go(func() {
				// The neighbouring generations are a client's guesses.
				for _, g := range []uint64{h + 1<<32, h, h + 1<<32} {
					if ht.Free(g) != nil {
						got[w]++
					}
				}
			})
		}
		wg.Wait()
		if n := got[0] + got[1] + got[2]; n != 1 || ht.Len() != 0 {
			t.Fatalf("freed %d times, Len %d", n, ht.Len())
		}
	}
}

func TestHandleTableDoesNotAllocateOnceFilled(t *testing.T) {
	ht := fsdev.NewHandleTable[int](100)
	v := new(int)
	if n := testing.AllocsPerRun(100, func() {
		h, _ := ht.Alloc(v)
		ht.Get(h)
		ht.Free(h)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkHandleTableGet(b *testing.B) {
	ht := fsdev.NewHandleTable[int](100)
	h, _ := ht.Alloc(new(int))
	for b.Loop() {
		ht.Get(h)
	}
}

package mempool_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/spdk-go/spdk-go/mempool"
)

// What is in a set is what was put in and not taken out again, in the order of the pool, wherever
// a word of bits ends.
func TestSetAgainstAMap(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	for _, size := range []int{1, 63, 64, 65, 200} {
		pool, err := mempool.New[int]("numbers", size, func(e *int, i int) { *e = i })
		if err != nil {
			t.Fatal(err)
		}
		var elements []*int
		pool.ForEach(func(e *int, _ int) { elements = append(elements, e) })
		set, in := pool.NewSet(), map[int]bool{}
		for range 2000 {
			i := rng.IntN(size)
			if in[i] {
				set.Remove(elements[i])
			} else {
				set.Add(elements[i])
			}
			in[i] = !in[i]
			var want, got []int
			for i := range size {
				if in[i] {
					want = append(want, i)
				}
			}
			for e := range set.All() {
				got = append(got, *e)
			}
			if !slices.Equal(got, want) || set.Len() != len(want) {
				t.Fatalf("seed %d, size %d: %v, %d of them, want %v", seed, size, got, set.Len(), want)
			}
		}
	}
}

// An element may leave the set while it is being visited, and the visitor may stop.
func TestSetChangesWhileItIsVisited(t *testing.T) {
	pool, err := mempool.New[int]("numbers", 130, nil)
	if err != nil {
		t.Fatal(err)
	}
	set := pool.NewSet()
	pool.ForEach(func(e *int, _ int) { set.Add(e) })
	visited := 0
	for e := range set.All() {
		set.Remove(e)
		if visited++; visited == 100 {
			break
		}
	}
	for e := range set.All() {
		set.Remove(e)
		visited++
	}
	if visited != 130 || set.Len() != 0 {
		t.Errorf("visited %d of 130, %d are left", visited, set.Len())
	}
}

func TestSetDoesNotAllocate(t *testing.T) {
	pool, err := mempool.New[int]("numbers", 100, nil)
	if err != nil {
		t.Fatal(err)
	}
	set, e := pool.NewSet(), pool.Get()
	if n := testing.AllocsPerRun(100, func() {
		set.Add(e)
		set.Remove(e)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	pool.Put(e)
}

func BenchmarkSetAddRemove(b *testing.B) {
	pool, err := mempool.New[[100]int]("numbers", 100, nil)
	if err != nil {
		b.Fatal(err)
	}
	set, e := pool.NewSet(), pool.Get()
	b.ReportAllocs()
	for b.Loop() {
		set.Add(e)
		set.Remove(e)
	}
}

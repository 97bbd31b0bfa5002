package mempool

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestPoolAgainstModel does what can be done with a pool and its caches in random order and
// compares with a book of who has what.
func TestPoolAgainstModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	steps := 3000
	if testing.Short() {
		steps = 500
	}
	for _, size := range []int{1, 2, 3, 8, 100} {
		for _, cacheSize := range []int{0, 2, 3, 16, 1000} {
			p := newPool(t, size)
			p.VerifyBulk(rng.IntN(2) == 0)
			caches := []*Cache[elem]{p.NewCache(cacheSize), p.NewCache(cacheSize)}
			var held []*elem
			has := make([]bool, size) // the user has element i
			take := func(step int, e *elem) {
				if has[e.id] {
					t.Fatalf("seed %d step %d: element %d was given twice", seed, step, e.id)
				}
				has[e.id] = true
				held = append(held, e)
			}
			give := func(n int) []*elem {
				rng.Shuffle(len(held), func(i, j int) { held[i], held[j] = held[j], held[i] })
				out := held[len(held)-n:]
				held = held[:len(held)-n]
				for _, e := range out {
					has[e.id] = false
				}
				return out
			}
			for step := range steps {
				c := caches[rng.IntN(2)]
				// what a get through c can reach: the other cache is out of sight
				reach := p.Count() + len(c.free)
				n := rng.IntN(size + 2)
				switch rng.IntN(10) {
				case 0:
					if e := p.Get(); e != nil {
						take(step, e)
					} else if reach > len(c.free) {
						t.Fatalf("seed %d step %d: a pool of %d gave nothing", seed, step, p.Count())
					}
				case 1:
					if len(held) > 0 {
						p.Put(give(1)[0])
					}
				case 2, 3:
					if e := c.Get(); e != nil {
						take(step, e)
					} else if reach > 0 {
						t.Fatalf("seed %d step %d: nothing although %d are free", seed, step, reach)
					}
				case 4, 5:
					if len(held) > 0 {
						c.Put(give(1)[0])
					}
				case 6:
					dst := make([]*elem, n)
					if ok := c.GetBulk(dst); ok != (n <= reach) {
						t.Fatalf("seed %d step %d: bulk of %d with %d free: %v", seed, step, n, reach, ok)
					} else if ok {
						for _, e := range dst {
							take(step, e)
						}
					}
				case 7:
					c.PutBulk(give(min(n, len(held))))
				case 8:
					dst := make([]*elem, n)
					if ok := p.GetBulk(dst); ok != (n <= reach-len(c.free)) {
						t.Fatalf("seed %d step %d: bulk of %d from a pool: %v", seed, step, n, ok)
					} else if ok {
						for _, e := range dst {
							take(step, e)
						}
					}
				case 9:
					p.PutBulk(give(min(n, len(held))))
				}
				if sum := p.Count() + len(caches[0].free) + len(caches[1].free) + len(held); sum != size {
					t.Fatalf("seed %d step %d: %d of %d elements", seed, step, sum, size)
				}
				if len(c.free) > max(2, cacheSize) {
					t.Fatalf("seed %d step %d: a cache of %d holds %d", seed, step, cacheSize, len(c.free))
				}
			}
			p.PutBulk(give(len(held)))
			caches[0].Close()
			caches[1].Close()
			seen := 0
			p.ForEach(func(e *elem, i int) {
				if e.id != i {
					t.Errorf("element %d says that it is %d", i, e.id)
				}
				seen++
			})
			if p.Count() != size || seen != size {
				t.Errorf("%d of %d elements came back, %d seen", p.Count(), size, seen)
			}
		}
	}
}

func TestPoolNeedsElements(t *testing.T) {
	for _, n := range []int{0, -1} {
		if _, err := New[elem]("empty", n, nil); err == nil {
			t.Errorf("a pool of %d was created", n)
		}
	}
	if p := newPool(t, 1); p.Name() != "elems" {
		t.Errorf("name %q", p.Name())
	}
}

func TestPoolAndBulkAllocateNothing(t *testing.T) {
	p := newPool(t, 64)
	c := p.NewCache(8)
	dst := make([]*elem, 32)
	for name, fn := range map[string]func(){
		"pool":              func() { p.Put(p.Get()) },
		"pool bulk":         func() { p.GetBulk(dst); p.PutBulk(dst) },
		"cache bulk":        func() { c.GetBulk(dst[:8]); c.PutBulk(dst[:8]) },
		"bulk beyond cache": func() { c.GetBulk(dst); c.PutBulk(dst) },
	} {
		if n := testing.AllocsPerRun(100, fn); n != 0 {
			t.Errorf("%s allocates %v objects", name, n)
		}
	}
}

// TestFIFOAgainstModel pushes and pops at random and compares with a slice.
func TestFIFOAgainstModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	var f FIFO[*int]
	var model []*int
	for step := range 100_000 {
		if bias := 40 + step/100%30; rng.IntN(100) < bias && len(model) < 300 || len(model) == 0 {
			v := new(int)
			if step%2 == 0 {
				f.Push(v)
			} else if p := f.Add(); *p == nil {
				*p = v
			} else {
				t.Fatalf("step %d: Add returned a place that is taken", step)
			}
			model = append(model, v)
		} else if step%2 == 0 {
			front := f.Front()
			if *front != model[0] {
				t.Fatalf("step %d: wrong value in front", step)
			}
			f.Drop(front)
			model = model[1:]
		} else {
			if f.Pop() != model[0] {
				t.Fatalf("seed %d step %d: wrong value", seed, step)
			}
			model = model[1:]
		}
		if f.Len() != len(model) {
			t.Fatalf("seed %d step %d: length %d, want %d", seed, step, f.Len(), len(model))
		}
	}
	for f.Len() > 0 {
		f.Pop()
	}
	for _, v := range f.buf {
		if v != nil {
			t.Fatal("the queue holds on to what was popped")
		}
	}
}

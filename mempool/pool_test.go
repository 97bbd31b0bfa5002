package mempool

import (
	"fmt"
	"sync"
	"testing"
)

type elem struct {
	id int
	_  *elem
	_  [40]byte
}

func newPool(t testing.TB, n int) *Pool[elem] {
	t.Helper()
	p, err := New("elems", n, func(e *elem, i int) { e.id = i })
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPoolGivesEveryElementOnce(t *testing.T) {
	p := newPool(t, 100)
	seen := map[int]bool{}
	for e := p.Get(); e != nil; e = p.Get() {
		if seen[e.id] {
			t.Fatalf("element %d came twice", e.id)
		}
		seen[e.id] = true
	}
	if len(seen) != p.Size() || p.Count() != 0 {
		t.Errorf("got %d of %d elements, %d left", len(seen), p.Size(), p.Count())
	}
}

func TestPoolBulkIsAllOrNothing(t *testing.T) {
	p := newPool(t, 8)
	dst := make([]*elem, 8)
	if p.GetBulk(make([]*elem, 9)) {
		t.Error("9 of 8 elements were given")
	}
	if !p.GetBulk(dst) || p.Count() != 0 {
		t.Errorf("8 of 8 elements were refused, %d left", p.Count())
	}
	p.PutBulk(dst)
	if p.Count() != 8 {
		t.Errorf("%d of 8 elements came back", p.Count())
	}
}

func TestCacheReturnsEverythingOnClose(t *testing.T) {
	p := newPool(t, 64)
	a, b := p.NewCache(16), p.NewCache(16)
	var held []*elem
	for e := a.Get(); e != nil; e = a.Get() {
		held = append(held, e)
	}
	if len(held) != 64 {
		t.Fatalf("one cache reached %d of 64 elements", len(held))
	}
	for _, e := range held {
		b.Put(e) // put through another cache than the get
	}
	bulk := make([]*elem, 40)
	if !b.GetBulk(bulk) {
		t.Error("40 of 64 elements were refused")
	}
	a.PutBulk(bulk)
	a.Close()
	b.Close()
	if p.Count() != 64 {
		t.Errorf("%d of 64 elements came back", p.Count())
	}
}

func TestPoolSharedByGoroutines(t *testing.T) {
	p := newPool(t, 128)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			c := p.NewCache(16)
			defer c.Close()
			var held []*elem
			for i := range 20000 {
				if e := c.Get(); e != nil {
					held = append(held, e)
				}
				if len(held) > 20 || i%3 == 0 && len(held) > 0 {
					c.Put(held[len(held)-1])
					held = held[:len(held)-1]
				}
			}
			for _, e := range held {
				c.Put(e)
			}
		})
	}
	wg.Wait()
	if p.Count() != 128 {
		t.Errorf("%d of 128 elements came back", p.Count())
	}
}

func TestCacheAllocatesNothing(t *testing.T) {
	c := newPool(t, 64).NewCache(32)
	if n := testing.AllocsPerRun(1000, func() { c.Put(c.Get()) }); n != 0 {
		t.Errorf("get and put allocate %v objects", n)
	}
}

func BenchmarkPoolGetPut(b *testing.B) {
	c := newPool(b, 1024).NewCache(256)
	b.ReportAllocs()
	for b.Loop() {
		c.Put(c.Get())
	}
}

// BenchmarkPoolBulk32 gets 32 elements of 64 bytes and puts them back; ns/elem is for both.
func BenchmarkPoolBulk32(b *testing.B) {
	for _, verify := range []bool{false, true} {
		b.Run(fmt.Sprintf("verify=%v", verify), func(b *testing.B) {
			p, err := New[[64]byte]("bench", 1024, nil)
			if err != nil {
				b.Fatal(err)
			}
			p.VerifyBulk(verify)
			c := p.NewCache(256)
			elems := make([]*[64]byte, 32)
			b.ReportAllocs()
			for b.Loop() {
				c.GetBulk(elems)
				c.PutBulk(elems)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/32, "ns/elem")
		})
	}
}

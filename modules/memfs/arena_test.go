package memfs

import (
	"testing"
)

func newTestArena(tb testing.TB, pages int64) *arena {
	tb.Helper()
	a, err := newArena(pages, false)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := a.close(); err != nil {
			tb.Error(err)
		}
	})
	return a
}

// TestArenaKeepsItsPromise allocates all pages again and again while others withhold as much as they can: there
// must always be one more, and none given out twice.
func TestArenaKeepsItsPromise(t *testing.T) {
	const pages = 20000
	rnd := newRand(t)
	a := newTestArena(t, pages)
	var caches [maxLanes]pageCache
	taken := map[uint32]bool{}
	var order []uint32
	for round := range 6 {
		for len(taken) < pages {
			c := &caches[rnd.Intn(maxLanes)]
			if round%2 == 1 {
				c = &caches[0]
			}
			p, n, _ := a.allocRun(c, min(1+rnd.Intn(100), pages-len(taken)))
			for i := range uint32(n) {
				if taken[p+i] {
					t.Fatalf("page %d was given out twice", p+i)
				}
				taken[p+i] = true
				order = append(order, p+i)
			}
		}
		// Leave the groups with just too few free pages to be offered, or nearly so.
		rnd.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		keep := order[:0]
		perGroup := map[uint32]int{}
		for _, p := range order {
			if g := p / groupPages; perGroup[g] < listAt-1 || rnd.Intn(10) == 0 {
				perGroup[g]++
				a.freeRun(p, 1)
				delete(taken, p)
			} else {
				keep = append(keep, p)
			}
		}
		order = keep
	}
	for _, p := range order {
		a.freeRun(p, 1)
	}
	if err := a.checkAllFree(); err != nil {
		t.Error(err)
	}
}

// TestArenaRuns checks that a file that is written in one go is in one piece.
func TestArenaRuns(t *testing.T) {
	a := newTestArena(t, 10000)
	var c pageCache
	next := uint32(0)
	for want := 2048; want > 0; {
		p, n, zero := a.allocRun(&c, want)
		if p != next || !zero {
			t.Fatalf("page %d (zero: %v), want %d", p, zero, next)
		}
		next += uint32(n)
		want -= n
	}
	a.freeRun(3, 2000)
	if p, _, zero := a.allocRun(&c, 1); zero && p < 2003 && p >= 3 {
		t.Errorf("used page %d is said to be zero", p)
	}
}

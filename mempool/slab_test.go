package mempool_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/mempool"
)

// A slab knows what it has given out, and gives everything out once.
func TestSlabAgainstAMap(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	for _, size := range []int{1, 63, 64, 65, 200} {
		s, err := mempool.NewSlab[[3]byte]("small", size)
		if err != nil {
			t.Fatal(err)
		}
		with := map[*[3]byte]bool{} // users
		for range 2000 {
			if rng.IntN(2) == 0 {
				e := s.Get()
				if full := len(with) == size; (e == nil) != full || with[e] {
					t.Fatalf("seed %d, size %d: got %p with %d out", seed, size, e, len(with))
				}
				if e != nil {
					with[e] = true
				}
			} else {
				for e := range with {
					delete(with, e)
					s.Put(e)
					break
				}
			}
			seen := 0
			for e := range s.Out() {
				if seen++; !with[e] {
					t.Fatalf("seed %d, size %d: %p is not out", seed, size, e)
				}
			}
			if seen != len(with) || s.Len() != len(with) || s.Size() != size {
				t.Fatalf("seed %d, size %d of %d: %d out, %d seen, want %d", seed, s.Size(), size, s.Len(), seen, len(with))
			}
		}
	}
}

func TestSlabRefusesBadPuts(t *testing.T) {
	s, err := mempool.NewSlab[[3]byte]("small", 70)
	if err != nil {
		t.Fatal(err)
	}
	e := s.Get()
	for _, c := range []struct {
		name string
		e    *[3]byte
		want string
	}{
		{"foreign", new([3]byte), "which is not one of its 70 elements"},
		{"double", e, "double put of element 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.e == e {
				s.Put(e)
			}
			defer func() {
				if msg, _ := recover().(string); !strings.Contains(msg, c.want) {
					t.Errorf("panic %q does not contain %q", msg, c.want)
				}
			}()
			s.Put(c.e)
		})
	}
	for _, count := range []int{-1, 0, 1 << 32} {
		if _, err := mempool.NewSlab[[3]byte]("small", count); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("count %d: %v", count, err)
		}
	}
}

func TestSlabGetLeaving(t *testing.T) {
	s, err := mempool.NewSlab[[3]byte]("small", 5)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if s.GetLeaving(2) == nil {
			t.Fatalf("nothing with %d given out", i)
		}
	}
	if s.GetLeaving(2) != nil || s.Len() != 3 {
		t.Errorf("%d of 5 are given out, want 2 left", s.Len())
	}
	if s.Get() == nil || s.GetLeaving(0) == nil || s.GetLeaving(0) != nil {
		t.Error("those that were left are not to be had, or more than there are")
	}
}

func TestSlabDoesNotAllocate(t *testing.T) {
	s, err := mempool.NewSlab[[100]int]("large", 10)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { s.Put(s.Get()) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkSlabGetPut(b *testing.B) {
	s, err := mempool.NewSlab[[100]int]("large", 100)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		s.Put(s.Get())
	}
}

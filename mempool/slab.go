package mempool

import (
	"fmt"
	"iter"
	"math"
	"math/bits"
	"syscall"

	"github.com/spdk-go/spdk-go/internal/sys"
)

// Slab is a [Pool] for one thread, without locks and caches, which can tell what it has given
// out. Bad puts are found at once.
//
// Not in SPDK, whose elements are linked to lists while they are out.
type Slab[T any] struct {
	name  string
	elems []T
	free  []uint32 // stack of indexes
	out   []uint64 // bit i: element i has been given out
}

// NewSlab returns a slab of count elements. EINVAL: count is not above 0, or above 2^32-1.
//
// Not in SPDK.
func NewSlab[T any](name string, count int) (*Slab[T], error) {
	if count <= 0 || count > math.MaxUint32 {
		return nil, fmt.Errorf("mempool %q: count %d is not in 1..%d: %w",
			name, count, uint32(math.MaxUint32), syscall.EINVAL)
	}
	s := &Slab[T]{
		name:  name,
		elems: make([]T, count),
		free:  make([]uint32, count),
		out:   make([]uint64, (count+63)/64),
	}
	for i := range s.free { // element 0 is on top, so that light use touches few pages
		s.free[i] = uint32(count - 1 - i)
	}
	return s, nil
}

// Size returns the number of elements, given out or not. Not in SPDK.
func (s *Slab[T]) Size() int { return len(s.elems) }

// Len returns the number of elements that are given out. Not in SPDK.
func (s *Slab[T]) Len() int { return len(s.elems) - len(s.free) }

// Get takes one element, nil when there is none. It is as its last user left it.
//
// Not in SPDK; see [Pool.Get].
func (s *Slab[T]) Get() *T {
	n := len(s.free) - 1
	if n < 0 {
		return nil
	}
	i := s.free[n]
	s.free = s.free[:n]
	s.out[i/64] |= 1 << (i % 64)
	return &s.elems[i]
}

// GetLeaving is [Slab.Get] if at least left elements are free afterwards, else nil. left is not negative.
//
// Not in SPDK.
func (s *Slab[T]) GetLeaving(left int) *T {
	n := len(s.free) - 1
	if n < left {
		return nil
	}
	i := s.free[n]
	s.free = s.free[:n]
	s.out[i/64] |= 1 << (i % 64)
	return &s.elems[i]
}

// Put gives one element back, which must have been given out.
//
// Not in SPDK; see [Pool.Put].
func (s *Slab[T]) Put(e *T) {
	i := sys.SlabIndex(s.elems, e)
	w := uint(i) / 64
	bit := uint64(1) << (uint(i) % 64)
	if w >= uint(len(s.out)) || s.out[w]&bit == 0 {
		s.badPut(e, i)
	}
	s.out[w] &^= bit
	s.free = append(s.free, uint32(i))
}

//go:noinline
func (s *Slab[T]) badPut(e *T, i int) {
	if i < 0 {
		panic(fmt.Sprintf("mempool %q: put of %p, which is not one of its %d elements", s.name, e, len(s.elems)))
	}
	panic(fmt.Sprintf("mempool %q: double put of element %d", s.name, i))
}

// Out returns the elements that are given out, in the order of the slab. One that is got or put
// meanwhile may be among them or not. It takes time for every 64 elements of the slab.
//
// Not in SPDK.
func (s *Slab[T]) Out() iter.Seq[*T] {
	return func(yield func(*T) bool) { visit(s.elems, s.out, yield) }
}

// visit yields the elements whose bits are set.
func visit[T any](elems []T, words []uint64, yield func(*T) bool) {
	for w, word := range words {
		for ; word != 0; word &= word - 1 {
			if !yield(&elems[w*64+bits.TrailingZeros64(word)]) {
				return
			}
		}
	}
}

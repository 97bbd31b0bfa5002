package mempool

import (
	"iter"

	"github.com/spdk-go/spdk-go/internal/sys"
)

// Set is a set of elements of a [Pool], for one thread: those that it has in flight, say. An
// element costs a bit, and to put it in or take it out touches none of the others.
//
// Not in SPDK, whose elements are linked to lists.
type Set[T any] struct {
	slab  []T
	words []uint64 // bit i is element i of slab
	n     int
}

// NewSet returns an empty set of elements of p. Not in SPDK.
func (p *Pool[T]) NewSet() Set[T] {
	return Set[T]{slab: p.slab, words: make([]uint64, (len(p.slab)+63)/64)}
}

// Add puts in e, which must be an element of the pool and not be in the set. Not in SPDK.
func (s *Set[T]) Add(e *T) {
	i := sys.SlabPlace(s.slab, e)
	s.words[i/64] |= 1 << (i % 64)
	s.n++
}

// Remove takes out e, which must be in the set. Not in SPDK.
func (s *Set[T]) Remove(e *T) {
	i := sys.SlabPlace(s.slab, e)
	s.words[i/64] &^= 1 << (i % 64)
	s.n--
}

// Len returns the number of elements in the set. Not in SPDK.
func (s *Set[T]) Len() int { return s.n }

// All returns the elements in the order of the pool. One that is put in or taken out meanwhile
// may be among them or not. It takes time for every 64 elements of the pool.
//
// Not in SPDK.
func (s *Set[T]) All() iter.Seq[*T] {
	return func(yield func(*T) bool) { visit(s.slab, s.words, yield) }
}

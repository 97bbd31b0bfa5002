package mempool

import (
	"fmt"
	"math"
	"syscall"

	"github.com/spdk-go/spdk-go/internal/sys"
)

// Pool is a fixed set of T, allocated once. Its methods may be called from any goroutine;
// on a hot path use a [Cache] instead.
//
// SPDK: struct spdk_mempool. Elements are not zeroed between users, as there; unlike
// there, double and foreign puts panic and Count is exact at quiescence.
type Pool[T any] struct {
	name string
	slab []T
	out  []bool // out[i]: element i is with a user; written by whoever moves it

	lock spinLock
	free []uint32 // stack of indices, guarded by lock
}

// New returns a pool of count elements. ctor, if not nil, runs once per element.
//
// SPDK: spdk_mempool_create, spdk_mempool_create_ctor. Names need not be unique here.
func New[T any](name string, count int, ctor func(e *T, index int)) (*Pool[T], error) {
	if count <= 0 || count > math.MaxUint32 {
		return nil, fmt.Errorf("mempool %q: count %d is not in 1..%d: %w",
			name, count, uint32(math.MaxUint32), syscall.EINVAL)
	}
	p := &Pool[T]{
		name: name,
		slab: make([]T, count),
		out:  make([]bool, count),
		free: make([]uint32, count),
	}
	// The top of the stack is element 0, so that a lightly used pool touches few pages.
	for i := range p.slab {
		if ctor != nil {
			ctor(&p.slab[i], i)
		}
		p.free[count-1-i] = uint32(i)
	}
	return p, nil
}

// Name returns the name given to [New]. SPDK: spdk_mempool_get_name
func (p *Pool[T]) Name() string { return p.name }

// Size returns the number of elements, free or not. Not in SPDK: there the creator
// remembers it.
func (p *Pool[T]) Size() int { return len(p.slab) }

// Count returns the number of elements that are not in a cache or with a user. With every
// cache closed, Count equal to Size means that nothing leaked.
//
// SPDK: spdk_mempool_count, which adds the caches up.
func (p *Pool[T]) Count() int {
	p.lock.acquire()
	defer p.lock.release()
	return len(p.free)
}

// ForEach visits every element, free or not, in order. The pool must be quiescent.
//
// SPDK: spdk_mempool_obj_iter
func (p *Pool[T]) ForEach(fn func(e *T, index int)) {
	for i := range p.slab {
		fn(&p.slab[i], i)
	}
}

// Get takes one element, nil when there is none. SPDK: spdk_mempool_get
func (p *Pool[T]) Get() *T {
	var one [1]*T
	p.GetBulk(one[:])
	return one[0]
}

// Put gives one element back. SPDK: spdk_mempool_put
func (p *Pool[T]) Put(e *T) { p.PutBulk([]*T{e}) }

// GetBulk fills dst with elements, all or nothing. SPDK: spdk_mempool_get_bulk
func (p *Pool[T]) GetBulk(dst []*T) bool {
	p.lock.acquire()
	defer p.lock.release()
	if len(dst) > len(p.free) {
		return false
	}
	top := len(p.free) - len(dst)
	for k, i := range p.free[top:] {
		dst[k] = p.checkout(i)
	}
	p.free = p.free[:top]
	return true
}

// PutBulk gives the elements of src back. SPDK: spdk_mempool_put_bulk
func (p *Pool[T]) PutBulk(src []*T) {
	p.lock.acquire()
	defer p.lock.release()
	for _, e := range src {
		p.free = append(p.free, p.checkin(e))
	}
}

// checkout marks element i as being with a user.
func (p *Pool[T]) checkout(i uint32) *T {
	p.out[i] = true
	return &p.slab[i]
}

// checkin undoes checkout.
func (p *Pool[T]) checkin(e *T) uint32 {
	i := sys.SlabIndex(p.slab, e)
	if uint(i) >= uint(len(p.out)) || !p.out[i] {
		p.badPut(e, i)
	}
	p.out[i] = false
	return uint32(i)
}

//go:noinline
func (p *Pool[T]) badPut(e *T, i int) {
	if i < 0 {
		panic(fmt.Sprintf("mempool %q: put of %p, which is not one of its %d elements", p.name, e, len(p.slab)))
	}
	panic(fmt.Sprintf("mempool %q: double put of element %d", p.name, i))
}

// take moves up to len(dst) free elements to dst and returns how many.
func (p *Pool[T]) take(dst []uint32) int {
	p.lock.acquire()
	n := min(len(dst), len(p.free))
	top := len(p.free) - n
	copy(dst, p.free[top:])
	p.free = p.free[:top]
	p.lock.release()
	return n
}

func (p *Pool[T]) give(src []uint32) {
	p.lock.acquire()
	p.free = append(p.free, src...)
	p.lock.release()
}

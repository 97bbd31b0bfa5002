package mempool

import (
	"fmt"
	"math"
	"sync/atomic"
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

	// where[i] tells what is known of element i: out, pooled, or its place in the stack of
	// a cache. It is written by whoever moves the element, if it is checked on the way.
	where     []uint32
	verify    bool        // bulk operations of caches check every element
	untracked atomic.Bool // elements have been got from a cache without a mark in where

	lock spinLock
	free []*T // stack, guarded by lock
}

// Values of Pool.where that are not places. A pool has fewer elements than that.
const (
	out    = math.MaxUint32 - iota // with a user
	pooled                         // in Pool.free

	maxCount = pooled
)

// New returns a pool of count elements. ctor, if not nil, runs once per element.
//
// SPDK: spdk_mempool_create, spdk_mempool_create_ctor. Names need not be unique here.
func New[T any](name string, count int, ctor func(e *T, index int)) (*Pool[T], error) {
	if count <= 0 || count > maxCount {
		return nil, fmt.Errorf("mempool %q: count %d is not in 1..%d: %w", name, count, uint32(maxCount), syscall.EINVAL)
	}
	p := &Pool[T]{
		name:   name,
		slab:   make([]T, count),
		where:  make([]uint32, count),
		verify: verifyDefault,
		free:   make([]*T, count),
	}
	// The top of the stack is element 0, so that a lightly used pool touches few pages.
	for i := range p.slab {
		if ctor != nil {
			ctor(&p.slab[i], i)
		}
		p.where[i] = pooled
		p.free[count-1-i] = &p.slab[i]
	}
	return p, nil
}

// VerifyBulk says whether GetBulk and PutBulk of the pool's caches keep track of every
// element, as Get and Put do and the pool's own GetBulk and PutBulk; see [Cache]. An element
// costs as much then as with Get and Put. It is on from the start in programs built with
// -race, otherwise off. Call it before the first NewCache.
//
// SPDK: RTE_LIBRTE_MEMPOOL_DEBUG, at build time
func (p *Pool[T]) VerifyBulk(on bool) { p.verify = on }

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
	top := len(p.free) - len(dst)
	if top >= 0 {
		copy(dst, p.free[top:])
		p.free = p.free[:top]
	}
	p.lock.release()
	if top < 0 {
		return false
	}
	for _, e := range dst {
		p.where[sys.SlabIndex(p.slab, e)] = out
	}
	return true
}

// PutBulk gives the elements of src back. SPDK: spdk_mempool_put_bulk
func (p *Pool[T]) PutBulk(src []*T) {
	for _, e := range src {
		i := p.index(e)
		if p.where[i] == pooled || p.where[i] != out && !p.untracked.Load() {
			p.doublePut(i)
		}
		p.where[i] = pooled
	}
	p.push(src)
}

// push adds elements to the stack, which are marked already.
func (p *Pool[T]) push(src []*T) {
	p.lock.acquire()
	p.free = append(p.free, src...)
	p.lock.release()
}

// index returns the number of element e, which is being put.
func (p *Pool[T]) index(e *T) int {
	i := sys.SlabIndex(p.slab, e)
	if i < 0 {
		p.foreignPut(e)
	}
	return i
}

//go:noinline
func (p *Pool[T]) foreignPut(e *T) {
	panic(fmt.Sprintf("mempool %q: put of %p, which is not one of its %d elements", p.name, e, len(p.slab)))
}

//go:noinline
func (p *Pool[T]) doublePut(i int) {
	panic(fmt.Sprintf("mempool %q: double put of element %d", p.name, i))
}

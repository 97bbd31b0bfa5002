package mempool

import "github.com/spdk-go/spdk-go/internal/sys"

// Cache is one thread's share of a [Pool]. Only its thread may use it. Get and Put cost no
// atomic operation; a batch is exchanged with the pool when the cache runs empty or full.
//
// Bad puts are found as follows. [Cache.Put] panics at once when an element does not belong
// to the pool or is free already, wherever it is. The bulk operations are a copy and keep track
// of the first element only, so that an array that is put twice is found at once; any other
// element is looked at when the cache gives it to the pool, at the latest in [Cache.Close]. Of
// elements that they have handled, Put knows less: that they are in the pool, or in the same
// cache at a place that was kept track of. [Pool.VerifyBulk] makes them keep track of all.
//
// SPDK: the per-lcore cache inside struct spdk_mempool, here explicit because a goroutine
// does not know its core.
type Cache[T any] struct {
	pool  *Pool[T]
	slab  []T      // pool.slab, one load nearer
	where []uint32 // pool.where
	free  []*T     // stack; cap is the most the cache holds

	verify bool // pool.verify
	quick  bool // pool.untracked is set, GetBulk need not leave marks
}

// NewCache returns a cache of at most size elements of p, empty at first.
//
// SPDK: the cache_size of spdk_mempool_create
func (p *Pool[T]) NewCache(size int) *Cache[T] {
	size = max(2, min(size, len(p.slab)))
	return &Cache[T]{pool: p, slab: p.slab, where: p.where, verify: p.verify, free: make([]*T, 0, size)}
}

// Get takes one element, nil when cache and pool are empty. SPDK: spdk_mempool_get
func (c *Cache[T]) Get() *T {
	n := len(c.free)
	if n == 0 {
		if n = c.refill(); n == 0 {
			return nil
		}
	}
	e := c.free[n-1]
	c.free = c.free[:n-1]
	c.where[sys.SlabPlace(c.slab, e)] = out
	return e
}

// Put gives one element back. It must come from the same pool, through any of its caches.
//
// SPDK: spdk_mempool_put
func (c *Cache[T]) Put(e *T) {
	i, n := sys.SlabIndex(c.slab, e), len(c.free)
	if uint(i) >= uint(len(c.where)) || c.where[i] != out || n == cap(c.free) {
		c.putSlow(e)
		return
	}
	c.where[i] = uint32(n)
	c.free = c.free[:n+1]
	c.free[n] = e
}

//go:noinline
func (c *Cache[T]) putSlow(e *T) {
	n := len(c.free)
	if n == cap(c.free) {
		n = c.flush(n / 2)
	}
	c.check(e, n)
	c.free = c.free[:n+1]
	c.free[n] = e
}

// check panics unless e may be put, and marks it as being at place to of the stack.
func (c *Cache[T]) check(e *T, to int) {
	i := sys.SlabIndex(c.slab, e)
	if uint(i) >= uint(len(c.where)) {
		c.pool.foreignPut(e)
	}
	if at := c.where[i]; at != out {
		// Without a mark it is a double put, unless e may have been got in bulk.
		if at == pooled || !c.quick && !c.pool.untracked.Load() || uint(at) < uint(len(c.free)) && c.free[at] == e {
			c.pool.doublePut(i)
		}
	}
	c.where[i] = uint32(to)
}

// GetBulk fills dst with elements, all or nothing; what the cache lacks comes from the pool.
// It costs a quarter of a nanosecond for an element.
//
// SPDK: spdk_mempool_get_bulk
func (c *Cache[T]) GetBulk(dst []*T) bool {
	keep := len(c.free) - len(dst)
	if keep < 0 || !c.quick {
		return c.getBulkSlow(dst)
	}
	copy(dst, c.free[keep:])
	c.free = c.free[:keep]
	if len(dst) > 0 {
		c.where[sys.SlabPlace(c.slab, dst[0])] = out
	}
	return true
}

//go:noinline
func (c *Cache[T]) getBulkSlow(dst []*T) bool {
	n := len(c.free)
	if n < len(dst) {
		n = c.refill()
	}
	own := min(n, len(dst))
	if own < len(dst) && !c.pool.GetBulk(dst[own:]) {
		return false
	}
	copy(dst[:own], c.free[n-own:])
	c.free = c.free[:n-own]
	if c.pool.verify {
		for _, e := range dst[:own] {
			c.where[sys.SlabPlace(c.slab, e)] = out
		}
	} else {
		c.quick = true
		c.pool.untracked.Store(true)
	}
	return true
}

// PutBulk gives the elements of src back. It checks the first of them; see [Cache] about the
// others.
//
// SPDK: spdk_mempool_put_bulk
func (c *Cache[T]) PutBulk(src []*T) {
	n := len(c.free)
	if len(src) == 0 || cap(c.free)-n < len(src) || c.verify {
		c.putBulkSlow(src)
		return
	}
	c.check(src[0], n)
	c.free = c.free[:n+len(src)]
	copy(c.free[n:], src)
}

//go:noinline
func (c *Cache[T]) putBulkSlow(src []*T) {
	n := len(c.free)
	if cap(c.free)-n < len(src) {
		if n = c.flush(n / 2); cap(c.free)-n < len(src) {
			c.pool.PutBulk(src)
			return
		}
	}
	for k, e := range src {
		c.check(e, n+k)
	}
	c.free = append(c.free, src...)
}

// Close returns what the cache holds to the pool. The cache must not be used afterwards.
//
// SPDK: rte_mempool_cache_flush, inside spdk_mempool_free
func (c *Cache[T]) Close() { c.flush(len(c.free)) }

// refill takes half a cache from the pool and returns the number of elements held.
//
//go:noinline
func (c *Cache[T]) refill() int {
	n := len(c.free)
	p := c.pool
	p.lock.acquire()
	got := min((cap(c.free)-n+1)/2, len(p.free))
	top := len(p.free) - got
	c.free = c.free[:n+got]
	copy(c.free[n:], p.free[top:])
	p.free = p.free[:top]
	p.lock.release()
	for k, e := range c.free[n:] {
		c.where[sys.SlabIndex(c.slab, e)] = uint32(n + k)
	}
	return n + got
}

// flush gives n elements to the pool and returns the number still held.
//
//go:noinline
func (c *Cache[T]) flush(n int) int {
	keep := len(c.free) - n
	for _, e := range c.free[keep:] {
		i := c.pool.index(e)
		if c.where[i] == pooled {
			c.pool.doublePut(i)
		}
		c.where[i] = pooled
	}
	c.pool.push(c.free[keep:])
	c.free = c.free[:keep]
	return keep
}

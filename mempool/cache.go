package mempool

import "github.com/spdk-go/spdk-go/internal/sys"

// Cache is one thread's share of a [Pool]. Only its thread may use it. Get and Put cost no
// atomic operation; a batch is exchanged with the pool when the cache runs empty or full.
//
// SPDK: the per-lcore cache inside struct spdk_mempool, here explicit because a goroutine
// does not know its core.
type Cache[T any] struct {
	pool *Pool[T]
	slab []T      // pool.slab, one load nearer
	out  []bool   // pool.out
	free []uint32 // stack of indices; cap is the most the cache holds
}

// NewCache returns a cache of at most size elements of p, empty at first.
//
// SPDK: the cache_size of spdk_mempool_create
func (p *Pool[T]) NewCache(size int) *Cache[T] {
	size = max(2, min(size, len(p.slab)))
	return &Cache[T]{pool: p, slab: p.slab, out: p.out, free: make([]uint32, 0, size)}
}

// Get takes one element, nil when cache and pool are empty. SPDK: spdk_mempool_get
func (c *Cache[T]) Get() *T {
	n := len(c.free)
	if n == 0 {
		if n = c.refill(); n == 0 {
			return nil
		}
	}
	i := c.free[n-1]
	c.free = c.free[:n-1]
	c.out[i] = true
	return &c.slab[i]
}

// Put gives one element back. It must come from the same pool, through any of its caches.
//
// SPDK: spdk_mempool_put
func (c *Cache[T]) Put(e *T) {
	i := sys.SlabIndex(c.slab, e)
	if uint(i) >= uint(len(c.out)) || !c.out[i] {
		c.pool.badPut(e, i)
	}
	c.out[i] = false
	n := len(c.free)
	if n == cap(c.free) {
		n = c.flush(n / 2)
	}
	c.free = c.free[:n+1]
	c.free[n] = uint32(i)
}

// GetBulk fills dst with elements, all or nothing; what the cache lacks comes from the pool.
//
// SPDK: spdk_mempool_get_bulk
func (c *Cache[T]) GetBulk(dst []*T) bool {
	n := len(c.free)
	if n < len(dst) {
		n = c.refill()
	}
	own := min(n, len(dst))
	if own < len(dst) && !c.pool.GetBulk(dst[own:]) {
		return false
	}
	for k, i := range c.free[n-own:] {
		c.out[i] = true
		dst[k] = &c.slab[i]
	}
	c.free = c.free[:n-own]
	return true
}

// PutBulk gives the elements of src back. SPDK: spdk_mempool_put_bulk
func (c *Cache[T]) PutBulk(src []*T) {
	if len(c.free)+len(src) > cap(c.free) {
		c.flush(len(c.free) / 2)
	}
	if len(c.free)+len(src) > cap(c.free) {
		c.pool.PutBulk(src)
		return
	}
	for _, e := range src {
		c.free = append(c.free, c.pool.checkin(e))
	}
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
	got := c.pool.take(c.free[n : n+(cap(c.free)-n+1)/2])
	c.free = c.free[:n+got]
	return n + got
}

// flush gives n elements to the pool and returns the number still held.
//
//go:noinline
func (c *Cache[T]) flush(n int) int {
	keep := len(c.free) - n
	c.pool.give(c.free[keep:])
	c.free = c.free[:keep]
	return keep
}

package iobuf

import (
	"fmt"
	"slices"
	"syscall"

	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

const (
	// maxChannels is how many channels a thread can have. SPDK: IOBUF_MAX_CHANNELS
	maxChannels = 64
	// batch is how many buffers are moved at once between a cache and its pool.
	// SPDK: IOBUF_BATCH_SIZE
	batch = 32
)

// Channel is the access of a module to buffers on one thread. The zero value is ready for
// [Channel.Init]; it must not be copied after that. All methods must be called on its thread.
//
// SPDK: struct spdk_iobuf_channel
type Channel struct {
	t      *reactor.Thread
	module *module
	caches [classes]cache
	th     *thread
	ioch   *iochannel.Channel
}

// cache is a channel's buffers of one size.
type cache struct {
	free  []*buffer // stack; a put that fills it up to its capacity gives a batch back
	queue *queue
	pool  *pool
	size  int // as asked for; free may hold up to a batch more
	stats PoolStats
}

// Init opens a channel of a registered module on t, which keeps up to smallCache small and
// largeCache large buffers to itself, and for a while up to 32 more of each. It takes that
// many from the pools at once. ENODEV: there is no such module, or iobuf is not initialized;
// ENOMEM: there are not that many free buffers, or the thread has 64 channels already; EINVAL:
// a size is negative.
//
// SPDK: spdk_iobuf_channel_init, which says ENOMEM when iobuf is not initialized
func (ch *Channel) Init(t *reactor.Thread, moduleName string, smallCache, largeCache int) error {
	t.AssertCurrent()
	if ch.th != nil {
		panic(fmt.Sprintf("iobuf: Init of a channel that module %q uses on thread %q", ch.module.name, ch.t.Name()))
	}
	if smallCache < 0 || largeCache < 0 {
		return fmt.Errorf("iobuf: module %q: cache of %d small and %d large buffers: %w",
			moduleName, smallCache, largeCache, syscall.EINVAL)
	}
	io, mod, err := managerOf(t.Framework()).lookup(moduleName)
	if err != nil {
		return err
	}
	ioch := io.dev.Get(t)
	if ioch == nil {
		return fmt.Errorf("iobuf: module %q: iobuf is about to finish, or thread %q has exited: %w",
			moduleName, t.Name(), syscall.ENODEV)
	}
	th := iochannel.Ctx[thread](ioch)
	slot := slices.Index(th.channels[:], nil)
	if slot < 0 {
		ioch.Put()
		return fmt.Errorf("iobuf: module %q: thread %q has %d channels, more cannot be: %w",
			moduleName, t.Name(), maxChannels, syscall.ENOMEM)
	}
	th.channels[slot] = ch
	*ch = Channel{t: t, module: mod, th: th, ioch: ioch}
	sizes := [classes]int{small: smallCache, large: largeCache}
	for c := range ch.caches {
		ch.caches[c].init(&th.queues[c], sizes[c])
	}
	for c := range ch.caches {
		if err := ch.caches[c].populate(); err != nil {
			ch.Fini()
			return fmt.Errorf("iobuf: module %q on thread %q: %w", moduleName, t.Name(), err)
		}
	}
	for c := range ch.caches {
		if p := ch.caches[c].pool; p.waiting.Load() != 0 { // it did not know of these buffers
			p.reclaim(th)
		}
	}
	return nil
}

func (m *manager) lookup(name string) (*iobuf, *module, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := m.module(name)
	if i < 0 {
		return nil, nil, fmt.Errorf("iobuf: module %q is not registered: call RegisterModule first: %w",
			name, syscall.ENODEV)
	}
	if m.io == nil {
		return nil, nil, fmt.Errorf("iobuf: module %q: iobuf is not initialized: %w", name, syscall.ENODEV)
	}
	return m.io, m.modules[i], nil
}

func (c *cache) init(q *queue, size int) {
	c.queue, c.pool, c.size = q, q.pool, size
	c.stats.CacheSize = size
	c.free = make([]*buffer, 0, size+min(size, batch))
	c.pool.reserved.Add(int64(size))
}

// populate fills the cache.
func (c *cache) populate() error {
	n := c.pool.ring.Dequeue(c.free[:c.size])
	c.free = c.free[:n]
	if n < c.size {
		return fmt.Errorf("its cache wants %d %s buffers and there are %d: raise the pool's count, which is %d, "+
			"or lower the sizes of caches: %w", c.size, c.pool.class, n, len(c.pool.bufs), syscall.ENOMEM)
	}
	return nil
}

// Fini closes the channel and gives the buffers in its caches back. Those that it has got may
// still be put through other channels. None of its entries may wait: abort them first.
//
// SPDK: spdk_iobuf_channel_fini
func (ch *Channel) Fini() {
	if ch.th == nil {
		panic("iobuf: Fini of a channel that is not open")
	}
	ch.t.AssertCurrent()
	for c := range ch.caches {
		for e := ch.th.queues[c].head; e != nil; e = e.next {
			if e.ch == ch {
				panic(fmt.Sprintf("iobuf: Fini of a channel of module %q on thread %q with an entry that waits for %d bytes",
					ch.module.name, ch.t.Name(), e.n))
			}
		}
	}
	ch.th.channels[slices.Index(ch.th.channels[:], ch)] = nil
	m := ch.th.io.manager
	m.mu.Lock()
	for c := range ch.caches {
		ch.module.gone[c].addCounts(&ch.caches[c].stats)
	}
	m.mu.Unlock()
	for c := range ch.caches {
		ch.caches[c].fini()
	}
	ch.ioch.Put()
	*ch = Channel{}
}

func (c *cache) fini() {
	c.pool.addAll(c.free)
	c.pool.reserved.Add(-int64(c.size))
	c.pool.kick(c.queue.th.t, nil)
}

// Get returns a buffer of length n, at most LargeBufsize, whose capacity is that of its size. If
// there is none, it returns nil, and if e is not nil, the entry waits: cb will be called, unless
// the entry is aborted.
//
// SPDK: spdk_iobuf_get
func (ch *Channel) Get(n int, e *Entry, cb GetFunc) []byte {
	ch.t.AssertCurrent()
	c := &ch.caches[small]
	if uint(n) > uint(c.pool.size) {
		if c = &ch.caches[large]; uint(n) > uint(c.pool.size) {
			ch.badLength(n)
		}
	}
	k := len(c.free) - 1
	if k < 0 {
		return ch.getSlow(c, n, e, cb)
	}
	b := c.free[k]
	c.free = c.free[:k]
	c.stats.Cache++
	b.owner = ch.module
	return b.data[:n]
}

//go:noinline
func (ch *Channel) badLength(n int) {
	panic(fmt.Sprintf("iobuf: module %q gets %d bytes, the largest buffer is of %d",
		ch.module.name, n, ch.caches[large].pool.size))
}

//go:noinline
func (ch *Channel) getSlow(c *cache, n int, e *Entry, cb GetFunc) []byte {
	if e != nil && e.q != nil {
		panic(fmt.Sprintf("iobuf: module %q gets %d bytes with an entry that waits for %d already", ch.module.name, n, e.n))
	}
	// Where entries wait, here or elsewhere, what is in the pool is for them.
	if c.pool.waiting.Load() == 0 {
		if b := c.refill(); b != nil {
			c.stats.Main++
			b.owner = ch.module
			return b.data[:n]
		}
	}
	if e == nil {
		return nil
	}
	if e.ch == nil || e.ch.th != ch.th {
		e.walk = 0
	}
	e.ch, e.cb, e.n = ch, cb, n
	c.stats.Retry++
	c.queue.wait(e)
	return nil
}

// refill moves a batch to the empty cache and returns one buffer more, nil if there is none.
func (c *cache) refill() *buffer {
	if c.size == 0 {
		return c.pool.take()
	}
	k := c.pool.ring.Dequeue(c.free[:min(batch, c.size)]) - 1
	if k < 0 {
		return nil
	}
	b := c.free[:k+1][k]
	c.free = c.free[:k]
	return b
}

// Put gives back a buffer, whatever its length is now: an entry that waits gets it, before Put
// returns if it waits on this thread, or else the channel's cache or the pool. A buffer that is
// free already, or does not start where a buffer starts, panics.
//
// SPDK: spdk_iobuf_put, which has to be told the length
func (ch *Channel) Put(buf []byte) {
	ch.t.AssertCurrent()
	c := &ch.caches[small]
	i := c.pool.arena.Index(buf)
	if i < 0 {
		c = &ch.caches[large]
		if i = c.pool.arena.Index(buf); i < 0 {
			ch.foreignPut(buf)
		}
	}
	b := &c.pool.bufs[i]
	if b.owner == nil {
		ch.doublePut(c.pool, i)
	}
	b.owner = nil
	n := len(c.free)
	if n+1 >= cap(c.free) || c.queue.head != nil || c.pool.waiting.Load() != 0 {
		c.putSlow(b)
		return
	}
	c.free = c.free[:n+1]
	c.free[n] = b
}

//go:noinline
func (ch *Channel) foreignPut(buf []byte) {
	panic(fmt.Sprintf("iobuf: module %q puts %d bytes at %p, which are no buffer, or do not begin where it does",
		ch.module.name, len(buf), buf))
}

//go:noinline
func (ch *Channel) doublePut(p *pool, i int) {
	panic(fmt.Sprintf("iobuf: module %q puts %s buffer %d, which is free", ch.module.name, p.class, i))
}

//go:noinline
func (c *cache) putSlow(b *buffer) {
	t := c.queue.th.t
	switch {
	case c.queue.head != nil:
		c.queue.put(b)
	case c.size == 0 || c.pool.waiting.Load() != 0:
		c.pool.add(b)
		c.pool.kick(t, nil)
	default:
		c.push(b)
	}
}

// push adds b to the cache, and gives a batch back if that fills it up.
func (c *cache) push(b *buffer) {
	c.free = append(c.free, b)
	if len(c.free) == cap(c.free) {
		keep := len(c.free) - min(batch, c.size)
		c.pool.addAll(c.free[keep:])
		c.free = c.free[:keep]
		c.pool.kick(c.queue.th.t, nil)
	}
}

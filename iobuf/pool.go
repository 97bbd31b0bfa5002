package iobuf

import (
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"

	"github.com/spdk-go/spdk-go/mempool"
)

// buffer is what is known of one buffer. It has a cache line of its own, since it changes
// whenever the buffer is got or put, wherever that is.
type buffer struct {
	data  []byte
	owner *module // who has got it; nil if it is free
	next  *buffer // in queue.pending
	_     [24]byte
}

// pool is the buffers of one size.
type pool struct {
	// These do not change, or only when threads begin or end to wait.
	io      *iobuf
	class   class
	size    int // of a buffer
	arena   *mempool.Arena
	bufs    []buffer
	ring    *mempool.Ring[*buffer] // those that are free and in no cache
	waiting atomic.Int32           // number of threads where entries wait

	_        [64]byte
	turn     atomic.Uint32 // where the search for a waiting thread goes on
	reserved atomic.Int64  // the sum of the sizes of all caches
}

func newPool(io *iobuf, c class, count, size int) (*pool, error) {
	arena, err := mempool.NewArena(count, size)
	if err != nil {
		if errors.Is(err, syscall.ENOMEM) {
			err = fmt.Errorf("ask for fewer or smaller buffers: %w", err)
		}
		return nil, fmt.Errorf("iobuf: %s buffers: %w", c, err)
	}
	p := &pool{io: io, class: c, size: size, arena: arena, bufs: make([]buffer, count)}
	if p.ring, err = mempool.NewRing[*buffer](mempool.RingMPMC, count); err != nil {
		return nil, errors.Join(err, arena.Close())
	}
	for i := range p.bufs {
		p.bufs[i].data = arena.Buf(i)
		p.add(&p.bufs[i])
	}
	return p, nil
}

// take takes a free buffer, nil if there is none.
func (p *pool) take() *buffer {
	var one [1]*buffer
	p.ring.Dequeue(one[:])
	return one[0]
}

func (p *pool) add(b *buffer) { p.addAll([]*buffer{b}) }

// addAll adds free buffers. Whoever is not sure that nobody waits calls kick afterwards.
func (p *pool) addAll(bufs []*buffer) {
	if !p.ring.Enqueue(bufs) {
		panic(fmt.Sprintf("iobuf: %d buffers were added to the %d of %d %s ones",
			len(bufs), p.ring.Count(), p.ring.Size(), p.class))
	}
}

package mempool

import (
	"fmt"
	"sync/atomic"
	"syscall"
)

// RingType says how many goroutines may use the two sides of a [Ring] at the same time.
//
// SPDK: enum spdk_ring_type
type RingType uint8

// Types of rings: single or multi producer, single or multi consumer.
//
// SPDK: SPDK_RING_TYPE_SP_SC, SPDK_RING_TYPE_MP_SC, SPDK_RING_TYPE_MP_MC
const (
	RingSPSC RingType = iota + 1
	RingMPSC
	RingMPMC
)

// Ring is a bounded queue of values, moved in bursts: first in, first out, and what one call
// enqueues stays together. Where the [RingType] allows several users of a side, they take
// turns; the two sides never wait for each other. For single messages between threads there
// is [MPSC], which does without turns.
//
// SPDK: struct spdk_ring, with values instead of pointers
type Ring[T any] struct {
	typ   RingType
	slots []T

	_    [64]byte
	prod ringSide
	cons ringSide
}

// ringSide is what the users of one side share; their lock, where there can be several,
// guards all of it but pos, which the other side reads.
type ringSide struct {
	pos  atomic.Uint64 // values that have passed this side
	seen uint64        // pos of the other side, when last looked at
	next int           // the slot of pos
	lock spinLock
	_    [100]byte // the two sides do not share a cache line, nor a pair that is fetched together
}

// NewRing returns an empty ring for exactly count values, which need not be a power of two.
// A count below 1 or an unknown type is EINVAL. The garbage collector frees it.
//
// SPDK: spdk_ring_create, spdk_ring_free
func NewRing[T any](typ RingType, count int) (*Ring[T], error) {
	if typ < RingSPSC || typ > RingMPMC {
		return nil, fmt.Errorf("mempool: ring of unknown type %d: %w", typ, syscall.EINVAL)
	}
	if count < 1 {
		return nil, fmt.Errorf("mempool: ring for %d values, it must be for 1 or more: %w", count, syscall.EINVAL)
	}
	return &Ring[T]{typ: typ, slots: make([]T, count)}, nil
}

// Size returns how many values the ring can hold. Not in SPDK: there the creator remembers
// it.
func (r *Ring[T]) Size() int { return len(r.slots) }

// Count returns the number of values in the ring, approximate while others use it.
//
// SPDK: spdk_ring_count
func (r *Ring[T]) Count() int {
	head := r.cons.pos.Load()
	return min(int(r.prod.pos.Load()-head), len(r.slots))
}

// Enqueue appends all of src, or none of it and reports false when there is no room for
// all. Any producer.
//
// SPDK: spdk_ring_enqueue; for its free_space see Size and Count.
func (r *Ring[T]) Enqueue(src []T) bool {
	p := &r.prod
	if r.typ != RingSPSC {
		p.lock.acquire()
	}
	pos := p.pos.Load()
	ok := r.room(pos) >= len(src)
	if !ok {
		p.seen = r.cons.pos.Load()
		ok = r.room(pos) >= len(src)
	}
	if ok {
		n := copy(r.slots[p.next:], src)
		p.next += n
		if p.next == len(r.slots) {
			p.next = copy(r.slots, src[n:])
		}
		p.pos.Store(pos + uint64(len(src)))
	}
	if r.typ != RingSPSC {
		p.lock.release()
	}
	return ok
}

// room returns how many slots are free as far as the producers know; pos is theirs.
func (r *Ring[T]) room(pos uint64) int { return len(r.slots) - int(pos-r.prod.seen) }

// Dequeue takes the oldest values, as many as there are up to len(dst), and returns how
// many. Any consumer.
//
// SPDK: spdk_ring_dequeue
func (r *Ring[T]) Dequeue(dst []T) int {
	c := &r.cons
	if r.typ == RingMPMC {
		c.lock.acquire()
	}
	pos := c.pos.Load()
	if int(c.seen-pos) < len(dst) {
		c.seen = r.prod.pos.Load()
	}
	dst = dst[:min(int(c.seen-pos), len(dst))]
	if len(dst) > 0 {
		n := copy(dst, r.slots[c.next:])
		clear(r.slots[c.next : c.next+n]) // what they point to must not live until the ring comes round
		c.next += n
		if c.next == len(r.slots) {
			c.next = copy(dst[n:], r.slots)
			clear(r.slots[:c.next])
		}
		c.pos.Store(pos + uint64(len(dst)))
	}
	if r.typ == RingMPMC {
		c.lock.release()
	}
	return len(dst)
}

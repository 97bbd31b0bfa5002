package mempool

import (
	"fmt"
	"sync/atomic"
)

// PushResult says what became of a [MPSC.Push].
//
// Not in SPDK: spdk_ring_enqueue returns a count.
type PushResult uint8

// Results of a push. SPDK: spdk_ring_enqueue returns the number enqueued.
const (
	Pushed PushResult = iota
	Full              // the ring holds as many values as it can; try again later
	Closed            // the owner has closed the ring; it takes no more values
)

const closedBit = 1 << 63

// MPSC is a bounded ring of values: any number of goroutines push, one owner pops. Values
// of one pusher come out in the order they went in.
//
// SPDK: struct spdk_ring of type SPDK_RING_TYPE_MP_SC, with values instead of pointers and
// with a close.
type MPSC[T any] struct {
	slots []mpscSlot[T]
	mask  uint64

	_ [64]byte
	// tail counts reservations; pushers CAS it. The top bit is set by Close.
	tail atomic.Uint64
	// headSeen is what pushers last saw of head, so that they share head's cache line
	// with the owner only when the ring looks full.
	headSeen atomic.Uint64
	_        [48]byte
	// head counts the values popped and released; the owner stores it once per batch.
	head atomic.Uint64
	_    [56]byte
	next uint64 // owner's: next position to pop, ahead of head within a batch
}

type mpscSlot[T any] struct {
	seq atomic.Uint64 // position+1 once the value is there
	val T
}

// Init makes q an empty ring of size values, a power of two.
//
// SPDK: spdk_ring_create
func (q *MPSC[T]) Init(size int) {
	if size < 2 || size&(size-1) != 0 {
		panic(fmt.Sprintf("mempool: ring size %d is not a power of two of at least 2", size))
	}
	q.slots = make([]mpscSlot[T], size)
	q.mask = uint64(size - 1)
}

// Push appends v. Any goroutine. SPDK: spdk_ring_enqueue
func (q *MPSC[T]) Push(v T) PushResult {
	for {
		tail := q.tail.Load()
		if tail&closedBit != 0 {
			return Closed
		}
		// Both may have passed tail meanwhile: then the difference is negative and the CAS fails.
		if int64(tail-q.headSeen.Load()) > int64(q.mask) {
			head := q.head.Load()
			q.headSeen.Store(head)
			if int64(tail-head) > int64(q.mask) {
				return Full
			}
		}
		if q.tail.CompareAndSwap(tail, tail+1) {
			s := &q.slots[tail&q.mask]
			s.val = v
			s.seq.Store(tail + 1)
			return Pushed
		}
	}
}

// Pop takes the oldest value into v. Owner only. The slot is not reusable before the next
// [MPSC.Release]. SPDK: spdk_ring_dequeue
func (q *MPSC[T]) Pop(v *T) bool {
	s := &q.slots[q.next&q.mask]
	if s.seq.Load() != q.next+1 {
		return false
	}
	*v = s.val
	q.next++
	return true
}

// Release gives the slots popped so far back to the pushers. Owner only; once per batch, after
// the values have been used: it writes to cache lines that the pushers have, and whoever
// answers a value first does not wait for that.
//
// Not in SPDK: spdk_ring_dequeue releases what it copied out.
func (q *MPSC[T]) Release() {
	head := q.head.Load()
	if head == q.next {
		return
	}
	var zero T
	for ; head != q.next; head++ {
		q.slots[head&q.mask].val = zero // what it points to must not live until the ring comes round
	}
	q.head.Store(head)
}

// Ready reports whether Pop would find a value. Owner only. Not in SPDK: it counts.
func (q *MPSC[T]) Ready() bool { return q.slots[q.next&q.mask].seq.Load() == q.next+1 }

// At returns the value that Pop would return after i others, and whether it is there yet. Owner
// only. Not in SPDK.
func (q *MPSC[T]) At(i int) (v T, ok bool) {
	pos := q.next + uint64(i)
	s := &q.slots[pos&q.mask]
	if s.seq.Load() != pos+1 {
		return v, false
	}
	return s.val, true
}

// Empty reports whether every push that began has been popped. Owner only.
//
// SPDK: spdk_ring_count == 0
func (q *MPSC[T]) Empty() bool { return q.tail.Load()&^closedBit == q.next }

// Count returns the number of values in the ring, approximate while others push.
//
// SPDK: spdk_ring_count
func (q *MPSC[T]) Count() int { return int(q.tail.Load()&^closedBit - q.head.Load()) }

// Popped returns how many values have been popped ever. Owner only. Not in SPDK.
func (q *MPSC[T]) Popped() uint64 { return q.next }

// Close makes further pushes fail with [Closed], if the ring is empty; otherwise it
// reports false and changes nothing. Owner only. Not in SPDK, where a message to an exited
// thread aborts the process.
func (q *MPSC[T]) Close() bool { return q.tail.CompareAndSwap(q.next, q.next|closedBit) }

// Shut makes further pushes fail with [Closed] even if the ring is not empty: what is in it
// can still be popped, until [MPSC.Empty] reports true. Owner only. Not in SPDK.
func (q *MPSC[T]) Shut() { q.tail.Or(closedBit) }

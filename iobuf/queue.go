package iobuf

import (
	"sync/atomic"

	"github.com/spdk-go/spdk-go/reactor"
)

// fairness is how many buffers a thread keeps to its own entries in a row while entries wait
// on other threads.
const fairness = 8

// thread is what a thread has of iobuf.
type thread struct {
	t        *reactor.Thread
	io       *iobuf
	queues   [classes]queue
	channels [maxChannels]*Channel
	walks    uint64 // that ForEachEntry has made
}

func (th *thread) init(io *iobuf, t *reactor.Thread) {
	th.t, th.io = t, io
	for c := range th.queues {
		th.queues[c].th, th.queues[c].pool = th, io.pools[c]
	}
}

// queue is the entries that wait on one thread for buffers of one size. Other threads touch
// only the atomic fields.
type queue struct {
	th         *thread
	pool       *pool
	head, tail *Entry
	version    uint64  // changes with the list
	giving     *Entry  // whose callback is on the stack
	pending    *buffer // put from inside that callback
	streak     int     // buffers kept in a row, see fairness

	_       [64]byte
	waits   atomic.Bool // head is not nil
	claimed atomic.Bool // a serve is on its way
	asked   atomic.Bool // a giveBack is on its way
	_       [52]byte
}

// push appends e, or puts it first if it is asked for again from inside its own callback.
func (q *queue) push(e *Entry) {
	e.q = q
	switch {
	case q.head == nil:
		q.head, q.tail = e, e
	case e == q.giving:
		e.next, q.head.prev, q.head = q.head, e, e
	default:
		e.prev, q.tail.next, q.tail = q.tail, e, e
	}
	q.version++
}

func (q *queue) remove(e *Entry) {
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		q.head = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	} else {
		q.tail = e.prev
	}
	e.q, e.prev, e.next = nil, nil, nil
	q.version++
}

// wait adds e.
func (q *queue) wait(e *Entry) {
	first := q.head == nil
	q.push(e)
	if !first {
		return
	}
	q.waits.Store(true)
	if q.pool.waiting.Add(1) == 1 {
		q.pool.reclaim(q.th)
	}
	// A buffer may have been added after the pool was found empty, by one who did not know yet
	// that this thread waits.
	if q.pool.ring.Count() > 0 {
		q.pool.kick(q.th.t, nil)
	}
}

// leave removes e.
func (q *queue) leave(e *Entry) {
	if q.remove(e); q.head == nil {
		q.endWait()
	}
}

func (q *queue) endWait() {
	if q.waits.CompareAndSwap(true, false) {
		q.pool.waiting.Add(-1)
	}
}

// give serves the first entry with b; there is one. What its callback puts serves the next ones,
// after it has returned, so that the stack does not grow with the queue.
func (q *queue) give(b *buffer) {
	if q.giving != nil {
		b.next, q.pending = q.pending, b
		return
	}
	for b != nil {
		if e := q.head; e != nil {
			q.leave(e)
			b.owner = e.ch.module
			q.giving = e
			e.cb(e, b.data[:e.n])
			q.giving = nil // the entry may be another thread's by now
		} else {
			q.pool.add(b)
			q.pool.kick(q.th.t, nil)
		}
		if b = q.pending; b != nil {
			q.pending, b.next = b.next, nil
		}
	}
}

// put takes b, which is free and for which this thread has an entry that waits.
func (q *queue) put(b *buffer) {
	if q.pool.waiting.Load() > 1 {
		if q.streak++; q.streak > fairness {
			q.streak = 0
			q.pool.add(b)
			q.pool.kick(q.th.t, q)
			return
		}
	}
	q.give(b)
}

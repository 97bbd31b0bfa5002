package mempool

// FIFO is a queue of values for one owner, without atomics. It grows by doubling and keeps
// what it grew to. The zero value is an empty queue.
//
// Not in SPDK, whose single-threaded queues are intrusive TAILQs.
type FIFO[T any] struct {
	buf  []T // a power of two long
	head uint
	tail uint
}

// Len returns the number of values queued. Not in SPDK.
func (f *FIFO[T]) Len() int { return int(f.tail - f.head) }

// Push appends v. Not in SPDK.
func (f *FIFO[T]) Push(v T) {
	if f.tail-f.head == uint(len(f.buf)) {
		f.grow()
	}
	f.buf[f.tail&uint(len(f.buf)-1)] = v
	f.tail++
}

// Add appends a zero value and returns its place, for the caller to fill in field by field
// before anything else happens to the queue. With values of several words that is a lot cheaper
// than Push and Pop: those copy in pieces larger than the words that have just been written, and
// the CPU has to wait then until its stores have reached the cache.
//
// Not in SPDK.
func (f *FIFO[T]) Add() *T {
	if f.tail-f.head == uint(len(f.buf)) {
		f.grow()
	}
	p := &f.buf[f.tail&uint(len(f.buf)-1)]
	f.tail++
	return p
}

// Front returns the place of the oldest value; the queue must not be empty. Not in SPDK.
func (f *FIFO[T]) Front() *T { return &f.buf[f.head&uint(len(f.buf)-1)] }

// Drop takes off the oldest value, whose place [FIFO.Front] has just returned. Not in SPDK.
func (f *FIFO[T]) Drop(front *T) {
	var zero T
	*front = zero
	f.head++
}

// Taken returns how many values have been taken off ever. Not in SPDK.
func (f *FIFO[T]) Taken() uint64 { return uint64(f.head) }

// At returns the value that Pop would return after i others. Not in SPDK.
func (f *FIFO[T]) At(i int) T { return f.buf[(f.head+uint(i))&uint(len(f.buf)-1)] }

// Pop takes the oldest value; the queue must not be empty. Not in SPDK.
func (f *FIFO[T]) Pop() T {
	p := &f.buf[f.head&uint(len(f.buf)-1)]
	v := *p
	var zero T
	*p = zero
	f.head++
	return v
}

//go:noinline
func (f *FIFO[T]) grow() {
	buf := make([]T, max(16, 2*len(f.buf)))
	for i := f.head; i != f.tail; i++ {
		buf[i&uint(len(buf)-1)] = f.buf[i&uint(len(f.buf)-1)]
	}
	f.buf = buf
}

// Package mempool holds the bounded containers of the core: pools of preallocated objects
// with a cache per thread, rings, and the queue that carries messages between threads.
//
// Nothing here blocks and nothing allocates after construction. What is exhausted says so
// (nil, false, [Full]) and leaves it to the caller to wait or to refuse.
//
// A [Pool] is one slab of T. Elements travel as *T, so their identity is stable; a put of
// a foreign or already free element is a programming error and panics with its index. A
// [Cache] belongs to one thread: it serves get and put without atomics and exchanges half
// of itself with the pool when it runs empty or full. Bulk operations through a cache are a
// copy, and so find a bad put later; see there. A [Slab] is a pool for one thread, which also
// tells what it has given out; a [Set] tells that of some elements of a Pool.
//
// An [MPSC] is a bounded ring of values: any goroutine pushes, one owner pops. It can be
// closed when empty, after which a push reports [Closed]: that is how a thread exits
// without losing a message. A [Ring] is for bursts of values and, if it is made for that,
// any number of goroutines on both sides.
//
// An [Arena] is memory outside of the Go heap, cut into buffers. It is the one thing here
// that has to be closed.
package mempool

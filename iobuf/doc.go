// Package iobuf lends data buffers of two sizes, small and large, to the modules of a
// framework: SPDK's spdk_iobuf.
//
// [Initialize] sets up the two pools of a [reactor.Framework], in memory that is mapped for
// that and aligned to pages. A module has itself registered by name and opens a [Channel] on
// each thread that needs buffers; the channel keeps some of each size to itself. [Channel.Get]
// takes a buffer from there, or else from the pool, or else lets an [Entry] wait: it gets a
// buffer by callback as soon as one is put. [Channel.Put] gives a buffer back, through any
// channel of the framework.
//
// # Who gets a buffer
//
// Entries that wait on one thread for one size are served in the order in which they came,
// whichever modules they belong to, with one exception: what is asked for again from inside
// the callback of an entry, with the same entry, goes first. As long as entries wait, what is
// put goes to them and not to a cache.
//
// In SPDK only a put on the same thread serves a waiting entry, and so it waits forever when
// the buffers are put elsewhere. Here a put on any thread does:
//   - A thread that puts a buffer serves its own entries first. If it has none, or has been the
//     one to be served eight times in a row, and other threads have, the buffer goes to the pool
//     and a message to one of these, in turn.
//   - While entries wait on any thread, nobody takes a buffer out of the pool without waiting,
//     except to serve an entry. What a channel has in its cache it may use up.
//   - When the first entry begins to wait, all channels give back what they hold beyond the
//     size of their cache. If the sizes of all caches add up to the whole pool, so that all that
//     is free might be in caches that nobody puts to, they give back everything.
//
// Hence nobody waits unless another has a buffer, and nobody waits forever if all buffers
// are put in the end.
//
// # Rules
//
// Everything is called on the thread that it is about; callbacks come on the thread of the
// channel. Get and Put from and to a cache touch memory of the thread only, but for one word
// per pool that changes when threads begin or end to wait. They do not allocate.
//
// Control calls return an error that wraps a [syscall.Errno]. A put of what is not a buffer, or
// has been put already, is a programming error and panics.
//
// There is one pool for all NUMA nodes; SPDK's enable_numa has no counterpart.
package iobuf

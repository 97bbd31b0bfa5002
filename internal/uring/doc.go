// Package uring is io_uring without cgo, in two layers. A [Ring] is the kernel's queues and nothing else: entries are
// prepared in place ([SQE.PrepRead] and so on), submitted in batches, and completions are read from memory. A [Queue]
// runs operations on a ring, each with a callback: it waits for room, finishes short reads and writes, cancels. Linux
// 5.19 or newer is needed, and [Open] says so, or what else stands in the way.
//
// The structures and constants are those of include/uapi/linux/io_uring.h, up to Linux 6.18 and a little beyond.
// Constants keep the kernel's names and are untyped; structures carry Go names without the io_uring_ prefix.
//
// # Threads
//
// A ring, its queue and its tables belong to one thread at a time and take no locks. With IORING_SETUP_SINGLE_ISSUER,
// which IORING_SETUP_DEFER_TASKRUN needs, the kernel holds a ring to the operating system's thread that called [Open],
// or with IORING_SETUP_R_DISABLED [Ring.Enable], and refuses others with EEXIST: such a ring wants a goroutine that is
// locked to its thread, as a reactor's is. Without these flags a ring may move between threads, but what a
// thread submitted fails with ECANCELED once that thread has ended.
//
// Other threads reach the owner by IORING_OP_MSG_RING from a ring of their own, or by whatever the reactor offers.
//
// # Sleeping
//
// Only [Ring.Wait], [Ring.WaitRoom], [Ring.SyncCancel], [Queue.Wait] and [Queue.Close] wait. Who sleeps elsewhere waits
// for [Ring.WakeFd] to be readable, having submitted everything before ([Queue.Flush]) and seen that [Queue.Busy] is
// false.
//
// # The life of an operation
//
// [Queue.Get] takes a slot of the queue's table. The caller fills the entry in it and calls [Queue.Start]; the entry is
// copied to the ring, now or, in order, when there is room, and submitted by the next [Queue.Poll] or [Queue.Flush].
// The user data that the kernel carries is a [Handle], slot and generation, never a pointer: a completion that is late,
// doubled or invented stands for nothing, is counted, and touches nobody. A transfer that moved a part is submitted
// again for the rest, one that was interrupted as well, and one that found a non-blocking descriptor empty after that
// is ready. At last the slot is given back, and then the callback runs, from Poll and with nothing of the queue held,
// so that it may start others. [Queue.Cancel] shortens this, it does not skip anything: who started an operation is
// called back once. What the kernel does not find to cancel it is asked for again, until it completes.
//
// # Memory
//
// The kernel gets addresses as numbers, which keep nothing reachable and do not follow what moves.
//
//   - Nothing moves: objects of the Go heap do not, and stacks, which do, hold nothing that a Prep method was given,
//     since these make it escape to the heap.
//   - Data, names, structures: the caller keeps them reachable until the completion. A Queue keeps the ctx of an
//     operation, and the buffers of a transfer, in its slot; so what is in ctx, or reachable from it, is safe.
//   - Arrays of iovecs are in the slot. (The kernel copies them, names and times at submission, but may be short of
//     room for that, and a queue submits later.)
//   - Registered and provided buffers are kept by the ring and the group that they were given to.
//   - Operations in flight survive [Ring.Close] for a moment; [Queue.Close] waits for them, or keeps their memory.
//
// # Cost
//
// A call of the kernel costs about what pread(2) does, and carries a batch: at depth 1 a cached read costs more than
// pread, at depth 32 about a third of it, and less still with registered files and buffers. What
// cannot be tried without blocking goes to a worker of the kernel and costs 5 to 50 microseconds: names and attributes,
// fallocate, most buffered writes, and every read on a file system such as tmpfs; see [ReadsInline]. Opcodes that a
// kernel lacks ([Ring.Missing]) and what is cheaper done otherwise belong to a pool of workers, which is not here.
//
// # Errors
//
// What has to do with operations returns syscall.Errno, positive, 0 for success; the control plane returns errors that
// wrap the errno and say what the operator can do. Wrong use panics.
package uring

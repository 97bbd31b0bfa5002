// Package locks keeps advisory locks on files between the clients of a file system: those of flock(2), on a whole file
// and for an open file, and those of fcntl(2), on bytes and for a process. The two kinds know nothing of each other.
//
// A module has one [Device] for a file system, a [Client] for each of its clients, a [Handle] in each open file and
// a [File] in each file; and a [Lane] for each thread that works on them.
//
// # Waiting
//
// Nothing here blocks. A request that has to wait is [Waits], and is named by [Lane.TakeWoken] of whatever lane ends
// the wait: its own or another's. The module completes it then, on the thread that it belongs to. If very many wait
// for one lock they get it bit by bit, see [Lane.GrantMore].
//
// A request that can be granted is, even when others wait, as in Linux: a program that holds one shared lock can get
// another. Those that wait are served in the order of their coming. An owner of byte ranges that would wait for itself
// is refused (EDEADLK), in circles of any length and through any number of files.
//
// # Ends
//
// An flock(2) lock ends with the handle through which it was had, or with its client. Byte-range locks end with
// [Lane.Flush] of their owner, with the handle through which the owner locked last, or with its client.
//
// # Limits
//
// A file has [MaxHolders] flock(2) locks and [MaxRanges] byte-range locks at most, since a request looks at all of
// them; a device has as many locks and waiting requests as it is told: ENOLCK. What lanes keep back of the former for
// themselves, so as not to meet at one counter, is no more than half of it.
//
// # Concurrency
//
// Each file's table has a [sys.Spin], which is held for a walk over its locks or a part of its waiters, and under which
// nothing is allocated. A client's and that of the graph of who waits for whom come after it; no other is taken
// meanwhile. A lane is used by one thread at a time, everything else by any number.
package locks

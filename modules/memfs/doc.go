// Package memfs is a POSIX file system in memory, as an fsdev module: what tmpfs is to a kernel. SPDK
// has none. Unlike in its aio module one inode is one object, whatever its names are; objects and handles
// are checked, not trusted; and nothing blocks.
//
// [Create] makes a file system and registers it, [Delete] removes it. Any number of threads may use it
// at once, each through its own channel, and any number of clients (descriptors).
//
// # Structure
//
//   - The operations are methods of lane, what a thread needs to work on a file system. They take plain
//     arguments and know nothing of reactors. channel wraps a lane for fsdev.
//   - An inode lives while something refers to it: its names (together one reference), the clients'
//     lookups, open handles, requests that wait for a lock. Objects and handles are slots with a
//     generation ([fsdev.HandleTable]): a stale or invented object is ESTALE, such a handle, or one of
//     another file or client, EBADF.
//   - A directory is a map from names to entries and a list of the entries in the order in which they
//     were made, in chunks. An entry's sequence number is its cookie for READDIR. It never changes and is
//     never used again, so reading goes on where it stopped whatever is made or removed meanwhile.
//     Finding, adding and removing an entry take logarithmic time at most.
//   - File data is in pages of 4 KiB of an arena, which is mapped memory outside the Go heap. An inode
//     maps each 2 MiB of a file by a leaf of page numbers; where there is none there is a hole, which
//     reads as zeros and costs nothing. Space allocated by FALLOCATE is charged at once but gets memory
//     when it is written. A page that is exposed for the first time is zero wherever it was not just
//     written: it is either new from the kernel, or cleared.
//   - Lanes allocate from groups of 512 pages which they own one at a time, so they do not meet; pages
//     next to each other in a file are mostly next to each other in memory and are copied in one go.
//     Freed pages are used again first; whatever exceeds 64 MiB of free memory goes back to the system,
//     a few groups of 2 MiB every 10 ms.
//   - The locks of flock(2) and fcntl(2) are package internal/locks', in a table per file. Who has to wait is
//     answered later, from whatever thread ends the wait, on the thread of the request. If very many wait for
//     one lock they get it bit by bit, in several rounds of the thread that ended it.
//
// # Locks
//
// A reactor must not wait, so nothing here does. There are three kinds of locks:
//
//   - Every inode has a readers/writer lock that is only ever tried (tryLock). An operation that fails to
//     get all the locks it needs lets go of those it has, and has changed nothing; the channel tries a few
//     times more and then puts the operation off to its thread's next round. So there are no deadlocks
//     whatever the order is. To avoid getting in each other's way again and again, locks that are known
//     in advance are taken in the order of inode numbers, and a file that is found through a directory
//     after it. A writer who failed turns new readers away until they come the second time.
//   - fileSystem.renameLk is tried in the same way after the directories of a rename, by those that give
//     a directory another parent. Who has it can walk from any locked directory up to the root: the way
//     stays as it is. That keeps directories from being moved below themselves.
//   - Spin locks guard lists that have no failing path: a client's handles, a file's lock table, the
//     files without names. They are held for a few pointer writes (a lock table: see internal/locks). None of
//     them is taken while another is held, and no other lock either.
//
// Reference counts, the lookups of an inode (a word for each client), the counts of pages and inodes and the bits
// of the arena are atomic. An inode whose count drops to zero is declared dead in its lock word: nobody locks it any
// more (ESTALE), and the last to unlock it frees it.
//
// # Clients
//
// A handle belongs to the client that opened it and is closed when the client unmounts, its locks with
// it. Lookups are counted for each client, and end with it, too: nobody can forget another's. MOUNT offers
// the client to work without OPEN: then every operation on data is given the object alone, as it is when
// Handle is zero. A client must not use a descriptor concurrently with its UMOUNT.
//
// Objects are those of the file system, so clients that share it can guess each other's, and use them as far as
// their own kernels let them. Who must not trust the others needs a file system of its own.
//
// An owner of byte-range locks (fcntl(2)) is a client's, and known by the number that the client gives it. Its
// locks on a file end with a FLUSH that names it, with the handle through which it locked last, or with the
// client. MOUNT says that nothing needs to be synced, but a client that has its byte-range locks kept here has
// to send FLUSH all the same.
//
// O_APPEND is obeyed by the flags of each WRITE (or those of the handle if a WRITE has none) unless the
// client caches writes, in which case it has found the place itself. A client with a page cache that does
// not cache writes may still write back mapped pages through a handle opened with O_APPEND; it must pass
// flags other than zero and without O_APPEND for those.
//
// Permissions are the client's business, as are the mode bits that chmod and write drop. The server drops
// set-id bits and file capabilities when the owner changes. What is made in a set-group-ID directory gets its
// group, and programs keep their set-group-ID bit if the creator (UID, GID, and Group of [fsdev.Creator]) is
// root or in that group. A umask that the client leaves to the server is applied. There are no ACLs.
//
// # Limits
//
//   - [Opts].Size bounds the pages: file data, extended attributes (whole pages per file) and symbolic link
//     targets of 128 bytes and more. ENOSPC is exact, and a write that does not fit is short first.
//     [Opts].Inodes bounds the files and the second and further names of files. Inodes, names and the
//     maps of files are on the Go heap beyond Size (BenchmarkMemory): 430 bytes for an empty file or directory
//     with a name of 13, 16 for each further client that knows it, 4 bytes for each page of data, and 2 KiB per
//     leaf of 2 MiB, which matters only for files of scattered single pages. A byte of data takes a byte, in
//     pages of 4 KiB.
//   - Names have 255 bytes at most, link targets 4095, files 2^63-1 bytes, extended attributes 255 bytes of
//     name, 64 KiB of value and 64 KiB of names per file. Their name spaces are user, trusted and
//     security; system, that is ACLs, is EOPNOTSUPP.
//   - A file has 4096 flock(2) locks and 4096 byte-range locks at most, all files together [Opts].Locks of both,
//     and [Opts].LockWaiters requests wait: ENOLCK. The threads keep up to half of [Opts].Locks back, if they are
//     very many. An owner of byte-range locks that would wait for itself gets EDEADLK, as in Linux, but in circles of
//     any length.
//   - LSEEK counts what FALLOCATE has allocated and nobody has written as a hole.
//   - COPY_FILE_RANGE copies 8 MiB at a time. FALLOCATE knows KEEP_SIZE, PUNCH_HOLE and ZERO_RANGE.
//   - Access times follow relatime without its daily update.
//   - STATX tells the time of birth. There are no attributes of files such as "immutable", and no IOCTL.
//   - UMOUNT closes what the client leaves open in pieces of some 0.3 ms, one in a round of the thread. No other
//     request is cut into pieces: its time on the reactor is that of the memory it copies, clears or frees, a
//     millisecond for some gigabytes freed, or some 0.4 ms when a new huge page is touched.
package memfs

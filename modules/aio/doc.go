// Package aio is an fsdev module that exports a directory of the host: what SPDK's aio module does, with io_uring in
// the place of libaio. What a client does it finds on the host, and the other way round.
//
// [Create] exports a directory, [Delete] ends that. Any number of threads may use it at once, each through its own
// channel, and any number of clients (descriptors).
//
// # Structure
//
//   - A node is a file that some client knows, whatever its names are: the module finds it by device, inode and mount,
//     in a hash table of shards. It holds an O_PATH descriptor, which can neither read nor write, and lives while
//     something refers to it: lookups, counted for each client, open handles, requests on their way. Objects and
//     handles are slots with a generation ([fsdev.HandleTable]). See below for nodes that have no descriptor.
//   - A handle is an open file or directory, and belongs to the client that opened it.
//   - A channel is what a thread has: scratch memory for calls that cannot wait, a ring for data, jobs for the rest.
//   - The workers are goroutines on threads of their own, [Opts].Workers of them for a device, which do what may wait.
//     A job is taken from its channel's list, queued, run, and sent back to its thread; it keeps its node and handle
//     until then. Descriptors that nobody needs any more are closed there too, since the last close of a file that was
//     removed frees its blocks.
//
// # What runs where
//
// A reactor must not wait for a disk. So a call is made on its thread only where the kernel says that it does not wait:
//
//	operation                          on the reactor                       when that would wait
//	GETATTR, STATX                     fstat(2), statx(2) of the node       worker, if the file system is remote, or the
//	                                                                        node has no descriptor
//	LOOKUP                             openat2(2) with RESOLVE_CACHED       worker
//	READ, WRITE                        preadv2(2), pwritev2(2), RWF_NOWAIT  ring; a worker if there is no ring
//	WRITE to the cache of ext4                                              the writer; the ring while that waits
//	READ, WRITE in memory (tmpfs)      preadv2(2), pwritev2(2)
//	names in memory, OPEN, STATFS      the call                             worker, see below
//	FSYNC, FALLOCATE by a handle                                            ring; a worker if there is no ring
//	FORGET, RELEASE, RELEASEDIR        all but close(2)                     the close, later, by a worker
//	MOUNT, ABORT, POLL, FLUSH          no call is needed
//	FLOCK, GETLK, SETLK                no call is needed
//	all others                                                              worker
//
// Reads of ext4, xfs and btrfs from the page cache never leave the thread; buffered writes do so on ext4, which has no
// RWF_NOWAIT for them. There they go to a worker that does nothing else: nearly always it does not wait either, and a
// thread of the kernel's, which the ring would give each of them to, takes far longer to hear of it (65 000 writes of 4
// KiB a second one by one, and 239 000 of 32 at a time, against 600 000 and 580 000). While it has been in a call for
// 100 microseconds, or has 64 writes to do, the ring takes them. A file system in memory is taken not to wait: that its
// pages may have been swapped out is ignored. Names there are looked up, made and removed on the thread, too, since the
// call takes less time than a worker takes to hear of it; but what is made as another user, or under a umask, or what
// frees pages (O_TRUNC, the last close of a large file), is for a worker. What is remote (NFS, CIFS, FUSE, 9P, Ceph and
// so on, and all that is not known) is never asked from a reactor.
//
// BenchmarkFloor measures the calls, BenchmarkLoopback the operations with all that is above the module. In
// microseconds of CPU, on a busy virtual machine where the shortest system call takes 1.7: fstat(2) 3.0 and GETATTR
// 4.4; preadv2(2) of 4 KiB 4.9 and READ 4.6; openat2(2), statx(2) and close(2) 10.6 and LOOKUP 8.6 to 12.8;
// pwritev2(2) of 4 KiB in memory 5.6 and WRITE 5.9 to 8.2.
//
// A worker that has found nothing to do looks for more for some microseconds, one at a time, before it sleeps.
//
// # File handles
//
// With [Opts].InodeFileHandles a node is held by what its file system calls the file (name_to_handle_at(2)), and has a
// descriptor only while it is used, or was lately: a clock in each of 64 shards keeps [Opts].NodeFDs of them. So the
// number of descriptors is bounded, whatever clients know: by NodeFDs, those of files that clients have open, one for
// each mount, and a few for each worker. The descriptor of a node that is in use cannot be taken from it, and costs two
// atomic additions to the node's own memory. A node that has none gets one by open_by_handle_at(2), which may read the
// inode, and so is for a worker, but in memory. If the process has no descriptors left, those that are kept for later
// are closed first.
//
// The name includes a generation, so that a file that takes over the inode number of a removed one is another node, and
// the old one is ESTALE. That is also the difference that a client may see: a file without links that nobody has open
// is there for as long as it is known if it has a descriptor, and is gone if it has not.
//
// Names that are bound to a directory (AT_HANDLE_CONNECTABLE) would go stale at renames, and those that only identify
// (AT_HANDLE_FID) cannot be opened. Where a file system has none that can, as overlayfs by default, nodes keep
// descriptors, or are EOPNOTSUPP if file handles are mandatory; mounts below the root are asked one by one. To open by
// name takes CAP_DAC_READ_SEARCH, and goes past the permissions of all directories: the names never leave the module.
//
// BenchmarkFileHandles, in microseconds of CPU on ext4, 1000 files in turn: GETATTR 1.1 by descriptor, 0.9 by name with
// a descriptor kept, 8.6 if it has to be opened; LOOKUP 3.8, 3.7 and 7.0; in memory 0.8, 0.9 and 5.6, and 3.5, 3.6 and
// 8.4.
//
// # Aborts
//
// A job that waits for a worker, or is the ring's, can be given up, which happens when its client leaves, or the device
// is removed or reset. What a worker is at cannot be stopped. The signals of a client's program end nothing but its
// wait for a lock: as on a local disk, all else ends in its own time.
//
// # Hangs
//
// A file system that does not answer, such as a network's, keeps the worker that asks it, and what that does for a
// client cannot be given up. The other workers go on, and so does what needs none. [Delete] does not wait for ever, but
// says what hangs after [Opts].Patience; [Aio.Hanging] says so at any time.
//
// # Containment
//
// Names have no slash, and are not "." or "..", except in LOOKUP, where the root is its own parent and no other way
// up is taken that does not lead back to it. Every name is resolved beneath its directory, without following symbolic
// links (O_NOFOLLOW, RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS). Only regular files and directories are ever opened, by
// the descriptor of a node whose type is known, so that nothing can be put in their place; a FIFO, socket or device
// has attributes and no more. CREATE makes a file with O_EXCL or opens the one that a LOOKUP would find. MKNOD of
// devices is EPERM unless [Opts].Devices; RENAME_WHITEOUT, which makes one, is EINVAL.
//
// A directory that the host moves out of the root stays usable to clients that know it, as it would be to a process
// that has it open; but there is no way up from it.
//
// That is what the module does, if it is right. What the process could do beyond it, were it taken over, is for the
// process to give up: app/spdk_tgt does by default (--sandbox and --seccomp, see internal/sandbox). In such a process
// extended attributes of the name space trusted are EPERM, since they want CAP_SYS_ADMIN, and what the host has moved
// out of the root cannot be opened any more (EACCES), where the kernel has Landlock.
//
// # Credentials
//
// What is made is made as the caller: the worker takes on his user and group, and his supplementary group if the
// request has one, for the call, and his umask if that is left to the server. It keeps CAP_DAC_OVERRIDE meanwhile,
// since clients check permissions themselves, with more groups than are known here. Everything else happens as the
// user of the process, and so does everything if that may not change users: then all files are his.
//
// [Opts].TranslateUID and TranslateGID give users and groups of clients others on the host: those who make files, those
// whom files are given to (EPERM if that is forbidden), and, the other way round, those whom files are said to belong
// to. What has no rule stays as it is, so that who wants to keep IDs of the host from clients, or the other way round,
// needs a rule for the rest, squash-host or forbid-guest. What the process's own user name space does not know is
// the host's overflow ID already.
//
// What clears set-ID bits, as a client asks for with writes and truncations of who may not keep them, is run by a
// worker that has put CAP_FSETID aside: the host clears them in one with the change. A WRITE goes to a worker for that
// only if the file has such bits, which is looked for once a second while there are such writes; so what the host sets
// is noticed a second late. security.capability is for the host's kernel, which takes it away by itself. A process
// without CAP_FSETID cannot keep the bits when they need not go. Clients are told that the mode has changed, since the
// kernel of the one that has written does not think so.
//
// # Extended attributes
//
// They are ENOSYS altogether without [Opts].Xattr. Clients get the name spaces user, trusted and security of the host,
// and of system the POSIX ACLs if [Opts].PosixACL: then clients leave the umask to the host too, which applies it
// unless the directory has an ACL for what is made in it; chmod(2) changes the ACL of a file as it does on the host;
// and the IDs in ACLs are translated as others are. [Opts].XattrMap gives names of clients others on the host, but
// makes no way to name spaces that clients do not get. With [Opts].SecurityLabel files have the labels that a client's
// security module wants them to have before the client, or another one, knows them; a process of the host may
// see them without for a moment.
//
// # Clients
//
// What makes a file makes sure of the descriptors that it takes before, and fails with EMFILE if there are none. Should
// others of the process be faster to take them in between, or should too many files be open (ENFILE), the file is
// removed again, unless somebody has put something into it.
//
// References are counted for each client, and UMOUNT takes away those of its client, with its handles and locks.
// O_APPEND is obeyed by the flags of each WRITE, or those of the handle if a WRITE has none, unless the client caches
// writes, in which case it has found the place itself, and may read what it has opened to write.
//
// O_DIRECT is a matter between a client and its cache, unless [Opts].DirectIO: then such a handle is one for the host,
// too, whose disk wants offsets and lengths to be aligned (EINVAL). That data are aligned in memory is not asked for:
// what the disk does not take from where it is goes through memory of a worker. A client that caches writes has no
// such handles.
//
// With [Opts].NoOpen a client that caches everything need not open anything. A file that is read or written so has a
// descriptor as long as it is known; what else wants a handle opens the file for itself, in each request.
//
// Locks, of flock(2) and of fcntl(2) on byte ranges, are between the clients of the module (package internal/locks):
// processes of the host neither see them nor are excluded by them, and their own locks exclude nobody here. A request
// for one may wait, and is refused (EDEADLK) if its owner would wait for itself. Byte-range locks of an owner end with
// a FLUSH that names it, with the handle through which it locked last, or with the client; so clients have to send
// FLUSH. A file has 4096 locks of each kind at most, all files together [Opts].Locks, and 1024 requests of a device
// wait: ENOLCK.
//
// READDIR gives the host's cookies, which stay good as long as the host's file system says so. Of several requests by
// one handle one runs at a time. READDIRPLUS that finds no descriptor free gives entries without objects.
//
// # Changes on the host
//
// With [Opts].Notify a goroutine watches the file systems of the export by fanotify(7), and tells clients what others
// have changed: the name, if that is made, removed or renamed, and with it the listing of its directory; the
// attributes of a file that clients know, and its data if those may be others. Clients then need not ask again for as
// long as their timeouts are. What the process itself does is no news: fanotify says which process it was, so that a
// client's own changes cost it nothing that it has cached.
//
// A file is found by the hash of its handle, name_to_handle_at(2), which is read once when a client comes to know it;
// so a change is seen by whatever name, and whatever descriptor, it is made. A whole file system is watched, with one
// mark that knows no limit, which needs CAP_SYS_ADMIN; what happens on it elsewhere costs 150 ns an event
// (BenchmarkEventElsewhere). What an event says of a file that was looked up within the last second is said again a
// second later: the client's kernel may not have known the file yet.
//
// Events gather for a millisecond, and a client gets 512 notifications at a time while it has fewer than 1024 to take.
// Nothing else is kept. Should the kernel lose events, of which it keeps 16384, or should a client take nothing for
// 100 ms, then all is said to have changed: every name, which Linux 6.16 and later understand
// ([fsdev.NotifyInvalNames]), and every file that the client knows. An older kernel keeps names until their timeout.
//
// Not seen are: changes by other machines, on a network file system; writes through a shared mapping before the file is
// closed and unmapped; changes by another export of the same process; and those on a file system mounted below the root
// that cannot be watched, which is not an error. What a client's kernel writes by itself (passthrough) is another
// process's doing; that the client hears of it costs nothing, since such a kernel keeps neither data nor attributes.
//
// Notify cannot go with Writeback: a client that caches writes believes its own sizes and times, and nothing else.
//
// # What is not there
//
//   - IOCTL knows the flags, version and attributes of lsattr(1), and of these clients can only set flags that do not
//     concern how the host stores files, or whose project they are; the rest is ENOTTY.
//   - Without file handles a node has a descriptor for as long as it is known: RLIMIT_NOFILE bounds how many can be.
//     LOOKUP is EMFILE then.
//   - Mounts below the root are part of the export; numbers of inodes may then occur twice. With
//     [Opts].AnnounceSubmounts clients are told where they begin, which kernels want to know through virtio, but not
//     through /dev/fuse. LOOKUP of ".." does not say that it has left one.
//   - SETATTR cannot set the time of change. Of one with several parts that fails, none is done if that could be known
//     before; what the disk or a quota refuses cannot, and the parts before it stay.
package aio

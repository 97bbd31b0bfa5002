// Package fusedev serves a FUSE dispatcher to the Linux kernel through /dev/fuse: it mounts, reads
// requests, and writes replies, on one queue per reactor thread.
//
// # The way of a request
//
//  1. The queue's poller reads /dev/fuse without blocking, into the queue's read buffer, which can hold
//     the largest request there is. One read(2) is one request. It goes on until the kernel has nothing
//     more or a batch is full (32 requests or 1 MiB). While its reactor sleeps, epoll wakes it.
//  2. The request gets a slot. Up to 8 KiB it is copied into the slot's own buffer, so that the read
//     buffer can be used again; a larger one keeps the read buffer, and the queue takes another.
//  3. The reply gets the slot's own buffer too, or, if the request asks for more than 8 KiB, a large one.
//  4. The request is submitted to the dispatcher. If that has no resources (ENOBUFS), the request waits
//     in its slot, is submitted again a little later, and nothing more is read before.
//  5. The dispatcher completes it on the same thread, and one write(2) of exactly the reply's length on
//     the descriptor that the request came from ends it. Operations without a reply write nothing.
//  6. Slot and large buffers are free again.
//
// # What is bounded
//
// Everything is allocated before the first request, in one mapping per queue. With S slots, L slots for requests that
// wait for locks, B large buffers and MaxWrite bytes of payload a queue takes
//
//	S × (8 KiB + 8 KiB) + L × (256 B + 256 B) + B × (max(MaxWrite, 64 KiB) + 4 KiB)
//
// bytes of address space, with the defaults 128 × 16 KiB + 1024 × 512 B + 32 × 1028 KiB = 34.6 MiB, of which only
// what is used becomes resident: buffers are taken last in, first out. A queue reads on only while a slot and two
// large buffers are free, so that a request that has been read can always be served; others wait in the kernel, which
// bounds their number itself. Nothing is dropped. Requests that wait for a lock have slots of their own, or those that
// unlock could not be read; one more is answered ENOLCK.
//
// # By io_uring
//
// Where the kernel offers FUSE over io_uring (Linux 6.14, if root has said "echo Y >
// /sys/module/fuse/parameters/enable_uring"; [EnableRing]), requests come and go by that: the kernel copies each into
// buffers that it was given, and one io_uring_enter(2) sends all replies of a round and fetches what has come. The way
// of a request is the same from step 4 on. Only FORGET, INTERRUPT and INIT still come by the descriptor.
//
// The kernel has a list of requests for each CPU that there can be. Each is served by the queue whose reactor is on
// that CPU, the others by all in turn. With a reactor on every CPU a request never leaves the CPU that it came from:
// nobody has to be woken on another one, which is what most of the time of a single request goes to. That takes a
// reactor that lets others have its CPU when it is idle, so mode hybrid or interrupt; and it must be pinned.
//
// A CPU's list has 128 pairs of buffers, with the defaults 128 × 1028 KiB of address space, of which only what is used
// becomes resident. Fewer if the dispatcher's MaxRequests would not suffice for all of them. A request that waits for a
// lock makes the kernel get another pair, up to LockWaits of a queue; one more is answered ENOLCK, and so is one that
// comes when three quarters of a list are in use, since nobody could unlock if all were.
//
// # Which thread owns what
//
// A queue (its slots, buffers, statistics, channel of the dispatcher, pollers) belongs to its thread
// and is touched only there. The first queue reads the descriptor that was mounted; the others read clones
// of it (FUSE_DEV_IOC_CLONE), made when INIT has been answered, or duplicates where /dev/fuse may not be
// opened. The kernel hands a request to whichever queue reads first. [Mount] and the methods of
// [Session] belong to plain goroutines: they wait, and they talk to queues by messages.
//
// # Notifications
//
// What a module tells without being asked (a file has changed behind the kernel's back, a poll is over) is written by
// one goroutine per session, never by a reactor. The kernel takes the locks of the pages that it throws away
// (NOTIFY_INVAL_INODE) or fills (NOTIFY_STORE); whoever holds such a lock may be waiting for a READ, or for the WRITE
// of that page, which a reactor has yet to answer. If that reactor waited in write(2) for the lock, neither would ever
// go on. So a module that needs to know when the kernel has obeyed must not wait for that on a reactor either.
//
// 4096 notifications or 16 MiB may wait; more are dropped and counted ([NotifyStats]). What the kernel refuses is
// counted, too: ENOENT is normal, since it may have forgotten the node.
//
// # Passthrough
//
// Where the kernel (Linux 6.9) and the module allow it, and the cache policy is not none, the kernel reads, writes,
// maps and splices an open file of the host by itself; opening it, its attributes and all else go on to be requests.
// It takes CAP_SYS_ADMIN in the first user namespace, and a file system that lies on no other (not overlayfs).
// Otherwise the log says what is missing, and data are requests. A file is passed through for all who have it open,
// or for nobody. The write-back cache gives way to it; [Options.NoPassthrough] is the other way round. [BackingStats]
// counts.
//
// # Using one's own file system
//
// A process may use a file system that it serves with package os and with system calls, but not by ways that keep the
// Go scheduler from running a reactor meanwhile: it must not touch memory mapped from a file of it (a page fault), nor
// start a program from it or with a directory of it as the working directory (fork waits for chdir and exec). Such a
// thread keeps its processor; if the garbage collector then stops the world, the reactors stop, too, and the answer
// never comes. Let another process do these things. With [Options.Poll] it must not use package os either, whose epoll
// waits in the same way. If this process is killed while it uses its file system, it may stay until the connection is
// aborted.
//
// # Mounting by another process
//
// A process that has locked itself up cannot mount, and what it mounted in a namespace of its own nobody would see. It
// leaves that to another one, to which it has a socket: [Options.Host] is a [RemoteHost], and the other process runs
// [ServeHost]. Only what concerns the mountpoint goes there, the requests never. That process trusts this one with no
// more than the mountpoints that it was told of, and detaches what is left on them when this one is gone.
//
// # The end
//
// A session ends when the kernel says that the connection is gone, whoever unmounted. Each queue then stops
// reading, interrupts what is in flight and waits for it; the dispatcher gets a DESTROY, which the kernel sends
// only for block devices; channels, pollers, descriptors and memory are released; a mount that is left over, as after
// an abort, is detached; and [Session.Done] is closed. If
// the process is killed, the kernel answers ENOTCONN on the mountpoint until it is unmounted or mounted again with
// [Options.Replace].
//
// # Errors
//
// Errors wrap the errno, and say what to do about it. Replies that the kernel refuses and reads that fail for no known
// reason are counted ([QueueStats]), and logged at a bounded rate.
//
// Not in SPDK, which serves the dispatcher to virtual machines only (module/vfu_device/vfu_virtio_fs.c).
package fusedev

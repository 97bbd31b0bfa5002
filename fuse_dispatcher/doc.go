// Package fusedispatcher turns FUSE requests into fsdev operations and their results into
// FUSE replies: SPDK's fuse_dispatcher.
//
// # A request
//
// A transport hands a request to [Dispatcher.SubmitRequest] as two vectors of byte slices,
// what the client sent and where the reply goes, on the thread of one of the dispatcher's
// channels. Header, arguments and payload may lie in any number of segments, cut anywhere.
// The memory may belong to a client that goes on changing it: header, arguments and names
// are copied once, into the request, before they are looked at; the payload of READ, WRITE,
// SETXATTR and the like is handed on to the module as it is.
//
// One table, by opcode, says how large the arguments are, how many names follow, how much
// room the reply needs and which handler runs; a second one what clients of older minor
// versions send and expect. Every request that is accepted completes exactly once, later than
// SubmitRequest returns and on the same thread; every request that expects a reply gets one
// that is well-formed. A malformed request is refused with EINVAL before a module sees it, and
// logged at a bounded rate.
//
// What the client calls nodeid and fh are handles that the module checks; the dispatcher
// only exchanges the root's for FUSE_ROOT_ID.
//
// # Opcodes
//
// Handed on to the module, whose ENOSYS, if it does not have the operation, is something that
// the client's kernel knows to handle:
//
//	LOOKUP, FORGET, BATCH_FORGET, GETATTR, STATX, SETATTR, READLINK, STATFS, SYNCFS,
//	SYMLINK, MKNOD, MKDIR, CREATE, TMPFILE, UNLINK, RMDIR, RENAME, RENAME2, LINK,
//	OPEN, READ, WRITE, FLUSH, FSYNC, RELEASE, LSEEK, FALLOCATE, POLL,
//	COPY_FILE_RANGE (1 GiB at most), COPY_FILE_RANGE_64,
//	OPENDIR, READDIR, READDIRPLUS, FSYNCDIR, RELEASEDIR,
//	SETXATTR, GETXATTR, LISTXATTR, REMOVEXATTR
//
// With conditions:
//
//	OPEN, OPENDIR          ENOSYS ("need not be sent") if the module and the policy agree
//	FLUSH, FSYNC(DIR)      ENOSYS (likewise) if the module has nothing to sync; but FLUSH comes
//	                       if it has byte-range locks, which it gives up
//	GETLK, SETLK, SETLKW   of flock(2) always; of byte ranges if the module has PosixLocks, else
//	                       ENOSYS, and the client's kernel keeps them itself
//	IOCTL                  restricted ones, of a short list (ioctlCmds), else ENOTTY
//	SETUPMAPPING,          through a [Mapper]; ENOSYS without
//	REMOVEMAPPING
//
// Handled here: INIT and DESTROY; INTERRUPT, which aborts a lock or IOCTL on whichever channel; and
// NOTIFY_REPLY, which answers [Dispatcher.Retrieve]. ACCESS, BMAP and everything unknown are
// ENOSYS.
//
// # INIT
//
// A flag is agreed on if the client offers it and it is true. Beside those that always are and
// those of the [CachePolicy], the module decides by what it says in [fsdev.MountOpts]:
//
//	WritebackCache   WRITEBACK_CACHE             PosixLocks    POSIX_LOCKS
//	NoOpen           NO_OPEN(DIR)_SUPPORT        PosixACL      POSIX_ACL and DONT_MASK, together
//	KillPriv         HANDLE_KILLPRIV_V2          SecurityCtx   SECURITY_CTX
//	Submounts        SUBMOUNTS                   SuppGroup     CREATE_SUPP_GROUP
//
// and [Opts].Mapper MAP_ALIGNMENT. The umask of a client is the module's to apply if, and only
// if, DONT_MASK has been agreed on.
//
// # Life cycle
//
// A dispatcher works on an fsdev from INIT to DESTROY. All of the following run on the
// thread that created the dispatcher, the control thread, one after the other in the order
// in which they were asked for:
//
//	INIT     tear down a session that exists; open the fsdev; on each channel's thread get
//	         the fsdev channel; mount, i.e. negotiate and get the root; publish the
//	         session; reply
//	DESTROY  tear down; reply
//	REMOVE   (the fsdev goes away) tear down; call the event function
//	Delete   tear down; unregister the channels' device; free; call back
//
//	             Create
//	               |
//	               v              INIT: open, get channels, mount
//	        +--------------+ ---------------------------------------> +--------------+
//	        |  no session  |            any step fails: undo,         |   session    |
//	        |              | <--------- reply the error               |              |
//	        |   requests:  |                                          |   requests:  |
//	        |   ENOTCONN   |   DESTROY, or INIT again, which goes on: |  the module  |
//	        |              | <---- tear down ------------------------ |              |
//	        |              |   REMOVE: tear down, then the event      |              |
//	        +--------------+ <--------------------------------------- +--------------+
//	               |                                                         |
//	               | Delete                          Delete: tear down       |
//	               v                                                         |
//	        +--------------+ <-----------------------------------------------+
//	        |   deleted    |   requests: ENOTCONN; INIT: ENODEV; DESTROY: success; Delete: EALREADY;
//	        +--------------+   no more channels
//	               |  the last channel is put
//	               v
//	             gone: Delete calls back
//
//	tear down:  withdraw session -> each channel: abort, wait, put -> remove mappings
//	            -> unmount -> close
//
// Tearing down withdraws the session, so that new requests are refused with ENOTCONN;
// visits each channel's thread, aborts what is in flight there, waits for it and puts the
// fsdev channel; unmaps what the client has mapped; unmounts, which gives up all references
// and handles of the client; and closes the fsdev. When a step of INIT fails, the steps before
// it are undone the same way and the reply is the error.
//
// Because these are queued and run one at a time, a second INIT, a DESTROY during INIT or a
// Delete during REMOVE need no further rules. A channel that is created while an INIT goes
// through the others finds the open fsdev itself, or is visited, or both.
//
// Threads see the session through one pointer to something that never changes. A request
// takes it when it starts, and teardown waits for the request.
//
// # Notifications
//
// What a module tells by [fsdev.Fsdev.Notify] is formatted on the control thread and handed to
// the transport ([Opts].Notify, [Dispatcher.SetNotify]), unless there is no session or the
// client is too old to know it. It can overtake replies, and replies it. A module that waited
// for its effect would wait for the client, and the client may be waiting for the module.
//
// # Files of the host
//
// A transport to the host's own kernel may offer to register descriptors ([Dispatcher.SetBacking]); the kernel then
// reads and writes files of a module that lends them ([fsdev.Backer]) without requests, if the cache policy is not
// none. It wants that for all opens of a file or for none, so what the first is answered holds until the last
// release. No other client can ask for it: FUSE_PASSTHROUGH is not agreed on without the transport.
//
// # Porting
//
// What a program that used SPDK's fuse_dispatcher has to know:
//
//   - Completions get the errno of the reply, positive, and its length; every request is
//     completed, also those that SPDK's returns -EINVAL for.
//   - The fsdev is opened by INIT, as SPDK's dispatcher did at first: it need not exist before.
//   - A channel's memory for requests is its own and bounded by MaxRequests; ENOBUFS means that
//     the transport has to try again, not that the request is lost. Requests that end others
//     (INTERRUPT, FORGET, DESTROY and the like) find room even then.
//   - What opcodes do beyond SPDK (all that refuses with ENOSYS there) depends on the module
//     alone; one that answers ENOSYS to what it does not know behaves as before.
package fusedispatcher

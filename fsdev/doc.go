// Package fsdev is the layer between those who use a file system and the modules that
// implement one: SPDK's fsdev, with files named by opaque handles and operations that
// complete asynchronously.
//
// # Consumers
//
// [Open] gives a [Desc] of a registered file system device, [Desc.IOChannel] the channel
// of a thread, and the methods of Desc are the operations. Every operation takes the
// channel, the request's unique number (for [Desc.Abort], 0 if it need not be abortable),
// its arguments, a completion function and a context. The contract is the same for all:
//
//   - they must be called on the channel's thread;
//   - they return 0, and then the completion is called exactly once, on the channel's
//     thread, never from inside the call; or ENOBUFS when no [IO] is free, and then the
//     completion is never called;
//   - byte slices that are passed in belong to the operation until its completion;
//   - results that are passed to the completion are valid until it returns, and are those
//     of an empty reply if errno is not 0.
//
// An IO in flight holds a reference to its channel, so a channel that is put with IO in
// flight lives until the last of them has completed.
//
// # Modules
//
// A module implements [Device] and registers it under a name with [Register]. It sees
// each operation as an [IO] whose fields say what to do, on the thread of the IO's channel,
// and calls [IO.Complete] there. It mints [FileObject] and [FileHandle] through a
// [HandleTable], so that what a client invents is told from what it was given.
// docs/modules.md has the rules, and package fsdevtest checks them.
//
// # Aborts, resets and removal
//
// An operation that waits can be aborted: by its client ([Desc.Abort], [Desc.AbortAny]), and by
// the layer when its Desc is closed or its device reset ([Fsdev.Reset]) or removed.
//
// [Fsdev.Unregister] tells every Desc's opener, on its thread, by [EventRemove]; when the
// last Desc has been closed and the last channel is gone, [Device.Destruct] is called.
//
// # Statistics
//
// Each channel counts its operations. [Fsdev.Stats] adds the channels up, with those that are
// gone; [Fsdev.EnableHistograms] has it time them too.
package fsdev

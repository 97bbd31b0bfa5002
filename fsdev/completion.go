package fsdev

import (
	"fmt"
	"syscall"

	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

// StatusCplFunc completes an operation without a result.
//
// SPDK: spdk_fsdev_umount_cpl_cb, spdk_fsdev_forget_cpl_cb, spdk_fsdev_unlink_cpl_cb,
// spdk_fsdev_rmdir_cpl_cb, spdk_fsdev_rename_cpl_cb, spdk_fsdev_release_cpl_cb,
// spdk_fsdev_fsync_cpl_cb, spdk_fsdev_setxattr_cpl_cb, spdk_fsdev_removexattr_cpl_cb,
// spdk_fsdev_flush_cpl_cb, spdk_fsdev_readdir_cpl_cb, spdk_fsdev_releasedir_cpl_cb,
// spdk_fsdev_fsyncdir_cpl_cb, spdk_fsdev_flock_cpl_cb, spdk_fsdev_abort_cpl_cb,
// spdk_fsdev_fallocate_cpl_cb
type StatusCplFunc func(ctx any, ch *iochannel.Channel, errno syscall.Errno)

// EntryCplFunc completes an operation that yields a file object, with one more reference to
// it, which [Desc.Forget] gives back.
//
// SPDK: spdk_fsdev_lookup_cpl_cb, spdk_fsdev_symlink_cpl_cb, spdk_fsdev_mknod_cpl_cb,
// spdk_fsdev_mkdir_cpl_cb, spdk_fsdev_link_cpl_cb
type EntryCplFunc func(ctx any, ch *iochannel.Channel, errno syscall.Errno, obj FileObject, attr *Attr)

// AttrCplFunc completes an operation that yields attributes.
//
// SPDK: spdk_fsdev_getattr_cpl_cb, spdk_fsdev_setattr_cpl_cb
type AttrCplFunc func(ctx any, ch *iochannel.Channel, errno syscall.Errno, attr *Attr)

// ReadlinkCplFunc completes [Desc.Readlink]. SPDK: spdk_fsdev_readlink_cpl_cb
type ReadlinkCplFunc func(ctx any, ch *iochannel.Channel, errno syscall.Errno, target []byte)

// StatfsCplFunc completes [Desc.Statfs]. SPDK: spdk_fsdev_statfs_cpl_cb
type StatfsCplFunc func(ctx any, ch *iochannel.Channel, errno syscall.Errno, st *Statfs)

// SizeCplFunc completes an operation that yields a number of bytes.
//
// SPDK: spdk_fsdev_read_cpl_cb, spdk_fsdev_write_cpl_cb, spdk_fsdev_getxattr_cpl_cb,
// spdk_fsdev_listxattr_cpl_cb, spdk_fsdev_copy_file_range_cpl_cb
type SizeCplFunc func(ctx any, ch *iochannel.Channel, errno syscall.Errno, n uint64)

// OpenCplFunc completes an operation that opens a file or directory.
//
// SPDK: spdk_fsdev_fopen_cpl_cb, spdk_fsdev_opendir_cpl_cb
type OpenCplFunc func(ctx any, ch *iochannel.Channel, errno syscall.Errno, h FileHandle)

// CreateCplFunc completes [Desc.Create]. SPDK: spdk_fsdev_create_cpl_cb
type CreateCplFunc func(ctx any, ch *iochannel.Channel, errno syscall.Errno, obj FileObject, attr *Attr, h FileHandle)

// MountCplFunc completes [Desc.Mount]. SPDK: spdk_fsdev_mount_cpl_cb
type MountCplFunc func(ctx any, ch *iochannel.Channel, errno syscall.Errno, opts *MountOpts, root FileObject)

// StatxCplFunc completes [Desc.Statx]. Not in SPDK.
type StatxCplFunc func(ctx any, ch *iochannel.Channel, errno syscall.Errno, st *Statx)

// LockCplFunc completes [Desc.Getlk]. Not in SPDK.
type LockCplFunc func(ctx any, ch *iochannel.Channel, errno syscall.Errno, l *Lock)

// IoctlCplFunc completes [Desc.Ioctl] with what the command returned, and how many bytes it
// wrote. Not in SPDK.
type IoctlCplFunc func(ctx any, ch *iochannel.Channel, errno syscall.Errno, result int32, n uint64)

// PollCplFunc completes [Desc.Poll] with the events that the file is ready for. Not in SPDK.
type PollCplFunc func(ctx any, ch *iochannel.Channel, errno syscall.Errno, events uint32)

// ReaddirEntryFunc takes an entry of a directory, or returns false because there is no
// room for it. next is the offset to continue after this entry. It is called on the
// channel's thread, before the completion of the [Desc.Readdir], and, unlike that, possibly
// from inside the call. SPDK: spdk_fsdev_readdir_entry_cb
type ReaddirEntryFunc func(ctx any, ch *iochannel.Channel, name []byte, obj FileObject, attr *Attr, next uint64) bool

type ioState uint8

const (
	ioFree      ioState = iota
	ioSubmitted         // the module has it
	ioCompleted         // and it is to be delivered
	ioQueued            // it waits in st.queued
	ioAborting          // the module has it, and it is an aborter's
)

// newIO takes an IO for an operation on ch, nil when none is free.
func (d *Desc) newIO(ch *iochannel.Channel, typ IOType, unique uint64, cpl, ctx any) *IO {
	st := iochannel.Ctx[channelState](ch)
	io := st.ios.Get()
	if io == nil {
		st.stats.noIO++
		return nil
	}
	io.Type = typ
	io.Unique = unique
	io.desc = d
	io.ch = ch
	io.st = st
	io.cpl = cpl
	io.cplCtx = ctx
	return io
}

// submit hands io to its module, now or when a reset has ended.
func (io *IO) submit() {
	st := io.st
	st.hold(io.ch)
	if st.tracepoints.Load() != 0 {
		st.special |= specialTrace
	}
	if st.special != 0 && io.submitSpecially() {
		return
	}
	io.join() // start, without its calls
	io.state = ioSubmitted
	outer := st.inSubmit // an entry of a READDIR may be taken by who submits the next operation
	st.inSubmit = true
	st.dev.SubmitRequest(st.moduleCh, io)
	st.inSubmit = outer
}

// start hands io to its module.
func (io *IO) start() {
	io.join()
	io.state = ioSubmitted
	io.toModule()
}

// join makes io one of those that have to be delivered.
func (io *IO) join() {
	io.st.submitted.Add(io)
}

func (io *IO) toModule() {
	st := io.st
	outer := st.inSubmit
	st.inSubmit = true
	st.dev.SubmitRequest(st.moduleCh, io)
	st.inSubmit = outer
}

// hold counts one more in flight, and letGo one less. All of them together have one reference
// to the channel.
func (st *channelState) hold(ch *iochannel.Channel) {
	if st.inFlight++; st.inFlight == 1 {
		ch.Ref()
	}
}

func (st *channelState) letGo(ch *iochannel.Channel) {
	if st.inFlight--; st.inFlight == 0 {
		ch.Put()
	}
}

// What a channel has to do beside submitting and completing, which it looks for once in each.
const (
	specialHistograms uint8 = 1 << iota
	specialAborter          // st.aborter runs
	specialFrozen           // a reset holds operations back
	specialDrain            // st.drain waits until nothing is in flight
	specialTrace            // operations are traced, or were when the last one was submitted
)

// submitSpecially reports whether io has to wait.
func (io *IO) submitSpecially() (queued bool) {
	st := io.st
	if st.special&specialHistograms != 0 {
		io.startedAt = io.now()
	}
	if st.special&specialTrace != 0 {
		io.traceStart()
	}
	if st.special&specialFrozen == 0 || io.Type == IOAbort {
		return false
	}
	io.state = ioQueued
	st.queued = append(st.queued, io)
	return true
}

func (io *IO) deliverSpecially() {
	if h := io.st.stats.hist; h != nil && io.startedAt != 0 {
		h[io.Type].tally(io.now() - io.startedAt)
	}
	io.doomed = false
	if io.st.special&specialTrace != 0 {
		io.traceDone()
	}
}

// now returns the time, never 0.
func (io *IO) now() uint64 { return max(1, io.ch.Thread().Framework().Ticks()) }

// Complete ends the operation with errno, 0 for success. The module must not touch io
// afterwards. On the IO's thread only, exactly once per SubmitRequest.
//
// SPDK: spdk_fsdev_io_complete
func (io *IO) Complete(errno syscall.Errno) {
	t := io.ch.Thread()
	t.AssertCurrent()
	if io.state != ioSubmitted {
		io.completeOther()
		return
	}
	io.state = ioCompleted
	io.errno = errno
	if io.st.inSubmit {
		t.Defer(deliver, io)
		return
	}
	io.deliver()
}

// completeOther is Complete of what is not in the state of an operation under way.
//
//go:noinline
func (io *IO) completeOther() {
	if io.state != ioAborting {
		panic(fmt.Sprintf("fsdev: %v with unique %d is completed in state %d", io.Type, io.Unique, io.state))
	}
	io.completeAborter()
}

func deliver(_ *reactor.Thread, ctx any) { ctx.(*IO).deliver() }

// deliver calls the completion and frees io.
func (io *IO) deliver() {
	st := io.st
	st.submitted.Remove(io)
	st.stats.ops[io.Type].Count++
	if st.special != 0 {
		io.deliverSpecially()
	}

	if io.errno == 0 {
		io.deliverResult()
	} else {
		io.deliverError()
	}
	ch := io.ch
	io.state = ioFree
	io.release()
	st.ios.Put(io)
	st.letGo(ch)
	if st.special != 0 {
		st.goOnDraining()
	}
}

// release lets go of what the caller lent, which must not stay reachable from the pool. Much
// of it is nil in most operations, and looking is cheaper than writing.
func (io *IO) release() {
	if io.Name != nil {
		io.Name = nil
	}
	if io.Iovs != nil {
		io.Iovs = nil
	}
	if io.Ctx != nil {
		io.Ctx = nil
	}
	io.cplCtx = nil
	if lendsMore[io.Type] {
		io.Name2, io.Value, io.Security, io.Target, io.OutTarget, io.emit = nil, nil, nil, nil, nil, nil
	}
}

// lendsMore are the operations that refer to more than Name and Iovs.
var lendsMore = [NumIOTypes]bool{
	IOSymlink: true, IORename: true, IOSetxattr: true, IOIoctl: true, IOAbort: true, IOReadlink: true,
	IOReaddir: true, IOMknod: true, IOMkdir: true, IOCreate: true, IOTmpfile: true,
}

func (io *IO) deliverResult() {
	switch cpl := io.cpl.(type) {
	case AttrCplFunc:
		cpl(io.cplCtx, io.ch, 0, &io.OutAttr)
	case EntryCplFunc:
		cpl(io.cplCtx, io.ch, 0, io.OutObject, &io.OutAttr)
	case SizeCplFunc:
		if io.Type == IORead || io.Type == IOWrite || io.Type == IOCopyFileRange {
			io.st.stats.ops[io.Type].Bytes += io.OutSize
		}
		cpl(io.cplCtx, io.ch, 0, io.OutSize)
	case StatusCplFunc:
		cpl(io.cplCtx, io.ch, 0)
	case OpenCplFunc:
		cpl(io.cplCtx, io.ch, 0, io.OutHandle)
	case CreateCplFunc:
		cpl(io.cplCtx, io.ch, 0, io.OutObject, &io.OutAttr, io.OutHandle)
	case ReadlinkCplFunc:
		cpl(io.cplCtx, io.ch, 0, io.OutTarget)
	case StatfsCplFunc:
		cpl(io.cplCtx, io.ch, 0, &io.OutStatfs)
	case MountCplFunc:
		cpl(io.cplCtx, io.ch, 0, &io.Mount, io.OutObject)
	case StatxCplFunc:
		cpl(io.cplCtx, io.ch, 0, &io.OutStatx)
	case LockCplFunc:
		cpl(io.cplCtx, io.ch, 0, &io.Lock)
	case IoctlCplFunc:
		cpl(io.cplCtx, io.ch, 0, io.OutResult, io.OutSize)
	case PollCplFunc:
		cpl(io.cplCtx, io.ch, 0, uint32(io.OutResult))
	default:
		panic(fmt.Sprintf("fsdev: %v has a completion of type %T", io.Type, io.cpl))
	}
}

// deliverError passes empty results, so that nobody sees those of an earlier use.
func (io *IO) deliverError() {
	io.st.stats.ops[io.Type].Errors++
	io.OutAttr, io.OutStatfs, io.OutStatx, io.Mount, io.Lock = Attr{}, Statfs{}, Statx{}, MountOpts{}, Lock{}
	switch cpl := io.cpl.(type) {
	case AttrCplFunc:
		cpl(io.cplCtx, io.ch, io.errno, &io.OutAttr)
	case EntryCplFunc:
		cpl(io.cplCtx, io.ch, io.errno, 0, &io.OutAttr)
	case SizeCplFunc:
		cpl(io.cplCtx, io.ch, io.errno, 0)
	case StatusCplFunc:
		cpl(io.cplCtx, io.ch, io.errno)
	case OpenCplFunc:
		cpl(io.cplCtx, io.ch, io.errno, 0)
	case CreateCplFunc:
		cpl(io.cplCtx, io.ch, io.errno, 0, &io.OutAttr, 0)
	case ReadlinkCplFunc:
		cpl(io.cplCtx, io.ch, io.errno, nil)
	case StatfsCplFunc:
		cpl(io.cplCtx, io.ch, io.errno, &io.OutStatfs)
	case MountCplFunc:
		cpl(io.cplCtx, io.ch, io.errno, &io.Mount, 0)
	case StatxCplFunc:
		cpl(io.cplCtx, io.ch, io.errno, &io.OutStatx)
	case LockCplFunc:
		cpl(io.cplCtx, io.ch, io.errno, &io.Lock)
	case IoctlCplFunc:
		cpl(io.cplCtx, io.ch, io.errno, 0, 0)
	case PollCplFunc:
		cpl(io.cplCtx, io.ch, io.errno, 0)
	default:
		panic(fmt.Sprintf("fsdev: %v has a completion of type %T", io.Type, io.cpl))
	}
}

// Emit offers an entry of a READDIR to the client; next is the offset to continue after
// it. False means that it did not fit: the module takes back the entry's lookup reference,
// if it took one, and completes the IO with 0. With io.Plus, every entry but "." and ".."
// carries one lookup reference to obj; without it, obj is 0 and of attr only Ino and the
// type in Mode are used.
//
// Not in SPDK: there a module calls entry_cb_fn of the IO.
func (io *IO) Emit(name []byte, obj FileObject, attr *Attr, next uint64) bool {
	return io.emit(io.cplCtx, io.ch, name, obj, attr, next)
}

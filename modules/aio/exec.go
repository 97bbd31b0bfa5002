package aio

import (
	"bytes"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/iochannel"
)

// alwaysReady is what files and directories are ready for, as in poll(2): they never become it.
const alwaysReady = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDNORM | unix.EPOLLWRNORM

const (
	maxName   = 255
	maxTarget = 4095
	maxIovs   = 64 // segments of one call
)

// What an operation is given beside its object, and what it does.
const (
	changes  = 1 << iota // something: EROFS
	named                // Name
	named2               // Name2
	second               // Object2
	handled              // Handle, which must be there
	handled2             // Handle2, which must be there
	dirs                 // Handle is one of a directory, else of a file; either will do if it need not be there
	xattrs               // it is about extended attributes
	ringed               // the ring can do it
	byHandle             // if there is a handle, it is all that is needed
)

// operation is what has to be known of a kind of requests before a worker gets them.
type operation struct {
	flags int
	run   func(w *worker, j *job) syscall.Errno // nil: it is not there, or not for workers
}

// operations is what workers do. What is missing is done elsewhere, or is ENOSYS.
var operations [fsdev.NumIOTypes]operation

func init() { // not above, since the functions refer to it in a roundabout way
	operations = [fsdev.NumIOTypes]operation{
		fsdev.IOUmount:        {0, runUmount},
		fsdev.IOLookup:        {0, runLookup},
		fsdev.IOGetattr:       {0, runGetattr},
		fsdev.IOStatx:         {0, runStatx},
		fsdev.IOSetattr:       {changes, runSetattr},
		fsdev.IOReadlink:      {0, runReadlink},
		fsdev.IOSymlink:       {changes | named, runSymlink},
		fsdev.IOMknod:         {changes | named, runMknod},
		fsdev.IOMkdir:         {changes | named, runMkdir},
		fsdev.IOUnlink:        {changes | named, runUnlink},
		fsdev.IORmdir:         {changes | named, runUnlink},
		fsdev.IORename:        {changes | named | named2 | second, runRename},
		fsdev.IOLink:          {changes | named | second, runLink},
		fsdev.IOFopen:         {0, runOpen},
		fsdev.IOOpendir:       {0, runOpendir},
		fsdev.IOCreate:        {changes | named, runCreate},
		fsdev.IOTmpfile:       {changes, runTmpfile},
		fsdev.IORead:          {handled | ringed | byHandle, runRead},
		fsdev.IOWrite:         {changes | handled | ringed | byHandle, runWrite},
		fsdev.IOFsync:         {ringed | byHandle, runFsync},
		fsdev.IOFsyncdir:      {dirs | ringed | byHandle, runFsync},
		fsdev.IOFallocate:     {changes | handled | ringed | byHandle, runKillFallocate},
		fsdev.IOStatfs:        {0, runStatfs},
		fsdev.IOSyncfs:        {0, runSyncfs},
		fsdev.IOReaddir:       {handled | dirs, runReaddir},
		fsdev.IOFlush:         {byHandle, runFlush},
		fsdev.IOLseek:         {handled | byHandle, runLseek},
		fsdev.IOCopyFileRange: {changes | handled | handled2 | second | byHandle, runKillCopy},
		fsdev.IOSetxattr:      {changes | xattrs, runSetxattr},
		fsdev.IOGetxattr:      {xattrs, runGetxattr},
		fsdev.IOListxattr:     {xattrs, runListxattr},
		fsdev.IORemovexattr:   {changes | xattrs, runRemovexattr},
		fsdev.IOIoctl:         {0, runIoctl},
	}
}

// byHandle says whether a job does without the descriptor of its node.
func (j *job) byHandle() bool { return j.h != nil && operations[j.io.Type].flags&byHandle != 0 }

// SubmitRequest implements [fsdev.Device].
//
// Not in SPDK.
func (a *Aio) SubmitRequest(ch *iochannel.Channel, io *fsdev.IO) {
	c := iochannel.Ctx[channel](ch)
	if a.ids != nil {
		if errno := a.ids.request(io); errno != 0 {
			io.Complete(errno)
			return
		}
	}
	var errno syscall.Errno
	switch io.Type {
	case fsdev.IORead, fsdev.IOWrite:
		errno = c.data(io)
	case fsdev.IOGetattr:
		errno = c.getattr(io)
	case fsdev.IOLookup:
		errno = c.lookup(io)
	case fsdev.IOMount:
		errno = c.mount(io)
	case fsdev.IOUmount:
		a.pool.push(c.newJob(io, runUmount))
		return
	case fsdev.IOForget:
		if n := a.get(io.Object); n != nil {
			a.forget(n, c.clientOf(io.Desc()), io.Nlookup)
			a.put(n)
		}
	case fsdev.IOAbort:
		errno = c.abort(io.Target)
	default:
		errno = c.exec(io)
	}
	if errno != errLater {
		a.reply(io, errno)
	}
}

// errLater says that a request will be completed by somebody else. It never leaves the package.
const errLater = syscall.Errno(0xfffe)

func (c *channel) mount(io *fsdev.IO) syscall.Errno {
	cl := c.clientOf(io.Desc())
	io.Mount.WritebackCache = io.Mount.WritebackCache && c.a.o.Writeback && !c.a.o.ReadOnly
	cl.writeback.Store(io.Mount.WritebackCache)
	io.Mount.MaxWrite = min(io.Mount.MaxWrite, c.a.o.MaxWrite)
	io.Mount.SuppGroup = c.a.creds.switches
	io.Mount.KillPriv = !c.a.o.NoKillPriv
	io.Mount.NoOpen = c.a.o.NoOpen
	io.Mount.PosixACL = c.a.o.PosixACL
	io.Mount.SecurityCtx = c.a.o.SecurityLabel
	io.Mount.PosixLocks = true
	io.Mount.Submounts = c.a.o.AnnounceSubmounts
	io.OutObject = c.a.root.obj
	return 0
}

// exec begins an operation on an object: it checks what can be checked, and does what needs no call.
func (c *channel) exec(io *fsdev.IO) (errno syscall.Errno) {
	a := c.a
	op := &operations[io.Type]
	n := a.get(io.Object)
	if n == nil {
		return syscall.ESTALE
	}
	var h *handle
	var n2 *node
	if errno = c.check(io, op, n, &h, &n2); errno == 0 {
		errno = c.begin(io, op, n, h, n2)
	}
	if errno == errLater {
		return errno // the job has them now
	}
	if h != nil {
		a.putHandle(h)
	}
	if n2 != nil {
		a.put(n2)
	}
	a.put(n)
	return errno
}

// check looks at the arguments and returns those that are references: the handle, and the second object.
func (c *channel) check(io *fsdev.IO, op *operation, n *node, h **handle, n2 **node) (errno syscall.Errno) {
	if op.flags&xattrs != 0 && !c.a.o.Xattr {
		return syscall.ENOSYS
	}
	if op.flags&second != 0 {
		if *n2 = c.a.get(io.Object2); *n2 == nil {
			return syscall.ESTALE
		}
	}
	if io.Handle != 0 && hasHandle(io.Type) {
		if *h, errno = c.a.handleOf(io.Desc(), io.Object, io.Handle); errno != 0 {
			return errno
		}
		// A handle that need not be there may be of either kind.
		if op.flags&handled != 0 && n.isDir() != (op.flags&dirs != 0) {
			return syscall.EBADF
		}
	} else if op.flags&handled != 0 {
		if !c.a.withoutHandle(io) {
			return syscall.EBADF
		}
		if errno := checkOwnHandle(op, n); errno != 0 {
			return errno
		}
	}
	if op.flags&changes != 0 && c.a.o.ReadOnly {
		return syscall.EROFS
	}
	if errno := c.a.checkLabels(io); errno != 0 {
		return errno
	}
	if op.flags&named != 0 {
		if errno := checkName(io.Name); errno != 0 {
			return errno
		}
	}
	if op.flags&named2 != 0 {
		return checkName(io.Name2)
	}
	return 0
}

// hasHandle says whether Handle means anything.
func hasHandle(t fsdev.IOType) bool {
	switch t {
	case fsdev.IORead, fsdev.IOWrite, fsdev.IOGetattr, fsdev.IOSetattr, fsdev.IOFsync, fsdev.IOFsyncdir, fsdev.IOFlush,
		fsdev.IOFlock, fsdev.IOFallocate, fsdev.IOCopyFileRange, fsdev.IOLseek, fsdev.IOStatx, fsdev.IOGetlk, fsdev.IOSetlk,
		fsdev.IOIoctl, fsdev.IOPoll, fsdev.IORelease, fsdev.IOReleasedir, fsdev.IOReaddir:
		return true
	}
	return false
}

// begin does what can be done at once and makes a job of the rest, which has the references from then on.
func (c *channel) begin(io *fsdev.IO, op *operation, n *node, h *handle, n2 *node) syscall.Errno {
	switch io.Type {
	case fsdev.IORelease, fsdev.IOReleasedir:
		if h == nil || n.isDir() != (io.Type == fsdev.IOReleasedir) {
			return syscall.EBADF
		}
		if !c.a.closeHandle(io.Handle, &c.locks) {
			return syscall.EBADF
		}
		c.followUp()
		return 0
	case fsdev.IOFlock, fsdev.IOGetlk, fsdev.IOSetlk:
		return c.lock(io, n, h)
	case fsdev.IOPoll:
		io.OutResult = int32(io.Flags & alwaysReady)
		return 0
	case fsdev.IOIoctl:
		if errno := c.a.checkIoctl(n, io); errno != 0 {
			return errno
		}
	case fsdev.IOFlush:
		if n.locks.IsUsed() {
			c.lock(io, n, h)
		}
		if n.speed != remote {
			return 0
		}
	case fsdev.IOStatx:
		if n.speed != remote && c.pin(n) {
			defer c.a.unpin(n)
			return statx(n, io, &c.stx)
		}
	}
	if op.run == nil {
		return syscall.ENOSYS
	}
	j := c.newJob(io, op.run)
	if op.flags&handled2 != 0 && io.Handle2 == 0 && c.a.o.NoOpen {
		if errno := checkOwnHandle(op, n2); errno != 0 {
			c.freeJob(j)
			return errno
		}
	} else if op.flags&handled2 != 0 {
		var errno syscall.Errno
		if j.h2, errno = c.a.handleOf(io.Desc(), io.Object2, io.Handle2); errno == 0 && n2.isDir() {
			errno = syscall.EBADF
		}
		if errno != 0 {
			c.freeJob(j)
			return errno
		}
	}
	j.n, j.h, j.n2 = n, h, n2
	if op.flags&handled != 0 && (h == nil || op.flags&handled2 != 0 && j.h2 == nil) {
		j.run, j.own = runOwnHandle, true
		c.a.pool.push(j)
	} else {
		c.start(j, op)
	}
	return errLater
}

// start gives a job to whom it is for.
func (c *channel) start(j *job, op *operation) {
	switch {
	case c.inline(j):
	case op.flags&ringed != 0 && j.h != nil && c.ring.start(j):
	case j.io.Type == fsdev.IOReaddir:
		c.enterDir(j)
	default:
		c.a.pool.push(j)
	}
}

// checkName refuses what is no name of an entry.
func checkName(name []byte) syscall.Errno {
	switch {
	case len(name) > maxName:
		return syscall.ENAMETOOLONG
	case len(name) == 0:
		return syscall.ENOENT
	case isDots(name), bytes.IndexByte(name, '/') >= 0, bytes.IndexByte(name, 0) >= 0:
		return syscall.EINVAL
	}
	return 0
}

func isDots(name []byte) bool { return string(name) == "." || string(name) == ".." }

// cstring puts a NUL behind a string in buf, which has room, and returns where it begins.
func cstring(buf, s []byte) *byte {
	buf[copy(buf, s)] = 0
	return &buf[0]
}

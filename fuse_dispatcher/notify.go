package fusedispatcher

import (
	"context"
	"fmt"
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
	"github.com/spdk-go/spdk-go/reactor"
)

// NotifyFunc sends a message to the client that is not the answer to a request: a header with
// unique 0 and the notification's code for an error, and what belongs to it, in as many segments
// as msg has. They belong to the function for as long as it likes, and nobody changes them.
//
// It is called on the control thread and must not wait, nor send there: the client may take the
// message only after it has been answered a request. It may drop the message; if the client
// refuses it, [Dispatcher.NotifyRefused] has to know.
//
// Not in SPDK.
type NotifyFunc func(t *reactor.Thread, msg [][]byte, ctx any)

// notifyHook is who sends notifications.
type notifyHook struct {
	fn  NotifyFunc
	ctx any
}

// SetNotify has fn called with ctx for what the module has to tell the client, nil for no more;
// a call may be under way meanwhile. For transports that come after the dispatcher, see
// [Opts].Notify. On any goroutine.
//
// Not in SPDK.
func (d *Dispatcher) SetNotify(fn NotifyFunc, ctx any) {
	if fn == nil {
		d.notify.Store(nil)
		return
	}
	d.notify.Store(&notifyHook{fn, ctx})
}

// notifyMinor is the minor version from which on clients know a notification. linux/fuse.h
var notifyMinor = [...]uint32{
	fsdev.NotifyInvalInode: 12,
	fsdev.NotifyInvalEntry: 12,
	fsdev.NotifyDelete:     18,
	fsdev.NotifyStore:      15,
	fsdev.NotifyPoll:       11,
	fsdev.NotifyInvalNames: 44,
}

const retrieveMinor = 15

// NotifyQueue is what the ctx of [Dispatcher.SetNotify] is, beside what its owner has it for, if the transport keeps
// messages back: NotifyBacklog returns how many the client has not taken. It is called on any goroutine.
//
// Not in SPDK.
type NotifyQueue interface {
	NotifyBacklog() int
}

// notifyBacklog is for [fsdev.Desc.SetNotifyBacklog].
func notifyBacklog(ctx any) int {
	if hook := ctx.(*Dispatcher).notify.Load(); hook != nil {
		if q, ok := hook.ctx.(NotifyQueue); ok {
			return q.NotifyBacklog()
		}
	}
	return 0
}

// onNotify hands on what the module has to tell, on the control thread.
func onNotify(t *reactor.Thread, _ *fsdev.Fsdev, n *fsdev.Notification, ctx any) {
	d := ctx.(*Dispatcher)
	s, hook := d.sess.Load(), d.notify.Load()
	if s == nil || hook == nil {
		return
	}
	if int(n.Type) >= len(notifyMinor) {
		panic(fmt.Sprintf("fuse_dispatcher %q: notification of type %d", d.opts.FsdevName, n.Type))
	}
	if s.minor >= notifyMinor[n.Type] {
		hook.fn(t, s.notification(n), hook.ctx)
	}
}

// notification formats n. Data are not copied.
func (s *session) notification(n *fsdev.Notification) [][]byte {
	switch n.Type {
	case fsdev.NotifyInvalInode:
		msg, out := newMessage[NotifyInvalInodeOut](FUSE_NOTIFY_INVAL_INODE, nil)
		out.Ino, out.Off, out.Len = s.nodeID(n.Object), int64(n.Offset), int64(n.Length)
		return msg
	case fsdev.NotifyInvalEntry:
		msg, out := newMessage[NotifyInvalEntryOut](FUSE_NOTIFY_INVAL_ENTRY, terminated(n.Name))
		out.Parent, out.Namelen = s.nodeID(n.Object), uint32(len(n.Name))
		return msg
	case fsdev.NotifyDelete:
		msg, out := newMessage[NotifyDeleteOut](FUSE_NOTIFY_DELETE, terminated(n.Name))
		out.Parent, out.Child, out.Namelen = s.nodeID(n.Object), s.nodeID(n.Child), uint32(len(n.Name))
		return msg
	case fsdev.NotifyStore:
		msg, out := newMessage[NotifyStoreOut](FUSE_NOTIFY_STORE, n.Data)
		out.NodeID, out.Offset, out.Size = s.nodeID(n.Object), n.Offset, uint32(len(n.Data))
		return msg
	case fsdev.NotifyInvalNames:
		buf := make([]byte, outHeaderSize)
		*Overlay[OutHeader](buf) = OutHeader{Len: outHeaderSize, Error: FUSE_NOTIFY_INC_EPOCH}
		return [][]byte{buf}
	default: // NotifyPoll
		msg, out := newMessage[NotifyPollWakeupOut](FUSE_NOTIFY_POLL, nil)
		out.Kh = n.Key
		return msg
	}
}

// newMessage returns a message and, in it, the structure to fill, which data follow.
func newMessage[T any](code int32, data []byte) ([][]byte, *T) {
	buf := make([]byte, outHeaderSize+Size[T]())
	*Overlay[OutHeader](buf) = OutHeader{Len: uint32(len(buf) + len(data)), Error: code}
	msg := [][]byte{buf}
	if len(data) > 0 {
		msg = append(msg, data)
	}
	return msg, Overlay[T](buf[outHeaderSize:])
}

// terminated returns a copy of a name with its NUL.
func terminated(name []byte) []byte { return append(append(make([]byte, 0, len(name)+1), name...), 0) }

// RetrieveFunc completes [Dispatcher.Retrieve], on the control thread: data, which are valid
// until it returns, are what the client has of what it was asked for, beginning at the offset
// asked for; none or only a part if the rest is not in its cache. errno is that of
// [Dispatcher.NotifyRefused] (ENOENT: the client does not know the node), ENOTCONN if the
// session has ended, or EIO if the client's answer makes no sense.
//
// Not in SPDK.
type RetrieveFunc func(t *reactor.Thread, ctx any, errno syscall.Errno, data [][]byte)

// retrieve is a question that the client has not answered yet.
type retrieve struct {
	d      *Dispatcher
	unique uint64
	nodeID uint64
	offset uint64
	size   uint32
	errno  syscall.Errno // of NotifyRefused
	cb     RetrieveFunc
	ctx    any
}

const (
	// maxRetrieves is how many questions can be open.
	maxRetrieves = 64
	// retrieveUnique is where the names of questions begin: not among those of requests.
	retrieveUnique = 1 << 62
)

// Retrieve asks the client for size bytes at offset that it has in its cache of the file obj. It
// returns 0, and cb is called with ctx, or it is not: ENOTCONN without a session or anybody to
// send, ENOSYS if the client does not know the question, ENOBUFS while too many are open, or
// EINVAL. On the control thread only.
//
// Not in SPDK: FUSE_NOTIFY_RETRIEVE.
func (d *Dispatcher) Retrieve(obj fsdev.FileObject, offset uint64, size uint32,
	cb RetrieveFunc, ctx any) syscall.Errno {
	d.ctl.AssertCurrent()
	s, hook, c := d.sess.Load(), d.notify.Load(), &d.control
	switch {
	case s == nil || hook == nil:
		return syscall.ENOTCONN
	case s.minor < retrieveMinor:
		return syscall.ENOSYS
	case size == 0 || offset+uint64(size) < offset:
		return syscall.EINVAL
	case len(c.retrieves) == maxRetrieves:
		return syscall.ENOBUFS
	}
	c.asked++
	q := &retrieve{
		d: d, unique: retrieveUnique + c.asked,
		nodeID: s.nodeID(obj), offset: offset, size: size,
		cb: cb, ctx: ctx,
	}
	if c.retrieves == nil {
		c.retrieves = map[uint64]*retrieve{}
	}
	c.retrieves[q.unique] = q
	msg, out := newMessage[NotifyRetrieveOut](FUSE_NOTIFY_RETRIEVE, nil)
	out.NotifyUnique, out.NodeID, out.Offset, out.Size = q.unique, q.nodeID, offset, size
	hook.fn(d.ctl, msg, hook.ctx)
	return 0
}

// NotifyRefused says that the client has refused a message of [NotifyFunc], or that it was
// dropped, which matters if it was a question: nobody will answer it. On any goroutine that is
// not a reactor's, since it waits for room for a message to the control thread.
//
// Not in SPDK.
func (d *Dispatcher) NotifyRefused(msg [][]byte, errno syscall.Errno) {
	if Overlay[OutHeader](msg[0]).Error != FUSE_NOTIFY_RETRIEVE {
		return
	}
	out := Overlay[NotifyRetrieveOut](msg[0][outHeaderSize:])
	// If the thread has exited, so has the session.
	_ = d.ctl.SendMsgWait(context.Background(), refused, &retrieve{d: d, unique: out.NotifyUnique, errno: errno})
}

func refused(t *reactor.Thread, ctx any) {
	x := ctx.(*retrieve)
	if q := x.d.control.take(x.unique); q != nil {
		q.cb(t, q.ctx, x.errno, nil)
	}
}

// take returns the question called unique, which is open no more, or nil.
func (c *control) take(unique uint64) *retrieve {
	q := c.retrieves[unique]
	delete(c.retrieves, unique)
	return q
}

// doNotifyReply takes the answer to a question to the control thread. Its data stay where they
// are until the request completes.
func doNotifyReply(r *request) {
	n := min(int(args[NotifyRetrieveIn](r).Size), r.in.left)
	r.iovs = r.in.slices(r.segs[:0], 0, n)
	if !r.c.d.ctl.SendMsgRetry(r.ch.Thread(), retrieved, r) {
		r.end(syscall.ENODEV)
	}
}

func retrieved(t *reactor.Thread, ctx any) {
	r := ctx.(*request)
	in := args[NotifyRetrieveIn](r)
	q := r.c.d.control.take(r.hdr.Unique)
	n := 0
	for _, seg := range r.iovs {
		n += len(seg)
	}
	switch {
	case q == nil:
		r.errno = syscall.ENOENT
	case q.nodeID != r.hdr.NodeID || q.offset != in.Offset || in.Size > q.size || n < int(in.Size):
		r.errno = syscall.EIO
		q.cb(t, q.ctx, r.errno, nil)
	default:
		r.errno = 0
		q.cb(t, q.ctx, 0, r.iovs)
	}
	// The request holds its channel, and that its thread.
	r.ch.Thread().SendMsgRetry(t, retrieveTaken, r)
}

func retrieveTaken(_ *reactor.Thread, ctx any) {
	r := ctx.(*request)
	r.end(r.errno)
}

// endRetrieves answers what the client will not answer any more.
func (c *control) endRetrieves(t *reactor.Thread) {
	for unique := range c.retrieves {
		q := c.take(unique)
		q.cb(t, q.ctx, syscall.ENOTCONN, nil)
	}
}

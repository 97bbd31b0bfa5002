// Package loopback is an in-process client of a FUSE dispatcher. It plays the part of the
// kernel: it builds raw FUSE requests, submits them, and decodes and checks the replies.
// Tests, benchmarks and programs that have no /dev/fuse reach a file system through it.
//
// There are three layers:
//
//   - [Conn] belongs to one reactor thread. Requests are built in preallocated memory and
//     answered by a (fn, ctx) callback; nothing is allocated per request.
//   - [Client] wraps a Conn for plain goroutines: each method posts a message to the thread
//     and waits for the answer. Any number of goroutines may call it at once.
//   - [FS] walks paths over a Client: MkdirAll, ReadFile, WriteFile and their like.
//
// The offsets of the wire structures are written out here, from include/uapi/linux/fuse.h, and
// not shared with the dispatcher, so that a slip in either is noticed by the other. For
// the same reason every reply is checked for form (length, error range, unique); a malformed
// one is reported as EPROTO, which no file system returns.
//
// SPDK has no such transport; the nearest is test/app/fuzz/vhost_fuzz.
package loopback

import (
	"encoding/binary"
	"fmt"
	"syscall"

	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

// DefaultDepth is how many requests a [Conn] carries at once if not told otherwise.
const DefaultDepth = 32

// RootID is the node of the root directory, FUSE_ROOT_ID.
const RootID = 1

const (
	inHeaderSize  = 40
	outHeaderSize = 16
	maxArgsSize   = 104 // fuse_setattr_in is 88
	// maxNameSize bounds each of the (at most two) strings of a request. It is larger
	// than any file system accepts, so that refusing a long name stays the server's job.
	maxNameSize = 4096
	inBufSize   = inHeaderSize + maxArgsSize + 2*(maxNameSize+1)
	// A READLINK target is the largest reply that is not delivered into a buffer of
	// the caller.
	outBufSize = outHeaderSize + 4096
)

// Options adjusts a [Conn]. The zero value is good.
type Options struct {
	// Depth is how many requests can be in flight; 0 means [DefaultDepth]. Those that end others can be some more,
	// as in the dispatcher, see fusedispatcher.ControlReserve.
	Depth int
	// ID makes the uniques of this connection distinct from those of the other
	// connections to the same dispatcher; INTERRUPT is answered by unique. 0 takes the
	// thread's number, which is right for one connection per thread.
	ID uint16
	// UID, GID and PID are the caller's identity in every request.
	UID, GID, PID uint32
}

// ReplyFunc receives the reply of a request, on the connection's thread, never from inside
// the call that submitted it. r and what it refers to belong to the connection again when
// the function returns. The request's slot is free already, so that the function can
// submit the next request.
type ReplyFunc func(ctx any, r *Reply)

// Conn is one client of a dispatcher, bound to one thread: every method must be called on
// it. Methods that submit return 0, and then call fn exactly once, or an errno, and then
// never do:
//
//   - ENOBUFS: all Depth slots, or all of the dispatcher's, are taken; retry later. INTERRUPT, FORGET, BATCH_FORGET,
//     INIT and DESTROY have some of their own beside them.
//   - ENAMETOOLONG: the name does not fit into the request buffer (4096 bytes).
//   - ENOTCONN: the connection was closed.
type Conn struct {
	t      *reactor.Thread
	d      *fusedispatcher.Dispatcher
	ch     *iochannel.Channel
	free   *request
	spare  *request // free ones that only those requests get that end others
	slots  []request
	unique uint64 // of the last request; steps by two, as the kernel's do
	opts   Options
	closed bool
	busy   int

	notify    NotifyFunc // see OnNotify
	notifyCtx any
}

// request is a slot: one request being built or in flight.
type request struct {
	c       *Conn
	next    *request
	op      uint32
	buf     []byte // the request's header, arguments and names
	isSpare bool   // one of Conn.spare

	rbuf []byte // the reply's header, and its body unless the caller gave a buffer
	data []byte // the caller's buffer of the reply body, may be nil

	unique uint64
	inSeg  [2][]byte
	outSeg [2][]byte
	in     [][]byte
	out    [][]byte
	raw    bool

	fn    ReplyFunc
	ctx   any
	reply Reply
}

// New connects thread t to the dispatcher. Call it on t. Close the connection before the
// thread exits and before the dispatcher is deleted.
//
// It returns an error wrapping ENOMEM when there is no channel to be had.
func New(t *reactor.Thread, d *fusedispatcher.Dispatcher, o Options) (*Conn, error) {
	if o.Depth <= 0 {
		o.Depth = DefaultDepth
	}
	if o.ID == 0 {
		o.ID = uint16(t.ID())
	}
	ch := d.IOChannel(t)
	if ch == nil {
		return nil, fmt.Errorf("loopback: no channel of the dispatcher on thread %s: %w", t.Name(), syscall.ENOMEM)
	}
	c := &Conn{t: t, d: d, ch: ch, opts: o, slots: make([]request, o.Depth+fusedispatcher.ControlReserve)}
	c.unique = uint64(o.ID) << 48
	for i := range c.slots {
		r := &c.slots[i]
		r.c = c
		r.buf = make([]byte, 0, inBufSize)
		r.rbuf = make([]byte, outBufSize)
		r.isSpare = i >= o.Depth
		c.put(r)
	}
	return c, nil
}

// Thread returns the thread that the connection belongs to.
func (c *Conn) Thread() *reactor.Thread { return c.t }

// InFlight returns how many requests have not been answered yet.
func (c *Conn) InFlight() int { return c.busy }

// LastUnique returns the unique of the request submitted last, for [Conn.Interrupt].
func (c *Conn) LastUnique() uint64 { return c.unique }

// Close releases the channel. It returns EBUSY, and does nothing, while requests are in
// flight.
func (c *Conn) Close() syscall.Errno {
	if c.busy != 0 {
		return syscall.EBUSY
	}
	if !c.closed {
		c.closed = true
		if c.notify != nil {
			c.OnNotify(nil, nil)
		}
		c.ch.Put()
	}
	return 0
}

// begin takes a slot and starts a request in it.
func (c *Conn) begin(op uint32, node uint64) (*request, syscall.Errno) {
	if c.closed {
		return nil, syscall.ENOTCONN
	}
	list := &c.free
	if *list == nil && endsOthers(op) {
		list = &c.spare
	}
	r := *list
	if r == nil {
		return nil, syscall.ENOBUFS
	}
	*list = r.next
	c.busy++
	c.unique += 2
	r.op = op
	r.unique = c.unique
	r.raw = false
	r.data = nil
	b := r.buf[:0]
	b = le.AppendUint32(b, 0) // len, known at the end
	b = le.AppendUint32(b, op)
	b = le.AppendUint64(b, r.unique)
	b = le.AppendUint64(b, node)
	b = le.AppendUint32(b, c.opts.UID)
	b = le.AppendUint32(b, c.opts.GID)
	b = le.AppendUint32(b, c.opts.PID)
	b = le.AppendUint32(b, 0) // total_extlen, padding
	r.buf = b
	return r, 0
}

// le is the byte order of the wire: the host's own.
var le = binary.NativeEndian

func (r *request) u32(v uint32) { r.buf = le.AppendUint32(r.buf, v) }
func (r *request) u64(v uint64) { r.buf = le.AppendUint64(r.buf, v) }

// str appends s and its terminator; the caller has checked the length.
func (r *request) str(s string) {
	r.buf = append(r.buf, s...)
	r.buf = append(r.buf, 0)
}

// send submits a request that has been built. payload follows the arguments; data receives
// the body of the reply, if the operation has one of variable length.
func (c *Conn) send(r *request, payload, data []byte, fn ReplyFunc, ctx any) syscall.Errno {
	le.PutUint32(r.buf, uint32(len(r.buf)+len(payload)))
	r.inSeg[0] = r.buf
	r.in = r.inSeg[:1]
	if len(payload) > 0 {
		r.inSeg[1] = payload
		r.in = r.inSeg[:2]
	}
	r.data = data
	r.out = r.outSeg[:1]
	switch {
	case noReply(r.op):
		r.out = nil
	case data != nil:
		r.outSeg[0] = r.rbuf[:outHeaderSize]
		r.outSeg[1] = data
		r.out = r.outSeg[:2]
	default:
		r.outSeg[0] = r.rbuf
	}
	return c.submit(r, fn, ctx)
}

func (c *Conn) submit(r *request, fn ReplyFunc, ctx any) syscall.Errno {
	r.fn = fn
	r.ctx = ctx
	errno := c.d.SubmitRequest(c.ch, r.in, r.out, onReply, r)
	if errno != 0 {
		c.release(r)
	}
	return errno
}

// release gives a slot back, and drops what it borrowed from the caller.
func (c *Conn) release(r *request) {
	r.buf = r.buf[:0]
	r.inSeg = [2][]byte{}
	r.outSeg = [2][]byte{}
	r.in, r.out, r.data = nil, nil, nil
	r.fn, r.ctx = nil, nil
	c.put(r)
	c.busy--
}

// put makes a slot free.
func (c *Conn) put(r *request) {
	list := &c.free
	if r.isSpare {
		list = &c.spare
	}
	r.next = *list
	*list = r
}

// endsOthers says whether requests of an opcode may use the spare slots.
func endsOthers(op uint32) bool {
	switch op {
	case opInterrupt, opForget, opBatchForget, opInit, opDestroy:
		return true
	}
	return false
}

// onReply is the dispatcher's completion of every request.
func onReply(ctx any, errno syscall.Errno, replyLen uint32) {
	r := ctx.(*request)
	c := r.c
	rep := &r.reply
	rep.reset()
	rep.Opcode = r.op
	rep.Unique = r.unique
	rep.raw = r.raw
	if r.raw {
		rep.Errno = errno
		rep.Len = replyLen
	} else {
		r.decode(errno, replyLen)
	}
	fn, fctx := r.fn, r.ctx
	c.release(r)
	fn(fctx, rep)
}

// noReply says whether the kernel expects no reply to op, and so gives no room for one.
func noReply(op uint32) bool {
	return op == opForget || op == opBatchForget || op == opNotifyReply
}

// Raw submits in as it is, without looking at it, with out as the room for the reply: for
// hostile and historical requests. The [Reply] has only Errno and Len; the caller decodes out
// itself, for example with [ParseReply]. in and out are borrowed until fn is called.
func (c *Conn) Raw(in, out [][]byte, fn ReplyFunc, ctx any) syscall.Errno {
	r, errno := c.begin(0, 0)
	if errno != 0 {
		return errno
	}
	r.raw = true
	r.in, r.out = in, out
	return c.submit(r, fn, ctx)
}

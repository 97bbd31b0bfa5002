package fusedispatcher

import (
	"bytes"
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

const (
	inHeaderSize  = 40
	outHeaderSize = 16
	maxName       = 255
	maxPath       = 4095
	// maxArg is the largest of all argument structures, SetattrIn.
	maxArg = 88
	// maxReply is the largest reply that is built in the request: StatxOut.
	maxReply = outHeaderSize + statxOutSize
	// inlineSegs is how many segments of payload a request takes without allocating.
	inlineSegs = 20
)

// ControlReserve is how many more than [Opts].MaxRequests requests can be in flight on a channel that end others, see
// [Dispatcher.SubmitRequest]. They take no longer than it takes to ask the module, so that a few are enough for any
// number of them, one after the other.
//
// Not in SPDK, where a client whose requests all wait cannot give one up.
const ControlReserve = 8

// SubmitCplFunc completes a request: replyLen bytes of the reply vector hold the reply, 0
// if the opcode has none or there was no room for a header. errno is that of the reply, for
// statistics. It is called on the channel's thread.
//
// SPDK: spdk_fuse_dispatcher_submit_cpl_cb
type SubmitCplFunc func(ctx any, errno syscall.Errno, replyLen uint32)

// request is a FUSE request on its way. It is taken from its channel's pool.
//
// SPDK: struct fuse_io
type request struct {
	// What every request uses comes first.
	hdr  InHeader
	c    *channel
	ch   *iochannel.Channel
	sess *session
	op   *opcode
	in   cursor
	out  cursor

	cpl      SubmitCplFunc
	cplCtx   any
	errno    syscall.Errno
	replyLen uint32
	inSubmit bool
	active   bool   // one of c.active
	aborted  bool   // by a drain
	inPlace  bool   // what payload returned is in the client's vector
	seq      uint64 // names the request towards the fsdev

	arg   [(maxArg + 7) / 8]uint64   // the argument structure, aligned
	reply [(maxReply + 7) / 8]uint64 // the reply, aligned

	iovs  [][]byte // payload; into segs unless there are too many
	name  []byte   // into names
	name2 []byte
	segs  [inlineSegs][]byte
	names [2 * (maxName + 1)]byte
	path  []byte // for a symbolic link's target; allocated at first use and kept
	ext   []byte // for extensions; allocated at first use and kept if small

	security []fsdev.Xattr // into ext

	mode    uint32 // see aclSet
	forget  forgetState
	readdir readdirState
}

// SubmitRequest takes a request: in holds what the client sent, out the room for the
// reply. Both belong to the request until cpl is called with ctx. It returns 0, and cpl
// will be called, or ENOBUFS, and it will not: [Opts].MaxRequests are in flight, try again
// when one has completed. Some more than that are taken of those opcodes that end others, so
// that a client whose requests all wait can get on: INTERRUPT, FORGET, BATCH_FORGET, INIT and
// DESTROY. On ch's thread only.
//
// SPDK: spdk_fuse_dispatcher_submit_request, which returns -EINVAL for what it cannot parse
// and leaves the client without an answer.
func (d *Dispatcher) SubmitRequest(ch *iochannel.Channel, in, out [][]byte, cpl SubmitCplFunc, ctx any) syscall.Errno {
	c := iochannel.Ctx[channel](ch)
	r := c.reqs.GetLeaving(ControlReserve)
	isScarce := r == nil
	if isScarce {
		if r = c.reqs.Get(); r == nil {
			return syscall.ENOBUFS
		}
	}
	r.in.set(in)
	total := r.in.left
	isWhole := r.in.read(Bytes(&r.hdr))
	if isScarce && (!isWhole || !endsOthers(r.hdr.Opcode)) {
		r.in.reset()
		c.reqs.Put(r)
		return syscall.ENOBUFS
	}
	if c.inFlight++; c.inFlight == 1 {
		ch.Ref() // one for all that are in flight
	}
	c.seq++
	r.c, r.ch, r.seq = c, ch, c.seq
	r.out.set(out)
	r.cpl, r.cplCtx = cpl, ctx
	r.inSubmit, r.aborted, r.inPlace = true, false, false
	r.start(total, isWhole)
	r.inSubmit = false
	return 0
}

// endsOthers says whether requests of an opcode may use what ControlReserve keeps.
func endsOthers(op uint32) bool {
	switch op {
	case FUSE_INTERRUPT, FUSE_FORGET, FUSE_BATCH_FORGET, FUSE_INIT, FUSE_DESTROY:
		return true
	}
	return false
}

// start parses a request of total bytes, whose header has been read if it is whole, and calls its handler.
func (r *request) start(total int, isWhole bool) {
	if !isWhole {
		r.hdr = InHeader{}
		r.in.read(Bytes(&r.hdr)[:total]) // perhaps the opcode and the unique
		r.op = &opcodes[tableIndex(r.hdr.Opcode)]
		r.refuse(syscall.EINVAL, "it is shorter than its header")
		return
	}
	i := tableIndex(r.hdr.Opcode)
	r.op = &opcodes[i]
	r.c.stats.requests[i]++

	size := int(r.hdr.Len)
	if size < inHeaderSize || size > total {
		r.refuse(syscall.EINVAL, "its length is not what it says")
		return
	}
	r.in.left -= total - size
	if r.op.control {
		r.startControl()
		return
	}
	r.sess = r.c.d.sess.Load()
	if r.sess == nil || r.c.fsdevCh == nil {
		r.fail(syscall.ENOTCONN)
		return
	}
	r.active = true
	r.c.active++
	if errno := r.parse(r.sess.sizes[i]); errno != 0 {
		r.refuse(errno, "its arguments, its names or the room for a reply")
		return
	}
	r.op.handler(r)
}

func (r *request) startControl() {
	if r.out.left < outHeaderSize {
		r.refuse(syscall.EINVAL, "there is no room for a reply")
		return
	}
	r.op.handler(r)
}

// Reasons to refuse a request that several handlers have.
const (
	missingPayload = "its payload is not all there"
	badExtension   = "what follows its names"
)

// refuse fails a request that is malformed, and says so at a bounded rate. A name that is too
// long is no more than a user's mistake.
func (r *request) refuse(errno syscall.Errno, why string) {
	if errno != syscall.ENAMETOOLONG {
		if line, ok := r.c.d.log.Allow(); ok {
			line.Warn("a malformed request is refused", "fsdev", r.c.d.opts.FsdevName, "opcode", r.op.name,
				"number", r.hdr.Opcode, "unique", r.hdr.Unique, "why", why, "error", errno)
		}
	}
	r.fail(errno)
}

// parse copies arguments and names.
func (r *request) parse(want sizes) syscall.Errno {
	if r.out.left < int(want.room) {
		return syscall.EINVAL
	}
	arg := Bytes(&r.arg)
	if !r.in.read(arg[:want.arg]) {
		return syscall.EINVAL
	}
	if want.arg < r.op.argSize {
		clear(arg[want.arg:]) // an older client's structure is a prefix of ours
	}
	if r.op.names == 0 {
		return 0
	}
	n, errno := r.readName(r.names[:maxName+1])
	r.name = r.names[:n]
	if r.op.names == 1 || errno != 0 {
		return errno
	}
	n, errno = r.readName(r.names[maxName+1:])
	r.name2 = r.names[maxName+1:][:n]
	return errno
}

// readName copies a name into buf, which has room for its NUL, and returns its length
// without it.
func (r *request) readName(buf []byte) (int, syscall.Errno) {
	n, errno := r.readString(buf)
	if errno == 0 && (n == 0 || !r.op.slash && bytes.IndexByte(buf[:n], '/') >= 0) {
		return 0, syscall.EINVAL
	}
	return n, errno
}

// readString copies a NUL-terminated string into buf and returns its length.
func (r *request) readString(buf []byte) (int, syscall.Errno) {
	n := 0
	for r.in.left > 0 {
		chunk := r.in.chunk()
		chunk = chunk[:min(len(chunk), r.in.left, len(buf)-n)]
		if len(chunk) == 0 {
			return 0, syscall.ENAMETOOLONG
		}
		copied := buf[n : n+copy(buf[n:], chunk)]
		// The client may change its memory: only the copy tells where the string ends.
		if end := bytes.IndexByte(copied, 0); end >= 0 {
			r.in.skip(end + 1)
			return n + end, 0
		}
		r.in.skip(len(copied))
		n += len(copied)
	}
	return 0, syscall.EINVAL
}

// args returns the argument structure of the request as what it is.
func args[T any](r *request) *T { return OverlayWords[T](r.arg[:]) }

// payload returns the structure at off behind the header of the reply being built. That is where
// the client will read it, if it can be, and nothing is read back from there.
func payload[T any](r *request, off int) *T {
	p := unclearedPayload[T](r, off)
	var zero T
	*p = zero
	return p
}

// unclearedPayload is payload for who sets every field.
func unclearedPayload[T any](r *request, off int) *T {
	if need := r.op.replySize; need > 0 {
		if seg := r.out.seg[r.out.off:]; len(seg) >= outHeaderSize+int(need) && Aligned(seg) {
			r.inPlace = true
			return Overlay[T](seg[outHeaderSize+off:])
		}
	}
	return Overlay[T](Bytes(&r.reply)[outHeaderSize+off:])
}

// object returns the file object that the request is about.
func (r *request) object() fsdev.FileObject { return r.sess.object(r.hdr.NodeID) }

func (s *session) object(nodeID uint64) fsdev.FileObject {
	if nodeID == FUSE_ROOT_ID {
		return s.root
	}
	return fsdev.FileObject(nodeID)
}

func (s *session) nodeID(obj fsdev.FileObject) uint64 {
	if obj == s.root {
		return FUSE_ROOT_ID
	}
	return uint64(obj)
}

// started ends a request whose fsdev operation could not be started.
func (r *request) started(errno syscall.Errno) {
	if errno != 0 {
		r.fail(errno)
	}
}

// maxErrno is the largest that a client's kernel takes: it refuses a reply with a larger one, and
// whoever waits for that waits on.
const maxErrno = 511

// fail replies errno: a header and nothing else, or nothing for an opcode without reply.
func (r *request) fail(errno syscall.Errno) {
	if errno > maxErrno {
		errno = syscall.EIO
	}
	r.errno = errno
	r.replyLen = 0
	if !r.op.noReply && r.out.left >= outHeaderSize {
		r.writeReply(0, 0)
	}
	r.complete()
}

// succeed replies the n bytes that have been built behind the header.
func (r *request) succeed(n int) {
	r.errno = 0
	r.writeReply(n, 0)
	r.complete()
}

// succeedData replies n bytes that are in their place in the reply vector already.
func (r *request) succeedData(n int) {
	r.errno = 0
	r.writeReply(0, n)
	r.complete()
}

// succeedWith replies built bytes, and inPlace more that are in their place behind them.
func (r *request) succeedWith(built, inPlace int) {
	r.errno = 0
	r.writeReply(built, inPlace)
	r.complete()
}

// end completes a request without a reply.
func (r *request) end(errno syscall.Errno) {
	r.errno = errno
	r.replyLen = 0
	r.complete()
}

// writeReply copies the header and the built bytes behind it to the client; more bytes are there
// already.
func (r *request) writeReply(built, more int) {
	r.replyLen = uint32(outHeaderSize + built + more)
	buf := Bytes(&r.reply)[:outHeaderSize+built]
	seg := r.out.seg[r.out.off:]
	direct := r.inPlace || built == 0 && len(seg) >= outHeaderSize && Aligned(seg)
	if direct {
		buf = seg
	}
	hdr := Overlay[OutHeader](buf)
	hdr.Len, hdr.Error, hdr.Unique = r.replyLen, -int32(r.errno), r.hdr.Unique
	if !direct {
		r.out.write(buf)
	}
}

// complete calls the completion, later if SubmitRequest has not returned yet.
func (r *request) complete() {
	if r.inSubmit {
		r.ch.Thread().Defer(finishRequest, r)
		return
	}
	r.finish()
}

func finishRequest(_ *reactor.Thread, ctx any) { ctx.(*request).finish() }

// finish frees the request and calls its completion.
func (r *request) finish() {
	c, ch, cpl, ctx, errno, replyLen := r.c, r.ch, r.cpl, r.cplCtx, r.errno, r.replyLen
	if r.active {
		r.active = false
		c.active--
	}
	// What the client lent must not stay reachable from the pool.
	r.in.reset()
	r.out.reset()
	r.cplCtx, r.sess = nil, nil
	if r.iovs != nil {
		if len(r.iovs) > 1 {
			clear(r.segs[:]) // all, for too many have moved and left copies behind
		}
		r.segs[0] = nil
		r.iovs = nil
	}
	if len(r.ext) > keptExt {
		r.ext = nil
		clear(r.security)
	}
	// Freed before the call, which may submit the next request.
	c.reqs.Put(r)
	cpl(ctx, errno, replyLen)
	if c.drain != nil && c.active == 0 {
		c.drained()
	}
	if c.inFlight--; c.inFlight == 0 {
		ch.Put()
	}
}

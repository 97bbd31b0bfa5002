package fusedev

import (
	"bytes"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/internal/fuseabi"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

// The nodes of a tinyServer.
const (
	tinyRoot = fuseabi.FUSE_ROOT_ID
	tinyFile = 2 // "file": holds what was written last
	tinySlow = 3 // "slow": READ does not end before it is interrupted
)

// tinyServer is a dispatcher for tests of the transport with a real kernel: a directory with two files. It serves all
// opcodes that the kernel needs for that, on any thread.
type tinyServer struct {
	dev       *iochannel.Device
	initErrno syscall.Errno
	maxWrite  uint32
	hangInit  bool
	holdLocks bool
	notYet    int    // so many INTERRUPTs find no request
	without   uint32 // flags of INIT
	attrValid uint64 // s

	destroys   atomic.Int32
	interrupts atomic.Int32
	polls      atomic.Int32

	mu      sync.Mutex // it is only a test
	content []byte
	slow    []*tinyRequest
}

func registerTiny(t *reactor.Thread, s *tinyServer) (*iochannel.Device, error) {
	return iochannel.RegisterDevice[struct{}](t, s, "tiny", nil, nil)
}

// tinyRequest is a completion on its way.
type tinyRequest struct {
	s        *tinyServer
	t        *reactor.Thread
	unique   uint64
	cb       fusedispatcher.SubmitCplFunc
	ctx      any
	errno    syscall.Errno
	replyLen uint32
	out      [][]byte
}

func completeTiny(_ *reactor.Thread, ctx any) {
	r := ctx.(*tinyRequest)
	r.cb(r.ctx, r.errno, r.replyLen)
}

func (s *tinyServer) IOChannel(t *reactor.Thread) *iochannel.Channel { return s.dev.Get(t) }

func (s *tinyServer) SubmitRequest(ch *iochannel.Channel, in, out [][]byte,
	cb fusedispatcher.SubmitCplFunc, ctx any) syscall.Errno {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := fuseabi.Overlay[fuseabi.InHeader](in[0])
	r := &tinyRequest{s: s, t: ch.Thread(), unique: h.Unique, cb: cb, ctx: ctx}
	r.out = out
	args := slices.Concat(in...)[inHeaderSize:]
	if s.hold(h, r, args) {
		return 0
	}
	body, errno := s.serve(h, args)
	r.reply(body, errno)
	ch.Thread().Defer(completeTiny, r)
	return 0
}

func (r *tinyRequest) reply(body []byte, errno syscall.Errno) {
	r.errno = errno
	if len(r.out) == 0 {
		return
	}
	if errno != 0 {
		body = nil
	}
	room := r.out[0][outHeaderSize:]
	if len(r.out) > 1 {
		room = r.out[1] // of a ring, whose headers lie apart
	}
	n := copy(room, body)
	*fuseabi.Overlay[fuseabi.OutHeader](r.out[0]) = fuseabi.OutHeader{
		Len: uint32(outHeaderSize + n), Error: -int32(errno), Unique: r.unique,
	}
	r.replyLen = uint32(outHeaderSize + n)
}

// hold keeps requests that do not end by themselves, and ends them when they are interrupted.
func (s *tinyServer) hold(h *fuseabi.InHeader, r *tinyRequest, args []byte) bool {
	switch {
	case h.Opcode == fuseabi.FUSE_SETLKW && s.holdLocks, h.Opcode == fuseabi.FUSE_INIT && s.hangInit,
		h.Opcode == fuseabi.FUSE_READ && h.NodeID == tinySlow:
		s.slow = append(s.slow, r)
		return true
	case h.Opcode == fuseabi.FUSE_INTERRUPT:
		s.interrupts.Add(1)
		if s.notYet > 0 {
			s.notYet--
			r.reply(nil, syscall.EAGAIN)
			r.t.Defer(completeTiny, r)
			return true
		}
		target := fuseabi.Overlay[fuseabi.InterruptIn](args).Unique
		for i, slow := range s.slow {
			if slow.unique == target {
				s.slow = append(s.slow[:i], s.slow[i+1:]...)
				slow.reply(nil, syscall.EINTR)
				slow.t.SendMsg(completeTiny, slow)
				break
			}
		}
		r.t.Defer(completeTiny, r)
		return true
	}
	return false
}

func (s *tinyServer) attr(node uint64) fuseabi.Attr {
	switch node {
	case tinyRoot:
		return fuseabi.Attr{Ino: node, Mode: syscall.S_IFDIR | 0o777, Nlink: 2, Blksize: 4096}
	case tinyFile:
		return fuseabi.Attr{Ino: node, Mode: syscall.S_IFREG | 0o666, Nlink: 1, Size: uint64(len(s.content)), Blksize: 4096}
	}
	return fuseabi.Attr{Ino: node, Mode: syscall.S_IFREG | 0o666, Nlink: 1, Size: 1 << 20, Blksize: 4096}
}

func (s *tinyServer) serve(h *fuseabi.InHeader, args []byte) ([]byte, syscall.Errno) {
	switch h.Opcode {
	case fuseabi.FUSE_INIT:
		in := fuseabi.Overlay[fuseabi.InitIn](args)
		return fuseabi.Bytes(&fuseabi.InitOut{
			Major: 7, Minor: 38, MaxReadahead: in.MaxReadahead, MaxWrite: s.maxWrite, MaxPages: uint16(s.maxWrite / 4096),
			Flags: in.Flags & (fuseabi.FUSE_BIG_WRITES | fuseabi.FUSE_POSIX_LOCKS | fuseabi.FUSE_MAX_PAGES |
				fuseabi.FUSE_ASYNC_READ) &^ s.without,
		}), s.initErrno
	case fuseabi.FUSE_DESTROY:
		s.destroys.Add(1)
		return nil, 0
	case fuseabi.FUSE_GETATTR, fuseabi.FUSE_SETATTR:
		if h.Opcode == fuseabi.FUSE_SETATTR {
			s.content = s.content[:0]
		}
		return fuseabi.Bytes(&fuseabi.AttrOut{AttrValid: s.attrValid, Attr: s.attr(h.NodeID)}), 0
	case fuseabi.FUSE_LOOKUP:
		node := map[string]uint64{"file": tinyFile, "slow": tinySlow}[string(bytes.TrimRight(args, "\x00"))]
		if node == 0 {
			return nil, syscall.ENOENT
		}
		return fuseabi.Bytes(&fuseabi.EntryOut{NodeID: node, Attr: s.attr(node)}), 0
	case fuseabi.FUSE_OPEN, fuseabi.FUSE_OPENDIR:
		return fuseabi.Bytes(&fuseabi.OpenOut{Fh: h.NodeID, OpenFlags: fuseabi.FOPEN_DIRECT_IO}), 0
	case fuseabi.FUSE_READ:
		in := fuseabi.Overlay[fuseabi.ReadIn](args)
		from := min(in.Offset, uint64(len(s.content)))
		return s.content[from:min(from+uint64(in.Size), uint64(len(s.content)))], 0
	case fuseabi.FUSE_WRITE:
		in := fuseabi.Overlay[fuseabi.WriteIn](args)
		data := args[fuseabi.SizeofWriteIn:]
		s.content = append(s.content[:min(in.Offset, uint64(len(s.content)))], data...)
		return fuseabi.Bytes(&fuseabi.WriteOut{Size: in.Size}), 0
	case fuseabi.FUSE_SETLK, fuseabi.FUSE_SETLKW:
		return nil, 0
	case fuseabi.FUSE_READDIR, fuseabi.FUSE_FLUSH, fuseabi.FUSE_RELEASE, fuseabi.FUSE_RELEASEDIR, fuseabi.FUSE_FSYNC:
		return nil, 0
	case fuseabi.FUSE_POLL:
		s.polls.Add(1)
		return nil, syscall.ENOSYS
	case fuseabi.FUSE_STATFS:
		return fuseabi.Bytes(&fuseabi.StatfsOut{}), 0
	}
	return nil, syscall.ENOSYS
}

// Package fusedispatcher_test takes the dispatcher's handlers one by one through every class of
// input, as a CUnit suite of SPDK would if there were one, and names the defects of SPDK's that
// must not come back. What is about more than one request, sessions, versions, caches and
// notifications, is tested beside the code.
package fusedispatcher_test

import (
	"fmt"
	"slices"
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/fuse_dispatcher/dispatchertest"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

const (
	node      = dispatchertest.Node
	outHeader = SizeofOutHeader
)

var (
	cut   = dispatchertest.Cut
	cstr  = dispatchertest.CString
	u32   = dispatchertest.U32
	u64   = dispatchertest.U64
	fails = dispatchertest.Fail

	newBed     = dispatchertest.New
	newSession = dispatchertest.NewSession
	cases      = dispatchertest.Cases()
)

func join(parts ...[]byte) []byte { return slices.Concat(parts...) }

// handler is what is particular to one opcode. What is left out is what most have.
type handler struct {
	op uint32
	// names are the kinds of the names that follow the arguments.
	names []nameKind
	// fh puts an invented handle into the arguments, other an invented second node.
	fh, other setter
	// short says what a request with n bytes behind its header gets, if it is not EINVAL, and
	// whether that is done nevertheless.
	short func(n int) (errno syscall.Errno, does bool)
	// tight says whether a request with room for a header and n bytes of reply has been served
	// well, if that is not refused with EINVAL before anything is done.
	tight func(n int, r *dispatchertest.Reply) bool
	sizes []sizeCase
	// good is a request of an opcode that dispatchertest has no case of.
	good *good
	// control: it needs no session. local: no module is asked.
	control, local bool
}

// setter puts a number into an argument structure.
type setter func(args []byte, v uint64)

// field is a setter of a field.
func field[T any](of func(a *T) *uint64) setter {
	return func(args []byte, v uint64) {
		var a T
		copy(Bytes(&a), args)
		*of(&a) = v
		copy(args, Bytes(&a))
	}
}

// good is a request that must succeed. What it does is in suite.did, unless it is in the calls of
// the module.
type good struct {
	dispatchertest.Case
	// prepare brings about what the request is about, and may change it.
	prepare func(s *suite, hdr *dispatchertest.Header)
	// check wants it to have been done. nil is the case's.
	check func(t *testing.T, s *suite, r *dispatchertest.Reply)
}

// sizeCase is a request whose sizes do not fit what is there, or only just.
type sizeCase struct {
	name  string
	parts [][]byte
	room  int // for the reply, behind the header
	errno syscall.Errno
	asked uint64 // what the module was asked for, unless there is an error
	reply int    // bytes of it behind the header
}

// suite is a dispatcher with all that handlers can reach.
type suite struct {
	*dispatchertest.Bed
	h       *handler
	session bool
	did     []string              // that is not a call of the module
	errno   syscall.Errno         // of the mapper
	target  *dispatchertest.Reply // that an INTERRUPT is for
	message [][]byte              // the last notification
	asked   bool                  // it is a question that has not been answered
}

func newSuite(t *testing.T, h *handler, session bool) *suite {
	t.Helper()
	s := &suite{h: h}
	s.Bed = dispatchertest.New(t, 2, fusedispatcher.Opts{Mapper: s, Notify: s.notify})
	s.FS.Mount = func(io *fsdev.IO) {
		io.Mount.PosixLocks = true
		s.do("mount")
		s.FS.Mounted(io)
	}
	s.FS.Umount = func(io *fsdev.IO) {
		s.do("umount")
		s.FS.Umounted(io)
	}
	s.FS.Abort = func(io *fsdev.IO) {
		s.do("abort")
		s.FS.Aborted(io)
	}
	if session {
		s.begin()
	}
	return s
}

func (s *suite) do(format string, args ...any) { s.did = append(s.did, fmt.Sprintf(format, args...)) }

func (s *suite) begin() {
	s.Init(dispatchertest.MaxMinor)
	s.session = true
	s.did = nil
}

// notify implements [fusedispatcher.NotifyFunc].
func (s *suite) notify(_ *reactor.Thread, msg [][]byte, _ any) { s.message = msg }

// MapAlignment implements [fusedispatcher.Mapper], as do those below.
func (s *suite) MapAlignment() uint16 { return 12 }

// SetupMapping implements [fusedispatcher.Mapper].
func (s *suite) SetupMapping(ch *iochannel.Channel, m fusedispatcher.Mapping, cb fsdev.StatusCplFunc,
	ctx any) syscall.Errno {
	s.do("map %#x %#x %d+%d at %d", m.Object, m.Handle, m.FileOffset, m.Length, m.WindowOffset)
	ch.Thread().Defer(func(*reactor.Thread, any) { cb(ctx, ch, s.errno) }, nil)
	return 0
}

// RemoveMapping implements [fusedispatcher.Mapper].
func (s *suite) RemoveMapping(ch *iochannel.Channel, offset, length uint64, cb fsdev.StatusCplFunc,
	ctx any) syscall.Errno {
	s.do("unmap %d+%d", offset, length)
	ch.Thread().Defer(func(*reactor.Thread, any) { cb(ctx, ch, s.errno) }, nil)
	return 0
}

// RemoveAll implements [fusedispatcher.Mapper].
func (s *suite) RemoveAll(t *reactor.Thread, cb reactor.MsgFunc, ctx any) { cb(t, ctx) }

// make puts a good request together, by itself or with other parts.
func (s *suite) make(g *good, parts [][]byte) []byte {
	s.TB.Helper()
	s.Unique += 2
	hdr := dispatchertest.Header{Opcode: g.Op, Unique: s.Unique, NodeID: node, UID: 1001, GID: 1002, PID: 1003}
	if g.prepare != nil && s.session {
		g.prepare(s, &hdr)
		s.FS.Forget()
		s.did = nil
	}
	if parts == nil {
		parts = g.Parts()
	}
	if g.Op == FUSE_INTERRUPT && s.target != nil {
		parts = [][]byte{u64(s.target.Hdr.Unique)}
	}
	return dispatchertest.Message(hdr, parts...)
}

// check wants a request to have been served.
func (s *suite) check(t *testing.T, g *good, r *dispatchertest.Reply) {
	t.Helper()
	if g.check == nil {
		g.Check(t, s.Bed, r)
	} else {
		g.check(t, s, r)
	}
	s.reset()
}

// nothing wants a request to have failed with errno, with an answer of its kind if there is room
// for it, and nothing to have been done.
func (s *suite) nothing(t *testing.T, r *dispatchertest.Reply, errno syscall.Errno, room int) {
	t.Helper()
	s.failed(t, r, errno, room)
	if len(s.FS.Calls) > 0 {
		t.Errorf("the module saw %v", s.FS.Calls[0].Type)
	}
	if len(s.did) > 0 {
		t.Errorf("did %q", s.did)
	}
	s.reset()
}

// failed wants a request to have failed with errno, and a reply of a header.
func (s *suite) failed(t *testing.T, r *dispatchertest.Reply, errno syscall.Errno, room int) {
	t.Helper()
	want := uint32(outHeader)
	if room < outHeader || s.h.silent() {
		want = 0
	}
	if r.Errno != errno || r.Len != want {
		t.Errorf("%v, reply of %d bytes, want %v and %d", r.Errno, r.Len, errno, want)
	}
}

func (h *handler) silent() bool {
	return h.op == FUSE_FORGET || h.op == FUSE_BATCH_FORGET || h.op == FUSE_NOTIFY_REPLY
}

// reset ends what prepare began.
func (s *suite) reset() {
	if s.target != nil || s.asked {
		s.FS.Do = nil
		s.FS.Release(0)
		if s.asked {
			s.D.NotifyRefused(s.message, syscall.ENOENT)
		}
		s.PollThreads()
		s.target = nil
	}
	s.FS.Forget()
	s.did = nil
}

// send takes a request through.
func (s *suite) send(m []byte, room int) *dispatchertest.Reply {
	s.TB.Helper()
	return s.sendCut([][]byte{m}, [][]byte{make([]byte, room)})
}

func (s *suite) sendCut(in, out [][]byte) *dispatchertest.Reply {
	s.TB.Helper()
	return s.Finish(s.Send(0, in, out))
}

// run takes the handler of an opcode through every class.
func run(t *testing.T, op uint32) {
	h := findHandler(op)
	if h == nil {
		t.Fatalf("%s has no line in the table of handlers", fusedispatcher.OpcodeName(op))
	}
	requests := h.requests()
	if len(requests) == 0 {
		t.Fatalf("there is no good request of %s: give it one in its line, or a case in dispatchertest", name(op))
	}
	for _, c := range classes {
		t.Run(c.name, func(t *testing.T) {
			for i := range requests {
				c.run(t, h, &requests[i])
				if t.Failed() {
					t.Fatalf("request %d", i)
				}
			}
		})
	}
}

// requests returns the good requests of an opcode.
func (h *handler) requests() (list []good) {
	if h.good != nil {
		h.good.Op = h.op
		return []good{*h.good}
	}
	for _, c := range dispatchertest.Cases() {
		if c.Op == h.op {
			list = append(list, good{Case: c})
		}
	}
	return list
}

func name(op uint32) string { return fusedispatcher.OpcodeName(op) }

func findHandler(op uint32) *handler {
	for i := range handlers {
		if handlers[i].op == op {
			return &handlers[i]
		}
	}
	return nil
}

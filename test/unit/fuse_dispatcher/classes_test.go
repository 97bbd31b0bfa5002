package fusedispatcher_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/fuse_dispatcher/dispatchertest"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
)

// classes are the classes of input that every handler is taken through, each in a session of its
// own.
var classes = []struct {
	name string
	run  func(t *testing.T, h *handler, g *good)
}{
	{"good", testGood},
	{"short", testShort},
	{"length", testLength},
	{"names", testNames},
	{"sizes", testSizes},
	{"handles", testHandles},
	{"errors", testErrors},
	{"segments", testSegments},
	{"room", testRoom},
	{"session", testSession},
	{"pool", testPool},
}

// testGood: the module sees what the client sent, the client what the module answered, whenever
// that is.
func testGood(t *testing.T, h *handler, g *good) {
	s := newSuite(t, h, true)
	s.check(t, g, s.send(s.make(g, nil), g.Room))
	if g.check != nil {
		return
	}
	s.FS.Do = s.FS.Hold
	r := s.Send(0, [][]byte{s.make(g, nil)}, [][]byte{make([]byte, g.Room)})
	s.ExpectNone(r)
	s.FS.Release(0)
	s.check(t, g, s.Finish(r))
}

// testShort: a request that ends early is refused before anything is done, wherever it ends and
// whether the header says so or not.
func testShort(t *testing.T, h *handler, g *good) {
	s := newSuite(t, h, true)
	for n := range len(s.make(g, nil)) {
		s.reset()
		errno, does := syscall.EINVAL, false
		if h.short != nil && n >= SizeofInHeader {
			errno, does = h.short(n - SizeofInHeader)
		}
		want := func(r *dispatchertest.Reply) {
			t.Helper()
			switch {
			case !does:
				s.nothing(t, r, errno, g.Room)
			case r.Errno != errno:
				t.Errorf("%d bytes: %v, want %v", n, r.Errno, errno)
			}
			s.reset()
		}
		if n < SizeofInHeader {
			m := s.make(g, nil)
			r := s.sendCut(cut(m[:n:n], n/2), [][]byte{make([]byte, outHeader)})
			// What is too short to say its opcode is answered in any case.
			if r.Errno != syscall.EINVAL || (n < 5 || !h.silent()) != (r.Len == outHeader) {
				t.Fatalf("%d bytes: %v, reply of %d bytes", n, r.Errno, r.Len)
			}
			if len(s.FS.Calls) > 0 || len(s.did) > 0 {
				t.Fatalf("%d bytes were served", n)
			}
			continue
		}
		m := s.make(g, nil)
		copy(m, u32(uint32(n))) // the header says it, and the vector is as long
		want(s.sendCut(cut(m[:n:n], n/2), [][]byte{make([]byte, g.Room)}))
		m = s.make(g, nil)
		copy(m, u32(uint32(n))) // only the header says it
		want(s.send(m, g.Room))
		m = s.make(g, nil) // the header does not say it
		s.nothing(t, s.send(m[:n:n], g.Room), syscall.EINVAL, g.Room)
		if t.Failed() {
			t.Fatalf("%d bytes", n)
		}
	}
}

// testLength: the header's length must lie within the vector, and what is behind it does not
// count.
func testLength(t *testing.T, h *handler, g *good) {
	s := newSuite(t, h, true)
	whole := uint32(len(s.make(g, nil)))
	s.reset()
	for _, n := range []uint32{0, 1, SizeofInHeader - 1, whole + 1, whole + 4096, 1 << 31, math.MaxUint32} {
		m := s.make(g, nil)
		copy(m, u32(n))
		s.nothing(t, s.send(m, g.Room), syscall.EINVAL, g.Room)
	}
	for _, n := range []int{1, 8, 100} {
		s.check(t, g, s.send(append(s.make(g, nil), slices.Repeat([]byte{0xff}, n)...), g.Room))
	}
}

// nameKind says what a name may be.
type nameKind int

const (
	fileName nameKind = iota // no slash, at most 255 bytes
	anyName                  // of an extended attribute, or one that stands for none
	target                   // of a symbolic link, at most 4095 bytes
)

var nameCases = []struct {
	name  string
	bytes string
	want  [3]syscall.Errno // by kind
}{
	{"one byte", "n\x00", [3]syscall.Errno{}},
	{"as long as a name may be", strings.Repeat("n", 255) + "\x00", [3]syscall.Errno{}},
	{"longer than that by one", strings.Repeat("n", 256) + "\x00",
		[3]syscall.Errno{syscall.ENAMETOOLONG, syscall.ENAMETOOLONG, 0}},
	{"as long as a path may be", strings.Repeat("n", 4095) + "\x00",
		[3]syscall.Errno{syscall.ENAMETOOLONG, syscall.ENAMETOOLONG, 0}},
	{"longer than that by one", strings.Repeat("n", 4096) + "\x00",
		[3]syscall.Errno{syscall.ENAMETOOLONG, syscall.ENAMETOOLONG, syscall.ENAMETOOLONG}},
	{"far too long", strings.Repeat("n", 10000) + "\x00",
		[3]syscall.Errno{syscall.ENAMETOOLONG, syscall.ENAMETOOLONG, syscall.ENAMETOOLONG}},
	{"empty", "\x00", [3]syscall.Errno{syscall.EINVAL, syscall.EINVAL, syscall.ENOENT}},
	{"missing", "", [3]syscall.Errno{syscall.EINVAL, syscall.EINVAL, syscall.EINVAL}},
	{"unterminated", "name", [3]syscall.Errno{syscall.EINVAL, syscall.EINVAL, syscall.EINVAL}},
	{"unterminated, as long as a name may be", strings.Repeat("n", 255),
		[3]syscall.Errno{syscall.EINVAL, syscall.EINVAL, syscall.EINVAL}},
	{"unterminated, as long as a path may be", strings.Repeat("n", 4095),
		[3]syscall.Errno{syscall.ENAMETOOLONG, syscall.ENAMETOOLONG, syscall.EINVAL}},
	{"with a slash", "a/b\x00", [3]syscall.Errno{syscall.EINVAL}},
	{"a slash", "/\x00", [3]syscall.Errno{syscall.EINVAL}},
	{"two parents up", "../..\x00", [3]syscall.Errno{syscall.EINVAL}},
	{"no UTF-8", "\xff\xfe\x00", [3]syscall.Errno{}},
}

// testNames: a name that is none, or too long, is refused, and a good one reaches the module as
// it is, wherever the vector is cut.
func testNames(t *testing.T, h *handler, g *good) {
	if len(h.names) != len(g.Names) {
		t.Fatalf("the line has %d names, the request %d", len(h.names), len(g.Names))
	}
	s := newSuite(t, h, true)
	for which, kind := range h.names {
		for _, tt := range nameCases {
			errno := tt.want[kind]
			parts := [][]byte{g.Args}
			for _, n := range g.Names[:which] {
				parts = append(parts, cstr(n))
			}
			parts = append(parts, []byte(tt.bytes))
			if strings.HasSuffix(tt.bytes, "\x00") { // else what follows would end it
				for _, n := range g.Names[which+1:] {
					parts = append(parts, cstr(n))
				}
				parts = append(parts, g.Payload)
			}
			m := s.make(g, parts)
			start := SizeofInHeader + len(join(parts[:which+1]...))
			for i, in := range [][][]byte{{m}, dispatchertest.BytesEach(m), cut(m, len(m)-1), cut(m, start)} {
				r := s.sendCut(in, [][]byte{make([]byte, g.Room)})
				if errno != 0 {
					s.nothing(t, r, errno, g.Room)
				} else {
					s.hasName(t, r, g, which, strings.TrimSuffix(tt.bytes, "\x00"))
				}
				if t.Failed() {
					t.Fatalf("name %d, %s, cut %d", which, tt.name, i)
				}
			}
		}
	}
}

// hasName wants the module to have seen a name.
func (s *suite) hasName(t *testing.T, r *dispatchertest.Reply, g *good, which int, want string) {
	t.Helper()
	if r.Errno != 0 || len(s.FS.Calls) != 1 {
		t.Errorf("%v, %d calls", r.Errno, len(s.FS.Calls))
		return
	}
	got := s.FS.Calls[0].Name
	if which == 1 {
		got = s.FS.Calls[0].Name2
	}
	if g.IO.Name == nil {
		want = "" // it stands for none
	}
	if string(got) != want {
		t.Errorf("the module saw %q", got)
	}
	s.reset()
}

// testSizes: what a size in the arguments says is held against what there is.
func testSizes(t *testing.T, h *handler, g *good) {
	for _, tt := range h.sizes {
		t.Run(tt.name, func(t *testing.T) {
			s := newSuite(t, h, true)
			r := s.send(s.make(g, tt.parts), outHeader+tt.room)
			if tt.errno != 0 {
				s.nothing(t, r, tt.errno, outHeader)
				return
			}
			if r.Errno != 0 || len(r.Payload()) != tt.reply {
				t.Errorf("%v, %d bytes, want %d", r.Errno, len(r.Payload()), tt.reply)
			}
			if got := s.askedFor(); got != tt.asked {
				t.Errorf("the module was asked for %d, want %d", got, tt.asked)
			}
		})
	}
}

// askedFor returns how much the module was asked for.
func (s *suite) askedFor() (n uint64) {
	for i := range s.FS.Calls {
		io := &s.FS.Calls[i]
		n += uint64(io.Size) + io.Length + io.Nlookup
		switch io.Type {
		case fsdev.IOSetxattr:
			n += uint64(len(io.Value))
		case fsdev.IOIoctl:
			n -= io.Length // its argument
		}
	}
	return n
}

// invented are numbers that no module has made, addresses among them.
var invented = []uint64{0, 2, 8, 1 << 32, 0xdeadbeef, 0x7fffdeadbeef, 0xffff888000000000, math.MaxUint64 - 1,
	uint64(dispatchertest.Root)}

// testHandles: numbers of nodes and handles are nothing to the dispatcher: they reach the module
// as they are, but for the root's, and what it says of them reaches the client.
func testHandles(t *testing.T, h *handler, g *good) {
	if g.IO.Handle != 0 && h.fh == nil || g.IO.Object2 != 0 && h.other == nil {
		t.Fatal("the line does not say where the handle or the other node is")
	}
	if g.Op == FUSE_BATCH_FORGET {
		testBatchOfInvented(t, h, g)
		return
	}
	s := newSuite(t, h, true)
	try := func(errno syscall.Errno, id, want uint64, set setter) {
		t.Helper()
		s.FS.Do, s.errno = fails(errno), errno
		bad := *g
		if bad.Args = slices.Clone(g.Args); set != nil {
			set(bad.Args, id)
		}
		m := s.make(&bad, nil)
		if set == nil {
			copy(m[16:], u64(id)) // NodeID
		}
		r := s.send(m, g.Room)
		s.failed(t, r, errno, g.Room)
		if !s.saw(want) {
			t.Errorf("the module did not see %#x", want)
		}
		s.reset()
	}
	asks := g.check == nil || h.op == FUSE_SETUPMAPPING
	for _, id := range invented {
		if asks {
			try(syscall.ESTALE, id, id, nil)
		}
		if h.fh != nil {
			try(syscall.EBADF, id, id, h.fh)
		}
		if h.other != nil {
			try(syscall.ESTALE, id, id, h.other)
		}
	}
	if asks {
		try(syscall.ESTALE, FUSE_ROOT_ID, uint64(dispatchertest.Root), nil)
	}
	if !asks && h.op != FUSE_NOTIFY_REPLY { // the node means nothing
		m := s.make(g, nil)
		copy(m[16:], u64(0xdeadbeef))
		s.check(t, g, s.send(m, g.Room))
	}
	if h.other != nil {
		try(syscall.ESTALE, FUSE_ROOT_ID, uint64(dispatchertest.Root), h.other)
	}
}

// saw says whether what was asked names a node or handle.
func (s *suite) saw(id uint64) bool {
	for i := range s.FS.Calls {
		io := &s.FS.Calls[i]
		if uint64(io.Object) == id || uint64(io.Object2) == id || uint64(io.Handle) == id {
			return true
		}
	}
	return slices.ContainsFunc(s.did, func(did string) bool { return strings.Contains(did, fmt.Sprintf(" %#x ", id)) })
}

// testBatchOfInvented: one that the module does not know does not keep it from the others.
func testBatchOfInvented(t *testing.T, h *handler, g *good) {
	s := newSuite(t, h, true)
	s.FS.Do = fails(syscall.ESTALE)
	var list []uint64
	for _, id := range invented {
		list = append(list, id, 1)
	}
	count := Bytes(&BatchForgetIn{Count: uint32(len(invented))})
	r := s.send(s.make(g, [][]byte{count, dispatchertest.Forgets(list...)}), 0)
	if s.failed(t, r, syscall.ESTALE, 0); len(s.FS.Calls) != len(invented) {
		t.Errorf("the module saw %d of %d", len(s.FS.Calls), len(invented))
	}
}

// moduleErrors are what a module may say of an object of another type, among others.
var moduleErrors = []syscall.Errno{syscall.ENOTDIR, syscall.EISDIR, syscall.EINVAL, syscall.ENOENT, syscall.EEXIST,
	syscall.ENOTEMPTY, syscall.ELOOP, syscall.EXDEV, syscall.EPERM, syscall.EACCES, syscall.EROFS, syscall.ENOSPC,
	syscall.ENODATA, syscall.ERANGE, syscall.EAGAIN, syscall.EIO, 511}

// testErrors: the module's error is the client's, unchanged, and all that the reply holds.
func testErrors(t *testing.T, h *handler, g *good) {
	if h.control || h.local && h.op != FUSE_SETUPMAPPING && h.op != FUSE_REMOVEMAPPING {
		return
	}
	s := newSuite(t, h, true)
	for _, errno := range moduleErrors {
		s.FS.Do = func(io *fsdev.IO) {
			if io.Type != fsdev.IOReaddir { // what was listed before the error would count
				dispatchertest.Fill(io)
			}
			io.Complete(errno)
		}
		s.errno = errno
		r := s.send(s.make(g, nil), g.Room)
		s.failed(t, r, errno, g.Room)
		if len(s.FS.Calls)+len(s.did) == 0 {
			t.Error("nobody was asked")
		}
		s.reset()
	}
}

// testSegments: what a request, or the room for its reply, is cut into makes no difference.
func testSegments(t *testing.T, h *handler, g *good) {
	s := newSuite(t, h, true)
	try := func(in func(m []byte) [][]byte, out [][]byte) {
		t.Helper()
		s.check(t, g, s.sendCut(in(s.make(g, nil)), out))
	}
	whole := func(m []byte) [][]byte { return [][]byte{m} }
	length := len(s.make(g, nil))
	s.reset()
	for i := range length + 1 {
		try(func(m []byte) [][]byte { return cut(m, i) }, [][]byte{make([]byte, g.Room)})
		if t.Failed() {
			t.Fatalf("cut at byte %d of %d", i, length)
		}
	}
	for i := range g.Room + 1 {
		try(whole, cut(make([]byte, g.Room), i))
		if t.Failed() {
			t.Fatalf("reply cut at byte %d of %d", i, g.Room)
		}
	}
	try(dispatchertest.BytesEach, dispatchertest.BytesEach(make([]byte, g.Room)))
	try(func(m []byte) [][]byte { return cut(m, 3, 3, 40, len(m)) }, cut(make([]byte, g.Room), 0, g.Room))
	try(func(m []byte) [][]byte { return cut(m, 16, 24, 40) }, cut(make([]byte, g.Room), min(4, g.Room), min(16, g.Room)))
}

// testRoom: too little room is refused before anything is done, and more than is needed does no
// harm.
func testRoom(t *testing.T, h *handler, g *good) {
	s := newSuite(t, h, true)
	for room := range g.Room {
		r := s.sendCut([][]byte{s.make(g, nil)}, cut(make([]byte, room), room/2))
		if room < outHeader || h.tight == nil {
			s.nothing(t, r, syscall.EINVAL, room)
		} else if !h.tight(room-outHeader, r) {
			t.Errorf("%v, reply of %d bytes", r.Errno, r.Len)
		}
		if s.reset(); t.Failed() {
			t.Fatalf("room for %d of %d bytes", room, g.Room)
		}
	}
	if g.Room > 0 {
		s.nothing(t, s.sendCut([][]byte{s.make(g, nil)}, nil), syscall.EINVAL, 0)
	}
	if h.tight == nil {
		s.check(t, g, s.sendCut([][]byte{s.make(g, nil)}, [][]byte{make([]byte, g.Room), make([]byte, 1000)}))
	}
}

// testSession: without a session, before INIT, during it and after DESTROY, there is nobody to
// ask; INIT and DESTROY alone are served.
func testSession(t *testing.T, h *handler, g *good) {
	s := newSuite(t, h, false)
	refused := func(when string) {
		t.Helper()
		s.did = nil
		r := s.send(s.make(g, nil), max(g.Room, outHeader))
		if h.control {
			s.check(t, g, r)
		} else {
			s.nothing(t, r, syscall.ENOTCONN, outHeader)
		}
		if t.Failed() {
			t.Fatal(when)
		}
	}
	refused("before INIT")
	if !h.control {
		mount := s.FS.Mount
		var held *fsdev.IO
		s.FS.Mount = func(io *fsdev.IO) { held = io }
		r := s.StartInit(0)
		s.ExpectNone(r)
		refused("during INIT")
		s.FS.Mounted(held)
		s.Expect(r, 0)
		s.FS.Mount = mount
	}
	s.Expect(s.StartDestroy(0), 0)
	s.session = false
	refused("after DESTROY")
	if h.control {
		refused("again")
	}
}

// testPool: when no IO is free, the client hears so, and what it cannot repeat waits.
func testPool(t *testing.T, h *handler, g *good) {
	if h.control || h.local {
		return
	}
	s := newSuite(t, h, true)
	release := s.Exhaust()
	r := s.Send(0, [][]byte{s.make(g, nil)}, [][]byte{make([]byte, g.Room)})
	for range 10 {
		s.PollOnce()
	}
	if h.op == FUSE_FORGET || h.op == FUSE_BATCH_FORGET {
		if r.Done != 0 {
			t.Error("a forget was given up")
		}
		release()
		s.check(t, g, s.Finish(r))
		return
	}
	s.nothing(t, s.Finish(r), syscall.ENOBUFS, g.Room)
	release()
}

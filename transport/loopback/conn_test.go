package loopback_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/modules/null"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
	"github.com/spdk-go/spdk-go/transport/loopback"
)

// hand is a connection to a null device on a thread that is polled by hand.
type hand struct {
	*reactortest.Harness
	t    *reactor.Thread
	disp *fusedispatcher.Dispatcher
	c    *loopback.Conn
}

func connect(tb testing.TB, o loopback.Options) *hand {
	tb.Helper()
	h := &hand{Harness: reactortest.New(tb, 1)}
	h.t = h.Threads[0]
	if err := fsdev.Initialize(h.t, fsdev.Opts{IOPoolSize: 256, IOCacheSize: 64}); err != nil {
		tb.Fatal(err)
	}
	if _, err := null.Create(h.t, "null0"); err != nil {
		tb.Fatal(err)
	}
	var err error
	if h.disp, err = fusedispatcher.Create(h.t, fusedispatcher.Opts{FsdevName: "null0", MaxRequests: 256}); err != nil {
		tb.Fatal(err)
	}
	if h.c, err = loopback.New(h.t, h.disp, o); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		h.c.Close()
		deleted := false
		h.disp.Delete(h.t, func(*reactor.Thread, any, syscall.Errno) { deleted = true }, nil)
		h.PollThreads()
		fsdev.Finish(h.t, func(_ *reactor.Thread, _ any, err error) {
			if err != nil {
				tb.Error(err)
			}
		}, nil)
		h.PollThreads()
		if !deleted {
			tb.Error("the dispatcher was not deleted")
		}
	})
	return h
}

// answer counts replies and keeps the last.
type answer struct {
	n int
	r loopback.Reply
}

func keep(ctx any, r *loopback.Reply) {
	a := ctx.(*answer)
	a.n++
	a.r = *r
}

// ask submits a request, polls, and returns its reply, which has to come exactly once and not
// from inside the submit.
func (h *hand) ask(tb testing.TB, op func(fn loopback.ReplyFunc, ctx any) syscall.Errno) loopback.Reply {
	tb.Helper()
	a := &answer{}
	if errno := op(keep, a); errno != 0 {
		tb.Fatalf("submit: %v", errno)
	}
	if a.n != 0 {
		tb.Error("replied inside of the submit")
	}
	h.PollThreads()
	if a.n != 1 {
		tb.Fatalf("%d replies", a.n)
	}
	return a.r
}

func (h *hand) init(tb testing.TB) {
	tb.Helper()
	r := h.ask(tb, func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
		return h.c.Init(loopback.InitOptions{}, fn, ctx)
	})
	if r.Errno != 0 || r.Init.Major != 7 || r.Init.MaxWrite == 0 {
		tb.Fatalf("INIT: %v, %+v", r.Errno, r.Init)
	}
}

func TestConn(t *testing.T) {
	h := connect(t, loopback.Options{UID: 1, GID: 2, PID: 3})
	r := h.ask(t, func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return h.c.Getattr(loopback.RootID, 0, fn, ctx) })
	if r.Errno == 0 || r.Errno == syscall.EPROTO {
		t.Errorf("GETATTR before INIT: %v", r.Errno)
	}
	h.init(t)

	lookup := h.ask(t, func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
		return h.c.Lookup(loopback.RootID, "file", fn, ctx)
	})
	if lookup.Errno != 0 || lookup.Entry.Node == 0 || lookup.Entry.Attr.Size != null.FileSize {
		t.Fatalf("LOOKUP: %v, %+v", lookup.Errno, lookup.Entry)
	}
	node := lookup.Entry.Node
	buf := make([]byte, 4096)
	for _, test := range []struct {
		name string
		op   func(fn loopback.ReplyFunc, ctx any) syscall.Errno
		want syscall.Errno
		len  uint32
	}{
		{"getattr", func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return h.c.Getattr(node, 0, fn, ctx) }, 0, 120},
		{"getattr of an invented node", func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return h.c.Getattr(0xdeadbeef, 0, fn, ctx)
		}, syscall.ESTALE, 16},
		{"read", func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return h.c.Read(node, 2, 0, buf, fn, ctx)
		}, 0, 16 + 4096},
		{"write", func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return h.c.Write(node, 2, 0, buf, fn, ctx)
		}, 0, 24},
		{"statfs", func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return h.c.Statfs(node, fn, ctx) }, 0, 96},
		{"forget", func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return h.c.Forget(node, 1, fn, ctx) }, 0, 0},
		{"batch forget", func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return h.c.BatchForget([]loopback.ForgetOne{{Node: node, Nlookup: 1}, {Node: node, Nlookup: 2}}, fn, ctx)
		}, 0, 0},
		{"destroy", h.c.Destroy, 0, 16},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := h.ask(t, test.op)
			if r.Errno != test.want || r.Len != test.len {
				t.Errorf("%v in %d bytes, want %v in %d", r.Errno, r.Len, test.want, test.len)
			}
			if r.Unique != h.c.LastUnique() {
				t.Errorf("unique %#x, want %#x", r.Unique, h.c.LastUnique())
			}
		})
	}
}

func TestConnIsBounded(t *testing.T) {
	h := connect(t, loopback.Options{Depth: 3})
	h.init(t)
	a := &answer{}
	for range 3 {
		if errno := h.c.Getattr(loopback.RootID, 0, keep, a); errno != 0 {
			t.Fatal(errno)
		}
	}
	if errno := h.c.Getattr(loopback.RootID, 0, keep, a); errno != syscall.ENOBUFS {
		t.Errorf("the fourth of three: %v, want ENOBUFS", errno)
	}
	// What ends other requests has room of its own, and is bounded, too.
	for range fusedispatcher.ControlReserve {
		if errno := h.c.Interrupt(4711, keep, a); errno != 0 {
			t.Errorf("INTERRUPT: %v", errno)
		}
	}
	if errno := h.c.Interrupt(4711, keep, a); errno != syscall.ENOBUFS {
		t.Errorf("one INTERRUPT too many: %v, want ENOBUFS", errno)
	}
	h.PollThreads()
	if a.n != 3+fusedispatcher.ControlReserve || h.c.InFlight() != 0 {
		t.Errorf("%d replies; %d in flight", a.n, h.c.InFlight())
	}
	a.n = 0
	for range 3 {
		if errno := h.c.Getattr(loopback.RootID, 0, keep, a); errno != 0 {
			t.Fatal(errno)
		}
	}
	if errno := h.c.Close(); errno != syscall.EBUSY {
		t.Errorf("Close with requests in flight: %v, want EBUSY", errno)
	}
	if got := h.c.InFlight(); got != 3 {
		t.Errorf("%d requests in flight, want 3", got)
	}
	h.PollThreads()
	if a.n != 3 || h.c.InFlight() != 0 {
		t.Errorf("%d of 3 replies; %d in flight", a.n, h.c.InFlight())
	}
	long := strings.Repeat("x", 5000)
	for name, errno := range map[string]syscall.Errno{
		"lookup":  h.c.Lookup(loopback.RootID, long, keep, a),
		"rename":  h.c.Rename(loopback.RootID, "a", loopback.RootID, long, 0, keep, a),
		"symlink": h.c.Symlink(loopback.RootID, "a", long, keep, a),
	} {
		if errno != syscall.ENAMETOOLONG {
			t.Errorf("%s with a name of 5000 bytes: %v, want ENAMETOOLONG", name, errno)
		}
	}
	if errno := h.c.BatchForget(make([]loopback.ForgetOne, loopback.MaxBatchForget+1), keep, a); errno != syscall.E2BIG {
		t.Errorf("too long a BATCH_FORGET: %v, want E2BIG", errno)
	}
	if errno := h.c.Close(); errno != 0 {
		t.Errorf("Close: %v", errno)
	}
	if errno := h.c.Getattr(loopback.RootID, 0, keep, a); errno != syscall.ENOTCONN {
		t.Errorf("after Close: %v, want ENOTCONN", errno)
	}
	if a.n != 3 {
		t.Errorf("%d replies, want 3", a.n)
	}
}

// resend asks again from inside of the callback, as a benchmark does.
type resend struct {
	h    *hand
	left int
}

func again(ctx any, r *loopback.Reply) {
	s := ctx.(*resend)
	if r.Errno != 0 {
		panic(fmt.Sprintf("reply %d: %v", s.left, r.Errno))
	}
	if s.left--; s.left > 0 {
		s.h.c.Getattr(loopback.RootID, 0, again, s)
	}
}

func TestResubmitFromTheCallback(t *testing.T) {
	h := connect(t, loopback.Options{Depth: 1})
	h.init(t)
	s := &resend{h: h, left: 100}
	h.c.Getattr(loopback.RootID, 0, again, s)
	h.PollThreads()
	if s.left != 0 {
		t.Errorf("%d of 100 were not answered", s.left)
	}
}

func TestRaw(t *testing.T) {
	h := connect(t, loopback.Options{})
	h.init(t)
	header := func(n uint32, op byte, unique byte) []byte {
		b := make([]byte, 40)
		b[0], b[1], b[2], b[3] = byte(n), byte(n>>8), byte(n>>16), byte(n>>24)
		b[4], b[8], b[16] = op, unique, loopback.RootID
		return b
	}
	for _, test := range []struct {
		name   string
		in     [][]byte
		out    [][]byte
		unique uint64
		ok     bool
	}{
		{"getattr in pieces", [][]byte{header(56, 3, 7)[:13], header(56, 3, 7)[13:], nil, make([]byte, 16)},
			[][]byte{make([]byte, 5), make([]byte, 200)}, 7, true},
		{"unknown opcode", [][]byte{header(40, 99, 8)}, [][]byte{make([]byte, 64)}, 8, false},
		{"length lies", [][]byte{header(4000, 3, 9), make([]byte, 16)}, [][]byte{make([]byte, 200)}, 9, false},
		{"arguments missing", [][]byte{header(40, 3, 10)}, [][]byte{make([]byte, 200)}, 10, false},
		{"no room for the reply", [][]byte{header(56, 3, 11), make([]byte, 16)}, [][]byte{make([]byte, 20)}, 11, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := h.ask(t, func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return h.c.Raw(test.in, test.out, fn, ctx) })
			var reply []byte
			for _, seg := range test.out {
				reply = append(reply, seg...)
			}
			unique, errno, _, ok := loopback.ParseReply(reply[:r.Len])
			if !ok || unique != test.unique || (errno == 0) != test.ok || errno != r.Errno {
				t.Errorf("reply of %d bytes: unique %d, %v (said %v), well-formed %v", r.Len, unique, errno, r.Errno, ok)
			}
		})
	}
}

func TestNothingIsAllocated(t *testing.T) {
	h := connect(t, loopback.Options{})
	h.init(t)
	for name, op := range h.hot() {
		t.Run(name, func(t *testing.T) {
			n := testing.AllocsPerRun(1000, func() {
				if errno := op(); errno != 0 {
					t.Fatal(errno)
				}
				h.PollThreads()
			})
			if n != 0 {
				t.Errorf("%v allocations per request", n)
			}
		})
	}
}

func (h *hand) hot() map[string]func() syscall.Errno {
	a := &answer{}
	buf := make([]byte, 4096)
	const node, fh = uint64(null.File), uint64(null.Handle)
	return map[string]func() syscall.Errno{
		"getattr": func() syscall.Errno { return h.c.Getattr(node, 0, keep, a) },
		"lookup":  func() syscall.Errno { return h.c.Lookup(loopback.RootID, "file", keep, a) },
		"read4k":  func() syscall.Errno { return h.c.Read(node, fh, 0, buf, keep, a) },
		"write4k": func() syscall.Errno { return h.c.Write(node, fh, 0, buf, keep, a) },
		"stale":   func() syscall.Errno { return h.c.Getattr(99, 0, keep, a) },
	}
}

func BenchmarkConnOnNull(b *testing.B) {
	h := connect(b, loopback.Options{})
	h.init(b)
	for name, op := range h.hot() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				op()
				h.PollThread(0)
			}
		})
	}
}

func TestParseReply(t *testing.T) {
	b := func(n uint32, e int32, extra int) []byte {
		p := []byte{byte(n), 0, 0, 0, byte(e), byte(e >> 8), byte(e >> 16), byte(e >> 24), 5, 0, 0, 0, 0, 0, 0, 0}
		return append(p, make([]byte, extra)...)
	}
	for _, test := range []struct {
		name  string
		b     []byte
		errno syscall.Errno
		body  int
		ok    bool
	}{
		{"empty", nil, 0, 0, false},
		{"short", b(16, 0, 0)[:15], 0, 0, false},
		{"ok", b(16, 0, 0), 0, 0, true},
		{"body", b(24, 0, 8), 0, 8, true},
		{"error", b(16, -2, 0), syscall.ENOENT, 0, true},
		{"length too small", b(16, 0, 8), 0, 0, false},
		{"length too large", b(24, 0, 0), 0, 0, false},
		{"positive error", b(16, 2, 0), 0, 0, false},
		{"error out of range", b(16, -512, 0), 0, 0, false},
		{"error with a body", b(24, -2, 8), 0, 0, false},
	} {
		_, errno, body, ok := loopback.ParseReply(test.b)
		if ok != test.ok || errno != test.errno || len(body) != test.body {
			t.Errorf("%s: %v, %d bytes, %v; want %v, %d bytes, %v", test.name, errno, len(body), ok,
				test.errno, test.body, test.ok)
		}
	}
}

// dirent formats an entry of READDIR.
func dirent(ino, next byte, typ byte, name string) []byte {
	b := make([]byte, 24, 64)
	b[0], b[8], b[16], b[20] = ino, next, byte(len(name)), typ
	b = append(b, name...)
	for len(b)%8 != 0 {
		b = append(b, 0)
	}
	return b
}

func TestParseDirents(t *testing.T) {
	join := func(parts ...[]byte) (b []byte) {
		for _, p := range parts {
			b = append(b, p...)
		}
		return b
	}
	plus := make([]byte, 128)
	for _, test := range []struct {
		name string
		b    []byte
		plus bool
		want []string
		ok   bool
	}{
		{"none", nil, false, nil, true},
		{"two", join(dirent(1, 1, 4, "a"), dirent(2, 2, 8, "12345678")), false, []string{"a", "12345678"}, true},
		{"plus", join(plus, dirent(1, 1, 4, "a"), plus, dirent(2, 2, 8, "b")), true, []string{"a", "b"}, true},
		{"no name", dirent(1, 1, 4, ""), false, nil, false},
		{"half a header", dirent(1, 1, 4, "a")[:23], false, nil, false},
		{"name cut off", dirent(1, 1, 4, "abcdefgh")[:28], false, nil, false},
		{"plus cut off", plus, true, nil, false},
		{"second cut off", join(dirent(1, 1, 4, "a"), make([]byte, 8)), false, []string{"a"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			ok := loopback.ParseDirents(test.b, test.plus, func(e *loopback.Dirent) bool {
				got = append(got, string(e.Name))
				return true
			})
			if ok != test.ok {
				t.Errorf("well-formed: %v, want %v", ok, test.ok)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzParseDirents(f *testing.F) {
	f.Add(dirent(1, 1, 4, "a"), false)
	f.Add(append(make([]byte, 128), dirent(1, 1, 4, "a")...), true)
	f.Fuzz(func(t *testing.T, b []byte, plus bool) {
		total := 0
		loopback.ParseDirents(b, plus, func(e *loopback.Dirent) bool {
			total += len(e.Name)
			return true
		})
		if total > len(b) {
			t.Errorf("%d bytes of names in %d bytes", total, len(b))
		}
	})
}

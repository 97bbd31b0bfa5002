package loopback_test

import (
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/modules/memfs"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
	"github.com/spdk-go/spdk-go/transport/loopback"
)

// hostile is a client that sends whatever it likes to a memory file system.
type hostile struct {
	*hand
	rnd   *rand.Rand
	nodes []uint64 // some that exist, some that did
	fhs   []uint64
}

func newHostile(tb testing.TB, seed uint64) *hostile {
	tb.Helper()
	h := &hand{Harness: reactortest.New(tb, 1)}
	h.t = h.Threads[0]
	if err := fsdev.Initialize(h.t, fsdev.Opts{IOPoolSize: 64, IOCacheSize: 16}); err != nil {
		tb.Fatal(err)
	}
	if _, err := memfs.Create(h.t, "mem0", memfs.Opts{Size: 4 << 20, Inodes: 200, Handles: 100}); err != nil {
		tb.Fatal(err)
	}
	var err error
	h.disp, err = fusedispatcher.Create(h.t, fusedispatcher.Opts{FsdevName: "mem0", MaxRequests: 64})
	if err != nil {
		tb.Fatal(err)
	}
	if h.c, err = loopback.New(h.t, h.disp, loopback.Options{}); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		h.disp.Delete(h.t, func(*reactor.Thread, any, syscall.Errno) {}, nil)
		h.PollThreads()
		if n := h.c.InFlight(); n != 0 {
			tb.Errorf("%d requests have not come back", n)
		}
		h.c.Close()
		fsdev.Finish(h.t, func(_ *reactor.Thread, _ any, err error) {
			if err != nil {
				tb.Error(err)
			}
		}, nil)
		h.PollThreads()
	})
	x := &hostile{hand: h, rnd: rand.New(rand.NewPCG(seed, 0)), nodes: []uint64{1}, fhs: []uint64{0}}
	x.init(tb)
	for _, name := range []string{"a", "b"} {
		r := x.ask(tb, func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
			return x.c.Create(1, name, syscall.S_IFREG|0o666, syscall.O_RDWR, fn, ctx)
		})
		x.nodes, x.fhs = append(x.nodes, r.Entry.Node), append(x.fhs, r.Handle)
	}
	r := x.ask(tb, func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return x.c.Mkdir(1, "d", 0o777, fn, ctx) })
	x.nodes = append(x.nodes, r.Entry.Node)
	r = x.ask(tb, func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return x.c.Opendir(1, 0, fn, ctx) })
	x.fhs = append(x.fhs, r.Handle)
	return x
}

func pick(rnd *rand.Rand, list []uint64) uint64 {
	v := list[rnd.IntN(len(list))]
	switch rnd.IntN(12) {
	case 0:
		v ^= 1 << rnd.IntN(64)
	case 1:
		v = rnd.Uint64()
	}
	return v
}

var hostileNames = []string{
	"a", "b", "c", "d", ".", "..", "", "x/y", "\xff\xfe", "user.k", "trusted.k", strings.Repeat("n", 300),
}

// number returns one that is likely to be at some edge.
func (x *hostile) number() uint64 {
	edges := []uint64{
		0, 1, 2, 16, 24, 4095, 4096, 4097, 1 << 20,
		1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 1<<63 - 1, 1 << 63, 1<<64 - 1,
	}
	return edges[x.rnd.IntN(len(edges))]
}

// request builds something like a request. op 0 lets chance choose the operation.
func (x *hostile) request(op uint32) []byte {
	rnd := x.rnd
	w := binary.NativeEndian
	if op == 0 {
		op = rnd.Uint32N(60)
	}
	if op == 26 || op == 38 && rnd.IntN(10) > 0 {
		op = 1 // INIT and DESTROY would be the end of most sessions
	}
	b := w.AppendUint32(nil, 0)
	b = w.AppendUint32(b, op)
	b = w.AppendUint64(b, rnd.Uint64())
	b = w.AppendUint64(b, pick(rnd, x.nodes))
	b = append(b, make([]byte, 16)...)
	for range rnd.IntN(12) {
		switch rnd.IntN(4) {
		case 0:
			b = w.AppendUint64(b, pick(rnd, x.fhs))
		case 1:
			b = w.AppendUint64(b, pick(rnd, x.nodes))
		case 2:
			b = w.AppendUint64(b, x.number())
		case 3:
			b = w.AppendUint32(b, uint32(x.number()))
		}
	}
	for range rnd.IntN(3) {
		b = append(b, hostileNames[rnd.IntN(len(hostileNames))]...)
		b = append(b, 0)
	}
	b = append(b, make([]byte, rnd.IntN(3)*rnd.IntN(5000))...)
	w.PutUint32(b, uint32(len(b)))
	switch rnd.IntN(20) {
	case 0:
		w.PutUint32(b, uint32(x.number()))
	case 1:
		b = b[:rnd.IntN(len(b))]
	}
	return b
}

// cut cuts b into segments, empty ones among them.
func (x *hostile) cut(b []byte) [][]byte {
	var segs [][]byte
	for len(b) > 0 && x.rnd.IntN(4) > 0 {
		n := min(len(b), x.rnd.IntN(1+x.rnd.IntN(200)))
		segs = append(segs, b[:n:n])
		b = b[n:]
	}
	return append(segs, b)
}

// noReplyTo says which operations expect no reply: FORGET, BATCH_FORGET, NOTIFY_REPLY, and mostly INTERRUPT.
func noReplyTo(op uint32) bool { return op == 2 || op == 42 || op == 41 || op == 36 }

// send submits a request and checks what comes back, if it does not wait for something.
func (x *hostile) send(tb testing.TB, req []byte) {
	tb.Helper()
	out := make([]byte, x.rnd.IntN(3)*x.rnd.IntN(6000))
	if x.rnd.IntN(4) > 0 {
		out = make([]byte, 8192)
	}
	for i := range out {
		out[i] = 0xa5
	}
	outSegs := x.cut(out)
	done := false
	errno := x.c.Raw(x.cut(req), outSegs, func(_ any, r *loopback.Reply) {
		if done {
			tb.Fatalf("completed twice: %x", req[:min(len(req), 200)])
		}
		done = true
		x.check(tb, req, out, r)
	}, nil)
	if errno != 0 {
		tb.Fatalf("submit: %v", errno)
	}
	x.PollThreads()
	if !done && x.c.InFlight() > loopback.DefaultDepth/2 {
		// They wait for locks. Give up the oldest session's worth of them.
		x.ask(tb, x.c.Destroy)
		x.init(tb)
	}
}

func (x *hostile) check(tb testing.TB, req, out []byte, r *loopback.Reply) {
	if int(r.Len) > len(out) {
		tb.Fatalf("a reply of %d bytes in %d", r.Len, len(out))
	}
	var op uint32
	if len(req) >= 40 {
		op = binary.NativeEndian.Uint32(req[4:])
	}
	if r.Len == 0 {
		if len(req) >= 40 && len(out) >= 16 && !noReplyTo(op) {
			tb.Fatalf("no reply to %x", req[:min(len(req), 200)])
		}
		return
	}
	unique, errno, body, ok := loopback.ParseReply(out[:r.Len])
	if !ok || errno != r.Errno || len(req) >= 40 && unique != binary.NativeEndian.Uint64(req[8:]) {
		tb.Fatalf("malformed reply %x (said %v) to %x", out[:min(r.Len, 64)], r.Errno, req[:min(len(req), 200)])
	}
	if errno == 0 && len(body) >= 8 {
		switch op {
		case 1, 6, 8, 9, 13, 35:
			x.nodes = remember(x.nodes, binary.NativeEndian.Uint64(body))
			if op == 35 {
				x.fhs = remember(x.fhs, binary.NativeEndian.Uint64(body[128:]))
			}
		case 14, 27:
			x.fhs = remember(x.fhs, binary.NativeEndian.Uint64(body))
		}
	}
}

func remember(list []uint64, v uint64) []uint64 {
	if len(list) < 32 {
		return append(list, v)
	}
	copy(list[1:], list[2:])
	list[len(list)-1] = v
	return list
}

func TestHostileClient(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 3
	}
	for seed := range uint64(rounds) {
		x := newHostile(t, seed)
		for range 2000 {
			x.send(t, x.request(0))
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// FuzzHostileClient sends one arbitrary request after some that chance has made.
func FuzzHostileClient(f *testing.F) {
	for op := range uint32(56) {
		x := newHostile(f, uint64(op))
		f.Add(uint64(op), x.request(op))
	}
	f.Fuzz(func(t *testing.T, seed uint64, req []byte) {
		x := newHostile(t, seed)
		for range 20 {
			x.send(t, x.request(0))
		}
		if len(req) >= 8 && (req[4] == 26 || req[4] == 38) {
			return
		}
		x.send(t, req)
	})
}

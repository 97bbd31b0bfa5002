package memfs

import (
	"context"
	"encoding/binary"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

// lineCounter is where every log of a wired file system goes.
type lineCounter struct{ n atomic.Int64 }

func (c *lineCounter) Enabled(context.Context, slog.Level) bool { return true }

func (c *lineCounter) Handle(context.Context, slog.Record) error {
	c.n.Add(1)
	return nil
}

func (c *lineCounter) WithAttrs([]slog.Attr) slog.Handler { return c }
func (c *lineCounter) WithGroup(string) slog.Handler      { return c }

// wired is a file system that clients reach through dispatchers of their own, as several virtual machines do. The
// threads are polled by hand.
type wired struct {
	*reactortest.Harness
	tb      testing.TB
	fs      *fileSystem
	clients []*wire
	lines   lineCounter // whoever writes them: the framework, fsdev, the module, the dispatchers
}

// wire is one client: it sends FUSE requests on a thread of its own.
type wire struct {
	w      *wired
	d      *fusedispatcher.Dispatcher
	i      int // of the thread
	ch     *iochannel.Channel
	unique uint64
	free   []*wireCall
	live   int
}

// wireCall is a request. Its memory is used again, as that of a queue of requests is.
type wireCall struct {
	c      *wire
	op     uint32
	unique uint64
	buf    [1024]byte
	n      int
	in     [1][]byte
	out    [1][]byte
	done   bool
	check  func(r *wireCall) // when it has completed; nil: someone waits for it
	errno  syscall.Errno
	len    uint32

	// What check has to know.
	node, fh uint64
	want     syscall.Errno
}

const wireQueue = 64

func newWired(tb testing.TB, o Opts) *wired {
	tb.Helper()
	w := &wired{tb: tb}
	logger := slog.New(&w.lines)
	before := slog.Default()
	slog.SetDefault(logger)
	w.Harness = reactortest.NewWith(tb, 3, reactor.Options{Log: logger})
	t := w.Threads[0]
	if err := fsdev.Initialize(t, fsdev.Opts{IOPoolSize: 1024, IOCacheSize: 32}); err != nil {
		tb.Fatal(err)
	}
	m, err := Create(t, "mem0", o)
	if err != nil {
		tb.Fatal(err)
	}
	w.fs = m.fs
	for i := 1; i < 3; i++ {
		c := &wire{w: w, i: i}
		c.d, err = fusedispatcher.Create(t, fusedispatcher.Opts{FsdevName: "mem0", MaxRequests: 256, Log: logger})
		if err != nil {
			tb.Fatal(err)
		}
		c.ch = c.d.IOChannel(w.Threads[i])
		for range wireQueue {
			r := &wireCall{c: c}
			r.out[0] = make([]byte, 1<<16)
			c.free = append(c.free, r)
		}
		w.clients = append(w.clients, c)
		c.init(0)
	}
	tb.Cleanup(func() {
		slog.SetDefault(before)
		if !tb.Failed() {
			w.close(m)
		}
	})
	return w
}

// close takes everything down and checks that it goes.
func (w *wired) close(m *Memfs) {
	gone := 0
	for _, c := range w.clients {
		c.must(FUSE_DESTROY, 0)
		c.ch.Put()
		c.d.Delete(w.Threads[0], func(_ *reactor.Thread, _ any, errno syscall.Errno) {
			gone++
			if errno != 0 {
				w.tb.Errorf("Delete of a dispatcher: %v", errno)
			}
		}, nil)
	}
	w.PollThreads()
	if n := w.fs.handles.Len(); n != 0 {
		w.tb.Errorf("%d handles have outlived their clients", n)
	}
	fsdev.Finish(w.Threads[0], func(_ *reactor.Thread, _ any, err error) {
		gone++
		if err != nil {
			w.tb.Error(err)
		}
	}, nil)
	w.PollThreads()
	if gone != 3 || m.fs != nil {
		w.tb.Errorf("%d of 3 things have gone, the file system %v", gone, m.fs == nil)
	}
	w.CheckExit()
}

// init begins a session. flags are INIT flags beside those that every client has.
func (c *wire) init(flags uint32) {
	c.w.tb.Helper()
	c.must(FUSE_INIT, 0, Bytes(&InitIn{
		Major: 7, Minor: 45, MaxReadahead: 1 << 17, Flags: FUSE_DO_READDIRPLUS | FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS | flags,
	}))
}

// get takes a call that is free, for which it polls if need be.
func (c *wire) get() *wireCall {
	for len(c.free) == 0 {
		c.w.Threads[c.i].Poll(0, 0)
	}
	r := c.free[len(c.free)-1]
	c.free = c.free[:len(c.free)-1]
	r.n = Size[InHeader]()
	r.check, r.done, r.want, r.node, r.fh = nil, false, 0, 0, 0
	return r
}

func (r *wireCall) add(part []byte) { r.n += copy(r.buf[r.n:], part) }

func (r *wireCall) addName(name string) {
	r.n += copy(r.buf[r.n:], name)
	r.buf[r.n] = 0
	r.n++
}

// send submits a call to which the arguments have been added.
func (r *wireCall) send(op uint32, node uint64) {
	c := r.c
	c.unique += 2
	r.op, r.unique = op, c.unique
	*Overlay[InHeader](r.buf[:]) = InHeader{Len: uint32(r.n), Opcode: op, Unique: r.unique, NodeID: node}
	r.submit()
}

func (r *wireCall) submit() {
	c := r.c
	r.in[0] = r.buf[:r.n]
	clear(r.out[0][:16])
	c.live++
	if errno := c.d.SubmitRequest(c.ch, r.in[:], r.out[:], wireDone, r); errno != 0 {
		c.w.tb.Fatalf("SubmitRequest: %v", errno)
	}
}

func wireDone(ctx any, errno syscall.Errno, n uint32) {
	r := ctx.(*wireCall)
	tb := r.c.w.tb
	if r.done {
		tb.Fatalf("%s completed twice", fusedispatcher.OpcodeName(r.op))
	}
	r.done, r.errno, r.len = true, errno, n
	r.c.live--
	if n != 0 {
		hdr := Overlay[OutHeader](r.out[0])
		if hdr.Len != n || hdr.Error != -int32(errno) || r.unique != 0 && hdr.Unique != r.unique {
			tb.Errorf("%s: reply %+v of %d bytes, completed with %v", fusedispatcher.OpcodeName(r.op), *hdr, n, errno)
		}
	}
	if r.check != nil {
		r.check(r)
		r.c.free = append(r.c.free, r)
	}
}

// await polls until r has completed, and gives it back: its reply stays until the next request.
func (c *wire) await(r *wireCall) *wireCall {
	for i := 0; !r.done; i++ {
		if i > 1000 {
			c.w.tb.Fatalf("%s does not complete", fusedispatcher.OpcodeName(r.op))
		}
		c.w.PollOnce()
	}
	c.free = append(c.free, r)
	return r
}

// call takes a request through to its completion.
func (c *wire) call(op uint32, node uint64, parts ...[]byte) *wireCall {
	r := c.get()
	for _, p := range parts {
		r.add(p)
	}
	r.send(op, node)
	return c.await(r)
}

// must is call for what has to succeed.
func (c *wire) must(op uint32, node uint64, parts ...[]byte) *wireCall {
	c.w.tb.Helper()
	r := c.call(op, node, parts...)
	if r.errno != 0 {
		c.w.tb.Fatalf("%s of client %d: %v", fusedispatcher.OpcodeName(op), c.i, r.errno)
	}
	return r
}

// settle lets all requests complete.
func (c *wire) settle() {
	for i := 0; c.live > 0; i++ {
		if i > 1000 {
			c.w.tb.Fatalf("%d requests do not complete", c.live)
		}
		c.w.PollOnce()
	}
}

// payload is the reply behind its header.
func (r *wireCall) payload() []byte { return r.out[0][16:r.len] }

// entry, fh and opened take the reply of a LOOKUP or the like, an OPEN, a CREATE apart.
func (r *wireCall) entry() (node uint64) { return Overlay[EntryOut](r.out[0][16:]).NodeID }

func (r *wireCall) handle() (fh uint64) { return Overlay[OpenOut](r.out[0][16:]).Fh }

func (r *wireCall) created() (node, fh uint64) {
	return r.entry(), Overlay[OpenOut](r.out[0][16+Size[EntryOut]():]).Fh
}

func wireName(name string) []byte { return append([]byte(name), 0) }

// What follows are the requests that an honest client needs.

func (c *wire) mkdir(dir uint64, name string) (node uint64) {
	return c.must(FUSE_MKDIR, dir, Bytes(&MkdirIn{Mode: 0o755}), wireName(name)).entry()
}

func (c *wire) create(dir uint64, name string) (node, fh uint64) {
	return c.must(FUSE_CREATE, dir, Bytes(&CreateIn{Flags: syscall.O_RDWR, Mode: 0o644}), wireName(name)).created()
}

func (c *wire) open(node uint64) (fh uint64) {
	return c.must(FUSE_OPEN, node, Bytes(&OpenIn{Flags: syscall.O_RDWR})).handle()
}

func (c *wire) opendir(node uint64) (fh uint64) {
	return c.must(FUSE_OPENDIR, node, Bytes(&OpenIn{})).handle()
}

func (c *wire) release(node, fh uint64) {
	c.must(FUSE_RELEASE, node, Bytes(&ReleaseIn{Fh: fh}))
}

func (c *wire) forget(node, n uint64) {
	c.must(FUSE_FORGET, node, Bytes(&ForgetIn{Nlookup: n}))
}

func (c *wire) write(node, fh, off uint64, data []byte) {
	c.w.tb.Helper()
	r := c.must(FUSE_WRITE, node, Bytes(&WriteIn{Fh: fh, Offset: off, Size: uint32(len(data))}), data)
	if n := binary.NativeEndian.Uint32(r.payload()); int(n) != len(data) {
		c.w.tb.Fatalf("wrote %d of %d bytes", n, len(data))
	}
}

func (c *wire) read(node, fh uint64, n int) []byte {
	return c.must(FUSE_READ, node, Bytes(&ReadIn{Fh: fh, Size: uint32(n)})).payload()
}

// readdir returns the names of a directory.
func (c *wire) readdir(node, fh uint64) (names []string) {
	for off := uint64(0); ; {
		p := c.must(FUSE_READDIR, node, Bytes(&ReadIn{Fh: fh, Offset: off, Size: 4096})).payload()
		if len(p) == 0 {
			return names
		}
		for len(p) > 0 {
			var d Dirent
			copy(Bytes(&d), p)
			if name := string(p[FUSE_NAME_OFFSET:][:d.Namelen]); name != "." && name != ".." {
				names = append(names, name)
			}
			off = d.Off
			p = p[DirentSize(int(d.Namelen)):]
		}
	}
}

// heap returns how many bytes of the Go heap are in use.
func heap() uint64 {
	var st runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&st)
	return st.HeapAlloc
}

// newPCG returns a source with the seed of the flag, or a new one, which is printed.
func newPCG(tb testing.TB) *rand.Rand { return rand.New(rand.NewPCG(uint64(newRand(tb).Int63()), 0)) }

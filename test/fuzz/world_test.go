package fuzz

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/modules/memfs"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

const (
	threads     = 2
	maxRequests = 32 // of a channel
	nameOfDev   = "mem0"
	// paint is what reply vectors hold before.
	paint = 0xA5
	// history is how many of the last operations a failure shows.
	history = 60
)

// world is a memfs with its clients, and what both should be like.
type world struct {
	*reactortest.Harness
	tb      testing.TB
	src     source
	rng     *rand.Rand // where requests are cut and which thread they take
	mem     *memfs.Memfs
	m       *model
	clients []*client
	ids     []uint64 // all nodes that clients have heard of
	fhs     []uint64 // and handles
	log     []string
	cur     *reactor.Thread // that is being polled
	now     when            // the last request's time
	fill    byte
	stale   []uint64 // nodes that the next line of the log is about and that there are not
}

// client is a dispatcher and what its session is like.
type client struct {
	w      *world
	i      int
	d      *fusedispatcher.Dispatcher
	chans  []*iochannel.Channel
	cache  fusedispatcher.CachePolicy
	unique uint64
	ext    []byte // that the next request ends with

	up         bool
	noOpen     bool
	killPriv   bool
	writeback  bool
	posixLocks bool
}

// reply is a request on its way and what came of it.
type reply struct {
	c      *client
	t      *reactor.Thread
	op     uint32
	unique uint64
	buf    []byte // with a guard on either side
	out    [][]byte
	done   int
	errno  syscall.Errno
	len    uint32
}

const guard = 64

// newStage makes a world without a file system and clients.
func newStage(tb testing.TB) *world {
	w := &world{Harness: reactortest.New(tb, threads), tb: tb}
	if err := fsdev.Initialize(w.Threads[0], fsdev.Opts{IOPoolSize: 256, IOCacheSize: 4}); err != nil {
		tb.Fatal(err)
	}
	return w
}

// addClient makes a dispatcher of a device.
func (w *world) addClient(dev string, cache fusedispatcher.CachePolicy) *client {
	c := &client{w: w, i: len(w.clients), cache: cache}
	var err error
	c.d, err = fusedispatcher.Create(w.Threads[0], fusedispatcher.Opts{
		FsdevName: dev, Cache: c.cache, MaxRequests: maxRequests, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		w.tb.Fatal(err)
	}
	for _, t := range w.Threads {
		c.chans = append(c.chans, c.d.IOChannel(t))
	}
	w.clients = append(w.clients, c)
	return c
}

// newWorld makes what the beginning of data says.
func newWorld(tb testing.TB, data []byte) *world {
	w := newStage(tb)
	w.src.data = data
	cfg, pol := w.src.byte(), w.src.byte()
	w.rng = rand.New(rand.NewPCG(uint64(cfg), uint64(pol)))
	// at least as many handles as there can be files, or one limit hides another
	pages := []uint64{64, 16, 64, 4096}[cfg>>1&3]
	nodes := []int{1000, 1000, 1000, 14}[cfg>>3&3]
	open := []int{1000, 1000, 1000, 8}[cfg>>5&3]
	waits := []int{20, 3}[cfg>>7&1]
	var err error
	w.mem, err = memfs.Create(w.Threads[0], nameOfDev, memfs.Opts{
		Size: pages * pageSize, Inodes: uint64(nodes), Handles: open, LockWaiters: waits, NoHugePages: true,
	})
	if err != nil {
		tb.Fatal(err)
	}
	w.m = newModel(pages, nodes, open, waits)
	w.ids = []uint64{rootID}
	for i := range 1 + cfg&1 {
		c := w.addClient(nameOfDev, fusedispatcher.CachePolicy(pol>>(i*3)&7%3))
		c.init(1<<63 - 1&^(uint64(pol>>6&1)*FUSE_HANDLE_KILLPRIV_V2|uint64(pol>>7)*FUSE_POSIX_LOCKS))
	}
	return w
}

// fail ends the test with what has happened last.
func (w *world) fail(format string, args ...any) {
	w.tb.Helper()
	w.tb.Fatalf("%s\n%s", strings.Join(w.log[max(0, len(w.log)-history):], "\n"), fmt.Sprintf(format, args...))
}

func (w *world) logf(format string, args ...any) {
	line := fmt.Sprintf("%d: ", len(w.log)) + fmt.Sprintf(format, args...)
	for _, id := range w.stale {
		line += fmt.Sprintf(" (%#x)", id)
	}
	w.stale = nil
	w.log = append(w.log, line)
}

// outcome adds to the line that says what was asked what has come of it.
func (w *world) outcome(format string, args ...any) {
	w.log[len(w.log)-1] += " = " + fmt.Sprintf(format, args...)
}

// PollThreads polls until no thread has anything to do.
func (w *world) PollThreads() {
	for i, busy := 0, true; busy; i++ {
		busy = false
		for _, t := range w.Threads {
			w.cur = t
			busy = t.Poll(0, 0) || busy
		}
		if i > 100_000 {
			w.fail("the threads never come to rest")
		}
	}
	w.cur = nil
}

// init begins a session.
func (c *client) init(flags uint64) {
	in := InitIn{Major: 7, Minor: 45, MaxReadahead: 1 << 20, Flags: uint32(flags), Flags2: uint32(flags >> 32)}
	c.w.logf("INIT of %d", c.i)
	r := c.do(FUSE_INIT, 0, 64, Bytes(&in))
	if r.errno != 0 {
		c.w.fail("%v", r.errno)
	}
	out := part[InitOut](r, 0)
	got := uint64(out.Flags2)<<32 | uint64(out.Flags)
	c.up = true
	c.noOpen = got&FUSE_NO_OPEN_SUPPORT != 0
	c.killPriv = got&FUSE_HANDLE_KILLPRIV_V2 != 0
	c.writeback = got&FUSE_WRITEBACK_CACHE != 0
	c.posixLocks = got&FUSE_POSIX_LOCKS != 0
}

// cut cuts a vector in places that chance chooses.
func (w *world) cut(buf []byte) [][]byte {
	var segs [][]byte
	for w.rng.IntN(2) == 0 && len(segs) < 24 {
		n := w.rng.IntN(min(len(buf), []int{4, 100, 1 << 20}[w.rng.IntN(3)]) + 1)
		segs = append(segs, buf[:n:n])
		buf = buf[n:]
	}
	return append(segs, buf)
}

// startAs submits a request of a user with room for so many bytes behind the header of its reply; -1 means for none.
func (c *client) startAs(uid, gid uint32, op uint32, node uint64, room int, parts ...[]byte) *reply {
	w := c.w
	c.unique += 2
	hdr := InHeader{Opcode: op, Unique: c.unique, NodeID: node, UID: uid, GID: gid, PID: 7}
	hdr.TotalExtlen = uint16(len(c.ext) / 8)
	body := slices.Concat(slices.Concat(parts...), c.ext)
	c.ext = nil
	hdr.Len = uint32(len(Bytes(&hdr)) + len(body))
	return w.submit(c, op, c.unique, slices.Concat(Bytes(&hdr), body), room)
}

func (w *world) submit(c *client, op uint32, unique uint64, msg []byte, room int) *reply {
	if room >= 0 {
		room += Size[OutHeader]()
	} else {
		room = 0
	}
	i := w.rng.IntN(threads)
	r := &reply{c: c, t: w.Threads[i], op: op, unique: unique, buf: bytes.Repeat([]byte{paint}, room+2*guard)}
	r.out = w.cut(r.buf[guard : guard+room : guard+room])
	if errno := c.d.SubmitRequest(c.chans[i], w.cut(msg), r.out, completed, r); errno != 0 {
		w.fail("SubmitRequest: %v", errno)
	}
	if r.done > 0 {
		w.fail("completed inside SubmitRequest")
	}
	return r
}

// completed checks what holds for every completion.
func completed(ctx any, errno syscall.Errno, replyLen uint32) {
	r := ctx.(*reply)
	w := r.c.w
	r.done++
	r.errno, r.len = errno, replyLen
	if r.done > 1 || w.cur != nil && r.t != w.cur {
		w.fail("opcode %d of %s completed %d times on %s", r.op, r.t.Name(), r.done, w.cur.Name())
	}
	room := r.buf[guard : len(r.buf)-guard]
	rest := slices.Concat(r.buf[:guard], r.buf[len(r.buf)-guard:])
	switch {
	case int(r.len) > len(room):
		w.fail("opcode %d: reply of %d bytes in %d", r.op, r.len, len(room))
	case r.len == 0:
		if len(room) > 0 && r.op != FUSE_INTERRUPT {
			w.fail("opcode %d has no reply", r.op)
		}
		rest = slices.Concat(rest, room)
	default:
		if hdr := part[OutHeader](r, -Size[OutHeader]()); hdr.Len != r.len || hdr.Unique != r.unique ||
			hdr.Error != -int32(errno) || errno != 0 && r.len != 16 {
			w.fail("opcode %d: reply %+v, completed with %d and %d bytes, unique %d", r.op, hdr, errno, r.len, r.unique)
		}
	}
	if slices.ContainsFunc(rest, func(b byte) bool { return b != paint }) {
		w.fail("opcode %d has written beside its reply", r.op)
	}
}

// do takes a request through to its completion.
func (c *client) do(op uint32, node uint64, room int, parts ...[]byte) *reply {
	return c.doAs(0, 0, op, node, room, parts...)
}

func (c *client) doAs(uid, gid uint32, op uint32, node uint64, room int, parts ...[]byte) *reply {
	r := c.tryAs(uid, gid, op, node, room, parts...)
	if r.done != 1 {
		c.w.fail("opcode %d has not been completed", op)
	}
	return r
}

// tryAs submits a request, which may wait.
func (c *client) tryAs(uid, gid uint32, op uint32, node uint64, room int, parts ...[]byte) *reply {
	w := c.w
	before := instantOf(time.Now())
	r := c.startAs(uid, gid, op, node, room, parts...)
	w.PollThreads()
	w.now = when{{before, instantOf(time.Now())}}
	return r
}

// payload returns the reply behind its header.
func (r *reply) payload() []byte {
	return r.buf[guard+Size[OutHeader]() : guard+max(int(r.len), Size[OutHeader]())]
}

// part returns a structure of the reply at an offset behind its header.
func part[T any](r *reply, off int) T {
	var v T
	at := guard + Size[OutHeader]() + off
	if at+len(Bytes(&v)) > guard+int(r.len) {
		r.c.w.fail("opcode %d: a reply of %d bytes is too short for a %T at %d", r.op, r.len, v, off)
	}
	copy(Bytes(&v), r.buf[at:])
	return v
}

// verdict collects the reasons for which an operation has to fail.
type verdict struct {
	must []syscall.Errno
	may  []syscall.Errno // without need
}

func (v *verdict) add(errno ...syscall.Errno)   { v.must = append(v.must, errno...) }
func (v *verdict) allow(errno ...syscall.Errno) { v.may = append(v.may, errno...) }

// when adds a reason if there is one.
func (v *verdict) when(is bool, errno ...syscall.Errno) {
	if is {
		v.add(errno...)
	}
}

// judge compares the outcome of a request with what the model says, and returns whether it succeeded.
func (w *world) judge(r *reply, v *verdict) bool {
	if r.errno == 0 {
		w.outcome("ok")
		if len(v.must) > 0 {
			w.fail("succeeded, want one of %v", errnoNames(v.must))
		}
		return true
	}
	w.outcome("%v", errnoNames([]syscall.Errno{r.errno}))
	if !slices.Contains(v.must, r.errno) && !slices.Contains(v.may, r.errno) {
		w.fail("failed, want one of %v, or if there is nothing else %v", errnoNames(v.must), errnoNames(v.may))
	}
	return false
}

// errnoNames is for messages: the names that manuals use are longer than what they say.
func errnoNames(list []syscall.Errno) (names []string) {
	for _, e := range list {
		names = append(names, e.Error())
	}
	return names
}

// checkSpace compares what is used with the model.
func (w *world) checkSpace() {
	st := w.mem.Statfs()
	w.checkStatfs(st.Blocks, st.Bfree, st.Files, st.Ffree)
	w.m.resolve(st.Blocks - st.Bfree)
}

func (w *world) checkStatfs(blocks, bfree, files, ffree uint64) {
	least, most := w.m.free()
	if used := uint64(w.m.nodes + w.m.links); blocks != w.m.maxPages || bfree < least || bfree > most ||
		files != uint64(w.m.maxNodes) || ffree != files-used {
		w.fail("%d of %d pages are free, want %d to %d of %d; %d of %d inodes, want %d of %d",
			bfree, blocks, least, most, w.m.maxPages, ffree, files, w.m.maxNodes-w.m.nodes-w.m.links, w.m.maxNodes)
	}
}

// settle compares whose wait for a lock is over with whose must be.
func (w *world) settle() {
	for again := true; again; {
		again = false
		for _, x := range slices.Clone(w.m.waits) {
			if x.r.done == 0 {
				continue
			}
			switch {
			case x.r.errno == 0 && x.ended, x.r.errno == syscall.EINTR && (x.interrupted || x.ended):
			case x.r.errno == 0 && x.free():
				x.grant()
			case x.r.errno == syscall.EDEADLK && !x.flock && w.m.inCircle(x.by, x.n, x.lock):
			default:
				continue
			}
			w.outcome("(%d of %d ends with %d)", x.r.unique, x.r.c.i, int(x.r.errno))
			w.m.leave(x)
			again = true
		}
	}
	for _, x := range w.m.waits {
		switch {
		case x.r.done > 0:
			w.fail("%d of client %d ends with %v, without reason", x.r.unique, x.r.c.i, x.r.errno)
		case w.m.mustBeGranted(x):
			w.fail("%d of client %d waits for nothing", x.r.unique, x.r.c.i)
		case x.ended, x.interrupted:
			w.fail("%d of client %d still waits", x.r.unique, x.r.c.i)
		}
	}
}

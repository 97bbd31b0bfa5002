package fusedev

import (
	"context"
	"encoding/binary"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/internal/fuseabi"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/log"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

func TestMain(m *testing.M) {
	if mode := os.Getenv(actEnv); mode != "" {
		os.Exit(act(mode))
	}
	os.Exit(m.Run())
}

// submitted is a request that a fakeServer holds.
type submitted struct {
	opcode uint32
	unique uint64
	in     []byte // the queue's memory
	out    []byte // likewise; nil if the queue passed none
	cb     fusedispatcher.SubmitCplFunc
	ctx    any
}

// fakeServer is a dispatcher that holds every request until the test completes it.
type fakeServer struct {
	dev     *iochannel.Device
	held    []submitted
	enobufs int           // so many submits to refuse with ENOBUFS
	errno   syscall.Errno // to refuse every submit with
}

func (f *fakeServer) IOChannel(t *reactor.Thread) *iochannel.Channel { return f.dev.Get(t) }

func (f *fakeServer) SubmitRequest(_ *iochannel.Channel, in, out [][]byte,
	cb fusedispatcher.SubmitCplFunc, ctx any) syscall.Errno {
	if f.errno != 0 {
		return f.errno
	}
	if f.enobufs > 0 {
		f.enobufs--
		return syscall.ENOBUFS
	}
	s := submitted{in: in[0], cb: cb, ctx: ctx}
	h := fuseabi.Overlay[fuseabi.InHeader](in[0])
	s.opcode, s.unique = h.Opcode, h.Unique
	if len(out) > 0 {
		s.out = out[0]
	}
	f.held = append(f.held, s)
	return 0
}

// complete ends the held request i. n is the number of bytes that the reply has after its header, which keep what is in
// the buffer.
func (f *fakeServer) complete(i int, errno syscall.Errno, n int) {
	s := f.held[i]
	f.held = append(f.held[:i], f.held[i+1:]...)
	if s.out == nil {
		s.cb(s.ctx, errno, 0)
		return
	}
	if errno != 0 {
		n = 0
	}
	*fuseabi.Overlay[fuseabi.OutHeader](s.out) = fuseabi.OutHeader{
		Len: uint32(outHeaderSize + n), Error: -int32(errno), Unique: s.unique,
	}
	s.cb(s.ctx, errno, uint32(outHeaderSize+n))
}

// fakeOwner records what a queue reports.
type fakeOwner struct {
	inits  []syscall.Errno
	drains int
}

func (o *fakeOwner) initDone(errno syscall.Errno) { o.inits = append(o.inits, errno) }
func (o *fakeOwner) drained(*queue)               { o.drains++ }

// faults is a log that keeps the errors.
type faults struct {
	mu   sync.Mutex
	list []string
}

func (f *faults) Enabled(context.Context, slog.Level) bool { return true }
func (f *faults) WithGroup(string) slog.Handler            { return f }
func (f *faults) WithAttrs([]slog.Attr) slog.Handler       { return f }

func (f *faults) Handle(_ context.Context, r slog.Record) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "error" {
			f.list = append(f.list, a.Value.String())
		}
		return true
	})
	return nil
}

// reported returns the faults that have been logged.
func (b *bench) reported() []string {
	b.q.log.Flush()
	b.log.mu.Lock()
	defer b.log.mu.Unlock()
	return b.log.list
}

// bench is a queue whose kernel is a socket that keeps messages apart.
type bench struct {
	tb     testing.TB
	h      *reactortest.Harness
	t      *reactor.Thread
	srv    *fakeServer
	owner  *fakeOwner
	q      *queue
	log    *faults
	kernel int // the other end
	unique uint64
	buf    []byte
}

func registerFake(t *reactor.Thread, f *fakeServer) (*iochannel.Device, error) {
	return iochannel.RegisterDevice[struct{}](t, f, "fake", nil, nil)
}

func newBench(tb testing.TB, o Options) *bench {
	tb.Helper()
	b := &bench{tb: tb, h: reactortest.New(tb, 1), srv: &fakeServer{}, owner: &fakeOwner{}, log: &faults{}}
	b.buf = make([]byte, 1<<20)
	b.t = b.h.Threads[0]
	o.Dispatcher = &fusedispatcher.Dispatcher{}
	o.Threads = b.h.Framework.Threads()
	o.Mountpoint = "/"
	if o.MaxWrite == 0 {
		o.MaxWrite = 64 << 10
	}
	if err := o.setDefaults(); err != nil {
		tb.Fatal(err)
	}
	var err error
	if b.srv.dev, err = registerFake(b.t, b.srv); err != nil {
		tb.Fatal(err)
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		tb.Fatal(err)
	}
	b.kernel = fds[1]
	// Flush takes a place in the limiter's queue.
	l := log.NewLimiter(slog.New(b.log), "test", log.Limits{Now: func() time.Duration { return 0 }})
	if b.q, err = newQueue(0, b.t, fds[0], b.srv, b.owner, l, &o); err != nil {
		tb.Fatal(err)
	}
	if err := b.q.start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(b.end)
	return b
}

// end stops the queue and checks that everything came back.
func (b *bench) end() {
	for len(b.srv.held) > 0 {
		b.srv.complete(0, syscall.EIO, 0)
	}
	b.h.PollThreads()
	if got, want := len(b.q.mem.big), cap(b.q.mem.big)-1; got != want {
		b.tb.Errorf("%d large buffers are free at the end, want %d", got, want)
	}
	free := 0
	for _, list := range []*slot{b.q.free, b.q.freeLock} {
		for sl := list; sl != nil; sl = sl.next {
			free++
		}
	}
	if free != len(b.q.slots) || b.q.inFlight != 0 {
		b.tb.Errorf("at the end %d of %d slots are free, %d in flight", free, len(b.q.slots), b.q.inFlight)
	}
	b.q.stop()
	freeQueues([]*queue{b.q})
	if b.kernel >= 0 {
		unix.Close(b.kernel)
	}
	b.h.PollThreads()
	if errno := b.srv.dev.Unregister(b.t, nil, nil); errno != 0 {
		b.tb.Error(errno)
	}
	b.h.PollThreads()
}

// request makes the bytes of a request.
func request(opcode uint32, unique uint64, args ...[]byte) []byte {
	var body []byte
	for _, a := range args {
		body = append(body, a...)
	}
	h := fuseabi.InHeader{Len: uint32(inHeaderSize + len(body)), Opcode: opcode, Unique: unique, NodeID: 1}
	return append(append([]byte(nil), fuseabi.Bytes(&h)...), body...)
}

// ask sends a request from the kernel's end and returns its unique.
func (b *bench) ask(opcode uint32, args ...[]byte) uint64 {
	b.tb.Helper()
	b.unique += 2
	b.askRaw(request(opcode, b.unique, args...))
	return b.unique
}

func (b *bench) askRaw(req []byte) {
	b.tb.Helper()
	if _, err := unix.Write(b.kernel, req); err != nil {
		b.tb.Fatal(err)
	}
}

// reply is what the kernel's end receives.
type reply struct {
	Error  int32
	Unique uint64
	Body   int // length
}

// answers takes all replies that have been written.
func (b *bench) answers() []reply {
	b.tb.Helper()
	var all []reply
	for {
		n, err := unix.Read(b.kernel, b.buf)
		if err == unix.EAGAIN {
			return all
		}
		if err != nil {
			b.tb.Fatal(err)
		}
		if n < outHeaderSize || binary.NativeEndian.Uint32(b.buf) != uint32(n) {
			b.tb.Fatalf("a reply of %d bytes says it has %d", n, binary.NativeEndian.Uint32(b.buf))
		}
		h := fuseabi.Overlay[fuseabi.OutHeader](b.buf)
		all = append(all, reply{h.Error, h.Unique, n - outHeaderSize})
	}
}

// poll runs the queue until it rests.
func (b *bench) poll() {
	b.tb.Helper()
	b.h.PollThreads()
}

func readIn(size uint32) []byte { return fuseabi.Bytes(&fuseabi.ReadIn{Fh: 7, Size: size}) }

func writeIn(size uint32) [][]byte {
	return [][]byte{fuseabi.Bytes(&fuseabi.WriteIn{Fh: 7, Size: size}), make([]byte, size)}
}

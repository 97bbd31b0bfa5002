package fusedispatcher_test

import (
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/modules/null"
	"github.com/spdk-go/spdk-go/reactor"
)

// load is a number of clients on one thread, each with one request in flight, that go on
// until left is used up.
type load struct {
	d     *fusedispatcher.Dispatcher
	ch    *iochannel.Channel
	left  int
	live  int
	slots []*loadSlot
	done  chan syscall.Errno
	errno syscall.Errno
	cpu   time.Duration // used by the reactor for the last run
}

// cpuTime returns the CPU time that the caller's OS thread has used, which other programs on
// the machine blur less than the time that passes.
func cpuTime() time.Duration {
	var u unix.Rusage
	unix.Getrusage(unix.RUSAGE_THREAD, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

type loadSlot struct {
	l       *load
	in, out [][]byte
}

func (s *loadSlot) submit() {
	if errno := s.l.d.SubmitRequest(s.l.ch, s.in, s.out, loadDone, s); errno != 0 {
		s.l.errno = errno
		s.l.live--
	}
}

func loadDone(ctx any, errno syscall.Errno, _ uint32) {
	s := ctx.(*loadSlot)
	l := s.l
	if errno != 0 {
		l.errno = errno
	}
	if l.left > 0 {
		l.left--
		s.submit()
		return
	}
	if l.live--; l.live == 0 {
		l.cpu = cpuTime() - l.cpu
		l.done <- l.errno
	}
}

func startLoad(_ *reactor.Thread, ctx any) {
	l := ctx.(*load)
	l.cpu = cpuTime()
	for _, s := range l.slots {
		if l.left == 0 {
			return
		}
		l.left--
		l.live++
		s.submit()
	}
}

// run takes n requests through and returns the last error.
func (l *load) run(t *reactor.Thread, n int) syscall.Errno {
	l.left = n
	t.SendMsg(startLoad, l)
	return <-l.done
}

// runOn calls fn on t and waits for it.
func runOn(t *reactor.Thread, fn func(t *reactor.Thread)) {
	done := make(chan struct{})
	t.SendMsg(func(t *reactor.Thread, _ any) { fn(t); close(done) }, nil)
	<-done
}

func newLoad(b *testing.B, qd int, in []byte, room int, dataSegs bool) (*load, *reactor.Thread) {
	b.Helper()
	fw, err := reactor.NewFramework(reactor.Options{Cores: []int{runtime.NumCPU() - 1}, Mode: reactor.ModePoll})
	if err != nil {
		b.Fatal(err)
	}
	if err := fw.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(fw.Stop)
	t, err := fw.CreateThread("bench", nil)
	if err != nil {
		b.Fatal(err)
	}
	l := &load{done: make(chan syscall.Errno, 1)}
	runOn(t, func(t *reactor.Thread) {
		if err := fsdev.Initialize(t, fsdev.Opts{IOPoolSize: 1024}); err != nil {
			b.Error(err)
		}
		if _, err := null.Create(t, "null0"); err != nil {
			b.Error(err)
		}
		if l.d, err = fusedispatcher.Create(t, fusedispatcher.Opts{FsdevName: "null0"}); err != nil {
			b.Error(err)
			return
		}
		l.ch = l.d.IOChannel(t)
	})
	if b.Failed() {
		b.FailNow()
	}
	b.Cleanup(func() {
		done := make(chan struct{})
		runOn(t, func(t *reactor.Thread) {
			l.ch.Put()
			l.d.Delete(t, func(t *reactor.Thread, _ any, _ syscall.Errno) {
				fsdev.Finish(t, func(*reactor.Thread, any, error) { close(done) }, nil)
			}, nil)
		})
		<-done
	})
	l.slots = []*loadSlot{{l: l, in: [][]byte{initRequest(45, alwaysOffered)}, out: [][]byte{make([]byte, 80)}}}
	if errno := l.run(t, 1); errno != 0 {
		b.Fatal(errno)
	}
	l.slots = nil
	for range qd {
		s := &loadSlot{l: l, in: [][]byte{in}, out: [][]byte{make([]byte, room)}}
		if dataSegs {
			s.out = [][]byte{make([]byte, 16), make([]byte, room-16)}
		}
		l.slots = append(l.slots, s)
	}
	return l, t
}

// What a kernel offers in INIT, more or less.
const alwaysOffered = FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO |
	FUSE_MAX_PAGES | FUSE_INIT_EXT | FUSE_SETXATTR_EXT | FUSE_ATOMIC_O_TRUNC | FUSE_FLOCK_LOCKS

func initRequest(minor uint32, flags uint64) []byte {
	return message(InHeader{Opcode: FUSE_INIT, Unique: 2}, Bytes(&InitIn{
		Major: 7, Minor: minor, MaxReadahead: 128 << 10, Flags: uint32(flags), Flags2: uint32(flags >> 32)}))
}

// BenchmarkDispatch takes requests through dispatcher, fsdev and the null module on one
// pinned reactor.
func BenchmarkDispatch(b *testing.B) {
	hdr := func(op uint32, node uint64) InHeader { return InHeader{Opcode: op, Unique: 4, NodeID: node} }
	file := uint64(null.File)
	for _, bench := range []struct {
		name string
		in   []byte
		room int
		data bool
	}{
		{"Getattr", message(hdr(FUSE_GETATTR, file), Bytes(&GetattrIn{})), 16 + Size[AttrOut](), false},
		{"Lookup", message(hdr(FUSE_LOOKUP, FUSE_ROOT_ID), []byte("some-file-name\x00")), 16 + Size[EntryOut](), false},
		{"Read4k", message(hdr(FUSE_READ, file), Bytes(&ReadIn{Fh: 2, Size: 4096})), 16 + 4096, true},
		{"Write4k", message(hdr(FUSE_WRITE, file), Bytes(&WriteIn{Fh: 2, Size: 4096}), make([]byte, 4096)), 24, false},
	} {
		for _, qd := range []int{1, 32} {
			b.Run(fmt.Sprintf("%s/qd%d", bench.name, qd), func(b *testing.B) {
				l, t := newLoad(b, qd, bench.in, bench.room, bench.data)
				l.run(t, 10_000)
				b.ReportAllocs()
				b.ResetTimer()
				if errno := l.run(t, b.N); errno != 0 {
					b.Fatal(errno)
				}
				b.ReportMetric(float64(l.cpu)/float64(b.N), "cpu-ns/op")
			})
		}
	}
}

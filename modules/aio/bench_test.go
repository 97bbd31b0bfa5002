package aio_test

import (
	"fmt"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/modules/aio"
	"github.com/spdk-go/spdk-go/transport/loopback"
)

const benchFile = 16 << 20

// load keeps a number of requests in flight through the loopback transport.
type load struct {
	r      *rig
	b      *testing.B
	left   int
	flying int
	n      uint64
	issue  func(l *load, s *slot) syscall.Errno
	slots  []slot

	dir      uint64
	node, fh uint64
}

// slot is one of the requests.
type slot struct {
	l        *load
	buf      []byte
	step     int
	node, fh uint64
	name     string
}

func (l *load) next(s *slot) {
	if l.left == 0 {
		return
	}
	l.left--
	l.flying++
	if errno := l.issue(l, s); errno != 0 {
		l.b.Fatal("submit:", errno)
	}
}

func loadDone(ctx any, rep *loopback.Reply) {
	s := ctx.(*slot)
	if rep.Errno != 0 {
		s.l.b.Fatal(rep.Errno)
	}
	s.l.flying--
	s.l.next(s)
}

func (l *load) run(n int) {
	l.left = n
	for i := range l.slots {
		l.next(&l.slots[i])
	}
	for l.left > 0 || l.flying > 0 {
		l.r.t.Poll(0, 0)
	}
}

// off returns places all over the file.
func (l *load) off() uint64 {
	l.n += 7919
	return l.n * 4096 % benchFile
}

func issueRead(l *load, s *slot) syscall.Errno {
	return l.r.c.Read(l.node, l.fh, l.off(), s.buf, loadDone, s)
}

func issueWrite(l *load, s *slot) syscall.Errno {
	return l.r.c.Write(l.node, l.fh, l.off(), s.buf, loadDone, s)
}

func issueGetattr(l *load, s *slot) syscall.Errno { return l.r.c.Getattr(l.node, 0, loadDone, s) }
func issueLookup(l *load, s *slot) syscall.Errno  { return l.r.c.Lookup(l.dir, "file", loadDone, s) }

// issueCycle is CREATE, RELEASE, UNLINK and FORGET of a file.
func issueCycle(l *load, s *slot) syscall.Errno {
	return l.r.c.Create(l.dir, s.name, 0o644, syscall.O_RDWR|syscall.O_CREAT, cycleDone, s)
}

func cycleDone(ctx any, rep *loopback.Reply) {
	s := ctx.(*slot)
	c := s.l.r.c
	if rep.Errno != 0 {
		s.l.b.Fatal(s.step, rep.Errno)
	}
	errno := syscall.Errno(0)
	s.step++
	switch s.step {
	case 1:
		s.node, s.fh = rep.Entry.Node, rep.Handle
		errno = c.Release(s.node, s.fh, cycleDone, s)
	case 2:
		errno = c.Unlink(s.l.dir, s.name, cycleDone, s)
	case 3:
		errno = c.Forget(s.node, 1, cycleDone, s)
	default:
		s.step = 0
		s.l.flying--
		s.l.next(s)
	}
	if errno != 0 {
		s.l.b.Fatal(errno)
	}
}

// cpuTime returns the time that the CPUs have spent on this process, workers and all, in nanoseconds. It says more than
// the clock where others want the CPUs too.
func cpuTime(b *testing.B) int64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// BenchmarkLoopback is to be compared with SPDK's module: everything but a kernel, on one thread, with the data in the
// page cache.
func BenchmarkLoopback(b *testing.B) {
	for _, p := range places {
		for _, op := range []struct {
			name  string
			issue func(l *load, s *slot) syscall.Errno
		}{
			{"read4k", issueRead}, {"write4k", issueWrite}, {"getattr", issueGetattr}, {"lookup", issueLookup},
			{"cycle", issueCycle},
		} {
			for _, depth := range []int{1, 32} {
				b.Run(fmt.Sprintf("%s/%s/depth%d", p.name, op.name, depth), func(b *testing.B) {
					r := newRig(b, aio.Opts{Root: tempDir(b, p.dir)})
					l := &load{r: r, b: b, issue: op.issue, dir: loopback.RootID, slots: make([]slot, depth)}
					e := r.ok(r.create(l.dir, "file", syscall.O_RDWR)).r
					l.node, l.fh = e.Entry.Node, e.Handle
					for off := uint64(0); off < benchFile; off += 64 << 10 {
						r.ok(r.write(l.node, l.fh, off, make([]byte, 64<<10)))
					}
					for i := range l.slots {
						l.slots[i] = slot{l: l, buf: make([]byte, 4096), name: fmt.Sprint("new", i)}
					}
					l.run(100)
					b.ReportAllocs()
					b.ResetTimer()
					before := cpuTime(b)
					l.run(b.N)
					b.StopTimer()
					b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
					b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
				})
			}
		}
	}
}

package locks

import (
	"flag"
	"fmt"
	"math/rand"
	"strings"
	"syscall"
	"testing"
	"time"
)

var seedFlag = flag.Int64("seed", 0, "seed of tests that do things at random; 0 takes the time")

func newRand(tb testing.TB) *rand.Rand {
	seed := *seedFlag
	if seed == 0 {
		seed = time.Now().UnixNano()
	}
	tb.Logf("-seed=%d", seed)
	return rand.New(rand.NewSource(seed))
}

// rounds is how often something is done at random.
func rounds(n int) int {
	if testing.Short() {
		return n / 5
	}
	return n
}

// file is a file as a module has it.
type file struct {
	File
	refs int // of requests that wait
}

// locker plays requests of one thread against the files of a device, as a module does. Requests are told apart by the
// number that is their IO.
type locker struct {
	testing.TB
	*Lane
	d      *Device
	client *Client
	f      *file
	files  []*file
}

const defaultLocks = 1 << 20

func newLocker(t testing.TB, maxLocks, maxWaits int) *locker {
	k := &locker{TB: t, Lane: new(Lane), d: NewDevice(maxLocks, maxWaits)}
	k.Open(k.d)
	k.client = k.d.NewClient()
	k.f = k.file()
	return k
}

func (k *locker) file() *file {
	f := new(file)
	k.files = append(k.files, f)
	return f
}

// must fails the test unless errno is 0.
func (k *locker) must(errno syscall.Errno) {
	k.Helper()
	if errno != 0 {
		k.Fatalf("unexpected errno %d: %v", int(errno), errno)
	}
}

// want fails the test unless errno is the one that is wanted.
func (k *locker) want(what string, errno, want syscall.Errno) {
	k.Helper()
	if errno != want {
		k.Errorf("%s: got errno %d (%v), want %d (%v)", what, int(errno), errno, int(want), want)
	}
}

// flock is a request for an flock(2) lock of the first client's.
func (k *locker) flock(h *Handle, id uint64, op uint32) (*Request, syscall.Errno) {
	return k.flockOf(k.client, h, id, op)
}

func (k *locker) flockOf(c *Client, h *Handle, id uint64, op uint32) (*Request, syscall.Errno) {
	r, errno := k.Flock(&k.f.File, k.f, c, h, id, op, id)
	return r, k.kept(k.f, errno)
}

// setlk is a request for a byte-range lock of the first client's.
func (k *locker) setlk(f *file, h *Handle, owner uint64, typ uint32, start, end uint64, wait bool) (
	*Request, syscall.Errno,
) {
	return k.setlkOf(k.client, f, h, owner, &Range{Type: typ, PID: uint32(owner), Start: start, End: end}, wait, owner)
}

func (k *locker) setlkOf(c *Client, f *file, h *Handle, owner uint64, l *Range, wait bool, unique uint64) (
	*Request, syscall.Errno,
) {
	r, errno := k.Setlk(&f.File, f, c, h, owner, l, wait, unique)
	return r, k.kept(f, errno)
}

func (k *locker) kept(f *file, errno syscall.Errno) syscall.Errno {
	if errno == Waits {
		f.refs++
	}
	return errno
}

// abort says whether r was waiting still.
func (k *locker) abort(r *Request) bool {
	waited := k.Abort(r)
	if waited {
		r.Node().(*file).refs--
	}
	return waited
}

// take calls fn for those whose wait is over since the last call.
func (k *locker) take(fn func(unique uint64, errno syscall.Errno)) {
	for r := k.TakeWoken(); r != nil; {
		next := r.Next()
		r.Node().(*file).refs--
		fn(r.IO.(uint64), r.Errno)
		r = next
	}
}

// woke returns whose wait is over since the last call, and how it ended.
func (k *locker) woke() string {
	for k.IsUnfinished() {
		k.GrantMore()
	}
	var s []string
	k.take(func(unique uint64, errno syscall.Errno) {
		e := fmt.Sprint(unique)
		if errno != 0 {
			e += "!" + fmt.Sprint(int(errno))
		}
		s = append(s, e)
	})
	return strings.Join(s, " ")
}

// endHandle closes a handle of the first file's.
func (k *locker) endHandle(h *Handle) { k.EndHandle(&k.f.File, h) }

// endClient ends all locks of a client that has no handles.
func (k *locker) endClient(c *Client) {
	for done := false; !done; {
		_, done = k.EndClient(c, 1)
	}
}

// checkEmpty ends what the clients have, and fails the test unless nothing is left.
func (k *locker) checkEmpty(clients ...*Client) {
	k.Helper()
	for _, c := range append(clients, k.client) {
		k.endClient(c)
	}
	k.woke()
	for i, f := range k.files {
		if f.refs != 0 {
			k.Errorf("file %d has %d references", i, f.refs)
		}
		if t := f.table.Load(); t != nil && t.count() > 0 {
			k.Errorf("file %d has %d locks", i, t.count())
		}
		k.checkRanges(f)
	}
	k.Lane.Close()
	if k.d.Waits() != 0 || k.d.Used() != 0 {
		k.Errorf("%d wait, %d locks are used", k.d.Waits(), k.d.Used())
	}
	if k.d.graph.n != 0 {
		k.Errorf("the graph has %d", k.d.graph.n)
	}
	k.Lane.Open(k.d)
}

package fsdevtest

import (
	"math"
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/reactor"
)

var (
	needRanges = []fsdev.IOType{fsdev.IOGetlk, fsdev.IOSetlk}

	rangeLockCases = []testCase{
		{"RangeLocks", onlyFull, needRanges, testRangeLocks},
		{"RangeLocksOfOneOwner", onlyFull, needRanges, testRangeLocksOfOneOwner},
		{"RangeLocksAreTold", onlyFull, needRanges, testGetlk},
		{"RangeLocksWait", onlyFull, needRanges, testRangeLocksWait},
		{"RangeLocksAbort", onlyFull, needRanges, testRangeLocksAbort},
		{"RangeLocksEndWithFlush", onlyFull, needRanges, testRangeLocksFlush},
		{"RangeLocksEndWithTheirClient", onlyFull, needRanges, testRangeLocksUmount},
	}
)

// toEnd is the last byte of a lock without an end.
const toEnd = math.MaxInt64

func rdlck(start, end uint64) fsdev.Lock {
	return fsdev.Lock{Type: syscall.F_RDLCK, Start: start, End: end}
}
func wrlck(start, end uint64) fsdev.Lock {
	return fsdev.Lock{Type: syscall.F_WRLCK, Start: start, End: end}
}
func unlck(start, end uint64) fsdev.Lock {
	return fsdev.Lock{Type: syscall.F_UNLCK, Start: start, End: end}
}

// ranges has the locks of owners 1, 2 and so on, each of which has the handle 0.
func (o *opened) ranges(owner uint64, l fsdev.Lock) *result {
	o.Helper()
	l.PID = uint32(100 + owner)
	return o.setlk(o.obj, o.h[0], owner, l)
}

func testRangeLocks(w *world) {
	c := w.open(0)
	if !c.opts.PosixLocks {
		w.Error("MOUNT does not say that there are byte-range locks")
	}
	f := c.openTimes("file", 1)
	f.ranges(1, wrlck(100, 199)).ok()
	for _, tt := range []struct {
		lock fsdev.Lock
		want syscall.Errno
	}{
		{rdlck(0, 99), 0}, {wrlck(0, 99), 0}, {wrlck(200, toEnd), 0}, {rdlck(0, 100), syscall.EAGAIN},
		{wrlck(199, 199), syscall.EAGAIN}, {rdlck(150, 160), syscall.EAGAIN}, {wrlck(0, toEnd), syscall.EAGAIN},
	} {
		f.ranges(2, tt.lock).want(tt.want)
		f.ranges(2, unlck(0, toEnd)).ok()
	}
	f.ranges(1, rdlck(100, 199)).ok() // another kind, at one go
	f.ranges(2, rdlck(150, 300)).ok()
	f.ranges(1, wrlck(100, 199)).want(syscall.EAGAIN)
	f.ranges(1, wrlck(100, 149)).ok()
	f.ranges(1, wrlck(50, 20)).want(syscall.EINVAL)
	f.ranges(1, fsdev.Lock{Type: 77, End: 1}).want(syscall.EINVAL)
	// They are no flocks, and of this file only.
	if !w.o.lacks(fsdev.IOFlock) {
		f.lock(0, excl|noWait).ok()
	}
	g := c.openTimes("other", 1)
	g.ranges(3, wrlck(0, toEnd)).ok()
}

// testRangeLocksOfOneOwner joins, splits and replaces the locks of an owner; another one finds
// out what it has.
func testRangeLocksOfOneOwner(w *world) {
	c := w.open(0)
	f := c.openTimes("file", 1)
	has := func(what string, bytes ...uint64) {
		c.Helper()
		locked := map[uint64]bool{}
		for _, b := range bytes {
			locked[b] = true
		}
		for b := range uint64(12) {
			want := syscall.Errno(0)
			if locked[b] {
				want = syscall.EAGAIN
			}
			if got := f.ranges(2, wrlck(b, b)).want(0, syscall.EAGAIN).errno; got != want {
				w.Errorf("%s: byte %d: %s, want %s", what, b, errnoName(got), errnoName(want))
			}
			f.ranges(2, unlck(b, b)).ok()
		}
	}
	f.ranges(1, wrlck(2, 9)).ok()
	has("locked", 2, 3, 4, 5, 6, 7, 8, 9)
	f.ranges(1, unlck(5, 6)).ok()
	has("split", 2, 3, 4, 7, 8, 9)
	f.ranges(1, rdlck(4, 7)).ok()
	has("half of it to read", 2, 3, 4, 5, 6, 7, 8, 9)
	f.ranges(1, unlck(0, 3)).ok()
	f.ranges(1, unlck(9, toEnd)).ok()
	has("the ends given back", 4, 5, 6, 7, 8)
	f.ranges(2, rdlck(4, 7)).ok()
	f.ranges(2, rdlck(8, 8)).want(syscall.EAGAIN)
	f.ranges(2, unlck(0, toEnd)).ok()
	f.ranges(1, unlck(0, toEnd)).ok()
	has("all given back")
}

func testGetlk(w *world) {
	c := w.open(0)
	f := c.openTimes("file", 1)
	get := func(owner uint64, l fsdev.Lock) fsdev.Lock {
		c.Helper()
		return f.getlk(f.obj, f.h[0], owner, l).ok().lock
	}
	f.ranges(1, rdlck(10, 19)).ok()
	f.ranges(1, wrlck(30, toEnd)).ok()
	for _, tt := range []struct {
		owner uint64
		ask   fsdev.Lock
		want  fsdev.Lock
	}{
		{2, wrlck(0, 100), fsdev.Lock{Type: syscall.F_RDLCK, PID: 101, Start: 10, End: 19}},
		{2, rdlck(0, 100), fsdev.Lock{Type: syscall.F_WRLCK, PID: 101, Start: 30, End: toEnd}},
		{2, wrlck(20, 29), fsdev.Lock{Type: syscall.F_UNLCK}},
		{1, wrlck(0, toEnd), fsdev.Lock{Type: syscall.F_UNLCK}},
	} {
		got := get(tt.owner, tt.ask)
		if tt.want.Type == syscall.F_UNLCK {
			got = fsdev.Lock{Type: got.Type}
		}
		if got != tt.want {
			w.Errorf("GETLK of %+v for %d: %+v, want %+v", tt.ask, tt.owner, got, tt.want)
		}
	}
}

// startRange locks from thread i, for owner i+1, and waits if need be.
func (o *opened) startRange(i int, l fsdev.Lock) *call {
	o.Helper()
	return o.on(i).startSetlk(o.obj, o.h[0], uint64(i+1), l, true)
}

func testRangeLocksWait(w *world) {
	c := w.open(0)
	f := c.openTimes("file", 1)
	f.ranges(1, wrlck(0, 99)).ok()
	both, low := f.startRange(1, wrlck(50, 150)), f.startRange(2, rdlck(0, 9))
	both.waits()
	low.waits()
	f.ranges(1, unlck(0, 9)).ok()
	low.wait().ok()
	both.waits()
	f.ranges(1, rdlck(50, 99)).ok() // still in the way
	both.waits()
	f.ranges(1, unlck(50, 99)).ok()
	both.wait().ok()
	f.ranges(1, rdlck(100, 100)).want(syscall.EAGAIN)
	f.startRange(0, rdlck(200, 300)).wait().ok()
}

func testRangeLocksAbort(w *world) {
	c := w.open(0)
	f := c.openTimes("file", 1)
	f.ranges(1, wrlck(0, toEnd)).ok()
	for from := range numThreads {
		x := f.startRange(1, wrlck(5, 5))
		x.waits()
		if errno := c.on(from).abortAny(x); errno != 0 {
			w.Fatalf("ABORT from thread %d: %s", from, errnoName(errno))
		}
		x.wait().want(syscall.EINTR)
	}
	f.ranges(1, unlck(0, toEnd)).ok()
	f.ranges(3, wrlck(0, toEnd)).ok()
}

func testRangeLocksFlush(w *world) {
	c := w.open(0)
	f := c.openTimes("file", 1)
	f.ranges(1, wrlck(0, 9)).ok()
	f.ranges(3, wrlck(20, 29)).ok()
	x := f.startRange(1, wrlck(5, 5))
	x.waits()
	c.flush(f.obj, f.h[0], 1).ok()
	x.wait().ok()
	f.ranges(1, rdlck(20, 20)).want(syscall.EAGAIN) // of another owner
}

func testRangeLocksUmount(w *world) {
	a, b := w.open(0), w.open(1)
	f := a.openTimes("file", 1)
	f.ranges(1, wrlck(0, 9)).ok()
	g := b.lookup(b.root, "file").ok()
	h := b.fopen(g.obj, syscall.O_RDWR).ok().h
	b.setlk(g.obj, h, 1, rdlck(0, 0)).want(syscall.EAGAIN) // the owner 1 of another client
	x := b.startSetlk(g.obj, h, 1, rdlck(0, 0), true)
	x.waits()
	a.close()
	x.wait().ok()
}

// resetDone notes the end of a reset.
func resetDone(_ *reactor.Thread, ctx any, _ error) { *ctx.(*bool) = true }

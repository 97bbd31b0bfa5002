package locks

import (
	"fmt"
	"math"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	rd, wr, un = syscall.F_RDLCK, syscall.F_WRLCK, syscall.F_UNLCK
	toEnd      = math.MaxInt64
)

// ranges lists the locks of a file: owner, kind, first and last byte.
func (k *locker) rangesOf(f *file) (s string) {
	if t := f.table.Load(); t != nil {
		for _, b := range t.ranges.all {
			kind := "r"
			if b.exclusive {
				kind = "w"
			}
			s += fmt.Sprintf("%d%s%d-%d ", b.owner.key.id, kind, b.start, b.end)
		}
	}
	return s
}

// TestRangeLocks plays requests of fcntl(2) against one file.
func TestRangeLocks(t *testing.T) {
	const again, dead = syscall.EAGAIN, syscall.EDEADLK
	type step struct {
		owner      uint64
		typ        uint32
		start, end uint64
		wait       bool
		errno      syscall.Errno
		woke       string
	}
	for _, tt := range []struct {
		what  string
		steps []step
		left  string // what is locked afterwards
	}{
		{"readers share, writers do not", []step{
			{1, rd, 0, 9, false, 0, ""}, {2, rd, 5, 14, false, 0, ""}, {3, wr, 14, 20, false, again, ""},
			{3, wr, 15, 20, false, 0, ""}, {1, rd, 20, 20, false, again, ""}, {1, wr, 9, 9, false, again, ""},
		}, "1r0-9 2r5-14 3w15-20 "},
		{"what touches is joined", []step{
			{1, rd, 0, 4, false, 0, ""}, {1, rd, 10, 14, false, 0, ""}, {1, rd, 5, 9, false, 0, ""},
			{1, wr, 15, 19, false, 0, ""}, {1, wr, 21, toEnd, false, 0, ""}, {1, wr, 20, 20, false, 0, ""},
		}, fmt.Sprintf("1r0-14 1w15-%d ", uint64(toEnd))},
		{"the same again", []step{{1, wr, 5, 9, false, 0, ""}, {1, wr, 5, 9, true, 0, ""}, {1, wr, 6, 7, false, 0, ""}},
			"1w5-9 "},
		{"a change in the middle splits", []step{
			{1, rd, 0, 9, false, 0, ""}, {1, wr, 3, 5, false, 0, ""}, {2, rd, 0, 2, false, 0, ""},
			{2, rd, 5, 5, false, again, ""},
		}, "1r0-2 2r0-2 1w3-5 1r6-9 "},
		{"unlocking the middle splits", []step{{1, wr, 0, toEnd, false, 0, ""}, {1, un, 3, 5, false, 0, ""}},
			fmt.Sprintf("1w0-2 1w6-%d ", uint64(toEnd))},
		{"unlocking the edges", []step{
			{1, wr, 2, 8, false, 0, ""}, {1, un, 0, 3, false, 0, ""}, {1, un, 7, toEnd, true, 0, ""},
			{2, un, 5, 5, false, 0, ""},
		}, "1w4-6 "},
		{"unlocking several", []step{
			{1, wr, 0, 1, false, 0, ""}, {1, wr, 4, 5, false, 0, ""}, {1, rd, 8, 9, false, 0, ""},
			{2, wr, 2, 3, false, 0, ""},
			{1, un, 1, 8, false, 0, ""},
		}, "1w0-0 2w2-3 1r9-9 "},
		{"one lock over many", []step{
			{1, rd, 0, 1, false, 0, ""}, {1, wr, 3, 4, false, 0, ""}, {1, rd, 6, 7, false, 0, ""},
			{2, rd, 0, 1, false, 0, ""},
			{1, wr, 0, 9, false, again, ""}, {2, un, 0, toEnd, false, 0, ""}, {1, wr, 0, 9, false, 0, ""},
		}, "1w0-9 "},
		{"first come first served", []step{
			{1, wr, 0, 9, false, 0, ""}, {2, wr, 5, 5, true, Waits, ""}, {3, wr, 0, 9, true, Waits, ""},
			{4, rd, 5, 5, true, Waits, ""}, {1, un, 0, 4, false, 0, ""}, {1, un, 5, 5, false, 0, "2"},
			{1, un, 0, 9, false, 0, ""}, {2, un, 0, 9, false, 0, "3"}, {3, un, 0, 9, false, 0, "4"},
		}, "4r5-5 "},
		{"who waits is in nobody's way", []step{
			{1, rd, 0, 9, false, 0, ""}, {2, wr, 0, 9, true, Waits, ""}, {3, rd, 0, 9, true, 0, ""},
			{1, un, 0, 9, false, 0, ""},
			{3, un, 0, 9, false, 0, "2"},
		}, "2w0-9 "},
		{"a part of the range is enough", []step{
			{1, wr, 0, 9, false, 0, ""}, {2, wr, 0, 3, true, Waits, ""}, {3, wr, 4, 6, true, Waits, ""},
			{1, un, 4, toEnd, false, 0, "3"}, {1, un, 0, 0, false, 0, ""}, {1, un, 2, 3, false, 0, ""},
			{1, un, 1, 1, false, 0, "2"},
		}, "2w0-3 3w4-6 "},
		{"downgrade lets readers in", []step{
			{1, wr, 0, 9, false, 0, ""}, {2, rd, 3, 4, true, Waits, ""}, {1, rd, 2, 5, false, 0, "2"},
		}, "1w0-1 1r2-5 2r3-4 1w6-9 "},
		{"upgrade keeps the old lock while it waits", []step{
			{1, rd, 0, 9, false, 0, ""}, {2, rd, 0, 9, false, 0, ""}, {1, wr, 0, 9, true, Waits, ""},
			{3, wr, 0, 0, false, again, ""},
			{2, un, 0, 9, false, 0, "1"},
		}, "1w0-9 "},
		{"both upgrade", []step{
			{1, rd, 0, 9, false, 0, ""}, {2, rd, 0, 9, false, 0, ""}, {1, wr, 0, 9, true, Waits, ""},
			{2, wr, 5, 5, true, dead, ""},
			{2, wr, 5, 5, false, again, ""}, {2, un, 0, 9, false, 0, "1"},
		}, "1w0-9 "},
		{"a circle of three", []step{
			{1, wr, 1, 1, false, 0, ""}, {2, wr, 2, 2, false, 0, ""}, {3, wr, 3, 3, false, 0, ""},
			{1, wr, 2, 2, true, Waits, ""}, {2, wr, 3, 3, true, Waits, ""}, {3, rd, 1, 1, true, dead, ""},
			{3, un, 3, 3, false, 0, "2"}, {2, un, 2, 2, false, 0, "1"},
		}, "1w1-2 2w3-3 "},
		{"a circle that shows later", []step{ // 1 waits for 2 and 3, of which 2 is looked at first
			{2, rd, 0, 9, false, 0, ""}, {3, rd, 1, 9, false, 0, ""}, {1, wr, 20, 20, false, 0, ""},
			{1, wr, 0, 9, true, Waits, ""},
			{3, wr, 20, 20, true, Waits, ""}, {2, un, 0, 9, false, 0, "1!35"}, {1, un, 20, 20, false, 0, "3"},
		}, "3r1-9 3w20-20 "},
		{"two threads of one owner", []step{
			{1, wr, 0, 9, false, 0, ""}, {2, wr, 0, 4, true, Waits, ""}, {2, rd, 3, 9, true, Waits, ""},
			{1, un, 0, 9, false, 0, "2 2"},
		}, "2w0-2 2r3-9 "},
		{"nonsense", []step{
			{1, 3, 0, 9, false, syscall.EINVAL, ""}, {1, rd, 9, 8, false, syscall.EINVAL, ""},
			{1, un, 0, 1 << 63, false, syscall.EINVAL, ""}, {1, rd, toEnd, toEnd, false, 0, ""},
		}, fmt.Sprintf("1r%d-%d ", uint64(toEnd), uint64(toEnd))},
	} {
		t.Run(tt.what, func(t *testing.T) {
			k := newLocker(t, defaultLocks, 1024)
			for i, s := range tt.steps {
				_, errno := k.setlk(k.f, nil, s.owner, s.typ, s.start, s.end, s.wait)
				k.want(fmt.Sprintf("step %d", i), errno, s.errno)
				if diff := cmp.Diff(s.woke, k.woke()); diff != "" {
					t.Errorf("step %d woke (-want +got):\n%s", i, diff)
				}
				k.checkRanges(k.f)
			}
			if got := k.rangesOf(k.f); got != tt.left {
				t.Errorf("locked is %q, want %q", got, tt.left)
			}
			k.checkEmpty()
		})
	}
}

// TestDeadlockAcrossFiles pins that a circle is found whatever files it goes through, and that a request that
// does not wait is no part of one.
func TestDeadlockAcrossFiles(t *testing.T) {
	k := newLocker(t, defaultLocks, 1024)
	g, other := k.file(), k.d.NewClient()
	lock := func(c *Client, f *file, wait bool) syscall.Errno {
		_, errno := k.setlkOf(c, f, nil, 1, &Range{Type: wr, End: 9}, wait, 0)
		return errno
	}
	k.must(lock(k.client, k.f, false))
	k.must(lock(other, g, false)) // of the same number, of another client
	k.want("second file", lock(k.client, g, true), Waits)
	k.want("not waiting", lock(other, k.f, false), syscall.EAGAIN)
	k.want("circle", lock(other, k.f, true), syscall.EDEADLK)
	k.endClient(other)
	if woke := k.woke(); woke != "0" {
		t.Errorf("the end of the other client woke %q", woke)
	}
	k.checkEmpty()
}

func TestGetlk(t *testing.T) {
	k := newLocker(t, defaultLocks, 1024)
	get := func(owner uint64, typ uint32, start, end uint64) Range {
		l := Range{Type: typ, PID: 77, Start: start, End: end}
		k.must(k.Getlk(&k.f.File, k.client, owner, &l))
		return l
	}
	free := Range{Type: un, PID: 77, Start: 1, End: 2}
	if got := get(1, wr, 1, 2); got != free {
		t.Errorf("nobody has locked: %+v", got)
	}
	for _, s := range []struct {
		owner      uint64
		typ        uint32
		start, end uint64
	}{{1, rd, 10, 19}, {2, rd, 5, 12}, {3, wr, 30, toEnd}} {
		_, errno := k.setlk(k.f, nil, s.owner, s.typ, s.start, s.end, false)
		k.must(errno)
	}
	for _, tt := range []struct {
		owner      uint64
		typ        uint32
		start, end uint64
		want       Range
	}{
		{4, rd, 0, 20, Range{Type: un, PID: 77, Start: 0, End: 20}},
		{4, wr, 0, toEnd, Range{Type: rd, PID: 2, Start: 5, End: 12}},
		{4, wr, 13, 13, Range{Type: rd, PID: 1, Start: 10, End: 19}},
		{4, rd, 15, toEnd, Range{Type: wr, PID: 3, Start: 30, End: toEnd}},
		{2, wr, 0, toEnd, Range{Type: rd, PID: 1, Start: 10, End: 19}},
		{1, wr, 13, 29, Range{Type: un, PID: 77, Start: 13, End: 29}},
		{3, wr, toEnd, toEnd, Range{Type: un, PID: 77, Start: toEnd, End: toEnd}},
	} {
		if got := get(tt.owner, tt.typ, tt.start, tt.end); got != tt.want {
			t.Errorf("for %d: %+v, want %+v", tt.owner, got, tt.want)
		}
	}
	for _, l := range []Range{{Type: un}, {Type: 7}, {Type: rd, Start: 2, End: 1}, {Type: wr, End: 1 << 63}} {
		k.want("nonsense", k.Getlk(&k.f.File, k.client, 1, &l), syscall.EINVAL)
	}
}

// TestRangeLocksEnd pins what ends the locks of an owner: FLUSH, the handle it used last, the client, and the
// end of the file.
func TestRangeLocksEnd(t *testing.T) {
	k := newLocker(t, defaultLocks, 1024)
	lock := func(h *Handle, owner uint64, typ uint32, start, end uint64) syscall.Errno {
		_, errno := k.setlk(k.f, h, owner, typ, start, end, true)
		return errno
	}
	left := func(what, want string) {
		t.Helper()
		if got := k.rangesOf(k.f); got != want {
			t.Errorf("%s: locked is %q, want %q", what, got, want)
		}
		k.checkRanges(k.f)
	}
	var h1, h2 Handle
	k.must(lock(&h1, 1, wr, 0, 0))
	k.must(lock(&h1, 1, rd, 5, 5))
	k.must(lock(&h1, 2, wr, 1, 1))
	k.must(lock(&h1, 3, wr, 2, 2))
	k.must(lock(&h2, 3, wr, 3, 3))
	k.must(lock(nil, 4, wr, 4, 4))
	k.want("waits for the first", lock(&h2, 5, wr, 0, 0), Waits)
	k.want("waits for the third", lock(&h1, 6, wr, 2, 2), Waits)
	k.Flush(&k.f.File, k.client, 1)
	if woke := k.woke(); woke != "5" {
		t.Errorf("FLUSH woke %q", woke)
	}
	left("FLUSH", "5w0-0 2w1-1 3w2-3 4w4-4 ")
	k.endHandle(&h1)
	if woke := k.woke(); woke != "6!4" {
		t.Errorf("the end of a handle woke %q, want who waits through it with EINTR", woke)
	}
	left("a handle", "5w0-0 3w2-3 4w4-4 ")
	k.want("through a closed handle", lock(&h1, 2, wr, 50, 50), syscall.EBADF)
	k.endHandle(&h2)
	left("the other handle", "4w4-4 ")
	k.Flush(&k.f.File, k.client, 4)
	k.Flush(&k.f.File, k.client, 4)
	left("FLUSH without a handle", "")

	k.must(lock(nil, 7, wr, 0, 9))
	k.endClient(k.client)
	left("the client", "")

	k.must(lock(nil, 8, wr, 0, 9))
	k.EndFile(&k.f.File)
	left("the end of the file", "")
	k.checkEmpty()
}

// TestFlockAndRangesAreApart pins that the two kinds do not see each other.
func TestFlockAndRangesAreApart(t *testing.T) {
	k := newLocker(t, defaultLocks, 1024)
	_, errno := k.flock(nil, 1, syscall.LOCK_EX)
	k.must(errno)
	_, errno = k.setlk(k.f, nil, 2, wr, 0, toEnd, false)
	k.must(errno)
	k.Flush(&k.f.File, k.client, 1)
	_, errno = k.flock(nil, 2, syscall.LOCK_SH|syscall.LOCK_NB)
	k.want("flock after FLUSH", errno, syscall.EWOULDBLOCK)
}

func TestRangeLockAbort(t *testing.T) {
	k := newLocker(t, defaultLocks, 2)
	_, errno := k.setlk(k.f, nil, 1, wr, 0, 9, false)
	k.must(errno)
	a, errno := k.setlk(k.f, nil, 2, wr, 0, 9, true)
	k.want("first", errno, Waits)
	_, errno = k.setlk(k.f, nil, 3, rd, 0, 9, true)
	k.want("second", errno, Waits)
	_, errno = k.setlk(k.f, nil, 4, rd, 0, 9, true)
	k.want("one too many", errno, syscall.ENOLCK)
	if !k.abort(a) || k.abort(a) {
		t.Error("a waiter can be aborted once")
	}
	_, errno = k.setlk(k.f, nil, 1, wr, 20, 20, false)
	k.must(errno)
	_, errno = k.setlk(k.f, nil, 1, un, 0, 9, false)
	k.must(errno)
	if woke := k.woke(); woke != "3" {
		t.Errorf("woke %q", woke)
	}
	k.checkRanges(k.f)
	k.checkEmpty()
}

// TestRangeLocksOfAFileAreBounded pins that a client cannot make others look at any number of locks.
func TestRangeLocksOfAFileAreBounded(t *testing.T) {
	k := newLocker(t, defaultLocks, 1024)
	lock := func(typ uint32, start, end uint64, wait bool) syscall.Errno {
		_, errno := k.setlk(k.f, nil, 1, typ, start, end, wait)
		return errno
	}
	for i := range uint64(MaxRanges) {
		k.must(lock(wr, 2*i, 2*i, false))
	}
	k.want("one more", lock(wr, 1<<20, 1<<20, false), syscall.ENOLCK)
	k.want("that splits", lock(un, 1<<20, 1<<20, false), 0)
	k.must(lock(wr, 1, 1, false)) // joins two
	k.must(lock(wr, 1<<20, 1<<20, false))
	k.want("a split by unlocking", lock(un, 1, 1, false), syscall.ENOLCK)
	_, errno := k.setlk(k.f, nil, 2, wr, 0, toEnd, true)
	k.want("one for all", errno, Waits)
	_, errno = k.setlk(k.f, nil, 3, rd, 0, 0, true)
	k.want("and a small one", errno, Waits)
	k.checkRanges(k.f)
	k.must(lock(un, 0, toEnd, false))
	if woke := k.woke(); woke != "2" {
		t.Errorf("woke %q", woke)
	}
	k.Flush(&k.f.File, k.client, 2)
	k.woke()
	k.Flush(&k.f.File, k.client, 3)
	if tab := k.f.table.Load(); tab.ranges.all != nil {
		t.Errorf("room for %d locks is kept", cap(tab.ranges.all))
	}
}

// TestRangeLocksDoNotAllocate: in the long run, that is.
func TestRangeLocksDoNotAllocate(t *testing.T) {
	k := newLocker(t, defaultLocks, 1024)
	a, b := Range{Type: wr, Start: 5, End: 9}, Range{Type: un, End: 7}
	if n := testing.AllocsPerRun(100, func() {
		for _, l := range []*Range{&a, &b} {
			_, errno := k.Setlk(&k.f.File, k.f, k.client, nil, 1, l, true, nil)
			k.must(errno)
		}
		k.Flush(&k.f.File, k.client, 1)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// checkRanges checks what a table says about itself.
func (k *locker) checkRanges(f *file) {
	k.Helper()
	t := f.table.Load()
	if t == nil {
		return
	}
	pieces := map[*owner]int{}
	reach := uint64(0)
	for i, b := range t.ranges.all {
		reach = max(reach, b.end)
		if b.reach != reach || b.start > b.end || i > 0 && b.start < t.ranges.all[i-1].start {
			k.Fatalf("range %d is %+v", i, b)
		}
		pieces[b.owner]++
		for _, a := range t.ranges.all[:i] {
			if a.owner == b.owner && (a.end >= b.start || a.end+1 == b.start && a.exclusive == b.exclusive) {
				k.Fatalf("owner %d has both %+v and %+v", a.owner.key.id, a, b)
			}
			if a.owner != b.owner && a.end >= b.start && (a.exclusive || b.exclusive) {
				k.Fatalf("conflict of %+v and %+v", a, b)
			}
		}
	}
	waits := map[*owner]int{}
	count := 0
	for w := t.rangeWaiters.head; w != nil; w = w.next {
		o := w.rng.owner
		waits[o]++
		count++
		b := t.ranges.conflict(o, w.rng.start, w.rng.end, w.exclusive)
		if b == nil {
			k.Fatalf("owner %d waits for nothing", o.key.id)
		}
		if !w.rng.inGraph {
			k.Fatalf("owner %d waits and nobody knows", o.key.id)
		}
	}
	if count != t.rangeWaits {
		k.Fatalf("%d requests wait, not %d", count, t.rangeWaits)
	}
	listed := 0
	for o := t.owners; o != nil; o = o.next {
		listed++
		if o.pieces != pieces[o] || o.waits != waits[o] || o.pieces+o.waits == 0 || o.tie.tied != (o.pieces > 0) {
			k.Fatalf("owner %d has %d pieces and %d waits: %+v", o.key.id, pieces[o], waits[o], o)
		}
		delete(pieces, o)
		delete(waits, o)
	}
	if len(pieces)+len(waits) > 0 {
		k.Fatalf("%d owners are not listed", len(pieces)+len(waits))
	}
}

package memfs

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
	"github.com/spdk-go/spdk-go/internal/locks"
)

// boundless is how often a client does what it should have stopped doing.
func boundless() int {
	if testing.Short() || raceEnabled {
		return 20_000
	}
	return 200_000
}

// wantFlat runs fn n times, of which the first quarter may take memory, and wants no more than slack bytes for the
// rest.
func wantFlat(t *testing.T, what string, n, slack int, fn func(i int)) {
	t.Helper()
	for i := range n / 4 {
		fn(i)
	}
	before := heap()
	for i := n / 4; i < n; i++ {
		fn(i)
	}
	after := heap()
	t.Logf("%s: heap %d KiB after %d times, %d KiB after %d", what, before>>10, n/4, after>>10, n)
	if after > before+uint64(slack) {
		t.Errorf("%s: the heap grows from %d to %d bytes", what, before, after)
	}
}

// TestOpensWithoutEnd: a client that opens, makes and looks up without end meets ENFILE and ENOSPC, takes no more
// memory then, and gets on as soon as it lets go of something.
func TestOpensWithoutEnd(t *testing.T) {
	const handles, inodes, slack = 100, 200, 256 << 10
	w := newWired(t, Opts{Size: 4 << 20, Inodes: inodes, Handles: handles})
	c := w.clients[0]
	node, fh := c.create(FUSE_ROOT_ID, "file")
	tally := map[syscall.Errno]int{}
	reset := func() { clear(tally) }
	want := func(what string, n int, errno syscall.Errno) {
		t.Helper()
		if len(tally) > 2 || tally[0] != n || tally[errno] == 0 {
			t.Errorf("%s: %v, want %d successes and %v", what, tally, n, errno)
		}
		reset()
	}
	open := []byte(Bytes(&OpenIn{Flags: syscall.O_RDWR}))
	wantFlat(t, "OPEN", boundless(), slack, func(int) { tally[c.call(FUSE_OPEN, node, open).errno]++ })
	want("OPEN", handles-1, syscall.ENFILE)
	wantFlat(t, "OPENDIR", boundless(), slack, func(int) { tally[c.call(FUSE_OPENDIR, FUSE_ROOT_ID, open).errno]++ })
	want("OPENDIR", 0, syscall.ENFILE)

	// What cannot be opened is not made.
	create, none := Bytes(&CreateIn{Flags: syscall.O_RDWR, Mode: 0o600}), w.fs.objects.Len()
	wantFlat(t, "CREATE", boundless(), slack, func(i int) {
		tally[c.call(FUSE_CREATE, FUSE_ROOT_ID, create, wireName(fmt.Sprint("c", i%1000))).errno]++
		tally[c.call(FUSE_TMPFILE, FUSE_ROOT_ID, create, wireName("/")).errno]++
	})
	want("CREATE and TMPFILE", 0, syscall.ENFILE)
	if n := w.fs.objects.Len(); n != none {
		t.Errorf("%d objects, %d before", n, none)
	}
	fd := c.opendirAfterRelease(t, node, fh)
	if names := c.readdir(FUSE_ROOT_ID, fd); len(names) != 1 {
		t.Errorf("there are files %q that could not be opened", names)
	}

	// Lookups are a number, whoever counts them.
	wantFlat(t, "LOOKUP", boundless(), slack, func(int) {
		tally[c.call(FUSE_LOOKUP, FUSE_ROOT_ID, wireName("file")).errno]++
		c.call(FUSE_LOOKUP, FUSE_ROOT_ID, wireName("none"))
	})
	if tally[0] != boundless() {
		t.Errorf("LOOKUP: %v", tally)
	}
	reset()

	// Each has a lookup of its maker, who never forgets: removing them makes no room.
	wantFlat(t, "MKNOD", boundless(), slack, func(i int) {
		r := c.call(FUSE_MKNOD, FUSE_ROOT_ID, Bytes(&MknodIn{Mode: syscall.S_IFREG}), wireName(fmt.Sprint("m", i)))
		if tally[r.errno]++; r.errno == 0 {
			c.must(FUSE_UNLINK, FUSE_ROOT_ID, wireName(fmt.Sprint("m", i)))
		}
	})
	want("MKNOD", inodes-2, syscall.ENOSPC)

	// A new session begins with nothing, whoever else is there.
	c.init(0)
	if n := w.fs.handles.Len(); n != 0 {
		t.Errorf("%d handles of the session before", n)
	}
	if n := w.fs.objects.Len(); n != 2 {
		t.Errorf("%d objects are left, want the root and a file", n)
	}
	c.mkdir(FUSE_ROOT_ID, "dir")
}

// opendirAfterRelease frees one handle and takes it.
func (c *wire) opendirAfterRelease(t *testing.T, node, fh uint64) uint64 {
	t.Helper()
	if r := c.call(FUSE_OPENDIR, FUSE_ROOT_ID, Bytes(&OpenIn{})); r.errno != syscall.ENFILE {
		t.Fatalf("OPENDIR: %v", r.errno)
	}
	c.release(node, fh)
	return c.opendir(FUSE_ROOT_ID)
}

// TestLocksWithoutEnd: byte-range locks of a file, and requests that wait for locks, have a limit.
func TestLocksWithoutEnd(t *testing.T) {
	const waiters, slack, most = 20, 256 << 10, 6000
	w := newWired(t, Opts{Size: 4 << 20, Inodes: 100, Locks: most, LockWaiters: waiters})
	c := w.clients[0]
	node, fh := c.create(FUSE_ROOT_ID, "file")
	tally := map[syscall.Errno]int{}
	setlk := func(op uint32, owner, start uint64) syscall.Errno {
		return c.call(op, node, Bytes(&LkIn{Fh: fh, Owner: owner, Lk: FileLock{
			Start: start, End: start, Type: syscall.F_WRLCK}})).errno
	}
	wantFlat(t, "SETLK", boundless(), slack, func(i int) { tally[setlk(FUSE_SETLK, uint64(i), uint64(2*i))]++ })
	if tally[0] != locks.MaxRanges || tally[syscall.ENOLCK] != boundless()-locks.MaxRanges {
		t.Errorf("SETLK: %v, want %d locks and ENOLCK", tally, locks.MaxRanges)
	}

	// Nor has it any number of them on many files, see internal/locks.
	c.must(FUSE_FLUSH, node, Bytes(&FlushIn{Fh: fh, LockOwner: 3}))
	if errno := setlk(FUSE_SETLK, 1<<40, 1<<40); errno != 0 {
		t.Errorf("after one lock has gone: %v", errno)
	}
	other, otherFh := c.create(FUSE_ROOT_ID, "other")
	clear(tally)
	for i := range uint64(2 * locks.MaxRanges) {
		tally[c.call(FUSE_SETLK, other, Bytes(&LkIn{Fh: otherFh, Owner: i, Lk: FileLock{
			Start: 2 * i, End: 2 * i, Type: syscall.F_WRLCK}})).errno]++
	}
	want := most - locks.MaxRanges
	if tally[0] > want || tally[0] < want/2 || tally[0]+tally[syscall.ENOLCK] != 2*locks.MaxRanges {
		t.Errorf("SETLK of another file: %v, want up to %d locks and ENOLCK", tally, want)
	}
	waiting := 0
	for i := range uint64(2 * waiters) {
		r := c.get()
		r.add(Bytes(&LkIn{Fh: fh, Owner: 1<<40 + i, Lk: FileLock{Type: syscall.F_WRLCK}}))
		r.check = func(r *wireCall) {
			if waiting--; r.errno != syscall.ENOLCK && r.errno != syscall.EINTR {
				t.Errorf("SETLKW: %v", r.errno)
			}
		}
		waiting++
		r.send(FUSE_SETLKW, node)
	}
	w.PollThreads()
	if waiting != waiters || w.fs.locks.Waits() != waiters {
		t.Errorf("%d requests wait, %d by the file system's account, want %d", waiting, w.fs.locks.Waits(), waiters)
	}
	c.init(0) // ends what waits
	if waiting != 0 || w.fs.locks.Waits() != 0 {
		t.Errorf("%d requests wait, %d by the file system's account, in the next session", waiting, w.fs.locks.Waits())
	}
}

// TestNobodyCanFloodTheLog has a client send a million requests of which hardly one is well-formed. Whatever the
// dispatcher, fsdev and the module have to say of that is a few lines, or one a second.
func TestNobodyCanFloodTheLog(t *testing.T) {
	total, span := 1_000_000, 20
	if testing.Short() || raceEnabled {
		total = 50_000
	}
	rng := newPCG(t)
	w := newWired(t, Opts{Size: 1 << 20, Inodes: 200, Handles: 100})
	c := w.clients[0]
	refused := 0
	for i := range total {
		if i%(total/span) == 0 && i > 0 {
			w.Advance(time.Second)
		}
		r := c.get()
		l := &lies[rng.IntN(len(lies))]
		op := l.op
		l.args(r, rng.Uint64(), FUSE_ROOT_ID, rng.Uint64())
		switch rng.IntN(4) {
		case 0:
			r.n = rng.IntN(r.n + 1)
		case 1:
			op = rng.Uint32N(64)
		case 2:
			for range 4 {
				r.buf[40+rng.IntN(r.n)] = byte(rng.Uint32())
			}
			r.n += rng.IntN(20)
		case 3:
			r.n += rng.IntN(r.n)
		}
		if op == FUSE_DESTROY || op == FUSE_INIT {
			op = FUSE_LOOKUP
		}
		c.unique += 2
		r.op, r.unique = op, 0
		h := InHeader{Len: uint32(r.n), Opcode: op, Unique: c.unique, NodeID: uint64(rng.IntN(2))}
		switch rng.IntN(8) {
		case 0:
			h.Len = rng.Uint32N(200)
		case 1:
			h.Len = rng.Uint32()
		}
		copy(r.buf[:], Bytes(&h))
		r.check = func(r *wireCall) {
			if r.errno == syscall.EINVAL {
				refused++
			}
		}
		r.submit()
		if i%wireQueue == 0 {
			c.settle()
		}
	}
	c.settle()
	// The limiter's writer is a goroutine.
	for deadline := time.Now().Add(5 * time.Second); w.lines.n.Load() < 10 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	n := w.lines.n.Load()
	t.Logf("%d requests in %d s of which %d are refused: %d lines of log", total, span, refused, n)
	if most := int64(10 + span); n < 10 || n > most {
		t.Errorf("%d lines of log, want some and no more than %d", n, most)
	}
	if refused < total/4 {
		t.Errorf("only %d of %d requests are refused as malformed", refused, total)
	}
	w.clients[1].must(FUSE_GETATTR, FUSE_ROOT_ID, Bytes(&GetattrIn{})) // others work on
}

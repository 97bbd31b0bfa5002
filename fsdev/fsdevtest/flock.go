package fsdevtest

import (
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
)

var (
	needFlock = []fsdev.IOType{fsdev.IOFlock}

	flockCases = []testCase{
		{"Flock", onlyFull, needFlock, testFlock},
		{"FlockWaits", onlyFull, needFlock, testFlockWaits},
		{"FlockAbort", onlyFull, needFlock, testFlockAbort},
		{"FlockEndsWithItsHandle", onlyFull, needFlock, testFlockRelease},
		{"FlockEndsWithItsClient", onlyFull, needFlock, testFlockUmount},
		{"FlockAndReset", onlyFull, needFlock, testFlockReset},
	}
)

const (
	shared  = syscall.LOCK_SH
	excl    = syscall.LOCK_EX
	unlock  = syscall.LOCK_UN
	noWait  = syscall.LOCK_NB
	blocked = syscall.EWOULDBLOCK
)

// opened is a file with a handle of each of several owners.
type opened struct {
	*client
	obj fsdev.FileObject
	h   []fsdev.FileHandle
}

func (c *client) openTimes(name string, n int) *opened {
	c.Helper()
	f := c.create(c.root, name).ok()
	o := &opened{client: c, obj: f.obj, h: []fsdev.FileHandle{f.h}}
	for range n - 1 {
		o.h = append(o.h, c.fopen(f.obj, syscall.O_RDWR).ok().h)
	}
	return o
}

// lock locks for owner i by its handle.
func (o *opened) lock(i int, op uint32) *result {
	o.Helper()
	return o.flock(o.obj, o.h[i], op, uint64(i+1))
}

// startLock locks for owner i from thread i.
func (o *opened) startLock(i int, op uint32) *call {
	o.Helper()
	return o.on(i%numThreads).startFlock(o.obj, o.h[i], op, uint64(i+1))
}

func testFlock(w *world) {
	c := w.open(0)
	f, other := c.openTimes("file", 3), c.openTimes("other", 1)
	f.lock(0, shared).ok()
	f.lock(1, shared|noWait).ok()
	f.lock(2, excl|noWait).want(blocked)
	other.lock(0, excl|noWait).ok()
	f.lock(0, unlock).ok()
	f.lock(2, excl|noWait).want(blocked)
	f.lock(1, unlock).ok()
	f.lock(2, excl|noWait).ok()
	f.lock(0, shared|noWait).want(blocked)
	f.lock(2, excl|noWait).ok() // it has it
	f.lock(2, shared|noWait).ok()
	f.lock(0, shared|noWait).ok()
	f.lock(2, unlock).ok()
	f.lock(2, unlock).ok() // there is nothing to give back
	f.lock(0, excl|noWait).ok()
	f.lock(0, 0).want(syscall.EINVAL)
	f.lock(0, shared|excl).want(syscall.EINVAL)
}

// testFlockWaits has several wait, on all threads, and be served when the lock comes free.
func testFlockWaits(w *world) {
	c := w.open(0)
	f := c.openTimes("file", 5)
	f.lock(0, excl).ok()
	var readers []*call
	for i := 1; i < 4; i++ {
		readers = append(readers, f.startLock(i, shared))
	}
	for _, x := range readers {
		x.waits()
	}
	f.lock(0, unlock).ok()
	for _, x := range readers {
		x.wait().ok()
	}
	writer := f.startLock(4, excl)
	writer.waits()
	f.lock(1, unlock).ok()
	f.lock(2, unlock).ok()
	writer.waits()
	f.lock(3, unlock).ok()
	writer.wait().ok()
	f.lock(0, shared|noWait).want(blocked)
}

// testFlockAbort ends the waiting, from the same thread and from others, and wants the lock not
// to be granted to who has given up.
func testFlockAbort(w *world) {
	c := w.open(0)
	f := c.openTimes("file", 4)
	f.lock(0, excl).ok()
	for from := range numThreads {
		x := f.startLock(1, excl) // on thread 1
		x.waits()
		if errno := c.on(from).abortAny(x); errno != 0 {
			w.Fatalf("ABORT from thread %d of what waits on 1: %s", from, errnoName(errno))
		}
		x.wait().want(syscall.EINTR)
		if errno := c.on(from).abortAny(x); errno != syscall.ENOENT {
			w.Errorf("a second ABORT from thread %d: %s", from, errnoName(errno))
		}
	}
	x := f.startLock(2, shared)
	x.waits()
	if errno := c.on(2).abort(x); errno != 0 {
		w.Errorf("ABORT on its own channel: %s", errnoName(errno))
	}
	x.wait().want(syscall.EINTR)
	// One that is not in the way of others any more.
	writer, reader := f.startLock(1, excl), f.startLock(2, shared)
	f.lock(0, shared).ok()
	writer.waits()
	if errno := c.on(1).abort(writer); errno != 0 {
		w.Errorf("ABORT of a writer before a reader: %s", errnoName(errno))
	}
	writer.wait().want(syscall.EINTR)
	reader.wait().ok()
	f.lock(0, unlock).ok()
	f.lock(2, unlock).ok()
	f.lock(3, excl|noWait).ok()
}

func testFlockRelease(w *world) {
	c := w.open(0)
	f := c.openTimes("file", 3)
	f.lock(0, excl).ok()
	next := f.startLock(1, excl)
	next.waits()
	c.release(f.obj, f.h[0]).ok()
	next.wait().ok()
	c.release(f.obj, f.h[1]).ok()
	f.lock(2, excl|noWait).ok()
}

// testFlockUmount wants locks to be held against other clients, and to end with their own.
func testFlockUmount(w *world) {
	a, b := w.open(0), w.open(1)
	f := a.openTimes("file", 1)
	f.lock(0, excl).ok()
	g := b.lookup(b.root, "file").ok()
	h := b.fopen(g.obj, syscall.O_RDWR).ok().h
	b.flock(g.obj, h, shared|noWait, 1).want(blocked)
	x := b.startFlock(g.obj, h, excl, 1)
	x.waits()
	a.close()
	x.wait().ok()
}

// testFlockReset resets the device while somebody waits: a lock is kept, the waiting ends.
func testFlockReset(w *world) {
	c := w.open(0)
	f := c.openTimes("file", 3)
	f.lock(0, excl).ok()
	x := f.startLock(1, excl)
	x.waits()
	done := false
	if err := w.dev.Reset(w.h.Threads[2], resetDone, &done); err != nil {
		w.Fatal(err)
	}
	x.wait().want(syscall.EINTR)
	w.until("the device has been reset", &done)
	f.lock(0, unlock).ok()
	f.lock(2, excl|noWait).ok()
}

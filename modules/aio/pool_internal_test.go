package aio

import (
	"testing"

	"github.com/spdk-go/spdk-go/fsdev"
)

// TestAbortLooksInTheRightList takes a READDIR out of those that wait, and out of the pool's queue once it has its
// turn, and a WRITE out of the writer's. In the other lists nobody finds them.
func TestAbortLooksInTheRightList(t *testing.T) {
	a := &Aio{} // without workers
	c := &channel{a: a}
	h := &handle{dir: &dirState{}}
	readdir := func() *job {
		j := c.newJob(&fsdev.IO{Type: fsdev.IOReaddir}, runReaddir)
		j.h = h
		c.enterDir(j)
		return j
	}
	first, second, third := readdir(), readdir(), readdir()
	if second.pool.abort(second) || !c.leaveWaiting(second) || c.leaveWaiting(second) {
		t.Error("one that waits is not found among those, once")
	}
	if j, _ := a.pool.take(); j != first {
		t.Fatal("the first has not been queued")
	}
	c.leaveDir(first)
	if c.leaveWaiting(third) || !third.pool.abort(third) || third.pool.abort(third) {
		t.Error("one that has its turn is not found in the queue, once")
	}
	c.leaveDir(third)
	if h.dir.busy || a.pool.queued.Load() != 0 {
		t.Error("something is left")
	}

	w := c.newJob(&fsdev.IO{Type: fsdev.IOWrite}, runWrite)
	w.h = &handle{}
	w.h.slowWrites.Store(true)
	a.writer.all = []*worker{{}}
	if !c.startWrite(w) || a.writer.queued.Load() != 1 || !w.pool.abort(w) {
		t.Error("a WRITE is not found in the writer's queue")
	}
}

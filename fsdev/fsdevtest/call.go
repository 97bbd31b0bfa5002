package fsdevtest

import (
	"bytes"
	"fmt"
	"slices"
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/iochannel"
)

// entry is one of a READDIR.
type entry struct {
	name string
	obj  fsdev.FileObject
	attr fsdev.Attr
	next uint64
}

// result is what an operation has been completed with.
type result struct {
	x       *call
	errno   syscall.Errno
	obj     fsdev.FileObject
	h       fsdev.FileHandle
	attr    fsdev.Attr
	n       uint64
	target  string
	statfs  fsdev.Statfs
	mount   fsdev.MountOpts
	statx   fsdev.Statx
	lock    fsdev.Lock
	rc      int32
	entries []entry // of a READDIR, those that were taken
	refused *entry  // and the one that was not
}

// call is an operation under way.
type call struct {
	c      *client
	typ    fsdev.IOType
	unique uint64
	inside bool // the call that submits it
	done   bool
	room   int // for how many entries
	result
}

// start submits an operation.
func (c *client) start(typ fsdev.IOType, submit func(x *call) syscall.Errno) *call {
	c.Helper()
	c.unique++
	x := &call{c: c, typ: typ, unique: c.unique, inside: true}
	x.x = x
	at := c.at // not -1 in a completion
	c.at = c.i
	if errno := submit(x); errno != 0 {
		c.Fatalf("%v: the call returns %s", typ, errnoName(errno))
	}
	c.at = at
	x.inside = false
	return x
}

// wait polls until x has been completed.
func (x *call) wait() *result {
	x.c.Helper()
	x.c.until(fmt.Sprintf("%v has been completed", x.typ), &x.done)
	return &x.result
}

// waits polls for a while in which x must not be completed.
func (x *call) waits() {
	x.c.Helper()
	x.c.settle()
	if x.done {
		x.c.Fatalf("%v should wait, and was completed with %s", x.typ, errnoName(x.errno))
	}
}

// do performs an operation.
func (c *client) do(typ fsdev.IOType, submit func(x *call) syscall.Errno) *result {
	c.Helper()
	return c.start(typ, submit).wait()
}

// finish is common to all completions.
func (x *call) finish(ch *iochannel.Channel, r result) {
	w := x.c.world
	switch {
	case x.done:
		w.Fatalf("%v is completed twice", x.typ)
	case x.inside:
		w.Fatalf("%v is completed inside of its call", x.typ)
	case ch != x.c.ch || w.at != x.c.i:
		w.Fatalf("%v, submitted on thread %d, is completed on %d", x.typ, x.c.i, w.at)
	}
	x.done = true
	r.x, r.entries, r.refused = x, x.entries, x.refused
	x.result = r
}

// ok wants success.
func (r *result) ok() *result {
	r.x.c.Helper()
	return r.want(0)
}

// want wants one of these errnos. Those that fail must not have a result.
func (r *result) want(errnos ...syscall.Errno) *result {
	r.x.c.Helper()
	if !slices.Contains(errnos, r.errno) {
		var names []string
		for _, e := range errnos {
			names = append(names, errnoName(e))
		}
		r.x.c.Fatalf("%v: %s, want %v", r.x.typ, errnoName(r.errno), names)
	}
	r.noResult()
	return r
}

// fails wants any error.
func (r *result) fails() {
	r.x.c.Helper()
	if r.errno == 0 {
		r.x.c.Fatalf("%v succeeds, and should not", r.x.typ)
	}
	r.noResult()
}

// lacking wants what an operation that is not there answers.
func (r *result) lacking() {
	r.x.c.Helper()
	r.want(syscall.ENOSYS, syscall.EOPNOTSUPP)
}

func (r *result) noResult() {
	r.x.c.Helper()
	if r.errno == 0 {
		return
	}
	if r.obj != 0 || r.h != 0 || r.n != 0 || r.target != "" || r.rc != 0 || r.attr != (fsdev.Attr{}) ||
		r.statfs != (fsdev.Statfs{}) || r.statx != (fsdev.Statx{}) || r.lock != (fsdev.Lock{}) {
		r.x.c.Fatalf("%v: %s comes with a result: %+v", r.x.typ, errnoName(r.errno), r)
	}
}

func errnoName(errno syscall.Errno) string {
	if errno == 0 {
		return "success"
	}
	return fmt.Sprintf("errno %d (%v)", uint(errno), errno)
}

// The completions.
func statusDone(ctx any, ch *iochannel.Channel, errno syscall.Errno) {
	ctx.(*call).finish(ch, result{errno: errno})
}

func entryDone(ctx any, ch *iochannel.Channel, errno syscall.Errno, obj fsdev.FileObject, attr *fsdev.Attr) {
	ctx.(*call).finish(ch, result{errno: errno, obj: obj, attr: *attr})
}

func attrDone(ctx any, ch *iochannel.Channel, errno syscall.Errno, attr *fsdev.Attr) {
	ctx.(*call).finish(ch, result{errno: errno, attr: *attr})
}

func readlinkDone(ctx any, ch *iochannel.Channel, errno syscall.Errno, target []byte) {
	ctx.(*call).finish(ch, result{errno: errno, target: string(target)})
}

func statfsDone(ctx any, ch *iochannel.Channel, errno syscall.Errno, st *fsdev.Statfs) {
	ctx.(*call).finish(ch, result{errno: errno, statfs: *st})
}

func sizeDone(ctx any, ch *iochannel.Channel, errno syscall.Errno, n uint64) {
	ctx.(*call).finish(ch, result{errno: errno, n: n})
}

func openDone(ctx any, ch *iochannel.Channel, errno syscall.Errno, h fsdev.FileHandle) {
	ctx.(*call).finish(ch, result{errno: errno, h: h})
}

func createDone(ctx any, ch *iochannel.Channel, errno syscall.Errno, obj fsdev.FileObject, attr *fsdev.Attr,
	h fsdev.FileHandle) {
	ctx.(*call).finish(ch, result{errno: errno, obj: obj, attr: *attr, h: h})
}

func mountDone(ctx any, ch *iochannel.Channel, errno syscall.Errno, o *fsdev.MountOpts, root fsdev.FileObject) {
	ctx.(*call).finish(ch, result{errno: errno, mount: *o, obj: root})
}

func statxDone(ctx any, ch *iochannel.Channel, errno syscall.Errno, st *fsdev.Statx) {
	ctx.(*call).finish(ch, result{errno: errno, statx: *st})
}

func lockDone(ctx any, ch *iochannel.Channel, errno syscall.Errno, l *fsdev.Lock) {
	ctx.(*call).finish(ch, result{errno: errno, lock: *l})
}

func ioctlDone(ctx any, ch *iochannel.Channel, errno syscall.Errno, rc int32, n uint64) {
	ctx.(*call).finish(ch, result{errno: errno, rc: rc, n: n})
}

func pollDone(ctx any, ch *iochannel.Channel, errno syscall.Errno, events uint32) {
	ctx.(*call).finish(ch, result{errno: errno, rc: int32(events)})
}

// takeEntry takes an entry of a READDIR while there is room.
func takeEntry(ctx any, ch *iochannel.Channel, name []byte, obj fsdev.FileObject, attr *fsdev.Attr, next uint64) bool {
	x := ctx.(*call)
	w := x.c.world
	switch {
	case x.done:
		w.Fatalf("READDIR gives %q after its completion", name)
	case ch != x.c.ch || w.at != x.c.i:
		w.Fatalf("READDIR, submitted on thread %d, gives %q on %d", x.c.i, name, w.at)
	case x.refused != nil:
		w.Fatalf("READDIR gives %q after %q has been refused", name, x.refused.name)
	}
	e := entry{string(bytes.Clone(name)), obj, *attr, next}
	if len(x.entries) == x.room {
		x.refused = &e
		return false
	}
	x.entries = append(x.entries, e)
	return true
}

package fuzz

import (
	"math"
	"syscall"

	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
)

// opLock is GETLK, SETLK and SETLKW.
func opLock(w *world) {
	c := w.client()
	id, fh := w.file()
	if h := w.m.handles[fh]; h != nil && w.src.n(4) != 0 {
		c = w.clients[h.client]
	}
	s, v := &w.src, &verdict{}
	n := w.node(v, id)
	h := w.handleFor(v, c, n, fh)
	typ := one[uint32](s, syscall.F_RDLCK, syscall.F_WRLCK, syscall.F_UNLCK, syscall.F_WRLCK)
	by := owner{c.i, uint64(s.n(3))}
	if s.n(3) == 0 {
		w.flock(c, v, n, id, fh, by.id, typ)
		return
	}
	l := lockRange{uint64(s.n(8)), 0, typ}
	l.end = l.start + uint64(s.n(8))
	if s.n(8) == 0 {
		l.end = one[uint64](s, math.MaxInt64, math.MaxInt64, math.MaxInt64-1, math.MaxUint64, 0)
	}
	in := LkIn{Fh: fh, Owner: by.id, Lk: FileLock{Start: l.start, End: l.end, Type: typ, PID: by.pid()}}
	v.when(l.end < l.start || l.end > math.MaxInt64, syscall.EINVAL)
	v.when(!c.posixLocks, syscall.ENOSYS)
	if s.n(4) == 0 {
		w.getlk(c, v, n, id, by, l, &in)
		return
	}
	if h != nil {
		mode := h.flags & syscall.O_ACCMODE
		if c.writeback && mode == syscall.O_WRONLY {
			mode = syscall.O_RDWR
		}
		v.when(typ == syscall.F_RDLCK && mode == syscall.O_WRONLY, syscall.EBADF)
		v.when(typ == syscall.F_WRLCK && mode == syscall.O_RDONLY, syscall.EBADF)
	}
	op, waits := uint32(FUSE_SETLK), s.n(2) == 0
	if waits {
		op = FUSE_SETLKW
	}
	mayWait := false
	if n != nil && len(n.blockers(by, l)) > 0 && l.start <= l.end {
		mayWait = waits && len(v.must) == 0
		v.when(!waits, syscall.EAGAIN)
		if waits && w.m.inCircle(by, n, l) {
			v.allow(syscall.EDEADLK)
		}
		v.when(waits && len(w.m.waits) >= w.m.maxWaits, syscall.ENOLCK)
	}
	w.logf("%d SETLK %v owner %d type %d [%d, %d] fh %#x wait %v, is %d", c.i, n, by.id, typ, l.start, l.end, fh, waits,
		c.unique+2)
	r := c.tryAs(0, 0, op, id, 0, Bytes(&in))
	if mayWait && r.done == 0 {
		w.wait(&wait{r: r, n: n, fh: fh, by: by, lock: l}, v)
		return
	}
	if r.done == 0 {
		w.fail("waits for nothing")
	}
	if w.judge(r, v) {
		if mayWait {
			w.fail("got what others have")
		}
		n.assign(by, l)
		if len(n.ranges[by]) > 0 && typ != syscall.F_UNLCK {
			n.ties[by] = fh
		}
	}
}

// wait notes a request that waits.
func (w *world) wait(x *wait, v *verdict) {
	if len(v.must) > 0 {
		w.fail("waits, want one of %v", errnoNames(v.must))
	}
	w.outcome("waits")
	w.m.waits = append(w.m.waits, x)
	x.n.waiting++
}

func (w *world) getlk(c *client, v *verdict, n *node, id uint64, by owner, l lockRange, in *LkIn) {
	v.when(l.typ == syscall.F_UNLCK, syscall.EINVAL)
	w.logf("%d GETLK %v owner %d type %d [%d, %d]", c.i, n, by.id, l.typ, l.start, l.end)
	r := c.do(FUSE_GETLK, id, Size[LkOut](), Bytes(in))
	if !w.judge(r, v) {
		return
	}
	lk := part[LkOut](r, 0).Lk
	found := n.firstBlocking(by, l)
	if len(found) == 0 {
		if lk.Type != syscall.F_UNLCK {
			w.fail("finds %+v where nothing is", lk)
		}
		return
	}
	for _, o := range found[lockRange{lk.Start, lk.End, lk.Type}] {
		if o.pid() == lk.PID {
			return
		}
	}
	w.fail("finds %+v, want one of %+v", lk, found)
}

// flock is flock(2). An open file has a lock for itself, so it is known by its handle, or where there are none by a
// number.
func (w *world) flock(c *client, v *verdict, n *node, id, fh, num uint64, typ uint32) {
	k := flockKey{c.i, fh, fh}
	if fh == 0 {
		k.id = num
	}
	op, waits := uint32(FUSE_SETLK), w.src.n(2) == 0
	if waits {
		op = FUSE_SETLKW
	}
	exclusive := typ == syscall.F_WRLCK
	blocked := false
	if len(v.must) == 0 && typ != syscall.F_UNLCK {
		if old, has := n.flocks[k]; !has || old != exclusive {
			blocked = !n.flockable(k, exclusive)
		}
		v.when(blocked && !waits, syscall.EWOULDBLOCK)
		v.when(blocked && waits && len(w.m.waits) >= w.m.maxWaits, syscall.ENOLCK)
	}
	valid := !containsOther(v.must)
	w.logf("%d FLOCK %v of %#x/%d type %d wait %v, is %d", c.i, n, fh, k.id, typ, waits, c.unique+2)
	in := LkIn{Fh: fh, Owner: k.id, Lk: FileLock{End: math.MaxInt64, Type: typ}, LkFlags: FUSE_LK_FLOCK}
	r := c.tryAs(0, 0, op, id, 0, Bytes(&in))
	if valid && n != nil {
		// to ask for another lock is to give up the one there is
		if old, has := n.flocks[k]; has && (typ == syscall.F_UNLCK || old != exclusive) {
			delete(n.flocks, k)
		}
	}
	if r.done == 0 {
		if !blocked {
			w.fail("waits for nothing")
		}
		w.wait(&wait{r: r, n: n, fh: fh, flock: true, key: k, lock: lockRange{typ: typ}}, v)
		return
	}
	if w.judge(r, v) {
		if blocked {
			w.fail("got what others have")
		}
		if typ != syscall.F_UNLCK {
			n.setFlock(k, exclusive)
		}
	}
}

// containsOther says whether a request is refused for other reasons than that others have locks.
func containsOther(list []syscall.Errno) bool {
	for _, e := range list {
		if e != syscall.EWOULDBLOCK && e != syscall.ENOLCK {
			return true
		}
	}
	return false
}

// opInterrupt is INTERRUPT.
func opInterrupt(w *world) {
	c := w.client()
	unique := c.unique - 2*uint64(w.src.n(4))
	var found *wait
	for _, x := range w.m.waits {
		if x.r.c == c && (found == nil || w.src.n(2) == 0) {
			found = x
		}
	}
	if found != nil {
		unique = found.r.unique
		found.interrupted = true
	} else {
		for _, x := range w.m.waits {
			if x.r.c == c && x.r.unique == unique {
				x.interrupted = true
			}
		}
	}
	w.logf("%d INTERRUPT %d", c.i, unique)
	r := c.do(FUSE_INTERRUPT, 0, 0, Bytes(&InterruptIn{Unique: unique}))
	switch {
	case found == nil && r.errno != syscall.EAGAIN:
		w.fail("interrupts %d, which there is not: %v", unique, r.errno)
	case found != nil && (r.errno != 0 || r.len != 0):
		w.fail("interrupts %d: %v", unique, r.errno)
	}
}

// opSession ends a session, and begins another.
func opSession(w *world) {
	if w.src.n(4) != 0 {
		return
	}
	c := w.client()
	w.destroy(c)
	if w.src.n(4) == 0 {
		w.logf("%d GETATTR without a session", c.i)
		v := &verdict{must: []syscall.Errno{syscall.ENOTCONN}}
		w.judge(c.do(FUSE_GETATTR, rootID, Size[AttrOut](), Bytes(&GetattrIn{})), v)
	}
	c.init(1<<63 - 1)
}

// destroy is DESTROY.
func (w *world) destroy(c *client) {
	w.logf("DESTROY of %d", c.i)
	if r := c.do(FUSE_DESTROY, 0, 0); r.errno != 0 {
		w.fail("%v", r.errno)
	}
	c.up = false
	for _, x := range w.m.waits {
		x.ended = x.ended || x.r.c == c
	}
	for _, h := range w.m.handles {
		if h.client == c.i {
			h.close()
		}
	}
	for _, n := range w.m.byID {
		n.endClient(c.i)
	}
	w.settle()
	w.m.forgetAll(c.i)
}

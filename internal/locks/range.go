package locks

import (
	"math"
	"syscall"
)

// Range is a byte-range lock, as struct flock of fcntl(2) has it.
type Range struct {
	Type  uint32 // F_RDLCK, F_WRLCK, F_UNLCK
	PID   uint32 // of the owner's process, for who asks
	Start uint64
	End   uint64 // the last byte; math.MaxInt64 for "to the end, wherever that will be"
}

// MaxRanges is how many byte-range locks of one file can be held at a time.
const MaxRanges = 4096

// owner is an owner of byte-range locks as one file knows it, as long as it has some there or waits.
type owner struct {
	tie    tie // while there are pieces
	key    ownerKey
	pieces int // ranges
	waits  int // requests that wait

	prev *owner // links of table.owners
	next *owner
}

// rangeRequest is a request for a byte-range lock.
type rangeRequest struct {
	Request
	start uint64
	end   uint64
	lock  bool // not unlock
	pid   uint32
	owner *owner // while it waits

	// Written with the lock of the table and waitGraph.mu.
	inGraph   bool
	blocker   ownerKey // whom it waits for
	graphPrev *rangeRequest
	graphNext *rangeRequest
}

// checkRange returns the errno of what is no lock: EINVAL.
func checkRange(k *Range) syscall.Errno {
	if k.Start > k.End || k.End > math.MaxInt64 {
		return syscall.EINVAL
	}
	switch k.Type {
	case syscall.F_RDLCK, syscall.F_WRLCK, syscall.F_UNLCK:
		return 0
	}
	return syscall.EINVAL
}

// Getlk makes k the first lock that would be in its way if the owner that c calls id asked for it, or of type F_UNLCK
// if there is none. Errors: EINVAL.
func (l *Lane) Getlk(f *File, c *Client, id uint64, k *Range) syscall.Errno {
	if errno := checkRange(k); errno != 0 || k.Type == syscall.F_UNLCK {
		return syscall.EINVAL
	}
	if t := f.table.Load(); t != nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		o := t.ownerOf(ownerKey{c, id})
		if b := t.ranges.conflict(o, k.Start, k.End, k.Type == syscall.F_WRLCK); b != nil {
			*k = Range{Type: syscall.F_RDLCK, PID: b.pid, Start: b.start, End: b.end}
			if b.exclusive {
				k.Type = syscall.F_WRLCK
			}
			return 0
		}
	}
	k.Type = syscall.F_UNLCK
	return 0
}

// Setlk locks, or with F_UNLCK unlocks, bytes for the owner that c calls id; its locks on the file end with h from now
// on if it is not nil. The caller has a reference to the file, which node stands for, and leaves it to the request on
// Waits. The request is returned for abortion then, and has io. Whether h is open for reading or writing is the
// caller's to check.
//
// Errors: EBADF (h was closed), EINVAL, EAGAIN (unless wait), EDEADLK, ENOLCK, Waits.
func (l *Lane) Setlk(f *File, node any, c *Client, h *Handle, id uint64, k *Range, wait bool, io any) (
	*Request, syscall.Errno,
) {
	if errno := checkRange(k); errno != 0 {
		return nil, errno
	}
	lock := k.Type != syscall.F_UNLCK
	if !lock && f.table.Load() == nil {
		return nil, 0
	}
	t := l.d.tableOf(f, node)
	r := l.spare
	if r == nil {
		r = new(rangeRequest)
		r.tie.req = &r.Request
		r.rng = r
	}
	r.tie.table = t
	r.key = flockKey{c, h, id}
	r.exclusive = k.Type == syscall.F_WRLCK
	r.start, r.end, r.pid, r.lock = k.Start, k.End, k.PID, lock
	r.IO = io
	t.lockWithRoom(lock)
	l.before = t.count()
	errno := t.setRange(l, r, wait)
	l.leave(t)
	if errno == Waits { // it is kept
		l.spare = nil
		return &r.Request, errno
	}
	r.tie.table, r.key, r.owner, r.IO = nil, flockKey{}, nil, nil
	l.spare = r
	return nil, errno
}

// Flush ends the locks of an owner: it closes the file somewhere. What it waits for, another of its threads does.
func (l *Lane) Flush(f *File, c *Client, id uint64) {
	t := f.table.Load()
	if t == nil {
		return
	}
	l.enter(t)
	if o := t.ownerOf(ownerKey{c, id}); o != nil && o.pieces > 0 {
		t.dropRanges(o)
		t.grant(l)
	}
	l.leave(t)
}

// lockWithRoom locks t when it has room for what a request, and those that wait, may add: nothing is allocated
// under the lock, since that may mean to help the garbage collector.
func (t *table) lockWithRoom(lock bool) {
	var ranges []byteRange
	var spare *owner
	for {
		t.mu.Lock()
		need := len(t.ranges.all) + 2*(t.rangeWaits+1)
		if cap(t.ranges.all) < need && cap(ranges) >= need {
			t.ranges.all = append(ranges, t.ranges.all...)
		}
		if t.spare == nil && spare != nil {
			t.spare, spare = spare, nil
		}
		hasRoom := cap(t.ranges.all) >= need
		if hasRoom && (t.spare != nil || !lock) {
			return
		}
		t.mu.Unlock()
		if !hasRoom {
			ranges = make([]byteRange, 0, 2*need)
		} else {
			spare = new(owner)
			spare.tie.table, spare.tie.owner = t, spare
		}
	}
}

// setRange does what r asks for.
func (t *table) setRange(l *Lane, r *rangeRequest, wait bool) (errno syscall.Errno) {
	h := r.key.handle
	if h != nil && h.closed.Load() { // nobody would end the lock
		return syscall.EBADF
	}
	key := ownerKey{r.key.client, r.key.id}
	o := t.ownerOf(key)
	if !r.lock {
		if o == nil {
			return 0
		}
		return t.assign(l, r, o, nil)
	}
	b := t.ranges.conflict(o, r.start, r.end, r.exclusive)
	if b != nil && !wait {
		return syscall.EAGAIN
	}
	if o == nil {
		o = t.addOwner(key)
	}
	if b == nil {
		errno = t.assign(l, r, o, h)
	} else if errno = t.waitForRange(r, o, b, h); errno == 0 {
		return Waits
	}
	t.tidy(o)
	return errno
}

// waitForRange has r, which b is in the way of, wait. Errors: EDEADLK, ENOLCK.
func (t *table) waitForRange(r *rangeRequest, o *owner, b *byteRange, h *Handle) syscall.Errno {
	r.owner = o
	budget := 0 // what a request takes for itself, it does at once
	if !t.d.graph.block(r, b.owner.key, &budget) {
		return syscall.EDEADLK
	}
	if errno := t.wait(&r.Request, r.key.client, h); errno != 0 {
		t.d.graph.remove(r)
		return errno
	}
	return 0
}

// assign changes what o has as r says, which nobody is in the way of; h is what it then ends with. Those that
// wait get what is left to them. Errors: ENOLCK.
func (t *table) assign(l *Lane, r *rangeRequest, o *owner, h *Handle) syscall.Errno {
	s := &t.ranges
	// No change adds more than two.
	if (len(s.all)+2 > MaxRanges || !l.room(t, 2)) && !t.takes(l, o, r) {
		return syscall.ENOLCK
	}
	if s.assign(o, r.start, r.end, r.lock, r.exclusive, r.pid) {
		t.unblock(o.key)
	}
	if r.lock {
		o.endWith(h)
	}
	t.tidy(o)
	if t.toGrant > 0 {
		t.grant(l)
	}
	return 0
}

// takes says whether there may be as many locks as there are when o has what r asks for.
func (t *table) takes(l *Lane, o *owner, r *rangeRequest) bool {
	n := t.ranges.growth(o, r.start, r.end, r.lock, r.exclusive)
	return n <= 0 || len(t.ranges.all)+n <= MaxRanges && l.room(t, n)
}

// unblock has those that wait for k looked at anew: it no longer has all that it had.
func (t *table) unblock(k ownerKey) {
	for w := t.rangeWaiters.head; w != nil; w = w.next {
		if w.rng.inGraph && w.rng.blocker == k {
			t.d.graph.remove(w.rng)
			t.toGrant++
		}
	}
}

// grantRanges gives locks to those that were unblocked and can have them, in the order of their coming, and says
// whether all were looked at. Who has to wait on is in nobody's way who came later: as in Linux, that would be
// one more way to a deadlock.
func (t *table) grantRanges(l *Lane, budget *int) bool {
	for again := true; again && t.toGrant > 0; {
		again = false
		for w := t.rangeWaiters.head; w != nil && t.toGrant > 0; {
			r := w.rng
			w = w.next
			if r.inGraph {
				continue
			}
			if *budget -= lookCost + len(t.ranges.all); *budget < 0 {
				return false
			}
			o := r.owner
			if b := t.ranges.conflict(o, r.start, r.end, r.exclusive); b != nil {
				if t.d.graph.block(r, b.owner.key, budget) {
					t.toGrant--
				} else {
					t.endWait(l, &r.Request, syscall.EDEADLK)
				}
				continue
			}
			if !t.takes(l, o, r) {
				t.endWait(l, &r.Request, syscall.ENOLCK)
				continue
			}
			loosened := t.ranges.assign(o, r.start, r.end, true, r.exclusive, r.pid)
			o.endWith(r.tie.h)
			t.endWait(l, &r.Request, 0)
			if loosened { // a thread of the owner had got an exclusive lock meanwhile
				t.unblock(o.key)
				again = true
			}
		}
	}
	return true
}

// endWith ties the locks of o to h, or to the client.
func (o *owner) endWith(h *Handle) {
	if !o.tie.tied || o.tie.h != h {
		o.tie.unbind()
		o.tie.bind(o.key.client, h)
	}
}

// dropRanges ends all locks of o. The caller grants what becomes free to those that wait.
func (t *table) dropRanges(o *owner) {
	t.ranges.removeAll(o)
	t.unblock(o.key)
	t.tidy(o)
}

// dropTiedRanges ends what is tied to h, everything if h is nil, as dropRanges does.
func (t *table) dropTiedRanges(h *Handle) {
	t.ranges.removeTied(h)
	for w := t.rangeWaiters.head; w != nil; w = w.next {
		if w.rng.inGraph {
			t.d.graph.remove(w.rng)
			t.toGrant++
		}
	}
	for o := t.owners; o != nil; {
		next := o.next
		t.tidy(o)
		o = next
	}
}

// ownerOf returns an owner of the table, nil if it has nothing here.
func (t *table) ownerOf(k ownerKey) *owner {
	for o := t.owners; o != nil; o = o.next {
		if o.key == k {
			return o
		}
	}
	return nil
}

// addOwner makes the spare owner one of the table.
func (t *table) addOwner(k ownerKey) *owner {
	o := t.spare
	t.spare = nil
	o.key = k
	o.next = t.owners
	if o.next != nil {
		o.next.prev = o
	}
	t.owners = o
	return o
}

// tidy lets go of what is no longer needed after o has changed. An owner that goes may come back as another,
// but of this table: who has found it in a client's list can look under the table's lock what it is.
func (t *table) tidy(o *owner) {
	if o.pieces > 0 {
		return
	}
	o.tie.unbind()
	if o.waits > 0 || o.key.client == nil { // it has gone before
		return
	}
	if o.prev != nil {
		o.prev.next = o.next
	} else {
		t.owners = o.next
	}
	if o.next != nil {
		o.next.prev = o.prev
	}
	o.prev, o.next, o.key = nil, nil, ownerKey{}
	t.spare = o
	if len(t.ranges.all) == 0 && t.rangeWaits == 0 && cap(t.ranges.all) > 64 {
		t.ranges.all = nil
	}
}

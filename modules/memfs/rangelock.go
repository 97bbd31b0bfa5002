package memfs

import (
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
)

// maxRanges is how many byte-range locks of one file can be held at a time.
const maxRanges = 4096

// rangeOwner is an owner of byte-range locks as one file knows it, as long as it has some there or waits.
type rangeOwner struct {
	tie    lockTie // while there are pieces
	key    ownerKey
	pieces int // ranges
	waits  int // requests that wait

	prev *rangeOwner // links of table.owners
	next *rangeOwner
}

// rangeRequest is a request for a byte-range lock.
type rangeRequest struct {
	lockRequest
	start uint64
	end   uint64
	lock  bool // not unlock
	pid   uint32
	owner *rangeOwner // while it waits

	// Written with the lock of the table and waitGraph.mu.
	inGraph   bool
	blocker   ownerKey // whom it waits for
	graphPrev *rangeRequest
	graphNext *rangeRequest
}

// checkRange returns the errno of what is no lock: EINVAL.
func checkRange(k *fsdev.Lock) syscall.Errno {
	if k.Start > k.End || k.End > maxFileSize {
		return syscall.EINVAL
	}
	switch k.Type {
	case syscall.F_RDLCK, syscall.F_WRLCK, syscall.F_UNLCK:
		return 0
	}
	return syscall.EINVAL
}

// getlk is GETLK: it makes k the first lock that is in its way, or of type F_UNLCK.
// Errors: EINVAL.
func (l *lane) getlk(desc *fsdev.Desc, n *inode, owner uint64, k *fsdev.Lock) syscall.Errno {
	if errno := checkRange(k); errno != 0 || k.Type == syscall.F_UNLCK {
		return syscall.EINVAL
	}
	if t := n.locks.Load(); t != nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		o := t.ownerOf(ownerKey{l.fs.clientOf(desc), owner})
		if b := t.ranges.conflict(o, k.Start, k.End, k.Type == syscall.F_WRLCK); b != nil {
			*k = fsdev.Lock{Type: syscall.F_RDLCK, PID: b.pid, Start: b.start, End: b.end}
			if b.exclusive {
				k.Type = syscall.F_WRLCK
			}
			return 0
		}
	}
	k.Type = syscall.F_UNLCK
	return 0
}

// setlk is SETLK. On errWait io is named by somebody's lane.woken later; the request is returned for abortion.
// Unlike an flock(2) lock, what the owner has of the range stays as it is until it gets what it asks for. A
// lock ends with FLUSH of its owner, with the handle through which the owner locked last, with the client.
//
// Errors: ESTALE, EBADF (also: not opened for that), EINVAL, EAGAIN (not with wait), EDEADLK, ENOLCK (too many
// wait, or too many locks), errWait.
func (l *lane) setlk(desc *fsdev.Desc, n *inode, h *handle, handle fsdev.FileHandle, owner uint64, k *fsdev.Lock,
	wait bool, io *fsdev.IO) (*lockRequest, syscall.Errno) {
	if errno := checkRange(k); errno != 0 {
		return nil, errno
	}
	if k.Type == syscall.F_RDLCK && !h.readable() || k.Type == syscall.F_WRLCK && !h.writable() {
		return nil, syscall.EBADF
	}
	lock := k.Type != syscall.F_UNLCK
	if !lock && n.locks.Load() == nil {
		return nil, 0
	}
	if !n.tryRef() {
		return nil, syscall.ESTALE
	}
	t := l.locksOf(n)
	r := l.spareRange
	if r == nil {
		r = new(rangeRequest)
		r.tie.req = &r.lockRequest
		r.rng = r
	}
	r.tie.table = t
	r.key = flockKey{l.fs.ensureClient(desc), handle, owner}
	r.exclusive = k.Type == syscall.F_WRLCK
	r.start, r.end, r.pid, r.lock = k.Start, k.End, k.PID, lock
	r.io = io
	t.lockWithRoom(lock)
	errno := t.setRange(l, r, wait)
	t.mu.Unlock()
	if errno == errWait { // a waiter keeps its reference, and the request
		l.spareRange = nil
		return &r.lockRequest, errno
	}
	r.tie.table, r.key.client, r.owner, r.io = nil, nil, nil, nil
	l.spareRange = r
	l.put(n)
	return nil, errno
}

// flush is FLUSH: the owner closes the file somewhere, and has no more locks on it. What it waits for, another
// of its threads does.
func (l *lane) flush(desc *fsdev.Desc, n *inode, owner uint64) {
	t := n.locks.Load()
	if t == nil {
		return
	}
	t.mu.Lock()
	if o := t.ownerOf(ownerKey{l.fs.clientOf(desc), owner}); o != nil && o.pieces > 0 {
		t.dropRanges(o)
		t.grant(l)
	}
	t.mu.Unlock()
}

// lockWithRoom locks t when it has room for what a request, and those that wait, may add: nothing is allocated
// under the lock, since that may mean to help the garbage collector.
func (t *lockTable) lockWithRoom(lock bool) {
	var ranges []byteRange
	var spare *rangeOwner
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
			spare = new(rangeOwner)
			spare.tie.table, spare.tie.owner = t, spare
		}
	}
}

// setRange does what r asks for.
func (t *lockTable) setRange(l *lane, r *rangeRequest, wait bool) syscall.Errno {
	h, errno := l.handleFor(r.key.handle)
	if errno != 0 {
		return errno
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
	} else if errno = t.waitForRange(l, r, o, b, h); errno == 0 {
		return errWait
	}
	t.tidy(o)
	return errno
}

// waitForRange has r, which b is in the way of, wait. Errors: EDEADLK, ENOLCK.
func (t *lockTable) waitForRange(l *lane, r *rangeRequest, o *rangeOwner, b *byteRange, h *handle) syscall.Errno {
	r.owner = o
	budget := 0 // what a request takes for itself, it does at once
	if !t.graph.block(r, b.owner.key, &budget) {
		return syscall.EDEADLK
	}
	if errno := t.wait(l, &r.lockRequest, r.key.client, h); errno != 0 {
		t.graph.remove(r)
		return errno
	}
	return 0
}

// assign changes what o has as r says, which nobody is in the way of; h is what it then ends with. Those that
// wait get what is left to them. Errors: ENOLCK.
func (t *lockTable) assign(l *lane, r *rangeRequest, o *rangeOwner, h *handle) syscall.Errno {
	s := &t.ranges
	if len(s.all)+2 > maxRanges && len(s.all)+s.growth(o, r.start, r.end, r.lock, r.exclusive) > maxRanges {
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

// unblock has those that wait for k looked at anew: it no longer has all that it had.
func (t *lockTable) unblock(k ownerKey) {
	for w := t.rangeWaiters.head; w != nil; w = w.next {
		if w.rng.inGraph && w.rng.blocker == k {
			t.graph.remove(w.rng)
			t.toGrant++
		}
	}
}

// grantRanges gives locks to those that were unblocked and can have them, in the order of their coming, and says
// whether all were looked at. Who has to wait on is in nobody's way who came later: as in Linux, that would be
// one more way to a deadlock.
func (t *lockTable) grantRanges(l *lane, budget *int) bool {
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
				if t.graph.block(r, b.owner.key, budget) {
					t.toGrant--
				} else {
					t.endWait(l, &r.lockRequest, syscall.EDEADLK)
				}
				continue
			}
			if len(t.ranges.all)+t.ranges.growth(o, r.start, r.end, true, r.exclusive) > maxRanges {
				t.endWait(l, &r.lockRequest, syscall.ENOLCK)
				continue
			}
			loosened := t.ranges.assign(o, r.start, r.end, true, r.exclusive, r.pid)
			o.endWith(r.tie.h)
			t.endWait(l, &r.lockRequest, 0)
			if loosened { // a thread of the owner had got an exclusive lock meanwhile
				t.unblock(o.key)
				again = true
			}
		}
	}
	return true
}

// endWith ties the locks of o to h, or to the client.
func (o *rangeOwner) endWith(h *handle) {
	if !o.tie.tied || o.tie.h != h {
		o.tie.unbind()
		o.tie.bind(o.key.client, h)
	}
}

// dropRanges ends all locks of o. The caller grants what becomes free to those that wait.
func (t *lockTable) dropRanges(o *rangeOwner) {
	t.ranges.removeAll(o)
	t.unblock(o.key)
	t.tidy(o)
}

// dropTiedRanges ends what is tied to h, everything if h is nil, as dropRanges does.
func (t *lockTable) dropTiedRanges(h *handle) {
	t.ranges.removeTied(h)
	for w := t.rangeWaiters.head; w != nil; w = w.next {
		if w.rng.inGraph {
			t.graph.remove(w.rng)
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
func (t *lockTable) ownerOf(k ownerKey) *rangeOwner {
	for o := t.owners; o != nil; o = o.next {
		if o.key == k {
			return o
		}
	}
	return nil
}

// addOwner makes the spare owner one of the table.
func (t *lockTable) addOwner(k ownerKey) *rangeOwner {
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
func (t *lockTable) tidy(o *rangeOwner) {
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

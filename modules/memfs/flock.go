package memfs

import (
	"sync/atomic"
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
)

// errWait says that a request waits for a lock: its lane.woken will name it when it does no
// longer. It never leaves the package.
const errWait = syscall.Errno(0xfffd)

// The states of a flockRequest, guarded by its table's lock.
const (
	flockGone    = iota // neither waiting nor granted
	flockWaiting        // in table.waiters
	flockGranted        // in table.holders
)

// flockKey says whose a lock is: an open file of a client.
type flockKey struct {
	owner  *client
	handle fsdev.FileHandle // may be zero
	id     uint64           // the client's name for the open file
}

// maxHolders is how many locks of one file can be held at a time, since a request looks at all of
// them.
const maxHolders = 4096

// flockRequest is a flock(2) request and what becomes of it: a lock that is held.
type flockRequest struct {
	table     *flockTable
	key       flockKey
	exclusive bool
	state     int

	prev *flockRequest // links of table.waiters or table.holders
	next *flockRequest

	h       *handle       // that will end it, nil if none; counts it in h.locks
	counted bool          // in h.locks
	owned   bool          // in key.owner.locks
	ownPrev *flockRequest // links of that list, guarded by owner.mu
	ownNext *flockRequest

	// io is the request to complete when the wait is over, with errno. nextWoken links
	// lane.woken.
	io        *fsdev.IO
	errno     syscall.Errno
	nextWoken *flockRequest
}

// flockList is a list of requests.
type flockList struct {
	head, tail *flockRequest
}

func (q *flockList) push(r *flockRequest) {
	r.prev, r.next = q.tail, nil
	if q.tail != nil {
		q.tail.next = r
	} else {
		q.head = r
	}
	q.tail = r
}

func (q *flockList) remove(r *flockRequest) {
	if r.prev != nil {
		r.prev.next = r.next
	} else {
		q.head = r.next
	}
	if r.next != nil {
		r.next.prev = r.prev
	} else {
		q.tail = r.prev
	}
	r.prev, r.next = nil, nil
}

// flockTable is the flock(2) locks of one file. A request that can be granted is, even when
// others wait, as in Linux: a program that holds one shared lock can get another. Those that
// wait are served in the order of their coming.
type flockTable struct {
	node    *inode
	waiting *atomic.Int64 // all waiters of the file system

	mu      spin
	holders flockList
	held    int // how many holders
	waiters flockList
}

// flocksOf returns the table of a file and makes it if there is none yet.
func (l *lane) flocksOf(n *inode) *flockTable {
	if t := n.flocks.Load(); t != nil {
		return t
	}
	n.flocks.CompareAndSwap(nil, &flockTable{node: n, waiting: &l.fs.waiters})
	return n.flocks.Load()
}

// flock is FLOCK. On errWait io is named by somebody's lane.woken later; the request is returned
// for abortion.
//
// A change from shared to exclusive gives up the shared lock first, as flock(2) says: if the new one is
// not to be had, none is left.
//
// Errors: ESTALE, EBADF, EINVAL, EWOULDBLOCK (LOCK_NB), ENOLCK (too many wait), errWait.
func (l *lane) flock(desc *fsdev.Desc, n *inode, handle fsdev.FileHandle, id uint64, op uint32,
	io *fsdev.IO) (*flockRequest, syscall.Errno) {
	nonblocking := op&syscall.LOCK_NB != 0
	op &^= syscall.LOCK_NB
	if op != syscall.LOCK_SH && op != syscall.LOCK_EX && op != syscall.LOCK_UN {
		return nil, syscall.EINVAL
	}
	if !n.tryRef() {
		return nil, syscall.ESTALE
	}
	t := l.flocksOf(n)
	r := &flockRequest{
		table:     t,
		key:       flockKey{l.fs.ensureClient(desc), handle, id},
		exclusive: op == syscall.LOCK_EX,
		io:        io,
	}
	errno := t.request(l, r, op == syscall.LOCK_UN, nonblocking)
	if errno != errWait { // a waiter keeps its reference
		l.put(n)
	}
	return r, errno
}

func (t *flockTable) request(l *lane, r *flockRequest, unlock, nonblocking bool) syscall.Errno {
	t.mu.lock()
	defer t.mu.unlock()
	if id := r.key.handle; id != 0 {
		if r.h = l.fs.handles.Get(uint64(id)); r.h == nil {
			return syscall.EBADF // closed meanwhile: nobody would drop the lock
		}
	}
	if old := t.holderOf(&r.key); old != nil {
		if !unlock && old.exclusive == r.exclusive {
			return 0
		}
		t.endHold(old)
	}
	// Whoever changes a lock comes before those that wait, who are granted what is left.
	defer t.grant(l)
	switch {
	case unlock:
		return 0
	case !t.conflicts(r):
		if t.held >= maxHolders {
			return syscall.ENOLCK
		}
		t.hold(r)
		return 0
	case nonblocking:
		return syscall.EWOULDBLOCK
	case t.waiting.Add(1) > l.fs.maxWaiters:
		t.waiting.Add(-1)
		return syscall.ENOLCK
	}
	r.state = flockWaiting
	t.waiters.push(r)
	t.own(r)
	return errWait
}

func (t *flockTable) holderOf(k *flockKey) *flockRequest {
	for r := t.holders.head; r != nil; r = r.next {
		if r.key == *k {
			return r
		}
	}
	return nil
}

// conflicts says whether somebody else's lock keeps r from being granted. One shared holder
// speaks for all.
func (t *flockTable) conflicts(r *flockRequest) bool {
	h := t.holders.head
	return h != nil && (r.exclusive || h.exclusive)
}

// own enters r, which has begun to wait or to be a lock, in its client's list, or counts it with
// the handle that will end it.
func (t *flockTable) own(r *flockRequest) {
	if r.h != nil && !r.counted {
		r.counted = true
		r.h.locks++
	}
	if r.key.handle != 0 || r.owned {
		return
	}
	r.owned = true
	c := r.key.owner
	c.mu.lock()
	r.ownNext = c.locks
	if r.ownNext != nil {
		r.ownNext.ownPrev = r
	}
	c.locks = r
	c.mu.unlock()
}

// disown undoes own for r, which is gone.
func (t *flockTable) disown(r *flockRequest) {
	r.state = flockGone
	if r.counted {
		r.counted = false
		r.h.locks--
	}
	if !r.owned {
		return
	}
	r.owned = false
	c := r.key.owner
	c.mu.lock()
	if r.ownPrev != nil {
		r.ownPrev.ownNext = r.ownNext
	} else {
		c.locks = r.ownNext
	}
	if r.ownNext != nil {
		r.ownNext.ownPrev = r.ownPrev
	}
	r.ownPrev, r.ownNext = nil, nil
	c.mu.unlock()
}

// hold makes r a lock.
func (t *flockTable) hold(r *flockRequest) {
	r.state = flockGranted
	t.holders.push(r)
	t.held++
	t.own(r)
}

// endHold ends a lock.
func (t *flockTable) endHold(r *flockRequest) {
	t.holders.remove(r)
	t.held--
	t.disown(r)
}

// endWait ends the wait of r. Where errno is not zero there is no lock either.
func (t *flockTable) endWait(l *lane, r *flockRequest, errno syscall.Errno) {
	t.waiters.remove(r)
	t.waiting.Add(-1)
	if errno != 0 {
		t.disown(r)
	}
	r.errno = errno
	r.nextWoken = l.woken
	l.woken = r
}

// grant gives locks to those that wait, up to the first who has to wait on.
func (t *flockTable) grant(l *lane) {
	for r := t.waiters.head; r != nil && !t.conflicts(r) && t.held < maxHolders; r = t.waiters.head {
		t.endWait(l, r, 0)
		// A client may ask twice for one open file. The second lock replaces the first,
		// and cannot conflict with it.
		if old := t.holderOf(&r.key); old != nil {
			t.endHold(old)
		}
		t.hold(r)
	}
}

// takeWoken returns the requests whose wait has ended by what the lane did, linked by nextWoken
// in the order in which that happened. The caller completes their io, each on its own thread, with their errno.
func (l *lane) takeWoken() *flockRequest {
	r := l.woken
	l.woken = nil
	var list *flockRequest
	for r != nil {
		next := r.nextWoken
		r.nextWoken = list
		list = r
		l.put(r.table.node)
		r = next
	}
	return list
}

// abortFlock ends the wait of r with EINTR and says whether it was still waiting. r.io is then
// for the caller to complete.
func (l *lane) abortFlock(r *flockRequest) bool {
	t := r.table
	t.mu.lock()
	if r.state != flockWaiting {
		t.mu.unlock()
		return false
	}
	t.waiters.remove(r)
	t.waiting.Add(-1)
	t.disown(r)
	t.grant(l) // it may have been in the way
	t.mu.unlock()
	l.put(t.node)
	return true
}

// drop ends a lock, or the waiting for it, if it is still there.
func (t *flockTable) drop(l *lane, r *flockRequest) {
	t.mu.lock()
	switch r.state {
	case flockWaiting:
		t.endWait(l, r, syscall.EINTR)
	case flockGranted:
		t.endHold(r)
	}
	t.grant(l)
	t.mu.unlock()
}

// dropHandle ends the locks of a handle that is being closed, and the waiting for them.
func (t *flockTable) dropHandle(l *lane, h *handle) {
	t.mu.lock()
	if h.locks > 0 {
		t.dropIf(l, func(r *flockRequest) bool { return r.h == h })
	}
	t.mu.unlock()
}

// dropAll ends all locks of a file that has died. Nobody waits, since waiters have a reference.
func (t *flockTable) dropAll(l *lane) {
	t.mu.lock()
	t.dropIf(l, func(*flockRequest) bool { return true })
	t.mu.unlock()
}

func (t *flockTable) dropIf(l *lane, match func(r *flockRequest) bool) {
	for r := t.waiters.head; r != nil; {
		next := r.next
		if match(r) {
			t.endWait(l, r, syscall.EINTR)
		}
		r = next
	}
	for r := t.holders.head; r != nil; {
		next := r.next
		if match(r) {
			t.endHold(r)
		}
		r = next
	}
	t.grant(l)
}

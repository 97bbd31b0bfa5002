package memfs

import (
	"sync/atomic"
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/internal/sys"
)

// errWait says that a request waits for a lock: its lane.woken will name it when it does no
// longer. It never leaves the package.
const errWait = syscall.Errno(0xfffd)

// The states of a lockRequest, guarded by its table's lock.
const (
	lockGone    = iota // neither waiting nor granted
	lockWaiting        // in a table's list of waiters
	lockGranted        // in table.holders
)

// lockTable is the locks of one file, of flock(2) and of fcntl(2), which know nothing of each other. A request
// that can be granted is, even when others wait, as in Linux: a program that holds one shared lock can get
// another. Those that wait are served in the order of their coming.
type lockTable struct {
	node    *inode
	waiting *atomic.Int64 // all waiters of the file system
	graph   *waitGraph    // of the file system

	mu sys.Spin

	holders lockList // of flock(2) locks
	held    int      // how many holders
	waiters lockList // for them

	ranges       rangeSet // byte-range locks
	rangeWaiters lockList // for them
	rangeWaits   int      // how many
	toGrant      int      // how many of them are not in the graph: it is to be seen whether they wait on
	owners       *rangeOwner
	spare        *rangeOwner // for the next new owner

	goingOn   bool       // a lane has it among its unfinished
	nextGoing *lockTable // link of that list, the lane's
}

const (
	// grantBudget bounds how long locks are given to those that wait in one go: some 200 µs. What it is spent on
	// takes some nanoseconds a unit.
	grantBudget = 1 << 15
	lookCost    = 64 // of a waiter, beside what grows with the number of locks
	stepCost    = 4  // from one owner to whom it waits for
)

// lockRequest is a request for a lock and what becomes of it: an flock(2) lock that is held.
type lockRequest struct {
	tie       lockTie
	key       flockKey
	exclusive bool
	state     int
	rng       *rangeRequest // what this is a part of if it is for a byte-range lock, fixed

	prev *lockRequest // links of a list of the table
	next *lockRequest

	// io is the request to complete when the wait is over, with errno. nextWoken links
	// lane.woken.
	io        *fsdev.IO
	errno     syscall.Errno
	nextWoken *lockRequest
}

// lockTie ties a lock, or the waiting for one, to what ends it: a handle, or else the unmounting of its client.
// All but the links is guarded by the table's lock.
type lockTie struct {
	table  *lockTable   // fixed
	req    *lockRequest // what is tied, or
	owner  *rangeOwner  // the locks of this one, fixed
	tied   bool
	client *client
	h      *handle // nil: the client. Otherwise counts the tie in h.locks.

	prev *lockTie // links of client.locks, guarded by client.mu
	next *lockTie
}

func (k *lockTie) bind(c *client, h *handle) {
	k.tied, k.client, k.h = true, c, h
	if h != nil {
		h.locks++
		return
	}
	c.mu.Lock()
	k.next = c.locks
	if k.next != nil {
		k.next.prev = k
	}
	c.locks = k
	c.mu.Unlock()
}

func (k *lockTie) unbind() {
	if !k.tied {
		return
	}
	k.tied = false
	if k.h != nil {
		k.h.locks--
		k.h = nil
		return
	}
	c := k.client
	k.client = nil
	c.mu.Lock()
	if k.prev != nil {
		k.prev.next = k.next
	} else {
		c.locks = k.next
	}
	if k.next != nil {
		k.next.prev = k.prev
	}
	k.prev, k.next = nil, nil
	c.mu.Unlock()
}

// lockList is a list of requests.
type lockList struct {
	head, tail *lockRequest
}

func (q *lockList) push(r *lockRequest) {
	r.prev, r.next = q.tail, nil
	if q.tail != nil {
		q.tail.next = r
	} else {
		q.head = r
	}
	q.tail = r
}

func (q *lockList) remove(r *lockRequest) {
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

// locksOf returns the table of a file and makes it if there is none yet.
func (l *lane) locksOf(n *inode) *lockTable {
	if t := n.locks.Load(); t != nil {
		return t
	}
	n.locks.CompareAndSwap(nil, &lockTable{node: n, waiting: &l.fs.waiters, graph: l.fs.graph})
	return n.locks.Load()
}

// handleFor returns the open handle of a request for a lock, nil if it has none. A handle that is open now is
// not closed before the table's lock, which the caller has, is free. Errors: EBADF, since nobody would end the
// lock.
func (l *lane) handleFor(id fsdev.FileHandle) (*handle, syscall.Errno) {
	if id == 0 {
		return nil, 0
	}
	if h := l.fs.handles.Get(uint64(id)); h != nil {
		return h, 0
	}
	return nil, syscall.EBADF
}

// wait has r wait. Errors: ENOLCK (too many do).
func (t *lockTable) wait(l *lane, r *lockRequest, c *client, h *handle) syscall.Errno {
	if t.waiting.Add(1) > l.fs.maxWaiters {
		t.waiting.Add(-1)
		return syscall.ENOLCK
	}
	r.state = lockWaiting
	if r.rng != nil {
		t.rangeWaiters.push(r)
		t.rangeWaits++
		r.rng.owner.waits++
	} else {
		t.waiters.push(r)
	}
	r.tie.bind(c, h)
	return 0
}

// leave takes r, which waits, out of those that do.
func (t *lockTable) leave(r *lockRequest) {
	r.state = lockGone
	t.waiting.Add(-1)
	r.tie.unbind()
	if r.rng == nil {
		t.waiters.remove(r)
		return
	}
	if r.rng.inGraph {
		t.graph.remove(r.rng)
	} else {
		t.toGrant--
	}
	t.rangeWaiters.remove(r)
	t.rangeWaits--
	r.rng.owner.waits--
	t.tidy(r.rng.owner)
}

// endWait ends the wait of r with errno, 0 if it is getting the lock.
func (t *lockTable) endWait(l *lane, r *lockRequest, errno syscall.Errno) {
	t.leave(r)
	r.errno = errno
	r.nextWoken = l.woken
	l.woken = r
}

// takeWoken returns the requests whose wait has ended by what the lane did, linked by nextWoken
// in the order in which that happened. The caller completes their io, each on its own thread, with their errno.
func (l *lane) takeWoken() *lockRequest {
	r := l.woken
	l.woken = nil
	var list *lockRequest
	for r != nil {
		next := r.nextWoken
		r.nextWoken = list
		list = r
		l.put(r.tie.table.node)
		r = next
	}
	return list
}

// abortLock ends the wait of r with EINTR and says whether it was still waiting. r.io is then
// for the caller to complete.
func (l *lane) abortLock(r *lockRequest) bool {
	t := r.tie.table
	t.mu.Lock()
	if r.state != lockWaiting {
		t.mu.Unlock()
		return false
	}
	t.leave(r)
	t.grant(l) // it may have been in the way
	t.mu.Unlock()
	l.put(t.node)
	return true
}

// drop ends what k ties to c, if it still does.
func (t *lockTable) drop(l *lane, c *client, k *lockTie) {
	t.mu.Lock()
	l.spent += lookCost + len(t.ranges.all)
	if k.tied && k.client == c {
		if k.req != nil {
			t.end(l, k.req)
		} else {
			t.dropRanges(k.owner)
		}
		t.grant(l)
	}
	t.mu.Unlock()
}

// end ends the wait of r with EINTR, or the lock.
func (t *lockTable) end(l *lane, r *lockRequest) {
	switch r.state {
	case lockWaiting:
		t.endWait(l, r, syscall.EINTR)
	case lockGranted:
		t.endHold(r)
	}
}

// dropHandle ends the locks of a handle that is being closed, and the waiting for them.
func (t *lockTable) dropHandle(l *lane, h *handle) {
	t.mu.Lock()
	if h.locks > 0 {
		l.spent += lookCost + t.held + len(t.ranges.all)
		t.dropIf(l, h)
	}
	t.mu.Unlock()
}

// dropAll ends all locks of a file that has died. Nobody waits, since waiters have a reference.
func (t *lockTable) dropAll(l *lane) {
	t.mu.Lock()
	t.dropIf(l, nil)
	t.mu.Unlock()
}

// dropIf ends what is tied to h, everything if h is nil.
func (t *lockTable) dropIf(l *lane, h *handle) {
	for _, q := range [...]*lockList{&t.waiters, &t.rangeWaiters, &t.holders} {
		for r := q.head; r != nil; {
			next := r.next
			if h == nil || r.tie.h == h {
				t.end(l, r)
			}
			r = next
		}
	}
	t.dropTiedRanges(h)
	t.grant(l)
}

// grant gives locks to those that wait and can have them. If they are very many, lane.grantMore goes on with it.
func (t *lockTable) grant(l *lane) {
	if t.goingOn {
		return
	}
	budget := grantBudget
	if !t.grantFlocks(l, &budget) || !t.grantRanges(l, &budget) {
		t.goingOn = true
		t.nextGoing = l.unfinished
		l.unfinished = t
	}
}

// grantMore goes on where grant has not come to an end.
func (l *lane) grantMore() {
	t := l.unfinished
	l.unfinished = nil
	for t != nil {
		next := t.nextGoing
		t.nextGoing = nil
		t.mu.Lock()
		t.goingOn = false
		t.grant(l)
		t.mu.Unlock()
		t = next
	}
}

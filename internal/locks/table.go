package locks

import (
	"syscall"

	"github.com/spdk-go/spdk-go/internal/sys"
)

// Waits is what a request returns that has to wait: [Lane.TakeWoken] of some lane will name it when it does no longer.
// Modules must not let it out.
const Waits = syscall.Errno(0xfffd)

// The states of a Request, guarded by its table's lock.
const (
	isGone    = iota // neither waiting nor granted
	isWaiting        // in a table's list of waiters
	isGranted        // in table.holders
)

// table is the locks of one file.
type table struct {
	d    *Device
	node any // the module's, of its file

	mu sys.Spin

	holders list // of flock(2) locks
	held    int  // how many holders
	waiters list // for them

	ranges       rangeSet // byte-range locks
	rangeWaiters list     // for them
	rangeWaits   int      // how many
	toGrant      int      // how many of them are not in the graph: it is to be seen whether they wait on
	owners       *owner
	spare        *owner // for the next new owner

	goingOn   bool   // a lane has it among its unfinished
	nextGoing *table // link of that list, the lane's
}

const (
	// grantBudget bounds how long locks are given to those that wait in one go: some 200 µs. What it is spent on
	// takes some nanoseconds a unit.
	grantBudget = 1 << 15
	lookCost    = 64 // of a waiter, beside what grows with the number of locks
	stepCost    = 4  // from one owner to whom it waits for
)

// Request is a request for a lock and what becomes of it: an flock(2) lock that is held.
type Request struct {
	// IO is what the module has called it. It is the module's again when the request has been woken.
	IO any
	// Errno is how the wait has ended: 0, EINTR (what the lock would have ended with has), EDEADLK or ENOLCK.
	Errno syscall.Errno

	tie       tie
	key       flockKey
	exclusive bool
	state     int
	rng       *rangeRequest // what this is a part of if it is for a byte-range lock, fixed

	prev *Request // links of a list of the table
	next *Request

	nextWoken *Request // links lane.woken
}

// Node returns what the module has called the file of a request that waits or has waited.
func (r *Request) Node() any { return r.tie.table.node }

// Next takes r out of a list of [Lane.TakeWoken] and returns what comes behind it.
func (r *Request) Next() *Request {
	next := r.nextWoken
	r.nextWoken = nil
	return next
}

// list is a list of requests.
type list struct {
	head, tail *Request
}

func (q *list) push(r *Request) {
	r.prev, r.next = q.tail, nil
	if q.tail != nil {
		q.tail.next = r
	} else {
		q.head = r
	}
	q.tail = r
}

func (q *list) remove(r *Request) {
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

// count returns how many locks there are.
func (t *table) count() int { return t.held + len(t.ranges.all) }

// wait has r wait. Errors: ENOLCK (too many do).
func (t *table) wait(r *Request, c *Client, h *Handle) syscall.Errno {
	if t.d.waits.Add(1) > t.d.maxWaits {
		t.d.waits.Add(-1)
		return syscall.ENOLCK
	}
	r.state = isWaiting
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
func (t *table) leave(r *Request) {
	r.state = isGone
	t.d.waits.Add(-1)
	r.tie.unbind()
	if r.rng == nil {
		t.waiters.remove(r)
		return
	}
	if r.rng.inGraph {
		t.d.graph.remove(r.rng)
	} else {
		t.toGrant--
	}
	t.rangeWaiters.remove(r)
	t.rangeWaits--
	r.rng.owner.waits--
	t.tidy(r.rng.owner)
}

// endWait ends the wait of r with errno, 0 if it is getting the lock.
func (t *table) endWait(l *Lane, r *Request, errno syscall.Errno) {
	t.leave(r)
	r.Errno = errno
	r.nextWoken = l.woken
	l.woken = r
}

// end ends the wait of r with errno, or the lock.
func (t *table) end(l *Lane, r *Request, errno syscall.Errno) {
	switch r.state {
	case isWaiting:
		t.endWait(l, r, errno)
	case isGranted:
		t.endHold(r)
	}
}

// dropIf ends what is tied to h, everything if h is nil.
func (t *table) dropIf(l *Lane, h *Handle) {
	for _, q := range [...]*list{&t.waiters, &t.rangeWaiters, &t.holders} {
		for r := q.head; r != nil; {
			next := r.next
			if h == nil || r.tie.h == h {
				t.end(l, r, syscall.EINTR)
			}
			r = next
		}
	}
	t.dropTiedRanges(h)
	t.grant(l)
}

// grant gives locks to those that wait and can have them. If they are very many, Lane.GrantMore goes on with it.
func (t *table) grant(l *Lane) {
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

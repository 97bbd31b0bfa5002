package aio

import (
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/internal/sys"
)

const (
	maxHolders = 4096 // locks of one file
	maxWaiters = 1024 // requests of one export
)

// flockKey says whose a lock is: an open file of a client.
type flockKey struct {
	client *client
	handle fsdev.FileHandle // may be zero
	id     uint64           // the client's name for the open file
}

// flock is a lock that is held, or a request for one.
type flock struct {
	table     *flockTable
	key       flockKey
	exclusive bool
	waits     bool
	twin      *flock // of a request that may wait: what will be held

	// io is the request to complete when the wait is over, with errno.
	io    *fsdev.IO
	errno syscall.Errno

	prev, next *flock // in a list
}

// flockList is a list of locks.
type flockList struct{ head, tail *flock }

func (q *flockList) push(f *flock) {
	f.prev, f.next = q.tail, nil
	if q.tail != nil {
		q.tail.next = f
	} else {
		q.head = f
	}
	q.tail = f
}

func (q *flockList) remove(f *flock) {
	if f.prev != nil {
		f.prev.next = f.next
	} else {
		q.head = f.next
	}
	if f.next != nil {
		f.next.prev = f.prev
	} else {
		q.tail = f.prev
	}
	f.prev, f.next = nil, nil
}

// flockTable is the locks of one file. A request that can be granted is, even when others wait, as in Linux; those that
// wait are served in the order of their coming.
type flockTable struct {
	node *node

	mu      sys.Spin
	holders flockList
	held    int
	waiters flockList // each has a reference to the node
}

func (n *node) flocks() *flockTable {
	if t := n.locks.Load(); t != nil {
		return t
	}
	n.locks.CompareAndSwap(nil, &flockTable{node: n})
	return n.locks.Load()
}

// errWait says that a request waits for a lock and is completed later. It never leaves the package.
const errWait = syscall.Errno(0xfffd)

// flock is FLOCK. The request is returned for abortion. A change from shared to exclusive gives up the shared lock
// first, as flock(2) says. Errors: EINVAL, EBADF, EWOULDBLOCK (LOCK_NB), ENOLCK (too many), errWait.
func (a *Aio) flock(io *fsdev.IO, n *node, woken *flockList) (f *flock, errno syscall.Errno) {
	op := io.Flags &^ syscall.LOCK_NB
	if op != syscall.LOCK_SH && op != syscall.LOCK_EX && op != syscall.LOCK_UN {
		return nil, syscall.EINVAL
	}
	t := n.flocks()
	f = &flock{table: t, key: flockKey{a.ensureClient(io.Desc()), io.Handle, io.Owner},
		exclusive: op == syscall.LOCK_EX}
	if io.Flags&syscall.LOCK_NB == 0 && op != syscall.LOCK_UN {
		f.io = io
		f.twin = &flock{table: t, key: f.key, exclusive: f.exclusive}
	}
	t.mu.Lock()
	errno = t.request(a, f, op == syscall.LOCK_UN, io.Flags&syscall.LOCK_NB != 0, woken)
	t.mu.Unlock()
	return f, errno
}

func (t *flockTable) request(a *Aio, f *flock, unlock, nonblocking bool, woken *flockList) syscall.Errno {
	// Whoever closes the handle after this takes the lock away when it has the table.
	if f.key.handle != 0 && a.handles.Get(uint64(f.key.handle)) == nil {
		return syscall.EBADF
	}
	if old := t.holderOf(&f.key); old != nil {
		if !unlock && old.exclusive == f.exclusive {
			return 0
		}
		t.endHold(old)
	}
	switch {
	case unlock:
	case !t.conflicts(f):
		if t.held >= maxHolders {
			return syscall.ENOLCK
		}
		t.holdNew(f)
	case nonblocking:
		t.grant(a, woken)
		return syscall.EWOULDBLOCK
	default:
		t.grant(a, woken)
		if !t.conflicts(f) { // what it gave up was all that was in its way
			t.holdNew(f)
			return 0
		}
		if a.waiters.Add(1) > maxWaiters {
			a.waiters.Add(-1)
			return syscall.ENOLCK
		}
		f.waits = true
		t.node.refs.Add(1)
		t.waiters.push(f)
		return errWait
	}
	t.grant(a, woken)
	return 0
}

func (t *flockTable) holderOf(k *flockKey) *flock {
	for f := t.holders.head; f != nil; f = f.next {
		if f.key == *k {
			return f
		}
	}
	return nil
}

// conflicts says whether somebody else's lock keeps f from being granted. One shared holder speaks for all.
func (t *flockTable) conflicts(f *flock) bool {
	h := t.holders.head
	return h != nil && (f.exclusive || h.exclusive)
}

func (t *flockTable) hold(f *flock) {
	t.holders.push(f)
	t.held++
}

func (t *flockTable) endHold(f *flock) {
	t.holders.remove(f)
	t.held--
}

// endWait ends a wait: f goes to woken, with the reference to the node.
func (t *flockTable) endWait(a *Aio, f *flock, errno syscall.Errno, woken *flockList) {
	t.waiters.remove(f)
	a.waiters.Add(-1)
	f.waits = false
	f.errno = errno
	woken.push(f)
}

// holdNew is hold of a request that has not waited.
func (t *flockTable) holdNew(f *flock) {
	f.io, f.twin = nil, nil
	t.hold(f)
}

// grant gives the lock to those that wait, up to the first who has to wait on. What is held is their twin, since the
// request itself is on its way to its thread.
func (t *flockTable) grant(a *Aio, woken *flockList) {
	for f := t.waiters.head; f != nil && !t.conflicts(f) && t.held < maxHolders; f = t.waiters.head {
		if old := t.holderOf(&f.key); old != nil {
			t.endHold(old)
		}
		t.endWait(a, f, 0, woken)
		t.hold(f.twin)
	}
}

// dropHandle ends the locks of a handle that is being closed, and the waiting for them.
func (t *flockTable) dropHandle(a *Aio, h *handle, woken *flockList) {
	t.dropIf(a, func(k *flockKey) bool { return k.client == h.client && k.handle == h.id }, woken)
}

// dropClient does so for all locks of a client.
func (t *flockTable) dropClient(a *Aio, c *client, woken *flockList) {
	t.dropIf(a, func(k *flockKey) bool { return k.client == c }, woken)
}

func (t *flockTable) dropIf(a *Aio, doomed func(*flockKey) bool, woken *flockList) {
	t.mu.Lock()
	for f := t.waiters.head; f != nil; {
		next := f.next
		if doomed(&f.key) {
			t.endWait(a, f, syscall.EINTR, woken)
		}
		f = next
	}
	for f := t.holders.head; f != nil; {
		next := f.next
		if doomed(&f.key) {
			t.endHold(f)
		}
		f = next
	}
	t.grant(a, woken)
	t.mu.Unlock()
}

// abortFlock ends the wait of f and says whether it was still waiting. f.io is then for the caller to complete.
func (a *Aio) abortFlock(f *flock, woken *flockList) bool {
	t := f.table
	t.mu.Lock()
	waited := f.waits
	if waited {
		t.waiters.remove(f)
		a.waiters.Add(-1)
		f.waits = false
		t.grant(a, woken) // it may have been in the way
	}
	t.mu.Unlock()
	if waited {
		a.put(t.node)
	}
	return waited
}

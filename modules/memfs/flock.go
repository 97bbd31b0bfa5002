package memfs

import (
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
)

// flockKey says whose a flock(2) lock is: an open file of a client.
type flockKey struct {
	client *client
	handle fsdev.FileHandle // may be zero
	id     uint64           // the client's name for the open file
}

// maxHolders is how many locks of one file can be held at a time, since a request looks at all of
// them.
const maxHolders = 4096

// flock is FLOCK. On errWait io is named by somebody's lane.woken later; the request is returned
// for abortion.
//
// A change from shared to exclusive gives up the shared lock first, as flock(2) says: if the new one is
// not to be had, none is left.
//
// Errors: ESTALE, EBADF, EINVAL, EWOULDBLOCK (LOCK_NB), ENOLCK (too many wait), errWait.
func (l *lane) flock(desc *fsdev.Desc, n *inode, handle fsdev.FileHandle, id uint64, op uint32,
	io *fsdev.IO) (*lockRequest, syscall.Errno) {
	nonblocking := op&syscall.LOCK_NB != 0
	op &^= syscall.LOCK_NB
	if op != syscall.LOCK_SH && op != syscall.LOCK_EX && op != syscall.LOCK_UN {
		return nil, syscall.EINVAL
	}
	if !n.tryRef() {
		return nil, syscall.ESTALE
	}
	t := l.locksOf(n)
	r := &lockRequest{
		key:       flockKey{l.fs.ensureClient(desc), handle, id},
		exclusive: op == syscall.LOCK_EX,
		io:        io,
	}
	r.tie.table, r.tie.req = t, r
	t.mu.Lock()
	errno := t.request(l, r, op == syscall.LOCK_UN, nonblocking)
	t.mu.Unlock()
	if errno != errWait { // a waiter keeps its reference
		l.put(n)
	}
	return r, errno
}

func (t *lockTable) request(l *lane, r *lockRequest, unlock, nonblocking bool) syscall.Errno {
	h, errno := l.handleFor(r.key.handle)
	if errno != 0 {
		return errno
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
		t.hold(r, h)
		return 0
	case nonblocking:
		return syscall.EWOULDBLOCK
	}
	if errno := t.wait(l, r, r.key.client, h); errno != 0 {
		return errno
	}
	return errWait
}

func (t *lockTable) holderOf(k *flockKey) *lockRequest {
	for r := t.holders.head; r != nil; r = r.next {
		if r.key == *k {
			return r
		}
	}
	return nil
}

// conflicts says whether somebody else's lock keeps r from being granted. One shared holder
// speaks for all. A lock of r's own does not: it may have got one while it waited, by another request.
func (t *lockTable) conflicts(r *lockRequest) bool {
	h := t.holders.head
	return h != nil && (r.exclusive || h.exclusive) && (t.held > 1 || h.key != r.key)
}

// hold makes r a lock that ends with h.
func (t *lockTable) hold(r *lockRequest, h *handle) {
	r.state = lockGranted
	t.holders.push(r)
	t.held++
	r.tie.bind(r.key.client, h)
}

// endHold ends a lock.
func (t *lockTable) endHold(r *lockRequest) {
	r.state = lockGone
	t.holders.remove(r)
	t.held--
	r.tie.unbind()
}

// grantFlocks gives locks to those that wait, up to the first who has to wait on, and says whether it came that
// far.
func (t *lockTable) grantFlocks(l *lane, budget *int) bool {
	for r := t.waiters.head; r != nil && !t.conflicts(r) && t.held < maxHolders; r = t.waiters.head {
		if *budget -= lookCost + t.held; *budget < 0 {
			return false
		}
		h := r.tie.h
		t.endWait(l, r, 0)
		// A client may ask twice for one open file. The second lock replaces the first.
		if old := t.holderOf(&r.key); old != nil {
			t.endHold(old)
		}
		t.hold(r, h)
	}
	return true
}

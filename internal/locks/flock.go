package locks

import "syscall"

// flockKey says whose a flock(2) lock is: an open file of a client.
type flockKey struct {
	client *Client
	handle *Handle // may be nil
	id     uint64  // the client's name for the open file
}

// MaxHolders is how many flock(2) locks of one file can be held at a time, since a request looks at all of them.
const MaxHolders = 4096

// Flock is flock(2): op is LOCK_SH, LOCK_EX or LOCK_UN, with LOCK_NB or without, for the open file of c that it calls
// id; h is its handle, nil if there is none. The caller has a reference to the file, which node stands for, and leaves
// it to the request on Waits. The request is returned for abortion then, and has io.
//
// A change from shared to exclusive gives up the shared lock first, as flock(2) says: if the new one is not to be had,
// none is left.
//
// Errors: EBADF (h was closed), EINVAL, EWOULDBLOCK (LOCK_NB), ENOLCK, Waits.
func (l *Lane) Flock(f *File, node any, c *Client, h *Handle, id uint64, op uint32, io any) (*Request, syscall.Errno) {
	isNonblocking := op&syscall.LOCK_NB != 0
	op &^= syscall.LOCK_NB
	if op != syscall.LOCK_SH && op != syscall.LOCK_EX && op != syscall.LOCK_UN {
		return nil, syscall.EINVAL
	}
	t := l.d.tableOf(f, node)
	r := &Request{key: flockKey{c, h, id}, exclusive: op == syscall.LOCK_EX, IO: io}
	r.tie.table, r.tie.req = t, r
	l.enter(t)
	errno := t.request(l, r, op == syscall.LOCK_UN, isNonblocking)
	l.leave(t)
	if errno != Waits {
		return nil, errno
	}
	return r, errno
}

func (t *table) request(l *Lane, r *Request, unlock, isNonblocking bool) syscall.Errno {
	// Whoever closes the handle after this takes the lock away when it has the table.
	if h := r.key.handle; h != nil && h.closed.Load() {
		return syscall.EBADF
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
		if t.held >= MaxHolders || !l.room(t, 1) {
			return syscall.ENOLCK
		}
		r.IO = nil
		t.hold(r)
		return 0
	case isNonblocking:
		return syscall.EWOULDBLOCK
	}
	if errno := t.wait(r, r.key.client, r.key.handle); errno != 0 {
		return errno
	}
	return Waits
}

func (t *table) holderOf(k *flockKey) *Request {
	for r := t.holders.head; r != nil; r = r.next {
		if r.key == *k {
			return r
		}
	}
	return nil
}

// conflicts says whether somebody else's lock keeps r from being granted. One shared holder
// speaks for all. A lock of r's own does not: it may have got one while it waited, by another request.
func (t *table) conflicts(r *Request) bool {
	h := t.holders.head
	return h != nil && (r.exclusive || h.exclusive) && (t.held > 1 || h.key != r.key)
}

// hold makes r a lock that ends with its handle.
func (t *table) hold(r *Request) {
	r.state = isGranted
	t.holders.push(r)
	t.held++
	r.tie.bind(r.key.client, r.key.handle)
}

// endHold ends a lock.
func (t *table) endHold(r *Request) {
	r.state = isGone
	t.holders.remove(r)
	t.held--
	r.tie.unbind()
}

// grantFlocks gives locks to those that wait, up to the first who has to wait on, and says whether it came that
// far.
func (t *table) grantFlocks(l *Lane, budget *int) bool {
	for r := t.waiters.head; r != nil && !t.conflicts(r) && t.held < MaxHolders; r = t.waiters.head {
		if *budget -= lookCost + t.held; *budget < 0 {
			return false
		}
		// A client may ask twice for one open file. The second lock replaces the first.
		old := t.holderOf(&r.key)
		if old == nil && !l.room(t, 1) {
			t.endWait(l, r, syscall.ENOLCK)
			continue
		}
		t.endWait(l, r, 0)
		if old != nil {
			t.endHold(old)
		}
		t.hold(r)
	}
	return true
}

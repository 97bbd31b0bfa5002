package locks

import "syscall"

// Lane is what one thread needs to lock and unlock files of a device. It is used by one thread at a time; lanes of one
// device work concurrently.
type Lane struct {
	d *Device

	woken      *Request // requests that no longer wait
	unfinished *table   // tables to go on with, see GrantMore
	spare      *rangeRequest

	credit int // locks that the lane may add without asking the device
	before int // how many locks the table that is locked had
}

// Open makes l a lane of d.
func (l *Lane) Open(d *Device) { l.d = d }

// Close ends the use of a lane. Nothing is woken or unfinished.
func (l *Lane) Close() {
	l.d.used.Add(-int64(l.credit))
	*l = Lane{}
}

// enter locks a table.
func (l *Lane) enter(t *table) {
	t.mu.Lock()
	l.before = t.count()
}

// leave unlocks a table, and accounts for what has become of its locks. Most lanes add and take away as many, and do
// not ask the device.
func (l *Lane) leave(t *table) {
	l.credit += l.before - t.count()
	t.mu.Unlock()
	if share := int(l.d.share); l.credit > 2*share {
		l.d.used.Add(-int64(l.credit - share))
		l.credit = share
	}
}

// room sees to it that n locks can be added to t, which is locked, and says whether the device has that many.
func (l *Lane) room(t *table, n int) bool {
	need := int64(n - (l.credit + l.before - t.count()))
	if need <= 0 {
		return true
	}
	for {
		used := l.d.used.Load()
		if used+need > l.d.maxLocks {
			return false
		}
		take := min(need+l.d.share, l.d.maxLocks-used)
		if l.d.used.CompareAndSwap(used, used+take) {
			l.credit += int(take)
			return true
		}
	}
}

// TakeWoken returns the requests whose wait has ended by what the lane did, linked by [Request.Next] in the order in
// which that happened. The caller completes them, each on its own thread, with their Errno, and lets go of their files.
func (l *Lane) TakeWoken() *Request {
	r := l.woken
	l.woken = nil
	var list *Request
	for r != nil {
		next := r.nextWoken
		r.nextWoken = list
		list, r = r, next
	}
	return list
}

// IsUnfinished says whether [Lane.GrantMore] has something to do.
func (l *Lane) IsUnfinished() bool { return l.unfinished != nil }

// GrantMore goes on to serve those that wait, where that was so much that it has been put off: some 200 µs of it.
func (l *Lane) GrantMore() {
	t := l.unfinished
	l.unfinished = nil
	for t != nil {
		next := t.nextGoing
		t.nextGoing = nil
		l.enter(t)
		t.goingOn = false
		t.grant(l)
		l.leave(t)
		t = next
	}
}

// Abort ends the wait of r, with EINTR, and says whether it was still waiting. If so r is not woken: the caller
// completes it and lets go of its file.
func (l *Lane) Abort(r *Request) bool {
	t := r.tie.table
	l.enter(t)
	waited := r.state == isWaiting
	if waited {
		t.leave(r)
		t.grant(l) // it may have been in the way
	}
	l.leave(t)
	return waited
}

// EndHandle ends the locks of a handle that is being closed, and the waiting for them (EINTR): nothing can be locked by
// it any more. It returns what that has cost, in some nanoseconds.
func (l *Lane) EndHandle(f *File, h *Handle) (spent int) {
	h.closed.Store(true) // before the look at the table: who makes one now sees it
	t := f.table.Load()
	if t == nil {
		return 0
	}
	l.enter(t)
	if h.ties > 0 {
		spent = lookCost + t.count()
		t.dropIf(l, h)
	}
	l.leave(t)
	return spent
}

// EndFile ends all locks of a file that is no more. Nobody waits, since who does has a reference to it.
func (l *Lane) EndFile(f *File) {
	if t := f.table.Load(); t != nil {
		l.enter(t)
		t.dropIf(l, nil)
		l.leave(t)
	}
}

// EndFile is [Lane.EndFile] for who has no lane. Any goroutine.
func (d *Device) EndFile(f *File) {
	if f.IsUsed() {
		l := Lane{d: d}
		l.EndFile(f)
		l.Close()
	}
}

// EndClient ends the locks of a client that belong to no handle, and the waiting for such (EINTR). It stops when that
// has cost more than budget, in some nanoseconds; it returns what it has cost, and whether nothing is left.
func (l *Lane) EndClient(c *Client, budget int) (spent int, done bool) {
	for {
		c.mu.Lock()
		k := c.ties
		c.mu.Unlock()
		if k == nil {
			return spent, true
		}
		if spent >= budget {
			return spent, false
		}
		t := k.table
		l.enter(t)
		spent += lookCost + len(t.ranges.all)
		if k.tied && k.client == c {
			if k.req != nil {
				t.end(l, k.req, syscall.EINTR)
			} else {
				t.dropRanges(k.owner)
			}
			t.grant(l)
		}
		l.leave(t)
	}
}

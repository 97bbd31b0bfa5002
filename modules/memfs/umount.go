package memfs

import "github.com/spdk-go/spdk-go/fsdev"

const (
	// umountBudget bounds how much of an UMOUNT is done in one go: some 300 µs, or the freeing of one file. What it is
	// spent on takes some nanoseconds a unit.
	umountBudget = 1 << 15
	closeCost    = 48  // of a handle, or the lookups of a file
	reapCost     = 256 // of a file, beside its pages
)

// umountPart is a part of UMOUNT, whose end it returns: the client's handles are closed, its locks dropped and its
// lookups forgotten.
func (l *lane) umountPart(desc *fsdev.Desc) (done bool) {
	c := l.fs.clientOf(desc)
	if c == nil {
		return true
	}
	l.spent = 0
	if !l.closeHandles(c) || !l.dropLocks(c) {
		return false
	}
	c.gone.Store(true) // of files that have names the lookups are as good as forgotten by that
	if !l.dropOrphans(c) {
		return false
	}
	l.fs.dropClient(c)
	return true
}

// closeHandles closes the handles of a client. It returns false if there are some left.
func (l *lane) closeHandles(c *client) bool {
	for {
		c.mu.Lock()
		h := c.handles
		if h == nil {
			c.mu.Unlock()
			return true
		}
		id := h.id
		c.mu.Unlock()
		if l.spent >= umountBudget {
			return false
		}
		l.closeHandle(id)
	}
}

// dropLocks ends the locks of a client that belong to no handle. It returns false if there are some left.
func (l *lane) dropLocks(c *client) bool {
	spent, done := l.locks.EndClient(c.locks, umountBudget-l.spent)
	l.spent += spent
	return done
}

// dropOrphans drops the lookups of a client that is gone on all files without a name. It returns false if there are
// some left.
func (l *lane) dropOrphans(c *client) bool {
	for l.spent < umountBudget {
		n, cost, done := c.orphans.next(l.fs, c.num)
		if done {
			return true
		}
		l.spent += cost
		if n != nil {
			l.spent += closeCost
			l.dropLookups(n, c.num)
		}
	}
	return false
}

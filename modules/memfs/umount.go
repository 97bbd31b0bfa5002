package memfs

import "github.com/spdk-go/spdk-go/fsdev"

const (
	// umountBudget bounds how much of an UMOUNT is done in one go: some 300 µs, or the freeing of one file. What it is
	// spent on takes some nanoseconds a unit.
	umountBudget = 1 << 15
	closeCost    = 48  // of a handle, or the lookups of a file
	reapCost     = 256 // of a file, beside its pages
)

// umountPart is a part of UMOUNT, whose end it returns: the client's handles are closed and its locks dropped, and
// if no other client is mounted, all lookups are forgotten.
func (l *lane) umountPart(desc *fsdev.Desc) (done bool) {
	c := l.fs.clientOf(desc)
	if c == nil {
		return true
	}
	l.spent = 0
	if !l.closeHandles(c) || !l.dropLocks(c) {
		return false
	}
	if c.mounted {
		c.mounted = false
		c.wasLast = l.fs.endMount()
	}
	if c.wasLast && !l.dropOrphans() {
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

// endMount counts a client less, and ends the epoch, which it says, if that was the last.
func (fs *fileSystem) endMount() (last bool) {
	for {
		m := fs.mounts.Load()
		next := m - 1
		if last = uint32(m) == 1; last {
			next += 1 << 32
		}
		if fs.mounts.CompareAndSwap(m, next) {
			return last
		}
	}
}

// dropOrphans drops the lookups of earlier epochs on all files without a name. It returns false if there are some
// left.
func (l *lane) dropOrphans() bool {
	for i := range l.fs.orphans {
		o := &l.fs.orphans[i]
		for {
			o.mu.Lock()
			n := o.head
			for n != nil && (n.lookups.Load()&lookupMask == 0 || n.lookups.Load()>>lookupBits == l.fs.epoch()) {
				n = n.orphanNext
				l.spent++
			}
			o.mu.Unlock()
			if n == nil {
				break
			}
			l.spent += closeCost
			l.dropStaleLookups(n)
			if l.spent >= umountBudget { // something is done, so this comes to an end
				return false
			}
		}
	}
	return true
}

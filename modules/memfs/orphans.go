package memfs

import "github.com/spdk-go/spdk-go/internal/sys"

const orphanLists = 16

// orphanList holds inodes that have no name but are still referred to, and the marks of who walks through it.
type orphanList struct {
	mu   sys.Spin
	head *inode
	_    [48]byte
}

// keepOrphan lists an inode that has just lost its last name.
func (fs *fileSystem) keepOrphan(n *inode) {
	o := &fs.orphans[n.ino%orphanLists]
	o.mu.Lock()
	o.insert(n, nil)
	o.mu.Unlock()
}

// forgetOrphan takes a dead inode out of its list.
func (fs *fileSystem) forgetOrphan(n *inode) {
	o := &fs.orphans[n.ino%orphanLists]
	o.mu.Lock()
	o.remove(n)
	o.mu.Unlock()
}

// insert puts n behind after, or first if that is nil.
func (o *orphanList) insert(n, after *inode) {
	n.orphaned = true
	n.orphanPrev = after
	if after != nil {
		n.orphanNext = after.orphanNext
		after.orphanNext = n
	} else {
		n.orphanNext = o.head
		o.head = n
	}
	if n.orphanNext != nil {
		n.orphanNext.orphanPrev = n
	}
}

// remove takes n out if it is in the list.
func (o *orphanList) remove(n *inode) {
	if !n.orphaned {
		return
	}
	n.orphaned = false
	if n.orphanPrev != nil {
		n.orphanPrev.orphanNext = n.orphanNext
	} else {
		o.head = n.orphanNext
	}
	if n.orphanNext != nil {
		n.orphanNext.orphanPrev = n.orphanPrev
	}
	n.orphanPrev, n.orphanNext = nil, nil
}

// orphanSteps bounds how far a list is walked through in one go.
const orphanSteps = 64

// orphanWalk is a walk through all lists, for the files that a client has lookups of. Its mark is in the list behind
// what has been visited, so that it finds on however the list changes. Who comes in front of it need not be visited:
// the client was not mounted any more, see lostName.
type orphanWalk struct {
	mark inode // no file
	list int
}

// next returns a file of which client num has lookups, nil if it has come to none, and whether the walk is at its end.
// The cost is one for each step.
func (w *orphanWalk) next(fs *fileSystem, num uint64) (n *inode, cost int, done bool) {
	if w.list == orphanLists {
		return nil, 0, true
	}
	o := &fs.orphans[w.list]
	o.mu.Lock()
	defer o.mu.Unlock()
	at, last := o.head, (*inode)(nil)
	if w.mark.orphaned {
		at = w.mark.orphanNext
		o.remove(&w.mark)
	}
	for ; at != nil && cost < orphanSteps; at = at.orphanNext {
		cost++
		if last = at; at.holds.areOf(num) {
			n = at
			break
		}
	}
	if last == nil { // the end of the list
		w.list++
		return nil, 1, w.list == orphanLists
	}
	o.insert(&w.mark, last)
	return n, cost, false
}

package fuzz

import (
	"math"
	"slices"
	"syscall"
)

// flockKey is who has an flock(2) lock: an open file.
type flockKey struct {
	client int
	fh     uint64
	id     uint64
}

// owner is who has byte-range locks.
type owner struct {
	client int
	id     uint64
}

// lockRange is a byte-range lock; end is included.
type lockRange struct {
	start, end uint64
	typ        uint32
}

// wait is a request that waits for a lock.
type wait struct {
	r     *reply
	n     *node
	fh    uint64
	flock bool
	key   flockKey // if flock
	by    owner    // if not
	lock  lockRange

	interrupted bool // by its client
	ended       bool // what it would go with has been closed
}

// pid is whom GETLK names for an owner.
func (o owner) pid() uint32 { return uint32(1000*(1+o.client)) + uint32(o.id%1000) }

func (l lockRange) meets(o lockRange) bool {
	return l.start <= o.end && o.start <= l.end && (l.typ == syscall.F_WRLCK || o.typ == syscall.F_WRLCK)
}

// blockers returns the owners that keep by from getting a lock.
func (n *node) blockers(by owner, l lockRange) (who []owner) {
	if l.typ == syscall.F_UNLCK {
		return nil
	}
	for o, list := range n.ranges {
		if o != by && slices.ContainsFunc(list, l.meets) {
			who = append(who, o)
		}
	}
	return who
}

// assign gives an owner a lock, or takes it away, and joins what touches.
func (n *node) assign(by owner, l lockRange) {
	var list []lockRange
	for _, o := range n.ranges[by] {
		if o.end < l.start || o.start > l.end {
			list = append(list, o)
			continue
		}
		if o.start < l.start {
			list = append(list, lockRange{o.start, l.start - 1, o.typ})
		}
		if o.end > l.end {
			list = append(list, lockRange{l.end + 1, o.end, o.typ})
		}
	}
	if l.typ != syscall.F_UNLCK {
		list = append(list, l)
	}
	slices.SortFunc(list, func(a, b lockRange) int {
		if a.start < b.start {
			return -1
		}
		return 1
	})
	var joined []lockRange
	for _, o := range list {
		if k := len(joined); k > 0 && joined[k-1].typ == o.typ && joined[k-1].end+1 == o.start {
			joined[k-1].end = o.end
			continue
		}
		joined = append(joined, o)
	}
	if n.ranges == nil {
		n.ranges, n.ties = map[owner][]lockRange{}, map[owner]uint64{}
	}
	if len(joined) == 0 {
		delete(n.ranges, by)
		delete(n.ties, by)
		return
	}
	n.ranges[by] = joined
}

// flockable says whether nobody else's flock(2) lock is in the way.
func (n *node) flockable(k flockKey, exclusive bool) bool {
	for o, x := range n.flocks {
		if o != k && (x || exclusive) {
			return false
		}
	}
	return true
}

func (n *node) setFlock(k flockKey, exclusive bool) {
	if n.flocks == nil {
		n.flocks = map[flockKey]bool{}
	}
	n.flocks[k] = exclusive
}

// endHandle ends the locks that go with a handle.
func (n *node) endHandle(h *handle) {
	for k := range n.flocks {
		if k.fh == h.fh {
			delete(n.flocks, k)
		}
	}
	for o, fh := range n.ties {
		if fh == h.fh {
			delete(n.ranges, o)
			delete(n.ties, o)
		}
	}
}

// endClient ends the locks of a client on n.
func (n *node) endClient(client int) {
	for k := range n.flocks {
		if k.client == client {
			delete(n.flocks, k)
		}
	}
	for o := range n.ranges {
		if o.client == client {
			delete(n.ranges, o)
			delete(n.ties, o)
		}
	}
}

// free says whether nothing keeps w waiting.
func (w *wait) free() bool {
	if w.flock {
		return w.n.flockable(w.key, w.lock.typ == syscall.F_WRLCK)
	}
	return len(w.n.blockers(w.by, w.lock)) == 0
}

// grant gives w what it waits for.
func (w *wait) grant() {
	if w.flock {
		w.n.setFlock(w.key, w.lock.typ == syscall.F_WRLCK)
		return
	}
	w.n.assign(w.by, w.lock)
	w.n.ties[w.by] = w.fh
}

// leave takes w out of those that wait.
func (m *model) leave(w *wait) {
	m.waits = slices.DeleteFunc(m.waits, func(o *wait) bool { return o == w })
	w.n.waiting--
	w.n.settle()
}

// inCircle says whether an owner that waits for a lock would wait for itself.
func (m *model) inCircle(by owner, n *node, l lockRange) bool {
	seen := map[owner]bool{}
	todo := n.blockers(by, l)
	for len(todo) > 0 {
		o := todo[0]
		todo = todo[1:]
		if o == by {
			return true
		}
		if seen[o] {
			continue
		}
		seen[o] = true
		for _, w := range m.waits {
			if !w.flock && w.by == o {
				todo = append(todo, w.n.blockers(o, w.lock)...)
			}
		}
	}
	return false
}

// mustBeGranted says whether w can wait no longer. Of those that wait for one flock(2)
// lock the first has to get it when it is free; whether others overtake one who has to wait on is not said anywhere.
func (m *model) mustBeGranted(w *wait) bool {
	if !w.free() {
		return false
	}
	if w.flock {
		for _, o := range m.waits {
			if o == w {
				break
			}
			if o.flock && o.n == w.n {
				return false
			}
		}
	}
	return true
}

// firstBlocking returns what GETLK may answer: of each owner in the way the first lock, as far as it begins first.
func (n *node) firstBlocking(by owner, l lockRange) map[lockRange][]owner {
	first := uint64(math.MaxUint64)
	found := map[lockRange][]owner{}
	for _, o := range n.blockers(by, l) {
		for _, r := range n.ranges[o] {
			if r.meets(l) {
				found[r] = append(found[r], o)
				first = min(first, r.start)
				break
			}
		}
	}
	for r := range found {
		if r.start != first {
			delete(found, r)
		}
	}
	return found
}

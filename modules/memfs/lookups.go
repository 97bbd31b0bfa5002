package memfs

import (
	"sync/atomic"

	"github.com/spdk-go/spdk-go/fsdev"
)

// The lookups that a client holds on an inode are a word: its number << lookupBits | how many. A word whose count is
// not zero has one reference to the inode. Nobody locks anything: a client finds its word, or takes one that is free,
// or adds one, and nobody else changes it while the client is there. (Threads of one client may take one each. That
// does no harm: what counts is the sum.)
//
// When a client unmounts its number is not used again until all others have been, and its words are as good as free
// without anybody having to visit every inode: who takes one has its reference, too.
const (
	lookupBits = 40
	lookupMask = 1<<lookupBits - 1
	numberMask = 1<<(64-lookupBits) - 1
)

// hold is the lookups of one client on an inode.
type hold struct {
	word atomic.Uint64
	next *hold // fixed once the hold is in a list
}

// holds is the lookups of an inode. Most files are known to one client only.
type holds struct {
	first atomic.Uint64        // the word of a hold
	more  atomic.Pointer[hold] // the newest first; none is ever taken out
}

// each calls fn for each word until it returns true, and says whether it has.
func (s *holds) each(fn func(w *atomic.Uint64) bool) bool {
	if fn(&s.first) {
		return true
	}
	for h := s.more.Load(); h != nil; h = h.next {
		if fn(&h.word) {
			return true
		}
	}
	return false
}

// addLookup counts a lookup of the client on whose behalf the lane works. The caller sees to it that n has a reference
// all the while.
func (l *lane) addLookup(n *inode) {
	if n == l.fs.root {
		return
	}
	num := l.client.num
	if !addTo(&n.holds.first, num) {
		l.addElsewhere(n, num)
	}
}

// addTo counts a lookup of a client in a word that is its own, and says whether it is.
func addTo(w *atomic.Uint64, num uint64) bool {
	for {
		v := w.Load()
		if v>>lookupBits != num || v&lookupMask == 0 {
			return false
		}
		if v&lookupMask == lookupMask || w.CompareAndSwap(v, v+1) { // more than that nobody can tell
			return true
		}
	}
}

func (l *lane) addElsewhere(n *inode, num uint64) {
	isMine := func(w *atomic.Uint64) bool { return addTo(w, num) }
	isFree := func(w *atomic.Uint64) bool { return l.take(n, w, num) }
	if n.holds.each(isMine) || n.holds.each(isFree) {
		return
	}
	n.refs.Add(1)
	h := new(hold)
	h.word.Store(num<<lookupBits | 1)
	for {
		h.next = n.holds.more.Load()
		if n.holds.more.CompareAndSwap(h.next, h) {
			return
		}
	}
}

// take makes a word of n, if nobody needs it, one lookup of a client, and says whether it has.
func (l *lane) take(n *inode, w *atomic.Uint64, num uint64) bool {
	v := w.Load()
	if v&lookupMask == 0 {
		n.refs.Add(1)
		if w.CompareAndSwap(v, num<<lookupBits|1) {
			return true
		}
		n.refs.Add(-1) // not the last, since the caller has one
		return false
	}
	return !l.fs.isMounted(v>>lookupBits) && w.CompareAndSwap(v, num<<lookupBits|1)
}

// forget is FORGET: it drops k lookups of the client, or as many as it has. The root has any number.
func (l *lane) forget(obj fsdev.FileObject, k uint64) {
	n := l.fs.objects.Get(uint64(obj))
	if n == nil || n == l.fs.root || l.client == nil {
		return
	}
	num := l.client.num
	k, last := dropFrom(&n.holds.first, num, k)
	for h := n.holds.more.Load(); h != nil && k > 0; h = h.next {
		var isLast bool
		if k, isLast = dropFrom(&h.word, num, k); isLast {
			l.put(n)
		}
	}
	if last {
		l.put(n)
	}
}

// dropFrom drops k lookups of a client from a word if it is its own, and returns how many are left to be dropped, and
// whether the word's reference is the caller's to put.
func dropFrom(w *atomic.Uint64, num, k uint64) (left uint64, last bool) {
	for {
		v := w.Load()
		count := v & lookupMask
		if v>>lookupBits != num || count == 0 || k == 0 {
			return k, false
		}
		if drop := min(k, count); w.CompareAndSwap(v, v-drop) {
			return k - drop, drop == count
		}
	}
}

// dropStaleLookups drops the lookups of clients that have unmounted, for a file that nobody can look up any more.
func (l *lane) dropStaleLookups(n *inode) {
	n.holds.each(func(w *atomic.Uint64) bool {
		if v := w.Load(); v&lookupMask != 0 && !l.fs.isMounted(v>>lookupBits) && w.CompareAndSwap(v, 0) {
			l.put(n)
		}
		return false
	})
}

// dropLookups drops all lookups of a client.
func (l *lane) dropLookups(n *inode, num uint64) {
	n.holds.each(func(w *atomic.Uint64) bool {
		if _, last := dropFrom(w, num, lookupMask); last {
			l.put(n)
		}
		return false
	})
}

// areOf says whether some lookups are a client's.
func (s *holds) areOf(num uint64) bool {
	isMine := func(w *atomic.Uint64) bool { v := w.Load(); return v>>lookupBits == num && v&lookupMask != 0 }
	return s.each(isMine)
}

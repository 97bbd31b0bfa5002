package aio

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/internal/sys"
)

// watchedNode is what the watcher has to know of a node.
type watchedNode struct {
	hash  uint64        // of its file handle; 0 if it has none
	same  *node         // another one with the same hash
	again bool          // in watcher.again; the watcher's
	since atomic.Uint64 // ticks when it was found, or when a client came to know it, whichever is later
}

// isFresh says whether a node has become known only just now: who looks it up may not know it yet when he is told of a
// change, and then learn what was true before.
func (w *watcher) isFresh(n *node) bool { return sys.Ticks()-n.watched.since.Load() < w.fresh.Load() }

const fidShards = 1 << 8

// fidTable finds nodes by the hashes of their file handles. Of several mounts of a file each is a node.
type fidTable struct {
	shards [fidShards]fidShard
}

type fidShard struct {
	mu sys.Spin
	m  map[uint64]*node
	_  [40]byte
}

func (t *fidTable) init() {
	for i := range t.shards {
		t.shards[i].m = make(map[uint64]*node)
	}
}

func (t *fidTable) shard(hash uint64) *fidShard { return &t.shards[hash%fidShards] }

func (t *fidTable) add(n *node) {
	s := t.shard(n.watched.hash)
	s.mu.Lock()
	n.watched.same = s.m[n.watched.hash]
	s.m[n.watched.hash] = n
	s.mu.Unlock()
}

func (t *fidTable) remove(n *node) {
	s := t.shard(n.watched.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	first := s.m[n.watched.hash]
	switch {
	case first != n:
		for p := first; p != nil; p = p.watched.same {
			if p.watched.same == n {
				p.watched.same = n.watched.same
				break
			}
		}
	case n.watched.same != nil:
		s.m[n.watched.hash] = n.watched.same
	default:
		delete(s.m, n.watched.hash)
	}
}

// find appends the nodes of a file to list, each with one more reference.
func (t *fidTable) find(hash uint64, list []*node) []*node {
	if hash == 0 {
		return list
	}
	s := t.shard(hash)
	s.mu.Lock()
	for n := s.m[hash]; n != nil; n = n.watched.same {
		if n.tryRef() {
			list = append(list, n)
		}
	}
	s.mu.Unlock()
	return list
}

// add has the changes of a node told from now on, if there is a watcher. A file system without handles tells of none.
func (w *watcher) add(n *node) {
	if w == nil {
		return
	}
	h, _, err := unix.NameToHandleAt(n.fd, "", unix.AT_EMPTY_PATH)
	if err != nil {
		return
	}
	n.watched.hash = fidHash(w.seed, h.Type(), h.Bytes())
	n.watched.since.Store(sys.Ticks())
	w.nodes.add(n)
}

func (w *watcher) remove(n *node) {
	if w != nil && n.watched.hash != 0 {
		w.nodes.remove(n)
	}
}

// settle has the attributes of a node that has just been found read again: of what has changed between the first time
// and the add, nobody is told.
func (w *watcher) settle(n *node, st *unix.Statx_t) {
	if w != nil && w.isFresh(n) {
		_ = sys.Statx(n.fd, empty, statxAt|unix.AT_STATX_DONT_SYNC, statxMask, st)
	}
}

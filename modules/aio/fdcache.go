package aio

import (
	"math/bits"

	"github.com/spdk-go/spdk-go/internal/sys"
)

// fdCache bounds how many descriptors there are of nodes that are held by names. It forgets the one that was not used
// for the longest time, roughly: a clock in each of its shards, which a node is in by its key.
type fdCache struct {
	shards []fdShard // as many as a power of two
}

type fdShard struct {
	mu    sys.Spin
	hand  int
	nodes []*node // nil: free
	free  []int32 // of nodes
	_     [64]byte
}

const (
	noSlot      = -1
	maxFDShards = 64
	minFDShard  = 8 // descriptors
)

func (c *fdCache) init(limit int) {
	n := min(maxFDShards, 1<<(bits.Len(uint(max(limit/minFDShard, 1)))-1))
	c.shards = make([]fdShard, n)
	for i := range c.shards {
		s := &c.shards[i]
		size := max(1, limit/n)
		s.nodes = make([]*node, size)
		s.free = make([]int32, size)
		for k := range s.free {
			s.free[k] = int32(size - 1 - k)
		}
	}
}

func (c *fdCache) shard(n *node) *fdShard { return &c.shards[n.key.hash()>>32&uint64(len(c.shards)-1)] }

// add takes up a node that has got a descriptor, and returns one that has to go for it, or -1. If all others are in use
// it is the new one itself that has to go, once it is not.
func (c *fdCache) add(n *node) (left int) {
	s := c.shard(n)
	s.mu.Lock()
	defer s.mu.Unlock()
	left = -1
	if len(s.free) == 0 {
		left = s.evict()
	}
	if len(s.free) == 0 {
		n.name.slot.Store(noSlot)
		return -1
	}
	i := s.free[len(s.free)-1]
	s.free = s.free[:len(s.free)-1]
	s.nodes[i] = n
	n.name.slot.Store(i)
	return left
}

// evict makes room and returns the descriptor that had it, -1 if all are in use. It needs the lock.
func (s *fdShard) evict() int {
	for range 2 * len(s.nodes) {
		i := s.hand
		if s.hand++; s.hand == len(s.nodes) {
			s.hand = 0
		}
		n := s.nodes[i]
		switch {
		case n == nil:
		case n.name.hot.Load():
			n.name.hot.Store(false)
		default:
			if fd := n.takeFD(); fd >= 0 {
				s.drop(n)
				return fd
			}
		}
	}
	return -1
}

// drop gives up the slot of a node. It needs the lock.
func (s *fdShard) drop(n *node) {
	if i := n.name.slot.Load(); i != noSlot {
		s.nodes[i] = nil
		s.free = append(s.free, i) // has room
		n.name.slot.Store(noSlot)
	}
}

// remove takes out a node that is about to end.
func (c *fdCache) remove(n *node) {
	s := c.shard(n)
	s.mu.Lock()
	s.drop(n)
	s.mu.Unlock()
}

// shed closes some descriptors that are not in use, because the process has no more of them, and says whether there
// were any. It may wait.
func (a *Aio) shed() bool {
	const perShard = 4
	n := 0
	for i := range a.fds.shards {
		s := &a.fds.shards[i]
		for range perShard {
			s.mu.Lock()
			fd := s.evict()
			s.mu.Unlock()
			if fd < 0 {
				break
			}
			_ = sys.Close(fd)
			n++
		}
	}
	return n > 0
}

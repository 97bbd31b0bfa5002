package locks

import (
	"math/rand/v2"

	"github.com/spdk-go/spdk-go/internal/sys"
)

// waitGraph knows which owner of byte-range locks waits for which, in all files of a device: who would
// wait for itself in a circle is refused. As in Linux, an owner that waits several times, which takes several
// threads, is taken to wait for what it came to wait for last, and of several owners that are in the way the
// first counts; the others are looked at when it has gone.
type waitGraph struct {
	factor  uint64 // odd, random: clients choose the numbers of owners
	mu      sys.Spin
	n       int // how many wait
	buckets [256]*rangeRequest
}

func (g *waitGraph) init() { g.factor = rand.Uint64() | 1 }

// ownerKey says whose a byte-range lock is: for a client that is a kernel, a process.
type ownerKey struct {
	client *Client
	id     uint64
}

func (g *waitGraph) bucket(k ownerKey) **rangeRequest {
	h := (k.id ^ k.client.num<<32) * g.factor
	return &g.buckets[h>>56]
}

// newest returns the newest request that has owner k wait, nil if k does not wait.
func (g *waitGraph) newest(k ownerKey) *rangeRequest {
	for r := *g.bucket(k); r != nil; r = r.graphNext {
		if r.owner.key == k {
			return r
		}
	}
	return nil
}

// block notes that r, of which nothing is noted yet, waits for the owner by. It refuses if by waits for r's owner,
// itself or through others. Every step to find that out costs.
func (g *waitGraph) block(r *rangeRequest, by ownerKey, budget *int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	next := by
	for range g.n + 1 { // there may be a circle without r
		if next == r.owner.key {
			return false
		}
		*budget -= stepCost
		w := g.newest(next)
		if w == nil {
			break
		}
		next = w.blocker
	}
	r.inGraph, r.blocker = true, by
	g.n++
	b := g.bucket(r.owner.key)
	r.graphNext = *b
	if r.graphNext != nil {
		r.graphNext.graphPrev = r
	}
	*b = r
	return true
}

// remove forgets whom r waits for, if that is noted.
func (g *waitGraph) remove(r *rangeRequest) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !r.inGraph {
		return
	}
	r.inGraph, r.blocker = false, ownerKey{}
	g.n--
	if r.graphPrev != nil {
		r.graphPrev.graphNext = r.graphNext
	} else {
		*g.bucket(r.owner.key) = r.graphNext
	}
	if r.graphNext != nil {
		r.graphNext.graphPrev = r.graphPrev
	}
	r.graphPrev, r.graphNext = nil, nil
}

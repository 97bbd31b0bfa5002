package aio

import (
	"math/bits"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/internal/locks"
	"github.com/spdk-go/spdk-go/internal/sys"
)

// nodeKey says which file of the host a node is.
type nodeKey struct{ ino, dev, mnt uint64 }

func keyOf(st *unix.Statx_t) nodeKey {
	return nodeKey{st.Ino, uint64(st.Dev_major)<<32 | uint64(st.Dev_minor), st.Mnt_id}
}

// hash scatters keys: inode numbers of one file system are close together.
func (k nodeKey) hash() uint64 {
	h, l := bits.Mul64(k.ino^bits.RotateLeft64(k.dev, 32)^k.mnt<<48, 0x9e3779b97f4a7c15)
	return h ^ l
}

// node is a file that clients know.
type node struct {
	key   nodeKey
	typ   uint32 // S_IFMT bits
	speed speed
	obj   fsdev.FileObject
	fd    int          // O_PATH; see fileName
	name  *fileName    // nil: fd is there as long as the node
	refs  atomic.Int64 // clients that hold lookups, handles, jobs and calls under way; the root has one more
	locks locks.File

	data atomic.Pointer[handle] // what is read and written without a handle, see noopen.go

	cleanUntil atomic.Uint64 // ticks, up to which the file is taken to have no set-ID bits

	mu    sys.Spin
	first hold // the rest is in first.next

	next    *node // in the table
	watched watchedNode
	closing closing
}

// hold is how many lookups a client has of a node.
type hold struct {
	client *client
	n      uint64
	next   *hold
}

func (n *node) isDir() bool { return n.typ == unix.S_IFDIR }

// tryRef adds a reference unless there is none left.
func (n *node) tryRef() bool {
	for {
		v := n.refs.Load()
		if v == 0 {
			return false
		}
		if n.refs.CompareAndSwap(v, v+1) {
			return true
		}
	}
}

// get returns the node of an object with one more reference, nil if it is stale.
func (a *Aio) get(obj fsdev.FileObject) *node {
	n := a.objects.Get(uint64(obj))
	if n == nil || !n.tryRef() {
		return nil
	}
	return n
}

// put takes a reference away. The last one ends the node.
func (a *Aio) put(n *node) {
	if n.refs.Add(-1) == 0 {
		a.endData(n)
		a.objects.Free(uint64(n.obj))
		a.nodes.remove(n)
		a.locks.EndFile(&n.locks)
		a.watch.remove(n)
		a.letGo(n)
	}
}

// letGo closes the descriptor of a node that nobody refers to.
func (a *Aio) letGo(n *node) {
	n.closing.fd = n.fd
	if m := n.name; m != nil {
		a.fds.remove(n)
		n.closing.fd = n.takeFD()
		defer a.putMount(m.mount)
	}
	if n.closing.fd >= 0 {
		a.pool.close(&n.closing)
	}
}

// addLookup counts a lookup of a client. The caller has a reference.
func (a *Aio) addLookup(n *node, c *client) {
	if n == a.root {
		return
	}
	var spare *hold
	for {
		n.mu.Lock()
		h := n.holdOf(c)
		if h == nil && spare != nil {
			spare.next = n.first.next
			n.first.next = spare
			h = spare
		}
		if h != nil {
			h.client = c
			h.n++
			if h.n == 1 {
				n.refs.Add(1)
				if a.watch != nil {
					n.watched.since.Store(sys.Ticks())
				}
			}
			n.mu.Unlock()
			return
		}
		n.mu.Unlock()
		spare = new(hold)
	}
}

// holdOf returns the hold of a client, or a free one, or nil.
func (n *node) holdOf(c *client) (free *hold) {
	for h := &n.first; h != nil; h = h.next {
		if h.client == c {
			return h
		}
		if h.n == 0 && free == nil {
			free = h
		}
	}
	return free
}

// forget takes k lookups of a client away, or as many as there are.
func (a *Aio) forget(n *node, c *client, k uint64) {
	n.mu.Lock()
	last := false
	if h := n.holdOf(c); h != nil && h.client == c && h.n > 0 && k > 0 {
		h.n -= min(h.n, k)
		if last = h.n == 0; last {
			h.client = nil
		}
	}
	n.mu.Unlock()
	if last {
		a.put(n)
	}
}

// adopt returns the node of the file that fd, an O_PATH descriptor, stands for, with one more reference. It takes fd,
// or, if there is a node already that has another one, says which descriptor is left to be closed. The attributes may
// be read again.
//
// Errors: ENFILE, and those of nameOf (fd is left).
func (a *Aio) adopt(fd int, st *unix.Statx_t, sp speed, mayWait bool) (n *node, left int, errno syscall.Errno) {
	key := keyOf(st)
	hash := key.hash()
	for {
		n = a.nodes.find(key, hash)
		if n != nil && n.pin() { // its descriptor keeps its number from being another file's
			a.unpin(n)
			a.watch.settle(n, st)
			return n, fd, 0
		}
		var h sys.FileHandle
		var m *mount
		if a.o.InodeFileHandles != FileHandlesNever {
			if m, errno = a.nameOf(fd, st, mayWait, &h); errno != 0 {
				if n != nil {
					a.put(n)
				}
				return nil, fd, errno
			}
		}
		if n != nil {
			if m != nil {
				a.putMount(m) // n has it
			}
			if m != nil && n.name.is(&h) {
				if a.giveFD(n, fd) {
					a.unpin(n)
					fd = -1
				}
				return n, fd, 0
			}
			a.nodes.remove(n) // its file is gone, and another one has its number
			a.put(n)
			continue
		}
		n = &node{key: key, typ: uint32(st.Mode) & unix.S_IFMT, speed: sp, fd: fd}
		n.closing.memory = sp == memory
		n.refs.Store(1)
		if m != nil {
			n.name = newFileName(m, &h)
		}
		old, ok := a.addNode(n, hash)
		if !ok || old != nil {
			if m != nil {
				a.putMount(m)
			}
			if !ok {
				return nil, fd, syscall.ENFILE
			}
			a.put(old)
			continue // it may be another one
		}
		if m != nil {
			// Its first user is the caller, so that others have found it without a descriptor until now.
			n.name.pins.Store(1)
			if other := a.fds.add(n); other >= 0 {
				a.pool.close(&closing{fd: other})
			}
			a.unpin(n)
		}
		a.watch.settle(n, st)
		return n, -1, 0
	}
}

// addNode makes a node an object and puts it into the table, unless there is one of its key already, which it returns
// with one more reference, or there are too many objects.
func (a *Aio) addNode(n *node, hash uint64) (old *node, ok bool) {
	id, ok := a.objects.Alloc(n)
	if !ok {
		return nil, false
	}
	n.obj = fsdev.FileObject(id)
	a.watch.add(n) // before others can find it
	if old = a.nodes.insert(n, hash); old != nil {
		a.watch.remove(n)
		a.objects.Free(id)
	}
	return old, true
}

const tableShards = 1 << 10

// nodeTable finds nodes by their keys.
type nodeTable struct {
	shards [tableShards]nodeShard
}

type nodeShard struct {
	mu      sys.Spin
	count   int
	buckets []*node // as many as a power of two
	_       [24]byte
}

func (s *nodeShard) bucket(hash uint64) **node {
	return &s.buckets[hash/tableShards&uint64(len(s.buckets)-1)]
}

// find returns a node with one more reference, nil if there is none.
func (t *nodeTable) find(key nodeKey, hash uint64) *node {
	s := &t.shards[hash%tableShards]
	s.mu.Lock()
	n := s.find(key, hash)
	s.mu.Unlock()
	return n
}

func (s *nodeShard) find(key nodeKey, hash uint64) *node {
	if len(s.buckets) == 0 {
		return nil
	}
	for n := *s.bucket(hash); n != nil; n = n.next {
		if n.key == key && n.tryRef() { // one that is ending is not there any more
			return n
		}
	}
	return nil
}

// insert adds a node, or returns the one that is there, with one more reference.
func (t *nodeTable) insert(n *node, hash uint64) *node {
	s := &t.shards[hash%tableShards]
	var room []*node
	for {
		s.mu.Lock()
		if old := s.find(n.key, hash); old != nil {
			s.mu.Unlock()
			return old
		}
		size := len(s.buckets)
		if s.count < size || len(room) > size {
			break
		}
		s.mu.Unlock()
		room = make([]*node, max(4, 2*size))
	}
	if s.count >= len(s.buckets) {
		s.grow(room)
	}
	b := s.bucket(hash)
	n.next = *b
	*b = n
	s.count++
	s.mu.Unlock()
	return nil
}

func (s *nodeShard) grow(room []*node) {
	old := s.buckets
	s.buckets = room
	for _, n := range old {
		for n != nil {
			next := n.next
			b := s.bucket(n.key.hash())
			n.next = *b
			*b = n
			n = next
		}
	}
}

func (t *nodeTable) remove(n *node) {
	hash := n.key.hash()
	s := &t.shards[hash%tableShards]
	s.mu.Lock()
	if len(s.buckets) > 0 {
		for p := s.bucket(hash); *p != nil; p = &(*p).next {
			if *p == n {
				*p = n.next
				s.count--
				break
			}
		}
	}
	s.mu.Unlock()
}

package aio

import (
	"math"
	"slices"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/internal/locks"
	"github.com/spdk-go/spdk-go/internal/sys"
)

// handle is an open file or directory.
type handle struct {
	node   *node // one reference
	fd     int
	flags  uint32 // of the open
	client *client
	refs   atomic.Int64 // one while it is open, calls and jobs under way
	dir    *dirState    // of a directory
	nodes  bool         // it is node.data, and has no reference to the node
	align  uint32       // of memory, if the file is open with O_DIRECT; else 0

	// RWF_NOWAIT is not for reads, or writes, here.
	slowReads  atomic.Bool
	slowWrites atomic.Bool

	// Guarded by client.mu: links of client.handles, its number, and whether it is in the list.
	prev   *handle
	next   *handle
	id     fsdev.FileHandle
	linked bool
	closed bool

	lock    locks.Handle
	closing closing
}

// client is what an export knows about a descriptor: what has to go when it unmounts.
type client struct {
	desc      *fsdev.Desc
	locks     *locks.Client
	writeback atomic.Bool // the client caches writes
	gone      atomic.Bool // it has unmounted; should it come back it is another one

	mu      sys.Spin
	handles *handle
}

// clientOf returns the client of a descriptor, nil if there is none yet.
func (a *Aio) clientOf(desc *fsdev.Desc) *client {
	for _, c := range *a.clients.Load() {
		if c.desc == desc {
			return c
		}
	}
	return nil
}

// ensureClient returns the client of a descriptor, which may do things without having mounted.
func (a *Aio) ensureClient(desc *fsdev.Desc) *client {
	var made *client
	for {
		if c := a.clientOf(desc); c != nil {
			return c
		}
		if made == nil {
			made = &client{desc: desc, locks: a.locks.NewClient()}
		}
		old := a.clients.Load()
		list := append(slices.Clone(*old), made)
		if a.clients.CompareAndSwap(old, &list) {
			return made
		}
	}
}

func (a *Aio) dropClient(c *client) {
	c.gone.Store(true)
	for {
		old := a.clients.Load()
		list := slices.DeleteFunc(slices.Clone(*old), func(o *client) bool { return o == c })
		if a.clients.CompareAndSwap(old, &list) {
			return
		}
	}
}

// addHandle makes a handle of fd, which it takes. Errors: ENFILE (fd is closed).
func (a *Aio) addHandle(c *client, n *node, fd int, flags uint32) (fsdev.FileHandle, syscall.Errno) {
	h := &handle{node: n, fd: fd, flags: flags, client: c}
	h.refs.Store(1)
	h.closing.memory = n.speed == memory
	if n.isDir() {
		h.dir = new(dirState)
	} else if a.isDirect(c, flags) {
		h.setDirect()
	}
	n.refs.Add(1) // the caller has one
	id, ok := a.handles.Alloc(h)
	if !ok {
		a.put(n)
		_ = unix.Close(fd)
		return 0, syscall.ENFILE
	}
	c.mu.Lock()
	h.id = fsdev.FileHandle(id)
	if !h.closed { // by somebody who guessed its number
		h.linked = true
		h.next = c.handles
		if h.next != nil {
			h.next.prev = h
		}
		c.handles = h
	}
	c.mu.Unlock()
	return h.id, 0
}

// handleOf returns the handle of a request with one more reference. Errors: ESTALE (the object), EBADF.
func (a *Aio) handleOf(desc *fsdev.Desc, obj fsdev.FileObject, id fsdev.FileHandle) (*handle, syscall.Errno) {
	h := a.handles.Get(uint64(id))
	if h != nil && h.node.obj == obj && h.client.desc == desc {
		for {
			v := h.refs.Load()
			if v == 0 {
				break
			}
			if h.refs.CompareAndSwap(v, v+1) {
				return h, 0
			}
		}
	}
	if a.objects.Get(uint64(obj)) == nil {
		return nil, syscall.ESTALE
	}
	return nil, syscall.EBADF
}

// putHandle takes a reference away. The last one closes the file.
func (a *Aio) putHandle(h *handle) {
	if h.refs.Add(-1) == 0 {
		h.closing.fd = h.fd
		a.pool.close(&h.closing)
		if !h.nodes {
			a.put(h.node)
		}
	}
}

// closeHandle ends a handle and says whether it was open: of several that try, one does. Those who waited for locks by
// it are woken in l then.
func (a *Aio) closeHandle(id fsdev.FileHandle, l *locks.Lane) bool {
	h := a.handles.Free(uint64(id))
	if h == nil {
		return false
	}
	c := h.client
	c.mu.Lock()
	h.closed = true
	if h.linked {
		if h.prev != nil {
			h.prev.next = h.next
		} else {
			c.handles = h.next
		}
		if h.next != nil {
			h.next.prev = h.prev
		}
		h.prev, h.next = nil, nil
	}
	c.mu.Unlock()
	l.EndHandle(&h.node.locks, &h.lock)
	a.putHandle(h)
	return true
}

// umount is UMOUNT: it takes away all that a client has.
func (a *Aio) umount(desc *fsdev.Desc, l *locks.Lane) {
	c := a.clientOf(desc)
	if c == nil {
		return
	}
	for {
		c.mu.Lock()
		h := c.handles
		id := fsdev.FileHandle(0)
		if h != nil {
			id = h.id
		}
		c.mu.Unlock()
		if h == nil {
			break
		}
		a.closeHandle(id, l)
	}
	l.EndClient(c.locks, math.MaxInt)
	a.objects.Range(func(_ uint64, n *node) {
		if !n.tryRef() {
			return
		}
		a.forget(n, c, ^uint64(0))
		a.put(n)
	})
	a.dropClient(c)
}

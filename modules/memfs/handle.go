package memfs

import (
	"slices"
	"sync/atomic"
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/internal/locks"
	"github.com/spdk-go/spdk-go/internal/sys"
)

// handle is an open file or directory.
type handle struct {
	node  *inode // one reference
	flags uint32 // of the open
	owner *client

	// Guarded by owner.mu: links of owner.handles, its number, and whether it is in the list.
	prev   *handle
	next   *handle
	id     fsdev.FileHandle
	linked bool
	closed bool

	lock locks.Handle
}

// client is what a file system knows about a descriptor: what has to go when it unmounts.
type client struct {
	desc      *fsdev.Desc
	num       uint64 // of lookupBits less than 64, that no other client has
	locks     *locks.Client
	writeback bool        // written by mount. The client caches writes: it resolves O_APPEND itself.
	gone      atomic.Bool // it unmounts, or has; should it come back it is another one
	orphans   orphanWalk  // umountPart's

	mu      sys.Spin
	handles *handle
}

// clientOf returns the client of a descriptor, nil if there is none yet.
func (fs *fileSystem) clientOf(desc *fsdev.Desc) *client {
	for _, c := range *fs.clients.Load() {
		if c.desc == desc {
			return c
		}
	}
	return nil
}

// ensureClient returns the client of a descriptor, which may use handles without having mounted.
func (fs *fileSystem) ensureClient(desc *fsdev.Desc) *client {
	var made *client
	for {
		if c := fs.clientOf(desc); c != nil {
			return c
		}
		if made == nil {
			made = &client{desc: desc, locks: fs.locks.NewClient()}
		}
		old := fs.clients.Load()
		for made.num == 0 || slices.ContainsFunc(*old, func(c *client) bool { return c.num == made.num }) {
			made.num = fs.numbers.Add(1) & numberMask
		}
		list := append(slices.Clone(*old), made)
		if fs.clients.CompareAndSwap(old, &list) {
			return made
		}
	}
}

// isMounted says whether there is a client of a number, which is not about to go.
func (fs *fileSystem) isMounted(num uint64) bool {
	for _, c := range *fs.clients.Load() {
		if c.num == num {
			return !c.gone.Load()
		}
	}
	return false
}

// as has the following operations be those of a descriptor. It remembers the last one.
func (l *lane) as(desc *fsdev.Desc) {
	if c := l.client; c == nil || c.desc != desc || c.gone.Load() {
		l.client = l.fs.ensureClient(desc)
	}
}

// dropClient forgets a client.
func (fs *fileSystem) dropClient(c *client) {
	for {
		old := fs.clients.Load()
		list := slices.DeleteFunc(slices.Clone(*old), func(o *client) bool { return o == c })
		if fs.clients.CompareAndSwap(old, &list) {
			return
		}
	}
}

// mount is MOUNT: it returns the root. Mounting again changes the options only.
func (l *lane) mount(desc *fsdev.Desc, writeback bool) fsdev.FileObject {
	l.as(desc)
	l.client.writeback = writeback
	return l.fs.root.obj
}

// open makes a handle for n, which the caller has locked.
// Errors: ENFILE, ESTALE (n lost its last reference).
func (l *lane) open(desc *fsdev.Desc, n *inode, flags uint32) (fsdev.FileHandle, syscall.Errno) {
	h := &handle{node: n, flags: flags, owner: l.fs.ensureClient(desc)}
	if !n.tryRef() {
		return 0, syscall.ESTALE
	}
	id, ok := l.fs.handles.Alloc(h)
	if !ok {
		l.put(n)
		return 0, syscall.ENFILE
	}
	c := h.owner
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
	return fsdev.FileHandle(id), 0
}

// closeHandle closes a handle and says whether it was open: of several that try, one does.
func (l *lane) closeHandle(id fsdev.FileHandle) bool {
	h := l.fs.handles.Free(uint64(id))
	if h == nil {
		return false
	}
	l.spent += closeCost
	c := h.owner
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
	}
	c.mu.Unlock()
	l.spent += l.locks.EndHandle(&h.node.locks, &h.lock)
	l.put(h.node)
	return true
}

// handleOf returns the handle of a request on n, nil if the request has none.
// Errors: EBADF for a handle that is not open, or of another file or client.
func (l *lane) handleOf(desc *fsdev.Desc, n *inode, id fsdev.FileHandle) (*handle, syscall.Errno) {
	if id == 0 {
		return nil, 0
	}
	h := l.fs.handles.Get(uint64(id))
	if h == nil || h.node != n || h.owner.desc != desc {
		return nil, syscall.EBADF
	}
	return h, 0
}

// writable says whether writing through h, which may be nil, is allowed. Reading always is: a
// client that caches writes reads what surrounds them through handles opened for writing.
func (h *handle) writable() bool {
	return h == nil || h.flags&syscall.O_ACCMODE != syscall.O_RDONLY
}

// readable says whether a lock for reading can be had through h, which may be nil.
func (h *handle) readable() bool {
	return h == nil || h.flags&syscall.O_ACCMODE != syscall.O_WRONLY
}

// fopen is FOPEN. Errors: errBusy, ESTALE, EISDIR, ELOOP (symbolic link), ENXIO (what is opened
// elsewhere), ENFILE.
func (l *lane) fopen(desc *fsdev.Desc, n *inode, flags uint32) (fsdev.FileHandle, syscall.Errno) {
	switch n.typ {
	case syscall.S_IFREG:
	case syscall.S_IFDIR:
		return 0, syscall.EISDIR
	case syscall.S_IFLNK:
		return 0, syscall.ELOOP
	default:
		return 0, syscall.ENXIO
	}
	if flags&syscall.O_TRUNC == 0 {
		return l.openShared(desc, n, flags)
	}
	if errno := n.lk.lock(); errno != 0 {
		return 0, errno
	}
	defer l.unlock(n)
	return l.openTruncated(desc, n, flags)
}

// opendir is OPENDIR. Errors: errBusy, ESTALE, ENOTDIR, ENFILE.
func (l *lane) opendir(desc *fsdev.Desc, n *inode, flags uint32) (fsdev.FileHandle, syscall.Errno) {
	if !n.isDir() {
		return 0, syscall.ENOTDIR
	}
	return l.openShared(desc, n, flags)
}

func (l *lane) openShared(desc *fsdev.Desc, n *inode, flags uint32) (fsdev.FileHandle, syscall.Errno) {
	if errno := n.lk.rlock(l.insist); errno != 0 {
		return 0, errno
	}
	id, errno := l.open(desc, n, flags)
	l.runlock(n)
	return id, errno
}

// openTruncated opens n, which the caller has locked for writing, and obeys O_TRUNC.
func (l *lane) openTruncated(desc *fsdev.Desc, n *inode, flags uint32) (fsdev.FileHandle, syscall.Errno) {
	id, errno := l.open(desc, n, flags)
	if errno != 0 {
		return 0, errno
	}
	if flags&syscall.O_TRUNC != 0 {
		if flags&fsdev.FlagKillSuidgid != 0 {
			n.killSuidgid()
		}
		l.dropCapability(n)
		n.file.truncate(l.fs, 0)
		n.changed(l.fs.clock())
	}
	return id, 0
}

// release is RELEASE and RELEASEDIR. Errors: EBADF.
func (l *lane) release(desc *fsdev.Desc, n *inode, id fsdev.FileHandle) syscall.Errno {
	h, errno := l.handleOf(desc, n, id)
	if errno != 0 {
		return errno
	}
	if h == nil || !l.closeHandle(id) {
		return syscall.EBADF
	}
	return 0
}

// createOpen is CREATE: it makes a regular file, or opens the one that exists unless O_EXCL is set.
// Errors: those of lane.create and lane.fopen.
func (l *lane) createOpen(desc *fsdev.Desc, parent fsdev.FileObject, name []byte, c *creation, flags uint32,
	out *fsdev.Attr) (fsdev.FileObject, fsdev.FileHandle, syscall.Errno) {
	d, errno := l.getDir(parent)
	if errno != 0 {
		return 0, 0, errno
	}
	if errno := checkName(name, syscall.EISDIR); errno != 0 {
		return 0, 0, errno
	}
	if errno := c.prepare(); errno != 0 {
		return 0, 0, errno
	}
	if errno := d.lk.lock(); errno != 0 {
		return 0, 0, errno
	}
	defer l.unlock(d)
	if e := d.dir.names[string(name)]; e != nil {
		return l.createExisting(desc, e.node, flags, out)
	}
	mtime, ctime := d.mtime, d.ctime
	n, errno := l.makeIn(d, name, c)
	if errno != 0 {
		return 0, 0, errno
	}
	defer l.unlock(n)
	id, errno := l.open(desc, n, flags)
	if errno != 0 { // as if nothing had happened
		d.dir.remove(d.dir.names[string(name)])
		d.mtime, d.ctime = mtime, ctime
		l.lostName(d, n, n.ctime)
		return 0, 0, errno
	}
	n.fillAttr(out)
	l.addLookup(n)
	return n.obj, id, 0
}

// createExisting is CREATE where there is a file already.
func (l *lane) createExisting(desc *fsdev.Desc, n *inode, flags uint32,
	out *fsdev.Attr) (fsdev.FileObject, fsdev.FileHandle, syscall.Errno) {
	switch {
	case flags&syscall.O_EXCL != 0:
		return 0, 0, syscall.EEXIST
	case n.isDir():
		return 0, 0, syscall.EISDIR
	case n.typ == syscall.S_IFLNK:
		return 0, 0, syscall.ELOOP
	case n.typ != syscall.S_IFREG:
		return 0, 0, syscall.ENXIO
	}
	if errno := n.lk.lock(); errno != 0 {
		return 0, 0, errno
	}
	defer l.unlock(n)
	id, errno := l.openTruncated(desc, n, flags)
	if errno != 0 {
		return 0, 0, errno
	}
	n.fillAttr(out)
	l.addLookup(n)
	return n.obj, id, 0
}

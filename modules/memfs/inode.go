package memfs

import (
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/internal/locks"
)

// rootIno is the inode number of the root directory.
const rootIno = 1

// stamp is a point in time as the wire has it.
type stamp struct {
	sec  uint64
	nsec uint32
}

func stampOf(t time.Time) stamp { return stamp{uint64(t.Unix()), uint32(t.Nanosecond())} }

// before compares as signed seconds, which is what user space makes of them.
func (s stamp) before(o stamp) bool {
	return int64(s.sec) < int64(o.sec) || s.sec == o.sec && s.nsec < o.nsec
}

// inode is a file of any type. It lives as long as anything refers to it: a name (all names
// together are one reference, taken while nlink > 0), a client's lookups, an open handle, a
// request that waits for a lock. When refs drops to zero the inode is dead, its object stale,
// and its space free.
type inode struct {
	lk  tryLock
	typ uint32 // S_IFMT bits, fixed
	ino uint64
	obj fsdev.FileObject

	born int64 // nanoseconds since the epoch, fixed

	refs  atomic.Int64
	holds holds // the clients' lookups

	// seen is the time of the last read in nanoseconds since the epoch if it is later
	// than atime, else zero. Readers write it, who share the lock.
	seen atomic.Int64

	// Guarded by lk.
	perm  uint32 // the permission bits of the mode
	uid   uint32
	gid   uint32
	nlink uint32
	rdev  uint32
	atime stamp
	mtime stamp
	ctime stamp

	file   *fileMap   // regular files
	dir    *directory // directories
	target []byte     // symbolic links, fixed
	xattrs *xattrs    // nil: none yet

	locks locks.File // has a lock of its own

	linkable bool // a file without a name may get one; guarded by lk

	// Links of the list of files without a name, guarded by that list's lock.
	orphaned   bool
	orphanPrev *inode
	orphanNext *inode
}

// regularInode is a regular file in one allocation.
type regularInode struct {
	inode
	data fileMap
}

// dirInode is a directory in one allocation.
type dirInode struct {
	inode
	data directory
}

// newInode makes an inode with one reference, which is the name that it is about to get. It is
// not visible to anybody, except that a client could guess its object; therefore it is
// returned locked. Errors: ENOSPC when the file system has all the inodes it may have.
func (l *lane) newInode(typ, perm, uid, gid uint32) (*inode, syscall.Errno) {
	fs := l.fs
	if !fs.takeInodes(1) {
		return nil, syscall.ENOSPC
	}
	var n *inode
	switch typ {
	case syscall.S_IFREG:
		r := new(regularInode)
		n, r.file = &r.inode, &r.data
	case syscall.S_IFDIR:
		d := new(dirInode)
		n, d.dir = &d.inode, &d.data
		d.data.names = make(map[string]*dirent)
	default:
		n = new(inode)
	}
	n.lk.lock()
	born := fs.now()
	now := stampOf(born)
	n.typ, n.perm, n.uid, n.gid = typ, perm&0o7777, uid, gid
	n.ino, n.born = fs.lastIno.Add(1), born.UnixNano()
	n.atime, n.mtime, n.ctime = now, now, now
	n.nlink = 1
	n.refs.Store(1)
	obj, ok := fs.objects.Alloc(n)
	if !ok {
		fs.putInodes(1)
		return nil, syscall.ENOSPC
	}
	n.obj = fsdev.FileObject(obj)
	return n, 0
}

// get returns the inode of an object, without a reference. What it finds may die at any moment
// until it is locked. Errors: ESTALE.
func (l *lane) get(obj fsdev.FileObject) (*inode, syscall.Errno) {
	if n := l.fs.objects.Get(uint64(obj)); n != nil {
		return n, 0
	}
	return nil, syscall.ESTALE
}

// getDir is get for directories. Errors: ESTALE, ENOTDIR.
func (l *lane) getDir(obj fsdev.FileObject) (*inode, syscall.Errno) {
	n, errno := l.get(obj)
	if errno == 0 && n.typ != syscall.S_IFDIR {
		return nil, syscall.ENOTDIR
	}
	return n, errno
}

func (n *inode) isDir() bool { return n.typ == syscall.S_IFDIR }

// wantRegular returns the errno of an operation on data if n has none.
func (n *inode) wantRegular() syscall.Errno {
	switch n.typ {
	case syscall.S_IFREG:
		return 0
	case syscall.S_IFDIR:
		return syscall.EISDIR
	}
	return syscall.EINVAL
}

// unlock and runlock let go of an inode's lock, and of the inode if it died meanwhile.
func (l *lane) unlock(n *inode) {
	if n.lk.unlock() {
		l.reap(n)
	}
}

func (l *lane) runlock(n *inode) {
	if n.lk.runlock() {
		l.reap(n)
	}
}

// tryRef takes a reference unless there is none left, in which case n is as good as dead.
func (n *inode) tryRef() bool {
	for {
		r := n.refs.Load()
		if r == 0 {
			return false
		}
		if n.refs.CompareAndSwap(r, r+1) {
			return true
		}
	}
}

// put drops a reference. If it was the last, the inode dies now, or when whoever has it locked
// lets go.
func (l *lane) put(n *inode) {
	if n.refs.Add(-1) == 0 && n.lk.kill() {
		l.reap(n)
	}
}

// reap frees a dead inode that nobody has locked.
func (l *lane) reap(n *inode) {
	fs := l.fs
	l.spent += reapCost
	fs.objects.Free(uint64(n.obj))
	fs.forgetOrphan(n)
	l.locks.EndFile(&n.locks)
	if n.file != nil {
		freed := n.file.release(fs.arena, 0, 1<<63>>pageShift, false)
		fs.unreserve(freed)
		l.spent += int(freed)
	}
	if n.xattrs != nil {
		fs.unreserve(n.xattrs.pages())
		n.xattrs = nil
	}
	fs.unreserve(targetPages(n.target))
	fs.putInodes(1)
}

// fillAttr stores the attributes of n, which the caller has locked.
func (n *inode) fillAttr(a *fsdev.Attr) {
	atime := n.lastRead()
	*a = fsdev.Attr{
		Ino:       n.ino,
		Mode:      n.typ | n.perm,
		Nlink:     n.nlink,
		UID:       n.uid,
		GID:       n.gid,
		Rdev:      n.rdev,
		Blksize:   pageSize,
		Atime:     atime.sec,
		AtimeNsec: atime.nsec,
		Mtime:     n.mtime.sec,
		MtimeNsec: n.mtime.nsec,
		Ctime:     n.ctime.sec,
		CtimeNsec: n.ctime.nsec,
	}
	switch {
	case n.file != nil:
		a.Size = n.file.size
		a.Blocks = n.file.blocks * (pageSize / 512)
	case n.dir != nil:
		a.Size = uint64(len(n.dir.names)) * direntSize
	default:
		a.Size = uint64(len(n.target))
		a.Blocks = targetPages(n.target) * (pageSize / 512)
	}
}

// lastRead returns the access time. The caller has n locked.
func (n *inode) lastRead() stamp {
	if seen := n.seen.Load(); seen != 0 {
		return stampOf(time.Unix(0, seen))
	}
	return n.atime
}

// touch notes that the file was read, by the rule of relatime: only if nobody has read it since
// it last changed. The caller has n locked, for reading at least. h may be nil.
func (n *inode) touch(fs *fileSystem, h *handle) {
	if last := n.lastRead(); n.mtime.before(last) && n.ctime.before(last) {
		return
	}
	if h != nil && h.flags&syscall.O_NOATIME != 0 {
		return
	}
	n.seen.Store(fs.now().UnixNano())
}

// getattr is GETATTR.
func (l *lane) getattr(n *inode, out *fsdev.Attr) syscall.Errno {
	if errno := n.lk.rlock(l.insist); errno != 0 {
		return errno
	}
	n.fillAttr(out)
	l.runlock(n)
	return 0
}

package memfs

import (
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/internal/locks"
)

// fileSystem is one file system, without anything that asks for a reactor: its operations are
// the methods of lane.
type fileSystem struct {
	arena   *arena
	objects *fsdev.HandleTable[inode]
	handles *fsdev.HandleTable[handle]
	root    *inode
	now     func() time.Time

	pages     int64 // that may be charged
	maxInodes int64

	_       [64]byte
	used    atomic.Int64 // pages charged
	_       [64]byte
	inodes  atomic.Int64 // inodes charged: files, and the second and further names of files
	lastIno atomic.Uint64
	_       [64]byte

	locks    *locks.Device             // what the locks of all files have in common
	clients  atomic.Pointer[[]*client] // copied to be changed
	renameLk tryLock                   // while a directory gets another parent
	orphans  [orphanLists]orphanList   // files without a name, by inode number
	lanes    atomic.Int32              // that exist
	numbers  atomic.Uint64             // of clients, given out
}

// lane is what one thread needs to work on a file system: every operation is a method of it.
// A lane is used by one thread at a time; lanes of one file system work concurrently.
type lane struct {
	fs     *fileSystem
	cache  pageCache
	client *client // on whose behalf operations are, see as

	// insist makes readers overlook the wishes of writers. Operations that failed with
	// errBusy before are repeated with it.
	insist bool

	locks locks.Lane // the caller of an operation completes those whose wait has ended, and goes on with it
	spent int        // what closing handles and freeing files has cost, see umountPart

	name [maxName]byte // an entry's name on its way out
	attr fsdev.Attr    // an entry's attributes

	copyIov [1][]byte // what copyPiece reads from
}

// newFileSystem makes a file system with an empty root directory. o has its defaults set.
func newFileSystem(o *Opts) (*fileSystem, error) {
	fs := &fileSystem{
		pages:     int64(o.Size >> pageShift),
		maxInodes: int64(o.Inodes),
		objects:   fsdev.NewHandleTable[inode](int(o.Inodes)),
		handles:   fsdev.NewHandleTable[handle](int(o.Handles)),
		locks:     locks.NewDevice(o.Locks, o.LockWaiters),
		now:       time.Now,
	}
	var err error
	if fs.arena, err = newArena(fs.pages, !o.NoHugePages); err != nil {
		return nil, err
	}
	fs.clients.Store(new([]*client))
	l := lane{fs: fs}
	root, errno := l.newInode(syscall.S_IFDIR, o.RootMode, o.RootUID, o.RootGID)
	if errno != 0 {
		_ = fs.arena.close()
		return nil, errno
	}
	root.nlink = 2
	root.dir.parent.Store(root)
	fs.root = root
	l.unlock(root)
	return fs, nil
}

// initLane makes l a lane of fs. It fails when there are maxLanes already.
func (fs *fileSystem) initLane(l *lane) bool {
	if fs.lanes.Add(1) > maxLanes {
		fs.lanes.Add(-1)
		return false
	}
	l.fs = fs
	l.locks.Open(fs.locks)
	return true
}

// close ends the use of a lane.
func (l *lane) close() {
	l.fs.arena.disown(&l.cache)
	l.locks.Close()
	l.fs.lanes.Add(-1)
	l.fs = nil
}

func (fs *fileSystem) clock() stamp { return stampOf(fs.now()) }

// reserve charges n pages, all or none.
func (fs *fileSystem) reserve(n uint64) bool {
	if n > uint64(fs.pages) {
		return false
	}
	for n > 0 {
		used := fs.used.Load()
		if fs.pages-used < int64(n) {
			return false
		}
		if fs.used.CompareAndSwap(used, used+int64(n)) {
			break
		}
	}
	return true
}

// reserveUpTo charges n pages, or as many as there are, and returns how many.
func (fs *fileSystem) reserveUpTo(n uint64) uint64 {
	for n > 0 {
		used := fs.used.Load()
		n = min(n, uint64(fs.pages-used))
		if fs.used.CompareAndSwap(used, used+int64(n)) {
			break
		}
	}
	return n
}

// unreserve gives back n pages. Their memory is in the arena again, if they had any.
func (fs *fileSystem) unreserve(n uint64) {
	if n > 0 {
		fs.used.Add(-int64(n))
	}
}

// takeInodes charges n inodes, all or none.
func (fs *fileSystem) takeInodes(n int64) bool {
	for {
		used := fs.inodes.Load()
		if used+n > fs.maxInodes {
			return false
		}
		if fs.inodes.CompareAndSwap(used, used+n) {
			return true
		}
	}
}

func (fs *fileSystem) putInodes(n int64) { fs.inodes.Add(-n) }

// statfs is STATFS.
func (fs *fileSystem) statfs(st *fsdev.Statfs) {
	bfree := uint64(max(0, fs.pages-fs.used.Load()))
	*st = fsdev.Statfs{
		Blocks:  uint64(fs.pages),
		Bfree:   bfree,
		Bavail:  bfree,
		Files:   uint64(fs.maxInodes),
		Ffree:   uint64(max(0, fs.maxInodes-fs.inodes.Load())),
		Bsize:   pageSize,
		Frsize:  pageSize,
		Namelen: maxName,
	}
}

// wantsTrim says whether more freed memory is being kept than is worth it.
func (fs *fileSystem) wantsTrim() bool {
	return fs.arena.touched.Load()-fs.used.Load() > trimKeep
}

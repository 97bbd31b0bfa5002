package fusedispatcher

import (
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
	"github.com/spdk-go/spdk-go/reactor"
)

// Backing is a transport whose client's kernel is that of the host, and can read, write and map files of the host in
// the place of files of the client without a request (FUSE_PASSTHROUGH). Its methods are called on threads that have a
// channel, and do not wait.
//
// Not in SPDK.
type Backing interface {
	// CheckBacking says whether files can be registered; any errno means that they cannot. Once per INIT.
	CheckBacking() syscall.Errno
	// OpenBacking registers the file at fd, which stays the caller's, and returns its number.
	OpenBacking(fd int) (id int32, errno syscall.Errno)
	// CloseBacking gives a number back. With waits the file may be closed by that, which can wait for a disk and so
	// has to happen elsewhere.
	CloseBacking(id int32, waits bool)
}

// SetBacking has files of the host registered with b, from the next INIT on, if the policy lets the client cache data
// and the client and the fsdev are able to; nil for no more. A client of a transport that does not call this is never
// offered anything. On any goroutine.
//
// Not in SPDK.
func (d *Dispatcher) SetBacking(b Backing) {
	if b == nil {
		d.backing.Store(nil)
		return
	}
	d.backing.Store(&b)
}

// maxStackDepth says that files of a file system which lies on no other are registered, so that the client's may have
// one on it, such as overlayfs. linux, fs/fuse/inode.c, process_init_reply
const maxStackDepth = 1

// backs decides at INIT whether files are registered.
func (op *controlOp) backs() Backing {
	b := op.d.backing.Load()
	if b == nil || op.init.flags&FUSE_PASSTHROUGH == 0 || !op.d.opts.Cache.rules().backed ||
		!op.d.control.desc.CanBack() || (*b).CheckBacking() != 0 {
		return nil
	}
	return *b
}

// The client's kernel wants one way of IO for all that have a file open: either they all use the same registered
// file, or none does, and it fails an open that is otherwise (linux, fs/fuse/iomode.c). So what the first open of
// a file is answered holds until its last release.

const backedShards = 64

// backedFiles are the open files of a session.
type backedFiles [backedShards]backedShard

type backedShard struct {
	lock  reactor.Spinlock
	files map[fsdev.FileObject]backedFile
	_     [32]byte // the next shard has another line of the cache
}

// backedFile is an open file.
type backedFile struct {
	id    int32            // 0: it is not registered
	by    fsdev.FileHandle // whose descriptor was registered
	opens int
}

func newBackedFiles() *backedFiles {
	b := new(backedFiles)
	for i := range b {
		b[i].files = map[fsdev.FileObject]backedFile{}
	}
	return b
}

func (b *backedFiles) shard(obj fsdev.FileObject) *backedShard {
	return &b[uint64(obj)*0x9e3779b97f4a7c15>>(64-6)]
}

// open counts an open of obj and returns how it stands with the file then. made is used if this is the first.
func (s *backedShard) open(t *reactor.Thread, obj fsdev.FileObject, made *backedFile) (f backedFile, ok bool) {
	s.lock.Lock(t)
	f, ok = s.files[obj]
	if !ok && made != nil {
		f, ok = *made, true
	}
	if ok {
		f.opens++
		s.files[obj] = f
	}
	s.lock.Unlock(t)
	return f, ok
}

// close counts a release of obj and returns how it stood with the file.
func (s *backedShard) close(t *reactor.Thread, obj fsdev.FileObject) (f backedFile) {
	s.lock.Lock(t)
	if f = s.files[obj]; f.opens > 1 {
		f.opens--
		s.files[obj] = f
	} else {
		delete(s.files, obj)
		f.opens = 0
	}
	s.lock.Unlock(t)
	return f
}

// registration is a file on its way to a transport.
type registration struct {
	b  Backing
	id int32
}

func register(ctx any, fd int) (errno syscall.Errno) {
	x := ctx.(*registration)
	x.id, errno = x.b.OpenBacking(fd)
	return errno
}

// fillOpen fills in what the client is told of a file that the module has opened as h.
func (r *request) fillOpen(out *OpenOut, obj fsdev.FileObject, h fsdev.FileHandle) {
	s := r.sess
	out.Fh, out.OpenFlags = uint64(h), s.rules.openFlags
	if s.backing == nil {
		return
	}
	t := r.ch.Thread()
	shard := s.backed.shard(obj)
	f, ok := shard.open(t, obj, nil)
	if !ok {
		x := &r.c.registration
		x.b, x.id = s.backing, 0
		_ = s.desc.Backing(obj, h, register, x) // or else it is a file like any other
		f, _ = shard.open(t, obj, &backedFile{id: x.id, by: h})
		if x.id != 0 && f.id != x.id { // another thread has been faster
			s.backing.CloseBacking(x.id, false)
		}
	}
	if f.id != 0 {
		out.BackingID = f.id
		out.OpenFlags = FOPEN_PASSTHROUGH
	}
}

// released is told of a RELEASE before the module is: as long as the handle is open, giving the registered file back
// closes nothing if it is the handle's own.
func (r *request) released(obj fsdev.FileObject, h fsdev.FileHandle) {
	s := r.sess
	if s.backing == nil {
		return
	}
	if f := s.backed.shard(obj).close(r.ch.Thread(), obj); f.opens == 0 && f.id != 0 {
		s.backing.CloseBacking(f.id, f.by != h)
	}
}

// endBacking gives back what a session that has ended has left. No request works on it any more.
func (s *session) endBacking() {
	if s.backing == nil {
		return
	}
	for i := range s.backed {
		for _, f := range s.backed[i].files {
			if f.id != 0 {
				s.backing.CloseBacking(f.id, true)
			}
		}
	}
}

package memfs

import (
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/fsdev"
)

// rig is a file system without reactors: one lane, one client, and a clock that advances by a
// second with every look.
type rig struct {
	testing.TB
	*lane
	desc *fsdev.Desc
	root fsdev.FileObject
	now  int64
	attr fsdev.Attr // of the last operation that told
}

func newRig(tb testing.TB, o Opts) *rig {
	tb.Helper()
	if o.Size == 0 {
		o.Size = 64 << 20
	}
	if err := o.setDefaults(); err != nil {
		tb.Fatal(err)
	}
	fs, err := newFileSystem(&o)
	if err != nil {
		tb.Fatal(err)
	}
	r := &rig{TB: tb, lane: new(lane), desc: new(fsdev.Desc), now: 1000}
	fs.now = func() time.Time {
		r.now++
		return time.Unix(r.now, r.now)
	}
	fs.initLane(r.lane)
	r.root = r.mount(r.desc, false)
	tb.Cleanup(func() {
		if err := fs.arena.close(); err != nil {
			tb.Error(err)
		}
	})
	return r
}

// umount is all of an UMOUNT.
func (l *lane) umount(desc *fsdev.Desc) {
	for !l.umountPart(desc) {
	}
}

// must fails the test unless errno is 0.
func (r *rig) must(errno syscall.Errno) {
	r.Helper()
	if errno != 0 {
		r.Fatalf("unexpected errno %d: %v", int(errno), errno)
	}
}

// want fails the test unless errno is the one that is wanted.
func (r *rig) want(what string, errno, want syscall.Errno) {
	r.Helper()
	if errno != want {
		r.Errorf("%s: got errno %d (%v), want %d (%v)", what, int(errno), errno, int(want), want)
	}
}

func (r *rig) mkfile(dir fsdev.FileObject, name string) fsdev.FileObject {
	r.Helper()
	obj, errno := r.mknod(dir, []byte(name), &creation{perm: syscall.S_IFREG | 0o644, uid: 1, gid: 2}, &r.attr)
	r.must(errno)
	return obj
}

func (r *rig) mkdir(dir fsdev.FileObject, name string) fsdev.FileObject {
	r.Helper()
	obj, errno := r.create(dir, []byte(name), &creation{typ: syscall.S_IFDIR, perm: 0o755, uid: 1, gid: 2}, &r.attr)
	r.must(errno)
	return obj
}

func (r *rig) node(obj fsdev.FileObject) *inode {
	r.Helper()
	n, errno := r.get(obj)
	r.must(errno)
	return n
}

func (r *rig) stat(obj fsdev.FileObject) fsdev.Attr {
	r.Helper()
	var a fsdev.Attr
	r.must(r.getattr(r.node(obj), &a))
	return a
}

func (r *rig) put1(obj fsdev.FileObject, off uint64, data []byte) {
	r.Helper()
	n, errno := r.write(r.node(obj), off, uint64(len(data)), [][]byte{data}, writeMode{})
	r.must(errno)
	if n != uint64(len(data)) {
		r.Fatalf("wrote %d of %d bytes", n, len(data))
	}
}

func (r *rig) get1(obj fsdev.FileObject, off, size uint64) []byte {
	r.Helper()
	b := make([]byte, size)
	for i := range b {
		b[i] = 0xEE // what the reader must overwrite
	}
	n, errno := r.read(r.node(obj), nil, off, size, [][]byte{b})
	r.must(errno)
	return b[:n]
}

func (r *rig) lookup1(dir fsdev.FileObject, name string) (fsdev.FileObject, syscall.Errno) {
	return r.lookup(dir, []byte(name), &r.attr)
}

// entry is what a READDIR told.
type entry struct {
	name   string
	obj    fsdev.FileObject
	ino    uint64
	mode   uint32
	cookie uint64
}

// collector takes up to room entries.
type collector struct {
	room int
	got  []entry
}

func (c *collector) Emit(name []byte, obj fsdev.FileObject, a *fsdev.Attr, next uint64) bool {
	if c.room == 0 {
		return false
	}
	c.room--
	c.got = append(c.got, entry{string(name), obj, a.Ino, a.Mode, next})
	return true
}

// list reads a directory, room entries at a time.
func (r *rig) list(dir fsdev.FileObject, room int) (all []entry) {
	r.Helper()
	cookie := uint64(0)
	for {
		c := collector{room: room}
		r.must(r.readdir(r.node(dir), cookie, false, &c))
		if len(c.got) == 0 {
			return all
		}
		all = append(all, c.got...)
		cookie = c.got[len(c.got)-1].cookie
	}
}

// names reads the names in a directory without the dots.
func (r *rig) names(dir fsdev.FileObject) []string {
	names := []string{}
	for _, e := range r.list(dir, 7)[2:] {
		names = append(names, e.name)
	}
	return names
}

// insistently repeats an operation until nobody is in its way, as a channel does.
func insistently(l *lane, op func() syscall.Errno) syscall.Errno {
	for i := 0; ; i++ {
		errno := op()
		if errno != errBusy {
			l.insist = false
			return errno
		}
		l.insist = i > 4
		runtime.Gosched()
	}
}

// checkEmpty fails the test unless all space and all handles are back, after the client has removed
// everything and unmounted.
func (r *rig) checkEmpty() {
	r.Helper()
	var st fsdev.Statfs
	r.fs.statfs(&st)
	if st.Bfree != st.Blocks {
		r.Errorf("%d pages are still charged", st.Blocks-st.Bfree)
	}
	if st.Files-st.Ffree != 1 {
		r.Errorf("%d inodes are still charged", st.Files-st.Ffree)
	}
	if n := r.fs.objects.Len(); n != 1 {
		r.Errorf("%d objects exist", n)
	}
	if n := r.fs.handles.Len(); n != 0 {
		r.Errorf("%d handles exist", n)
	}
	for i := range r.fs.orphans {
		if n := r.fs.orphans[i].head; n != nil {
			r.Errorf("inode %d is an orphan with %d references", n.ino, n.refs.Load())
		}
	}
	if n := r.fs.locks.Waits(); n != 0 {
		r.Errorf("%d requests wait for locks", n)
	}
	if err := r.fs.arena.checkAllFree(); err != nil {
		r.Error(err)
	}
}

// checkAllFree returns an error if a page of the arena is not free.
func (a *arena) checkAllFree() error {
	for i := range min(a.next.Load(), uint32(len(a.groups))) {
		if n := a.groups[i].count.Load(); n != groupPages {
			return fmt.Errorf("group %d has %d free pages", i, n)
		}
		for w := range a.groups[i].free {
			if free := a.groups[i].free[w].Load(); free != ^uint64(0) {
				return fmt.Errorf("group %d: free pages %x in word %d", i, free, w)
			}
		}
	}
	return nil
}

// removeAll removes what is below dir.
func (r *rig) removeAll(dir fsdev.FileObject) {
	r.Helper()
	for _, e := range r.list(dir, 100)[2:] {
		if e.mode&syscall.S_IFMT != syscall.S_IFDIR {
			r.must(r.remove(dir, []byte(e.name), false))
			continue
		}
		sub, errno := r.lookup1(dir, e.name)
		r.must(errno)
		r.removeAll(sub)
		r.must(r.remove(dir, []byte(e.name), true))
	}
}

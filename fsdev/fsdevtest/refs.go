package fsdevtest

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
)

// How long objects and handles last.
var refCases = []testCase{
	{"ForgetCountsLookups", onlyFull, nil, testForget},
	{"ReaddirPlusCountsLookups", onlyFull, nil, testReaddirPlusRefs},
	{"HandlesOutliveNames", onlyFull, nil, testHandlesOutliveNames},
	{"UmountDropsEverything", onlyFull, nil, testUmountDrops},
	{"TwoDescriptors", onlyFull, nil, testTwoDescriptors},
	{"ManyThreads", onlyFull, nil, testManyThreads},
}

// gone wants an object not to be there any more.
func (c *client) gone(obj fsdev.FileObject) {
	c.Helper()
	c.getattr(obj, 0).want(syscall.ESTALE)
	c.fopen(obj, syscall.O_RDONLY).want(syscall.ESTALE)
}

// testForget wants a file without a name to last as long as somebody has references to it.
func testForget(w *world) {
	c := w.open(0)
	for _, far := range []int{0, 1} { // from the same thread and from another
		o := c.on(far)
		f := c.create(c.root, "file").ok() // one reference
		c.release(f.obj, f.h).ok()
		refs := uint64(1)
		for range 3 {
			if o.lookup(c.root, "file").ok().obj != f.obj {
				w.Fatal("a file has two objects")
			}
			refs++
		}
		if !w.o.lacks(fsdev.IOLink) {
			c.link(f.obj, c.root, "link").ok()
			refs++
			c.unlink(c.root, "link").ok()
		}
		o.unlink(c.root, "file").ok()
		for ; refs > 1; refs-- {
			o.forget(f.obj, 1).ok()
			if nlink := c.getattr(f.obj, 0).ok().attr.Nlink; nlink != 0 {
				w.Errorf("a file without a name has %d", nlink)
			}
		}
		c.forget(f.obj, 1).ok()
		c.gone(f.obj)
		// Many at once, and more than there are.
		f = c.create(c.root, "file").ok()
		c.release(f.obj, f.h).ok()
		c.lookup(c.root, "file").ok()
		c.unlink(c.root, "file").ok()
		c.forget(f.obj, 2).ok()
		c.gone(f.obj)
		c.forget(c.root, 1<<40).ok()
		c.getattr(c.root, 0).ok()
	}
}

// testReaddirPlusRefs wants every entry that is taken to have one more reference, and no other.
func testReaddirPlusRefs(w *world) {
	c := w.open(0)
	const files = 5
	var objs []fsdev.FileObject
	for i := range files {
		f := c.create(c.root, fmt.Sprint("file", i)).ok()
		c.release(f.obj, f.h).ok()
		objs = append(objs, f.obj)
	}
	d := c.opendir(c.root).ok()
	refs := map[fsdev.FileObject]uint64{}
	for room := range files + 3 { // the next one is refused
		for _, e := range c.readdir(c.root, d.h, 0, true, room).ok().entries {
			if e.name == "." || e.name == ".." {
				if e.obj != 0 {
					w.Errorf("READDIRPLUS gives a reference to %q", e.name)
				}
				continue
			}
			refs[e.obj]++
			if a := c.getattr(e.obj, 0).ok().attr; a.Ino != e.attr.Ino || a.Mode != e.attr.Mode || a.Size != e.attr.Size {
				w.Errorf("READDIRPLUS says %+v of %q, GETATTR %+v", e.attr, e.name, a)
			}
		}
	}
	// Without plus there are none.
	for _, e := range c.readdir(c.root, d.h, 0, false, files+3).ok().entries {
		if e.obj != 0 {
			w.Errorf("READDIR gives a reference to %q", e.name)
		}
	}
	c.releasedir(c.root, d.h).ok()
	for i, obj := range objs {
		c.unlink(c.root, fmt.Sprint("file", i)).ok()
		if refs[obj] > 0 {
			c.forget(obj, refs[obj]).ok()
		}
		if !w.o.MayGoStale {
			c.getattr(obj, 0).ok() // CREATE's is left
		}
		c.forget(obj, 1).ok()
		c.gone(obj)
	}
}

// testHandlesOutliveNames uses an open file that has neither names nor references.
func testHandlesOutliveNames(w *world) {
	c := w.open(0)
	f := c.create(c.root, "file").ok()
	c.put(f.obj, f.h, 0, []byte("contents"))
	c.unlink(c.root, "file").ok()
	c.put(f.obj, f.h, 8, []byte("!"))
	if got := string(c.get(f.obj, f.h, 0, 100)); got != "contents!" {
		w.Errorf("a file without a name has %q", got)
	}
	if a := c.getattr(f.obj, f.h).ok().attr; a.Nlink != 0 || a.Size != 9 {
		w.Errorf("a file without a name has %d names and %d bytes", a.Nlink, a.Size)
	}
	c.release(f.obj, f.h).ok()
	c.forget(f.obj, 1).ok()
	c.gone(f.obj)
	c.lookup(c.root, "file").want(syscall.ENOENT)
}

// testUmountDrops wants nothing to be left of a client that has unmounted.
func testUmountDrops(w *world) {
	c := w.open(0)
	f := c.create(c.root, "file").ok()
	c.on(1).lookup(c.root, "file").ok()
	gone := c.create(c.root, "gone").ok()
	c.put(gone.obj, gone.h, 0, make([]byte, 1<<16))
	c.unlink(c.root, "gone").ok()
	d := c.opendir(c.root).ok()
	if !w.o.lacks(fsdev.IOFlock) {
		c.flock(f.obj, f.h, syscall.LOCK_EX, 1).ok()
	}
	whole := fsdev.Lock{Type: syscall.F_WRLCK, End: 1<<63 - 1}
	if !w.o.lacks(fsdev.IOSetlk) {
		c.setlk(f.obj, f.h, 1, whole).ok()
	}
	c.on(1).umount()
	c.mount(&fsdev.MountOpts{MaxWrite: 1 << 20})
	c.gone(gone.obj)
	c.read(gone.obj, gone.h, 0, 1, [][]byte{{0}}).want(syscall.ESTALE)
	again := c.lookup(c.root, "file").ok()
	c.badHandle(again.obj, c.root, f.h)
	c.badHandle(again.obj, c.root, d.h)
	h := c.fopen(again.obj, syscall.O_RDWR).ok().h
	if !w.o.lacks(fsdev.IOFlock) {
		c.flock(again.obj, h, syscall.LOCK_EX|syscall.LOCK_NB, 2).ok()
	}
	if !w.o.lacks(fsdev.IOSetlk) {
		c.setlk(again.obj, h, 2, whole).ok()
	}
}

// testTwoDescriptors wants two clients to see one file system, and to lose nothing when the
// other one unmounts.
func testTwoDescriptors(w *world) {
	a, b := w.open(0), w.open(1)
	f := a.create(a.root, "file").ok()
	a.put(f.obj, f.h, 0, []byte("from a"))
	g := b.lookup(b.root, "file").ok()
	if g.attr.Ino != f.attr.Ino || g.attr.Size != 6 {
		w.Errorf("one client sees %+v, the other %+v", f.attr, g.attr)
	}
	h := b.fopen(g.obj, syscall.O_RDWR).ok().h
	if got := string(b.get(g.obj, h, 0, 100)); got != "from a" {
		w.Errorf("the other client reads %q", got)
	}
	mkdir := a.mkdir(a.root, "dir").ok()
	a.close()
	b.put(g.obj, h, 0, []byte("from b"))
	if got := string(b.get(g.obj, h, 0, 100)); got != "from b" {
		w.Errorf("after the end of the other client the file has %q", got)
	}
	b.getattr(g.obj, h).ok()
	b.lookup(b.root, "dir").ok()
	_ = mkdir
	c := w.open(2)
	if c.lookup(c.root, "file").ok().attr.Ino != f.attr.Ino {
		w.Error("a third client sees another file")
	}
}

// testManyThreads has every thread make, write and rename files in one directory at once, some
// of them by the handles of others.
func testManyThreads(w *world) {
	c := w.open(0)
	dir := c.mkdir(c.root, "dir").ok().obj
	const rounds = 20
	var calls []*call
	for n := range rounds {
		for i := range numThreads {
			c := c.on(i)
			calls = append(calls, c.start(fsdev.IOCreate, func(x *call) syscall.Errno {
				return c.desc.Create(c.ch, x.unique, dir, fmt.Appendf(nil, "%d.%d", i, n), 0o644, unix.O_RDWR,
					&fsdev.Creator{}, createDone, x)
			}))
		}
	}
	var moves []*call
	for k, x := range calls {
		f := x.wait().ok()
		n, i := k/numThreads, k%numThreads
		o := c.on((i + 1) % numThreads)
		data := fmt.Appendf(nil, "file %d of thread %d", n, i)
		moves = append(moves, o.start(fsdev.IOWrite, func(x *call) syscall.Errno {
			return o.desc.Write(o.ch, x.unique, f.obj, f.h, uint32(len(data)), 0, 0, [][]byte{data}, sizeDone, x)
		}), o.start(fsdev.IORename, func(x *call) syscall.Errno {
			return o.desc.Rename(o.ch, x.unique, dir, fmt.Appendf(nil, "%d.%d", i, n), c.root,
				fmt.Appendf(nil, "moved %d.%d", i, n), 0, statusDone, x)
		}))
	}
	for _, x := range moves {
		x.wait().ok()
	}
	for k, x := range calls {
		n, i := k/numThreads, k%numThreads
		if c.lookup(c.root, fmt.Sprintf("moved %d.%d", i, n)).ok().obj != x.obj {
			w.Errorf("file %d of thread %d has another object now", n, i)
		}
		want := fmt.Sprintf("file %d of thread %d", n, i)
		if got := string(c.get(x.obj, x.h, 0, 100)); got != want {
			w.Errorf("file %d of thread %d has %q", n, i, got)
		}
	}
	if names := c.list(dir); len(names) > 0 {
		w.Errorf("in the directory there are still %v", names)
	}
}

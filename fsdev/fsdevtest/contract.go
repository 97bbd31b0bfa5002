package fsdevtest

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
)

// What every module owes its clients, whatever its file systems hold.
var contractCases = []testCase{
	{"Mount", everyKind, nil, testMount},
	{"EveryOperationIsCompletedOnce", everyKind, nil, testEveryOperation},
	{"OperationsThatAreLacking", everyKind, nil, testLacking},
	{"InventedObjects", everyKind, nil, testInventedObjects},
	{"InventedSecondObjects", onlyFull, nil, testInventedSecondObjects},
	{"InventedHandles", onlyFull, nil, testInventedHandles},
	{"HandlesOfOtherFiles", onlyFull, nil, testHandlesOfOtherFiles},
	{"ReleasedHandles", onlyFull, nil, testReleasedHandles},
	{"NoHandle", onlyFull, nil, testNoHandle},
	{"AbortOfNothing", everyKind, nil, testAbortOfNothing},
	{"ManyInFlight", everyKind, nil, testManyInFlight},
}

func testMount(w *world) {
	c := w.open(0)
	for _, offer := range []fsdev.MountOpts{
		{MaxWrite: 4096}, {MaxWrite: 1 << 20}, {MaxWrite: 1 << 17, WritebackCache: true},
	} {
		c.umount()
		got := c.mount(&offer)
		if got.obj == 0 {
			w.Fatal("MOUNT: the root is 0")
		}
		if got.mount.MaxWrite > offer.MaxWrite || got.mount.MaxWrite == 0 {
			w.Errorf("MOUNT: MaxWrite %d was offered, and became %d", offer.MaxWrite, got.mount.MaxWrite)
		}
		if got.mount.WritebackCache && !offer.WritebackCache {
			w.Error("MOUNT: the client cannot cache writes and is told to")
		}
		if a := c.getattr(c.root, 0).ok().attr; a.Mode&syscall.S_IFMT != syscall.S_IFDIR || a.Ino == 0 {
			w.Errorf("the root has mode %#o and number %d", a.Mode, a.Ino)
		}
	}
}

// operate performs an operation of any type but MOUNT, UMOUNT and ABORT, on an object and a
// handle, with arguments that make sense.
func (c *client) operate(typ fsdev.IOType, obj fsdev.FileObject, h fsdev.FileHandle) *result {
	c.Helper()
	buf := make([]byte, 16)
	iovs := [][]byte{buf}
	ext := extent{obj, h, 0}
	whole := fsdev.Lock{Type: syscall.F_RDLCK, End: 99}
	switch typ {
	case fsdev.IOLookup:
		return c.lookup(obj, "nothing")
	case fsdev.IOForget:
		return c.forget(obj, 0)
	case fsdev.IOGetattr:
		return c.getattr(obj, h)
	case fsdev.IOSetattr:
		return c.setattr(obj, h, fsdev.Attr{Mode: 0o755}, fsdev.SetAttrMode)
	case fsdev.IOReadlink:
		return c.readlink(obj)
	case fsdev.IOSymlink:
		return c.symlink(obj, "symlink", "target")
	case fsdev.IOMknod:
		return c.mknod(obj, "mknod", syscall.S_IFREG|0o644, 0)
	case fsdev.IOMkdir:
		return c.mkdir(obj, "mkdir")
	case fsdev.IOUnlink:
		return c.unlink(obj, "nothing")
	case fsdev.IORmdir:
		return c.rmdir(obj, "nothing")
	case fsdev.IORename:
		return c.rename(obj, "nothing", obj, "renamed", 0)
	case fsdev.IOLink:
		return c.link(obj, obj, "link")
	case fsdev.IOFopen:
		return c.fopen(obj, syscall.O_RDONLY)
	case fsdev.IORead:
		return c.read(obj, h, 0, len(buf), iovs)
	case fsdev.IOWrite:
		return c.write(obj, h, 0, len(buf), iovs)
	case fsdev.IOStatfs:
		return c.statfs(obj)
	case fsdev.IORelease:
		return c.release(obj, h)
	case fsdev.IOFsync:
		return c.fsync(obj, h, false)
	case fsdev.IOSetxattr:
		return c.setxattr(obj, c.o.XattrPrefix+"name", buf, 0)
	case fsdev.IOGetxattr:
		return c.getxattr(obj, c.o.XattrPrefix+"nothing", len(buf), iovs)
	case fsdev.IOListxattr:
		return c.listxattr(obj, 0, nil)
	case fsdev.IORemovexattr:
		return c.removexattr(obj, c.o.XattrPrefix+"nothing")
	case fsdev.IOFlush:
		return c.flush(obj, h, 1)
	case fsdev.IOOpendir:
		return c.opendir(obj)
	case fsdev.IOReaddir:
		return c.readdir(obj, h, 0, false, 10)
	case fsdev.IOReleasedir:
		return c.releasedir(obj, h)
	case fsdev.IOFsyncdir:
		return c.fsyncdir(obj, h, true)
	case fsdev.IOFlock:
		return c.flock(obj, h, syscall.LOCK_SH|syscall.LOCK_NB, 1)
	case fsdev.IOCreate:
		return c.create(obj, "create")
	case fsdev.IOFallocate:
		return c.fallocate(obj, h, 0, 0, 16)
	case fsdev.IOCopyFileRange:
		return c.copyRange(ext, extent{obj, h, 100}, 10, 0)
	case fsdev.IOLseek:
		return c.lseek(obj, h, 0, unix.SEEK_HOLE)
	case fsdev.IOStatx:
		return c.getStatx(obj, h, 0, unix.STATX_BASIC_STATS)
	case fsdev.IOTmpfile:
		return c.tmpfile(obj, 0o644, syscall.O_RDWR, &fsdev.Creator{})
	case fsdev.IOSyncfs:
		return c.syncfs(obj)
	case fsdev.IOGetlk:
		return c.getlk(obj, h, 1, whole)
	case fsdev.IOSetlk:
		return c.setlk(obj, h, 1, whole)
	case fsdev.IOIoctl:
		return c.ioctl(obj, h, 0)
	case fsdev.IOPoll:
		return c.poll(obj, h, unix.POLLIN)
	}
	c.Fatalf("operate does not know %v", typ)
	return nil
}

// operations are the types of what a client does with objects.
func operations() (types []fsdev.IOType) {
	for i := range fsdev.NumIOTypes {
		switch typ := fsdev.IOType(i); typ {
		case fsdev.IOMount, fsdev.IOUmount, fsdev.IOAbort:
		default:
			types = append(types, typ)
		}
	}
	return types
}

// testEveryOperation has every operation come back, from every thread, from the root and from
// whatever there is below it. What it comes back with is checked elsewhere.
func testEveryOperation(w *world) {
	c := w.open(0)
	for i := range numThreads {
		c := c.on(i)
		objects := []fsdev.FileObject{c.root}
		if w.o.Kind == Full {
			objects = append(objects, c.create(c.root, string(rune('a'+i))).ok().obj)
		}
		for _, obj := range objects {
			for _, typ := range operations() {
				c.operate(typ, obj, 0).noResult()
			}
		}
	}
}

func testLacking(w *world) {
	c := w.open(0)
	for _, typ := range w.o.Lacks {
		c.operate(typ, c.root, 0).lacking()
		if w.o.Kind == Full {
			f := c.create(c.root, typ.String()).ok()
			c.operate(typ, f.obj, f.h).lacking()
		}
	}
}

// inventions are numbers that a client may come upon when it knows one.
func inventions(known uint64) []uint64 {
	return []uint64{
		0, 1 << 20, 1<<63 - 1, ^uint64(0), known + 1<<32, known + 2<<32, known ^ 1<<63, known ^ 1<<40, known + 1<<24,
	}
}

func testInventedObjects(w *world) {
	c := w.open(0)
	for _, n := range inventions(uint64(c.root)) {
		for _, typ := range operations() {
			switch r := c.operate(typ, fsdev.FileObject(n), 0); {
			case typ == fsdev.IOForget:
				r.want(0, syscall.ESTALE) // nobody waits for an answer
			case w.o.lacks(typ):
				r.want(syscall.ESTALE, syscall.ENOSYS, syscall.EOPNOTSUPP)
			default:
				r.want(syscall.ESTALE)
			}
		}
	}
	c.getattr(c.root, 0).ok()
}

func testInventedSecondObjects(w *world) {
	c := w.open(0)
	f := c.create(c.root, "file").ok()
	for _, n := range inventions(uint64(c.root)) {
		obj := fsdev.FileObject(n)
		c.rename(c.root, "file", obj, "file", 0).want(syscall.ESTALE)
		if !w.o.lacks(fsdev.IOLink) {
			c.link(f.obj, obj, "link").want(syscall.ESTALE)
		}
		if !w.o.lacks(fsdev.IOCopyFileRange) {
			c.copyRange(extent{f.obj, f.h, 0}, extent{obj, f.h, 0}, 1, 0).want(syscall.ESTALE)
		}
	}
	c.lookup(c.root, "file").ok()
}

// onFiles and onDirs are the operations with a handle.
var (
	onFiles = []fsdev.IOType{
		fsdev.IORead, fsdev.IOWrite, fsdev.IOGetattr, fsdev.IOSetattr, fsdev.IOFsync, fsdev.IOFlush, fsdev.IOFlock,
		fsdev.IOFallocate, fsdev.IOCopyFileRange, fsdev.IOLseek, fsdev.IOStatx, fsdev.IOGetlk, fsdev.IOSetlk, fsdev.IOIoctl,
		fsdev.IOPoll, fsdev.IORelease,
	}
	onDirs = []fsdev.IOType{fsdev.IOReaddir, fsdev.IOFsyncdir, fsdev.IOReleasedir}
)

// badHandle wants EBADF of every operation that is given h with the file obj or directory dir.
func (c *client) badHandle(obj, dir fsdev.FileObject, h fsdev.FileHandle) {
	c.Helper()
	try := func(types []fsdev.IOType, obj fsdev.FileObject) {
		for _, typ := range types {
			if r := c.operate(typ, obj, h); c.o.lacks(typ) {
				r.want(syscall.EBADF, syscall.ENOSYS, syscall.EOPNOTSUPP)
			} else {
				r.want(syscall.EBADF)
			}
		}
	}
	if obj != 0 {
		try(onFiles, obj)
	}
	if dir != 0 {
		try(onDirs, dir)
	}
}

func testInventedHandles(w *world) {
	c := w.open(0)
	f := c.create(c.root, "file").ok()
	c.put(f.obj, f.h, 0, []byte("contents"))
	for _, n := range inventions(uint64(f.h)) {
		if n != 0 {
			c.badHandle(f.obj, c.root, fsdev.FileHandle(n))
		}
	}
	if got := string(c.get(f.obj, f.h, 0, 100)); got != "contents" {
		w.Errorf("the file has %q", got)
	}
}

// testHandlesOfOtherFiles wants a handle to be good for its own file only, and for its client.
func testHandlesOfOtherFiles(w *world) {
	c, other := w.open(0), w.open(1)
	f, g := c.create(c.root, "f").ok(), c.create(c.root, "g").ok()
	d := c.opendir(c.root).ok()
	sub := c.mkdir(c.root, "sub").ok()
	c.badHandle(g.obj, c.root, f.h)
	c.badHandle(f.obj, sub.obj, d.h)
	gotF, gotG := other.lookup(other.root, "f").ok(), other.lookup(other.root, "g").ok()
	other.badHandle(gotF.obj, other.root, f.h)
	other.badHandle(gotG.obj, other.root, d.h)
	c.release(f.obj, f.h).ok()
	c.release(g.obj, g.h).ok()
	c.releasedir(c.root, d.h).ok()
}

func testReleasedHandles(w *world) {
	c := w.open(0)
	for range 3 { // its place is used again
		f := c.createBy(c.root, "file", 0o644, syscall.O_RDWR, &fsdev.Creator{}).ok()
		d := c.opendir(c.root).ok()
		c.release(f.obj, f.h).ok()
		c.releasedir(c.root, d.h).ok()
		again := c.fopen(f.obj, syscall.O_RDWR).ok()
		dirAgain := c.opendir(c.root).ok()
		if again.h == f.h || dirAgain.h == d.h {
			w.Error("a handle means something else soon after its end")
		}
		c.badHandle(f.obj, c.root, f.h)
		c.badHandle(f.obj, c.root, d.h)
		c.release(f.obj, again.h).ok()
		c.releasedir(c.root, dirAgain.h).ok()
	}
}

// testNoHandle does without handles, which the module either offers or refuses.
func testNoHandle(w *world) {
	c := w.open(0)
	f := c.create(c.root, "file").ok()
	c.put(f.obj, f.h, 0, []byte("contents"))
	c.fsync(f.obj, 0, true).ok()
	c.getattr(f.obj, 0).ok()
	buf := make([]byte, 100)
	r := c.read(f.obj, 0, 0, len(buf), [][]byte{buf})
	if !c.opts.NoOpen {
		r.want(syscall.EBADF)
		c.write(f.obj, 0, 0, 1, [][]byte{buf}).want(syscall.EBADF)
		return
	}
	if string(buf[:r.ok().n]) != "contents" {
		w.Errorf("READ without a handle reads %q", buf[:r.n])
	}
	c.put(f.obj, 0, 8, []byte(" of the file"))
	if got := string(c.get(f.obj, 0, 0, 100)); got != "contents of the file" {
		w.Errorf("the file has %q", got)
	}
	if len(c.readdir(c.root, 0, 0, false, 100).ok().entries) == 0 {
		w.Error("READDIR without a handle gives nothing")
	}
}

// testAbortOfNothing aborts what has been completed.
func testAbortOfNothing(w *world) {
	c := w.open(0)
	x := c.start(fsdev.IOGetattr, func(x *call) syscall.Errno {
		return c.desc.Getattr(c.ch, x.unique, c.root, 0, attrDone, x)
	})
	x.wait()
	if errno := c.abort(x); errno != syscall.ENOENT {
		w.Errorf("ABORT of what has been completed: %s", errnoName(errno))
	}
	if errno := c.on(1).abortAny(x); errno != syscall.ENOENT {
		w.Errorf("ABORT of what has been completed, from another thread: %s", errnoName(errno))
	}
}

// testManyInFlight has many operations in flight on every thread at once, aborts some of them,
// and wants each to be completed once, in whatever way.
func testManyInFlight(w *world) {
	c := w.open(0)
	var calls []*call
	for n := range 100 {
		for i := range numThreads {
			c := c.on(i)
			x := c.start(fsdev.IOGetattr, func(x *call) syscall.Errno {
				return c.desc.Getattr(c.ch, x.unique, c.root, 0, attrDone, x)
			})
			calls = append(calls, x)
			if n%10 == 9 {
				c.desc.Abort(c.ch, x.unique, statusDone, &call{c: c, typ: fsdev.IOAbort})
			}
		}
	}
	for _, x := range calls {
		x.wait().want(0, syscall.EINTR)
	}
	w.settle()
}

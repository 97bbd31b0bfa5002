package fsdevtest

import (
	"bytes"
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
)

// What is asked of file systems that cannot be changed.
var readOnlyCases = []testCase{
	{"NothingCanBeChanged", []Kind{ReadOnly}, nil, testReadOnly},
	{"Walk", []Kind{ReadOnly, Full}, nil, testWalk},
}

// changes are the operations that a read-only file system refuses.
var changes = []fsdev.IOType{
	fsdev.IOSetattr, fsdev.IOSymlink, fsdev.IOMknod, fsdev.IOMkdir, fsdev.IOLink, fsdev.IOCreate, fsdev.IOTmpfile,
	fsdev.IOSetxattr, fsdev.IORemovexattr,
}

func testReadOnly(w *world) {
	c := w.open(0)
	objects := []fsdev.FileObject{c.root}
	h := c.opendir(c.root).ok().h
	for _, e := range c.pages(c.root, h, 0, true, 100) {
		objects = append(objects, e.obj)
		c.unlink(c.root, e.name).want(syscall.EROFS)
		c.rmdir(c.root, e.name).want(syscall.EROFS)
		c.rename(c.root, e.name, c.root, "renamed", 0).want(syscall.EROFS)
		if e.attr.Mode&syscall.S_IFMT != syscall.S_IFREG {
			continue
		}
		c.fopen(e.obj, syscall.O_RDWR).want(syscall.EROFS)
		c.fopen(e.obj, syscall.O_RDONLY|syscall.O_TRUNC).want(syscall.EROFS)
		f := c.fopen(e.obj, syscall.O_RDONLY).ok()
		c.write(e.obj, f.h, 0, 1, [][]byte{{1}}).want(syscall.EROFS, syscall.EBADF)
		if !w.o.lacks(fsdev.IOFallocate) {
			c.fallocate(e.obj, f.h, 0, 0, 100).want(syscall.EROFS, syscall.EBADF)
		}
	}
	for i, obj := range objects {
		for _, typ := range changes {
			switch {
			case w.o.lacks(typ):
			case i == 0:
				c.operate(typ, obj, 0).want(syscall.EROFS)
			default:
				c.operate(typ, obj, 0).want(syscall.EROFS, syscall.ENOTDIR, syscall.EPERM)
			}
		}
	}
}

// plant makes a tree to walk.
func (c *client) plant(dir fsdev.FileObject, depth int) {
	c.Helper()
	for i, name := range []string{"empty", "small", "large"} {
		f := c.create(dir, name).ok()
		c.put(f.obj, f.h, 0, pattern(i*i*3000, uint64(depth)))
		c.release(f.obj, f.h).ok()
	}
	if !c.o.lacks(fsdev.IOSymlink) {
		c.symlink(dir, "link", "small").ok()
	}
	if depth > 0 {
		c.plant(c.mkdir(dir, "left").ok().obj, depth-1)
		c.plant(c.mkdir(dir, "right").ok().obj, depth-1)
	}
}

// testWalk looks at a whole file system, and wants everything about it to agree.
func testWalk(w *world) {
	c := w.open(0)
	if w.o.Kind == Full {
		c.plant(c.root, 2)
	}
	if n := c.walk(c.root, map[uint64]bool{}); n == 0 {
		w.Error("there is nothing to walk")
	}
}

// walk returns how many files it has seen.
func (c *client) walk(dir fsdev.FileObject, dirs map[uint64]bool) (files int) {
	c.Helper()
	h := c.opendir(dir).ok().h
	refs := map[fsdev.FileObject]uint64{}
	for _, e := range c.pages(dir, h, 0, true, 7) {
		files++
		l := c.lookup(dir, e.name).ok()
		refs[e.obj] += 2
		if l.obj != e.obj || l.attr != c.getattr(e.obj, 0).ok().attr || l.attr.Ino != e.attr.Ino ||
			l.attr.Mode != e.attr.Mode {
			c.Errorf("%q is %d, %+v to READDIRPLUS, and %d, %+v to LOOKUP", e.name, e.obj, e.attr, l.obj, l.attr)
		}
		switch e.attr.Mode & syscall.S_IFMT {
		case syscall.S_IFDIR:
			if dirs[e.attr.Ino] {
				c.Fatalf("%q, number %d, is there twice", e.name, e.attr.Ino)
			}
			dirs[e.attr.Ino] = true
			files += c.walk(e.obj, dirs)
		case syscall.S_IFLNK:
			if target := c.readlink(e.obj).ok().target; uint64(len(target)) != e.attr.Size {
				c.Errorf("%q has %d bytes of target, and says %d", e.name, len(target), e.attr.Size)
			}
		case syscall.S_IFREG:
			c.readTwice(&e)
		}
	}
	c.releasedir(dir, h).ok()
	for obj, n := range refs {
		c.forget(obj, n).ok()
	}
	return files
}

// readTwice reads a file at one go and in pieces, from two threads.
func (c *client) readTwice(e *entry) {
	c.Helper()
	h := c.fopen(e.obj, syscall.O_RDONLY).ok().h
	whole := c.get(e.obj, h, 0, int(e.attr.Size)+1)
	if uint64(len(whole)) != e.attr.Size {
		c.Errorf("%q has %d bytes, and says %d", e.name, len(whole), e.attr.Size)
	}
	var pieces []byte
	for {
		piece := c.on(1).get(e.obj, h, uint64(len(pieces)), 777)
		if len(piece) == 0 {
			break
		}
		pieces = append(pieces, piece...)
	}
	if !bytes.Equal(whole, pieces) {
		c.Errorf("%q is not the same in pieces, from %d on", e.name, differ(whole, pieces))
	}
	c.release(e.obj, h).ok()
}

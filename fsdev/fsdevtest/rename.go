package fsdevtest

import (
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
)

var renameCases = []testCase{
	{"Rename", onlyFull, nil, testRename},
	{"RenameOver", onlyFull, nil, testRenameOver},
	{"RenameDirectories", onlyFull, nil, testRenameDirectories},
	{"RenameFlags", onlyFull, nil, testRenameFlags},
}

func testRename(w *world) {
	c := w.open(0)
	d := c.mkdir(c.root, "dir").ok().obj
	f := c.create(c.root, "file").ok()
	c.put(f.obj, f.h, 0, []byte("contents"))
	c.rename(c.root, "nothing", d, "nothing", 0).want(syscall.ENOENT)
	c.rename(c.root, "file", c.root, "file", 0).ok()
	c.rename(c.root, "file", c.root, "new", 0).ok()
	c.rename(c.root, "new", d, "newer", 0).ok()
	c.lookup(c.root, "file").want(syscall.ENOENT)
	c.lookup(c.root, "new").want(syscall.ENOENT)
	got := c.lookup(d, "newer").ok()
	if got.obj != f.obj || got.attr.Ino != f.attr.Ino || got.attr.Nlink != 1 {
		w.Errorf("after two renames: object %d, was %d, %+v", got.obj, f.obj, got.attr)
	}
	if got := string(c.get(f.obj, f.h, 0, 100)); got != "contents" {
		w.Errorf("after two renames it has %q", got)
	}
}

func testRenameOver(w *world) {
	c := w.open(0)
	f, g := c.create(c.root, "f").ok(), c.create(c.root, "g").ok()
	c.put(g.obj, g.h, 0, []byte("of g"))
	c.rename(c.root, "f", c.root, "g", 0).ok()
	if c.lookup(c.root, "g").ok().obj != f.obj {
		w.Error("RENAME over a file leaves that")
	}
	// What was replaced is still open.
	if got := string(c.get(g.obj, g.h, 0, 100)); got != "of g" {
		w.Errorf("a file that was replaced has %q", got)
	}
	c.release(g.obj, g.h).ok()
	c.forget(g.obj, 1).ok()
	c.gone(g.obj)
	if !w.o.lacks(fsdev.IOLink) {
		c.link(f.obj, c.root, "second").ok()
		c.rename(c.root, "g", c.root, "second", 0).ok() // one file: both names stay
		if got := c.list(c.root); !slices.Equal(got, []string{"g", "second"}) {
			w.Errorf("RENAME of a name over another one of the same file leaves %q", got)
		}
	}
}

func testRenameDirectories(w *world) {
	c := w.open(0)
	a := c.mkdir(c.root, "a").ok().obj
	b := c.mkdir(a, "b").ok().obj
	f := c.create(b, "file").ok()
	c.create(c.root, "file").ok()
	c.mkdir(c.root, "empty").ok()
	c.rename(c.root, "a", b, "a", 0).want(syscall.EINVAL)
	c.rename(c.root, "a", a, "a", 0).want(syscall.EINVAL)
	c.rename(c.root, "file", c.root, "empty", 0).want(syscall.EISDIR)
	c.rename(c.root, "empty", c.root, "file", 0).want(syscall.ENOTDIR)
	c.rename(c.root, "empty", a, "b", 0).want(syscall.ENOTEMPTY, syscall.EEXIST)
	c.rename(a, "b", c.root, "a", 0).want(syscall.ENOTEMPTY, syscall.EEXIST)
	c.rename(a, "b", c.root, "empty", 0).ok()
	if c.lookup(c.root, "empty").ok().obj != b || c.lookup(b, "file").ok().obj != f.obj {
		w.Error("RENAME of a directory moves something else")
	}
	if got := c.list(a); len(got) > 0 {
		w.Errorf("the old directory has %q", got)
	}
	if up := c.lookup(b, ".."); up.errno == 0 && up.obj != c.root {
		w.Error("the directory that was moved has its old parent")
	}
	c.rmdir(c.root, "a").ok()
}

func testRenameFlags(w *world) {
	c := w.open(0)
	f, g := c.create(c.root, "f").ok(), c.create(c.root, "g").ok()
	d := c.mkdir(c.root, "dir").ok()
	known := w.o.RenameFlags
	if known&unix.RENAME_NOREPLACE != 0 {
		c.rename(c.root, "f", c.root, "g", unix.RENAME_NOREPLACE).want(syscall.EEXIST)
		c.rename(c.root, "f", c.root, "new", unix.RENAME_NOREPLACE).ok()
		c.rename(c.root, "new", c.root, "f", unix.RENAME_NOREPLACE).ok()
	}
	if known&unix.RENAME_EXCHANGE != 0 {
		c.rename(c.root, "f", c.root, "nothing", unix.RENAME_EXCHANGE).want(syscall.ENOENT)
		c.rename(c.root, "f", c.root, "g", unix.RENAME_EXCHANGE).ok()
		if c.lookup(c.root, "f").ok().obj != g.obj || c.lookup(c.root, "g").ok().obj != f.obj {
			w.Error("RENAME_EXCHANGE does not exchange")
		}
		c.rename(c.root, "g", c.root, "f", unix.RENAME_EXCHANGE).ok()
		c.rename(c.root, "f", c.root, "dir", unix.RENAME_EXCHANGE).ok()
		if c.lookup(c.root, "f").ok().obj != d.obj || c.lookup(c.root, "dir").ok().obj != f.obj {
			w.Error("RENAME_EXCHANGE does not exchange a file and a directory")
		}
		c.rename(c.root, "f", c.root, "dir", unix.RENAME_EXCHANGE).ok()
		c.rename(c.root, "f", c.root, "g", unix.RENAME_EXCHANGE|unix.RENAME_NOREPLACE).want(syscall.EINVAL)
	}
	if known&unix.RENAME_WHITEOUT != 0 {
		c.rename(c.root, "f", c.root, "away", unix.RENAME_WHITEOUT).ok()
		a := c.lookup(c.root, "f").ok().attr
		if a.Mode&syscall.S_IFMT != syscall.S_IFCHR || a.Rdev != 0 {
			w.Errorf("RENAME_WHITEOUT leaves %+v", a)
		}
		c.unlink(c.root, "f").ok()
		c.rename(c.root, "away", c.root, "f", 0).ok()
	}
	for bit := uint32(1); bit != 0; bit <<= 1 {
		if known&bit == 0 {
			c.rename(c.root, "f", c.root, "other", bit).want(syscall.EINVAL, syscall.ENOSYS, syscall.EOPNOTSUPP)
		}
	}
	if got := c.list(c.root); !slices.Equal(got, []string{"dir", "f", "g"}) {
		w.Errorf("flags that are not known have left %q", got)
	}
}

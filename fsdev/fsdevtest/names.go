package fsdevtest

import (
	"fmt"
	"slices"
	"strings"
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
)

// What names can be, and what they stand for.
var nameCases = []testCase{
	{"Create", onlyFull, nil, testCreate},
	{"CreateExisting", onlyFull, nil, testCreateExisting},
	{"CreateUmask", onlyFull, nil, testCreateUmask},
	{"CreateOwners", onlyFull, nil, testCreateOwners},
	{"CreateSecurity", onlyFull, []fsdev.IOType{fsdev.IOGetxattr}, testCreateSecurity},
	{"Directories", onlyFull, nil, testDirectories},
	{"Names", onlyFull, nil, testNames},
	{"NotADirectory", onlyFull, nil, testNotADirectory},
	{"Links", onlyFull, []fsdev.IOType{fsdev.IOLink}, testLinks},
	{"Symlinks", onlyFull, []fsdev.IOType{fsdev.IOSymlink}, testSymlinks},
	{"Mknod", onlyFull, []fsdev.IOType{fsdev.IOMknod}, testMknod},
	{"OpenOfWhatCannotBe", onlyFull, nil, testOpenRefuses},
}

func testCreate(w *world) {
	c := w.open(0)
	c.lookup(c.root, "file").want(syscall.ENOENT)
	f := c.createBy(c.root, "file", 0o640, syscall.O_RDWR, &fsdev.Creator{}).ok()
	if f.obj == 0 || f.h == 0 {
		w.Fatalf("CREATE: object %d, handle %d", f.obj, f.h)
	}
	a := f.attr
	if a.Mode != syscall.S_IFREG|0o640 || a.Size != 0 || a.Nlink != 1 || a.Ino == 0 {
		w.Errorf("CREATE: %+v", a)
	}
	g := c.lookup(c.root, "file").ok()
	if g.obj != f.obj || g.attr.Ino != a.Ino || g.attr.Mode != a.Mode {
		w.Errorf("CREATE gave %d, %+v, LOOKUP gives %d, %+v", f.obj, a, g.obj, g.attr)
	}
	if other := c.create(c.root, "other").ok(); other.obj == f.obj || other.attr.Ino == a.Ino {
		w.Error("two files have one object, or one number")
	}
	c.unlink(c.root, "file").ok()
	c.unlink(c.root, "file").want(syscall.ENOENT)
	c.lookup(c.root, "file").want(syscall.ENOENT)
	c.rmdir(c.root, "file").want(syscall.ENOENT)
}

func testCreateExisting(w *world) {
	c := w.open(0)
	f := c.create(c.root, "file").ok()
	c.put(f.obj, f.h, 0, []byte("contents"))
	c.createBy(c.root, "file", 0o600, syscall.O_RDWR|syscall.O_EXCL, &fsdev.Creator{}).want(syscall.EEXIST)
	again := c.createBy(c.root, "file", 0o600, syscall.O_RDWR, &fsdev.Creator{}).ok()
	if again.obj != f.obj || again.attr.Size != 8 || again.attr.Mode != f.attr.Mode {
		w.Errorf("CREATE of a file that exists gives %d, %+v", again.obj, again.attr)
	}
	trunc := c.createBy(c.root, "file", 0o600, syscall.O_RDWR|syscall.O_TRUNC, &fsdev.Creator{}).ok()
	if got := c.get(f.obj, trunc.h, 0, 100); trunc.attr.Size != 0 || len(got) > 0 {
		w.Errorf("CREATE with O_TRUNC leaves %q, size %d", got, trunc.attr.Size)
	}
	c.mkdir(c.root, "dir").ok()
	c.createBy(c.root, "dir", 0o600, syscall.O_RDWR, &fsdev.Creator{}).want(syscall.EISDIR)
	c.mkdir(c.root, "file").want(syscall.EEXIST)
	if !w.o.lacks(fsdev.IOMknod) {
		c.mknod(c.root, "file", syscall.S_IFREG|0o644, 0).want(syscall.EEXIST)
	}
	if !w.o.lacks(fsdev.IOSymlink) {
		c.symlink(c.root, "file", "target").want(syscall.EEXIST)
	}
}

// testCreateUmask leaves the umask to the module, as clients with POSIX ACLs do.
func testCreateUmask(w *world) {
	c := w.open(0)
	f := c.createBy(c.root, "file", 0o666, syscall.O_RDWR, &fsdev.Creator{Umask: 0o027}).ok()
	if f.attr.Mode&0o7777 != 0o640 {
		w.Errorf("CREATE of 0666 with umask 027 gives %#o", f.attr.Mode&0o7777)
	}
	d := c.mkdirBy(c.root, "dir", 0o777, &fsdev.Creator{Umask: 0o027}).ok()
	if d.attr.Mode&0o777 != 0o750 {
		w.Errorf("MKDIR of 0777 with umask 027 gives %#o", d.attr.Mode&0o777)
	}
}

func testCreateOwners(w *world) {
	c := w.open(0)
	by := &fsdev.Creator{UID: 1234, GID: 2345}
	f := c.createBy(c.root, "file", 0o644, syscall.O_RDWR, by).ok()
	d := c.mkdirBy(c.root, "dir", 0o755, by).ok()
	for _, r := range []*result{f, d} {
		if r.attr.UID != 1234 || r.attr.GID != 2345 {
			w.Errorf("%v by 1234:2345 gives %d:%d", r.x.typ, r.attr.UID, r.attr.GID)
		}
	}
	// What is made in a set-group-ID directory has its group.
	c.setattr(d.obj, 0, fsdev.Attr{Mode: 0o2775, GID: 99}, fsdev.SetAttrMode|fsdev.SetAttrGID).ok()
	in := c.createBy(d.obj, "file", 0o644, syscall.O_RDWR, by).ok()
	sub := c.mkdirBy(d.obj, "sub", 0o755, by).ok()
	if in.attr.GID != 99 || sub.attr.GID != 99 || sub.attr.Mode&syscall.S_ISGID == 0 {
		w.Errorf("in a set-group-ID directory of 99: file of %d, directory of %d, mode %#o", in.attr.GID, sub.attr.GID,
			sub.attr.Mode)
	}
}

// testCreateSecurity has files get attributes as they are created, if the module says it can.
func testCreateSecurity(w *world) {
	c := w.open(0)
	if !c.opts.SecurityCtx {
		return
	}
	value := []byte("label")
	by := &fsdev.Creator{Security: []fsdev.Xattr{{Name: []byte("security.fsdevtest"), Value: value}}}
	f := c.createBy(c.root, "file", 0o644, syscall.O_RDWR, by).ok()
	d := c.mkdirBy(c.root, "dir", 0o755, by).ok()
	for _, r := range []*result{f, d} {
		buf := make([]byte, 16)
		n := c.getxattr(r.obj, "security.fsdevtest", len(buf), [][]byte{buf}).ok().n
		if string(buf[:n]) != "label" {
			w.Errorf("%v: the label is %q", r.x.typ, buf[:n])
		}
	}
}

func testDirectories(w *world) {
	c := w.open(0)
	d := c.mkdirBy(c.root, "dir", 0o751, &fsdev.Creator{}).ok()
	if d.attr.Mode != syscall.S_IFDIR|0o751 || d.attr.Nlink == 0 {
		w.Errorf("MKDIR: %+v", d.attr)
	}
	sub := c.mkdir(d.obj, "sub").ok()
	f := c.create(d.obj, "file").ok()
	c.rmdir(c.root, "dir").want(syscall.ENOTEMPTY, syscall.EEXIST)
	c.unlink(c.root, "dir").want(syscall.EISDIR, syscall.EPERM)
	c.rmdir(d.obj, "file").want(syscall.ENOTDIR)
	c.unlink(d.obj, "sub").want(syscall.EISDIR, syscall.EPERM)
	c.unlink(d.obj, "file").ok()
	c.rmdir(d.obj, "sub").ok()
	c.rmdir(c.root, "dir").ok()
	c.lookup(c.root, "dir").want(syscall.ENOENT)
	c.release(f.obj, f.h).ok()
	// A directory that was removed takes nothing any more.
	c.create(d.obj, "file").want(syscall.ENOENT)
	c.mkdir(d.obj, "sub").want(syscall.ENOENT)
	c.forget(sub.obj, 1).ok()
	c.gone(sub.obj)
}

// list returns the names in a directory, sorted, without the dots.
func (c *client) list(dir fsdev.FileObject) (names []string) {
	c.Helper()
	h := c.opendir(dir).ok().h
	for _, e := range c.entries(dir, h, 0) {
		names = append(names, e.name)
	}
	c.releasedir(dir, h).ok()
	slices.Sort(names)
	return names
}

// testNames has names that a client must not get through, and the longest that it may.
func testNames(w *world) {
	c := w.open(0)
	longest := int(c.statfs(c.root).ok().statfs.Namelen)
	if longest < 14 {
		w.Fatalf("STATFS: names of at most %d bytes", longest)
	}
	c.create(c.root, "old").ok()
	c.mkdir(c.root, "sub").ok()
	for _, name := range []string{
		"", ".", "..", "/", "a/b", "../old", "sub/", "/old", "nul\x00", "old\x00", strings.Repeat("n", longest+1),
		strings.Repeat("n", 1<<12),
	} {
		c.create(c.root, name).fails()
		c.mkdir(c.root, name).fails()
		c.unlink(c.root, name).fails()
		c.rmdir(c.root, name).fails()
		c.rename(c.root, "old", c.root, name, 0).fails()
		c.rename(c.root, name, c.root, "new", 0).fails()
		if !w.o.lacks(fsdev.IOMknod) {
			c.mknod(c.root, name, syscall.S_IFREG|0o644, 0).fails()
		}
		if !w.o.lacks(fsdev.IOSymlink) {
			c.symlink(c.root, name, "target").fails()
		}
		if name != "." && name != ".." { // those who export the file system look them up
			c.lookup(c.root, name).fails()
		}
	}
	if up := c.lookup(c.root, ".."); up.errno == 0 && up.obj != c.root {
		w.Error("there is a way out of the root")
	}
	if got := c.list(c.root); !slices.Equal(got, []string{"old", "sub"}) {
		w.Errorf("bad names have left %q", got)
	}
	c.lookup(c.root, strings.Repeat("n", longest+1)).want(syscall.ENAMETOOLONG)
	for _, name := range []string{
		strings.Repeat("n", longest), " ", "...", "-", "\xff\xfe", "new\nline", "größer", "a\\b", "*", "old ",
	} {
		f := c.create(c.root, name).ok()
		if c.lookup(c.root, name).ok().obj != f.obj {
			w.Errorf("LOOKUP of %q finds another file", name)
		}
		c.unlink(c.root, name).ok()
	}
}

func testNotADirectory(w *world) {
	c := w.open(0)
	f := c.create(c.root, "file").ok()
	c.lookup(f.obj, "name").want(syscall.ENOTDIR)
	c.create(f.obj, "name").want(syscall.ENOTDIR)
	c.mkdir(f.obj, "name").want(syscall.ENOTDIR)
	c.unlink(f.obj, "name").want(syscall.ENOTDIR)
	c.rmdir(f.obj, "name").want(syscall.ENOTDIR)
	c.rename(f.obj, "name", c.root, "name", 0).want(syscall.ENOTDIR)
	c.rename(c.root, "file", f.obj, "name", 0).want(syscall.ENOTDIR)
	c.opendir(f.obj).want(syscall.ENOTDIR)
	if !w.o.lacks(fsdev.IOLink) {
		c.link(f.obj, f.obj, "name").want(syscall.ENOTDIR)
	}
}

func testLinks(w *world) {
	c := w.open(0)
	d := c.mkdir(c.root, "dir").ok()
	f := c.create(c.root, "file").ok()
	for i := range 3 {
		l := c.link(f.obj, d.obj, fmt.Sprint("link", i)).ok()
		if l.obj != f.obj || l.attr.Ino != f.attr.Ino || l.attr.Nlink != uint32(i+2) {
			w.Errorf("LINK: object %d, %+v", l.obj, l.attr)
		}
	}
	c.link(f.obj, d.obj, "link0").want(syscall.EEXIST)
	c.link(d.obj, c.root, "link").want(syscall.EPERM)
	c.put(f.obj, f.h, 0, []byte("contents"))
	c.unlink(c.root, "file").ok()
	for i := range 3 {
		l := c.lookup(d.obj, fmt.Sprint("link", i)).ok()
		if l.attr.Size != 8 || l.attr.Nlink != uint32(3-i) {
			w.Errorf("by another name: %+v", l.attr)
		}
		c.unlink(d.obj, fmt.Sprint("link", i)).ok()
	}
	if nlink := c.getattr(f.obj, f.h).ok().attr.Nlink; nlink != 0 {
		w.Errorf("without a name, a file has %d", nlink)
	}
	c.link(f.obj, d.obj, "back").want(syscall.ENOENT)
}

func testSymlinks(w *world) {
	c := w.open(0)
	for i, target := range []string{
		"t", "file", "/", "../../etc/passwd", "with space", "\xff", strings.Repeat("t", 127), strings.Repeat("t", 128),
		strings.Repeat("t/", 2000),
	} {
		name := fmt.Sprint("link", i)
		l := c.symlink(c.root, name, target).ok()
		if l.attr.Mode&syscall.S_IFMT != syscall.S_IFLNK || l.attr.Size != uint64(len(target)) {
			w.Errorf("SYMLINK of %d bytes: %+v", len(target), l.attr)
		}
		if got := c.readlink(l.obj).ok().target; got != target {
			w.Errorf("READLINK of %q: %q", target, got)
		}
		if c.lookup(c.root, name).ok().obj != l.obj {
			w.Error("LOOKUP follows a symbolic link")
		}
		c.lookup(l.obj, "name").want(syscall.ENOTDIR)
		c.unlink(c.root, name).ok()
	}
	c.symlink(c.root, "link", "").fails()
	c.symlink(c.root, "link", strings.Repeat("t", 4097)).want(syscall.ENAMETOOLONG)
	f := c.create(c.root, "file").ok()
	c.readlink(f.obj).want(syscall.EINVAL)
	c.readlink(c.root).want(syscall.EINVAL)
}

func testMknod(w *world) {
	c := w.open(0)
	for _, mode := range []uint32{syscall.S_IFREG | 0o644, syscall.S_IFIFO | 0o600, syscall.S_IFSOCK | 0o755} {
		n := c.mknod(c.root, "node", mode, 0).ok()
		if n.attr.Mode != mode || c.getattr(n.obj, 0).ok().attr.Mode != mode {
			w.Errorf("MKNOD of %#o gives %#o", mode, n.attr.Mode)
		}
		c.mknod(c.root, "node", mode, 0).want(syscall.EEXIST)
		c.unlink(c.root, "node").ok()
	}
	c.mknod(c.root, "node", syscall.S_IFDIR|0o755, 0).fails()
	c.mknod(c.root, "node", syscall.S_IFLNK|0o755, 0).fails()
	c.lookup(c.root, "node").want(syscall.ENOENT)
}

func testOpenRefuses(w *world) {
	c := w.open(0)
	d := c.mkdir(c.root, "dir").ok()
	c.fopen(d.obj, syscall.O_RDWR).want(syscall.EISDIR)
	if !w.o.lacks(fsdev.IOSymlink) {
		l := c.symlink(c.root, "link", "dir").ok()
		c.fopen(l.obj, syscall.O_RDONLY).fails()
		c.opendir(l.obj).fails()
	}
	c.read(d.obj, 0, 0, 1, [][]byte{{0}}).fails()
	c.write(d.obj, 0, 0, 1, [][]byte{{0}}).fails()
}

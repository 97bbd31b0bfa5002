package memfs

import (
	"bytes"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
)

func TestNames(t *testing.T) {
	long := strings.Repeat("x", maxName)
	tests := []struct {
		name   string
		make   syscall.Errno
		lookup syscall.Errno
		unlink syscall.Errno
		rmdir  syscall.Errno
		rename syscall.Errno
	}{
		{"", syscall.EINVAL, syscall.EINVAL, syscall.EINVAL, syscall.EINVAL, syscall.EINVAL},
		{".", syscall.EEXIST, 0, syscall.EISDIR, syscall.EINVAL, syscall.EBUSY},
		{"..", syscall.EEXIST, 0, syscall.EISDIR, syscall.ENOTEMPTY, syscall.EBUSY},
		{"a/b", syscall.EINVAL, syscall.EINVAL, syscall.EINVAL, syscall.EINVAL, syscall.EINVAL},
		{"/", syscall.EINVAL, syscall.EINVAL, syscall.EINVAL, syscall.EINVAL, syscall.EINVAL},
		{"a\x00b", syscall.EINVAL, syscall.EINVAL, syscall.EINVAL, syscall.EINVAL, syscall.EINVAL},
		{long + "x", syscall.ENAMETOOLONG, syscall.ENAMETOOLONG, syscall.ENAMETOOLONG, syscall.ENAMETOOLONG,
			syscall.ENAMETOOLONG},
		{long, 0, 0, 0, syscall.ENOENT, syscall.ENOENT},
		{"...", 0, 0, 0, syscall.ENOENT, syscall.ENOENT},
	}
	for _, tt := range tests {
		r := newRig(t, Opts{})
		name := []byte(tt.name)
		_, errno := r.mknod(r.root, name, &creation{perm: 0o644}, &r.attr)
		r.want("mknod", errno, tt.make)
		_, errno = r.lookup1(r.root, tt.name)
		r.want("lookup", errno, tt.lookup)
		r.want("unlink", r.remove(r.root, name, false), tt.unlink)
		r.want("rmdir", r.remove(r.root, name, true), tt.rmdir)
		r.want("rename", r.rename(r.root, name, r.root, []byte("new"), 0), tt.rename)
		if t.Failed() {
			t.Fatalf("name %q", tt.name)
		}
	}
}

func TestDotsNeverEscape(t *testing.T) {
	r := newRig(t, Opts{})
	sub := r.mkdir(r.root, "sub")
	for _, tt := range []struct {
		dir  fsdev.FileObject
		name string
		want fsdev.FileObject
	}{
		{r.root, ".", r.root}, {r.root, "..", r.root}, {sub, ".", sub}, {sub, "..", r.root},
	} {
		got, errno := r.lookup1(tt.dir, tt.name)
		r.must(errno)
		if got != tt.want {
			t.Errorf("lookup of %q in %#x: got %#x, want %#x", tt.name, tt.dir, got, tt.want)
		}
	}
	r.must(r.remove(r.root, []byte("sub"), true))
	_, errno := r.lookup1(sub, "..")
	r.want("parent of a removed directory", errno, syscall.ENOENT)
	if got, errno := r.lookup1(sub, "."); errno != 0 || got != sub {
		t.Errorf("a removed directory is not itself: %#x, %v", got, errno)
	}
	file := r.mkfile(r.root, "file")
	_, errno = r.lookup1(file, ".")
	r.want("lookup in a file", errno, syscall.ENOTDIR)
}

func TestMknodTypes(t *testing.T) {
	tests := []struct {
		mode  uint32
		errno syscall.Errno
	}{
		{0o600, 0}, {syscall.S_IFREG, 0}, {syscall.S_IFIFO, 0}, {syscall.S_IFSOCK, 0}, {syscall.S_IFCHR, 0},
		{syscall.S_IFBLK, 0}, {syscall.S_IFDIR, syscall.EPERM}, {syscall.S_IFLNK, syscall.EINVAL},
		{0o150000, syscall.EINVAL},
	}
	for _, tt := range tests {
		r := newRig(t, Opts{})
		obj, errno := r.mknod(r.root, []byte("x"), &creation{perm: tt.mode, rdev: 0x1234, uid: 10, gid: 20}, &r.attr)
		r.want("mknod", errno, tt.errno)
		if errno != 0 {
			continue
		}
		got := r.stat(obj)
		want := fsdev.Attr{Ino: 2, Mode: tt.mode, Nlink: 1, UID: 10, GID: 20, Blksize: pageSize}
		if want.Mode&syscall.S_IFMT == 0 {
			want.Mode |= syscall.S_IFREG
		}
		if typ := want.Mode & syscall.S_IFMT; typ == syscall.S_IFCHR || typ == syscall.S_IFBLK {
			want.Rdev = 0x1234
		}
		want.Atime, want.AtimeNsec = got.Ctime, got.CtimeNsec
		want.Mtime, want.MtimeNsec = got.Ctime, got.CtimeNsec
		want.Ctime, want.CtimeNsec = got.Ctime, got.CtimeNsec
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("mode %o (-want +got):\n%s", tt.mode, diff)
		}
	}
}

func TestSymlink(t *testing.T) {
	r := newRig(t, Opts{})
	for _, tt := range []struct {
		target string
		errno  syscall.Errno
		pages  int64
	}{
		{"", syscall.ENOENT, 0}, {"a\x00", syscall.EINVAL, 0}, {strings.Repeat("t", maxTarget+1), syscall.ENAMETOOLONG, 0},
		{"../x", 0, 0}, {strings.Repeat("t", maxTarget), 0, 1},
	} {
		obj, errno := r.symlink(r.root, []byte("link"), &creation{target: []byte(tt.target), uid: 1, gid: 2}, &r.attr)
		r.want("symlink", errno, tt.errno)
		if errno != 0 {
			continue
		}
		got, errno := r.readlink(obj)
		r.must(errno)
		if string(got) != tt.target || r.attr.Size != uint64(len(tt.target)) || r.attr.Mode != syscall.S_IFLNK|0o777 {
			t.Errorf("target %q, attributes %+v", got, r.attr)
		}
		if used := r.fs.used.Load(); used != tt.pages {
			t.Errorf("a target of %d bytes is charged %d pages, want %d", len(tt.target), used, tt.pages)
		}
		r.must(r.remove(r.root, []byte("link"), false))
		r.forget(obj, 1)
	}
	_, errno := r.readlink(r.root)
	r.want("readlink of a directory", errno, syscall.EINVAL)
	r.umount(r.desc)
	r.checkEmpty()
}

func TestLinkIsOneObject(t *testing.T) {
	r := newRig(t, Opts{})
	d := r.mkdir(r.root, "d")
	f := r.mkfile(r.root, "f")
	again, errno := r.link(f, d, []byte("g"), &r.attr)
	r.must(errno)
	if again != f || r.attr.Nlink != 2 {
		t.Errorf("link gave %#x with %d links, want %#x with 2", again, r.attr.Nlink, f)
	}
	if obj, errno := r.lookup1(d, "g"); errno != 0 || obj != f {
		t.Errorf("the second name is object %#x (%v), want %#x", obj, errno, f)
	}
	_, errno = r.link(f, d, []byte("g"), &r.attr)
	r.want("link over a name", errno, syscall.EEXIST)
	_, errno = r.link(d, r.root, []byte("h"), &r.attr)
	r.want("link of a directory", errno, syscall.EPERM)
	_, errno = r.link(f, f, []byte("h"), &r.attr)
	r.want("link in a file", errno, syscall.ENOTDIR)
	if used := r.fs.inodes.Load(); used != 4 {
		t.Errorf("%d inodes charged, want root, d, f and a second name", used)
	}
	r.must(r.remove(r.root, []byte("f"), false))
	r.must(r.remove(d, []byte("g"), false))
	_, errno = r.link(f, d, []byte("h"), &r.attr)
	r.want("link of a file without a name", errno, syscall.ENOENT)
	if got := r.stat(f).Nlink; got != 0 {
		t.Errorf("%d links, want 0", got)
	}
	r.forget(f, 3)
	_, errno = r.get(f)
	r.want("the object", errno, syscall.ESTALE)
	r.removeAll(r.root)
	r.umount(r.desc)
	r.checkEmpty()
}

func TestRemoveErrnos(t *testing.T) {
	r := newRig(t, Opts{})
	d := r.mkdir(r.root, "d")
	r.mkfile(r.root, "f")
	r.mkfile(d, "inner")
	r.want("unlink a directory", r.remove(r.root, []byte("d"), false), syscall.EISDIR)
	r.want("rmdir a file", r.remove(r.root, []byte("f"), true), syscall.ENOTDIR)
	r.want("rmdir a full directory", r.remove(r.root, []byte("d"), true), syscall.ENOTEMPTY)
	r.want("unlink nothing", r.remove(r.root, []byte("x"), false), syscall.ENOENT)
	r.must(r.remove(d, []byte("inner"), false))
	r.must(r.remove(r.root, []byte("d"), true))
	_, errno := r.mknod(d, []byte("x"), &creation{}, &r.attr)
	r.want("mknod in a removed directory", errno, syscall.ENOENT)
	c := collector{room: 9}
	r.want("readdir of a removed directory", r.readdir(r.node(d), 0, false, &c), syscall.ENOENT)
	r.want("rename into a removed directory", r.rename(r.root, []byte("f"), d, []byte("f"), 0), syscall.ENOENT)
}

func TestDirectoryLinksAndSetgid(t *testing.T) {
	r := newRig(t, Opts{})
	d := r.mkdir(r.root, "d")
	r.must(r.setattr(r.node(d), &fsdev.Attr{Mode: 0o2775, GID: 77}, fsdev.SetAttrMode|fsdev.SetAttrGID, &r.attr))
	e := r.mkdir(d, "e")
	f := r.mkfile(d, "f")
	if a := r.stat(e); a.GID != 77 || a.Mode&syscall.S_ISGID == 0 || a.Nlink != 2 {
		t.Errorf("directory in a setgid directory: %+v", a)
	}
	if a := r.stat(f); a.GID != 77 || a.Mode&syscall.S_ISGID != 0 {
		t.Errorf("file in a setgid directory: %+v", a)
	}
	for _, want := range []uint32{3, 2} {
		if got := r.stat(d).Nlink; got != want {
			t.Errorf("nlink %d, want %d", got, want)
		}
		if want == 3 {
			r.must(r.remove(d, []byte("e"), true))
		}
	}
	if got := r.stat(r.root).Nlink; got != 3 {
		t.Errorf("root has nlink %d, want 3", got)
	}
}

func TestRename(t *testing.T) {
	const (
		noreplace = unix.RENAME_NOREPLACE
		exchange  = unix.RENAME_EXCHANGE
		whiteout  = unix.RENAME_WHITEOUT
	)
	// the tree: /f /g /d/ (empty) /e/x /e/sub/
	tests := []struct {
		what     string
		from, to string
		flags    uint32
		errno    syscall.Errno
		root     []string // what is in the root afterwards, if it succeeds
	}{
		{"plain", "f", "n", 0, 0, []string{"g", "d", "e", "n"}},
		{"replace", "f", "g", 0, 0, []string{"d", "e", "g"}},
		{"to itself", "f", "f", 0, 0, []string{"f", "g", "d", "e"}},
		{"to another directory", "f", "e/f", 0, 0, []string{"g", "d", "e"}},
		{"replace elsewhere", "f", "e/x", 0, 0, []string{"g", "d", "e"}},
		{"nothing", "x", "n", 0, syscall.ENOENT, nil},
		{"noreplace", "f", "g", noreplace, syscall.EEXIST, nil},
		{"noreplace, free", "f", "n", noreplace, 0, []string{"g", "d", "e", "n"}},
		{"file over directory", "f", "d", 0, syscall.EISDIR, nil},
		{"directory over file", "d", "f", 0, syscall.ENOTDIR, nil},
		{"directory over empty directory", "e", "d", 0, 0, []string{"f", "g", "d"}},
		{"directory over full directory", "d", "e", 0, syscall.ENOTEMPTY, nil},
		{"directory below itself", "e", "e/n", 0, syscall.EINVAL, nil},
		{"directory deep below itself", "e", "e/sub/n", 0, syscall.EINVAL, nil},
		{"directory over its parent", "e/sub", "e", 0, syscall.ENOTEMPTY, nil},
		{"file over its parent", "e/x", "e", 0, syscall.EISDIR, nil},
		{"directory up", "e/sub", "n", 0, 0, []string{"f", "g", "d", "e", "n"}},
		{"exchange files", "f", "g", exchange, 0, []string{"f", "g", "d", "e"}},
		{"exchange file and directory", "f", "e", exchange, 0, []string{"f", "g", "d", "e"}},
		{"exchange across", "f", "e/sub", exchange, 0, []string{"f", "g", "d", "e"}},
		{"exchange with nothing", "f", "n", exchange, syscall.ENOENT, nil},
		{"exchange with its child", "e", "e/sub", exchange, syscall.EINVAL, nil},
		{"exchange with its parent", "e/sub", "e", exchange, syscall.EINVAL, nil},
		{"whiteout", "f", "n", whiteout, 0, []string{"g", "d", "e", "n", "f"}},
		{"whiteout, noreplace", "f", "g", whiteout | noreplace, syscall.EEXIST, nil},
		{"exchange, noreplace", "f", "g", exchange | noreplace, syscall.EINVAL, nil},
		{"unknown flag", "f", "n", 8, syscall.EINVAL, nil},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			r := newRig(t, Opts{})
			r.mkfile(r.root, "f")
			r.mkfile(r.root, "g")
			r.mkdir(r.root, "d")
			e := r.mkdir(r.root, "e")
			r.mkfile(e, "x")
			sub := r.mkdir(e, "sub")
			place := func(p string) (fsdev.FileObject, []byte) {
				dirs := map[string]fsdev.FileObject{"": r.root, "e": e, "e/sub": sub}
				i := strings.LastIndex(p, "/")
				return dirs[p[:max(i, 0)]], []byte(p[i+1:])
			}
			fd, fn := place(tt.from)
			td, tn := place(tt.to)
			before := r.treeOf(r.root)
			src, _ := r.lookup1(fd, string(fn))
			dst, _ := r.lookup1(td, string(tn))
			r.want("rename", r.rename(fd, fn, td, tn, tt.flags), tt.errno)
			if tt.errno != 0 {
				if diff := cmp.Diff(before, r.treeOf(r.root)); diff != "" {
					t.Errorf("a failed rename changed (-before +after):\n%s", diff)
				}
			} else {
				if diff := cmp.Diff(tt.root, r.names(r.root)); diff != "" {
					t.Errorf("root (-want +got):\n%s", diff)
				}
				if got, errno := r.lookup1(td, string(tn)); got != src {
					t.Errorf("the new name is %#x (%v), want %#x", got, errno, src)
				}
				if tt.flags&exchange != 0 {
					if got, errno := r.lookup1(fd, string(fn)); got != dst {
						t.Errorf("the old name is %#x (%v), want %#x", got, errno, dst)
					}
				}
			}
			r.checkTree()
			r.removeAll(r.root)
			r.umount(r.desc)
			r.checkEmpty()
		})
	}
}

// treeOf describes all that is below dir.
func (r *rig) treeOf(dir fsdev.FileObject) map[string]any {
	m := map[string]any{}
	for _, e := range r.list(dir, 100)[2:] {
		if e.mode&syscall.S_IFMT == syscall.S_IFDIR {
			obj, errno := r.lookup1(dir, e.name)
			r.must(errno)
			m[e.name] = r.treeOf(obj)
		} else {
			m[e.name] = e.ino
		}
	}
	return m
}

// checkTree checks links and parents from the root down.
func (r *rig) checkTree() {
	r.Helper()
	links := map[*inode]uint32{}
	var walk func(d *inode)
	walk = func(d *inode) {
		dirs := uint32(2)
		count := 0
		last := uint64(0)
		for _, c := range d.dir.chunks {
			if len(c.entries) == 0 || c.first <= last || c.entries[0].seq < c.first {
				r.Errorf("inode %d: a chunk of %d entries from %d follows %d", d.ino, len(c.entries), c.first, last)
			}
			for _, e := range c.entries {
				count++
				if e.seq <= last || d.dir.names[e.name] != e {
					r.Errorf("inode %d: entry %q with number %d after %d", d.ino, e.name, e.seq, last)
				}
				last = e.seq
				links[e.node]++
				if e.node.isDir() {
					dirs++
					if p := e.node.dir.parent.Load(); p != d {
						r.Errorf("directory %q does not know its parent", e.name)
					}
					walk(e.node)
				}
			}
		}
		if count != len(d.dir.names) {
			r.Errorf("inode %d: %d entries in order, %d by name", d.ino, count, len(d.dir.names))
		}
		if d.nlink != dirs {
			r.Errorf("directory %d has %d links, want %d", d.ino, d.nlink, dirs)
		}
	}
	walk(r.fs.root)
	for n, want := range links {
		if !n.isDir() && n.nlink != want {
			r.Errorf("file %d has %d links, want %d", n.ino, n.nlink, want)
		}
	}
}

func TestForgetIsClamped(t *testing.T) {
	r := newRig(t, Opts{})
	f := r.mkfile(r.root, "f") // 1 lookup
	_, errno := r.lookup1(r.root, "f")
	r.must(errno)
	r.must(r.remove(r.root, []byte("f"), false))
	r.forget(f, 1)
	r.stat(f)
	r.forget(f, 1<<63)
	_, errno = r.get(f)
	r.want("forgotten", errno, syscall.ESTALE)
	r.forget(f, 1) // and again
	r.forget(0, 1)
	r.forget(1, 1)
	r.forget(r.root, 1<<63)
	r.stat(r.root)
	// A file with a name is not lost by too many forgets.
	g := r.mkfile(r.root, "g")
	r.forget(g, 100)
	r.forget(g, 100)
	if got, errno := r.lookup1(r.root, "g"); errno != 0 || got != g {
		t.Errorf("lookup after forget: %#x, %v", got, errno)
	}
	r.must(r.remove(r.root, []byte("g"), false))
	r.stat(g)
	r.forget(g, 1)
	r.umount(r.desc)
	r.checkEmpty()
}

// TestUmountForgetsLookups pins that a client's lookups end with it, and nobody else's.
func TestUmountForgetsLookups(t *testing.T) {
	r := newRig(t, Opts{})
	other := new(fsdev.Desc)
	r.mount(other, false)
	theirs := r.mkfile(r.root, "theirs")
	r.as(r.desc)
	mine, kept, both := r.mkfile(r.root, "mine"), r.mkfile(r.root, "kept"), r.mkfile(r.root, "both")
	r.as(other)
	_, errno := r.lookup1(r.root, "both")
	r.must(errno)
	r.as(r.desc)
	for _, name := range []string{"mine", "theirs", "both"} {
		r.must(r.remove(r.root, []byte(name), false))
	}
	h, errno := r.fopen(r.desc, r.node(mine), syscall.O_RDWR)
	r.must(errno)
	r.umount(r.desc)
	if r.fs.handles.Get(uint64(h)) != nil {
		t.Error("the handle outlived its client")
	}
	_, errno = r.get(mine)
	r.want("a file without a name that only the client knew", errno, syscall.ESTALE)
	r.stat(theirs)
	r.stat(both)
	// The lookup of before counts no longer, although nobody has visited the inode.
	r.mount(r.desc, false)
	r.stat(kept)
	r.forget(kept, 1)
	r.must(r.remove(r.root, []byte("kept"), false))
	_, errno = r.get(kept)
	r.want("a file looked up in an earlier session", errno, syscall.ESTALE)
	f := r.mkfile(r.root, "f")
	r.must(r.remove(r.root, []byte("f"), false))
	r.stat(f)
	r.forget(f, 1)
	_, errno = r.get(f)
	r.want("a file of this session", errno, syscall.ESTALE)
	r.umount(r.desc)
	r.umount(r.desc)
	r.umount(other)
	r.checkEmpty()
}

func TestStaleObjects(t *testing.T) {
	r := newRig(t, Opts{})
	f := r.mkfile(r.root, "f")
	r.must(r.remove(r.root, []byte("f"), false))
	r.forget(f, 1)
	g := r.mkfile(r.root, "g") // most likely in f's place
	for _, obj := range []fsdev.FileObject{0, 1, 2, f, g + 1, g ^ 1<<63, 1<<64 - 1} {
		_, errno := r.get(obj)
		r.want("get", errno, syscall.ESTALE)
		_, errno = r.lookup1(obj, "x")
		r.want("lookup", errno, syscall.ESTALE)
		r.want("rename", r.rename(r.root, []byte("g"), obj, []byte("h"), 0), syscall.ESTALE)
		_, errno = r.link(obj, r.root, []byte("h"), &r.attr)
		r.want("link", errno, syscall.ESTALE)
	}
}

func TestTimes(t *testing.T) {
	r := newRig(t, Opts{})
	d := r.mkdir(r.root, "d")
	f := r.mkfile(d, "f")
	changes := func(obj fsdev.FileObject, op func()) string {
		b := r.stat(obj)
		op()
		a := r.stat(obj)
		var s []string
		if a.Atime != b.Atime {
			s = append(s, "a")
		}
		if a.Mtime != b.Mtime {
			s = append(s, "m")
		}
		if a.Ctime != b.Ctime {
			s = append(s, "c")
		}
		return strings.Join(s, "")
	}
	buf := []byte("data")
	tests := []struct {
		what string
		obj  fsdev.FileObject
		op   func()
		want string
	}{
		{"write", f, func() { r.put1(f, 0, buf) }, "mc"},
		{"first read", f, func() { r.get1(f, 0, 4) }, "a"},
		{"second read", f, func() { r.get1(f, 0, 4) }, ""},
		{"write after read", f, func() { r.put1(f, 0, buf) }, "mc"},
		{"read after write", f, func() { r.get1(f, 0, 4) }, "a"},
		{"empty write", f, func() { r.put1(f, 0, nil) }, ""},
		{"getattr", f, func() { r.stat(f) }, ""},
		{"chmod", f, func() { r.must(r.setattr(r.node(f), &fsdev.Attr{Mode: 0o600}, fsdev.SetAttrMode, &r.attr)) }, "c"},
		{"truncate", f, func() { r.must(r.setattr(r.node(f), &fsdev.Attr{}, fsdev.SetAttrSize, &r.attr)) }, "mc"},
		{"setxattr", f, func() { r.must(r.setxattr(r.node(f), []byte("user.a"), buf, 0)) }, "c"},
		{"removexattr", f, func() { r.must(r.removexattr(r.node(f), []byte("user.a"))) }, "c"},
		{"create in", d, func() { r.mkfile(d, "g") }, "mc"},
		{"readdir", d, func() { r.list(d, 10) }, "a"},
		{"link in", d, func() { _, e := r.link(f, d, []byte("h"), &r.attr); r.must(e) }, "mc"},
		{"link of", f, func() { _, e := r.link(f, d, []byte("i"), &r.attr); r.must(e) }, "c"},
		{"unlink in", d, func() { r.must(r.remove(d, []byte("h"), false)) }, "mc"},
		{"unlink of", f, func() { r.must(r.remove(d, []byte("i"), false)) }, "c"},
		{"rename in", d, func() { r.must(r.rename(d, []byte("f"), d, []byte("f2"), 0)) }, "mc"},
		{"rename of", f, func() { r.must(r.rename(d, []byte("f2"), d, []byte("f"), 0)) }, "c"},
		{"fallocate", f, func() { r.must(r.fallocate(r.node(f), 0, 0, 10)) }, "mc"},
		{"fallocate within", f, func() { r.must(r.fallocate(r.node(f), 0, 0, 5)) }, "mc"},
		{"punch", f, func() { r.must(r.fallocate(r.node(f), 3, 0, 5)) }, "mc"},
		{"utimes", f, func() {
			r.must(r.setattr(r.node(f), &fsdev.Attr{Atime: 5, Mtime: 6}, fsdev.SetAttrAtime|fsdev.SetAttrMtime, &r.attr))
		}, "amc"},
		{"utimes now", f, func() {
			r.must(r.setattr(r.node(f), &fsdev.Attr{}, fsdev.SetAttrAtimeNow|fsdev.SetAttrMtimeNow, &r.attr))
		}, "amc"},
	}
	for _, tt := range tests {
		if got := changes(tt.obj, tt.op); got != tt.want {
			t.Errorf("%s changed the times %q, want %q", tt.what, got, tt.want)
		}
	}
	old := int64(-1e9)
	r.must(r.setattr(r.node(f), &fsdev.Attr{Atime: uint64(old), AtimeNsec: 999999999, Ctime: 1 << 60},
		fsdev.SetAttrAtime|fsdev.SetAttrCtime, &r.attr))
	if int64(r.attr.Atime) != old || r.attr.AtimeNsec != 999999999 || r.attr.Ctime != 1<<60 {
		t.Errorf("times far away came back as %+v", r.attr)
	}
	r.want("nanoseconds", r.setattr(r.node(f), &fsdev.Attr{AtimeNsec: 1e9}, fsdev.SetAttrAtime, &r.attr), syscall.EINVAL)
}

func TestSetattr(t *testing.T) {
	r := newRig(t, Opts{})
	f := r.mkfile(r.root, "f")
	r.must(r.setxattr(r.node(f), []byte(capabilityXattr), []byte("x"), 0))
	tests := []struct {
		what string
		attr fsdev.Attr
		mask uint32
		want uint32 // mode
	}{
		{"mode", fsdev.Attr{Mode: 0o6755}, fsdev.SetAttrMode, 0o6755},
		{"chown kills", fsdev.Attr{UID: 5}, fsdev.SetAttrUID, 0o755},
		{"not group-executable", fsdev.Attr{Mode: 0o6745}, fsdev.SetAttrMode, 0o6745},
		{"chgrp keeps mandatory locking", fsdev.Attr{GID: 5}, fsdev.SetAttrGID, 0o2745},
		{"mode wins", fsdev.Attr{Mode: 0o4755, UID: 6}, fsdev.SetAttrMode | fsdev.SetAttrUID, 0o4755},
		{"size keeps", fsdev.Attr{Size: 10}, fsdev.SetAttrSize, 0o4755},
		{"size with kill", fsdev.Attr{Size: 20}, fsdev.SetAttrSize | fsdev.SetAttrKillSuidgid, 0o755},
	}
	for _, tt := range tests {
		r.must(r.setattr(r.node(f), &tt.attr, tt.mask, &r.attr))
		if r.attr.Mode != syscall.S_IFREG|tt.want {
			t.Errorf("%s: mode %o, want %o", tt.what, r.attr.Mode, tt.want)
		}
	}
	if r.attr.UID != 6 || r.attr.GID != 5 || r.attr.Size != 20 {
		t.Errorf("attributes %+v", r.attr)
	}
	_, errno := r.getxattr(r.node(f), []byte(capabilityXattr), nil, 0)
	r.want("capabilities after chown", errno, syscall.ENODATA)
	link, errno := r.symlink(r.root, []byte("l"), &creation{target: []byte("t")}, &r.attr)
	r.must(errno)
	r.want("size of a directory", r.setattr(r.node(r.root), &fsdev.Attr{}, fsdev.SetAttrSize, &r.attr), syscall.EISDIR)
	r.want("size of a link", r.setattr(r.node(link), &fsdev.Attr{}, fsdev.SetAttrSize, &r.attr), syscall.EINVAL)
	r.want("huge size", r.setattr(r.node(f), &fsdev.Attr{Size: 1 << 63}, fsdev.SetAttrSize, &r.attr), syscall.EFBIG)
	r.must(r.setattr(r.node(f), &fsdev.Attr{Size: 1<<63 - 1}, fsdev.SetAttrSize, &r.attr))
	if r.attr.Blocks != 0 {
		t.Errorf("a hole of 8 EiB takes %d blocks", r.attr.Blocks)
	}
}

func TestXattr(t *testing.T) {
	r := newRig(t, Opts{})
	f := r.mkfile(r.root, "f")
	n := r.node(f)
	big := bytes.Repeat([]byte("v"), maxXattrValue)
	set := []struct {
		name  string
		value []byte
		flags uint32
		errno syscall.Errno
	}{
		{"user.a", []byte("1"), unix.XATTR_REPLACE, syscall.ENODATA},
		{"user.a", []byte("1"), unix.XATTR_CREATE, 0},
		{"user.a", []byte("2"), unix.XATTR_CREATE, syscall.EEXIST},
		{"user.a", []byte("22"), unix.XATTR_REPLACE, 0},
		{"user.b", nil, 0, 0},
		{"security.c", big, 0, 0},
		{"trusted.d", append(big, 'x'), 0, syscall.E2BIG},
		{"user.a", nil, 4, syscall.EINVAL},
		{"system.posix_acl_access", nil, 0, syscall.EOPNOTSUPP},
		{"nonsense", nil, 0, syscall.EOPNOTSUPP},
		{"user.", nil, 0, syscall.EINVAL},
		{"", nil, 0, syscall.ERANGE},
		{"user." + strings.Repeat("n", 251), nil, 0, syscall.ERANGE},
		{"user." + strings.Repeat("n", 250), nil, 0, 0},
		{"user.x\x00", nil, 0, syscall.EINVAL},
	}
	for _, tt := range set {
		r.want("set "+tt.name, r.setxattr(n, []byte(tt.name), tt.value, tt.flags), tt.errno)
	}
	if used := r.fs.used.Load(); used != 17 {
		t.Errorf("attributes of a little more than 64 KiB are charged %d pages, want 17", used)
	}
	buf := make([]byte, 100)
	get := []struct {
		name  string
		size  uint64
		want  uint64
		errno syscall.Errno
	}{
		{"user.a", 0, 2, 0}, {"user.a", 2, 2, 0}, {"user.a", 100, 2, 0}, {"user.a", 1, 0, syscall.ERANGE},
		{"user.b", 0, 0, 0}, {"user.b", 5, 0, 0}, {"user.zz", 0, 0, syscall.ENODATA},
		{"security.c", 0, maxXattrValue, 0}, {"security.c", 100, 0, syscall.ERANGE},
		{"system.x", 0, 0, syscall.EOPNOTSUPP},
	}
	for _, tt := range get {
		got, errno := r.getxattr(n, []byte(tt.name), [][]byte{buf[:1], buf[1:]}, tt.size)
		r.want("get "+tt.name, errno, tt.errno)
		if got != tt.want {
			t.Errorf("%s with size %d: %d bytes, want %d", tt.name, tt.size, got, tt.want)
		}
	}
	if string(buf[:2]) != "22" {
		t.Errorf("value %q", buf[:2])
	}
	r.must(r.removexattr(n, []byte("user."+strings.Repeat("n", 250))))
	r.want("remove twice", r.removexattr(n, []byte("user."+strings.Repeat("n", 250))), syscall.ENODATA)
	const list = "user.a\x00user.b\x00security.c\x00"
	got, errno := r.listxattr(n, [][]byte{buf}, 0)
	if errno != 0 || got != uint64(len(list)) {
		t.Errorf("size of the list: %d, %v", got, errno)
	}
	_, errno = r.listxattr(n, [][]byte{buf}, got-1)
	r.want("list in too small a buffer", errno, syscall.ERANGE)
	got, errno = r.listxattr(n, [][]byte{buf[:3], buf[3:]}, 100)
	if errno != 0 || string(buf[:got]) != list {
		t.Errorf("list %q, %v", buf[:got], errno)
	}
	// The bounds: names, and space.
	for i := 0; ; i++ {
		errno := r.setxattr(n, []byte("user."+strings.Repeat("m", 200)+string(rune('a'+i%26))+string(rune('a'+i/26))), nil, 0)
		if errno == syscall.ENOSPC {
			break
		}
		r.must(errno)
	}
	r.must(r.remove(r.root, []byte("f"), false))
	r.forget(f, 1)
	r.umount(r.desc)
	r.checkEmpty()
}

func TestInodeLimit(t *testing.T) {
	r := newRig(t, Opts{Inodes: 4})
	for _, name := range []string{"a", "b", "c"} {
		r.mkfile(r.root, name)
	}
	_, errno := r.mknod(r.root, []byte("d"), &creation{}, &r.attr)
	r.want("one file too many", errno, syscall.ENOSPC)
	a, errno := r.lookup1(r.root, "a")
	r.must(errno)
	_, errno = r.link(a, r.root, []byte("d"), &r.attr)
	r.want("one name too many", errno, syscall.ENOSPC)
	r.want("whiteout", r.rename(r.root, []byte("a"), r.root, []byte("d"), unix.RENAME_WHITEOUT), syscall.ENOSPC)
	r.must(r.remove(r.root, []byte("a"), false))
	_, errno = r.mknod(r.root, []byte("d"), &creation{}, &r.attr)
	r.want("while the file is still looked up", errno, syscall.ENOSPC)
	r.forget(a, 2)
	r.mkfile(r.root, "d")
}

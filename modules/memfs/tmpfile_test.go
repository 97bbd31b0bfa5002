package memfs

import (
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/fsdev"
)

// tmp makes a file without a name in dir.
func (r *rig) tmp(dir fsdev.FileObject, flags uint32) (fsdev.FileObject, fsdev.FileHandle) {
	r.Helper()
	c := creation{typ: syscall.S_IFREG, perm: 0o600, uid: 1, gid: 2}
	obj, h, errno := r.tmpfile(r.desc, dir, &c, flags, &r.attr)
	r.must(errno)
	return obj, h
}

func TestTmpfile(t *testing.T) {
	r := newRig(t, Opts{})
	d := r.mkdir(r.root, "d")
	before := r.stat(d)
	obj, h := r.tmp(d, syscall.O_RDWR)
	if a := r.attr; a.Mode != syscall.S_IFREG|0o600 || a.Nlink != 0 || a.UID != 1 || a.GID != 2 || a.Size != 0 {
		t.Errorf("attributes %+v", a)
	}
	if after := r.stat(d); after != before || len(r.names(d)) != 0 {
		t.Errorf("the directory changed from %+v to %+v", before, after)
	}
	r.put1(obj, 0, []byte("data"))

	got, errno := r.link(obj, d, []byte("name"), &r.attr)
	r.must(errno)
	if got != obj || r.attr.Nlink != 1 || string(r.get1(obj, 0, 9)) != "data" {
		t.Errorf("with a name it is %#x with %+v", got, r.attr)
	}
	_, errno = r.link(obj, r.root, []byte("other"), &r.attr)
	r.must(errno)
	if n := r.fs.inodes.Load(); n != 1+1+2 {
		t.Errorf("%d inodes are charged for the root, a directory, a file and its second name", n)
	}
	r.must(r.remove(d, []byte("name"), false))
	r.must(r.remove(r.root, []byte("other"), false))
	_, errno = r.link(obj, d, []byte("name"), &r.attr)
	r.want("link of a file that has had names", errno, syscall.ENOENT)
	if string(r.get1(obj, 0, 9)) != "data" {
		t.Error("the data of an open file are gone")
	}
	r.must(r.release(r.desc, r.node(obj), h))
	r.forget(obj, 2) // of the LINKs; that of the TMPFILE is left
	r.node(obj)
	r.forget(obj, 1)
	if _, errno := r.get(obj); errno != syscall.ESTALE {
		t.Errorf("after the last forget: %v", errno)
	}
	r.removeAll(r.root)
	r.umount(r.desc)
	r.checkEmpty()
}

// TestTmpfileGoes pins when a file that never had a name is freed.
func TestTmpfileGoes(t *testing.T) {
	for what, end := range map[string]func(r *rig, obj fsdev.FileObject, h fsdev.FileHandle){
		"forget, release": func(r *rig, obj fsdev.FileObject, h fsdev.FileHandle) {
			r.forget(obj, 1)
			r.must(r.release(r.desc, r.node(obj), h))
		},
		"release, forget": func(r *rig, obj fsdev.FileObject, h fsdev.FileHandle) {
			r.must(r.release(r.desc, r.node(obj), h))
			r.forget(obj, 1)
		},
		"umount": func(r *rig, _ fsdev.FileObject, _ fsdev.FileHandle) { r.umount(r.desc) },
		"forget, umount": func(r *rig, obj fsdev.FileObject, _ fsdev.FileHandle) {
			r.forget(obj, 1)
			r.umount(r.desc)
		},
	} {
		r := newRig(t, Opts{})
		obj, h := r.tmp(r.root, syscall.O_WRONLY|syscall.O_EXCL)
		r.put1(obj, 0, make([]byte, 100000))
		end(r, obj, h)
		if _, errno := r.get(obj); errno != syscall.ESTALE {
			t.Errorf("%s: the object is %v", what, errno)
		}
		r.umount(r.desc)
		r.checkEmpty()
	}
}

func TestTmpfileErrnos(t *testing.T) {
	r := newRig(t, Opts{Inodes: 4, Handles: 2})
	make1 := func(dir fsdev.FileObject, flags uint32) syscall.Errno {
		c := creation{typ: syscall.S_IFREG, perm: 0o600}
		_, _, errno := r.tmpfile(r.desc, dir, &c, flags, &r.attr)
		return errno
	}
	r.want("read only", make1(r.root, syscall.O_RDONLY), syscall.EINVAL)
	r.want("in a file", make1(r.mkfile(r.root, "f"), syscall.O_RDWR), syscall.ENOTDIR)
	r.want("nowhere", make1(12345, syscall.O_RDWR), syscall.ESTALE)
	gone := r.mkdir(r.root, "gone")
	r.must(r.remove(r.root, []byte("gone"), true))
	r.want("in a removed directory", make1(gone, syscall.O_RDWR), syscall.ENOENT)
	r.forget(gone, 1)
	excl, _ := r.tmp(r.root, syscall.O_RDWR|syscall.O_EXCL)
	_, errno := r.link(excl, r.root, []byte("x"), &r.attr)
	r.want("link after O_EXCL", errno, syscall.ENOENT)
	r.must(make1(r.root, syscall.O_RDWR))
	r.want("too many inodes", make1(r.root, syscall.O_RDWR), syscall.ENOSPC)
	r.must(r.remove(r.root, []byte("f"), false))
	r.umount(r.desc)

	r.mount(r.desc, false)
	r.tmp(r.root, syscall.O_RDWR)
	_, h := r.tmp(r.root, syscall.O_RDWR)
	used := r.fs.inodes.Load()
	r.want("too many handles", make1(r.root, syscall.O_RDWR), syscall.ENFILE)
	if got := r.fs.inodes.Load(); got != used {
		t.Errorf("%d inodes are charged after a failure, %d before", got, used)
	}
	r.must(r.release(r.desc, r.fs.handles.Get(uint64(h)).node, h))
	r.umount(r.desc)
	r.checkEmpty()
}

// TestTmpfileFollowsItsDirectory pins that the directory decides on group and mode.
func TestTmpfileFollowsItsDirectory(t *testing.T) {
	r := newRig(t, Opts{RootMode: 0o2777, RootGID: 77})
	c := creation{typ: syscall.S_IFREG, perm: 0o2777, umask: 0o22, uid: 1, gid: 2,
		security: []fsdev.Xattr{{Name: []byte("security.x"), Value: []byte("v")}}}
	obj, _, errno := r.tmpfile(r.desc, r.root, &c, syscall.O_RDWR, &r.attr)
	r.must(errno)
	if r.attr.Mode != syscall.S_IFREG|0o755 || r.attr.GID != 77 {
		t.Errorf("attributes %+v", r.attr)
	}
	n, errno := r.getxattr(r.node(obj), []byte("security.x"), nil, 0)
	if n != 1 || errno != 0 {
		t.Errorf("label of %d bytes, %v", n, errno)
	}
	r.umount(r.desc)
	r.checkEmpty()
}

// TestConcurrentTmpfiles has lanes link and drop files without a name while the clients come and go.
func TestConcurrentTmpfiles(t *testing.T) {
	r := newRig(t, Opts{})
	n := rounds(2000)
	r.together(func(k int, w *worker) {
		desc := new(fsdev.Desc)
		name := []byte{byte('a' + k)}
		for range n {
			w.lane.mount(desc, false)
			c := creation{typ: syscall.S_IFREG, perm: 0o600}
			var obj fsdev.FileObject
			w.do("tmpfile", func() (errno syscall.Errno) {
				obj, _, errno = w.lane.tmpfile(desc, r.root, &c, syscall.O_RDWR, &w.attr)
				return errno
			})
			if w.rnd.Intn(2) == 0 {
				w.do("link", func() (errno syscall.Errno) {
					_, errno = w.lane.link(obj, r.root, name, &w.attr)
					return errno
				})
				w.do("unlink", func() syscall.Errno { return w.lane.remove(r.root, name, false) })
			}
			w.lane.forget(obj, uint64(w.rnd.Intn(3)))
			w.lane.umount(desc)
		}
	})
	r.umount(r.desc)
	r.checkEmpty()
}

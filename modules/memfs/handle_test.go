package memfs

import (
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/fsdev"
)

func TestOpenErrnos(t *testing.T) {
	r := newRig(t, Opts{Handles: 2})
	f := r.node(r.mkfile(r.root, "f"))
	d := r.node(r.mkdir(r.root, "d"))
	link, errno := r.symlink(r.root, []byte("l"), &creation{target: []byte("t")}, &r.attr)
	r.must(errno)
	fifo, errno := r.mknod(r.root, []byte("p"), &creation{perm: syscall.S_IFIFO}, &r.attr)
	r.must(errno)
	for _, tt := range []struct {
		what string
		n    *inode
		dir  bool
		want syscall.Errno
	}{
		{"directory", d, false, syscall.EISDIR}, {"link", r.node(link), false, syscall.ELOOP},
		{"fifo", r.node(fifo), false, syscall.ENXIO}, {"file as directory", f, true, syscall.ENOTDIR},
		{"file", f, false, 0}, {"opendir", d, true, 0}, {"one too many", f, false, syscall.ENFILE},
	} {
		open := r.fopen
		if tt.dir {
			open = r.opendir
		}
		_, errno := open(r.desc, tt.n, 0)
		r.want(tt.what, errno, tt.want)
	}
	_, _, errno = r.createOpen(r.desc, r.root, []byte("n"), &creation{typ: syscall.S_IFREG}, 0, &r.attr)
	r.want("create without a handle to spare", errno, syscall.ENFILE)
	_, errno = r.lookup1(r.root, "n")
	r.want("the file that could not be opened", errno, syscall.ENOENT)
	r.removeAll(r.root)
	r.umount(r.desc)
	r.checkEmpty()
}

func TestHandleErrnos(t *testing.T) {
	r := newRig(t, Opts{})
	f := r.node(r.mkfile(r.root, "f"))
	g := r.node(r.mkfile(r.root, "g"))
	h, errno := r.fopen(r.desc, f, syscall.O_RDWR)
	r.must(errno)
	other := new(fsdev.Desc)
	for _, tt := range []struct {
		what string
		desc *fsdev.Desc
		n    *inode
		h    fsdev.FileHandle
		want syscall.Errno
	}{
		{"none", r.desc, f, 0, 0},
		{"its own", r.desc, f, h, 0},
		{"of another file", r.desc, g, h, syscall.EBADF},
		{"of another client", other, f, h, syscall.EBADF},
		{"invented", r.desc, f, 7, syscall.EBADF},
		{"of another time", r.desc, f, h + 1<<32, syscall.EBADF},
	} {
		_, errno := r.handleOf(tt.desc, tt.n, tt.h)
		r.want(tt.what, errno, tt.want)
	}
	r.want("release without a handle", r.release(r.desc, f, 0), syscall.EBADF)
	r.must(r.release(r.desc, f, h))
	r.want("release twice", r.release(r.desc, f, h), syscall.EBADF)
}

func TestCreate(t *testing.T) {
	r := newRig(t, Opts{})
	create := func(name string, flags uint32) (fsdev.FileObject, syscall.Errno) {
		c := creation{typ: syscall.S_IFREG, perm: 0o640, uid: 3, gid: 4}
		obj, h, errno := r.createOpen(r.desc, r.root, []byte(name), &c, flags, &r.attr)
		if errno == 0 {
			if hd, errno := r.handleOf(r.desc, r.node(obj), h); errno != 0 || hd.flags != flags {
				t.Errorf("handle %+v, %v", hd, errno)
			}
		}
		return obj, errno
	}
	f, errno := create("f", syscall.O_RDWR|syscall.O_EXCL)
	r.must(errno)
	if r.attr.Mode != syscall.S_IFREG|0o640 || r.attr.UID != 3 || r.attr.GID != 4 {
		t.Errorf("attributes %+v", r.attr)
	}
	r.put1(f, 0, []byte("data"))
	_, errno = create("f", syscall.O_RDWR|syscall.O_EXCL)
	r.want("O_EXCL", errno, syscall.EEXIST)
	again, errno := create("f", syscall.O_RDWR)
	r.must(errno)
	if again != f || r.attr.Size != 4 {
		t.Errorf("opened %#x of size %d", again, r.attr.Size)
	}
	_, errno = create("f", syscall.O_RDWR|syscall.O_TRUNC)
	r.must(errno)
	if r.attr.Size != 0 || r.attr.Blocks != 0 {
		t.Errorf("after O_TRUNC: %+v", r.attr)
	}
	r.put1(f, 0, []byte("data"))
	_, errno = r.fopen(r.desc, r.node(f), syscall.O_WRONLY|syscall.O_TRUNC)
	r.must(errno)
	if size := r.stat(f).Size; size != 0 {
		t.Errorf("size %d after O_TRUNC", size)
	}
	r.mkdir(r.root, "d")
	_, errno = create("d", syscall.O_RDWR)
	r.want("a directory", errno, syscall.EISDIR)
	_, errno = r.symlink(r.root, []byte("l"), &creation{target: []byte("f")}, &r.attr)
	r.must(errno)
	_, errno = create("l", syscall.O_RDWR)
	r.want("a link", errno, syscall.ELOOP)
	_, errno = create("..", syscall.O_RDWR)
	r.want("dots", errno, syscall.EISDIR)
	r.removeAll(r.root)
	r.umount(r.desc)
	r.checkEmpty()
}

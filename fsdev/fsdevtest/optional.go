package fsdevtest

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
)

// The operations that are left.
var optionalCases = []testCase{
	{"Statx", onlyFull, []fsdev.IOType{fsdev.IOStatx}, testStatx},
	{"Tmpfile", onlyFull, []fsdev.IOType{fsdev.IOTmpfile}, testTmpfile},
	{"Ioctl", onlyFull, []fsdev.IOType{fsdev.IOIoctl}, testIoctl},
	{"Poll", onlyFull, []fsdev.IOType{fsdev.IOPoll}, testPoll},
}

func testStatx(w *world) {
	c := w.open(0)
	f := c.create(c.root, "file").ok()
	c.put(f.obj, f.h, 0, []byte("contents"))
	for _, h := range []fsdev.FileHandle{0, f.h} {
		st := c.getStatx(f.obj, h, 0, unix.STATX_BASIC_STATS|unix.STATX_BTIME).ok().statx
		if st.Mask&unix.STATX_BASIC_STATS != unix.STATX_BASIC_STATS {
			w.Errorf("STATX gives %#x of what was asked for", st.Mask)
		}
		want := c.getattr(f.obj, 0).ok().attr
		want.ValidMS, st.Attr.ValidMS = 0, 0
		if st.Attr != want {
			w.Errorf("STATX gives %+v, GETATTR %+v", st.Attr, want)
		}
		if st.Mask&unix.STATX_BTIME != 0 && (st.Btime == 0 || st.BtimeNsec >= 1e9) {
			w.Errorf("the file was born at %d.%09d", st.Btime, st.BtimeNsec)
		}
		if st.Attributes&^st.AttributesMask != 0 {
			w.Errorf("STATX has attributes %#x, and knows %#x", st.Attributes, st.AttributesMask)
		}
	}
	c.getStatx(f.obj, f.h, unix.AT_STATX_FORCE_SYNC|unix.AT_STATX_DONT_SYNC, 0).fails()
}

// testTmpfile wants a file without a name, and that it can get one, or not.
func testTmpfile(w *world) {
	c := w.open(0)
	f := c.tmpfile(c.root, 0o666, syscall.O_RDWR, &fsdev.Creator{UID: 5, GID: 6, Umask: 0o022}).ok()
	if f.attr.Mode != syscall.S_IFREG|0o644 || f.attr.Nlink != 0 || f.attr.UID != 5 || f.attr.GID != 6 {
		w.Errorf("TMPFILE: %+v", f.attr)
	}
	if got := c.list(c.root); len(got) > 0 {
		w.Errorf("TMPFILE makes the name %q", got)
	}
	c.put(f.obj, f.h, 0, []byte("contents"))
	if !w.o.lacks(fsdev.IOLink) {
		l := c.link(f.obj, c.root, "name").ok()
		if l.obj != f.obj || l.attr.Nlink != 1 {
			w.Errorf("LINK of a TMPFILE: object %d, was %d, %+v", l.obj, f.obj, l.attr)
		}
		c.lookup(c.root, "name").ok()
		secret := c.tmpfile(c.root, 0o600, syscall.O_RDWR|syscall.O_EXCL, &fsdev.Creator{}).ok()
		c.link(secret.obj, c.root, "secret").want(syscall.ENOENT)
	}
	c.hasData(f.obj, f.h, []byte("contents"))
	gone := c.tmpfile(c.root, 0o600, syscall.O_RDWR, &fsdev.Creator{}).ok()
	c.release(gone.obj, gone.h).ok()
	c.forget(gone.obj, 1).ok()
	c.gone(gone.obj)
	g := c.create(c.root, "file").ok()
	c.tmpfile(g.obj, 0o600, syscall.O_RDWR, &fsdev.Creator{}).want(syscall.ENOTDIR)
}

func testIoctl(w *world) {
	c := w.open(0)
	f := c.create(c.root, "file").ok()
	c.ioctl(f.obj, f.h, 0xdeadbeef).want(syscall.ENOTTY)
}

func testPoll(w *world) {
	c := w.open(0)
	f := c.create(c.root, "file").ok()
	const ask = unix.POLLIN | unix.POLLOUT
	if got := c.poll(f.obj, f.h, ask).ok().rc; got&ask != ask {
		w.Errorf("a regular file is ready for %#x", got)
	}
}

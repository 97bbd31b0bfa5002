package fsdevtest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
)

var (
	xattrOps = []fsdev.IOType{fsdev.IOSetxattr, fsdev.IOGetxattr, fsdev.IOListxattr, fsdev.IORemovexattr}

	xattrCases = []testCase{
		{"Xattrs", onlyFull, xattrOps, testXattrs},
		{"XattrSizes", onlyFull, xattrOps, testXattrSizes},
		{"XattrLists", onlyFull, xattrOps, testXattrLists},
		{"XattrNames", onlyFull, xattrOps, testXattrNames},
	}
)

func testXattrs(w *world) {
	c := w.open(0)
	f := c.create(c.root, "file").ok()
	name := w.o.XattrPrefix + "name"
	buf := make([]byte, 100)
	get := func() *result { return c.getxattr(f.obj, name, len(buf), [][]byte{buf}) }
	get().want(syscall.ENODATA)
	c.removexattr(f.obj, name).want(syscall.ENODATA)
	c.setxattr(f.obj, name, []byte("x"), unix.XATTR_REPLACE).want(syscall.ENODATA)
	c.setxattr(f.obj, name, []byte("first"), unix.XATTR_CREATE).ok()
	c.setxattr(f.obj, name, []byte("x"), unix.XATTR_CREATE).want(syscall.EEXIST)
	for _, value := range []string{"first", "second, which is longer", "3", ""} {
		c.setxattr(f.obj, name, []byte(value), 0).ok()
		if n := get().ok().n; string(buf[:n]) != value {
			w.Errorf("GETXATTR: %q, want %q", buf[:n], value)
		}
	}
	c.setxattr(f.obj, name, []byte("replaced"), unix.XATTR_REPLACE).ok()
	// The value is copied: the caller's buffer is its own again.
	value := []byte("copied")
	c.setxattr(f.obj, name, value, 0).ok()
	clear(value)
	if n := get().ok().n; string(buf[:n]) != "copied" {
		w.Errorf("GETXATTR: %q after the buffer was changed", buf[:n])
	}
	c.removexattr(f.obj, name).ok()
	get().want(syscall.ENODATA)
	// They are the file's, whatever it is called.
	c.setxattr(f.obj, name, []byte("stays"), 0).ok()
	c.rename(c.root, "file", c.root, "renamed", 0).ok()
	if n := get().ok().n; string(buf[:n]) != "stays" {
		w.Errorf("after a rename: %q", buf[:n])
	}
}

// testXattrSizes asks for the size alone, and with too little and too much room.
func testXattrSizes(w *world) {
	c := w.open(0)
	f := c.create(c.root, "file").ok()
	name := w.o.XattrPrefix + "name"
	for _, size := range []int{1, 10, 200, 1000} {
		value := pattern(size, uint64(size))
		c.setxattr(f.obj, name, value, 0).ok()
		names := len(name) + 1
		if n := c.getxattr(f.obj, name, 0, nil).ok().n; n != uint64(size) {
			w.Errorf("a value of %d bytes has %d", size, n)
		}
		if n := c.listxattr(f.obj, 0, nil).ok().n; n < uint64(names) {
			w.Errorf("a list of %d bytes has %d", names, n)
		}
		for _, layout := range layouts {
			buf := bytes.Repeat([]byte{0xa5}, size+100)
			n := c.getxattr(f.obj, name, size, segments(buf[:size], layout)).ok().n
			if n != uint64(size) || !bytes.Equal(buf[:size], value) {
				w.Errorf("GETXATTR of %d bytes in segments of %v: %d bytes, wrong from %d on", size, layout, n,
					differ(buf[:n], value))
			}
			if !bytes.Equal(buf[size:], bytes.Repeat([]byte{0xa5}, 100)) {
				w.Error("GETXATTR writes beyond the value")
			}
			clear(buf)
			if n := c.getxattr(f.obj, name, len(buf), segments(buf, layout)).ok().n; !bytes.Equal(buf[:n], value) {
				w.Errorf("GETXATTR with more room than needed: %d bytes", n)
			}
			if size > 1 {
				c.getxattr(f.obj, name, size-1, segments(buf, layout)).want(syscall.ERANGE)
			}
		}
		c.listxattr(f.obj, names-1, [][]byte{make([]byte, names)}).want(syscall.ERANGE)
	}
}

// xattrs returns the names of a file's attributes that begin with the prefix, sorted.
func (c *client) xattrs(obj fsdev.FileObject, layout []int) (list []string) {
	c.Helper()
	n := c.listxattr(obj, 0, nil).ok().n
	if n == 0 {
		return nil
	}
	buf := make([]byte, n)
	if got := c.listxattr(obj, int(n), segments(buf, layout)).ok().n; got != n {
		c.Fatalf("LISTXATTR has %d bytes, and gives %d", n, got)
	}
	if buf[n-1] != 0 {
		c.Fatalf("LISTXATTR: %q does not end with a NUL", buf)
	}
	for name := range strings.SplitSeq(string(buf[:n-1]), "\x00") {
		if strings.HasPrefix(name, c.o.XattrPrefix) {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

func testXattrLists(w *world) {
	c := w.open(0)
	f, g := c.create(c.root, "file").ok(), c.create(c.root, "other").ok()
	var want []string
	for i := range 10 {
		name := fmt.Sprint(w.o.XattrPrefix, "name", i)
		c.setxattr(f.obj, name, pattern(i*10, 1), 0).ok()
		want = append(want, name)
		for _, layout := range layouts {
			if got := c.xattrs(f.obj, layout); !slices.Equal(got, want) {
				w.Errorf("LISTXATTR in segments of %v: %q, want %q", layout, got, want)
			}
		}
	}
	if got := c.xattrs(g.obj, nil); len(got) > 0 {
		w.Errorf("another file has %q", got)
	}
	c.removexattr(f.obj, want[4]).ok()
	want = slices.Delete(want, 4, 5)
	if got := c.xattrs(f.obj, nil); !slices.Equal(got, want) {
		w.Errorf("LISTXATTR: %q, want %q", got, want)
	}
}

func testXattrNames(w *world) {
	c := w.open(0)
	f := c.create(c.root, "file").ok()
	for _, name := range []string{"", w.o.XattrPrefix + strings.Repeat("n", 256), "noprefix"} {
		c.setxattr(f.obj, name, []byte("x"), 0).fails()
		c.getxattr(f.obj, name, 0, nil).fails()
		c.removexattr(f.obj, name).fails()
	}
	if got := c.xattrs(f.obj, nil); len(got) > 0 {
		w.Errorf("bad names have left %q", got)
	}
	c.setxattr(f.obj, w.o.XattrPrefix+"flags", []byte("x"), 1<<10).fails()
}

package aio_test

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/modules/aio"
)

// alone is a file that a client has not opened.
func (c *client) alone(name string) *file { return &file{client: c, obj: c.lookup(name)} }

func (f *file) size(what string, want syscall.Errno, op func(cb fsdev.SizeCplFunc) syscall.Errno) (size uint64) {
	f.Helper()
	f.want(what, want, func(done func(syscall.Errno)) syscall.Errno {
		return op(func(_ any, _ *iochannel.Channel, errno syscall.Errno, n uint64) {
			size = n
			done(errno)
		})
	})
	return size
}

func (f *file) get(want syscall.Errno) string {
	f.Helper()
	buf := make([]byte, 100)
	n := f.size("READ", want, func(cb fsdev.SizeCplFunc) syscall.Errno {
		return f.desc.Read(f.ch, 0, f.obj, f.h, uint32(len(buf)), 0, 0, [][]byte{buf}, cb, nil)
	})
	if want != 0 {
		return ""
	}
	return string(buf[:n])
}

func (f *file) put(data string, off uint64, flags uint32, want syscall.Errno) {
	f.Helper()
	n := f.size("WRITE", want, func(cb fsdev.SizeCplFunc) syscall.Errno {
		return f.desc.Write(f.ch, 0, f.obj, f.h, uint32(len(data)), off, flags, [][]byte{[]byte(data)}, cb, nil)
	})
	if want == 0 && n != uint64(len(data)) {
		f.Errorf("WRITE of %d bytes: %d", len(data), n)
	}
}

func openFDs(tb testing.TB) int {
	tb.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	must(tb, err)
	return len(list)
}

// TestNoOpen reads, writes and lists without opening.
func TestNoOpen(t *testing.T) {
	for _, p := range places {
		for _, noRing := range []bool{false, true} {
			dir := tempDir(t, p.dir)
			path := filepath.Join(dir, "file")
			must(t, os.WriteFile(path, []byte("contents"), 0o644))
			must(t, os.WriteFile(filepath.Join(dir, "copy"), nil, 0o644))
			must(t, unix.Mkfifo(filepath.Join(dir, "fifo"), 0o644))
			r := newRig(t, aio.Opts{Root: dir, NoOpen: true, NoRing: noRing})
			c := direct(t, r)
			if !c.opts.NoOpen {
				t.Fatal("MOUNT does not say so")
			}
			f, to := c.alone("file"), c.alone("copy")
			for range 2 {
				if got := f.get(0); got != "contents" {
					t.Errorf("%q", got)
				}
			}
			f.put("CON", 0, syscall.O_RDWR, 0)
			f.put("!", 3, syscall.O_RDWR|syscall.O_APPEND, 0)
			if got := f.get(0); got != "CONtents!" {
				t.Errorf("%q", got)
			}
			must(t, os.Chmod(path, 0o4755))
			f.put("c", 0, syscall.O_RDWR|fsdev.FlagKillSuidgid, 0)
			if st, err := os.Stat(path); err != nil || st.Mode()&os.ModeSetuid != 0 && aio.SwitchesUsers(r.a) {
				t.Errorf("%v, %v", st.Mode(), err)
			}
			n := f.size("COPY_FILE_RANGE", 0, func(cb fsdev.SizeCplFunc) syscall.Errno {
				return c.desc.CopyFileRange(c.ch, 0, f.obj, 0, 0, to.obj, 0, 0, 4, 0, cb, nil)
			})
			if got := to.get(0); n != 4 || got != "cONt" {
				t.Errorf("%d bytes are copied: %q", n, got)
			}
			n = f.size("LSEEK", 0, func(cb fsdev.SizeCplFunc) syscall.Errno {
				return c.desc.Lseek(c.ch, 0, f.obj, 0, 0, unix.SEEK_HOLE, cb, nil)
			})
			if n != 9 {
				t.Errorf("the first hole is at %d", n)
			}
			status := func(what string, want syscall.Errno, op func(cb fsdev.StatusCplFunc) syscall.Errno) {
				t.Helper()
				c.want(what, want, func(done func(syscall.Errno)) syscall.Errno {
					return op(func(_ any, _ *iochannel.Channel, errno syscall.Errno) { done(errno) })
				})
			}
			status("FALLOCATE", 0, func(cb fsdev.StatusCplFunc) syscall.Errno {
				return c.desc.Fallocate(c.ch, 0, f.obj, 0, 0, 0, 100, cb, nil)
			})
			if st, err := os.Stat(path); err != nil || st.Size() != 100 {
				t.Errorf("%v, %v", st.Size(), err)
			}
			var names []string
			status("READDIR", 0, func(cb fsdev.StatusCplFunc) syscall.Errno {
				entry := func(_ any, _ *iochannel.Channel, name []byte, _ fsdev.FileObject, _ *fsdev.Attr, _ uint64) bool {
					names = append(names, string(name))
					return true
				}
				return c.desc.Readdir(c.ch, 0, c.root, 0, 0, false, entry, cb, nil)
			})
			slices.Sort(names)
			if want := []string{".", "..", "copy", "fifo", "file"}; !slices.Equal(names, want) {
				t.Errorf("READDIR: %q, want %q", names, want)
			}
			// What has no data has none.
			for _, bad := range []*file{{client: c, obj: c.root}, c.alone("fifo")} {
				bad.get(syscall.EBADF)
				bad.put("x", 0, 0, syscall.EBADF)
			}
			status("READDIR of a file", syscall.EBADF, func(cb fsdev.StatusCplFunc) syscall.Errno {
				return c.desc.Readdir(c.ch, 0, f.obj, 0, 0, false, nil, cb, nil)
			})
			f.put("x", 1<<63, 0, syscall.EINVAL)
		}
	}
}

// TestNoOpenReadOnly reads what cannot be written, and says why it cannot.
func TestNoOpenReadOnly(t *testing.T) {
	dir := tempDir(t, "")
	path := filepath.Join(dir, "file")
	must(t, os.WriteFile(path, []byte("contents"), 0o644))
	r := newRig(t, aio.Opts{Root: dir, NoOpen: true, ReadOnly: true})
	f := direct(t, r).alone("file")
	if got := f.get(0); got != "contents" {
		t.Errorf("%q", got)
	}
	f.put("x", 0, 0, syscall.EROFS)
	if !aio.SwitchesUsers(r.a) {
		return // the rest is about a mount
	}
	ro := tempDir(t, "")
	must(t, unix.Mount(dir, ro, "", unix.MS_BIND, ""))
	t.Cleanup(func() { _ = unix.Unmount(ro, unix.MNT_DETACH) })
	must(t, unix.Mount("", ro, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	r = newRig(t, aio.Opts{Root: ro, NoOpen: true})
	f = direct(t, r).alone("file")
	f.put("x", 0, 0, syscall.EROFS)
	if got := f.get(0); got != "contents" {
		t.Errorf("%q", got)
	}
	f.put("x", 0, 0, syscall.EROFS)
}

// TestNoOpenDescriptors wants a file to have one descriptor beside its own, as long as it is known.
func TestNoOpenDescriptors(t *testing.T) {
	dir := tempDir(t, "")
	must(t, os.WriteFile(filepath.Join(dir, "file"), []byte("contents"), 0o644))
	r := newRig(t, aio.Opts{Root: dir, NoOpen: true})
	c := direct(t, r)
	before := openFDs(t)
	f := c.alone("file")
	for range 10 {
		f.get(0)
		f.put("c", 0, 0, 0)
	}
	if now := openFDs(t); now != before+2 {
		t.Errorf("%d descriptors, want %d", now, before+2)
	}
	c.want("FORGET", 0, func(done func(syscall.Errno)) syscall.Errno {
		return c.desc.Forget(c.ch, 0, f.obj, 1, func(_ any, _ *iochannel.Channel, errno syscall.Errno) { done(errno) }, nil)
	})
	r.until(func() bool { return openFDs(t) == before })
	f.get(syscall.ESTALE)
}

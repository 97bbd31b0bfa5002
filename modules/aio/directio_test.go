package aio_test

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/internal/sys"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/modules/aio"
)

// needDirect skips the test where the host has no O_DIRECT that wants anything to be aligned.
func needDirect(tb testing.TB, path string) {
	tb.Helper()
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if err == nil {
		_, err = unix.Pwrite(fd, []byte("x"), 0)
		_ = unix.Close(fd)
	}
	if err != unix.EINVAL || fd < 0 {
		skip(tb, needsDirect)
	}
}

// at returns size bytes that begin off bytes behind a page.
func at(tb testing.TB, off, size int) []byte {
	tb.Helper()
	b, err := sys.MapAnon(off + size)
	must(tb, err)
	tb.Cleanup(func() { must(tb, sys.Unmap(b)) })
	return b[off : off+size]
}

// TestDirectIO moves data around the host's cache, aligned in memory or not, and wants the host's errors for what
// cannot be so.
func TestDirectIO(t *testing.T) {
	for _, noRing := range []bool{false, true} {
		dir := tempDir(t, "")
		path := filepath.Join(dir, "file")
		must(t, os.WriteFile(path, nil, 0o644))
		needDirect(t, path)
		r := newRig(t, aio.Opts{Root: dir, DirectIO: true, NoRing: noRing})
		n := r.ok(r.lookup(root, "file")).r.Entry.Node
		fh := r.ok(r.open(n, syscall.O_RDWR|syscall.O_DIRECT)).r.Handle
		data := bytes.Repeat([]byte("sixteen letters."), 4096/16)
		for _, off := range []int{0, 80, 81, 512} {
			in := at(t, off, len(data))
			copy(in, data)
			if got := r.ok(r.write(n, fh, 4096, in)).r.Size; got != 4096 {
				t.Errorf("%d bytes of memory at %d are written", got, off)
			}
			out := at(t, off, 2*len(data))
			if got := r.ok(r.read(n, fh, 4096, out)).data; !bytes.Equal(got, data) {
				t.Errorf("%d bytes are read into memory at %d, or others", len(got), off)
			}
			if got := r.ok(r.read(n, fh, 8192, out)).data; len(got) != 0 {
				t.Errorf("%d bytes are read behind the end", len(got))
			}
			for _, bad := range []struct {
				off  uint64
				size int
			}{{4096, 100}, {4196, 512}} {
				r.want(syscall.EINVAL, r.write(n, fh, bad.off, in[:bad.size]))
				r.want(syscall.EINVAL, r.read(n, fh, bad.off, out[:bad.size]))
			}
		}
		// A file may end anywhere.
		must(t, os.WriteFile(path, data[:1000], 0o644))
		for _, off := range []int{0, 17} {
			if got := r.ok(r.read(n, fh, 0, at(t, off, 4096))).data; !bytes.Equal(got, data[:1000]) {
				t.Errorf("%d bytes are read of 1000", len(got))
			}
		}
		r.ok(r.release(n, fh))
		// Who does not ask for it does not get it.
		fh = r.ok(r.open(n, syscall.O_RDWR)).r.Handle
		r.ok(r.write(n, fh, 1, []byte("x")))
		r.ok(r.release(n, fh))
	}
}

// TestDirectIOInParts cuts the data into segments of all kinds, and has more of them than go through memory at a time.
func TestDirectIOInParts(t *testing.T) {
	dir := tempDir(t, "")
	path := filepath.Join(dir, "file")
	must(t, os.WriteFile(path, nil, 0o644))
	needDirect(t, path)
	r := newRig(t, aio.Opts{Root: dir, DirectIO: true})
	c := direct(t, r)
	f := c.open("file", syscall.O_RDWR|syscall.O_DIRECT)
	const size = 2<<20 + 4096
	mem := at(t, 49, size)
	for i := range mem {
		mem[i] = byte(i>>12 ^ i)
	}
	want := bytes.Clone(mem)
	for _, cut := range [][]int{{size}, {1, 4095, 1 << 20, 17, size - 1<<20 - 4096 - 17}, {4096, size - 4096}} {
		var iovs [][]byte
		rest := mem
		for _, k := range cut {
			iovs = append(iovs, rest[:k:k])
			rest = rest[k:]
		}
		moved := uint64(0)
		done := func(end func(syscall.Errno)) fsdev.SizeCplFunc {
			return func(_ any, _ *iochannel.Channel, errno syscall.Errno, n uint64) {
				moved = n
				end(errno)
			}
		}
		copy(mem, want)
		c.want("WRITE", 0, func(end func(syscall.Errno)) syscall.Errno {
			return c.desc.Write(c.ch, 0, f.obj, f.h, size, 0, syscall.O_RDWR, iovs, done(end), nil)
		})
		if moved != size {
			t.Errorf("%d bytes are written", moved)
		}
		clear(mem)
		c.want("READ", 0, func(end func(syscall.Errno)) syscall.Errno {
			return c.desc.Read(c.ch, 0, f.obj, f.h, size, 0, 0, iovs, done(end), nil)
		})
		if moved != size || !bytes.Equal(mem, want) {
			t.Errorf("in segments of %v: %d bytes are read, or others than were written", cut, moved)
		}
		must(t, os.Truncate(path, 0))
	}
}

// TestNoDirectIO ignores O_DIRECT without the option.
func TestNoDirectIO(t *testing.T) {
	dir := tempDir(t, "")
	must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o644))
	needDirect(t, filepath.Join(dir, "file"))
	r := newRig(t, aio.Opts{Root: dir})
	n := r.ok(r.lookup(root, "file")).r.Entry.Node
	fh := r.ok(r.open(n, syscall.O_RDWR|syscall.O_DIRECT)).r.Handle
	r.ok(r.write(n, fh, 3, []byte("x")))
	r.ok(r.release(n, fh))
}

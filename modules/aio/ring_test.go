package aio_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/modules/aio"
)

// TestInterruptedData gives up writes, syncs and reads of what is not in the page cache, at any point. Each ends once,
// done or not, and what was acknowledged is there.
func TestInterruptedData(t *testing.T) {
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	for _, noRing := range []bool{false, true} {
		r := newRig(t, aio.Opts{Root: tempDir(t, ""), NoRing: noRing})
		c := direct(t, r)
		const size, files = 1 << 16, 64
		must(t, os.WriteFile(filepath.Join(r.dir, "file"), make([]byte, (files+1)*size), 0o644))
		obj := c.lookup("file")
		var h fsdev.FileHandle
		c.desc.Fopen(c.ch, 0, obj, syscall.O_RDWR, func(_ any, _ *iochannel.Channel, _ syscall.Errno, fh fsdev.FileHandle) {
			h = fh
		}, nil)
		r.until(func() bool { return h != 0 })
		data := make([]byte, size)
		for i := range data {
			data[i] = byte(rnd.Uint32())
		}
		ended := map[syscall.Errno]int{}
		for i := range uint64(files) {
			var o outcome
			n := uint64(0)
			back := make([]byte, size)
			switch i % 4 {
			case 1:
				c.desc.Fsync(c.ch, i+1, obj, h, true, o.end, nil)
			case 3:
				dropCaches(t, r.dir+"/file")
				c.desc.Read(c.ch, i+1, obj, h, size, (i-1)*size, 0, [][]byte{back}, o.sized(&n), nil)
			default:
				c.desc.Write(c.ch, i+1, obj, h, size, i*size, 0, [][]byte{data}, o.sized(&n), nil)
			}
			for range rnd.IntN(3) {
				r.t.Poll(0, 0)
			}
			c.abort(i + 1)
			r.until(func() bool { return o.done })
			ended[o.errno]++
			switch {
			case o.errno != 0 && o.errno != syscall.EINTR:
				t.Fatal(o.errno)
			case o.errno == 0 && i%2 == 0:
				got, err := os.ReadFile(filepath.Join(r.dir, "file"))
				must(t, err)
				if !bytes.Equal(got[i*size:i*size+n], data[:n]) {
					t.Fatalf("%d bytes were acknowledged and are not there", n)
				}
			case o.errno == 0 && i%4 == 3 && n != size:
				t.Fatalf("a read in the middle of the file has %d bytes", n)
			}
		}
		var o outcome
		c.desc.Release(c.ch, 0, obj, h, o.end, nil)
		r.until(func() bool { return o.done })
		t.Logf("without a ring: %v; %v", noRing, ended)
	}
}

// dropCaches asks for the pages of a file to be dropped, those that are written already.
func dropCaches(tb testing.TB, path string) {
	tb.Helper()
	fd, err := unix.Open(path, unix.O_RDONLY, 0)
	must(tb, err)
	_ = unix.Fdatasync(fd)
	_ = unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED)
	must(tb, unix.Close(fd))
}

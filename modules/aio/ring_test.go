package aio_test

import (
	"bytes"
	"math/rand/v2"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/modules/aio"
	"github.com/spdk-go/spdk-go/transport/loopback"
)

// TestInterruptedData gives up writes, syncs and reads of what is not in the page cache, at any point. Each ends once,
// done or not, and what was acknowledged is there.
func TestInterruptedData(t *testing.T) {
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	for _, noRing := range []bool{false, true} {
		r := newRig(t, aio.Opts{Root: tempDir(t, ""), NoRing: noRing})
		e := r.ok(r.create(root, "file", syscall.O_RDWR)).r
		node, fh := e.Entry.Node, e.Handle
		const size, files = 1 << 16, 64
		data := make([]byte, size)
		for i := range data {
			data[i] = byte(rnd.Uint32())
		}
		r.ok(r.write(node, fh, files*size, []byte("end")))
		ended := map[syscall.Errno]int{}
		for i := range uint64(files) {
			op := r.write(node, fh, i*size, data)
			back := make([]byte, size)
			switch i % 4 {
			case 1:
				op = func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return r.c.Fsync(node, fh, true, fn, ctx) }
			case 3:
				dropCaches(t, r.dir+"/file")
				op = r.read(node, fh, (i-1)*size, back)
			}
			a := r.start(op)
			unique := r.c.LastUnique()
			for range rnd.IntN(3) {
				r.t.Poll(0, 0)
			}
			r.do(func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return r.c.Interrupt(unique, fn, ctx) })
			r.until(func() bool { return a.done })
			ended[a.r.Errno]++
			if errno := a.r.Errno; errno != 0 && errno != syscall.EINTR {
				t.Fatal(errno)
			}
			if a.r.Errno == 0 && i%2 == 0 {
				n := uint64(a.r.Size)
				got := r.ok(r.read(node, fh, i*size, make([]byte, n))).data
				if !bytes.Equal(got, data[:n]) {
					t.Fatalf("%d bytes were acknowledged and are not there", n)
				}
			}
			if a.r.Errno == 0 && i%4 == 3 && len(a.data) != size {
				t.Fatalf("a read in the middle of the file has %d bytes", len(a.data))
			}
		}
		t.Logf("without a ring: %v; %v", noRing, ended)
		r.ok(r.release(node, fh))
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

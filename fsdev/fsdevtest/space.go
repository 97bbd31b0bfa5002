package fsdevtest

import (
	"bytes"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
)

var spaceCases = []testCase{
	{"Fallocate", onlyFull, []fsdev.IOType{fsdev.IOFallocate}, testFallocate},
	{"CopyFileRange", onlyFull, []fsdev.IOType{fsdev.IOCopyFileRange}, testCopyFileRange},
	{"Lseek", onlyFull, []fsdev.IOType{fsdev.IOLseek}, testLseek},
}

func testFallocate(w *world) {
	c := w.open(0)
	f := c.create(c.root, "file").ok()
	data := pattern(20000, 1)
	c.put(f.obj, f.h, 0, data)
	c.fallocate(f.obj, f.h, 0, 0, 0).want(syscall.EINVAL)
	c.fallocate(f.obj, f.h, 0, 1<<63, 1).want(syscall.EINVAL, syscall.EFBIG)
	c.fallocate(f.obj, f.h, 0, 1<<62, 1<<63-1).want(syscall.EFBIG, syscall.EINVAL, syscall.ENOSPC)
	c.fallocate(f.obj, f.h, 0, 5000, 100).ok()
	c.hasData(f.obj, f.h, data)
	c.fallocate(f.obj, f.h, 0, 19000, 6000).ok()
	data = append(data, make([]byte, 5000)...)
	c.hasData(f.obj, f.h, data)
	for _, mode := range w.o.FallocModes {
		const off, n = 3000, 9001
		switch mode {
		case unix.FALLOC_FL_KEEP_SIZE:
			c.fallocate(f.obj, f.h, mode, 20000, 100000).ok()
		case unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE:
			c.fallocate(f.obj, f.h, mode, off, n).ok()
			clear(data[off : off+n])
			c.hasData(f.obj, f.h, data)
			c.fallocate(f.obj, f.h, mode, 24000, 100000).ok()
			clear(data[24000:])
		case unix.FALLOC_FL_ZERO_RANGE:
			c.fallocate(f.obj, f.h, mode, off, n).ok()
			clear(data[off : off+n])
			c.hasData(f.obj, f.h, data)
			c.fallocate(f.obj, f.h, mode, 24000, 6000).ok()
			clear(data[24000:])
			data = append(data, make([]byte, 5000)...)
		case unix.FALLOC_FL_ZERO_RANGE | unix.FALLOC_FL_KEEP_SIZE:
			c.fallocate(f.obj, f.h, mode, 24000, 100000).ok()
			clear(data[24000:])
		default:
			w.Fatalf("the suite has no case for mode %#x of FALLOCATE", mode)
		}
		c.hasData(f.obj, f.h, data)
		c.put(f.obj, f.h, 0, pattern(len(data), uint64(mode)))
		data = pattern(len(data), uint64(mode))
	}
	c.fallocate(f.obj, f.h, 1<<30, 0, 100).want(syscall.EOPNOTSUPP, syscall.EINVAL)
	if !w.o.lacks(fsdev.IOMknod) {
		p := c.mknod(c.root, "fifo", syscall.S_IFIFO|0o644, 0).ok()
		c.fallocate(p.obj, 0, 0, 0, 100).fails()
	}
	c.fallocate(c.root, 0, 0, 0, 100).fails()
}

// copyAll copies until all is copied or the source ends.
func (c *client) copyAll(in, out extent, n uint64) (done uint64) {
	c.Helper()
	for done < n {
		k := c.copyRange(extent{in.obj, in.h, in.off + done}, extent{out.obj, out.h, out.off + done}, n-done, 0).ok().n
		if k > n-done {
			c.Fatalf("COPY_FILE_RANGE of %d bytes copies %d", n-done, k)
		}
		if k == 0 {
			break
		}
		done += k
	}
	return done
}

func testCopyFileRange(w *world) {
	c := w.open(0)
	f, g := c.create(c.root, "f").ok(), c.create(c.root, "g").ok()
	data := pattern(1<<20+77, 1)
	c.put(f.obj, f.h, 0, data)
	var model []byte
	for _, tt := range []struct{ from, to, n int }{
		{0, 0, 1}, {0, 0, 10000}, {4095, 1, 4098}, {8192, 4096, 8192}, {100, 50000, 200000}, {len(data) - 10, 300000, 1000},
		{len(data), 0, 10}, {len(data) + 10, 0, 10}, {0, 0, len(data)},
	} {
		want := data[min(tt.from, len(data)):min(tt.from+tt.n, len(data))]
		n := c.copyAll(extent{f.obj, f.h, uint64(tt.from)}, extent{g.obj, g.h, uint64(tt.to)}, uint64(tt.n))
		if n != uint64(len(want)) {
			w.Errorf("COPY_FILE_RANGE of %d bytes at %d of %d: %d", tt.n, tt.from, len(data), n)
		}
		if grow := tt.to + len(want) - len(model); grow > 0 && len(want) > 0 {
			model = append(model, make([]byte, grow)...)
		}
		copy(model[min(tt.to, len(model)):], want)
		c.hasData(g.obj, g.h, model)
	}
	// Within one file, if the ranges do not meet.
	same := extent{f.obj, f.h, 0}
	if n := c.copyAll(same, extent{f.obj, f.h, 1 << 19}, 5000); n != 5000 {
		w.Errorf("within a file %d of 5000 bytes are copied", n)
	}
	copy(data[1<<19:], data[:5000])
	c.hasData(f.obj, f.h, data)
	c.copyRange(same, extent{f.obj, f.h, 100}, 200, 0).want(syscall.EINVAL)
	c.copyRange(same, extent{g.obj, g.h, 0}, 200, 1<<20).want(syscall.EINVAL)
	if n := c.copyRange(same, extent{g.obj, g.h, 0}, 0, 0).ok().n; n != 0 {
		w.Errorf("COPY_FILE_RANGE of nothing copies %d bytes", n)
	}
	// A hole is copied as zeros.
	h := c.create(c.root, "h").ok()
	c.setattr(h.obj, h.h, fsdev.Attr{Size: 100000}, fsdev.SetAttrSize).ok()
	c.copyAll(extent{h.obj, h.h, 0}, extent{g.obj, g.h, 10}, 100000)
	clear(model[10:100010])
	c.hasData(g.obj, g.h, model)
}

// testLseek allows a file system to see data in holes, but not holes in data.
func testLseek(w *world) {
	c := w.open(0)
	f := c.create(c.root, "file").ok()
	const size, first, second = 4 << 20, 1 << 20, 3 << 20
	c.put(f.obj, f.h, first, []byte("first"))
	c.put(f.obj, f.h, second, bytes.Repeat([]byte("second"), 10000))
	c.setattr(f.obj, f.h, fsdev.Attr{Size: size}, fsdev.SetAttrSize).ok()
	isData := func(off uint64) bool {
		return off >= first && off < first+5 || off >= second && off < second+60000
	}
	for _, off := range []uint64{
		0, 1, 4096, first - 1, first, first + 4, first + 5, second - 1, second, second + 59999, second + 60000, size - 1,
	} {
		next := uint64(size) // the next data
		for _, at := range []uint64{off, first, second} {
			if at >= off && isData(at) {
				next = min(next, at)
			}
		}
		switch r := c.lseek(f.obj, f.h, off, unix.SEEK_DATA); {
		case r.errno == syscall.ENXIO && next == size:
		case r.ok().n < off || r.n > next:
			w.Errorf("SEEK_DATA from %d: %d, there is data at %d", off, r.n, next)
		}
		r := c.lseek(f.obj, f.h, off, unix.SEEK_HOLE).ok()
		if r.n < off || r.n > size || isData(r.n) {
			w.Errorf("SEEK_HOLE from %d: %d, where there is none", off, r.n)
		}
		if r.n > off && r.n < size && !isData(off) && off < first {
			// Data is seen where there is a hole: then it has to be there for SEEK_DATA too.
			if n := c.lseek(f.obj, f.h, off, unix.SEEK_DATA).ok().n; n != off {
				w.Errorf("from %d the next hole is at %d and the next data at %d", off, r.n, n)
			}
		}
	}
	for _, whence := range []uint32{unix.SEEK_DATA, unix.SEEK_HOLE} {
		c.lseek(f.obj, f.h, size, whence).want(syscall.ENXIO)
		c.lseek(f.obj, f.h, size+1, whence).want(syscall.ENXIO)
		c.lseek(f.obj, f.h, 1<<63, whence).want(syscall.ENXIO, syscall.EINVAL)
	}
	c.lseek(f.obj, f.h, 0, 77).want(syscall.EINVAL)
}

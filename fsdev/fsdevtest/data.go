package fsdevtest

import (
	"bytes"
	"math/rand/v2"
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
)

var dataCases = []testCase{
	{"Segments", onlyFull, nil, testSegments},
	{"BuffersAreLeftAlone", onlyFull, nil, testBuffersAreLeftAlone},
	{"ReadAtTheEnd", onlyFull, nil, testReadAtTheEnd},
	{"Sparse", onlyFull, nil, testSparse},
	{"AccessModes", onlyFull, nil, testAccessModes},
	{"Append", onlyFull, nil, testAppend},
	{"RandomData", onlyFull, nil, testRandomData},
	{"Sync", onlyFull, nil, testSync},
}

// pattern returns n bytes that differ from those of other seeds and of other places.
func pattern(n int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 0))
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	return p
}

// layouts are the sizes of segments. Whatever follows a layout's segments is in one more.
var layouts = [][]int{
	{},
	{1},
	{0, 5, 0, 0, 7, 0},
	{1, 2, 3, 5, 7, 11, 13, 17},
	{4095, 1, 4097},
	{4096, 4096, 4096},
	{511, 513, 1023, 1, 4096, 3},
	{0},
}

// segments cuts b up.
func segments(b []byte, layout []int) (iovs [][]byte) {
	for _, n := range layout {
		n = min(n, len(b))
		iovs = append(iovs, b[:n:n])
		b = b[n:]
	}
	return append(iovs, b)
}

// hasData wants a file to have these contents.
func (c *client) hasData(obj fsdev.FileObject, h fsdev.FileHandle, want []byte) {
	c.Helper()
	if got := c.get(obj, h, 0, len(want)+1); !bytes.Equal(got, want) {
		c.Fatalf("the file has %d bytes, want %d; they differ from byte %d on", len(got), len(want), differ(got, want))
	}
	if size := c.getattr(obj, 0).ok().attr.Size; size != uint64(len(want)) {
		c.Fatalf("the file says it has %d bytes, and it has %d", size, len(want))
	}
}

func differ(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// testSegments writes and reads by all layouts, of which some have empty segments.
func testSegments(w *world) {
	c := w.open(0)
	f := c.create(c.root, "file").ok()
	var model []byte
	seed := uint64(0)
	for _, off := range []int{0, 1, 4095, 4096, 10000} {
		for _, in := range layouts {
			for _, size := range []int{0, 1, 60, 9000} {
				seed++
				data := pattern(size, seed)
				n := c.write(f.obj, f.h, uint64(off), size, segments(data, in)).ok().n
				if n != uint64(size) {
					w.Fatalf("WRITE of %d bytes in segments of %v writes %d", size, in, n)
				}
				if grow := off + size - len(model); size > 0 && grow > 0 {
					model = append(model, make([]byte, grow)...)
				}
				copy(model[min(off, len(model)):], data)
			}
			got := make([]byte, len(model))
			for _, out := range layouts {
				clear(got)
				n := c.read(f.obj, f.h, 0, len(got), segments(got, out)).ok().n
				if n != uint64(len(model)) || !bytes.Equal(got, model) {
					w.Fatalf("READ of %d bytes in segments of %v, written at %d in segments of %v, reads %d, wrong from %d on",
						len(got), out, off, in, n, differ(got, model))
				}
			}
		}
	}
}

// testBuffersAreLeftAlone wants no more to be read or written than the size says, and what is
// written not to be changed.
func testBuffersAreLeftAlone(w *world) {
	c := w.open(0)
	f := c.create(c.root, "file").ok()
	data := pattern(300, 1)
	keep := bytes.Clone(data)
	if n := c.write(f.obj, f.h, 0, 200, [][]byte{data[:150], data[150:]}).ok().n; n != 200 {
		w.Errorf("WRITE of 200 of 300 bytes writes %d", n)
	}
	if !bytes.Equal(data, keep) {
		w.Error("WRITE changes its buffer")
	}
	c.hasData(f.obj, f.h, keep[:200])
	buf := bytes.Repeat([]byte{0xa5}, 300)
	if n := c.read(f.obj, f.h, 0, 100, [][]byte{buf[:70], nil, buf[70:]}).ok().n; n != 100 {
		w.Errorf("READ of 100 bytes reads %d", n)
	}
	if !bytes.Equal(buf[:100], keep[:100]) || !bytes.Equal(buf[100:], bytes.Repeat([]byte{0xa5}, 200)) {
		w.Error("READ of 100 bytes into a buffer of 300 changes more of it")
	}
	if n := c.read(f.obj, f.h, 0, 0, [][]byte{buf}).ok().n; n != 0 {
		w.Errorf("READ of nothing reads %d", n)
	}
}

func testReadAtTheEnd(w *world) {
	c := w.open(0)
	f := c.create(c.root, "file").ok()
	if got := c.get(f.obj, f.h, 0, 10); len(got) != 0 {
		w.Errorf("an empty file has %q", got)
	}
	c.put(f.obj, f.h, 0, []byte("contents"))
	for _, tt := range []struct {
		off  uint64
		n    int
		want string
	}{
		{0, 8, "contents"}, {0, 100, "contents"}, {3, 5, "tents"}, {3, 6, "tents"}, {7, 1, "s"}, {7, 9, "s"}, {8, 1, ""},
		{9, 1, ""}, {1 << 40, 10, ""}, {1<<63 - 1, 1, ""},
	} {
		if got := string(c.get(f.obj, f.h, tt.off, tt.n)); got != tt.want {
			w.Errorf("READ of %d bytes at %d: %q, want %q", tt.n, tt.off, got, tt.want)
		}
	}
	c.read(f.obj, f.h, 1<<63, 1, [][]byte{{0}}).noResult() // as it likes
	c.write(f.obj, f.h, 1<<63-1, 1, [][]byte{{0}}).want(syscall.EFBIG, syscall.EINVAL)
	c.write(f.obj, f.h, 1<<63, 1, [][]byte{{0}}).want(syscall.EFBIG, syscall.EINVAL)
	c.hasData(f.obj, f.h, []byte("contents"))
}

// testSparse has holes read as zeros, wherever they come from.
func testSparse(w *world) {
	c := w.open(0)
	f := c.create(c.root, "file").ok()
	const far = 1<<30 + 3
	c.put(f.obj, f.h, far, []byte("far"))
	c.put(f.obj, f.h, 5000, []byte("near"))
	if size := c.getattr(f.obj, f.h).ok().attr.Size; size != far+3 {
		w.Errorf("the file has %d bytes, want %d", size, far+3)
	}
	for _, tt := range []struct {
		off  uint64
		n    int
		at   int // where the text is
		text string
	}{
		{0, 10000, 5000, "near"}, {4999, 6, 1, "near"}, {5004, 1 << 16, 0, ""}, {1 << 21, 1 << 20, 0, ""},
		{far - 4099, 5000, 4099, "far"}, {far - 1, 2, 1, "f"},
	} {
		want := make([]byte, min(uint64(tt.n), far+3-tt.off))
		copy(want[tt.at:], tt.text)
		buf := bytes.Repeat([]byte{0xa5}, tt.n)
		n := c.read(f.obj, f.h, tt.off, tt.n, segments(buf, []int{1, 0, 4095, 77})).ok().n
		if !bytes.Equal(buf[:n], want) {
			w.Errorf("READ of %d bytes at %d reads %d, want %d; wrong from %d on", tt.n, tt.off, n, len(want),
				differ(buf[:n], want))
		}
	}
	c.setattr(f.obj, f.h, fsdev.Attr{Size: 5002}, fsdev.SetAttrSize).ok()
	c.setattr(f.obj, f.h, fsdev.Attr{Size: 1 << 20}, fsdev.SetAttrSize).ok()
	want := make([]byte, 1<<20)
	copy(want[5000:], "ne")
	c.hasData(f.obj, f.h, want)
}

func testAccessModes(w *world) {
	c := w.open(0)
	f := c.create(c.root, "file").ok()
	c.put(f.obj, f.h, 0, []byte("contents"))
	h := c.fopen(f.obj, syscall.O_RDONLY).ok().h
	c.write(f.obj, h, 0, 1, [][]byte{{1}}).want(syscall.EBADF)
	if !w.o.lacks(fsdev.IOFallocate) {
		c.fallocate(f.obj, h, 0, 0, 100).want(syscall.EBADF)
	}
	if !w.o.lacks(fsdev.IOCopyFileRange) {
		c.copyRange(extent{f.obj, f.h, 0}, extent{f.obj, h, 100}, 1, 0).want(syscall.EBADF)
	}
	c.hasData(f.obj, h, []byte("contents"))
	wr := c.fopen(f.obj, syscall.O_WRONLY).ok().h
	c.put(f.obj, wr, 0, []byte("C"))
	c.hasData(f.obj, h, []byte("Contents"))
}

func testAppend(w *world) {
	c := w.open(0)
	f := c.create(c.root, "file").ok()
	c.put(f.obj, f.h, 0, []byte("one"))
	const flags = syscall.O_WRONLY | syscall.O_APPEND
	h := c.fopen(f.obj, flags).ok().h
	if n := c.writeFlags(f.obj, h, 0, 4, [][]byte{[]byte(" two")}, flags).ok().n; n != 4 {
		w.Errorf("WRITE with O_APPEND of 4 bytes writes %d", n)
	}
	c.hasData(f.obj, f.h, []byte("one two"))
}

// testRandomData does random things to a file, and to a slice.
func testRandomData(w *world) {
	const steps, limit = 400, 1 << 16
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	defer func() {
		if w.Failed() {
			w.Logf("the seed of this was %d", seed)
		}
	}()
	c := w.open(0)
	f := c.create(c.root, "file").ok()
	var model []byte
	grow := func(size int) {
		if size > len(model) {
			model = append(model, make([]byte, size-len(model))...)
		}
	}
	layout := func() (sizes []int) {
		for range r.IntN(8) {
			sizes = append(sizes, r.IntN(5000))
		}
		return sizes
	}
	for range steps {
		o := c.on(r.IntN(numThreads))
		off, n := r.IntN(limit), r.IntN(20000)
		switch r.IntN(5) {
		case 0, 1:
			data := pattern(n, r.Uint64())
			if got := o.write(f.obj, f.h, uint64(off), n, segments(data, layout())).ok().n; got != uint64(n) {
				w.Fatalf("WRITE of %d bytes writes %d", n, got)
			}
			if n > 0 {
				grow(off + n)
				copy(model[off:], data)
			}
		case 2:
			o.setattr(f.obj, f.h, fsdev.Attr{Size: uint64(off)}, fsdev.SetAttrSize).ok()
			grow(off)
			clear(model[off:])
			model = model[:off]
		default:
			want := model[min(off, len(model)):min(off+n, len(model))]
			got := make([]byte, n)
			k := o.read(f.obj, f.h, uint64(off), n, segments(got, layout())).ok().n
			if !bytes.Equal(got[:k], want) {
				w.Fatalf("READ of %d bytes at %d reads %d, want %d; wrong from %d on", n, off, k, len(want),
					differ(got[:k], want))
			}
		}
	}
	c.hasData(f.obj, f.h, model)
}

func testSync(w *world) {
	c := w.open(0)
	f := c.create(c.root, "file").ok()
	c.put(f.obj, f.h, 0, []byte("contents"))
	c.fsync(f.obj, f.h, false).ok()
	c.fsync(f.obj, f.h, true).ok()
	c.flush(f.obj, f.h, 1).ok()
	d := c.opendir(c.root).ok()
	c.fsyncdir(c.root, d.h, false).ok()
	c.fsyncdir(c.root, d.h, true).ok()
	if !w.o.lacks(fsdev.IOSyncfs) {
		c.syncfs(c.root).ok()
		c.syncfs(f.obj).ok()
	}
	c.hasData(f.obj, f.h, []byte("contents"))
}

package memfs

import (
	"bytes"
	"flag"
	"math/rand"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
)

var seedFlag = flag.Int64("seed", 0, "seed of the randomised tests; 0 takes the time")

// newRand returns a source whose seed is in the log of a failing test.
func newRand(tb testing.TB) *rand.Rand {
	seed := *seedFlag
	if seed == 0 {
		seed = time.Now().UnixNano()
	}
	tb.Logf("-seed=%d", seed)
	return rand.New(rand.NewSource(seed))
}

// chop cuts b into pieces, some of them empty.
func chop(rnd *rand.Rand, b []byte) (iovs [][]byte) {
	for len(b) > 0 {
		n := min(rnd.Intn(1+rnd.Intn(9000)), len(b))
		iovs = append(iovs, b[:n:n])
		b = b[n:]
	}
	return append(iovs, nil)
}

// oracle is a file in the plainest way. charged tells the pages that hold data or are promised.
type oracle struct {
	data    []byte
	charged map[uint64]bool
}

func (o *oracle) charge(off, end uint64) {
	for p := off >> pageShift; p<<pageShift < end; p++ {
		o.charged[p] = true
	}
}

func (o *oracle) resize(size uint64) {
	if size > uint64(len(o.data)) { // what is allocated beyond the end stays
		o.data = append(o.data, make([]byte, size-uint64(len(o.data)))...)
		return
	}
	clear(o.data[size:])
	o.data = o.data[:size]
	for p := range o.charged {
		if p<<pageShift >= size {
			delete(o.charged, p)
		}
	}
}

func (o *oracle) write(off uint64, b []byte) {
	if end := off + uint64(len(b)); end > uint64(len(o.data)) {
		o.data = append(o.data, make([]byte, end-uint64(len(o.data)))...)
	}
	copy(o.data[off:], b)
	o.charge(off, off+uint64(len(b)))
}

func (o *oracle) zero(off, end uint64) {
	if off < uint64(len(o.data)) {
		clear(o.data[off:min(end, uint64(len(o.data)))])
	}
}

func (o *oracle) punch(off, end uint64) {
	o.zero(off, end)
	for p := (off + pageMask) >> pageShift; (p+1)<<pageShift <= end; p++ {
		delete(o.charged, p)
	}
}

// TestDataModel compares two files with an oracle over many random operations.
func TestDataModel(t *testing.T) {
	rounds := 4000
	if testing.Short() {
		rounds = 800
	}
	rnd := newRand(t)
	r := newRig(t, Opts{Size: 256 << 20})
	const maxOff = 5 << 20 // more than two leafs
	objs := []fsdev.FileObject{r.mkfile(r.root, "a"), r.mkfile(r.root, "b")}
	oracles := []*oracle{{charged: map[uint64]bool{}}, {charged: map[uint64]bool{}}}
	src := make([]byte, 1<<20)
	rnd.Read(src)
	offset := func() uint64 {
		off := uint64(rnd.Intn(maxOff))
		if rnd.Intn(2) == 0 {
			off &^= pageMask
		}
		return off
	}
	length := func() uint64 {
		n := uint64(rnd.Intn(1 << (1 + rnd.Intn(20))))
		if rnd.Intn(3) == 0 {
			n = (n + pageMask) &^ pageMask
		}
		return max(n, 1)
	}
	for round := range rounds {
		k := rnd.Intn(2)
		obj, o := objs[k], oracles[k]
		n := r.node(obj)
		off, size := offset(), length()
		op := rnd.Intn(9)
		switch op {
		case 0, 1:
			b := src[:min(size, uint64(len(src)))]
			rnd.Read(b[:min(len(b), 64)])
			done, errno := r.write(n, off, uint64(len(b)), chop(rnd, b), writeMode{})
			r.must(errno)
			if done != uint64(len(b)) {
				t.Fatalf("round %d: wrote %d of %d", round, done, len(b))
			}
			o.write(off, b)
		case 2:
			end := uint64(len(o.data))
			b := src[:min(size, 10000)]
			_, errno := r.write(n, 12345, uint64(len(b)), chop(rnd, b), writeMode{end: true})
			r.must(errno)
			o.write(end, b)
		case 3:
			r.must(r.setattr(n, &fsdev.Attr{Size: off}, fsdev.SetAttrSize, &r.attr))
			o.resize(off)
		case 4:
			r.must(r.fallocate(n, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, size))
			o.punch(off, off+size)
		case 5, 6:
			mode := uint32(0)
			if op == 5 {
				mode = unix.FALLOC_FL_ZERO_RANGE
				o.zero(off, off+size)
			}
			if rnd.Intn(2) == 0 {
				mode |= unix.FALLOC_FL_KEEP_SIZE
			} else if off+size > uint64(len(o.data)) {
				o.data = append(o.data, make([]byte, off+size-uint64(len(o.data)))...)
			}
			r.must(r.fallocate(n, mode, off, size))
			o.charge(off, off+size)
		default:
			j := rnd.Intn(2)
			to := offset()
			done, errno := r.copyFileRange(n, off, r.node(objs[j]), to, size, 0)
			if want := min(size, uint64(max(0, len(o.data)-int(off)))); j == k && off < to+want && to < off+want {
				r.want("overlapping copy", errno, syscall.EINVAL)
				break
			} else if done != want {
				t.Fatalf("round %d: copied %d bytes, want %d", round, done, want)
			}
			r.must(errno)
			if done > 0 {
				d := oracles[j]
				before := map[uint64]bool{}
				for p := range d.charged {
					before[p] = true
				}
				d.write(to, bytes.Clone(o.data[off:off+done]))
				d.charged = before // which pages became holes is checked by the file's own count
				r.recount(r.node(objs[j]), d)
			}
		}
		off, size = offset(), length()
		want := o.data[min(off, uint64(len(o.data))):min(off+size, uint64(len(o.data)))]
		got := make([]byte, size)
		rnd.Read(got[:min(64, len(got))])
		m, errno := r.read(n, nil, off, size, chop(rnd, got))
		r.must(errno)
		if !bytes.Equal(got[:m], want) {
			t.Fatalf("round %d, after operation %d: %d bytes at %d differ", round, op, size, off)
		}
		a := r.stat(obj)
		if a.Size != uint64(len(o.data)) || a.Blocks != uint64(len(o.charged))*8 {
			t.Fatalf("round %d, after operation %d: size %d, %d blocks; want %d, %d", round, op, a.Size, a.Blocks,
				len(o.data), len(o.charged)*8)
		}
		if used := r.fs.used.Load(); used != int64(len(oracles[0].charged)+len(oracles[1].charged)) {
			t.Fatalf("round %d, after operation %d: %d pages charged", round, op, used)
		}
	}
	for k, o := range oracles {
		if !bytes.Equal(r.get1(objs[k], 0, maxOff*2), o.data) {
			t.Errorf("file %d differs", k)
		}
	}
	r.removeAll(r.root)
	r.umount(r.desc)
	r.checkEmpty()
}

// recount makes o.charged what the file's map says and checks the map's own counts against it.
func (r *rig) recount(n *inode, o *oracle) {
	r.Helper()
	clear(o.charged)
	for i := range uint64(16) {
		f := n.file.leaf(i)
		if f == nil {
			continue
		}
		var used, data int32
		for j := range leafPages {
			if f.at(j).stored() {
				data++
			}
			if f.at(j) != refHole {
				used++
				o.charged[i<<leafShift+uint64(j)] = true
			}
		}
		if used != f.used || data != f.data {
			r.Fatalf("leaf %d says it has %d pages, %d with data, but has %d and %d", i, f.used, f.data, used, data)
		}
	}
}

func TestReadWriteErrnos(t *testing.T) {
	r := newRig(t, Opts{})
	f := r.node(r.mkfile(r.root, "f"))
	d := r.node(r.root)
	link, errno := r.symlink(r.root, []byte("l"), &creation{target: []byte("t")}, &r.attr)
	r.must(errno)
	b := [][]byte{{1, 2, 3, 4}}
	tests := []struct {
		what  string
		n     *inode
		off   uint64
		size  uint64
		want  uint64
		errno syscall.Errno
	}{
		{"directory", d, 0, 4, 0, syscall.EISDIR},
		{"link", r.node(link), 0, 4, 0, syscall.EINVAL},
		{"negative", f, 1 << 63, 4, 0, syscall.EINVAL},
		{"at the limit", f, maxFileSize, 1, 0, syscall.EFBIG},
		{"across the limit", f, maxFileSize - 2, 4, 2, 0},
		{"nothing at the limit", f, maxFileSize, 0, 0, 0},
		{"more than there is to write", f, 0, 100, 4, 0},
	}
	for _, tt := range tests {
		got, errno := r.write(tt.n, tt.off, tt.size, b, writeMode{})
		r.want("write: "+tt.what, errno, tt.errno)
		if got != tt.want {
			t.Errorf("%s: wrote %d, want %d", tt.what, got, tt.want)
		}
	}
	if a := r.stat(f.obj); a.Size != maxFileSize || a.Blocks != 16 {
		t.Errorf("size %d, %d blocks", a.Size, a.Blocks)
	}
	if got := r.get1(f.obj, maxFileSize-3, 10); !bytes.Equal(got, []byte{0, 1, 2}) {
		t.Errorf("the end of the largest file reads %v", got)
	}
	_, errno = r.read(d, nil, 0, 4, b)
	r.want("read a directory", errno, syscall.EISDIR)
	_, errno = r.read(f, nil, 1<<63, 4, b)
	r.want("read before the start", errno, syscall.EINVAL)
	_, errno = r.write(f, 0, 4, b, writeMode{end: true})
	r.want("append to the largest file", errno, syscall.EFBIG)
}

func TestFallocateErrnos(t *testing.T) {
	const (
		keep  = unix.FALLOC_FL_KEEP_SIZE
		punch = unix.FALLOC_FL_PUNCH_HOLE
		zero  = unix.FALLOC_FL_ZERO_RANGE
	)
	r := newRig(t, Opts{Size: 1 << 20})
	f := r.node(r.mkfile(r.root, "f"))
	fifo, errno := r.mknod(r.root, []byte("p"), &creation{perm: syscall.S_IFIFO}, &r.attr)
	r.must(errno)
	tests := []struct {
		what     string
		n        *inode
		mode     uint32
		off, len uint64
		errno    syscall.Errno
		size     uint64
		pages    int64
	}{
		{"directory", r.node(r.root), 0, 0, 1, syscall.EISDIR, 0, 0},
		{"fifo", r.node(fifo), 0, 0, 1, syscall.ENODEV, 0, 0},
		{"nothing", f, 0, 0, 0, syscall.EINVAL, 0, 0},
		{"negative", f, 0, 1 << 63, 1, syscall.EINVAL, 0, 0},
		{"negative length", f, 0, 1, 1 << 63, syscall.EINVAL, 0, 0},
		{"too far", f, 0, maxFileSize, 1, syscall.EFBIG, 0, 0},
		{"punch and grow", f, punch, 0, 1, syscall.EOPNOTSUPP, 0, 0},
		{"collapse", f, unix.FALLOC_FL_COLLAPSE_RANGE, 0, 4096, syscall.EOPNOTSUPP, 0, 0},
		{"insert", f, unix.FALLOC_FL_INSERT_RANGE, 0, 4096, syscall.EOPNOTSUPP, 0, 0},
		{"both", f, punch | zero | keep, 0, 4096, syscall.EOPNOTSUPP, 0, 0},
		{"too much", f, 0, 0, 1<<20 + 1, syscall.ENOSPC, 0, 0},
		{"far too much", f, keep, 0, maxFileSize, syscall.ENOSPC, 0, 0},
		{"all", f, keep, 0, 1 << 20, 0, 0, 256},
		{"one more", f, keep, 1 << 40, 1, syscall.ENOSPC, 0, 256},
		{"again", f, 0, 5, 10, 0, 15, 256},
		{"zero what is there", f, zero, 4096, 4096, 0, 8192, 256},
		{"punch all", f, punch | keep, 0, maxFileSize, 0, 8192, 0},
		{"zero a hole", f, zero | keep, 100, 5000, 0, 8192, 2},
	}
	for _, tt := range tests {
		r.want(tt.what, r.fallocate(tt.n, tt.mode, tt.off, tt.len), tt.errno)
		if size, pages := r.stat(f.obj).Size, r.fs.used.Load(); size != tt.size || pages != tt.pages {
			t.Errorf("%s: size %d, %d pages; want %d, %d", tt.what, size, pages, tt.size, tt.pages)
		}
	}
}

func TestCopyFileRangeErrnos(t *testing.T) {
	r := newRig(t, Opts{Size: 64 << 20})
	f := r.mkfile(r.root, "f")
	g := r.mkfile(r.root, "g")
	r.put1(f, 0, bytes.Repeat([]byte("0123456789"), 2000))
	tests := []struct {
		what          string
		src, dst      fsdev.FileObject
		from, to, len uint64
		flags         uint32
		want          uint64
		errno         syscall.Errno
	}{
		{"from a directory", r.root, g, 0, 0, 1, 0, 0, syscall.EISDIR},
		{"to a directory", f, r.root, 0, 0, 1, 0, 0, syscall.EISDIR},
		{"flags", f, g, 0, 0, 1, 1, 0, syscall.EINVAL},
		{"overlap", f, f, 0, 10, 11, 0, 0, syscall.EINVAL},
		{"side by side", f, f, 0, 10, 10, 0, 10, 0},
		{"overlap by length only", f, f, 19990, 20000, 100, 0, 10, 0},
		{"beyond the end", f, g, 1 << 40, 0, 10, 0, 0, 0},
		{"nothing", f, g, 0, 0, 0, 0, 0, 0},
		{"too far", f, g, 0, maxFileSize, 10, 0, 0, syscall.EFBIG},
		{"across the end", f, g, 20000, 5, 100, 0, 10, 0},
	}
	for _, tt := range tests {
		got, errno := r.copyFileRange(r.node(tt.src), tt.from, r.node(tt.dst), tt.to, tt.len, tt.flags)
		r.want(tt.what, errno, tt.errno)
		if got != tt.want {
			t.Errorf("%s: copied %d, want %d", tt.what, got, tt.want)
		}
	}
	if got := string(r.get1(g, 0, 100)); got != "\x00\x00\x00\x00\x000123456789" {
		t.Errorf("g holds %q", got)
	}
	// A hole copied over data frees it, and a copy has its bound.
	h := r.mkfile(r.root, "h")
	r.must(r.setattr(r.node(h), &fsdev.Attr{Size: 1 << 40}, fsdev.SetAttrSize, &r.attr))
	got, errno := r.copyFileRange(r.node(h), 0, r.node(f), 0, 1<<40, 0)
	if errno != 0 || got != maxCopy {
		t.Errorf("copied %d (%v), want %d", got, errno, maxCopy)
	}
	if used := r.stat(f).Blocks; used != 0 {
		t.Errorf("%d blocks of zeros", used)
	}
}

// TestNoSpace checks that the last byte fits and the next does not, and that space comes back.
func TestNoSpace(t *testing.T) {
	const pages = 700 // more than a group
	r := newRig(t, Opts{Size: pages * pageSize})
	f := r.mkfile(r.root, "f")
	b := make([]byte, (pages+10)*pageSize)
	got, errno := r.write(r.node(f), 0, uint64(len(b)), [][]byte{b}, writeMode{})
	if errno != 0 || got != pages*pageSize {
		t.Fatalf("wrote %d (%v), want %d", got, errno, pages*pageSize)
	}
	g := r.mkfile(r.root, "g")
	_, errno = r.write(r.node(g), 0, 1, [][]byte{b}, writeMode{})
	r.want("write to a full file system", errno, syscall.ENOSPC)
	r.put1(f, 100, b[:5000])
	var st fsdev.Statfs
	r.fs.statfs(&st)
	if st.Bfree != 0 || st.Blocks != pages {
		t.Errorf("statfs %+v", st)
	}
	// The file keeps its space while somebody has it open or knows it.
	h, errno := r.fopen(r.desc, r.node(f), syscall.O_RDWR)
	r.must(errno)
	n := r.node(f)
	r.must(r.remove(r.root, []byte("f"), false))
	r.forget(f, 1)
	if used := r.fs.used.Load(); used != pages {
		t.Errorf("%d pages charged while the file is open", used)
	}
	r.must(r.release(r.desc, n, h))
	if used := r.fs.used.Load(); used != 0 {
		t.Errorf("%d pages charged after the last close", used)
	}
	r.put1(g, 0, b[:pages*pageSize])
	r.must(r.setattr(r.node(g), &fsdev.Attr{Size: pageSize + 1}, fsdev.SetAttrSize, &r.attr))
	if used := r.fs.used.Load(); used != 2 {
		t.Errorf("%d pages charged for a page and a byte", used)
	}
	r.removeAll(r.root)
	r.umount(r.desc)
	r.checkEmpty()
}

// TestOldContentsNeverShow fills memory with a pattern, frees it, and looks for it in every way in
// which new memory is exposed.
func TestOldContentsNeverShow(t *testing.T) {
	r := newRig(t, Opts{Size: 8 << 20})
	pattern := bytes.Repeat([]byte{0xA5}, 8<<20)
	for round := range 3 {
		f := r.mkfile(r.root, "f")
		r.put1(f, 0, pattern)
		r.must(r.remove(r.root, []byte("f"), false))
		r.forget(f, 1)
		g := r.mkfile(r.root, "g")
		n := r.node(g)
		switch round {
		case 0: // partial pages, at their start, middle and end
			for i := range uint64(256) {
				r.put1(g, i*pageSize*2+i*16, []byte{1})
			}
		case 1: // promised pages, partly written
			r.must(r.fallocate(n, 0, 0, 1<<20))
			r.put1(g, 5000, []byte{1})
			r.put1(g, 1<<20-1, []byte{1})
		case 2: // the end of a file that shrinks and grows
			r.put1(g, 0, bytes.Repeat([]byte{1}, 10000))
			for _, size := range []uint64{9000, 4096, 4095, 100000, 3, 1 << 20} {
				r.must(r.setattr(n, &fsdev.Attr{Size: size}, fsdev.SetAttrSize, &r.attr))
				if i := bytes.IndexByte(r.get1(g, min(size, 3), 1<<20), 0xA5); i >= 0 {
					t.Fatalf("old contents at %d", i)
				}
			}
			if i := bytes.IndexByte(r.get1(g, 3, 1<<20), 1); i >= 0 {
				t.Errorf("truncated contents at %d", i+3)
			}
		}
		if i := bytes.IndexByte(r.get1(g, 0, 8<<20), 0xA5); i >= 0 {
			t.Errorf("round %d: old contents at %d", round, i)
		}
		r.must(r.remove(r.root, []byte("g"), false))
		r.forget(g, 1)
	}
	r.umount(r.desc)
	r.checkEmpty()
}

func TestTrimGivesMemoryBack(t *testing.T) {
	r := newRig(t, Opts{Size: 256 << 20})
	f := r.mkfile(r.root, "f")
	b := bytes.Repeat([]byte{0xA5}, 1<<20)
	for i := range uint64(100) {
		r.put1(f, i<<20, b)
	}
	if r.fs.wantsTrim() {
		t.Error("memory in use wants to be given back")
	}
	r.must(r.setattr(r.node(f), &fsdev.Attr{}, fsdev.SetAttrSize, &r.attr))
	rounds := 0
	for r.fs.wantsTrim() && r.fs.arena.trim(trimGroups) > 0 {
		rounds++
	}
	if got := r.fs.arena.touched.Load(); got > trimKeep || rounds == 0 {
		t.Errorf("%d pages are kept after %d rounds, want %d at most", got, rounds, trimKeep)
	}
	for i := range uint64(100) {
		r.put1(f, i<<20, b[:1])
	}
	for i := range uint64(100) {
		if got := r.get1(f, i<<20, 1<<20); got[0] != 0xA5 || bytes.IndexByte(got[1:], 0xA5) >= 0 {
			t.Fatalf("wrong contents in MiB %d", i)
		}
	}
	r.removeAll(r.root)
	r.umount(r.desc)
	r.checkEmpty()
}

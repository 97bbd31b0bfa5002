package memfs

import (
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
)

func TestSeek(t *testing.T) {
	const (
		data, hole = unix.SEEK_DATA, unix.SEEK_HOLE
		page, leaf = uint64(pageSize), uint64(leafPages * pageSize)
		far        = denseLeafs * leaf
		size       = far + 100*leaf + 10
	)
	r := newRig(t, Opts{})
	f := r.node(r.mkfile(r.root, "f"))
	one := []byte{1}
	r.put1(f.obj, 2*page+7, one)                  // page 2
	r.put1(f.obj, 3*page, one)                    // page 3
	r.put1(f.obj, 2*leaf-1, make([]byte, page+1)) // the last page of leaf 1 and the first of leaf 2
	r.put1(f.obj, far+5*page, one)                // found by number
	r.put1(f.obj, far+99*leaf, one)               // found by looking at all
	r.must(r.fallocate(f, 0, 10*page, page))      // promised
	r.must(r.setattr(f, &fsdev.Attr{Size: size}, fsdev.SetAttrSize, &r.attr))
	empty := r.node(r.mkfile(r.root, "empty"))
	small := r.node(r.mkfile(r.root, "small"))
	r.put1(small.obj, 0, make([]byte, 5))
	for _, tt := range []struct {
		what   string
		n      *inode
		whence uint32
		off    uint64
		want   uint64
		errno  syscall.Errno
	}{
		{"first data", f, data, 0, 2 * page, 0},
		{"in the page, before what was written", f, data, 2*page + 1, 2*page + 1, 0},
		{"hole at once", f, hole, 1, 1, 0},
		{"hole after the data", f, hole, 2*page + 100, 4 * page, 0},
		{"allocated pages are no data", f, data, 4 * page, 2*leaf - page, 0},
		{"and a hole", f, hole, 10*page + 1, 10*page + 1, 0},
		{"data across leafs", f, hole, 2*leaf - 1, 2*leaf + page, 0},
		{"far away", f, data, 2*leaf + page, far + 5*page, 0},
		{"hole far away", f, hole, far + 5*page, far + 6*page, 0},
		{"farther away", f, data, far + 6*page, far + 99*leaf, 0},
		{"no more data", f, data, far + 99*leaf + page, 0, syscall.ENXIO},
		{"hole before the end", f, hole, size - 1, size - 1, 0},
		{"data at the end", f, data, size, 0, syscall.ENXIO},
		{"hole at the end", f, hole, size, 0, syscall.ENXIO},
		{"negative", f, hole, 1 << 63, 0, syscall.ENXIO},
		{"data of nothing", empty, data, 0, 0, syscall.ENXIO},
		{"hole of nothing", empty, hole, 0, 0, syscall.ENXIO},
		{"the end is a hole", small, hole, 2, 5, 0},
		{"all is data", small, data, 4, 4, 0},
		{"SEEK_SET", small, unix.SEEK_SET, 0, 0, syscall.EINVAL},
		{"SEEK_END", small, unix.SEEK_END, 0, 0, syscall.EINVAL},
		{"directory", r.node(r.root), data, 0, 0, syscall.EINVAL},
	} {
		got, errno := r.seek(tt.n, tt.off, tt.whence)
		r.want(tt.what, errno, tt.errno)
		if got != tt.want {
			t.Errorf("%s: %#x, want %#x", tt.what, got, tt.want)
		}
	}
	r.must(r.setattr(f, &fsdev.Attr{Size: 3*page + 1}, fsdev.SetAttrSize, &r.attr))
	if got, errno := r.seek(f, 2*page, hole); got != 3*page+1 || errno != 0 {
		t.Errorf("after truncation: %#x, %v", got, errno)
	}
	r.removeAll(r.root)
	r.umount(r.desc)
	r.checkEmpty()
}

// TestSeekRandom compares with looking at every page.
func TestSeekRandom(t *testing.T) {
	r := newRig(t, Opts{})
	rnd := newRand(t)
	f := r.node(r.mkfile(r.root, "f"))
	const pages = 4 * leafPages
	for range rounds(3000) {
		off, size := uint64(rnd.Intn(pages*pageSize)), uint64(rnd.Intn(40*pageSize)+1)
		switch rnd.Intn(6) {
		case 0, 1:
			r.put1(f.obj, off, make([]byte, size))
		case 2:
			r.must(r.fallocate(f, unix.FALLOC_FL_KEEP_SIZE, off, size))
		case 3:
			r.must(r.fallocate(f, unix.FALLOC_FL_ZERO_RANGE, off, size))
		case 4:
			r.must(r.fallocate(f, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, size*20))
		default:
			if rnd.Intn(10) == 0 {
				r.must(r.setattr(f, &fsdev.Attr{Size: off}, fsdev.SetAttrSize, &r.attr))
			}
		}
		r.checkSeek(f, off)
		r.checkSeek(f, f.file.size-min(f.file.size, uint64(rnd.Intn(2*pageSize))))
	}
}

// checkSeek compares what seek finds from off on with what is there.
func (r *rig) checkSeek(n *inode, off uint64) {
	r.Helper()
	m := n.file
	for _, whence := range []uint32{unix.SEEK_DATA, unix.SEEK_HOLE} {
		want, wantErrno := off, syscall.Errno(0)
		for want < m.size {
			f := m.leaf(want >> pageShift >> leafShift)
			isData := f != nil && f.at(int(want>>pageShift&leafMask)).stored()
			if isData == (whence == unix.SEEK_DATA) {
				break
			}
			want = (want | pageMask) + 1
		}
		want = min(want, m.size)
		if off >= m.size || want == m.size && whence == unix.SEEK_DATA {
			want, wantErrno = 0, syscall.ENXIO
		}
		got, errno := r.seek(n, off, whence)
		if got != want || errno != wantErrno {
			r.Fatalf("whence %d from %#x in %#x bytes: %#x, %v; want %#x, %v", whence, off, m.size, got, errno, want,
				wantErrno)
		}
	}
}

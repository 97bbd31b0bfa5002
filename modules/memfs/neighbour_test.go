package memfs

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"

	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
)

// neighbour is an honest client that works in its own directory, and knows what must be there.
type neighbour struct {
	*wire
	rng   *rand.Rand
	root  uint64
	dirs  []uint64
	files []*neighbourFile // that have a name
	open  []*neighbourFile // that have a handle
	steps int

	locked *neighbourFile // holds locks all along, and is not changed
	buf    []byte
}

type neighbourFile struct {
	node, fh uint64 // fh 0: it is not open
	lookups  uint64
	dir      int // of its name
	name     string
	named    bool
	data     []byte
}

const (
	neighbourFiles = 40
	neighbourOpen  = 8
	neighbourSize  = 12 << 10 // of a file, at most
)

func newNeighbour(c *wire, rng *rand.Rand) *neighbour {
	b := &neighbour{wire: c, rng: rng, root: c.mkdir(FUSE_ROOT_ID, "neighbour")}
	b.dirs = append(b.dirs, b.root)
	for i := range 3 {
		b.dirs = append(b.dirs, c.mkdir(b.dirs[i], fmt.Sprint("dir", i)))
	}
	b.locked = b.create(0, "locked")
	b.must(FUSE_SETLK, b.locked.node, Bytes(&LkIn{Fh: b.locked.fh, Owner: 77, Lk: FileLock{
		Start: 10, End: 20, Type: syscall.F_WRLCK, PID: 1234}}))
	b.must(FUSE_SETLK, b.locked.node, Bytes(&LkIn{Fh: b.locked.fh, Owner: 77, LkFlags: FUSE_LK_FLOCK, Lk: FileLock{
		Type: syscall.F_WRLCK}}))
	return b
}

// create makes a file.
func (b *neighbour) create(dir int, name string) *neighbourFile {
	f := &neighbourFile{lookups: 1, dir: dir, name: name, named: true}
	f.node, f.fh = b.wire.create(b.dirs[dir], name)
	b.files = append(b.files, f)
	return f
}

func (b *neighbour) content(n int) []byte {
	b.buf = b.buf[:0]
	for range n {
		b.buf = append(b.buf, byte(b.rng.Uint32()))
	}
	return b.buf
}

// any returns a file that has a name.
func (b *neighbour) any() *neighbourFile { return b.files[b.rng.IntN(len(b.files))] }

// step does one thing and checks what comes of it.
func (b *neighbour) step() {
	b.steps++
	f := b.any()
	switch n := b.rng.IntN(10); {
	case n < 2 || f == b.locked:
		if len(b.files) < neighbourFiles {
			b.make(b.rng.IntN(len(b.dirs)), fmt.Sprint("f", b.steps))
		}
	case n < 4:
		b.writeSome(f)
	case n < 6:
		b.check(f)
	case n < 7:
		b.rename(f)
	case n < 8:
		b.must(FUSE_UNLINK, b.dirs[f.dir], wireName(f.name))
		b.lostName(f)
	case n < 9:
		dir := b.rng.IntN(len(b.dirs))
		fh := b.opendir(b.dirs[dir])
		b.checkNames(dir, b.readdir(b.dirs[dir], fh))
		b.must(FUSE_RELEASEDIR, b.dirs[dir], Bytes(&ReleaseIn{Fh: fh}))
	default:
		b.closeOne()
	}
}

func (b *neighbour) make(dir int, name string) {
	f := b.create(dir, name)
	b.open = append(b.open, f)
	b.writeSome(f)
	if len(b.open) > neighbourOpen {
		b.closeOne()
	}
}

// writeSome overwrites and appends.
func (b *neighbour) writeSome(f *neighbourFile) {
	fh := f.fh
	if fh == 0 {
		fh = b.wire.open(f.node)
	}
	off := b.rng.IntN(len(f.data) + 1)
	data := b.content(min(1+b.rng.IntN(900), neighbourSize-off))
	b.wire.write(f.node, fh, uint64(off), data)
	f.data = append(f.data[:off], append(data, f.data[min(off+len(data), len(f.data)):]...)...)
	if fh != f.fh {
		b.release(f.node, fh)
	}
}

// check reads a file.
func (b *neighbour) check(f *neighbourFile) {
	fh := f.fh
	if fh == 0 {
		fh = b.wire.open(f.node)
	}
	if got := b.read(f.node, fh, neighbourSize+1); !bytes.Equal(got, f.data) {
		b.w.tb.Fatalf("file %#x has other %d bytes than the %d that were written", f.node, len(got), len(f.data))
	}
	if fh != f.fh {
		b.release(f.node, fh)
	}
}

// rename gives a file another name, which may be that of another file.
func (b *neighbour) rename(f *neighbourFile) {
	dir, name := b.rng.IntN(len(b.dirs)), fmt.Sprint("r", b.steps)
	victim := b.any()
	if victim == b.locked || victim == f || b.rng.IntN(2) == 0 {
		victim = nil
	} else {
		dir, name = victim.dir, victim.name
	}
	b.must(FUSE_RENAME2, b.dirs[f.dir], Bytes(&Rename2In{Newdir: b.dirs[dir]}), wireName(f.name), wireName(name))
	f.dir, f.name = dir, name
	if victim != nil {
		b.lostName(victim)
	}
}

func (b *neighbour) lostName(f *neighbourFile) {
	f.named = false
	i := slices.Index(b.files, f)
	b.files = slices.Delete(b.files, i, i+1)
	b.drop(f)
}

// drop forgets a file that has neither a name nor a handle.
func (b *neighbour) drop(f *neighbourFile) {
	if !f.named && f.fh == 0 {
		b.forget(f.node, f.lookups)
	}
}

// closeOne closes a file, which may have lost its name.
func (b *neighbour) closeOne() {
	if len(b.open) == 0 {
		return
	}
	i := b.rng.IntN(len(b.open))
	f := b.open[i]
	b.check(f)
	b.open = slices.Delete(b.open, i, i+1)
	b.release(f.node, f.fh)
	f.fh = 0
	b.drop(f)
}

func (b *neighbour) checkNames(dir int, got []string) {
	var want []string
	for _, f := range b.files {
		if f.dir == dir {
			want = append(want, f.name)
		}
	}
	if dir+1 < len(b.dirs) {
		want = append(want, fmt.Sprint("dir", dir))
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		b.w.tb.Fatalf("directory %d lists %q, want %q", dir, got, want)
	}
}

// checkTree looks at everything from the root on.
func (b *neighbour) checkTree() {
	node := b.must(FUSE_LOOKUP, FUSE_ROOT_ID, wireName("neighbour")).entry()
	for i := range b.dirs {
		if node != b.dirs[i] {
			b.w.tb.Fatalf("directory %d is %#x, was %#x", i, node, b.dirs[i])
		}
		fh := b.opendir(node)
		b.checkNames(i, b.readdir(node, fh))
		b.must(FUSE_RELEASEDIR, node, Bytes(&ReleaseIn{Fh: fh}))
		for _, f := range b.files {
			if f.dir != i {
				continue
			}
			r := b.must(FUSE_LOOKUP, node, wireName(f.name))
			if r.entry() != f.node {
				b.w.tb.Fatalf("%q is %#x, was %#x", f.name, r.entry(), f.node)
			}
			f.lookups++
			b.check(f)
		}
		if i+1 < len(b.dirs) {
			node = b.must(FUSE_LOOKUP, node, wireName(fmt.Sprint("dir", i))).entry()
		}
	}
	for _, f := range b.open {
		b.check(f)
	}
}

// unnamed returns how many open files have no name.
func (b *neighbour) unnamed() (n int) {
	for _, f := range b.open {
		if !f.named {
			n++
		}
	}
	return n
}

// pages returns how many pages of the file system the files have.
func (b *neighbour) pages() (n int64) {
	for _, f := range b.files {
		n += int64(len(f.data)+pageSize-1) / pageSize
	}
	for _, f := range b.open {
		if !f.named {
			n += int64(len(f.data)+pageSize-1) / pageSize
		}
	}
	return n
}

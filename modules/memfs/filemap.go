package memfs

const (
	leafShift = 9
	leafPages = 1 << leafShift // a leaf maps 2 MiB of a file
	leafMask  = leafPages - 1

	// denseLeafs is how many leafs from the start of a file (2 GiB) are found by index;
	// those further out are found in a map, so that a byte at the far end of a sparse
	// file costs one leaf and not a table.
	denseLeafs = 1024
)

// A pageRef says where a page of a file is: nowhere (a hole), promised but not yet there
// (fallocate), or in the arena. Holes and promised pages read as zeros.
type pageRef uint32

const (
	refHole     pageRef = 0
	refPromised pageRef = 1<<32 - 1
)

// refTo is the reference to an arena page. References of adjacent pages are adjacent.
func refTo(page uint32) pageRef { return pageRef(page + 1) }

func (r pageRef) page() uint32 { return uint32(r - 1) }
func (r pageRef) stored() bool { return r != refHole && r != refPromised }

// leaf maps leafPages pages of a file. refs is as long as it had to be; what is beyond its end
// is a hole.
type leaf struct {
	used int32 // refs that are not holes
	data int32 // refs that are stored
	refs []pageRef
}

func (f *leaf) at(i int) pageRef {
	if i < len(f.refs) {
		return f.refs[i]
	}
	return refHole
}

// grow makes refs long enough for index i: 8, 64 or all, since most files are small.
func (f *leaf) grow(i int) {
	if i < len(f.refs) {
		return
	}
	n := 8
	for n <= i {
		n *= 8
	}
	refs := make([]pageRef, n)
	copy(refs, f.refs)
	f.refs = refs
}

// fileMap says where the pages of a regular file are. It is guarded by the inode's lock.
type fileMap struct {
	size   uint64 // in bytes. Stored bytes beyond it, up to the end of their page, are zero.
	blocks uint64 // pages that count against the file system: stored and promised ones
	first  leaf   // leaf 0
	dense  []*leaf
	far    map[uint64]*leaf
}

// leaf returns leaf number i, nil if it is all hole.
func (m *fileMap) leaf(i uint64) *leaf {
	switch {
	case i == 0:
		return &m.first
	case i < uint64(len(m.dense)):
		return m.dense[i]
	case i < denseLeafs:
		return nil
	}
	return m.far[i]
}

// ensureLeaf returns leaf number i and makes it if it is missing.
func (m *fileMap) ensureLeaf(i uint64) *leaf {
	if f := m.leaf(i); f != nil {
		return f
	}
	f := new(leaf)
	if i >= denseLeafs {
		if m.far == nil {
			m.far = make(map[uint64]*leaf)
		}
		m.far[i] = f
		return f
	}
	for uint64(len(m.dense)) <= i {
		m.dense = append(m.dense, nil)
	}
	m.dense[i] = f
	return f
}

// dropLeaf forgets leaf number i, which has become all hole.
func (m *fileMap) dropLeaf(i uint64) {
	switch {
	case i == 0:
		m.first = leaf{}
	case i < uint64(len(m.dense)):
		m.dense[i] = nil
	default:
		delete(m.far, i)
	}
}

// eachLeaf calls fn for the existing leafs that map any of the pages [first, end), with the part
// of each that is in the range. fn may drop the leaf it was called for. The work is bounded by
// the number of existing leafs however long the range is.
func (m *fileMap) eachLeaf(first, end uint64, fn func(m *fileMap, i uint64, f *leaf, from, to int)) {
	if first >= end {
		return
	}
	lo, hi := first>>leafShift, (end-1)>>leafShift
	visit := func(i uint64, f *leaf) {
		from, to := 0, leafPages
		if i == lo {
			from = int(first & leafMask)
		}
		if i == hi {
			to = int((end-1)&leafMask) + 1
		}
		fn(m, i, f, from, to)
	}
	if lo == 0 {
		visit(0, &m.first)
	}
	for i := max(lo, 1); i <= hi && i < uint64(len(m.dense)); i++ {
		if f := m.dense[i]; f != nil {
			visit(i, f)
		}
	}
	if hi < denseLeafs || len(m.far) == 0 {
		return
	}
	if start := max(lo, denseLeafs); hi-start < uint64(len(m.far)) {
		for i := start; i <= hi; i++ {
			if f := m.far[i]; f != nil {
				visit(i, f)
			}
		}
		return
	}
	for i, f := range m.far {
		if i >= lo && i <= hi {
			visit(i, f)
		}
	}
}

// holes counts the holes among the pages [first, end).
func (m *fileMap) holes(first, end uint64) uint64 {
	n := end - first
	if i := first >> leafShift; i == (end-1)>>leafShift { // no closure for the common case
		if f := m.leaf(i); f != nil {
			n -= f.countUsed(int(first&leafMask), int((end-1)&leafMask)+1)
		}
		return n
	}
	m.eachLeaf(first, end, func(_ *fileMap, _ uint64, f *leaf, from, to int) {
		n -= f.countUsed(from, to)
	})
	return n
}

func (f *leaf) countUsed(from, to int) (n uint64) {
	if from == 0 && to == leafPages {
		return uint64(f.used)
	}
	for i := from; i < min(to, len(f.refs)); i++ {
		if f.refs[i] != refHole {
			n++
		}
	}
	return n
}

// release turns the pages [first, end) into holes, or into promised pages those that were not
// holes, and gives their memory back to the arena. It returns how many pages are no longer
// charged.
func (m *fileMap) release(a *arena, first, end uint64, promise bool) (freed uint64) {
	m.eachLeaf(first, end, func(m *fileMap, i uint64, f *leaf, from, to int) {
		to = min(to, len(f.refs))
		for j := from; j < to; {
			r := f.refs[j]
			n := 1
			switch {
			case r == refHole:
				j++
				continue
			case r == refPromised:
				for j+n < to && f.refs[j+n] == refPromised {
					n++
				}
			default:
				for j+n < to && f.refs[j+n] == r+pageRef(n) && f.refs[j+n] != refPromised {
					n++
				}
				a.freeRun(r.page(), n)
				f.data -= int32(n)
			}
			fill := refHole
			if promise {
				fill = refPromised
			} else {
				freed += uint64(n)
				f.used -= int32(n)
			}
			for k := j; k < j+n; k++ {
				f.refs[k] = fill
			}
			j += n
		}
		if f.used == 0 {
			m.dropLeaf(i)
		}
	})
	m.blocks -= freed
	return freed
}

// promise turns the holes among the pages [first, end) into promised pages. The caller has
// reserved them.
func (m *fileMap) promise(first, end uint64) {
	for p := first; p < end; {
		f := m.ensureLeaf(p >> leafShift)
		from := int(p & leafMask)
		to := int(min(leafPages, uint64(from)+end-p))
		f.grow(to - 1)
		for j := from; j < to; j++ {
			if f.refs[j] == refHole {
				f.refs[j] = refPromised
				f.used++
				m.blocks++
			}
		}
		p += uint64(to - from)
	}
}

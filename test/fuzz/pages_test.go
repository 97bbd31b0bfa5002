package fuzz

import (
	"math"
	"slices"
)

const (
	pageSize = 4096
	maxSize  = math.MaxInt64
)

// state is what is known of something that is or is not.
type state uint8

const (
	no state = iota
	maybe
	yes
)

// page is a page of a file that is not known to be a hole.
type page struct {
	data   []byte // nil: zeros
	taken  state  // it counts: maybe, yes
	stored state  // LSEEK counts it as data
}

// setPage replaces page i of n; nil makes it a hole.
func (n *node) setPage(i uint64, p *page) {
	count := func(p *page, sign uint64) {
		switch {
		case p == nil:
		case p.taken == yes:
			n.sure += sign
			n.m.sure += sign
		default:
			n.vague += sign
			n.m.vague += sign
		}
	}
	count(n.pages[i], ^uint64(0))
	count(p, 1)
	if p == nil {
		delete(n.pages, i)
		return
	}
	n.pages[i] = p
}

// edit returns page i for changing its data, which makes it stored.
func (n *node) edit(i uint64) []byte {
	p := &page{taken: yes, stored: yes}
	if old := n.pages[i]; old != nil {
		p.data = old.data
	}
	if p.data == nil {
		p.data = make([]byte, pageSize)
	}
	n.setPage(i, p)
	return p.data
}

// each calls fn for the pages that the bytes [off, end) touch, with the part of each.
func each(off, end uint64, fn func(i, from, to uint64) bool) {
	for off < end {
		i, from := off/pageSize, off%pageSize
		to := min(pageSize, from+(end-off))
		if !fn(i, from, to) {
			return
		}
		off += to - from
	}
}

// read returns the bytes [off, off+size) as far as there are any.
func (n *node) read(off, size uint64) []byte {
	if off >= n.size {
		return nil
	}
	size = min(size, n.size-off)
	buf := make([]byte, size)
	each(off, off+size, func(i, from, to uint64) bool {
		if p := n.pages[i]; p != nil && p.data != nil {
			copy(buf[i*pageSize+from-off:], p.data[from:to])
		}
		return true
	})
	return buf
}

// writable returns how many of size bytes at off there is room for, at least and at most. (Pages that may be taken
// need no room if they are, and have left some if they are not, unless all of them could not be.)
func (n *node) writable(off, size uint64) (least, most uint64) {
	count := func(room uint64, strict bool) (bytes uint64) {
		each(off, off+size, func(i, from, to uint64) bool {
			if p := n.pages[i]; p == nil || strict && p.taken != yes {
				if room == 0 {
					return false
				}
				room--
			}
			bytes += to - from
			return true
		})
		return bytes
	}
	lo, hi := n.m.free()
	return count(lo, n.m.vague > hi), count(hi, false)
}

// enough says whether there may be, and whether there must be, room for all that is missing of the pages [first, last).
func (n *node) enough(first, last uint64) (may, must bool) {
	may, must = n.m.room(n.missing(first, last))
	if _, most := n.m.free(); n.m.vague > most {
		for _, i := range n.inRange(first, last) {
			must = must && n.pages[i].taken == yes
		}
	}
	return may, must
}

// resolve settles which pages are taken of those that may be, if so many pages in all tell.
func (m *model) resolve(used uint64) {
	if m.vague == 0 || used != m.sure && used != m.sure+m.vague {
		return
	}
	taken := used != m.sure
	for _, n := range m.byID {
		for i, p := range n.pages {
			switch {
			case p.taken == yes:
			case taken:
				n.setPage(i, &page{data: p.data, taken: yes, stored: p.stored})
			default:
				n.setPage(i, nil)
			}
		}
	}
}

// write stores data at off.
func (n *node) write(off uint64, data []byte) {
	end := off + uint64(len(data))
	each(off, end, func(i, from, to uint64) bool {
		copy(n.edit(i)[from:to], data[i*pageSize+from-off:])
		return true
	})
	n.size = max(n.size, end)
}

// inRange returns the pages [first, last) that are not known to be holes.
func (n *node) inRange(first, last uint64) []uint64 {
	var list []uint64
	for i := range n.pages {
		if i >= first && i < last {
			list = append(list, i)
		}
	}
	slices.Sort(list)
	return list
}

// zero clears bytes of a page, if it has any, and leaves it in its place.
func (n *node) zero(i, from, to uint64) {
	if p := n.pages[i]; p != nil && p.data != nil {
		clear(p.data[from:to])
	}
}

// whole returns the pages [first, last) that lie within [off, end) entirely, and clears the bytes of the others.
func (n *node) whole(off, end uint64) (first, last uint64) {
	first, last = (off+pageSize-1)/pageSize, end/pageSize
	if off%pageSize != 0 {
		n.zero(off/pageSize, off%pageSize, min(pageSize, off%pageSize+(end-off)))
	}
	if end%pageSize != 0 && last >= first {
		n.zero(last, 0, end%pageSize)
	}
	return first, max(first, last)
}

// truncate sets the size. What was allocated beyond it goes, unless the file grows.
func (n *node) truncate(size uint64) {
	if size <= n.size {
		for _, i := range n.inRange((size+pageSize-1)/pageSize, math.MaxUint64) {
			n.setPage(i, nil)
		}
		if size%pageSize != 0 {
			n.zero(size/pageSize, size%pageSize, pageSize)
		}
	}
	n.size = size
}

// punch makes a hole.
func (n *node) punch(off, end uint64) {
	first, last := n.whole(off, end)
	for _, i := range n.inRange(first, last) {
		n.setPage(i, nil)
	}
}

// missing returns how many of the pages [first, last) are holes.
func (n *node) missing(first, last uint64) uint64 {
	return last - first - uint64(len(n.inRange(first, last)))
}

// allocate takes all the pages that [off, end) touches; there is room.
func (n *node) allocate(off, end uint64) {
	for i := off / pageSize; i < (end-1)/pageSize+1; i++ {
		p := &page{taken: yes}
		if old := n.pages[i]; old != nil {
			p.data, p.stored = old.data, old.stored
		}
		n.setPage(i, p)
	}
}

// zeroRange is allocate and has all read as zeros.
func (n *node) zeroRange(off, end uint64) {
	n.allocate(off, end)
	first, last := n.whole(off, end)
	for _, i := range n.inRange(first, last) {
		n.setPage(i, &page{taken: yes})
	}
}

// copyTo copies bytes to another file, or another place. Holes need not stay holes, and zeros need not be stored.
func (n *node) copyTo(from uint64, dst *node, to, size uint64) {
	data := n.read(from, size)
	// what each page of the destination gets: bytes of stored pages, of such as may be, of holes
	each(to, to+size, func(i, lo, hi uint64) bool {
		src := from + i*pageSize + lo - to
		kind := no
		each(src, src+hi-lo, func(j, _, _ uint64) bool {
			if p := n.pages[j]; p != nil {
				kind = max(kind, p.stored)
			}
			return true
		})
		old := dst.pages[i]
		bytes := data[i*pageSize+lo-to:][:hi-lo]
		switch {
		case kind == yes:
			copy(dst.edit(i)[lo:hi], bytes)
		case old == nil && kind == no:
		case kind == no && hi-lo < pageSize:
			dst.zero(i, lo, hi)
		default: // zeros, and who knows
			p := &page{taken: maybe, stored: maybe}
			if old != nil && hi-lo < pageSize {
				*p = *old
				if p.stored == no {
					p.stored = maybe
				}
			}
			if p.data != nil {
				clear(p.data[lo:hi])
			}
			dst.setPage(i, p)
		}
		return true
	})
	dst.size = max(dst.size, to+size)
}

// canSeek says whether LSEEK from off may find a place: data, or a hole.
func (n *node) canSeek(data bool, off, at uint64) bool {
	is := func(i uint64) (certain, possible bool) {
		s := no
		if p := n.pages[i]; p != nil {
			s = p.stored
		}
		if data {
			return s == yes, s != no
		}
		return s == no, s != yes
	}
	if at < off || at > n.size || at != off && at%pageSize != 0 && at != n.size {
		return false
	}
	if at == n.size {
		if data {
			return false
		}
	} else if _, possible := is(at / pageSize); !possible {
		return false
	}
	if data {
		return len(slices.DeleteFunc(n.inRange(off/pageSize, (at+pageSize-1)/pageSize), func(i uint64) bool {
			certain, _ := is(i)
			return !certain || i == at/pageSize
		})) == 0
	}
	for i := off / pageSize; i*pageSize < at; i++ {
		if certain, _ := is(i); certain && i != at/pageSize {
			return false
		}
	}
	return true
}

// hasData says whether there may be, and whether there must be, data at or after off.
func (n *node) hasData(off uint64) (may, must bool) {
	for _, i := range n.inRange(off/pageSize, (n.size+pageSize-1)/pageSize) {
		may = may || n.pages[i].stored != no
		must = must || n.pages[i].stored == yes
	}
	return may, must
}

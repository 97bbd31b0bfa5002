package memfs

import (
	"math"
	"syscall"
)

// maxFileSize is the largest size of a file in bytes: off_t is signed.
const maxFileSize = math.MaxInt64

// readAt copies n bytes of the file from offset off to the list. The caller has clipped them
// to the file's size.
func (m *fileMap) readAt(a *arena, off, n uint64, to *iovCursor) {
	for n > 0 {
		p := off >> pageShift
		in := off & pageMask
		i := int(p & leafMask)
		f := m.leaf(p >> leafShift)
		if f == nil {
			k := min(n, leafPages<<pageShift-(uint64(i)<<pageShift+in))
			to.zero(k)
			off += k
			n -= k
			continue
		}
		// Adjacent pages of the file are usually adjacent in the arena, too.
		r := f.at(i)
		pages := 1
		if r.stored() {
			for uint64(pages)<<pageShift-in < n && i+pages < len(f.refs) && f.refs[i+pages] == r+pageRef(pages) {
				pages++
			}
		} else {
			for uint64(pages)<<pageShift-in < n && i+pages < leafPages && !f.at(i+pages).stored() {
				pages++
			}
		}
		k := min(n, uint64(pages)<<pageShift-in)
		if r.stored() {
			to.fill(a.pages(r.page(), pages)[in : in+k])
		} else {
			to.zero(k)
		}
		off += k
		n -= k
	}
}

// writeAt stores n bytes from the list at offset off and returns how many it stored: less than
// n when *reserved, the number of pages that the caller has reserved for holes, is used up.
// The caller raises the size.
func (m *fileMap) writeAt(l *lane, off, n uint64, from *iovCursor, reserved *uint64) (done uint64) {
	a := l.fs.arena
	for n > 0 {
		p := off >> pageShift
		in := off & pageMask
		i := int(p & leafMask)
		last := int(min(leafMask, uint64(i)+(in+n-1)>>pageShift))
		f := m.leaf(p >> leafShift)
		if f == nil {
			if *reserved == 0 {
				return done
			}
			f = m.ensureLeaf(p >> leafShift)
		}
		f.grow(last)
		if !f.refs[i].stored() && !m.store(l, f, i, last, in, in+n, reserved) {
			return done
		}
		r := f.refs[i]
		pages := 1
		for i+pages <= last && f.refs[i+pages] == r+pageRef(pages) {
			pages++
		}
		k := min(n, uint64(pages)<<pageShift-in)
		from.drain(a.pages(r.page(), pages)[in : in+k])
		off += k
		n -= k
		done += k
	}
	return done
}

// store gives memory to the pages of f from index i on that have none, at most up to index last
// and as many as are adjacent in the arena. The caller is about to write the bytes
// [start, end) counted from the start of page i; store zeroes the others. It fails when *reserved
// is used up.
func (m *fileMap) store(l *lane, f *leaf, i, last int, start, end uint64, reserved *uint64) bool {
	want := 0
	charge := uint64(0)
	for ; i+want <= last && !f.refs[i+want].stored(); want++ {
		if f.refs[i+want] == refHole {
			if charge == *reserved {
				break
			}
			charge++
		}
	}
	if want == 0 {
		return false
	}
	page, n, zero := l.fs.arena.allocRun(&l.cache, want)
	for k := range n {
		if f.refs[i+k] == refHole {
			f.used++
			m.blocks++
			*reserved--
		}
		f.refs[i+k] = refTo(page + uint32(k))
	}
	f.data += int32(n)
	if !zero {
		mem := l.fs.arena.pages(page, n)
		clear(mem[:start])
		if end < uint64(len(mem)) {
			clear(mem[end:])
		}
	}
	return true
}

// zeroWithin clears the bytes [off, end) of one page of the file if it is stored.
func (m *fileMap) zeroWithin(a *arena, off, end uint64) {
	p := off >> pageShift
	if f := m.leaf(p >> leafShift); f != nil {
		if r := f.at(int(p & leafMask)); r.stored() {
			b := a.pages(r.page(), 1)
			clear(b[off&pageMask : off&pageMask+end-off])
		}
	}
}

// zeroEdges clears the bytes [off, end) that lie in pages which the range covers only partly, and
// returns the range of pages [first, last) that it covers entirely; first >= last means none.
func (m *fileMap) zeroEdges(a *arena, off, end uint64) (first, last uint64) {
	first = (off + pageMask) >> pageShift
	last = end >> pageShift
	if off&pageMask != 0 {
		m.zeroWithin(a, off, min(end, first<<pageShift))
	}
	if end&pageMask != 0 && (first <= last) {
		m.zeroWithin(a, last<<pageShift, end)
	}
	return first, last
}

// truncate sets the size. Bytes that appear are zero. Unless the file grows, pages beyond its end are
// freed, those among them that were allocated beyond it before.
func (m *fileMap) truncate(fs *fileSystem, size uint64) {
	if size <= m.size && m.blocks > 0 {
		fs.unreserve(m.release(fs.arena, (size+pageMask)>>pageShift, 1<<63>>pageShift, false))
		if size&pageMask != 0 {
			m.zeroWithin(fs.arena, size, (size|pageMask)+1)
		}
	}
	m.size = size
}

// read is READ. h may be zero. It returns the number of bytes read, short only at the end of
// the file.
func (l *lane) read(n *inode, h *handle, off, size uint64, iovs [][]byte) (uint64, syscall.Errno) {
	if errno := n.wantRegular(); errno != 0 {
		return 0, errno
	}
	if off > maxFileSize {
		return 0, syscall.EINVAL
	}
	size = iovSize(iovs, size)
	if errno := n.lk.rlock(l.insist); errno != 0 {
		return 0, errno
	}
	m := n.file
	if off >= m.size {
		size = 0
	} else {
		size = min(size, m.size-off)
	}
	cur := iovCursor{iovs: iovs}
	m.readAt(l.fs.arena, off, size, &cur)
	n.touch(l.fs, h)
	l.runlock(n)
	return size, 0
}

// writeMode says how a WRITE differs from writing at its offset.
type writeMode struct {
	end  bool // at the end of the file instead
	kill bool // clear the set-id bits, if anything is written
}

// write is WRITE. It returns the number of bytes written,
// short when the space or the file's size limit is reached.
// Errors: errBusy, ESTALE, EISDIR, EINVAL, EFBIG, ENOSPC.
func (l *lane) write(n *inode, off, size uint64, iovs [][]byte, mode writeMode) (uint64, syscall.Errno) {
	if errno := n.wantRegular(); errno != 0 {
		return 0, errno
	}
	if off > maxFileSize {
		return 0, syscall.EINVAL
	}
	size = iovSize(iovs, size)
	if errno := n.lk.lock(); errno != 0 {
		return 0, errno
	}
	defer l.unlock(n)
	m := n.file
	if mode.end {
		off = m.size
	}
	if size == 0 {
		return 0, 0
	}
	if off == maxFileSize {
		return 0, syscall.EFBIG
	}
	size = min(size, maxFileSize-off)
	reserved := l.fs.reserveUpTo(m.holes(off>>pageShift, (off+size-1)>>pageShift+1))
	cur := iovCursor{iovs: iovs}
	done := m.writeAt(l, off, size, &cur, &reserved)
	l.fs.unreserve(reserved)
	if done == 0 {
		return 0, syscall.ENOSPC
	}
	m.size = max(m.size, off+done)
	l.contentChanged(n, mode.kill)
	return done, 0
}

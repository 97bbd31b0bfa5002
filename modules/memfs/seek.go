package memfs

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// nearLeafs is how many leafs beyond the dense ones are tried by number before all that exist are looked at.
const nearLeafs = 64

// seek is LSEEK: it returns where data (SEEK_DATA) or a hole (SEEK_HOLE) begins, from off on. What FALLOCATE
// has allocated and nobody has written is a hole, and so is what follows the end of the file.
//
// Errors: errBusy, ESTALE, EINVAL (whence, not a regular file), ENXIO (off is not within the file, or no
// data follows).
func (l *lane) seek(n *inode, off uint64, whence uint32) (uint64, syscall.Errno) {
	if n.typ != syscall.S_IFREG || whence != unix.SEEK_DATA && whence != unix.SEEK_HOLE {
		return 0, syscall.EINVAL
	}
	if errno := n.lk.rlock(l.insist); errno != 0 {
		return 0, errno
	}
	defer l.runlock(n)
	m := n.file
	if off >= m.size {
		return 0, syscall.ENXIO
	}
	end := (m.size-1)>>pageShift + 1
	if whence == unix.SEEK_HOLE {
		p := m.nextHole(off>>pageShift, end)
		return min(max(off, p<<pageShift), m.size), 0
	}
	p := m.nextData(off>>pageShift, end)
	if p == end {
		return 0, syscall.ENXIO
	}
	return max(off, p<<pageShift), 0
}

// nextData returns the first of the pages [p, end) that is stored, end if none is.
func (m *fileMap) nextData(p, end uint64) uint64 {
	for p < end {
		i, f := m.nextLeaf(p >> leafShift)
		if f == nil {
			break
		}
		p = max(p, i<<leafShift)
		for j := int(p & leafMask); j < len(f.refs); j++ {
			if f.refs[j].stored() {
				return min(i<<leafShift|uint64(j), end)
			}
		}
		p = (i + 1) << leafShift
	}
	return end
}

// nextHole returns the first of the pages [p, end) that is not stored, end if all are.
func (m *fileMap) nextHole(p, end uint64) uint64 {
	for p < end {
		f := m.leaf(p >> leafShift)
		if f == nil {
			return p
		}
		if f.data < leafPages {
			for j := int(p & leafMask); j < leafPages; j++ {
				if !f.at(j).stored() {
					return min(p&^leafMask|uint64(j), end)
				}
			}
		}
		p = p&^leafMask + leafPages
	}
	return end
}

// nextLeaf returns the first leaf from number i on that has data, nil if there is none.
func (m *fileMap) nextLeaf(i uint64) (uint64, *leaf) {
	if i == 0 {
		if m.first.data > 0 {
			return 0, &m.first
		}
		i++
	}
	for ; i < uint64(len(m.dense)); i++ {
		if f := m.dense[i]; f != nil && f.data > 0 {
			return i, f
		}
	}
	i = max(i, denseLeafs)
	if len(m.far) == 0 {
		return 0, nil
	}
	for k := range uint64(nearLeafs) {
		if f := m.far[i+k]; f != nil && f.data > 0 {
			return i + k, f
		}
	}
	var next *leaf
	var at uint64
	for k, f := range m.far {
		if k >= i && f.data > 0 && (next == nil || k < at) {
			next, at = f, k
		}
	}
	return at, next
}

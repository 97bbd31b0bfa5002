package memfs

import (
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
)

// maxCopy is how many bytes one COPY_FILE_RANGE copies at most: a reactor has other things to do,
// and the caller comes back for the rest.
const maxCopy = 8 << 20

// copyFileRange is COPY_FILE_RANGE: it returns how many bytes it copied, less than length at the
// end of the source, when space runs out, and for a large range. Holes stay holes where the
// offsets allow it.
//
// Errors: errBusy, ESTALE, EISDIR, EINVAL (not a regular file, overlap, flags), EFBIG, ENOSPC.
func (l *lane) copyFileRange(src *inode, from uint64, dst *inode, to, length uint64,
	flags uint32) (uint64, syscall.Errno) {
	if errno := src.wantRegular(); errno != 0 {
		return 0, errno
	}
	if errno := dst.wantRegular(); errno != 0 {
		return 0, errno
	}
	if flags&^fsdev.FlagKillSuidgid != 0 || from > maxFileSize || to > maxFileSize {
		return 0, syscall.EINVAL
	}
	if to == maxFileSize && length > 0 {
		return 0, syscall.EFBIG
	}
	length = min(length, maxFileSize-to)
	var held lockSet
	held.want(src, dst)
	if errno := held.lock(l); errno != 0 {
		return 0, errno
	}
	defer held.unlock(l)
	if from >= src.file.size {
		return 0, 0
	}
	length = min(length, src.file.size-from)
	if src == dst && from < to+length && to < from+length {
		return 0, syscall.EINVAL
	}
	length = min(length, maxCopy)
	done := uint64(0)
	for done < length {
		k := l.copyPiece(src.file, from+done, dst.file, to+done, length-done)
		if k == 0 {
			break
		}
		done += k
	}
	if length > 0 && done == 0 {
		return 0, syscall.ENOSPC
	}
	if done > 0 {
		dst.file.size = max(dst.file.size, to+done)
		l.contentChanged(dst, flags&fsdev.FlagKillSuidgid != 0)
		src.touch(l.fs, nil)
	}
	return done, 0
}

// copyPiece copies up to n bytes that lie in one page of both files, or in one leaf's worth of
// hole, and returns how many, 0 when space runs out. It does not set the size.
func (l *lane) copyPiece(src *fileMap, from uint64, dst *fileMap, to, n uint64) uint64 {
	a := l.fs.arena
	p := from >> pageShift
	f := src.leaf(p >> leafShift)
	if f == nil { // nothing in the rest of the leaf
		k := min(n, leafPages<<pageShift-from&(leafPages<<pageShift-1))
		l.copyHole(dst, to, k)
		return k
	}
	n = min(n, pageSize-from&pageMask)
	r := f.at(int(p & leafMask))
	if !r.stored() {
		l.copyHole(dst, to, n)
		return n
	}
	n = min(n, pageSize-to&pageMask)
	reserved := l.fs.reserveUpTo(dst.holes(to>>pageShift, to>>pageShift+1))
	cur := iovCursor{iovs: l.copyIov[:]}
	cur.iovs[0] = a.pages(r.page(), 1)[from&pageMask : from&pageMask+n]
	done := dst.writeAt(l, to, n, &cur, &reserved)
	l.copyIov[0] = nil
	l.fs.unreserve(reserved)
	return done
}

// copyHole makes n bytes of dst zero, and holes as far as whole pages are concerned.
func (l *lane) copyHole(dst *fileMap, to, n uint64) {
	first, last := dst.zeroEdges(l.fs.arena, to, to+n)
	l.fs.unreserve(dst.release(l.fs.arena, first, last, false))
}

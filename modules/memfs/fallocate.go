package memfs

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
)

// fallocate is FALLOCATE: allocation (mode 0 or KEEP_SIZE), PUNCH_HOLE and ZERO_RANGE. Space that
// is allocated is counted at once and backed by memory when it is first written, so the time it
// takes does not depend on the memory there is.
//
// Errors: errBusy, ESTALE, EISDIR, EINVAL, ENODEV (not a regular file), EFBIG, ENOSPC, EOPNOTSUPP.
func (l *lane) fallocate(n *inode, mode uint32, off, length uint64) syscall.Errno {
	switch n.typ {
	case syscall.S_IFREG:
	case syscall.S_IFDIR:
		return syscall.EISDIR
	default:
		return syscall.ENODEV
	}
	kill := mode&fsdev.FlagKillSuidgid != 0
	mode &^= fsdev.FlagKillSuidgid
	keep := mode&unix.FALLOC_FL_KEEP_SIZE != 0
	op := mode &^ unix.FALLOC_FL_KEEP_SIZE
	switch {
	case op != 0 && op != unix.FALLOC_FL_PUNCH_HOLE && op != unix.FALLOC_FL_ZERO_RANGE,
		op == unix.FALLOC_FL_PUNCH_HOLE && !keep:
		return syscall.EOPNOTSUPP
	case length == 0, off > maxFileSize, length > maxFileSize:
		return syscall.EINVAL
	case off+length > maxFileSize:
		return syscall.EFBIG
	}
	if errno := n.lk.lock(); errno != 0 {
		return errno
	}
	defer l.unlock(n)
	m, end := n.file, off+length
	if op == unix.FALLOC_FL_PUNCH_HOLE {
		first, last := m.zeroEdges(l.fs.arena, off, end)
		l.fs.unreserve(m.release(l.fs.arena, first, last, false))
		l.contentChanged(n, kill)
		return 0
	}
	// The pages that the range touches are to be there.
	first, last := off>>pageShift, (end-1)>>pageShift+1
	if !l.fs.reserve(m.holes(first, last)) {
		return syscall.ENOSPC
	}
	m.promise(first, last)
	if op == unix.FALLOC_FL_ZERO_RANGE {
		first, last := m.zeroEdges(l.fs.arena, off, end)
		m.release(l.fs.arena, first, last, true)
	}
	if !keep {
		m.size = max(m.size, end)
	}
	l.contentChanged(n, kill)
	return 0
}

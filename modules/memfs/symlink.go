package memfs

import (
	"bytes"
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
)

const (
	maxTarget = 4095 // PATH_MAX without its NUL

	// Shorter targets are part of the inode; longer ones count as a page, as in tmpfs.
	shortTarget = 128
)

// checkTarget returns the errno of what cannot be the target of a symbolic link.
func checkTarget(target []byte) syscall.Errno {
	switch {
	case len(target) == 0:
		return syscall.ENOENT
	case len(target) > maxTarget:
		return syscall.ENAMETOOLONG
	case bytes.IndexByte(target, 0) >= 0:
		return syscall.EINVAL
	}
	return 0
}

// targetPages returns how many pages a target is charged.
func targetPages(target []byte) uint64 {
	if len(target) >= shortTarget {
		return 1
	}
	return 0
}

// readlink is READLINK. The target never changes; the caller must not change it either.
// Errors: ESTALE, EINVAL.
func (l *lane) readlink(obj fsdev.FileObject) ([]byte, syscall.Errno) {
	n, errno := l.get(obj)
	if errno != 0 {
		return nil, errno
	}
	if n.typ != syscall.S_IFLNK {
		return nil, syscall.EINVAL
	}
	if errno := n.lk.rlock(l.insist); errno != 0 {
		return nil, errno
	}
	n.touch(l.fs, nil)
	l.runlock(n)
	return n.target, 0
}

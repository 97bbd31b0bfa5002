package memfs

import (
	"bytes"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	maxXattrName  = 255
	maxXattrValue = 64 << 10
	maxXattrList  = 64 << 10 // all names of a file with their NULs: what listxattr can return
)

// xattrPrefixes are the name spaces that are kept. Who may use which is for the client to say.
// ("system." holds ACLs, which would have to be obeyed.)
var xattrPrefixes = [...]string{"user.", "trusted.", "security."}

// xattr is an extended attribute.
type xattr struct {
	name  string
	value []byte
}

// xattrs are the extended attributes of a file in the order in which they were made. They are few:
// finding one by looking at all beats a map. Their bytes count against the file system by the
// page. Guarded by the inode's lock.
type xattrs struct {
	all       []xattr
	bytes     uint64 // names and values
	listBytes int    // what listxattr returns
}

func (x *xattrs) pages() uint64 { return (x.bytes + pageMask) >> pageShift }

func (x *xattrs) find(name string) int {
	return slices.IndexFunc(x.all, func(a xattr) bool { return a.name == name })
}

// findBytes is find without an allocation.
func (x *xattrs) findBytes(name []byte) int {
	for i := range x.all {
		if x.all[i].name == string(name) {
			return i
		}
	}
	return -1
}

// remove takes attribute i away and returns how many pages are no longer charged.
func (x *xattrs) remove(i int) uint64 {
	before := x.pages()
	x.bytes -= uint64(len(x.all[i].name) + len(x.all[i].value))
	x.listBytes -= len(x.all[i].name) + 1
	x.all = slices.Delete(x.all, i, i+1)
	return before - x.pages()
}

// checkXattrName returns the errno of a name that no attribute can have: ERANGE (as the kernel
// does for too short and too long ones), EINVAL, EOPNOTSUPP (a name space that is not kept).
func checkXattrName(name []byte) syscall.Errno {
	switch {
	case len(name) == 0, len(name) > maxXattrName:
		return syscall.ERANGE
	case bytes.IndexByte(name, 0) >= 0:
		return syscall.EINVAL
	}
	for _, p := range xattrPrefixes {
		if len(name) >= len(p) && string(name[:len(p)]) == p {
			if len(name) == len(p) {
				return syscall.EINVAL
			}
			return 0
		}
	}
	return syscall.EOPNOTSUPP
}

// setxattr is SETXATTR.
// Errors: errBusy, ESTALE, EINVAL, ERANGE, EOPNOTSUPP, E2BIG, EEXIST (XATTR_CREATE), ENODATA
// (XATTR_REPLACE), ENOSPC.
func (l *lane) setxattr(n *inode, name, value []byte, flags uint32) syscall.Errno {
	const create, replace = unix.XATTR_CREATE, unix.XATTR_REPLACE
	if errno := checkXattrName(name); errno != 0 {
		return errno
	}
	switch {
	case flags&^(create|replace) != 0:
		return syscall.EINVAL
	case len(value) > maxXattrValue:
		return syscall.E2BIG
	}
	// before the lock: copying up to 64 KiB may set the garbage collector to work
	stored := xattr{strings.Clone(string(name)), bytes.Clone(value)}
	if errno := n.lk.lock(); errno != 0 {
		return errno
	}
	defer l.unlock(n)
	if n.xattrs == nil {
		n.xattrs = new(xattrs)
	}
	x := n.xattrs
	i := x.find(stored.name)
	switch {
	case i >= 0 && flags&create != 0:
		return syscall.EEXIST
	case i < 0 && flags&replace != 0:
		return syscall.ENODATA
	case i < 0 && x.listBytes+len(name)+1 > maxXattrList:
		return syscall.ENOSPC
	}
	before := x.pages()
	total := x.bytes + uint64(len(value))
	if i >= 0 {
		total -= uint64(len(x.all[i].value))
	} else {
		total += uint64(len(name))
	}
	after := (total + pageMask) >> pageShift
	if after > before && !l.fs.reserve(after-before) {
		return syscall.ENOSPC
	}
	if after < before {
		l.fs.unreserve(before - after)
	}
	x.bytes = total
	if i >= 0 {
		x.all[i].value = stored.value
	} else {
		x.all = append(x.all, stored)
		x.listBytes += len(name) + 1
	}
	n.ctime = l.fs.clock()
	return 0
}

// getxattr is GETXATTR: it returns the size of the value, and the value if size is not zero.
// Errors: errBusy, ESTALE, EINVAL, EOPNOTSUPP, ENODATA, ERANGE.
func (l *lane) getxattr(n *inode, name []byte, iovs [][]byte, size uint64) (uint64, syscall.Errno) {
	if errno := checkXattrName(name); errno != 0 {
		return 0, errno
	}
	if errno := n.lk.rlock(l.insist); errno != 0 {
		return 0, errno
	}
	defer l.runlock(n)
	if n.xattrs == nil {
		return 0, syscall.ENODATA
	}
	i := n.xattrs.findBytes(name)
	if i < 0 {
		return 0, syscall.ENODATA
	}
	value := n.xattrs.all[i].value
	want := uint64(len(value))
	if size == 0 {
		return want, 0
	}
	if iovSize(iovs, size) < want {
		return 0, syscall.ERANGE
	}
	cur := iovCursor{iovs: iovs}
	cur.fill(value)
	return want, 0
}

// listxattr is LISTXATTR: it returns the size of the list of names, and the list if size is not
// zero. Errors: errBusy, ESTALE, ERANGE.
func (l *lane) listxattr(n *inode, iovs [][]byte, size uint64) (uint64, syscall.Errno) {
	if errno := n.lk.rlock(l.insist); errno != 0 {
		return 0, errno
	}
	defer l.runlock(n)
	if n.xattrs == nil {
		return 0, 0
	}
	want := uint64(n.xattrs.listBytes)
	if size == 0 {
		return want, 0
	}
	if iovSize(iovs, size) < want {
		return 0, syscall.ERANGE
	}
	cur := iovCursor{iovs: iovs}
	for i := range n.xattrs.all {
		name := l.name[:copy(l.name[:], n.xattrs.all[i].name)]
		cur.fill(name)
		cur.zero(1)
	}
	return want, 0
}

// removexattr is REMOVEXATTR. Errors: errBusy, ESTALE, EINVAL, EOPNOTSUPP, ENODATA.
func (l *lane) removexattr(n *inode, name []byte) syscall.Errno {
	if errno := checkXattrName(name); errno != 0 {
		return errno
	}
	if errno := n.lk.lock(); errno != 0 {
		return errno
	}
	defer l.unlock(n)
	if n.xattrs == nil {
		return syscall.ENODATA
	}
	i := n.xattrs.findBytes(name)
	if i < 0 {
		return syscall.ENODATA
	}
	l.fs.unreserve(n.xattrs.remove(i))
	n.ctime = l.fs.clock()
	return 0
}

package memfs

import (
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
)

// tmpfile is TMPFILE: it makes and opens a regular file that has no name. LINK can give it one, unless flags
// have O_EXCL. The directory, which does not change, says what a file in it would be like.
//
// Errors: errBusy, ESTALE, ENOTDIR, ENOENT (the directory was removed), EINVAL (not to be written), ENOSPC,
// ENFILE, those of creation.prepare.
func (l *lane) tmpfile(desc *fsdev.Desc, parent fsdev.FileObject, c *creation, flags uint32,
	out *fsdev.Attr) (fsdev.FileObject, fsdev.FileHandle, syscall.Errno) {
	d, errno := l.getDir(parent)
	if errno != 0 {
		return 0, 0, errno
	}
	if flags&syscall.O_ACCMODE == syscall.O_RDONLY {
		return 0, 0, syscall.EINVAL
	}
	if errno := c.prepare(); errno != 0 {
		return 0, 0, errno
	}
	if errno := d.lk.rlock(l.insist); errno != 0 {
		return 0, 0, errno
	}
	defer l.runlock(d)
	if errno := d.wantLinked(); errno != 0 {
		return 0, 0, errno
	}
	n, errno := l.newChild(d, c)
	if errno != 0 {
		return 0, 0, errno
	}
	defer l.unlock(n)
	n.nlink = 0
	id, errno := l.open(desc, n, flags)
	if errno == 0 {
		n.linkable = flags&syscall.O_EXCL == 0
		// As in lostName.
		l.fs.keepOrphan(n)
		l.addLookup(n)
		l.dropStaleLookups(n)
		n.fillAttr(out)
	}
	l.put(n) // of the name
	return n.obj, id, errno
}

// adopt makes n, a TMPFILE that the caller has locked, a file with one name. Errors: ESTALE (it is gone).
func (l *lane) adopt(n *inode) syscall.Errno {
	if !n.tryRef() {
		return syscall.ESTALE
	}
	l.fs.forgetOrphan(n)
	n.linkable = false
	return 0
}

package memfs

import (
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
)

// maxLinks bounds st_nlink, which clients keep in 32 bits.
const maxLinks = 1<<31 - 1

// lookup is LOOKUP: it returns the object of a name with one more lookup on it.
// Errors: errBusy, ESTALE, ENOTDIR, ENOENT, EINVAL, ENAMETOOLONG.
func (l *lane) lookup(parent fsdev.FileObject, name []byte, out *fsdev.Attr) (fsdev.FileObject, syscall.Errno) {
	d, errno := l.getDir(parent)
	if errno != 0 {
		return 0, errno
	}
	if isDots(name) {
		return l.lookupDots(d, len(name) == 2, out)
	}
	if errno := checkName(name, 0); errno != 0 {
		return 0, errno
	}
	if errno := d.lk.rlock(l.insist); errno != 0 {
		return 0, errno
	}
	e := d.dir.names[string(name)]
	if e == nil {
		l.runlock(d)
		return 0, syscall.ENOENT
	}
	n := e.node
	if errno := n.lk.rlock(l.insist); errno != 0 {
		l.runlock(d)
		return 0, errno
	}
	n.fillAttr(out)
	l.addLookup(n)
	l.runlock(n)
	l.runlock(d)
	return n.obj, 0
}

// lookupDots looks up "." or "..", which clients that export the file system do. The root is its
// own parent: there is no way out.
func (l *lane) lookupDots(d *inode, up bool, out *fsdev.Attr) (fsdev.FileObject, syscall.Errno) {
	n := d
	if up {
		if n = d.dir.parent.Load(); n == nil {
			return 0, syscall.ENOENT
		}
	}
	// A reference first: a directory that was removed may have none but the client's.
	if !n.tryRef() {
		return 0, syscall.ESTALE
	}
	defer l.put(n)
	if up && d.dir.parent.Load() != n {
		return 0, errBusy // moved meanwhile
	}
	if errno := l.getattr(n, out); errno != 0 {
		return 0, errno
	}
	l.addLookup(n)
	return n.obj, 0
}

// create makes a file of any type: MKNOD, MKDIR, SYMLINK. It returns its object with one lookup
// on it.
// Errors: errBusy, ESTALE, ENOTDIR, ENOENT (the directory was removed), EEXIST, EINVAL,
// ENAMETOOLONG, ENOSPC, EMLINK, those of creation.prepare.
func (l *lane) create(parent fsdev.FileObject, name []byte, c *creation,
	out *fsdev.Attr) (fsdev.FileObject, syscall.Errno) {
	d, errno := l.getDir(parent)
	if errno != 0 {
		return 0, errno
	}
	if errno := checkName(name, syscall.EEXIST); errno != 0 {
		return 0, errno
	}
	if errno := c.prepare(); errno != 0 {
		return 0, errno
	}
	if errno := d.lk.lock(); errno != 0 {
		return 0, errno
	}
	defer l.unlock(d)
	if d.dir.names[string(name)] != nil {
		return 0, syscall.EEXIST
	}
	n, errno := l.makeIn(d, name, c)
	if errno != 0 {
		return 0, errno
	}
	n.fillAttr(out)
	l.addLookup(n)
	l.unlock(n)
	return n.obj, 0
}

// makeIn makes a file in d, which the caller has locked and which has no such name, and returns
// it locked. Errors: ENOENT, ENOSPC, EMLINK.
func (l *lane) makeIn(d *inode, name []byte, c *creation) (*inode, syscall.Errno) {
	if errno := d.wantLinked(); errno != 0 {
		return nil, errno
	}
	if c.typ == syscall.S_IFDIR && d.nlink >= maxLinks {
		return nil, syscall.EMLINK
	}
	n, errno := l.newChild(d, c)
	if errno != 0 {
		return nil, errno
	}
	if n.isDir() {
		n.nlink = 2
		n.dir.parent.Store(d)
		d.nlink++
	}
	d.dir.add(string(name), n)
	d.changed(n.mtime)
	return n, 0
}

// mknod checks the type for MKNOD, which is in c.perm, and makes the file. Errors: those of create, EPERM
// for directories, EINVAL for symbolic links and what is no type.
func (l *lane) mknod(parent fsdev.FileObject, name []byte, c *creation,
	out *fsdev.Attr) (fsdev.FileObject, syscall.Errno) {
	switch c.typ = c.perm & syscall.S_IFMT; c.typ {
	case 0:
		c.typ = syscall.S_IFREG
	case syscall.S_IFREG, syscall.S_IFIFO, syscall.S_IFSOCK, syscall.S_IFCHR, syscall.S_IFBLK:
	case syscall.S_IFDIR:
		return 0, syscall.EPERM
	default:
		return 0, syscall.EINVAL
	}
	return l.create(parent, name, c, out)
}

// symlink checks the target for SYMLINK and makes the link. Errors: those of create, ENOENT for
// an empty target, ENAMETOOLONG, EINVAL for a NUL.
func (l *lane) symlink(parent fsdev.FileObject, name []byte, c *creation,
	out *fsdev.Attr) (fsdev.FileObject, syscall.Errno) {
	if errno := checkTarget(c.target); errno != 0 {
		return 0, errno
	}
	c.typ, c.perm, c.umask = syscall.S_IFLNK, 0o777, 0
	return l.create(parent, name, c, out)
}

// link is LINK: another name for a file.
// Errors: those of create, EPERM for directories, ENOENT for a file that has no name, unless TMPFILE made it
// to get one.
func (l *lane) link(obj, parent fsdev.FileObject, name []byte, out *fsdev.Attr) (fsdev.FileObject, syscall.Errno) {
	n, errno := l.get(obj)
	if errno != 0 {
		return 0, errno
	}
	d, errno := l.getDir(parent)
	if errno != 0 {
		return 0, errno
	}
	if errno := checkName(name, syscall.EEXIST); errno != 0 {
		return 0, errno
	}
	if n.isDir() {
		return 0, syscall.EPERM
	}
	var held lockSet
	held.want(n, d)
	if errno := held.lock(l); errno != 0 {
		return 0, errno
	}
	defer held.unlock(l)
	switch {
	case d.dir.names[string(name)] != nil:
		return 0, syscall.EEXIST
	case d.nlink == 0, n.nlink == 0 && !n.linkable:
		return 0, syscall.ENOENT
	case n.nlink >= maxLinks:
		return 0, syscall.EMLINK
	}
	if n.nlink == 0 {
		if errno := l.adopt(n); errno != 0 {
			return 0, errno
		}
	} else if !l.fs.takeInodes(1) { // further names need memory as files do
		return 0, syscall.ENOSPC
	}
	now := l.fs.clock()
	n.nlink++
	n.ctime = now
	d.dir.add(string(name), n)
	d.changed(now)
	n.fillAttr(out)
	l.addLookup(n)
	return n.obj, 0
}

// remove is UNLINK and RMDIR.
// Errors: errBusy, ESTALE, ENOTDIR, ENOENT, EINVAL, ENAMETOOLONG, EISDIR (unlink),
// ENOTDIR and ENOTEMPTY (rmdir).
func (l *lane) remove(parent fsdev.FileObject, name []byte, rmdir bool) syscall.Errno {
	d, errno := l.getDir(parent)
	if errno != 0 {
		return errno
	}
	dots := syscall.EISDIR
	if rmdir {
		dots = syscall.EINVAL
		if len(name) == 2 {
			dots = syscall.ENOTEMPTY
		}
	}
	if errno := checkName(name, dots); errno != 0 {
		return errno
	}
	if errno := d.lk.lock(); errno != 0 {
		return errno
	}
	defer l.unlock(d)
	e := d.dir.names[string(name)]
	if e == nil {
		return syscall.ENOENT
	}
	n := e.node
	switch {
	case rmdir && !n.isDir():
		return syscall.ENOTDIR
	case !rmdir && n.isDir():
		return syscall.EISDIR
	}
	if errno := n.lk.lock(); errno != 0 {
		return errno
	}
	defer l.unlock(n)
	if rmdir && len(n.dir.names) > 0 {
		return syscall.ENOTEMPTY
	}
	now := l.fs.clock()
	d.dir.remove(e)
	d.changed(now)
	l.lostName(d, n, now)
	return 0
}

// lostName accounts for a name of n that was taken out of d, both locked by the caller. A
// directory has no other, and is empty.
func (l *lane) lostName(d, n *inode, now stamp) {
	n.ctime = now
	if n.isDir() {
		d.nlink--
		n.nlink = 0
		n.dir.parent.Store(nil)
	} else {
		n.nlink--
		if n.nlink > 0 {
			l.fs.putInodes(1)
			return
		}
	}
	// In this order: a client that unmounts either finds n in the list or is gone before it is asked whose n's lookups
	// are.
	l.fs.keepOrphan(n)
	l.dropStaleLookups(n)
	l.put(n)
}

package memfs

import (
	"bytes"
	"strings"
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
)

// creation is what makes an inode new: everything but its place.
type creation struct {
	typ      uint32 // S_IFMT bits
	perm     uint32
	umask    uint32 // not yet applied to perm
	uid      uint32
	gid      uint32
	group    uint32 // another group of the creator, if hasGroup
	hasGroup bool
	rdev     uint32
	target   []byte        // of a symbolic link; copied
	security []fsdev.Xattr // that it has from the beginning; copied
	xattrs   *xattrs       // the copy, see prepare
}

// creationOf returns what a request that creates a file says about it.
func creationOf(io *fsdev.IO, typ uint32) creation {
	return creation{
		typ:      typ,
		perm:     io.Mode,
		umask:    io.Umask,
		uid:      io.UID,
		gid:      io.GID,
		group:    io.Group,
		hasGroup: io.HasGroup,
		security: io.Security,
	}
}

// prepare checks and copies the attributes that the file is to have from the beginning. It comes before the
// locks, since copying may set the garbage collector to work.
//
// Errors: those of checkXattrName, EOPNOTSUPP (not in the name space security), EINVAL (twice the same),
// E2BIG, ENOSPC (too many).
func (c *creation) prepare() syscall.Errno {
	if len(c.security) == 0 {
		return 0
	}
	x := new(xattrs)
	for i := range c.security {
		a := &c.security[i]
		if errno := checkXattrName(a.Name); errno != 0 {
			return errno
		}
		switch {
		case !bytes.HasPrefix(a.Name, []byte("security.")):
			return syscall.EOPNOTSUPP
		case x.findBytes(a.Name) >= 0:
			return syscall.EINVAL
		case len(a.Value) > maxXattrValue:
			return syscall.E2BIG
		case x.listBytes+len(a.Name)+1 > maxXattrList:
			return syscall.ENOSPC
		}
		x.all = append(x.all, xattr{strings.Clone(string(a.Name)), bytes.Clone(a.Value)})
		x.bytes += uint64(len(a.Name) + len(a.Value))
		x.listBytes += len(a.Name) + 1
	}
	c.xattrs = x
	return 0
}

// place returns the permissions and the group of a file that is made in d, which the caller has locked: in a
// set-group-ID directory the group is the directory's, directories pass the bit on, and programs have it only
// if their creator might have set it later. Whether that is a matter of capabilities is not known here; root
// is taken to have them.
func (c *creation) place(d *inode) (perm, gid uint32) {
	perm, gid = c.perm, c.gid
	if d.perm&syscall.S_ISGID != 0 {
		gid = d.gid
		const program = syscall.S_ISGID | syscall.S_IXGRP
		switch {
		case c.typ == syscall.S_IFDIR:
			perm |= syscall.S_ISGID
		case perm&program == program && !c.isIn(gid):
			perm &^= syscall.S_ISGID
		}
	}
	return perm &^ (c.umask & 0o777), gid
}

// isIn says whether the creator is in a group, or need not be.
func (c *creation) isIn(gid uint32) bool {
	return c.uid == 0 || c.gid == gid || c.hasGroup && c.group == gid
}

// newChild makes an inode for a file that belongs into d, which the caller has locked, and returns it locked.
// It has no name yet, and yet the reference of one. Errors: ENOSPC.
func (l *lane) newChild(d *inode, c *creation) (*inode, syscall.Errno) {
	pages := targetPages(c.target)
	if c.xattrs != nil {
		pages += c.xattrs.pages()
	}
	if !l.fs.reserve(pages) {
		return nil, syscall.ENOSPC
	}
	perm, gid := c.place(d)
	n, errno := l.newInode(c.typ, perm, c.uid, gid)
	if errno != 0 {
		l.fs.unreserve(pages)
		return nil, errno
	}
	n.xattrs = c.xattrs
	switch c.typ {
	case syscall.S_IFLNK:
		n.target = append([]byte(nil), c.target...)
	case syscall.S_IFCHR, syscall.S_IFBLK:
		n.rdev = c.rdev
	}
	return n, 0
}

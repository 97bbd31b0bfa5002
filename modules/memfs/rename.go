package memfs

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
)

// renaming is a rename whose directories are locked.
type renaming struct {
	from, to         *inode // the directories
	fromName, toName []byte
	flags            uint32
	src, dst         *dirent // dst nil: there is nothing of that name
}

// rename is RENAME. Whatever it does, it does it in one step.
// Errors: errBusy, ESTALE, ENOTDIR, ENOENT, EINVAL, ENAMETOOLONG, EBUSY (dots), EEXIST
// (RENAME_NOREPLACE), EISDIR, ENOTEMPTY, EMLINK, ENOSPC (RENAME_WHITEOUT).
func (l *lane) rename(parent fsdev.FileObject, name []byte, newParent fsdev.FileObject, newName []byte,
	flags uint32) syscall.Errno {
	const known = unix.RENAME_NOREPLACE | unix.RENAME_EXCHANGE | unix.RENAME_WHITEOUT
	if flags&^known != 0 || flags&unix.RENAME_EXCHANGE != 0 && flags != unix.RENAME_EXCHANGE {
		return syscall.EINVAL
	}
	r := renaming{fromName: name, toName: newName, flags: flags}
	var errno syscall.Errno
	if r.from, errno = l.getDir(parent); errno != 0 {
		return errno
	}
	if r.to, errno = l.getDir(newParent); errno != 0 {
		return errno
	}
	if errno := checkName(name, syscall.EBUSY); errno != 0 {
		return errno
	}
	if errno := checkName(newName, syscall.EBUSY); errno != 0 {
		return errno
	}
	var held lockSet
	held.want(r.from, r.to)
	if errno := held.lock(l); errno != 0 {
		return errno
	}
	defer held.unlock(l)
	if r.src = r.from.dir.names[string(name)]; r.src == nil {
		return syscall.ENOENT
	}
	r.dst = r.to.dir.names[string(newName)]
	if errno := r.check(); errno != 0 {
		return errno
	}
	if r.dst != nil && r.dst.node == r.src.node {
		return 0 // two names of one file: both stay
	}
	if r.from != r.to && (r.src.node.isDir() || r.exchange() && r.dst.node.isDir()) {
		// Two directories moved below each other at once would be lost. While the lock
		// is held no directory gets another parent, so the way up stays as it is.
		if errno := l.fs.renameLk.lock(); errno != 0 {
			return errno
		}
		defer l.fs.renameLk.unlock()
		if r.to.isBelow(r.src.node) || r.exchange() && r.from.isBelow(r.dst.node) {
			return syscall.EINVAL
		}
		if r.dst != nil && !r.exchange() && r.from.isBelow(r.dst.node) {
			return syscall.ENOTEMPTY
		}
	}
	if errno := held.add(r.src.node); errno != 0 {
		return errno
	}
	if r.dst != nil {
		if errno := held.add(r.dst.node); errno != 0 {
			return errno
		}
	}
	return l.doRename(&r)
}

func (r *renaming) exchange() bool { return r.flags&unix.RENAME_EXCHANGE != 0 }

// check applies the rules that need no more locks.
func (r *renaming) check() syscall.Errno {
	if r.to.nlink == 0 {
		return syscall.ENOENT
	}
	if r.exchange() {
		if r.dst == nil {
			return syscall.ENOENT
		}
		return 0
	}
	if r.dst == nil {
		return 0
	}
	if r.flags&unix.RENAME_NOREPLACE != 0 {
		return syscall.EEXIST
	}
	switch srcDir, dstDir := r.src.node.isDir(), r.dst.node.isDir(); {
	case srcDir && !dstDir:
		return syscall.ENOTDIR
	case !srcDir && dstDir:
		return syscall.EISDIR
	}
	return 0
}

// isBelow says whether d is top or has it above it. The caller holds renameLk, and d locked.
func (d *inode) isBelow(top *inode) bool {
	for {
		if d == top {
			return true
		}
		up := d.dir.parent.Load()
		if up == nil || up == d {
			return false
		}
		d = up
	}
}

// doRename changes the directories. All four inodes are locked.
func (l *lane) doRename(r *renaming) syscall.Errno {
	src := r.src.node
	now := l.fs.clock()
	if r.exchange() {
		dst := r.dst.node
		r.src.node, r.dst.node = dst, src
		r.moved(src, r.from, r.to)
		r.moved(dst, r.to, r.from)
		src.ctime, dst.ctime = now, now
		r.from.changed(now)
		r.to.changed(now)
		return 0
	}
	if r.dst != nil && r.dst.node.isDir() && len(r.dst.node.dir.names) > 0 {
		return syscall.ENOTEMPTY
	}
	if src.isDir() && r.from != r.to && r.dst == nil && r.to.nlink >= maxLinks {
		return syscall.EMLINK
	}
	var whiteout *inode
	if r.flags&unix.RENAME_WHITEOUT != 0 {
		var errno syscall.Errno
		if whiteout, errno = l.newInode(syscall.S_IFCHR, 0, 0, 0); errno != 0 {
			return errno
		}
	}
	if r.dst != nil {
		r.to.dir.remove(r.dst)
		l.lostName(r.to, r.dst.node, now)
	}
	r.from.dir.remove(r.src)
	r.to.dir.add(string(r.toName), src)
	r.moved(src, r.from, r.to)
	if whiteout != nil {
		r.from.dir.add(string(r.fromName), whiteout)
		l.unlock(whiteout)
	}
	src.ctime = now
	r.from.changed(now)
	r.to.changed(now)
	return 0
}

// moved accounts for a directory n that left one directory for another.
func (r *renaming) moved(n, from, to *inode) {
	if n.isDir() && from != to {
		from.nlink--
		to.nlink++
		n.dir.parent.Store(to)
	}
}

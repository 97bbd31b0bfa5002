package memfs

import (
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
)

// capabilityXattr holds a program's file capabilities, which do not survive a change of owner or
// content.
const capabilityXattr = "security.capability"

// setattr is SETATTR: all of it or nothing.
//
// Whether the caller may is the client's business, and so is which bits a change of mode drops.
// What is ours is that a program does not keep its set-id bits and capabilities under another
// owner: a change of owner clears them unless the request also says what the mode is to be.
//
// Errors: errBusy, ESTALE, EISDIR and EINVAL (size of what has none), EFBIG, EINVAL (times).
func (l *lane) setattr(n *inode, a *fsdev.Attr, mask uint32, out *fsdev.Attr) syscall.Errno {
	has := func(bits uint32) bool { return mask&bits != 0 }
	if has(fsdev.SetAttrSize) {
		if errno := n.wantRegular(); errno != 0 {
			return errno
		}
		if a.Size > maxFileSize {
			return syscall.EFBIG
		}
	}
	const second = 1e9
	if has(fsdev.SetAttrAtime) && a.AtimeNsec >= second || has(fsdev.SetAttrMtime) && a.MtimeNsec >= second ||
		has(fsdev.SetAttrCtime) && a.CtimeNsec >= second {
		return syscall.EINVAL
	}
	if errno := n.lk.lock(); errno != 0 {
		return errno
	}
	defer l.unlock(n)
	now := l.fs.clock()
	if mask&^fsdev.SetAttrKillSuidgid != 0 {
		n.ctime = now
	}
	if has(fsdev.SetAttrUID) {
		n.uid = a.UID
	}
	if has(fsdev.SetAttrGID) {
		n.gid = a.GID
	}
	if has(fsdev.SetAttrUID|fsdev.SetAttrGID|fsdev.SetAttrKillSuidgid) && !n.isDir() {
		l.killPrivileges(n)
		n.ctime = now
	}
	if has(fsdev.SetAttrMode) {
		n.perm = a.Mode & 0o7777
	}
	if has(fsdev.SetAttrSize) {
		l.dropCapability(n)
		n.file.truncate(l.fs, a.Size)
		n.mtime = now
	}
	switch {
	case has(fsdev.SetAttrAtimeNow):
		n.atime = now
		n.seen.Store(0)
	case has(fsdev.SetAttrAtime):
		n.atime = stamp{a.Atime, a.AtimeNsec}
		n.seen.Store(0)
	}
	switch {
	case has(fsdev.SetAttrMtimeNow):
		n.mtime = now
	case has(fsdev.SetAttrMtime):
		n.mtime = stamp{a.Mtime, a.MtimeNsec}
	}
	if has(fsdev.SetAttrCtime) {
		n.ctime = stamp{a.Ctime, a.CtimeNsec}
	}
	n.fillAttr(out)
	return 0
}

// killPrivileges takes away what makes a program run as somebody else. The caller has n locked.
func (l *lane) killPrivileges(n *inode) {
	n.killSuidgid()
	l.dropCapability(n)
}

// killSuidgid clears the set-id bits; S_ISGID without S_IXGRP means something else.
func (n *inode) killSuidgid() {
	n.perm &^= syscall.S_ISUID
	if n.perm&syscall.S_IXGRP != 0 {
		n.perm &^= syscall.S_ISGID
	}
}

// contentChanged says that n has other content now, which kill says ends its set-id bits. The caller has n locked.
func (l *lane) contentChanged(n *inode, kill bool) {
	if kill {
		n.killSuidgid()
	}
	l.dropCapability(n)
	n.changed(l.fs.clock())
}

// dropCapability takes the file's capabilities away, as every change of its content does. The
// caller has n locked.
func (l *lane) dropCapability(n *inode) {
	if n.xattrs != nil {
		if i := n.xattrs.find(capabilityXattr); i >= 0 {
			l.fs.unreserve(n.xattrs.remove(i))
		}
	}
}

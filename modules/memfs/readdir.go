package memfs

import (
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
)

// emitter takes directory entries: an [fsdev.IO].
type emitter interface {
	Emit(name []byte, obj fsdev.FileObject, attr *fsdev.Attr, next uint64) bool
}

// readdir is READDIR, and READDIRPLUS if plus is set: it offers the entries after cookie until
// there are no more or one is not taken.
//
// The emitter is called with the directory locked. That is safe whatever it does, since nobody
// waits for locks.
//
// Errors: errBusy, ESTALE, ENOTDIR, ENOENT (the directory was removed).
func (l *lane) readdir(d *inode, cookie uint64, plus bool, to emitter) syscall.Errno {
	if !d.isDir() {
		return syscall.ENOTDIR
	}
	if errno := d.lk.rlock(l.insist); errno != 0 {
		return errno
	}
	defer l.runlock(d)
	if errno := d.wantLinked(); errno != 0 {
		return errno
	}
	d.touch(l.fs, nil)
	if cookie < cookieDot && !l.emitDots(d, d, cookieDot, plus, to) {
		return 0
	}
	if cookie < cookieDotDot && !l.emitDots(d, d.dir.parent.Load(), cookieDotDot, plus, to) {
		return 0
	}
	first := true
	for i := d.dir.chunkOf(cookie + 1); i < len(d.dir.chunks); i++ {
		c := d.dir.chunks[i]
		for _, e := range c.entries[c.after(cookie):] {
			more, errno := l.emitEntry(e, plus, to)
			if errno != 0 && first && cookie >= cookieDotDot {
				return errno
			}
			if errno != 0 || !more {
				return 0 // what was taken counts; the client comes back for the rest
			}
			first = false
		}
	}
	return 0
}

// emitDots offers "." or "..", which is n. Only its number and type are told, and no lookup is
// counted: the client knows both directories.
func (l *lane) emitDots(d, n *inode, cookie uint64, plus bool, to emitter) bool {
	l.attr = fsdev.Attr{Ino: n.ino, Mode: n.typ}
	if plus && n == d {
		n.fillAttr(&l.attr) // we have it locked
	}
	l.name[0], l.name[1] = '.', '.'
	return to.Emit(l.name[:cookie-cookieDot+1], 0, &l.attr, cookie)
}

// emitEntry offers an entry and says whether it was taken. Errors: errBusy (not offered).
func (l *lane) emitEntry(e *dirent, plus bool, to emitter) (bool, syscall.Errno) {
	n := e.node
	name := l.name[:copy(l.name[:], e.name)]
	if !plus {
		l.attr = fsdev.Attr{Ino: n.ino, Mode: n.typ}
		return to.Emit(name, 0, &l.attr, e.seq), 0
	}
	// A file of which we have told nothing yet may be worth some patience, since an empty
	// answer would mean the end of the directory.
	if errno := n.lk.rlock(l.insist); errno != 0 {
		return false, errno
	}
	n.fillAttr(&l.attr)
	l.addLookup(n) // first: the client may use the object at once
	l.runlock(n)
	taken := to.Emit(name, n.obj, &l.attr, e.seq)
	if !taken {
		l.forget(n.obj, 1)
	}
	return taken, 0
}

package fuzz

import (
	"fmt"
	"slices"
	"syscall"

	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
)

const targetOnPage = 128 // a link's target of so many bytes takes a page

func targetPages(target string) uint64 {
	if len(target) >= targetOnPage {
		return 1
	}
	return 0
}

// xattrPages returns how many pages attributes take: names and values together, per file.
func xattrPages(x map[string]string) uint64 {
	n := 0
	for name, value := range x {
		n += len(name) + len(value)
	}
	return uint64(n+pageSize-1) / pageSize
}

// seen notes the number of a file, which is its own as long as it lives.
func (w *world) seen(n *node, ino uint64) {
	if n.ino == 0 && w.m.inos[ino] == nil {
		n.ino = ino
		w.m.inos[ino] = n
	}
	if n.ino != ino {
		w.fail("%v has the inode number %d, want %d; %v has that", n, ino, n.ino, w.m.inos[ino])
	}
}

// checkAttr compares what a client is told about a file.
func (w *world) checkAttr(n *node, a *Attr) {
	w.seen(n, a.Ino)
	var bad []string
	want := func(what string, got, want uint64) {
		if got != want {
			bad = append(bad, fmt.Sprintf("%s %d (%#o), want %d (%#o)", what, got, got, want, want))
		}
	}
	want("mode", uint64(a.Mode), uint64(n.typ|n.perm))
	want("uid", uint64(a.UID), uint64(n.uid))
	want("gid", uint64(a.GID), uint64(n.gid))
	want("nlink", uint64(a.Nlink), uint64(n.nlink))
	want("rdev", uint64(a.Rdev), uint64(n.rdev))
	switch n.typ {
	case syscall.S_IFREG:
		want("size", a.Size, n.size)
		const sectors = pageSize / 512
		if a.Blocks%sectors != 0 || a.Blocks/sectors < n.sure || a.Blocks/sectors > n.sure+n.vague {
			bad = append(bad, fmt.Sprintf("%d blocks, want %d to %d", a.Blocks, n.sure*sectors, (n.sure+n.vague)*sectors))
		}
	case syscall.S_IFLNK:
		want("size", a.Size, uint64(len(n.target)))
	}
	times := []struct {
		what string
		w    *when
		i    instant
	}{
		{"atime", &n.atime, instant{int64(a.Atime), a.AtimeNsec}},
		{"mtime", &n.mtime, instant{int64(a.Mtime), a.MtimeNsec}},
		{"ctime", &n.ctime, instant{int64(a.Ctime), a.CtimeNsec}},
	}
	for _, t := range times {
		if !t.w.see(t.i) {
			bad = append(bad, fmt.Sprintf("%s %v, want one of %v", t.what, t.i, *t.w))
		}
	}
	if len(bad) > 0 {
		w.fail("%v: %q", n, bad)
	}
}

// told notes that a client has been told of n, once more.
func (w *world) told(c *client, n *node, e *EntryOut) {
	if n.id == 0 {
		if old := w.m.byID[e.NodeID]; old != nil || w.m.gone[e.NodeID] || e.NodeID == 0 || e.NodeID == rootID {
			w.fail("a new file is called %#x, as %v", e.NodeID, old)
		}
		n.id = e.NodeID
		w.m.byID[n.id] = n
		w.ids = append(w.ids, n.id)
	}
	if e.NodeID != n.id {
		w.fail("%v is called %#x", n, e.NodeID)
	}
	if n != w.m.root {
		n.lookups[c.i]++
	}
	w.checkAttr(n, &e.Attr)
}

// killSuidgid clears the bits that make a program run as somebody else.
func (n *node) killSuidgid() {
	n.perm &^= syscall.S_ISUID
	if n.perm&syscall.S_IXGRP != 0 {
		n.perm &^= syscall.S_ISGID
	}
}

const capability = "security.capability"

// setXattrs replaces the extended attributes.
func (n *node) setXattrs(x map[string]string) {
	n.m.take(xattrPages(n.xattrs), xattrPages(x))
	n.xattrs = x
}

func (n *node) dropCapability() {
	if _, ok := n.xattrs[capability]; ok {
		x := map[string]string{}
		for k, v := range n.xattrs {
			if k != capability {
				x[k] = v
			}
		}
		n.setXattrs(x)
	}
}

// modified says that the content has changed.
func (n *node) modified(now when) {
	n.mtime.set(now)
	n.ctime.set(now)
}

// opGetattr is GETATTR and STATX.
func opGetattr(w *world) {
	c := w.client()
	id, fh := w.file()
	useFh := w.src.n(3) == 0
	statx := w.src.n(3) == 0
	v := &verdict{}
	n := w.node(v, id)
	flags := uint32(0)
	if useFh {
		flags = FUSE_GETATTR_FH
		w.handleFor(v, c, n, fh)
	}
	w.logf("%d GETATTR %v statx %v fh %#x %v", c.i, n, statx, fh, useFh)
	if !statx {
		r := c.do(FUSE_GETATTR, id, Size[AttrOut](), Bytes(&GetattrIn{GetattrFlags: flags, Fh: fh}))
		if w.judge(r, v) {
			out := part[AttrOut](r, 0)
			w.checkAttr(n, &out.Attr)
		}
		return
	}
	in := StatxIn{GetattrFlags: flags, Fh: fh, SxFlags: uint32(w.src.n(4)) << 13, SxMask: 0xfff}
	v.when(in.SxFlags == 3<<13, syscall.EINVAL) // to sync and not to
	r := c.do(FUSE_STATX, id, Size[StatxOut](), Bytes(&in))
	if !w.judge(r, v) {
		return
	}
	x := part[StatxOut](r, 0).Stat
	if x.Mask&0xfff != 0xfff {
		w.fail("STATX tells %#x", x.Mask)
	}
	major, minor := n.rdev>>8&0xfff, n.rdev&0xff|n.rdev>>12&0xfff00
	if x.RdevMajor != major || x.RdevMinor != minor {
		w.fail("STATX says device %d:%d, want %d:%d", x.RdevMajor, x.RdevMinor, major, minor)
	}
	if !n.btime.see(instant{x.Btime.TvSec, x.Btime.TvNsec}) {
		w.fail("STATX says born at %+v, want one of %v", x.Btime, n.btime)
	}
	w.checkAttr(n, &Attr{Ino: x.Ino, Size: x.Size, Blocks: x.Blocks, Mode: uint32(x.Mode), Nlink: x.Nlink, UID: x.UID,
		GID: x.GID, Rdev: n.rdev,
		Atime: uint64(x.Atime.TvSec), AtimeNsec: x.Atime.TvNsec, Mtime: uint64(x.Mtime.TvSec), MtimeNsec: x.Mtime.TvNsec,
		Ctime: uint64(x.Ctime.TvSec), CtimeNsec: x.Ctime.TvNsec})
}

// opSetattr is SETATTR: chmod, chown, truncate, utimensat.
func opSetattr(w *world) {
	c := w.client()
	id, fh := w.file()
	v := &verdict{}
	n := w.node(v, id)
	size := uint64(0)
	if n != nil {
		size = n.size
	}
	in := SetattrIn{Fh: fh}
	s := &w.src
	switch s.n(8) {
	case 0, 1, 2:
		in.Valid = FATTR_SIZE
	case 3:
		in.Valid = FATTR_MODE
	case 4:
		in.Valid = one[uint32](s, FATTR_UID, FATTR_GID, FATTR_UID|FATTR_GID, FATTR_UID|FATTR_MODE)
	case 5:
		in.Valid = one[uint32](s, FATTR_ATIME, FATTR_MTIME, FATTR_ATIME|FATTR_MTIME,
			FATTR_ATIME|FATTR_MTIME_NOW|FATTR_MTIME, FATTR_ATIME|FATTR_ATIME_NOW, FATTR_CTIME|FATTR_MTIME)
	case 6:
		in.Valid = uint32(s.word()) & 0x7ff &^ FATTR_FH
	}
	if s.n(4) == 0 {
		in.Valid |= FATTR_KILL_SUIDGID
	}
	if in.Valid&FATTR_SIZE != 0 {
		in.Size = s.offset(size)
	}
	if in.Valid&FATTR_MODE != 0 {
		in.Mode = n.typeBits() | one[uint32](s, 0o644, 0o6755, 0o2644, 0o4711, 0o1777, 0o2775, 0)
	}
	in.UID, in.GID = uint32(s.n(3)), uint32(s.n(3))
	stamp := func() (uint64, uint32) {
		return one[uint64](s, 0, 1, 1<<33, 1<<63, 1<<64-1), one[uint32](s, 0, 1, 999_999_999, 1_000_000_000)
	}
	if in.Valid&(FATTR_ATIME|FATTR_MTIME|FATTR_CTIME) != 0 {
		in.Atime, in.AtimeNsec = stamp()
		in.Mtime, in.MtimeNsec = stamp()
		in.Ctime, in.CtimeNsec = 5, 5
	}
	if s.n(3) == 0 {
		in.Valid |= FATTR_FH
		w.handleFor(v, c, n, fh)
	}
	w.logf("%d SETATTR %v %#x size %d mode %o uid %d gid %d", c.i, n, in.Valid, in.Size, in.Mode, in.UID, in.GID)
	has := func(bits uint32) bool { return in.Valid&bits != 0 }
	if has(FATTR_SIZE) {
		w.wantRegular(v, n, syscall.EINVAL)
		v.when(in.Size > maxSize, syscall.EFBIG, syscall.EINVAL)
	}
	v.when(has(FATTR_ATIME) && in.AtimeNsec >= 1e9, syscall.EINVAL)
	v.when(has(FATTR_MTIME) && in.MtimeNsec >= 1e9, syscall.EINVAL)
	r := c.do(FUSE_SETATTR, id, Size[AttrOut](), Bytes(&in))
	if !w.judge(r, v) {
		return
	}
	kill := has(FATTR_KILL_SUIDGID) && c.killPriv
	if has(FATTR_UID) {
		n.uid = in.UID
	}
	if has(FATTR_GID) {
		n.gid = in.GID
	}
	if !n.isDir() && (kill || has(FATTR_UID|FATTR_GID)) {
		n.killSuidgid()
		n.dropCapability()
	}
	if has(FATTR_MODE) {
		n.perm = in.Mode & 0o7777
	}
	switch {
	case has(^uint32(FATTR_FH | FATTR_LOCKOWNER | FATTR_CTIME | FATTR_KILL_SUIDGID)):
		n.ctime.set(w.now)
	case kill:
		n.ctime.maybe(w.now)
	}
	if has(FATTR_SIZE) {
		n.dropCapability()
		if in.Size != n.size {
			n.mtime.set(w.now)
		} else {
			n.mtime.maybe(w.now)
		}
		n.truncate(in.Size)
	}
	setTime := func(to *when, exact, now uint32, sec uint64, nsec uint32) {
		switch {
		case has(now):
			to.set(w.now)
		case has(exact):
			to.exactly(instant{int64(sec), nsec})
		}
	}
	setTime(&n.atime, FATTR_ATIME, FATTR_ATIME_NOW, in.Atime, in.AtimeNsec)
	setTime(&n.mtime, FATTR_MTIME, FATTR_MTIME_NOW, in.Mtime, in.MtimeNsec)
	setTime(&n.ctime, FATTR_CTIME, 0, in.Ctime, in.CtimeNsec)
	out := part[AttrOut](r, 0)
	w.checkAttr(n, &out.Attr)
}

func (n *node) typeBits() uint32 {
	if n == nil {
		return 0
	}
	return n.typ
}

// opStatfs is STATFS.
func opStatfs(w *world) {
	c := w.client()
	id, _ := w.file()
	v := &verdict{}
	w.node(v, id)
	w.logf("%d STATFS", c.i)
	r := c.do(FUSE_STATFS, id, Size[StatfsOut](), nil)
	if w.judge(r, v) {
		st := part[StatfsOut](r, 0).St
		w.checkStatfs(st.Blocks, st.Bfree, st.Files, st.Ffree)
		if st.Namelen != 255 || st.Bsize != pageSize || st.Frsize != pageSize {
			w.fail("STATFS says %+v", st)
		}
	}
}

// xattrName draws the name of an attribute; there are few.
func (w *world) xattrName() string {
	return one(&w.src, "user.a", "user.b", "trusted.c", capability, "security.d",
		"user.long"+string(make255()[:240]), "user.a", "user.b", "user.", "system.posix_acl_access",
		"nothing", "", "user."+string(make255()))
}

func make255() []byte { return slices.Repeat([]byte{'n'}, 255) }

// checkXattrName says what keeps an attribute from having a name.
func (v *verdict) checkXattrName(name string) {
	switch name {
	case "":
		v.add(syscall.ERANGE, syscall.EINVAL)
	case "user.":
		v.add(syscall.EINVAL, syscall.EOPNOTSUPP)
	case "system.posix_acl_access", "nothing":
		v.add(syscall.EOPNOTSUPP)
	}
	v.when(len(name) > 255, syscall.ERANGE, syscall.ENAMETOOLONG)
}

// opSetxattr is SETXATTR.
func opSetxattr(w *world) {
	c := w.client()
	id, _ := w.file()
	name, s := w.xattrName(), &w.src
	size := one(s, 0, 1, s.byte(), s.byte(), s.byte()*16, s.byte()*256, 65536, 65537)
	flags := one[uint32](s, 0, 0, 1, 2, 3, 4)
	v := &verdict{}
	n := w.node(v, id)
	v.checkXattrName(name)
	v.when(size > 65536, syscall.E2BIG)
	v.when(flags > 3, syscall.EINVAL)
	value := string(w.pattern(size))
	var x map[string]string
	if n != nil {
		_, has := n.xattrs[name]
		v.when(flags&1 != 0 && has, syscall.EEXIST)
		v.when(flags&2 != 0 && !has, syscall.ENODATA)
		x = map[string]string{name: value}
		for k, val := range n.xattrs {
			if k != name {
				x[k] = val
			}
		}
		if before, after := xattrPages(n.xattrs), xattrPages(x); after > before {
			may, must := w.m.room(after - before)
			v.when(!may, syscall.ENOSPC)
			if !must {
				v.allow(syscall.ENOSPC)
			}
		}
	}
	w.logf("%d SETXATTR %v %.20q %d bytes, flags %d", c.i, n, name, size, flags)
	r := c.do(FUSE_SETXATTR, id, 0, Bytes(&SetxattrIn{Size: uint32(size), Flags: flags}), cstr(name), []byte(value))
	if w.judge(r, v) {
		n.setXattrs(x)
		n.ctime.set(w.now)
	}
}

// opGetxattr is GETXATTR.
func opGetxattr(w *world) {
	c := w.client()
	id, _ := w.file()
	name := w.xattrName()
	v := &verdict{}
	n := w.node(v, id)
	v.checkXattrName(name)
	var value string
	if n != nil {
		var has bool
		value, has = n.xattrs[name]
		v.when(!has, syscall.ENODATA)
	}
	size := w.room(len(value), v)
	w.logf("%d GETXATTR %v %.20q, room for %d", c.i, n, name, size)
	r := c.do(FUSE_GETXATTR, id, max(size, 8), Bytes(&GetxattrIn{Size: uint32(size)}), cstr(name))
	if w.judge(r, v) && w.isSize(r, size, len(value)) && string(r.payload()) != value {
		w.fail("got %.100q, want %.100q", r.payload(), value)
	}
}

// room draws how much room a client offers for something.
func (w *world) room(need int, v *verdict) int {
	size := one(&w.src, need, 0, need-1, need+10, need)
	if size = max(size, 0); size > 0 && size < need {
		v.add(syscall.ERANGE)
	}
	return size
}

// isSize checks the answer to the question how large something is; it returns false if that was the question.
func (w *world) isSize(r *reply, size, want int) bool {
	if size > 0 {
		return true
	}
	if out := part[GetxattrOut](r, 0); int(out.Size) != want {
		w.fail("says %d bytes, want %d", out.Size, want)
	}
	return false
}

// opListxattr is LISTXATTR.
func opListxattr(w *world) {
	c := w.client()
	id, _ := w.file()
	v := &verdict{}
	n := w.node(v, id)
	var names []string
	need := 0
	if n != nil {
		for name := range n.xattrs {
			names = append(names, name)
			need += len(name) + 1
		}
	}
	size := w.room(need, v)
	w.logf("%d LISTXATTR %v, room for %d", c.i, n, size)
	r := c.do(FUSE_LISTXATTR, id, max(size, 8), Bytes(&GetxattrIn{Size: uint32(size)}))
	if !w.judge(r, v) || !w.isSize(r, size, need) {
		return
	}
	var got []string
	for rest := r.payload(); len(rest) > 0; {
		end := slices.Index(rest, 0)
		if end < 0 {
			w.fail("the list %q does not end", r.payload())
		}
		got = append(got, string(rest[:end]))
		rest = rest[end+1:]
	}
	slices.Sort(got)
	slices.Sort(names)
	if !slices.Equal(got, names) {
		w.fail("lists %q, want %q", got, names)
	}
}

// opRemovexattr is REMOVEXATTR.
func opRemovexattr(w *world) {
	c := w.client()
	id, _ := w.file()
	name := w.xattrName()
	v := &verdict{}
	n := w.node(v, id)
	v.checkXattrName(name)
	if n != nil {
		_, has := n.xattrs[name]
		v.when(!has, syscall.ENODATA)
	}
	w.logf("%d REMOVEXATTR %v %.20q", c.i, n, name)
	if w.judge(c.do(FUSE_REMOVEXATTR, id, 0, cstr(name)), v) {
		x := map[string]string{}
		for k, val := range n.xattrs {
			if k != name {
				x[k] = val
			}
		}
		n.setXattrs(x)
		n.ctime.set(w.now)
	}
}

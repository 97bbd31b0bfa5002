package fuzz

import (
	"fmt"
	"slices"
	"strings"
	"syscall"

	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
)

func cstr(s string) []byte { return append([]byte(s), 0) }

// client draws a client.
func (w *world) client() *client { return w.clients[w.src.n(len(w.clients))] }

// id draws a node: mostly one of the last that clients have heard of, which may be stale, sometimes an invented one.
func (w *world) id() uint64 {
	b := w.src.byte()
	known := w.ids[max(0, len(w.ids)-20):]
	switch {
	case b < 180:
		return known[b%len(known)]
	case b < 200:
		return rootID
	case b < 235:
		return w.ids[b%len(w.ids)]
	case b < 250:
		var live []uint64
		for _, id := range w.ids {
			if w.m.byID[id] != nil {
				live = append(live, id)
			}
		}
		return live[b%len(live)]
	}
	id := w.ids[w.src.n(len(w.ids))]
	return one(&w.src, 0, ^uint64(0), id+1, id+1<<32, id+2<<32, id^1<<31, 1<<32, w.src.word())
}

// dir draws a node that mostly is a directory.
func (w *world) dir() uint64 {
	b := w.src.byte()
	if b >= 230 {
		return w.id()
	}
	var dirs []uint64
	for _, id := range w.ids {
		if n := w.m.byID[id]; n != nil && n.isDir() {
			dirs = append(dirs, id)
		}
	}
	if b < 80 {
		return rootID
	}
	return dirs[b%len(dirs)]
}

// file draws a node with a handle, which mostly belongs to it.
func (w *world) file() (id, fh uint64) {
	b := w.src.byte()
	if len(w.fhs) > 0 && b < 230 {
		known := w.fhs[max(0, len(w.fhs)-16):]
		fh = known[b%len(known)]
		if h := w.m.handles[fh]; h != nil && b < 215 {
			return h.n.id, fh
		}
	}
	id = w.id()
	switch {
	case b < 250:
	case b < 253 && len(w.fhs) > 0:
		fh = w.fhs[w.src.n(len(w.fhs))]
	default:
		fh += uint64(one(&w.src, 1, 1<<32, 1<<33, -1))
	}
	return id, fh
}

// node is the node that a client means. Errors: ESTALE.
func (w *world) node(v *verdict, id uint64) *node {
	n := w.m.byID[id]
	if n == nil {
		v.add(syscall.ESTALE)
		w.stale = append(w.stale, id)
	}
	return n
}

// dirFor is node for directories.
func (w *world) dirFor(v *verdict, id uint64) *node {
	n := w.node(v, id)
	if n != nil && !n.isDir() {
		v.add(syscall.ENOTDIR)
		return nil
	}
	return n
}

// name draws a name: there are so few that sequences meet their own traces all the time.
func (w *world) name() string {
	b := w.src.byte()
	if b < 232 {
		return "abcdef"[b%6:][:1]
	}
	return []string{
		".", "..", "", "a/b", string(make255()), string(make255()) + "n", "\xff\xfe", ".a", ".", "..",
		strings.Repeat("ä", 60), "...", "a", "b", "c", "/",
	}[b%16]
}

// checkName says what keeps an entry from having a name; dots is what "." and ".." give.
func (v *verdict) checkName(name string, dots ...syscall.Errno) {
	v.when(name == "" || strings.Contains(name, "/"), syscall.EINVAL)
	v.when(len(name) > 255, syscall.ENAMETOOLONG)
	v.when(name == "." || name == "..", dots...)
}

// entryOf returns the entry of a name; all may be missing.
func (d *node) entryOf(name string) *entry {
	if d == nil {
		return nil
	}
	return d.kids[name]
}

// checkNew says what keeps d from getting another file.
func (v *verdict) checkNew(d *node, name string) {
	v.checkName(name, syscall.EEXIST)
	v.when(d.entryOf(name) != nil, syscall.EEXIST)
	v.when(d != nil && d.nlink == 0, syscall.ENOENT)
}

// checkInodes says whether there can be another file, or another name of one.
func (w *world) checkInodes(v *verdict) {
	v.when(w.m.nodes+w.m.links >= w.m.maxNodes, syscall.ENOSPC)
}

// make makes a file in d like a client said, without a name.
func (w *world) make(d *node, typ, mode, uid, gid uint32, x *extension) *node {
	if d.perm&syscall.S_ISGID != 0 {
		const program = syscall.S_ISGID | syscall.S_IXGRP
		switch {
		case typ == syscall.S_IFDIR:
			mode |= syscall.S_ISGID
		case mode&program == program && uid != 0 && gid != d.gid && !(x.hasGroup && x.group == d.gid):
			mode &^= syscall.S_ISGID
		}
		gid = d.gid
	}
	n := w.m.newNode(typ, mode, uid, gid, w.now)
	n.setXattrs(x.security)
	return n
}

// creator draws who makes a file.
func (w *world) creator() (uid, gid uint32) {
	b := w.src.n(8)
	return uint32(b & 1), uint32(b>>1) % 3
}

var modes = []uint32{0o644, 0o755, 0o4755, 0o2755, 0o2644, 0o6711, 0o1777, 0}

// opLookup is LOOKUP.
func opLookup(w *world) {
	c := w.client()
	id, name := w.dir(), w.name()
	v := &verdict{}
	d := w.dirFor(v, id)
	v.checkName(name)
	var n *node
	switch {
	case d == nil:
	case name == ".":
		n = d
	case name == "..":
		n = d.parent
	case d.kids[name] != nil:
		n = d.kids[name].n
	}
	v.when(d != nil && n == nil, syscall.ENOENT)
	w.logf("%d LOOKUP %v %.20q", c.i, d, name)
	r := c.do(FUSE_LOOKUP, id, Size[EntryOut](), cstr(name))
	if r.errno == 0 && c.cache == cacheAlways && slices.Equal(v.must, []syscall.Errno{syscall.ENOENT}) {
		if e := part[EntryOut](r, 0); e.NodeID != 0 { // says that it is not there
			w.fail("%#x is not there", e.NodeID)
		}
		return
	}
	if w.judge(r, v) {
		e := part[EntryOut](r, 0)
		w.told(c, n, &e)
	}
}

// opMake is MKDIR, MKNOD and SYMLINK.
func opMake(w *world) {
	c := w.client()
	id, name := w.dir(), w.name()
	uid, gid := w.creator()
	s, v := &w.src, &verdict{}
	d := w.dirFor(v, id)
	v.checkNew(d, name)
	w.checkInodes(v)
	mode := modes[s.n(len(modes))]
	x := w.extension(v)
	c.ext = x.raw
	pages := uint64(0)
	var r *reply
	var n *node
	what := s.n(8)
	switch {
	case what < 4:
		w.checkRoom(v, &x, 0)
		w.logf("%d MKDIR %v %.20q %o by %d:%d", c.i, d, name, mode, uid, gid)
		r = c.doAs(uid, gid, FUSE_MKDIR, id, Size[EntryOut](), Bytes(&MkdirIn{Mode: mode, Umask: 0o22}), cstr(name))
	case what < 6:
		typ := one[uint32](s, syscall.S_IFREG, 0, syscall.S_IFREG, syscall.S_IFIFO, syscall.S_IFSOCK, syscall.S_IFCHR,
			syscall.S_IFBLK, syscall.S_IFDIR, syscall.S_IFLNK, 0o150000)
		rdev := uint32(s.word())<<8 | uint32(s.byte())
		v.when(typ == syscall.S_IFDIR, syscall.EPERM, syscall.EINVAL)
		v.when(typ == syscall.S_IFLNK || typ == 0o150000, syscall.EINVAL)
		w.checkRoom(v, &x, 0)
		w.logf("%d MKNOD %v %.20q %o %#x by %d:%d", c.i, d, name, typ|mode, rdev, uid, gid)
		r = c.doAs(uid, gid, FUSE_MKNOD, id, Size[EntryOut](), Bytes(&MknodIn{Mode: typ | mode, Rdev: rdev}), cstr(name))
		if r.errno == 0 && len(v.must) == 0 {
			if typ == 0 {
				typ = syscall.S_IFREG
			}
			n = w.make(d, typ, mode, uid, gid, &x)
			if typ == syscall.S_IFCHR || typ == syscall.S_IFBLK {
				n.rdev = rdev
			}
		}
	default:
		target := strings.Repeat("x", one(s, 1, s.byte(), targetOnPage, 4095, 4096, 0, s.byte(), targetOnPage-1))
		v.when(target == "", syscall.ENOENT, syscall.EINVAL)
		v.when(len(target) > 4095, syscall.ENAMETOOLONG)
		pages = targetPages(target)
		w.checkRoom(v, &x, pages)
		w.logf("%d SYMLINK %v %.20q, %d bytes by %d:%d", c.i, d, name, len(target), uid, gid)
		r = c.doAs(uid, gid, FUSE_SYMLINK, id, Size[EntryOut](), cstr(name), cstr(target))
		if r.errno == 0 && len(v.must) == 0 {
			n = w.make(d, syscall.S_IFLNK, 0o777, uid, gid, &x)
			n.target = target
			w.m.take(0, pages)
		}
	}
	if !w.judge(r, v) {
		return
	}
	if n == nil {
		n = w.make(d, syscall.S_IFDIR, mode, uid, gid, &x)
	}
	d.add(name, n)
	d.modified(w.now)
	e := part[EntryOut](r, 0)
	w.told(c, n, &e)
}

// opCrowd makes many files in a directory, or removes many.
func opCrowd(w *world) {
	c := w.client()
	id := w.dir()
	d := w.m.byID[id]
	first, count, every := w.src.n(4)*64, w.src.byte(), 1+w.src.n(4)
	for i := first; i < first+count; i += every {
		name := fmt.Sprintf("n%d", i)
		if d.entryOf(name) != nil {
			w.remove(c, id, name, false)
			continue
		}
		v := &verdict{}
		d := w.dirFor(v, id)
		v.checkNew(d, name)
		w.checkInodes(v)
		w.logf("%d MKNOD %v %s", c.i, d, name)
		r := c.do(FUSE_MKNOD, id, Size[EntryOut](), Bytes(&MknodIn{Mode: syscall.S_IFREG}), cstr(name))
		if !w.judge(r, v) {
			return
		}
		n := w.make(d, syscall.S_IFREG, 0, 0, 0, &extension{})
		d.add(name, n)
		d.modified(w.now)
		e := part[EntryOut](r, 0)
		w.told(c, n, &e)
		w.forget(c, n.id, 1)
		w.ids = w.ids[:len(w.ids)-1] // they would be all that there is to be drawn
	}
}

// opReadlink is READLINK.
func opReadlink(w *world) {
	c := w.client()
	id := w.id()
	v := &verdict{}
	n := w.node(v, id)
	v.when(n != nil && n.typ != syscall.S_IFLNK, syscall.EINVAL)
	w.logf("%d READLINK %v", c.i, n)
	r := c.do(FUSE_READLINK, id, pageSize)
	if w.judge(r, v) {
		n.atime.maybe(w.now)
		if string(r.payload()) != n.target {
			w.fail("reads %q, want %q", r.payload(), n.target)
		}
	}
}

// opLink is LINK.
func opLink(w *world) {
	c := w.client()
	old, id, name := w.id(), w.dir(), w.name()
	v := &verdict{}
	n, d := w.node(v, old), w.dirFor(v, id)
	v.checkNew(d, name)
	if n != nil {
		v.when(n.isDir(), syscall.EPERM)
		v.when(n.nlink == 0 && !n.linkable, syscall.ENOENT)
		if n.nlink > 0 {
			w.checkInodes(v)
		}
	}
	w.logf("%d LINK %v to %v %.20q", c.i, n, d, name)
	r := c.do(FUSE_LINK, id, Size[EntryOut](), Bytes(&LinkIn{OldNodeID: old}), cstr(name))
	if !w.judge(r, v) {
		return
	}
	if n.nlink > 0 {
		w.m.links++
	}
	n.nlink++
	n.linkable = false
	n.ctime.set(w.now)
	d.add(name, n)
	d.modified(w.now)
	e := part[EntryOut](r, 0)
	w.told(c, n, &e)
}

// opRemove is UNLINK and RMDIR.
func opRemove(w *world) {
	c := w.client()
	id, name := w.dir(), w.name()
	w.remove(c, id, name, w.src.n(3) == 0)
}

func (w *world) remove(c *client, id uint64, name string, rmdir bool) {
	v := &verdict{}
	d := w.dirFor(v, id)
	op := uint32(FUSE_UNLINK)
	if rmdir {
		op = FUSE_RMDIR
		v.checkName(name, syscall.EINVAL, syscall.ENOTEMPTY, syscall.EBUSY)
	} else {
		v.checkName(name, syscall.EISDIR, syscall.EPERM)
	}
	e := d.entryOf(name)
	switch {
	case e == nil:
		v.add(syscall.ENOENT)
	case rmdir:
		v.when(!e.n.isDir(), syscall.ENOTDIR)
		v.when(len(e.n.kids) > 0, syscall.ENOTEMPTY, syscall.EEXIST)
	default:
		v.when(e.n.isDir(), syscall.EISDIR, syscall.EPERM)
	}
	w.logf("%d UNLINK %v %.20q rmdir %v", c.i, d, name, rmdir)
	if w.judge(c.do(op, id, 0, cstr(name)), v) {
		d.remove(name)
		d.modified(w.now)
		e.n.ctime.maybe(w.now)
		if e.n.nlink > 1 && !rmdir {
			e.n.ctime.set(w.now)
		}
		e.n.unlinked()
	}
}

const (
	renameNoreplace = 1 // linux/fs.h
	renameExchange  = 2
	renameWhiteout  = 4
)

// opRename is RENAME and RENAME2.
func opRename(w *world) {
	c := w.client()
	from, to := w.dir(), w.dir()
	a, b := w.name(), w.name()
	flags := one[uint32](&w.src, 0, 0, 0, 0, renameNoreplace, renameExchange, renameExchange, renameWhiteout,
		renameExchange|renameNoreplace, renameWhiteout|renameNoreplace, renameWhiteout|renameExchange, 8)
	if w.src.n(4) == 0 {
		to = from
	}
	v := &verdict{}
	df, dt := w.dirFor(v, from), w.dirFor(v, to)
	v.checkName(a, syscall.EBUSY, syscall.EINVAL)
	v.checkName(b, syscall.EBUSY, syscall.EINVAL, syscall.EEXIST)
	v.when(flags > 7 || flags&renameExchange != 0 && flags != renameExchange, syscall.EINVAL)
	src, dst := df.entryOf(a), dt.entryOf(b)
	v.checkRename(df, dt, src, dst, flags)
	same := src != nil && dst != nil && src.n == dst.n
	if flags&renameWhiteout != 0 && !same {
		w.checkInodes(v)
	}
	w.logf("%d RENAME %v %.20q to %v %.20q flags %d", c.i, df, a, dt, b, flags)
	var r *reply
	if flags == 0 && w.src.n(2) == 0 {
		r = c.do(FUSE_RENAME, from, 0, Bytes(&RenameIn{Newdir: to}), cstr(a), cstr(b))
	} else {
		r = c.do(FUSE_RENAME2, from, 0, Bytes(&Rename2In{Newdir: to, Flags: flags}), cstr(a), cstr(b))
	}
	if !w.judge(r, v) || same {
		return
	}
	src.n.ctime.maybe(w.now)
	df.modified(w.now)
	dt.modified(w.now)
	if flags&renameExchange != 0 {
		dst.n.ctime.maybe(w.now)
		exchange(df, dt, src, dst)
		return
	}
	if dst != nil {
		dt.remove(b)
		dst.n.ctime.maybe(w.now)
		dst.n.unlinked()
	}
	df.remove(a)
	dt.add(b, src.n)
	if flags&renameWhiteout != 0 {
		df.add(a, w.m.newNode(syscall.S_IFCHR, 0, 0, 0, w.now))
		w.tell(c, from, a)
	}
}

// checkRename says what speaks against it.
func (v *verdict) checkRename(df, dt *node, src, dst *entry, flags uint32) {
	if src == nil {
		v.add(syscall.ENOENT)
		return
	}
	if dt == nil {
		return
	}
	v.when(dt.nlink == 0, syscall.ENOENT)
	v.when(src.n.isDir() && dt.isBelow(src.n), syscall.EINVAL)
	if flags&renameExchange != 0 {
		v.when(dst == nil, syscall.ENOENT)
		v.when(dst != nil && dst.n.isDir() && df.isBelow(dst.n), syscall.EINVAL)
		return
	}
	if dst == nil {
		return
	}
	v.when(flags&renameNoreplace != 0, syscall.EEXIST)
	if src.n == dst.n {
		return
	}
	v.when(src.n.isDir() && !dst.n.isDir(), syscall.ENOTDIR)
	v.when(!src.n.isDir() && dst.n.isDir(), syscall.EISDIR)
	v.when(dst.n.isDir() && len(dst.n.kids) > 0, syscall.ENOTEMPTY, syscall.EEXIST)
}

// exchange swaps what two names stand for.
func exchange(da, db *node, a, b *entry) {
	move := func(n, from, to *node) {
		if n.isDir() {
			from.nlink--
			to.nlink++
			n.parent = to
		}
	}
	move(a.n, da, db)
	move(b.n, db, da)
	a.n, b.n = b.n, a.n
}

// tell has a client hear of a file, so that its name is known here.
func (w *world) tell(c *client, dir uint64, name string) {
	now := w.now
	r := c.do(FUSE_LOOKUP, dir, Size[EntryOut](), cstr(name))
	if r.errno != 0 {
		w.fail("%q is not found: %v", name, r.errno)
	}
	n := w.m.byID[dir].kids[name].n
	e := part[EntryOut](r, 0)
	w.told(c, n, &e)
	w.now = now
	w.forget(c, n.id, 1)
}

// opForget is FORGET and BATCH_FORGET.
func opForget(w *world) {
	c := w.client()
	if w.src.n(2) == 0 {
		id := w.id()
		k := one(&w.src, 1, uint64(w.src.n(4)), 1<<40, 1<<63)
		w.logf("%d FORGET %v %d", c.i, w.m.byID[id], k)
		w.forget(c, id, k)
		return
	}
	var list []byte
	var ids, ks []uint64
	for range w.src.n(4) {
		ids, ks = append(ids, w.id()), append(ks, uint64(w.src.n(4)))
	}
	for i := range ids {
		list = append(list, Bytes(&ForgetOne{NodeID: ids[i], Nlookup: ks[i]})...)
	}
	w.logf("%d BATCH_FORGET %#x %d", c.i, ids, ks)
	more := uint32(w.src.n(8) / 7) // says that there are more than there are
	c.do(FUSE_BATCH_FORGET, 0, -1, Bytes(&BatchForgetIn{Count: uint32(len(ids)) + more}), list)
	for i, id := range ids {
		if n := w.m.byID[id]; n != nil {
			n.forget(c.i, ks[i])
		}
	}
}

func (w *world) forget(c *client, id, k uint64) {
	c.do(FUSE_FORGET, id, -1, Bytes(&ForgetIn{Nlookup: k}))
	if n := w.m.byID[id]; n != nil {
		n.forget(c.i, k)
	}
}

// opReaddir is READDIR and READDIRPLUS.
func opReaddir(w *world) {
	c := w.client()
	id, fh := w.file()
	if n := w.m.byID[id]; n == nil || !n.isDir() {
		if w.src.n(8) != 0 {
			id, fh = w.dir(), 0
		}
	}
	s, v := &w.src, &verdict{}
	d := w.dirFor(v, id)
	if n := w.m.byID[id]; n != nil && w.handleFor(v, c, n, fh) != nil && !n.isDir() {
		v.add(syscall.EBADF) // not a handle for that
	}
	plus := s.n(2) == 0
	size := one(s, 4096, 24*s.byte(), s.byte(), 4096, 512)
	var offset uint64
	if d != nil && s.n(2) == 0 {
		var cookies []uint64
		for k := range d.past {
			cookies = append(cookies, k)
		}
		slices.Sort(cookies)
		if len(cookies) > 0 {
			offset = cookies[s.n(len(cookies))]
		}
	}
	v.when(d != nil && d.nlink == 0, syscall.ENOENT)
	w.logf("%d READDIR %v from %d, %d bytes, plus %v", c.i, d, offset, size, plus)
	w.readdir(c, v, d, id, fh, offset, size, plus)
}

// readdir reads a part of a directory and compares it entry by entry. It returns the last cookie, 0 at the end.
func (w *world) readdir(c *client, v *verdict, d *node, id, fh, offset uint64, size int, plus bool) uint64 {
	op, fixed := uint32(FUSE_READDIR), DirentSize
	if plus {
		op, fixed = FUSE_READDIRPLUS, DirentplusSize
	}
	var want []string
	seq := uint64(0)
	if d != nil {
		if offset != 0 {
			seq = d.past[offset]
		}
		want = append([]string{".", ".."}[min(seq, 2):], d.listing(seq)...)
		v.when(d.nlink > 0 && len(want) > 0 && fixed(len(want[0])) > size, syscall.EINVAL)
	}
	r := c.do(op, id, size, Bytes(&ReadIn{Fh: fh, Offset: offset, Size: uint32(size)}))
	ok := w.judge(r, v)
	if d != nil { // also if no entry fits
		d.atime.maybe(w.now)
	}
	if !ok {
		return 0
	}
	at := 0
	for len(want) > 0 && at+fixed(len(want[0])) <= size {
		name := want[0]
		want = want[1:]
		off := at
		var e EntryOut
		if plus {
			e = part[EntryOut](r, at)
			off += Size[EntryOut]()
		}
		de := part[Dirent](r, off)
		if got := string(r.payload()[off+Size[Dirent]():][:de.Namelen]); got != name {
			w.fail("lists %q, want %q", got, name)
		}
		at += fixed(len(name))
		w.listed(c, d, name, &de, &e, plus)
		offset = de.Off
	}
	if at != len(r.payload()) {
		w.fail("a listing of %d bytes, want %d", len(r.payload()), at)
	}
	if at == 0 {
		return 0
	}
	return offset
}

// listed compares one entry.
func (w *world) listed(c *client, d *node, name string, de *Dirent, e *EntryOut, plus bool) {
	n, seq := d, uint64(1)
	cookie := new(uint64)
	switch name {
	case ".":
	case "..":
		n, seq = d.parent, 2
	default:
		x := d.kids[name]
		n, seq, cookie = x.n, x.seq, &x.cookie
	}
	if old, ok := d.past[de.Off]; ok && old != seq || *cookie != 0 && *cookie != de.Off || de.Off == 0 {
		w.fail("%q has the cookie %d, had %d; entry %d is %d", name, de.Off, *cookie, de.Off, old)
	}
	*cookie = de.Off
	d.past[de.Off] = seq
	w.seen(n, de.Ino)
	if de.Type != n.typ>>12 {
		w.fail("%q has type %d, is %v", name, de.Type, n)
	}
	if plus && (name == "." || name == "..") && e.NodeID != 0 {
		w.fail("%q counts as looked up", name)
	}
	if plus && e.NodeID != 0 {
		w.told(c, n, e)
	} else if plus && seq > 2 {
		w.fail("%q is not told", name)
	}
}

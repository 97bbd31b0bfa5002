package fuzz

import (
	"bytes"
	"math"
	"syscall"

	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
)

const cacheAlways = fusedispatcher.CacheAlways

// pattern returns bytes that no other write has.
func (w *world) pattern(n int) []byte {
	w.fill++
	p := make([]byte, n)
	for i := range p {
		p[i] = w.fill + byte(i>>8) + byte(i)*3
	}
	return p
}

// handleFor returns the handle that a client means, nil if it means none.
func (w *world) handleFor(v *verdict, c *client, n *node, fh uint64) *handle {
	if fh == 0 || n == nil {
		return nil
	}
	h := w.m.handles[fh]
	if h == nil || h.n != n || h.client != c.i {
		v.add(syscall.EBADF)
		return nil
	}
	return h
}

// writableFor is handleFor for what changes data.
func (w *world) writableFor(v *verdict, c *client, n *node, fh uint64) *handle {
	h := w.handleFor(v, c, n, fh)
	v.when(h != nil && h.flags&syscall.O_ACCMODE == syscall.O_RDONLY, syscall.EBADF)
	return h
}

// wantRegular says what keeps an operation on data from working on n; others is for what is neither file nor directory.
func (w *world) wantRegular(v *verdict, n *node, others ...syscall.Errno) {
	switch {
	case n == nil || n.typ == syscall.S_IFREG:
	case n.isDir():
		v.add(syscall.EISDIR, syscall.EINVAL, syscall.EBADF)
	default:
		v.add(others...)
	}
}

// opened notes a new handle.
func (w *world) opened(c *client, n *node, fh uint64, flags uint32) {
	if fh == 0 || w.m.oldFh[fh] {
		w.fail("a new handle is %#x, as one before", fh)
	}
	w.m.oldFh[fh] = true
	w.fhs = append(w.fhs, fh)
	w.m.handles[fh] = &handle{fh: fh, n: n, client: c.i, flags: flags}
	n.open++
}

func (w *world) checkOpen(v *verdict) { v.when(len(w.m.handles) >= w.m.maxOpen, syscall.ENFILE) }

// openFlags draws how a file is opened.
func (w *world) openFlags() uint32 {
	s := &w.src
	return one[uint32](s, syscall.O_RDWR, syscall.O_RDWR, syscall.O_RDONLY, syscall.O_WRONLY) |
		one[uint32](s, 0, 0, 0, syscall.O_APPEND, syscall.O_TRUNC, syscall.O_EXCL, syscall.O_NOATIME)
}

// truncatedByOpen is what O_TRUNC does.
func (n *node) truncatedByOpen(kill bool, now when) {
	if kill {
		n.killSuidgid()
	}
	n.dropCapability()
	n.truncate(0)
	n.modified(now)
}

// opOpen is OPEN and OPENDIR.
func opOpen(w *world) {
	c := w.client()
	id := w.id()
	dir := w.src.n(4) == 0
	flags := w.openFlags()
	in := OpenIn{Flags: flags, OpenFlags: uint32(w.src.n(4)/3) * FUSE_OPEN_KILL_SUIDGID}
	v := &verdict{}
	n := w.node(v, id)
	op := uint32(FUSE_OPEN)
	if dir {
		op, in.Flags = FUSE_OPENDIR, 0
		v.when(n != nil && !n.isDir(), syscall.ENOTDIR)
	} else if n != nil {
		v.when(n.isDir(), syscall.EISDIR)
		v.when(n.typ == syscall.S_IFLNK, syscall.ELOOP)
		v.when(n.typ != syscall.S_IFREG && n.typ != syscall.S_IFLNK && !n.isDir(), syscall.ENXIO)
	}
	w.checkOpen(v)
	v.when(c.noOpen, syscall.ENOSYS)
	w.logf("%d OPEN %v %#o dir %v kill %d", c.i, n, in.Flags, dir, in.OpenFlags)
	r := c.do(op, id, Size[OpenOut](), Bytes(&in))
	if !w.judge(r, v) {
		return
	}
	w.opened(c, n, part[OpenOut](r, 0).Fh, in.Flags)
	if in.Flags&syscall.O_TRUNC != 0 {
		n.truncatedByOpen(in.OpenFlags != 0 && c.killPriv, w.now)
	}
}

// opCreate is CREATE and TMPFILE.
func opCreate(w *world) {
	c := w.client()
	id, name := w.dir(), w.name()
	uid, gid := w.creator()
	tmp := w.src.n(8) == 0
	in := CreateIn{Flags: w.openFlags() | syscall.O_CREAT, Mode: modes[w.src.n(len(modes))] | syscall.S_IFREG, Umask: 0o77,
		OpenFlags: uint32(w.src.n(4)/3) * FUSE_OPEN_KILL_SUIDGID}
	v := &verdict{}
	x := w.extension(v)
	c.ext = x.raw
	d := w.dirFor(v, id)
	op := uint32(FUSE_CREATE)
	var e *entry
	if tmp {
		op, name = FUSE_TMPFILE, "/"
		v.when(d != nil && d.nlink == 0, syscall.ENOENT)
		// A client that caches writes reads through the handle, and so opens for both.
		v.when(in.Flags&syscall.O_ACCMODE == syscall.O_RDONLY, syscall.EINVAL)
	} else {
		v.checkName(name, syscall.EISDIR, syscall.EEXIST)
		e = d.entryOf(name)
	}
	if e != nil {
		v.when(in.Flags&syscall.O_EXCL != 0, syscall.EEXIST)
		v.when(e.n.isDir(), syscall.EISDIR)
		v.when(e.n.typ == syscall.S_IFLNK, syscall.ELOOP)
		v.when(!e.n.isDir() && e.n.typ != syscall.S_IFREG && e.n.typ != syscall.S_IFLNK, syscall.ENXIO)
	} else {
		v.when(d != nil && d.nlink == 0, syscall.ENOENT)
		w.checkInodes(v)
		w.checkRoom(v, &x, 0)
	}
	w.checkOpen(v)
	w.logf("%d CREATE %v %.20q %#o mode %o by %d:%d kill %d", c.i, d, name, in.Flags, in.Mode, uid, gid, in.OpenFlags)
	r := c.doAs(uid, gid, op, id, Size[EntryOut]()+Size[OpenOut](), Bytes(&in), cstr(name))
	if !w.judge(r, v) {
		return
	}
	var n *node
	switch {
	case tmp:
		n = w.make(d, syscall.S_IFREG, in.Mode, uid, gid, &x)
		n.nlink = 0
		n.linkable = in.Flags&syscall.O_EXCL == 0
	case e == nil:
		n = w.make(d, syscall.S_IFREG, in.Mode, uid, gid, &x)
		d.add(name, n)
		d.modified(w.now)
	default:
		n = e.n
		if in.Flags&syscall.O_TRUNC != 0 {
			n.truncatedByOpen(in.OpenFlags != 0 && c.killPriv, w.now)
		}
	}
	w.opened(c, n, part[OpenOut](r, Size[EntryOut]()).Fh, in.Flags)
	out := part[EntryOut](r, 0)
	w.told(c, n, &out)
}

// opRelease is RELEASE and RELEASEDIR.
func opRelease(w *world) {
	c := w.client()
	id, fh := w.file()
	if h := w.m.handles[fh]; h != nil && w.src.n(8) != 0 {
		c = w.clients[h.client]
	}
	w.release(c, id, fh, w.src.n(16) == 0)
}

func (w *world) release(c *client, id, fh uint64, wrong bool) {
	v := &verdict{}
	n := w.node(v, id)
	h := w.handleFor(v, c, n, fh)
	v.when(fh == 0, syscall.EBADF)
	op := uint32(FUSE_RELEASE)
	if n != nil && n.isDir() != wrong {
		op = FUSE_RELEASEDIR
	}
	v.when(wrong, syscall.EBADF, syscall.ENOTDIR, syscall.EISDIR)
	w.logf("%d RELEASE %v %#x by %d", c.i, n, fh, op)
	r := c.do(op, id, 0, Bytes(&ReleaseIn{Fh: fh, LockOwner: 1}))
	if w.judge(r, v) {
		for _, x := range w.m.waits {
			x.ended = x.ended || x.fh == fh
		}
		h.close()
	}
}

// opFlush is FLUSH, FSYNC and SYNCFS.
func opFlush(w *world) {
	c := w.client()
	id, fh := w.file()
	v := &verdict{}
	n := w.node(v, id)
	var r *reply
	switch w.src.n(6) {
	case 0:
		w.handleFor(v, c, n, fh)
		v.add(syscall.ENOSYS)
		w.logf("%d FSYNC", c.i)
		r = c.do(one[uint32](&w.src, FUSE_FSYNC, FUSE_FSYNCDIR), id, 0, Bytes(&FsyncIn{Fh: fh}))
	case 1:
		w.logf("%d SYNCFS", c.i)
		r = c.do(FUSE_SYNCFS, id, 0, Bytes(&SyncfsIn{}))
	default:
		w.handleFor(v, c, n, fh)
		v.when(!c.posixLocks, syscall.ENOSYS)
		by := owner{c.i, uint64(w.src.n(3))}
		w.logf("%d FLUSH %v owner %d", c.i, n, by.id)
		if r = c.do(FUSE_FLUSH, id, 0, Bytes(&FlushIn{Fh: fh, LockOwner: by.id})); r.errno == 0 && n != nil {
			delete(n.ranges, by)
			delete(n.ties, by)
		}
	}
	w.judge(r, v)
}

// opRead is READ.
func opRead(w *world) {
	c := w.client()
	id, fh := w.file()
	v := &verdict{}
	n := w.node(v, id)
	w.handleFor(v, c, n, fh)
	w.wantRegular(v, n, syscall.EINVAL, syscall.EBADF)
	end := uint64(0)
	if n != nil {
		end = n.size
	}
	off, size := w.src.offset(end), min(w.src.size(), 1<<17)
	v.when(off > maxSize, syscall.EINVAL)
	w.logf("%d READ %v %d at %d", c.i, n, size, off)
	r := c.do(FUSE_READ, id, int(size), Bytes(&ReadIn{Fh: fh, Offset: off, Size: uint32(size)}))
	if !w.judge(r, v) {
		return
	}
	n.atime.maybe(w.now)
	w.compare(r.payload(), n.read(off, size))
}

// readAll reads what matters of a file.
func (w *world) readAll(c *client, n *node) {
	const piece = 1 << 18
	for _, off := range []uint64{0, piece, 1<<21 - piece/2, n.size - min(n.size, piece)} {
		w.logf("READ %v %d at %d", n, piece, off)
		r := c.do(FUSE_READ, n.id, piece, Bytes(&ReadIn{Offset: off, Size: piece}))
		if w.judge(r, &verdict{}) {
			w.compare(r.payload(), n.read(off, piece))
			n.atime.maybe(w.now)
		}
		if off+piece >= n.size {
			break
		}
	}
}

func (w *world) compare(got, want []byte) {
	if bytes.Equal(got, want) {
		return
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			w.fail("byte %d of %d is %#x, want %#x", i, len(want), got[i], want[i])
		}
	}
	w.fail("reads %d bytes, want %d", len(got), len(want))
}

// opWrite is WRITE.
func opWrite(w *world) {
	c := w.client()
	id, fh := w.file()
	v := &verdict{}
	n := w.node(v, id)
	h := w.writableFor(v, c, n, fh)
	w.wantRegular(v, n, syscall.EINVAL, syscall.EBADF)
	end := uint64(0)
	if n != nil {
		end = n.size
	}
	s := &w.src
	in := WriteIn{Fh: fh, Offset: s.offset(end)}
	data := w.pattern(int(min(s.size(), 1<<17)))
	in.Size = uint32(len(data))
	in.Flags = one[uint32](s, syscall.O_RDWR, 0, syscall.O_WRONLY, syscall.O_RDWR|syscall.O_APPEND)
	in.WriteFlags = one[uint32](s, 0, 0, FUSE_WRITE_CACHE, FUSE_WRITE_KILL_SUIDGID, FUSE_WRITE_LOCKOWNER)
	appends := in.Flags&syscall.O_APPEND != 0 || in.Flags == 0 && h != nil && h.flags&syscall.O_APPEND != 0
	appends = appends && !c.writeback && in.WriteFlags&FUSE_WRITE_CACHE == 0
	w.logf("%d WRITE %v %d at %d append %v flags %#o %d", c.i, n, in.Size, in.Offset, appends, in.Flags, in.WriteFlags)
	off := in.Offset
	var least, most uint64
	if appends {
		if off > maxSize {
			v.allow(syscall.EINVAL, syscall.EFBIG)
		}
		off = end
	}
	v.when(off > maxSize, syscall.EINVAL, syscall.EFBIG)
	v.when(off == maxSize && in.Size > 0, syscall.EFBIG)
	if n != nil && n.typ == syscall.S_IFREG && off < maxSize {
		size := min(uint64(in.Size), maxSize-off)
		least, most = n.writable(off, size)
		v.when(size > 0 && most == 0, syscall.ENOSPC)
		if size > 0 && least == 0 {
			v.allow(syscall.ENOSPC)
		}
	}
	r := c.do(FUSE_WRITE, id, Size[WriteOut](), Bytes(&in), data)
	if !w.judge(r, v) {
		return
	}
	got := uint64(part[WriteOut](r, 0).Size)
	w.outcome("%d", got)
	if got < least || got > most {
		w.fail("writes %d bytes, want %d to %d", got, least, most)
	}
	if got == 0 {
		return
	}
	n.write(off, data[:got])
	if in.WriteFlags&FUSE_WRITE_KILL_SUIDGID != 0 && c.killPriv {
		n.killSuidgid()
	}
	n.dropCapability()
	n.modified(w.now)
}

const (
	keepSize  = 1 // linux/falloc.h
	punchHole = 2
	zeroRange = 16
)

// opFallocate is FALLOCATE.
func opFallocate(w *world) {
	c := w.client()
	id, fh := w.file()
	v := &verdict{}
	n := w.node(v, id)
	w.writableFor(v, c, n, fh)
	w.wantRegular(v, n, syscall.ENODEV, syscall.EBADF, syscall.EINVAL)
	v.when(n != nil && n.isDir(), syscall.ENODEV)
	end := uint64(0)
	if n != nil {
		end = n.size
	}
	s := &w.src
	in := FallocateIn{Fh: fh, Offset: s.offset(end), Length: s.length()}
	in.Mode = one[uint32](s, 0, 0, keepSize, keepSize|punchHole, keepSize|punchHole, zeroRange, zeroRange|keepSize,
		punchHole, 8, 0x20, 0x40, punchHole|zeroRange|keepSize)
	v.when(in.Length == 0 || in.Offset > maxSize || in.Length > maxSize, syscall.EINVAL, syscall.EFBIG)
	v.when(in.Offset+in.Length > maxSize, syscall.EFBIG, syscall.EINVAL)
	op := in.Mode &^ keepSize
	v.when(op != 0 && op != zeroRange && (op != punchHole || in.Mode != punchHole|keepSize),
		syscall.EOPNOTSUPP, syscall.EINVAL)
	to := in.Offset + in.Length
	if len(v.must) == 0 && op != punchHole {
		may, must := n.enough(in.Offset/pageSize, (to-1)/pageSize+1)
		v.when(!may, syscall.ENOSPC)
		if !must {
			v.allow(syscall.ENOSPC)
		}
	}
	w.logf("%d FALLOCATE %v %d at %d mode %d", c.i, n, in.Length, in.Offset, in.Mode)
	r := c.do(FUSE_FALLOCATE, id, 0, Bytes(&in))
	if !w.judge(r, v) {
		return
	}
	n.dropCapability()
	n.modified(w.now)
	switch op {
	case punchHole:
		n.punch(in.Offset, to)
	case zeroRange:
		n.zeroRange(in.Offset, to)
	default:
		n.allocate(in.Offset, to)
	}
	if in.Mode&keepSize == 0 {
		n.size = max(n.size, to)
	}
}

// opLseek is LSEEK.
func opLseek(w *world) {
	c := w.client()
	id, fh := w.file()
	v := &verdict{}
	n := w.node(v, id)
	w.handleFor(v, c, n, fh)
	w.wantRegular(v, n, syscall.EINVAL, syscall.ESPIPE)
	in := LseekIn{Fh: fh, Whence: one[uint32](&w.src, 3, 4, 3, 4, 3, 4, 0, 9)}
	v.when(in.Whence < 3 || in.Whence > 4, syscall.EINVAL)
	if n != nil {
		in.Offset = w.src.offset(n.size)
		v.when(in.Offset >= n.size, syscall.ENXIO)
		if in.Whence == 3 {
			may, must := n.hasData(in.Offset)
			v.when(!may, syscall.ENXIO)
			if !must {
				v.allow(syscall.ENXIO)
			}
		}
	}
	w.logf("%d LSEEK %v %d from %d", c.i, n, in.Whence, in.Offset)
	r := c.do(FUSE_LSEEK, id, Size[LseekOut](), Bytes(&in))
	if w.judge(r, v) {
		if at := part[LseekOut](r, 0).Offset; !n.canSeek(in.Whence == 3, in.Offset, at) {
			w.fail("finds %d in a file of %d bytes", at, n.size)
		}
	}
}

// opCopy is COPY_FILE_RANGE and COPY_FILE_RANGE_64.
func opCopy(w *world) {
	c := w.client()
	from, fhIn := w.file()
	to, fhOut := w.file()
	s, v := &w.src, &verdict{}
	if s.n(4) == 0 {
		to, fhOut = from, fhIn
	}
	n, d := w.node(v, from), w.node(v, to)
	w.handleFor(v, c, n, fhIn)
	w.writableFor(v, c, d, fhOut)
	w.wantRegular(v, n, syscall.EINVAL, syscall.EBADF)
	w.wantRegular(v, d, syscall.EINVAL, syscall.EBADF)
	in := CopyFileRangeIn{FhIn: fhIn, NodeIDOut: to, FhOut: fhOut, Len: s.length(), Flags: uint64(s.n(32) / 31)}
	v.when(in.Flags != 0, syscall.EINVAL)
	var want uint64
	sizes := [2]uint64{}
	if n != nil && d != nil {
		sizes = [2]uint64{n.size, d.size}
	}
	in.OffIn, in.OffOut = s.offset(sizes[0]), s.offset(sizes[1])
	v.when(in.OffIn > maxSize || in.OffOut > maxSize, syscall.EINVAL, syscall.EFBIG, syscall.EOVERFLOW)
	if in.OffIn > maxSize-min(in.Len, maxSize) || in.OffOut > maxSize-min(in.Len, maxSize) {
		v.allow(syscall.EFBIG, syscall.EINVAL, syscall.EOVERFLOW)
	}
	if len(v.must) == 0 {
		if in.OffIn < n.size {
			want = min(in.Len, n.size-in.OffIn, maxSize-in.OffOut)
		}
		if n == d && in.OffIn < in.OffOut+in.Len && in.OffOut < in.OffIn+in.Len {
			// whether it is the length as asked for that counts, what there is, or what is copied at a time, is not said
			if least := min(want, 1<<30); in.OffIn < in.OffOut+least && in.OffOut < in.OffIn+least {
				v.add(syscall.EINVAL)
			} else {
				v.allow(syscall.EINVAL)
			}
		}
		v.when(in.OffOut == maxSize && want == 0 && in.OffIn < n.size && in.Len > 0, syscall.EFBIG)
	}
	w.logf("%d COPY_FILE_RANGE %v %d at %d to %v %d", c.i, n, in.Len, in.OffIn, d, in.OffOut)
	tight := false
	if len(v.must) == 0 && want > 0 {
		_, enough := d.enough(in.OffOut/pageSize, (in.OffOut+want-1)/pageSize+1)
		tight = want > 8<<20 || !enough
		if least, _ := d.writable(in.OffOut, 1); least == 0 {
			v.allow(syscall.ENOSPC)
		}
	}
	op := one[uint32](s, FUSE_COPY_FILE_RANGE, FUSE_COPY_FILE_RANGE_64)
	r := c.do(op, from, 8, Bytes(&in))
	if !w.judge(r, v) {
		return
	}
	got := part[CopyFileRangeOut](r, 0).BytesCopied
	w.outcome("%d of %d", got, want)
	if got > want || got == 0 && want > 0 || got < want && !tight || got > math.MaxInt32 && op == FUSE_COPY_FILE_RANGE {
		w.fail("copies %d bytes, want %d", got, want)
	}
	if got > 0 {
		n.copyTo(in.OffIn, d, in.OffOut, got)
		n.atime.maybe(w.now)
		d.dropCapability()
		d.modified(w.now)
	}
}

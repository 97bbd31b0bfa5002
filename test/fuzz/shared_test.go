package fuzz

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/fuse_dispatcher/dispatchertest"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/modules/memfs"
	"github.com/spdk-go/spdk-go/reactor"
)

const (
	maxShared = 1 << 14 // bytes that a request has, and its reply
	sends     = 160     // how often each is sent, while others write into it
)

// shared is memory that a client and the dispatcher share. The client writes through a mapping of its own, so that
// the race detector takes neither for the other's enemy.
type shared struct {
	ours, theirs []byte
	fd           int
}

func newShared(tb testing.TB, size int) *shared {
	fd, err := unix.MemfdCreate("shared", unix.MFD_CLOEXEC)
	if err != nil {
		tb.Fatal(err)
	}
	s := &shared{fd: fd}
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		tb.Fatal(err)
	}
	for _, m := range []*[]byte{&s.ours, &s.theirs} {
		if *m, err = unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
			tb.Fatal(err)
		}
	}
	return s
}

func (s *shared) close() {
	_ = unix.Munmap(s.ours)
	_ = unix.Munmap(s.theirs)
	_ = unix.Close(s.fd)
}

// change is a byte that the client writes.
type change struct {
	at  int // in the memory
	val byte
}

// scribbler is the client at work.
type scribbler struct {
	mem     *shared
	changes []change
	stop    atomic.Bool
	done    chan struct{}
	state   uint32 // of what draws how long a change stays
	started chan struct{}
}

// scribble writes the changes and what was there before, over and over.
func (s *scribbler) scribble() {
	defer close(s.done)
	mem := s.mem.theirs
	close(s.started)
	for !s.stop.Load() {
		for _, c := range s.changes {
			old := mem[c.at]
			mem[c.at] = c.val
			s.dwell()
			mem[c.at] = old
			s.dwell()
		}
	}
}

// halt ends the client's work.
func (s *scribbler) halt() {
	s.stop.Store(true)
	<-s.done
}

// dwell lets up to some 100 ns pass: what is changed back at once is hardly seen by another processor.
func (s *scribbler) dwell() {
	s.state = s.state*1664525 + 1013904223
	for range s.state >> 25 {
		s.stop.Load()
	}
}

// watched is a memfs, and what is asked of it: each request is looked at before and after it is carried out.
type watched struct {
	*memfs.Memfs
	w       *world
	mem     *shared
	changes []change
	secret  fsdev.FileObject
	touched bool // the secret file, by who has guessed its number
}

func (d *watched) Destruct(t *reactor.Thread, done func(t *reactor.Thread, err error)) { done(t, nil) }

// SubmitRequest implements [fsdev.Device]. The changes come between what has been looked at and its use, too.
func (d *watched) SubmitRequest(ch *iochannel.Channel, io *fsdev.IO) {
	d.touched = d.touched || d.secret != 0 && (io.Object == d.secret || io.Object2 == d.secret)
	// What is copied must stay, whatever happens to what it was copied from.
	names := [][]byte{io.Name, io.Name2}
	for _, x := range io.Security {
		names = append(names, x.Name, x.Value)
	}
	before := make([][]byte, len(names))
	for i, name := range names {
		before[i] = bytes.Clone(name)
	}
	d.checkNames(io, before)
	for _, c := range d.changes {
		d.mem.theirs[c.at] ^= 0xff
	}
	typ := io.Type
	d.Memfs.SubmitRequest(ch, io)
	for i, name := range names {
		if !bytes.Equal(name, before[i]) {
			d.w.fail("%v: a name was %q and is %q", typ, before[i], name)
		}
	}
	for _, c := range d.changes {
		d.mem.theirs[c.at] ^= 0xff
	}
}

// checkNames wants names to be names.
func (d *watched) checkNames(io *fsdev.IO, names [][]byte) {
	check := func(name []byte) {
		if len(name) == 0 || len(name) > 255 || bytes.ContainsAny(name, "/\x00") {
			d.w.fail("%v of the name %q", io.Type, name)
		}
	}
	switch io.Type {
	case fsdev.IOLookup, fsdev.IOMknod, fsdev.IOMkdir, fsdev.IOUnlink, fsdev.IORmdir, fsdev.IOLink, fsdev.IOCreate,
		fsdev.IOSymlink:
		check(names[0])
	case fsdev.IORename:
		check(names[0])
		check(names[1])
	case fsdev.IOSetxattr, fsdev.IOGetxattr, fsdev.IORemovexattr:
		if name := names[0]; len(name) == 0 || len(name) > 255 || bytes.IndexByte(name, 0) >= 0 {
			d.w.fail("%v of the attribute %q", io.Type, name)
		}
	}
	if io.Type == fsdev.IOSymlink && (len(names[1]) == 0 || len(names[1]) > 4095 || bytes.IndexByte(names[1], 0) >= 0) {
		d.w.fail("a link to %q", names[1])
	}
	if l := io.Lock; (io.Type == fsdev.IOSetlk || io.Type == fsdev.IOGetlk) && (l.Start > l.End || l.End > maxSize) {
		d.w.fail("%v of %+v", io.Type, l)
	}
	n := 0
	for _, v := range io.Iovs {
		n += len(v)
	}
	if n < int(io.Size) && (io.Type == fsdev.IORead || io.Type == fsdev.IOWrite) {
		d.w.fail("%v of %d bytes with memory for %d", io.Type, io.Size, n)
	}
}

// FuzzSharedMemory sends a request that somebody else goes on writing into, and into the room for its reply, while it
// is read and carried out; byte by byte, as changes say: in groups of three, two for the place and one for the value.
// cuts says how both are cut, and how much room there is.
func FuzzSharedMemory(f *testing.F) {
	for _, c := range dispatchertest.Cases() {
		m := dispatchertest.Message(InHeader{Opcode: c.Op, Unique: 2, NodeID: 2}, c.Parts()...)
		f.Add(m, []byte{200, 30}, []byte{0, 0, 255, 0, 40, 1, 0, 56, '/', 0, 60, 0, 128, 20, 7})
		f.Add(m, []byte{24, 44, 8, 8, 8}, []byte{0, 0, 44, 0, 4, 9, 0, 16, 3, 0, 48, 255, 0, 49, 255, 128, 0, 1})
		// a name that ends earlier, or later, and has a slash
		name := Size[InHeader]() + len(c.Args)
		for i := name + 1; i < min(name+3, len(m)); i++ {
			f.Add(m, []byte{200}, []byte{0, byte(i), 0})
			f.Add(m, []byte{200, byte(name + 1)}, []byte{0, byte(i), '/', 0, byte(len(m) - 1), 'x'})
		}
	}
	for _, m := range dispatchertest.Recorded() {
		if len(m) >= Size[InHeader]() {
			f.Add(m, []byte{200, 41, 9}, []byte{0, 0, 255, 0, 16, 1, 0, 47, 255, 0, byte(len(m) - 1), '/', 128, 17, 7})
		}
	}
	f.Fuzz(fuzzSharedMemory)
}

func fuzzSharedMemory(t *testing.T, raw, cuts, changes []byte) {
	if len(raw) < Size[InHeader]() || len(raw) > maxShared-64 || len(cuts) > 32 || len(changes) > 96 || len(cuts) == 0 {
		return
	}
	w := newStage(t)
	th := w.Threads[0]
	var err error
	if w.mem, err = memfs.Create(th, nameOfDev, memfs.Opts{Size: 1 << 22, Inodes: 200, NoHugePages: true}); err != nil {
		t.Fatal(err)
	}
	d := &watched{Memfs: w.mem, w: w, mem: newShared(t, 3*maxShared)}
	defer d.mem.close()
	dev, err := fsdev.Register(th, "watched", nil, d)
	if err != nil {
		t.Fatal(err)
	}
	w.m = newModel(1<<10, 200, 1000, 1000) // for nothing but its being there
	w.rng = newRand(uint64(cuts[0]))
	bad, good := w.addClient("watched", 0), w.addClient("watched", 0)
	bad.init(1<<63 - 1)
	good.init(1<<63 - 1)
	secret, fh, content := d.makeSecret(good)
	p := makePlaces(bad)

	b := &sharedBuffer{d: d, c: bad, raw: slices.Clone(raw), cuts: cuts}
	p.fix(b.raw)
	b.lay(int(cuts[0]) * 16)
	for i := 0; i+2 < len(changes); i += 3 {
		d.changes = append(d.changes, change{b.place(int(binary.BigEndian.Uint16(changes[i:]))), changes[i+2]})
	}
	b.changed = d.changes
	s := &scribbler{mem: d.mem, changes: d.changes, done: make(chan struct{}), started: make(chan struct{})}
	go s.scribble()
	defer s.halt()
	<-s.started
	n := sends
	if testing.Short() {
		n /= 8
	}
	for range n {
		b.send()
	}
	s.halt()
	d.changes = nil

	bad.init(1<<63 - 1) // whatever the session was like: it ends what waits
	b.check()
	w.wantNames(bad, rootID, map[uint64]bool{})
	r := good.do(FUSE_READ, secret, len(content), Bytes(&ReadIn{Fh: fh, Size: uint32(len(content))}))
	if !d.touched && (r.errno != 0 || !bytes.Equal(r.payload(), content)) {
		w.fail("the other client's file has changed: %v", r.errno)
	}
	for _, c := range w.clients {
		if r := c.do(FUSE_DESTROY, 0, 0); r.errno != 0 {
			w.fail("%v", r.errno)
		}
	}
	w.close(dev)
}

// makeSecret makes an open file without a name, which only who guesses its number can touch.
func (d *watched) makeSecret(c *client) (id, fh uint64, content []byte) {
	content = bytes.Repeat([]byte("secret"), 2000)
	in := CreateIn{Flags: syscall.O_RDWR | syscall.O_EXCL, Mode: syscall.S_IFREG | 0o600}
	r := c.do(FUSE_TMPFILE, rootID, 144, Bytes(&in), cstr("/"))
	id, fh = part[EntryOut](r, 0).NodeID, part[OpenOut](r, Size[EntryOut]()).Fh
	c.do(FUSE_WRITE, id, 8, Bytes(&WriteIn{Fh: fh, Size: uint32(len(content)), Flags: syscall.O_RDWR}), content)
	d.secret = fsdev.FileObject(id)
	return id, fh, content
}

// places are what a request can be about.
type places struct{ ids, fhs []uint64 }

// makePlaces makes a directory, a file, a link and a fifo, and opens two of them.
func makePlaces(c *client) *places {
	p := &places{ids: []uint64{rootID}}
	create := func(flags uint32) {
		in := CreateIn{Flags: syscall.O_RDWR | syscall.O_CREAT | flags, Mode: syscall.S_IFREG | 0o644}
		r := c.do(FUSE_CREATE, rootID, 144, Bytes(&in), cstr(strings.Repeat("f", 1+len(p.ids))))
		id, fh := part[EntryOut](r, 0).NodeID, part[OpenOut](r, Size[EntryOut]()).Fh
		p.ids, p.fhs = append(p.ids, id), append(p.fhs, fh)
		c.do(FUSE_WRITE, id, 8, Bytes(&WriteIn{Fh: fh, Size: 9000, Flags: syscall.O_RDWR}), make([]byte, 9000))
	}
	p.fhs = append(p.fhs, part[OpenOut](c.do(FUSE_OPENDIR, rootID, 16, Bytes(&OpenIn{})), 0).Fh)
	create(0)
	create(syscall.O_APPEND)
	r := c.do(FUSE_MKDIR, rootID, 128, Bytes(&MkdirIn{Mode: 0o755}), cstr("d"))
	p.ids = append(p.ids, part[EntryOut](r, 0).NodeID)
	p.fhs = append(p.fhs, part[OpenOut](c.do(FUSE_OPENDIR, p.ids[3], 16, Bytes(&OpenIn{})), 0).Fh)
	r = c.do(FUSE_SYMLINK, rootID, 128, cstr("l"), cstr("where/to"))
	p.ids, p.fhs = append(p.ids, part[EntryOut](r, 0).NodeID), append(p.fhs, 0)
	return p
}

// fix makes a request one about what there is: the number in its node and handle fields chooses.
func (p *places) fix(raw []byte) {
	h := Overlay[InHeader](slices.Clone(raw[:Size[InHeader]()]))
	i := h.NodeID % uint64(len(p.ids))
	binary.NativeEndian.PutUint64(raw[16:], p.ids[i])
	binary.NativeEndian.PutUint32(raw, uint32(len(raw)))
	word := func(off int, of []uint64, fallback uint64) {
		if len(raw) >= off+8 {
			if k := binary.NativeEndian.Uint64(raw[off:]) % 8; k < uint64(len(of)) {
				fallback = of[k]
			}
			binary.NativeEndian.PutUint64(raw[off:], fallback)
		}
	}
	switch h.Opcode {
	case FUSE_LINK, FUSE_RENAME, FUSE_RENAME2:
		word(40, p.ids, rootID)
	case FUSE_GETATTR, FUSE_SETATTR, FUSE_STATX:
		word(48, p.fhs, p.fhs[i])
	case FUSE_COPY_FILE_RANGE, FUSE_COPY_FILE_RANGE_64:
		word(40, p.fhs, p.fhs[i])
		word(56, p.ids, p.ids[1])
		word(64, p.fhs, p.fhs[1])
	case FUSE_READ, FUSE_WRITE, FUSE_RELEASE, FUSE_FSYNC, FUSE_FLUSH, FUSE_READDIR, FUSE_READDIRPLUS, FUSE_RELEASEDIR,
		FUSE_GETLK, FUSE_SETLK, FUSE_SETLKW, FUSE_FALLOCATE, FUSE_LSEEK, FUSE_POLL, FUSE_IOCTL:
		word(40, p.fhs, p.fhs[i])
	}
}

// sharedBuffer is a request and the room for its reply, in shared memory with guards around every segment of the
// latter.
type sharedBuffer struct {
	d       *watched
	c       *client
	raw     []byte
	cuts    []byte
	in, out [][]byte
	room    int
	guards  [][]byte // what lies between
	changed []change
	sent    []*sharedReply
}

// sharedReply is one of the times that it is sent.
type sharedReply struct {
	b     *sharedBuffer
	done  int
	errno syscall.Errno
	len   uint32
}

const smallGuard = 16

// lay lays out the memory.
func (b *sharedBuffer) lay(room int) {
	mem := b.d.mem.ours
	for i := range mem {
		mem[i] = paint
	}
	copy(mem, b.raw)
	in := mem[:len(b.raw):len(b.raw)]
	out := mem[maxShared:]
	b.room = room
	for _, c := range b.cuts[1:] {
		at := int(c) % (len(in) + 1)
		b.in = append(b.in, in[:at:at])
		in = in[at:]
		at = int(c) % (room + 1)
		b.guards = append(b.guards, out[:smallGuard])
		b.out = append(b.out, out[smallGuard:][:at:at])
		out = out[smallGuard+at:]
		room -= at
	}
	b.in = append(b.in, in)
	b.guards = append(b.guards, out[:smallGuard], out[smallGuard+room:])
	b.out = append(b.out, out[smallGuard:][:room:room])
}

// place returns where in the memory a change goes: at a byte of the request, or with the highest bit of one of the
// room for its reply.
func (b *sharedBuffer) place(n int) int {
	if n&0x8000 == 0 || b.room == 0 {
		return n & 0x7fff % len(b.raw)
	}
	n = n & 0x7fff % b.room
	at := maxShared
	for _, seg := range b.out {
		at += smallGuard
		if n < len(seg) {
			return at + n
		}
		n -= len(seg)
		at += len(seg)
	}
	panic("the segments are less than the room")
}

// send submits the request and polls until nothing moves any more.
func (b *sharedBuffer) send() {
	w := b.d.w
	waiting := 0
	for _, r := range b.sent {
		if r.done == 0 {
			waiting++
		}
	}
	if waiting >= maxRequests { // for locks: there is room for INIT still, and not for this
		return
	}
	r := &sharedReply{b: b}
	i := w.rng.IntN(threads)
	if errno := b.c.d.SubmitRequest(b.c.chans[i], b.in, b.out, sharedDone, r); errno != 0 {
		w.fail("SubmitRequest: %v", errno)
	}
	b.sent = append(b.sent, r)
	if r.done > 0 {
		w.fail("completed inside SubmitRequest")
	}
	w.PollThreads()
}

func sharedDone(ctx any, errno syscall.Errno, replyLen uint32) {
	r := ctx.(*sharedReply)
	r.done++
	r.errno, r.len = errno, replyLen
	w := r.b.d.w
	if r.done > 1 {
		w.fail("completed %d times", r.done)
	}
	if int(r.len) > r.b.room || r.len > 0 && r.len < 16 || errno != 0 && r.len != 0 && r.len != 16 {
		w.fail("a reply of %d bytes in %d, with %v", r.len, r.b.room, errno)
	}
}

// check wants every request to have completed, and nothing to be written beside replies.
func (b *sharedBuffer) check() {
	for _, r := range b.sent {
		if r.done != 1 {
			b.d.w.fail("completed %d times", r.done)
		}
	}
	for _, g := range b.guards {
		if i := slices.IndexFunc(g, func(c byte) bool { return c != paint }); i >= 0 {
			b.d.w.fail("byte %d of the guard of %d has become %#x", i, len(g), g[i])
		}
	}
	for _, c := range b.changed {
		if c.at < len(b.raw) {
			b.raw[c.at] = b.d.mem.ours[c.at]
		}
	}
	if got := b.d.mem.ours[:len(b.raw)]; !bytes.Equal(got, b.raw) {
		b.d.w.fail("the request has been written to: %x", got)
	}
}

// wantNames looks at all names of a tree.
func (w *world) wantNames(c *client, dir uint64, seen map[uint64]bool) {
	seen[dir] = true
	offset := uint64(0)
	for {
		r := c.do(FUSE_READDIRPLUS, dir, pageSize, Bytes(&ReadIn{Offset: offset, Size: pageSize}))
		if r.errno != 0 && r.errno != syscall.ENOENT {
			w.fail("READDIRPLUS: %v", r.errno)
		}
		end := len(r.payload())
		if end == 0 {
			return
		}
		for at := 0; at < end; {
			e, de := part[EntryOut](r, at), part[Dirent](r, at+Size[EntryOut]())
			name := r.payload()[at+Size[EntryOut]()+Size[Dirent]():][:de.Namelen]
			if len(name) == 0 || len(name) > 255 || bytes.ContainsAny(name, "/\x00") {
				w.fail("there is a file %q", name)
			}
			if de.Type == syscall.S_IFDIR>>12 && e.NodeID != 0 && !seen[e.NodeID] {
				w.wantNames(c, e.NodeID, seen)
			}
			at += DirentplusSize(int(de.Namelen))
			offset = de.Off
		}
	}
}

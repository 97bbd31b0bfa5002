package fusedispatcher_test

import (
	"bytes"
	"encoding/binary"
	"log/slog"
	"slices"
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

// Handles of the fake file system. FUSE_ROOT_ID stands for the root towards the client.
const (
	fakeRoot   fsdev.FileObject = 5 << 32
	fakeFile   fsdev.FileObject = 7<<32 | 3
	fakeHandle fsdev.FileHandle = 9<<32 | 4
)

// fakeFS is a module's device that records what it is asked and does what the test says.
// It is for threads that are polled by hand, so nothing in it is locked.
type fakeFS struct {
	f     *fsdev.Fsdev
	ioDev *iochannel.Device
	// calls are the requests but MOUNT, UMOUNT and ABORT, as request returns them.
	calls []fsdev.IO
	data  [][]byte // of WRITE, as a copy
	// do handles a request; nil fills and completes it at once.
	do func(io *fsdev.IO)
	// raw does instead of do, and nothing is recorded.
	raw func(io *fsdev.IO)
	// mount handles MOUNT, nil accepts it, has byte-range locks and knows what may follow names.
	mount   func(io *fsdev.IO)
	umount  func(io *fsdev.IO) // nil completes it
	abort   func(io *fsdev.IO) // nil ends what is pending
	pending []*fsdev.IO
	mounts  int // MOUNT less UMOUNT
	refuse  func(t *reactor.Thread) bool
}

func newFakeFS(tb testing.TB, t *reactor.Thread, name string) *fakeFS {
	tb.Helper()
	fs := &fakeFS{}
	var err error
	fs.ioDev, err = iochannel.RegisterDevice(t, fs, "fake", func(ch *iochannel.Channel, _ *struct{}) syscall.Errno {
		if fs.refuse != nil && fs.refuse(ch.Thread()) {
			return syscall.ENOMEM
		}
		return 0
	}, nil)
	if err != nil {
		tb.Fatal(err)
	}
	if fs.f, err = fsdev.Register(t, name, nil, fs); err != nil {
		tb.Fatal(err)
	}
	return fs
}

func (fs *fakeFS) IOChannel(t *reactor.Thread) *iochannel.Channel { return fs.ioDev.Get(t) }

func (fs *fakeFS) Destruct(t *reactor.Thread, done func(t *reactor.Thread, err error)) {
	fs.ioDev.Unregister(t, func(t *reactor.Thread, _ any) { done(t, nil) }, nil)
}

func (fs *fakeFS) SubmitRequest(_ *iochannel.Channel, io *fsdev.IO) {
	switch io.Type {
	case fsdev.IOMount:
		if fs.mount == nil {
			io.Mount.PosixLocks, io.Mount.SecurityCtx, io.Mount.SuppGroup = true, true, true
			fs.mounted(io)
			return
		}
		fs.mount(io)
	case fsdev.IOUmount:
		if fs.umount == nil {
			fs.umounted(io)
			return
		}
		fs.umount(io)
	case fsdev.IOAbort:
		if fs.abort == nil {
			fs.aborted(io)
			return
		}
		fs.abort(io)
	default:
		if fs.raw != nil {
			fs.raw(io)
			return
		}
		fs.calls = append(fs.calls, request(io))
		if io.Type == fsdev.IOWrite {
			fs.data = append(fs.data, slices.Concat(io.Iovs...))
		}
		if fs.do == nil {
			fill(io)
			io.Complete(0)
			return
		}
		fs.do(io)
	}
}

// hold keeps a request in flight.
func (fs *fakeFS) hold(io *fsdev.IO) { fs.pending = append(fs.pending, io) }

// release completes what is held, the oldest first.
func (fs *fakeFS) release(errno syscall.Errno) {
	pending := fs.pending
	fs.pending = nil
	for _, io := range pending {
		fill(io)
		io.Complete(errno)
	}
}

func (fs *fakeFS) mounted(io *fsdev.IO) {
	fs.mounts++
	io.OutObject = fakeRoot
	io.Complete(0)
}

func (fs *fakeFS) umounted(io *fsdev.IO) {
	fs.mounts--
	io.Complete(0)
}

func (fs *fakeFS) aborted(io *fsdev.IO) {
	if i := slices.Index(fs.pending, io.Target); i >= 0 {
		fs.pending = slices.Delete(fs.pending, i, i+1)
		io.Target.Complete(syscall.EINTR)
		io.Complete(0)
		return
	}
	io.Complete(syscall.EALREADY)
}

// request returns what io asks for, without payload: the fields that its operation has.
func request(io *fsdev.IO) fsdev.IO {
	r := fsdev.IO{Type: io.Type, Object: io.Object}
	switch io.Type {
	case fsdev.IOLookup, fsdev.IOUnlink, fsdev.IORmdir, fsdev.IORemovexattr:
		r.Name = bytes.Clone(io.Name)
	case fsdev.IOForget:
		r.Nlookup = io.Nlookup
	case fsdev.IOGetattr, fsdev.IORelease, fsdev.IOReleasedir:
		r.Handle = io.Handle
	case fsdev.IOSetattr:
		r.Handle, r.Attr, r.Flags = io.Handle, io.Attr, io.Flags
	case fsdev.IOSymlink, fsdev.IOMknod, fsdev.IOMkdir:
		r.Name = bytes.Clone(io.Name)
		creator(&r, io)
		switch io.Type {
		case fsdev.IOSymlink:
			r.Name2 = bytes.Clone(io.Name2)
		case fsdev.IOMknod:
			r.Mode, r.Rdev = io.Mode, io.Rdev
		default:
			r.Mode = io.Mode
		}
	case fsdev.IORename:
		r.Name, r.Object2, r.Name2, r.Flags = bytes.Clone(io.Name), io.Object2, bytes.Clone(io.Name2), io.Flags
	case fsdev.IOLink:
		r.Object2, r.Name = io.Object2, bytes.Clone(io.Name)
	case fsdev.IOFopen, fsdev.IOOpendir:
		r.Flags = io.Flags
	case fsdev.IOCreate:
		r.Name, r.Mode, r.Flags = bytes.Clone(io.Name), io.Mode, io.Flags
		creator(&r, io)
	case fsdev.IORead, fsdev.IOWrite:
		r.Handle, r.Offset, r.Size, r.Flags = io.Handle, io.Offset, io.Size, io.Flags
	case fsdev.IOFsync, fsdev.IOFsyncdir:
		r.Handle, r.Datasync = io.Handle, io.Datasync
	case fsdev.IOFlush:
		r.Handle, r.Owner = io.Handle, io.Owner
	case fsdev.IOSetxattr:
		r.Name, r.Value, r.Flags = bytes.Clone(io.Name), bytes.Clone(io.Value), io.Flags
	case fsdev.IOGetxattr:
		r.Name, r.Size = bytes.Clone(io.Name), io.Size
	case fsdev.IOListxattr:
		r.Size = io.Size
	case fsdev.IOReaddir:
		r.Handle, r.Offset, r.Plus = io.Handle, io.Offset, io.Plus
	case fsdev.IOFlock:
		r.Handle, r.Flags, r.Owner = io.Handle, io.Flags, io.Owner
	case fsdev.IOFallocate:
		r.Handle, r.Mode, r.Offset, r.Length = io.Handle, io.Mode, io.Offset, io.Length
	case fsdev.IOCopyFileRange:
		r.Handle, r.Offset, r.Length, r.Flags = io.Handle, io.Offset, io.Length, io.Flags
		r.Object2, r.Handle2, r.Offset2 = io.Object2, io.Handle2, io.Offset2
	case fsdev.IOLseek:
		r.Handle, r.Offset, r.Flags = io.Handle, io.Offset, io.Flags
	case fsdev.IOStatx:
		r.Handle, r.Flags, r.Mode = io.Handle, io.Flags, io.Mode
	case fsdev.IOTmpfile:
		r.Mode, r.Flags = io.Mode, io.Flags
		creator(&r, io)
	case fsdev.IOGetlk:
		r.Handle, r.Owner, r.Lock = io.Handle, io.Owner, io.Lock
	case fsdev.IOSetlk:
		r.Handle, r.Owner, r.Lock, r.Wait = io.Handle, io.Owner, io.Lock, io.Wait
	case fsdev.IOIoctl:
		r.Handle, r.Flags, r.Length, r.Value, r.Size = io.Handle, io.Flags, io.Length, bytes.Clone(io.Value), io.Size
	case fsdev.IOPoll:
		r.Handle, r.Flags, r.Owner, r.Wait = io.Handle, io.Flags, io.Owner, io.Wait
	}
	return r
}

// creator copies what io says of who creates a file.
func creator(r, io *fsdev.IO) {
	r.UID, r.GID, r.Umask, r.HasGroup = io.UID, io.GID, io.Umask, io.HasGroup
	if io.HasGroup {
		r.Group = io.Group
	}
	for _, x := range io.Security {
		r.Security = append(r.Security, fsdev.Xattr{Name: bytes.Clone(x.Name), Value: bytes.Clone(x.Value)})
	}
}

var fakeAttr = fsdev.Attr{
	Ino: 201, Size: 202, Blocks: 203, Atime: 204, Mtime: 205, Ctime: 206, AtimeNsec: 207, MtimeNsec: 208,
	CtimeNsec: 209, Mode: syscall.S_IFREG | 0o644, Nlink: 211, UID: 212, GID: 213, Rdev: 214, Blksize: 215,
}

var fakeStatx = fsdev.Statx{
	Mask: 301, Attributes: 302, AttributesMask: 303, Btime: 304, BtimeNsec: 305, Attr: fakeAttr,
}

var fakeLock = fsdev.Lock{Type: syscall.F_WRLCK, PID: 401, Start: 402, End: 403}

var fakeStatfs = fsdev.Statfs{Blocks: 1, Bfree: 2, Bavail: 3, Files: 4, Ffree: 5, Bsize: 6, Frsize: 7, Namelen: 8}

const fakeTarget = "where/to"

// pattern is what the fake reads.
func pattern(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i*7 + 1)
	}
	return p
}

// fill sets the results of a success.
func fill(io *fsdev.IO) {
	io.OutObject, io.OutHandle, io.OutTarget = fakeFile, fakeHandle, []byte(fakeTarget)
	io.OutAttr, io.OutStatfs, io.OutStatx = fakeAttr, fakeStatfs, fakeStatx
	switch io.Type {
	case fsdev.IOLseek:
		io.OutSize = 501
	case fsdev.IOPoll:
		io.OutResult = 502
	case fsdev.IOGetlk:
		io.Lock = fakeLock
	case fsdev.IOWrite:
		io.OutSize = uint64(io.Size)
	case fsdev.IOCopyFileRange:
		io.OutSize = io.Length
	case fsdev.IORead, fsdev.IOGetxattr, fsdev.IOListxattr, fsdev.IOIoctl:
		io.OutSize, io.OutResult = uint64(io.Size), 503
		if io.Size == 0 && (io.Type == fsdev.IOGetxattr || io.Type == fsdev.IOListxattr) {
			io.OutSize = 33
		}
		rest := pattern(int(io.Size))
		for _, v := range io.Iovs {
			rest = rest[copy(v, rest):]
		}
	case fsdev.IOReaddir:
		for i, name := range []string{".", "a", "longer name"} {
			obj := fsdev.FileObject(0)
			if io.Plus && i > 0 {
				obj = fakeFile + fsdev.FileObject(i)
			}
			if !io.Emit([]byte(name), obj, &fakeAttr, uint64(i+1)) {
				return
			}
		}
	}
}

// bed is a dispatcher over a fake file system, with a channel on every thread.
type bed struct {
	*reactortest.Harness
	tb     testing.TB
	t      *reactor.Thread // app and control thread
	fs     *fakeFS
	d      *fusedispatcher.Dispatcher
	chans  []*iochannel.Channel
	unique uint64
	cur    *reactor.Thread // that is being polled
	live   []*reply        // submitted and not completed
	events int
}

// Poll gives a thread one round.
func (b *bed) Poll(t *reactor.Thread) bool {
	b.cur = t
	defer func() { b.cur = nil }()
	return t.Poll(0, 0)
}

// PollOnce gives every thread one round.
func (b *bed) PollOnce() (busy bool) {
	for _, t := range b.Threads {
		busy = b.Poll(t) || busy
	}
	return busy
}

// PollThreads polls until no thread has anything to do.
func (b *bed) PollThreads() {
	for i := 0; b.PollOnce(); i++ {
		if i > 1_000_000 {
			b.tb.Helper()
			b.tb.Fatal("the threads never come to rest")
		}
	}
}

const fsName = "fs0"

var smallPool = fsdev.Opts{IOPoolSize: 64, IOCacheSize: 2}

// newBed makes a bed and, at the end of the test, checks that a new INIT works and that
// nothing is left after a Delete.
func newBed(tb testing.TB, threads int, o fusedispatcher.Opts) *bed {
	tb.Helper()
	b := &bed{Harness: reactortest.New(tb, threads), tb: tb}
	b.t = b.Threads[0]
	if err := fsdev.Initialize(b.t, smallPool); err != nil {
		tb.Fatal(err)
	}
	b.fs = newFakeFS(tb, b.t, fsName)
	o.FsdevName = fsName
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.MaxRequests == 0 {
		o.MaxRequests = 48
	}
	o.Event = func(t *reactor.Thread, d *fusedispatcher.Dispatcher, ctx any) {
		if t != b.t || d != b.d || ctx != b {
			tb.Errorf("event on %s with %v", t.Name(), ctx)
		}
		b.events++
	}
	o.EventCtx = b
	var err error
	if b.d, err = fusedispatcher.Create(b.t, o); err != nil {
		tb.Fatal(err)
	}
	for _, t := range b.Threads {
		b.chans = append(b.chans, b.d.IOChannel(t))
	}
	tb.Cleanup(b.close)
	return b
}

func (b *bed) close() {
	if b.tb.Failed() {
		return
	}
	b.tb.Helper()
	b.fs.do, b.fs.raw, b.fs.mount, b.fs.umount, b.fs.abort, b.fs.refuse = nil, nil, nil, nil, nil, nil
	if b.d != nil {
		if b.chans[0] == nil {
			b.chans[0] = b.d.IOChannel(b.t)
		}
		b.init(45)
		b.putChannels()
		if errno := b.delete(b.t); errno == nil || *errno != 0 {
			b.tb.Errorf("Delete: %v", errno)
		}
	}
	if len(b.live) > 0 {
		b.tb.Errorf("%d requests have not been completed", len(b.live))
	}
	if b.fs.mounts != 0 {
		b.tb.Errorf("MOUNT less UMOUNT: %d", b.fs.mounts)
	}
	finished := false
	fsdev.Finish(b.t, func(_ *reactor.Thread, _ any, err error) {
		finished = true
		if err != nil {
			b.tb.Error(err)
		}
	}, nil)
	b.PollThreads()
	if !finished {
		b.tb.Error("fsdev.Finish has not called back")
	}
}

// delete deletes the dispatcher and returns what the callback got, nil if it was not called.
func (b *bed) delete(t *reactor.Thread) *syscall.Errno {
	got := b.startDelete(t)
	b.PollThreads()
	return *got
}

// startDelete asks for a Delete; what is returned points to what the callback gets.
func (b *bed) startDelete(t *reactor.Thread) **syscall.Errno {
	got := new(*syscall.Errno)
	b.d.Delete(t, func(on *reactor.Thread, ctx any, errno syscall.Errno) {
		if on != t || ctx != b || *got != nil {
			b.tb.Errorf("Delete of %s called back on %s with %v, %v before", t.Name(), on.Name(), ctx, *got)
		}
		*got = &errno
	}, b)
	return got
}

func (b *bed) putChannels() {
	for i, ch := range b.chans {
		if ch != nil {
			ch.Put()
			b.chans[i] = nil
		}
	}
}

// newSession makes a bed whose client has sent INIT with all flags there are.
func newSession(tb testing.TB, o fusedispatcher.Opts) *bed {
	tb.Helper()
	b := newBed(tb, 1, o)
	b.init(45)
	return b
}

// init takes a client of the minor version through INIT.
func (b *bed) init(minor uint32) InitOut {
	b.tb.Helper()
	return b.initFlags(minor, 1<<63-1)
}

func (b *bed) initFlags(minor uint32, flags uint64) InitOut {
	b.tb.Helper()
	in := InitIn{Major: 7, Minor: minor, MaxReadahead: 1 << 30, Flags: uint32(flags), Flags2: uint32(flags >> 32)}
	r := b.do(0, FUSE_INIT, 0, 80, Bytes(&in))
	if r.errno != 0 {
		b.tb.Fatalf("INIT: %v", r.errno)
	}
	var out InitOut
	copy(Bytes(&out), r.payload())
	return out
}

// paint is what reply vectors hold before.
const paint = 0xA5

// reply is a request on its way and what came of it.
type reply struct {
	b      *bed
	t      *reactor.Thread
	hdr    InHeader
	known  int // bytes of hdr that have been sent
	out    [][]byte
	inside bool // SubmitRequest has not returned
	done   int
	errno  syscall.Errno
	len    uint32
}

// submitDone checks what holds for every completion.
func submitDone(ctx any, errno syscall.Errno, replyLen uint32) {
	r := ctx.(*reply)
	tb := r.b.tb
	r.done++
	r.errno, r.len = errno, replyLen
	if r.inside {
		tb.Errorf("opcode %d completed inside SubmitRequest", r.hdr.Opcode)
	}
	if cur := r.b.cur; cur != nil && r.t != nil && cur != r.t {
		tb.Errorf("opcode %d of %s completed on %s", r.hdr.Opcode, r.t.Name(), cur.Name())
	}
	if r.done > 1 {
		tb.Errorf("opcode %d completed %d times", r.hdr.Opcode, r.done)
	}
	r.b.live = slices.DeleteFunc(r.b.live, func(l *reply) bool { return l == r })
	r.checkForm()
}

// checkForm wants a well-formed reply, or none.
func (r *reply) checkForm() {
	tb := r.b.tb
	buf := slices.Concat(r.out...)
	if int(r.len) > len(buf) {
		tb.Errorf("opcode %d: reply of %d bytes in %d", r.hdr.Opcode, r.len, len(buf))
		return
	}
	if r.len == 0 {
		if r.expectsReply() && len(buf) >= 16 {
			tb.Errorf("opcode %d: no reply", r.hdr.Opcode)
		}
		if slices.ContainsFunc(buf, func(c byte) bool { return c != paint }) {
			tb.Errorf("opcode %d: no reply, but the vector was written", r.hdr.Opcode)
		}
		return
	}
	var hdr OutHeader
	copy(Bytes(&hdr), buf)
	switch {
	case r.len < 16 || hdr.Len != r.len:
		tb.Errorf("opcode %d: reply of %d bytes says %d", r.hdr.Opcode, r.len, hdr.Len)
	case r.known >= 16 && hdr.Unique != r.hdr.Unique:
		tb.Errorf("opcode %d: unique %d, want %d", r.hdr.Opcode, hdr.Unique, r.hdr.Unique)
	case hdr.Error != -int32(r.errno) || r.errno >= 512:
		tb.Errorf("opcode %d: error %d, completed with %d", r.hdr.Opcode, hdr.Error, r.errno)
	case hdr.Error != 0 && hdr.Len != 16:
		tb.Errorf("opcode %d: an error reply of %d bytes", r.hdr.Opcode, hdr.Len)
	case !r.mayReply():
		tb.Errorf("opcode %d: has a reply", r.hdr.Opcode)
	}
}

func (r *reply) mayReply() bool {
	if r.known <= 4 {
		return true
	}
	switch r.hdr.Opcode {
	case FUSE_FORGET, FUSE_BATCH_FORGET, FUSE_NOTIFY_REPLY:
		return false
	}
	return true
}

func (r *reply) expectsReply() bool { return r.mayReply() && r.hdr.Opcode != FUSE_INTERRUPT }

// payload returns the reply behind its header.
func (r *reply) payload() []byte {
	buf := slices.Concat(r.out...)
	if r.len < 16 {
		return nil
	}
	return buf[16:r.len]
}

// send submits a request on thread i; in holds a header.
func (b *bed) send(i int, in, out [][]byte) *reply {
	b.tb.Helper()
	r := &reply{b: b, t: b.Threads[i], out: out}
	r.known = copy(Bytes(&r.hdr), slices.Concat(in...))
	for _, seg := range out {
		for j := range seg {
			seg[j] = paint
		}
	}
	b.live = append(b.live, r)
	r.inside = true
	if errno := b.d.SubmitRequest(b.chans[i], in, out, submitDone, r); errno != 0 {
		b.tb.Errorf("SubmitRequest: %v", errno)
	}
	r.inside = false
	return r
}

// message returns a request with its own unique.
func (b *bed) message(op uint32, node uint64, parts ...[]byte) []byte {
	b.unique += 2
	return message(InHeader{Opcode: op, Unique: b.unique, NodeID: node, UID: 1001, GID: 1002, PID: 1003}, parts...)
}

// start submits a request with room bytes for its reply.
func (b *bed) start(i int, op uint32, node uint64, room int, parts ...[]byte) *reply {
	b.tb.Helper()
	return b.send(i, [][]byte{b.message(op, node, parts...)}, [][]byte{make([]byte, room)})
}

// do takes a request through to its completion.
func (b *bed) do(i int, op uint32, node uint64, room int, parts ...[]byte) *reply {
	b.tb.Helper()
	return b.finish(b.start(i, op, node, room, parts...))
}

func (b *bed) finish(r *reply) *reply {
	b.tb.Helper()
	b.PollThreads()
	if r.done != 1 {
		b.tb.Fatalf("opcode %d completed %d times", r.hdr.Opcode, r.done)
	}
	return r
}

// cut cuts a vector at every given place and puts empty segments in between.
func cut(buf []byte, at ...int) [][]byte {
	segs := [][]byte{{}}
	last := 0
	for _, i := range at {
		segs = append(segs, buf[last:i:i], nil)
		last = i
	}
	return append(segs, buf[last:], []byte{})
}

// bytesEach cuts a vector into segments of one byte.
func bytesEach(buf []byte) [][]byte {
	var segs [][]byte
	for i := range buf {
		segs = append(segs, buf[i:i+1:i+1])
	}
	return segs
}

func u64(v uint64) []byte { return binary.NativeEndian.AppendUint64(nil, v) }

func cstr(s string) []byte { return append([]byte(s), 0) }

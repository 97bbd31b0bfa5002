package fusedispatcher_test

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

// handlerCase is a good request for one opcode: how it is put together, what the module must
// see and what the reply must hold.
type handlerCase struct {
	op      uint32
	args    []byte
	names   []string
	payload []byte
	room    int // that the reply needs, with its header
	io      fsdev.IO
	data    []byte // that a WRITE must carry
	reply   []byte // behind the header
}

func (c *handlerCase) name() string { return fusedispatcher.OpcodeName(c.op) }

func (c *handlerCase) parts() [][]byte {
	parts := [][]byte{c.args}
	for _, n := range c.names {
		parts = append(parts, cstr(n))
	}
	return append(parts, c.payload)
}

const node = uint64(fakeFile)

var wireAttr = Attr{
	Ino: 201, Size: 202, Blocks: 203, Atime: 204, Mtime: 205, Ctime: 206, AtimeNsec: 207, MtimeNsec: 208,
	CtimeNsec: 209, Mode: syscall.S_IFREG | 0o644, Nlink: 211, UID: 212, GID: 213, Rdev: 214, Blksize: 215,
}

var wireStatx = Statx{
	Mask: 301, Blksize: 215, Attributes: 302, Nlink: 211, UID: 212, GID: 213, Mode: syscall.S_IFREG | 0o644,
	Ino: 201, Size: 202, Blocks: 203, AttributesMask: 303,
	Atime: SxTime{TvSec: 204, TvNsec: 207}, Btime: SxTime{TvSec: 304, TvNsec: 305},
	Ctime: SxTime{TvSec: 206, TvNsec: 209}, Mtime: SxTime{TvSec: 205, TvNsec: 208}, RdevMinor: 214,
}

// FS_IOC_FSGETXATTR and FS_IOC_FSSETXATTR. linux/fs.h
const (
	fsGetXattr = 0x801c581f
	fsSetXattr = 0x401c5820
)

var wireEntry = EntryOut{NodeID: node, Generation: 7, EntryValid: 1, AttrValid: 1, Attr: wireAttr}

func join(parts ...[]byte) []byte { return slices.Concat(parts...) }

func dirent(name string, off uint64) []byte {
	d := Dirent{Ino: 201, Off: off, Namelen: uint32(len(name)), Type: 8}
	return append(join(Bytes(&d), []byte(name)), make([]byte, DirentSize(len(name))-24-len(name))...)
}

func direntplus(name string, off uint64, e EntryOut) []byte {
	return join(Bytes(&e), dirent(name, off))
}

func entryOf(obj fsdev.FileObject) EntryOut {
	e := wireEntry
	e.NodeID, e.Generation = uint64(obj), uint64(obj)>>32
	return e
}

const outHeader = 16

// handlerCases are for a client of minor 45 with all flags, and the cache policy auto.
var handlerCases = []handlerCase{
	{op: FUSE_LOOKUP, names: []string{"name"}, room: outHeader + 128,
		io: fsdev.IO{Type: fsdev.IOLookup, Object: fakeFile, Name: []byte("name")}, reply: Bytes(&wireEntry)},
	{op: FUSE_GETATTR, args: Bytes(&GetattrIn{GetattrFlags: FUSE_GETATTR_FH, Fh: 42}), room: outHeader + 104,
		io:    fsdev.IO{Type: fsdev.IOGetattr, Object: fakeFile, Handle: 42},
		reply: Bytes(&AttrOut{AttrValid: 1, Attr: wireAttr})},
	{op: FUSE_SETATTR, args: Bytes(&SetattrIn{
		Valid: FATTR_FH | FATTR_MODE | FATTR_SIZE | FATTR_LOCKOWNER, Fh: 42, Size: 1, LockOwner: 2, Atime: 3, Mtime: 4,
		Ctime: 5, AtimeNsec: 6, MtimeNsec: 7, CtimeNsec: 8, Mode: 9, UID: 10, GID: 11,
	}), room: outHeader + 104, io: fsdev.IO{Type: fsdev.IOSetattr, Object: fakeFile, Handle: 42, Attr: fsdev.Attr{
		Size: 1, Atime: 3, Mtime: 4, Ctime: 5, AtimeNsec: 6, MtimeNsec: 7, CtimeNsec: 8, Mode: 9, UID: 10, GID: 11,
	}, Flags: fsdev.SetAttrMode | fsdev.SetAttrSize}, reply: Bytes(&AttrOut{AttrValid: 1, Attr: wireAttr})},
	{op: FUSE_READLINK, room: outHeader + len(fakeTarget),
		io: fsdev.IO{Type: fsdev.IOReadlink, Object: fakeFile}, reply: []byte(fakeTarget)},
	{op: FUSE_SYMLINK, names: []string{"name", "the/target"}, room: outHeader + 128, io: fsdev.IO{
		Type: fsdev.IOSymlink, Object: fakeFile, Name: []byte("name"), Name2: []byte("the/target"), UID: 1001, GID: 1002,
	}, reply: Bytes(&wireEntry)},
	{op: FUSE_MKNOD, args: Bytes(&MknodIn{Mode: 1, Rdev: 2, Umask: 3}), names: []string{"name"}, room: outHeader + 128,
		io:    fsdev.IO{Type: fsdev.IOMknod, Object: fakeFile, Name: []byte("name"), Mode: 1, Rdev: 2, UID: 1001, GID: 1002},
		reply: Bytes(&wireEntry)},
	{op: FUSE_MKDIR, args: Bytes(&MkdirIn{Mode: 1, Umask: 2}), names: []string{"name"}, room: outHeader + 128,
		io:    fsdev.IO{Type: fsdev.IOMkdir, Object: fakeFile, Name: []byte("name"), Mode: 1, UID: 1001, GID: 1002},
		reply: Bytes(&wireEntry)},
	{op: FUSE_UNLINK, names: []string{"name"}, room: outHeader,
		io: fsdev.IO{Type: fsdev.IOUnlink, Object: fakeFile, Name: []byte("name")}},
	{op: FUSE_RMDIR, names: []string{"name"}, room: outHeader,
		io: fsdev.IO{Type: fsdev.IORmdir, Object: fakeFile, Name: []byte("name")}},
	{op: FUSE_RENAME, args: Bytes(&RenameIn{Newdir: 77}), names: []string{"old", "newer"}, room: outHeader, io: fsdev.IO{
		Type: fsdev.IORename, Object: fakeFile, Name: []byte("old"), Object2: 77, Name2: []byte("newer"),
	}},
	{op: FUSE_RENAME2, args: Bytes(&Rename2In{Newdir: FUSE_ROOT_ID, Flags: 2}), names: []string{"old", "newer"},
		room: outHeader, io: fsdev.IO{
			Type: fsdev.IORename, Object: fakeFile, Name: []byte("old"), Object2: fakeRoot, Name2: []byte("newer"), Flags: 2,
		}},
	{op: FUSE_LINK, args: Bytes(&LinkIn{OldNodeID: 77}), names: []string{"name"}, room: outHeader + 128,
		io: fsdev.IO{Type: fsdev.IOLink, Object: 77, Object2: fakeFile, Name: []byte("name")}, reply: Bytes(&wireEntry)},
	{op: FUSE_OPEN, args: Bytes(&OpenIn{Flags: syscall.O_RDWR | syscall.O_CREAT | syscall.O_EXCL | syscall.O_NOCTTY}),
		room: outHeader + 16, io: fsdev.IO{Type: fsdev.IOFopen, Object: fakeFile, Flags: syscall.O_RDWR},
		reply: Bytes(&OpenOut{Fh: uint64(fakeHandle)})},
	{op: FUSE_READ, args: Bytes(&ReadIn{Fh: 42, Offset: 1 << 40, Size: 50, Flags: 2}), room: outHeader + 50,
		io:    fsdev.IO{Type: fsdev.IORead, Object: fakeFile, Handle: 42, Offset: 1 << 40, Size: 50, Flags: 2},
		reply: pattern(50)},
	{op: FUSE_WRITE, args: Bytes(&WriteIn{Fh: 42, Offset: 1 << 40, Size: 50, Flags: 2}), payload: pattern(50),
		room: outHeader + 8, data: pattern(50),
		io:    fsdev.IO{Type: fsdev.IOWrite, Object: fakeFile, Handle: 42, Offset: 1 << 40, Size: 50, Flags: 2},
		reply: Bytes(&WriteOut{Size: 50})},
	{op: FUSE_STATFS, room: outHeader + 80, io: fsdev.IO{Type: fsdev.IOStatfs, Object: fakeFile}, reply: Bytes(&StatfsOut{
		St: Kstatfs{Blocks: 1, Bfree: 2, Bavail: 3, Files: 4, Ffree: 5, Bsize: 6, Frsize: 7, Namelen: 8}})},
	{op: FUSE_RELEASE, args: Bytes(&ReleaseIn{Fh: 42, Flags: 1, ReleaseFlags: 2, LockOwner: 3}), room: outHeader,
		io: fsdev.IO{Type: fsdev.IORelease, Object: fakeFile, Handle: 42}},
	{op: FUSE_FSYNC, args: Bytes(&FsyncIn{Fh: 42, FsyncFlags: FUSE_FSYNC_FDATASYNC}), room: outHeader,
		io: fsdev.IO{Type: fsdev.IOFsync, Object: fakeFile, Handle: 42, Datasync: true}},
	{op: FUSE_SETXATTR, args: Bytes(&SetxattrIn{Size: 5, Flags: 2}), names: []string{"user.a"}, payload: []byte("value"),
		room: outHeader, io: fsdev.IO{
			Type: fsdev.IOSetxattr, Object: fakeFile, Name: []byte("user.a"), Value: []byte("value"), Flags: 2,
		}},
	{op: FUSE_GETXATTR, args: Bytes(&GetxattrIn{Size: 9}), names: []string{"user.a"}, room: outHeader + 9,
		io:    fsdev.IO{Type: fsdev.IOGetxattr, Object: fakeFile, Name: []byte("user.a"), Size: 9},
		reply: pattern(9)},
	{op: FUSE_LISTXATTR, args: Bytes(&GetxattrIn{Size: 9}), room: outHeader + 9,
		io: fsdev.IO{Type: fsdev.IOListxattr, Object: fakeFile, Size: 9}, reply: pattern(9)},
	{op: FUSE_REMOVEXATTR, names: []string{"user.a"}, room: outHeader,
		io: fsdev.IO{Type: fsdev.IORemovexattr, Object: fakeFile, Name: []byte("user.a")}},
	{op: FUSE_FLUSH, args: Bytes(&FlushIn{Fh: 42, LockOwner: 43}), room: outHeader,
		io: fsdev.IO{Type: fsdev.IOFlush, Object: fakeFile, Handle: 42, Owner: 43}},
	{op: FUSE_OPENDIR, args: Bytes(&OpenIn{Flags: syscall.O_DIRECTORY}), room: outHeader + 16,
		io:    fsdev.IO{Type: fsdev.IOOpendir, Object: fakeFile, Flags: syscall.O_DIRECTORY},
		reply: Bytes(&OpenOut{Fh: uint64(fakeHandle)})},
	{op: FUSE_READDIR, args: Bytes(&ReadIn{Fh: 42, Offset: 7, Size: 4096}), room: outHeader + 32 + 32 + 40,
		io:    fsdev.IO{Type: fsdev.IOReaddir, Object: fakeFile, Handle: 42, Offset: 7},
		reply: join(dirent(".", 1), dirent("a", 2), dirent("longer name", 3))},
	{op: FUSE_READDIRPLUS, args: Bytes(&ReadIn{Fh: 42, Offset: 7, Size: 4096}), room: outHeader + 3*128 + 32 + 32 + 40,
		io: fsdev.IO{Type: fsdev.IOReaddir, Object: fakeFile, Handle: 42, Offset: 7, Plus: true},
		reply: join(direntplus(".", 1, EntryOut{}), direntplus("a", 2, entryOf(fakeFile+1)),
			direntplus("longer name", 3, entryOf(fakeFile+2)))},
	{op: FUSE_RELEASEDIR, args: Bytes(&ReleaseIn{Fh: 42}), room: outHeader,
		io: fsdev.IO{Type: fsdev.IOReleasedir, Object: fakeFile, Handle: 42}},
	{op: FUSE_FSYNCDIR, args: Bytes(&FsyncIn{Fh: 42}), room: outHeader,
		io: fsdev.IO{Type: fsdev.IOFsyncdir, Object: fakeFile, Handle: 42}},
	{op: FUSE_SETLK, args: Bytes(&LkIn{Fh: 42, Owner: 43, Lk: FileLock{Type: syscall.F_WRLCK}, LkFlags: FUSE_LK_FLOCK}),
		room: outHeader, io: fsdev.IO{
			Type: fsdev.IOFlock, Object: fakeFile, Handle: 42, Owner: 43, Flags: syscall.LOCK_EX | syscall.LOCK_NB,
		}},
	{op: FUSE_SETLKW, args: Bytes(&LkIn{Fh: 42, Owner: 43, Lk: FileLock{Type: syscall.F_RDLCK}, LkFlags: FUSE_LK_FLOCK}),
		room: outHeader, io: fsdev.IO{
			Type: fsdev.IOFlock, Object: fakeFile, Handle: 42, Owner: 43, Flags: syscall.LOCK_SH,
		}},
	{op: FUSE_CREATE, args: Bytes(&CreateIn{Flags: syscall.O_WRONLY | syscall.O_EXCL, Mode: 1, Umask: 2}),
		names: []string{"name"}, room: outHeader + 128 + 16, io: fsdev.IO{
			Type: fsdev.IOCreate, Object: fakeFile, Name: []byte("name"), Flags: syscall.O_WRONLY | syscall.O_EXCL,
			Mode: 1, UID: 1001, GID: 1002,
		}, reply: join(Bytes(&wireEntry), Bytes(&OpenOut{Fh: uint64(fakeHandle)}))},
	{op: FUSE_FALLOCATE, args: Bytes(&FallocateIn{Fh: 42, Offset: 1, Length: 2, Mode: 3}), room: outHeader,
		io: fsdev.IO{Type: fsdev.IOFallocate, Object: fakeFile, Handle: 42, Offset: 1, Length: 2, Mode: 3}},
	{op: FUSE_COPY_FILE_RANGE, args: Bytes(&CopyFileRangeIn{
		FhIn: 1, OffIn: 2, NodeIDOut: 3, FhOut: 4, OffOut: 5, Len: 1<<40 | 6}), room: outHeader + 8, io: fsdev.IO{
		Type: fsdev.IOCopyFileRange, Object: fakeFile, Handle: 1, Offset: 2, Object2: 3, Handle2: 4, Offset2: 5,
		Length: 1 << 30,
	}, reply: Bytes(&WriteOut{Size: 1 << 30})},
	{op: FUSE_COPY_FILE_RANGE_64, args: Bytes(&CopyFileRangeIn{
		FhIn: 1, OffIn: 2, NodeIDOut: 3, FhOut: 4, OffOut: 5, Len: 1<<40 | 6}), room: outHeader + 8, io: fsdev.IO{
		Type: fsdev.IOCopyFileRange, Object: fakeFile, Handle: 1, Offset: 2, Object2: 3, Handle2: 4, Offset2: 5,
		Length: 1<<40 | 6,
	}, reply: Bytes(&CopyFileRangeOut{BytesCopied: 1<<40 | 6})},
	{op: FUSE_LSEEK, args: Bytes(&LseekIn{Fh: 42, Offset: 1 << 40, Whence: 4}), room: outHeader + 8,
		io:    fsdev.IO{Type: fsdev.IOLseek, Object: fakeFile, Handle: 42, Offset: 1 << 40, Flags: 4},
		reply: Bytes(&LseekOut{Offset: 501})},
	{op: FUSE_STATX, args: Bytes(&StatxIn{GetattrFlags: FUSE_GETATTR_FH, Fh: 42, SxFlags: 43, SxMask: 44}),
		room:  outHeader + 288,
		io:    fsdev.IO{Type: fsdev.IOStatx, Object: fakeFile, Handle: 42, Flags: 43, Mode: 44},
		reply: Bytes(&StatxOut{AttrValid: 1, Stat: wireStatx})},
	{op: FUSE_TMPFILE, args: Bytes(&CreateIn{
		Flags: syscall.O_RDWR | syscall.O_EXCL | syscall.O_DIRECTORY | 0o20000000, Mode: 1}), names: []string{"/"},
		room: outHeader + 128 + 16, io: fsdev.IO{
			Type: fsdev.IOTmpfile, Object: fakeFile, Flags: syscall.O_RDWR | syscall.O_EXCL, Mode: 1, UID: 1001, GID: 1002,
		}, reply: join(Bytes(&wireEntry), Bytes(&OpenOut{Fh: uint64(fakeHandle)}))},
	{op: FUSE_SYNCFS, args: Bytes(&SyncfsIn{}), room: outHeader, io: fsdev.IO{Type: fsdev.IOSyncfs, Object: fakeFile}},
	{op: FUSE_GETLK, args: Bytes(&LkIn{Fh: 42, Owner: 43, Lk: FileLock{Start: 1, End: 2, Type: syscall.F_RDLCK, PID: 3}}),
		room: outHeader + 24, io: fsdev.IO{
			Type: fsdev.IOGetlk, Object: fakeFile, Handle: 42, Owner: 43,
			Lock: fsdev.Lock{Type: syscall.F_RDLCK, PID: 3, Start: 1, End: 2},
		}, reply: Bytes(&LkOut{Lk: FileLock{Start: 402, End: 403, Type: syscall.F_WRLCK, PID: 401}})},
	{op: FUSE_SETLK, args: Bytes(&LkIn{Fh: 42, Owner: 43, Lk: FileLock{Start: 1, End: 2, Type: syscall.F_UNLCK, PID: 3}}),
		room: outHeader, io: fsdev.IO{
			Type: fsdev.IOSetlk, Object: fakeFile, Handle: 42, Owner: 43,
			Lock: fsdev.Lock{Type: syscall.F_UNLCK, PID: 3, Start: 1, End: 2},
		}},
	{op: FUSE_SETLKW, args: Bytes(&LkIn{Fh: 42, Owner: 43, Lk: FileLock{End: math.MaxInt64, Type: syscall.F_WRLCK}}),
		room: outHeader, io: fsdev.IO{
			Type: fsdev.IOSetlk, Object: fakeFile, Handle: 42, Owner: 43, Wait: true,
			Lock: fsdev.Lock{Type: syscall.F_WRLCK, End: math.MaxInt64},
		}},
	{op: FUSE_IOCTL, args: Bytes(&IoctlIn{Fh: 42, Cmd: fsGetXattr, Arg: 43, OutSize: 28}), room: outHeader + 16 + 28,
		io:    fsdev.IO{Type: fsdev.IOIoctl, Object: fakeFile, Handle: 42, Flags: fsGetXattr, Length: 43, Size: 28},
		reply: join(Bytes(&IoctlOut{Result: 503}), pattern(28))},
	{op: FUSE_IOCTL, args: Bytes(&IoctlIn{Fh: 42, Flags: FUSE_IOCTL_DIR, Cmd: fsSetXattr, Arg: 43, InSize: 28}),
		payload: pattern(28), room: outHeader + 16, io: fsdev.IO{
			Type: fsdev.IOIoctl, Object: fakeFile, Handle: 42, Flags: fsSetXattr, Length: 43, Value: pattern(28),
		}, reply: Bytes(&IoctlOut{Result: 503})},
	{op: FUSE_POLL, args: Bytes(&PollIn{Fh: 42, Kh: 43, Flags: FUSE_POLL_SCHEDULE_NOTIFY, Events: 44}),
		room:  outHeader + 8,
		io:    fsdev.IO{Type: fsdev.IOPoll, Object: fakeFile, Handle: 42, Owner: 43, Flags: 44, Wait: true},
		reply: Bytes(&PollOut{Revents: 502})},
	{op: FUSE_FORGET, args: Bytes(&ForgetIn{Nlookup: 1 << 40}),
		io: fsdev.IO{Type: fsdev.IOForget, Object: fakeFile, Nlookup: 1 << 40}},
}

// forEachHandler runs a test for every opcode, all on one session.
func forEachHandler(t *testing.T, fn func(t *testing.T, b *bed, c *handlerCase)) {
	b := newSession(t, fusedispatcher.Opts{})
	for i := range handlerCases {
		c := &handlerCases[i]
		t.Run(c.name(), func(t *testing.T) {
			b.tb = t
			defer func() { b.tb = t }()
			b.fs.do, b.fs.calls, b.fs.data = nil, nil, nil
			fn(t, b, c)
		})
	}
	b.tb = t
	b.fs.do = nil
}

// check wants the one call and the reply of a case.
func (c *handlerCase) check(t *testing.T, b *bed, r *reply) {
	t.Helper()
	if r.errno != 0 {
		t.Errorf("failed with %v", r.errno)
	}
	if diff := cmp.Diff([]fsdev.IO{c.io}, b.fs.calls, ignoreInternals, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("the module saw (-want +got):\n%s", diff)
	}
	if c.data != nil && !bytes.Equal(c.data, b.fs.data[0]) {
		t.Errorf("written: %x", b.fs.data[0])
	}
	if !bytes.Equal(c.reply, r.payload()) {
		t.Errorf("the reply is (-want +got):\n%s", cmp.Diff(c.reply, r.payload()))
	}
	b.fs.calls, b.fs.data = nil, nil
}

var ignoreInternals = cmpopts.IgnoreUnexported(fsdev.IO{})

func TestHandlersForwardArgumentsAndResults(t *testing.T) {
	forEachHandler(t, func(t *testing.T, b *bed, c *handlerCase) {
		c.check(t, b, b.do(0, c.op, node, c.room, c.parts()...))
		b.fs.do = func(io *fsdev.IO) { b.fs.hold(io) }
		r := b.start(0, c.op, node, c.room, c.parts()...)
		b.PollThreads()
		if r.done != 0 {
			t.Error("completed before the module did")
		}
		b.fs.release(0)
		c.check(t, b, b.finish(r))
	})
	seen := map[uint32]bool{FUSE_BATCH_FORGET: true, FUSE_INTERRUPT: true, FUSE_NOTIFY_REPLY: true, FUSE_INIT: true,
		FUSE_DESTROY: true}
	for i := range handlerCases {
		seen[handlerCases[i].op] = true
	}
	b := newSession(t, fusedispatcher.Opts{})
	for op := range uint32(60) {
		if !seen[op] {
			if r := b.do(0, op, node, 4096, make([]byte, 200)); r.errno != syscall.ENOSYS {
				t.Errorf("%s, which has no test, answers %v", fusedispatcher.OpcodeName(op), r.errno)
			}
		}
	}
}

// What a request or the room for its reply is cut into makes no difference.
func TestHandlersTakeAnySegments(t *testing.T) {
	forEachHandler(t, func(t *testing.T, b *bed, c *handlerCase) {
		m := b.message(c.op, node, c.parts()...)
		for i := range len(m) + 1 {
			c.check(t, b, b.finish(b.send(0, cut(m, i), [][]byte{make([]byte, c.room)})))
		}
		for i := range c.room + 1 {
			c.check(t, b, b.finish(b.send(0, [][]byte{m}, cut(make([]byte, c.room), i))))
		}
		c.check(t, b, b.finish(b.send(0, bytesEach(m), bytesEach(make([]byte, c.room)))))
		c.check(t, b, b.finish(b.send(0, cut(m, 3, 3, 40, len(m)), cut(make([]byte, c.room), 0, c.room))))
		// More room than needed does no harm.
		c.check(t, b, b.finish(b.send(0, [][]byte{m}, [][]byte{make([]byte, c.room+1000)[:c.room]})))
		if t.Failed() {
			t.FailNow()
		}
	})
}

// A request that ends early is refused without the module seeing it, wherever it ends.
func TestHandlersRefuseShortRequests(t *testing.T) {
	forEachHandler(t, func(t *testing.T, b *bed, c *handlerCase) {
		whole := b.message(c.op, node, c.parts()...)
		for n := range len(whole) {
			m := slices.Clone(whole[:n])
			if n >= 40 {
				Overlay[InHeader](slices.Clone(m)).Len = uint32(n)
				copy(m, u32(uint32(n)))
			}
			r := b.finish(b.send(0, cut(m, n/2), [][]byte{make([]byte, c.room)}))
			if r.errno != syscall.EINVAL {
				t.Errorf("%d of %d bytes: %v", n, len(whole), r.errno)
			}
			if len(b.fs.calls) > 0 {
				t.Fatalf("%d of %d bytes: the module saw %v", n, len(whole), b.fs.calls[0].Type)
			}
		}
	})
}

// The header's len must lie within the vector; what is behind it does not count.
func TestHandlersGoByTheLengthInTheHeader(t *testing.T) {
	forEachHandler(t, func(t *testing.T, b *bed, c *handlerCase) {
		whole := b.message(c.op, node, c.parts()...)
		for _, tt := range []struct {
			len  uint32
			want syscall.Errno
		}{
			{0, syscall.EINVAL},
			{39, syscall.EINVAL},
			{uint32(len(whole)) + 1, syscall.EINVAL},
			{1<<32 - 1, syscall.EINVAL},
			{1 << 31, syscall.EINVAL},
		} {
			m := slices.Clone(whole)
			copy(m, u32(tt.len))
			if r := b.finish(b.send(0, [][]byte{m}, [][]byte{make([]byte, c.room)})); r.errno != tt.want {
				t.Errorf("len %d: %v", tt.len, r.errno)
			}
			if len(b.fs.calls) > 0 {
				t.Fatalf("len %d: the module saw %v", tt.len, b.fs.calls[0].Type)
			}
		}
		// A vector may be longer than the request.
		m := append(slices.Clone(whole), bytes.Repeat([]byte{0xff}, 100)...)
		c.check(t, b, b.finish(b.send(0, [][]byte{m}, [][]byte{make([]byte, c.room)})))
		if len(whole) > 40 {
			m = slices.Clone(whole)
			copy(m, u32(uint32(len(whole)-1)))
			if r := b.finish(b.send(0, [][]byte{m}, [][]byte{make([]byte, c.room)})); r.errno != syscall.EINVAL {
				t.Errorf("len less one: %v", r.errno)
			}
		}
	})
}

// Too little room is refused before the module sees the request, unless the module's answer
// decides how much is needed.
func TestHandlersRefuseTooLittleRoom(t *testing.T) {
	flexible := []uint32{FUSE_READ, FUSE_READLINK, FUSE_READDIR, FUSE_READDIRPLUS, FUSE_GETXATTR, FUSE_LISTXATTR}
	forEachHandler(t, func(t *testing.T, b *bed, c *handlerCase) {
		m := b.message(c.op, node, c.parts()...)
		for room := range c.room {
			if room >= outHeader && slices.Contains(flexible, c.op) {
				continue
			}
			r := b.finish(b.send(0, [][]byte{m}, cut(make([]byte, room), room/2)))
			if r.errno != syscall.EINVAL {
				t.Errorf("room for %d of %d bytes: %v", room, c.room, r.errno)
			}
			if want := uint32(min(room, outHeader) / outHeader * outHeader); r.len != want {
				t.Errorf("room for %d of %d bytes: reply of %d bytes", room, c.room, r.len)
			}
			if len(b.fs.calls) > 0 {
				t.Fatalf("room for %d of %d bytes: the module saw %v", room, c.room, b.fs.calls[0].Type)
			}
		}
		if c.room > 0 {
			if r := b.finish(b.send(0, [][]byte{m}, nil)); r.errno != syscall.EINVAL || r.len != 0 {
				t.Errorf("no reply vector: %v, reply of %d bytes", r.errno, r.len)
			}
		}
	})
}

// Whatever the client calls a node reaches the module as a handle; its error is the reply.
func TestHandlersReplyTheModulesError(t *testing.T) {
	forEachHandler(t, func(t *testing.T, b *bed, c *handlerCase) {
		for _, id := range []uint64{0, 2, FUSE_ROOT_ID, uint64(fakeRoot), 1<<64 - 1} {
			b.fs.do = func(io *fsdev.IO) { io.Complete(syscall.ESTALE) }
			r := b.do(0, c.op, id, c.room, c.parts()...)
			if r.errno != syscall.ESTALE || (c.room > 0 && r.len != outHeader) {
				t.Errorf("node %#x: %v, reply of %d bytes", id, r.errno, r.len)
			}
			want := fsdev.FileObject(id)
			if id == FUSE_ROOT_ID {
				want = fakeRoot
			}
			got := b.fs.calls[0].Object
			if c.op == FUSE_LINK {
				got = b.fs.calls[0].Object2
			}
			if got != want {
				t.Errorf("node %#x reaches the module as %#x", id, got)
			}
			b.fs.calls = nil
		}
	})
}

// When no IO is free, the client hears so, and nothing is lost of what cannot be repeated.
func TestHandlersWithoutAFreeIO(t *testing.T) {
	forEachHandler(t, func(t *testing.T, b *bed, c *handlerCase) {
		b.fs.do = func(io *fsdev.IO) { b.fs.hold(io) }
		release := exhaust(b)
		b.fs.do, b.fs.calls = nil, nil
		r := b.start(0, c.op, node, c.room, c.parts()...)
		for range 10 {
			b.PollOnce()
		}
		if c.op == FUSE_FORGET {
			if r.done != 0 {
				t.Error("a forget was given up")
			}
			release()
			c.check(t, b, b.finish(r))
			return
		}
		if r.done != 1 || r.errno != syscall.ENOBUFS {
			t.Errorf("completed %d times with %v", r.done, r.errno)
		}
		release()
		b.fs.calls = nil
	})
}

// exhaust takes all free IO of the framework by a second descriptor; the function returned
// gives them back.
func exhaust(b *bed) (release func()) {
	b.tb.Helper()
	desc, err := fsdev.Open(b.t, fsName, func(*reactor.Thread, fsdev.EventType, *fsdev.Fsdev, any) {}, nil)
	if err != nil {
		b.tb.Fatal(err)
	}
	ch := desc.IOChannel(b.t)
	do := b.fs.do
	var held []*fsdev.IO
	b.fs.do = func(io *fsdev.IO) { held = append(held, io) }
	for desc.Statfs(ch, 0, 1, func(any, *iochannel.Channel, syscall.Errno, *fsdev.Statfs) {}, nil) == 0 {
	}
	b.fs.do = do
	return func() {
		for _, io := range held {
			io.Complete(0)
		}
		ch.Put()
		desc.Close()
	}
}

func u32(v uint32) []byte { return u64(uint64(v))[:4] }

func TestNames(t *testing.T) {
	long := strings.Repeat("n", 255)
	for _, tt := range []struct {
		name  string
		bytes string
		want  syscall.Errno
		attr  syscall.Errno // for the names of extended attributes
	}{
		{"longest", long + "\x00", 0, 0},
		{"too long by one", long + "n\x00", syscall.ENAMETOOLONG, syscall.ENAMETOOLONG},
		{"far too long", strings.Repeat("n", 10000) + "\x00", syscall.ENAMETOOLONG, syscall.ENAMETOOLONG},
		{"empty", "\x00", syscall.EINVAL, syscall.EINVAL},
		{"missing", "", syscall.EINVAL, syscall.EINVAL},
		{"unterminated", "name", syscall.EINVAL, syscall.EINVAL},
		{"longest, unterminated", long, syscall.EINVAL, syscall.EINVAL},
		{"with a slash", "a/b\x00", syscall.EINVAL, 0},
		{"a slash", "/\x00", syscall.EINVAL, 0},
		{"two parents up", "../..\x00", syscall.EINVAL, 0},
		{"bytes that are no UTF-8", "\xff\xfe\x00", 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) { testName(t, []byte(tt.bytes), tt.want, tt.attr) })
	}
}

func testName(t *testing.T, name []byte, file, attr syscall.Errno) {
	b := newSession(t, fusedispatcher.Opts{})
	for i := range handlerCases {
		c := &handlerCases[i]
		for which := range c.names {
			if c.op == FUSE_SYMLINK && which == 1 || c.op == FUSE_TMPFILE {
				continue
			}
			want := file
			if c.op == FUSE_SETXATTR || c.op == FUSE_GETXATTR || c.op == FUSE_REMOVEXATTR {
				want = attr
			}
			parts := [][]byte{c.args}
			for j, n := range c.names[:which+1] {
				if j == which {
					parts = append(parts, name)
				} else {
					parts = append(parts, cstr(n))
				}
			}
			if want == 0 { // else the rest would end it
				for _, n := range c.names[which+1:] {
					parts = append(parts, cstr(n))
				}
				parts = append(parts, c.payload)
			}
			m := b.message(c.op, node, parts...)
			for _, in := range [][][]byte{{m}, bytesEach(m), cut(m, len(m)-1), cut(m, 40+len(c.args))} {
				b.fs.calls = nil
				r := b.finish(b.send(0, in, [][]byte{make([]byte, c.room)}))
				if r.errno != want {
					t.Errorf("%s: %v, want %v", c.name(), r.errno, want)
				}
				if want != 0 && len(b.fs.calls) > 0 {
					t.Errorf("%s: the module saw it", c.name())
				}
				if want == 0 {
					got := b.fs.calls[0].Name
					if which == 1 {
						got = b.fs.calls[0].Name2
					}
					if fmt.Sprintf("%s\x00", got) != string(name) {
						t.Errorf("%s: the module saw %q", c.name(), got)
					}
				}
			}
		}
	}
}

package dispatchertest

import (
	"bytes"
	"math"
	"reflect"
	"slices"
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
)

// Case is a good request: how it is put together, what the module must see of it and what the
// client must be answered.
type Case struct {
	Op      uint32
	Args    []byte   // the argument structure
	Names   []string // that follow it
	Payload []byte   // and what follows those
	Room    int      // that the reply needs, with its header
	IO      fsdev.IO // that the module must see, as [Request] returns it
	Data    []byte   // that a WRITE must carry
	Reply   []byte   // behind the header
}

// Name returns the opcode's name.
func (c *Case) Name() string { return fusedispatcher.OpcodeName(c.Op) }

// Parts returns what follows the header.
func (c *Case) Parts() [][]byte {
	parts := [][]byte{c.Args}
	for _, n := range c.Names {
		parts = append(parts, CString(n))
	}
	return append(parts, c.Payload)
}

// Check wants a request to have succeeded, with one call and one reply, those of the case. It
// forgets the calls.
func (c *Case) Check(tb testing.TB, b *Bed, r *Reply) {
	tb.Helper()
	if r.Errno != 0 {
		tb.Errorf("failed with %v", r.Errno)
	}
	if len(b.FS.Calls) != 1 {
		tb.Errorf("the module saw %d requests", len(b.FS.Calls))
	} else {
		got, want := reflect.ValueOf(&b.FS.Calls[0]).Elem(), reflect.ValueOf(&c.IO).Elem()
		for i := range want.NumField() {
			f := want.Type().Field(i)
			if f.IsExported() && !reflect.DeepEqual(got.Field(i).Interface(), want.Field(i).Interface()) {
				tb.Errorf("the module saw %s %+v, want %+v", f.Name, got.Field(i), want.Field(i))
			}
		}
	}
	if c.Data != nil && (len(b.FS.Data) != 1 || !bytes.Equal(c.Data, b.FS.Data[0])) {
		tb.Errorf("written: %x", b.FS.Data)
	}
	if !bytes.Equal(c.Reply, r.Payload()) {
		tb.Errorf("the reply is %x, want %x", r.Payload(), c.Reply)
	}
	b.FS.Forget()
}

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

var wireEntry = EntryOut{NodeID: Node, Generation: 7, EntryValid: 1, AttrValid: 1, Attr: wireAttr}

const outHeader = SizeofOutHeader

func join(parts ...[]byte) []byte { return slices.Concat(parts...) }

// ListEntry is an entry of a READDIR's reply, as [FillAttr] has it.
func ListEntry(name string, off uint64) []byte {
	d := Dirent{Ino: 201, Off: off, Namelen: uint32(len(name)), Type: 8}
	return append(join(Bytes(&d), []byte(name)), make([]byte, DirentSize(len(name))-24-len(name))...)
}

// ListEntryPlus is an entry of a READDIRPLUS's reply.
func ListEntryPlus(name string, off uint64, e EntryOut) []byte {
	return join(Bytes(&e), ListEntry(name, off))
}

// EntryOf is what the client is told of an object with [FillAttr].
func EntryOf(obj fsdev.FileObject) EntryOut {
	e := wireEntry
	e.NodeID, e.Generation = uint64(obj), uint64(obj)>>32
	return e
}

// Cases returns a good request of every opcode that reaches a module, of some more than one. They
// are for a client of [NewSession], and the cache policy auto.
func Cases() []Case { return slices.Clone(cases) }

var cases = []Case{
	{Op: FUSE_LOOKUP, Names: []string{"name"}, Room: outHeader + 128,
		IO: fsdev.IO{Type: fsdev.IOLookup, Object: File, Name: []byte("name")}, Reply: Bytes(&wireEntry)},
	{Op: FUSE_GETATTR, Args: Bytes(&GetattrIn{GetattrFlags: FUSE_GETATTR_FH, Fh: 42}), Room: outHeader + 104,
		IO:    fsdev.IO{Type: fsdev.IOGetattr, Object: File, Handle: 42},
		Reply: Bytes(&AttrOut{AttrValid: 1, Attr: wireAttr})},
	{Op: FUSE_SETATTR, Args: Bytes(&SetattrIn{
		Valid: FATTR_FH | FATTR_MODE | FATTR_SIZE | FATTR_LOCKOWNER, Fh: 42, Size: 1, LockOwner: 2, Atime: 3, Mtime: 4,
		Ctime: 5, AtimeNsec: 6, MtimeNsec: 7, CtimeNsec: 8, Mode: 9, UID: 10, GID: 11,
	}), Room: outHeader + 104, IO: fsdev.IO{Type: fsdev.IOSetattr, Object: File, Handle: 42, Attr: fsdev.Attr{
		Size: 1, Atime: 3, Mtime: 4, Ctime: 5, AtimeNsec: 6, MtimeNsec: 7, CtimeNsec: 8, Mode: 9, UID: 10, GID: 11,
	}, Flags: fsdev.SetAttrMode | fsdev.SetAttrSize}, Reply: Bytes(&AttrOut{AttrValid: 1, Attr: wireAttr})},
	{Op: FUSE_READLINK, Room: outHeader + len(FillTarget),
		IO: fsdev.IO{Type: fsdev.IOReadlink, Object: File}, Reply: []byte(FillTarget)},
	{Op: FUSE_SYMLINK, Names: []string{"name", "the/target"}, Room: outHeader + 128, IO: fsdev.IO{
		Type: fsdev.IOSymlink, Object: File, Name: []byte("name"), Name2: []byte("the/target"), UID: 1001, GID: 1002,
	}, Reply: Bytes(&wireEntry)},
	{Op: FUSE_MKNOD, Args: Bytes(&MknodIn{Mode: 1, Rdev: 2, Umask: 3}), Names: []string{"name"}, Room: outHeader + 128,
		IO:    fsdev.IO{Type: fsdev.IOMknod, Object: File, Name: []byte("name"), Mode: 1, Rdev: 2, UID: 1001, GID: 1002},
		Reply: Bytes(&wireEntry)},
	{Op: FUSE_MKDIR, Args: Bytes(&MkdirIn{Mode: 1, Umask: 2}), Names: []string{"name"}, Room: outHeader + 128,
		IO:    fsdev.IO{Type: fsdev.IOMkdir, Object: File, Name: []byte("name"), Mode: 1, UID: 1001, GID: 1002},
		Reply: Bytes(&wireEntry)},
	{Op: FUSE_UNLINK, Names: []string{"name"}, Room: outHeader,
		IO: fsdev.IO{Type: fsdev.IOUnlink, Object: File, Name: []byte("name")}},
	{Op: FUSE_RMDIR, Names: []string{"name"}, Room: outHeader,
		IO: fsdev.IO{Type: fsdev.IORmdir, Object: File, Name: []byte("name")}},
	{Op: FUSE_RENAME, Args: Bytes(&RenameIn{Newdir: 77}), Names: []string{"old", "newer"}, Room: outHeader, IO: fsdev.IO{
		Type: fsdev.IORename, Object: File, Name: []byte("old"), Object2: 77, Name2: []byte("newer"),
	}},
	{Op: FUSE_RENAME2, Args: Bytes(&Rename2In{Newdir: FUSE_ROOT_ID, Flags: 2}), Names: []string{"old", "newer"},
		Room: outHeader, IO: fsdev.IO{
			Type: fsdev.IORename, Object: File, Name: []byte("old"), Object2: Root, Name2: []byte("newer"), Flags: 2,
		}},
	{Op: FUSE_LINK, Args: Bytes(&LinkIn{OldNodeID: 77}), Names: []string{"name"}, Room: outHeader + 128,
		IO: fsdev.IO{Type: fsdev.IOLink, Object: 77, Object2: File, Name: []byte("name")}, Reply: Bytes(&wireEntry)},
	{Op: FUSE_OPEN, Args: Bytes(&OpenIn{Flags: syscall.O_RDWR | syscall.O_CREAT | syscall.O_EXCL | syscall.O_NOCTTY}),
		Room: outHeader + 16, IO: fsdev.IO{Type: fsdev.IOFopen, Object: File, Flags: syscall.O_RDWR},
		Reply: Bytes(&OpenOut{Fh: uint64(Handle)})},
	{Op: FUSE_READ, Args: Bytes(&ReadIn{Fh: 42, Offset: 1 << 40, Size: 50, Flags: 2}), Room: outHeader + 50,
		IO:    fsdev.IO{Type: fsdev.IORead, Object: File, Handle: 42, Offset: 1 << 40, Size: 50, Flags: 2},
		Reply: Pattern(50)},
	{Op: FUSE_WRITE, Args: Bytes(&WriteIn{Fh: 42, Offset: 1 << 40, Size: 50, Flags: 2}), Payload: Pattern(50),
		Room: outHeader + 8, Data: Pattern(50),
		IO:    fsdev.IO{Type: fsdev.IOWrite, Object: File, Handle: 42, Offset: 1 << 40, Size: 50, Flags: 2},
		Reply: Bytes(&WriteOut{Size: 50})},
	{Op: FUSE_STATFS, Room: outHeader + 80, IO: fsdev.IO{Type: fsdev.IOStatfs, Object: File}, Reply: Bytes(&StatfsOut{
		St: Kstatfs{Blocks: 1, Bfree: 2, Bavail: 3, Files: 4, Ffree: 5, Bsize: 6, Frsize: 7, Namelen: 8}})},
	{Op: FUSE_RELEASE, Args: Bytes(&ReleaseIn{Fh: 42, Flags: 1, ReleaseFlags: 2, LockOwner: 3}), Room: outHeader,
		IO: fsdev.IO{Type: fsdev.IORelease, Object: File, Handle: 42}},
	{Op: FUSE_FSYNC, Args: Bytes(&FsyncIn{Fh: 42, FsyncFlags: FUSE_FSYNC_FDATASYNC}), Room: outHeader,
		IO: fsdev.IO{Type: fsdev.IOFsync, Object: File, Handle: 42, Datasync: true}},
	{Op: FUSE_SETXATTR, Args: Bytes(&SetxattrIn{Size: 5, Flags: 2}), Names: []string{"user.a"}, Payload: []byte("value"),
		Room: outHeader, IO: fsdev.IO{
			Type: fsdev.IOSetxattr, Object: File, Name: []byte("user.a"), Value: []byte("value"), Flags: 2,
		}},
	{Op: FUSE_GETXATTR, Args: Bytes(&GetxattrIn{Size: 9}), Names: []string{"user.a"}, Room: outHeader + 9,
		IO:    fsdev.IO{Type: fsdev.IOGetxattr, Object: File, Name: []byte("user.a"), Size: 9},
		Reply: Pattern(9)},
	{Op: FUSE_LISTXATTR, Args: Bytes(&GetxattrIn{Size: 9}), Room: outHeader + 9,
		IO: fsdev.IO{Type: fsdev.IOListxattr, Object: File, Size: 9}, Reply: Pattern(9)},
	{Op: FUSE_REMOVEXATTR, Names: []string{"user.a"}, Room: outHeader,
		IO: fsdev.IO{Type: fsdev.IORemovexattr, Object: File, Name: []byte("user.a")}},
	{Op: FUSE_FLUSH, Args: Bytes(&FlushIn{Fh: 42, LockOwner: 43}), Room: outHeader,
		IO: fsdev.IO{Type: fsdev.IOFlush, Object: File, Handle: 42, Owner: 43}},
	{Op: FUSE_OPENDIR, Args: Bytes(&OpenIn{Flags: syscall.O_DIRECTORY}), Room: outHeader + 16,
		IO:    fsdev.IO{Type: fsdev.IOOpendir, Object: File, Flags: syscall.O_DIRECTORY},
		Reply: Bytes(&OpenOut{Fh: uint64(Handle)})},
	{Op: FUSE_READDIR, Args: Bytes(&ReadIn{Fh: 42, Offset: 7, Size: 4096}), Room: outHeader + 32 + 32 + 40,
		IO:    fsdev.IO{Type: fsdev.IOReaddir, Object: File, Handle: 42, Offset: 7},
		Reply: join(ListEntry(".", 1), ListEntry("a", 2), ListEntry("longer name", 3))},
	{Op: FUSE_READDIRPLUS, Args: Bytes(&ReadIn{Fh: 42, Offset: 7, Size: 4096}), Room: outHeader + 3*128 + 32 + 32 + 40,
		IO: fsdev.IO{Type: fsdev.IOReaddir, Object: File, Handle: 42, Offset: 7, Plus: true},
		Reply: join(ListEntryPlus(".", 1, EntryOut{}), ListEntryPlus("a", 2, EntryOf(File+1)),
			ListEntryPlus("longer name", 3, EntryOf(File+2)))},
	{Op: FUSE_RELEASEDIR, Args: Bytes(&ReleaseIn{Fh: 42}), Room: outHeader,
		IO: fsdev.IO{Type: fsdev.IOReleasedir, Object: File, Handle: 42}},
	{Op: FUSE_FSYNCDIR, Args: Bytes(&FsyncIn{Fh: 42}), Room: outHeader,
		IO: fsdev.IO{Type: fsdev.IOFsyncdir, Object: File, Handle: 42}},
	{Op: FUSE_SETLK, Args: Bytes(&LkIn{Fh: 42, Owner: 43, Lk: FileLock{Type: syscall.F_WRLCK}, LkFlags: FUSE_LK_FLOCK}),
		Room: outHeader, IO: fsdev.IO{
			Type: fsdev.IOFlock, Object: File, Handle: 42, Owner: 43, Flags: syscall.LOCK_EX | syscall.LOCK_NB,
		}},
	{Op: FUSE_SETLKW, Args: Bytes(&LkIn{Fh: 42, Owner: 43, Lk: FileLock{Type: syscall.F_RDLCK}, LkFlags: FUSE_LK_FLOCK}),
		Room: outHeader, IO: fsdev.IO{
			Type: fsdev.IOFlock, Object: File, Handle: 42, Owner: 43, Flags: syscall.LOCK_SH,
		}},
	{Op: FUSE_CREATE, Args: Bytes(&CreateIn{Flags: syscall.O_WRONLY | syscall.O_EXCL, Mode: 1, Umask: 2}),
		Names: []string{"name"}, Room: outHeader + 128 + 16, IO: fsdev.IO{
			Type: fsdev.IOCreate, Object: File, Name: []byte("name"), Flags: syscall.O_WRONLY | syscall.O_EXCL,
			Mode: 1, UID: 1001, GID: 1002,
		}, Reply: join(Bytes(&wireEntry), Bytes(&OpenOut{Fh: uint64(Handle)}))},
	{Op: FUSE_FALLOCATE, Args: Bytes(&FallocateIn{Fh: 42, Offset: 1, Length: 2, Mode: 3}), Room: outHeader,
		IO: fsdev.IO{Type: fsdev.IOFallocate, Object: File, Handle: 42, Offset: 1, Length: 2, Mode: 3}},
	{Op: FUSE_COPY_FILE_RANGE, Args: Bytes(&CopyFileRangeIn{
		FhIn: 1, OffIn: 2, NodeIDOut: 3, FhOut: 4, OffOut: 5, Len: 1<<40 | 6}), Room: outHeader + 8, IO: fsdev.IO{
		Type: fsdev.IOCopyFileRange, Object: File, Handle: 1, Offset: 2, Object2: 3, Handle2: 4, Offset2: 5,
		Length: 1 << 30,
	}, Reply: Bytes(&WriteOut{Size: 1 << 30})},
	{Op: FUSE_COPY_FILE_RANGE_64, Args: Bytes(&CopyFileRangeIn{
		FhIn: 1, OffIn: 2, NodeIDOut: 3, FhOut: 4, OffOut: 5, Len: 1<<40 | 6}), Room: outHeader + 8, IO: fsdev.IO{
		Type: fsdev.IOCopyFileRange, Object: File, Handle: 1, Offset: 2, Object2: 3, Handle2: 4, Offset2: 5,
		Length: 1<<40 | 6,
	}, Reply: Bytes(&CopyFileRangeOut{BytesCopied: 1<<40 | 6})},
	{Op: FUSE_LSEEK, Args: Bytes(&LseekIn{Fh: 42, Offset: 1 << 40, Whence: 4}), Room: outHeader + 8,
		IO:    fsdev.IO{Type: fsdev.IOLseek, Object: File, Handle: 42, Offset: 1 << 40, Flags: 4},
		Reply: Bytes(&LseekOut{Offset: 501})},
	{Op: FUSE_STATX, Args: Bytes(&StatxIn{GetattrFlags: FUSE_GETATTR_FH, Fh: 42, SxFlags: 43, SxMask: 44}),
		Room:  outHeader + 288,
		IO:    fsdev.IO{Type: fsdev.IOStatx, Object: File, Handle: 42, Flags: 43, Mode: 44},
		Reply: Bytes(&StatxOut{AttrValid: 1, Stat: wireStatx})},
	{Op: FUSE_TMPFILE, Args: Bytes(&CreateIn{
		Flags: syscall.O_RDWR | syscall.O_EXCL | syscall.O_DIRECTORY | 0o20000000, Mode: 1}), Names: []string{"/"},
		Room: outHeader + 128 + 16, IO: fsdev.IO{
			Type: fsdev.IOTmpfile, Object: File, Flags: syscall.O_RDWR | syscall.O_EXCL, Mode: 1, UID: 1001, GID: 1002,
		}, Reply: join(Bytes(&wireEntry), Bytes(&OpenOut{Fh: uint64(Handle)}))},
	{Op: FUSE_SYNCFS, Args: Bytes(&SyncfsIn{}), Room: outHeader, IO: fsdev.IO{Type: fsdev.IOSyncfs, Object: File}},
	{Op: FUSE_GETLK, Args: Bytes(&LkIn{Fh: 42, Owner: 43, Lk: FileLock{Start: 1, End: 2, Type: syscall.F_RDLCK, PID: 3}}),
		Room: outHeader + 24, IO: fsdev.IO{
			Type: fsdev.IOGetlk, Object: File, Handle: 42, Owner: 43,
			Lock: fsdev.Lock{Type: syscall.F_RDLCK, PID: 3, Start: 1, End: 2},
		}, Reply: Bytes(&LkOut{Lk: FileLock{Start: 402, End: 403, Type: syscall.F_WRLCK, PID: 401}})},
	{Op: FUSE_SETLK, Args: Bytes(&LkIn{Fh: 42, Owner: 43, Lk: FileLock{Start: 1, End: 2, Type: syscall.F_UNLCK, PID: 3}}),
		Room: outHeader, IO: fsdev.IO{
			Type: fsdev.IOSetlk, Object: File, Handle: 42, Owner: 43,
			Lock: fsdev.Lock{Type: syscall.F_UNLCK, PID: 3, Start: 1, End: 2},
		}},
	{Op: FUSE_SETLKW, Args: Bytes(&LkIn{Fh: 42, Owner: 43, Lk: FileLock{End: math.MaxInt64, Type: syscall.F_WRLCK}}),
		Room: outHeader, IO: fsdev.IO{
			Type: fsdev.IOSetlk, Object: File, Handle: 42, Owner: 43, Wait: true,
			Lock: fsdev.Lock{Type: syscall.F_WRLCK, End: math.MaxInt64},
		}},
	{Op: FUSE_IOCTL, Args: Bytes(&IoctlIn{Fh: 42, Cmd: fsGetXattr, Arg: 43, OutSize: 28}), Room: outHeader + 16 + 28,
		IO:    fsdev.IO{Type: fsdev.IOIoctl, Object: File, Handle: 42, Flags: fsGetXattr, Length: 43, Size: 28},
		Reply: join(Bytes(&IoctlOut{Result: 503}), Pattern(28))},
	{Op: FUSE_IOCTL, Args: Bytes(&IoctlIn{Fh: 42, Flags: FUSE_IOCTL_DIR, Cmd: fsSetXattr, Arg: 43, InSize: 28}),
		Payload: Pattern(28), Room: outHeader + 16, IO: fsdev.IO{
			Type: fsdev.IOIoctl, Object: File, Handle: 42, Flags: fsSetXattr, Length: 43, Value: Pattern(28),
		}, Reply: Bytes(&IoctlOut{Result: 503})},
	{Op: FUSE_POLL, Args: Bytes(&PollIn{Fh: 42, Kh: 43, Flags: FUSE_POLL_SCHEDULE_NOTIFY, Events: 44}),
		Room:  outHeader + 8,
		IO:    fsdev.IO{Type: fsdev.IOPoll, Object: File, Handle: 42, Owner: 43, Flags: 44, Wait: true},
		Reply: Bytes(&PollOut{Revents: 502})},
	{Op: FUSE_FORGET, Args: Bytes(&ForgetIn{Nlookup: 1 << 40}),
		IO: fsdev.IO{Type: fsdev.IOForget, Object: File, Nlookup: 1 << 40}},
}

package fusedispatcher_test

import (
	"fmt"
	"math"
	"slices"
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/fuse_dispatcher/dispatchertest"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
	"github.com/spdk-go/spdk-go/reactor"
)

// Handles in the arguments.
var (
	fhGetattr = field(func(a *GetattrIn) *uint64 { return &a.Fh })
	fhSetattr = field(func(a *SetattrIn) *uint64 { return &a.Fh })
	fhRead    = field(func(a *ReadIn) *uint64 { return &a.Fh })
	fhWrite   = field(func(a *WriteIn) *uint64 { return &a.Fh })
	fhRelease = field(func(a *ReleaseIn) *uint64 { return &a.Fh })
	fhFsync   = field(func(a *FsyncIn) *uint64 { return &a.Fh })
	fhFlush   = field(func(a *FlushIn) *uint64 { return &a.Fh })
	fhLk      = field(func(a *LkIn) *uint64 { return &a.Fh })
	fhAlloc   = field(func(a *FallocateIn) *uint64 { return &a.Fh })
	fhCopy    = field(func(a *CopyFileRangeIn) *uint64 { return &a.FhIn })
	fhLseek   = field(func(a *LseekIn) *uint64 { return &a.Fh })
	fhStatx   = field(func(a *StatxIn) *uint64 { return &a.Fh })
	fhIoctl   = field(func(a *IoctlIn) *uint64 { return &a.Fh })
	fhPoll    = field(func(a *PollIn) *uint64 { return &a.Fh })
	fhMap     = field(func(a *SetupmappingIn) *uint64 { return &a.Fh })

	newdir  = field(func(a *RenameIn) *uint64 { return &a.Newdir })
	newdir2 = field(func(a *Rename2In) *uint64 { return &a.Newdir })
	oldNode = field(func(a *LinkIn) *uint64 { return &a.OldNodeID })
	copyTo  = field(func(a *CopyFileRangeIn) *uint64 { return &a.NodeIDOut })
)

// handlers is the table: a line for every opcode that the dispatcher knows, and for some that it
// does not.
var handlers = []handler{
	{op: FUSE_LOOKUP, names: []nameKind{fileName}},
	{op: FUSE_FORGET},
	{op: FUSE_GETATTR, fh: fhGetattr},
	{op: FUSE_SETATTR, fh: fhSetattr},
	{op: FUSE_READLINK, tight: tooLong},
	{op: FUSE_SYMLINK, names: []nameKind{fileName, target}},
	{op: FUSE_MKNOD, names: []nameKind{fileName}},
	{op: FUSE_MKDIR, names: []nameKind{fileName}},
	{op: FUSE_UNLINK, names: []nameKind{fileName}},
	{op: FUSE_RMDIR, names: []nameKind{fileName}},
	{op: FUSE_RENAME, names: []nameKind{fileName, fileName}, other: newdir},
	{op: FUSE_LINK, names: []nameKind{fileName}, other: oldNode},
	{op: FUSE_OPEN},
	{op: FUSE_READ, fh: fhRead, tight: less, sizes: readSizes},
	{op: FUSE_WRITE, fh: fhWrite, sizes: writeSizes},
	{op: FUSE_STATFS},
	{op: FUSE_RELEASE, fh: fhRelease},
	{op: FUSE_FSYNC, fh: fhFsync},
	{op: FUSE_SETXATTR, names: []nameKind{anyName}, sizes: setxattrSizes},
	{op: FUSE_GETXATTR, names: []nameKind{anyName}, tight: outOfRange, sizes: xattrSizes(cstr("user.a"))},
	{op: FUSE_LISTXATTR, tight: outOfRange, sizes: xattrSizes(nil)},
	{op: FUSE_REMOVEXATTR, names: []nameKind{anyName}},
	{op: FUSE_FLUSH, fh: fhFlush},
	{op: FUSE_INIT, good: &goodInit, short: shortInit, control: true},
	{op: FUSE_OPENDIR},
	{op: FUSE_READDIR, fh: fhRead, tight: fewer, sizes: readdirSizes(32)},
	{op: FUSE_RELEASEDIR, fh: fhRelease},
	{op: FUSE_FSYNCDIR, fh: fhFsync},
	{op: FUSE_GETLK, fh: fhLk},
	{op: FUSE_SETLK, fh: fhLk},
	{op: FUSE_SETLKW, fh: fhLk},
	{op: FUSE_ACCESS, good: &goodUnsupported, short: unsupported, local: true},
	{op: FUSE_CREATE, names: []nameKind{fileName}},
	{op: FUSE_INTERRUPT, good: &goodInterrupt, local: true},
	{op: FUSE_BMAP, good: &goodUnsupported, short: unsupported, local: true},
	{op: FUSE_DESTROY, good: &goodDestroy, control: true},
	{op: FUSE_IOCTL, fh: fhIoctl, sizes: ioctlSizes},
	{op: FUSE_POLL, fh: fhPoll},
	{op: FUSE_NOTIFY_REPLY, good: &goodNotifyReply, short: shortNotifyReply, local: true},
	{op: FUSE_BATCH_FORGET, good: &goodBatchForget, short: shortBatchForget, sizes: batchForgetSizes},
	{op: FUSE_FALLOCATE, fh: fhAlloc},
	{op: FUSE_READDIRPLUS, fh: fhRead, tight: fewer, sizes: readdirSizes(160)},
	{op: FUSE_RENAME2, names: []nameKind{fileName, fileName}, other: newdir2},
	{op: FUSE_LSEEK, fh: fhLseek},
	{op: FUSE_COPY_FILE_RANGE, fh: fhCopy, other: copyTo, sizes: copySizes(1 << 30)},
	{op: FUSE_SETUPMAPPING, good: &goodSetupmapping, fh: fhMap, local: true},
	{op: FUSE_REMOVEMAPPING, good: &goodRemovemapping, sizes: removemappingSizes, local: true},
	{op: FUSE_SYNCFS},
	{op: FUSE_TMPFILE, names: []nameKind{anyName}},
	{op: FUSE_STATX, fh: fhStatx},
	{op: FUSE_COPY_FILE_RANGE_64, fh: fhCopy, other: copyTo, sizes: copySizes(math.MaxInt64)},
	// Of those without a handler, one inside the table and one beyond it.
	{op: 7, good: &goodUnsupported, short: unsupported, local: true},
	{op: CUSE_INIT, good: &goodUnsupported, short: unsupported, local: true},
}

// What too little room for a reply gives, where the module's answer decides how much it needs.
func tooLong(_ int, r *dispatchertest.Reply) bool {
	return r.Errno == syscall.ENAMETOOLONG && r.Len == outHeader
}
func less(n int, r *dispatchertest.Reply) bool { return r.Errno == 0 && len(r.Payload()) == n }
func outOfRange(n int, r *dispatchertest.Reply) bool {
	return n > 0 || r.Errno == syscall.ERANGE && r.Len == outHeader
}

// fewer entries, and EINVAL if there is no room for any: an empty reply would be the end.
func fewer(_ int, r *dispatchertest.Reply) bool {
	if len(r.Payload()) == 0 {
		return r.Errno == syscall.EINVAL
	}
	return r.Errno == 0 && len(r.Payload())%8 == 0
}

func unsupported(int) (syscall.Errno, bool) { return syscall.ENOSYS, false }

// goodUnsupported is a request that is answered, with ENOSYS, whatever it holds.
var goodUnsupported = good{
	Case: dispatchertest.Case{Args: make([]byte, 50), Room: outHeader},
	check: func(t *testing.T, s *suite, r *dispatchertest.Reply) {
		t.Helper()
		s.nothing(t, r, syscall.ENOSYS, outHeader)
	},
}

// wants wants a request to have succeeded with so many bytes of reply, and something to be done.
func (s *suite) wants(t *testing.T, r *dispatchertest.Reply, reply uint32, did ...string) {
	t.Helper()
	if r.Errno != 0 || r.Len != reply {
		t.Errorf("%v, reply of %d bytes, want %d", r.Errno, r.Len, reply)
	}
	if !slices.Equal(s.did, did) {
		t.Errorf("did %q, want %q", s.did, did)
	}
	if len(s.FS.Calls) > 0 {
		t.Errorf("the module saw %v", s.FS.Calls[0].Type)
	}
}

// goodInit is an INIT of a client that may have had a session before.
var goodInit = good{
	Case: dispatchertest.Case{Args: Bytes(&InitIn{Major: 7, Minor: 45}), Room: outHeader + 64},
	check: func(t *testing.T, s *suite, r *dispatchertest.Reply) {
		t.Helper()
		want := []string{"umount", "mount"}
		if !s.session {
			want = want[1:]
		}
		s.wants(t, r, outHeader+64, want...)
		s.session = true
	},
}

// shortInit: of a major version behind which nothing is known there must be both numbers, of a
// minor one from 6 on the flags too; what came later may be missing.
func shortInit(n int) (syscall.Errno, bool) {
	switch {
	case n < 8:
		return syscall.EPROTO, false
	case n < 16:
		return syscall.EINVAL, false
	}
	return 0, true
}

var goodDestroy = good{
	Case: dispatchertest.Case{Room: outHeader},
	check: func(t *testing.T, s *suite, r *dispatchertest.Reply) {
		t.Helper()
		if !s.session {
			s.wants(t, r, outHeader)
			return
		}
		s.wants(t, r, outHeader, "umount")
		s.begin()
	},
}

// goodInterrupt is for a request that the module holds.
var goodInterrupt = good{
	Case: dispatchertest.Case{Args: u64(0)},
	prepare: func(s *suite, _ *dispatchertest.Header) {
		s.FS.Do = s.FS.Hold
		s.target = s.Start(1, FUSE_SETLKW, node, 16,
			Bytes(&LkIn{Lk: FileLock{Type: syscall.F_WRLCK}, LkFlags: FUSE_LK_FLOCK}))
		s.ExpectNone(s.target)
	},
	check: func(t *testing.T, s *suite, r *dispatchertest.Reply) {
		t.Helper()
		s.wants(t, r, 0, "abort")
		s.Expect(s.target, syscall.EINTR)
	},
}

// goodNotifyReply answers a question.
var goodNotifyReply = good{
	Case: dispatchertest.Case{Args: Bytes(&NotifyRetrieveIn{Offset: 50, Size: 60}), Payload: pattern(60)},
	prepare: func(s *suite, hdr *dispatchertest.Header) {
		s.asked = true
		answered := func(_ *reactor.Thread, _ any, errno syscall.Errno, data [][]byte) {
			s.asked = false
			s.do("answered %v %x", errno, join(data...))
		}
		if errno := s.D.Retrieve(dispatchertest.File, 50, 100, answered, nil); errno != 0 {
			s.TB.Fatal(errno)
		}
		s.PollThreads()
		var q NotifyRetrieveOut
		copy(Bytes(&q), join(s.message...)[outHeader:])
		hdr.Unique, hdr.NodeID = q.NotifyUnique, q.NodeID
	},
	check: func(t *testing.T, s *suite, r *dispatchertest.Reply) {
		t.Helper()
		const zero = syscall.Errno(0)
		s.wants(t, r, 0, fmt.Sprintf("answered %v %x", zero, pattern(60)))
	},
}

// shortNotifyReply: who asked is told that the answer is no good.
func shortNotifyReply(n int) (syscall.Errno, bool) {
	if n < SizeofNotifyRetrieveIn {
		return syscall.EINVAL, false
	}
	return syscall.EIO, true
}

var goodBatchForget = good{
	Case: dispatchertest.Case{
		Args: Bytes(&BatchForgetIn{Count: 2}), Payload: dispatchertest.Forgets(10, 1, FUSE_ROOT_ID, 2)},
	check: func(t *testing.T, s *suite, r *dispatchertest.Reply) {
		t.Helper()
		calls := s.FS.Calls
		s.FS.Forget()
		s.wants(t, r, 0)
		want := []fsdev.IO{
			{Type: fsdev.IOForget, Object: 10, Nlookup: 1}, {Type: fsdev.IOForget, Object: dispatchertest.Root, Nlookup: 2},
		}
		if !slices.EqualFunc(calls, want, func(a, b fsdev.IO) bool {
			return a.Type == b.Type && a.Object == b.Object && a.Nlookup == b.Nlookup
		}) {
			t.Errorf("the module saw %d requests", len(calls))
		}
	},
}

// shortBatchForget: the list ends where the request does.
func shortBatchForget(n int) (syscall.Errno, bool) {
	if n < SizeofBatchForgetIn {
		return syscall.EINVAL, false
	}
	return 0, true
}

var goodSetupmapping = good{
	Case: dispatchertest.Case{
		Args: Bytes(&SetupmappingIn{Fh: 42, Foffset: 4096, Len: 8192, Flags: 1, Moffset: 16384}), Room: outHeader},
	check: func(t *testing.T, s *suite, r *dispatchertest.Reply) {
		t.Helper()
		s.wants(t, r, outHeader, "map 0x700000003 0x2a 4096+8192 at 16384")
	},
}

var goodRemovemapping = good{
	Case: dispatchertest.Case{Args: Bytes(&RemovemappingIn{Count: 2}), Room: outHeader, Payload: join(
		Bytes(&RemovemappingOne{Moffset: 4096, Len: 4096}), Bytes(&RemovemappingOne{Moffset: 16384, Len: 8192}))},
	check: func(t *testing.T, s *suite, r *dispatchertest.Reply) {
		t.Helper()
		s.wants(t, r, outHeader, "unmap 4096+4096", "unmap 16384+8192")
	},
}

package fusedispatcher_test

import (
	"bytes"
	"runtime"
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
)

// The tests of this file name defects of the C dispatcher that this one must never have. Most
// are pinned more widely elsewhere; these say what went wrong.

// The client's addresses were used as pointers.
func TestSeedBug01NodesAndHandlesAreNoAddresses(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	b.fs.do = func(io *fsdev.IO) { io.Complete(syscall.ESTALE) }
	for _, id := range []uint64{0, 8, 0xdeadbeef, 0xffff888000000000, 1<<64 - 1} {
		b.fs.calls = nil
		r := b.do(0, FUSE_READ, id, 32, Bytes(&ReadIn{Fh: id, Size: 16}))
		if io := b.fs.calls[0]; r.errno != syscall.ESTALE || uint64(io.Object) != id || uint64(io.Handle) != id {
			t.Errorf("%#x: %v, object %#x, handle %#x", id, r.errno, io.Object, io.Handle)
		}
	}
}

// FATTR_* were passed on as FSDEV_SET_ATTR_*, so that "now" set the wrong times.
func TestSeedBug02SetattrMask(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	for _, tt := range []struct{ fuse, want uint32 }{
		{FATTR_MODE, fsdev.SetAttrMode}, {FATTR_UID, fsdev.SetAttrUID}, {FATTR_GID, fsdev.SetAttrGID},
		{FATTR_SIZE, fsdev.SetAttrSize}, {FATTR_ATIME, fsdev.SetAttrAtime}, {FATTR_MTIME, fsdev.SetAttrMtime},
		{FATTR_FH, 0}, {FATTR_ATIME_NOW, fsdev.SetAttrAtimeNow}, {FATTR_MTIME_NOW, fsdev.SetAttrMtimeNow},
		{FATTR_LOCKOWNER, 0}, {FATTR_CTIME, fsdev.SetAttrCtime}, {1 << 31, 0},
	} {
		b.fs.calls = nil
		b.do(0, FUSE_SETATTR, node, 120, Bytes(&SetattrIn{Valid: tt.fuse}))
		if got := b.fs.calls[0].Flags; got != tt.want {
			t.Errorf("FATTR %#x became %#x, want %#x", tt.fuse, got, tt.want)
		}
	}
}

// GETXATTR answered every request with a size, and a small one with 4 GiB less 8.
func TestSeedBug03GetxattrValue(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	for n := range 9 {
		r := b.do(0, FUSE_GETXATTR, node, 24, Bytes(&GetxattrIn{Size: uint32(n)}), cstr("user.a"))
		want := pattern(n)
		if n == 0 {
			want = Bytes(&GetxattrOut{Size: 33})
		}
		if r.errno != 0 || !bytes.Equal(r.payload(), want) {
			t.Errorf("size %d: %v, %x", n, r.errno, r.payload())
		}
	}
}

// LISTXATTR read a second reply segment without looking whether there is one.
func TestSeedBug04ListxattrWithOneReplySegment(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	r := b.do(0, FUSE_LISTXATTR, node, 16, Bytes(&GetxattrIn{Size: 100}))
	if r.errno != syscall.ERANGE || r.len != 16 {
		t.Errorf("%v, reply of %d bytes", r.errno, r.len)
	}
}

// SETXATTR refused an empty value.
func TestSeedBug05SetxattrOfAnEmptyValue(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	r := b.do(0, FUSE_SETXATTR, node, 16, Bytes(&SetxattrIn{}), cstr("user.a"))
	if r.errno != 0 || len(b.fs.calls[0].Value) != 0 {
		t.Errorf("%v, value %q", r.errno, b.fs.calls[0].Value)
	}
}

// A reply whose header did not fit was never completed; an error was positive in some replies.
func TestSeedBug06And07EveryRequestCompletes(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	for room := range 16 {
		if r := b.do(0, FUSE_GETATTR, node, room, Bytes(&GetattrIn{})); r.len != 0 || r.errno != syscall.EINVAL {
			t.Errorf("room for %d: %v, reply of %d bytes", room, r.errno, r.len)
		}
	}
	r := b.do(0, FUSE_MKDIR, node, 144)
	var hdr OutHeader
	if copy(Bytes(&hdr), r.out[0]); hdr.Error != -int32(syscall.EINVAL) {
		t.Errorf("error %d", hdr.Error)
	}
}

// Error replies of READ, WRITE and COPY_FILE_RANGE carried a payload, which the kernel refuses.
func TestSeedBug08ErrorsAreAHeaderAndNothingElse(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	b.fs.do = func(io *fsdev.IO) {
		fill(io)
		io.Complete(syscall.EIO)
	}
	for i := range handlerCases {
		c := &handlerCases[i]
		if c.op == FUSE_READDIR || c.op == FUSE_READDIRPLUS || c.room == 0 {
			continue // what was listed before the error counts
		}
		r := b.do(0, c.op, node, c.room+100, c.parts()...)
		if r.errno != syscall.EIO || r.len != 16 {
			t.Errorf("%s: %v, reply of %d bytes", c.name(), r.errno, r.len)
		}
	}
}

// An unknown opcode was answered with the unique of an earlier request.
func TestSeedBug09StaleUnique(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	for _, op := range []uint32{54, 4096, 0, 19, 1<<32 - 1} {
		earlier := b.do(0, FUSE_STATFS, node, 96)
		r := b.do(0, op, node, 96)
		var hdr OutHeader
		copy(Bytes(&hdr), r.out[0])
		if hdr.Unique != r.hdr.Unique || hdr.Unique == earlier.hdr.Unique || r.errno != syscall.ENOSYS {
			t.Errorf("opcode %d: unique %d, want %d, %v", op, hdr.Unique, r.hdr.Unique, r.errno)
		}
	}
}

// A FORGET that failed was answered, into memory that it does not have.
func TestSeedBug10FailingForgetsAreSilent(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	b.fs.do = func(io *fsdev.IO) { io.Complete(syscall.EIO) }
	quiet(b, FUSE_FORGET, node, u64(1))
	quiet(b, FUSE_FORGET, node, u32(1))
	quiet(b, FUSE_BATCH_FORGET, node, u32(1))
	quiet(b, FUSE_BATCH_FORGET, 0, Bytes(&BatchForgetIn{Count: 1}), forgets(9, 1))
}

// Header, arguments and names were read twice from memory that the client can change.
func TestSeedBug11WhatIsCheckedIsWhatIsUsed(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	b.fs.do = b.fs.hold
	for i := range handlerCases {
		c := &handlerCases[i]
		if c.data != nil || c.op == FUSE_SETXATTR {
			continue // payload stays where it is
		}
		m := b.message(c.op, node, c.parts()...)
		r := b.send(0, [][]byte{m}, [][]byte{make([]byte, c.room)})
		for i := range m {
			m[i] = '/'
		}
		got := request(b.fs.pending[0])
		if !bytes.Equal(got.Name, c.io.Name) || !bytes.Equal(got.Name2, c.io.Name2) || got.Object != c.io.Object {
			t.Errorf("%s: %q, %q, %#x after the client changed them", c.name(), got.Name, got.Name2, got.Object)
		}
		b.fs.release(0)
		b.finish(r)
	}
}

// What could not be parsed got no answer, and the client waited for ever.
func TestSeedBug12ShortHeadersAreAnswered(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	m := b.message(FUSE_STATFS, node)
	if r := b.finish(b.send(0, [][]byte{m[:39]}, [][]byte{make([]byte, 96)})); r.errno != syscall.EINVAL || r.len != 16 {
		t.Errorf("%v, reply of %d bytes", r.errno, r.len)
	}
}

// Empty segments, and arguments across segments, were refused or ended the process.
func TestSeedBug13And14AnyLayout(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	m := b.message(FUSE_WRITE, node, Bytes(&WriteIn{Size: 50}), pattern(50))
	in := [][]byte{nil, m[:20], {}, m[20:70], nil, m[70:100], m[100:], {}}
	out := [][]byte{{}, make([]byte, 5), nil, make([]byte, 19)}
	r := b.finish(b.send(0, in, out))
	if r.errno != 0 || r.len != 24 || !bytes.Equal(b.fs.data[0], pattern(50)) {
		t.Errorf("%v, reply of %d bytes, wrote %x", r.errno, r.len, b.fs.data)
	}
}

// A listing lost what was in the buffer when the module reported the stop, or a later error.
func TestSeedBug15PartialListingsCount(t *testing.T) {
	for _, errno := range []syscall.Errno{0, syscall.EAGAIN, syscall.EIO} {
		b := newSession(t, fusedispatcher.Opts{})
		l := &listing{names: []string{"a", "b", "c"}, errno: errno}
		b.fs.do = l.do
		r := b.do(0, FUSE_READDIRPLUS, node, 16+2*160+50, Bytes(&ReadIn{Size: 4096}))
		if r.errno != 0 || len(r.payload()) != 2*160 {
			t.Errorf("%v: %v, %d bytes", errno, r.errno, len(r.payload()))
		}
	}
}

// READDIR gave addresses for inode numbers, and READDIRPLUS the right ones.
func TestSeedBug16InodeNumbersOfListingsAgree(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	l := &listing{names: []string{"."}}
	b.fs.do = l.do
	var plain, plus Dirent
	copy(Bytes(&plain), b.do(0, FUSE_READDIR, node, 200, Bytes(&ReadIn{Size: 100})).payload())
	copy(Bytes(&plus), b.do(0, FUSE_READDIRPLUS, node, 200, Bytes(&ReadIn{Size: 184})).payload()[128:])
	if plain.Ino != fakeAttr.Ino || plus.Ino != fakeAttr.Ino {
		t.Errorf("inode %d and %d, want %d", plain.Ino, plus.Ino, fakeAttr.Ino)
	}
}

// READLINK's answer ended with a NUL.
func TestSeedBug17ReadlinkHasNoTerminator(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	if r := b.do(0, FUSE_READLINK, node, 4096); string(r.payload()) != fakeTarget {
		t.Errorf("target %q", r.payload())
	}
}

// A reply that did not fit was found out about when the file had been created.
func TestSeedBug18TooLittleRoomLeavesNothingBehind(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	b.do(0, FUSE_CREATE, node, 159, Bytes(&CreateIn{}), cstr("name"))
	b.do(0, FUSE_LOOKUP, node, 143, cstr("name"))
	b.do(0, FUSE_OPEN, node, 31, Bytes(&OpenIn{}))
	if len(b.fs.calls) != 0 {
		t.Errorf("the module did %v", b.fs.calls[0].Type)
	}
}

// Before 7.12, MKDIR's padding was taken for the beginning of the name.
func TestSeedBug19MkdirOfAnOldClient(t *testing.T) {
	b := newBed(t, 1, fusedispatcher.Opts{})
	b.init(11)
	b.do(0, FUSE_MKDIR, node, 144, Bytes(&MkdirIn{Mode: 1}), cstr("name"))
	if got := b.fs.calls[0].Name; string(got) != "name" {
		t.Errorf("name %q", got)
	}
}

// Of several flags that differ between architectures, some cleared others; OPENDIR's were not
// translated at all.
func TestSeedBug20OpenFlagsOfAnotherArchitecture(t *testing.T) {
	// O_DIRECTORY | O_DIRECT, and O_NOFOLLOW | O_LARGEFILE, as ARM and x86 number them
	arch, flags := fusedispatcher.ArchARM64, [2]uint32{0o40000 | 0o200000, 0o100000 | 0o400000}
	want := [2]uint32{0o200000 | 0o40000, 0o400000 | 0o100000}
	if runtime.GOARCH == "arm64" {
		arch, flags, want = fusedispatcher.ArchX8664, want, flags
	}
	b := newSession(t, fusedispatcher.Opts{Arch: arch})
	for i := range flags {
		b.fs.calls = nil
		b.do(0, FUSE_OPEN, node, 32, Bytes(&OpenIn{Flags: flags[i]}))
		b.do(0, FUSE_OPENDIR, node, 32, Bytes(&OpenIn{Flags: flags[i]}))
		b.do(0, FUSE_CREATE, node, 160, Bytes(&CreateIn{Flags: flags[i]}), cstr("n"))
		b.do(0, FUSE_READ, node, 32, Bytes(&ReadIn{Flags: flags[i]}))
		b.do(0, FUSE_WRITE, node, 32, Bytes(&WriteIn{Flags: flags[i]}))
		for _, io := range b.fs.calls {
			if io.Flags != want[i] {
				t.Errorf("%v: %#o became %#o, want %#o", io.Type, flags[i], io.Flags, want[i])
			}
		}
	}
}

// flock(2) that waits was not supported, although it was agreed on.
func TestSeedBug21BlockingFlock(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	b.fs.do = b.fs.hold
	r := b.start(0, FUSE_SETLKW, node, 16, Bytes(&LkIn{Lk: FileLock{Type: syscall.F_WRLCK}, LkFlags: FUSE_LK_FLOCK}))
	b.expectNone(r)
	if got := b.fs.calls[0].Flags; got != syscall.LOCK_EX {
		t.Errorf("the module was asked for %#x", got)
	}
	b.fs.release(0)
	b.expect(r, 0)
}

// A NOTIFY_REPLY was answered.
func TestSeedBugNotifyReplyIsConsumed(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	quiet(b, FUSE_NOTIFY_REPLY, node, make([]byte, 64))
}

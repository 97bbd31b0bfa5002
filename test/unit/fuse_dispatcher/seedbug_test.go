package fusedispatcher_test

import (
	"bytes"
	"runtime"
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/fuse_dispatcher/dispatchertest"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
)

// The tests of this file and the next name the defects of the C dispatcher that this one must never
// have, by the numbers of our list of them. Most are pinned more widely elsewhere; these say what
// went wrong, and each fails if it is put back.

// The client's numbers were used as pointers, and all generations were 0.
func TestSeedBug01NodesAndHandlesAreNoAddresses(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	b.FS.Do = func(io *fsdev.IO) { io.Complete(syscall.ESTALE) }
	for _, id := range []uint64{0, 8, 0xdeadbeef, 0xffff888000000000, 1<<64 - 1} {
		b.FS.Forget()
		r := b.Do(0, FUSE_READ, id, 32, Bytes(&ReadIn{Fh: id, Size: 16}))
		if io := b.FS.Calls[0]; r.Errno != syscall.ESTALE || uint64(io.Object) != id || uint64(io.Handle) != id {
			t.Errorf("%#x: %v, object %#x, handle %#x", id, r.Errno, io.Object, io.Handle)
		}
	}
	// A number that is used again has another generation.
	for _, obj := range []fsdev.FileObject{7<<32 | 3, 8<<32 | 3} {
		b.FS.Do = func(io *fsdev.IO) {
			io.OutObject = obj
			io.Complete(0)
		}
		var e EntryOut
		copy(Bytes(&e), b.Do(0, FUSE_LOOKUP, node, 144, cstr("name")).Payload())
		if e.NodeID != uint64(obj) || e.Generation != uint64(obj)>>32 {
			t.Errorf("%#x: node %#x, generation %d", obj, e.NodeID, e.Generation)
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
		b.FS.Forget()
		b.Do(0, FUSE_SETATTR, node, 120, Bytes(&SetattrIn{Valid: tt.fuse}))
		if got := b.FS.Calls[0].Flags; got != tt.want {
			t.Errorf("FATTR %#x became %#x, want %#x", tt.fuse, got, tt.want)
		}
	}
}

// GETXATTR answered every request with a size, and a small one with 4 GiB less 8.
func TestSeedBug03GetxattrValue(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	for n := range 9 {
		r := b.Do(0, FUSE_GETXATTR, node, 24, Bytes(&GetxattrIn{Size: uint32(n)}), cstr("user.a"))
		want := pattern(n)
		if n == 0 {
			want = Bytes(&GetxattrOut{Size: 33})
		}
		if r.Errno != 0 || !bytes.Equal(r.Payload(), want) {
			t.Errorf("size %d: %v, %x", n, r.Errno, r.Payload())
		}
	}
}

// LISTXATTR read a second reply segment without looking whether there is one.
func TestSeedBug04ListxattrWithOneReplySegment(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	r := b.Do(0, FUSE_LISTXATTR, node, 16, Bytes(&GetxattrIn{Size: 100}))
	if r.Errno != syscall.ERANGE || r.Len != 16 {
		t.Errorf("%v, reply of %d bytes", r.Errno, r.Len)
	}
}

// SETXATTR refused an empty value.
func TestSeedBug05SetxattrOfAnEmptyValue(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	r := b.Do(0, FUSE_SETXATTR, node, 16, Bytes(&SetxattrIn{}), cstr("user.a"))
	if r.Errno != 0 || len(b.FS.Calls[0].Value) != 0 {
		t.Errorf("%v, value %q", r.Errno, b.FS.Calls[0].Value)
	}
}

// Errors were positive in some replies: of requests that could not be parsed, and of an INIT that
// was undone.
func TestSeedBug06ErrorsAreNegative(t *testing.T) {
	b := newBed(t, 1, fusedispatcher.Opts{})
	want := func(r *dispatchertest.Reply, errno syscall.Errno) {
		t.Helper()
		var hdr OutHeader
		if copy(Bytes(&hdr), join(r.Out...)); r.Errno != errno || hdr.Error != -int32(errno) {
			t.Errorf("opcode %d: %v, error %d", r.Hdr.Opcode, r.Errno, hdr.Error)
		}
	}
	b.RemoveFS()
	want(b.Finish(b.StartInit(0)), syscall.ENODEV)
	b.FS = dispatchertest.NewFS(t, b.T, dispatchertest.FSName)
	b.FS.Mount = fails(syscall.EIO)
	want(b.Finish(b.StartInit(0)), syscall.EIO)
	b.FS.Mount = nil
	b.Init(dispatchertest.MaxMinor)
	want(b.Do(0, FUSE_MKDIR, node, 144), syscall.EINVAL)
	want(b.Do(0, 7, node, 144), syscall.ENOSYS)
	b.FS.Do = fails(syscall.ENOENT)
	want(b.Do(0, FUSE_LOOKUP, node, 144, cstr("name")), syscall.ENOENT)
}

// A request whose reply's header did not fit never completed, nor did one whose error the kernel
// does not know.
func TestSeedBug07EveryRequestCompletes(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	for room := range outHeader {
		for _, op := range []uint32{FUSE_GETATTR, FUSE_INIT, FUSE_DESTROY, FUSE_READ, 7} {
			r := b.Do(0, op, node, room, make([]byte, 64))
			if r.Len != 0 || r.Errno != syscall.EINVAL {
				t.Errorf("opcode %d, room for %d: %v, reply of %d bytes", op, room, r.Errno, r.Len)
			}
		}
	}
	for _, errno := range []syscall.Errno{511, 512, 524, 1001, 1<<31 - 1, 1 << 31} {
		b.FS.Do = fails(errno)
		want := errno
		if errno > 511 {
			want = syscall.EIO
		}
		if r := b.Do(0, FUSE_STATFS, node, 96); r.Errno != want || r.Len != outHeader {
			t.Errorf("the module says %d: %v, reply of %d bytes", errno, r.Errno, r.Len)
		}
	}
}

// Error replies of READ, WRITE and COPY_FILE_RANGE carried a payload, which the kernel refuses.
func TestSeedBug08ErrorsAreAHeaderAndNothingElse(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	b.FS.Do = func(io *fsdev.IO) {
		dispatchertest.Fill(io)
		io.Complete(syscall.EIO)
	}
	for i := range cases {
		c := &cases[i]
		if c.Op == FUSE_READDIR || c.Op == FUSE_READDIRPLUS || c.Room == 0 {
			continue // what was listed before the error counts
		}
		r := b.Do(0, c.Op, node, c.Room+100, c.Parts()...)
		if r.Errno != syscall.EIO || r.Len != 16 {
			t.Errorf("%s: %v, reply of %d bytes", c.Name(), r.Errno, r.Len)
		}
	}
}

// An unknown opcode was answered with the unique of an earlier request.
func TestSeedBug09StaleUnique(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	for _, op := range []uint32{54, 4096, 0, 19, 1<<32 - 1} {
		earlier := b.Do(0, FUSE_STATFS, node, 96)
		r := b.Do(0, op, node, 96)
		var hdr OutHeader
		copy(Bytes(&hdr), r.Out[0])
		if hdr.Unique != r.Hdr.Unique || hdr.Unique == earlier.Hdr.Unique || r.Errno != syscall.ENOSYS {
			t.Errorf("opcode %d: unique %d, want %d, %v", op, hdr.Unique, r.Hdr.Unique, r.Errno)
		}
	}
}

// A FORGET that failed was answered, into memory that it does not have.
func TestSeedBug10FailingForgetsAreSilent(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	b.FS.Do = func(io *fsdev.IO) { io.Complete(syscall.EIO) }
	b.Quiet(FUSE_FORGET, node, u64(1))
	b.Quiet(FUSE_FORGET, node, u32(1))
	b.Quiet(FUSE_BATCH_FORGET, node, u32(1))
	b.Quiet(FUSE_BATCH_FORGET, 0, Bytes(&BatchForgetIn{Count: 1}), dispatchertest.Forgets(9, 1))
}

// Header, arguments and names were read twice from memory that the client can change.
func TestSeedBug11WhatIsCheckedIsWhatIsUsed(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	b.FS.Do = b.FS.Hold
	for i := range cases {
		c := &cases[i]
		if c.Data != nil || c.Op == FUSE_SETXATTR {
			continue // payload stays where it is
		}
		m := b.Message(c.Op, node, c.Parts()...)
		r := b.Send(0, [][]byte{m}, [][]byte{make([]byte, c.Room)})
		for i := range m {
			m[i] = '/'
		}
		got := dispatchertest.Request(b.FS.Pending[0])
		if !bytes.Equal(got.Name, c.IO.Name) || !bytes.Equal(got.Name2, c.IO.Name2) || got.Object != c.IO.Object {
			t.Errorf("%s: %q, %q, %#x after the client changed them", c.Name(), got.Name, got.Name2, got.Object)
		}
		b.FS.Release(0)
		b.Finish(r)
	}
}

// What could not be parsed got no answer, and the client waited for ever.
func TestSeedBug12ShortHeadersAreAnswered(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	m := b.Message(FUSE_STATFS, node)
	if r := b.Finish(b.Send(0, [][]byte{m[:39]}, [][]byte{make([]byte, 96)})); r.Errno != syscall.EINVAL || r.Len != 16 {
		t.Errorf("%v, reply of %d bytes", r.Errno, r.Len)
	}
}

// Empty segments, and arguments across segments, were refused or ended the process; the length in
// the header counted for nothing.
func TestSeedBug13AnySegments(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	m := b.Message(FUSE_RENAME, node, Bytes(&RenameIn{Newdir: 77}), cstr("old"), cstr("newer"))
	in := [][]byte{nil, m[:20], {}, m[20:43], nil, m[43:50], m[50:], {}}
	r := b.Finish(b.Send(0, in, [][]byte{{}, make([]byte, 5), nil, make([]byte, 11)}))
	if r.Errno != 0 || len(b.FS.Calls) != 1 || string(b.FS.Calls[0].Name2) != "newer" {
		t.Errorf("%v, %d calls", r.Errno, len(b.FS.Calls))
	}
	b.FS.Forget()
	for _, n := range []uint32{39, uint32(len(m)) - 1, uint32(len(m)) + 1} {
		bad := append(bytes.Clone(m), "and more"...)[:len(m)]
		copy(bad, u32(n))
		if r := b.Finish(b.Send(0, [][]byte{bad}, [][]byte{make([]byte, 16)})); r.Errno != syscall.EINVAL {
			t.Errorf("length %d of %d: %v", n, len(m), r.Errno)
		}
	}
}

// READ and WRITE wanted their data to begin a segment, and did not compare its size with what
// there was.
func TestSeedBug14DataAnywhere(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	data := dispatchertest.Pattern(50)
	m := b.Message(FUSE_WRITE, node, Bytes(&WriteIn{Size: 50}), data) // in one segment, as /dev/fuse has it
	if r := b.Finish(b.Send(0, [][]byte{m}, [][]byte{make([]byte, 24)})); r.Errno != 0 ||
		!bytes.Equal(b.FS.Data[0], data) {
		t.Errorf("WRITE: %v, wrote %x", r.Errno, b.FS.Data)
	}
	if r := b.Do(0, FUSE_READ, node, 66, Bytes(&ReadIn{Size: 50})); !bytes.Equal(r.Payload(), data) {
		t.Errorf("READ: %v, %x", r.Errno, r.Payload())
	}
	b.FS.Forget()
	if r := b.Do(0, FUSE_WRITE, node, 24, Bytes(&WriteIn{Size: 51}), data); r.Errno != syscall.EINVAL ||
		len(b.FS.Calls) != 0 {
		t.Errorf("WRITE of more than there is: %v, %d calls", r.Errno, len(b.FS.Calls))
	}
	if r := b.Do(0, FUSE_READ, node, 66, Bytes(&ReadIn{Size: 51})); len(r.Payload()) != 50 || b.FS.Calls[0].Size != 50 {
		t.Errorf("READ of more than there is room for: %v, %d bytes", r.Errno, len(r.Payload()))
	}
}

// lists returns a Do of a directory that ends with errno.
func lists(errno syscall.Errno, names ...string) func(io *fsdev.IO) {
	return func(io *fsdev.IO) {
		for i, n := range names {
			attr := dispatchertest.FillAttr
			if !io.Emit([]byte(n), dispatchertest.File+fsdev.FileObject(i), &attr, uint64(i+1)) {
				break
			}
		}
		io.Complete(errno)
	}
}

// A listing lost what was in the buffer when the module reported the stop, or a later error.
func TestSeedBug15PartialListingsCount(t *testing.T) {
	for _, errno := range []syscall.Errno{0, syscall.EAGAIN, syscall.EIO} {
		b := newSession(t, fusedispatcher.Opts{})
		b.FS.Do = lists(errno, "a", "b", "c")
		r := b.Do(0, FUSE_READDIRPLUS, node, 16+2*160+50, Bytes(&ReadIn{Size: 4096}))
		if r.Errno != 0 || len(r.Payload()) != 2*160 {
			t.Errorf("%v: %v, %d bytes", errno, r.Errno, len(r.Payload()))
		}
	}
}

// READDIR gave addresses for inode numbers, and READDIRPLUS the right ones.
func TestSeedBug16InodeNumbersOfListingsAgree(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	b.FS.Do = lists(0, ".")
	var plain, plus Dirent
	copy(Bytes(&plain), b.Do(0, FUSE_READDIR, node, 200, Bytes(&ReadIn{Size: 100})).Payload())
	copy(Bytes(&plus), b.Do(0, FUSE_READDIRPLUS, node, 200, Bytes(&ReadIn{Size: 184})).Payload()[128:])
	if plain.Ino != dispatchertest.FillAttr.Ino || plus.Ino != dispatchertest.FillAttr.Ino {
		t.Errorf("inode %d and %d, want %d", plain.Ino, plus.Ino, dispatchertest.FillAttr.Ino)
	}
}

// READLINK's answer ended with a NUL.
func TestSeedBug17ReadlinkHasNoTerminator(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	if r := b.Do(0, FUSE_READLINK, node, 4096); string(r.Payload()) != dispatchertest.FillTarget {
		t.Errorf("target %q", r.Payload())
	}
}

// A reply that did not fit was found out about when the file had been created.
func TestSeedBug18TooLittleRoomLeavesNothingBehind(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	b.Do(0, FUSE_CREATE, node, 159, Bytes(&CreateIn{}), cstr("name"))
	b.Do(0, FUSE_LOOKUP, node, 143, cstr("name"))
	b.Do(0, FUSE_OPEN, node, 31, Bytes(&OpenIn{}))
	if len(b.FS.Calls) != 0 {
		t.Errorf("the module did %v", b.FS.Calls[0].Type)
	}
}

// Before 7.12, MKDIR's padding was taken for the beginning of the name.
func TestSeedBug19MkdirOfAnOldClient(t *testing.T) {
	b := newBed(t, 1, fusedispatcher.Opts{})
	b.Init(11)
	b.Do(0, FUSE_MKDIR, node, 144, Bytes(&MkdirIn{Mode: 1}), cstr("name"))
	if got := b.FS.Calls[0].Name; string(got) != "name" {
		t.Errorf("name %q", got)
	}
}

// Of several flags that differ between architectures, some cleared others; OPENDIR's were not
// translated at all.
func TestSeedBug20OpenFlagsOfAnotherArchitecture(t *testing.T) {
	// O_DIRECTORY, O_NOFOLLOW, O_DIRECT and O_LARGEFILE, as ARM and x86 number them.
	arm, x86 := [4]uint32{0o40000, 0o100000, 0o200000, 0o400000}, [4]uint32{0o200000, 0o400000, 0o40000, 0o100000}
	arch, from, to := fusedispatcher.ArchARM64, arm, x86
	if runtime.GOARCH == "arm64" {
		arch, from, to = fusedispatcher.ArchX8664, x86, arm
	}
	b := newSession(t, fusedispatcher.Opts{Arch: arch})
	for set := range 1 << len(from) {
		flags, want := uint32(syscall.O_RDWR), uint32(syscall.O_RDWR)
		for i := range from {
			if set&(1<<i) != 0 {
				flags, want = flags|from[i], want|to[i]
			}
		}
		b.FS.Forget()
		b.Do(0, FUSE_OPEN, node, 32, Bytes(&OpenIn{Flags: flags}))
		b.Do(0, FUSE_OPENDIR, node, 32, Bytes(&OpenIn{Flags: flags}))
		b.Do(0, FUSE_CREATE, node, 160, Bytes(&CreateIn{Flags: flags}), cstr("n"))
		b.Do(0, FUSE_READ, node, 32, Bytes(&ReadIn{Flags: flags}))
		b.Do(0, FUSE_WRITE, node, 32, Bytes(&WriteIn{Flags: flags}))
		for _, io := range b.FS.Calls {
			if io.Flags != want {
				t.Errorf("%v: %#o became %#o, want %#o", io.Type, flags, io.Flags, want)
			}
		}
	}
}

// flock(2) that waits was not supported, although it was agreed on.
func TestSeedBug21BlockingFlock(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	b.FS.Do = b.FS.Hold
	r := b.Start(0, FUSE_SETLKW, node, 16, Bytes(&LkIn{Lk: FileLock{Type: syscall.F_WRLCK}, LkFlags: FUSE_LK_FLOCK}))
	b.ExpectNone(r)
	if got := b.FS.Calls[0].Flags; got != syscall.LOCK_EX {
		t.Errorf("the module was asked for %#x", got)
	}
	b.FS.Release(0)
	b.Expect(r, 0)
}

package fusedispatcher_test

import (
	"bytes"
	"slices"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
)

// sameMemory wants got to be exactly the non-empty parts of want, not a copy.
func sameMemory(t *testing.T, got, want [][]byte) {
	t.Helper()
	want = slices.DeleteFunc(slices.Clone(want), func(s []byte) bool { return len(s) == 0 })
	if len(got) != len(want) {
		t.Fatalf("%d segments, want %d", len(got), len(want))
	}
	for i := range got {
		if &got[i][0] != &want[i][0] || len(got[i]) != len(want[i]) || cap(got[i]) != len(got[i]) {
			t.Errorf("segment %d has other memory, or %d of %d bytes with %d to spare",
				i, len(got[i]), len(want[i]), cap(got[i])-len(got[i]))
		}
	}
}

func TestWriteHandsOnTheCallersMemory(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	data := pattern(4096)
	hdr := b.Message(FUSE_WRITE, node, Bytes(&WriteIn{Size: 4096}), data)[:80]
	for _, cuts := range [][]int{nil, {1}, {2048}, {4095}, {1000, 1000, 1001, 4000}} {
		var got [][]byte
		b.FS.Do = func(io *fsdev.IO) {
			got = slices.Clone(io.Iovs)
			b.FS.Hold(io)
		}
		payload := cut(data, cuts...)
		r := b.Send(0, slices.Concat([][]byte{hdr}, payload), [][]byte{make([]byte, 24)})
		sameMemory(t, got, payload)
		b.FS.Release(0)
		b.Finish(r)
	}
	// /dev/fuse style: header, arguments and payload in one buffer.
	m := append(slices.Clone(hdr), data...)
	var got [][]byte
	b.FS.Do = func(io *fsdev.IO) {
		got = slices.Clone(io.Iovs)
		io.OutSize = 4096
		io.Complete(0)
	}
	b.Finish(b.Send(0, [][]byte{m}, [][]byte{make([]byte, 24)}))
	sameMemory(t, got, [][]byte{m[80:len(m):len(m)]})
}

func TestReadHandsOnTheCallersMemory(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	for _, tt := range []struct {
		name string
		cuts []int // of the room for header and 4096 bytes
		size uint32
		want func(out [][]byte) [][]byte
	}{
		{"header apart", []int{16}, 4096, func(out [][]byte) [][]byte { return out[3:] }},
		{"one buffer", nil, 4096, func(out [][]byte) [][]byte { return [][]byte{out[1][16:]} }},
		{"less than there is room", nil, 100, func(out [][]byte) [][]byte { return [][]byte{out[1][16:116:116]} }},
		{"more than there is room", nil, 1 << 31, func(out [][]byte) [][]byte { return [][]byte{out[1][16:]} }},
		{"cut inside the header", []int{7}, 4096, func(out [][]byte) [][]byte { return [][]byte{out[3][9:]} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got [][]byte
			b.FS.Do = func(io *fsdev.IO) {
				got = slices.Clone(io.Iovs)
				fill(io)
				io.Complete(0)
			}
			out := cut(make([]byte, 16+4096), tt.cuts...)
			r := b.Finish(b.Send(0, [][]byte{b.Message(FUSE_READ, node, Bytes(&ReadIn{Size: tt.size}))}, out))
			sameMemory(t, got, tt.want(out))
			if n := min(int(tt.size), 4096); !bytes.Equal(r.Payload(), pattern(n)) {
				t.Errorf("read %d bytes", len(r.Payload()))
			}
		})
	}
}

// A vector of 4 GiB, of the same 32 MiB over and over.
func TestReadIntoMoreThan32BitsOfRoom(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	segs := slices.Repeat([][]byte{make([]byte, 32<<20)}, 128)
	m := b.Message(FUSE_READ, node, Bytes(&ReadIn{Size: 4096}))
	done := 0
	if errno := b.D.SubmitRequest(b.Chans[0], [][]byte{m}, append([][]byte{make([]byte, 16)}, segs...),
		func(_ any, errno syscall.Errno, n uint32) {
			done++
			if errno != 0 || n != 16+4096 {
				t.Errorf("%v, reply of %d bytes", errno, n)
			}
		}, nil); errno != 0 {
		t.Fatal(errno)
	}
	if b.PollThreads(); done != 1 {
		t.Errorf("completed %d times", done)
	}
}

func TestReadAndWriteOfAnySize(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	for _, n := range []uint32{0, 1, 4095, 1 << 20} {
		if r := b.Do(0, FUSE_READ, node, 16+int(n), Bytes(&ReadIn{Size: n})); !bytes.Equal(r.Payload(), pattern(int(n))) {
			t.Errorf("READ of %d: %v, %d bytes", n, r.Errno, len(r.Payload()))
		}
		r := b.Do(0, FUSE_WRITE, node, 24, Bytes(&WriteIn{Size: n}), pattern(int(n)))
		if diff := cmp.Diff(Bytes(&WriteOut{Size: n}), r.Payload()); diff != "" {
			t.Errorf("WRITE of %d: %v, %s", n, r.Errno, diff)
		}
		if !bytes.Equal(b.FS.Data[len(b.FS.Data)-1], pattern(int(n))) {
			t.Errorf("WRITE of %d wrote something else", n)
		}
	}
	// More segments than a request has room for.
	many := append(make([]byte, 0, 2000), pattern(1000)...)
	hdr := b.Message(FUSE_WRITE, node, Bytes(&WriteIn{Size: 1000}), many)[:80]
	b.Finish(b.Send(0, append([][]byte{hdr}, bytesEach(many)...), bytesEach(make([]byte, 24))))
	if !bytes.Equal(b.FS.Data[len(b.FS.Data)-1], many) {
		t.Error("a write from 1000 segments wrote something else")
	}
	m := b.Message(FUSE_READ, node, Bytes(&ReadIn{Size: 1000}))
	if r := b.Finish(b.Send(0, [][]byte{m}, bytesEach(make([]byte, 1016)))); !bytes.Equal(r.Payload(), pattern(1000)) {
		t.Error("a read into 1016 segments read something else")
	}
}

// Short reads and errors after data has been moved: the reply says what counts.
func TestReadRepliesWhatTheModuleSays(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	b.FS.Do = func(io *fsdev.IO) {
		copy(io.Iovs[0], "half")
		io.OutSize = 4
		io.Complete(0)
	}
	if r := b.Do(0, FUSE_READ, node, 116, Bytes(&ReadIn{Size: 100})); string(r.Payload()) != "half" {
		t.Errorf("%v, %q", r.Errno, r.Payload())
	}
	b.FS.Do = func(io *fsdev.IO) {
		copy(io.Iovs[0], "half")
		io.OutSize = 4
		io.Complete(syscall.EIO)
	}
	if r := b.Do(0, FUSE_READ, node, 116, Bytes(&ReadIn{Size: 100})); r.Errno != syscall.EIO || r.Len != 16 {
		t.Errorf("%v, reply of %d bytes", r.Errno, r.Len)
	}
}

// What the client says of clearing set-user-ID bits reaches only a module that understands it,
// and the bit by which modules are told cannot be smuggled in as an open flag.
func TestKillSuidgidOnlyIfAgreedOn(t *testing.T) {
	for _, agreed := range []bool{true, false} {
		b := newBed(t, 1, fusedispatcher.Opts{})
		b.FS.Mount = func(io *fsdev.IO) {
			io.Mount.KillPriv = agreed
			b.FS.Mounted(io)
		}
		b.Init(45)
		const smuggled = 1 << 31
		name := cstr("name")
		for _, kill := range []bool{true, false} {
			var bit, fattr uint32
			var write uint32
			if kill {
				bit, write, fattr = FUSE_OPEN_KILL_SUIDGID, FUSE_WRITE_KILL_SUIDGID, FATTR_KILL_SUIDGID
			}
			b.FS.Calls = nil
			b.Do(0, FUSE_OPEN, node, 200, Bytes(&OpenIn{Flags: 2 | smuggled, OpenFlags: bit}))
			b.Do(0, FUSE_CREATE, node, 200, Bytes(&CreateIn{Flags: 2 | smuggled, OpenFlags: bit}), name)
			b.Do(0, FUSE_WRITE, node, 200, Bytes(&WriteIn{Flags: 2 | smuggled, WriteFlags: write}))
			b.Do(0, FUSE_TMPFILE, node, 200, Bytes(&CreateIn{Flags: 2 | smuggled, OpenFlags: bit}), cstr("/"))
			b.Do(0, FUSE_READ, node, 200, Bytes(&ReadIn{Flags: 2 | smuggled}))
			b.Do(0, FUSE_OPENDIR, node, 200, Bytes(&OpenIn{Flags: 2 | smuggled, OpenFlags: bit}))
			b.Do(0, FUSE_SETATTR, node, 200, Bytes(&SetattrIn{Valid: FATTR_SIZE | fattr}))
			want := []uint32{2, 2, 2, 2, 2, 2, fsdev.SetAttrSize}
			if kill && agreed {
				for i := range 4 {
					want[i] |= fsdev.FlagKillSuidgid
				}
				want[6] |= fsdev.SetAttrKillSuidgid
			}
			var got []uint32
			for _, io := range b.FS.Calls {
				got = append(got, io.Flags)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("agreed %v, kill %v: %s", agreed, kill, diff)
			}
		}
	}
}

// With FALLOCATE and COPY_FILE_RANGE the kernel does not say that set-user-ID bits are to go, and leaves it to the
// server all the same: it is who asks that counts.
func TestKillSuidgidWhereTheProtocolHasNoRoom(t *testing.T) {
	const punch = 3
	for _, tt := range []struct {
		agreed bool
		uid    uint32
		want   uint32
	}{{true, 1001, fsdev.FlagKillSuidgid}, {true, 0, 0}, {false, 1001, 0}} {
		b := newBed(t, 1, fusedispatcher.Opts{})
		b.FS.Mount = func(io *fsdev.IO) {
			io.Mount.KillPriv = tt.agreed
			b.FS.Mounted(io)
		}
		b.Init(45)
		do := func(op uint32, arg []byte) syscall.Errno {
			b.Unique += 2
			msg := message(InHeader{Opcode: op, Unique: b.Unique, NodeID: node, UID: tt.uid}, arg)
			return b.Finish(b.Send(0, [][]byte{msg}, [][]byte{make([]byte, 100)})).Errno
		}
		b.FS.Calls = nil
		do(FUSE_FALLOCATE, Bytes(&FallocateIn{Mode: punch, Length: 1}))
		do(FUSE_COPY_FILE_RANGE, Bytes(&CopyFileRangeIn{NodeIDOut: node, Len: 1}))
		do(FUSE_COPY_FILE_RANGE_64, Bytes(&CopyFileRangeIn{NodeIDOut: node, Len: 1}))
		var got []uint32
		for _, io := range b.FS.Calls {
			got = append(got, io.Mode|io.Flags)
		}
		if diff := cmp.Diff([]uint32{punch | tt.want, tt.want, tt.want}, got); diff != "" {
			t.Errorf("agreed %v, user %d: %s", tt.agreed, tt.uid, diff)
		}
		smuggled := Bytes(&FallocateIn{Mode: fsdev.FlagKillSuidgid, Length: 1})
		if errno := do(FUSE_FALLOCATE, smuggled); errno != syscall.EOPNOTSUPP {
			t.Errorf("FALLOCATE of a mode that is a word of ours: %v", errno)
		}
	}
}

// The kernel's page cache writes with no flags of an open file: a page has its place.
func TestWriteFromThePageCacheDoesNotAppend(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	for _, tt := range []struct{ flags, write, want uint32 }{
		{syscall.O_WRONLY | syscall.O_APPEND, 0, syscall.O_WRONLY | syscall.O_APPEND},
		{0, FUSE_WRITE_CACHE, syscall.O_RDWR},
		{syscall.O_RDWR | syscall.O_APPEND, FUSE_WRITE_CACHE, syscall.O_RDWR},
	} {
		b.FS.Calls = nil
		b.Do(0, FUSE_WRITE, node, 24, Bytes(&WriteIn{Flags: tt.flags, WriteFlags: tt.write}))
		if got := b.FS.Calls[0].Flags; got != tt.want {
			t.Errorf("%+v: the module saw %#o", tt, got)
		}
	}
}

func TestRenameFlags(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	for flags := range uint32(16) {
		r := b.Do(0, FUSE_RENAME2, node, 16, Bytes(&Rename2In{Flags: flags}), cstr("a"), cstr("b"))
		if want := flags >= 8; (r.Errno == syscall.EINVAL) != want {
			t.Errorf("RENAME2 with flags %#x: %v", flags, r.Errno)
		}
	}
}

func TestAttributesValidForAsLongAsTheModuleSays(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	b.FS.Do = func(io *fsdev.IO) {
		fill(io)
		io.OutAttr.ValidMS = 2345
		io.Complete(0)
	}
	var e EntryOut
	copy(Bytes(&e), b.Do(0, FUSE_LOOKUP, node, 144, cstr("a")).Payload())
	var a AttrOut
	copy(Bytes(&a), b.Do(0, FUSE_GETATTR, node, 144, Bytes(&GetattrIn{})).Payload())
	got := []uint64{e.EntryValid, uint64(e.EntryValidNsec), e.AttrValid, uint64(e.AttrValidNsec), a.AttrValid,
		uint64(a.AttrValidNsec)}
	if diff := cmp.Diff([]uint64{2, 345_000_000, 2, 345_000_000, 2, 345_000_000}, got); diff != "" {
		t.Error(diff)
	}
}

func TestGetattrUsesTheHandleOnlyIfThereIsOne(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	b.Do(0, FUSE_GETATTR, node, 120, Bytes(&GetattrIn{Fh: 42}))
	b.Do(0, FUSE_SETATTR, node, 120, Bytes(&SetattrIn{Valid: FATTR_MODE, Fh: 42}))
	for _, io := range b.FS.Calls {
		if io.Handle != 0 {
			t.Errorf("%v with handle %d", io.Type, io.Handle)
		}
	}
}

// Who asks how long a value or a list is may hear that there is none.
func TestXattrQuestionsFail(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	b.FS.Do = func(io *fsdev.IO) { io.Complete(syscall.ENODATA) }
	for _, op := range []uint32{FUSE_GETXATTR, FUSE_LISTXATTR} {
		r := b.Do(0, op, node, 24, Bytes(&GetxattrIn{}), cstr("user.a"))
		if r.Errno != syscall.ENODATA || r.Len != 16 {
			t.Errorf("opcode %d: %v, reply of %d bytes", op, r.Errno, r.Len)
		}
	}
}

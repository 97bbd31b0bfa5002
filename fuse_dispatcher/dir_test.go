package fusedispatcher_test

import (
	"bytes"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
)

// listing is what a directory of the fake holds and how its READDIR ends.
type listing struct {
	names []string
	errno syscall.Errno
	took  []bool // what Emit said
}

func (l *listing) do(io *fsdev.IO) {
	for i, n := range l.names {
		ok := io.Emit([]byte(n), fakeFile+fsdev.FileObject(i), &fakeAttr, uint64(i+1))
		l.took = append(l.took, ok)
		if !ok {
			break
		}
	}
	io.Complete(l.errno)
}

func TestReaddirFillsTheRoomThereIs(t *testing.T) {
	const one = 32 // bytes of an entry with a name of up to 8
	for _, tt := range []struct {
		name  string
		names []string
		errno syscall.Errno // of the module
		size  uint32
		room  int
		took  []bool
		reply []string
		want  syscall.Errno
	}{
		{"empty directory", nil, 0, 4096, 4096, nil, nil, 0},
		{"all fit", []string{"a", "b"}, 0, 4096, 4096, []bool{true, true}, []string{"a", "b"}, 0},
		{"exactly", []string{"a", "b"}, 0, 2 * one, 4096, []bool{true, true}, []string{"a", "b"}, 0},
		{"one byte short", []string{"a", "b"}, 0, 2*one - 1, 4096, []bool{true, false}, []string{"a"}, 0},
		{"the vector is the limit", []string{"a", "b"}, 0, 4096, one, []bool{true, false}, []string{"a"}, 0},
		{"first too big", []string{"a"}, 0, one - 1, 4096, []bool{false}, nil, syscall.EINVAL},
		{"no room at all", []string{"a"}, 0, 4096, 0, []bool{false}, nil, syscall.EINVAL},
		{"size 0", []string{"a"}, 0, 0, 4096, []bool{false}, nil, syscall.EINVAL},
		{"size 0 at the end", nil, 0, 0, 4096, nil, nil, 0},
		{"error", nil, syscall.EIO, 4096, 4096, nil, nil, syscall.EIO},
		{"error after some", []string{"a"}, syscall.EIO, 4096, 4096, []bool{true}, []string{"a"}, 0},
		{"error of a module that reports the stop", []string{"a"}, syscall.EAGAIN, 1, 4096, []bool{false}, nil,
			syscall.EAGAIN},
		{"size beyond the vector", []string{"a"}, 0, 1<<32 - 1, 4096, []bool{true}, []string{"a"}, 0},
	} {
		for _, plus := range []bool{false, true} {
			name := tt.name
			op, scale := uint32(FUSE_READDIR), uint32(0)
			if plus {
				name += ", plus"
				op, scale = FUSE_READDIRPLUS, 128
			}
			t.Run(name, func(t *testing.T) {
				b := newSession(t, fusedispatcher.Opts{})
				size, room := tt.size, tt.room
				if size < 4096 && size > 0 { // per entry
					size += scale * ((size + one - 1) / one)
				}
				if room > 0 && room < 4096 {
					room += int(scale)
				}
				l := &listing{names: tt.names, errno: tt.errno}
				b.FS.Do = l.do
				r := b.Do(0, op, node, 16+room, Bytes(&ReadIn{Size: size}))
				if r.Errno != tt.want {
					t.Errorf("got %v, want %v", r.Errno, tt.want)
				}
				if diff := cmp.Diff(tt.took, l.took); diff != "" {
					t.Errorf("Emit said (-want +got):\n%s", diff)
				}
				var want []byte
				for i, n := range tt.reply {
					if plus {
						want = append(want, direntplus(n, uint64(i+1), entryOf(fakeFile+fsdev.FileObject(i)))...)
					} else {
						want = append(want, dirent(n, uint64(i+1))...)
					}
				}
				if !bytes.Equal(want, r.Payload()) {
					t.Errorf("reply (-want +got):\n%s", cmp.Diff(want, r.Payload()))
				}
			})
		}
	}
}

// Names of every length are padded with zeros to a multiple of 8, wherever the vector is cut.
func TestReaddirPadsNames(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	l := &listing{}
	var want []byte
	for i := range 255 {
		l.names = append(l.names, strings.Repeat("x", i+1))
		want = append(want, dirent(l.names[i], uint64(i+1))...)
	}
	b.FS.Do = l.do
	m := b.Message(FUSE_READDIR, node, Bytes(&ReadIn{Size: uint32(len(want))}))
	for _, out := range [][][]byte{{make([]byte, 16+len(want))}, bytesEach(make([]byte, 16+len(want)))} {
		if r := b.Finish(b.Send(0, [][]byte{m}, out)); !bytes.Equal(r.Payload(), want) {
			t.Errorf("%v, reply of %d bytes, want %d", r.Errno, len(r.Payload()), len(want))
		}
	}
}

// The root comes back under the number that the client knows it by.
func TestEntriesNameTheRootByItsNumber(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	b.FS.Do = func(io *fsdev.IO) {
		io.OutObject, io.OutAttr = fakeRoot, fakeAttr
		if io.Type == fsdev.IOReaddir {
			io.Emit([]byte("r"), fakeRoot, &fakeAttr, 1)
		}
		io.Complete(0)
	}
	for _, r := range []*reply{
		b.Do(0, FUSE_LOOKUP, node, 144, cstr("..")),
		b.Do(0, FUSE_READDIRPLUS, node, 16+160, Bytes(&ReadIn{Size: 160})),
	} {
		var e EntryOut
		if copy(Bytes(&e), r.Payload()); e.NodeID != FUSE_ROOT_ID {
			t.Errorf("opcode %d names the root %#x", r.Hdr.Opcode, e.NodeID)
		}
	}
}

func TestXattrSizes(t *testing.T) {
	name := cstr("user.a")
	for _, tt := range []struct {
		title string
		size  uint32
		room  int
		seen  int64 // size that the module sees, -1 if it does not
		errno syscall.Errno
		want  []byte
	}{
		{"asks for the size", 0, 8, 0, 0, Bytes(&GetxattrOut{Size: 33})},
		{"asks for the size without room", 0, 7, -1, syscall.EINVAL, nil},
		{"exact", 33, 33, 33, 0, pattern(33)},
		{"more room", 33, 100, 33, 0, pattern(33)},
		{"smaller than the size field of an answer", 1, 1, 1, 0, pattern(1)},
		{"size beyond the vector", 65536, 40, 40, 0, pattern(40)},
		{"huge size", 1<<32 - 1, 40, 40, 0, pattern(40)},
		{"a size but no room", 33, 0, -1, syscall.ERANGE, nil},
	} {
		t.Run(tt.title, func(t *testing.T) {
			b := newSession(t, fusedispatcher.Opts{})
			for _, r := range []*reply{
				b.Do(0, FUSE_GETXATTR, node, 16+tt.room, Bytes(&GetxattrIn{Size: tt.size}), name),
				b.Do(0, FUSE_LISTXATTR, node, 16+tt.room, Bytes(&GetxattrIn{Size: tt.size})),
			} {
				if r.Errno != tt.errno || !bytes.Equal(r.Payload(), tt.want) {
					t.Errorf("opcode %d: %v, %x", r.Hdr.Opcode, r.Errno, r.Payload())
				}
			}
			for _, io := range b.FS.Calls {
				if int64(io.Size) != tt.seen {
					t.Errorf("%v: the module saw size %d", io.Type, io.Size)
				}
			}
		})
	}
	b := newSession(t, fusedispatcher.Opts{})
	b.FS.Do = func(io *fsdev.IO) { io.Complete(syscall.ERANGE) }
	if r := b.Do(0, FUSE_GETXATTR, node, 24, Bytes(&GetxattrIn{Size: 8}), name); r.Errno != syscall.ERANGE || r.Len != 16 {
		t.Errorf("too small: %v, reply of %d bytes", r.Errno, r.Len)
	}
}

func TestSetxattrValues(t *testing.T) {
	name := cstr("user.a")
	for _, tt := range []struct {
		title string
		size  uint32
		value []byte
		want  syscall.Errno
	}{
		{"empty", 0, nil, 0},
		{"empty, with bytes behind", 0, []byte("junk"), 0},
		{"largest", 65536, pattern(65536), 0},
		{"too large", 65537, pattern(65537), syscall.E2BIG},
		{"size beyond the request", 5, []byte("four"), syscall.EINVAL},
		{"huge size", 1<<32 - 1, []byte("four"), syscall.E2BIG},
	} {
		for _, ext := range []bool{true, false} {
			t.Run(tt.title, func(t *testing.T) {
				b := newBed(t, 1, fusedispatcher.Opts{})
				args := Bytes(&SetxattrIn{Size: tt.size, Flags: 1, SetxattrFlags: 0})
				if ext {
					b.Init(45)
				} else {
					b.InitFlags(45, FUSE_BIG_WRITES)
					args = args[:FUSE_COMPAT_SETXATTR_IN_SIZE]
				}
				m := b.Message(FUSE_SETXATTR, node, args, name, tt.value)
				for _, in := range [][][]byte{{m}, cut(m, len(m)-len(tt.value)/2)} {
					b.FS.Calls = nil
					r := b.Finish(b.Send(0, in, [][]byte{make([]byte, 16)}))
					if r.Errno != tt.want || (tt.want == 0) != (len(b.FS.Calls) == 1) {
						t.Fatalf("%v, %d calls", r.Errno, len(b.FS.Calls))
					}
					if tt.want == 0 && !bytes.Equal(b.FS.Calls[0].Value, tt.value[:tt.size]) {
						t.Errorf("the module saw %d bytes", len(b.FS.Calls[0].Value))
					}
				}
			})
		}
	}
}

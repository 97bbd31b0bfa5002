package fusedispatcher_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
)

// isMemory wants segs to be buf, piece by piece, and neither a copy nor more than it.
func isMemory(t *testing.T, what string, segs [][]byte, buf []byte) {
	t.Helper()
	n := 0
	for _, seg := range segs {
		if len(seg) == 0 || n+len(seg) > len(buf) || &seg[0] != &buf[n] || cap(seg) != len(seg) {
			t.Fatalf("%s: a segment of %d bytes at %d of %d has other memory, or reaches too far", what, len(seg), n, len(buf))
		}
		n += len(seg)
	}
	if n != len(buf) {
		t.Fatalf("%s: %d bytes of %d", what, n, len(buf))
	}
}

// Whatever a request and the room for its reply are cut into, the module works on the client's
// own memory: header, arguments and names are all that is copied.
func TestPayloadIsNeverCopied(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	const size = 40
	for _, tt := range []struct {
		name  string
		op    uint32
		parts [][]byte
		room  int
		in    int // where in the request the payload begins; 0 if it is in the reply
		out   int // and in the reply
	}{
		{"WRITE", FUSE_WRITE, [][]byte{Bytes(&WriteIn{Size: size}), pattern(size)}, 24, 80, 0},
		{"READ", FUSE_READ, [][]byte{Bytes(&ReadIn{Size: size})}, 16 + size, 0, 16},
		{"GETXATTR", FUSE_GETXATTR, [][]byte{Bytes(&GetxattrIn{Size: size}), cstr("user.a")}, 16 + size, 0, 16},
		{"LISTXATTR", FUSE_LISTXATTR, [][]byte{Bytes(&GetxattrIn{Size: size})}, 16 + size, 0, 16},
		{"IOCTL", FUSE_IOCTL, [][]byte{Bytes(&IoctlIn{Cmd: fsGetXattr, OutSize: 28})}, 16 + 16 + 28, 0, 32},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := b.Message(tt.op, node, tt.parts...)
			room := make([]byte, tt.room)
			memory := room[tt.out:]
			if tt.in > 0 {
				memory = m[tt.in:]
			}
			var what string
			b.FS.Do = func(io *fsdev.IO) {
				isMemory(t, what, io.Iovs, memory)
				fill(io)
				io.Complete(0)
			}
			try := func(how string, in, out [][]byte) {
				t.Helper()
				what = how
				if r := b.Finish(b.Send(0, in, out)); r.Errno != 0 {
					t.Fatalf("%s: %v", what, r.Errno)
				}
			}
			for i := range len(m) + 1 {
				for j := i; j <= len(m); j += 7 {
					try("request cut", cut(m, i, j), [][]byte{room})
				}
			}
			for i := range tt.room + 1 {
				for j := i; j <= tt.room; j += 7 {
					try("reply cut", [][]byte{m}, cut(room, i, j))
				}
			}
			try("every byte by itself", bytesEach(m), bytesEach(room))
		})
	}
}

// A value in one piece is the client's memory, too; pieces are put together, since a module gets
// a value as a whole.
func TestSetxattrValueIsNotCopiedInOnePiece(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	value := pattern(40)
	m := b.Message(FUSE_SETXATTR, node, Bytes(&SetxattrIn{Size: 40}), cstr("user.a"), value)
	start := len(m) - 40
	for i := range len(m) + 1 {
		b.FS.Do = func(io *fsdev.IO) {
			if i <= start || i == len(m) {
				isMemory(t, "value", [][]byte{io.Value}, m[start:])
			}
			if !bytes.Equal(io.Value, value) {
				t.Errorf("cut at %d: value %x", i, io.Value)
			}
			io.Complete(0)
		}
		b.Finish(b.Send(0, cut(m, i), [][]byte{make([]byte, 16)}))
	}
}

// What is larger than any buffer of the dispatcher passes through untouched.
func TestLargePayloadsAreNotCopied(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	data := make([]byte, 1<<20)
	hdr := slices.Clone(b.Message(FUSE_WRITE, node, Bytes(&WriteIn{Size: 1 << 20}), data)[:80])
	b.FS.Raw = func(io *fsdev.IO) {
		isMemory(t, "1 MiB", io.Iovs, data)
		io.OutSize = uint64(io.Size)
		io.Complete(0)
	}
	b.Finish(b.Send(0, [][]byte{hdr, data[:5], data[5:4096], data[4096:]}, [][]byte{make([]byte, 24)}))
}

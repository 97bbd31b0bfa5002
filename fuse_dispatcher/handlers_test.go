package fusedispatcher_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
)

// forEachHandler runs a test for every opcode, all on one session.
func forEachHandler(t *testing.T, fn func(t *testing.T, b *bed, c *handlerCase)) {
	b := newSession(t, fusedispatcher.Opts{})
	for i := range handlerCases {
		c := &handlerCases[i]
		t.Run(c.Name(), func(t *testing.T) {
			b.TB = t
			defer func() { b.TB = t }()
			b.FS.Do, b.FS.Calls, b.FS.Data = nil, nil, nil
			fn(t, b, c)
		})
	}
	b.TB = t
	b.FS.Do = nil
}

func TestHandlersForwardArgumentsAndResults(t *testing.T) {
	forEachHandler(t, func(t *testing.T, b *bed, c *handlerCase) {
		c.Check(t, b, b.Do(0, c.Op, node, c.Room, c.Parts()...))
		b.FS.Do = func(io *fsdev.IO) { b.FS.Hold(io) }
		r := b.Start(0, c.Op, node, c.Room, c.Parts()...)
		b.PollThreads()
		if r.Done != 0 {
			t.Error("completed before the module did")
		}
		b.FS.Release(0)
		c.Check(t, b, b.Finish(r))
	})
	seen := map[uint32]bool{FUSE_BATCH_FORGET: true, FUSE_INTERRUPT: true, FUSE_NOTIFY_REPLY: true, FUSE_INIT: true,
		FUSE_DESTROY: true}
	for i := range handlerCases {
		seen[handlerCases[i].Op] = true
	}
	b := newSession(t, fusedispatcher.Opts{})
	for op := range uint32(60) {
		if !seen[op] {
			if r := b.Do(0, op, node, 4096, make([]byte, 200)); r.Errno != syscall.ENOSYS {
				t.Errorf("%s, which has no test, answers %v", fusedispatcher.OpcodeName(op), r.Errno)
			}
		}
	}
}

// What a request or the room for its reply is cut into makes no difference.
func TestHandlersTakeAnySegments(t *testing.T) {
	forEachHandler(t, func(t *testing.T, b *bed, c *handlerCase) {
		m := b.Message(c.Op, node, c.Parts()...)
		for i := range len(m) + 1 {
			c.Check(t, b, b.Finish(b.Send(0, cut(m, i), [][]byte{make([]byte, c.Room)})))
		}
		for i := range c.Room + 1 {
			c.Check(t, b, b.Finish(b.Send(0, [][]byte{m}, cut(make([]byte, c.Room), i))))
		}
		c.Check(t, b, b.Finish(b.Send(0, bytesEach(m), bytesEach(make([]byte, c.Room)))))
		c.Check(t, b, b.Finish(b.Send(0, cut(m, 3, 3, 40, len(m)), cut(make([]byte, c.Room), 0, c.Room))))
		// More room than needed does no harm.
		c.Check(t, b, b.Finish(b.Send(0, [][]byte{m}, [][]byte{make([]byte, c.Room+1000)[:c.Room]})))
		if t.Failed() {
			t.FailNow()
		}
	})
}

// A request that ends early is refused without the module seeing it, wherever it ends.
func TestHandlersRefuseShortRequests(t *testing.T) {
	forEachHandler(t, func(t *testing.T, b *bed, c *handlerCase) {
		whole := b.Message(c.Op, node, c.Parts()...)
		for n := range len(whole) {
			m := slices.Clone(whole[:n])
			if n >= 40 {
				Overlay[InHeader](slices.Clone(m)).Len = uint32(n)
				copy(m, u32(uint32(n)))
			}
			r := b.Finish(b.Send(0, cut(m, n/2), [][]byte{make([]byte, c.Room)}))
			if r.Errno != syscall.EINVAL {
				t.Errorf("%d of %d bytes: %v", n, len(whole), r.Errno)
			}
			if len(b.FS.Calls) > 0 {
				t.Fatalf("%d of %d bytes: the module saw %v", n, len(whole), b.FS.Calls[0].Type)
			}
		}
	})
}

// The header's len must lie within the vector; what is behind it does not count.
func TestHandlersGoByTheLengthInTheHeader(t *testing.T) {
	forEachHandler(t, func(t *testing.T, b *bed, c *handlerCase) {
		whole := b.Message(c.Op, node, c.Parts()...)
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
			if r := b.Finish(b.Send(0, [][]byte{m}, [][]byte{make([]byte, c.Room)})); r.Errno != tt.want {
				t.Errorf("len %d: %v", tt.len, r.Errno)
			}
			if len(b.FS.Calls) > 0 {
				t.Fatalf("len %d: the module saw %v", tt.len, b.FS.Calls[0].Type)
			}
		}
		// A vector may be longer than the request.
		m := append(slices.Clone(whole), bytes.Repeat([]byte{0xff}, 100)...)
		c.Check(t, b, b.Finish(b.Send(0, [][]byte{m}, [][]byte{make([]byte, c.Room)})))
		if len(whole) > 40 {
			m = slices.Clone(whole)
			copy(m, u32(uint32(len(whole)-1)))
			if r := b.Finish(b.Send(0, [][]byte{m}, [][]byte{make([]byte, c.Room)})); r.Errno != syscall.EINVAL {
				t.Errorf("len less one: %v", r.Errno)
			}
		}
	})
}

// Too little room is refused before the module sees the request, unless the module's answer
// decides how much is needed.
func TestHandlersRefuseTooLittleRoom(t *testing.T) {
	flexible := []uint32{FUSE_READ, FUSE_READLINK, FUSE_READDIR, FUSE_READDIRPLUS, FUSE_GETXATTR, FUSE_LISTXATTR}
	forEachHandler(t, func(t *testing.T, b *bed, c *handlerCase) {
		m := b.Message(c.Op, node, c.Parts()...)
		for room := range c.Room {
			if room >= outHeader && slices.Contains(flexible, c.Op) {
				continue
			}
			r := b.Finish(b.Send(0, [][]byte{m}, cut(make([]byte, room), room/2)))
			if r.Errno != syscall.EINVAL {
				t.Errorf("room for %d of %d bytes: %v", room, c.Room, r.Errno)
			}
			if want := uint32(min(room, outHeader) / outHeader * outHeader); r.Len != want {
				t.Errorf("room for %d of %d bytes: reply of %d bytes", room, c.Room, r.Len)
			}
			if len(b.FS.Calls) > 0 {
				t.Fatalf("room for %d of %d bytes: the module saw %v", room, c.Room, b.FS.Calls[0].Type)
			}
		}
		if c.Room > 0 {
			if r := b.Finish(b.Send(0, [][]byte{m}, nil)); r.Errno != syscall.EINVAL || r.Len != 0 {
				t.Errorf("no reply vector: %v, reply of %d bytes", r.Errno, r.Len)
			}
		}
	})
}

// Whatever the client calls a node reaches the module as a handle; its error is the reply.
func TestHandlersReplyTheModulesError(t *testing.T) {
	forEachHandler(t, func(t *testing.T, b *bed, c *handlerCase) {
		for _, id := range []uint64{0, 2, FUSE_ROOT_ID, uint64(fakeRoot), 1<<64 - 1} {
			b.FS.Do = func(io *fsdev.IO) { io.Complete(syscall.ESTALE) }
			r := b.Do(0, c.Op, id, c.Room, c.Parts()...)
			if r.Errno != syscall.ESTALE || (c.Room > 0 && r.Len != outHeader) {
				t.Errorf("node %#x: %v, reply of %d bytes", id, r.Errno, r.Len)
			}
			want := fsdev.FileObject(id)
			if id == FUSE_ROOT_ID {
				want = fakeRoot
			}
			got := b.FS.Calls[0].Object
			if c.Op == FUSE_LINK {
				got = b.FS.Calls[0].Object2
			}
			if got != want {
				t.Errorf("node %#x reaches the module as %#x", id, got)
			}
			b.FS.Calls = nil
		}
	})
}

// When no IO is free, the client hears so, and nothing is lost of what cannot be repeated.
func TestHandlersWithoutAFreeIO(t *testing.T) {
	forEachHandler(t, func(t *testing.T, b *bed, c *handlerCase) {
		b.FS.Do = func(io *fsdev.IO) { b.FS.Hold(io) }
		release := b.Exhaust()
		b.FS.Do, b.FS.Calls = nil, nil
		r := b.Start(0, c.Op, node, c.Room, c.Parts()...)
		for range 10 {
			b.PollOnce()
		}
		if c.Op == FUSE_FORGET {
			if r.Done != 0 {
				t.Error("a forget was given up")
			}
			release()
			c.Check(t, b, b.Finish(r))
			return
		}
		if r.Done != 1 || r.Errno != syscall.ENOBUFS {
			t.Errorf("completed %d times with %v", r.Done, r.Errno)
		}
		release()
		b.FS.Calls = nil
	})
}

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
		for which := range c.Names {
			if c.Op == FUSE_SYMLINK && which == 1 || c.Op == FUSE_TMPFILE {
				continue
			}
			want := file
			if c.Op == FUSE_SETXATTR || c.Op == FUSE_GETXATTR || c.Op == FUSE_REMOVEXATTR {
				want = attr
			}
			parts := [][]byte{c.Args}
			for j, n := range c.Names[:which+1] {
				if j == which {
					parts = append(parts, name)
				} else {
					parts = append(parts, cstr(n))
				}
			}
			if want == 0 { // else the rest would end it
				for _, n := range c.Names[which+1:] {
					parts = append(parts, cstr(n))
				}
				parts = append(parts, c.Payload)
			}
			m := b.Message(c.Op, node, parts...)
			for _, in := range [][][]byte{{m}, bytesEach(m), cut(m, len(m)-1), cut(m, 40+len(c.Args))} {
				b.FS.Calls = nil
				r := b.Finish(b.Send(0, in, [][]byte{make([]byte, c.Room)}))
				if r.Errno != want {
					t.Errorf("%s: %v, want %v", c.Name(), r.Errno, want)
				}
				if want != 0 && len(b.FS.Calls) > 0 {
					t.Errorf("%s: the module saw it", c.Name())
				}
				if want == 0 {
					got := b.FS.Calls[0].Name
					if which == 1 {
						got = b.FS.Calls[0].Name2
					}
					if fmt.Sprintf("%s\x00", got) != string(name) {
						t.Errorf("%s: the module saw %q", c.Name(), got)
					}
				}
			}
		}
	}
}

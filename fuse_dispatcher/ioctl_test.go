package fusedispatcher_test

import (
	"bytes"
	"slices"
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
)

// Commands of linux/fs.h and others, as the kernel numbers them.
const (
	fsGetFlags   = 0x80086601
	fsSetFlags   = 0x40086602
	fsGetVersion = 0x80087601
	fsGetLabel   = 0x81009431
	fsSetVersion = 0x40087602
	fsGetFlags32 = 0x80046601
	fsTrim       = 0xc0185879
	fsGetXattr   = 0x801c581f
	fsSetXattr   = 0x401c5820
	termGet      = 0x5401 // TCGETS: what isatty(3) asks
)

func TestIoctlWhitelistAndSizes(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	for _, tt := range []struct {
		name    string
		flags   uint32
		cmd     uint32
		in, out uint32
		payload int
		want    syscall.Errno
		wantIn  int // bytes that the module gets
		wantOut int // that it may fill, and the reply has
	}{
		{"flags", 0, fsGetFlags, 0, 4, 0, 0, 0, 4},
		{"flags of an older kernel", 0, fsGetFlags, 0, 8, 0, 0, 0, 4},
		{"flags of a directory", FUSE_IOCTL_DIR, fsGetFlags, 0, 4, 0, 0, 0, 4},
		{"set flags", 0, fsSetFlags, 4, 0, 4, 0, 4, 0},
		{"set flags of an older kernel", 0, fsSetFlags, 8, 0, 8, 0, 4, 0},
		{"version", 0, fsGetVersion, 0, 8, 0, 0, 0, 4},
		{"project", 0, fsGetXattr, 0, 28, 0, 0, 0, 28},
		{"set project", 0, fsSetXattr, 28, 0, 28, 0, 28, 0},
		{"label", 0, fsGetLabel, 0, 256, 0, 0, 0, 256},

		{"room for less", 0, fsGetXattr, 0, 27, 0, syscall.EINVAL, 0, 0},
		{"room for more", 0, fsGetXattr, 0, 29, 0, syscall.EINVAL, 0, 0},
		{"no room", 0, fsGetFlags, 0, 0, 0, syscall.EINVAL, 0, 0},
		{"huge room", 0, fsGetFlags, 0, 1<<32 - 1, 0, syscall.EINVAL, 0, 0},
		{"less input", 0, fsSetXattr, 27, 0, 27, syscall.EINVAL, 0, 0},
		{"no input", 0, fsSetFlags, 0, 0, 0, syscall.EINVAL, 0, 0},
		{"input of a command that reads", 0, fsGetFlags, 4, 4, 4, syscall.EINVAL, 0, 0},
		{"output of a command that writes", 0, fsSetFlags, 4, 4, 4, syscall.EINVAL, 0, 0},
		{"input that is not there", 0, fsSetXattr, 28, 0, 27, syscall.EINVAL, 0, 0},
		{"input that is only half there", 0, fsSetFlags, 8, 0, 4, syscall.EINVAL, 0, 0},

		{"isatty", 0, termGet, 0, 0, 0, syscall.ENOTTY, 0, 0},
		{"set version", 0, fsSetVersion, 8, 0, 8, syscall.ENOTTY, 0, 0},
		{"trim", 0, fsTrim, 24, 24, 24, syscall.ENOTTY, 0, 0},
		{"command 0", 0, 0, 0, 0, 0, syscall.ENOTTY, 0, 0},
		{"command -1", 0, 1<<32 - 1, 0, 0, 0, syscall.ENOTTY, 0, 0},
		{"of a 32-bit process", FUSE_IOCTL_COMPAT | FUSE_IOCTL_32BIT, fsGetFlags32, 0, 4, 0, syscall.ENOTTY, 0, 0},
		{"of a 32-bit kernel", FUSE_IOCTL_32BIT, fsGetFlags, 0, 4, 0, syscall.ENOTTY, 0, 0},
		{"of an x32 process", FUSE_IOCTL_COMPAT_X32, fsGetFlags, 0, 8, 0, syscall.ENOTTY, 0, 0},
		{"unrestricted", FUSE_IOCTL_UNRESTRICTED, fsGetFlags, 0, 4, 0, syscall.ENOTTY, 0, 0},
		{"unknown flag", 1 << 31, fsGetFlags, 0, 4, 0, syscall.ENOTTY, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b.TB = t
			b.FS.Calls = nil
			in := IoctlIn{Fh: 42, Flags: tt.flags, Cmd: tt.cmd, Arg: 43, InSize: tt.in, OutSize: tt.out}
			r := b.Do(0, FUSE_IOCTL, node, 400, Bytes(&in), pattern(tt.payload))
			if r.Errno != tt.want {
				t.Fatalf("answer %v, want %v", r.Errno, tt.want)
			}
			if tt.want != 0 {
				if len(b.FS.Calls) != 0 {
					t.Error("the module saw it")
				}
				return
			}
			got := b.FS.Calls[0]
			if got.Flags != tt.cmd || !bytes.Equal(got.Value, pattern(tt.wantIn)) || int(got.Size) != tt.wantOut {
				t.Errorf("the module saw command %#x with %d bytes and room for %d", got.Flags, len(got.Value), got.Size)
			}
			if want := join(Bytes(&IoctlOut{Result: 503}), pattern(tt.wantOut)); !bytes.Equal(r.Payload(), want) {
				t.Errorf("reply %x", r.Payload())
			}
		})
	}
	b.TB = t
}

// A module that fills less than there is room for does not show the client what was there.
func TestIoctlReplyIsWhole(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	m := b.Message(FUSE_IOCTL, node, Bytes(&IoctlIn{Cmd: fsGetXattr, OutSize: 28}))
	for n := range 30 {
		b.FS.Do = func(io *fsdev.IO) {
			rest := pattern(min(n, 28))
			for _, seg := range io.Iovs {
				rest = rest[copy(seg, rest):]
			}
			io.OutSize, io.OutResult = uint64(n), -1
			io.Complete(0)
		}
		want := slices.Concat(Bytes(&IoctlOut{Result: -1}), pattern(min(n, 28)), make([]byte, 28-min(n, 28)))
		for _, out := range [][][]byte{{make([]byte, 60)}, bytesEach(make([]byte, 60)), cut(make([]byte, 60), 32, 40)} {
			if r := b.Finish(b.Send(0, [][]byte{m}, out)); !bytes.Equal(r.Payload(), want) {
				t.Errorf("%d bytes: reply %x, want %x", n, r.Payload(), want)
			}
		}
	}
}

func TestIoctlErrors(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	for _, tt := range []struct{ module, want syscall.Errno }{
		{syscall.ENOSYS, syscall.ENOTTY},
		{syscall.ENOTTY, syscall.ENOTTY},
		{syscall.EPERM, syscall.EPERM},
	} {
		b.FS.Do = func(io *fsdev.IO) { io.Complete(tt.module) }
		r := b.Do(0, FUSE_IOCTL, node, 60, Bytes(&IoctlIn{Cmd: fsGetXattr, OutSize: 28}))
		if r.Errno != tt.want || r.Len != 16 {
			t.Errorf("the module says %v: %v, reply of %d bytes", tt.module, r.Errno, r.Len)
		}
	}
	b.FS.Do = nil
	// The room is checked before the module does anything.
	for room := 16; room < 60; room++ {
		b.FS.Calls = nil
		r := b.Do(0, FUSE_IOCTL, node, room, Bytes(&IoctlIn{Cmd: fsGetXattr, OutSize: 28}))
		if r.Errno != syscall.EINVAL || len(b.FS.Calls) != 0 {
			t.Errorf("room for %d: %v, %d calls", room, r.Errno, len(b.FS.Calls))
		}
	}
}

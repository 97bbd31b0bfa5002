package fusedispatcher_test

import (
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
)

// Only data and holes are the file system's; the client's kernel knows where files end.
func TestLseekTakesDataAndHoles(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	for _, tt := range []struct {
		whence uint32
		want   syscall.Errno
	}{
		{0, syscall.EINVAL}, {1, syscall.EINVAL}, {2, syscall.EINVAL}, {3, 0}, {4, 0}, {5, syscall.EINVAL},
		{1<<32 - 1, syscall.EINVAL},
	} {
		if r := b.Do(0, FUSE_LSEEK, node, 24, Bytes(&LseekIn{Whence: tt.whence})); r.Errno != tt.want {
			t.Errorf("whence %d: %v", tt.whence, r.Errno)
		}
	}
}

// What a module does not have is ENOSYS to the client, whose kernel knows what to do instead.
func TestModulesWithoutAnOperation(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	b.FS.Do = func(io *fsdev.IO) { io.Complete(syscall.ENOSYS) }
	for _, op := range []uint32{FUSE_LSEEK, FUSE_STATX, FUSE_TMPFILE, FUSE_SYNCFS, FUSE_COPY_FILE_RANGE,
		FUSE_COPY_FILE_RANGE_64, FUSE_POLL, FUSE_GETLK} {
		for i := range handlerCases {
			if c := &handlerCases[i]; c.Op == op {
				if r := b.Do(0, op, node, c.Room, c.Parts()...); r.Errno != syscall.ENOSYS || r.Len != 16 {
					t.Errorf("%s: %v, reply of %d bytes", c.Name(), r.Errno, r.Len)
				}
			}
		}
	}
}

func TestStatx(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	b.FS.Do = func(io *fsdev.IO) {
		io.OutStatx = fsdev.Statx{Attr: fsdev.Attr{
			ValidMS: 2345, Rdev: 0x12300000 | 0xabc<<8 | 0x45, Mode: syscall.S_IFBLK | 0o600,
		}}
		io.Complete(0)
	}
	r := b.Do(0, FUSE_STATX, node, 304, Bytes(&StatxIn{Fh: 42}))
	var out StatxOut
	copy(Bytes(&out), r.Payload())
	if b.FS.Calls[0].Handle != 0 {
		t.Error("the handle counts without being said to")
	}
	if out.AttrValid != 2 || out.AttrValidNsec != 345_000_000 {
		t.Errorf("valid for %d s and %d ns", out.AttrValid, out.AttrValidNsec)
	}
	if out.Stat.RdevMajor != 0xabc || out.Stat.RdevMinor != 0x12345 || out.Stat.Mode != syscall.S_IFBLK|0o600 {
		t.Errorf("device %#x:%#x, mode %#o", out.Stat.RdevMajor, out.Stat.RdevMinor, out.Stat.Mode)
	}
}

// A client from before 7.21 does not say what it waits for.
func TestPollEventsOfAnOldClient(t *testing.T) {
	for minor, want := range map[uint32]uint32{11: 0x145, 20: 0x145, 21: 44, 45: 44} {
		b := newBed(t, 1, fusedispatcher.Opts{})
		b.Init(minor)
		b.Do(0, FUSE_POLL, node, 24, Bytes(&PollIn{Events: 44}))
		if got := b.FS.Calls[0]; got.Flags != want || got.Wait {
			t.Errorf("7.%d: the module was asked for %#x, notify %v", minor, got.Flags, got.Wait)
		}
	}
}

// An ARM client's flags of O_TMPFILE reach the module without those that the opcode says.
func TestTmpfileFlags(t *testing.T) {
	const tmpfile = 0o20000000
	for arch, directory := range map[fusedispatcher.Arch]uint32{
		fusedispatcher.ArchX8664: 0o200000, fusedispatcher.ArchARM64: 0o40000,
	} {
		b := newSession(t, fusedispatcher.Opts{Arch: arch})
		for _, flags := range []uint32{syscall.O_WRONLY, syscall.O_RDWR, syscall.O_RDWR | syscall.O_EXCL} {
			b.FS.Calls = nil
			b.Do(0, FUSE_TMPFILE, node, 160, Bytes(&CreateIn{Flags: flags | tmpfile | directory | syscall.O_CREAT}), cstr("/"))
			if got := b.FS.Calls[0].Flags; got != flags {
				t.Errorf("architecture %d, %#o: the module saw %#o", arch, flags, got)
			}
		}
	}
}

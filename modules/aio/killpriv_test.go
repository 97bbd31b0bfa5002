package aio_test

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/modules/aio"
	"github.com/spdk-go/spdk-go/reactor"
)

// file is one that a client without a dispatcher has open.
type file struct {
	*client
	obj fsdev.FileObject
	h   fsdev.FileHandle
}

// open opens a name in the root.
func (c *client) open(name string, flags uint32) *file {
	c.Helper()
	f := &file{client: c, obj: c.lookup(name)}
	f.want("FOPEN", 0, func(done func(syscall.Errno)) syscall.Errno {
		return c.desc.Fopen(c.ch, 0, f.obj, flags,
			func(_ any, _ *iochannel.Channel, errno syscall.Errno, h fsdev.FileHandle) {
				f.h = h
				done(errno)
			}, nil)
	})
	c.Cleanup(func() {
		if !c.Failed() {
			f.want("RELEASE", 0, func(done func(syscall.Errno)) syscall.Errno {
				return c.desc.Release(c.ch, 0, f.obj, f.h,
					func(_ any, _ *iochannel.Channel, errno syscall.Errno) { done(errno) }, nil)
			})
		}
	})
	return f
}

// want runs an operation and fails unless it ends so.
func (c *client) want(what string, want syscall.Errno, op func(done func(syscall.Errno)) syscall.Errno) {
	c.Helper()
	ended, got := false, syscall.Errno(0)
	if errno := op(func(errno syscall.Errno) { ended, got = true, errno }); errno != 0 {
		c.Fatalf("%s: submit: %v", what, errno)
	}
	c.until(func() bool { return ended })
	if got != want {
		c.Fatalf("%s: %v, want %v", what, got, want)
	}
}

// write writes one byte at the beginning.
func (f *file) write(flags uint32) {
	f.Helper()
	f.want("WRITE", 0, func(done func(syscall.Errno)) syscall.Errno {
		return f.desc.Write(f.ch, 0, f.obj, f.h, 1, 0, flags, [][]byte{{'x'}},
			func(_ any, _ *iochannel.Channel, errno syscall.Errno, _ uint64) { done(errno) }, nil)
	})
}

// allocate allocates ten bytes.
func (f *file) allocate(mode uint32) {
	f.Helper()
	f.want("FALLOCATE", 0, func(done func(syscall.Errno)) syscall.Errno {
		return f.desc.Fallocate(f.ch, 0, f.obj, f.h, mode, 0, 10,
			func(_ any, _ *iochannel.Channel, errno syscall.Errno) { done(errno) }, nil)
	})
}

// copyFrom copies a byte.
func (f *file) copyFrom(source *file, flags uint32) {
	f.Helper()
	f.want("COPY_FILE_RANGE", 0, func(done func(syscall.Errno)) syscall.Errno {
		return f.desc.CopyFileRange(f.ch, 0, source.obj, source.h, 0, f.obj, f.h, 0, 1, flags,
			func(_ any, _ *iochannel.Channel, errno syscall.Errno, _ uint64) { done(errno) }, nil)
	})
}

func (c *client) setattr(obj fsdev.FileObject, a fsdev.Attr, mask uint32, want syscall.Errno) {
	c.Helper()
	c.want("SETATTR", want, func(done func(syscall.Errno)) syscall.Errno {
		return c.desc.Setattr(c.ch, 0, obj, 0, &a, mask,
			func(_ any, _ *iochannel.Channel, errno syscall.Errno, _ *fsdev.Attr) { done(errno) }, nil)
	})
}

// someCaps is a security.capability: CAP_NET_RAW, permitted and effective.
var someCaps = []byte{1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}

// TestPrivilegesEndWithTheContent has what changes a program clear its set-ID bits if, and only if, it asks for that,
// and its capabilities always.
func TestPrivilegesEndWithTheContent(t *testing.T) {
	for _, p := range places {
		t.Run(p.name, func(t *testing.T) {
			dir := tempDir(t, p.dir)
			path := filepath.Join(dir, "prog")
			must(t, os.WriteFile(path, []byte("program"), 0o755))
			r := newRig(t, aio.Opts{Root: dir})
			if !aio.SwitchesUsers(r.a) {
				skip(t, needsRoot)
			}
			c := direct(t, r)
			must(t, os.WriteFile(filepath.Join(dir, "source"), []byte("source"), 0o644))
			f, source := c.open("prog", syscall.O_RDWR), c.open("source", syscall.O_RDONLY)
			changes := []struct {
				name    string
				change  func(kill bool)
				already bool // the bits go whoever asks
			}{
				{name: "WRITE", change: func(kill bool) { f.write(syscall.O_RDWR | flagIf(kill, fsdev.FlagKillSuidgid)) }},
				{name: "FALLOCATE", change: func(kill bool) { f.allocate(flagIf(kill, fsdev.FlagKillSuidgid)) }},
				{name: "COPY_FILE_RANGE", change: func(kill bool) {
					f.copyFrom(source, flagIf(kill, fsdev.FlagKillSuidgid))
				}},
				{name: "SETATTR of the size", change: func(kill bool) {
					c.setattr(f.obj, fsdev.Attr{Size: 3}, fsdev.SetAttrSize|flagIf(kill, fsdev.SetAttrKillSuidgid), 0)
				}},
				{name: "SETATTR of the owner", already: true, change: func(bool) {
					c.setattr(f.obj, fsdev.Attr{UID: 5}, fsdev.SetAttrUID, 0)
				}},
				{name: "FOPEN with O_TRUNC", change: func(kill bool) {
					c.open("prog", syscall.O_WRONLY|syscall.O_TRUNC|flagIf(kill, fsdev.FlagKillSuidgid))
				}},
			}
			for _, ch := range changes {
				for _, tc := range []struct {
					kill       bool
					mode, want uint32
				}{
					{false, 0o6755, 0o6755}, {true, 0o6755, 0o755}, {true, 0o4644, 0o644},
					{true, 0o6745, 0o2745}, // S_ISGID without S_IXGRP is something else
				} {
					c.setattr(f.obj, fsdev.Attr{Mode: tc.mode}, fsdev.SetAttrMode, 0)
					must(t, unix.Setxattr(path, "security.capability", someCaps, 0))
					ch.change(tc.kill)
					var st unix.Stat_t
					must(t, unix.Stat(path, &st))
					want := tc.want
					if ch.already && !tc.kill {
						want = 0o755
					}
					if got := st.Mode & 0o7777; got != want {
						t.Errorf("%s, kill %v: mode %#o became %#o, want %#o", ch.name, tc.kill, tc.mode, got, want)
					}
					if _, err := unix.Getxattr(path, "security.capability", nil); err != unix.ENODATA {
						t.Errorf("%s, kill %v: the capabilities: %v", ch.name, tc.kill, err)
					}
				}
			}
		})
	}
}

func flagIf(cond bool, flag uint32) uint32 {
	if cond {
		return flag
	}
	return 0
}

// TestKillingWritesStayOnTheThread wants a WRITE that is to clear bits of a file that has none to be like any other,
// and one after the bits have been set not to be taken for that.
func TestKillingWritesStayOnTheThread(t *testing.T) {
	dir := tempDir(t, "/dev/shm")
	must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o644))
	r := newRig(t, aio.Opts{Root: dir})
	if !aio.SwitchesUsers(r.a) {
		skip(t, needsRoot)
	}
	var jobs atomic.Int64
	c := direct(t, r)
	f := c.open("file", syscall.O_RDWR)
	aio.SetHook(r.a, func(typ fsdev.IOType) {
		if typ == fsdev.IOWrite {
			jobs.Add(1)
		}
	})
	write := func(want int64) {
		t.Helper()
		f.write(syscall.O_RDWR | fsdev.FlagKillSuidgid)
		if got := jobs.Load(); got != want {
			t.Fatalf("%d WRITEs went to workers, want %d", got, want)
		}
	}
	for range 5 {
		write(0)
	}
	c.setattr(f.obj, fsdev.Attr{Mode: 0o4755}, fsdev.SetAttrMode, 0)
	write(1)
	for range 5 {
		write(1)
	}
}

// TestProgramsAreNotLent wants a file with set-ID bits to be read and written by requests, which say whether the bits
// are to go.
func TestProgramsAreNotLent(t *testing.T) {
	dir := tempDir(t, "")
	path := filepath.Join(dir, "prog")
	must(t, os.WriteFile(path, []byte("program"), 0o755))
	r := newRig(t, aio.Opts{Root: dir})
	c := direct(t, r)
	f := c.open("prog", syscall.O_RDWR)
	for mode, want := range map[uint32]syscall.Errno{0o755: 0, 0o4755: syscall.EOPNOTSUPP, 0o2755: syscall.EOPNOTSUPP} {
		must(t, unix.Chmod(path, mode))
		errno := r.a.Backing(c.desc, f.obj, f.h, func(any, int) syscall.Errno { return 0 }, nil)
		if errno != want {
			t.Errorf("mode %#o: %v, want %v", mode, errno, want)
		}
	}
}

// TestLostPrivilegesAreTold wants clients to hear that a file has lost its set-ID bits, and of nothing else.
func TestLostPrivilegesAreTold(t *testing.T) {
	dir := tempDir(t, "")
	must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o644))
	r := newRig(t, aio.Opts{Root: dir})
	if !aio.SwitchesUsers(r.a) {
		skip(t, needsRoot)
	}
	c := direct(t, r)
	must(t, os.WriteFile(filepath.Join(dir, "source"), []byte("source"), 0o644))
	f, source := c.open("file", syscall.O_RDWR), c.open("source", syscall.O_RDONLY)
	told := 0
	c.desc.SetNotify(func(_ *reactor.Thread, _ *fsdev.Fsdev, n *fsdev.Notification, _ any) {
		if n.Type == fsdev.NotifyInvalInode && n.Object == f.obj && n.Offset == fsdev.NoData {
			told++
		}
	}, nil)
	for _, tc := range []struct {
		what   string
		mode   uint32
		change func()
		want   int
	}{
		{"WRITE", 0o755, func() { f.write(syscall.O_RDWR | fsdev.FlagKillSuidgid) }, 0},
		{"WRITE", 0o6755, func() { f.write(syscall.O_RDWR | fsdev.FlagKillSuidgid) }, 1},
		{"WRITE that kills nothing", 0o6755, func() { f.write(syscall.O_RDWR) }, 0},
		{"FALLOCATE", 0o755, func() { f.allocate(fsdev.FlagKillSuidgid) }, 0},
		{"FALLOCATE", 0o4755, func() { f.allocate(fsdev.FlagKillSuidgid) }, 1},
		{"FALLOCATE that kills nothing", 0o4755, func() { f.allocate(0) }, 0},
		{"COPY_FILE_RANGE", 0o755, func() { f.copyFrom(source, fsdev.FlagKillSuidgid) }, 0},
		{"COPY_FILE_RANGE", 0o4755, func() { f.copyFrom(source, fsdev.FlagKillSuidgid) }, 1},
		{"FOPEN", 0o755, func() { c.open("file", syscall.O_RDWR|syscall.O_TRUNC|fsdev.FlagKillSuidgid) }, 0},
		{"FOPEN", 0o4755, func() { c.open("file", syscall.O_RDWR|syscall.O_TRUNC|fsdev.FlagKillSuidgid) }, 1},
		{"FOPEN without O_TRUNC", 0o4755, func() { c.open("file", syscall.O_RDWR|fsdev.FlagKillSuidgid) }, 0},
	} {
		c.setattr(f.obj, fsdev.Attr{Mode: tc.mode}, fsdev.SetAttrMode, 0)
		told = 0
		tc.change()
		if tc.want > 0 {
			r.until(func() bool { return told == tc.want })
		} else if told > 0 {
			t.Errorf("%s of mode %#o: told %d times", tc.what, tc.mode, told)
		}
	}
}

// TestNoKillPriv wants the option to be obeyed.
func TestNoKillPriv(t *testing.T) {
	for _, off := range []bool{false, true} {
		r := newRig(t, aio.Opts{NoKillPriv: off})
		c := direct(t, r)
		if c.opts.KillPriv == off {
			t.Errorf("NoKillPriv %v: MOUNT says %v", off, c.opts.KillPriv)
		}
	}
}

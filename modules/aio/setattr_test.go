package aio_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/modules/aio"
	"github.com/spdk-go/spdk-go/transport/loopback"
)

// TestSetattrIsWhole changes several attributes at once, one of which cannot be: none is.
func TestSetattrIsWhole(t *testing.T) {
	const immutable, appendOnly = 0x10, 0x20 // linux/fs.h, FS_IMMUTABLE_FL, FS_APPEND_FL
	all := fsdev.Attr{Size: 1, Mode: 0o600, UID: 1234, GID: 1234, Mtime: 1}
	huge := all
	huge.Size = 1 << 63
	for _, tc := range []struct {
		name  string
		make  func(path string) error
		flags int
		set   fsdev.Attr
		mask  uint32
		want  syscall.Errno
	}{
		{"all of it", makeFile, 0, all, fsdev.SetAttrSize | fsdev.SetAttrMode | fsdev.SetAttrUID | fsdev.SetAttrMtime, 0},
		{"a link's mode", makeLink, 0, all, fsdev.SetAttrUID | fsdev.SetAttrMode, syscall.EOPNOTSUPP},
		{"a directory's size", makeDir, 0, all, fsdev.SetAttrUID | fsdev.SetAttrSize, syscall.EISDIR},
		{"too large", makeFile, 0, huge, fsdev.SetAttrUID | fsdev.SetAttrSize, syscall.EFBIG},
		{"the owner of one to append to", makeFile, appendOnly, all, fsdev.SetAttrMtimeNow | fsdev.SetAttrUID, syscall.EPERM},
		{"the mode of one", makeFile, appendOnly, all, fsdev.SetAttrSize | fsdev.SetAttrMode, syscall.EPERM},
		{"the size of an immutable file", makeFile, immutable, all, fsdev.SetAttrSize | fsdev.SetAttrUID, syscall.EPERM},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, aio.Opts{})
			if !aio.SwitchesUsers(r.a) {
				skip(t, needsRoot)
			}
			path := filepath.Join(r.dir, "file")
			must(t, tc.make(path))
			var before, after unix.Stat_t
			must(t, unix.Lstat(path, &before))
			if tc.flags != 0 {
				f, err := os.Open(path)
				must(t, err)
				defer f.Close()
				old, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
				must(t, err)
				old = int(uint32(old)) // of an int, whatever the number of the call says
				must(t, unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, old|tc.flags))
				defer func() { must(t, unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, old)) }()
				must(t, unix.Lstat(path, &before))
			}
			node := r.ok(r.lookup(root, "file")).r.Entry.Node
			r.want(tc.want, func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
				return r.c.Setattr(node, 0, &tc.set, tc.mask, fn, ctx)
			})
			must(t, unix.Lstat(path, &after))
			before.Atim, after.Atim = unix.Timespec{}, unix.Timespec{}
			if tc.want != 0 {
				if d := cmp.Diff(before, after); d != "" {
					t.Errorf("it has failed, and changed (-before +after)\n%s", d)
				}
			} else if after.Size != 1 || after.Mode&0o7777 != 0o600 || after.Uid != 1234 || after.Mtim.Sec != 1 {
				t.Errorf("%+v", after)
			}
		})
	}
}

func makeFile(path string) error { return os.WriteFile(path, []byte("contents"), 0o644) }
func makeLink(path string) error { return os.Symlink("target", path) }
func makeDir(path string) error  { return os.Mkdir(path, 0o755) }

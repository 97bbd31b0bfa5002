package aio_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/modules/aio"
)

// makers are the operations that make files of a name, apart from TMPFILE.
func (c *client) makers(by *fsdev.Creator) map[string]func(name string, cb fsdev.EntryCplFunc) syscall.Errno {
	return map[string]func(name string, cb fsdev.EntryCplFunc) syscall.Errno{
		"MKDIR": func(name string, cb fsdev.EntryCplFunc) syscall.Errno {
			return c.desc.Mkdir(c.ch, 0, c.root, []byte(name), 0o755, by, cb, nil)
		},
		"MKNOD": func(name string, cb fsdev.EntryCplFunc) syscall.Errno {
			return c.desc.Mknod(c.ch, 0, c.root, []byte(name), unix.S_IFREG|0o600, 0, by, cb, nil)
		},
		"SYMLINK": func(name string, cb fsdev.EntryCplFunc) syscall.Errno {
			return c.desc.Symlink(c.ch, 0, c.root, []byte(name), []byte("target"), by, cb, nil)
		},
		"CREATE": func(name string, cb fsdev.EntryCplFunc) syscall.Errno {
			return c.desc.Create(c.ch, 0, c.root, []byte(name), 0o600, syscall.O_RDWR, by, func(ctx any, ch *iochannel.Channel,
				errno syscall.Errno, obj fsdev.FileObject, a *fsdev.Attr, _ fsdev.FileHandle) {
				cb(ctx, ch, errno, obj, a)
			}, nil)
		},
	}
}

func (c *client) make(what string, want syscall.Errno, op func(name string, cb fsdev.EntryCplFunc) syscall.Errno) {
	c.Helper()
	c.want(what, want, func(done func(syscall.Errno)) syscall.Errno {
		return op(what, func(_ any, _ *iochannel.Channel, errno syscall.Errno, _ fsdev.FileObject, _ *fsdev.Attr) {
			done(errno)
		})
	})
}

// TestLabels wants each kind of file to have what it is made with, or not to be made.
func TestLabels(t *testing.T) {
	for _, p := range places {
		t.Run(p.name, func(t *testing.T) {
			dir := tempDir(t, p.dir)
			r := newRig(t, aio.Opts{Root: dir, SecurityLabel: true,
				XattrMap: "/prefix/all/security.moved/trusted./ /bad/client/security.secret// /ok/all///"})
			if !aio.SwitchesUsers(r.a) {
				skip(t, needsRoot)
			}
			c := direct(t, r)
			if !c.opts.SecurityCtx {
				t.Fatal("MOUNT does not say so")
			}
			x := func(name, value string) fsdev.Xattr { return fsdev.Xattr{Name: []byte(name), Value: []byte(value)} }
			has := func(what, name, want string) {
				t.Helper()
				buf := make([]byte, 100)
				n, err := unix.Lgetxattr(filepath.Join(dir, what), name, buf)
				if err != nil || string(buf[:n]) != want {
					t.Errorf("%s of what %s makes is %q, %v", name, what, buf[:max(n, 0)], err)
				}
			}
			by := &fsdev.Creator{UID: 1000, GID: 1000,
				Security: []fsdev.Xattr{x("security.label", "value\x00"), x("security.moved", "moved")}}
			for what, op := range c.makers(by) {
				c.make(what, 0, op)
				has(what, "security.label", "value\x00")
				has(what, "trusted.security.moved", "moved")
			}
			// The kernel knows what is no security.capability.
			nodes, handles := aio.Counts(r.a)
			for _, tc := range []struct {
				label fsdev.Xattr
				want  syscall.Errno
			}{
				{x("security.capability", "none"), syscall.EINVAL}, {x("security.secret", "x"), syscall.EPERM},
				{x("security.", "x"), syscall.EINVAL}, {x("security.big", string(make([]byte, 70000))), syscall.E2BIG},
			} {
				by := &fsdev.Creator{UID: 1000, GID: 1000, Security: []fsdev.Xattr{x("security.label", "value"), tc.label}}
				for what, op := range c.makers(by) {
					must(t, os.RemoveAll(filepath.Join(dir, what)))
					c.make(what, tc.want, op)
					if _, err := os.Lstat(filepath.Join(dir, what)); !os.IsNotExist(err) {
						t.Errorf("%s with a bad %q has made a file: %v", what, tc.label.Name, err)
					}
				}
				c.want("TMPFILE", tc.want, func(done func(syscall.Errno)) syscall.Errno {
					return c.desc.Tmpfile(c.ch, 0, c.root, 0o600, syscall.O_RDWR, by, func(_ any, _ *iochannel.Channel,
						errno syscall.Errno, _ fsdev.FileObject, _ *fsdev.Attr, _ fsdev.FileHandle) {
						done(errno)
					}, nil)
				})
			}
			if n, h := aio.Counts(r.a); n != nodes || h != handles {
				t.Errorf("%d nodes and %d handles, %d and %d before what has failed", n, h, nodes, handles)
			}
		})
	}
}

// TestLabelsWithoutXattrs makes files on a file system that has no attributes.
func TestLabelsWithoutXattrs(t *testing.T) {
	dir := tempDir(t, "")
	if err := unix.Mount("none", dir, "ramfs", 0, ""); err != nil {
		skip(t, needsRoot)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	r := newRig(t, aio.Opts{Root: dir, SecurityLabel: true})
	c := direct(t, r)
	by := &fsdev.Creator{Security: []fsdev.Xattr{{Name: []byte("security.label"), Value: []byte("value")}}}
	for what, op := range c.makers(by) {
		c.make(what, 0, op)
		if _, err := os.Lstat(filepath.Join(dir, what)); err != nil {
			t.Error(err)
		}
	}
}

// TestLabelsNotAskedFor ignores them without the option.
func TestLabelsNotAskedFor(t *testing.T) {
	dir := tempDir(t, "")
	r := newRig(t, aio.Opts{Root: dir, Xattr: true})
	c := direct(t, r)
	if c.opts.SecurityCtx {
		t.Error("MOUNT says that there are labels")
	}
	by := &fsdev.Creator{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid()),
		Security: []fsdev.Xattr{{Name: []byte("security.label"), Value: []byte("value")}}}
	must(t, errnoErr(c.create("file", 0o600, by)))
	if _, err := unix.Lgetxattr(filepath.Join(dir, "file"), "security.label", nil); err != unix.ENODATA {
		t.Error(err)
	}
}

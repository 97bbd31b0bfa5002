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
	"github.com/spdk-go/spdk-go/transport/loopback"
)

// TestTranslatedIDs has guests make and give away files, and wants host and guest each to see them their way.
func TestTranslatedIDs(t *testing.T) {
	dir := tempDir(t, "")
	r := newRig(t, aio.Opts{
		Root:         dir,
		TranslateUID: []string{"map:0:100000:1000", "forbid-guest:5000:1"},
		TranslateGID: []string{"map:0:200000:1000", "forbid-guest:5000:1"},
	})
	if !aio.SwitchesUsers(r.a) {
		skip(t, needsRoot)
	}
	c := direct(t, r)
	host := func(name string, uid, gid uint32) {
		t.Helper()
		var st unix.Stat_t
		must(t, unix.Lstat(filepath.Join(dir, name), &st))
		if st.Uid != uid || st.Gid != gid {
			t.Errorf("%s is %d:%d on the host, want %d:%d", name, st.Uid, st.Gid, uid, gid)
		}
	}
	guest := func(what string, a *fsdev.Attr, uid, gid uint32) {
		t.Helper()
		if a.UID != uid || a.GID != gid {
			t.Errorf("%s says %d:%d, want %d:%d", what, a.UID, a.GID, uid, gid)
		}
	}
	if errno := c.create("file", 0o644, &fsdev.Creator{UID: 5, GID: 6}); errno != 0 {
		t.Fatal(errno)
	}
	host("file", 100005, 200006)
	e := r.ok(r.lookup(root, "file")).r.Entry
	guest("LOOKUP", &e.Attr, 5, 6)
	guest("GETATTR", &r.ok(r.getattr(e.Node, 0)).r.Entry.Attr, 5, 6)
	guest("LINK", &r.ok(func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
		return r.c.Link(e.Node, root, "link", fn, ctx)
	}).r.Entry.Attr, 5, 6)
	st := r.ok(func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
		return r.c.Statx(e.Node, 0, 0, unix.STATX_BASIC_STATS, fn, ctx)
	}).r.Statx
	guest("STATX", &st.Attr, 5, 6)
	d := r.ok(func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return r.c.Opendir(root, 0, fn, ctx) }).r.Handle
	buf := make([]byte, 4096)
	list := r.ok(func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return r.c.Readdir(root, d, 0, true, buf, fn, ctx) })
	loopback.ParseDirents(list.data, true, func(ent *loopback.Dirent) bool {
		if string(ent.Name) == "file" {
			guest("READDIRPLUS", &ent.Entry.Attr, 5, 6)
		}
		return true
	})
	r.ok(func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return r.c.Releasedir(root, d, fn, ctx) })

	obj := c.lookup("file")
	const both = fsdev.SetAttrUID | fsdev.SetAttrGID
	c.setattr(obj, fsdev.Attr{UID: 0, GID: 999}, both, 0)
	host("file", 100000, 200999)
	c.setattr(obj, fsdev.Attr{UID: 7, GID: 1}, fsdev.SetAttrUID, 0) // the group is not in the mask
	host("file", 100007, 200999)
	c.setattr(obj, fsdev.Attr{UID: 3000, GID: 4000}, both, 0) // they are in no rule
	host("file", 3000, 4000)
	guest("GETATTR", &r.ok(r.getattr(e.Node, 0)).r.Entry.Attr, 3000, 4000)
	// What is forbidden has no effect.
	c.setattr(obj, fsdev.Attr{UID: 5000}, fsdev.SetAttrUID, syscall.EPERM)
	c.setattr(obj, fsdev.Attr{GID: 5000}, fsdev.SetAttrGID, syscall.EPERM)
	c.setattr(obj, fsdev.Attr{UID: 1, GID: 5000}, both, syscall.EPERM)
	host("file", 3000, 4000)
	for _, by := range []fsdev.Creator{{UID: 5000}, {GID: 5000}, {Group: 5000, HasGroup: true}} {
		if errno := c.create("forbidden", 0o644, &by); errno != syscall.EPERM {
			t.Errorf("CREATE by %+v: %v", by, errno)
		}
	}
	// The host's own are told as they are.
	must(t, os.WriteFile(filepath.Join(dir, "hosts"), nil, 0o644))
	must(t, os.Chown(filepath.Join(dir, "hosts"), 100001, 42))
	guest("LOOKUP", &r.ok(r.lookup(root, "hosts")).r.Entry.Attr, 1, 42)
	// The supplementary group is one, too.
	must(t, os.Chown(dir, 0, 200055))
	must(t, unix.Chmod(dir, 0o2777))
	if errno := c.create("prog", 0o2755, &fsdev.Creator{UID: 1, GID: 1, Group: 55, HasGroup: true}); errno != 0 {
		t.Fatal(errno)
	}
	var prog unix.Stat_t
	must(t, unix.Stat(filepath.Join(dir, "prog"), &prog))
	if prog.Gid != 200055 || prog.Mode&unix.S_ISGID == 0 {
		t.Errorf("the program has group %d and mode %#o", prog.Gid, prog.Mode)
	}
}

// TestEveryMakerIsTranslated makes something of each kind.
func TestEveryMakerIsTranslated(t *testing.T) {
	dir := tempDir(t, "")
	r := newRig(t, aio.Opts{Root: dir, TranslateUID: []string{"map:0:100000:1000"}})
	if !aio.SwitchesUsers(r.a) {
		skip(t, needsRoot)
	}
	c := direct(t, r)
	by := &fsdev.Creator{UID: 9, GID: 9}
	made := func(what string, op func(cb fsdev.EntryCplFunc) syscall.Errno) {
		t.Helper()
		c.want(what, 0, func(done func(syscall.Errno)) syscall.Errno {
			return op(func(_ any, _ *iochannel.Channel, errno syscall.Errno, _ fsdev.FileObject, a *fsdev.Attr) {
				if errno == 0 && a.UID != 9 {
					t.Errorf("%s says %d", what, a.UID)
				}
				done(errno)
			})
		})
		var st unix.Stat_t
		must(t, unix.Lstat(filepath.Join(dir, what), &st))
		if st.Uid != 100009 {
			t.Errorf("%s makes a file of %d", what, st.Uid)
		}
	}
	made("MKDIR", func(cb fsdev.EntryCplFunc) syscall.Errno {
		return c.desc.Mkdir(c.ch, 0, c.root, []byte("MKDIR"), 0o755, by, cb, nil)
	})
	made("MKNOD", func(cb fsdev.EntryCplFunc) syscall.Errno {
		return c.desc.Mknod(c.ch, 0, c.root, []byte("MKNOD"), unix.S_IFIFO|0o600, 0, by, cb, nil)
	})
	made("SYMLINK", func(cb fsdev.EntryCplFunc) syscall.Errno {
		return c.desc.Symlink(c.ch, 0, c.root, []byte("SYMLINK"), []byte("target"), by, cb, nil)
	})
	c.want("TMPFILE", 0, func(done func(syscall.Errno)) syscall.Errno {
		return c.desc.Tmpfile(c.ch, 0, c.root, 0o600, syscall.O_RDWR, by, func(_ any, _ *iochannel.Channel,
			errno syscall.Errno, _ fsdev.FileObject, a *fsdev.Attr, _ fsdev.FileHandle) {
			if errno == 0 && a.UID != 9 {
				t.Errorf("TMPFILE says %d", a.UID)
			}
			done(errno)
		}, nil)
	})
}

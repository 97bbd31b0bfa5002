package aio_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/modules/aio"
)

// lookup returns an object of a name in the root.
func (c *client) lookup(name string) (obj fsdev.FileObject) {
	c.Helper()
	done := false
	if errno := c.desc.Lookup(c.ch, 0, c.root, []byte(name), func(_ any, _ *iochannel.Channel, errno syscall.Errno,
		o fsdev.FileObject, _ *fsdev.Attr) {
		if errno != 0 {
			c.Error(errno)
		}
		done, obj = true, o
	}, nil); errno != 0 {
		c.Fatal(errno)
	}
	c.until(func() bool { return done })
	return obj
}

// TestReferencesAreTheClients has one client forget and unmount, and the other one keep what it has.
func TestReferencesAreTheClients(t *testing.T) {
	dir := tempDir(t, "")
	must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "other"), nil, 0o644))
	r := newRig(t, aio.Opts{Root: dir})
	c := direct(t, r)
	node := r.ok(r.lookup(root, "file")).r.Entry.Node
	obj := c.lookup("file")
	other := c.lookup("other")
	// More than it has, and what it has not.
	status := func(op func(cb fsdev.StatusCplFunc) syscall.Errno) {
		done := false
		if errno := op(func(any, *iochannel.Channel, syscall.Errno) { done = true }); errno != 0 {
			t.Fatal(errno)
		}
		r.until(func() bool { return done })
	}
	status(func(cb fsdev.StatusCplFunc) syscall.Errno { return c.desc.Forget(c.ch, 0, obj, 100, cb, nil) })
	r.ok(r.getattr(node, 0))
	if c.lookup("file") != obj {
		t.Error("a file that somebody knows is another object")
	}
	nodes, _ := aio.Counts(r.a)
	status(func(cb fsdev.StatusCplFunc) syscall.Errno { return c.desc.Umount(c.ch, 0, cb, nil) })
	if now, _ := aio.Counts(r.a); now != nodes-1 {
		t.Errorf("%d nodes before UMOUNT, %d after", nodes, now)
	}
	r.ok(r.getattr(node, 0))
	done := false
	c.desc.Getattr(c.ch, 0, other, 0, func(_ any, _ *iochannel.Channel, errno syscall.Errno, _ *fsdev.Attr) {
		if done = true; errno != syscall.ESTALE {
			t.Errorf("what only the other client knew: %v", errno)
		}
	}, nil)
	r.until(func() bool { return done })
	r.ok(r.forget(node, 1))
	r.want(syscall.ESTALE, r.getattr(node, 0))
}

// TestCloseDescriptors wants every descriptor to be closed when the device has gone, also those of a client that has
// left without UMOUNT.
func TestCloseDescriptors(t *testing.T) {
	count := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		must(t, err)
		return len(list)
	}
	before := count()
	t.Run("use", func(t *testing.T) {
		dir := tempDir(t, "")
		must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o644))
		r := newRig(t, aio.Opts{Root: dir})
		e := r.ok(r.lookup(root, "file")).r.Entry
		r.ok(r.open(e.Node, syscall.O_RDONLY))
		desc, err := fsdev.Open(r.t, "aio0", nil, nil)
		if err == nil {
			c := &client{rig: r, desc: desc, ch: desc.IOChannel(r.t)}
			var obj fsdev.FileObject
			desc.Mount(c.ch, 0, &fsdev.MountOpts{MaxWrite: 4096}, func(_ any, _ *iochannel.Channel, _ syscall.Errno,
				_ *fsdev.MountOpts, root fsdev.FileObject) {
				obj = root
			}, nil)
			r.until(func() bool { return obj != 0 })
			c.root = obj
			c.lookup("file")
			c.ch.Put()
			desc.Close()
		}
	})
	if after := count(); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

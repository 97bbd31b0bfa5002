package aio_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/internal/fuseabi"
	"github.com/spdk-go/spdk-go/modules/aio"
	"github.com/spdk-go/spdk-go/transport/loopback"
)

// mountAt mounts a file system on a directory until the end of the test.
func mountAt(tb testing.TB, source, dir, typ string, flags uintptr, data string) {
	tb.Helper()
	if err := unix.Mount(source, dir, typ, flags, data); err == unix.EPERM {
		skip(tb, needsRoot)
	} else if err != nil {
		tb.Fatalf("mount %s on %s: %v", source, dir, err)
	}
	tb.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
}

// TestSubmounts has other file systems below the root, whose beginnings are announced if module and client want that.
func TestSubmounts(t *testing.T) {
	dir := tempDir(t, "")
	for _, name := range []string{"plain", "tmpfs", "bind", "tmpfs2"} {
		must(t, os.Mkdir(filepath.Join(dir, name), 0o755))
	}
	must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o644))
	mountAt(t, "none", filepath.Join(dir, "tmpfs"), "tmpfs", 0, "")
	mountAt(t, "none", filepath.Join(dir, "tmpfs2"), "tmpfs", 0, "")
	mountAt(t, filepath.Join(dir, "plain"), filepath.Join(dir, "bind"), "", unix.MS_BIND, "")
	must(t, os.Mkdir(filepath.Join(dir, "tmpfs", "sub"), 0o755))
	for _, tc := range []struct {
		name           string
		module, client bool
	}{{"both", true, true}, {"no client", true, false}, {"no module", false, true}} {
		for _, handles := range []aio.FileHandles{aio.FileHandlesNever, aio.FileHandlesPrefer} {
			t.Run(tc.name+"/"+handles.String(), func(t *testing.T) {
				r := newRig(t, aio.Opts{Root: dir, AnnounceSubmounts: tc.module, InodeFileHandles: handles})
				flags := loopback.DefaultInitFlags &^ uint32(fuseabi.FUSE_SUBMOUNTS)
				if tc.client {
					flags |= fuseabi.FUSE_SUBMOUNTS
				}
				init := r.ok(func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
					return r.c.Init(loopback.InitOptions{Flags: flags}, fn, ctx)
				}).r.Init
				both := tc.module && tc.client
				if agreed := init.Flags&fuseabi.FUSE_SUBMOUNTS != 0; agreed != both {
					t.Errorf("agreed on: %v", agreed)
				}
				want := map[string]bool{"plain": false, "file": false, "tmpfs": both, "tmpfs2": both, "bind": both}
				nodes := map[uint64]bool{}
				for range 2 { // what is known already, on the thread of the channel
					for name, is := range want {
						e := r.ok(r.lookup(root, name)).r.Entry
						if e.Attr.Submount != is {
							t.Errorf("LOOKUP of %s says %v", name, e.Attr.Submount)
						}
						nodes[e.Node] = true
					}
				}
				if len(nodes) != len(want) {
					t.Errorf("%d files are %d objects", len(want), len(nodes))
				}
				sub := r.ok(r.lookup(r.ok(r.lookup(root, "tmpfs")).r.Entry.Node, "sub")).r.Entry
				if sub.Attr.Submount {
					t.Error("what is in a submount is one")
				}
				seen := 0
				for _, e := range r.readAll(true) {
					if is, ok := want[string(e.Name)]; ok {
						seen++
						if e.Entry.Attr.Submount != is {
							t.Errorf("READDIRPLUS says %v of %s", e.Entry.Attr.Submount, e.Name)
						}
					}
				}
				if seen != len(want) {
					t.Errorf("READDIRPLUS has %d of %d entries", seen, len(want))
				}
			})
		}
	}
}

// TestSubmountsCanBeUnmounted wants nothing to be left of a file system below the root that clients have forgotten.
func TestSubmountsCanBeUnmounted(t *testing.T) {
	for _, handles := range []aio.FileHandles{aio.FileHandlesNever, aio.FileHandlesPrefer} {
		t.Run(handles.String(), func(t *testing.T) {
			dir := tempDir(t, "")
			sub := filepath.Join(dir, "sub")
			must(t, os.Mkdir(sub, 0o755))
			mountAt(t, "none", sub, "tmpfs", 0, "")
			must(t, os.WriteFile(filepath.Join(sub, "file"), nil, 0o644))
			r := newRig(t, aio.Opts{Root: dir, InodeFileHandles: handles})
			d := r.ok(r.lookup(root, "sub")).r.Entry.Node
			f := r.ok(r.lookup(d, "file")).r.Entry.Node
			if err := unix.Unmount(sub, 0); err != unix.EBUSY {
				t.Errorf("with a file that is known: %v", err)
			}
			r.ok(r.forget(f, 1))
			r.ok(r.forget(d, 1))
			r.until(func() bool { return unix.Unmount(sub, 0) == nil })
			if b, err := os.ReadFile("/proc/self/mounts"); err != nil || strings.Contains(string(b), sub) {
				t.Errorf("it is there: %v", err)
			}
		})
	}
}

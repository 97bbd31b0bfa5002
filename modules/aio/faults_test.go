package aio_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/modules/aio"
	"github.com/spdk-go/spdk-go/transport/loopback"
)

// disk is ext4 on a file, which is on a tmpfs that may be smaller than the file: then writes fail with EIO.
type disk struct {
	testing.TB
	image, dev, dir string // dir is where it is mounted
	backing         string // where the tmpfs is
}

// newDisk makes a disk of size bytes with room for no more than backed of them.
func newDisk(tb testing.TB, size, backed int64) *disk {
	tb.Helper()
	for _, name := range []string{"losetup", "mkfs.ext4"} {
		if _, err := exec.LookPath(name); err != nil {
			skip(tb, needsLoop)
		}
	}
	d := &disk{TB: tb, backing: tempDir(tb, ""), dir: tempDir(tb, "")}
	mountAt(tb, "none", d.backing, "tmpfs", 0, fmt.Sprintf("size=%d", backed))
	d.image = filepath.Join(d.backing, "image")
	must(tb, os.WriteFile(d.image, nil, 0o600))
	must(tb, os.Truncate(d.image, size))
	if out, err := exec.Command("mkfs.ext4", "-q", d.image).CombinedOutput(); err != nil {
		tb.Fatalf("mkfs.ext4: %v: %s", err, out)
	}
	out, err := exec.Command("losetup", "-f", "--show", d.image).Output()
	if err != nil {
		skip(tb, needsLoop)
	}
	d.dev = strings.TrimSpace(string(out))
	tb.Cleanup(func() {
		_ = unix.Unmount(d.dir, unix.MNT_DETACH)
		_ = exec.Command("losetup", "-d", d.dev).Run()
	})
	d.mount()
	return d
}

func (d *disk) mount() {
	d.Helper()
	if err := unix.Mount(d.dev, d.dir, "ext4", 0, "errors=continue"); err != nil {
		d.Fatalf("mount %s: %v", d.dev, err)
	}
}

// again mounts the disk anew: what is there then was on it.
func (d *disk) again() {
	d.Helper()
	must(d, unix.Unmount(d.dir, 0))
	d.mount()
}

// TestDiskFaults writes and syncs files until the disk does not take any more: because it is full, or because it fails.
// What was acknowledged as synced is there when it is mounted again.
func TestDiskFaults(t *testing.T) {
	const mib = 1 << 20
	for _, tc := range []struct {
		name         string
		size, backed int64
		want         []syscall.Errno
	}{
		{"full", 16 * mib, 64 * mib, []syscall.Errno{syscall.ENOSPC}},
		{"failing", 64 * mib, 12 * mib, []syscall.Errno{syscall.EIO, syscall.EROFS, syscall.ENOSPC}},
	} {
		for _, noRing := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/noring=%v", tc.name, noRing), func(t *testing.T) {
				d := newDisk(t, tc.size, tc.backed)
				synced := map[string][]byte{}
				var failed syscall.Errno
				t.Run("write", func(t *testing.T) { synced, failed = writeUntilItFails(t, d.dir, noRing) })
				t.Logf("%d files of %d are synced, then %v", len(synced), tc.size, failed)
				known := false
				for _, errno := range tc.want {
					known = known || errno == failed
				}
				if !known || len(synced) == 0 {
					t.Errorf("%v after %d files, want one of %v", failed, len(synced), tc.want)
				}
				must(t, unix.Mount("none", d.backing, "tmpfs", unix.MS_REMOUNT, fmt.Sprintf("size=%d", 4*tc.size)))
				d.again()
				for name, want := range synced {
					if got, err := os.ReadFile(filepath.Join(d.dir, name)); err != nil || !bytes.Equal(got, want) {
						t.Errorf("%s was synced, and is not there: %v, %d bytes", name, err, len(got))
					}
				}
			})
		}
	}
}

func writeUntilItFails(t *testing.T, dir string, noRing bool) (synced map[string][]byte, failed syscall.Errno) {
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	r := newRig(t, aio.Opts{Root: dir, NoRing: noRing})
	synced = map[string][]byte{}
	for i := range 1000 {
		name := fmt.Sprint("file", i)
		data := bytes.Repeat([]byte{byte(rnd.Uint32()), byte(i)}, 64<<10+rnd.IntN(64<<10))
		a := r.do(r.create(root, name, syscall.O_RDWR))
		if a.r.Errno != 0 {
			failed = a.r.Errno
			break
		}
		node, fh := a.r.Entry.Node, a.r.Handle
		for at := 0; at < len(data) && failed == 0; {
			w := r.do(r.write(node, fh, uint64(at), data[at:]))
			failed = w.r.Errno
			at += int(w.r.Size)
		}
		if failed == 0 {
			failed = r.do(func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
				return r.c.Fsync(node, fh, false, fn, ctx) // on ext4 the name is on the disk with it
			}).r.Errno
		}
		r.ok(r.release(node, fh))
		if failed != 0 {
			break
		}
		synced[name] = data
	}
	// The client hears the same of everything else, or an answer, and the export goes on.
	for _, op := range []opFunc{r.getattr(root, 0), r.lookup(root, "file0"), r.mkdir(root, "dir")} {
		r.do(op)
	}
	for name := range synced {
		node := r.ok(r.lookup(root, name)).r.Entry.Node
		fh := r.ok(r.open(node, syscall.O_RDONLY)).r.Handle
		if got := r.ok(r.read(node, fh, 0, make([]byte, 4096))).data; !bytes.Equal(got, synced[name][:4096]) {
			t.Errorf("%s has other contents", name)
		}
		r.ok(r.release(node, fh))
	}
	return synced, failed
}

// TestReadsFail reads what the disk cannot give any more.
func TestReadsFail(t *testing.T) {
	for _, noRing := range []bool{false, true} {
		t.Run(fmt.Sprintf("noring=%v", noRing), func(t *testing.T) {
			d := newDisk(t, 32<<20, 64<<20)
			t.Run("read", func(t *testing.T) {
				const size = 4 << 20
				must(t, os.WriteFile(filepath.Join(d.dir, "file"), make([]byte, size), 0o644))
				d.again()
				r := newRig(t, aio.Opts{Root: d.dir, NoRing: noRing})
				node := r.ok(r.lookup(root, "file")).r.Entry.Node
				fh := r.ok(r.open(node, syscall.O_RDONLY)).r.Handle
				must(t, os.Truncate(d.image, 4096))
				errnos := map[syscall.Errno]int{}
				for off := uint64(0); off < size; off += 256 << 10 {
					errnos[r.do(r.read(node, fh, off, make([]byte, 4096))).r.Errno]++
				}
				if errnos[syscall.EIO] == 0 || errnos[0]+errnos[syscall.EIO] != 16 {
					t.Errorf("%v", errnos)
				}
				must(t, os.Truncate(d.image, 32<<20))
				r.ok(r.getattr(node, fh))
				r.ok(r.release(node, fh))
			})
		})
	}
}

// TestRootIsRemoved removes the exported directory under a client that uses it.
func TestRootIsRemoved(t *testing.T) {
	for _, handles := range []aio.FileHandles{aio.FileHandlesNever, aio.FileHandlesPrefer} {
		t.Run(handles.String(), func(t *testing.T) {
			dir := filepath.Join(tempDir(t, ""), "root")
			must(t, os.Mkdir(dir, 0o755))
			r := newRig(t, aio.Opts{Root: dir, InodeFileHandles: handles})
			e := r.ok(r.create(root, "file", syscall.O_RDWR)).r
			r.ok(r.write(e.Entry.Node, e.Handle, 0, []byte("contents")))
			must(t, os.RemoveAll(dir))
			if got := r.ok(r.read(e.Entry.Node, e.Handle, 0, make([]byte, 10))).data; string(got) != "contents" {
				t.Errorf("a file that is open has %q", got)
			}
			if got := r.ok(r.getattr(root, 0)).r.Entry.Attr; got.Nlink != 0 {
				t.Errorf("the root has %d links", got.Nlink)
			}
			for name, op := range map[string]opFunc{
				"LOOKUP": r.lookup(root, "file"), "CREATE": r.create(root, "new", syscall.O_RDWR), "MKDIR": r.mkdir(root, "new"),
				"UNLINK": r.unlink(root, "file"),
			} {
				if errno := r.do(op).r.Errno; errno != syscall.ENOENT {
					t.Errorf("%s: %v", name, errno)
				}
			}
			d := r.ok(func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return r.c.Opendir(root, 0, fn, ctx) }).r.Handle
			r.want(syscall.ENOENT, func(fn loopback.ReplyFunc, ctx any) syscall.Errno {
				return r.c.Readdir(root, d, 0, true, make([]byte, 4096), fn, ctx)
			})
			r.ok(func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return r.c.Releasedir(root, d, fn, ctx) })
			r.ok(r.release(e.Entry.Node, e.Handle))
		})
	}
}

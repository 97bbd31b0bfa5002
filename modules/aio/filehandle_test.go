package aio_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/modules/aio"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

// needFileHandles skips a test if this user may not open files by their handles.
func needFileHandles(tb testing.TB) {
	tb.Helper()
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	must(tb, unix.Capget(&hdr, &caps[0]))
	if caps[0].Effective&(1<<unix.CAP_DAC_READ_SEARCH) == 0 {
		skip(tb, needsCap)
	}
}

// placesAndHandles are places with and without file handles, if these can be.
var placesAndHandles = func() (all []struct {
	name, dir string
	handles   aio.FileHandles
}) {
	for _, p := range places {
		for _, f := range []aio.FileHandles{aio.FileHandlesNever, aio.FileHandlesPrefer} {
			all = append(all, struct {
				name, dir string
				handles   aio.FileHandles
			}{p.name + "/" + f.String(), p.dir, f})
		}
	}
	return all
}()

// descriptors counts those of the process.
func descriptors(tb testing.TB) int {
	tb.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	must(tb, err)
	return len(list)
}

// TestFileHandlesBoundDescriptors has a client know far more files than there may be descriptors for, and use them all.
func TestFileHandlesBoundDescriptors(t *testing.T) {
	needFileHandles(t)
	const files, limit = 2000, 64
	for _, p := range places {
		t.Run(p.name, func(t *testing.T) {
			dir := tempDir(t, p.dir)
			for i := range files {
				must(t, os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), []byte(fmt.Sprint(i)), 0o644))
			}
			r := newRig(t, aio.Opts{Root: dir, InodeFileHandles: aio.FileHandlesMandatory, NodeFDs: limit})
			before := descriptors(t)
			nodes := make([]uint64, files)
			for i := range nodes {
				nodes[i] = r.ok(r.lookup(root, fmt.Sprint(i))).r.Entry.Node
			}
			for round := range 2 {
				for i, n := range nodes {
					if got := r.ok(r.getattr(n, 0)).r.Entry.Attr.Size; got != uint64(len(fmt.Sprint(i))) {
						t.Fatalf("file %d has %d bytes", i, got)
					}
					if again := r.ok(r.lookup(root, fmt.Sprint(i))).r.Entry.Node; again != n {
						t.Fatalf("file %d is another object, in round %d", i, round)
					}
					if i%100 != 0 {
						continue
					}
					fh := r.ok(r.open(n, syscall.O_RDONLY)).r.Handle
					if got := r.ok(r.read(n, fh, 0, make([]byte, 10))).data; string(got) != fmt.Sprint(i) {
						t.Fatalf("file %d has %q", i, got)
					}
					r.ok(r.release(n, fh))
				}
			}
			r.until(func() bool { return descriptors(t) <= before+limit })
			if n, _ := aio.Counts(r.a); n != files+1 {
				t.Errorf("%d nodes", n)
			}
			for _, n := range nodes {
				r.ok(r.forget(n, 3))
			}
			if n, _ := aio.Counts(r.a); n != 1 {
				t.Errorf("%d nodes are left", n)
			}
			r.until(func() bool { return descriptors(t) <= before })
			if n := aio.KeptFDs(r.a); n != 0 {
				t.Errorf("%d descriptors are kept of nodes that are gone", n)
			}
		})
	}
}

// TestFileHandleStorm has many requests at once for more files than there are descriptors for, by all workers.
func TestFileHandleStorm(t *testing.T) {
	needFileHandles(t)
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	const files, rounds, depth = 100, 300, 32
	for _, p := range places {
		t.Run(p.name, func(t *testing.T) {
			r := newRig(t, aio.Opts{Root: tempDir(t, p.dir), InodeFileHandles: aio.FileHandlesMandatory, NodeFDs: 4, Workers: 8})
			var nodes [files]uint64
			for i := range nodes {
				must(t, os.WriteFile(filepath.Join(r.dir, fmt.Sprint(i)), make([]byte, i), 0o644))
				nodes[i] = r.ok(r.lookup(root, fmt.Sprint(i))).r.Entry.Node
			}
			before := descriptors(t)
			for range rounds {
				var all [depth]*answer
				var which [depth]int
				for i := range all {
					k := rnd.IntN(files)
					which[i] = k
					switch rnd.IntN(4) {
					case 0:
						all[i] = r.start(r.lookup(root, fmt.Sprint(k)))
					case 1:
						all[i] = r.start(r.open(nodes[k], syscall.O_RDONLY))
					default:
						all[i] = r.start(r.getattr(nodes[k], 0))
					}
				}
				for i, a := range all {
					r.until(func() bool { return a.done })
					k := which[i]
					switch {
					case a.r.Errno != 0:
						t.Fatal(a.r.Errno)
					case a.r.Handle != 0:
						r.ok(r.release(nodes[k], a.r.Handle))
					case a.r.Entry.Attr.Size != uint64(k) || a.r.Entry.Node != 0 && a.r.Entry.Node != nodes[k]:
						t.Fatalf("of file %d: %+v", k, a.r.Entry)
					}
				}
			}
			r.until(func() bool { return descriptors(t) <= before })
			if n := aio.KeptFDs(r.a); n > 4 {
				t.Errorf("%d descriptors are kept", n)
			}
		})
	}
}

// TestFileHandlesGoStale removes files that a client knows, and makes others that get their inode numbers.
func TestFileHandlesGoStale(t *testing.T) {
	needFileHandles(t)
	for _, p := range places {
		t.Run(p.name, func(t *testing.T) {
			r := newRig(t, aio.Opts{Root: tempDir(t, p.dir), InodeFileHandles: aio.FileHandlesMandatory, NodeFDs: 1})
			path := func(name string) string { return filepath.Join(r.dir, name) }
			must(t, os.WriteFile(path("other"), nil, 0o644))
			reused := 0
			for i := range 100 {
				must(t, os.WriteFile(path("file"), []byte("old"), 0o644))
				old := r.ok(r.lookup(root, "file")).r.Entry
				aio.ShedFDs(r.a)
				must(t, os.Remove(path("file")))
				must(t, os.WriteFile(path("file"), []byte("newer"), 0o644))
				e := r.ok(r.lookup(root, "file")).r.Entry
				if e.Node == old.Node {
					t.Fatalf("after %d files, one has the object of another", i)
				}
				if e.Attr.Ino == old.Attr.Ino {
					reused++
				}
				if e.Attr.Size != 5 {
					t.Fatalf("the new file has %d bytes", e.Attr.Size)
				}
				r.want(syscall.ESTALE, r.getattr(old.Node, 0))
				r.want(syscall.ESTALE, r.open(old.Node, syscall.O_RDONLY))
				r.ok(r.getattr(e.Node, 0))
				r.ok(r.forget(old.Node, 1))
				r.ok(r.getattr(e.Node, 0))
				if again := r.ok(r.lookup(root, "file")).r.Entry.Node; again != e.Node {
					t.Fatal("the new file is another object after the old one was forgotten")
				}
				r.ok(r.forget(e.Node, 2))
				must(t, os.Remove(path("file")))
			}
			t.Logf("%d of 100 inode numbers were used again at once", reused)
		})
	}
}

// TestFileHandlesOfOpenFiles removes a file that is open, which is there as long as that.
func TestFileHandlesOfOpenFiles(t *testing.T) {
	needFileHandles(t)
	for _, p := range places {
		t.Run(p.name, func(t *testing.T) {
			r := newRig(t, aio.Opts{Root: tempDir(t, p.dir), InodeFileHandles: aio.FileHandlesMandatory, NodeFDs: 1})
			e := r.ok(r.create(root, "file", syscall.O_RDWR)).r
			node, fh := e.Entry.Node, e.Handle
			r.ok(r.write(node, fh, 0, []byte("hello")))
			r.ok(r.unlink(root, "file"))
			aio.ShedFDs(r.a)
			if got := r.ok(r.getattr(node, fh)).r.Entry.Attr; got.Size != 5 || got.Nlink != 0 {
				t.Errorf("%+v", got)
			}
			aio.ShedFDs(r.a)
			if got := r.ok(r.getattr(node, 0)).r.Entry.Attr; got.Size != 5 {
				t.Errorf("%+v", got)
			}
			r.ok(r.release(node, fh))
			r.ok(r.forget(node, 1))
		})
	}
}

func TestParseFileHandles(t *testing.T) {
	for _, f := range []aio.FileHandles{aio.FileHandlesNever, aio.FileHandlesPrefer, aio.FileHandlesMandatory} {
		if got, err := aio.ParseFileHandles(f.String()); got != f || err != nil {
			t.Errorf("%v: %v, %v", f, got, err)
		}
	}
	if _, err := aio.ParseFileHandles("always"); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("%v", err)
	}
}

// withoutCap takes a capability from the thread of the test, until its end.
func withoutCap(tb testing.TB, which uint) {
	tb.Helper()
	runtime.LockOSThread()
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	must(tb, unix.Capget(&hdr, &caps[0]))
	less := caps
	less[0].Effective &^= 1 << which
	must(tb, unix.Capset(&hdr, &less[0]))
	tb.Cleanup(func() {
		must(tb, unix.Capset(&hdr, &caps[0]))
		runtime.UnlockOSThread()
	})
}

// TestFileHandlesNeedARight makes exports without CAP_DAC_READ_SEARCH.
func TestFileHandlesNeedARight(t *testing.T) {
	for _, tc := range []struct {
		mode aio.FileHandles
		want syscall.Errno
	}{
		{aio.FileHandlesNever, 0}, {aio.FileHandlesPrefer, 0}, {aio.FileHandlesMandatory, syscall.EPERM}, {3, syscall.EINVAL},
	} {
		t.Run(tc.mode.String(), func(t *testing.T) {
			needFileHandles(t)
			withoutCap(t, unix.CAP_DAC_READ_SEARCH)
			o := aio.Opts{Root: tempDir(t, ""), InodeFileHandles: tc.mode}
			if tc.want == 0 {
				r := newRig(t, o)
				r.ok(r.create(root, "file", syscall.O_RDWR))
				return
			}
			before := descriptors(t)
			_, err := aio.Create(reactortest.New(t, 1).Threads[0], "aio0", o)
			if !errors.Is(err, tc.want) {
				t.Errorf("%v, want %v", err, tc.want)
			}
			if tc.want == syscall.EPERM && !strings.Contains(err.Error(), "CAP_DAC_READ_SEARCH") {
				t.Errorf("it does not say what is missing: %v", err)
			}
			if now := descriptors(t); now > before+4 { // of the harness
				t.Errorf("%d descriptors before, %d after", before, now)
			}
		})
	}
}

// BenchmarkFileHandles uses 1000 files in turn: with descriptors, with names and enough descriptors for all, and with
// names and next to none.
func BenchmarkFileHandles(b *testing.B) {
	needFileHandles(b)
	const files = 1000
	for _, p := range places {
		for _, m := range []struct {
			name string
			mode aio.FileHandles
			fds  int
		}{
			{"never", aio.FileHandlesNever, 0},
			{"kept", aio.FileHandlesMandatory, 4 * files},
			{"opened", aio.FileHandlesMandatory, 64},
		} {
			for _, op := range []string{"getattr", "lookup"} {
				b.Run(p.name+"/"+m.name+"/"+op, func(b *testing.B) {
					r := newRig(b, aio.Opts{Root: tempDir(b, p.dir), InodeFileHandles: m.mode, NodeFDs: m.fds})
					var nodes [files]uint64
					var names [files]string
					for i := range nodes {
						names[i] = fmt.Sprint(i)
						must(b, os.WriteFile(filepath.Join(r.dir, names[i]), nil, 0o644))
						nodes[i] = r.ok(r.lookup(root, names[i])).r.Entry.Node
					}
					a := &answer{}
					i := 0
					start := cpuTime(b)
					for b.Loop() {
						i = (i + 1) % files
						a.done = false
						var errno syscall.Errno
						if op == "getattr" {
							errno = r.c.Getattr(nodes[i], 0, keep, a)
						} else {
							errno = r.c.Lookup(root, names[i], keep, a)
						}
						if errno != 0 {
							b.Fatal(errno)
						}
						for !a.done {
							r.t.Poll(0, 0)
						}
					}
					b.ReportMetric(float64(cpuTime(b)-start)/float64(b.N), "cpu-ns/op")
				})
			}
		}
	}
}

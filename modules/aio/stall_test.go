package aio_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/modules/aio"
	"github.com/spdk-go/spdk-go/transport/loopback"
)

// stall has every job of a type hang in its worker, as on a disk that does not answer, until release is called.
func stall(r *rig, typ fsdev.IOType) (hanging *atomic.Int32, release func()) {
	hanging = new(atomic.Int32)
	ch := make(chan struct{})
	aio.SetHook(r.a, func(t fsdev.IOType) {
		if t == typ {
			hanging.Add(1)
			<-ch
			hanging.Add(-1)
		}
	})
	return hanging, func() { close(ch) }
}

// longestRound polls until something is true, and returns how much time the longest round of the thread took of the
// CPU: that it lost the CPU to others is not the module's fault.
func (r *rig) longestRound(isTrue func() bool) (longest time.Duration) {
	r.Helper()
	end := time.Now().Add(patience)
	for !isTrue() {
		start := time.Now()
		r.t.Poll(0, 0)
		longest = max(longest, time.Since(start))
		if time.Now().After(end) {
			r.Fatalf("nothing has come of it after %v", patience)
		}
	}
	return longest
}

// TestStalledWorkers has all workers but one hang, and then all: what others do goes on, and what needs no worker does
// in any case. Nothing keeps the thread from its rounds.
func TestStalledWorkers(t *testing.T) {
	dir := tempDir(t, "")
	must(t, os.WriteFile(filepath.Join(dir, "file"), make([]byte, 1<<16), 0o644))
	const workers = 4
	r := newRig(t, aio.Opts{Root: dir, Workers: workers})
	f := r.ok(r.lookup(root, "file")).r.Entry.Node
	fh := r.ok(r.open(f, syscall.O_RDWR)).r.Handle
	buf := make([]byte, 4096)
	r.ok(r.read(f, fh, 0, buf))
	hanging, release := stall(r, fsdev.IOMkdir)
	var stuck []*answer
	for i := range workers - 1 {
		stuck = append(stuck, r.start(r.mkdir(root, fmt.Sprint("dir", i))))
	}
	r.until(func() bool { return hanging.Load() == workers-1 })
	longest := time.Duration(0)
	quick := []opFunc{r.getattr(f, 0), r.lookup(root, "file"), r.read(f, fh, 4096, buf)}
	for range 100 {
		var all []*answer
		for _, op := range append(quick, r.mkdirLike(root), r.write(f, fh, 0, buf)) {
			all = append(all, r.start(op))
		}
		for _, a := range all {
			longest = max(longest, r.longestRound(func() bool { return a.done }))
		}
		r.ok(r.unlink(root, "symlink"))
	}
	// Now the last one.
	stuck = append(stuck, r.start(r.mkdir(root, "last")))
	r.until(func() bool { return hanging.Load() == workers })
	c := direct(t, r)
	var waiting outcome
	c.desc.Symlink(c.ch, 1, c.root, []byte("symlink"), []byte("x"), &fsdev.Creator{}, func(_ any, _ *iochannel.Channel,
		errno syscall.Errno, _ fsdev.FileObject, _ *fsdev.Attr) {
		waiting = outcome{true, errno}
	}, nil)
	for range 100 {
		for _, op := range quick {
			a := r.start(op)
			longest = max(longest, r.longestRound(func() bool { return a.done }))
			if a.r.Errno != 0 {
				t.Fatal(a.r.Errno)
			}
		}
	}
	if waiting.done {
		t.Error("there is a worker too many")
	}
	// What waits for a worker can be given up.
	c.abort(1)
	r.until(func() bool { return waiting.done })
	if waiting.errno != syscall.EINTR {
		t.Errorf("given up, it ends with %v", waiting.errno)
	}
	for _, a := range stuck {
		if a.done {
			t.Errorf("done while it hangs: %v", a.r.Errno)
		}
	}
	release()
	for _, a := range stuck {
		r.until(func() bool { return a.done })
		if a.r.Errno != 0 {
			t.Error(a.r.Errno)
		}
	}
	t.Logf("the longest round took %v", longest)
	if longest > time.Second {
		t.Errorf("a round took %v", longest)
	}
	r.ok(r.release(f, fh))
}

// mkdirLike makes "symlink", which needs a worker.
func (r *rig) mkdirLike(node uint64) opFunc {
	return func(fn loopback.ReplyFunc, ctx any) syscall.Errno { return r.c.Symlink(node, "symlink", "x", fn, ctx) }
}

// TestReaddirsOfOneHandleTakeTurns has several requests by one handle at once, one of them given up.
func TestReaddirsOfOneHandleTakeTurns(t *testing.T) {
	dir := tempDir(t, "")
	for i := range 200 {
		must(t, os.WriteFile(filepath.Join(dir, fmt.Sprint("file", i)), nil, 0o644))
	}
	r := newRig(t, aio.Opts{Root: dir})
	c := direct(t, r)
	var h fsdev.FileHandle
	c.desc.Opendir(c.ch, 0, c.root, 0, func(_ any, _ *iochannel.Channel, _ syscall.Errno, fh fsdev.FileHandle) {
		h = fh
	}, nil)
	r.until(func() bool { return h != 0 })
	hanging, release := stall(r, fsdev.IOReaddir)
	var all [6]outcome
	var names [len(all)][]string
	for i := range all {
		take := func(_ any, _ *iochannel.Channel, name []byte, _ fsdev.FileObject, _ *fsdev.Attr, _ uint64) bool {
			names[i] = append(names[i], string(name))
			return len(names[i]) < 30
		}
		c.desc.Readdir(c.ch, uint64(10+i), c.root, h, 0, i%2 == 0, take, all[i].end, nil)
	}
	r.until(func() bool { return hanging.Load() == 1 })
	c.abort(10 + 3)
	r.until(func() bool { return all[3].done })
	if all[3].errno != syscall.EINTR {
		t.Errorf("given up, it ends with %v", all[3].errno)
	}
	if n := hanging.Load(); n != 1 {
		t.Errorf("%d of one handle run at a time", n)
	}
	release()
	for i := range all {
		r.until(func() bool { return all[i].done })
		if i != 3 && (all[i].errno != 0 || len(names[i]) == 0) {
			t.Errorf("request %d: %v, %d entries", i, all[i].errno, len(names[i]))
		}
	}
	if !slices.Equal(names[0], names[1]) || !slices.Equal(names[1], names[5]) {
		t.Error("readers from the beginning do not see the same")
	}
	left := 1
	c.desc.Releasedir(c.ch, 0, c.root, h, func(any, *iochannel.Channel, syscall.Errno) { left-- }, nil)
	r.until(func() bool { return left == 0 })
}

// TestHotOperationsDoNotAllocate wants no memory to be taken for what the page cache has.
func TestHotOperationsDoNotAllocate(t *testing.T) {
	for _, p := range placesAndHandles {
		t.Run(p.name, func(t *testing.T) {
			r := newRig(t, aio.Opts{Root: tempDir(t, p.dir), InodeFileHandles: p.handles})
			e := r.ok(r.create(root, "file", syscall.O_RDWR)).r
			node, fh := e.Entry.Node, e.Handle
			buf := make([]byte, 4096)
			r.ok(r.write(node, fh, 0, buf))
			for name, op := range map[string]opFunc{
				"getattr": r.getattr(node, 0), "lookup": r.lookup(root, "file"), "read": r.read(node, fh, 0, buf),
				"write": r.write(node, fh, 0, buf),
			} {
				a := &answer{}
				done := func() bool { return a.done }
				if n := testing.AllocsPerRun(200, func() {
					a.done = false
					if errno := op(keep, a); errno != 0 {
						t.Fatal(errno)
					}
					r.until(done)
				}); n != 0 {
					t.Errorf("%s allocates %v times", name, n)
				}
			}
		})
	}
}

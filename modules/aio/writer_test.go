package aio_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/modules/aio"
)

// TestWriterThatWaitsIsPassedBy: while the one that does buffered writes waits for the disk, others take the ring, and
// the thread goes on.
func TestWriterThatWaitsIsPassedBy(t *testing.T) {
	dir := tempDir(t, "")
	must(t, os.WriteFile(filepath.Join(dir, "file"), make([]byte, 1<<16), 0o644))
	r := newRig(t, aio.Opts{Root: dir})
	f := r.ok(r.lookup(root, "file")).r.Entry.Node
	fh := r.ok(r.open(f, syscall.O_RDWR)).r.Handle
	block := make([]byte, 4096)
	for i := range block {
		block[i] = 'x'
	}
	r.ok(r.write(f, fh, 0, block)) // from now on it is known whether the file system takes RWF_NOWAIT
	if aio.Written(r.a, func() { r.ok(r.write(f, fh, 0, block)) }) == 0 {
		skip(t, noSlowWrites)
	}
	hanging, release := stall(r, fsdev.IOWrite)
	stuck := r.start(r.write(f, fh, 0, block))
	r.until(func() bool { return hanging.Load() == 1 })
	start := time.Now()
	for time.Since(start) < time.Millisecond { // it has been in the call for long
		r.t.Poll(0, 0)
	}
	longest := time.Duration(0)
	for i := range 100 {
		a := r.start(r.write(f, fh, uint64(i%16)*4096, block))
		longest = max(longest, r.longestRound(func() bool { return a.done }))
		if a.r.Errno != 0 {
			t.Fatal(a.r.Errno)
		}
	}
	if stuck.done {
		t.Error("a write is done while it hangs")
	}
	if hangs := r.a.Hanging(0); len(hangs) != 1 || hangs[0].Op != fsdev.IOWrite.String() {
		t.Errorf("what hangs is %v", hangs)
	}
	release()
	r.until(func() bool { return stuck.done })
	if stuck.r.Errno != 0 {
		t.Error(stuck.r.Errno)
	}
	if longest > time.Second {
		t.Errorf("a round took %v", longest)
	}
	got, err := os.ReadFile(filepath.Join(dir, "file"))
	if must(t, err); len(got) != 1<<16 || got[0] != 'x' || got[1<<16-1] != 'x' {
		t.Error("the file has not what was written")
	}
}

// TestWriterIsNotForWhatWaits: writes that have to reach the disk (O_DSYNC, O_DIRECT) would keep it.
func TestWriterIsNotForWhatWaits(t *testing.T) {
	dir := tempDir(t, "")
	for _, test := range []struct {
		name  string
		flags uint32
		opts  aio.Opts
	}{
		{"O_SYNC", syscall.O_SYNC, aio.Opts{}},
		{"O_DSYNC", syscall.O_DSYNC, aio.Opts{}},
		{"O_DIRECT", syscall.O_DIRECT, aio.Opts{DirectIO: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.opts.Root = dir
			r := newRig(t, test.opts)
			e := r.ok(r.create(root, test.name, syscall.O_RDWR|test.flags)).r
			if n := aio.Written(r.a, func() {
				for i := range 3 {
					r.ok(r.write(e.Entry.Node, e.Handle, uint64(i)*4096, make([]byte, 4096)))
				}
			}); n != 0 {
				t.Errorf("%d writes by the writer", n)
			}
		})
	}
}

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/trace"
)

// TestTrace reads the trace of a target that serves a file system, while it runs and after it was killed.
func TestTrace(t *testing.T) {
	needFuse(t)
	dir := mountpoint(t)
	c := startReady(t, "--memfs", "m0", "--mount", "m0="+dir, "--cache", "none", "-e", "fsdev", "--disable-cpumask-locks",
		"--no-rpc-server")
	path := filepath.Join(trace.ShmDir, fmt.Sprintf("%s_trace.pid%d", progName, c.cmd.Process.Pid))
	defer os.Remove(path)
	data := strings.Repeat("text", 1000)
	if err := os.WriteFile(filepath.Join(dir, "x"), []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "x")); err != nil || string(b) != data {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	if _, err := os.Stat(filepath.Join(dir, "none")); err == nil {
		t.Fatal("there is a file that nobody made")
	}
	checkTrace(t, path, uint32(len(data)))
	c.signal(syscall.SIGKILL)
	c.end()
	checkTrace(t, path, uint32(len(data)))
	if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
		t.Error(err)
	}
}

// checkTrace wants the operations of TestTrace, each of them with its end.
func checkTrace(t *testing.T, path string, size uint32) {
	t.Helper()
	f, err := trace.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	list, err := f.Entries(-1, true)
	if err != nil {
		t.Fatal(err)
	}
	open := map[uint64]uint64{} // operations by number
	done := map[fsdev.IOType]int{}
	var written, missing bool
	for _, e := range list {
		op := fsdev.IOType(e.Args[0].Int)
		if e.Owner.Description != "m0" || e.Cut || !e.Known {
			t.Errorf("entry %+v", e)
		}
		switch e.Tpoint.Tpoint {
		case reactor.TpointFsdevIOStart:
			open[e.Index] = e.Args[0].Int
			written = written || op == fsdev.IOWrite && e.Size == size
		case reactor.TpointFsdevIODone:
			if open[e.Index] != e.Args[0].Int {
				t.Errorf("%v ends what began as operation %d", op, open[e.Index])
			}
			delete(open, e.Index)
			done[op]++
			missing = missing || op == fsdev.IOLookup && syscall.Errno(e.Args[1].Int) == syscall.ENOENT
		}
	}
	ended := true // of what somebody has waited for
	for _, op := range []fsdev.IOType{fsdev.IOMount, fsdev.IOLookup, fsdev.IOCreate, fsdev.IOWrite, fsdev.IORead} {
		if done[op] == 0 {
			t.Errorf("no %v in %v", op, done)
		}
		for _, o := range open {
			ended = ended && o != uint64(op)
		}
	}
	if !written || !missing || !ended {
		t.Errorf("a write of %d bytes: %v; a name that is not there: %v; all have ended: %v", size, written, missing, ended)
	}
}

package fusedev

import (
	"fmt"
	"os"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/internal/fuseabi"
)

// diary is a Watcher that puts everything down.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) add(what string, unique uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf("%s %d", what, unique))
}

func (d *diary) Read(unique uint64)  { d.add("read", unique) }
func (d *diary) Reply(unique uint64) { d.add("reply", unique) }

// TestQueueTellsWatcher pins what is told: each request once it has been read, and again before it is answered, but no
// answer to what is not answered.
func TestQueueTellsWatcher(t *testing.T) {
	b := newBench(t, Options{})
	d := &diary{}
	b.q.watcher = d
	b.ask(fuseabi.FUSE_GETATTR, make([]byte, 16))
	b.ask(fuseabi.FUSE_FORGET, make([]byte, 8))
	b.ask(fuseabi.FUSE_GETATTR, make([]byte, 16))
	b.poll()
	b.wantHeld(3)
	b.srv.complete(2, 0, 0)
	b.srv.complete(1, 0, 0)
	b.srv.complete(0, syscall.EIO, 0)
	b.wantAnswers(reply{0, 6, 0}, reply{-int32(syscall.EIO), 2, 0})
	if diff := cmp.Diff([]string{"read 2", "read 4", "read 6", "reply 6", "reply 2"}, d.lines); diff != "" {
		t.Error(diff)
	}
}

// TestSessionWatch watches a mounted session for a while, and another one that has ended.
func TestSessionWatch(t *testing.T) {
	r := newRig(t, 2)
	s := r.mount()
	look := func() {
		t.Helper()
		if _, err := os.ReadDir(r.o.Mountpoint); err != nil {
			t.Fatal(err)
		}
	}
	d := &diary{}
	if err := s.Watch(d); err != nil {
		t.Fatal(err)
	}
	look()
	if err := s.Watch(nil); err != nil {
		t.Fatal(err)
	}
	n := len(d.lines)
	if n == 0 {
		t.Error("nothing was told")
	}
	look()
	if len(d.lines) != n {
		t.Errorf("told of %q after the end", d.lines[n:])
	}
	if err := s.Unmount(); err != nil {
		t.Fatal(err)
	}
	r.wantDone(s)
	if err := s.Watch(d); err != nil {
		t.Errorf("after the end: %v", err)
	}
}

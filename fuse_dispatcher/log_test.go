package fusedispatcher_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
)

// lineWriter keeps the lines of a log.
type lineWriter struct {
	mu    sync.Mutex
	lines []string
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, string(bytes.TrimSpace(p)))
	return len(p), nil
}

// wait returns the lines once there are n, or those there are after a while.
func (w *lineWriter) wait(n int) []string {
	deadline := time.Now().Add(2 * time.Second)
	for {
		w.mu.Lock()
		lines := append([]string(nil), w.lines...)
		w.mu.Unlock()
		if len(lines) >= n || time.Now().After(deadline) {
			return lines
		}
		time.Sleep(time.Millisecond)
	}
}

// A client that does nothing right fills no disk.
func TestAMillionBadRequestsAreAFewLines(t *testing.T) {
	n := 1_000_000
	if testing.Short() {
		n = 20_000
	}
	w := &lineWriter{}
	b := newSession(t, fusedispatcher.Opts{Log: slog.New(slog.NewTextHandler(w, nil))})
	fast := newAllocFree(b)
	bad := [][]byte{
		b.Message(FUSE_GETATTR, node)[:39],                               // no header
		b.Message(FUSE_GETATTR, node, make([]byte, 8)),                   // half an argument
		b.Message(FUSE_LOOKUP, node, []byte("a/b\x00")),                  // a slash
		b.Message(FUSE_LOOKUP, node, []byte("unterminated")),             //
		b.Message(FUSE_WRITE, node, Bytes(&WriteIn{Size: 1 << 30})),      // no payload
		append(b.Message(FUSE_SETXATTR, node), make([]byte, 3)...)[:40],  // no argument
		b.Message(FUSE_MKDIR, node, Bytes(&MkdirIn{}), []byte("name\n")), // no terminator
		b.Message(FUSE_STATFS, node),                                     // that says 4 GiB, see below
		b.Message(FUSE_FORGET, node),                                     // without a reply
	}
	copy(bad[7], u32(1<<32-1))
	room := make([]byte, 200)
	for i := range n {
		fast.roundTrip([][]byte{bad[i%len(bad)]}, [][]byte{room})
		if fast.errno != syscall.EINVAL {
			t.Fatalf("request %d: %v", i%len(bad), fast.errno)
		}
	}
	lines := w.wait(10)
	if len(lines) != 10 {
		t.Errorf("%d bad requests are %d lines", n, len(lines))
	}
	for _, want := range []string{"component=fuse_dispatcher", "fsdev=" + fsName, "opcode=LOOKUP", "why="} {
		if !strings.Contains(lines[2], want) {
			t.Errorf("%q lacks %q", lines[2], want)
		}
	}
	b.Advance(5*time.Second + time.Millisecond) // ticks are rounded
	for range 100 {
		fast.roundTrip([][]byte{bad[0]}, [][]byte{room})
	}
	if lines = w.wait(15); len(lines) != 15 || !strings.Contains(lines[10], "dropped_before=") {
		t.Errorf("5 s later there are %d lines, the first of which is %q", len(lines), lines[min(10, len(lines)-1)])
	}
	// What users do wrong, or may do, is not worth a line.
	b.Advance(time.Hour)
	b.Do(0, FUSE_LOOKUP, node, 144, []byte(strings.Repeat("n", 300)+"\x00"))
	b.Do(0, FUSE_ACCESS, node, 16, make([]byte, 8))
	b.Do(0, 4000, node, 16)
	if lines = w.wait(15); len(lines) != 15 {
		t.Errorf("a line too many: %q", lines[15])
	}
}

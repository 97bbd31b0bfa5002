package fusemount

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/transport/fusedev"
)

// fakeSession is a session whose Unmount fails a number of times.
type fakeSession struct {
	busy    int // failures before success
	err     error
	done    chan struct{}
	calls   []string
	endless bool // not even Abort ends it
}

func (s *fakeSession) Unmount() error {
	s.calls = append(s.calls, "unmount")
	if s.busy--; s.busy >= 0 {
		return fmt.Errorf("fake: %w", s.err)
	}
	s.end()
	return nil
}

func (s *fakeSession) Detach() error { s.calls = append(s.calls, "detach"); return nil }

func (s *fakeSession) Abort() error {
	s.calls = append(s.calls, "abort")
	if !s.endless {
		s.end()
	}
	return nil
}

func (s *fakeSession) end() {
	select {
	case <-s.done:
	default:
		close(s.done)
	}
}

func (s *fakeSession) Done() <-chan struct{}                { return s.done }
func (s *fakeSession) Stats() ([]fusedev.QueueStats, error) { return nil, nil }

func TestUnmount(t *testing.T) {
	times := func(n int, what string) []string { return strings.Fields(strings.Repeat(what+" ", n)) }
	users := []string{"pid 1 a", "pid 2 b", "pid 3 c", "pid 4 d", "pid 5 e"}
	for _, test := range []struct {
		name  string
		s     fakeSession
		users []string
		calls []string
		lines []string
	}{
		{"at once", fakeSession{}, nil, times(1, "unmount"), nil},
		{"busy for a while", fakeSession{busy: 3, err: syscall.EBUSY}, users[:1], times(4, "unmount"),
			[]string{"/mnt is busy (used by pid 1 a): close what is open there"}},
		{"busy for good", fakeSession{busy: 1000, err: syscall.EBUSY}, users,
			append(times(unmountTries, "unmount"), "detach", "abort"),
			[]string{"/mnt is busy (used by pid 1 a, pid 2 b, pid 3 c and 2 more): close", "/mnt is still busy (used by"}},
		{"busy with nobody to see", fakeSession{busy: 1, err: syscall.EBUSY}, nil, times(2, "unmount"),
			[]string{"/mnt is busy: close what is open there"}},
		{"other error", fakeSession{busy: 1000, err: syscall.EPERM}, nil, []string{"unmount", "detach", "abort"},
			[]string{"fake: operation not permitted"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var lines []string
			test.s.done = make(chan struct{})
			u := unmounter{s: &test.s, dir: "/mnt", delay: time.Microsecond,
				report: func(text string) { lines = append(lines, text) },
				users:  func(_, dir string) []string { return test.users }}
			if !u.unmount() {
				t.Error("the session has not ended")
			}
			if diff := cmp.Diff(test.calls, test.s.calls); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			if len(lines) != len(test.lines) {
				t.Fatalf("said: %q", lines)
			}
			for i, want := range test.lines {
				if !strings.Contains(lines[i], want) {
					t.Errorf("line %d is %q, want %q", i, lines[i], want)
				}
			}
		})
	}
}

func TestMountUsers(t *testing.T) {
	proc := t.TempDir()
	link := func(pid, name, target string) {
		path := filepath.Join(proc, pid, name)
		err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.Symlink(target, path))
		if err != nil {
			t.Fatal(err)
		}
	}
	comm := func(pid, name string) {
		if err := os.WriteFile(filepath.Join(proc, pid, "comm"), []byte(name+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	link("10", "cwd", "/mnt/m/sub")
	comm("10", "bash")
	link("11", "fd/3", "/mnt/m/file")
	link("11", "fd/4", "/mnt/m/other")
	comm("11", "cat")
	link("12", "fd/3", "/mnt/mm")
	comm("12", "innocent")
	link("13", "map_files/1-2", "/mnt/m/lib.so")
	comm("13", "maps")
	link("14", "root", "/mnt/m")
	comm("14", "jail")
	link("self", "cwd", "/mnt/m")
	want := []string{"pid 10 bash", "pid 11 cat", "pid 13 maps", "pid 14 jail"}
	if diff := cmp.Diff(want, mountUsers(proc, "/mnt/m")); diff != "" {
		t.Errorf("users (-want +got):\n%s", diff)
	}
	if got := mountUsers(filepath.Join(proc, "none"), "/mnt/m"); got != nil {
		t.Errorf("without /proc: %v", got)
	}
}

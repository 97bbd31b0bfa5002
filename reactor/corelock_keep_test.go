package reactor_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/reactor"
)

// keepEnv makes the test binary lock core 3 in a directory, execute itself and wait for its standard input to end.
const keepEnv = "REACTOR_TEST_KEEP"

// TestLocksOutlastExec has a process lock a core and execute another program, which holds the lock until it ends.
func TestLocksOutlastExec(t *testing.T) {
	if dir := os.Getenv(keepEnv); dir != "" {
		keepAndExec(t, dir)
	}
	dir := t.TempDir()
	cmd := exec.Command("/proc/self/exe", "-test.run", "^TestLocksOutlastExec$")
	cmd.Env = append(os.Environ(), keepEnv+"="+dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var buf [1]byte
	if _, err := stdout.Read(buf[:]); err != nil {
		t.Fatal(err)
	}
	_, err = reactor.LockCores(dir, []int{3})
	var locked *reactor.CoreLockError
	if !errors.As(err, &locked) || locked.PID != cmd.Process.Pid || locked.Err != unix.EBUSY {
		t.Errorf("%v, want process %d to have the lock", err, cmd.Process.Pid)
	}
	stdin.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	l, err := reactor.LockCores(dir, []int{3})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Unlock(); err != nil {
		t.Error(err)
	}
}

// keepAndExec does not return.
func keepAndExec(t *testing.T, dir string) {
	l, err := reactor.LockCores(dir, []int{3})
	if err != nil {
		t.Fatal(err)
	}
	files, err := l.Keep()
	if err != nil || len(files) != 1 || filepath.Dir(files[0]) != dir {
		t.Fatalf("%v, %v", files, err)
	}
	t.Fatal(syscall.Exec("/bin/sh", []string{"sh", "-c", "echo; read x; exit 0"}, nil))
}

package integration

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// job is a running foreign program.
type job struct {
	name   string
	cmd    *exec.Cmd
	out    bytes.Buffer
	done   chan struct{}
	err    error // of Wait, valid once done is closed
	onHang func()
}

// start runs a program with dir as its working directory and its output collected. The program gets a process group of
// its own, which the test kills at its end.
func start(t testing.TB, dir string, env []string, name string, args ...string) *job {
	t.Helper()
	j := &job{
		name: strings.Join(append([]string{name}, args...), " "),
		cmd:  exec.Command(name, args...),
		done: make(chan struct{}),
	}
	j.cmd.Dir = dir
	j.cmd.Env = append(os.Environ(), append(workloadEnv, env...)...)
	j.cmd.Stdout, j.cmd.Stderr = &j.out, &j.out
	j.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := j.cmd.Start(); err != nil {
		t.Fatalf("%s: %v", j.name, err)
	}
	go func() {
		j.err = j.cmd.Wait()
		close(j.done)
	}()
	t.Cleanup(j.kill)
	return j
}

// workloadEnv makes foreign programs behave the same on every machine.
var workloadEnv = []string{
	"LC_ALL=C", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
	"GIT_AUTHOR_NAME=it", "GIT_AUTHOR_EMAIL=it@example.com", "GIT_COMMITTER_NAME=it",
	"GIT_COMMITTER_EMAIL=it@example.com",
	"GORACE=atexit_sleep_ms=0", // a second for each helper adds up
}

// startHelper runs a helper of this test binary as a process of its own.
func startHelper(t testing.TB, dir, helper string, args ...string) *job {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return start(t, dir, []string{helperEnv + "=" + helper}, exe, args...)
}

// wait waits for the job at most for a while. ok is false if it was still running then.
func (j *job) wait(d time.Duration) (ok bool) {
	select {
	case <-j.done:
		return true
	case <-time.After(d):
		return false
	}
}

// kill ends the job and everything it started.
func (j *job) kill() {
	select {
	case <-j.done:
		return
	default:
	}
	_ = syscall.Kill(-j.cmd.Process.Pid, syscall.SIGKILL)
	j.wait(5 * time.Second)
}

// state describes what a job that should have ended is doing.
func (j *job) state() string {
	pid := j.cmd.Process.Pid
	var b strings.Builder
	for _, f := range []string{"wchan", "syscall", "stack"} {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, f))
		fmt.Fprintf(&b, "%s: %s\n", f, text)
	}
	return b.String()
}

// mustEnd waits for the job and fails the test if it does not end in time or not with success. It returns the output.
func (j *job) mustEnd(t testing.TB, d time.Duration) string {
	t.Helper()
	if !j.wait(d) {
		t.Errorf("%s: still running after %v\n%s", j.name, d, j.state())
		if j.onHang != nil {
			j.onHang() // or nothing that waits for the file system would ever end
		}
		j.kill()
		t.FailNow()
	}
	if j.err != nil {
		t.Fatalf("%s: %v\n%s", j.name, j.err, tail(j.out.String(), 40))
	}
	return j.out.String()
}

// tail returns the last n lines of text.
func tail(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

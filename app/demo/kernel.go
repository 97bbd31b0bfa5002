package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spdk-go/spdk-go/reactor"
)

// osFS is the file system below a directory, through the kernel.
type osFS struct{ dir string }

func (f osFS) path(name string) string { return filepath.Join(f.dir, name) }

func (f osFS) MkdirAll(name string) error { return os.MkdirAll(f.path(name), 0o755) }

func (f osFS) WriteFile(name string, data []byte) error {
	return os.WriteFile(f.path(name), data, 0o644)
}

func (f osFS) ReadFile(name string) ([]byte, error) { return os.ReadFile(f.path(name)) }

func (f osFS) ReadDir(name string) ([]string, error) {
	entries, err := os.ReadDir(f.path(name))
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

func (f osFS) Rename(oldName, newName string) error {
	return os.Rename(f.path(oldName), f.path(newName))
}

func (f osFS) Remove(name string) error { return os.Remove(f.path(name)) }

func (f osFS) Open(name string, write bool) (file, error) {
	if write {
		return os.Create(f.path(name))
	}
	return os.Open(f.path(name))
}

// probe says why nothing can be mounted here, as far as that can be told beforehand.
func probe() error {
	f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("%w: %w", errNoMount, err)
	}
	f.Close()
	if os.Geteuid() != 0 {
		if _, err := exec.LookPath("fusermount3"); err != nil {
			return fmt.Errorf("%w: not root, and no fusermount3", errNoMount)
		}
	}
	return nil
}

// runKernel runs the workload on a mount of a child process.
func runKernel(tgt string, mask *reactor.Cpuset, size int) error {
	if err := probe(); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "spdk-demo-")
	if err != nil {
		return err
	}
	// Never recursively: what is mounted below may not have gone.
	defer os.Remove(tmp)
	if tgt == "" {
		var cleanup func()
		if tgt, cleanup, err = findTarget(tmp); err != nil {
			return err
		}
		defer cleanup()
	}
	dir := filepath.Join(tmp, "mnt")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	defer os.Remove(dir)
	t, err := startTarget(tgt, "--cpumask", "0x"+mask.String(), "--memfs", "mem0", "--mount", "mem0="+dir, "--stats")
	if err != nil {
		return err
	}
	defer time.AfterFunc(watchdog, func() {
		t.cmd.Process.Kill()
		fail(fmt.Errorf("no end after %v", watchdog))
	}).Stop()
	fmt.Printf("mem0 is mounted on %s; through the kernel:\n", dir)
	workErr := workload(osFS{dir}, size)
	out, err := t.stop()
	if err == nil {
		fmt.Printf("unmounted. %s says:\n%s", filepath.Base(tgt), indent(out))
	}
	return errors.Join(workErr, err)
}

// findTarget returns the spdk_tgt beside this program, where make build puts it, or builds one
// in tmp, for go run.
func findTarget(tmp string) (prog string, cleanup func(), err error) {
	exe, err := os.Executable()
	if err != nil {
		return "", nil, err
	}
	prog = filepath.Join(filepath.Dir(exe), "spdk_tgt")
	if _, err := os.Stat(prog); err == nil {
		return prog, func() {}, nil
	}
	prog = filepath.Join(tmp, "spdk_tgt")
	build := exec.Command("go", "build", "-o", prog, "github.com/spdk-go/spdk-go/app/spdk_tgt")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return "", nil, fmt.Errorf("there is no spdk_tgt beside %s, and it cannot be built: %w", exe, err)
	}
	return prog, func() { os.Remove(prog) }, nil
}

// target is a running spdk_tgt.
type target struct {
	cmd    *exec.Cmd
	stderr syncBuffer
	stdout syncBuffer
	ready  chan struct{} // closed when it says that it is
	exited chan struct{}
	err    error // valid once exited is closed
}

// startTarget starts spdk_tgt and waits until it is ready. If it refuses to mount for want of
// the right to, the error is errNoMount.
func startTarget(prog string, args ...string) (*target, error) {
	fmt.Printf("$ %s %s\n", filepath.Base(prog), strings.Join(args, " "))
	t := &target{cmd: exec.Command(prog, args...), ready: make(chan struct{}), exited: make(chan struct{})}
	t.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	t.cmd.Stderr = &t.stderr
	t.cmd.Stdout = &readyWriter{t: t}
	if err := t.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		t.err = t.cmd.Wait()
		close(t.exited)
	}()
	select {
	case <-t.ready:
		return t, nil
	case <-t.exited:
	case <-time.After(watchdog):
		t.cmd.Process.Kill()
		return nil, fmt.Errorf("%s is not ready after %v", prog, watchdog)
	}
	said := strings.TrimSpace(t.stderr.String())
	for _, errno := range []syscall.Errno{syscall.EPERM, syscall.EACCES, syscall.ENODEV} {
		if strings.Contains(said, errno.Error()) {
			return nil, fmt.Errorf("%w: %s", errNoMount, said)
		}
	}
	return nil, fmt.Errorf("%s: %w: %s", prog, t.err, said)
}

// stop asks the target to end, waits for that, and returns what it said since it was ready.
func (t *target) stop() (string, error) {
	if err := t.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return "", err
	}
	<-t.exited
	if said := strings.TrimSpace(t.stderr.String()); said != "" {
		fmt.Printf("  %s\n", said)
	}
	if t.err != nil {
		return "", fmt.Errorf("end of the target: %w", t.err)
	}
	return t.stdout.String(), nil
}

// readyWriter takes the target's output: lines that begin with its name are news, the rest is
// kept.
type readyWriter struct {
	t    *target
	line []byte
	once sync.Once
}

func (w *readyWriter) Write(p []byte) (int, error) {
	w.line = append(w.line, p...)
	for {
		line, rest, ok := bytes.Cut(w.line, []byte("\n"))
		if !ok {
			return len(p), nil
		}
		w.line = rest
		switch {
		case bytes.HasSuffix(line, []byte(": ready")):
			w.once.Do(func() { close(w.t.ready) })
		case !bytes.HasPrefix(line, []byte("spdk_tgt: ")):
			fmt.Fprintf(&w.t.stdout, "%s\n", line)
		}
	}
}

// syncBuffer is a buffer for two goroutines.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

var _ io.Writer = (*syncBuffer)(nil)

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

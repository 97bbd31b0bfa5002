package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/internal/sandbox"
)

// mainEnv makes the test binary be spdk_tgt.
const mainEnv = "SPDK_TGT_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(mainEnv) != "" {
		if os.Getenv(noDevEnv) != "" {
			hideDev()
		}
		os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// noDevEnv makes it hide /dev first, in a mount namespace of its own.
const noDevEnv = "SPDK_TGT_TEST_NO_DEV"

func hideDev() {
	err := errors.Join(
		syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""),
		syscall.Mount("none", "/dev", "tmpfs", 0, ""))
	if err != nil {
		panic(err)
	}
}

// skipReason is why a test cannot run on a machine.
type skipReason string

const (
	noFuse     skipReason = "there is no /dev/fuse here"
	notRoot    skipReason = "mounting needs root"
	noLandlock skipReason = "the kernel has no Landlock"
)

// skip ends a test that cannot run here, after making sure that it cannot.
func skip(t testing.TB, reason skipReason) {
	t.Helper()
	_, err := os.Stat("/dev/fuse")
	_, landlockErr := sandbox.Landlock.Choose()
	if reason == noPrograms && os.Getenv("CI") != "" && os.Geteuid() == 0 {
		t.Fatalf("%q: CI should permit it", reason)
	}
	if reason == noFuse && err == nil || reason == notRoot && os.Geteuid() == 0 ||
		reason == noLandlock && landlockErr == nil {
		t.Fatalf("%q is no reason to skip on this machine", reason)
	}
	t.Skip(string(reason))
}

func needFuse(t testing.TB) {
	t.Helper()
	if _, err := os.Stat("/dev/fuse"); err != nil {
		skip(t, noFuse)
	}
	if os.Geteuid() != 0 {
		skip(t, notRoot)
	}
}

// tgt is spdk_tgt as a child process.
type tgt struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdout output
	stderr output
	exited chan error
}

// output is what a child has said so far.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

func command(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), mainEnv+"=1", "GORACE=atexit_sleep_ms=0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

func start(t *testing.T, cmd *exec.Cmd) *tgt {
	t.Helper()
	c := &tgt{t: t, cmd: cmd, exited: make(chan error, 1)}
	c.cmd.Stdout = &c.stdout
	c.cmd.Stderr = &c.stderr
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { c.exited <- c.cmd.Wait() }()
	t.Cleanup(func() { c.cmd.Process.Kill() })
	return c
}

// startReady starts spdk_tgt and waits until it says that it is ready and has mounted dirs.
func startReady(t *testing.T, args ...string) *tgt {
	t.Helper()
	c := start(t, command(args...))
	mounts := strings.Count(strings.Join(args, " "), "--mount")
	c.await("being ready", func() bool {
		said := c.stdout.String()
		return strings.Contains(said, "spdk_tgt: ready\n") && strings.Count(said, " mounted on ") == mounts
	})
	return c
}

// mountpoint returns a directory that is unmounted at the end, whatever happens.
func mountpoint(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

func (c *tgt) await(what string, ok func() bool) {
	c.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		select {
		case err := <-c.exited:
			c.exited <- err
			if ok() {
				return
			}
			c.t.Fatalf("no %s: it has ended: %v\nstdout: %s\nstderr: %s", what, err, &c.stdout, &c.stderr)
		case <-time.After(2 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("no %s\nstdout: %s\nstderr: %s", what, &c.stdout, &c.stderr)
		}
	}
}

// end waits for the end and returns the exit code, -1 for a signal.
func (c *tgt) end() int {
	c.t.Helper()
	select {
	case <-c.exited:
	case <-time.After(40 * time.Second):
		c.cmd.Process.Signal(syscall.SIGQUIT)
		time.Sleep(time.Second)
		c.t.Fatalf("it does not end\nstdout: %s\nstderr: %s", &c.stdout, &c.stderr)
	}
	return c.cmd.ProcessState.ExitCode()
}

func (c *tgt) signal(sig syscall.Signal) {
	c.t.Helper()
	if err := c.cmd.Process.Signal(sig); err != nil {
		c.t.Fatal(err)
	}
}

func isMounted(t *testing.T, dir string) bool {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Contains(mounts, []byte(" "+dir+" "))
}

func TestBadFlagsExitWithTwo(t *testing.T) {
	// One of all; the table is tested in this process.
	c := start(t, command("--cpumask", "0x0"))
	if code := c.end(); code != exitUsage {
		t.Errorf("exit code %d, want %d", code, exitUsage)
	}
	if said := c.stderr.String(); strings.Count(said, "\n") != 1 || c.stdout.String() != "" {
		t.Errorf("stderr %q, stdout %q", said, &c.stdout)
	}
}

func TestRunsWithoutMounts(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		c := startReady(t, "--memfs", "mem0,size=16M,inodes=100", "--null", "null0")
		c.signal(sig)
		if code := c.end(); code != exitOK {
			t.Errorf("%v: exit code %d, want 0", sig, code)
		}
		if said := c.stderr.String(); said != "" {
			t.Errorf("%v: stderr %q", sig, said)
		}
	}
}

// TestNoRightToMount runs spdk_tgt as somebody who may not open /dev/fuse, or, where that is
// open to all, has no fusermount3 that would mount for them.
func TestNoRightToMount(t *testing.T) {
	needFuse(t)
	dir := mountpoint(t)
	cmd := command("--null", "null0", "--mount", "null0="+dir)
	cmd.Path = copyForAll(t, os.Args[0])
	cmd.Env = append(cmd.Env, "PATH=/nowhere")
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
	for d := dir; d != "/"; d = filepath.Dir(d) {
		os.Chmod(d, 0o755)
	}
	c := start(t, cmd)
	if code := c.end(); code != exitFailed {
		t.Errorf("exit code %d, want %d", code, exitFailed)
	}
	if said := c.stderr.String(); strings.Count(said, "\n") != 1 || !strings.HasPrefix(said, "spdk_tgt: ") {
		t.Errorf("stderr is %q, want one line", said)
	}
	if said := c.stdout.String(); said != "" {
		t.Errorf("stdout is %q", said)
	}
}

func TestNoDevice(t *testing.T) {
	needFuse(t) // for the right to make a mount namespace
	dir := mountpoint(t)
	cmd := command("--null", "null0", "--mount", "null0="+dir)
	cmd.Env = append(cmd.Env, noDevEnv+"=1")
	cmd.SysProcAttr.Unshareflags = syscall.CLONE_NEWNS
	c := start(t, cmd)
	if code := c.end(); code != exitFailed {
		t.Errorf("exit code %d, want %d", code, exitFailed)
	}
	said := c.stderr.String()
	if strings.Count(said, "\n") != 1 || !strings.Contains(said, "/dev/fuse: no such file") {
		t.Errorf("stderr is %q, want one line about /dev/fuse", said)
	}
}

// copyForAll copies a program to where everybody can run it.
func copyForAll(t *testing.T, prog string) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "spdk_tgt_test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	data, err := os.ReadFile(prog)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "spdk_tgt")
	if err := os.WriteFile(path, data, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestMountAndStop(t *testing.T) {
	needFuse(t)
	dir, dir2 := mountpoint(t), mountpoint(t)
	c := startReady(t, "--cpumask", firstCPU(t), "--memfs", "mem0,size=64M", "--null", "null0",
		"--mount", "mem0="+dir, "--mount", "null0="+dir2, "--stats")
	for _, want := range []string{"mem0 mounted on " + dir, "null0 mounted on " + dir2} {
		if !strings.Contains(c.stdout.String(), "spdk_tgt: "+want+"\n") {
			t.Errorf("stdout %q does not say %q", &c.stdout, want)
		}
	}
	want := bytes.Repeat([]byte("0123456789abcdef"), 1<<14)
	name := filepath.Join(dir, "file")
	if err := os.WriteFile(name, want, 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, want) {
		t.Errorf("read back %d bytes of %d: %v", len(got), len(want), err)
	}
	if _, err := os.Stat(filepath.Join(dir2, "anything")); err != nil {
		t.Errorf("null device: %v", err)
	}
	c.signal(syscall.SIGTERM)
	if code := c.end(); code != exitOK || c.stderr.String() != "" {
		t.Errorf("exit code %d, stderr %q", code, &c.stderr)
	}
	if isMounted(t, dir) || isMounted(t, dir2) {
		t.Error("still mounted")
	}
	for _, want := range []string{
		`(?m)^mem0 on ` + dir + `: [1-9][0-9]* requests, 0\.[0-9] MiB in`,
		`(?m)^null0 on ` + dir2 + `: [1-9]`,
		`(?m)^ +[1-9][0-9]*  WRITE$`,
		`(?m)^ +core +busy +busy s +idle s +sleeps +requests$`,
	} {
		if !regexp.MustCompile(want).MatchString(c.stdout.String()) {
			t.Errorf("--stats prints nothing like %q:\n%s", want, &c.stdout)
		}
	}
}

// TestBusyMount keeps a file open while spdk_tgt is told to stop.
func TestBusyMount(t *testing.T) {
	needFuse(t)
	for _, test := range []struct {
		name     string
		letGo    bool
		detached bool
	}{{"let go in time", true, false}, {"never let go", false, true}} {
		t.Run(test.name, func(t *testing.T) {
			dir := mountpoint(t)
			c := startReady(t, "--memfs", "mem0,size=64M", "--mount", "mem0="+dir)
			f, err := os.Create(filepath.Join(dir, "open"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := io.WriteString(f, "text"); err != nil {
				t.Fatal(err)
			}
			c.signal(syscall.SIGTERM)
			c.await("report", func() bool { return strings.Contains(c.stderr.String(), dir+" is busy") })
			who := regexp.MustCompile(`used by .*pid ` + strconv.Itoa(os.Getpid()) + ` `)
			if !who.MatchString(c.stderr.String()) {
				t.Errorf("stderr %q does not say %q", &c.stderr, who)
			}
			if test.letGo {
				f.Close()
			}
			if code := c.end(); code != exitOK {
				t.Errorf("exit code %d, want 0; stderr %q", code, &c.stderr)
			}
			if isMounted(t, dir) {
				t.Error("still mounted")
			}
			if got := strings.Contains(c.stderr.String(), "detached, its users get errors"); got != test.detached {
				t.Errorf("detached: %v, want %v; stderr %q", got, test.detached, &c.stderr)
			}
			if test.detached {
				if _, err := f.WriteAt([]byte("more"), 0); err == nil {
					err = f.Sync()
					if err == nil {
						t.Error("writing to the file still works")
					}
				}
			}
		})
	}
}

func TestUnmountedBySomebodyElse(t *testing.T) {
	needFuse(t)
	dir := mountpoint(t)
	c := startReady(t, "--memfs", "mem0,size=64M", "--mount", "mem0="+dir)
	if err := syscall.Unmount(dir, 0); err != nil {
		t.Fatal(err)
	}
	c.await("report", func() bool {
		return strings.Contains(c.stderr.String(), "unmounted from "+dir+" by somebody else")
	})
	c.signal(syscall.SIGINT)
	if code := c.end(); code != exitOK || strings.Count(c.stderr.String(), "\n") != 1 {
		t.Errorf("exit code %d, stderr %q", code, &c.stderr)
	}
}

// TestMountAgainAfterKill mounts over what a killed spdk_tgt has left.
func TestMountAgainAfterKill(t *testing.T) {
	needFuse(t)
	dir := mountpoint(t)
	args := []string{"--memfs", "mem0,size=64M", "--mount", "mem0=" + dir}
	c := startReady(t, args...)
	c.signal(syscall.SIGKILL)
	c.end()
	if _, err := os.ReadDir(dir); err == nil { // stat would be answered from the kernel's cache
		t.Error("the mount of a process that was killed still answers")
	}
	c = startReady(t, args...)
	if _, err := os.ReadDir(dir); err != nil {
		t.Error(err)
	}
	c.signal(syscall.SIGTERM)
	if code := c.end(); code != exitOK || isMounted(t, dir) {
		t.Errorf("exit code %d, mounted %v, stderr %q", code, isMounted(t, dir), &c.stderr)
	}
}

// TestMountOnMount finds the directory taken by another spdk_tgt, and everything that was
// mounted before goes again.
func TestMountOnMount(t *testing.T) {
	needFuse(t)
	dir, dir2 := mountpoint(t), mountpoint(t)
	first := startReady(t, "--null", "null0", "--mount", "null0="+dir)
	c := start(t, command("--memfs", "mem0,size=64M", "--mount", "mem0="+dir2, "--mount", "mem0="+dir,
		"--disable-cpumask-locks"))
	if code := c.end(); code != exitFailed {
		t.Errorf("exit code %d, want %d", code, exitFailed)
	}
	if said := c.stderr.String(); strings.Count(said, "\n") != 1 || !strings.Contains(said, dir) {
		t.Errorf("stderr is %q, want one line about %s", said, dir)
	}
	if isMounted(t, dir2) {
		t.Errorf("%s is still mounted", dir2)
	}
	first.signal(syscall.SIGTERM)
	if code := first.end(); code != exitOK {
		t.Errorf("exit code %d of the first, stderr %q", code, &first.stderr)
	}
}

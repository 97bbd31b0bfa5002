package integration

import (
	"bufio"
	"fmt"
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
)

// How long spdk_tgt may take. It needs milliseconds; the rest is for busy machines and the race detector.
const (
	readyTimeout = 20 * time.Second
	stopTimeout  = 20 * time.Second
)

// targetOptions are what the tests vary about a running spdk_tgt.
type targetOptions struct {
	reactors int    // 1 or 2
	ring     bool   // requests come by io_uring, if the kernel has that
	cache    string // none, auto or always
	mount    string // an existing directory; empty for a fresh one
	export   string // a directory to export with aio, and options behind commas; empty for memfs
	extra    []string
}

// target is a running spdk_tgt with one file system mounted.
type target struct {
	opts   targetOptions
	mount  string
	cmd    *exec.Cmd
	exited chan struct{}
	err    error // of Wait, valid once exited is closed

	mu     sync.Mutex
	stdout strings.Builder
	stderr strings.Builder
}

// startTarget starts spdk_tgt and returns once its file system is mounted. The end of the test kills it if it still
// runs, and looks through its output for reports of the runtime.
func startTarget(t testing.TB, o targetOptions) *target {
	t.Helper()
	needMount(t)
	bin, err := targetBinary()
	if err != nil {
		t.Fatal(err)
	}
	tg := &target{opts: o, mount: o.mount, exited: make(chan struct{})}
	if tg.mount == "" {
		tg.mount = mountDir(t)
	}
	mask := map[int]string{1: "0x1", 2: "0x3"}[o.reactors]
	device := []string{"--memfs", "mem0", "--mount", "mem0=" + tg.mount}
	if o.export != "" {
		// Attributes of the name space trusted, and files that the kernel reads by itself, want CAP_SYS_ADMIN.
		device = []string{"--aio", "data0:" + o.export + ",xattr,devices", "--mount", "data0=" + tg.mount,
			"--modcaps", "+sys_admin:+linux_immutable"}
	}
	args := append(device, "--cpumask", mask, "--cache", o.cache, "--mode", "hybrid", "--fuse-io-uring", ringMode(o.ring))
	tg.cmd = exec.Command(bin, append(args, o.extra...)...)
	tg.cmd.Env = append(os.Environ(), "GORACE=halt_on_error=1 atexit_sleep_ms=0", "GOTRACEBACK=all")
	tg.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdout, err := tg.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := tg.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := tg.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan struct{})
	var pipes sync.WaitGroup
	pipes.Go(func() { tg.collect(stdout, &tg.stdout, ready) })
	pipes.Go(func() { tg.collect(stderr, &tg.stderr, nil) })
	go func() {
		pipes.Wait()
		tg.err = tg.cmd.Wait()
		close(tg.exited)
	}()
	t.Cleanup(func() { tg.cleanup(t) })

	select {
	case <-ready:
	case <-tg.exited:
		t.Fatalf("spdk_tgt ended before it was ready: %v\n%s", tg.err, tg.output())
	case <-time.After(readyTimeout):
		t.Fatalf("spdk_tgt did not say that it is ready within %v\n%s", readyTimeout, tg.output())
	}
	if !isMounted(tg.mount) {
		t.Fatalf("spdk_tgt says it is ready, but nothing is mounted on %s\n%s", tg.mount, tg.output())
	}
	return tg
}

// ringMode is what spdk_tgt is told of io_uring. It has root's rights to make the kernel offer it.
func ringMode(on bool) string {
	if _, err := os.Stat("/sys/module/fuse/parameters/enable_uring"); on && err == nil {
		return "on"
	}
	return "off"
}

// mountDir returns a fresh directory to mount on. What is mounted there when the tests are over is unmounted then.
func mountDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp(scratch, "mnt-")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// collect copies lines into b and closes ready at the one that says so.
func (tg *target) collect(r io.Reader, b *strings.Builder, ready chan struct{}) {
	br := bufio.NewReader(r)
	for {
		line, err := br.ReadString('\n')
		tg.mu.Lock()
		if b.Len() < 1<<20 {
			b.WriteString(line)
		}
		tg.mu.Unlock()
		if ready != nil && strings.TrimSpace(line) == "spdk_tgt: ready" {
			close(ready)
			ready = nil
		}
		if err != nil {
			return
		}
	}
}

func (tg *target) output() string {
	tg.mu.Lock()
	defer tg.mu.Unlock()
	return "stdout:\n" + tail(tg.stdout.String(), 40) + "\nstderr:\n" + tg.stderr.String()
}

func (tg *target) errors() string {
	tg.mu.Lock()
	defer tg.mu.Unlock()
	return tg.stderr.String()
}

// waitExit waits for the process at most for a while. ok is false if it was still running then.
func (tg *target) waitExit(d time.Duration) (ok bool) {
	select {
	case <-tg.exited:
		return true
	case <-time.After(d):
		return false
	}
}

func (tg *target) signal(t testing.TB, sig syscall.Signal) {
	t.Helper()
	if err := tg.cmd.Process.Signal(sig); err != nil {
		t.Fatalf("signal spdk_tgt: %v\n%s", err, tg.output())
	}
}

// stop ends spdk_tgt the friendly way and wants it to leave nothing behind.
func (tg *target) stop(t testing.TB) {
	t.Helper()
	tg.signal(t, syscall.SIGTERM)
	if !tg.waitExit(stopTimeout) {
		tg.abandon()
		t.Fatalf("spdk_tgt still runs %v after SIGTERM\n%s", stopTimeout, tg.output())
	}
	if tg.err != nil {
		t.Errorf("spdk_tgt after SIGTERM: %v\n%s", tg.err, tg.output())
	}
	if isMounted(tg.mount) {
		t.Errorf("spdk_tgt ended and left %s mounted\n%s", tg.mount, tg.output())
	}
}

// abandon ends spdk_tgt the hard way, after it has said where its goroutines are. Whoever waits for the file system
// gets an error.
func (tg *target) abandon() {
	_ = tg.cmd.Process.Signal(syscall.SIGQUIT)
	if !tg.waitExit(3 * time.Second) {
		_ = tg.cmd.Process.Kill()
		tg.waitExit(3 * time.Second)
	}
}

var runtimeReport = regexp.MustCompile(`(?m)^(panic:|fatal error:|WARNING: DATA RACE|unexpected fault)`)

func (tg *target) cleanup(t testing.TB) {
	if !tg.waitExit(0) {
		if t.Failed() {
			tg.abandon()
			t.Logf("spdk_tgt was asked for its goroutines:\n%s", tg.output())
		}
		_ = tg.cmd.Process.Kill()
		tg.waitExit(3 * time.Second)
	}
	if isMounted(tg.mount) {
		_ = syscall.Unmount(tg.mount, syscall.MNT_DETACH)
	}
	if where := runtimeReport.FindString(tg.errors()); where != "" {
		t.Errorf("spdk_tgt reported %q\n%s", where, tg.output())
	}
}

// cpuTime returns how much processor time the process has used so far.
func (tg *target) cpuTime() (time.Duration, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(tg.cmd.Process.Pid), "stat"))
	if err != nil {
		return 0, err
	}
	// the program's name, in parentheses, may hold anything; utime and stime are the 12th and 13th field behind it
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("unexpected stat %q", text)
	}
	utime, err1 := strconv.Atoi(fields[11])
	stime, err2 := strconv.Atoi(fields[12])
	if err1 != nil || err2 != nil {
		return 0, fmt.Errorf("unexpected stat %q", text)
	}
	const ticksPerSecond = 100 // USER_HZ, the same on every machine Go runs on
	return time.Duration(utime+stime) * time.Second / ticksPerSecond, nil
}

package reactor_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/reactor"
)

const lockHelper = "SPDK_GO_TEST_LOCK_CORES"

// TestCoreLockHelper is not a test but another process, started by lockProcess.
func TestCoreLockHelper(t *testing.T) {
	args := strings.Fields(os.Getenv(lockHelper))
	if len(args) == 0 {
		return
	}
	mask, err := reactor.ParseCpuset(args[2])
	if err != nil {
		t.Fatal(err)
	}
	unlock := func() error { return nil }
	switch args[0] {
	case "go":
		var l *reactor.CoreLocks
		if l, err = reactor.LockCores(args[1], mask.CPUs()); err == nil {
			unlock = l.Unlock
		}
	case "spdk":
		for core := range mask.All() {
			if err = lockLikeSPDK(args[1], core); err != nil {
				break
			}
		}
	}
	fmt.Printf("result %v\n", err)
	if args[0] == "race" {
		raceForCore(t, args[1], mask.CPUs())
	}
	_, _ = io.Copy(io.Discard, os.Stdin) // until the test has had enough
	if err := unlock(); err != nil {
		t.Error(err)
	}
}

// lockLikeSPDK does what SPDK does in C, and keeps the file open.
func lockLikeSPDK(dir string, core int) error {
	fd, err := unix.Open(filepath.Join(dir, fmt.Sprintf("spdk_cpu_lock_%03d", core)), unix.O_RDWR|unix.O_CREAT, 0o600)
	if err != nil {
		return err
	}
	if err := unix.Ftruncate(fd, 4); err != nil {
		return err
	}
	m, err := unix.Mmap(fd, 0, 4, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	if err := unix.FcntlFlock(uintptr(fd), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}); err != nil {
		return fmt.Errorf("process %d has core %d: %w", binary.NativeEndian.Uint32(m), core, err)
	}
	binary.NativeEndian.PutUint32(m, uint32(os.Getpid()))
	return unix.Munmap(m)
}

// process is another process that holds locks, or failed to.
type process struct {
	tb     testing.TB
	cmd    *exec.Cmd
	stdin  io.Closer
	stdout io.Reader
	result string // "<nil>" or the error
}

func lockProcess(tb testing.TB, how, dir, cores string) *process {
	tb.Helper()
	p := &process{tb: tb, cmd: exec.Command("/proc/self/exe", "-test.run=^TestCoreLockHelper$")}
	p.cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", fmt.Sprintf("%s=%s %s %s", lockHelper, how, dir, cores))
	p.cmd.Stderr = os.Stderr
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	p.stdin = stdin
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(p.kill)
	lines := bufio.NewReader(stdout)
	p.stdout = lines
	for {
		line, err := lines.ReadString('\n')
		if result, ok := strings.CutPrefix(line, "result "); ok {
			p.result = strings.TrimSpace(result)
			return p
		}
		if err != nil {
			tb.Fatalf("the other process ended without a result: %v", err)
		}
	}
}

// end has the process give its locks up and waits until it has ended.
func (p *process) end() {
	p.tb.Helper()
	p.stdin.Close()
	rest, _ := io.ReadAll(p.stdout)
	if err := p.cmd.Wait(); err != nil {
		p.tb.Errorf("the other process: %v\n%s", err, rest)
	}
}

// kill ends the process without giving it time for anything.
func (p *process) kill() {
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	}
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// lockFiles returns the cores that have files in dir.
func lockFiles(tb testing.TB, dir string) []string {
	tb.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "spdk_cpu_lock_*"))
	if err != nil {
		tb.Fatal(err)
	}
	for i := range names {
		names[i] = strings.TrimPrefix(names[i], filepath.Join(dir, "spdk_cpu_lock_"))
	}
	return names
}

func wantFiles(tb testing.TB, when, dir string, want ...string) {
	tb.Helper()
	if diff := cmp.Diff(want, lockFiles(tb, dir)); diff != "" {
		tb.Errorf("files %s: %s", when, diff)
	}
}

func lockCores(tb testing.TB, dir string, cores ...int) *reactor.CoreLocks {
	tb.Helper()
	l, err := reactor.LockCores(dir, cores)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = l.Unlock() })
	return l
}

func unlockCores(tb testing.TB, l *reactor.CoreLocks) {
	tb.Helper()
	if err := l.Unlock(); err != nil {
		tb.Fatal(err)
	}
}

// wantLockError checks that cores are refused, and what about.
func wantLockError(tb testing.TB, dir string, cores []int, core, pid int, errno syscall.Errno) error {
	tb.Helper()
	l, err := reactor.LockCores(dir, cores)
	var e *reactor.CoreLockError
	if !errors.As(err, &e) || !errors.Is(err, errno) {
		tb.Fatalf("cores %v: %v, %v, want %v", cores, l, err, errno)
	}
	if l != nil || e.Core != core || e.PID != pid || filepath.Dir(e.Path) != dir {
		tb.Errorf("core %d, process %d, file %s, want core %d, process %d", e.Core, e.PID, e.Path, core, pid)
	}
	return err
}

func TestCoreLocks(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	l := lockCores(t, dir, 2, 0, 127, 1000, 2)
	wantFiles(t, "while locked", dir, "000", "002", "1000", "127")
	if got := l.Cores().List(); got != "0,2,127,1000" {
		t.Errorf("locked %s", got)
	}
	wantLockError(t, dir, []int{1, 2}, 2, os.Getpid(), unix.EBUSY)
	wantFiles(t, "after a refusal", dir, "000", "002", "1000", "127")
	unlockCores(t, l)
	unlockCores(t, l)
	wantFiles(t, "in the end", dir)
	if l.Cores().Count() != 0 {
		t.Errorf("still locked: %s", l.Cores().List())
	}
	unlockCores(t, lockCores(t, dir)) // no cores at all
}

func TestCoreLocksOfThisProcess(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	first := lockCores(t, dir, 0, 1)
	link := filepath.Join(t.TempDir(), "other way")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	err := wantLockError(t, link, []int{0}, 0, os.Getpid(), unix.EBUSY)
	if !strings.Contains(err.Error(), "core 0 is locked by another framework of this process") {
		t.Error(err)
	}
	// The refusal must not have cost the first its lock.
	if p := lockProcess(t, "go", dir, "[0]"); !strings.Contains(p.result, fmt.Sprintf("process %d", os.Getpid())) {
		t.Errorf("another process: %s", p.result)
	}
	other := lockCores(t, t.TempDir(), 0, 1) // elsewhere
	unlockCores(t, first)
	unlockCores(t, lockCores(t, dir, 0))
	unlockCores(t, other)
}

// TestCoreLocksBetweenProcesses is SPDK's cpu_locks.sh: default_locks,
// locking_app_on_locked_coremask, locking_overlapped_coremask and, without the RPCs,
// default_locks_via_rpc and locking_overlapped_coremask_via_rpc. The rest of it is about
// applications that lock nothing. Each is played with SPDK's own way of locking too.
func TestCoreLocksBetweenProcesses(t *testing.T) {
	for _, how := range []string{"go", "spdk"} {
		t.Run(how, func(t *testing.T) {
			noLeaks(t)
			dir := t.TempDir()
			p := lockProcess(t, how, dir, "[0-2]")
			if p.result != "<nil>" {
				t.Fatal(p.result)
			}
			err := wantLockError(t, dir, []int{3, 2}, 2, p.pid(), unix.EBUSY)
			want := fmt.Sprintf("core 2 is locked by process %d (%s/spdk_cpu_lock_002): "+
				"stop it, choose other cores, or disable core locks", p.pid(), dir)
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q does not say %q", err, want)
			}
			wantFiles(t, "after the overlap", dir, "000", "001", "002")
			wantLockError(t, dir, []int{2, 5, 1}, 1, p.pid(), unix.EBUSY)
			unlockCores(t, lockCores(t, dir, 3, 4))

			p.kill() // leaves its files behind
			l := lockCores(t, dir, 0, 1, 2, 3)
			p = lockProcess(t, how, dir, "[3]")
			if want := fmt.Sprintf("process %d", os.Getpid()); !strings.Contains(p.result, want) {
				t.Errorf("%q does not name this %s", p.result, want)
			}
			p.end()
			unlockCores(t, l)
			wantFiles(t, "in the end", dir)

			p = lockProcess(t, how, dir, "[0-3]")
			if p.result != "<nil>" {
				t.Error(p.result)
			}
			p.end()
		})
	}
}

// TestCoreLocksStaleFiles has files in the way that nobody locks.
func TestCoreLocksStaleFiles(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	for core, text := range []string{"", "x", "\x01\x00\x00\x00", "longer than a number", "\xff\xff\xff\xff"} {
		if err := os.WriteFile(fmt.Sprintf("%s/spdk_cpu_lock_%03d", dir, core), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	unlockCores(t, lockCores(t, dir, 0, 1, 2, 3, 4))
	wantFiles(t, "in the end", dir)
}

// TestCoreLocksFileRemoved has somebody clean up the files of a process that runs. The lock
// that another then takes is not to be removed by the first.
func TestCoreLocksFileRemoved(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	l := lockCores(t, dir, 0, 1)
	for _, core := range []string{"0", "1"} {
		if err := os.Remove(dir + "/spdk_cpu_lock_00" + core); err != nil {
			t.Fatal(err)
		}
	}
	p := lockProcess(t, "go", dir, "[0]")
	if p.result != "<nil>" {
		t.Fatal(p.result)
	}
	unlockCores(t, l)
	wantFiles(t, "of the other process", dir, "000")
	wantLockError(t, dir, []int{0}, 0, p.pid(), unix.EBUSY)
	p.end()
}

// TestCoreLocksTraps has things where a lock file should be that are none, as anybody can
// put them into a directory that is for all.
func TestCoreLocksTraps(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	precious := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(precious, []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	path := func(core int) string { return fmt.Sprintf("%s/spdk_cpu_lock_%03d", dir, core) }
	if err := errors.Join(
		os.Symlink(precious, path(1)), os.Link(precious, path(2)), os.Mkdir(path(3), 0o755), unix.Mkfifo(path(4), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	for core, errno := range map[int]syscall.Errno{1: unix.ELOOP, 2: unix.EINVAL, 3: unix.EISDIR, 4: unix.EINVAL} {
		err := wantLockError(t, dir, []int{0, core}, core, 0, errno)
		if !strings.Contains(err.Error(), "disable core locks") {
			t.Errorf("core %d: what to do about %v?", core, err)
		}
	}
	wantFiles(t, "besides the traps", dir, "001", "002", "003", "004")
	if text, err := os.ReadFile(precious); string(text) != "precious" {
		t.Errorf("the file became %q, %v", text, err)
	}
	_, err := reactor.LockCores(dir, []int{0, -1})
	mustErr(t, "core -1", err, unix.EINVAL)
	_, err = reactor.LockCores(filepath.Join(dir, "nowhere"), []int{0})
	mustErr(t, "no directory", err, unix.ENOENT)
}

// unprivileged runs fn as a user who may not open what belongs to root.
func unprivileged(tb testing.TB, fn func()) {
	tb.Helper()
	if os.Getuid() != 0 {
		fn()
		return
	}
	runtime.LockOSThread() // the file-system uid is the thread's
	defer runtime.UnlockOSThread()
	if _, err := unix.SetfsuidRetUid(65534); err != nil {
		tb.Fatal(err)
	}
	defer func() { _, _ = unix.SetfsuidRetUid(0) }()
	fn()
}

// TestCoreLocksOfAnotherUser has a file of a user who does not let others in.
func TestCoreLocksOfAnotherUser(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	theirs := dir + "/spdk_cpu_lock_000"
	if err := errors.Join(
		os.WriteFile(theirs, nil, 0o000),
		os.Chmod(dir, 0o777|os.ModeSticky), os.Chmod(filepath.Dir(dir), 0o755),
	); err != nil {
		t.Fatal(err)
	}
	unprivileged(t, func() {
		err := wantLockError(t, dir, []int{0}, 0, 0, unix.EACCES)
		for _, want := range []string{fmt.Sprintf("user %d", os.Getuid()), theirs, "choose other cores"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q does not say %q", err, want)
			}
		}
		unlockCores(t, lockCores(t, dir, 1, 2))
	})
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	unprivileged(t, func() {
		err := wantLockError(t, dir, []int{1}, 1, 0, unix.EACCES)
		if !strings.Contains(err.Error(), "check the directory") {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
}

// TestCoreLocksOfAnotherUserAsRoot has root take over what an ordinary user left behind in a
// directory that is for all.
func TestCoreLocksOfAnotherUserAsRoot(t *testing.T) {
	skipUnlessUser(t, rootReason(0))
	noLeaks(t)
	dir := t.TempDir()
	theirs := dir + "/spdk_cpu_lock_000"
	if err := errors.Join(
		os.Chmod(dir, 0o777|os.ModeSticky), os.WriteFile(theirs, nil, 0o600), os.Chown(theirs, 65534, 65534),
	); err != nil {
		t.Fatal(err)
	}
	unlockCores(t, lockCores(t, dir, 0))
	wantFiles(t, "in the end", dir)
}

// rootReason says that a test needs to be run by this user, which is root.
type rootReason int

func skipUnlessUser(tb testing.TB, reason rootReason) {
	tb.Helper()
	if uid := os.Getuid(); uid != int(reason) {
		tb.Skipf("needs user %d, this is %d", int(reason), uid)
	}
}

// TestCoreLocksRace has processes take and give up the same core as fast as they can: there
// is never more than one that has it, though each removes the file that others have opened.
func TestCoreLocksRace(t *testing.T) {
	noLeaks(t)
	dir := t.TempDir()
	var processes []*process
	for range 3 {
		processes = append(processes, lockProcess(t, "race", dir, "[7]"))
	}
	for _, p := range processes {
		p.end()
	}
	wantFiles(t, "in the end", dir)
}

// raceForCore locks a core until it has had it many times, and is then alone in dir.
func raceForCore(t *testing.T, dir string, cores []int) {
	for had := 0; had < 100; {
		l, err := reactor.LockCores(dir, cores)
		if errors.Is(err, unix.EBUSY) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		inside := filepath.Join(dir, "inside")
		if err := errors.Join(os.Mkdir(inside, 0o700), os.Remove(inside), l.Unlock()); err != nil {
			t.Fatal(err)
		}
		had++
	}
}

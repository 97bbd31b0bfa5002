package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// stageEnv carries a stage from a program to itself.
const stageEnv = "SPDK_GO_SANDBOX"

// stage is what a process is to be.
type stage struct {
	Options   Options
	Companion bool // it is the companion, not the program
	Sock      int  // leads to the other of the two; -1: there is no companion
	Other     int  // process id of the other
	Proc      int  // /proc/self/fd, of the program
}

// Inside is a program that has been executed by [Reexec].
type Inside struct {
	// Options are those that Reexec was called with.
	Options Options
	// Proc is a descriptor of /proc/self/fd, from before the root directory changed.
	Proc int

	sock  int
	other int
}

// Start must be the first thing that a program does, if it calls [Reexec] at all. In the companion it does not return.
// In the program that Reexec executes it returns what is left to finish, else nil. Errors: the environment has been
// tampered with.
func Start() (*Inside, error) {
	text, ok := os.LookupEnv(stageEnv)
	if !ok {
		return nil, nil
	}
	if err := os.Unsetenv(stageEnv); err != nil {
		return nil, err
	}
	var s stage
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return nil, fmt.Errorf("sandbox: %s=%q, which is not for users to set: %w", stageEnv, text, err)
	}
	if s.Companion {
		s.accompany()
		os.Exit(0)
	}
	unix.CloseOnExec(s.Proc)
	if s.Sock >= 0 {
		unix.CloseOnExec(s.Sock)
	}
	return &Inside{Options: s.Options, Proc: s.Proc, sock: s.Sock, other: s.Other}, nil
}

// Reexec executes the calling program anew, with the same arguments, inside of a sandbox: it continues in [Start]. Each
// of env is added to the environment. Descriptors without FD_CLOEXEC and locks of fcntl(2) stay. It returns only
// errors, after which the process may have lost rights and can only end. Not with [None].
func Reexec(o Options, env []string) error {
	if err := o.check(); err != nil {
		return err
	}
	program, err := self()
	if err != nil {
		return err
	}
	runtime.LockOSThread() // for good: nothing else should run on this thread
	proc, err := unix.Open("/proc/self/fd", unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return fmt.Errorf("sandbox: open /proc/self/fd (mount proc on /proc): %w", err)
	}
	s := stage{Options: o, Sock: -1, Proc: proc}
	if o.Mode == Namespace {
		const own = unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS
		if err := unix.Unshare(own); err != nil {
			return fmt.Errorf("sandbox: namespaces are not permitted here (a container may forbid unshare(2)); use the "+
				"sandbox landlock: %w", err)
		}
	}
	if o.Mode == Namespace || o.Mode == Chroot {
		if s.Sock, s.Other, err = startCompanion(&s); err != nil {
			return err
		}
	}
	if err := errors.Join(dropCaps(o.Keep()), noNewPrivs()); err != nil {
		return err
	}
	if err := o.useLandlock(program); err != nil {
		return err
	}
	env = append(append(os.Environ(), env...), s.env())
	return fmt.Errorf("sandbox: execute %s: %w", program, syscall.Exec(program, os.Args, env))
}

// self returns a path of the program that keeps its name, if there is one.
func self() (string, error) {
	const magic = "/proc/self/exe"
	var mine, there unix.Stat_t
	if err := unix.Stat(magic, &mine); err != nil {
		return "", fmt.Errorf("sandbox: stat %s (mount proc on /proc): %w", magic, err)
	}
	path, err := os.Readlink(magic)
	if err == nil && unix.Stat(path, &there) == nil && there.Dev == mine.Dev && there.Ino == mine.Ino {
		return path, nil
	}
	return magic, nil
}

func (s *stage) env() string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // numbers and strings
	}
	return stageEnv + "=" + string(text)
}

// startCompanion starts it from the calling thread, whose namespaces and working directory it shares. What is returned
// stays open in programs that are executed.
func startCompanion(s *stage) (sock, pid int, err error) {
	socks, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, 0, fmt.Errorf("sandbox: socketpair: %w", err)
	}
	theirs := os.NewFile(uintptr(socks[1]), "companion")
	defer theirs.Close()
	c := stage{Options: s.Options, Companion: true, Sock: 3, Other: os.Getpid()}
	cmd := &exec.Cmd{
		Path:        "/proc/self/exe",
		Args:        []string{filepath.Base(os.Args[0]) + ": root"},
		Env:         append(os.Environ(), c.env()),
		Stderr:      os.Stderr,
		ExtraFiles:  []*os.File{theirs},
		SysProcAttr: &syscall.SysProcAttr{Cloneflags: unix.CLONE_FS, Setsid: true},
	}
	if err := cmd.Start(); err != nil {
		return -1, 0, fmt.Errorf("sandbox: start the companion: %w", err)
	}
	sock, err = unix.Dup(socks[0]) // without FD_CLOEXEC
	unix.Close(socks[0])
	if err != nil {
		return -1, 0, fmt.Errorf("sandbox: dup: %w", err)
	}
	return sock, cmd.Process.Pid, nil
}

// accompany waits for the program, changes the root for it and says what has come of that. If the program is gone
// before, there is nothing to do.
func (s *stage) accompany() {
	var buf [1]byte
	if n, err := readRetry(s.Sock, buf[:]); n != 1 || err != nil {
		return
	}
	answer := "ok"
	if err := s.Options.changeRoot(s.Other); err != nil {
		answer = err.Error()
	}
	_, _ = unix.Write(s.Sock, []byte(answer))
}

func readRetry(fd int, p []byte) (int, error) {
	for {
		n, err := unix.Read(fd, p)
		if err != unix.EINTR {
			return n, err
		}
	}
}

// Finish changes the root directory, which is the working directory too then, and has the kernel filter system calls
// from then on. It is to be called from a plain goroutine, before anything is opened by paths that are to be
// [Options.Root]s.
func (in *Inside) Finish(f Filter) error {
	_ = time.Now().Local().String() // reads /etc/localtime, or what TZ says
	if err := in.changeRoot(); err != nil {
		return err
	}
	return Install(f, &in.Options)
}

func (in *Inside) changeRoot() error {
	if in.sock < 0 {
		return nil
	}
	defer unix.Close(in.sock)
	if _, err := unix.Write(in.sock, []byte{0}); err != nil {
		return fmt.Errorf("sandbox: ask the companion: %w", err)
	}
	answer := make([]byte, 4096)
	n, err := readRetry(in.sock, answer)
	if err != nil {
		return fmt.Errorf("sandbox: the companion's answer: %w", err)
	}
	for {
		if _, err = unix.Wait4(in.other, nil, 0, nil); err != unix.EINTR {
			break
		}
	}
	switch {
	case n == 0:
		return fmt.Errorf("sandbox: the companion has died: %w", unix.EIO)
	case string(answer[:n]) != "ok":
		return errors.New(string(answer[:n]))
	}
	return nil
}

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/app/fusemount"
	"github.com/spdk-go/spdk-go/internal/sandbox"
	"github.com/spdk-go/spdk-go/modules/aio"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/transport/fusedev"
)

// A process that locks itself up cannot mount any more, and nothing that it mounts would be seen outside. So a second
// one, which is started before, stays outside: it mounts and unmounts for the first one, and removes the lock files of
// its CPUs at the end. It serves no request of any file system, and lives as long as the first one does.

// stageEnv carries a stage from the program to itself.
const stageEnv = "SPDK_TGT_STAGE"

// stage is what a process is told by the one that executes it.
type stage struct {
	Outside     bool           // it is the second process
	Sock        int            // leads to the other
	Filter      sandbox.Filter // inside
	Mountpoints []string       // outside
	Locks       []string       // outside: files
	HasLocks    bool           // inside: they are taken
}

func (s *stage) env() string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // numbers and strings
	}
	return stageEnv + "=" + string(text)
}

// readStage returns nil in a process that was started by a user.
func readStage() (*stage, error) {
	text, ok := os.LookupEnv(stageEnv)
	if !ok {
		return nil, nil
	}
	s := &stage{}
	if err := json.Unmarshal([]byte(text), s); err != nil {
		return nil, fmt.Errorf("%s=%q, which is not for users to set: %w", stageEnv, text, err)
	}
	return s, os.Unsetenv(stageEnv)
}

// serveOutside is the second process.
func (s *stage) serveOutside(stderr io.Writer) int {
	// It ends when the first one does, which has been signalled too, or has not.
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE)
	err := fusedev.ServeHost(s.Sock, fusedev.HostOptions{
		Mountpoints: s.Mountpoints,
		Users:       func(dir string) []string { return fusemount.Users(dir) },
		End: func() {
			for _, file := range s.Locks {
				_ = os.Remove(file) // the first process, which waits for this, still has the lock
			}
		},
		Left: func(dir string) {
			fmt.Fprintf(stderr, "%s: the server has died; %s, which nobody serves any more, was detached\n", progName, dir)
		},
	})
	if err != nil {
		return exitFailed
	}
	return exitOK
}

// containment is how the process is locked up.
type containment struct {
	mode   sandbox.Mode
	filter sandbox.Filter
	noPass bool // the kernel cannot be given files of the host: CAP_SYS_ADMIN is not kept

	host     *fusedev.RemoteHost // nil: this process mounts by itself
	hasLocks bool                // those of its CPUs were taken before
}

// closed says whether the process is locked up, in whatever way.
func (c *containment) closed() bool { return c.mode != sandbox.None || c.filter != sandbox.NoFilter }

// begin says what the process is: in and s are nil in one that was started by a user.
func begin() (in *sandbox.Inside, s *stage, err error) {
	if in, err = sandbox.Start(); err != nil {
		return nil, nil, err
	}
	if s, err = readStage(); err != nil {
		return nil, nil, err
	}
	if in != nil && s == nil {
		return nil, nil, fmt.Errorf("%s is not set: %w", stageEnv, syscall.EINVAL)
	}
	return in, s, nil
}

// contain locks the process up as far as cfg says, which may have it execute itself: in and s are what begin has
// returned. cfg is changed to what paths are called inside.
func contain(cfg *config, in *sandbox.Inside, s *stage) (*containment, error) {
	if in != nil {
		return containInside(cfg, in, s)
	}
	c, err := cfg.containment()
	if err != nil {
		return nil, err
	}
	if c.mode == sandbox.None && c.filter == sandbox.NoFilter {
		return c, nil
	}
	o, err := cfg.sandboxOptions(c.mode)
	if err != nil {
		return nil, err
	}
	var locks []string
	if c.mode != sandbox.None && !cfg.noLocks {
		if locks, err = takeLocks(cfg.cpumask); err != nil {
			return nil, err
		}
	}
	sock, err := startOutside(cfg, locks)
	if err != nil {
		removeAll(locks)
		return nil, err
	}
	c.host = fusedev.NewRemoteHost(sock)
	if c.mode == sandbox.None {
		return c, sandbox.Install(c.filter, o)
	}
	inside := stage{Filter: c.filter, HasLocks: locks != nil}
	if inside.Sock, err = unix.Dup(sock); err == nil { // without FD_CLOEXEC
		err = sandbox.Reexec(*o, []string{inside.env()})
	}
	removeAll(locks)
	return nil, err
}

// containInside is contain in the program that is executed there.
func containInside(cfg *config, in *sandbox.Inside, s *stage) (*containment, error) {
	unix.CloseOnExec(s.Sock)
	c := &containment{mode: in.Options.Mode, filter: s.Filter, host: fusedev.NewRemoteHost(s.Sock), hasLocks: s.HasLocks}
	c.noPass = in.Options.Keep()&(1<<unix.CAP_SYS_ADMIN) == 0
	for i := range cfg.aio {
		o := &cfg.aio[i].opts
		o.Root, o.Proc = in.Options.Root(in.Options.Exports[i].Path), in.Proc
	}
	if err := in.Finish(c.filter); err != nil {
		c.end(io.Discard)
		return nil, err
	}
	return c, nil
}

func removeAll(files []string) {
	for _, file := range files {
		_ = os.Remove(file)
	}
}

// containment chooses what was left to the program.
func (c *config) containment() (*containment, error) {
	k := &containment{mode: c.sandbox, filter: c.seccomp}
	if len(c.aio) == 0 { // there is nothing of the host's to break out to: it takes asking for it
		if !c.sandboxAsked {
			k.mode = sandbox.None
		}
		if !c.seccompAsked {
			k.filter = sandbox.NoFilter
		}
	}
	var err error
	if k.mode, err = k.mode.Choose(); err != nil {
		return nil, fmt.Errorf("--sandbox: %w", err)
	}
	if k.closed() && (c.rpcSocketGiven && !c.noRPC || c.waitForRPC || c.configFile != "") {
		return nil, errors.New("an RPC server and a configuration are not for a sandbox, which has no sockets and nothing " +
			"but what it was started with: use --sandbox none --seccomp none")
	}
	return k, nil
}

func (c *config) sandboxOptions(mode sandbox.Mode) (*sandbox.Options, error) {
	o := &sandbox.Options{Mode: mode, MoreCaps: c.moreCaps, LessCaps: c.lessCaps}
	for _, a := range c.aio {
		root, err := filepath.EvalSymlinks(a.opts.Root)
		if err != nil {
			return nil, fmt.Errorf("--aio: %w", err)
		}
		if a.opts.Notify { // who asks for it asks for what it takes
			o.MoreCaps |= 1 << unix.CAP_SYS_ADMIN
		}
		o.Exports = append(o.Exports, sandbox.Export{Path: root, ReadOnly: a.opts.ReadOnly})
		o.FileHandles = o.FileHandles || a.opts.InodeFileHandles != aio.FileHandlesNever
	}
	return o, nil
}

// takeLocks locks the CPUs that app.Run will take, for as long as the process lives.
func takeLocks(mask *reactor.Cpuset) (files []string, err error) {
	allowed, err := app.AllowedCPUs()
	if err != nil {
		return nil, err
	}
	cores := allowed.CPUs()[:1]
	if mask != nil {
		cores = mask.CPUs()
	}
	locks, err := reactor.LockCores(reactor.CoreLockDir, cores)
	if err != nil {
		return nil, fmt.Errorf("app: %w", err)
	}
	return locks.Keep()
}

// startOutside starts the second process and returns the socket that leads to it.
func startOutside(cfg *config, locks []string) (int, error) {
	socks, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socketpair: %w", err)
	}
	theirs := os.NewFile(uintptr(socks[1]), "outside")
	defer theirs.Close()
	s := stage{Outside: true, Sock: 3, Locks: locks}
	for _, m := range cfg.mounts {
		s.Mountpoints = append(s.Mountpoints, m.dir)
	}
	cmd := &exec.Cmd{
		Path:       "/proc/self/exe",
		Args:       []string{progName + ": mounts"},
		Env:        append(os.Environ(), s.env()),
		Stderr:     os.Stderr,
		ExtraFiles: []*os.File{theirs},
		// The keys of a terminal are for the first process.
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	if err := cmd.Start(); err != nil {
		unix.Close(socks[0])
		return -1, fmt.Errorf("start the process that mounts: %w", err)
	}
	return socks[0], nil
}

// end says good-bye to the process outside, if there is one.
func (c *containment) end(stderr io.Writer) {
	if c.host == nil {
		return
	}
	if err := c.host.End(); err != nil {
		fmt.Fprintf(stderr, "%s: the locks of the CPUs could not be given back: %s\n", progName, oneLine(err))
	}
}

func setSandbox(c *config, v string) (err error) {
	c.sandbox, err = sandbox.ParseMode(v)
	c.sandboxAsked = true
	return err
}

func setSeccomp(c *config, v string) (err error) {
	c.seccomp, err = sandbox.ParseFilter(v)
	c.seccompAsked = true
	return err
}

func setModcaps(c *config, v string) (err error) {
	c.moreCaps, c.lessCaps, err = sandbox.ParseCaps(v)
	return err
}

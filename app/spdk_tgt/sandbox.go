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
	"github.com/spdk-go/spdk-go/app/appflags"
	"github.com/spdk-go/spdk-go/app/fusemount"
	"github.com/spdk-go/spdk-go/app/metrics"
	"github.com/spdk-go/spdk-go/internal/ebpfmon"
	"github.com/spdk-go/spdk-go/internal/sandbox"
	"github.com/spdk-go/spdk-go/modules/aio"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/rpc"
	"github.com/spdk-go/spdk-go/transport/fusedev"
)

// A process that locks itself up cannot mount any more, and nothing that it mounts would be seen outside. So a second
// one, which is started before, stays outside: it mounts and unmounts for the first one, and removes the lock files of
// its CPUs and the files of its sockets at the end. It serves no request of any file system, and lives as long as
// the first one does.
//
// The RPC socket and that of the metrics are listened at before as well, and the configuration read: whose directories
// are exported, and whose mountpoints can be mounted on, as if they were the command line's.

// stageEnv carries a stage from the program to itself.
const stageEnv = "SPDK_TGT_STAGE"

// stage is what a process is told by the one that executes it.
type stage struct {
	Outside     bool              // it is the second process
	Sock        int               // leads to the other
	Filter      sandbox.Filter    // inside
	Mountpoints []string          // outside
	Remove      []string          // outside: files, at the end
	HasLocks    bool              // inside: those of the CPUs are taken
	Socket      *rpc.Heirloom     // inside: the RPC socket, nil if there is none
	NoSocket    string            // inside: why there is none
	Metrics     *metrics.Heirloom // inside: where metrics are served, nil if nowhere
	Config      int               // inside: a descriptor of the configuration's text, 0 if there is none
	Exports     []export          // inside
	CanMount    []string          // inside: Mountpoints
	EBPF        *ebpfmon.Kept     // inside: what was loaded for --ebpf, nil if nothing was
}

// export is a directory that a sandbox leaves.
type export struct {
	Given    string // what the operator calls it
	Path     string // without symbolic links
	ReadOnly bool
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
			removeAll(s.Remove) // the first process, which waits for this, still has the locks
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

	host      *fusedev.RemoteHost // nil: this process mounts by itself
	hasLocks  bool                // those of its CPUs were taken before
	socket    *rpc.Socket         // of the RPC server, nil if the application makes it, or there is none
	noSocket  string              // why there is none
	metrics   *metrics.Socket     // nil: none can be served
	metricsAt *metrics.Address    // where that is to be
	config    []byte              // the text of the configuration, nil if the application reads it, or there is none

	options  *sandbox.Options // of the process that is locked up
	proc     int              // see sandbox.Inside
	exports  []export
	canMount []string
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
// returned. cfg is changed to what paths are called inside. mon, if it is not nil, goes where the process goes.
func contain(cfg *config, in *sandbox.Inside, s *stage, mon *ebpfmon.Monitor) (*containment, error) {
	if in != nil {
		return containInside(cfg, in, s)
	}
	c, err := cfg.containment()
	if err != nil || !c.closed() {
		return c, err
	}
	err = c.prepare(cfg)
	if err == nil {
		err = c.enter(cfg, mon)
	}
	if err != nil {
		c.closeSockets()
		return nil, err
	}
	return c, nil
}

// closeSockets closes what nothing serves.
func (c *containment) closeSockets() {
	if c.socket != nil {
		_ = c.socket.Close()
	}
	if c.metrics != nil {
		_ = c.metrics.Close()
	}
}

// prepare gets what the process cannot get any more once it is locked up.
func (c *containment) prepare(cfg *config) (err error) {
	c.canMount = cfg.mountpoints()
	for _, a := range cfg.aio {
		c.exports = append(c.exports, export{Given: a.opts.Root, ReadOnly: a.opts.ReadOnly})
	}
	c.options = cfg.sandboxOptions(c.mode)
	if cfg.o.ConfigFile != "" {
		if err := c.readConfig(cfg); err != nil {
			return err
		}
	}
	for i := range c.exports {
		e := &c.exports[i]
		if e.Path, err = filepath.EvalSymlinks(e.Given); err != nil {
			return fmt.Errorf("--aio: %w", err)
		}
		c.options.Exports = append(c.options.Exports, sandbox.Export{Path: e.Path, ReadOnly: e.ReadOnly})
	}
	if c.mode == sandbox.Chroot && len(c.exports) != 1 {
		return fmt.Errorf("--sandbox chroot wants one directory to export, not %d: use namespace", len(c.exports))
	}
	if cfg.metrics != nil {
		c.metricsAt = cfg.metrics
	}
	if c.metricsAt != nil {
		if c.metrics, err = metrics.Bind(*c.metricsAt); err != nil {
			return fmt.Errorf("%w (see also --sandbox none --seccomp none)", err)
		}
	}
	if cfg.o.RPCSocket == "" {
		return nil
	}
	c.socket, err = rpc.Bind(cfg.o.RPCSocket, cfg.o.RPCListen)
	switch {
	case err != nil && (!cfg.o.RPCSocketOptional || cfg.o.WaitForRPC):
		return err
	case err != nil:
		c.noSocket = appflags.OneLine(err)
	}
	return nil
}

// enter locks the process up. If that takes executing it, enter returns errors only.
func (c *containment) enter(cfg *config, mon *ebpfmon.Monitor) (err error) {
	inside := stage{Filter: c.filter, NoSocket: c.noSocket, Exports: c.exports, CanMount: c.canMount}
	var locks, files []string
	if c.mode != sandbox.None {
		if c.socket != nil {
			files = c.socket.Files()
		}
		if c.metrics != nil {
			files = append(files, c.metrics.File())
		}
		if !cfg.o.DisableCPUMaskLocks {
			if locks, err = takeLocks(cfg.o.CPUMask); err != nil {
				return err
			}
			inside.HasLocks = true
		}
	}
	sock, err := startOutside(c.canMount, append(files, locks...))
	if err != nil {
		removeAll(locks)
		return err
	}
	c.host = fusedev.NewRemoteHost(sock)
	if c.mode == sandbox.None {
		if err := c.addListeners(c.options); err != nil {
			return err
		}
		return sandbox.Install(c.filter, c.options)
	}
	err = inside.bequeath(c, sock)
	if err == nil && mon != nil {
		inside.EBPF, err = mon.Keep()
	}
	if err == nil {
		err = sandbox.Reexec(*c.options, []string{inside.env()})
	}
	removeAll(locks)
	return err
}

// addListeners has the process accept clients of its sockets.
func (c *containment) addListeners(o *sandbox.Options) error {
	if c.socket != nil {
		fd, err := c.socket.FD()
		if err != nil {
			return err
		}
		o.Listeners = append(o.Listeners, fd)
	}
	if c.metrics != nil {
		fd, err := c.metrics.FD()
		if err != nil {
			return err
		}
		o.Listeners = append(o.Listeners, fd)
	}
	return nil
}

// bequeath makes descriptors that stay open in the program that is executed.
func (s *stage) bequeath(c *containment, sock int) (err error) {
	if c.socket != nil {
		h, err := c.socket.Bequeath()
		if err != nil {
			return err
		}
		s.Socket = &h
	}
	if c.metrics != nil {
		h, err := c.metrics.Bequeath()
		if err != nil {
			return err
		}
		s.Metrics = &h
	}
	if c.config != nil {
		if s.Config, err = unix.MemfdCreate("configuration", 0); err != nil {
			return fmt.Errorf("memfd_create: %w", err)
		}
		if _, err := unix.Pwrite(s.Config, c.config, 0); err != nil {
			return fmt.Errorf("hand on the configuration: %w", err)
		}
	}
	if s.Sock, err = unix.Dup(sock); err != nil {
		return fmt.Errorf("dup: %w", err)
	}
	return nil
}

// containInside is contain in the program that is executed there.
func containInside(cfg *config, in *sandbox.Inside, s *stage) (c *containment, err error) {
	unix.CloseOnExec(s.Sock)
	c = &containment{
		mode: in.Options.Mode, filter: s.Filter, host: fusedev.NewRemoteHost(s.Sock), hasLocks: s.HasLocks,
		noSocket: s.NoSocket, options: &in.Options, proc: in.Proc, exports: s.Exports, canMount: s.CanMount,
	}
	defer func() {
		if err != nil {
			c.end(io.Discard)
			c = nil
		}
	}()
	for i := range cfg.aio {
		o := &cfg.aio[i].opts
		o.At, o.Proc = in.Options.Root(s.Exports[i].Path), in.Proc
	}
	if s.Socket != nil {
		if c.socket, err = s.Socket.Inherit(); err != nil {
			return c, err
		}
	}
	if s.Metrics != nil {
		if c.metrics, err = s.Metrics.Inherit(); err != nil {
			return c, err
		}
		if cfg.metrics != nil { // a relative path means something else by now
			addr := c.metrics.Address()
			cfg.metrics = &addr
		}
	}
	if err := c.addListeners(&in.Options); err != nil {
		return c, err
	}
	if s.Config != 0 {
		f := os.NewFile(uintptr(s.Config), cfg.o.ConfigFile)
		defer f.Close()
		if c.config, err = io.ReadAll(f); err != nil {
			return c, err
		}
	}
	return c, in.Finish(c.filter)
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
	if k.closed() && c.o.TpointGroupMask != "" {
		return nil, errors.New("a trace is not for a sandbox, which has no shared memory: use --sandbox none --seccomp none")
	}
	return k, nil
}

func (c *config) mountpoints() (dirs []string) {
	for _, m := range c.mounts {
		dirs = append(dirs, m.dir)
	}
	return dirs
}

// sandboxOptions returns what flags say of a sandbox, but for what is exported.
func (c *config) sandboxOptions(mode sandbox.Mode) *sandbox.Options {
	o := &sandbox.Options{Mode: mode, MoreCaps: c.moreCaps, LessCaps: c.lessCaps}
	for _, a := range c.aio {
		allow(o, a.opts.Notify, a.opts.InodeFileHandles)
	}
	return o
}

// allow has a sandbox leave what options of an export take.
func allow(o *sandbox.Options, notify bool, handles aio.FileHandles) {
	if notify { // who asks for it asks for what it takes
		o.MoreCaps |= 1 << unix.CAP_SYS_ADMIN
	}
	o.FileHandles = o.FileHandles || handles != aio.FileHandlesNever
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

// startOutside starts the second process, which removes files at the end, and returns the socket that leads to it.
func startOutside(mountpoints, files []string) (int, error) {
	socks, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socketpair: %w", err)
	}
	theirs := os.NewFile(uintptr(socks[1]), "outside")
	defer theirs.Close()
	s := stage{Outside: true, Sock: 3, Mountpoints: mountpoints, Remove: files}
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
	c.closeSockets()
	if c.host == nil {
		return
	}
	if err := c.host.End(); err != nil {
		fmt.Fprintf(stderr, "%s: locks could not be given back: %s\n", progName, appflags.OneLine(err))
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

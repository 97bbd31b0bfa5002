package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// childEnv makes the test binary a process that enters a sandbox and tries things there.
const childEnv = "SANDBOX_TEST_CHILD"

// order is what such a process is to do.
type order struct {
	Options  Options
	Filter   Filter
	Try      []string // probes, by name
	Dir      string   // that has the export and what lies beside it
	Listener string   // an address of the host
	Sockets  []string // paths of Unix sockets to listen at before it is locked up
}

// report is what it says: the errno of each probe.
type report struct {
	PID    int
	Errnos map[string]syscall.Errno
}

func TestMain(m *testing.M) {
	in, err := Start()
	if err != nil {
		panic(err)
	}
	text, ok := os.LookupEnv(childEnv)
	if !ok {
		os.Exit(m.Run())
	}
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		panic(err)
	}
	if err := o.run(in); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// listen makes Options.Listeners, which stay open in a program that is executed.
func (o *order) listen() error {
	for _, path := range o.Sockets {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err != nil {
			return err
		}
		o.Options.Listeners = append(o.Options.Listeners, fd)
		if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: path}), unix.Listen(fd, 1)); err != nil {
			return err
		}
	}
	return nil
}

func (o *order) run(in *Inside) error {
	if in == nil {
		if err := o.listen(); err != nil {
			return err
		}
	}
	switch {
	case in != nil:
		o.Options.Listeners = in.Options.Listeners
		if err := in.Finish(o.Filter); err != nil {
			return err
		}
	case o.Options.Mode != None:
		return Reexec(o.Options, nil)
	default:
		if err := Install(o.Filter, &o.Options); err != nil {
			return err
		}
	}
	// Those that are killed need not leave anything.
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return err
	}
	r := report{os.Getpid(), map[string]syscall.Errno{}}
	for _, name := range o.Try {
		r.Errnos[name] = probes[name](o)
	}
	return json.NewEncoder(os.Stdout).Encode(&r)
}

// child runs an order in a process of its own.
func child(t *testing.T, o order) (r report, cmd *exec.Cmd, err error) {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), childEnv+"="+string(text), "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &r)
	}
	return r, cmd, err
}

// skipReason is why a test cannot run on a machine.
type skipReason string

const (
	notRoot    skipReason = "namespaces and chroot(2) need root"
	noLandlock skipReason = "the kernel has no Landlock"
)

// skip ends a test that cannot run here, after making sure that it cannot.
func skip(t testing.TB, reason skipReason) {
	t.Helper()
	if reason == notRoot && os.Geteuid() == 0 || reason == noLandlock && landlockABI() >= minLandlock {
		t.Fatalf("%q is no reason to skip on this machine", reason)
	}
	t.Skip(string(reason))
}

func need(t testing.TB, m Mode) {
	t.Helper()
	if (m == Namespace || m == Chroot) && os.Geteuid() != 0 {
		skip(t, notRoot)
	}
	if m == Landlock && landlockABI() < minLandlock {
		skip(t, noLandlock)
	}
}

// errnoOf returns what a call has failed with.
func errnoOf(err error) syscall.Errno {
	if err == nil {
		return 0
	}
	if errno, ok := err.(syscall.Errno); ok {
		return errno
	}
	return unix.EIO
}

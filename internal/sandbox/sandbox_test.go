package sandbox

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// rig makes a directory with a secret, and in it an export with ways out.
func rig(t *testing.T) (dir string, export Export) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	at := filepath.Join(dir, "export")
	must(t, os.MkdirAll(filepath.Join(at, "dir"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "secret"), []byte("secret"), 0o644))
	must(t, os.WriteFile(filepath.Join(at, "file"), []byte("file"), 0o644))
	must(t, os.Symlink(filepath.Join(dir, "secret"), filepath.Join(at, "out")))
	if os.Geteuid() == 0 {
		must(t, unix.Mknod(filepath.Join(at, "null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	}
	return dir, Export{Path: at}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// listen returns the port of a listener on 127.0.0.1.
func listen(t *testing.T) string {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close() })
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// want is what a mode makes of a probe. -1 stands for any error.
type want map[string]syscall.Errno

const anyError = syscall.Errno(1<<16 - 1)

// works is what has to work everywhere.
var works = want{"read": 0, "write": 0, "list": 0, "rename": 0, "link": 0, "device": 0, "chown": 0, "setuid file": 0}

// outNames are ways out by name.
func outNames(errno syscall.Errno) want {
	return want{"absolute": errno, "passwd": errno, "dots": errno, "more dots": errno, "symlink": errno,
		"host's root": errno, "environment": errno, "write beside": errno, "program": errno}
}

// powers are ways out by privilege.
var powers = want{"chroot": unix.EPERM, "mount": unix.EPERM, "umount": unix.EPERM, "unshare": unix.EPERM,
	"clock": unix.EPERM, "trace": anyError, "handle": unix.EPERM}

func join(all ...want) want {
	w := want{}
	for _, m := range all {
		maps.Copy(w, m)
	}
	return w
}

// landlockWants are what a version adds, if the kernel has it.
func landlockWants() want {
	w := want{}
	if landlockABI() >= 6 {
		w["signal"] = unix.EPERM
	}
	return w
}

// TestModes has a process in each sandbox try what it should be able to do, and what it should not: without a filter of
// system calls, so that each layer is on its own.
func TestModes(t *testing.T) {
	for _, test := range []struct {
		mode     Mode
		readOnly bool
		handles  bool // no Landlock
		want     want
	}{
		{Namespace, false, false, join(works, outNames(unix.ENOENT), powers, landlockWants(), want{
			"proc": 0, "own root": unix.ENOENT, "setns": anyError, "open device": unix.EACCES, "root's own": anyError,
			"connect": anyError, "write beside": unix.EROFS,
		})},
		{Namespace, false, true, join(works, outNames(unix.ENOENT), powers, want{
			"proc": 0, "own root": unix.ENOENT, "setns": anyError, "open device": unix.EACCES, "root's own": unix.EROFS,
			"connect": unix.ENETUNREACH, "write beside": unix.EROFS, "handle": 0,
		})},
		{Namespace, true, false, join(outNames(unix.ENOENT), powers, want{
			"read": 0, "list": 0, "write": anyError, "link": anyError, "device": anyError, "chown": unix.EROFS,
			"setuid file": unix.EROFS, "write beside": unix.EROFS,
		})},
		{Chroot, false, false, join(works, outNames(unix.ENOENT), powers, landlockWants(), want{
			"proc": unix.ENOENT, "root's own": 0,
		})},
		{Landlock, false, false, join(works, outNames(unix.EACCES), powers, landlockWants(), want{
			"own root": unix.EACCES, "root's own": unix.EACCES, "write beside": unix.EACCES,
		})},
		{Landlock, true, false, join(outNames(unix.EACCES), powers, want{
			"read": 0, "list": 0, "write": unix.EACCES, "link": unix.EACCES, "device": unix.EACCES,
		})},
	} {
		t.Run(fmt.Sprintf("%v, read-only %v, file handles %v", test.mode, test.readOnly, test.handles), func(t *testing.T) {
			need(t, test.mode)
			if os.Geteuid() != 0 { // there are no privileges to be lost
				maps.DeleteFunc(test.want, func(name string, _ syscall.Errno) bool {
					_, ok := powers[name]
					return ok || name == "device" || name == "chown"
				})
			}
			dir, export := rig(t)
			export.ReadOnly = test.readOnly
			if test.mode == Landlock && landlockABI() >= 4 {
				test.want["connect"] = unix.EACCES
			}
			opts := Options{Mode: test.mode, Exports: []Export{export}, FileHandles: test.handles}
			o := order{Options: opts, Filter: NoFilter, Dir: dir, Listener: listen(t), Try: inOrder(test.want)}
			r, cmd, err := child(t, o)
			if err != nil {
				t.Fatal(err)
			}
			if r.PID != cmd.Process.Pid {
				t.Errorf("process %d has become %d", cmd.Process.Pid, r.PID)
			}
			got := want(r.Errnos)
			for name, errno := range got {
				if errno != 0 && test.want[name] == anyError {
					got[name] = anyError
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// inOrder sorts probes such that those come first that others need.
func inOrder(w want) []string {
	names := slices.Sorted(maps.Keys(w))
	slices.SortStableFunc(names, func(a, b string) int { return strings.Compare(first(a), first(b)) })
	return names
}

func first(name string) string {
	if name == "write" {
		return "0"
	}
	return "1"
}

// TestFilter wants the processes dead that do what a server never does, and alive if it is only to be logged.
func TestFilter(t *testing.T) {
	dir, export := rig(t)
	for _, name := range []string{"socket", "program", "mount", "chroot", "new code", "unshare", "signal", "trace", "fork",
		"setns", "handle", "clock"} {
		t.Run(name, func(t *testing.T) {
			o := order{Options: Options{Mode: None, Exports: []Export{export}}, Filter: Kill, Dir: dir, Try: []string{name}}
			if _, _, err := child(t, o); !isKilled(err) {
				t.Errorf("it ends with %v, want SIGSYS", err)
			}
		})
	}
	o := order{Options: Options{Mode: None, Exports: []Export{export}}, Filter: Kill, Dir: dir,
		Try: []string{"read", "write", "list", "rename", "proc"}}
	if r, _, err := child(t, o); err != nil || r.Errnos["write"] != 0 {
		t.Errorf("what is allowed: %v, %v", r, err)
	}
	o.Filter, o.Try = Log, []string{"socket"}
	if r, _, err := child(t, o); err != nil || r.Errnos["socket"] != 0 {
		t.Errorf("what is logged: %v, %v", r, err)
	}
}

// TestListeners accepts clients from outside at sockets that are older than the sandbox, and at no other.
func TestListeners(t *testing.T) {
	for _, mode := range []Mode{None, Namespace, Chroot, Landlock} {
		t.Run(mode.String(), func(t *testing.T) {
			need(t, mode)
			dir, export := rig(t)
			first, second := filepath.Join(dir, "socket"), filepath.Join(dir, "another")
			o := order{Options: Options{Mode: mode, Exports: []Export{export}}, Filter: Kill, Dir: dir,
				Sockets: []string{first, second}, Try: []string{"accept", "accept at the second"}}
			clients := make(chan error, 2)
			for _, path := range o.Sockets {
				go func() { clients <- awaitAccept(t, path) }()
			}
			r, _, err := child(t, o)
			if err != nil || r.Errnos["accept"] != 0 || r.Errnos["accept at the second"] != 0 {
				t.Errorf("accept: %v, %v", r, err)
			}
			for range o.Sockets {
				if err := <-clients; err != io.EOF {
					t.Errorf("a client: %v", err)
				}
			}
			must(t, errors.Join(os.Remove(first), os.Remove(second)))
			o.Sockets, o.Try = []string{first}, []string{"accept at another"}
			if _, _, err := child(t, o); !isKilled(err) {
				t.Errorf("accept at another socket: %v", err)
			}
			must(t, os.Remove(first))
			o.Sockets, o.Try = nil, []string{"accept without"}
			if _, _, err := child(t, o); !isKilled(err) {
				t.Errorf("accept without a socket: %v", err)
			}
		})
	}
}

// TestNoOtherListeners refuses what is no Unix socket before anything is locked up: it would be a way out.
func TestNoOtherListeners(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(fd)
	f, err := os.Open("/")
	must(t, err)
	defer f.Close()
	for fd, want := range map[int]error{fd: unix.EAFNOSUPPORT, int(f.Fd()): unix.ENOTSOCK} {
		if err := Install(Kill, &Options{Listeners: []int{fd}}); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
}

// awaitAccept connects to a socket as soon as it is there, and returns what comes of reading it until it is closed.
func awaitAccept(t *testing.T, path string) error {
	for {
		nc, err := net.Dial("unix", path)
		if err == nil {
			defer nc.Close()
			_, err = nc.Read(make([]byte, 1))
			return err
		}
		if t.Context().Err() != nil {
			return err
		}
		time.Sleep(time.Millisecond)
	}
}

// isKilled says whether a process has made a system call that the filter does not let through.
func isKilled(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status := exit.Sys().(syscall.WaitStatus)
	return status.Signaled() && status.Signal() == unix.SIGSYS
}

// TestStatus reads what the kernel says of a process and its threads.
func TestStatus(t *testing.T) {
	need(t, Namespace)
	_, export := rig(t)
	for _, handles := range []bool{false, true} {
		opts := Options{Mode: Namespace, Exports: []Export{export}, FileHandles: handles}
		o := order{Options: opts, Filter: Kill, Dir: filepath.Dir(export.Path), Try: []string{"status"}}
		r, _, err := child(t, o)
		if err != nil {
			t.Fatal(err)
		}
		if r.Errnos["status"] != 0 {
			t.Errorf("file handles %v: a thread has other rights than it should", handles)
		}
	}
}

func init() { probes["status"] = checkStatus }

// checkStatus looks at each thread of the process.
func checkStatus(o *order) syscall.Errno {
	keep := fmt.Sprintf("%016x", o.Options.Keep())
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil || len(tasks) < 2 {
		return unix.ENOENT
	}
	for _, task := range tasks {
		text, err := os.ReadFile(filepath.Join("/proc/self/task", task.Name(), "status"))
		if err != nil {
			return unix.EIO
		}
		for _, line := range []string{"CapPrm:\t" + keep, "CapEff:\t" + keep, "CapBnd:\t" + keep,
			"CapInh:\t0000000000000000", "CapAmb:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"} {
			if !strings.Contains(string(text), "\n"+line+"\n") {
				fmt.Fprintf(os.Stderr, "thread %s has no line %q\n%s", task.Name(), line, text)
				return unix.EPERM
			}
		}
	}
	return 0
}

// TestSeveralExports has two directories, one inside of the other, and another one that is read-only.
func TestSeveralExports(t *testing.T) {
	need(t, Namespace)
	dir, export := rig(t)
	ro := filepath.Join(dir, "ro")
	must(t, os.Mkdir(ro, 0o755))
	must(t, os.WriteFile(filepath.Join(ro, "file"), nil, 0o644))
	for _, exports := range [][]Export{
		{export, {Path: ro, ReadOnly: true}, {Path: filepath.Join(export.Path, "dir")}},
		{{Path: filepath.Join(export.Path, "dir"), ReadOnly: true}, {Path: ro, ReadOnly: true}, export},
	} {
		o := order{Options: Options{Mode: Namespace, Exports: exports}, Dir: dir,
			Try: []string{"write", "read", "read ro", "write ro", "absolute"}}
		r, _, err := child(t, o)
		if err != nil {
			t.Fatal(err)
		}
		all := want{"write": 0, "read": 0, "read ro": 0, "write ro": unix.EROFS, "absolute": unix.ENOENT}
		if diff := cmp.Diff(all, want(r.Errnos)); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	}
}

func init() {
	probes["read ro"] = func(o *order) syscall.Errno { return openPath(o.Dir+"/ro/file", unix.O_RDONLY) }
	probes["write ro"] = func(o *order) syscall.Errno { return openPath(o.Dir+"/ro/file", unix.O_WRONLY) }
}

// TestWholeSystem exports the root directory: everything is there, and no privilege.
func TestWholeSystem(t *testing.T) {
	need(t, Namespace)
	dir, _ := rig(t)
	o := order{Options: Options{Mode: Namespace, Exports: []Export{{Path: "/"}}}, Dir: dir,
		Try: []string{"absolute", "passwd", "proc", "chroot", "mount"}, Filter: NoFilter}
	r, _, err := child(t, o)
	if err != nil {
		t.Fatal(err)
	}
	all := want{"absolute": 0, "passwd": 0, "proc": 0, "chroot": unix.EPERM, "mount": unix.EPERM}
	if diff := cmp.Diff(all, want(r.Errnos)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestRefuses(t *testing.T) {
	one := []Export{{Path: "/a"}}
	two := append(one, Export{Path: "/b"})
	for _, o := range []Options{{}, {Mode: 9}, {Mode: Chroot}, {Mode: Chroot, Exports: two},
		{Mode: Landlock, Exports: one, FileHandles: true}} {
		if err := Reexec(o, nil); !errors.Is(err, unix.EINVAL) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	for _, name := range []string{"", "Namespace", "jail"} {
		if m, err := ParseMode(name); err == nil {
			t.Errorf("%q is mode %v", name, m)
		}
		if f, err := ParseFilter(name); err == nil {
			t.Errorf("%q is filter %v", name, f)
		}
	}
	for m := Auto; m <= None; m++ {
		if got, err := ParseMode(m.String()); err != nil || got != m {
			t.Errorf("%v is parsed as %v, %v", m, got, err)
		}
	}
	for f := Kill; f <= NoFilter; f++ {
		if got, err := ParseFilter(f.String()); err != nil || got != f {
			t.Errorf("%v is parsed as %v, %v", f, got, err)
		}
	}
}

func TestParseCaps(t *testing.T) {
	for text, want := range map[string][2]uint64{
		"+sys_admin":               {1 << unix.CAP_SYS_ADMIN, 0},
		"+SYS_ADMIN:-cap_mknod":    {1 << unix.CAP_SYS_ADMIN, 1 << unix.CAP_MKNOD},
		"-chown:+chown":            {1 << unix.CAP_CHOWN, 0},
		"+checkpoint_restore:+bpf": {1<<unix.CAP_CHECKPOINT_RESTORE | 1<<unix.CAP_BPF, 0},
	} {
		if more, less, err := ParseCaps(text); err != nil || more != want[0] || less != want[1] {
			t.Errorf("%q: %#x, %#x, %v, want %#x", text, more, less, err, want)
		}
	}
	for _, text := range []string{"", "sys_admin", "+", "+-", "+sys_admin:", "+god", "+cap_", "++-"} {
		if more, less, err := ParseCaps(text); err == nil {
			t.Errorf("%q: %#x, %#x", text, more, less)
		}
	}
	o := Options{FileHandles: true, MoreCaps: 1 << unix.CAP_SYS_ADMIN, LessCaps: 1 << unix.CAP_MKNOD}
	if got := o.Keep() ^ (&Options{}).Keep(); got != 1<<unix.CAP_SYS_ADMIN|1<<unix.CAP_MKNOD|1<<unix.CAP_DAC_READ_SEARCH {
		t.Errorf("the difference is %#x", got)
	}
}

package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/internal/sandbox"
	"github.com/spdk-go/spdk-go/reactor"
)

// exported returns a directory to export with a secret beside it.
func exported(t *testing.T) (dir, secret string) {
	t.Helper()
	above, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	secret = filepath.Join(above, "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(above, "export")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir, secret
}

// TestSandbox exports a directory from each sandbox, works in it as programs do, and looks at what the kernel says of
// the process: which is the one that was started.
func TestSandbox(t *testing.T) {
	needFuse(t)
	for _, test := range []struct {
		mode, seccomp string // "": the default
		namespaces    bool   // of its own
		caps          bool   // dropped
	}{
		{"", "", true, true},
		{"namespace", "none", true, true},
		{"chroot", "kill", false, true},
		{"landlock", "kill", false, true},
		{"none", "log", false, false},
		{"none", "none", false, false},
	} {
		t.Run(fmt.Sprintf("%q with %q", test.mode, test.seccomp), func(t *testing.T) {
			if test.mode == "landlock" {
				needLandlock(t)
			}
			dir := mountpoint(t)
			export, _ := exported(t)
			args := []string{"--aio", "data0:" + export + ",xattr", "--mount", "data0=" + dir, "--cpumask", firstCPU(t)}
			if test.mode != "" {
				args = append(args, "--sandbox", test.mode)
			}
			if test.seccomp != "" {
				args = append(args, "--seccomp", test.seccomp)
			}
			c := startReady(t, args...)
			work(t, dir, export)
			c.checkStatus(test.seccomp, test.caps)
			c.checkNamespaces(test.namespaces)
			c.signal(syscall.SIGTERM)
			if code := c.end(); code != exitOK {
				t.Errorf("exit code %d, stderr %q", code, &c.stderr)
			}
			if isMounted(t, dir) {
				t.Error("still mounted")
			}
			c.checkLocks()
		})
	}
}

func needLandlock(t *testing.T) {
	t.Helper()
	if _, err := sandbox.Landlock.Choose(); err != nil {
		skip(t, noLandlock)
	}
}

// checkLocks looks for files that the process, which has ended, has left behind.
func (c *tgt) checkLocks() {
	c.t.Helper()
	files, err := filepath.Glob(filepath.Join(reactor.CoreLockDir, "spdk_cpu_lock_*"))
	if err != nil {
		c.t.Fatal(err)
	}
	pid := binary.NativeEndian.AppendUint32(nil, uint32(c.cmd.Process.Pid))
	for _, file := range files {
		if owner, err := os.ReadFile(file); err == nil && bytes.Equal(owner, pid) {
			c.t.Errorf("%s is left", file)
		}
	}
}

// checkStatus looks at every thread.
func (c *tgt) checkStatus(seccomp string, caps bool) {
	c.t.Helper()
	proc := filepath.Join("/proc", fmt.Sprint(c.cmd.Process.Pid), "task")
	tasks, err := os.ReadDir(proc)
	if err != nil {
		c.t.Fatal(err)
	}
	var want []string
	switch seccomp {
	case "none":
		want = append(want, "Seccomp:\t0")
	default:
		want = append(want, "Seccomp:\t2", "NoNewPrivs:\t1")
	}
	if caps {
		bits := fmt.Sprintf("%016x", (&sandbox.Options{}).Keep())
		want = append(want, "CapPrm:\t"+bits, "CapBnd:\t"+bits, "CapInh:\t0000000000000000", "NoNewPrivs:\t1")
	}
	for _, task := range tasks {
		text, err := os.ReadFile(filepath.Join(proc, task.Name(), "status"))
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue
		}
		for _, line := range want {
			if !strings.Contains(string(text), "\n"+line+"\n") {
				c.t.Errorf("thread %s has no %q:\n%s", task.Name(), line, text)
			}
		}
	}
}

func (c *tgt) checkNamespaces(own bool) {
	c.t.Helper()
	proc := filepath.Join("/proc", fmt.Sprint(c.cmd.Process.Pid))
	for _, ns := range []string{"mnt", "net", "ipc", "uts"} {
		theirs, err1 := os.Readlink(filepath.Join(proc, "ns", ns))
		ours, err2 := os.Readlink("/proc/self/ns/" + ns)
		if err1 != nil || err2 != nil || (theirs != ours) != own {
			c.t.Errorf("%s: %s, of this process %s, %v, %v", ns, theirs, ours, err1, err2)
		}
	}
	if !own {
		return
	}
	for _, path := range []string{"etc/passwd", "bin", "home", "var", "dev", "proc/1", "proc/sys"} {
		if _, err := os.Lstat(filepath.Join(proc, "root", path)); !errors.Is(err, os.ErrNotExist) {
			c.t.Errorf("/%s is there: %v", path, err)
		}
	}
}

// work does what programs do, and wants the host to have it.
func work(t *testing.T, dir, host string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	data := bytes.Repeat([]byte("0123456789abcdef"), 3<<16)
	must(os.WriteFile(at("file"), data, 0o640))
	got, err := os.ReadFile(at("file"))
	must(err)
	onHost, err := os.ReadFile(filepath.Join(host, "file"))
	must(err)
	if !bytes.Equal(got, data) || !bytes.Equal(onHost, data) {
		t.Errorf("%d bytes came back, the host has %d, of %d", len(got), len(onHost), len(data))
	}
	must(unix.Setxattr(at("file"), "user.name", []byte("value"), 0))
	var value [16]byte
	n, err := unix.Getxattr(filepath.Join(host, "file"), "user.name", value[:])
	if err != nil || string(value[:n]) != "value" {
		t.Errorf("the host has the attribute %q, %v", value[:max(n, 0)], err)
	}
	must(os.MkdirAll(at("dir/below"), 0o755))
	must(os.Rename(at("file"), at("dir/below/file")))
	must(os.Link(at("dir/below/file"), at("link")))
	must(os.Symlink("dir/below/file", at("symlink")))
	must(os.Chmod(at("link"), 0o600))
	must(os.Chown(at("link"), 1, 1))
	must(os.Chtimes(at("link"), time.Unix(1, 0), time.Unix(2, 0)))
	must(unix.Mkfifo(at("fifo"), 0o600))
	must(os.Truncate(at("link"), 5000))
	f, err := os.OpenFile(at("symlink"), os.O_RDWR, 0)
	must(err)
	defer f.Close()
	must(unix.Fallocate(int(f.Fd()), 0, 0, 8192))
	must(unix.Flock(int(f.Fd()), unix.LOCK_EX))
	must(unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}))
	mem, err := unix.Mmap(int(f.Fd()), 0, 8192, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	must(err)
	copy(mem, "mapped")
	must(unix.Msync(mem, unix.MS_SYNC))
	must(unix.Munmap(mem))
	must(f.Sync())
	onHost, err = os.ReadFile(filepath.Join(host, "dir/below/file"))
	must(err)
	if len(onHost) != 8192 || string(onHost[:6]) != "mapped" {
		t.Errorf("the host has %d bytes, %q", len(onHost), onHost[:min(len(onHost), 6)])
	}
	asOther(t, at("dir"), host)
	entries, err := os.ReadDir(dir)
	must(err)
	if len(entries) != 4 {
		t.Errorf("the directory has %v", entries)
	}
	must(os.RemoveAll(at("dir")))
	must(os.Remove(at("link")))
}

// asOther has another user make a file.
func asOther(t *testing.T, dir, host string) {
	t.Helper()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for d := filepath.Dir(dir); d != "/"; d = filepath.Dir(d) {
		os.Chmod(d, 0o755)
	}
	cmd := exec.Command("touch", filepath.Join(dir, "theirs"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 12345, Gid: 54321}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("touch: %v: %s", err, out)
	}
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(host, "dir/theirs"), &st); err != nil || st.Uid != 12345 || st.Gid != 54321 {
		t.Errorf("the file of another user belongs to %d:%d, %v", st.Uid, st.Gid, err)
	}
}

// TestSandboxOfAnotherPath exports by a symbolic link and by a relative path, twice, and memory too.
func TestSandboxOfAnotherPath(t *testing.T) {
	needFuse(t)
	export, _ := exported(t)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(export, link); err != nil {
		t.Fatal(err)
	}
	inner := filepath.Join(export, "inner")
	if err := os.Mkdir(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	a, b, m := mountpoint(t), mountpoint(t), mountpoint(t)
	cmd := command("--aio", "a:"+link, "--aio", "b:inner/.,ro", "--memfs", "m,size=16M", "--mount", "a="+a,
		"--mount", "b="+b, "--mount", "m="+m)
	cmd.Dir = export
	c := start(t, cmd)
	c.await("mounts", func() bool { return strings.Count(c.stdout.String(), " mounted on ") == 3 })
	if err := os.WriteFile(filepath.Join(a, "inner/file"), []byte("text"), 0o644); err != nil {
		t.Error(err)
	}
	if got, err := os.ReadFile(filepath.Join(b, "file")); err != nil || string(got) != "text" {
		t.Errorf("%q, %v", got, err)
	}
	if err := os.WriteFile(filepath.Join(b, "new"), nil, 0o644); !errors.Is(err, syscall.EROFS) {
		t.Errorf("writing what is read-only: %v", err)
	}
	if err := os.WriteFile(filepath.Join(m, "file"), []byte("text"), 0o644); err != nil {
		t.Error(err)
	}
	c.signal(syscall.SIGINT)
	if code := c.end(); code != exitOK {
		t.Errorf("exit code %d, stderr %q", code, &c.stderr)
	}
}

// TestSandboxSeesNewMounts mounts below the export while it is served.
func TestSandboxSeesNewMounts(t *testing.T) {
	needFuse(t)
	export, _ := exported(t)
	sub := filepath.Join(export, "sub")
	if err := os.Mkdir(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	// Only what is shared is passed on, as systemd has it for all.
	for _, step := range []error{
		unix.Mount(export, export, "", unix.MS_BIND, ""), unix.Mount("", export, "", unix.MS_SHARED, ""),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	t.Cleanup(func() { unix.Unmount(export, unix.MNT_DETACH) })
	dir := mountpoint(t)
	c := startReady(t, "--aio", "data0:"+export, "--mount", "data0="+dir, "--cache", "none")
	if err := unix.Mount("none", sub, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(sub, "file"), []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "sub/file")); err != nil || string(got) != "text" {
		t.Errorf("%q, %v", got, err)
	}
	c.signal(syscall.SIGTERM)
	if code := c.end(); code != exitOK {
		t.Errorf("exit code %d, stderr %q", code, &c.stderr)
	}
}

// TestSandboxNotify has the kernel keep what it reads for as long as it likes, and forget what the host changes: which
// takes a capability, that the option implies.
func TestSandboxNotify(t *testing.T) {
	needFuse(t)
	export, _ := exported(t)
	dir := mountpoint(t)
	c := startReady(t, "--aio", "data0:"+export+",notify", "--mount", "data0="+dir, "--cache", "always")
	name := filepath.Join(dir, "file")
	if err := os.WriteFile(name, []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(export, "file"), []byte("another text"), 0o644); err != nil {
		t.Fatal(err)
	}
	c.await("change", func() bool {
		st, err := os.Stat(name)
		return err == nil && st.Size() == int64(len("another text"))
	})
	c.checkStatus("kill", false)
	c.checkNamespaces(true)
	c.signal(syscall.SIGTERM)
	if code := c.end(); code != exitOK {
		t.Errorf("exit code %d, stderr %q", code, &c.stderr)
	}
}

// TestSandboxKilled kills the server: the process outside takes its mount away.
func TestSandboxKilled(t *testing.T) {
	needFuse(t)
	dir := mountpoint(t)
	export, _ := exported(t)
	c := startReady(t, "--aio", "data0:"+export, "--mount", "data0="+dir)
	c.signal(syscall.SIGKILL)
	c.end()
	if isMounted(t, dir) {
		t.Error("still mounted")
	}
	if said := c.stderr.String(); !strings.Contains(said, dir+", which nobody serves any more, was detached") {
		t.Errorf("stderr %q", said)
	}
}

// TestSandboxSecondSignal ends a server at once that waits for a user of its mount.
func TestSandboxSecondSignal(t *testing.T) {
	needFuse(t)
	dir := mountpoint(t)
	export, _ := exported(t)
	c := startReady(t, "--aio", "data0:"+export, "--mount", "data0="+dir)
	f, err := os.Create(filepath.Join(dir, "open"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c.signal(syscall.SIGTERM)
	c.await("report", func() bool { return strings.Contains(c.stderr.String(), dir+" is busy (used by ") })
	c.signal(syscall.SIGTERM)
	c.end()
	if status := c.cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGTERM {
		t.Errorf("it has ended with %v, want SIGTERM; stderr %q", c.cmd.ProcessState, &c.stderr)
	}
}

// TestSandboxTakesLocks starts two servers on one CPU.
func TestSandboxTakesLocks(t *testing.T) {
	needFuse(t)
	export, _ := exported(t)
	first := startReady(t, "--aio", "data0:"+export)
	second := start(t, command("--aio", "data0:"+export))
	if code := second.end(); code != exitFailed {
		t.Errorf("exit code %d, want %d", code, exitFailed)
	}
	want := fmt.Sprintf("is locked by process %d ", first.cmd.Process.Pid)
	if said := second.stderr.String(); strings.Count(said, "\n") != 1 || !strings.Contains(said, want) {
		t.Errorf("stderr is %q, want one line with %q", said, want)
	}
	first.signal(syscall.SIGTERM)
	if code := first.end(); code != exitOK {
		t.Errorf("exit code %d of the first, stderr %q", code, &first.stderr)
	}
}

// unprivileged is run by a shell in a mount namespace where everybody may open /dev/fuse.
const unprivileged = `
set -e
mount --make-rprivate /
mknod -m 666 "$1/fuse" c 10 229
mount --bind "$1/fuse" /dev/fuse
shift
exec setpriv --reuid=65534 --regid=65534 --clear-groups sh -ec '
prog=$1 export=$2 dir=$3
shift 3
: > "$export/../out"
"$prog" --disable-cpumask-locks --aio "data0:$export" --mount "data0=$dir" "$@" > "$export/../out" 2>&1 &
pid=$!
n=0
until grep -q "mounted on" "$export/../out"; do
	n=$((n + 1))
	if [ $n -gt 300 ] || ! kill -0 $pid 2> /dev/null; then cat "$export/../out"; wait $pid; exit 9; fi
	sleep 0.05
done
mkdir "$dir/sub"
echo text > "$dir/file"
mv "$dir/file" "$dir/sub/moved"
ln "$dir/sub/moved" "$dir/link"
cat "$export/link"
ls -n "$export" | grep -c 65534
grep -E "^(Seccomp|NoNewPrivs):" /proc/$pid/status
kill $pid
wait $pid
cat "$export/../out"
' sh "$@"
`

// TestSandboxUnprivileged runs without any privilege: Landlock keeps the process in, all files are its user's, and what
// needs a privilege is refused in one line that says what to do.
func TestSandboxUnprivileged(t *testing.T) {
	needFuse(t)
	needLandlock(t)
	run := func(args ...string) (string, error) {
		above, err := os.MkdirTemp("/tmp", "spdk_tgt_test")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(above) })
		export, dir := filepath.Join(above, "export"), filepath.Join(above, "mnt")
		for _, d := range []string{above, export, dir} {
			_ = os.Mkdir(d, 0o755)
			if err := errors.Join(os.Chmod(d, 0o755), os.Chown(d, 65534, 65534)); err != nil {
				t.Fatal(err)
			}
		}
		all := append([]string{"-c", unprivileged, "sh", above, copyForAll(t, os.Args[0]), export, dir}, args...)
		cmd := exec.Command("sh", all...)
		cmd.Env = append(os.Environ(), mainEnv+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	out, err := run()
	if err != nil || !strings.HasPrefix(out, "text\n2\nNoNewPrivs:\t1\nSeccomp:\t2\nspdk_tgt: ready\n") {
		t.Errorf("%v\n%s", err, out)
	}
	for mode, want := range map[string]string{
		"namespace": "a mount namespace needs CAP_SYS_ADMIN: run as root, use the sandbox landlock",
		"chroot":    "chroot(2) needs CAP_SYS_CHROOT: run as root, or use the sandbox landlock",
	} {
		if out, err := run("--sandbox", mode); err == nil || strings.Count(out, "\n") != 1 || !strings.Contains(out, want) {
			t.Errorf("--sandbox %s: %v\n%s", mode, err, out)
		}
	}
}

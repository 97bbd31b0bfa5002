package fusedev

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/reactor"
)

func validOptions() Options {
	return Options{
		Dispatcher: &fusedispatcher.Dispatcher{},
		Threads:    []*reactor.Thread{{}},
		Mountpoint: "/mnt",
	}
}

func TestOptionDefaults(t *testing.T) {
	o := validOptions()
	if err := o.setDefaults(); err != nil {
		t.Fatal(err)
	}
	got := []any{o.FsName, o.Subtype, o.MaxWrite, o.Slots, o.BigBuffers, o.LockWaits, o.Log != nil}
	if diff := cmp.Diff([]any{"spdk-go", "spdk", uint32(1 << 20), 128, 32, 1024, true}, got); diff != "" {
		t.Errorf("defaults differ (-want, +got):\n%s", diff)
	}
	// The sum in the package comment.
	if got, want := o.queueBytes(), 128*16<<10+1024*512+32*1028<<10; got != want {
		t.Errorf("a queue takes %d bytes, want %d", got, want)
	}
}

func TestOptionErrors(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(o *Options)
		want   string // "" if it is good
	}{
		{"no dispatcher", func(o *Options) { o.Dispatcher = nil }, "no dispatcher"},
		{"no threads", func(o *Options) { o.Threads = nil }, "no threads"},
		{"nil thread", func(o *Options) { o.Threads = append(o.Threads, nil) }, "thread 1 is nil"},
		{"no mountpoint", func(o *Options) { o.Mountpoint = "" }, "no mountpoint"},
		{"subtype", func(o *Options) { o.Subtype = "a,b" }, "subtype"},
		{"contradiction", func(o *Options) { o.AllowOther, o.OwnerOnly = true, true }, "contradict"},
		{"small MaxWrite", func(o *Options) { o.MaxWrite = 4095 }, "MaxWrite"},
		{"least MaxWrite", func(o *Options) { o.MaxWrite = 4096 }, ""},
		{"most MaxWrite", func(o *Options) { o.MaxWrite = 16 << 20 }, ""},
		{"large MaxWrite", func(o *Options) { o.MaxWrite = 16<<20 + 1 }, "MaxWrite"},
		{"few slots", func(o *Options) { o.Slots = 3 }, "Slots"},
		{"negative slots", func(o *Options) { o.Slots = -1 }, "Slots"},
		{"few buffers", func(o *Options) { o.BigBuffers = 3 }, "BigBuffers"},
		{"no waits", func(o *Options) { o.LockWaits = -1 }, "LockWaits"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := validOptions()
			c.change(&o)
			err := o.setDefaults()
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, unix.EINVAL) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want EINVAL with %q", err, c.want)
			}
		})
	}
}

func TestMountOptions(t *testing.T) {
	const std = unix.MS_NOSUID | unix.MS_NODEV
	for _, c := range []struct {
		name    string
		o       Options
		flags   uintptr
		kernel  string
		helper  string // for root
		helper2 string // for others
	}{
		{
			"default", Options{}, std,
			"fd=9,rootmode=40000,user_id=1,group_id=2,default_permissions,allow_other,max_read=1048576",
			"fsname=spdk-go,subtype=spdk,default_permissions,allow_other,max_read=1048576",
			"fsname=spdk-go,subtype=spdk,default_permissions,max_read=1048576",
		}, {
			"allow other", Options{AllowOther: true, MaxWrite: 65536}, std,
			"fd=9,rootmode=40000,user_id=1,group_id=2,default_permissions,allow_other,max_read=65536",
			"fsname=spdk-go,subtype=spdk,default_permissions,allow_other,max_read=65536",
			"fsname=spdk-go,subtype=spdk,default_permissions,allow_other,max_read=65536",
		}, {
			"owner only", Options{OwnerOnly: true, NoDefaultPermissions: true, MaxWrite: 4097}, std,
			"fd=9,rootmode=40000,user_id=1,group_id=2,max_read=8192",
			"fsname=spdk-go,subtype=spdk,max_read=8192",
			"fsname=spdk-go,subtype=spdk,max_read=8192",
		}, {
			"everything", Options{ReadOnly: true, Suid: true, Dev: true, FsName: `a,b\c`, Subtype: "x"}, unix.MS_RDONLY,
			"fd=9,rootmode=40000,user_id=1,group_id=2,default_permissions,allow_other,max_read=1048576",
			`fsname=a\,b\\c,subtype=x,ro,suid,dev,default_permissions,allow_other,max_read=1048576`,
			`fsname=a\,b\\c,subtype=x,ro,suid,dev,default_permissions,max_read=1048576`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := validOptions()
			c.o.Dispatcher, c.o.Threads, c.o.Mountpoint = v.Dispatcher, v.Threads, v.Mountpoint
			if err := c.o.setDefaults(); err != nil {
				t.Fatal(err)
			}
			got := []any{c.o.mountFlags(), c.o.kernelOptions(9, 1, 2), c.o.helperOptions(true), c.o.helperOptions(false)}
			if diff := cmp.Diff([]any{c.flags, c.kernel, c.helper, c.helper2}, got); diff != "" {
				t.Errorf("options differ (-want, +got):\n%s", diff)
			}
		})
	}
}

func TestParseMountinfo(t *testing.T) {
	const text = `22 28 0:20 / /sys rw,nosuid shared:7 - sysfs sysfs rw
30 28 0:61 / /mnt/a\040b rw,nosuid,nodev shared:2 master:3 - fuse.spdk spdk-go rw,user_id=0
31 28 8:1 / /mnt/disk rw - ext4 /dev/sda1 rw
32 28 0:70 / /mnt/disk rw - fuseblk /dev/sd\134b rw
`
	for _, c := range []struct {
		path string
		want mountEntry
		ok   bool
		fuse bool
		conn uint32
	}{
		{"/sys", mountEntry{0, 20, "/sys", "sysfs", "sysfs"}, true, false, 20},
		{"/mnt/a b", mountEntry{0, 61, "/mnt/a b", "fuse.spdk", "spdk-go"}, true, true, 61},
		{"/mnt/disk", mountEntry{0, 70, "/mnt/disk", "fuseblk", `/dev/sd\b`}, true, true, 70},
		{"/mnt", mountEntry{}, false, false, 0},
	} {
		got, ok, err := parseMountinfo(strings.NewReader(text), c.path)
		if err != nil || ok != c.ok || got.isFuse() != c.fuse || got.connection() != c.conn {
			t.Errorf("%s: %v, %v, fuse %v, connection %d, %v", c.path, got, ok, got.isFuse(), got.connection(), err)
		}
		if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(mountEntry{})); diff != "" {
			t.Errorf("%s differs (-want, +got):\n%s", c.path, diff)
		}
	}
	if _, _, err := parseMountinfo(strings.NewReader("22 28 0:20\n"), "/"); err == nil {
		t.Error("a short line was accepted")
	}
	if _, ok, err := findMount("/proc"); err != nil || !ok {
		t.Errorf("/proc: mounted %v, %v", ok, err)
	}
}

func TestMountpointErrors(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path, resolved string
		errno          error
		want           string
	}{
		{dir, dir, nil, ""},
		{link, dir, nil, ""},
		{filepath.Join(dir, "none"), "", unix.ENOENT, "create the directory first"},
		{file, "", unix.ENOTDIR, "is not a directory"},
	} {
		resolved, err := resolveMountpoint(c.path)
		if err == nil {
			err = prepareMountpoint(resolved, false)
		}
		if c.errno == nil {
			if err != nil || resolved != c.resolved {
				t.Errorf("%s: resolved to %q, %v", c.path, resolved, err)
			}
			continue
		}
		if !errors.Is(err, c.errno) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.path) {
			t.Errorf("%s: error %v, want %v with %q", c.path, err, c.errno, c.want)
		}
	}
}

// TestErrorsSayWhatToDo checks that errors keep the errno and help on.
func TestErrorsSayWhatToDo(t *testing.T) {
	bg := context.Background()
	var none error
	for _, c := range []struct {
		err   error
		errno error
		want  string
	}{
		{deviceError(unix.ENOENT), unix.ENOENT, "modprobe fuse"},
		{deviceError(unix.ENODEV), unix.ENODEV, "modprobe fuse"},
		{deviceError(unix.EACCES), unix.EACCES, "--device /dev/fuse"},
		{mountpointError("/m", unix.ENOTCONN), unix.ENOTCONN, "umount -l /m"},
		{mountError("/m", "", unix.EPERM), unix.EPERM, "CAP_SYS_ADMIN"},
		{mountError("/m", "", unix.ENODEV), unix.ENODEV, "modprobe fuse"},
		{mountError("/m", "", unix.EBUSY), unix.EBUSY, "unmount what is mounted there"},
		{mountError("/m", "bad=1", unix.EINVAL), unix.EINVAL, "bad=1"},
		{mountError("/m", "", unix.ENOSPC), unix.ENOSPC, "fs.mount-max"},
		{helperError(bg, "/m", "fusermount3: option allow_other only allowed if 'user_allow_other' is set\n", none),
			unix.EPERM, "add user_allow_other"},
		{helperError(bg, "/m", "fusermount3: mount failed: Operation not permitted\n", none), unix.EPERM, "set-user-ID"},
		{helperError(bg, "/m", "fusermount3: user has no write access to mountpoint /m\n", none), unix.EACCES, "must belong"},
		{helperError(bg, "/m", "fusermount3: fuse device not found, try 'modprobe fuse' first\n", none),
			unix.ENODEV, "modprobe"},
		{helperError(bg, "/m", "fusermount3: failed to open /dev/fuse: Permission denied\n", none),
			unix.EACCES, "mode 0666"},
		{helperError(bg, "/m", "fusermount3: too many FUSE filesystems mounted\n", none), unix.ENOSPC, "mount_max"},
		{helperError(bg, "/m", "", errors.New("exit status 1")), unix.EIO, "exit status 1"},
	} {
		if !errors.Is(c.err, c.errno) || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("error %q does not wrap %v or does not contain %q", c.err, c.errno, c.want)
		}
	}
	ended, cancel := context.WithCancel(bg)
	cancel()
	if err := helperError(ended, "/m", "signal: killed", none); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v after the context has ended", err)
	}
}

// actEnv makes the test binary act as fusermount3.
const actEnv = "FUSEDEV_TEST_ACT"

// act is fusermount3 in the ways it can answer.
func act(mode string) int {
	switch mode {
	case "send":
		if want := os.Getenv("FUSEDEV_TEST_ARGS"); strings.Join(os.Args[1:], " ") != want {
			fmt.Fprintf(os.Stderr, "arguments %q, want %q\n", os.Args[1:], want)
			return 1
		}
		// An eventfd stands in for the device: recognised by its first read.
		fd, err := unix.Eventfd(42, 0)
		if err != nil {
			return 1
		}
		if err := unix.Sendmsg(3, []byte{0}, unix.UnixRights(fd), nil, 0); err != nil {
			return 1
		}
		return 0
	case "refuse":
		fmt.Fprintln(os.Stderr, "fusermount3: mount failed: Operation not permitted")
		return 1
	case "nothing":
		return 0
	case "no descriptor":
		_, _ = unix.Write(3, []byte{0})
		return 0
	case "send and fail":
		if err := unix.Sendmsg(3, []byte{0}, unix.UnixRights(0), nil, 0); err != nil {
			return 2
		}
		return 1
	}
	return 99
}

func TestMountHelper(t *testing.T) {
	dir := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(exe, filepath.Join(dir, helperName)); err != nil {
		t.Fatal(err)
	}
	o := validOptions()
	if err := o.setDefaults(); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	t.Setenv("FUSEDEV_TEST_ARGS", "-o "+o.helperOptions(os.Geteuid() == 0)+" -- /m")
	for _, c := range []struct {
		mode  string
		errno error // nil: a descriptor is expected
		want  string
	}{
		{"send", nil, ""},
		{"refuse", unix.EPERM, "Operation not permitted"},
		{"nothing", unix.EIO, "sent no descriptor"},
		{"no descriptor", unix.EIO, "holds no descriptor"},
		{"send and fail", unix.EIO, "exit status 1"},
	} {
		t.Run(c.mode, func(t *testing.T) {
			t.Setenv(actEnv, c.mode)
			before := openFiles(t)
			fd, err := mountHelper(t.Context(), "/m", &o)
			if c.errno != nil {
				if !errors.Is(err, c.errno) || !strings.Contains(err.Error(), c.want) {
					t.Errorf("error %v, want %v with %q", err, c.errno, c.want)
				}
			} else if err != nil {
				t.Fatal(err)
			} else {
				checkReceived(t, fd)
				unix.Close(fd)
			}
			if after := openFiles(t); after != before {
				t.Errorf("%d descriptors are open, %d before", after, before)
			}
		})
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := mountHelper(t.Context(), "/m", &o); err == nil || !strings.Contains(err.Error(), "install the fuse3") {
		t.Errorf("without fusermount3: %v", err)
	}
}

// checkReceived wants the descriptor that act sends, non-blocking and closed on exec.
func checkReceived(t *testing.T, fd int) {
	t.Helper()
	var b [8]byte
	if _, err := unix.Read(fd, b[:]); err != nil || b[0] != 42 {
		t.Errorf("read %v, %v", b, err)
	}
	if _, err := unix.Read(fd, b[:]); err != unix.EAGAIN {
		t.Errorf("the descriptor blocks, or: %v", err)
	}
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("descriptor flags %#x, %v: it is not closed on exec", flags, err)
	}
}

// TestCloneFallsBack duplicates what cannot be cloned.
func TestCloneFallsBack(t *testing.T) {
	fd, err := unix.Eventfd(42, unix.EFD_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	dup, err := cloneDevice(localHost{}, fd)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(dup)
	if dup == fd {
		t.Error("the same descriptor came back")
	}
	checkReceived(t, dup)
	if _, err := cloneDevice(localHost{}, -1); !errors.Is(err, unix.EBADF) {
		t.Errorf("clone of no descriptor: %v", err)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// TestMountWantsRoomForLockWaits pins that a queue cannot be given more requests to hold than
// its dispatcher takes.
func TestMountWantsRoomForLockWaits(t *testing.T) {
	o := Options{Dispatcher: new(fusedispatcher.Dispatcher), Threads: []*reactor.Thread{{}}, Mountpoint: t.TempDir()}
	_, err := Mount(context.Background(), o)
	if !errors.Is(err, unix.EINVAL) || !strings.Contains(err.Error(), "MaxRequests is 0") {
		t.Errorf("a dispatcher without requests: %v", err)
	}
}

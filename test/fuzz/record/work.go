package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// calls makes system calls in a directory, of which the first that fails shows.
type calls struct {
	dir string
	err error
}

func (c *calls) path(name string) string { return filepath.Join(c.dir, name) }

// ok notes what has failed.
func (c *calls) ok(what string, err error) {
	if err != nil && c.err == nil {
		c.err = fmt.Errorf("%s: %w", what, err)
	}
}

// open opens a file; it is closed by who asks.
func (c *calls) open(name string, flags int) int {
	fd, err := unix.Open(c.path(name), flags|unix.O_CLOEXEC, 0o644)
	c.ok("open "+name, err)
	return fd
}

// systemCalls makes the calls that ordinary programs make rarely.
func systemCalls(dir string) error {
	c := &calls{dir: dir}
	for _, part := range []func(){c.names, c.attributes, c.data, c.mapping, c.locks, c.directories} {
		part()
	}
	return c.err
}

func (c *calls) names() {
	_ = unix.Close(c.open("a", unix.O_RDWR|unix.O_CREAT|unix.O_EXCL))
	_ = unix.Close(c.open("b", unix.O_RDWR|unix.O_CREAT|unix.O_TRUNC))
	_ = unix.Close(c.open("b", unix.O_WRONLY|unix.O_TRUNC))
	_ = unix.Close(c.open("b", unix.O_RDONLY|unix.O_NOATIME))
	rename := func(flags uint) error {
		return unix.Renameat2(unix.AT_FDCWD, c.path("a"), unix.AT_FDCWD, c.path("b"), flags)
	}
	if err := rename(unix.RENAME_NOREPLACE); !errors.Is(err, unix.EEXIST) {
		c.ok("rename to what exists", fmt.Errorf("%w", unix.EINVAL))
	}
	c.ok("exchange", rename(unix.RENAME_EXCHANGE))
	c.ok("rename with whiteout", rename(unix.RENAME_WHITEOUT))
	c.ok("unlink", unix.Unlink(c.path("a")))
	c.ok("mkdir", unix.Mkdir(c.path("d"), 0o2775))
	c.ok("fifo", unix.Mknod(c.path("d/fifo"), unix.S_IFIFO|0o640, 0))
	c.ok("socket", unix.Mknod(c.path("d/sock"), unix.S_IFSOCK|0o640, 0))
	c.ok("device", unix.Mknod(c.path("d/dev"), unix.S_IFBLK|0o640, int(unix.Mkdev(8, 17))))
	c.ok("long link", unix.Symlink(strings.Repeat("x/", 200), c.path("d/link")))
	_, err := os.Readlink(c.path("d/link"))
	c.ok("readlink", err)
	c.ok("long name", unix.Mkdir(c.path("d/"+strings.Repeat("n", 255)), 0o700))
	fd := c.open("d", unix.O_TMPFILE|unix.O_RDWR)
	c.ok("link of a temporary file", unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), unix.AT_FDCWD,
		c.path("d/tmp"), unix.AT_SYMLINK_FOLLOW))
	_ = unix.Close(fd)
	_ = unix.Close(c.open("d", unix.O_TMPFILE|unix.O_WRONLY|unix.O_EXCL))
}

func (c *calls) attributes() {
	b := c.path("b")
	var x unix.Statx_t
	c.ok("statx", unix.Statx(unix.AT_FDCWD, b, unix.AT_STATX_FORCE_SYNC, unix.STATX_ALL, &x))
	c.ok("statx", unix.Statx(unix.AT_FDCWD, b, unix.AT_STATX_DONT_SYNC, unix.STATX_BTIME, &x))
	c.ok("chmod", unix.Chmod(b, 0o4755))
	c.ok("chown", unix.Lchown(b, 3, -1))
	c.ok("chown", unix.Lchown(b, 0, 4))
	c.ok("truncate", unix.Truncate(b, 100))
	now := unix.Timespec{Nsec: unix.UTIME_NOW}
	omit := unix.Timespec{Nsec: unix.UTIME_OMIT}
	for _, ts := range [][]unix.Timespec{{now, now}, {omit, now}, {{Sec: 1, Nsec: 2}, omit}, {{Sec: -1}, {Sec: 1 << 33}}} {
		c.ok("utimensat", unix.UtimesNanoAt(unix.AT_FDCWD, b, ts, 0))
	}
	for _, name := range []string{"user.a", "security.capability.no", "trusted.t"} {
		for _, flags := range []int{0, unix.XATTR_REPLACE} {
			c.ok("setxattr", unix.Lsetxattr(b, name, []byte(strings.Repeat("v", 100)), flags))
		}
	}
	c.ok("setxattr", unix.Lsetxattr(b, "user.b", nil, unix.XATTR_CREATE))
	buf := make([]byte, 300)
	for _, room := range [][]byte{nil, buf, buf[:1]} {
		_, err := unix.Lgetxattr(b, "user.a", room)
		_, err2 := unix.Llistxattr(b, room)
		if len(room) != 1 {
			c.ok("getxattr", errors.Join(err, err2))
		}
	}
	c.ok("removexattr", unix.Lremovexattr(b, "user.a"))
	var st unix.Statfs_t
	c.ok("statfs", unix.Statfs(b, &st))
	_ = unix.Access(b, unix.R_OK|unix.W_OK)
}

func (c *calls) data() {
	fd := c.open("data", unix.O_RDWR|unix.O_CREAT)
	defer func() { _ = unix.Close(fd) }()
	for _, n := range []int{1, 100, 4096, 100000} {
		_, err := unix.Pwrite(fd, make([]byte, n), int64(n))
		c.ok("pwrite", err)
		_, err = unix.Pread(fd, make([]byte, n), int64(n))
		c.ok("pread", err)
	}
	for _, mode := range []uint32{0, unix.FALLOC_FL_KEEP_SIZE, unix.FALLOC_FL_KEEP_SIZE | unix.FALLOC_FL_PUNCH_HOLE,
		unix.FALLOC_FL_ZERO_RANGE, unix.FALLOC_FL_ZERO_RANGE | unix.FALLOC_FL_KEEP_SIZE} {
		c.ok("fallocate", unix.Fallocate(fd, mode, 10000, 1<<20))
	}
	for _, whence := range []int{unix.SEEK_DATA, unix.SEEK_HOLE} {
		_, _ = unix.Seek(fd, 5, whence) // the kernel may not have written anything yet
	}
	to := c.open("copy", unix.O_WRONLY|unix.O_CREAT)
	for _, n := range []int{10, 1 << 20} {
		from, at := int64(0), int64(77)
		_, err := unix.CopyFileRange(fd, &from, to, &at, n, 0)
		c.ok("copy_file_range", err)
	}
	_ = unix.Close(to)
	c.ok("ftruncate", unix.Ftruncate(fd, 12345))
	c.ok("fchmod", unix.Fchmod(fd, 0o6755))
	c.ok("fsync", unix.Fsync(fd))
	c.ok("fdatasync", unix.Fdatasync(fd))
	app := c.open("data", unix.O_WRONLY|unix.O_APPEND)
	_, err := unix.Write(app, []byte("appended"))
	c.ok("append", err)
	_ = unix.Close(app)
	if fd, err := unix.Open(c.path("data"), unix.O_RDWR|unix.O_DIRECT|unix.O_CLOEXEC, 0); err == nil {
		_, _ = unix.Pread(fd, make([]byte, 4096), 0)
		_ = unix.Close(fd)
	}
	// Nobody writes with set-id bits without losing them, but root.
	user := exec.Command("sh", "-c", `echo x >>"$0"`, c.path("data"))
	c.ok("chmod", unix.Chmod(c.path("data"), 0o6777))
	user.SysProcAttr = &unix.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000}}
	_ = user.Run()
	_, _ = unix.IoctlGetInt(fd, unix.FS_IOC_GETFLAGS)
	_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN | unix.POLLOUT}}, 0)
	c.ok("syncfs", unix.Syncfs(fd))
}

func (c *calls) mapping() {
	fd := c.open("data", unix.O_RDWR)
	defer func() { _ = unix.Close(fd) }()
	c.ok("ftruncate", unix.Ftruncate(fd, 1<<16))
	mem, err := unix.Mmap(fd, 0, 1<<16, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return // not with every policy
	}
	mem[5], mem[40000] = 1, 2
	c.ok("msync", unix.Msync(mem, unix.MS_SYNC))
	c.ok("munmap", unix.Munmap(mem))
}

func (c *calls) locks() {
	fd := c.open("db", unix.O_RDWR|unix.O_CREAT)
	// what a data base does: a byte that is about to be locked, a range that readers share, one for who writes
	for _, l := range []unix.Flock_t{
		{Type: unix.F_RDLCK, Start: 1 << 30, Len: 1}, {Type: unix.F_RDLCK, Start: 1<<30 + 2, Len: 510},
		{Type: unix.F_UNLCK, Start: 1 << 30, Len: 1}, {Type: unix.F_WRLCK, Start: 1 << 30, Len: 2}, {Type: unix.F_WRLCK},
	} {
		c.ok("lock", unix.FcntlFlock(uintptr(fd), unix.F_SETLK, &l))
		l.Type = unix.F_RDLCK
		c.ok("ask for a lock", unix.FcntlFlock(uintptr(fd), unix.F_GETLK, &l))
	}
	c.ok("flock", unix.Flock(fd, unix.LOCK_EX))
	self, err := os.Executable()
	c.ok("executable", err)
	for range 2 { // one is interrupted, one gets it
		other := exec.Command(self, "-lock", c.path("db"))
		c.ok("start", other.Start())
		time.Sleep(200 * time.Millisecond) // it has to be waiting
		_ = other.Process.Signal(unix.SIGTERM)
		_ = other.Wait()
	}
	other := exec.Command(self, "-lock", c.path("db"))
	c.ok("start", other.Start())
	time.Sleep(200 * time.Millisecond)
	c.ok("unlock", unix.Flock(fd, unix.LOCK_UN))
	_ = unix.Close(fd)
	c.ok("another process", other.Wait())
}

// waitForLock is the other process.
func waitForLock(path string) error {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	l := unix.Flock_t{Type: unix.F_WRLCK, Start: 1 << 30, Len: 10}
	_ = unix.FcntlFlock(uintptr(fd), unix.F_GETLK, &l)
	_ = unix.Flock(fd, unix.LOCK_SH|unix.LOCK_NB)
	l = unix.Flock_t{Type: unix.F_WRLCK, Start: 1 << 30, Len: 10}
	if err := unix.FcntlFlock(uintptr(fd), unix.F_SETLKW, &l); err != nil {
		return err
	}
	return unix.Flock(fd, unix.LOCK_SH)
}

func (c *calls) directories() {
	for i := range 40 {
		_ = unix.Close(c.open(fmt.Sprintf("d/%d", i), unix.O_RDWR|unix.O_CREAT))
	}
	for range 2 {
		list, err := os.ReadDir(c.path("d"))
		c.ok("read a directory", err)
		for _, e := range list {
			_, _ = e.Info()
		}
	}
	fd := c.open("d", unix.O_RDONLY|unix.O_DIRECTORY)
	buf := make([]byte, 600)
	for range 3 {
		_, err := unix.Getdents(fd, buf)
		c.ok("getdents", err)
	}
	_, err := unix.Seek(fd, 0, unix.SEEK_SET)
	c.ok("rewind", err)
	_, err = unix.Getdents(fd, buf)
	c.ok("getdents", err)
	c.ok("fsync of a directory", unix.Fsync(fd))
	_ = unix.Close(fd)
	c.ok("remove", os.RemoveAll(c.path("d")))
	if _, err := os.Lstat(c.path("d/not/there")); err == nil {
		c.ok("lstat", unix.EEXIST)
	}
}

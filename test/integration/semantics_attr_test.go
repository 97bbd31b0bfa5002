package integration

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func sectionAttributes(l *transcript) {
	l.create("f", "f")
	l.err("mkdir", unix.Mkdir("d", 0o755))
	for _, name := range []string{"f", "d"} {
		for _, mode := range []uint32{0, 0o777, 0o4755, 0o2755, 0o1777, 0o7000, 0o644} {
			l.err("chmod", unix.Chmod(name, mode))
			l.stat(name)
		}
		for _, id := range [][2]int{{1, 2}, {-1, 3}, {4, -1}, {-1, -1}, {0, 0}, {1 << 30, 1<<31 + 5}} {
			l.err("chown", unix.Chown(name, id[0], id[1]))
			l.stat(name)
		}
	}
	l.err("chown", unix.Chown("f", 0, 0))
	l.err("chmod", unix.Chmod("f", 0o6755))
	l.err("chown takes the s bits", unix.Chown("f", 7, 7))
	l.stat("f")
	l.err("chmod", unix.Chmod("missing", 0))
	l.err("access", unix.Access("f", unix.R_OK))
	l.err("access", unix.Access("f", unix.X_OK))
	l.err("chmod", unix.Chmod("f", 0o600))
	l.err("access", unix.Access("f", unix.X_OK))
	old := unix.Umask(0o077)
	l.close(l.open("masked", rdwrCreate, 0o666))
	l.err("mkdir", unix.Mkdir("maskeddir", 0o777))
	l.err("mkfifo", unix.Mkfifo("maskedfifo", 0o666))
	unix.Umask(old)
	l.list(".")
	l.stat("masked")
	l.stat("maskeddir")
	l.stat("maskedfifo")
}

// sectionTimes asks for relations between times rather than for times.
func sectionTimes(l *transcript) {
	type stamps struct{ a, m, c int64 }
	get := func(name string) stamps {
		var st unix.Stat_t
		l.err("lstat", unix.Lstat(name, &st))
		return stamps{st.Atim.Nano(), st.Mtim.Nano(), st.Ctim.Nano()}
	}
	l.create("f", "1")
	l.err("mkdir", unix.Mkdir("d", 0o755))
	l.err("symlink", unix.Symlink("f", "s"))
	now, f := time.Now().UnixNano(), get("f")
	l.printf("created about now: %v", now-f.m < 5e9 && f.m-now < 5e9)

	set := func(name string, a, m unix.Timespec) {
		err := unix.UtimesNanoAt(unix.AT_FDCWD, name, []unix.Timespec{a, m}, unix.AT_SYMLINK_NOFOLLOW)
		l.err("utimensat "+name, err)
	}
	omit, nowSpec := unix.Timespec{Nsec: unix.UTIME_OMIT}, unix.Timespec{Nsec: unix.UTIME_NOW}
	for _, name := range []string{"f", "d", "s"} {
		set(name, unix.Timespec{Sec: 100, Nsec: 123456789}, unix.Timespec{Sec: 1 << 33, Nsec: 999999999})
		x := get(name)
		l.printf("%s: a=%d m=%d", name, x.a, x.m)
		set(name, omit, unix.Timespec{Sec: 5, Nsec: 7})
		x = get(name)
		l.printf("%s: a=%d m=%d", name, x.a, x.m)
		set(name, nowSpec, omit)
		x = get(name)
		l.printf("%s: a is recent: %v, m=%d", name, time.Now().UnixNano()-x.a < 5e9, x.m)
	}
	set("missing", omit, omit)

	// what a call moves: m and c of the object, of its directory
	moved := func(what, object string, call func() error) {
		o, d := get(object), get("d")
		tick()
		err := call()
		o2, d2 := get(object), get("d")
		l.printf("%s: %s; object m %v c %v; directory m %v c %v", what, errName(err),
			o.m != o2.m, o.c != o2.c, d.m != d2.m, d.c != d2.c)
	}
	l.create("d/x", "x")
	fd := l.open("d/x", unix.O_RDWR, 0)
	moved("nothing", "d/x", func() error { return nil })
	moved("write", "d/x", func() error {
		_, err := unix.Pwrite(fd, []byte("y"), 0)
		return errOr(err, unix.Fsync(fd))
	})
	moved("ftruncate", "d/x", func() error { return unix.Ftruncate(fd, 10) })
	moved("ftruncate to the same size", "d/x", func() error { return unix.Ftruncate(fd, 10) })
	moved("chmod", "d/x", func() error { return unix.Chmod("d/x", 0o600) })
	moved("link", "d/x", func() error { return unix.Link("d/x", "d/y") })
	moved("unlink", "d/x", func() error { return unix.Unlink("d/y") })
	moved("rename", "d", func() error { return unix.Rename("d/x", "d/z") })
	moved("create", "d/z", func() error { l.create("d/new", ""); return nil })
	moved("mkdir", "d/z", func() error { return unix.Mkdir("d/dir", 0o755) })
	moved("symlink", "d/z", func() error { return unix.Symlink("x", "d/sym") })
	moved("rmdir", "d/z", func() error { return unix.Rmdir("d/dir") })
	moved("setxattr", "d/z", func() error { return unix.Setxattr("d/z", "user.a", []byte("1"), 0) })
	moved("stat", "d/z", func() error { return unix.Access("d/z", 0) })
	l.close(fd)
}

func errOr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// sectionOwnership: whom a new file belongs to.
func sectionOwnership(l *transcript) {
	l.err("mkdir", unix.Mkdir("d", 0o755))
	l.err("chown", unix.Chown("d", 11, 22))
	l.err("chmod", unix.Chmod("d", 0o2775))
	l.create("d/f", "")
	l.stat("d/f") // the group of a directory with the set-group-ID bit is inherited,
	l.err("mkdir", unix.Mkdir("d/e", 0o755))
	l.stat("d/e") // and so is the bit, by directories
	l.err("symlink", unix.Symlink("f", "d/s"))
	l.stat("d/s")
	l.err("mkfifo", unix.Mkfifo("d/p", 0o644))
	l.stat("d/p")
	l.err("chmod", unix.Chmod("d", 0o755))
	l.create("d/g", "")
	l.stat("d/g")
	l.err("chmod", unix.Chmod("d/f", 0o4711))
	fd := l.open("d/f", unix.O_RDWR, 0)
	l.pwrite("by root", fd, "x", 0)
	l.fstat("by root", fd)
	l.close(fd)
}

func sectionMknod(l *transcript) {
	l.err("mkfifo", unix.Mkfifo("p", 0o640))
	l.err("char", unix.Mknod("c", unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))))
	l.err("block", unix.Mknod("b", unix.S_IFBLK|0o600, int(unix.Mkdev(259, 1<<19-1))))
	l.err("socket", unix.Mknod("s", unix.S_IFSOCK|0o600, 0))
	l.err("file", unix.Mknod("f", unix.S_IFREG|0o600, 0))
	l.err("exists", unix.Mknod("f", unix.S_IFREG|0o600, 0))
	l.err("directory", unix.Mknod("d", unix.S_IFDIR|0o600, 0))
	for _, name := range []string{"p", "c", "b", "s", "f"} {
		l.stat(name)
	}
	l.list(".")
	fd := l.open("p", unix.O_RDWR|unix.O_NONBLOCK, 0)
	n, err := unix.Write(fd, []byte("through the pipe"))
	l.printf("write: %d %s", n, errName(err))
	buf := make([]byte, 100)
	n, err = unix.Read(fd, buf)
	l.printf("read: %s %q", errName(err), buf[:max(0, n)])
	l.close(fd)
	sock, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	l.err("socket", err)
	l.err("bind", unix.Bind(sock, &unix.SockaddrUnix{Name: "bound"}))
	l.err("listen", unix.Listen(sock, 1))
	peer, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	l.err("socket", err)
	l.err("connect", unix.Connect(peer, &unix.SockaddrUnix{Name: "bound"}))
	l.close(sock)
	l.close(peer)
	l.stat("bound")
}

func sectionXattr(l *transcript) {
	l.create("f", "f")
	l.err("mkdir", unix.Mkdir("d", 0o755))
	for _, name := range []string{"f", "d"} {
		set := func(key, value string, flags int) {
			l.err(fmt.Sprintf("setxattr %s %.20s %d", name, key, flags), unix.Setxattr(name, key, []byte(value), flags))
		}
		get := func(key string, size int) {
			buf := make([]byte, size)
			n, err := unix.Getxattr(name, key, buf)
			l.printf("getxattr %s %.20s %d: %d %s %s", name, key, size, n, errName(err), digest(buf[:max(0, min(n, size))]))
		}
		list := func(size int) {
			buf := make([]byte, size)
			n, err := unix.Listxattr(name, buf)
			keys := strings.Split(string(buf[:max(0, min(n, size))]), "\x00")
			slices.Sort(keys)
			l.printf("listxattr %s %d: %d %s %q", name, size, n, errName(err), keys)
		}
		list(0)
		list(100)
		set("user.a", "one", 0)
		set("user.a", "two", unix.XATTR_CREATE)
		set("user.b", "two", unix.XATTR_REPLACE)
		set("user.b", "two", unix.XATTR_CREATE)
		set("user.a", "longer than before", unix.XATTR_REPLACE)
		set("user.empty", "", 0)
		set("user."+strings.Repeat("k", 250), "long key", 0)
		set("user."+strings.Repeat("k", 251), "too long", 0)
		set("trusted.t", "root only", 0)
		set("bogus.x", "no such namespace", 0)
		set("user.", "no name", 0)
		for _, key := range []string{"user.a", "user.b", "user.empty", "user.missing", "trusted.t"} {
			get(key, 0)
			get(key, 100)
		}
		get("user.a", 5)
		get("user.a", 18)
		list(0)
		list(1000)
		list(10)
		l.err("removexattr", unix.Removexattr(name, "user.b"))
		l.err("removexattr", unix.Removexattr(name, "user.b"))
		get("user.b", 100)
		list(1000)
		set("user.big", strings.Repeat("v", 4000), 0)
		get("user.big", 0)
		get("user.big", 5000)
		set("user.huge", strings.Repeat("v", 65537), 0)
	}
	l.err("symlink", unix.Symlink("f", "s"))
	l.err("lsetxattr user", unix.Lsetxattr("s", "user.a", []byte("x"), 0))
	l.err("lsetxattr trusted", unix.Lsetxattr("s", "trusted.a", []byte("x"), 0))
	l.err("rename", unix.Rename("f", "g"))
	buf := make([]byte, 100)
	n, err := unix.Getxattr("g", "user.a", buf)
	l.printf("after rename: %s %q", errName(err), buf[:max(0, n)])
}

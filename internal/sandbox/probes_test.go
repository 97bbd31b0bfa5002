package sandbox

import (
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// probes are what somebody would try who has taken the process over.
var probes = map[string]func(o *order) syscall.Errno{
	// what has to work
	"read": func(o *order) syscall.Errno { return openPath(o.at("file"), unix.O_RDONLY) },
	"write": func(o *order) syscall.Errno {
		return openPath(o.at("new"), unix.O_WRONLY|unix.O_CREAT)
	},
	"list": func(o *order) syscall.Errno { return openPath(o.at("."), unix.O_RDONLY|unix.O_DIRECTORY) },
	"rename": func(o *order) syscall.Errno {
		return errnoOf(unix.Rename(o.at("new"), o.at("dir/moved")))
	},
	"link":   func(o *order) syscall.Errno { return errnoOf(unix.Link(o.at("file"), o.at("dir/link"))) },
	"device": func(o *order) syscall.Errno { return errnoOf(unix.Mknod(o.at("dev"), unix.S_IFCHR|0o666, 0x103)) },
	"chown":  func(o *order) syscall.Errno { return errnoOf(unix.Chown(o.at("file"), 1, 1)) },
	"setuid file": func(o *order) syscall.Errno {
		return errnoOf(unix.Chmod(o.at("file"), 0o4755))
	},
	"proc": func(*order) syscall.Errno { return openPath("/proc/self/fd", unix.O_RDONLY|unix.O_DIRECTORY) },

	// ways out by name
	"absolute": func(o *order) syscall.Errno { return openPath(filepath.Join(o.Dir, "secret"), unix.O_RDONLY) },
	"passwd":   func(*order) syscall.Errno { return openPath("/etc/passwd", unix.O_RDONLY) },
	"dots":     func(o *order) syscall.Errno { return openPath(o.at("../secret"), unix.O_RDONLY) },
	"more dots": func(*order) syscall.Errno {
		return openPath("../../../../../../../../etc/passwd", unix.O_RDONLY)
	},
	"symlink":     func(o *order) syscall.Errno { return openPath(o.at("out"), unix.O_RDONLY) },
	"host's root": func(*order) syscall.Errno { return openPath("/proc/1/root/etc/passwd", unix.O_RDONLY) },
	"own root":    func(*order) syscall.Errno { return openPath("/proc/self/root/etc/passwd", unix.O_RDONLY) },
	"environment": func(*order) syscall.Errno { return openPath("/proc/1/environ", unix.O_RDONLY) },
	"write beside": func(o *order) syscall.Errno {
		return openPath(filepath.Join(o.Dir, "x"), unix.O_WRONLY|unix.O_CREAT)
	},
	"root's own": func(*order) syscall.Errno {
		return openPath("/x", unix.O_WRONLY|unix.O_CREAT)
	},
	"program":     func(*order) syscall.Errno { return errnoOf(syscall.Exec("/bin/true", []string{"true"}, nil)) },
	"open device": func(o *order) syscall.Errno { return openPath(o.at("null"), unix.O_RDWR) },

	// ways out by privilege
	"chroot":  func(*order) syscall.Errno { return errnoOf(unix.Chroot(".")) },
	"mount":   func(o *order) syscall.Errno { return errnoOf(unix.Mount("x", o.at("dir"), "tmpfs", 0, "")) },
	"umount":  func(o *order) syscall.Errno { return errnoOf(unix.Unmount(o.at("."), unix.MNT_DETACH)) },
	"unshare": func(*order) syscall.Errno { return errnoOf(unix.Unshare(unix.CLONE_NEWNS)) },
	"setns": func(*order) syscall.Errno {
		fd, err := unix.Open("/proc/self/ns/mnt", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return errnoOf(err)
		}
		return errnoOf(unix.Setns(fd, unix.CLONE_NEWNS))
	},
	"clock":    func(*order) syscall.Errno { return errnoOf(unix.Settimeofday(&unix.Timeval{Sec: 1})) },
	"raw disk": func(o *order) syscall.Errno { return openPath(o.at("disk"), unix.O_RDONLY) },
	"handle": func(o *order) syscall.Errno {
		dir, err := unix.Open(o.at("."), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return errnoOf(err)
		}
		h, _, err := unix.NameToHandleAt(dir, "file", 0)
		if err != nil {
			return errnoOf(err)
		}
		fd, err := unix.OpenByHandleAt(dir, h, unix.O_RDONLY)
		if err == nil {
			unix.Close(fd)
		}
		return errnoOf(err)
	},

	// others
	"signal":               func(*order) syscall.Errno { return errnoOf(unix.Kill(unix.Getppid(), 0)) },
	"trace":                func(*order) syscall.Errno { return errnoOf(unix.PtraceAttach(1)) },
	"connect":              func(o *order) syscall.Errno { return connect(o.Listener) },
	"accept":               func(o *order) syscall.Errno { return accept(o.Options.Listeners[0]) },
	"accept at the second": func(o *order) syscall.Errno { return accept(o.Options.Listeners[1]) },
	"accept at another": func(o *order) syscall.Errno {
		fd, err := unix.Dup(o.Options.Listeners[0])
		if err != nil {
			return errnoOf(err)
		}
		return accept(fd)
	},
	"accept without": func(*order) syscall.Errno { return accept(0) },

	// for the filter
	"socket":   func(*order) syscall.Errno { return newSocket() },
	"new code": func(*order) syscall.Errno { return mapCode() },
	"fork": func(*order) syscall.Errno {
		_, err := syscall.ForkExec("/bin/true", nil, nil)
		return errnoOf(err)
	},
}

// at returns the path of something in the export, as the process sees it.
func (o *order) at(name string) string {
	root := o.Options.Root(filepath.Join(o.Dir, "export"))
	return root + "/" + name // not joined: dots shall stay
}

func openPath(path string, flags int) syscall.Errno {
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC|unix.O_NONBLOCK, 0o644)
	if err == nil {
		unix.Close(fd)
	}
	return errnoOf(err)
}

func newSocket() syscall.Errno {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		unix.Close(fd)
	}
	return errnoOf(err)
}

// connect connects to a port of 127.0.0.1.
func connect(port string) syscall.Errno {
	n, err := strconv.Atoi(port)
	if err != nil {
		return unix.EIO
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return errnoOf(err)
	}
	defer unix.Close(fd)
	return errnoOf(unix.Connect(fd, &unix.SockaddrInet4{Port: n, Addr: [4]byte{127, 0, 0, 1}}))
}

// accept accepts a client and asks what Go asks.
func accept(listener int) syscall.Errno {
	fd, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
	if err != nil {
		return errnoOf(err)
	}
	defer unix.Close(fd)
	_, err = unix.Getsockname(fd)
	return errnoOf(err)
}

func mapCode() syscall.Errno {
	mem, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE|unix.PROT_EXEC, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err == nil {
		_ = unix.Munmap(mem)
	}
	return errnoOf(err)
}

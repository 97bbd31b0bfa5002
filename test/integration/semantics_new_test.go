package integration

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// creation is a call that makes something.
type creation struct {
	name string
	make func(name string, mode uint32) error
}

func mknod(name string, kind uint32) creation {
	return creation{name, func(p string, mode uint32) error { return unix.Mknod(p, kind|mode, int(unix.Mkdev(1, 2))) }}
}

func casesMkdir(l *transcript)  { casesCreation(l, creation{"mkdir", unix.Mkdir}) }
func casesMkfifo(l *transcript) { casesCreation(l, creation{"mkfifo", unix.Mkfifo}) }

func casesMknod(l *transcript) {
	for _, c := range []creation{
		mknod("mknod f", unix.S_IFIFO), mknod("mknod b", unix.S_IFBLK), mknod("mknod c", unix.S_IFCHR),
		mknod("mknod s", unix.S_IFSOCK), mknod("mknod r", unix.S_IFREG), mknod("mknod without a type", 0),
	} {
		casesCreation(l, c)
	}
	for _, dev := range []uint64{unix.Mkdev(1, 2), unix.Mkdev(0, 0), unix.Mkdev(4095, 1<<20-1), unix.Mkdev(255, 256)} {
		for _, k := range []uint32{unix.S_IFCHR, unix.S_IFBLK} {
			l.err("mknod", unix.Mknod("x", k|0o755, int(dev)))
			l.stat("x")
			l.err("mknod", unix.Mknod("x", k|0o777, int(unix.Mkdev(3, 4))))
			l.stat("x")
			l.gone("x")
		}
	}
}

func casesSymlink(l *transcript) {
	casesCreation(l, creation{"symlink", func(p string, _ uint32) error { return unix.Symlink("test", p) }})
	l.node(file, "x", 0o644, 0)
	l.err("symlink", unix.Symlink("x", "s"))
	var st unix.Stat_t
	l.err("stat", unix.Stat("s", &st))
	l.printf("%s", attrs(&st))
	l.err("unlink", unix.Unlink("x"))
	l.err("stat", unix.Stat("s", &st))
}

// casesCreation: what is made belongs to whom, with which mode, and what that does to the directory.
func casesCreation(l *transcript, c creation) {
	l.everybody()
	l.pathCases(pathCall{c.name, nil, func(p string) error { return c.make(p, 0o644) }})
	for _, k := range kinds {
		l.node(k, "x", 0o644, 0)
		l.err(c.name+" where there is a "+k.name, c.make("x", 0o755))
		l.stat("x")
		l.gone("x")
	}
	for _, mask := range []int{0, 0o022, 0o077, 0o070, 0o501, 0o777} {
		for _, mode := range []uint32{0o755, 0o151, 0o345, 0o777, 0, 0o7777} {
			old := unix.Umask(mask)
			l.err(fmt.Sprintf("%s %o, umask %o", c.name, mode, mask), c.make("x", mode))
			unix.Umask(old)
			l.stat("x")
			l.gone("x")
		}
	}
	for _, mode := range []uint32{0o777, 0o2777, 0o1777} {
		for _, who := range callers {
			l.node(dir, "d", mode, 65534)
			l.errAs(who, c.name+" in somebody's directory", func() error { return c.make("d/x", 0o2775) })
			l.stat("d/x")
			l.stat("d")
			l.gone("d")
		}
	}
	none, some := func() {}, func() { l.node(file, "x", 0o644, 0) }
	l.times([]timed{
		{c.name, none, []string{"."}, func() error { return c.make("x", 0o755) }, "x"},
		{c.name + " of what is there", some, []string{".", "x"}, func() error { return c.make("x", 0o755) }, ""},
	})
}

// casesOpen: whom modes let open what for what.
func casesOpen(l *transcript) {
	l.everybody()
	l.pathCases(openCall("open", &file, unix.O_RDONLY, nothing))
	l.pathCases(openCall("open O_CREAT", nil, unix.O_RDWR|unix.O_CREAT, nothing))
	casesCreation(l, creation{"open O_EXCL", func(p string, mode uint32) error {
		fd, err := unix.Open(p, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, mode)
		return errOr(err, unix.Close(fd))
	}})
	flags := []struct {
		name string
		bits int
	}{
		{"O_RDONLY", unix.O_RDONLY}, {"O_WRONLY", unix.O_WRONLY}, {"O_RDWR", unix.O_RDWR},
		{"O_TRUNC", unix.O_RDONLY | unix.O_TRUNC}, {"O_WRONLY|O_TRUNC", unix.O_WRONLY | unix.O_TRUNC},
		{"O_RDWR|O_TRUNC", unix.O_RDWR | unix.O_TRUNC}, {"3", unix.O_ACCMODE}, {"O_NOFOLLOW", unix.O_NOFOLLOW},
		{"O_NOATIME", unix.O_NOATIME}, {"O_CREAT", unix.O_CREAT},
		{"O_CREAT|O_TRUNC", unix.O_RDWR | unix.O_CREAT | unix.O_TRUNC},
		{"O_APPEND", unix.O_WRONLY | unix.O_APPEND}, {"O_DIRECTORY", unix.O_DIRECTORY},
		{"O_CREAT|O_EXCL", unix.O_CREAT | unix.O_EXCL},
		{"O_CREAT|O_NOFOLLOW", unix.O_CREAT | unix.O_NOFOLLOW},
	}
	modes := []uint32{
		0o600, 0o060, 0o006, 0o477, 0o747, 0o774, 0o277, 0o727, 0o772, 0o177, 0o717, 0o771, 0o077, 0o707, 0o770,
	}
	for _, k := range kinds {
		if k.name == "block" || k.name == "char" {
			continue // the devices decide
		}
		for _, mode := range modes {
			l.node(k, "x", mode, 65534)
			for _, who := range callers {
				for _, f := range flags {
					l.as(who, func() {
						fd, err := unix.Open("x", f.bits|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o600)
						l.printf("%s: open %s of mode %o, %s: %s", who.name, k.name, mode, f.name, errName(err))
						_ = unix.Close(fd)
					})
				}
				l.gone("test") // what the symbolic link leads to
			}
			l.gone("x")
		}
	}
	for _, f := range flags { // neither a mode of 0 nor one without the right to write hinders the creator
		for _, who := range []caller{root, owner} {
			l.as(who, func() {
				fd, err := unix.Open("x", f.bits|unix.O_CREAT|unix.O_CLOEXEC, 0)
				l.err(who.name+": create with mode 0, "+f.name, err)
				if err == nil {
					_, err := unix.Write(fd, []byte("x"))
					l.err("write", err)
					l.err("ftruncate", unix.Ftruncate(fd, 7))
					l.fstat("x", fd)
					l.failure("close", unix.Close(fd))
				}
			})
			l.gone("x")
		}
	}
	open := func(flags int) func() error {
		return func() error {
			fd, err := unix.Open("x", flags|unix.O_CLOEXEC, 0o644)
			return errOr(err, unix.Close(fd))
		}
	}
	some := func() { l.create("x", "test\n") }
	l.times([]timed{
		{"open O_CREAT of what is there", some, []string{".", "x"}, open(unix.O_CREAT), ""},
		{"open O_TRUNC", some, []string{".", "x"}, open(unix.O_WRONLY | unix.O_TRUNC), ""},
		{"open O_TRUNC of nothing", func() { l.create("x", "") }, []string{".", "x"}, open(unix.O_RDWR | unix.O_TRUNC), ""},
	})
	fd := l.open("big", rdwrCreate, 0o644)
	l.pwrite("behind 2 GiB", fd, "a", 1<<31+1)
	l.fstat("big", fd)
	l.pread("behind 2 GiB", fd, 1, 1<<31+1)
	l.close(fd)
}

package integration

import (
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// everybody opens the working directory to all callers.
func (l *transcript) everybody() { l.failure("chmod", unix.Chmod(".", 0o777)) }

// casesChmod: who may change modes, and what becomes of them.
func casesChmod(l *transcript) {
	l.everybody()
	l.pathCases(pathCall{"chmod", &file, func(p string) error { return unix.Chmod(p, 0o620) }})
	for _, k := range kinds {
		if k.isLink() {
			continue
		}
		for _, mode := range []uint32{0o111, 0o222, 0o1621, 0o2710, 0o4701, 0o7777, 0} {
			l.node(k, "x", 0o644, 0)
			l.failure("symlink", unix.Symlink("x", "s"))
			l.err("chmod "+k.name, unix.Chmod("x", mode))
			l.stat("x")
			l.err("chmod through a link", unix.Chmod("s", mode^0o777))
			l.stat("x")
			l.stat("s")
			l.gone("x", "s")
		}
		for _, who := range callers {
			for _, mode := range []uint32{0o642, 0o1644, 0o2755, 0o2745, 0o4755, 0o6777} {
				l.node(k, "x", 0o640, 65534)
				l.errAs(who, fmt.Sprintf("chmod %s %o", k.name, mode), func() error { return unix.Chmod("x", mode) })
				l.stat("x")
				l.gone("x")
			}
		}
	}
	var cases []timed
	for _, k := range kinds {
		if k.isLink() {
			continue
		}
		prepare := func() { l.node(k, "x", 0o644, 0) }
		cases = append(cases,
			timed{"chmod " + k.name, prepare, []string{"x", "."}, func() error { return unix.Chmod("x", 0o111) }, ""},
			timed{"chmod of somebody's " + k.name, prepare, []string{"x", "."}, func() (err error) {
				l.as(other, func() { err = unix.Chmod("x", 0o111) })
				return err
			}, ""})
	}
	l.times(cases)
	casesPrivileges(l)
}

// casesPrivileges: who changes a file takes away its set-user-ID bit and, if the group may execute it, its set-group-ID
// bit. Without that the latter stays if the caller is in the group, which a server does not know.
func casesPrivileges(l *transcript) {
	l.create("source", "0123456789")
	source := l.open("source", unix.O_RDONLY, 0)
	for _, mode := range []uint32{0o4777, 0o2777, 0o6777, 0o4766, 0o1777} {
		for _, who := range callers {
			change := func(what string, do func(fd int) error) {
				l.node(file, "x", mode, 65534)
				l.errAs(who, fmt.Sprintf("%s of a file of mode %o", what, mode), func() error {
					fd, err := unix.Open("x", unix.O_RDWR|unix.O_CLOEXEC, 0)
					if err == nil {
						err = do(fd)
						l.fstat("x", fd)
						l.failure("close", unix.Close(fd))
					}
					return err
				})
				l.stat("x")
				l.gone("x")
			}
			change("open", nothing)
			change("write", func(fd int) error { _, err := unix.Write(fd, []byte("x")); return err })
			change("write of nothing", func(fd int) error { _, err := unix.Write(fd, nil); return err })
			change("ftruncate", func(fd int) error { return unix.Ftruncate(fd, 10) })
			change("fallocate", func(fd int) error { return unix.Fallocate(fd, 0, 0, 10) })
			change("copy_file_range", func(fd int) error {
				n, err := unix.CopyFileRange(source, new(int64), fd, new(int64), 10, 0)
				l.printf("%d bytes", n)
				return err
			})
			if who.uid != 0 { // a kernel that writes by itself to files that it has been lent does not spare root
				late := -1
				l.node(file, "x", 0o777, 65534)
				l.as(who, func() { late = l.open("x", unix.O_RDWR, 0) })
				l.failure("chmod", unix.Chmod("x", mode))
				l.errAs(who, "write, with bits that came after the open", func() error {
					_, err := unix.Write(late, []byte("x"))
					return err
				})
				l.fstat("x", late)
				l.close(late)
				l.stat("x")
				l.gone("x")
			}
			l.node(file, "x", mode, 65534)
			l.errAs(who, "truncate", func() error { return unix.Truncate("x", 10) })
			l.stat("x")
			l.errAs(who, "O_TRUNC", func() error {
				fd, err := unix.Open("x", unix.O_WRONLY|unix.O_TRUNC|unix.O_CLOEXEC, 0)
				return errOr(err, unix.Close(fd))
			})
			l.stat("x")
			l.gone("x")
		}
	}
	l.close(source)
}

// isMystery says whether a file of group 65534 has a set-group-ID bit without being executable by the group, and
// whether the caller is in the group. Linux takes that bit away from files that strangers to their group change; the
// kernel's FUSE client does not.
func (who caller) isMystery(mode uint32) bool {
	return mode&(unix.S_ISGID|unix.S_IXGRP) == unix.S_ISGID && who.uid != 0 && !slices.Contains(who.groups, 65534)
}

// ids are arguments of chown.
var ids = [][2]int{
	{-1, -1}, {123, 456}, {0, 0}, {65534, -1}, {-1, 65534}, {-1, 65532}, {65534, 65531}, {-1, 65533}, {65533, -1},
	{65533, 65533}, {65534, 65534},
}

// casesChown: who may give files away, and what that does to their modes.
func casesChown(l *transcript) {
	l.everybody()
	l.pathCases(pathCall{"chown", &file, func(p string) error { return unix.Chown(p, 65534, 65532) }})
	l.pathCases(pathCall{"lchown", &file, func(p string) error { return unix.Lchown(p, -1, 65534) }})
	for _, k := range kinds {
		modes := []uint32{0o644, 0o6555, 0o2745, 0o4711}
		if k.name == "block" || k.name == "char" || k.name == "socket" || k.isLink() {
			modes = modes[:1]
		}
		for _, mode := range modes {
			for _, who := range callers {
				for _, id := range ids {
					if who.isMystery(mode) || mode&0o6000 != 0 && id == [2]int{-1, -1} && !k.isDir() {
						continue // of a chown of nothing a FUSE server does not hear, and so it takes no bits away
					}
					what := fmt.Sprintf("%s of mode %o to %v", k.name, mode, id)
					l.node(k, "x", mode, 65534)
					l.errAs(who, "lchown "+what, func() error { return unix.Lchown("x", id[0], id[1]) })
					l.stat("x")
					l.gone("x")
				}
			}
		}
		if k.isLink() {
			continue
		}
		l.node(k, "x", 0o644, 65534)
		l.failure("symlink", unix.Symlink("x", "s"))
		for _, who := range []caller{root, mover} {
			l.errAs(who, "chown through a link", func() error { return unix.Chown("s", -1, 65532) })
			l.stat("x")
			l.stat("s")
		}
		l.gone("x", "s")
	}
	var cases []timed
	for _, k := range kinds {
		prepare := func() { l.node(k, "x", 0o644, 65534) }
		for _, who := range []caller{root, mover, other} {
			for _, id := range [][2]int{{65534, 65532}, {-1, 65534}} {
				cases = append(cases, timed{
					fmt.Sprintf("%s: lchown %s to %v", who.name, k.name, id), prepare, []string{"x", "."}, func() (err error) {
						l.as(who, func() { err = unix.Lchown("x", id[0], id[1]) })
						return err
					}, "",
				})
			}
		}
	}
	l.times(cases)
}

// casesUtimensat: who may set times, to the present and to others.
func casesUtimensat(l *transcript) {
	l.everybody()
	spec := func(sec, nsec int64) unix.Timespec { return unix.Timespec{Sec: sec, Nsec: nsec} }
	now, omit := spec(0, unix.UTIME_NOW), spec(0, unix.UTIME_OMIT)
	set := func(name string, a, m unix.Timespec, flags int) error {
		return unix.UtimesNanoAt(unix.AT_FDCWD, name, []unix.Timespec{a, m}, flags)
	}
	l.pathCases(pathCall{"utimensat", &file, func(p string) error { return set(p, spec(1, 2), spec(3, 4), 0) }})
	show := func(name string) {
		var st unix.Stat_t
		err := unix.Lstat(name, &st)
		l.printf("%s: %s a=%v m=%v", name, errName(err), recent(st.Atim), recent(st.Mtim))
	}
	pairs := [][2]unix.Timespec{
		{spec(1900000000, 0), spec(1950000000, 0)}, {spec(100000000, 1e8), spec(200000000, 2e8)},
		{spec(1<<31, 999999999), spec(1<<32, 1)}, {omit, omit}, {now, now}, {omit, spec(5, 0)}, {spec(6, 0), omit},
		{now, spec(7, 0)}, {omit, now}, {now, omit}, {spec(1, 1e9), now}, {spec(-1, 5), spec(-1000000000, 0)},
	}
	for _, k := range kinds {
		for _, p := range pairs {
			l.node(k, "x", 0o644, 0)
			l.failure("set", set("x", spec(11, 0), spec(12, 0), unix.AT_SYMLINK_NOFOLLOW))
			l.err(fmt.Sprint("utimensat ", k.name, p), set("x", p[0], p[1], unix.AT_SYMLINK_NOFOLLOW))
			show("x")
			l.gone("x")
		}
	}
	l.node(file, "x", 0o644, 0)
	l.failure("symlink", unix.Symlink("x", "s"))
	l.err("of the link", set("s", spec(1, 0), spec(2, 0), unix.AT_SYMLINK_NOFOLLOW))
	show("s")
	l.err("through the link", set("s", spec(3, 0), spec(4, 0), 0))
	show("x")
	l.gone("x", "s")
	for _, mode := range []uint32{0o644, 0o444, 0o666, 0o464, 0o446} {
		for _, who := range callers {
			for _, p := range pairs[3:10] {
				l.node(file, "x", mode, 65534)
				l.failure("set", set("x", spec(11, 0), spec(12, 0), 0))
				l.errAs(who, fmt.Sprintf("utimensat %v of mode %o", p, mode), func() error { return set("x", p[0], p[1], 0) })
				show("x")
				l.gone("x")
			}
		}
	}
	prepare := func() { l.node(file, "x", 0o644, 65534) }
	l.times([]timed{
		{"utimensat", prepare, []string{"x", "."}, func() error { return set("x", spec(1, 0), spec(2, 0), 0) }, ""},
		{"utimensat of nothing", prepare, []string{"x", "."}, func() error { return set("x", omit, omit, 0) }, ""},
		{"utimensat of somebody's", prepare, []string{"x", "."}, func() (err error) {
			l.as(other, func() { err = set("x", now, now, 0) })
			return err
		}, ""},
	})
}

// recent shows a time that was given, or that it is the present one.
func recent(t unix.Timespec) string {
	if now := time.Now().Unix(); t.Sec > now-600 && t.Sec < now+600 {
		return "now"
	}
	return fmt.Sprint(t.Sec, ".", t.Nsec)
}

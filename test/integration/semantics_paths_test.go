package integration

import (
	"fmt"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// pathCall is a system call that takes a path.
type pathCall struct {
	name  string
	needs *kind // what has to be at the path; nil if nothing may be there
	call  func(path string) error
}

// pathCases makes a call with paths that are wrong, longer than allowed or closed to the caller. Its working directory
// must be open to everybody.
func (l *transcript) pathCases(c pathCall) {
	l.printf("= %s", c.name)
	l.node(dir, "d", 0o755, 0)
	for _, k := range linkable {
		l.node(k, "d/x", 0o644, 0)
		l.try(c, root, "below a "+k.name, "d/x/test")
		l.gone("d/x")
	}
	l.try(c, root, "below what is missing", "d/missing/test")
	if c.needs != nil {
		l.err(c.name+" what is missing", c.call("d/missing"))
	}
	l.failure("symlink", unix.Symlink("nowhere", "d/s"))
	l.try(c, root, "below a dangling link", "d/s/test")
	l.err(c.name+" a dangling link", c.call("d/s"))
	l.gone("d", "nowhere")
	for _, p := range []string{"a/test", "b/test", "a"} {
		l.failure("symlink", unix.Symlink("b", "a"))
		l.failure("symlink", unix.Symlink("a", "b"))
		l.err(c.name+" through a loop", c.call(p))
		l.gone("a", "b")
	}
	l.try(c, root, "the longest name", strings.Repeat("n", 255))
	l.try(c, root, "a name too long", strings.Repeat("n", 256))
	long := strings.Repeat(strings.Repeat("p", 127)+"/", 31) + strings.Repeat("p", 127) // PATH_MAX less one
	l.failure("mkdir -p", mkdirAll(path.Dir(long)))
	l.try(c, root, "the longest path", long)
	l.try(c, root, "a path too long", long+"x")
	l.gone(strings.Repeat("p", 127))

	for _, mode := range []uint32{0o755, 0o644, 0o555, 0o311, 0o070, 0o007, 0o1777} {
		for _, who := range callers {
			l.node(dir, "d", mode, 65534)
			l.try(c, who, fmt.Sprintf("below mode %o", mode), "d/x")
			l.gone("d")
		}
	}
}

// try makes a call as somebody after it has made what the call needs, and cleans up.
func (l *transcript) try(c pathCall, who caller, what, path string) {
	if c.needs != nil && c.needs.make(path) == nil {
		_ = unix.Lchown(path, 65534, 65534)
	}
	l.errAs(who, c.name+" "+what, func() error { return c.call(path) })
	l.stat(path)
	_ = unix.Unlink(path)
	_ = unix.Rmdir(path)
}

// mkdirAll makes a directory of a relative path, and all above it.
func mkdirAll(p string) error {
	for i := range p {
		if p[i] == '/' {
			if err := unix.Mkdir(p[:i], 0o755); err != nil {
				return err
			}
		}
	}
	return unix.Mkdir(p, 0o755)
}

// openCall is a pathCall that opens the path and does something with the descriptor.
func openCall(name string, needs *kind, flags int, do func(fd int) error) pathCall {
	return pathCall{name, needs, func(path string) error {
		fd, err := unix.Open(path, flags|unix.O_CLOEXEC|unix.O_NONBLOCK, 0o620)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return do(fd)
	}}
}

func nothing(int) error { return nil }

// tick waits for longer than a tick of the coarse clock that times come from.
func tick() { time.Sleep(30 * time.Millisecond) }

// timed is a call of which it is written down what times it moves.
type timed struct {
	what string
	// prepare makes what the call needs in the working directory.
	prepare func()
	// watch are the names whose change and modification times are watched, by descriptors.
	watch []string
	call  func() error
	made  string // a file that the call makes: all its times are to be recent
}

// times makes each call in a directory of its own, all of them after one pause that is longer than a tick of the
// clock, and writes down which times of what was watched they have moved.
func (l *transcript) times(cases []timed) {
	fds := make([][]int, len(cases))
	before := make([][]unix.Stat_t, len(cases))
	in := func(i int, do func()) {
		l.failure("chdir", unix.Chdir(fmt.Sprint("t", i)))
		do()
		l.failure("chdir", unix.Chdir(".."))
	}
	for i, c := range cases {
		l.node(dir, fmt.Sprint("t", i), 0o755, 0)
		in(i, func() {
			c.prepare()
			for _, name := range c.watch {
				fd, err := unix.Open(name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
				l.failure("open "+name, err)
				var st unix.Stat_t
				l.failure("fstat", unix.Fstat(fd, &st))
				fds[i], before[i] = append(fds[i], fd), append(before[i], st)
			}
		})
	}
	tick()
	for i, c := range cases {
		in(i, func() { l.err(c.what, c.call()) })
	}
	for i, c := range cases {
		for j, name := range c.watch {
			var st unix.Stat_t
			l.failure("fstat", unix.Fstat(fds[i][j], &st))
			l.printf("%s, %s: m %v c %v", c.what, name, st.Mtim != before[i][j].Mtim, st.Ctim != before[i][j].Ctim)
			l.failure("close", unix.Close(fds[i][j]))
		}
		if c.made == "" {
			continue
		}
		var st unix.Stat_t
		l.failure("lstat "+c.made, unix.Lstat(fmt.Sprintf("t%d/%s", i, c.made), &st))
		then := before[i][0].Ctim.Nano()
		l.printf("%s, made: a %v m %v c %v", c.what, st.Atim.Nano() > then, st.Mtim.Nano() > then, st.Ctim.Nano() > then)
	}
}

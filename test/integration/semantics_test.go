package integration

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func init() { helpers["semantics"] = semanticsHelper }

// runSemantics makes a process do the same system calls on the file system under test and on a tmpfs, and compares
// what it saw. Each section works in a directory of its own.
func runSemantics(t *testing.T, c *client) {
	for _, s := range sections {
		if s.cases && !c.cases {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			want := expected(t, s.name)
			got := c.helper(t, "semantics", c.dir, s.name)
			if strings.Count(want, "\n") < 3 {
				t.Fatalf("the section does next to nothing:\n%s", want)
			}
			if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); diff != "" {
				t.Errorf("tmpfs (-) and the file system under test (+) differ:\n%s", diff)
			}
		})
	}
}

// transcripts are what sections have written down on a tmpfs, which they do once.
var transcripts = map[string]string{}

// expected returns what a section writes down on a tmpfs.
func expected(t *testing.T, section string) string {
	t.Helper()
	if transcripts[section] == "" {
		oracle := tmpfsDir(t)
		transcripts[section] = startHelper(t, oracle, "semantics", oracle, section).mustEnd(t, workloadTimeout)
	}
	return transcripts[section]
}

// section is a group of system calls around one subject.
type section struct {
	name  string
	run   func(l *transcript)
	cases bool // thousands of calls, which are made where the cell wants cases
}

// transcript writes down what system calls return.
type transcript struct{ lines []string }

// semanticsHelper runs the section args[1] in a new directory below args[0] and prints its transcript.
func semanticsHelper(args []string) error {
	i := slices.IndexFunc(sections, func(s section) bool { return s.name == args[1] })
	if i < 0 {
		return fmt.Errorf("no section %q", args[1])
	}
	runtime.LockOSThread() // it is threads that act as other users
	unix.Umask(0o022)
	dir := args[0] + "/" + args[1]
	if err := unix.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if err := unix.Chdir(dir); err != nil {
		return err
	}
	var l transcript
	sections[i].run(&l)
	for _, line := range l.lines {
		fmt.Println(line)
	}
	return nil
}

func (l *transcript) printf(format string, args ...any) {
	l.lines = append(l.lines, fmt.Sprintf(format, args...))
}

// err writes down how a call ended.
func (l *transcript) err(what string, err error) {
	l.printf("%s: %s", what, errName(err))
}

// failure writes down a call only if it did not succeed.
func (l *transcript) failure(what string, err error) {
	if err != nil {
		l.err(what, err)
	}
}

func errName(err error) string {
	var errno syscall.Errno
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &errno):
		return unix.ErrnoName(errno)
	}
	return err.Error()
}

// open opens a file, writes down how that went and returns a descriptor or -1.
func (l *transcript) open(name string, flags int, mode uint32) int {
	fd, err := unix.Open(name, flags|unix.O_CLOEXEC, mode)
	l.err(fmt.Sprintf("open %.40q %#x", name, flags), err)
	if err != nil {
		return -1
	}
	return fd
}

// create makes a file with the given content.
func (l *transcript) create(name, content string) {
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		l.err("create "+name, err)
	}
}

// content writes down what is in a file.
func (l *transcript) content(name string) {
	text, err := os.ReadFile(name)
	l.printf("content of %.40q: %s %s", name, errName(err), digest(text))
}

// digest shows short content as it is and long content by length and sum.
func digest(text []byte) string {
	if len(text) <= 80 {
		return fmt.Sprintf("%q", text)
	}
	sum := uint64(14695981039346656037)
	for _, b := range text {
		sum = (sum ^ uint64(b)) * 1099511628211
	}
	return fmt.Sprintf("%d bytes %x", len(text), sum)
}

// stat writes down the attributes that POSIX defines and that do not depend on time.
func (l *transcript) stat(name string) {
	var st unix.Stat_t
	err := unix.Lstat(name, &st)
	l.printf("lstat %.40q: %s %s", name, errName(err), attrs(&st))
}

func (l *transcript) fstat(what string, fd int) {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	l.printf("fstat %s: %s %s", what, errName(err), attrs(&st))
}

func attrs(st *unix.Stat_t) string {
	size := st.Size
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		size = 0 // means nothing
	}
	return fmt.Sprintf("mode=%o nlink=%d uid=%d gid=%d rdev=%x size=%d", st.Mode, st.Nlink, st.Uid, st.Gid, st.Rdev, size)
}

// list writes down the names in a directory.
func (l *transcript) list(dir string) {
	entries, err := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		names = append(names, fmt.Sprintf("%.20s(%v)", e.Name(), e.Type()))
	}
	l.printf("list %.40q: %s %s", dir, errName(err), strings.Join(names, " "))
}

func (l *transcript) pwrite(what string, fd int, content string, offset int64) {
	n, err := unix.Pwrite(fd, []byte(content), offset)
	l.printf("pwrite %s: %d %s", what, n, errName(err))
}

func (l *transcript) pread(what string, fd, size int, offset int64) {
	buf := make([]byte, size)
	n, err := unix.Pread(fd, buf, offset)
	l.printf("pread %s: %d %s %s", what, n, errName(err), digest(buf[:max(n, 0)]))
}

func (l *transcript) close(fd int) {
	if fd >= 0 {
		l.err("close", unix.Close(fd))
	}
}

package integration

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// notifyTimeout is how long the kernel may believe in what is no longer true. It takes milliseconds.
const notifyTimeout = 20 * time.Second

// watchFlags leave the process what watching takes, CAP_SYS_ADMIN and the calls of fanotify.
var watchFlags = []string{"--sandbox", "none", "--seccomp", "none"}

// seen waits until something is true.
func seen(t *testing.T, what string, isTrue func() bool) {
	t.Helper()
	for end := time.Now().Add(notifyTimeout); !isTrue(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%v later: not %s", notifyTimeout, what)
		}
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o644)
	if err == nil {
		_, err = f.WriteString(content)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func mustDo(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// hostChange is something that the host does to what a client has in its cache.
type hostChange struct {
	name   string
	setUp  func(t *testing.T, host string)
	change func(t *testing.T, host string)
	// isOld and isNew look at the mount.
	isOld, isNew func(mount string) bool
}

func has(name string) func(string) bool {
	return func(dir string) bool {
		_, err := os.Lstat(filepath.Join(dir, name))
		return err == nil
	}
}

func lacks(name string) func(string) bool {
	return func(dir string) bool {
		_, err := os.Lstat(filepath.Join(dir, name))
		return os.IsNotExist(err)
	}
}

func reads(name, want string) func(string) bool {
	return func(dir string) bool {
		got, err := os.ReadFile(filepath.Join(dir, name))
		return err == nil && string(got) == want
	}
}

func lists(want ...string) func(string) bool {
	return func(dir string) bool {
		list, err := os.ReadDir(dir)
		var got []string
		for _, e := range list {
			got = append(got, e.Name())
		}
		return err == nil && strings.Join(got, " ") == strings.Join(want, " ")
	}
}

func stats(name string, want func(*unix.Stat_t) bool) func(string) bool {
	return func(dir string) bool {
		var st unix.Stat_t
		return unix.Lstat(filepath.Join(dir, name), &st) == nil && want(&st)
	}
}

func putFile(t *testing.T, host string) { write(t, filepath.Join(host, "file"), "old content") }

var hostChanges = []hostChange{
	{"content", putFile,
		func(t *testing.T, host string) { write(t, filepath.Join(host, "file"), "new") },
		reads("file", "old content"), reads("file", "new content")},
	{"size", putFile,
		func(t *testing.T, host string) { mustDo(t, os.Truncate(filepath.Join(host, "file"), 3)) },
		stats("file", func(st *unix.Stat_t) bool { return st.Size == 11 }),
		stats("file", func(st *unix.Stat_t) bool { return st.Size == 3 })},
	{"mode", putFile,
		func(t *testing.T, host string) { mustDo(t, os.Chmod(filepath.Join(host, "file"), 0o751)) },
		stats("file", func(st *unix.Stat_t) bool { return st.Mode&0o777 == 0o644 }),
		stats("file", func(st *unix.Stat_t) bool { return st.Mode&0o777 == 0o751 })},
	{"links", putFile,
		func(t *testing.T, host string) {
			mustDo(t, os.Link(filepath.Join(host, "file"), filepath.Join(host, "second")))
		},
		stats("file", func(st *unix.Stat_t) bool { return st.Nlink == 1 }),
		stats("file", func(st *unix.Stat_t) bool { return st.Nlink == 2 })},
	{"extended attribute", putFile,
		func(t *testing.T, host string) {
			mustDo(t, unix.Setxattr(filepath.Join(host, "file"), "user.name", []byte("value"), 0))
		},
		has("file"), func(dir string) bool {
			n, err := unix.Getxattr(filepath.Join(dir, "file"), "user.name", make([]byte, 10))
			return n == 5 && err == nil
		}},
	{"unlink", putFile,
		func(t *testing.T, host string) { mustDo(t, os.Remove(filepath.Join(host, "file"))) },
		has("file"), lacks("file")},
	{"a name that was missing", putFile,
		func(t *testing.T, host string) { write(t, filepath.Join(host, "later"), "x") },
		lacks("later"), has("later")},
	{"rename", putFile,
		func(t *testing.T, host string) {
			mustDo(t, os.Rename(filepath.Join(host, "file"), filepath.Join(host, "moved")))
		},
		func(dir string) bool { return has("file")(dir) && lacks("moved")(dir) },
		func(dir string) bool { return lacks("file")(dir) && reads("moved", "old content")(dir) }},
	{"rename over another", func(t *testing.T, host string) {
		putFile(t, host)
		write(t, filepath.Join(host, "other"), "other content")
	}, func(t *testing.T, host string) {
		mustDo(t, os.Rename(filepath.Join(host, "other"), filepath.Join(host, "file")))
	},
		func(dir string) bool { return reads("file", "old content")(dir) && has("other")(dir) },
		func(dir string) bool { return reads("file", "other content")(dir) && lacks("other")(dir) }},
	{"listing", putFile,
		func(t *testing.T, host string) { write(t, filepath.Join(host, "more"), "x") },
		lists("file"), lists("file", "more")},
	{"rmdir", func(t *testing.T, host string) { mustDo(t, os.Mkdir(filepath.Join(host, "dir"), 0o755)) },
		func(t *testing.T, host string) { mustDo(t, os.Remove(filepath.Join(host, "dir"))) },
		has("dir"), lacks("dir")},
	{"rename of a directory", func(t *testing.T, host string) {
		mustDo(t, os.Mkdir(filepath.Join(host, "dir"), 0o755))
		write(t, filepath.Join(host, "dir/file"), "below")
	}, func(t *testing.T, host string) {
		mustDo(t, os.Rename(filepath.Join(host, "dir"), filepath.Join(host, "dir2")))
	},
		reads("dir/file", "below"),
		func(dir string) bool { return lacks("dir")(dir) && reads("dir2/file", "below")(dir) }},
	{"symbolic link", func(t *testing.T, host string) { mustDo(t, os.Symlink("a", filepath.Join(host, "link"))) },
		func(t *testing.T, host string) {
			mustDo(t, os.Symlink("b", filepath.Join(host, "link2")))
			mustDo(t, os.Rename(filepath.Join(host, "link2"), filepath.Join(host, "link")))
		},
		func(dir string) bool {
			s, err := os.Readlink(filepath.Join(dir, "link"))
			return s == "a" && err == nil
		},
		func(dir string) bool {
			s, err := os.Readlink(filepath.Join(dir, "link"))
			return s == "b" && err == nil
		}},
}

// TestHostChangesAreSeen changes a directory behind the back of a kernel that keeps everything for a day, with two
// mounts of it, and looks at both.
func TestHostChangesAreSeen(t *testing.T) {
	needMount(t)
	long := []string{"--entry-timeout", "86400", "--attr-timeout", "86400"}
	for _, tt := range []struct {
		name, dir, cache string
		reactors         int
		extra            []string
	}{
		{"disk", scratch, "always", 1, nil},
		{"memory", tmpfs, "always", 2, nil},
		{"through the server", scratch, "always", 1, []string{"--no-passthrough"}},
		{"auto", scratch, "auto", 2, append(long, "--no-passthrough")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			host, err := os.MkdirTemp(tt.dir, "host-")
			mustDo(t, err)
			second := mountDir(t)
			tg := startTarget(t, targetOptions{reactors: tt.reactors, cache: tt.cache, export: host + ",notify",
				extra: append(watchFlags, append(tt.extra, "--mount", "data0="+second)...)})
			for i, c := range hostChanges {
				t.Run(c.name, func(t *testing.T) {
					sub := fmt.Sprint("case", i)
					dir := filepath.Join(host, sub)
					mustDo(t, os.Mkdir(dir, 0o755))
					c.setUp(t, dir)
					for _, mount := range []string{tg.mount, second} {
						seen(t, "there", func() bool { return c.isOld(filepath.Join(mount, sub)) })
					}
					c.change(t, dir)
					for _, mount := range []string{tg.mount, second} {
						seen(t, "new", func() bool { return c.isNew(filepath.Join(mount, sub)) })
					}
				})
			}
			t.Run("an open file", func(t *testing.T) { testOpenFileIsSeen(t, host, tg.mount) })
			tg.stop(t)
		})
	}
}

// testOpenFileIsSeen has a file open, and mapped, that the host writes to.
func testOpenFileIsSeen(t *testing.T, host, mount string) {
	write(t, filepath.Join(host, "open"), "old")
	f, err := os.Open(filepath.Join(mount, "open"))
	mustDo(t, err)
	defer f.Close()
	m, err := unix.Mmap(int(f.Fd()), 0, 3, unix.PROT_READ, unix.MAP_SHARED)
	mustDo(t, err)
	defer func() { _ = unix.Munmap(m) }()
	if string(m) != "old" {
		t.Errorf("mapped: %q", m)
	}
	write(t, filepath.Join(host, "open"), "new")
	buf := make([]byte, 3)
	seen(t, "new", func() bool {
		_, err := f.ReadAt(buf, 0)
		return err == nil && string(buf) == "new" && bytes.Equal(m, buf)
	})
}

// TestHostChangesAreNotSeen is [TestHostChangesAreSeen] of an export that is not watched: what that one sees is not
// due to anything else.
func TestHostChangesAreNotSeen(t *testing.T) {
	needMount(t)
	host, err := os.MkdirTemp(scratch, "host-")
	mustDo(t, err)
	tg := startTarget(t, targetOptions{reactors: 1, cache: "always", export: host,
		extra: append(watchFlags, "--no-passthrough")})
	for i, c := range hostChanges {
		if c.name == "extended attribute" {
			continue // which nobody keeps
		}
		sub := fmt.Sprint("case", i)
		dir := filepath.Join(host, sub)
		mustDo(t, os.Mkdir(dir, 0o755))
		c.setUp(t, dir)
		seen(t, "there", func() bool { return c.isOld(filepath.Join(tg.mount, sub)) })
		c.change(t, dir)
		if c.isNew(filepath.Join(tg.mount, sub)) {
			t.Errorf("%s: seen without being told", c.name)
		}
	}
	tg.stop(t)
}

// TestOwnChangesKeepTheCache works on a file and wants it to be read from the kernel's cache throughout.
func TestOwnChangesKeepTheCache(t *testing.T) {
	needMount(t)
	host, err := os.MkdirTemp(scratch, "host-")
	mustDo(t, err)
	tg := startTarget(t, targetOptions{reactors: 1, cache: "always", export: host + ",notify",
		extra: append(watchFlags, "--stats", "--no-passthrough")})
	path := filepath.Join(tg.mount, "file")
	page := bytes.Repeat([]byte("x"), 4096)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	mustDo(t, err)
	const rounds = 200
	for i := range rounds {
		_, err := f.WriteAt(page, int64(i%16)*4096)
		mustDo(t, err)
		mustDo(t, f.Chmod(os.FileMode(0o600+i%2)))
		time.Sleep(time.Millisecond) // about when a notification would come
		_, err = f.ReadAt(make([]byte, 4096), int64(i%16)*4096)
		mustDo(t, err)
		_, err = os.Stat(path)
		mustDo(t, err)
	}
	mustDo(t, f.Close())
	tg.stop(t)
	for _, op := range []string{"READ", "LOOKUP"} {
		m := regexp.MustCompile(`(?m)^\s*(\d+)\s+` + op + `$`).FindStringSubmatch(tg.output())
		if m == nil {
			continue // there were none
		}
		if n, _ := strconv.Atoi(m[1]); n > rounds/10 {
			t.Errorf("%d %s requests in %d rounds\n%s", n, op, rounds, tg.output())
		}
	}
}

// TestHostStorm has the host make a hundred thousand changes, and a client look at the directory.
func TestHostStorm(t *testing.T) {
	needMount(t)
	const changes = 100_000
	host, err := os.MkdirTemp(tmpfs, "host-")
	mustDo(t, err)
	tg := startTarget(t, targetOptions{reactors: 1, cache: "always", export: host + ",notify", extra: watchFlags})
	write(t, filepath.Join(host, "file"), "old")
	seen(t, "there", func() bool { return reads("file", "old")(tg.mount) && lacks("last")(tg.mount) })
	before := tg.memory(t)
	for i := range changes {
		name := filepath.Join(host, fmt.Sprint("f", i%5000))
		if i/5000%2 == 0 {
			write(t, name, "")
		} else {
			mustDo(t, os.Remove(name))
		}
		if i%10_000 == 0 {
			if _, err := os.ReadDir(tg.mount); err != nil {
				t.Error(err)
			}
		}
	}
	write(t, filepath.Join(host, "file"), "new")
	write(t, filepath.Join(host, "last"), "")
	start := time.Now()
	seen(t, "new", func() bool { return reads("file", "new")(tg.mount) && has("last")(tg.mount) })
	after := tg.memory(t)
	t.Logf("%d changes: the last is seen after %v, memory %d KiB before and %d KiB at most",
		changes, time.Since(start).Round(time.Millisecond), before, after)
	if after > before+64<<10 && !raceEnabled {
		t.Errorf("%d KiB before, %d KiB after", before, after)
	}
	tg.stop(t)
}

// memory returns how much memory the process has used at most, in KiB.
func (tg *target) memory(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", tg.cmd.Process.Pid))
	mustDo(t, err)
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindStringSubmatch(string(text))
	if m == nil {
		t.Fatalf("no VmHWM in %s", text)
	}
	n, err := strconv.Atoi(m[1])
	mustDo(t, err)
	return n
}

package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// makefile compiles C the way programs are built: by make, with several compilers at once and the output of each stage
// kept. But for *.i, nothing in what it makes depends on the directory.
const makefile = `
CFLAGS = -g -O2 -fPIC -pthread -MMD -save-temps=obj -ffile-prefix-map=$(CURDIR)=.
OBJECTS = $(SOURCES:.c=.o)
all: libcgo.a libcgo.so
libcgo.a: $(OBJECTS)
	ar rcsD $@ $^
libcgo.so: $(OBJECTS)
	gcc -shared -Wl,--build-id -o $@ $^
-include $(OBJECTS:.o=.d)
`

// runCompile builds a library from the C files of Go's run time, and wants it to be the one that comes out on a tmpfs.
// What make does not do again depends on times.
func runCompile(t *testing.T, c *client) {
	cmd := exec.Command("go", "list", "-f", `{{join .CFiles " "}}`, "runtime/cgo")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	sources, err := cmd.Output()
	if err != nil || len(sources) < 20 {
		t.Fatalf("the C files of runtime/cgo: %q, %v", sources, err)
	}
	build := func(dir string, args ...string) string {
		t.Helper()
		args = append([]string{"-j", "2", "SOURCES=" + strings.TrimSpace(string(sources))}, args...)
		return c.run(t, dir, "make", args...)
	}
	dirs := []string{filepath.Join(c.dir, "cgo"), filepath.Join(c.host, "cgo")}
	for _, dir := range dirs {
		c.run(t, c.host, "cp", "-a", filepath.Join(filepath.Dir(goSource(t, false)), "runtime", "cgo"), dir)
		if err := os.WriteFile(filepath.Join(dir, "Makefile"), []byte(makefile), 0o644); err != nil {
			t.Fatal(err)
		}
		build(dir)
		build(dir, "-q") // nothing is left to do
		c.run(t, dir, "touch", "libcgo.h")
		if out := build(dir); strings.Count(out, "gcc") < 3 {
			t.Errorf("make after a header was touched:\n%s", out)
		}
		build(dir, "-q")
	}
	c.run(t, c.dir, "diff", "-r", "-x", "*.i", dirs[0], dirs[1])
}

// dbenchLoad is what a file server's clients have done, as Debian's package has it.
const dbenchLoad = "/usr/share/dbench/client.txt"

// runDbench replays the calls of a file server for several clients at once. It ends at the first that is not answered
// as it was.
func runDbench(t *testing.T, c *client) {
	seconds := "2"
	if *long {
		seconds = "60"
	}
	out := c.run(t, c.host, "dbench", "-D", c.dir, "-c", dbenchLoad, "-t", seconds, "4")
	if !strings.Contains(out, "Throughput") {
		t.Errorf("dbench did not come to its end:\n%s", tail(out, 20))
	}
}

// stressors are those of stress-ng that work on files, by what they do, and check what they see.
var stressors = []string{
	"access", "chdir", "chmod", "chown", "dentry", "dir", "dirdeep", "dirmany", "dup", "fcntl", "filename", "flock",
	"fstat", "getdent", "handle", "inode-flags", "inotify", "lease", "link", "locka", "lockf", "lockofd", "mknod",
	"open", "rename", "symlink", "touch", "utime", "xattr",
	"copy-file", "fallocate", "fiemap", "fpunch", "fsize", "hdd", "io", "iomix", "mmap", "msync", "readahead", "revio",
	"seek", "sendfile", "splice", "sync-file",
}

// runStress runs stress-ng's stressors of file systems, a few at a time.
func runStress(t *testing.T, c *client) {
	seconds := 1
	if *long {
		seconds = 10
	}
	for group := range slices.Chunk(stressors, 23) {
		args := []string{"--temp-path", c.dir, "--verify", "--timeout", fmt.Sprint(seconds, "s")}
		for _, s := range group {
			args = append(args, "--"+s, "1")
		}
		args = append(args, "--copy-file-bytes", "128m")
		for _, s := range []string{"fallocate", "fiemap", "hdd", "iomix", "mmap", "readahead", "sync-file"} {
			args = append(args, "--"+s+"-bytes", "16m")
		}
		c.run(t, c.host, "stress-ng", args...)
	}
	wantEmpty(t, c.dir)
}

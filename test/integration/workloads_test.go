package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// workloadTimeout is how long a single foreign program may take before it counts as hung. The longest takes a fifth.
const workloadTimeout = 3 * time.Minute

var goroot = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	return strings.TrimSpace(string(out)), err
})

// goSource is the foreign tree that is copied about: all of the Go source (12 800 entries, 157 MB), or its run time.
func goSource(t *testing.T, all bool) string {
	t.Helper()
	root, err := goroot()
	if err != nil {
		t.Fatal(err)
	}
	if all {
		return filepath.Join(root, "src")
	}
	return filepath.Join(root, "src", "runtime")
}

// runCopy copies a tree into the mount, compares and removes it. A smaller one is then copied within the mount by hard
// links, moved, stripped of its first names and compared again.
func runCopy(t *testing.T, c *client) {
	src := goSource(t, c.whole)
	c.run(t, c.dir, "cp", "-a", src, "copy")
	c.run(t, c.dir, "diff", "-r", "--no-dereference", src, "copy")
	if want, got := countEntries(t, src), countEntries(t, filepath.Join(c.dir, "copy")); want != got {
		t.Errorf("%d entries copied, %d found", want, got)
	}
	part, copied := src, "copy"
	if c.whole {
		part, copied = goSource(t, false), filepath.Join("copy", "runtime")
	}
	c.run(t, c.dir, "cp", "-al", copied, "linked")
	c.run(t, c.dir, "mv", "linked", "moved")
	c.run(t, c.dir, "rm", "-r", "copy")
	c.run(t, c.dir, "diff", "-r", "--no-dereference", part, "moved")
	c.run(t, c.dir, "rm", "-r", "moved")
	wantEmpty(t, c.dir)
}

func countEntries(t *testing.T, dir string) int {
	t.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(string, os.DirEntry, error) error { n++; return nil })
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func wantEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		t.Errorf("%s should be empty: %v, %v", dir, entries, err)
	}
}

// runTar packs a tree into an archive in the mount, unpacks it there, and sends it back out through a pipe.
func runTar(t *testing.T, c *client) {
	src := goSource(t, false)
	c.run(t, c.dir, "tar", "-cf", "a.tar", "-C", src, ".")
	c.run(t, c.dir, "mkdir", "in")
	c.run(t, c.dir, "tar", "-xpf", "a.tar", "-C", "in")
	c.run(t, c.dir, "diff", "-r", "--no-dereference", src, "in")
	c.run(t, c.dir, "tar", "-df", "a.tar", "-C", "in") // modes, owners and times too
	c.run(t, c.dir, "bash", "-o", "pipefail", "-c", `tar -cz -C "$1" . | tar -xz -C "$2"`, "tar", "in", c.host)
	c.run(t, c.dir, "diff", "-r", "--no-dereference", "in", c.host)
}

// runGit takes a repository through its life. The files are those of this project and of Go's tests for go/types.
func runGit(t *testing.T, c *client) {
	git := func(dir string, args ...string) string {
		t.Helper()
		return c.run(t, filepath.Join(c.dir, dir), "git", args...)
	}
	copyProject(t, c, filepath.Join(c.dir, "work", "project"))
	c.run(t, c.dir, "cp", "-a", filepath.Join(filepath.Dir(goSource(t, false)), "internal", "types"), "work/types")
	git("work", "init", "-q", "-b", "main")
	git("work", "add", "-A")
	git("work", "commit", "-q", "-m", "one")
	c.run(t, c.dir, "bash", "-c", `cd work && for f in $(git ls-files | head -50); do echo change >>"$f"; done`)
	git("work", "commit", "-q", "-a", "-m", "two")
	git("work", "mv", "types", "moved")
	git("work", "commit", "-q", "-m", "three")
	git("work", "checkout", "-q", "-b", "side", "HEAD~1")
	git("work", "rm", "-rq", "project")
	git("work", "commit", "-q", "-m", "side")
	git("work", "checkout", "-q", "main")
	if out := git("work", "status", "--porcelain"); out != "" {
		t.Errorf("git status after checkout:\n%s", out)
	}
	git("work", "gc", "-q", "--aggressive") // packs are read by mmap
	git("work", "fsck", "--full", "--strict")
	git(".", "clone", "-q", "work", "linked")             // hard links
	git(".", "clone", "-q", "--no-local", "work", "sent") // through the pack protocol
	for _, dir := range []string{"linked", "sent"} {
		git(dir, "fsck", "--full", "--strict")
		if out := git(dir, "log", "--format=%s"); strings.Fields(out)[0] != "three" {
			t.Errorf("git log of %s: %q", dir, out)
		}
	}
	c.run(t, c.dir, "diff", "-r", "-x", ".git", "work", "sent")
}

// copyProject copies the Go files of this repository, and what they embed, committed or not.
func copyProject(t *testing.T, c *client, dst string) {
	t.Helper()
	c.run(t, c.dir, "mkdir", "-p", dst)
	c.run(t, repoRoot, "bash", "-o", "pipefail", "-c",
		`find . -name .git -prune -o -name bin -prune -o -type f \
		\( -name '*.go' -o -name 'go.*' -o -name '*.s' -o -name '*.txt' -o -name '*.html' \) -print0 |
		tar -c --null -T - | tar -x -C "$1"`, "copy", dst)
}

// runBuild compiles a part of this project inside the mount, its caches and temporary files included. The compiler
// writes its output by mmap, and so does the linker. In short mode it is one package.
func runBuild(t *testing.T, c *client) {
	src, cache, tmp := filepath.Join(c.dir, "src"), filepath.Join(c.dir, "cache"), filepath.Join(c.dir, "tmp")
	copyProject(t, c, src)
	c.run(t, c.dir, "mkdir", tmp)
	if c.long {
		c.run(t, c.dir, "mkdir", cache)
	} else {
		seed, err := seedCache()
		if err != nil {
			t.Fatal(err)
		}
		c.run(t, c.dir, "cp", "-a", seed, cache)
	}
	env := []string{"GOCACHE=" + cache, "GOTMPDIR=" + tmp, "GOFLAGS=-buildvcs=false", "GOTELEMETRY=off"}
	run := func(name string, args ...string) {
		t.Helper()
		j := start(t, src, env, name, args...)
		j.onHang = c.onHang
		j.mustEnd(t, workloadTimeout)
	}
	run("go", "build", buildPackages())
	if c.long {
		run("go", "build", "-o", filepath.Join(c.dir, "demo"), "./app/demo")
		run(filepath.Join(c.dir, "demo"), "-h")
		run("go", "vet", "./mempool")
	}
	wantEmpty(t, tmp)
}

// buildPackages is what runBuild builds; with -long all that programs need, which takes a while.
func buildPackages() string {
	switch {
	case testing.Short():
		return "./mempool"
	case *long:
		return "./..."
	}
	return "./transport/..."
}

// seedCache returns a build cache that holds the standard library as far as runBuild needs it.
var seedCache = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(scratch, "gocache")
	cmd := exec.Command("bash", "-o", "pipefail", "-c",
		`go list -pgo=off -deps "$2" | grep -v '^[^/]*\.' | GOCACHE="$1" xargs go build`, "seed", dir, buildPackages())
	cmd.Dir = repoRoot
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the standard library: %w\n%s", err, out)
	}
	return dir, nil
})

// sqliteWriters is how many processes write to the database at once, sqliteRows how many rows each of them inserts.
const (
	sqliteWriters = 3
	sqliteRows    = 60
)

// runSqlite has several processes write to a database with a write-ahead log, whose index they share by mmap.
func runSqlite(t *testing.T, c *client) {
	db := filepath.Join(c.dir, "test.db")
	sql := func(text string) string {
		t.Helper()
		return strings.TrimSpace(c.run(t, c.dir, "sqlite3", "-bail", db, text))
	}
	if got := sql("PRAGMA journal_mode=WAL; CREATE TABLE t(writer INT, n INT, v BLOB, UNIQUE(writer, n));"); got != "wal" {
		t.Fatalf("journal_mode: %q", got)
	}
	sql(`INSERT INTO t SELECT 0, value, randomblob(1000) FROM generate_series(1, 2000);`)
	var jobs []*job
	for w := 1; w <= sqliteWriters; w++ {
		var text strings.Builder
		text.WriteString("PRAGMA busy_timeout=60000;\n")
		for n := range sqliteRows {
			fmt.Fprintf(&text, "INSERT INTO t VALUES(%d, %d, randomblob(2000));\n", w, n)
			if n%20 == 10 {
				text.WriteString("PRAGMA wal_checkpoint(PASSIVE);\n")
			}
		}
		jobs = append(jobs, c.start(t, c.dir, "sqlite3", "-bail", db, text.String()))
	}
	reads := 0
	for ; !allDone(jobs); reads++ {
		if got := sql("PRAGMA busy_timeout=60000; PRAGMA quick_check;"); !strings.HasSuffix(got, "ok") {
			t.Errorf("quick_check beside writers: %q", got)
			break
		}
	}
	for _, j := range jobs {
		j.mustEnd(t, workloadTimeout)
	}
	t.Logf("%d reads beside %d writers", reads, sqliteWriters)
	for _, after := range []string{"", "PRAGMA wal_checkpoint(TRUNCATE);", "VACUUM;", "PRAGMA journal_mode=DELETE;"} {
		sql(after)
		if got := sql("PRAGMA integrity_check;"); got != "ok" {
			t.Errorf("integrity_check after %q: %q", after, got)
		}
		want := fmt.Sprint(2000 + sqliteWriters*sqliteRows)
		if got := sql("SELECT count(*) FROM t;"); got != want {
			t.Errorf("rows after %q: %s, want %s", after, got, want)
		}
	}
}

func allDone(jobs []*job) bool {
	for _, j := range jobs {
		if !j.wait(0) {
			return false
		}
	}
	return true
}

// runFio has fio write patterns at random with four jobs at once and verify them, by system calls of mixed sizes, by
// mmap, and past the page cache.
func runFio(t *testing.T, c *client) {
	size := "24m"
	if c.long {
		size = "96m"
	}
	jobs := []struct {
		name string
		args []string
	}{
		{"write-verify", []string{"--rw=randwrite", "--bssplit=512/10:4k/40:13k/10:64k/20:1m/20", "--ioengine=psync"}},
		{"mixed", []string{"--rw=randrw", "--bssplit=4k/50:64k/40:256k/10", "--ioengine=psync", "--fsync=64"}},
		{"mmap", []string{"--rw=randwrite", "--bs=4k", "--ioengine=mmap", "--size=8m"}},
		{"direct", []string{"--rw=randwrite", "--bs=16k", "--ioengine=libaio", "--iodepth=16", "--direct=1"}},
		{"overwrite", []string{"--rw=write", "--bs=128k", "--ioengine=psync", "--loops=2"}},
	}
	for _, j := range jobs {
		args := append([]string{
			"--name=" + j.name, "--directory=" + c.dir, "--size=" + size, "--numjobs=4", "--group_reporting",
			"--verify=crc32c", "--verify_fatal=1", "--do_verify=1", "--randseed=1", "--thread=0", "--fallocate=none",
		}, j.args...)
		c.run(t, c.host, "fio", args...)
		c.run(t, c.dir, "bash", "-c", "rm -f *")
	}
}

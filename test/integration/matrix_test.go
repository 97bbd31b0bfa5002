package integration

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// client is what a workload gets: a fresh directory of the file system under test, and one elsewhere.
type client struct {
	dir  string // empty, in the file system under test
	host string // empty, on a tmpfs
	cell
	onHang func() // called when a program does not come back
}

// workload is one kind of foreign work.
type workload struct {
	name    string
	run     func(t *testing.T, c *client)
	foreign bool // nothing but programs that nobody here wrote
	heavy   bool // takes too long for the race detector and for directories that are not ours
	whole   bool // only where the cell is whole, or the only one
	full    bool // only where the cell is long, neither in short mode nor under the race detector
	varied  bool // what the cache policy matters most to
}

// now says whether there is time for the workload in this mode.
func (w *workload) now() bool { return !w.full || !testing.Short() && !raceEnabled }

// workloads in order of growing demands, so that the first failure says most.
var workloads = []workload{
	{name: "semantics", run: runSemantics},
	{name: "append", run: runAppend, varied: true},
	{name: "locks", run: runLocks},
	{name: "model", run: runModel},
	{name: "fsx", run: runFsx, varied: true},
	{name: "sqlite", run: runSqlite},
	{name: "fio", run: runFio, foreign: true},
	{name: "tar", run: runTar, foreign: true},
	{name: "git", run: runGit, foreign: true},
	{name: "compile", run: runCompile, foreign: true, full: true},
	{name: "dbench", run: runDbench, foreign: true, full: true},
	{name: "stress", run: runStress, foreign: true, full: true},
	{name: "copy", run: runCopy, foreign: true, heavy: true},
	{name: "build", run: runBuild, foreign: true, heavy: true, whole: true},
}

// TestPlainDirectory runs the workloads where no code of ours is involved: what fails here is the workload's fault.
func TestPlainDirectory(t *testing.T) {
	for _, w := range workloads {
		if w.heavy || w.full && !*long || testing.Short() && w.foreign {
			continue // what foreign programs say about a plain directory matters least
		}
		t.Run(w.name, func(t *testing.T) {
			w.run(t, &client{dir: tmpfsDir(t), host: tmpfsDir(t)})
		})
	}
}

// cell is one way to run spdk_tgt.
type cell struct {
	reactors int
	cache    string
	ring     bool
	// whole copies all of the Go source tree, not only its run time, and builds this project.
	whole bool
	// long has fio and the random walk work for longer and builds from scratch; else std comes built.
	long bool
	// cases makes the calls of all users on all kinds of files.
	cases bool
}

// matrix is 1 and 2 reactors times all cache policies. What takes long runs in one cell or two; in the others it would
// take the same paths once more, as it does with -long.
var matrix = []cell{
	{reactors: 2, cache: "auto", ring: true, whole: true, long: true, cases: true},
	{reactors: 1, cache: "none", cases: true},
	{reactors: 1, cache: "auto", ring: true},
	{reactors: 1, cache: "always", cases: true},
	{reactors: 2, cache: "none"},
	{reactors: 2, cache: "always", ring: true},
}

var long = flag.Bool("long", false, "have every cell of the matrix whole")

// TestMatrix runs every workload on the mounted file system in every cell. In short mode, and under the race detector,
// which is ten times slower and leaves out the heaviest, it is one cell.
func TestMatrix(t *testing.T) {
	needMount(t)
	cells := matrix
	if testing.Short() || raceEnabled {
		cells = []cell{{reactors: 2, cache: "auto", ring: true, cases: true}}
	}
	for _, c := range cells {
		t.Run(fmt.Sprintf("reactors=%d/cache=%s", c.reactors, c.cache), func(t *testing.T) {
			c.whole, c.cases = c.whole || *long, c.cases || *long
			runCell(t, c, targetOptions{reactors: c.reactors, cache: c.cache, ring: c.ring}, func(w *workload) bool {
				if w.full && !c.long && !*long {
					return false
				}
				return w.now() && !(w.heavy && raceEnabled || w.whole && !c.whole && len(cells) > 1)
			})
		})
	}
}

// aioMatrix is the same for a directory of the host. Only the first cell runs all workloads but the heaviest; with
// -long every one runs them all, except the one whose sandbox keeps CAP_SYS_ADMIN from spdk_tgt, and with it the
// attributes that are root's.
var aioMatrix = []aioCell{
	{cell: cell{reactors: 2, cache: "auto", ring: true, cases: true}},
	{cell: cell{reactors: 1, cache: "none", ring: true}},
	{cell: cell{reactors: 1, cache: "auto"}, contained: true},
	{cell: cell{reactors: 1, cache: "always"}},
	{cell: cell{reactors: 2, cache: "none"}},
	{cell: cell{reactors: 2, cache: "always"}},
	{cell: cell{reactors: 2, cache: "always", ring: true}, options: ",writeback"},
}

type aioCell struct {
	cell
	options   string // of --aio
	contained bool   // with the sandbox as it is without flags
}

// TestAio runs workloads on directories of the host: one that is in memory, and in the long form one on whatever
// temporary files are on.
func TestAio(t *testing.T) {
	needMount(t)
	places := map[string]string{"tmpfs": tmpfsDir(t)}
	if *long {
		places["disk"] = t.TempDir()
	}
	cells := aioMatrix
	if testing.Short() || raceEnabled {
		cells = cells[:1]
	}
	for place, dir := range places {
		for i, c := range cells {
			name := fmt.Sprintf("%s/reactors=%d/cache=%s%s", place, c.reactors, c.cache, c.options)
			t.Run(name, func(t *testing.T) {
				c.long, c.whole, c.cases = i == 0 && *long, *long, c.cases || *long
				export := filepath.Join(dir, fmt.Sprint(i))
				if err := os.Mkdir(export, 0o755); err != nil {
					t.Fatal(err)
				}
				o := targetOptions{reactors: c.reactors, cache: c.cache, ring: c.ring, export: export + c.options}
				if !c.contained {
					o.extra = []string{"--modcaps", "+sys_admin"}
				}
				runCell(t, c.cell, o, func(w *workload) bool {
					switch {
					case *long && !c.contained:
						return i == 0 || !w.heavy
					case i > 0:
						return w.varied
					}
					return w.now() && !w.heavy && !(raceEnabled && w.foreign)
				})
			})
		}
	}
}

// runCell runs workloads on a mounted file system, each in a directory of its own.
func runCell(t *testing.T, c cell, o targetOptions, wanted func(w *workload) bool) {
	tg := startTarget(t, o)
	for i := range workloads {
		w := &workloads[i]
		if !wanted(w) {
			continue
		}
		ok := t.Run(w.name, func(t *testing.T) {
			dir := filepath.Join(tg.mount, w.name)
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			w.run(t, &client{dir: dir, host: tmpfsDir(t), cell: c, onHang: tg.abandon})
		})
		if !ok && tg.waitExit(0) {
			t.Fatalf("spdk_tgt is gone: %v\n%s", tg.err, tg.output())
		}
	}
	tg.stop(t)
}

// tmpfsDir returns a fresh directory on a tmpfs, which stands for what Linux does.
func tmpfsDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp(tmpfs, scratchPrefix)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// start runs a program in the file system under test.
func (c *client) start(t testing.TB, dir string, name string, args ...string) *job {
	t.Helper()
	j := start(t, dir, nil, name, args...)
	j.onHang = c.onHang
	return j
}

// run runs a program in the file system under test to its end and returns its output.
func (c *client) run(t testing.TB, dir string, name string, args ...string) string {
	t.Helper()
	return c.start(t, dir, name, args...).mustEnd(t, workloadTimeout)
}

// helper runs a helper of this binary as client of the file system under test and returns its output.
func (c *client) helper(t testing.TB, name string, args ...string) string {
	t.Helper()
	return c.startHelper(t, name, args...).mustEnd(t, workloadTimeout)
}

func (c *client) startHelper(t testing.TB, name string, args ...string) *job {
	t.Helper()
	j := startHelper(t, c.host, name, args...)
	j.onHang = c.onHang
	return j
}

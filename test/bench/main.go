// Command bench measures the primitives and the dispatcher on pinned reactors, prints one table
// with the figures of SPDK's C code next to ours, and writes bench.json: an object
// {name: {"ns_per_op": float, "allocs_per_op": int}}. The figures of SPDK are constants from
// another machine, unless -spdk names the program built from the folder spdk: then each run of
// ours has a run of it next to it, and bench.json also says what that took ("spdk_ns_per_op") and
// the ratio ("spdk_ratio").
//
// Everything goes through the public API, with reactors in poll mode on the first two CPUs that
// the process may use (benchmarks of one thread start one reactor). A figure is the median of
// several runs (-runs), each at least -mintime long. Allocations are those of the whole process
// during a run, divided by its operations and rounded.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"regexp"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/reactor"
)

// benchmark is one line of the table.
type benchmark struct {
	name  string
	spdk  float64 // ns per operation of SPDK's C code on a machine of two cores
	cores int     // how many reactors it needs
	// setup prepares the benchmark and returns the function that performs n operations, and
	// the one that cleans up.
	setup func(e *env) (run func(n int) time.Duration, cleanup func())
}

// figure is what bench.json has for a benchmark.
type figure struct {
	NsPerOp     float64 `json:"ns_per_op"`
	AllocsPerOp int64   `json:"allocs_per_op"`
	SpdkNsPerOp float64 `json:"spdk_ns_per_op,omitzero"` // with -spdk
	SpdkRatio   float64 `json:"spdk_ratio,omitzero"`
	spread      float64 // (slowest - fastest) / median
}

// env is what a benchmark runs in: a framework with one thread on each reactor.
type env struct {
	fw      *reactor.Framework
	cores   []int
	threads []*reactor.Thread
}

func newEnv(cores []int) *env {
	return startEnv(reactor.Options{Cores: cores, Mode: reactor.ModePoll})
}

func startEnv(o reactor.Options) *env {
	e := &env{cores: o.Cores}
	var err error
	e.fw, err = reactor.NewFramework(o)
	check(err)
	check(e.fw.Start())
	for _, core := range o.Cores {
		e.threads = append(e.threads, e.newThread(core))
	}
	return e
}

func (e *env) newThread(core int) *reactor.Thread {
	t, err := e.fw.CreateThread("", reactor.NewCpuset(core))
	check(err)
	return t
}

// on runs fn on a thread and waits for it.
func (e *env) on(t *reactor.Thread, fn func(t *reactor.Thread)) {
	if errno := app.Call(t, fn); errno != 0 {
		check(errno)
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func main() {
	runs := flag.Int("runs", 7, "runs per benchmark; the median counts")
	minTime := flag.Duration("mintime", 120*time.Millisecond, "least duration of a run")
	out := flag.String("o", "bench.json", "file to write the figures to")
	only := flag.String("run", "", "regular expression: only these benchmarks")
	profile := flag.String("cpuprofile", "", "file to write a CPU profile to")
	spdk := flag.String("spdk", "", "program that measures SPDK's C code, to alternate with (see test/bench/spdk)")
	scale := flag.String("scale", "", "file to write the cost against the number of things to, instead of the table")
	flag.Parse()
	filter, err := regexp.Compile(*only)
	check(err)
	allowed, err := app.AllowedCPUs()
	check(err)
	cpus := allowed.CPUs()
	if len(cpus) < 2 {
		check(fmt.Errorf("two CPUs are needed, and the process may use only %v", cpus))
	}
	// One P per reactor, and two for the runtime, as in an application.
	runtime.GOMAXPROCS(max(4, runtime.GOMAXPROCS(0)))

	if *profile != "" {
		f, err := os.Create(*profile)
		check(err)
		check(pprof.StartCPUProfile(f))
		defer pprof.StopCPUProfile()
	}

	if *scale != "" {
		measureScale(*scale, cpus[0], *runs, *minTime)
		return
	}

	var other *peer
	if *spdk != "" {
		other = &peer{program: *spdk, minTime: *minTime, cpus: cpus[:2]}
	}
	var chosen []*series
	for i := range benchmarks {
		if b := &benchmarks[i]; filter.MatchString(b.name) {
			chosen = append(chosen, &series{benchmark: b, cores: cpus[:b.cores]})
		}
	}
	// Round by round, so that a while in which the machine is slow spoils some runs of each
	// benchmark and not all runs of some.
	for i := range *runs {
		fmt.Fprintf(os.Stderr, "run %d of %d\n", i+1, *runs)
		for _, s := range chosen {
			check(s.measureWith(other, *minTime, i))
		}
	}

	figures := map[string]figure{}
	for _, s := range chosen {
		figures[s.name] = s.figure()
	}
	if other == nil {
		printTable(chosen)
	} else {
		printPeerTable(chosen)
	}
	fmt.Printf("here: %s, %s\n", cpuModel(), app.VersionString())
	fmt.Printf("the least that a round trip between the two cores takes here, with two bare atomics: %.0f ns\n",
		float64(coreRoundTrip(cpus[:2]).Nanoseconds()))
	text, err := json.MarshalIndent(figures, "", "  ")
	check(err)
	check(os.WriteFile(*out, append(text, '\n'), 0o644))
}

func printTable(list []*series) {
	fmt.Printf("%-26s %9s %9s %8s %11s %9s %7s\n", "", "ns/op", "best", "spread", "allocs/op", "SPDK C", "ratio")
	for _, s := range list {
		f := s.figure()
		fmt.Printf("%-26s %9.1f %9.1f %7.0f%% %11d %9.1f %6.2fx\n",
			s.name, f.NsPerOp, slices.Min(s.ns), 100*f.spread, f.AllocsPerOp, s.spdk, f.NsPerOp/s.spdk)
	}
	fmt.Printf("\nratio: our time over that of SPDK's C code, as measured on another machine of two cores\n")
}

// series is the runs of a benchmark.
type series struct {
	*benchmark
	cores      []int
	n          int // operations per run
	ns, allocs []float64
	peerNs     []float64 // of SPDK's C code, in the same rounds
}

// measure sets the benchmark up afresh and runs it once.
func (s *series) measure(minTime time.Duration) {
	e := newEnv(s.cores)
	run, cleanup := s.setup(e)
	if s.n == 0 {
		s.n = calibrate(run, minTime)
	} else {
		run(max(1, s.n/20)) // to warm up
	}
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	d := run(s.n)
	runtime.ReadMemStats(&after)
	s.ns = append(s.ns, float64(d.Nanoseconds())/float64(s.n))
	s.allocs = append(s.allocs, float64(after.Mallocs-before.Mallocs)/float64(s.n))
	cleanup()
	e.fw.Stop()
}

func (s *series) figure() figure {
	med := median(s.ns)
	f := figure{
		NsPerOp:     math.Round(med*100) / 100,
		AllocsPerOp: int64(math.Round(median(s.allocs))),
		spread:      (slices.Max(s.ns) - slices.Min(s.ns)) / med,
	}
	if len(s.peerNs) > 0 {
		f.SpdkNsPerOp = math.Round(median(s.peerNs)*100) / 100
		f.SpdkRatio = math.Round(median(s.ratios())*100) / 100
	}
	return f
}

// calibrate finds how many operations take minTime, and a little more.
func calibrate(run func(n int) time.Duration, minTime time.Duration) int {
	n := 1000
	for {
		d := run(n)
		if d >= minTime {
			return n
		}
		grow := 1.2 * float64(minTime) / float64(max(d, time.Microsecond))
		n = int(float64(n)*min(grow, 100)) + 1
	}
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	if len(v)%2 == 1 {
		return v[len(v)/2]
	}
	return (v[len(v)/2-1] + v[len(v)/2]) / 2
}

func cpuModel() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// Command jitter measures how regularly a pinned reactor gets round: the distribution of the
// gaps, and for the largest what they were spent on.
//
//	jitter -t 5
//	jitter -m 0x2 -t 5 --busy
//
// In poll mode a gap is the time between two calls of a poller that runs every round; in hybrid
// mode, where the reactor sleeps between, it is how late a timed poller of 1 ms comes. Either is
// measured for -t seconds while nothing else happens, and while a goroutine allocates as fast as
// it can, which keeps the garbage collector busy; with --busy there is a goroutine that never
// rests for every CPU besides.
//
// A gap of at least --gap is looked into: what the kernel says about the reactor's OS thread
// (context switches, time in the run queue, time asleep), pauses of the garbage collector, and
// time that the hypervisor took. --slow adds a callback that takes too long, to see what that
// looks like.
//
// Not in SPDK, where only the kernel and the hypervisor take a reactor's CPU away.
package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/app/perf/internal/cli"
	"github.com/spdk-go/spdk-go/reactor"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// config is what the command line says besides -m and -t.
type config struct {
	busy bool
	gap  time.Duration
	slow time.Duration
	top  int
}

// scenario is one line of the table.
type scenario struct {
	mode reactor.Mode
	gc   bool // a goroutine allocates
}

func (s scenario) load() string {
	if s.gc {
		return "GC"
	}
	return "idle"
}

// run is main with its surroundings passed in.
func run(args []string, stdout, stderr io.Writer) int {
	prog := cli.New("jitter", "Measure how regularly a pinned reactor gets round, and say what kept it.",
		stdout, stderr)
	var cfg config
	prog.BoolVar(&cfg.busy, "busy", false, "run a goroutine that never rests for every CPU")
	gap := prog.Float64("gap", 10, "look into gaps of this many `MICROSECONDS` or more")
	slow := prog.Float64("slow", 0, "have a callback take this many `MICROSECONDS`, 20 times a second")
	prog.IntVar(&cfg.top, "top", 3, "`NUMBER` of gaps to explain in each case, up to 100")
	code, ok := prog.Parse(args, func() error {
		switch {
		case *gap < 1 || *slow < 0:
			return fmt.Errorf("--gap must be 1 or more, and --slow not negative")
		case cfg.top < 0 || cfg.top > maxTop:
			return fmt.Errorf("--top must be from 0 to %d", maxTop)
		case prog.CPUMask != nil && prog.CPUMask.Count() != 1:
			return fmt.Errorf("-m %s is not a mask of one CPU", prog.CPUMask)
		}
		return nil
	})
	if !ok {
		return code
	}
	cfg.gap = time.Duration(*gap * float64(time.Microsecond))
	cfg.slow = time.Duration(*slow * float64(time.Microsecond))
	return measureAll(prog, &cfg)
}

func measureAll(prog *cli.Program, cfg *config) int {
	w := prog.Stdout
	fmt.Fprintf(w, "%g s each, %d CPUs, %s\n", prog.Seconds(), runtime.NumCPU(), app.VersionString())
	if cfg.busy {
		fmt.Fprintf(w, "with %d goroutines that never rest\n", runtime.NumCPU())
	}
	fmt.Fprintf(w, "\n%-7s %-5s %10s | %8s %8s %8s %9s | %8s %8s %9s %9s %8s\n", "", "", "",
		"gaps, µs", "", "", "", "GC", "switches", "", "run queue", "steal")
	fmt.Fprintf(w, "%-7s %-5s %10s | %8s %8s %8s %9s | %8s %8s %9s %9s %8s\n", "mode", "load", "samples",
		"p50", "p99", "p99.9", "max", "cycles", "parked", "preempted", "µs", "ms")
	var reports []*report
	for _, mode := range []reactor.Mode{reactor.ModePoll, reactor.ModeHybrid} {
		for _, gc := range []bool{false, true} {
			r, code := measure(prog, cfg, scenario{mode, gc})
			if code != cli.ExitOK {
				return code
			}
			r.line(w)
			reports = append(reports, r)
			if r.aborted {
				return cli.ExitOK
			}
		}
	}
	for _, r := range reports {
		r.explain(w)
	}
	return cli.ExitOK
}

// measure runs one scenario.
func measure(prog *cli.Program, cfg *config, s scenario) (*report, int) {
	runtime.GC() // what was before is not to be paid for here
	p := newProbe(cfg, s.mode)
	gcs := &gcLog{}
	gcs.begin()
	cpu := 0
	result := prog.Run(cli.Test{
		Mode: s.mode,
		Begin: func(t *reactor.Thread, a *app.App) {
			cpu = t.Reactor().Core()
			startLoads(a, cfg, s, gcs)
			p.begin(t)
		},
		End: func(*reactor.Thread) { p.end() },
	})
	if result.Code != cli.ExitOK {
		return nil, result.Code
	}
	gcs.end(cpu)
	return &report{scenario: s, probe: p, gcs: gcs, aborted: result.Aborted}, cli.ExitOK
}

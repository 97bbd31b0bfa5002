package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/reactor"
)

// scaleSeries is the cost of something against how many there are.
type scaleSeries struct {
	Name   string       `json:"name"`
	Title  string       `json:"title"` // what an operation is
	Of     string       `json:"of"`    // what there are n of
	Points []scalePoint `json:"points"`

	most int // of n
	// setup prepares n items and returns the function that performs a number of operations,
	// and the one that cleans up.
	setup func(core, n int) (run func(ops int) time.Duration, cleanup func())
}

// scalePoint is a point of the curve.
type scalePoint struct {
	N  int     `json:"n"`
	Ns float64 `json:"ns"` // per operation, the best of the runs
}

// scaleFile is what -scale writes.
type scaleFile struct {
	CPU    string         `json:"cpu"`
	CPUs   int            `json:"cpus"`
	Built  string         `json:"built"` // release, Go version and platform
	Runs   int            `json:"runs"`
	Series []*scaleSeries `json:"series"`
}

// counts are the values of n: 1, 2, 5, 10 and so on.
func counts(most int) (n []int) {
	for decade := 1; decade <= most; decade *= 10 {
		for _, digit := range []int{1, 2, 5} {
			if digit*decade <= most {
				n = append(n, digit*decade)
			}
		}
	}
	return n
}

// measureScale measures every series and writes them to a file.
func measureScale(name string, core, runs int, minTime time.Duration) {
	file := scaleFile{CPU: cpuModel(), CPUs: runtime.NumCPU(), Built: app.VersionString(), Runs: runs}
	for i := range scaling {
		s := scaling[i]
		for _, n := range counts(s.most) {
			s.Points = append(s.Points, scalePoint{N: n, Ns: math.Inf(1)})
		}
		file.Series = append(file.Series, &s)
	}
	// Round by round, for the same reason as the other benchmarks.
	for i := range runs {
		fmt.Fprintf(os.Stderr, "run %d of %d\n", i+1, runs)
		for _, s := range file.Series {
			for k := range s.Points {
				p := &s.Points[k]
				p.Ns = min(p.Ns, s.measure(core, p.N, minTime))
			}
		}
	}
	for _, s := range file.Series {
		first, last := s.Points[0], s.Points[len(s.Points)-1]
		most := slices.MaxFunc(s.Points, func(a, b scalePoint) int { return int(a.Ns - b.Ns) })
		fmt.Printf("%-26s %9.1f ns for 1, %9.1f ns for each of %5d, at most %9.1f ns (for %d)\n",
			s.Name, first.Ns, last.Ns, last.N, most.Ns, most.N)
		for k := range s.Points {
			s.Points[k].Ns = math.Round(s.Points[k].Ns*10) / 10
		}
	}
	text, err := json.MarshalIndent(&file, "", "  ")
	check(err)
	check(os.WriteFile(name, append(text, '\n'), 0o644))
}

// measure returns the nanoseconds of an operation with n items.
func (s *scaleSeries) measure(core, n int, minTime time.Duration) float64 {
	run, cleanup := s.setup(core, n)
	defer cleanup()
	ops := calibrate(run, minTime/4)
	runtime.GC()
	best := math.Inf(1)
	for range 3 {
		best = min(best, float64(run(ops).Nanoseconds())/float64(ops))
	}
	return best
}

// scaleEnv is newEnv with rings that 1000 threads have memory for.
func scaleEnv(core int) *env {
	return startEnv(reactor.Options{Cores: []int{core}, Mode: reactor.ModePoll, MsgRingSize: 64})
}

// stepClock is a clock of 1 GHz that moves when told, for threads that are polled by hand.
type stepClock struct{ now uint64 }

func (c *stepClock) Ticks() uint64   { return c.now }
func (c *stepClock) TicksHz() uint64 { return 1e9 }

// byHand returns a framework without reactors and its threads: what they are asked to do is
// done by the caller, in rounds of just the threads that matter.
func byHand(threads int) (*reactor.Framework, []*reactor.Thread, *stepClock) {
	clock := &stepClock{now: 1}
	fw, err := reactor.NewFramework(reactor.Options{Clock: clock, MsgRingSize: 64})
	check(err)
	list := make([]*reactor.Thread, threads)
	for i := range list {
		list[i], err = fw.CreateThread("", nil)
		check(err)
	}
	return fw, list, clock
}

// timed measures a loop of the caller.
func timed(loop func(ops int)) func(ops int) time.Duration {
	return func(ops int) time.Duration {
		start := time.Now()
		loop(ops)
		return time.Since(start)
	}
}

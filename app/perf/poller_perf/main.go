// Command poller_perf measures what the call of a poller costs, with its share of the
// reactor's round.
//
//	poller_perf -b 1000 -t 5
//
// Flags and output are those of SPDK's program: -b is how many pollers there are, -l their
// period in microseconds (0 means every round), -t the time in seconds, -m the core.
//
// SPDK: test/thread/poller_perf
package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/app/perf/internal/cli"
	"github.com/spdk-go/spdk-go/reactor"
)

const maxPollers = 1000

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// perf is the measurement. It belongs to the app thread.
type perf struct {
	hz      uint64
	pollers []*reactor.Poller
	before  reactor.ThreadStats
	runs    uint64
	busy    uint64 // ticks
}

// run is main with its surroundings passed in.
func run(args []string, stdout, stderr io.Writer) int {
	prog := cli.New("poller_perf", "Measure what the call of a poller costs.", stdout, stderr)
	count := prog.UintP("pollers", "b", 0, "`NUMBER` of pollers, from 1 to 1000")
	period := prog.Uint32P("period", "l", 0, "`PERIOD` of the pollers in microseconds, 0 for every round")
	code, ok := prog.Parse(args, func() error {
		if *count == 0 || *count > maxPollers {
			return fmt.Errorf("-b %d: the number of pollers must be from 1 to %d", *count, maxPollers)
		}
		return nil
	})
	if !ok {
		return code
	}
	fmt.Fprintf(stdout, "Running %d pollers for %g seconds with %d microseconds period.\n",
		*count, prog.Seconds(), *period)
	p := &perf{}
	result := prog.Run(cli.Test{
		Mode: reactor.ModePoll,
		Begin: func(t *reactor.Thread, a *app.App) {
			p.hz = a.Framework().TicksHz()
			for range *count {
				every := time.Duration(*period) * time.Microsecond
				p.pollers = append(p.pollers, t.RegisterPoller("poller_run", pollerRun, p, every))
			}
			p.before = t.Stats()
		},
		End: func(t *reactor.Thread) {
			p.busy = t.Stats().BusyTicks - p.before.BusyTicks
			for _, poller := range p.pollers {
				poller.Unregister()
			}
		},
	})
	if result.Code == cli.ExitOK {
		p.report(stdout)
	}
	return result.Code
}

func pollerRun(_ *reactor.Thread, ctx any) reactor.PollerResult {
	ctx.(*perf).runs++
	return reactor.Busy
}

// report prints what SPDK prints, its carriage returns included. Other than SPDK's, the
// statistics of a thread are up to 10 ms old.
func (p *perf) report(w io.Writer) {
	cost := p.busy / max(1, p.runs)
	fmt.Fprintf(w, "\r ======================================\n")
	fmt.Fprintf(w, "\r busy:%d (cyc)\n", p.busy)
	fmt.Fprintf(w, "\r total_run_count: %d\n", p.runs)
	fmt.Fprintf(w, "\r tsc_hz: %d (cyc)\n", p.hz)
	fmt.Fprintf(w, "\r ======================================\n")
	fmt.Fprintf(w, "\r poller_cost: %d (cyc), %d (nsec)\n", cost, cost*1e9/max(1, p.hz))
}

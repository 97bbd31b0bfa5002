// Command reactor_perf measures the rounds of one reactor that has events: each event sends
// another to the reactor itself, until the time is over.
//
//	reactor_perf -q 1 -t 5
//
// Flags and output are those of SPDK's program: -q is how many events there are, -t the time
// in seconds.
//
// SPDK: test/event/reactor_perf
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/app/perf/internal/cli"
	"github.com/spdk-go/spdk-go/reactor"
)

// maxDepth is how many events a reactor has room for.
const maxDepth = 4096

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// perf is the measurement. It belongs to the one reactor.
type perf struct {
	events uint64
	ended  bool
}

// run is main with its surroundings passed in.
func run(args []string, stdout, stderr io.Writer) int {
	prog := cli.New("reactor_perf", "Send events from a reactor to itself and count them.", stdout, stderr)
	depth := prog.UintP("queue-depth", "q", 1, "how many events there are, `DEPTH`")
	code, ok := prog.Parse(args, func() error {
		switch {
		case *depth > maxDepth:
			return fmt.Errorf("-q %d is more than a reactor has room for, %d", *depth, maxDepth)
		case prog.CPUMask != nil && prog.CPUMask.Count() != 1:
			return fmt.Errorf("-m %s is not a mask of one CPU", prog.CPUMask)
		}
		return nil
	})
	if !ok {
		return code
	}
	fmt.Fprintln(stdout, "test_start")
	p := &perf{}
	result := prog.Run(cli.Test{
		Mode: reactor.ModePoll,
		Begin: func(t *reactor.Thread, _ *app.App) {
			for range *depth {
				submitNext(t.Reactor(), p, nil)
			}
		},
		End: func(*reactor.Thread) { p.ended = true },
	})
	if result.Code != cli.ExitOK {
		return result.Code
	}
	if result.Aborted {
		fmt.Fprintln(stdout, "test_abort")
	} else {
		fmt.Fprintln(stdout, "test_end")
	}
	fmt.Fprintf(stdout, "Performance: %8d events per second\n", result.Rate(p.events))
	return cli.ExitOK
}

func submitNext(r *reactor.Reactor, arg1, _ any) {
	p := arg1.(*perf)
	if p.ended {
		return
	}
	p.events++
	if errno := r.SendEventFrom(r, submitNext, p, nil); errno != 0 {
		panic(fmt.Sprintf("reactor_perf: sending an event: %v", errno))
	}
}

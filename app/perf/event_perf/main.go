// Command event_perf measures events from core to core: each core starts with four, and each
// event sends another to the next core, until the time is over.
//
//	event_perf -m 0x3 -t 5
//
// Flags and output are those of SPDK's program: -m is the mask of the cores, -t the time in
// seconds, and "lcore N" how many events per second were sent to that core. As there, each event
// reads the clock, which takes about as long as the rest of it.
//
// SPDK: test/event/event_perf
package main

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"syscall"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/app/perf/internal/cli"
	"github.com/spdk-go/spdk-go/reactor"
)

// eventsPerCore is how many events each core starts with.
const eventsPerCore = 4

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// perf is the measurement.
type perf struct {
	cores []*core
	end   uint64 // in ticks
	_     [64]byte
	ended atomic.Bool
	_     [64]byte
}

// core is what a reactor has of the measurement.
type core struct {
	p    *perf
	r    *reactor.Reactor
	next *core  // where its events go
	sent uint64 // to next
	_    [64]byte
}

// run is main with its surroundings passed in.
func run(args []string, stdout, stderr io.Writer) int {
	prog := cli.New("event_perf", "Send events from core to core and count them.", stdout, stderr)
	if code, ok := prog.Parse(args, nil); !ok {
		return code
	}
	fmt.Fprintf(stdout, "Running I/O for %g seconds...", prog.Seconds())
	p := &perf{}
	result := prog.Run(cli.Test{
		Mode: reactor.ModePoll,
		Begin: func(_ *reactor.Thread, a *app.App) {
			fw := a.Framework()
			p.end = fw.Ticks() + uint64(prog.Seconds()*float64(fw.TicksHz()))
			p.begin(fw)
		},
		End: func(*reactor.Thread) { p.ended.Store(true) },
	})
	if result.Code != cli.ExitOK {
		return result.Code
	}
	fmt.Fprintln(stdout)
	for i, c := range p.cores {
		before := p.cores[(i+len(p.cores)-1)%len(p.cores)]
		fmt.Fprintf(stdout, "lcore %2d: %8d\n", c.r.Core(), result.Rate(before.sent))
	}
	fmt.Fprintln(stdout, "done.")
	return cli.ExitOK
}

func (p *perf) begin(fw *reactor.Framework) {
	for _, r := range fw.Reactors() {
		p.cores = append(p.cores, &core{p: p, r: r})
	}
	for i, c := range p.cores {
		c.next = p.cores[(i+1)%len(p.cores)]
	}
	for _, c := range p.cores {
		must(c.r.SendEvent(startCore, c, nil))
	}
}

func startCore(r *reactor.Reactor, arg1, _ any) {
	for range eventsPerCore {
		sendNext(r, arg1, nil)
	}
}

// sendNext sends the next event. arg1 is the core that it runs on.
func sendNext(r *reactor.Reactor, arg1, _ any) {
	c := arg1.(*core)
	if r.Framework().Ticks() > c.p.end || c.p.ended.Load() {
		return
	}
	c.sent++
	must(c.next.r.SendEventFrom(r, sendNext, c.next, nil))
}

// must is for events, of which there are always fewer than a reactor has room for.
func must(errno syscall.Errno) {
	if errno != 0 {
		panic(fmt.Sprintf("event_perf: sending an event: %v", errno))
	}
}

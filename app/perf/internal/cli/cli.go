// Package cli is what the command lines of the programs below app/perf have in common: SPDK's
// -m and -t, exit codes, and the run of an application for the time that -t says.
//
// Errors are reported in one line on the program's standard error. Nothing here runs on a reactor.
package cli

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/reactor"
)

// Exit codes of the programs.
const (
	ExitOK     = 0
	ExitFailed = 1
	ExitUsage  = 2
)

// helpColumns is the narrowest terminal that --help should look well on.
const helpColumns = 80

// Program is a program with its command line.
type Program struct {
	*pflag.FlagSet
	Name           string
	Summary        string // what it does, for --help
	Stdout, Stderr io.Writer

	CPUMask *reactor.Cpuset // nil: the first CPU that the process may use
	Time    time.Duration   // as of -t
}

// New returns a program that has the flags -m and -t. SPDK's times are whole seconds, here
// they may be fractions.
func New(name, summary string, stdout, stderr io.Writer) *Program {
	p := &Program{
		FlagSet: pflag.NewFlagSet(name, pflag.ContinueOnError),
		Name:    name, Summary: summary, Stdout: stdout, Stderr: stderr,
	}
	p.SetOutput(io.Discard)
	p.SortFlags = false
	p.FuncP("cpumask", "m", "CPUs to run a reactor on, as a hex `MASK` or a list, e.g. 0x3 or [0,2-3]",
		func(v string) (err error) {
			p.CPUMask, err = reactor.ParseCpuset(v)
			return err
		})
	p.Lookup("cpumask").DefValue = "the first CPU that the process may use"
	p.FuncP("time", "t", "how long to run, in `SECONDS`", func(v string) error {
		d, err := time.ParseDuration(v + "s")
		if err != nil || d <= 0 {
			return fmt.Errorf("%q is not a number of seconds above zero", v)
		}
		p.Time = d
		return nil
	})
	p.Lookup("time").DefValue = "none, it must be given"
	return p
}

// Parse reads the command line; check (which may be nil) looks at what the flags say. If ok
// is false the program has to end with the code that is returned.
func (p *Program) Parse(args []string, check func() error) (code int, ok bool) {
	err := p.FlagSet.Parse(args)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		fmt.Fprintf(p.Stdout, "Usage: %s [flags]\n\n%s\n\nFlags:\n%s",
			p.Name, p.Summary, p.FlagUsagesWrapped(helpColumns))
		return ExitOK, false
	case err == nil && p.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", p.Arg(0))
	case err == nil && p.Time == 0:
		err = errors.New("-t, the time to run, is missing")
	}
	if err == nil && check != nil {
		err = check()
	}
	if err != nil {
		p.complain(fmt.Errorf("%w (see --help)", err))
		return ExitUsage, false
	}
	return ExitOK, true
}

// Seconds is the time to run as SPDK's programs print it.
func (p *Program) Seconds() float64 { return p.Time.Seconds() }

// Test is a measurement. All its functions run on the app thread, and must not block.
type Test struct {
	Mode reactor.Mode // of the reactors
	// Begin starts to measure.
	Begin func(t *reactor.Thread, a *app.App)
	// End ends it, when the time is over or at SIGINT or SIGTERM. It must see to it that
	// nothing is left on the thread, and that no event begets another.
	End func(t *reactor.Thread)
}

// Result says how a test went.
type Result struct {
	Code    int           // the program's exit code; unless it is ExitOK, nothing else counts
	Took    time.Duration // from Begin to End
	Aborted bool          // by a signal
}

// Rate returns how many of n there were per second, as SPDK's programs print it.
func (r *Result) Rate(n uint64) uint64 { return uint64(float64(n) / r.Took.Seconds()) }

// run is a test under way. It belongs to the app thread.
type run struct {
	Test
	Result
	app   *app.App
	timer *reactor.Poller
	start time.Time
	ended bool
}

// Run runs an application with a test in it, for the time that the command line says.
func (p *Program) Run(test Test) Result {
	r := &run{Test: test}
	err := app.Run(app.Options{
		Name:    p.Name,
		CPUMask: p.CPUMask,
		Mode:    test.Mode,
		Log:     slog.New(slog.NewTextHandler(p.Stderr, nil)),
		Shutdown: func(t *reactor.Thread, a *app.App) {
			r.app, r.Aborted = a, true
			r.end(t)
		},
	}, func(t *reactor.Thread, a *app.App) error {
		if r.ended { // a signal came first
			return nil
		}
		r.app, r.start = a, time.Now()
		r.timer = t.RegisterPoller("test_end", testEnd, r, p.Time)
		test.Begin(t, a)
		return nil
	})
	if err != nil {
		p.complain(err)
		r.Code = ExitFailed
	}
	return r.Result
}

func testEnd(t *reactor.Thread, ctx any) reactor.PollerResult {
	ctx.(*run).end(t)
	return reactor.Busy
}

func (r *run) end(t *reactor.Thread) {
	if r.ended {
		return
	}
	r.ended = true
	if r.timer != nil {
		r.Took = time.Since(r.start)
		r.timer.Unregister()
		r.End(t)
	}
	r.app.Stop(nil)
}

func (p *Program) complain(err error) {
	fmt.Fprintf(p.Stderr, "%s: %s\n", p.Name, strings.ReplaceAll(err.Error(), "\n", "; "))
}

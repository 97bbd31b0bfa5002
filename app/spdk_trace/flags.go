package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"github.com/spdk-go/spdk-go/trace"
)

// config is the command line, checked.
type config struct {
	record bool

	app  string
	pid  int // -1: not given
	id   int // the same
	file string

	filter     filter
	json       bool
	chrome     string
	tsc, delta bool
	all        bool

	quiet    bool
	duration time.Duration // 0: until a signal, or the end of the process
}

// errVersion is what parseArgs returns for --version, as pflag.ErrHelp for --help: there is nothing to run.
var errVersion = errors.New("version wanted")

const (
	helpColumns = 80 // the narrowest terminal that --help should look well on

	recordCommand = "record"
	maxDuration   = 365 * 24 * 3600 // seconds
)

// newFlags returns the flags of the program, or those of its command record, and the configuration that they write to.
func newFlags(record bool) (*pflag.FlagSet, *config) {
	c := &config{record: record, pid: -1, id: -1}
	fs := pflag.NewFlagSet(progName, pflag.ContinueOnError)
	fs.SortFlags = false
	fs.SetInterspersed(false)
	number := func(to *int, name, short, help string) {
		fs.FuncP(name, short, help, func(v string) error {
			n, err := strconv.ParseUint(v, 10, 31)
			if err != nil {
				return fmt.Errorf("%q is not a number", v)
			}
			*to = int(n)
			return nil
		})
	}
	fs.StringVarP(&c.app, "app", "s", "", "`NAME` of the application, e.g. spdk_tgt")
	number(&c.pid, "pid", "p", "`NUMBER` of its process, which may have ended, e.g. 1234")
	number(&c.id, "shm-id", "i", "`NUMBER` that it got with its flag of this name, e.g. 0")
	if record {
		fs.StringVarP(&c.file, "file", "f", "", "new `FILE` to write to, e.g. tgt.trace")
		fs.FuncP("duration", "t", "`SECONDS` to go on for, else until SIGINT, SIGTERM or the end of the process, e.g. 10",
			c.setDuration)
		fs.BoolVarP(&c.quiet, "quiet", "q", false, "say nothing but errors")
	} else {
		fs.StringVarP(&c.file, "file", "f", "", "`FILE` to show, for instance a recorded one, e.g. tgt.trace")
		fs.IntSliceVarP(&c.filter.cores, "core", "c", nil, "show these `CORES` only, e.g. 0,2")
		fs.StringSliceVarP(&c.filter.groups, "group", "g", nil, "show tracepoints of these `GROUPS` only, e.g. fsdev,thread")
		fs.StringSliceVar(&c.filter.tpoints, "tpoint", nil, "show these `TRACEPOINTS` only, e.g. FSDEV_IO_DONE")
		fs.StringVar(&c.filter.owner, "owner", "",
			"show only what belongs to owners with this `TEXT` in their names, e.g. mem0")
		fs.BoolVar(&c.all, "all", false,
			"show, too, what is from before the time from which on all that was recorded is there")
		fs.BoolVarP(&c.tsc, "tsc", "t", false, "print ticks beside the microseconds")
		fs.BoolVarP(&c.delta, "time-diff", "T", false, "print the times since the line before")
		fs.BoolVarP(&c.json, "json", "j", false, "print JSON")
		fs.StringVar(&c.chrome, "chrome", "", "write a `FILE` for https://ui.perfetto.dev or chrome://tracing, e.g. tgt.json")
		fs.BoolFuncP("version", "v", "print the version and exit", func(string) error { return errVersion })
	}
	fs.BoolFuncP("help", "h", "print this and exit", func(string) error { return pflag.ErrHelp })
	return fs, c
}

func (c *config) setDuration(v string) error {
	sec, err := strconv.ParseFloat(v, 64)
	if err != nil || !(sec > 0 && sec <= maxDuration) {
		return fmt.Errorf("%q is not a number of seconds up to %d", v, maxDuration)
	}
	c.duration = time.Duration(sec * float64(time.Second))
	return nil
}

func usage(w io.Writer) {
	show, _ := newFlags(false)
	record, _ := newFlags(true)
	fmt.Fprintf(w, `Usage: %[1]s [flags]
       %[1]s record [flags]

Show what an application has recorded at its tracepoints, while it runs or after
its end. Without -s, -p, -i and -f that is the newest trace in %[2]s. An
application has its tracepoints turned on with its flag --tpoint-group or the
RPC trace_enable_tpoint_group.

Flags:
%[3]s
Follow an application, and write all that it records to a file, which this
program shows. Flags of record:
%[4]s
Example: ten seconds of what is recorded, to look at in a browser:
  %[1]s record -s spdk_tgt -p 1234 -t 10 -f tgt.trace
  %[1]s -f tgt.trace --chrome tgt.json

Exit code: 0 for success, 1 if something failed, 2 for a wrong flag or value.
`, progName, trace.ShmDir, show.FlagUsagesWrapped(helpColumns), record.FlagUsagesWrapped(helpColumns))
}

// parseArgs reads and checks the command line. Errors come without the program's name.
func parseArgs(args []string) (*config, error) {
	record := len(args) > 0 && args[0] == recordCommand
	if record {
		args = args[1:]
	}
	fs, c := newFlags(record)
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q (see --help)", fs.Arg(0))
	}
	return c, c.check()
}

func (c *config) check() error {
	given := c.app != "" || c.pid >= 0 || c.id >= 0
	switch {
	case c.pid >= 0 && c.id >= 0:
		return errors.New("--pid and --shm-id do not go together")
	case c.record && c.file == "":
		return errors.New("record wants a file to write to: -f FILE")
	case !c.record && given && c.file != "":
		return errors.New("--file does not go together with --app, --pid and --shm-id")
	case c.json && c.chrome != "":
		return errors.New("--json and --chrome do not go together")
	}
	return nil
}

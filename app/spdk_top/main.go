// Command spdk_top shows what the threads, pollers, cores and devices of an application do, while they do it.
//
//	spdk_top
//	spdk_top -r /run/tgt.sock --tab fsdevs --sort ops
//	spdk_top --once --tab cores
//
// It reads what SPDK's spdk_top reads, and has its keys; h shows them. An application of SPDK can be looked at as well,
// except for the devices. When the application goes, it waits for the next one at the same socket.
//
// With --once or --batch it prints tables, for scripts. The exit code is 0, or 1 if the application refuses to answer,
// 2 for a wrong command line, and 3 if there is no connection (in --once and --batch; the screen tries again).
//
// SPDK: app/spdk_top
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/gdamore/tcell/v2"
	"github.com/spf13/pflag"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/rpc"
)

const (
	progName      = "spdk_top"
	defaultSocket = "/var/tmp/spdk.sock"
)

// Exit codes.
const (
	exitOK      = 0
	exitRefused = 1
	exitUsage   = 2
	exitLost    = 3
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is main with its surroundings passed in.
func run(args []string, stdout, stderr io.Writer) int {
	fail := func(code int, err error) int {
		fmt.Fprintf(stderr, "%s: %s\n", progName, printable(err.Error()))
		return code
	}
	set, b, err := parseArgs(args, stdout)
	switch {
	case errors.Is(err, errDone):
		return exitOK
	case err != nil:
		return fail(exitUsage, err)
	case b != nil:
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
		defer stop()
		err := b.run(ctx, stdout)
		var refused *rpc.Error
		switch {
		case err == nil, ctx.Err() != nil, errors.Is(err, syscall.EPIPE):
			return exitOK
		case errors.As(err, &refused), errors.Is(err, errNotStarted):
			return fail(exitRefused, err)
		}
		return fail(exitLost, err)
	}
	u, err := newUI(set)
	if err != nil {
		return fail(exitUsage, err)
	}
	screen, err := newScreen()
	if err != nil {
		return fail(exitUsage, fmt.Errorf("%w: see --once and --batch", err))
	}
	if err := u.run(screen); err != nil {
		return fail(exitRefused, err)
	}
	return exitOK
}

// newScreen returns the terminal. One without UTF-8 gets something similar.
func newScreen() (tcell.Screen, error) {
	screen, err := tcell.NewScreen()
	if err != nil {
		return nil, err
	}
	for from, to := range map[rune]string{'µ': "u", '…': "~", '▁': "_", '▂': "_", '▃': ".", '▄': "-", '▅': "=", '▆': "+",
		'▇': "*", '█': "#"} {
		screen.RegisterRuneFallback(from, to)
	}
	return screen, nil
}

// errDone is what parseArgs returns when all that was wanted has been printed.
var errDone = errors.New("done")

// parseArgs reads the command line. b is nil if there shall be a screen.
func parseArgs(args []string, stdout io.Writer) (set *settings, b *batch, err error) {
	set = &settings{}
	flags := pflag.NewFlagSet(progName, pflag.ContinueOnError)
	flags.SortFlags = false
	flags.SetOutput(io.Discard)
	flags.StringVarP(&set.socket, "rpc-socket", "r", defaultSocket, "`path` of the application's RPC socket")
	interval := flags.StringP("interval", "i", "1", "`seconds` between samples, from 0.1 to 255")
	flags.StringVar(&set.tab, "tab", "",
		"`tab` to show: threads, pollers, cores, fsdevs, offcpu, waits; all are printed if this is left out")
	flags.StringVar(&set.sort, "sort", "", "`column` of the tab to sort by: largest first, or by name")
	flags.BoolVar(&set.reverse, "reverse", false, "sort the other way round")
	flags.StringVar(&set.filter, "filter", "", "show rows with this `text` only")
	flags.BoolVar(&set.total, "total", false, "show what was since the start, instead of since the last sample")
	once := flags.Bool("once", false, "print a table and end")
	always := flags.BoolP("batch", "b", false, "print a table after each sample")
	times := flags.IntP("count", "n", 0, "with --batch: end after so many `tables`")
	help := flags.BoolP("help", "h", false, "print this")
	version := flags.Bool("version", false, "print the version")
	switch err := flags.Parse(args); {
	case err != nil:
		return nil, nil, err
	case *help:
		fmt.Fprintf(stdout, "%s [flags]\n\n%s\nKeys:\n\n", progName, flags.FlagUsages())
		for _, k := range keyHelp {
			fmt.Fprintf(stdout, "  %-16s %s\n", k[0], k[1])
		}
		return nil, nil, errDone
	case *version:
		fmt.Fprintf(stdout, "%s: %s\n", progName, app.VersionString())
		return nil, nil, errDone
	case flags.NArg() > 0:
		return nil, nil, fmt.Errorf("what is %q? See --help", flags.Arg(0))
	case *times < 0 || *times > 0 && !*always:
		return nil, nil, errors.New("-n wants --batch, and a number above 0")
	}
	if set.interval, err = parseInterval(*interval); err != nil {
		return nil, nil, fmt.Errorf("--interval %w", err)
	}
	tabs := allTabs()
	if set.tab != "" {
		t, err := tabNamed(set.tab)
		if err != nil {
			return nil, nil, err
		}
		tabs = []*tab{t}
	}
	if set.sort != "" {
		if set.tab == "" {
			return nil, nil, errors.New("--sort wants --tab")
		}
		if _, err := columnNamed(tabs[0].columns, set.sort); err != nil {
			return nil, nil, err
		}
	}
	if *once || *always {
		b = &batch{settings: *set, tabs: tabs, times: *times}
		if *once {
			b.times = 1
		}
		return set, b, nil
	}
	if set.tab == "" {
		set.tab = tabs[0].name
	}
	return set, nil, nil
}

// Command spdk_trace shows what an application has recorded at its tracepoints, while it runs or after its end.
//
//	spdk_trace -s spdk_tgt -p 1234
//	spdk_trace record -s spdk_tgt -p 1234 -f /tmp/tgt.trace
//	spdk_trace -f /tmp/tgt.trace --chrome tgt.json
//
// Flags and output are those of SPDK's spdk_trace, whose files it reads, too; "record" does as its spdk_trace_record.
// --help explains every flag. The exit code is 0, 1 when something failed, and 2 for a wrong flag or value.
//
// SPDK: app/trace, app/trace_record
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/pflag"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/app/appflags"
	"github.com/spdk-go/spdk-go/trace"
)

const progName = "spdk_trace"

// Exit codes.
const (
	exitOK     = appflags.ExitOK
	exitFailed = appflags.ExitFailed
	exitUsage  = appflags.ExitUsage
)

func main() { os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) }

// run is main with its surroundings passed in. What is recorded when ctx ends is written.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	c, err := parseArgs(args)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		usage(stdout)
		return exitOK
	case errors.Is(err, errVersion):
		fmt.Fprintf(stdout, "%s: %s\n", progName, app.VersionString())
		return exitOK
	case err != nil:
		fmt.Fprintf(stderr, "%s: %s\n", progName, appflags.OneLine(err))
		return exitUsage
	}
	if c.record {
		err = c.follow(ctx, stdout, stderr)
	} else {
		err = c.show(stdout, stderr)
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: %s\n", progName, appflags.OneLine(err))
		return exitFailed
	}
	return exitOK
}

// show prints a trace.
func (c *config) show(stdout, stderr io.Writer) error {
	path, err := c.source(stderr)
	if err != nil {
		return err
	}
	f, err := trace.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	list, err := f.Entries(-1, !c.all)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	v := &view{f: f, name: appName(path), entries: c.filter.apply(list), cores: c.filter.cores, printTSC: c.tsc,
		delta: c.delta}
	switch {
	case c.chrome != "":
		return writeFile(c.chrome, v.chrome)
	case c.json:
		return buffered(stdout, v.json)
	}
	return buffered(stdout, v.text)
}

// buffered has write write to w, and returns the first error.
func buffered(w io.Writer, write func(w *bufio.Writer)) error {
	b := bufio.NewWriterSize(w, 1<<16)
	write(b)
	return b.Flush()
}

// writeFile writes a file, or leaves none.
func writeFile(path string, write func(w *bufio.Writer)) error {
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := errors.Join(buffered(out, write), out.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

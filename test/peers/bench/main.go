// Program bench measures spdk_tgt with an exported directory against other file systems in user space that pass a
// directory through, and against the directory itself: the same loads in the same run, one after the other, each in
// the cache mode of the others. make bench-peers runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// config is the command line.
type config struct {
	spdk      string // program
	libfuse   string // directory of programs
	reactors  int
	ioUring   string
	disk      string
	places    string
	modes     string
	lines     *regexp.Regexp
	peers     *regexp.Regexp
	runs      int
	runtime   time.Duration
	spdkFlags string
	quiet     bool
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() (err error) {
	c := &config{lines: regexp.MustCompile(""), peers: regexp.MustCompile("")}
	regex := func(to **regexp.Regexp) func(string) error {
		return func(v string) (err error) {
			*to, err = regexp.Compile(v)
			return err
		}
	}
	flag.StringVar(&c.spdk, "spdk", "../../bin/spdk_tgt", "spdk_tgt")
	flag.StringVar(&c.libfuse, "libfuse", "../../bin/libfuse", "directory with libfuse's examples, see libfuse.sh")
	flag.IntVar(&c.reactors, "reactors", runtime.NumCPU(), "reactors of spdk_tgt")
	flag.StringVar(&c.ioUring, "iouring", "on", "whether requests come to spdk_tgt by io_uring: on, off, auto")
	flag.StringVar(&c.spdkFlags, "spdkflags", "", "more flags of spdk_tgt, separated by blanks")
	flag.StringVar(&c.disk, "disk", os.TempDir(), "directory on a disk's file system")
	flag.StringVar(&c.places, "places", "tmpfs,disk", "what is passed through")
	flag.StringVar(&c.modes, "modes", strings.Join(modes, ","), "cache modes")
	flag.Func("run", "regular expression of lines", regex(&c.lines))
	flag.Func("peers", "regular expression of peers", regex(&c.peers))
	flag.IntVar(&c.runs, "runs", 1, "how often each is measured; the table has the medians")
	flag.DurationVar(&c.runtime, "runtime", time.Second, "of one load")
	flag.BoolVar(&c.quiet, "q", false, "no progress on standard error")
	flag.Parse()
	if os.Geteuid() != 0 {
		return errors.New("mounting wants root")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b, err := newBench(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	for _, p := range strings.Split(c.places, ",") {
		for _, mode := range strings.Split(c.modes, ",") {
			t, err := b.table(ctx, p, mode)
			if err != nil {
				return fmt.Errorf("%s, cache mode %s: %w", p, mode, err)
			}
			t.print(os.Stdout)
		}
	}
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spdk-go/spdk-go/trace"
)

// pollPeriod is how often the rings are looked at: a ring of the default size lasts for 30 ms at a million entries per
// second.
const pollPeriod = 2 * time.Millisecond

// follow records until ctx ends, the time is over, or the process has ended.
//
// SPDK: app/trace_record
func (c *config) follow(ctx context.Context, stdout, stderr io.Writer) (err error) {
	path, err := c.source(stderr)
	if err != nil {
		return err
	}
	// Here, and not at the end, when there is something to lose.
	if _, err := os.Lstat(c.file); err == nil {
		return fmt.Errorf("%s: %w", c.file, syscall.EEXIST)
	}
	f, err := trace.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	r := trace.NewRecorder(f, filepath.Dir(c.file))
	defer r.Close()
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if c.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.duration)
		defer cancel()
	}
	c.sayf(stdout, "following %s\n", path)
	missed, err := c.poll(ctx, r, pidOf(path))
	if err := errors.Join(err, r.Finish(c.file)); err != nil {
		return err
	}
	for _, core := range f.Cores() {
		if n := r.Count(core); n > 0 {
			c.sayf(stdout, "core %d: %d entries\n", core, n)
		}
	}
	if missed > 0 {
		fmt.Fprintf(stderr, "%s: %d entries were overwritten before they could be read: have the application keep more "+
			"(--num-trace-entries)\n", progName, missed)
	}
	c.sayf(stdout, "written to %s\n", c.file)
	return nil
}

func (c *config) poll(ctx context.Context, r *trace.Recorder, pid int) (missed uint64, err error) {
	tick := time.NewTicker(pollPeriod)
	defer tick.Stop()
	for {
		ended := pid > 0 && hasEnded(pid) // before the last look
		_, n, err := r.Poll()
		missed += n
		if err != nil || ended || ctx.Err() != nil {
			return missed, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// hasEnded reports whether there is no such process any more.
func hasEnded(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

func (c *config) sayf(w io.Writer, format string, args ...any) {
	if !c.quiet {
		fmt.Fprintf(w, "%s: "+format, append([]any{progName}, args...)...)
	}
}

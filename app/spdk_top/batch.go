package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

// batch prints tables instead of a screen.
type batch struct {
	settings
	tabs  []*tab
	times int // 0: without end
}

// run prints the tabs, each time for what has happened since the last. The first sample is only to compare with, unless
// all since the start is wanted.
func (b *batch) run(ctx context.Context, w io.Writer) error {
	t := &target{socket: b.socket}
	defer t.close()
	var prev *sample
	for n := 0; b.times == 0 || n < b.times; {
		s, err := t.sample(ctx)
		if err != nil {
			return err
		}
		if prev != nil && prev.pid != s.pid {
			prev = nil
		}
		if prev != nil || b.total {
			if n > 0 {
				if _, err := io.WriteString(w, "\n"); err != nil {
					return err
				}
			}
			n++
			if _, err := io.WriteString(w, b.page(newSpan(prev, s, b.total))); err != nil {
				return err
			}
			if n == b.times {
				return nil
			}
		}
		prev = s
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(b.interval):
		}
	}
	return nil
}

// page writes the tabs one below the other, those that are alone without a title.
func (b *batch) page(s *span) string {
	var out strings.Builder
	for _, t := range b.tabs {
		if len(b.tabs) > 1 {
			if !t.offered(s.cur) {
				continue
			}
			if out.Len() > 0 {
				out.WriteByte('\n')
			}
			fmt.Fprintf(&out, "%s:\n", t.title)
		}
		by := order{reverse: b.reverse}
		if at, err := columnNamed(t.columns, b.sort); err == nil {
			by.column = at
		}
		// A graph has no past here.
		columns, rows := t.columns, arrange(t.columns, t.rows(s, nil), by, b.filter)
		if last := len(columns) - 1; columns[last].graph {
			columns = columns[:last]
		}
		for _, line := range list(columns, rows, s.total) {
			out.WriteString(line)
			out.WriteByte('\n')
		}
	}
	return out.String()
}

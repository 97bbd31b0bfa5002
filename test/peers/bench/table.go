package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
)

// table is what was measured in one place and cache mode.
type table struct {
	place, mode string
	names       []string // of the columns: the directory, spdk_tgt, and its peers
	rows        []row
}

type row struct {
	name, unit string
	values     []float64 // by column; 0: there is none
}

// table mounts, measures and unmounts.
func (b *bench) table(ctx context.Context, place, mode string) (t *table, err error) {
	all, err := b.start(place, mode)
	defer func() {
		for _, m := range all {
			err = errors.Join(err, m.stop(), os.RemoveAll(m.src))
		}
	}()
	if err != nil {
		return nil, err
	}
	t = &table{place: place, mode: mode}
	for _, m := range all {
		t.names = append(t.names, m.name)
		if err := prepare(m); err != nil {
			return nil, err
		}
	}
	for _, l := range loads {
		if l.cached && mode == modeNone || !b.c.lines.MatchString(l.name) {
			continue
		}
		r := row{name: l.name, unit: l.unit}
		samples := make([][]float64, len(all))
		for range b.c.runs {
			for i, m := range all { // in turn, so that what else the machine does hits all alike
				if ctx.Err() != nil {
					return nil, ctx.Err()
				}
				v, err := l.run(b.c, m)
				if err != nil {
					return nil, fmt.Errorf("%s, %s: %w", l.name, m.name, err)
				}
				samples[i] = append(samples[i], v)
			}
		}
		for _, s := range samples {
			r.values = append(r.values, median(s))
		}
		t.rows = append(t.rows, r)
		if !b.c.quiet {
			fmt.Fprintf(os.Stderr, "%s, %s: %s\n", place, mode, l.name)
		}
	}
	return t, nil
}

func median(s []float64) float64 {
	s = slices.Sorted(slices.Values(s))
	return s[len(s)/2]
}

// print writes the table. The last column says how spdk_tgt compares with the best of its peers.
func (t *table) print(w io.Writer) {
	fmt.Fprintf(w, "\n## on %s, cache mode %s\n\n", t.place, t.mode)
	tw := tabwriter.NewWriter(w, 0, 8, 1, ' ', tabwriter.Debug)
	fmt.Fprint(tw, "load")
	for _, n := range t.names {
		fmt.Fprint(tw, "\t ", n)
	}
	fmt.Fprintln(tw, "\t of the directory\t of the best peer\t")
	for _, r := range t.rows {
		fmt.Fprint(tw, r.name)
		for _, v := range r.values {
			fmt.Fprint(tw, "\t ", human(v), r.unit)
		}
		fmt.Fprintln(tw, "\t", t.ratio(r, 0, 1), "\t", t.ratio(r, 2, len(r.values)), "\t")
	}
	tw.Flush()
}

// ratio compares spdk_tgt, if it is there, with the best of the columns from, to.
func (t *table) ratio(r row, from, to int) string {
	i := slices.Index(t.names, peers[0].name)
	if i < 0 || from >= to || to > len(r.values) {
		return "-"
	}
	if best := slices.Max(r.values[from:to]); best > 0 {
		return fmt.Sprintf("%.2f", r.values[i]/best)
	}
	return "-"
}

func human(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.2f M", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%.0f k", v/1e3)
	case v >= 1e3:
		return fmt.Sprintf("%.1f k", v/1e3)
	}
	return fmt.Sprintf("%.0f ", v)
}

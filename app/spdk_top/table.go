package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// level is how much a cell wants to be seen.
type level int

const (
	plain level = iota
	faint
	good
	warm
	hot
)

// busyLevel paints a share of time.
func busyLevel(percent float64) level {
	switch {
	case percent >= 90:
		return hot
	case percent >= 50:
		return warm
	}
	return plain
}

// column is a column of a tab.
type column struct {
	name   string // for --sort
	title  string
	total  string // the title of what has happened since the start, if that is another
	number bool   // sorted by number, the largest first, and flush right
	label  bool   // a number that is a name, so that the smallest comes first
	rank   int    // columns of a high rank make room first on a narrow screen; those of 0 never
	wide   bool   // it takes what room is left
	graph  bool   // its end is what matters
}

// heading is the title in a span.
func (c *column) heading(total bool) string {
	if total && c.total != "" {
		return c.total
	}
	return c.title
}

// cell is what a row has in a column.
type cell struct {
	text  string
	num   float64
	level level
}

// row is one thread, poller, core or device.
type row struct {
	id    string // the same in the next sample
	cells []cell
}

func text(s string) cell { return cell{text: printable(s)} }

func number(n float64, s string) cell { return cell{text: s, num: n} }

func whole(n uint64) cell { return cell{text: fmt.Sprint(n), num: float64(n)} }

func share(p float64) cell { return cell{text: percentage(p), num: p, level: busyLevel(p)} }

// bad is a number that should be 0.
func bad(n float64, s string) cell {
	c := number(n, s)
	if n > 0 {
		c.level = hot
	}
	return c
}

// nothing sorts behind all that is something.
func nothing() cell { return cell{text: noValue, num: -1, level: faint} }

// order is what rows are sorted by.
type order struct {
	column  int
	reverse bool
}

// arrange filters rows by text and sorts them. Rows that are equal stay in the order in which they came, so that they
// do not change places from one sample to the next.
func arrange(columns []column, rows []row, by order, filter string) []row {
	filter = strings.ToLower(filter)
	var kept []row
	for _, r := range rows {
		if filter == "" || r.matches(columns, filter) {
			kept = append(kept, r)
		}
	}
	slices.SortStableFunc(kept, func(a, b row) int {
		if by.column < 0 || by.column >= len(columns) {
			return 0
		}
		x, y := a.cells[by.column], b.cells[by.column]
		c := strings.Compare(x.text, y.text)
		if columns[by.column].number {
			c = cmp.Compare(y.num, x.num)
		}
		if columns[by.column].label {
			c = cmp.Compare(x.num, y.num)
		}
		if by.reverse {
			c = -c
		}
		return c
	})
	return kept
}

// matches says whether one of a row's texts has the filter in it.
func (r *row) matches(columns []column, filter string) bool {
	for i, c := range r.cells {
		if !columns[i].number && !columns[i].graph && strings.Contains(strings.ToLower(c.text), filter) {
			return true
		}
	}
	return false
}

// columnNamed returns the place of the column of that name.
func columnNamed(columns []column, name string) (int, error) {
	var names []string
	for i, c := range columns {
		if c.name == name {
			return i, nil
		}
		if !c.graph {
			names = append(names, c.name)
		}
	}
	return 0, fmt.Errorf("there is no column %q, only %s", name, strings.Join(names, ", "))
}

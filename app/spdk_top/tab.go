package main

import (
	"fmt"
	"strings"
)

// tab is one of the lists.
type tab struct {
	name    string // for --tab
	title   string
	needs   string               // the method without which it is empty
	extra   bool                 // without that method it is not even shown
	note    func(s *span) string // why it is empty, "" if that is as it should be; or nil
	columns []column
	graphed string // the column that the graph is of
	rows    func(s *span, h history) []row
	// details tells more of a row, in lines.
	details func(s *span, id string) (title string, lines []string)
}

// allTabs are the tabs in the order of their numbers; the first three are those of SPDK's spdk_top.
func allTabs() []*tab {
	return []*tab{threadsTab(), pollersTab(), coresTab(), fsdevsTab(), offCPUTab(), waitsTab()}
}

// offered says whether an application has what the tab shows, or should have.
func (t *tab) offered(s *sample) bool { return !t.extra || s != nil && s.methods[t.needs] }

func tabNamed(name string) (*tab, error) {
	var names []string
	for _, t := range allTabs() {
		if t.name == name {
			return t, nil
		}
		names = append(names, t.name)
	}
	return nil, fmt.Errorf("there is no tab %q, only %s", name, strings.Join(names, ", "))
}

// pairs writes names and values as lines.
func pairs(kv ...string) []string {
	width := 0
	for i := 0; i < len(kv); i += 2 {
		width = max(width, len(kv[i]))
	}
	var lines []string
	for i := 0; i+1 < len(kv); i += 2 {
		lines = append(lines, fmt.Sprintf("%-*s  %s", width, kv[i], kv[i+1]))
	}
	return lines
}

// list writes rows below titles as lines.
func list(columns []column, rows []row, total bool) []string {
	widths := naturalWidths(columns, rows)
	line := func(at func(i int) string) string {
		var b strings.Builder
		for i, c := range columns {
			if i > 0 {
				b.WriteString("  ")
			}
			b.WriteString(pad(at(i), widths[i], c.number))
		}
		return strings.TrimRight(b.String(), " ")
	}
	lines := []string{line(func(i int) string { return columns[i].heading(total) })}
	for _, r := range rows {
		lines = append(lines, line(func(i int) string { return r.cells[i].text }))
	}
	return lines
}

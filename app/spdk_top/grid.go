package main

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/tview"
)

// gap is the room between two columns.
const gap = 2

// minWide is what a wide column gets at least, if its text is that long.
const minWide = 10

// graphWidth is what a graph may have.
const (
	minGraph = 10
	maxGraph = 60
)

// cellsOf is how many columns of the screen a text takes.
func cellsOf(s string) int {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return tview.TaggedStringWidth(tview.Escape(s))
		}
	}
	return len(s)
}

// cut returns as much of the beginning of a text as there is room for.
func cut(s string, width int) string {
	for i, r := range s {
		if width -= cellsOf(string(r)); width < 0 {
			return s[:i]
		}
	}
	return s
}

// pad cuts or fills text to a width.
func pad(s string, width int, right bool) string {
	n := cellsOf(s)
	switch {
	case n > width && width > 0:
		s = cut(s, width-1) + "…"
		n = cellsOf(s)
	case n >= width:
		return s
	}
	switch {
	case right:
		return strings.Repeat(" ", width-n) + s
	}
	return s + strings.Repeat(" ", width-n)
}

// naturalWidths are those that columns would have if there was room enough.
func naturalWidths(columns []column, rows []row) []int {
	widths := make([]int, len(columns))
	for i := range columns {
		widths[i] = max(cellsOf(columns[i].title), cellsOf(columns[i].total))
		if columns[i].graph {
			continue
		}
		for _, r := range rows {
			widths[i] = max(widths[i], cellsOf(r.cells[i].text))
		}
	}
	return widths
}

// fit chooses the columns that there is room for, and how wide they are. natural is what they would like to have.
func fit(columns []column, natural []int, width int, hidden map[string]bool) (shown, widths []int) {
	least := func(i int) int {
		switch {
		case columns[i].graph:
			return minGraph
		case columns[i].wide:
			return min(natural[i], minWide)
		}
		return natural[i]
	}
	for i := range columns {
		if !hidden[columns[i].name] {
			shown = append(shown, i)
		}
	}
	room := func() int {
		left := width + gap
		for _, i := range shown {
			left -= least(i) + gap
		}
		return left
	}
	for room() < 0 {
		highest := -1
		for at, i := range shown {
			if columns[i].rank > 0 && (highest < 0 || columns[i].rank >= columns[shown[highest]].rank) {
				highest = at
			}
		}
		if highest < 0 {
			break // it is cut off
		}
		shown = slices.Delete(shown, highest, highest+1)
	}
	left := max(room(), 0)
	for _, i := range shown {
		w := least(i)
		if columns[i].wide {
			more := min(left, natural[i]-w)
			w, left = w+more, left-more
		}
		if columns[i].graph {
			more := min(left, maxGraph-w)
			w, left = w+more, left-more
		}
		widths = append(widths, w)
	}
	return shown, widths
}

// grid shows the rows of a tab, one of them selected.
type grid struct {
	*tview.Box

	columns  []column
	rows     []row
	sorted   order
	total    bool
	stale    bool            // the rows are from before the connection was lost
	hidden   map[string]bool // columns, by name
	note     string          // shown if there are no rows
	selected int
	first    int   // the row at the top
	widest   []int // what columns have wanted so far, so that they do not jump
	page     int   // rows that there is room for
}

func newGrid() *grid { return &grid{Box: tview.NewBox(), hidden: map[string]bool{}} }

// show shows other rows; the selection stays with what was selected.
func (g *grid) show(columns []column, rows []row, sorted order, total bool) {
	id := g.selectedID()
	if len(g.widest) != len(columns) || g.total != total || &g.columns[0] != &columns[0] {
		g.widest = make([]int, len(columns))
	}
	g.columns, g.rows, g.sorted, g.total = columns, rows, sorted, total
	if at := slices.IndexFunc(rows, func(r row) bool { return r.id == id }); at >= 0 && g.selected > 0 {
		g.selected = at
	}
	g.selected = max(min(g.selected, len(rows)-1), 0)
	for i, w := range naturalWidths(columns, rows) {
		g.widest[i] = max(g.widest[i], w)
	}
}

func (g *grid) selectedID() string {
	if g.selected < len(g.rows) {
		return g.rows[g.selected].id
	}
	return ""
}

func (g *grid) home() { g.selected, g.first = 0, 0 }

func (g *grid) move(by int) { g.selected = max(min(g.selected+by, len(g.rows)-1), 0) }

var styles = map[level]tcell.Style{
	plain: tcell.StyleDefault,
	faint: tcell.StyleDefault.Dim(true),
	good:  tcell.StyleDefault.Foreground(tcell.ColorGreen),
	warm:  tcell.StyleDefault.Foreground(tcell.ColorYellow),
	hot:   tcell.StyleDefault.Foreground(tcell.ColorRed).Bold(true),
}

var (
	headStyle = tcell.StyleDefault.Bold(true).Underline(true)
	sortStyle = headStyle.Reverse(true)
)

// Draw draws the titles and the rows around the selected one.
func (g *grid) Draw(screen tcell.Screen) {
	g.DrawForSubclass(screen, g)
	x, y, width, height := g.GetInnerRect()
	if width <= 0 || height <= 0 {
		return
	}
	shown, widths := fit(g.columns, g.widest, width, g.hidden)
	at := x
	put(screen, x, y, width, strings.Repeat(" ", width), headStyle)
	for n, i := range shown {
		c := &g.columns[i]
		style := headStyle
		if i == g.sorted.column {
			style = sortStyle
		}
		put(screen, at, y, x+width-at, pad(c.heading(g.total), widths[n], c.number || c.graph), style)
		at += widths[n] + gap
	}
	g.page = height - 1
	if len(g.rows) == 0 {
		put(screen, x, y+1, width, g.note, styles[faint])
		return
	}
	if g.page <= 0 {
		return
	}
	g.first = max(min(g.first, g.selected, len(g.rows)-g.page), 0)
	g.first = max(g.first, g.selected-g.page+1)
	for line := range min(g.page, len(g.rows)-g.first) {
		r := &g.rows[g.first+line]
		selected := g.first+line == g.selected
		if selected {
			put(screen, x, y+1+line, width, strings.Repeat(" ", width), tcell.StyleDefault.Reverse(true))
		}
		at := x
		for n, i := range shown {
			style := styles[r.cells[i].level]
			switch {
			case selected:
				style = tcell.StyleDefault.Reverse(true)
			case g.stale:
				style = styles[faint]
			}
			text := r.cells[i].text
			if g.columns[i].graph {
				text = tail(text, widths[n])
			}
			put(screen, at, y+1+line, x+width-at, pad(text, widths[n], g.columns[i].number || g.columns[i].graph), style)
			at += widths[n] + gap
		}
	}
}

// tail returns the last characters of a text.
func tail(s string, width int) string {
	runes := []rune(s)
	return string(runes[max(len(runes)-width, 0):])
}

// put draws text, as it is, in a room of so many columns.
func put(screen tcell.Screen, x, y, width int, s string, style tcell.Style) {
	for _, r := range s {
		n := cellsOf(string(r))
		if n > width {
			return
		}
		if n > 0 { // marks on the character before are left out
			screen.SetContent(x, y, r, nil, style)
		}
		x, width = x+n, width-n
	}
}

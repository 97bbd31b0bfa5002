package main

import (
	"fmt"
	"strings"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/tview"
)

// centered is a primitive of a size of its own in the middle of the screen.
type centered struct {
	tview.Primitive
	width, height int // with the border
}

// SetRect sets the room that it is in the middle of.
func (c *centered) SetRect(x, y, width, height int) {
	w, h := min(c.width, width), min(c.height, height)
	c.Primitive.SetRect(x+(width-w)/2, y+(height-h)/2, w, h)
}

const popupPage = "popup"

// open shows a popup. update brings it up to date.
func (u *ui) open(p *centered, update func()) {
	u.popup = update
	u.pages.AddPage(popupPage, p, true, true)
	u.app.SetFocus(p.Primitive)
	u.popup()
}

func (u *ui) closePopup() {
	u.popup = nil
	u.pages.RemovePage(popupPage)
	u.app.SetFocus(u.grid)
	u.refresh()
}

// showText shows lines that may change until it is closed.
func (u *ui) showText(content func() (title string, lines []string)) {
	view := tview.NewTextView().SetWrap(false).SetScrollable(true)
	view.SetBorder(true).SetBorderPadding(0, 0, 1, 1)
	frame := &centered{Primitive: view}
	view.SetInputCapture(func(ev *tcell.EventKey) *tcell.EventKey {
		switch {
		case ev.Key() == tcell.KeyEscape, ev.Key() == tcell.KeyEnter, ev.Rune() == 'q', ev.Rune() == 'h':
			u.closePopup()
			return nil
		}
		return ev
	})
	u.open(frame, func() {
		title, lines := content()
		view.SetTitle(" " + tview.Escape(title) + " ")
		view.SetText(strings.Join(lines, "\n"))
		width := cellsOf(title) + 6
		for _, line := range lines {
			width = max(width, cellsOf(line)+4)
		}
		frame.width, frame.height = max(width, frame.width), max(len(lines)+2, frame.height)
	})
}

// showDetails tells more of the selected row.
func (u *ui) showDetails() {
	id, t := u.grid.selectedID(), u.tabs[u.at].tab
	if id == "" || t.details == nil {
		return
	}
	u.showText(func() (string, []string) { return t.details(u.span(), id) })
}

func (u *ui) showScheduler() {
	if u.cur == nil {
		return
	}
	u.showText(func() (string, []string) {
		s := &u.cur.scheduler
		or := func(text, none string) string {
			if text == "" {
				return none
			}
			return printable(text)
		}
		core, isolated := noValue, "none"
		if s.Core != nil {
			core = fmt.Sprint(*s.Core)
		}
		if strings.Trim(s.Isolated, "0x") != "" {
			isolated = "0x" + printable(strings.TrimPrefix(s.Isolated, "0x"))
		}
		period := "never"
		if s.Period > 0 {
			period = "every " + duration(float64(s.Period))
		}
		return "Scheduler", pairs("Scheduler", or(s.Name, "none"), "Runs", period, "On core", core,
			"Isolated cores", isolated, "Governor", or(s.Governor, "none"))
	})
}

func (u *ui) showHelp() {
	var kv []string
	for _, k := range keyHelp {
		kv = append(kv, k[0], k[1])
	}
	u.showText(func() (string, []string) { return "Keys", pairs(kv...) })
}

// showList shows a list to choose from.
func (u *ui) showList(title string, lines func() []string, chosen func(at int), selected int, stays bool) {
	view := tview.NewList().ShowSecondaryText(false).SetHighlightFullLine(true).SetUseStyleTags(false, false)
	view.SetSelectedStyle(tcell.StyleDefault.Reverse(true)).SetBorder(true).SetTitle(" "+title+" ").
		SetBorderPadding(0, 0, 1, 1)
	width := cellsOf(title) + 6
	for _, line := range lines() {
		view.AddItem(line, "", 0, nil)
		width = max(width, cellsOf(line)+4)
	}
	view.SetCurrentItem(selected)
	view.SetInputCapture(func(ev *tcell.EventKey) *tcell.EventKey {
		switch {
		case ev.Key() == tcell.KeyEscape, ev.Rune() == 'q':
			u.closePopup()
			return nil
		case ev.Key() == tcell.KeyEnter, ev.Rune() == ' ':
			chosen(view.GetCurrentItem())
			if !stays {
				u.closePopup()
			}
			u.refresh()
			return nil
		case ev.Rune() == 'j':
			return tcell.NewEventKey(tcell.KeyDown, 0, 0)
		case ev.Rune() == 'k':
			return tcell.NewEventKey(tcell.KeyUp, 0, 0)
		}
		return ev
	})
	u.open(&centered{view, width, len(lines()) + 2}, func() {
		for i, line := range lines() {
			view.SetItemText(i, line, "")
		}
	})
}

// named lists the columns of the tab that have a name to choose.
func (u *ui) named(graphs bool) (at []int) {
	for i, c := range u.tabs[u.at].tab.columns {
		if !c.graph || graphs {
			at = append(at, i)
		}
	}
	return at
}

func (u *ui) showSort() {
	st, at := u.tabs[u.at], u.named(false)
	lines := func() (list []string) {
		for _, i := range at {
			mark := " "
			if i == st.sorted.column {
				mark = "*"
			}
			list = append(list, mark+" "+st.tab.columns[i].heading(u.total))
		}
		return list
	}
	u.showList("Sort by", lines, func(n int) {
		st.sorted = order{column: at[n]}
		u.grid.home()
	}, st.sorted.column, false)
}

func (u *ui) showColumns() {
	st, at := u.tabs[u.at], u.named(true)
	lines := func() (list []string) {
		for _, i := range at {
			mark := "[x] "
			if st.hidden[st.tab.columns[i].name] {
				mark = "[ ] "
			}
			list = append(list, mark+st.tab.columns[i].heading(u.total))
		}
		return list
	}
	u.showList("Columns (Space, Esc)", lines, func(n int) {
		name := st.tab.columns[at[n]].name
		if n > 0 { // something has to say what a row is
			st.hidden[name] = !st.hidden[name]
		}
	}, 0, true)
}

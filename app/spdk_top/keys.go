package main

import (
	"context"

	"github.com/gdamore/tcell/v2"
)

// keyHelp is what the help screen says of the keys.
var keyHelp = [][2]string{
	{"q, Ctrl-C", "quit"},
	{"1-6, Tab", "another tab (Shift-Tab: the one before)"},
	{"Up, Down, j, k", "select a row; PgUp, PgDn, Home, End"},
	{"Enter", "all about the selected row"},
	{"s", "choose the column to sort by (< and >: its neighbours)"},
	{"R", "sort the other way round"},
	{"c", "choose the columns to show"},
	{"/", "show rows with some text only (Esc: all)"},
	{"t", "since the start, or since the last sample"},
	{"r", "seconds between samples"},
	{"p, Space", "pause"},
	{"l", "fsdevs: measure how long operations take, or stop that"},
	{"e", "Off-CPU, FUSE waits: have the kernel watch, or not"},
	{"g", "the scheduler"},
	{"h, ?", "this"},
}

// key handles the keys of the main screen; those of popups and of the prompt are theirs.
func (u *ui) key(ev *tcell.EventKey) *tcell.EventKey {
	if ev.Key() == tcell.KeyCtrlC {
		u.app.Stop()
		return nil
	}
	if u.popup != nil || u.prompt.HasFocus() {
		return ev
	}
	u.message = ""
	switch ev.Key() {
	case tcell.KeyTab, tcell.KeyRight:
		u.step(1)
	case tcell.KeyBacktab, tcell.KeyLeft:
		u.step(-1)
	case tcell.KeyDown:
		u.grid.move(1)
	case tcell.KeyUp:
		u.grid.move(-1)
	case tcell.KeyPgDn:
		u.grid.move(u.grid.page)
	case tcell.KeyPgUp:
		u.grid.move(-u.grid.page)
	case tcell.KeyHome:
		u.grid.home()
	case tcell.KeyEnd:
		u.grid.move(len(u.grid.rows))
	case tcell.KeyEnter:
		u.showDetails()
	case tcell.KeyEscape:
		u.filter = ""
		u.refresh()
	case tcell.KeyRune:
		u.rune(ev.Rune())
	}
	return nil
}

func (u *ui) rune(r rune) {
	switch r {
	case 'q':
		u.app.Stop()
	case 'j':
		u.grid.move(1)
	case 'k':
		u.grid.move(-1)
	case 's':
		u.showSort()
	case '<':
		u.nextColumn(-1)
	case '>':
		u.nextColumn(1)
	case 'R':
		u.sortBy(u.tabs[u.at].sorted.column)
	case 'c':
		u.showColumns()
	case '/':
		u.askFilter()
	case 't':
		u.total = !u.total
		u.refresh()
	case 'r':
		u.askInterval()
	case 'p', ' ':
		u.paused = !u.paused
		if !u.paused {
			u.wake(func(context.Context, *target) {})
		}
	case 'l':
		u.toggleMeasure()
	case 'e':
		u.toggleKernel()
	case 'g':
		u.showScheduler()
	case 'h', '?':
		u.showHelp()
	default:
		if at := int(r - '1'); at >= 0 && at < len(u.tabs) {
			u.goTo(at)
		}
	}
}

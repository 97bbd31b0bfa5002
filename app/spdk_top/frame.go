package main

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/gdamore/tcell/v2"

	"github.com/spdk-go/spdk-go/rpc"
)

// drawHead draws what is true of the whole application, and the tabs.
func (u *ui) drawHead(screen tcell.Screen, x, y, width, height int) (int, int, int, int) {
	left, style := u.headline()
	right := ""
	if u.cur != nil {
		right = u.cur.at.Format("15:04:05")
	}
	put(screen, x, y, width, left, style)
	// A long error is worth more than the time.
	if room := width - cellsOf(left) - gap; room >= cellsOf(right) {
		put(screen, x+width-cellsOf(right), y, cellsOf(right), right, styles[faint])
	}
	at := x
	for i, st := range u.tabs {
		if !st.tab.offered(u.cur) && i != u.at {
			continue
		}
		style := tcell.StyleDefault
		if i == u.at {
			style = style.Reverse(true).Bold(true)
		}
		title := fmt.Sprintf(" %d %s ", i+1, st.tab.title)
		put(screen, at, y+1, x+width-at, title, style)
		at += cellsOf(title) + 1
	}
	state := u.state()
	if room := x + width - at; cellsOf(state) > room {
		state = cut(state, room)
	}
	put(screen, x+width-cellsOf(state), y+1, cellsOf(state), state, styles[warm])
	return x, y, width, height
}

// headline sums the application up, or says why that cannot be done.
func (u *ui) headline() (string, tcell.Style) {
	switch {
	case errors.Is(u.err, errNotStarted):
		return u.err.Error(), styles[warm]
	case u.err != nil:
		var errno syscall.Errno
		var refused *rpc.Error
		reason := u.err.Error()
		switch {
		case errors.As(u.err, &refused):
			return printable("refused, trying again: " + reason), styles[hot]
		case errors.As(u.err, &errno):
			reason = errno.Error()
		}
		return printable(fmt.Sprintf("no connection (%s), trying again: %s", reason, u.socket)), styles[hot]
	case u.cur == nil:
		return "connecting to " + printable(u.socket), styles[faint]
	case u.cur.odd != "":
		return printable("an odd answer: " + u.cur.odd), styles[hot]
	}
	s := u.span()
	var busy, idle float64
	for i := range s.cur.cores {
		t := s.coreTimes(&s.cur.cores[i])
		busy, idle = busy+t.busy, idle+t.idle
	}
	pollers := 0
	s.cur.eachPoller(func(*threadPollers, string, *pollerStat) { pollers++ })
	parts := []string{
		fmt.Sprintf("pid %d", s.cur.pid),
		fmt.Sprintf("%s, %s %% busy", plural(len(s.cur.cores), "core"), percentage(percent(busy, busy+idle))),
		plural(len(s.cur.threads), "thread"),
		plural(pollers, "poller"),
	}
	if s.cur.methods["fsdev_get_iostat"] {
		var ops float64
		for _, f := range s.cur.fsdevs {
			ops += s.rate(s.previousFsdev(f.Name).Stat.Ops, f.Stat.Ops)
		}
		per := "/s"
		if s.total {
			per = ""
		}
		parts = append(parts, fmt.Sprintf("%s, %s ops%s", plural(len(s.cur.fsdevs), "fsdev"), count(ops), per))
	}
	return strings.Join(parts, "  "), tcell.StyleDefault
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// state is what is not as it is at first.
func (u *ui) state() string {
	var parts []string
	if u.paused {
		parts = append(parts, "PAUSED")
	}
	if u.filter != "" {
		parts = append(parts, "/"+printable(u.filter))
	}
	switch {
	case u.total:
		parts = append(parts, "since the start")
	case u.span() != nil && u.span().fresh():
		parts = append(parts, "since the start, until the next sample")
	default:
		parts = append(parts, fmt.Sprintf("every %gs", u.interval.Seconds()))
	}
	return strings.Join(parts, "  ")
}

// drawFoot draws the most important keys, or a message.
func (u *ui) drawFoot(screen tcell.Screen, x, y, width, height int) (int, int, int, int) {
	if u.message != "" {
		put(screen, x, y, width, u.message, styles[warm])
		return x, y, width, height
	}
	keys := [][2]string{{"q", "Quit"}, {"h", "Help"}, {"Enter", "Details"}, {"/", "Filter"}, {"s", "Sort"}, {"t", "Total"},
		{"p", "Pause"}, {"r", "Rate"}, {"c", "Columns"}, {"g", "Scheduler"}}
	if u.tabs[u.at].tab.name == "fsdevs" {
		keys = append(keys[:3:3], append([][2]string{{"l", "Latency"}}, keys[3:]...)...)
	}
	if u.tabs[u.at].tab.extra {
		keys = append(keys[:3:3], append([][2]string{{"e", "Watch"}}, keys[3:]...)...)
	}
	at := x
	for _, k := range keys {
		if at+len(k[0])+len(k[1])+1 > x+width {
			break
		}
		put(screen, at, y, len(k[0]), k[0], tcell.StyleDefault.Bold(true).Reverse(true))
		at += len(k[0]) + 1
		put(screen, at, y, len(k[1]), k[1], tcell.StyleDefault)
		at += len(k[1]) + gap
	}
	return x, y, width, height
}

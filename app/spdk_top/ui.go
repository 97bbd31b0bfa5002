package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/tview"
)

// Limits of the time between two samples.
const (
	minInterval = 100 * time.Millisecond
	maxInterval = 255 * time.Second // SPDK's
)

// settings are what the command line says.
type settings struct {
	socket   string
	interval time.Duration
	tab      string
	sort     string // a column of the tab; "" for the first
	reverse  bool
	filter   string
	total    bool
}

// tabState is what the user has chosen for a tab.
type tabState struct {
	tab    *tab
	sorted order
	hidden map[string]bool
}

// ui is the screen. All of it belongs to the goroutine of the tview.Application, except for commands.
type ui struct {
	app    *tview.Application
	pages  *tview.Pages
	grid   *grid
	head   *tview.Box
	foot   *tview.Box
	prompt *tview.InputField
	bottom *tview.Pages // foot or prompt

	tabs     []*tabState
	at       int // the tab that is shown
	filter   string
	total    bool
	paused   bool
	interval time.Duration
	socket   string

	prev, cur *sample
	err       error // why there is no newer sample
	history   history
	message   string // the answer to the last key
	messageAt time.Time
	popup     func() // brings the popup up to date, nil if there is none

	// commands are run by the goroutine that talks to the application, which then takes a sample.
	commands chan func(ctx context.Context, t *target)
}

func newUI(set *settings) (*ui, error) {
	// The terminal's own colours: it is dark or bright, and its owner knows.
	tview.Styles.PrimitiveBackgroundColor = tcell.ColorDefault
	tview.Styles.ContrastBackgroundColor = tcell.ColorDefault
	tview.Styles.MoreContrastBackgroundColor = tcell.ColorDefault
	tview.Styles.PrimaryTextColor = tcell.ColorDefault
	tview.Styles.SecondaryTextColor = tcell.ColorDefault
	tview.Styles.BorderColor = tcell.ColorDefault
	tview.Styles.TitleColor = tcell.ColorDefault
	u := &ui{
		app:      tview.NewApplication(),
		pages:    tview.NewPages(),
		grid:     newGrid(),
		head:     tview.NewBox(),
		foot:     tview.NewBox(),
		prompt:   tview.NewInputField(),
		bottom:   tview.NewPages(),
		filter:   set.filter,
		total:    set.total,
		interval: set.interval,
		socket:   set.socket,
		history:  history{},
		commands: make(chan func(context.Context, *target), 16),
	}
	for i, t := range allTabs() {
		st := &tabState{tab: t, hidden: map[string]bool{}}
		if t.name == set.tab {
			u.at = i
			if set.sort != "" {
				column, err := columnNamed(t.columns, set.sort)
				if err != nil {
					return nil, err
				}
				st.sorted = order{column, set.reverse}
			}
		}
		u.tabs = append(u.tabs, st)
	}
	if u.tabs[u.at].tab.name != set.tab {
		_, err := tabNamed(set.tab)
		return nil, err
	}
	u.head.SetDrawFunc(u.drawHead)
	u.foot.SetDrawFunc(u.drawFoot)
	u.bottom.AddPage("keys", u.foot, true, true).AddPage("prompt", u.prompt, true, false)
	root := tview.NewFlex().SetDirection(tview.FlexRow).
		AddItem(u.head, 2, 0, false).
		AddItem(u.grid, 0, 1, true).
		AddItem(u.bottom, 1, 0, false)
	u.pages.AddPage("main", root, true, true)
	u.app.SetRoot(u.pages, true).SetFocus(u.grid)
	u.app.SetInputCapture(u.key)
	u.refresh()
	return u, nil
}

// run shows the screen until the user has had enough. screen is nil for the terminal.
func (u *ui) run(screen tcell.Screen) error {
	if screen != nil {
		u.app.SetScreen(screen)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go u.fetch(ctx)
	return u.app.Run()
}

// fetch takes one sample after the other.
func (u *ui) fetch(ctx context.Context) {
	t := &target{socket: u.socket}
	defer t.close()
	timer := time.NewTimer(0)
	for {
		select {
		case <-ctx.Done():
			return
		case command := <-u.commands:
			command(ctx, t)
		case <-timer.C:
		}
		var paused bool
		var interval time.Duration
		u.app.QueueUpdate(func() { paused, interval = u.paused, u.interval })
		if !paused {
			s, err := t.sample(ctx)
			if ctx.Err() != nil {
				return
			}
			u.app.QueueUpdateDraw(func() { u.take(s, err) })
		}
		timer.Reset(interval)
	}
}

// wake has a sample taken now.
func (u *ui) wake(command func(ctx context.Context, t *target)) {
	select {
	case u.commands <- command:
	default: // it has enough to do
	}
}

// take takes a sample, or the reason why there is none.
func (u *ui) take(s *sample, err error) {
	if u.paused {
		return // it was on its way when the pause began
	}
	u.err = err
	if err == nil {
		u.prev, u.cur = u.cur, s
		if u.prev != nil && u.prev.pid != s.pid {
			u.prev, u.history = nil, history{}
		}
		u.history.record(newSpan(u.prev, s, false))
	}
	if time.Since(u.messageAt) > 2*time.Second {
		u.message = ""
	}
	u.refresh()
}

// refresh brings what is shown up to date.
func (u *ui) refresh() {
	st := u.tabs[u.at]
	var rows []row
	u.grid.hidden = st.hidden
	switch s := u.span(); {
	case s == nil:
		u.grid.note = "…"
	case st.tab.needs != "" && !s.cur.methods[st.tab.needs]:
		u.grid.note = "the application has no method " + st.tab.needs
	default:
		u.grid.note = "none"
		if st.tab.note != nil && st.tab.note(s) != "" {
			u.grid.note = st.tab.note(s)
			break
		}
		if u.filter != "" {
			u.grid.note = "none that has " + strconv.Quote(u.filter) + " in it"
		}
		rows = arrange(st.tab.columns, st.tab.rows(s, u.history), st.sorted, u.filter)
	}
	u.grid.stale = u.err != nil
	u.grid.show(st.tab.columns, rows, st.sorted, u.total)
	if u.popup != nil {
		u.popup()
	}
}

// span is what is shown, nil if there is nothing yet.
func (u *ui) span() *span {
	if u.cur == nil {
		return nil
	}
	return newSpan(u.prev, u.cur, u.total)
}

func (u *ui) say(format string, args ...any) {
	u.message, u.messageAt = fmt.Sprintf(format, args...), time.Now()
}

// goTo shows another tab, if the application has what it shows.
func (u *ui) goTo(at int) {
	if u.tabs[at].tab.offered(u.cur) {
		u.at = at
		u.grid.home()
		u.refresh()
	}
}

// step shows a tab beside the present one.
func (u *ui) step(by int) {
	at := u.at
	for range u.tabs {
		at = (at + by + len(u.tabs)) % len(u.tabs)
		if u.tabs[at].tab.offered(u.cur) {
			break
		}
	}
	u.goTo(at)
}

// sortBy sorts the tab by a column, or the other way round if it is sorted by it.
func (u *ui) sortBy(column int) {
	st := u.tabs[u.at]
	if st.sorted.column == column {
		st.sorted.reverse = !st.sorted.reverse
	} else {
		st.sorted = order{column: column}
	}
	u.grid.home()
	u.refresh()
}

// nextColumn sorts by a column beside the present one.
func (u *ui) nextColumn(step int) {
	st := u.tabs[u.at]
	columns := st.tab.columns
	for i := st.sorted.column + step; i >= 0 && i < len(columns); i += step {
		if !columns[i].graph && !st.hidden[columns[i].name] {
			u.sortBy(i)
			return
		}
	}
}

// ask has the user type something. typed hears of every change, done of the end; ok is false after Esc.
func (u *ui) ask(label, text string, typed func(text string), done func(text string, ok bool)) {
	u.prompt.SetLabel(label).SetText(text).SetChangedFunc(typed).SetDoneFunc(func(key tcell.Key) {
		u.prompt.SetChangedFunc(nil)
		u.bottom.SwitchToPage("keys")
		u.app.SetFocus(u.grid)
		done(u.prompt.GetText(), key != tcell.KeyEscape)
		u.refresh()
	})
	u.bottom.SwitchToPage("prompt")
	u.app.SetFocus(u.prompt)
}

func (u *ui) askFilter() {
	before := u.filter
	typed := func(text string) {
		u.filter = text
		u.grid.home()
		u.refresh()
	}
	u.ask("Rows with: ", before, typed, func(text string, ok bool) {
		u.filter = text
		if !ok {
			u.filter = ""
		}
	})
}

func (u *ui) askInterval() {
	u.ask(fmt.Sprintf("Seconds between samples (%g): ", u.interval.Seconds()), "", nil, func(text string, ok bool) {
		if !ok || text == "" {
			return
		}
		d, err := parseInterval(text)
		if err != nil {
			u.say("%v", err)
			return
		}
		u.interval = d
		u.wake(func(context.Context, *target) {})
	})
}

// parseInterval reads seconds.
func parseInterval(text string) (time.Duration, error) {
	s, err := strconv.ParseFloat(text, 64)
	if err != nil || !(s >= minInterval.Seconds() && s <= maxInterval.Seconds()) {
		return 0, fmt.Errorf("%q: want seconds, from %g to %g", text, minInterval.Seconds(), maxInterval.Seconds())
	}
	return time.Duration(s * float64(time.Second)), nil
}

// toggleMeasure switches the histograms of the selected device on or off.
func (u *ui) toggleMeasure() {
	if u.tabs[u.at].tab.name != "fsdevs" || u.cur == nil || !u.cur.methods["fsdev_enable_histogram"] {
		return
	}
	id := u.grid.selectedID()
	for _, f := range u.cur.infos {
		if fsdevID(f.Name) != id {
			continue
		}
		name, on := f.Name, !f.Histograms
		u.wake(func(ctx context.Context, t *target) {
			err := t.measure(ctx, name, on)
			u.app.QueueUpdate(func() {
				switch {
				case err != nil:
					u.say("%s: %s", printable(name), printable(err.Error()))
				case on:
					u.say("%s measures how long operations take", printable(name))
				default:
					u.say("%s measures no more", printable(name))
				}
			})
		})
	}
}

// toggleKernel has the kernel watch the reactors, or not.
func (u *ui) toggleKernel() {
	if !u.tabs[u.at].tab.extra || u.cur == nil || !u.cur.methods[kernelMethod] {
		return
	}
	method := "ebpf_start"
	if u.cur.kernel.Enabled {
		method = "ebpf_stop"
	}
	u.wake(func(ctx context.Context, t *target) {
		if err := t.call(ctx, method, nil); err != nil {
			u.app.QueueUpdate(func() { u.say("%s: %s", method, printable(err.Error())) })
		}
	})
}

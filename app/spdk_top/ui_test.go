package main

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"
	gocmp "github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

// terminal is a ui on a screen in memory, and its user.
type terminal struct {
	t      *testing.T
	u      *ui
	screen tcell.SimulationScreen
	end    chan error
}

// open shows an application that has been sampled after 10 and 11 seconds.
func open(t *testing.T, width, height int, change func(set *settings)) *terminal {
	t.Helper()
	set := &settings{socket: "/run/tgt.sock", interval: time.Second, tab: "threads"}
	if change != nil {
		change(set)
	}
	u, err := newUI(set)
	if err != nil {
		t.Fatal(err)
	}
	screen := tcell.NewSimulationScreen("UTF-8")
	u.app.SetScreen(screen)
	screen.SetSize(width, height)
	term := &terminal{t, u, screen, make(chan error, 1)}
	go func() { term.end <- u.app.Run() }()
	t.Cleanup(func() {
		u.app.Stop()
		if err := <-term.end; err != nil {
			t.Error(err)
		}
	})
	from := takeAt
	if u.tabs[u.at].tab.extra {
		from = takeKernelAt
	}
	term.do(func() {
		u.take(from(t, 10, 2), nil)
		u.take(from(t, 11, 9), nil)
	})
	return term
}

// do runs fn where all of the ui runs, and has the result drawn.
func (term *terminal) do(fn func()) { term.u.app.QueueUpdateDraw(fn) }

// keys presses keys: characters, or names such as <Enter>.
func (term *terminal) keys(text string) {
	named := map[string]tcell.Key{"Enter": tcell.KeyEnter, "Esc": tcell.KeyEscape, "Tab": tcell.KeyTab,
		"Backtab": tcell.KeyBacktab, "Up": tcell.KeyUp, "Down": tcell.KeyDown, "PgUp": tcell.KeyPgUp,
		"PgDn": tcell.KeyPgDn, "Home": tcell.KeyHome, "End": tcell.KeyEnd, "BS": tcell.KeyBackspace2}
	for len(text) > 0 {
		key, r := tcell.KeyRune, []rune(text)[0]
		rest := text[len(string(r)):]
		if name, after, ok := strings.Cut(text[1:], ">"); ok && r == '<' && named[name] != 0 {
			key, r, rest = named[name], 0, after
		}
		text = rest
		term.do(func() {
			ev := term.u.key(tcell.NewEventKey(key, r, tcell.ModNone))
			if focus := term.u.app.GetFocus(); ev != nil && focus != nil {
				if handle := focus.InputHandler(); handle != nil {
					handle(ev, nil)
				}
			}
		})
	}
}

// text returns what is on the screen.
func (term *terminal) text() string {
	var b strings.Builder
	term.u.app.QueueUpdate(func() {
		cells, width, height := term.screen.GetContents()
		for y := range height {
			var line strings.Builder
			for x := range width {
				line.WriteString(string(cells[y*width+x].Runes))
			}
			b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
		}
	})
	return b.String()
}

// TestScreens compares the screens with those in testdata.
func TestScreens(t *testing.T) {
	for _, tc := range []struct {
		name          string
		width, height int
		keys          string
		tab           string // to begin with
	}{
		{"threads", 80, 24, "", ""},
		{"pollers", 80, 24, "2", ""},
		{"cores", 80, 24, "3", ""},
		{"fsdevs", 80, 24, "4", ""},
		{"threads-total", 80, 24, "t", ""},
		{"thread", 80, 24, "<Down><Enter>", ""},
		{"poller", 80, 24, "2<Enter>", ""},
		{"core", 80, 24, "3<Enter>", ""},
		{"fsdev", 80, 24, "4<Enter>", ""},
		{"help", 80, 24, "h", ""},
		{"scheduler", 80, 24, "g", ""},
		{"sort", 80, 24, "3s", ""},
		{"columns", 80, 24, "4c<Down> ", ""},
		{"threads-wide", 160, 50, "", ""},
		{"fsdevs-wide", 160, 50, "4", ""},
		{"narrow", 40, 10, "4", ""},
		{"tiny", 12, 4, "", ""},
		{"offcpu", 80, 24, "", "offcpu"},
		{"offcpu-core", 80, 24, "<Enter>", "offcpu"},
		{"waits", 80, 24, "", "waits"},
		{"waits-mount", 80, 24, "<Enter>", "waits"},
		{"waits-wide", 160, 50, "", "waits"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			term := open(t, tc.width, tc.height, func(set *settings) { set.tab = cmp.Or(tc.tab, set.tab) })
			term.keys(tc.keys)
			file := filepath.Join("testdata", tc.name+".txt")
			got := term.text()
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (go test ./app/spdk_top -update, if it is meant to be so)", diff)
			}
		})
	}
}

// TestKeys presses keys and looks for their effect.
func TestKeys(t *testing.T) {
	term := open(t, 100, 24, nil)
	u := term.u
	first := func() string { return strings.Fields(strings.Split(term.text(), "\n")[3])[0] }
	for _, tc := range []struct {
		name string
		keys string
		ok   func() bool
	}{
		{"the next tab", "<Tab>", func() bool { return u.at == 1 }},
		{"the tab before", "<Backtab>", func() bool { return u.at == 0 }},
		{"the last tab, from the first", "<Backtab>", func() bool { return u.at == 3 }},
		{"no such tab", "9", func() bool { return u.at == 3 }},
		{"a tab that the application has nothing for", "5", func() bool { return u.at == 3 }},
		{"a tab by number", "1", func() bool { return u.at == 0 && first() == "app_thread" }},
		{"down", "j<Down>", func() bool { return u.grid.selected == 2 }},
		{"down at the end", "<Down>", func() bool { return u.grid.selected == 2 }},
		{"up", "k", func() bool { return u.grid.selected == 1 }},
		{"the end", "<End>", func() bool { return u.grid.selected == 2 }},
		{"the beginning", "<Home><Up>", func() bool { return u.grid.selected == 0 }},
		{"a page", "<PgDn>", func() bool { return u.grid.selected == 2 }},
		{"a page back", "<PgUp>", func() bool { return u.grid.selected == 0 }},
		{"the other way round", "R", func() bool { return first() == "fuse_1" }},
		{"by the next column", ">", func() bool { return u.tabs[0].sorted == order{column: 1} && first() == "app_thread" }},
		{"back", "<", func() bool { return u.tabs[0].sorted == order{} }},
		{"by a column of the list", "s<Down><Down><Enter>", func() bool { return u.tabs[0].sorted.column == 2 }},
		{"not by one of the list", "s<Down><Esc>", func() bool { return u.tabs[0].sorted.column == 2 && u.popup == nil }},
		{"a filter", "/FUSE_<Enter>", func() bool { return len(u.grid.rows) == 2 && u.filter == "FUSE_" }},
		{"a filter is edited", "/<BS>x", func() bool { return len(u.grid.rows) == 0 && u.filter == "FUSEx" }},
		{"a filter that finds nothing", "<Enter>", func() bool { return strings.Contains(term.text(), `has "FUSEx" in it`) }},
		{"no filter", "<Esc>", func() bool { return len(u.grid.rows) == 3 && u.filter == "" }},
		{"a filter is given up", "/app<Esc>", func() bool { return len(u.grid.rows) == 3 && u.filter == "" }},
		{"since the start", "t", func() bool { return strings.Contains(term.text(), "since the start") }},
		{"since the last sample", "t", func() bool { return strings.Contains(term.text(), "every 1s") }},
		{"slower", "r2.5<Enter>", func() bool { return u.interval == 2500*time.Millisecond }},
		{"not so slow", "r999<Enter>", func() bool { return u.interval == 2500*time.Millisecond && u.message != "" }},
		{"as it was", "r1<Esc>", func() bool { return u.interval == 2500*time.Millisecond && u.message == "" }},
		{"a pause", "p", func() bool { return strings.Contains(term.text(), "PAUSED") }},
		{"no pause", " ", func() bool { return !strings.Contains(term.text(), "PAUSED") }},
		{"a column away", "c<Down> <Esc>", func() bool { return !strings.Contains(term.text(), "Core ") }},
		{"never the first", "c <Esc>", func() bool { return strings.Contains(term.text(), "Thread ") }},
		{"the column back", "c<Down> q", func() bool { return strings.Contains(term.text(), "Core ") && u.popup == nil }},
		{"details and away", "<Enter><Enter>", func() bool { return u.popup == nil }},
		{"help, and away as it came", "hh", func() bool { return u.popup == nil }},
		{"latency is for devices", "l", func() bool { return len(u.commands) == 0 || drained(u) }},
	} {
		term.keys(tc.keys)
		ok := false
		term.do(func() { ok = true })
		if !ok || !tc.ok() {
			t.Errorf("%s: after %s\n%s", tc.name, tc.keys, term.text())
		}
	}
}

// drained takes the commands that earlier keys have left, none of which switches anything on.
func drained(u *ui) bool {
	for len(u.commands) > 0 {
		<-u.commands
	}
	return true
}

// TestSelectionStays keeps a row selected while others come, go and change places.
func TestSelectionStays(t *testing.T) {
	term := open(t, 80, 24, func(set *settings) { set.tab, set.sort = "threads", "cpu" })
	term.keys("<Down>")
	before := term.u.grid.selectedID()
	term.do(func() {
		s := takeAt(t, 12, 1)
		s.threads = append([]threadStat{{Name: "new", ID: 9}}, s.threads...)
		term.u.take(s, nil)
	})
	if after := term.u.grid.selectedID(); after != before {
		t.Errorf("%q was selected, %q is", before, after)
	}
	term.do(func() {
		s := takeAt(t, 13, 1)
		s.threads = nil
		term.u.take(s, nil)
	})
	if !strings.Contains(term.text(), "none") {
		t.Error(term.text())
	}
}

// TestDetailsOfWhatIsGone keeps details open of a row that ends.
func TestDetailsOfWhatIsGone(t *testing.T) {
	for i, want := range []string{
		"It has ended", "It has ended", "no reactor", "was deleted", "not watched", "not mounted",
	} {
		term := open(t, 80, 24, func(set *settings) { set.tab = allTabs()[i].name })
		term.keys("<Enter>")
		term.do(func() {
			s := takeAt(t, 12, 1)
			s.threads, s.pollers, s.cores, s.fsdevs = nil, nil, nil, nil
			s.methods[kernelMethod] = true
			term.u.take(s, nil)
		})
		if !strings.Contains(term.text(), want) {
			t.Errorf("tab %d: %s", i, term.text())
		}
	}
}

// TestLostConnection keeps what there was on the screen, and says so.
func TestLostConnection(t *testing.T) {
	term := open(t, 100, 24, nil)
	term.do(func() { term.u.take(nil, fmt.Errorf("x: %w", os.ErrClosed)) })
	if got := term.text(); !strings.Contains(got, "no connection") || !strings.Contains(got, "fuse_0") {
		t.Error(got)
	}
	term.do(func() { term.u.take(nil, errNotStarted) })
	if got := term.text(); !strings.Contains(got, "framework_start_init") {
		t.Error(got)
	}
	term.do(func() {
		s := takeAt(t, 14, 5)
		s.pid = 1
		term.u.take(s, nil)
	})
	if got := term.text(); !strings.Contains(got, "pid 1 ") || !strings.Contains(got, "until the next sample") {
		t.Error(got)
	}
}

// TestWithoutDevices looks at an application that has none of our methods, such as one of SPDK.
func TestWithoutDevices(t *testing.T) {
	term := open(t, 80, 24, nil)
	a := at(20, 1)
	for name := range a {
		if strings.HasPrefix(name, "fsdev_") {
			delete(a, name)
		}
	}
	s, err := take(t.Context(), a, a.methods())
	if err != nil {
		t.Fatal(err)
	}
	term.do(func() { term.u.take(s, nil) })
	term.keys("4<Enter>l")
	if got := term.text(); !strings.Contains(got, "no method fsdev_get_iostat") || strings.Contains(got, "2 fsdevs") {
		t.Error(got)
	}
}

// TestKernelTabs shows the tabs of the kernel's only where there is something to be had, and says what is missing.
func TestKernelTabs(t *testing.T) {
	term := open(t, 120, 24, nil)
	if strings.Contains(term.text(), "Off-CPU") {
		t.Error(term.text())
	}
	term.do(func() { term.u.take(takeKernelAt(t, 12, 9), nil) })
	if !strings.Contains(term.text(), "5 Off-CPU   6 FUSE waits") {
		t.Error(term.text())
	}
	term.keys("<Backtab>")
	if term.u.at != 5 || !strings.Contains(term.text(), "/srv/a/rather") {
		t.Error(term.text())
	}
	term.keys("e")
	if len(term.u.commands) != 1 {
		t.Error("e does nothing")
	}
	for _, tc := range []struct {
		stats kernelStats
		want  string
	}{
		{kernelStats{}, "e starts that"},
		{kernelStats{Missing: "CAP_BPF is"}, "CAP_BPF is"},
		{kernelStats{Enabled: true}, "none"},
	} {
		term.do(func() {
			s := takeKernelAt(t, 13, 9)
			s.kernel = tc.stats
			term.u.take(s, nil)
		})
		if !strings.Contains(term.text(), tc.want) {
			t.Errorf("%+v: %s", tc.stats, term.text())
		}
	}
}

package main

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"unicode"

	"github.com/gdamore/tcell/v2"
)

// FuzzAnswers shows, in all ways, what an application answers that may be broken or hostile.
func FuzzAnswers(f *testing.F) {
	good := at(11, 9)
	good[kernelMethod] = kernelAt(11)
	add := func(change answers) {
		all := []string{"thread_get_stats", "framework_get_reactors", "thread_get_pollers", "framework_get_scheduler",
			"fsdev_get_iostat", "fsdev_get_fsdevs", "fsdev_get_histogram", kernelMethod}
		texts := make([]string, len(all))
		for i, name := range all {
			texts[i] = good[name]
			if text, ok := change[name]; ok {
				texts[i] = text
			}
		}
		f.Add(texts[0], texts[1], texts[2], texts[3], texts[4], texts[5], texts[6], texts[7])
	}
	add(nil)
	add(answers{"thread_get_stats": `{}`, "framework_get_reactors": `{"tick_rate":0}`, "fsdev_get_iostat": `[]`})
	add(answers{"thread_get_stats": `{"threads":[{"name":"\u001b[2J[red]","id":2},{"id":2,"busy":-1},{"id":2.5},null,7]}`})
	add(answers{"framework_get_reactors": `{"tick_rate":1,"reactors":[{"busy":18446744073709551615,"idle":1e19,
		"lw_threads":[{"id":2},{"id":2}]},{"lcore":0},{"lcore":4294967295,"core_freq":null}]}`})
	add(answers{"fsdev_get_histogram": `{"ops":[{"op":"x","count":1,"buckets":[{"low":5,"high":1,"count":1},
		{"low":0,"high":18446744073709551615,"count":18446744073709551615}]}]}`, "framework_get_scheduler": `null`})
	add(answers{"fsdev_get_iostat": `{"fsdevs":[{"name":"data0"},{"name":"data0","stat":{"ops":[{"op":"\u0000"}]}}]}`,
		"thread_get_pollers": `{"threads":[{"id":2,"active_pollers":[{"id":1},{"id":1}],"timed_pollers":{}}]}`})
	add(answers{kernelMethod: `{"enabled":true,"elapsed_ns":1,"reactors":[{"takers":[{"comm":"\u001b","ns":1e99},{"ns":9}],
		"preempted":{"count":1,"sum_ns":18446744073709551615,"buckets":[{"below_ns":0,"count":1}]},"state":"preempted",
		"state_ns":5}],"mounts":[{"name":"\n","opcodes":[{"queue":{"count":1,"buckets":[{"below_ns":1}]}}]}]}`})
	f.Fuzz(func(t *testing.T, threads, reactors, pollers, sched, iostat, fsdevs, histogram,
		kernel string) {
		a := answers{"thread_get_stats": threads, "framework_get_reactors": reactors, "thread_get_pollers": pollers,
			"framework_get_scheduler": sched, "fsdev_get_iostat": iostat, "fsdev_get_fsdevs": fsdevs,
			"fsdev_get_histogram": histogram, "fsdev_enable_histogram": "true",
			kernelMethod: kernel}
		for _, text := range a {
			if !json.Valid([]byte(text)) {
				return // the client ends the connection
			}
		}
		before, err := take(context.Background(), good, good.methods())
		if err != nil {
			t.Fatal(err)
		}
		s, err := take(context.Background(), a, a.methods())
		if err != nil {
			return
		}
		showAll(t, before, s)
		showAll(t, s, before)
	})
}

// fuzzScreen is one for all inputs: to end one takes a while.
var fuzzScreen = sync.OnceValues(func() (tcell.SimulationScreen, error) {
	screen := tcell.NewSimulationScreen("UTF-8")
	err := screen.Init()
	screen.SetSize(80, 24)
	return screen, err
})

// showAll draws every tab and the details of every row.
func showAll(t *testing.T, prev, cur *sample) {
	u, err := newUI(&settings{tab: "threads"})
	if err != nil {
		t.Fatal(err)
	}
	screen, err := fuzzScreen()
	if err != nil {
		t.Fatal(err)
	}
	screen.Clear()
	u.pages.SetRect(0, 0, 80, 24)
	u.take(prev, nil)
	u.take(cur, nil)
	for range 2 {
		for at, st := range u.tabs {
			if !st.tab.offered(u.cur) {
				continue
			}
			u.goTo(at)
			u.pages.Draw(screen)
			for i := range min(len(u.grid.rows), 20) {
				title, lines := st.tab.details(u.span(), u.grid.rows[i].id)
				for _, r := range title + strings.Join(lines, "") {
					if !unicode.IsPrint(r) {
						t.Fatalf("%q, %q", title, lines)
					}
				}
			}
		}
		u.showScheduler()
		u.pages.Draw(screen)
		u.closePopup()
		u.total = true
		b := &batch{tabs: allTabs()}
		for _, r := range b.page(u.span()) {
			if r != '\n' && !unicode.IsPrint(r) {
				t.Fatalf("%q is printed", r)
			}
		}
	}
	cells, _, _ := screen.GetContents()
	for _, c := range cells {
		for _, r := range c.Runes {
			if unicode.IsControl(r) && r != 0 {
				t.Fatalf("%q is on the screen", r)
			}
		}
	}
}

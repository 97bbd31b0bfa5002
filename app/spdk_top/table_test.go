package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestArrange(t *testing.T) {
	columns := []column{{name: "name", title: "Name"}, {name: "n", title: "N", number: true},
		{name: "core", title: "Core", number: true, label: true}}
	rows := []row{
		{"1", []cell{text("b"), whole(2), whole(7)}},
		{"2", []cell{text("a"), whole(10), whole(1)}},
		{"3", []cell{text("Ab"), nothing(), nothing()}},
		{"4", []cell{text("a"), whole(2), whole(11)}},
	}
	for _, tc := range []struct {
		name   string
		by     order
		filter string
		want   string
	}{
		{"by text", order{column: 0}, "", "3 2 4 1"},
		{"by text, the other way round", order{column: 0, reverse: true}, "", "1 2 4 3"},
		{"the largest number first, what has none last", order{column: 1}, "", "2 1 4 3"},
		{"the smallest number first", order{column: 1, reverse: true}, "", "3 1 4 2"},
		{"a number that is a name", order{column: 2}, "", "3 2 1 4"},
		{"filtered without case", order{column: 0}, "B", "3 1"},
		{"numbers are not filtered by", order{column: 0}, "1", ""},
		{"no such column", order{column: 9}, "", "1 2 3 4"},
	} {
		var got []string
		for _, r := range arrange(columns, rows, tc.by, tc.filter) {
			got = append(got, r.id)
		}
		if diff := cmp.Diff(tc.want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s: %s", tc.name, diff)
		}
	}
}

// TestFit wants, at every width, columns that fit, and at no width one of a higher rank without one of a lower.
func TestFit(t *testing.T) {
	s := newSpan(takeKernelAt(t, 10, 2), takeKernelAt(t, 11, 9), false)
	for _, tab := range allTabs() {
		natural := naturalWidths(tab.columns, tab.rows(s, nil))
		before := 0
		for width := 1; width < 250; width++ {
			shown, widths := fit(tab.columns, natural, width, nil)
			sum, optional, highest := -gap, false, 0
			there := map[int]bool{}
			for n, i := range shown {
				sum += widths[n] + gap
				there[i] = true
				optional = optional || tab.columns[i].rank > 0
				highest = max(highest, tab.columns[i].rank)
			}
			if sum > width && optional {
				t.Errorf("%s at %d: %d columns take %d", tab.name, width, len(shown), sum)
			}
			for i, c := range tab.columns {
				if c.rank < highest && !there[i] {
					t.Errorf("%s at %d: there is no %s, but something less important", tab.name, width, c.name)
				}
			}
			if len(shown) < before {
				t.Errorf("%s at %d: fewer columns than at less", tab.name, width)
			}
			before = len(shown)
		}
		if before != len(tab.columns) {
			t.Errorf("%s: %d of %d columns at 250", tab.name, before, len(tab.columns))
		}
		if shown, _ := fit(tab.columns, natural, 250, map[string]bool{tab.columns[1].name: true}); len(shown) != before-1 {
			t.Errorf("%s: a hidden column is shown", tab.name)
		}
	}
}

// TestTabs wants names that the command line can have, and a graph of something.
func TestTabs(t *testing.T) {
	for i, tab := range allTabs() {
		if got, err := tabNamed(tab.name); err != nil || got.title != tab.title {
			t.Errorf("%s: %v", tab.name, err)
		}
		seen := map[string]bool{}
		graphs := 0
		for _, c := range tab.columns {
			if seen[c.name] || c.name == "" || c.title == "" {
				t.Errorf("%s has a column %q", tab.name, c.name)
			}
			seen[c.name] = true
			if c.graph {
				graphs++
			}
		}
		_, err := columnNamed(tab.columns, tab.graphed)
		if (tab.graphed == "") != (graphs == 0) || err != nil && graphs > 0 {
			t.Errorf("%s has %d graphs of %q", tab.name, graphs, tab.graphed)
		}
		if !strings.Contains(keyHelp[1][0], fmt.Sprint(len(allTabs()))) && i == 0 {
			t.Errorf("the help has %q for %d tabs", keyHelp[1][0], len(allTabs()))
		}
	}
}

func TestUnits(t *testing.T) {
	for _, tc := range []struct{ got, want string }{
		{count(0), "0"}, {count(7), "7"}, {count(7.25), "7.25"}, {count(999), "999"}, {count(999.4), "999"},
		{count(999.6), "1.00k"}, {count(12345), "12.3k"}, {count(999999), "1.00M"}, {count(1e18), "1.00E"},
		{count(1e24), "1000000E"}, {count(9.996), "10.0"}, {count(99.96), "100"},
		{size(1023), "1023"}, {size(1024), "1.00K"}, {size(1 << 20), "1.00M"}, {size(1536), "1.50K"},
		{size(1<<64 - 1), "16.0E"},
		{duration(0.125), "0.12µs"}, {duration(1), "1µs"}, {duration(999.6), "1.00ms"}, {duration(1500), "1.50ms"},
		{duration(2.5e6), "2.50s"}, {duration(4e9), "4.00ks"},
		{percentage(percent(1, 3)), "33.3"}, {percentage(percent(5, 0)), "0.0"}, {percentage(percent(5, 1)), "100.0"},
		{percentage(percent(-1, 1)), "0.0"},
		{spark([]float64{0, 1, 13, 50, 99, 100, 1e9}), " ▁▂▅███"},
		{printable("plain"), "plain"}, {printable("a\x1b[2J\u202e"), `a\x1b[2J\u202e`}, {printable("µ…"), "µ…"},
		{printable("\"\n"), `"\n`},
		{pad("abcdef", 4, false), "abc…"}, {pad("ab", 4, false), "ab  "}, {pad("ab", 4, true), "  ab"},
		{pad("ab", 0, true), "ab"},
		{pad("日本語", 4, false), "日… "}, {tail("abc", 2), "bc"}, {tail("abc", 9), "abc"},
	} {
		if tc.got != tc.want {
			t.Errorf("%q, want %q", tc.got, tc.want)
		}
	}
}

func TestLatency(t *testing.T) {
	before := []opHistogram{{Op: "READ", Count: 10, Buckets: []bucket{{0, 8, 10}}}}
	now := []opHistogram{
		{Op: "READ", Count: 30, Buckets: []bucket{{0, 8, 20}, {8, 16, 10}}},
		{Op: "WRITE", Count: 20, Buckets: []bucket{{64, 128, 20}}},
	}
	for _, tc := range []struct {
		name        string
		before, now []opHistogram
		op          string
		q, want     float64
		ok          bool
	}{
		{"nothing", nil, nil, "", 0.5, 0, false},
		{"nothing new", now, now, "", 0.5, 0, false},
		{"of one operation", before, now, "READ", 0.5, 8, true},
		{"of one that is new", before, now, "WRITE", 0.25, 80, true},
		{"of all", before, now, "", 0.5, 16, true},
		{"the whole", before, now, "", 1, 128, true},
		{"none of them", before, now, "", 0, 0, true},
		{"since the start", nil, now, "READ", 0.5, 6, true},
		{"counted anew", now, before, "READ", 0.5, 4, true},
		{"no such operation", before, now, "FLUSH", 0.5, 0, false},
		{"an odd bucket", nil, []opHistogram{{Op: "X", Count: 1, Buckets: []bucket{{9, 3, 1}}}}, "", 0.5, 0, false},
	} {
		l := latencyOf(tc.before, tc.now, tc.op)
		if got, ok := l.quantile(tc.q); got != tc.want || ok != tc.ok {
			t.Errorf("%s: %v, %v, want %v, %v", tc.name, got, ok, tc.want, tc.ok)
		}
	}
}

// TestHistory keeps the newest values of what is there.
func TestHistory(t *testing.T) {
	h := history{}
	var prev *sample
	for n := 1; n <= historyLength+5; n++ {
		s := takeAt(t, 10+n, 5)
		h.record(newSpan(prev, s, false))
		prev = s
	}
	if got := h["thread 2"]; len(got) != historyLength || got[0] < 49 || got[0] > 51 {
		t.Errorf("%d values, %v", len(got), got)
	}
	if len(h) != 3+2+2 {
		t.Errorf("%d histories", len(h))
	}
	next := takeAt(t, 300, 5)
	next.threads, next.cores = nil, nil
	h.record(newSpan(prev, next, false))
	if len(h) != 2 {
		t.Errorf("%d histories of what is gone", len(h))
	}
}

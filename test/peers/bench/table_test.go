package main

import (
	"strings"
	"testing"
)

// The last columns compare spdk_tgt with the directory and with the best of the others, not with itself.
func TestTable(t *testing.T) {
	tb := &table{place: "tmpfs", mode: "auto", names: []string{raw, "spdk_tgt", "a", "b"}, rows: []row{
		{"create", perSecond, []float64{40000, 10000, 2000, 8000}},
	}}
	var out strings.Builder
	tb.print(&out)
	want := "\n## on tmpfs, cache mode auto\n\n" +
		"load   | directory | spdk_tgt | a       | b       | of the directory | of the best peer |\n" +
		"create | 40 k/s    | 10 k/s   | 2.0 k/s | 8.0 k/s | 0.25             | 1.25             |\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
	tb.names = tb.names[:2]
	tb.rows[0].values = tb.rows[0].values[:2]
	if got := tb.ratio(tb.rows[0], 2, 2); got != "-" {
		t.Errorf("the ratio to no peers is %q", got)
	}
	if got := median([]float64{3, 1, 2}); got != 2 {
		t.Errorf("the median is %v", got)
	}
}

// Every cache mode has somebody to be compared with, and says the same to all.
func TestEveryModeHasPeers(t *testing.T) {
	c := &config{reactors: 2}
	for _, mode := range modes {
		n := 0
		for _, p := range peers {
			if p.args[mode] == nil {
				continue
			}
			n++
			args := strings.Join(p.args[mode](c, "/from", "/to"), " ")
			if !strings.Contains(args, "/from") || !strings.Contains(args, "/to") {
				t.Errorf("%s, %s: %s", p.name, mode, args)
			}
		}
		if n < 3 {
			t.Errorf("mode %s has %d programs", mode, n)
		}
	}
}

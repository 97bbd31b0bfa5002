package aio

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/fsdev"
)

// TestIDMap translates both ways.
func TestIDMap(t *testing.T) {
	type pair struct{ id, want uint32 }
	const forbidden = noID
	for _, tc := range []struct {
		name    string
		rules   []string
		toHost  []pair
		toGuest []pair
	}{
		{"none", nil, []pair{{0, 0}, {1000, 1000}, {noID - 1, noID - 1}}, []pair{{0, 0}, {noID - 1, noID - 1}}},
		{"map", []string{"map:0:100000:1000"},
			[]pair{{0, 100000}, {999, 100999}, {1000, 1000}, {100000, 100000}},
			[]pair{{100000, 0}, {100999, 999}, {101000, 101000}, {0, 0}}},
		{"guest only", []string{"guest:10:20:2"}, []pair{{9, 9}, {10, 20}, {11, 21}, {12, 12}}, []pair{{20, 20}, {21, 21}}},
		{"host only", []string{"host:10:20:2"}, []pair{{10, 10}, {20, 20}}, []pair{{9, 9}, {10, 20}, {11, 21}, {12, 12}}},
		{"squash", []string{"squash-guest:0:501:4294967295", "host:501:0:1", "squash-host:502:65534:4294966793"},
			[]pair{{0, 501}, {501, 501}, {noID - 1, 501}}, []pair{{501, 0}, {500, 500}, {502, 65534}, {noID - 1, 65534}}},
		{"forbid", []string{"forbid-guest:0:1000", "map:1000:1000:1", "forbid-guest:1001:4294966294"},
			[]pair{{0, forbidden}, {999, forbidden}, {1000, 1000}, {1001, forbidden}, {noID - 1, forbidden}},
			[]pair{{0, 0}, {1000, 1000}}},
		{"not in order", []string{"map:30:3:1", "map:10:1:1", "map:20:2:1"},
			[]pair{{10, 1}, {20, 2}, {30, 3}, {15, 15}, {40, 40}}, []pair{{1, 10}, {2, 20}, {3, 30}, {4, 4}, {0, 0}}},
	} {
		m, err := parseIDMap(tc.rules)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		for _, p := range tc.toHost {
			got, errno := m.host(p.id)
			if errno == syscall.EPERM {
				got = forbidden
			}
			if got != p.want {
				t.Errorf("%s: guest %d is %d, want %d", tc.name, p.id, got, p.want)
			}
		}
		for _, p := range tc.toGuest {
			if got := m.guest(p.id); got != p.want {
				t.Errorf("%s: host %d is %d, want %d", tc.name, p.id, got, p.want)
			}
		}
	}
}

// TestIDMapErrors wants errors that say what to do.
func TestIDMapErrors(t *testing.T) {
	for _, tc := range []struct{ rules, want string }{
		{"", `"" is not a rule for IDs (want guest:FROM_GUEST:TO_HOST:COUNT, `},
		{"maps:0:0:1", `"maps:0:0:1" is not a rule for IDs`},
		{"map:0:1", `"map:0:1" has 2 numbers (want map:GUEST:HOST:COUNT)`},
		{"forbid-guest:0:1:2", `has 3 numbers (want forbid-guest:FROM_GUEST:COUNT)`},
		{"map:0:1:x", `"x" is not a number from 0 to 4294967295 (want map:GUEST:HOST:COUNT)`},
		{"map:0:-1:1", `"-1" is not a number`},
		{"map:0:1:4294967296", `"4294967296" is not a number`},
		{"map:0:1:0", `"map:0:1:0" has a count of 0: leave it out`},
		{"map:0:1:4294967295", `its count must be 4294967294 at most`},
		{"map:4294967295:0:1", `its count must be 0 at most`},
		{"squash-guest:0:4294967295:1", "4294967295 is no ID"},
		{"map:0:0:10 map:5:100:10", `"map:5:100:10" overlaps with "map:0:0:10", which says something else of 5: make`},
		{"map:0:0:10 map:10:5:10", `"map:10:5:10" overlaps with "map:0:0:10", which says something else of 5: make`},
		{"forbid-guest:1001:1999 map:2000:2000:1", `which says something else of 2000`},
	} {
		_, err := parseIDMap(strings.Fields(tc.rules))
		if tc.rules == "" {
			_, err = parseIDMap([]string{""})
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: %v, want %q", tc.rules, err, tc.want)
		}
	}
	o := Opts{TranslateUID: []string{"x"}}
	if err := o.Check(); !errors.Is(err, syscall.EINVAL) || !strings.Contains(err.Error(), "user IDs") {
		t.Error(err)
	}
	o = Opts{TranslateGID: []string{"x"}}
	if err := o.Check(); !errors.Is(err, syscall.EINVAL) || !strings.Contains(err.Error(), "group IDs") {
		t.Error(err)
	}
}

// TestIDMapAllocs keeps the translation out of the way of what is fast.
func TestIDMapAllocs(t *testing.T) {
	m, err := parseIDMaps([]string{"map:0:100:10", "squash-guest:10:5:90"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	io := &fsdev.IO{Type: fsdev.IOGetattr}
	if n := testing.AllocsPerRun(100, func() {
		m.request(io)
		m.result(io)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzIDMap wants no rules that can be read to lead anywhere but to IDs.
func FuzzIDMap(f *testing.F) {
	f.Add("map:0:100000:65536 squash-host:0:1:2", uint32(5))
	f.Add("forbid-guest:0:4294967295", uint32(noID-1))
	f.Fuzz(func(t *testing.T, rules string, id uint32) {
		m, err := parseIDMap(strings.Fields(rules))
		if err != nil || id == noID {
			return
		}
		if host, errno := m.host(id); errno == 0 && host == noID {
			t.Errorf("guest %d is no host's", id)
		}
		if m.guest(id) == noID {
			t.Errorf("host %d is no guest's", id)
		}
	})
}

package spdkgo_test

import (
	"slices"
	"testing"
)

// TestUnitReadmeRules proves of each rule for cunit.tsv that it can fail, and that the good cases pass.
func TestUnitReadmeRules(t *testing.T) {
	const list = "suite\tthread\tthread/thread.c\nthread\tpoller_get_id\tIds."
	tests := []struct{ name, data, text, want string }{
		{"there", list, "func TestPollerGetId(t *testing.T) {}", ""},
		{"missing", list, "func TestPollerGetID(t *testing.T) {}", "has no TestPollerGetId"},
		{"other name", list + "\tTestPollerGetID", "func TestPollerGetID(t *testing.T) {}", ""},
		{"reason", list + "\t\tThere are no ids.", "", ""},
		{"reason and there", list + "\t\tThere are no ids.", "func TestPollerGetId(t *testing.T) {}",
			"a reason not to exist"},
		{"pending", list + "\npending\tthread", "", ""},
		{"pending and there", list + "\npending\tthread", "func TestX(t *testing.T) {}", "delete the line"},
		{"unknown suite", "thread\tpoller_get_id\tIds.", "", "cunit.tsv:1: no line above"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := parseSource("test/unit/thread/a_test.go", "package thread_test\n"+tt.text)
			if err != nil {
				t.Fatal(err)
			}
			suites, problems := parseSuites(parseRecords(tt.data))
			wantProblem(t, slices.Concat(problems, checkSuites(suites, unitTests([]*source{s}))), tt.want)
		})
	}
	for c, want := range map[string]string{
		"test_create_reactor": "TestCreateReactor", "spdk_spin": "TestSpdkSpin", "_read": "TestRead",
	} {
		if got := goTestName(c); got != want {
			t.Errorf("%s is %s, want %s", c, got, want)
		}
	}
}

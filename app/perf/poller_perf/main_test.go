package main

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
)

func TestOutput(t *testing.T) {
	for _, test := range []struct{ args, head string }{
		{"-b 1 -t 0.05", "Running 1 pollers for 0.05 seconds with 0 microseconds period."},
		{"-b 1000 -t 0.05", "Running 1000 pollers for 0.05 seconds with 0 microseconds period."},
		{"-b 10 -l 100 -t 0.05", "Running 10 pollers for 0.05 seconds with 100 microseconds period."},
	} {
		want := regexp.MustCompile(`^` + regexp.QuoteMeta(test.head) + `\n` +
			`\r =+\n\r busy:\d+ \(cyc\)\n\r total_run_count: \d+\n\r tsc_hz: \d+ \(cyc\)\n\r =+\n` +
			`\r poller_cost: \d+ \(cyc\), \d+ \(nsec\)\n$`)
		var out, errs bytes.Buffer
		if code := run(strings.Fields(test.args), &out, &errs); code != 0 {
			t.Errorf("%s: exit code %d, errors %q", test.args, code, errs.String())
		}
		if !want.Match(out.Bytes()) {
			t.Errorf("%s: output %q", test.args, out.String())
		}
	}
}

func TestUsage(t *testing.T) {
	for _, args := range []string{"-t 1", "-t 1 -b 0", "-t 1 -b 1001", "-b 1", "-t 1 -b 1 -l -1", "-t 1 -b x"} {
		var out, errs bytes.Buffer
		if code := run(strings.Fields(args), &out, &errs); code != 2 || out.Len() > 0 || errs.Len() == 0 {
			t.Errorf("%s: exit code %d, output %q, errors %q", args, code, out.String(), errs.String())
		}
	}
}

package main

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
)

func TestOutput(t *testing.T) {
	want := regexp.MustCompile(`^test_start\ntest_end\nPerformance: +\d+ events per second\n$`)
	for _, args := range []string{"-t 0.05", "-t 0.05 -q 32", "-q0 -t 0.05", "--time=0.05 --queue-depth=4096"} {
		var out, errs bytes.Buffer
		if code := run(strings.Fields(args), &out, &errs); code != 0 {
			t.Errorf("%s: exit code %d, errors %q", args, code, errs.String())
		}
		if !want.Match(out.Bytes()) {
			t.Errorf("%s: output %q", args, out.String())
		}
	}
}

func TestUsage(t *testing.T) {
	for args, want := range map[string]string{
		"":               "-t, the time to run, is missing",
		"-t 1 -q 4097":   "-q 4097 is more than a reactor has room for",
		"-t 1 -m 0x3":    "-m 3 is not a mask of one CPU",
		"-t 1 -q -1":     "invalid argument",
		"-t 1 something": `unexpected argument "something"`,
	} {
		var out, errs bytes.Buffer
		if code := run(strings.Fields(args), &out, &errs); code != 2 || out.Len() > 0 {
			t.Errorf("%s: exit code %d, output %q", args, code, out.String())
		}
		if got := errs.String(); !strings.Contains(got, want) || strings.Count(got, "\n") != 1 {
			t.Errorf("%s: errors %q, want one line with %q", args, got, want)
		}
	}
}

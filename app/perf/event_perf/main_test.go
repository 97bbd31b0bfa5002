package main

import (
	"bytes"
	"fmt"
	"regexp"
	"testing"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/reactor"
)

// TestOutput runs the program shortly, on one core and on two if there are as many.
func TestOutput(t *testing.T) {
	allowed, err := app.AllowedCPUs()
	if err != nil {
		t.Fatal(err)
	}
	cpus := allowed.CPUs()
	for n := 1; n <= min(2, len(cpus)); n++ {
		t.Run(fmt.Sprintf("%d cores", n), func(t *testing.T) {
			want := `^Running I/O for 0\.05 seconds\.\.\.\n`
			for _, c := range cpus[:n] {
				want += fmt.Sprintf(`lcore %2d: +\d+\n`, c)
			}
			want += `done\.\n$`
			var out, errs bytes.Buffer
			code := run([]string{"-m", "0x" + reactor.NewCpuset(cpus[:n]...).String(), "-t", "0.05"}, &out, &errs)
			if code != 0 {
				t.Errorf("exit code %d, errors %q", code, errs.String())
			}
			if !regexp.MustCompile(want).Match(out.Bytes()) {
				t.Errorf("output %q does not match %q", out.String(), want)
			}
		})
	}
}

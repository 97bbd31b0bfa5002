package uring_test

import (
	"os"
	"testing"
)

// skipReason is what a machine lacks.
type skipReason string

const (
	noHeader   skipReason = "no kernel header to compare with: install linux-libc-dev"
	noCompiler skipReason = "no C compiler to evaluate the kernel header with: install gcc"
)

// skip ends a test that cannot run here. Where CI runs, both the header and a compiler are there.
func skip(t testing.TB, reason skipReason) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(reason)
	}
	t.Skip(string(reason))
}

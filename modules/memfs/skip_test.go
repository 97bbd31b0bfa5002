package memfs_test

import "testing"

// reason is why a test does not run.
type reason string

const slow reason = "it compares times: not with -short"

func skip(tb testing.TB, why reason) {
	tb.Helper()
	tb.Skip(string(why))
}

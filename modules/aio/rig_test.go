package aio_test

import (
	"os"
	"testing"
)

// tempDir makes a directory in dir, or in os.TempDir.
func tempDir(tb testing.TB, dir string) string {
	tb.Helper()
	dir, err := os.MkdirTemp(dir, "aio-test-")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

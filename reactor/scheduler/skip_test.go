package scheduler_test

import (
	"runtime"
	"testing"
)

// cpuReason says that a machine has fewer CPUs than a test has reactors to pin.
type cpuReason int

func needCPUs(n int) cpuReason { return cpuReason(n) }

// skipUnless gives up on a test that the machine is too small for.
func skipUnless(tb testing.TB, reason cpuReason) {
	tb.Helper()
	if n := runtime.NumCPU(); n < int(reason) {
		tb.Skipf("needs %d CPUs, there are %d", int(reason), n)
	}
}

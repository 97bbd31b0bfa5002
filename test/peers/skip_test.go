package peers

import (
	"os"
	"testing"
)

// skipReason is what a machine lacks, so that it cannot run a test.
type skipReason string

const (
	noFuseDevice skipReason = "no /dev/fuse: load the fuse module"
	notRoot      skipReason = "not root: mounting needs CAP_SYS_ADMIN"
)

// holds says whether the machine really lacks it.
func (r skipReason) holds() bool {
	if r == notRoot {
		return os.Geteuid() != 0
	}
	_, err := os.Stat("/dev/fuse")
	return os.IsNotExist(err)
}

// skip gives up on a test for a reason, and fails it where the reason does not hold.
func skip(t testing.TB, reason skipReason) {
	t.Helper()
	if !reason.holds() {
		t.Fatalf("skipped without need: %v", reason)
	}
	t.Skip(string(reason))
}

// needMount skips the test on machines that cannot mount.
func needMount(t testing.TB) {
	t.Helper()
	for _, r := range []skipReason{noFuseDevice, notRoot} {
		if r.holds() {
			skip(t, r)
		}
	}
}

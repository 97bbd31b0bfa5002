package integration

import (
	"fmt"
	"os"
	"testing"
)

// skipReason is what a machine lacks, so that it cannot run a test.
type skipReason int

const (
	noFuseDevice skipReason = iota + 1
	notRoot
	notLong
)

func (r skipReason) String() string {
	switch r {
	case noFuseDevice:
		return "no /dev/fuse: load the fuse module"
	case notRoot:
		return "not root: mounting needs CAP_SYS_ADMIN"
	case notLong:
		return "it takes a browser and a minute: see make test-long"
	}
	return fmt.Sprintf("unknown reason %d", int(r))
}

// holds says whether the machine really lacks it.
func (r skipReason) holds() bool {
	switch r {
	case noFuseDevice:
		_, err := os.Stat("/dev/fuse")
		return os.IsNotExist(err)
	case notRoot:
		return os.Geteuid() != 0
	case notLong:
		return !*long
	}
	return false
}

// skip gives up on a test for a reason, and fails it where the reason does not hold.
func skip(t testing.TB, reason skipReason) {
	t.Helper()
	if !reason.holds() {
		t.Fatalf("skipped without need: %v", reason)
	}
	t.Skip(reason.String())
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

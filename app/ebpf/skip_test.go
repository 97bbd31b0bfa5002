package ebpf_test

import (
	"errors"
	"os"
	"testing"

	"github.com/spdk-go/spdk-go/internal/ebpfmon"
)

// skipReason is what a machine lacks, so that it cannot run a test.
type skipReason string

const (
	noFuse       skipReason = "no /dev/fuse: load the fuse module"
	notRoot      skipReason = "not root: mounting needs CAP_SYS_ADMIN"
	notPermitted skipReason = "the kernel, or who runs the tests, does not permit programs in it"
	noRealTime   skipReason = "a process may not have real-time priority here"
)

// skip gives up on a test for a reason, and fails it where root has no need to.
func skip(t testing.TB, reason skipReason, err error) {
	t.Helper()
	if os.Getenv("CI") != "" && os.Geteuid() == 0 {
		t.Fatalf("%s: %v", reason, err)
	}
	t.Skipf("%s: %v", reason, err)
}

// needFuse skips the test on machines that cannot mount.
func needFuse(t testing.TB) {
	t.Helper()
	if _, err := os.Stat("/dev/fuse"); err != nil {
		skip(t, noFuse, err)
	}
	if os.Geteuid() != 0 {
		skip(t, notRoot, nil)
	}
}

// needPrograms skips the test if err, of a start, is because of the machine.
func needPrograms(t testing.TB, err error) {
	t.Helper()
	var why *ebpfmon.Error
	if errors.As(err, &why) && why.Machine() {
		skip(t, notPermitted, err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

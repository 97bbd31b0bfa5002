package uring

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestExplainSetup pins what an operator is told to do.
func TestExplainSetup(t *testing.T) {
	for _, tc := range []struct {
		errno    syscall.Errno
		disabled string
		text     string
	}{
		{unix.EPERM, "0", "seccomp"},
		{unix.EPERM, "", "seccomp"},
		{unix.EPERM, "1", "io_uring_group"},
		{unix.EPERM, "2", "set kernel.io_uring_disabled to 0"},
		{unix.ENOSYS, "", "Linux 5.19"},
		{unix.EINVAL, "0", "kernel 1.2.3 does not know flags SQPOLL|CLAMP"},
		{unix.ENOMEM, "0", "RLIMIT_MEMLOCK"},
		{unix.EMFILE, "0", "ulimit -n"},
		{unix.ENFILE, "0", "fs.file-max"},
		{unix.EFAULT, "0", "bad address"},
	} {
		err := explainSetup(tc.errno, IORING_SETUP_SQPOLL|IORING_SETUP_CLAMP, tc.disabled, "1.2.3")
		if !errors.Is(err, tc.errno) || !strings.Contains(err.Error(), tc.text) {
			t.Errorf("%v with io_uring_disabled=%q: %v", tc.errno, tc.disabled, err)
		}
	}
	if err := tooOld("5.10"); !errors.Is(err, unix.ENOSYS) || !strings.Contains(err.Error(), "5.10") {
		t.Error(err)
	}
	if release() == "unknown" || len(opNames) != IORING_OP_LAST {
		t.Error(release(), len(opNames))
	}
	for i, n := range opNames {
		if n == "" {
			t.Errorf("opcode %d has no name", i)
		}
	}
}

package uring

import (
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const disabledPath = "/proc/sys/kernel/io_uring_disabled" // since Linux 6.6

// disabledSetting returns who may use io_uring: "0" everyone, "1" the privileged, "2" no one, "" unknown.
func disabledSetting() string {
	b, err := os.ReadFile(disabledPath)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// release returns the version of the kernel.
func release() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(u.Release[:])
}

func tooOld(release string) error {
	return fmt.Errorf("uring: the io_uring of this kernel (%s) is too old: Linux 5.19 or newer is needed: %w",
		release, syscall.ENOSYS)
}

// explainSetup says what the operator can do about a ring that could not be made.
func explainSetup(errno syscall.Errno, flags uint32, disabled, release string) error {
	hint := ""
	switch errno {
	case unix.EPERM:
		switch disabled {
		case "1":
			hint = "only privileged processes may use io_uring here: set kernel.io_uring_disabled to 0 with sysctl, " +
				"give CAP_SYS_ADMIN, or run in the group of kernel.io_uring_group"
		case "2":
			hint = "io_uring is switched off: set kernel.io_uring_disabled to 0 with sysctl"
		default:
			hint = "a seccomp filter or a security module forbids it: allow the system calls io_uring_setup, " +
				"io_uring_enter and io_uring_register, for example in the seccomp profile of the container"
		}
	case unix.ENOSYS:
		hint = fmt.Sprintf("kernel %s has no io_uring, or a seccomp filter hides it: use Linux 5.19 or newer with "+
			"CONFIG_IO_URING, and allow the system calls io_uring_setup, io_uring_enter and io_uring_register", release)
	case unix.EINVAL:
		hint = fmt.Sprintf("kernel %s does not know flags %s, or not together", release, FlagNames(flags))
	case unix.ENOMEM:
		hint = "there is not enough memory for queues of this size, or RLIMIT_MEMLOCK is too low: " +
			"raise it with ulimit -l or LimitMEMLOCK="
	case unix.EMFILE:
		hint = "raise the limit of open files with ulimit -n or LimitNOFILE="
	case unix.ENFILE:
		hint = "raise fs.file-max with sysctl"
	}
	if hint != "" {
		hint = " (" + hint + ")"
	}
	return fmt.Errorf("uring: making a ring: %w%s", errno, hint)
}

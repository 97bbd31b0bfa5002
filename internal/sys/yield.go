package sys

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// Yield lets another thread that waits for this CPU have it: sched_yield(2). It takes a fraction of a microsecond if
// there is none.
func Yield() { _, _, _ = syscall.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }

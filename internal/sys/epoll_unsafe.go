package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// EpollWait waits for events on epfd for at most timeout nanoseconds; a negative timeout
// waits without limit. It has the resolution that epoll_wait(2) lacks and falls back to it
// before Linux 5.11. x/sys has no wrapper of epoll_pwait2.
func EpollWait(epfd int, events []unix.EpollEvent, timeout int64) (int, syscall.Errno) {
	var ts unix.Timespec
	var tsp *unix.Timespec
	if timeout >= 0 {
		ts = unix.NsecToTimespec(timeout)
		tsp = &ts
	}
	n, _, errno := syscall.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(epfd),
		uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)),
		uintptr(unsafe.Pointer(tsp)), 0, 0)
	if errno != unix.ENOSYS {
		if errno != 0 {
			return 0, errno
		}
		return int(n), 0
	}
	ms := -1
	if timeout >= 0 {
		ms = int((timeout + 999_999) / 1_000_000)
	}
	m, err := unix.EpollWait(epfd, events, ms)
	if err != nil {
		return 0, err.(syscall.Errno)
	}
	return m, 0
}

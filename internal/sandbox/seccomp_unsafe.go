package sandbox

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// setFilter installs a filter for all threads.
func setFilter(prog []unix.SockFilter) error {
	fprog := unix.SockFprog{Len: uint16(len(prog)), Filter: unsafe.SliceData(prog)}
	r, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC,
		uintptr(unsafe.Pointer(&fprog)))
	runtime.KeepAlive(prog)
	if errno != 0 {
		return errno
	}
	if r != 0 {
		return unix.ESRCH // the id of a thread that has a filter of its own
	}
	return nil
}

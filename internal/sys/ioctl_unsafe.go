package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Ioctl is ioctl(2) with a structure for an argument, whose bytes are arg, and returns what the call does. It is not
// tried again on EINTR.
func Ioctl(fd int, req uint32, arg []byte) (int, syscall.Errno) {
	n, _, e := syscall.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(req),
		uintptr(unsafe.Pointer(unsafe.SliceData(arg))))
	return int(n), e
}

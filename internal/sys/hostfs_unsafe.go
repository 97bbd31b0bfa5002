package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The file system calls of golang.org/x/sys take strings and slices of slices, which they copy for each call. These
// here take what the kernel does, so that a caller with buffers of its own allocates nothing: a path is its first
// byte, and ends with a NUL. They are not tried again on EINTR.

// Statx is statx(2).
func Statx(dirfd int, path *byte, flags int, mask uint32, st *unix.Statx_t) syscall.Errno {
	_, _, e := syscall.Syscall6(unix.SYS_STATX, uintptr(dirfd), uintptr(unsafe.Pointer(path)), uintptr(flags),
		uintptr(mask), uintptr(unsafe.Pointer(st)), 0)
	return e
}

// Fstat is fstat(2).
func Fstat(fd int, st *unix.Stat_t) syscall.Errno {
	_, _, e := syscall.Syscall(unix.SYS_FSTAT, uintptr(fd), uintptr(unsafe.Pointer(st)), 0)
	return e
}

// Openat2 is openat2(2).
func Openat2(dirfd int, path *byte, how *unix.OpenHow) (int, syscall.Errno) {
	fd, _, e := syscall.Syscall6(unix.SYS_OPENAT2, uintptr(dirfd), uintptr(unsafe.Pointer(path)),
		uintptr(unsafe.Pointer(how)), unsafe.Sizeof(*how), 0, 0)
	return int(fd), e
}

// Openat is openat(2).
func Openat(dirfd int, path *byte, flags, mode uint32) (int, syscall.Errno) {
	fd, _, e := syscall.Syscall6(unix.SYS_OPENAT, uintptr(dirfd), uintptr(unsafe.Pointer(path)),
		uintptr(flags|unix.O_LARGEFILE), uintptr(mode), 0, 0)
	return int(fd), e
}

// Close is close(2).
func Close(fd int) syscall.Errno {
	_, _, e := syscall.Syscall(unix.SYS_CLOSE, uintptr(fd), 0, 0)
	return e
}

// Preadv2 is preadv2(2), where off is 64 bits wide.
func Preadv2(fd int, iovs []unix.Iovec, off int64, flags uint32) (int, syscall.Errno) {
	n, _, e := syscall.Syscall6(unix.SYS_PREADV2, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(iovs))),
		uintptr(len(iovs)), uintptr(off), 0, uintptr(flags))
	return int(n), e
}

// Pwritev2 is pwritev2(2), where off is 64 bits wide.
func Pwritev2(fd int, iovs []unix.Iovec, off int64, flags uint32) (int, syscall.Errno) {
	n, _, e := syscall.Syscall6(unix.SYS_PWRITEV2, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(iovs))),
		uintptr(len(iovs)), uintptr(off), 0, uintptr(flags))
	return int(n), e
}

// Getdents64 is getdents64(2).
func Getdents64(fd int, buf []byte) (int, syscall.Errno) {
	n, _, e := syscall.Syscall(unix.SYS_GETDENTS64, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(buf))),
		uintptr(len(buf)))
	return int(n), e
}

// Mkdirat is mkdirat(2).
func Mkdirat(dirfd int, path *byte, mode uint32) syscall.Errno {
	_, _, e := syscall.Syscall(unix.SYS_MKDIRAT, uintptr(dirfd), uintptr(unsafe.Pointer(path)), uintptr(mode))
	return e
}

// Mknodat is mknodat(2).
func Mknodat(dirfd int, path *byte, mode, dev uint32) syscall.Errno {
	_, _, e := syscall.Syscall6(unix.SYS_MKNODAT, uintptr(dirfd), uintptr(unsafe.Pointer(path)), uintptr(mode),
		uintptr(dev), 0, 0)
	return e
}

// Symlinkat is symlinkat(2).
func Symlinkat(target *byte, dirfd int, path *byte) syscall.Errno {
	_, _, e := syscall.Syscall(unix.SYS_SYMLINKAT, uintptr(unsafe.Pointer(target)), uintptr(dirfd),
		uintptr(unsafe.Pointer(path)))
	return e
}

// Linkat is linkat(2).
func Linkat(fromfd int, from *byte, tofd int, to *byte, flags int) syscall.Errno {
	_, _, e := syscall.Syscall6(unix.SYS_LINKAT, uintptr(fromfd), uintptr(unsafe.Pointer(from)), uintptr(tofd),
		uintptr(unsafe.Pointer(to)), uintptr(flags), 0)
	return e
}

// Unlinkat is unlinkat(2).
func Unlinkat(dirfd int, path *byte, flags int) syscall.Errno {
	_, _, e := syscall.Syscall(unix.SYS_UNLINKAT, uintptr(dirfd), uintptr(unsafe.Pointer(path)), uintptr(flags))
	return e
}

// Renameat2 is renameat2(2).
func Renameat2(fromfd int, from *byte, tofd int, to *byte, flags uint32) syscall.Errno {
	_, _, e := syscall.Syscall6(unix.SYS_RENAMEAT2, uintptr(fromfd), uintptr(unsafe.Pointer(from)), uintptr(tofd),
		uintptr(unsafe.Pointer(to)), uintptr(flags), 0)
	return e
}

// Utimensat is utimensat(2).
func Utimensat(dirfd int, path *byte, times *[2]unix.Timespec, flags int) syscall.Errno {
	_, _, e := syscall.Syscall6(unix.SYS_UTIMENSAT, uintptr(dirfd), uintptr(unsafe.Pointer(path)),
		uintptr(unsafe.Pointer(times)), uintptr(flags), 0, 0)
	return e
}

// Fchownat is fchownat(2).
func Fchownat(dirfd int, path *byte, uid, gid uint32, flags int) syscall.Errno {
	_, _, e := syscall.Syscall6(unix.SYS_FCHOWNAT, uintptr(dirfd), uintptr(unsafe.Pointer(path)), uintptr(uid),
		uintptr(gid), uintptr(flags), 0)
	return e
}

// Fchmodat is fchmodat(2), which follows symbolic links.
func Fchmodat(dirfd int, path *byte, mode uint32) syscall.Errno {
	_, _, e := syscall.Syscall(unix.SYS_FCHMODAT, uintptr(dirfd), uintptr(unsafe.Pointer(path)), uintptr(mode))
	return e
}

// Readlinkat is readlinkat(2).
func Readlinkat(dirfd int, path *byte, buf []byte) (int, syscall.Errno) {
	n, _, e := syscall.Syscall6(unix.SYS_READLINKAT, uintptr(dirfd), uintptr(unsafe.Pointer(path)),
		uintptr(unsafe.Pointer(unsafe.SliceData(buf))), uintptr(len(buf)), 0, 0)
	return int(n), e
}

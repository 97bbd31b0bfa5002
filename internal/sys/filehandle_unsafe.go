package sys

import (
	"structs"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// MaxFileHandle is the most bytes that a file system's name of a file can have. linux/exportfs.h, MAX_HANDLE_SZ
const MaxFileHandle = 128

// FileHandle is what a file system calls one of its files, beyond renames and reboots. linux/fs.h, struct file_handle
type FileHandle struct {
	_    structs.HostLayout
	Size uint32 // bytes of Data; before the call, how many there is room for
	Type int32
	Data [MaxFileHandle]byte
}

// NameToHandleAt is name_to_handle_at(2), which also says which mount the file is on.
func NameToHandleAt(dirfd int, path *byte, h *FileHandle, flags int) (mount int, errno syscall.Errno) {
	var id int32
	h.Size = MaxFileHandle
	_, _, e := syscall.Syscall6(unix.SYS_NAME_TO_HANDLE_AT, uintptr(dirfd), uintptr(unsafe.Pointer(path)),
		uintptr(unsafe.Pointer(h)), uintptr(unsafe.Pointer(&id)), uintptr(flags), 0)
	return int(id), e
}

// OpenByHandleAt is open_by_handle_at(2).
func OpenByHandleAt(mount int, h *FileHandle, flags uint32) (int, syscall.Errno) {
	fd, _, e := syscall.Syscall(unix.SYS_OPEN_BY_HANDLE_AT, uintptr(mount), uintptr(unsafe.Pointer(h)), uintptr(flags))
	return int(fd), e
}

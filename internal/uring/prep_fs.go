package uring

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// AppendName appends name and a NUL to dst, for the operations that take names. A name with a NUL inside is cut
// there by the kernel: check what comes from a client.
func AppendName(dst []byte, name string) []byte { return append(append(dst, name...), 0) }

// nameAddr returns the address of a name.
func nameAddr(name []byte) uint64 {
	if len(name) == 0 || name[len(name)-1] != 0 {
		panic(fmt.Sprintf("uring: the name %q does not end with a NUL", name))
	}
	return sliceAddr(name)
}

// SetDirect has an operation that opens a file put it into entry index of the registered files, or with
// IORING_FILE_INDEX_ALLOC into a free one, instead of making a descriptor.
func (s *SQE) SetDirect(index uint32) {
	if index != IORING_FILE_INDEX_ALLOC {
		index++ // 0 means a descriptor
	}
	s.FileIndex = index
}

// PrepOpenat2 prepares openat2(2). how is copied at submission.
func (s *SQE) PrepOpenat2(dirfd int, name []byte, how *unix.OpenHow) {
	*s = SQE{Opcode: IORING_OP_OPENAT2, Fd: int32(dirfd), Off: addr(how), Addr: nameAddr(name), Len: unix.SizeofOpenHow}
}

// PrepClose prepares close(2).
func (s *SQE) PrepClose(fd int) { *s = SQE{Opcode: IORING_OP_CLOSE, Fd: int32(fd)} }

// PrepCloseDirect empties an entry of the registered files.
func (s *SQE) PrepCloseDirect(index uint32) { *s = SQE{Opcode: IORING_OP_CLOSE, FileIndex: index + 1} }

// PrepStatx prepares statx(2). With AT_EMPTY_PATH the name is "\x00".
func (s *SQE) PrepStatx(dirfd int, name []byte, flags, mask uint32, stat *unix.Statx_t) {
	*s = SQE{Opcode: IORING_OP_STATX, Fd: int32(dirfd), Off: addr(stat), Addr: nameAddr(name), Len: mask, OpFlags: flags}
}

// PrepUnlinkat prepares unlinkat(2); AT_REMOVEDIR removes a directory.
func (s *SQE) PrepUnlinkat(dirfd int, name []byte, flags uint32) {
	*s = SQE{Opcode: IORING_OP_UNLINKAT, Fd: int32(dirfd), Addr: nameAddr(name), OpFlags: flags}
}

// PrepRenameat prepares renameat2(2) with RENAME_ flags.
func (s *SQE) PrepRenameat(oldDirfd int, oldName []byte, newDirfd int, newName []byte, flags uint32) {
	*s = SQE{Opcode: IORING_OP_RENAMEAT, Fd: int32(oldDirfd), Off: nameAddr(newName), Addr: nameAddr(oldName),
		Len: uint32(int32(newDirfd)), OpFlags: flags}
}

// PrepMkdirat prepares mkdirat(2).
func (s *SQE) PrepMkdirat(dirfd int, name []byte, mode uint32) {
	*s = SQE{Opcode: IORING_OP_MKDIRAT, Fd: int32(dirfd), Addr: nameAddr(name), Len: mode}
}

// PrepSymlinkat prepares symlinkat(2).
func (s *SQE) PrepSymlinkat(target []byte, dirfd int, name []byte) {
	*s = SQE{Opcode: IORING_OP_SYMLINKAT, Fd: int32(dirfd), Off: nameAddr(name), Addr: nameAddr(target)}
}

// PrepLinkat prepares linkat(2).
func (s *SQE) PrepLinkat(oldDirfd int, oldName []byte, newDirfd int, newName []byte, flags uint32) {
	*s = SQE{Opcode: IORING_OP_LINKAT, Fd: int32(oldDirfd), Off: nameAddr(newName), Addr: nameAddr(oldName),
		Len: uint32(int32(newDirfd)), OpFlags: flags}
}

// PrepGetxattr prepares getxattr(2). An empty value asks for the size.
func (s *SQE) PrepGetxattr(path, attr, value []byte) {
	*s = SQE{Opcode: IORING_OP_GETXATTR, Addr: nameAddr(attr), Off: sliceAddr(value), Len: uint32(len(value)),
		Addr3: nameAddr(path)}
}

// PrepFgetxattr prepares fgetxattr(2).
func (s *SQE) PrepFgetxattr(fd int, attr, value []byte) {
	*s = SQE{Opcode: IORING_OP_FGETXATTR, Fd: int32(fd), Addr: nameAddr(attr), Off: sliceAddr(value),
		Len: uint32(len(value))}
}

// PrepSetxattr prepares setxattr(2) with XATTR_ flags.
func (s *SQE) PrepSetxattr(path, attr, value []byte, flags uint32) {
	*s = SQE{Opcode: IORING_OP_SETXATTR, Addr: nameAddr(attr), Off: sliceAddr(value), Len: uint32(len(value)),
		OpFlags: flags, Addr3: nameAddr(path)}
}

// PrepFsetxattr prepares fsetxattr(2) with XATTR_ flags.
func (s *SQE) PrepFsetxattr(fd int, attr, value []byte, flags uint32) {
	*s = SQE{Opcode: IORING_OP_FSETXATTR, Fd: int32(fd), Addr: nameAddr(attr), Off: sliceAddr(value),
		Len: uint32(len(value)), OpFlags: flags}
}

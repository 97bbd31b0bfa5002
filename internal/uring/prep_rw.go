package uring

import "golang.org/x/sys/unix"

// The Prep methods overwrite all of an entry: set Flags, Personality and UserData after them. What they take by
// pointer or slice must be reachable until the operation has completed, and data must not be touched; it is on the
// heap because they make it escape, or mapped. Names end with a NUL, see [AppendName].

// maxLen is the most that the kernel moves at once (MAX_RW_COUNT). A longer buffer makes a short read or write.
const maxLen = 0x7ffff000

func bufLen(buf []byte) uint32 { return uint32(min(len(buf), maxLen)) }

// CurrentPosition, as an offset, is the position of the file, which moves. Pipes and sockets have no other.
const CurrentPosition = -1

// PrepNop prepares an operation that does nothing but complete.
func (s *SQE) PrepNop() { *s = SQE{Opcode: IORING_OP_NOP, Fd: -1} }

// PrepRead prepares pread(2) into buf.
func (s *SQE) PrepRead(fd int, buf []byte, off int64) {
	*s = SQE{Opcode: IORING_OP_READ, Fd: int32(fd), Off: uint64(off), Addr: sliceAddr(buf), Len: bufLen(buf)}
}

// PrepWrite prepares pwrite(2) of buf.
func (s *SQE) PrepWrite(fd int, buf []byte, off int64) {
	*s = SQE{Opcode: IORING_OP_WRITE, Fd: int32(fd), Off: uint64(off), Addr: sliceAddr(buf), Len: bufLen(buf)}
}

// PrepReadv prepares preadv2(2) with RWF_ flags. iovs is copied at submission; what it points to is not.
func (s *SQE) PrepReadv(fd int, iovs []unix.Iovec, off int64, flags uint32) {
	*s = SQE{Opcode: IORING_OP_READV, Fd: int32(fd), Off: uint64(off), Addr: sliceAddr(iovs), Len: uint32(len(iovs)),
		OpFlags: flags}
}

// PrepWritev prepares pwritev2(2) with RWF_ flags.
func (s *SQE) PrepWritev(fd int, iovs []unix.Iovec, off int64, flags uint32) {
	*s = SQE{Opcode: IORING_OP_WRITEV, Fd: int32(fd), Off: uint64(off), Addr: sliceAddr(iovs), Len: uint32(len(iovs)),
		OpFlags: flags}
}

// PrepReadFixed is [SQE.PrepRead] into buf, which lies in registered buffer index.
func (s *SQE) PrepReadFixed(fd int, buf []byte, off int64, index uint16) {
	*s = SQE{Opcode: IORING_OP_READ_FIXED, Fd: int32(fd), Off: uint64(off), Addr: sliceAddr(buf), Len: bufLen(buf),
		BufIndex: index}
}

// PrepWriteFixed is [SQE.PrepWrite] of buf, which lies in registered buffer index.
func (s *SQE) PrepWriteFixed(fd int, buf []byte, off int64, index uint16) {
	*s = SQE{Opcode: IORING_OP_WRITE_FIXED, Fd: int32(fd), Off: uint64(off), Addr: sliceAddr(buf), Len: bufLen(buf),
		BufIndex: index}
}

// PrepReadSelect is [SQE.PrepRead] of up to n bytes into a buffer that the kernel takes from a [BufRing].
func (s *SQE) PrepReadSelect(fd int, n uint32, off int64, group uint16) {
	*s = SQE{Opcode: IORING_OP_READ, Flags: IOSQE_BUFFER_SELECT, Fd: int32(fd), Off: uint64(off), Len: n,
		BufIndex: group}
}

// PrepSplice prepares splice(2) of n bytes with SPLICE_F_ flags; an offset of -1 stands for a pipe, or a position.
func (s *SQE) PrepSplice(fdIn int, offIn int64, fdOut int, offOut int64, n, flags uint32) {
	*s = SQE{Opcode: IORING_OP_SPLICE, Fd: int32(fdOut), Off: uint64(offOut), Addr: uint64(offIn), Len: n,
		OpFlags: flags, FileIndex: uint32(int32(fdIn))}
}

// PrepFsync prepares fsync(2), or with IORING_FSYNC_DATASYNC fdatasync(2). It does not wait for writes that are in
// flight.
func (s *SQE) PrepFsync(fd int, flags uint32) {
	*s = SQE{Opcode: IORING_OP_FSYNC, Fd: int32(fd), OpFlags: flags}
}

// PrepSyncFileRange prepares sync_file_range(2).
func (s *SQE) PrepSyncFileRange(fd int, off int64, n, flags uint32) {
	*s = SQE{Opcode: IORING_OP_SYNC_FILE_RANGE, Fd: int32(fd), Off: uint64(off), Len: n, OpFlags: flags}
}

// PrepFallocate prepares fallocate(2) with FALLOC_FL_ mode.
func (s *SQE) PrepFallocate(fd int, mode uint32, off, n int64) {
	*s = SQE{Opcode: IORING_OP_FALLOCATE, Fd: int32(fd), Off: uint64(off), Addr: uint64(n), Len: mode}
}

// PrepFtruncate prepares ftruncate(2). Linux 6.9.
func (s *SQE) PrepFtruncate(fd int, size int64) {
	*s = SQE{Opcode: IORING_OP_FTRUNCATE, Fd: int32(fd), Off: uint64(size)}
}

// PrepFadvise prepares posix_fadvise(2). Before Linux 6.10 n must fit 32 bits; 0 is all that follows.
func (s *SQE) PrepFadvise(fd int, off int64, n uint32, advice uint32) {
	*s = SQE{Opcode: IORING_OP_FADVISE, Fd: int32(fd), Off: uint64(off), Len: n, OpFlags: advice}
}

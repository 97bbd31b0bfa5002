package uring

import "golang.org/x/sys/unix"

// PrepCancel prepares the cancellation of what has userData, or with IORING_ASYNC_CANCEL_ALL or _ANY of more. Its
// result is 0 or, with those, how many there were; ENOENT if there was none, and EALREADY for one that runs on and will
// complete by itself. What is cancelled completes with ECANCELED, or EINTR, or with what it had done.
func (s *SQE) PrepCancel(userData uint64, flags uint32) {
	*s = SQE{Opcode: IORING_OP_ASYNC_CANCEL, Fd: -1, Addr: userData, OpFlags: flags}
}

// PrepCancelFd prepares the cancellation of one operation on a descriptor, or with IORING_ASYNC_CANCEL_ALL of all; with
// IORING_ASYNC_CANCEL_FD_FIXED it is an index of the registered files.
func (s *SQE) PrepCancelFd(fd int, flags uint32) {
	*s = SQE{Opcode: IORING_OP_ASYNC_CANCEL, Fd: int32(fd), OpFlags: flags | IORING_ASYNC_CANCEL_FD}
}

// PrepTimeout prepares a completion with ETIME after ts, or with 0 as soon as count others have completed; a count of 0
// is none. ts is copied at submission.
func (s *SQE) PrepTimeout(ts *Timespec, count, flags uint32) {
	*s = SQE{Opcode: IORING_OP_TIMEOUT, Fd: -1, Off: uint64(count), Addr: addr(ts), Len: 1, OpFlags: flags}
}

// PrepTimeoutRemove ends the timeout that has userData, which completes with ECANCELED.
func (s *SQE) PrepTimeoutRemove(userData uint64) {
	*s = SQE{Opcode: IORING_OP_TIMEOUT_REMOVE, Fd: -1, Addr: userData}
}

// PrepLinkTimeout bounds the time of the entry before it, which has IOSQE_IO_LINK: that is cancelled after ts, and the
// timeout completes with ETIME; otherwise the timeout completes with ECANCELED.
func (s *SQE) PrepLinkTimeout(ts *Timespec, flags uint32) {
	*s = SQE{Opcode: IORING_OP_LINK_TIMEOUT, Fd: -1, Addr: addr(ts), Len: 1, OpFlags: flags}
}

// PrepPollAdd prepares a completion with the events of fd when there are any of events (POLLIN and so on). With
// IORING_POLL_ADD_MULTI it completes again and again, with IORING_CQE_F_MORE.
func (s *SQE) PrepPollAdd(fd int, events, flags uint32) {
	*s = SQE{Opcode: IORING_OP_POLL_ADD, Fd: int32(fd), Len: flags, OpFlags: events}
}

// PrepPollRemove ends the poll that has userData, which completes with ECANCELED.
func (s *SQE) PrepPollRemove(userData uint64) {
	*s = SQE{Opcode: IORING_OP_POLL_REMOVE, Fd: -1, Addr: userData}
}

// PrepMsgRing posts a completion to the ring of another thread, of which it is given the descriptor: res, userData.
// That ring must be enabled.
func (s *SQE) PrepMsgRing(ringFd int, res uint32, userData uint64, flags uint32) {
	*s = SQE{Opcode: IORING_OP_MSG_RING, Fd: int32(ringFd), Off: userData, Addr: IORING_MSG_DATA, Len: res,
		OpFlags: flags}
}

// PrepMsgRingFd copies entry from of the registered files to entry to, or IORING_FILE_INDEX_ALLOC, of another ring,
// which gets a completion with userData.
func (s *SQE) PrepMsgRingFd(ringFd int, from, to uint32, userData uint64, flags uint32) {
	*s = SQE{Opcode: IORING_OP_MSG_RING, Fd: int32(ringFd), Off: userData, Addr: IORING_MSG_SEND_FD, OpFlags: flags,
		Addr3: uint64(from)}
	s.SetDirect(to)
}

// PrepFilesUpdate replaces entries of the registered files from offset on; where offset is IORING_FILE_INDEX_ALLOC the
// kernel chooses them and writes them to fds.
func (s *SQE) PrepFilesUpdate(offset uint32, fds []int32) {
	*s = SQE{Opcode: IORING_OP_FILES_UPDATE, Fd: -1, Off: uint64(offset), Addr: sliceAddr(fds), Len: uint32(len(fds))}
}

// PrepUringCmd prepares a command to the driver behind fd. Its own bytes are [SQE.Cmd], or [SQE128.Cmd] on a ring with
// IORING_SETUP_SQE128.
func (s *SQE) PrepUringCmd(fd int, op, flags uint32) {
	*s = SQE{Opcode: IORING_OP_URING_CMD, Fd: int32(fd), Off: uint64(op), OpFlags: flags}
}

// PrepUringCmdVec is [SQE.PrepUringCmd] of a command that comes with iovecs, which are copied at submission; what they
// point to is not.
func (s *SQE) PrepUringCmdVec(fd int, op uint32, iovs []unix.Iovec) {
	*s = SQE{Opcode: IORING_OP_URING_CMD, Fd: int32(fd), Off: uint64(op), Addr: sliceAddr(iovs), Len: uint32(len(iovs))}
}

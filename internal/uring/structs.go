package uring

import "structs"

// SQE is an entry of the submission queue. Unions have the name of their first member; what else they
// hold is said beside them. On a ring with IORING_SETUP_SQE128 another 64 bytes follow.
// struct io_uring_sqe
type SQE struct {
	_           structs.HostLayout
	Opcode      uint8  // IORING_OP_
	Flags       uint8  // IOSQE_
	Ioprio      uint16 // also flags of send, receive and accept
	Fd          int32  // or an index, see IOSQE_FIXED_FILE
	Off         uint64 // or a second address (addr2), or the command (cmd_op, the low half)
	Addr        uint64 // or the offset to splice from (splice_off_in)
	Len         uint32 // bytes or iovecs
	OpFlags     uint32 // rw_flags, fsync_flags, poll32_events, timeout_flags, cancel_flags, open_flags, ...
	UserData    uint64 // comes back in CQE.UserData
	BufIndex    uint16 // of a registered buffer, or the group to take one from (buf_group)
	Personality uint16 // of IORING_REGISTER_PERSONALITY, 0 for the submitter's credentials
	FileIndex   uint32 // or the descriptor to splice from (splice_fd_in)
	Addr3       uint64 // or the start of a command's own bytes (cmd)
	Pad2        uint64
}

// CQE is an entry of the completion queue. On a ring with IORING_SETUP_CQE32 another 16 bytes follow,
// see [Ring.BigCQE]. struct io_uring_cqe
type CQE struct {
	_        structs.HostLayout
	UserData uint64 // of the SQE
	Res      int32  // what the system call returns: negative for an errno
	Flags    uint32 // IORING_CQE_F_
}

// SqringOffsets says where the words of the submission queue are. struct io_sqring_offsets
type SqringOffsets struct {
	_           structs.HostLayout
	Head        uint32
	Tail        uint32
	RingMask    uint32
	RingEntries uint32
	Flags       uint32
	Dropped     uint32
	Array       uint32
	Resv1       uint32
	UserAddr    uint64 // resv2 before Linux 6.5
}

// CqringOffsets says where the words of the completion queue are. struct io_cqring_offsets
type CqringOffsets struct {
	_           structs.HostLayout
	Head        uint32
	Tail        uint32
	RingMask    uint32
	RingEntries uint32
	Overflow    uint32
	Cqes        uint32
	Flags       uint32
	Resv1       uint32
	UserAddr    uint64 // resv2 before Linux 6.5
}

// Params is the argument of io_uring_setup(2), and what it found. struct io_uring_params
type Params struct {
	_            structs.HostLayout
	SqEntries    uint32
	CqEntries    uint32
	Flags        uint32 // IORING_SETUP_
	SqThreadCPU  uint32
	SqThreadIdle uint32 // milliseconds
	Features     uint32 // IORING_FEAT_
	WqFd         uint32
	Resv         [3]uint32
	SqOff        SqringOffsets
	CqOff        CqringOffsets
}

// FilesUpdate is the argument of IORING_REGISTER_FILES_UPDATE. struct io_uring_files_update
type FilesUpdate struct {
	_      structs.HostLayout
	Offset uint32
	Resv   uint32
	Fds    uint64
}

// RsrcRegister is the argument of IORING_REGISTER_FILES2 and _BUFFERS2. struct io_uring_rsrc_register
type RsrcRegister struct {
	_     structs.HostLayout
	Nr    uint32
	Flags uint32 // IORING_RSRC_
	Resv2 uint64
	Data  uint64
	Tags  uint64
}

// RsrcUpdate is struct io_uring_rsrc_update.
type RsrcUpdate struct {
	_      structs.HostLayout
	Offset uint32
	Resv   uint32
	Data   uint64
}

// RsrcUpdate2 is the argument of IORING_REGISTER_FILES_UPDATE2 and _BUFFERS_UPDATE.
// struct io_uring_rsrc_update2
type RsrcUpdate2 struct {
	_      structs.HostLayout
	Offset uint32
	Resv   uint32
	Data   uint64
	Tags   uint64
	Nr     uint32
	Resv2  uint32
}

// ProbeOp says of one opcode whether the kernel has it. struct io_uring_probe_op
type ProbeOp struct {
	_     structs.HostLayout
	Op    uint8
	Resv  uint8
	Flags uint16 // IO_URING_OP_SUPPORTED
	Resv2 uint32
}

// ProbeHeader precedes the [ProbeOp] entries of IORING_REGISTER_PROBE. struct io_uring_probe
type ProbeHeader struct {
	_      structs.HostLayout
	LastOp uint8
	OpsLen uint8
	Resv   uint16
	Resv2  [3]uint32
}

// Restriction is an entry of the argument of IORING_REGISTER_RESTRICTIONS. struct io_uring_restriction
type Restriction struct {
	_          structs.HostLayout
	Opcode     uint16
	RegisterOp uint8 // or sqe_op, or sqe_flags
	Resv       uint8
	Resv2      [3]uint32
}

// Buf is an entry of a ring of provided buffers; Resv of the first is the ring's tail.
// struct io_uring_buf
type Buf struct {
	_    structs.HostLayout
	Addr uint64
	Len  uint32
	Bid  uint16
	Resv uint16
}

// BufReg is the argument of IORING_REGISTER_PBUF_RING. struct io_uring_buf_reg
type BufReg struct {
	_           structs.HostLayout
	RingAddr    uint64
	RingEntries uint32
	Bgid        uint16
	Flags       uint16 // IOU_PBUF_RING_; a pad before Linux 6.4
	Resv        [3]uint64
}

// BufStatus is the argument of IORING_REGISTER_PBUF_STATUS. Linux 6.8, struct io_uring_buf_status
type BufStatus struct {
	_        structs.HostLayout
	BufGroup uint32
	Head     uint32
	Resv     [8]uint32
}

// GeteventsArg is the argument of io_uring_enter(2) with IORING_ENTER_EXT_ARG.
// struct io_uring_getevents_arg
type GeteventsArg struct {
	_           structs.HostLayout
	Sigmask     uint64
	SigmaskSz   uint32
	MinWaitUsec uint32 // a pad before Linux 6.12
	Ts          uint64
}

// SyncCancelReg is the argument of IORING_REGISTER_SYNC_CANCEL. struct io_uring_sync_cancel_reg
type SyncCancelReg struct {
	_       structs.HostLayout
	Addr    uint64
	Fd      int32
	Flags   uint32 // IORING_ASYNC_CANCEL_
	Timeout Timespec
	Opcode  uint8 // a pad before Linux 6.6
	Pad     [7]uint8
	Pad2    [3]uint64
}

// FileIndexRange is the argument of IORING_REGISTER_FILE_ALLOC_RANGE: [Off, Off+Len).
// struct io_uring_file_index_range
type FileIndexRange struct {
	_    structs.HostLayout
	Off  uint32
	Len  uint32
	Resv uint64
}

// RecvmsgOut precedes the data of a multishot recvmsg. struct io_uring_recvmsg_out
type RecvmsgOut struct {
	_          structs.HostLayout
	Namelen    uint32
	Controllen uint32
	Payloadlen uint32
	Flags      uint32
}

// Timespec is a time as io_uring wants it on every architecture. struct __kernel_timespec
type Timespec struct {
	_      structs.HostLayout
	TvSec  int64
	TvNsec int64
}

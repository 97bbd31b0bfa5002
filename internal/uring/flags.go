package uring

// Bits of [SQE.Flags]. linux/io_uring.h
const (
	IOSQE_FIXED_FILE_BIT       = 0
	IOSQE_IO_DRAIN_BIT         = 1
	IOSQE_IO_LINK_BIT          = 2
	IOSQE_IO_HARDLINK_BIT      = 3
	IOSQE_ASYNC_BIT            = 4
	IOSQE_BUFFER_SELECT_BIT    = 5
	IOSQE_CQE_SKIP_SUCCESS_BIT = 6

	IOSQE_FIXED_FILE       = 1 << IOSQE_FIXED_FILE_BIT       // Fd is an index of the registered files
	IOSQE_IO_DRAIN         = 1 << IOSQE_IO_DRAIN_BIT         // start after everything before it has completed
	IOSQE_IO_LINK          = 1 << IOSQE_IO_LINK_BIT          // the next entry starts when this one succeeded
	IOSQE_IO_HARDLINK      = 1 << IOSQE_IO_HARDLINK_BIT      // the next entry starts when this one completed
	IOSQE_ASYNC            = 1 << IOSQE_ASYNC_BIT            // go to a worker at once
	IOSQE_BUFFER_SELECT    = 1 << IOSQE_BUFFER_SELECT_BIT    // the kernel takes a buffer of group BufIndex
	IOSQE_CQE_SKIP_SUCCESS = 1 << IOSQE_CQE_SKIP_SUCCESS_BIT // no CQE unless it failed
)

// IORING_FILE_INDEX_ALLOC, as the index of a new direct descriptor, lets the kernel choose one and
// return it in [CQE.Res], or ENFILE. linux/io_uring.h
const IORING_FILE_INDEX_ALLOC = 1<<32 - 1

// Bits of [CQE.Flags]. linux/io_uring.h
const (
	IORING_CQE_F_BUFFER        = 1 << 0 // the bits from IORING_CQE_BUFFER_SHIFT on are a buffer id
	IORING_CQE_F_MORE          = 1 << 1 // the SQE will post more CQEs
	IORING_CQE_F_SOCK_NONEMPTY = 1 << 2
	IORING_CQE_F_NOTIF         = 1 << 3
	IORING_CQE_F_BUF_MORE      = 1 << 4  // the buffer id will come again; Linux 6.12
	IORING_CQE_F_SKIP          = 1 << 5  // ignore this CQE; Linux 6.18
	IORING_CQE_F_32            = 1 << 15 // 32 bytes, on a ring of mixed sizes; Linux 6.18
	IORING_CQE_F_TSTAMP_HW     = 1 << 16 // Linux 6.17

	IORING_CQE_BUFFER_SHIFT = 16
)

// Flags of fsync, [SQE.OpFlags]. linux/io_uring.h
const IORING_FSYNC_DATASYNC = 1 << 0

// Flags of commands to a driver, [SQE.OpFlags]; the mask came with Linux 6.6. linux/io_uring.h
const (
	IORING_URING_CMD_FIXED     = 1 << 0 // BufIndex names a registered buffer
	IORING_URING_CMD_MULTISHOT = 1 << 1 // needs IOSQE_BUFFER_SELECT; Linux 6.18
	IORING_URING_CMD_MASK      = IORING_URING_CMD_FIXED | IORING_URING_CMD_MULTISHOT
)

// Flags of timeouts, [SQE.OpFlags]. linux/io_uring.h
const (
	IORING_TIMEOUT_ABS           = 1 << 0
	IORING_TIMEOUT_UPDATE        = 1 << 1
	IORING_TIMEOUT_BOOTTIME      = 1 << 2
	IORING_TIMEOUT_REALTIME      = 1 << 3
	IORING_LINK_TIMEOUT_UPDATE   = 1 << 4
	IORING_TIMEOUT_ETIME_SUCCESS = 1 << 5
	IORING_TIMEOUT_MULTISHOT     = 1 << 6 // Linux 6.4
	IORING_TIMEOUT_IMMEDIATE_ARG = 1 << 7 // Addr holds nanoseconds; Linux 7.1
	IORING_TIMEOUT_CLOCK_MASK    = IORING_TIMEOUT_BOOTTIME | IORING_TIMEOUT_REALTIME
	IORING_TIMEOUT_UPDATE_MASK   = IORING_TIMEOUT_UPDATE | IORING_LINK_TIMEOUT_UPDATE
)

// SPLICE_F_FD_IN_FIXED says that the descriptor that splice reads from is a registered file. It goes
// with the flags of splice(2). linux/io_uring.h
const SPLICE_F_FD_IN_FIXED = 1 << 31

// Flags of polls, [SQE.Len]. linux/io_uring.h
const (
	IORING_POLL_ADD_MULTI        = 1 << 0
	IORING_POLL_UPDATE_EVENTS    = 1 << 1
	IORING_POLL_UPDATE_USER_DATA = 1 << 2
	IORING_POLL_ADD_LEVEL        = 1 << 3
)

// What a cancellation looks for, [SQE.OpFlags] and [SyncCancelReg.Flags]. linux/io_uring.h
const (
	IORING_ASYNC_CANCEL_ALL      = 1 << 0
	IORING_ASYNC_CANCEL_FD       = 1 << 1
	IORING_ASYNC_CANCEL_ANY      = 1 << 2
	IORING_ASYNC_CANCEL_FD_FIXED = 1 << 3
	IORING_ASYNC_CANCEL_USERDATA = 1 << 4
	IORING_ASYNC_CANCEL_OP       = 1 << 5
)

// Flags of send and receive, [SQE.Ioprio]. linux/io_uring.h
const (
	IORING_RECVSEND_POLL_FIRST  = 1 << 0
	IORING_RECV_MULTISHOT       = 1 << 1
	IORING_RECVSEND_FIXED_BUF   = 1 << 2
	IORING_SEND_ZC_REPORT_USAGE = 1 << 3
	IORING_RECVSEND_BUNDLE      = 1 << 4 // Linux 6.10
	IORING_SEND_VECTORIZED      = 1 << 5 // Linux 6.17

	IORING_NOTIF_USAGE_ZC_COPIED = 1 << 31
)

// Flags of accept, [SQE.Ioprio]. linux/io_uring.h
const (
	IORING_ACCEPT_MULTISHOT  = 1 << 0
	IORING_ACCEPT_DONTWAIT   = 1 << 1 // Linux 6.10
	IORING_ACCEPT_POLL_FIRST = 1 << 2 // Linux 6.10
)

// What a message to another ring is, [SQE.Addr], and its flags, [SQE.OpFlags]. linux/io_uring.h
const (
	IORING_MSG_DATA    = 0 // Len becomes Res there, Off the user data
	IORING_MSG_SEND_FD = 1 // pass a registered file

	IORING_MSG_RING_CQE_SKIP   = 1 << 0
	IORING_MSG_RING_FLAGS_PASS = 1 << 1 // FileIndex becomes Flags there; Linux 6.3
)

// IORING_FIXED_FD_NO_CLOEXEC installs a direct descriptor without O_CLOEXEC. Linux 6.8, linux/io_uring.h
const IORING_FIXED_FD_NO_CLOEXEC = 1 << 0

// Flags of nop, [SQE.OpFlags]. linux/io_uring.h
const (
	IORING_NOP_INJECT_RESULT = 1 << 0 // Len is the result; Linux 6.10
	IORING_NOP_FILE          = 1 << 1 // look Fd up; Linux 6.13
	IORING_NOP_FIXED_FILE    = 1 << 2 // Linux 6.13
	IORING_NOP_FIXED_BUFFER  = 1 << 3 // look BufIndex up; Linux 6.13
	IORING_NOP_TW            = 1 << 4 // complete from task work; Linux 6.16
	IORING_NOP_CQE32         = 1 << 5 // Linux 6.18
)

// IORING_RW_ATTR_FLAG_PI says that attributes of a read or write hold protection information.
// Linux 6.14, linux/io_uring.h
const IORING_RW_ATTR_FLAG_PI = 1 << 0

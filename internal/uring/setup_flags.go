package uring

// Flags of io_uring_setup(2), [Params.Flags]. linux/io_uring.h
const (
	IORING_SETUP_IOPOLL             = 1 << 0
	IORING_SETUP_SQPOLL             = 1 << 1  // a thread of the kernel submits
	IORING_SETUP_SQ_AFF             = 1 << 2  // it runs on CPU SqThreadCPU
	IORING_SETUP_CQSIZE             = 1 << 3  // CqEntries is set
	IORING_SETUP_CLAMP              = 1 << 4  // sizes that are too large become the largest
	IORING_SETUP_ATTACH_WQ          = 1 << 5  // share the workers of ring WqFd
	IORING_SETUP_R_DISABLED         = 1 << 6  // nothing is submitted before IORING_REGISTER_ENABLE_RINGS
	IORING_SETUP_SUBMIT_ALL         = 1 << 7  // an entry that is refused does not stop those behind it
	IORING_SETUP_COOP_TASKRUN       = 1 << 8  // completions do not interrupt the thread
	IORING_SETUP_TASKRUN_FLAG       = 1 << 9  // IORING_SQ_TASKRUN says when they need it
	IORING_SETUP_SQE128             = 1 << 10 // SQEs are 128 bytes
	IORING_SETUP_CQE32              = 1 << 11 // CQEs are 32 bytes
	IORING_SETUP_SINGLE_ISSUER      = 1 << 12 // one thread submits; Linux 6.0
	IORING_SETUP_DEFER_TASKRUN      = 1 << 13 // completions wait until they are asked for; Linux 6.1
	IORING_SETUP_NO_MMAP            = 1 << 14 // the caller brings the memory; Linux 6.5
	IORING_SETUP_REGISTERED_FD_ONLY = 1 << 15 // Linux 6.5
	IORING_SETUP_NO_SQARRAY         = 1 << 16 // SQEs are taken in order; Linux 6.6
	IORING_SETUP_HYBRID_IOPOLL      = 1 << 17 // Linux 6.13
	IORING_SETUP_CQE_MIXED          = 1 << 18 // Linux 6.18
	IORING_SETUP_SQE_MIXED          = 1 << 19 // Linux 6.19
	IORING_SETUP_SQ_REWIND          = 1 << 20 // Linux 7.0
)

// What a kernel can do, [Params.Features]. linux/io_uring.h
const (
	IORING_FEAT_SINGLE_MMAP     = 1 << 0
	IORING_FEAT_NODROP          = 1 << 1 // CQEs that find no room are kept
	IORING_FEAT_SUBMIT_STABLE   = 1 << 2 // iovecs, names and the like are copied at submission
	IORING_FEAT_RW_CUR_POS      = 1 << 3 // offset -1 is the file's position
	IORING_FEAT_CUR_PERSONALITY = 1 << 4
	IORING_FEAT_FAST_POLL       = 1 << 5
	IORING_FEAT_POLL_32BITS     = 1 << 6
	IORING_FEAT_SQPOLL_NONFIXED = 1 << 7
	IORING_FEAT_EXT_ARG         = 1 << 8
	IORING_FEAT_NATIVE_WORKERS  = 1 << 9
	IORING_FEAT_RSRC_TAGS       = 1 << 10
	IORING_FEAT_CQE_SKIP        = 1 << 11
	IORING_FEAT_LINKED_FILE     = 1 << 12
	IORING_FEAT_REG_REG_RING    = 1 << 13 // Linux 6.3
	IORING_FEAT_RECVSEND_BUNDLE = 1 << 14 // Linux 6.10
	IORING_FEAT_MIN_TIMEOUT     = 1 << 15 // Linux 6.12
	IORING_FEAT_RW_ATTR         = 1 << 16 // Linux 6.14
	IORING_FEAT_NO_IOWAIT       = 1 << 17 // Linux 6.15
)

// Flags of io_uring_enter(2). linux/io_uring.h
const (
	IORING_ENTER_GETEVENTS       = 1 << 0
	IORING_ENTER_SQ_WAKEUP       = 1 << 1
	IORING_ENTER_SQ_WAIT         = 1 << 2
	IORING_ENTER_EXT_ARG         = 1 << 3
	IORING_ENTER_REGISTERED_RING = 1 << 4
	IORING_ENTER_ABS_TIMER       = 1 << 5 // Linux 6.12
	IORING_ENTER_EXT_ARG_REG     = 1 << 6 // Linux 6.13
	IORING_ENTER_NO_IOWAIT       = 1 << 7 // Linux 6.15
)

// What the kernel says in the flags word of the submission queue. linux/io_uring.h
const (
	IORING_SQ_NEED_WAKEUP = 1 << 0 // the submitting thread sleeps
	IORING_SQ_CQ_OVERFLOW = 1 << 1 // CQEs wait for room
	IORING_SQ_TASKRUN     = 1 << 2 // completions wait to be run
)

// IORING_CQ_EVENTFD_DISABLED, in the flags word of the completion queue, keeps the registered eventfd
// silent. linux/io_uring.h
const IORING_CQ_EVENTFD_DISABLED = 1 << 0

// Offsets for mmap(2) of a ring. linux/io_uring.h
const (
	IORING_OFF_SQ_RING    = 0
	IORING_OFF_CQ_RING    = 0x8000000
	IORING_OFF_SQES       = 0x10000000
	IORING_OFF_PBUF_RING  = 0x80000000 // Linux 6.4
	IORING_OFF_PBUF_SHIFT = 16         // Linux 6.4
	IORING_OFF_MMAP_MASK  = 0xf8000000
)

package uring

// Operations of io_uring_register(2). linux/io_uring.h
const (
	IORING_REGISTER_BUFFERS          = 0
	IORING_UNREGISTER_BUFFERS        = 1
	IORING_REGISTER_FILES            = 2
	IORING_UNREGISTER_FILES          = 3
	IORING_REGISTER_EVENTFD          = 4
	IORING_UNREGISTER_EVENTFD        = 5
	IORING_REGISTER_FILES_UPDATE     = 6
	IORING_REGISTER_EVENTFD_ASYNC    = 7
	IORING_REGISTER_PROBE            = 8
	IORING_REGISTER_PERSONALITY      = 9
	IORING_UNREGISTER_PERSONALITY    = 10
	IORING_REGISTER_RESTRICTIONS     = 11
	IORING_REGISTER_ENABLE_RINGS     = 12
	IORING_REGISTER_FILES2           = 13
	IORING_REGISTER_FILES_UPDATE2    = 14
	IORING_REGISTER_BUFFERS2         = 15
	IORING_REGISTER_BUFFERS_UPDATE   = 16
	IORING_REGISTER_IOWQ_AFF         = 17
	IORING_UNREGISTER_IOWQ_AFF       = 18
	IORING_REGISTER_IOWQ_MAX_WORKERS = 19
	IORING_REGISTER_RING_FDS         = 20
	IORING_UNREGISTER_RING_FDS       = 21
	IORING_REGISTER_PBUF_RING        = 22
	IORING_UNREGISTER_PBUF_RING      = 23
	IORING_REGISTER_SYNC_CANCEL      = 24 // Linux 6.0
	IORING_REGISTER_FILE_ALLOC_RANGE = 25 // Linux 6.0
	IORING_REGISTER_PBUF_STATUS      = 26 // Linux 6.8
	IORING_REGISTER_NAPI             = 27 // Linux 6.9
	IORING_UNREGISTER_NAPI           = 28 // Linux 6.9
	IORING_REGISTER_CLOCK            = 29 // Linux 6.12
	IORING_REGISTER_CLONE_BUFFERS    = 30 // Linux 6.12
	IORING_REGISTER_SEND_MSG_RING    = 31 // Linux 6.13
	IORING_REGISTER_ZCRX_IFQ         = 32 // Linux 6.15
	IORING_REGISTER_RESIZE_RINGS     = 33 // Linux 6.13
	IORING_REGISTER_MEM_REGION       = 34 // Linux 6.13
	IORING_REGISTER_QUERY            = 35 // Linux 6.18
	IORING_REGISTER_ZCRX_CTRL        = 36 // Linux 7.0
	IORING_REGISTER_BPF_FILTER       = 37 // Linux 7.0

	// IORING_REGISTER_LAST is one past the last operation that this package knows.
	IORING_REGISTER_LAST = 38

	// IORING_REGISTER_USE_REGISTERED_RING says that the descriptor is an index of
	// IORING_REGISTER_RING_FDS. Linux 6.3
	IORING_REGISTER_USE_REGISTERED_RING = 1 << 31
)

// Kinds of workers, in the argument of IORING_REGISTER_IOWQ_MAX_WORKERS. linux/io_uring.h
const (
	IO_WQ_BOUND   = 0 // of regular files and block devices
	IO_WQ_UNBOUND = 1 // of everything else: sockets, pipes, opening, metadata
)

// Words of the arguments of registrations. linux/io_uring.h
const (
	IORING_RSRC_REGISTER_SPARSE = 1 << 0 // a table without entries
	IORING_REGISTER_FILES_SKIP  = -2     // leave this entry of the table as it is
	IO_URING_OP_SUPPORTED       = 1 << 0 // [ProbeOp.Flags]

	IORING_REGISTER_SRC_REGISTERED = 1 << 0 // Linux 6.12
	IORING_REGISTER_DST_REPLACE    = 1 << 1 // Linux 6.13
	IORING_MEM_REGION_TYPE_USER    = 1      // Linux 6.13
	IORING_MEM_REGION_REG_WAIT_ARG = 1      // Linux 6.13
	IORING_REG_WAIT_TS             = 1 << 0 // Linux 6.13

	IOU_PBUF_RING_MMAP = 1 // the kernel brings the memory of the ring; Linux 6.4
	IOU_PBUF_RING_INC  = 2 // buffers are consumed bit by bit; Linux 6.12
)

// What a restriction is about, [Restriction.Opcode]. linux/io_uring.h
const (
	IORING_RESTRICTION_REGISTER_OP        = 0
	IORING_RESTRICTION_SQE_OP             = 1
	IORING_RESTRICTION_SQE_FLAGS_ALLOWED  = 2
	IORING_RESTRICTION_SQE_FLAGS_REQUIRED = 3
	IORING_RESTRICTION_LAST               = 4
)

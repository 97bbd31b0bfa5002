package reactor

// The tracepoints of the run-time and of the file-system stack, with what owns entries and what they are about. They
// are here, and not beside the code that comes to them, for the same reason as in SPDK: the numbers must differ.
// Package trace has their descriptions.

// Groups of tracepoints.
//
// SPDK: TRACE_GROUP_THREAD, TRACE_GROUP_SCHEDULER; SPDK has no tracepoints in its fsdev layer, and no group 7
const (
	TraceGroupFsdev     = 0x07
	TraceGroupThread    = 0x0a
	TraceGroupScheduler = 0x12
)

// Kinds of owners of entries.
//
// SPDK: OWNER_TYPE_REACTOR, OWNER_TYPE_THREAD; OwnerTypeFsdev is not in SPDK
const (
	OwnerTypeReactor = 0x06
	OwnerTypeThread  = 0x07
	OwnerTypeFsdev   = 0x40
)

// ObjectFsdevIO is the kind of object that an operation of an fsdev is: the address of its [TraceEntry.Object].
//
// Not in SPDK, which has OBJECT_BDEV_IO.
const ObjectFsdevIO = 0xd0

// Tracepoints.
//
// SPDK: TRACE_THREAD_IOCH_GET, TRACE_THREAD_IOCH_PUT, TRACE_SCHEDULER_PERIOD_START, TRACE_SCHEDULER_CORE_STATS,
// TRACE_SCHEDULER_THREAD_STATS, TRACE_SCHEDULER_MOVE_THREAD; those of fsdev are not in SPDK, and do as
// TRACE_BDEV_IO_START and TRACE_BDEV_IO_DONE
const (
	TpointThreadIOChannelGet Tpoint = TraceGroupThread<<6 + iota
	TpointThreadIOChannelPut
)

// Tracepoints of the scheduler, see above.
//
// SPDK: TRACE_SCHEDULER_PERIOD_START and so on
const (
	TpointSchedulerPeriodStart Tpoint = TraceGroupScheduler<<6 + iota
	TpointSchedulerCoreStats
	TpointSchedulerThreadStats
	TpointSchedulerMoveThread
)

// Tracepoints of the fsdev layer: an operation goes to its module, and is completed.
//
// Not in SPDK, which has TRACE_BDEV_IO_START and TRACE_BDEV_IO_DONE.
const (
	TpointFsdevIOStart Tpoint = TraceGroupFsdev<<6 + iota
	TpointFsdevIODone
)

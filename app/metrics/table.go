package metrics

// Labels: core is a CPU; thread and id are the name and the number of a thread, names need not be unique; fsdev is a
// device and op an operation as SPDK spells it; pool is small or large; mountpoint is a directory.

var (
	reactorBusy = counter("reactor_busy_seconds", "Time in which a reactor had work.", "core")
	reactorIdle = counter("reactor_idle_seconds",
		"Time in which a reactor found nothing to do: it spun, or slept.", "core")
	reactorSleeps = counter("reactor_sleeps", "How often a reactor went to sleep.", "core")
	reactorStalls = counter("reactor_stalls",
		"How often a callback blocked a reactor for longer than the threshold of the stall monitor.", "core")
	reactorLongestStall = gauge("reactor_longest_stall_seconds", "The longest of the stalls.", "core")
	reactorInInterrupt  = gauge("reactor_in_interrupt", "1 if the reactor sleeps as soon as it is idle.", "core")
	reactorThreads      = gauge("reactor_threads", "Threads that run on a reactor.", "core")
	reactorSwitches     = counter("reactor_context_switches",
		"Switches of a reactor's CPU to something else, if framework_monitor_context_switch is on.", "core", "kind")

	threadBusy     = counter("thread_busy_seconds", "Time in which a thread had work.", "thread", "id")
	threadIdle     = counter("thread_idle_seconds", "Time in which a thread was polled for nothing.", "thread", "id")
	threadMessages = counter("thread_messages", "Messages that a thread has received and run.", "thread", "id")
	threadQueue    = gauge("thread_messages_waiting", "Messages that a thread has not run yet.", "thread", "id")
	threadCore     = gauge("thread_core", "The core that a thread is on.", "thread", "id")

	pollerRuns = counter("poller_runs", "Calls of a poller.", "thread", "id", "poller", "poller_id")
	pollerBusy = counter("poller_busy_runs", "Calls of a poller that found work.", "thread", "id", "poller", "poller_id")
)

var (
	fsdevInfo     = gauge("fsdev_info", "1 for each device.", "fsdev", "module")
	fsdevInFlight = gauge("fsdev_operations_in_flight", "Operations that a device has not completed.", "fsdev")
	fsdevOps      = counter("fsdev_operations", "Operations completed, those that failed included.", "fsdev", "op")
	fsdevErrors   = counter("fsdev_operation_errors", "Operations completed with an errno.", "fsdev", "op")
	fsdevBytes    = counter("fsdev_operation_bytes", "Data moved by READ, WRITE and COPY_FILE_RANGE.", "fsdev", "op")
	fsdevLatency  = histogram("fsdev_operation_duration_seconds",
		"Time from the submission of an operation to its completion, where fsdev_enable_histogram is on.", "fsdev", "op")
	fsdevNoIO = counter("fsdev_no_io", "Operations that were refused because the pool of IO was empty.", "fsdev")

	ioPoolSize = gauge("fsdev_io_pool_size", "IO objects that there are.")
	ioPoolFree = gauge("fsdev_io_pool_free", "IO objects that are neither in use nor in the cache of a thread.")
)

var (
	iobufBuffers = gauge("iobuf_buffers", "Data buffers that there are.", "pool")
	iobufFree    = gauge("iobuf_free_buffers", "Data buffers neither in use nor in the cache of a thread.", "pool")
	iobufSize    = gauge("iobuf_buffer_size_bytes", "Size of a data buffer.", "pool")
	iobufWaiting = gauge("iobuf_waiting_threads", "Threads where somebody waits for a data buffer.", "pool")
	iobufGets    = counter("iobuf_gets", "Data buffers got, from a thread's cache or from the pool.",
		"module", "pool", "source")
	iobufRetries = counter("iobuf_retries", "Requests for a data buffer that had to wait.", "module", "pool")
	iobufCaches  = gauge("iobuf_cache_buffers", "Sizes of the caches of all threads together.", "module", "pool")
)

var (
	fuseInfo     = gauge("fuse_mount_info", "1 for each mount.", "mountpoint", "fsdev", "cache")
	fuseRequests = counter("fuse_requests", "Requests of the kernel.", "mountpoint", "opcode")
	fuseInFlight = gauge("fuse_requests_in_flight", "Requests that are being served.", "mountpoint", "core")
	fuseRing     = counter("fuse_ring_requests", "Requests that came by io_uring.", "mountpoint", "core")
	fuseReads    = counter("fuse_reads", "Reads of /dev/fuse: those that brought a request, found nothing (empty), "+
		"brought one that was aborted meanwhile, or failed.", "mountpoint", "core", "result")
	fuseReplies = counter("fuse_replies", "Replies: those that the kernel took, that came too late (stale), or that it "+
		"refused.", "mountpoint", "core", "result")
	fuseRequestBytes = counter("fuse_request_bytes", "Bytes of requests, headers included.", "mountpoint", "core")
	fuseReplyBytes   = counter("fuse_reply_bytes", "Bytes of replies, headers included.", "mountpoint", "core")
	fuseRejected     = counter("fuse_rejected_requests",
		"Requests that the transport answered by itself, because they could not be served.", "mountpoint", "core")
	fuseRetries = counter("fuse_submit_retries", "Submissions that the dispatcher had no room for at first.",
		"mountpoint", "core")
	fuseStalls = counter("fuse_queue_stalls", "Rounds that ended because the queue was full.",
		"mountpoint", "core")
	fuseNotifications = counter("fuse_notifications",
		"Notifications to the kernel: sent, about what it does not know, refused or dropped.", "mountpoint", "result")
	fuseBacking       = gauge("fuse_backing_files", "Files that the kernel reads and writes by itself.", "mountpoint")
	fuseBackingOpened = counter("fuse_backing_files_opened", "Files that the kernel was given to read and write.",
		"mountpoint")
	fuseBackingRefused = counter("fuse_backing_files_refused", "Such files that it did not want.", "mountpoint")
	fuseLogDropped     = counter("fuse_log_dropped_lines", "Lines that the limit of the log kept back.", "mountpoint")
)

// What package app/ebpf finds out, which is there once that was asked for. comm is the name of a process.
var (
	ebpfEnabled = gauge("ebpf_enabled", "1 if the kernel runs the programs of --ebpf; 0 if it was to and cannot, for "+
		"the reason that ebpf_get_stats gives.")
	reactorOffCPU = histogram("reactor_off_cpu_seconds", "With --ebpf: for how long at a time a reactor was taken off "+
		"its CPU (preempted), slept (voluntary), or had been woken and waited for the CPU (runqueue).", "core", "kind")
	reactorStolen = counter("reactor_stolen_seconds", "With --ebpf: what a process took of the times preempted and "+
		"runqueue, by its name up to a slash.", "core", "comm")
	fusePart = histogram("fuse_request_duration_seconds", "With --ebpf: the parts of the lives of requests: until a "+
		"reactor has read one (queue), until it begins to answer (service), until the kernel has the answer (reply).",
		"mountpoint", "part")
	fuseUnserved = counter("fuse_unserved_requests", "With --ebpf: requests that ended without an answer, as by an "+
		"interrupt.", "mountpoint")
)

var (
	buildInfo     = gauge("build_info", "1, for the labels.", "version", "go_version", "goarch")
	gatherSeconds = gauge("metrics_gather_duration_seconds", "Time that it took to ask reactors and threads for this.")
	gatherTime    = gauge("metrics_gather_timestamp_seconds", "When that was, in Unix time.")
	gathers       = counter("metrics_gathers", "How often they were asked.")
	connsRefused  = counter("metrics_refused_connections", "Connections of clients that were too many.")
)

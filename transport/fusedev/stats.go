package fusedev

// QueueStats is what a queue has done since the mount.
type QueueStats struct {
	Requests uint64 // read from the kernel
	ByRing   uint64 // of them, those that came by io_uring
	Replies  uint64 // that the kernel took
	BytesIn  uint64 // of requests, headers included
	BytesOut uint64 // of replies, headers included

	EmptyReads   uint64 // reads that found nothing (EAGAIN)
	AbortedReads uint64 // reads of requests that were aborted meanwhile (ENOENT)
	FailedReads  uint64 // reads that failed for another reason

	Stale    uint64 // replies to requests that were interrupted or aborted meanwhile (ENOENT)
	Refused  uint64 // replies that the kernel refused for another reason
	Rejected uint64 // requests that the transport answered itself, because they could not be served

	Retries uint64 // submits that the dispatcher had no resources for (ENOBUFS)
	Stalls  uint64 // rounds that ended for want of a slot or of large buffers

	InFlight int // requests that are being served
}

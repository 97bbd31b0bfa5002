package fusedev

import (
	"time"

	"github.com/spdk-go/spdk-go/internal/fuseabi"
)

// An INTERRUPT comes by the descriptor, and may be served before the request that it is about, which has come by a
// ring. The dispatcher's answer to it, EAGAIN, asks the kernel to send it again; but that looks for the request among
// those of the descriptor alone (linux, fs/fuse/dev.c, fuse_dev_do_write: ENOENT), and sends no second INTERRUPT by
// itself. Whoever waits for a lock could then not be killed. So the queue asks the dispatcher again, for a while: for
// all that it knows the request may have ended.

// maxTries is how often it does: for 10 milliseconds.
const maxTries = int(10 * time.Millisecond / retryPeriod)

// isEarly says whether a request that the kernel wants no reply to is an INTERRUPT to be tried again.
func (q *queue) isEarly(sl *slot) bool {
	return sl.opcode == fuseabi.FUSE_INTERRUPT && q.ring != nil && q.ring.started && q.state == stateReading &&
		sl.tries < maxTries
}

// waitEarly keeps an INTERRUPT until it is tried again.
func (q *queue) waitEarly(sl *slot) {
	sl.tries++
	q.early.push(sl)
	q.retryPoller.Resume()
}

// retryEarly tries those again that wait.
func (q *queue) retryEarly() {
	again := q.early
	q.early = slotList{}
	for !again.isEmpty() {
		q.submit(again.pop())
	}
}

package fusedev

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Watcher is told when requests arrive and leave. Its methods are called on the threads of the session's queues, for
// each request and by several at once: they must not wait, and should allocate nothing.
//
// Not in SPDK.
type Watcher interface {
	// Read says that a request has been read. unique is the kernel's number of it.
	Read(unique uint64)
	// Reply says that the answer to a request is written next.
	Reply(unique uint64)
}

// Watch has w told of requests from now on, in place of who was told before; nil means nobody. When it returns, the one
// before is not told of anything any more. It waits for the queues. Errors: as of messages to threads.
//
// Not in SPDK.
func (s *Session) Watch(w Watcher) error {
	var errs []error
	for _, q := range s.queues {
		if s.isDone() {
			break // nobody reads any more
		}
		err := do(q, func(q *queue) error {
			q.watcher = w
			return nil
		})
		if !errors.Is(err, unix.ESRCH) { // a thread that has exited tells nobody anything
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

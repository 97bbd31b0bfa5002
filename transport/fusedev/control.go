package fusedev

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// control sends the requests that a queue makes itself when the kernel is gone, one at a time: an INTERRUPT for each
// request in flight, and at last a DESTROY. It belongs to the queue's thread.
type control struct {
	q       *queue
	busy    bool // a request of its own is submitted, or waits to be
	waiting bool // the dispatcher had no resources for it
	next    int  // the slot to interrupt next
	done    func(errno syscall.Errno)
	in, out [1][]byte
	inBuf   []byte
	outBuf  []byte
}

func (c *control) init(q *queue) {
	c.q = q
	c.next = len(q.all)
	c.inBuf = make([]byte, 64)
	c.outBuf = make([]byte, 512)
}

// interruptAll asks the dispatcher to give up every request in flight. Nobody waits for them any more, but a request
// that waits for a lock would never end by itself.
func (c *control) interruptAll() {
	c.next = 0
	c.interruptNext()
}

func (c *control) interruptNext() {
	for c.next < len(c.q.all) {
		sl := c.q.all[c.next]
		c.next++
		if sl.busy {
			c.begin(putInterrupt(c.inBuf, sl.unique))
			return
		}
	}
}

// destroy submits a DESTROY; done is called with the reply's errno, or 0 if the dispatcher has none.
func (c *control) destroy(done func(errno syscall.Errno)) {
	c.done = done
	c.begin(putDestroy(c.inBuf))
}

func (c *control) begin(n int) {
	c.in[0] = c.inBuf[:n]
	c.out[0] = c.outBuf
	c.busy = true
	c.waiting = true
	if !c.submit() {
		c.q.retryPoller.Resume()
	}
}

// submit says whether the request is on its way, or beyond help.
func (c *control) submit() bool {
	errno := c.q.srv.SubmitRequest(c.q.ch, c.in[:], c.out[:], onControl, c)
	if errno == unix.ENOBUFS {
		return false
	}
	c.waiting = false
	if errno != 0 {
		c.next = len(c.q.all) // what it refuses once, it refuses always
		c.end(errno)
	}
	return true
}

func onControl(ctx any, errno syscall.Errno, _ uint32) { ctx.(*control).end(errno) }

func (c *control) end(errno syscall.Errno) {
	c.busy = false
	if done := c.done; done != nil {
		c.done = nil
		done(errno)
		return
	}
	if errno == unix.EAGAIN && c.q.all[c.next-1].busy {
		c.next-- // the dispatcher could not look after it now
	}
	c.interruptNext()
	c.q.checkDrained()
}

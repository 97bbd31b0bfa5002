package fusedev

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	"github.com/spdk-go/spdk-go/internal/fuseabi"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/log"
	"github.com/spdk-go/spdk-go/reactor"
)

const (
	// batchRequests and batchBytes end a round of reading, so that a flood of requests does not keep the
	// completions of those that have been read, and other pollers, waiting.
	batchRequests = 32
	batchBytes    = 1 << 20
	// retryPeriod is how long a request waits that the dispatcher had no resources for. What it waits for may
	// become free on another reactor, which does not wake this one.
	retryPeriod = 100 * time.Microsecond
)

// server is the part of the dispatcher that queues need.
type server interface {
	IOChannel(t *reactor.Thread) *iochannel.Channel
	SubmitRequest(ch *iochannel.Channel, in, out [][]byte, cb fusedispatcher.SubmitCplFunc, ctx any) syscall.Errno
}

// owner is what a queue reports to; its methods are called on the queue's thread and do not wait.
type owner interface {
	initDone(errno syscall.Errno) // the reply to INIT has been written
	drained(q *queue)             // the kernel is gone, and nothing is in flight any more
}

type queueState uint8

const (
	stateIdle     queueState = iota // not started, or stopped
	stateReading                    //
	stateDraining                   // the kernel is gone
	stateDrained                    // and nothing is in flight
)

// slot is one request on its way.
type slot struct {
	q        *queue
	next     *slot  // in the list of free slots, or of those that wait for resources
	entry    *entry // of the ring, if it came by that
	in       [3][]byte
	inCount  int
	out      [2][]byte
	outCount int    // 0 for operations without a reply
	bigIn    []byte // nil if the request is in smallIn
	bigOut   []byte
	smallIn  []byte
	smallOut []byte
	unique   uint64
	opcode   uint32
	tries    int // of an INTERRUPT
	busy     bool
	forLocks bool // it is one of those that only serve SETLKW, or an entry that serves one
}

// args returns the arguments of a request, or the first of several that do not lie together.
func (sl *slot) args() []byte {
	switch {
	case sl.entry == nil:
		return sl.in[0][inHeaderSize:]
	case len(sl.in[1]) > 0:
		return sl.in[1]
	}
	return sl.in[2]
}

// queue reads requests from one descriptor and answers them. It belongs to thread t.
type queue struct {
	index    int
	t        *reactor.Thread
	fd       int
	srv      server
	owner    owner
	maxWrite uint32

	state  queueState
	ch     *iochannel.Channel
	poller *reactor.Poller
	// retryPoller runs while retry or control waits for resources of the dispatcher, and is paused else.
	retryPoller *reactor.Poller
	intr        *reactor.Interrupt

	mem       *memory
	buf       []byte // the large buffer that is read into
	slots     []slot
	all       []*slot // slots, and those of the ring
	free      *slot
	freeLock  *slot // those for SETLKW
	lockWaits int
	inFlight  int
	retry     slotList // read, but refused by the dispatcher with ENOBUFS
	early     slotList // INTERRUPTs to be submitted again

	ring       *ring  // nil if everything comes by the descriptor
	ringAgreed bool   // the kernel has offered it
	readAt     uint64 // ticks; when to read the descriptor again, beside a ring
	readEvery  uint64 // ticks; see devicePeriod
	patience   int    // how often to look for what the kernel has yet to give back

	control control
	probing bool    // see answerProbe
	watcher Watcher // nil: nobody wants to know
	stats   QueueStats
	log     *log.Limiter // what the operator should know
}

func newQueue(index int, t *reactor.Thread, fd int, srv server, own owner, l *log.Limiter,
	o *Options) (*queue, error) {
	q := &queue{index: index, t: t, fd: fd, srv: srv, owner: own, log: l, maxWrite: o.MaxWrite, lockWaits: o.LockWaits}
	q.slots = make([]slot, o.Slots+o.LockWaits)
	for i := range q.slots {
		q.slots[i].q = q
		q.slots[i].inCount = 1
		q.all = append(q.all, &q.slots[i])
		q.slots[i].forLocks = i >= o.Slots
	}
	var err error
	if q.mem, err = newMemory(o, q.slots); err != nil {
		return nil, err
	}
	q.buf = q.mem.get()
	for i := len(q.slots) - 1; i >= 0; i-- {
		q.putSlot(&q.slots[i])
	}
	q.control.init(q)
	return q, nil
}

// putSlot puts a slot on the list that it belongs to.
func (q *queue) putSlot(sl *slot) {
	list := &q.free
	if sl.forLocks {
		list = &q.freeLock
	}
	sl.next = *list
	*list = sl
}

// getSlot takes a slot for a request. There is always one of the ordinary ones, or nothing would have been read; what
// may wait as long as it likes does not get one of them if it can be helped.
func (q *queue) getSlot(opcode uint32, n int) *slot {
	list := &q.free
	if opcode == fuseabi.FUSE_SETLKW && q.freeLock != nil && n <= lockSize {
		list = &q.freeLock
	}
	sl := *list
	*list = sl.next
	sl.next = nil
	return sl
}

func pollQueue(_ *reactor.Thread, ctx any) reactor.PollerResult { return ctx.(*queue).poll() }

// poll reads and submits requests until there are none, or the batch is full.
func (q *queue) poll() reactor.PollerResult {
	if q.state != stateReading {
		return reactor.Idle
	}
	result := reactor.Idle
	if !q.retry.isEmpty() {
		if !q.resubmit() {
			return reactor.Idle
		}
		result = reactor.Busy
	}
	if q.ring != nil && q.ring.started {
		now := q.t.LastTicks()
		if now < q.readAt {
			return result
		}
		q.readAt = now + q.readEvery
	}
	bytes := 0
	for range batchRequests {
		if q.free == nil || len(q.mem.big) < 2 {
			q.stats.Stalls++
			break
		}
		n, err := unix.Read(q.fd, q.buf)
		if err != nil {
			if err == unix.EAGAIN {
				q.stats.EmptyReads++
				break
			}
			if q.readFailed(err) {
				break
			}
			continue
		}
		if n == 0 {
			q.hangup()
			break
		}
		result = reactor.Busy
		q.stats.Requests++
		q.stats.BytesIn += uint64(n)
		q.take(n)
		if bytes += n; !q.retry.isEmpty() || bytes >= batchBytes {
			break
		}
	}
	return result
}

// readFailed sorts the errors of read(2) on /dev/fuse (linux, fs/fuse/dev.c, fuse_dev_do_read), and says whether
// reading should stop for this round.
func (q *queue) readFailed(err error) (stop bool) {
	switch err {
	case unix.EINTR:
		return false
	case unix.ENOENT:
		q.stats.AbortedReads++
		return false
	case unix.ENODEV, unix.ECONNABORTED: // unmounted; aborted
		q.hangup()
		return true
	}
	q.stats.FailedReads++
	q.report("read %s: %w", devFuse, err)
	return true
}

// take makes a request of the n bytes that have been read, and submits it.
func (q *queue) take(n int) {
	if n < inHeaderSize {
		q.stats.Rejected++
		q.report("a request of %d bytes is shorter than its header", n)
		return
	}
	h := *fuseabi.Overlay[fuseabi.InHeader](q.buf)
	if q.watcher != nil {
		q.watcher.Read(h.Unique)
	}
	sl := q.getSlot(h.Opcode, n)
	sl.busy = true
	sl.unique = h.Unique
	sl.opcode = h.Opcode
	q.inFlight++
	if n <= smallSize {
		sl.in[0] = sl.smallIn[:copy(sl.smallIn, q.buf[:n])]
	} else {
		sl.in[0] = q.buf[:n]
		sl.bigIn = q.buf
		q.buf = q.mem.get()
	}
	if q.probing && q.answerProbe(sl, &h) {
		return
	}
	if errno := q.admit(sl, &h); errno != 0 {
		q.reject(sl, errno)
		return
	}
	q.submit(sl)
}

// reject answers a request that cannot be served.
func (q *queue) reject(sl *slot, errno syscall.Errno) {
	q.stats.Rejected++
	q.finish(sl, errno, 0)
}

// admit finds room for the reply, or a reason to refuse the request.
func (q *queue) admit(sl *slot, h *fuseabi.InHeader) syscall.Errno {
	if int(h.Len) != len(sl.in[0]) {
		q.report("a request of %d bytes says it has %d", len(sl.in[0]), h.Len)
		return unix.EIO
	}
	if h.Opcode == fuseabi.FUSE_SETLKW && !sl.forLocks {
		return unix.ENOLCK
	}
	sl.outCount = 1
	if !expectsReply(h.Opcode) && h.Opcode != fuseabi.FUSE_INTERRUPT {
		sl.outCount = 0
		return 0
	}
	room := replyRoom(h.Opcode, sl.args())
	if room == 0 {
		sl.out[0] = sl.smallOut
		return 0
	}
	if room <= smallSize {
		sl.out[0] = sl.smallOut[:room]
		return 0
	}
	sl.bigOut = q.mem.get()
	switch {
	case room <= len(sl.bigOut):
		sl.out[0] = sl.bigOut[:room]
	case h.Opcode == fuseabi.FUSE_READDIR || h.Opcode == fuseabi.FUSE_READDIRPLUS:
		sl.out[0] = sl.bigOut // fewer entries than there would be room for do no harm
	default:
		// A shorter READ would mean the end of the file. max_read keeps the kernel from asking for so much.
		q.report("a request %d asks for a reply of %d bytes, more than %d", h.Opcode, room, len(sl.bigOut))
		return unix.EIO
	}
	return 0
}

// submit hands a request to the dispatcher, unless others wait for that already.
func (q *queue) submit(sl *slot) {
	if !q.retry.isEmpty() {
		q.retry.push(sl)
		return
	}
	if !q.trySubmit(sl) {
		q.retry.push(sl)
		q.retryPoller.Resume()
	}
}

// trySubmit hands a request to the dispatcher, and says whether that had the resources.
func (q *queue) trySubmit(sl *slot) bool {
	switch errno := q.srv.SubmitRequest(q.ch, sl.in[:sl.inCount], sl.out[:sl.outCount], onReply, sl); errno {
	case 0:
	case unix.ENOBUFS:
		q.stats.Retries++
		return false
	default:
		q.reject(sl, errno)
	}
	return true
}

// resubmit tries the requests again that wait for resources, and says whether all are on their way.
func (q *queue) resubmit() bool {
	for !q.retry.isEmpty() {
		sl := q.retry.pop()
		if !q.trySubmit(sl) {
			q.retry.pushFirst(sl)
			return false
		}
	}
	return true
}

func pollRetry(_ *reactor.Thread, ctx any) reactor.PollerResult {
	q := ctx.(*queue)
	result := reactor.Idle
	if !q.retry.isEmpty() {
		if !q.resubmit() {
			return reactor.Idle
		}
		result = reactor.Busy
	}
	if q.patience > 0 {
		if q.patience--; q.patience == 0 {
			q.checkDrained()
		}
	}
	if q.control.waiting {
		if !q.control.submit() {
			return result
		}
		result = reactor.Busy
	}
	if !q.early.isEmpty() {
		q.retryEarly()
		result = reactor.Busy
	}
	if q.patience == 0 && q.early.isEmpty() && q.retry.isEmpty() {
		q.retryPoller.Pause()
	}
	return result
}

// onReply is the dispatcher's completion of a request.
func onReply(ctx any, errno syscall.Errno, replyLen uint32) {
	sl := ctx.(*slot)
	sl.q.finish(sl, errno, replyLen)
}

// finish replies to a request and makes its slot free. Without a reply of the dispatcher's, those that the kernel waits
// for get errno.
func (q *queue) finish(sl *slot, errno syscall.Errno, replyLen uint32) {
	if room := len(sl.out[0]) + len(sl.out[1]); int(replyLen) > room {
		q.report("the dispatcher's reply to opcode %d has %d bytes, more than the %d there are",
			sl.opcode, replyLen, room)
		errno, replyLen = unix.EIO, 0
	}
	if replyLen == 0 && errno == 0 && expectsReply(sl.opcode) {
		errno = unix.EIO
	}
	if sl.entry != nil {
		q.ring.commit(sl.entry, errno, replyLen)
		q.release(sl)
		return
	}
	if replyLen == 0 && expectsReply(sl.opcode) {
		sl.out[0] = sl.smallOut
		replyLen = putError(sl.out[0], sl.unique, errno)
	}
	if replyLen > 0 {
		reply := sl.out[0][:replyLen]
		if sl.opcode == fuseabi.FUSE_INIT {
			q.adjustInit(sl, reply)
		}
		if (sl.tries > 0 || q.write(sl, reply) == unix.ENOENT) && q.isEarly(sl) {
			q.waitEarly(sl)
			return
		}
		if sl.opcode == fuseabi.FUSE_INIT {
			q.owner.initDone(errno)
		}
	}
	q.release(sl)
}

// write sends a reply. A reply that the kernel does not understand is followed by one that it does, since whoever
// waits for it would wait forever.
func (q *queue) write(sl *slot, reply []byte) error {
	if q.watcher != nil {
		q.watcher.Reply(sl.unique)
	}
	err := q.send(reply)
	switch err {
	case nil:
		q.stats.Replies++
		q.stats.BytesOut += uint64(len(reply))
		return nil
	case unix.ENOENT: // interrupted or aborted meanwhile
		q.stats.Stale++
		return err
	case unix.ENODEV, unix.EPERM, unix.ECONNABORTED:
		if q.state != stateReading {
			q.stats.Stale++
			return err
		}
	}
	q.stats.Refused++
	q.report("the reply of %d bytes to opcode %d: write %s: %w", len(reply), sl.opcode, devFuse, err)
	_ = q.send(sl.smallOut[:putError(sl.smallOut, sl.unique, unix.EIO)])
	return err
}

func (q *queue) send(b []byte) error {
	for {
		_, err := unix.Write(q.fd, b)
		if err != unix.EINTR {
			return err
		}
	}
}

// release makes a slot and its large buffers free.
func (q *queue) release(sl *slot) {
	if sl.bigIn != nil {
		q.mem.put(sl.bigIn)
		sl.bigIn = nil
	}
	if sl.bigOut != nil {
		q.mem.put(sl.bigOut)
		sl.bigOut = nil
	}
	sl.in, sl.out = [3][]byte{}, [2][]byte{}
	sl.busy, sl.tries = false, 0
	if sl.entry == nil {
		q.putSlot(sl)
	}
	q.inFlight--
	if q.state == stateDraining {
		q.checkDrained()
	}
}

// hangup stops reading for good. It is called when the kernel says that the session is over.
func (q *queue) hangup() {
	if q.state != stateReading {
		return
	}
	q.state = stateDraining
	// The descriptor stays ready now, and would keep the reactor awake.
	q.intr.Unregister()
	q.intr = nil
	if q.ring != nil {
		q.patience = ringPatience
		q.retryPoller.Resume()
	}
	for _, list := range []*slotList{&q.retry, &q.early} {
		for !list.isEmpty() { // nobody waits for it any more
			q.finish(list.pop(), unix.ENODEV, 0)
		}
	}
	for q.ring != nil && !q.ring.lockQueue.isEmpty() {
		q.finish(q.ring.lockQueue.pop(), unix.ENODEV, 0)
	}
	q.control.interruptAll()
	q.checkDrained()
}

func (q *queue) checkDrained() {
	hasAll := q.ring == nil || q.ring.out == 0 || q.patience == 0
	if q.state == stateDraining && q.inFlight == 0 && !q.control.busy && hasAll {
		q.state = stateDrained
		q.owner.drained(q)
	}
}

// errNoChannel says that the dispatcher has nothing for a thread.
var errNoChannel = errors.New("the dispatcher has no channel")

// report tells the operator of something that should not happen.
func (q *queue) report(format string, args ...any) { report(q.log, fmt.Errorf(format, args...)) }

func report(l *log.Limiter, err error) {
	if line, ok := l.Allow(); ok {
		line.Warn("fusedev: unexpected; the statistics say how often", "error", err)
	}
}

// start begins to read. On q's thread.
func (q *queue) start() error {
	q.ch = q.srv.IOChannel(q.t)
	if q.ch == nil {
		return fmt.Errorf("fusedev: thread %s: %w: %w", q.t.Name(), errNoChannel, unix.ENOMEM)
	}
	var err error
	q.intr, err = q.t.RegisterInterrupt("fusedev", q.fd, unix.EPOLLIN|unix.EPOLLEXCLUSIVE, wakeQueue, q)
	if err != nil {
		q.ch.Put()
		q.ch = nil
		return fmt.Errorf("fusedev: thread %s: %w", q.t.Name(), err)
	}
	q.poller = q.t.RegisterPoller("fusedev", pollQueue, q, 0)
	q.poller.RegisterInterrupt(nil, nil)
	q.retryPoller = q.t.RegisterPoller("fusedev_retry", pollRetry, q, retryPeriod)
	q.retryPoller.Pause()
	q.state = stateReading
	return nil
}

// wakeQueue is called when epoll has woken the reactor.
func wakeQueue(_ *reactor.Thread, ctx any) reactor.PollerResult {
	q := ctx.(*queue)
	q.readAt = 0
	return q.poll()
}

// stop releases what start has taken. On q's thread, when nothing is in flight.
func (q *queue) stop() {
	if q.inFlight != 0 || q.control.busy {
		panic(fmt.Sprintf("fusedev: queue %d is stopped with %d requests in flight", q.index, q.inFlight))
	}
	q.state = stateIdle
	if q.ring != nil {
		q.ring.close()
	}
	if q.intr != nil {
		q.intr.Unregister()
		q.intr = nil
	}
	if q.poller != nil {
		q.poller.Unregister()
		q.retryPoller.Unregister()
		q.poller, q.retryPoller = nil, nil
	}
	if q.ch != nil {
		q.ch.Put()
		q.ch = nil
	}
}

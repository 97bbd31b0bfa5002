package fusedev

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/internal/fuseabi"
	"github.com/spdk-go/spdk-go/internal/uring"
	"github.com/spdk-go/spdk-go/reactor"
)

const (
	// ringDepth is how many requests of one CPU can be in flight, beside those that wait for locks.
	ringDepth = 128
	// minRingDepth is less than what is worth a ring.
	minRingDepth = 4
	// ringEntries is the size of the submission queue. What does not fit is submitted first.
	ringEntries = 128
	// ringHeader is what an entry's header takes, with cache lines of its own.
	ringHeader = 320
	// minRingWrite is the least MaxWrite for a ring: its buffers are of that size, and an extended attribute must fit.
	minRingWrite = maxXattr
	// ringPatience is how long entries are waited for that the kernel does not give back, in periods of the retry
	// poller: 2 seconds.
	ringPatience = int(2 * time.Second / retryPeriod)
	// devicePeriod is how often the descriptor is read, which only brings FORGET and INTERRUPT beside a ring.
	devicePeriod = 20 * time.Microsecond
)

// ring is a queue's share of FUSE over io_uring: requests come and replies go with the completions and submissions of
// an io_uring, in buffers that the kernel was given. The kernel has a list of requests per CPU, and gives each to those
// who asked for requests of that CPU. The ring belongs to the queue's thread, which must stay on its reactor.
type ring struct {
	q       *queue
	u       *uring.Ring
	intr    *reactor.Interrupt
	poller  *reactor.Poller
	cpus    []ringCPU
	entries []*entry // by user data
	mem     [][]byte // mappings
	depth   int      // of a CPU

	lockQueue slotList // SETLKW that are not decided on yet

	started bool
	polling bool
	due     bool          // flush is about to be called
	out     int           // entries that the kernel has
	locks   int           // entries that serve SETLKW
	refused syscall.Errno // why the kernel did not take an entry, or a reply

	batch [batchRequests]uring.CQE
}

// ringCPU is one of the kernel's lists of requests.
type ringCPU struct {
	id    uint16
	out   int // entries that the kernel has
	spare int // entries beyond depth, there for SETLKW, that do not serve one
}

// entry is a pair of buffers that a request comes in and its reply goes back in.
type entry struct {
	sl      slot
	cpu     *ringCPU
	index   uint64 // the user data
	header  *fuseabi.UringReqHeader
	payload []byte
	iovs    [2]unix.Iovec // of both
	out     bool          // the kernel has it
}

// newRing makes a ring that will serve the given CPUs. From a plain goroutine.
func newRing(q *queue, o *Options, cpus []uint16) (*ring, error) {
	r := &ring{q: q, cpus: make([]ringCPU, len(cpus))}
	r.depth = min(ringDepth, (o.maxRequests-o.ownSlots())/max(1, len(cpus)))
	if r.depth < minRingDepth {
		return nil, fmt.Errorf("the dispatcher's requests do not suffice for %d CPUs: %w", len(cpus), unix.ENOSPC)
	}
	for i, id := range cpus {
		r.cpus[i].id = id
	}
	var err error
	r.u, err = uring.Open(uring.Options{
		Entries:   ringEntries,
		CQEntries: uint32(len(cpus)*ringDepth + 2*ringEntries),
		Flags:     uring.IORING_SETUP_R_DISABLED | uring.IORING_SETUP_SQE128,
		Wanted:    uring.ReactorFlags,
	})
	if err != nil {
		return nil, err
	}
	for i := range r.cpus {
		if err = r.addEntries(&r.cpus[i], r.depth, o.bigSize()); err != nil {
			break
		}
	}
	if err == nil {
		_, err = r.u.WakeFd()
	}
	if err == nil {
		err = r.u.Restrict([]uint8{uring.IORING_OP_URING_CMD}, uring.IOSQE_FIXED_FILE)
	}
	if err != nil {
		r.free()
		return nil, err
	}
	return r, nil
}

// addEntries makes entries for a CPU.
func (r *ring) addEntries(cpu *ringCPU, n, size int) error {
	headers := roundUp(n*ringHeader, pageSize)
	mem, err := unix.Mmap(-1, 0, headers+n*size, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return fmt.Errorf("%d bytes of buffers: %w", headers+n*size, err)
	}
	r.mem = append(r.mem, mem)
	for i := range n {
		header := mem[i*ringHeader : i*ringHeader+fuseabi.SizeofUringReqHeader]
		e := &entry{cpu: cpu, index: uint64(len(r.entries)), header: fuseabi.Overlay[fuseabi.UringReqHeader](header)}
		e.payload = mem[headers+i*size : headers+(i+1)*size : headers+(i+1)*size]
		for j, b := range [][]byte{header, e.payload} {
			e.iovs[j].Base = &b[0]
			e.iovs[j].SetLen(len(b))
		}
		e.sl.q, e.sl.entry = r.q, e
		r.entries = append(r.entries, e)
		r.q.all = append(r.q.all, &e.sl)
	}
	return nil
}

// errRefused says that the kernel takes no entries. It then goes on by the descriptor, or with what it has taken.
var errRefused = errors.New("the kernel refuses entries")

// start gives the kernel all entries. It has answered INIT, and lets requests wait until it has one of each CPU. After
// errRefused the ring has been started.
func (r *ring) start() error {
	if r.q.state != stateReading {
		return unix.ENODEV
	}
	if err := r.u.RegisterFiles([]int32{int32(r.q.fd)}); err != nil {
		return err
	}
	if err := r.u.Enable(); err != nil {
		return err
	}
	wake, err := r.u.WakeFd()
	if err != nil {
		return err
	}
	r.intr, err = r.q.t.RegisterInterruptExt("fusedev_ring", wake, reactor.FDOpts{Type: reactor.FDTypeEventfd},
		wakeRing, r)
	if err != nil {
		return err
	}
	r.u.SetEventfd(false) // as long as the thread looks by itself
	r.poller = r.q.t.RegisterPoller("fusedev_ring", pollRing, r, 0)
	r.poller.RegisterInterrupt(armRing, r)
	r.started = true
	r.q.readEvery = r.q.t.Framework().TicksHz() / uint64(time.Second/devicePeriod)
	bind(r.q.t) // the kernel holds the ring to the reactor's thread
	for _, e := range r.entries {
		r.register(e)
	}
	for range len(r.entries)/batchRequests + 1 { // refusals are there at once
		r.poll()
	}
	if r.refused != 0 {
		return fmt.Errorf("%w: %w", errRefused, r.refused)
	}
	return nil
}

// close ends the ring, when nothing is in flight. On its thread.
func (r *ring) close() {
	if r.started {
		r.poller.Unregister()
		r.intr.Unregister()
		r.started = false
		unbind(r.q.t)
	}
	_ = r.u.Close()
	if r.out > 0 {
		r.mem = nil // the kernel may yet write to it
	}
}

// free gives everything back that close has left. From a plain goroutine.
func (r *ring) free() {
	_ = r.u.Close()
	for _, m := range r.mem {
		_ = unix.Munmap(m)
	}
	r.mem, r.entries = nil, nil
}

// give submits an entry with a command, and so hands it to the kernel.
func (r *ring) give(e *entry, op uint32, commit uint64) {
	s := r.u.GetSQE128()
	for s == nil {
		r.u.Submit()
		s = r.u.GetSQE128()
	}
	const fixed = 0 // the only registered file
	s.PrepUringCmdVec(fixed, op, e.iovs[:])
	s.Flags = uring.IOSQE_FIXED_FILE
	s.UserData = e.index
	cmd := fuseabi.Overlay[fuseabi.UringCmdReq](s.Cmd())
	*cmd = fuseabi.UringCmdReq{CommitID: commit, QID: e.cpu.id}
	e.out = true
	e.cpu.out++
	r.out++
}

// register gives the kernel an entry to put requests in.
func (r *ring) register(e *entry) { r.give(e, fuseabi.FUSE_IO_URING_CMD_REGISTER, 0) }

// armRing has the kernel wake the thread, or not.
func armRing(_ *reactor.Poller, ctx any, sleeps bool) { ctx.(*ring).u.SetEventfd(sleeps) }

func wakeRing(_ *reactor.Thread, ctx any) reactor.PollerResult { return ctx.(*ring).poll() }
func pollRing(_ *reactor.Thread, ctx any) reactor.PollerResult { return ctx.(*ring).poll() }

func flushRing(_ *reactor.Thread, ctx any) {
	r := ctx.(*ring)
	r.due = false
	if r.started {
		r.u.Submit()
	}
}

// poll takes requests, and sends the replies that are ready by then.
func (r *ring) poll() reactor.PollerResult {
	if !r.q.retry.isEmpty() {
		return reactor.Idle // what has come already goes first
	}
	if r.u.Pending() > 0 {
		r.u.Submit()
	}
	n, _ := r.u.Poll()
	if n == 0 && r.lockQueue.isEmpty() {
		if r.u.Pending() > 0 {
			return reactor.Busy // the kernel is short of memory, and nothing will announce when it is not
		}
		return reactor.Idle
	}
	n = min(n, batchRequests)
	for i := range n {
		r.batch[i] = *r.u.CQE(i)
	}
	r.u.Advance(n)
	r.polling = true
	for i := range n {
		r.complete(&r.batch[i])
	}
	r.polling = false
	if r.u.Pending() > 0 {
		r.u.Submit()
	}
	if !r.lockQueue.isEmpty() {
		r.admitLocks()
	}
	if r.q.state == stateDraining {
		r.q.checkDrained()
	}
	return reactor.Busy
}

// complete takes an entry back from the kernel.
func (r *ring) complete(cqe *uring.CQE) {
	if cqe.UserData >= uint64(len(r.entries)) || !r.entries[cqe.UserData].out {
		r.q.report("a completion %d of nothing", cqe.UserData)
		return
	}
	e := r.entries[cqe.UserData]
	e.out = false
	e.cpu.out--
	r.out--
	switch errno := cqe.Errno(); errno {
	case 0:
		r.take(e)
	case unix.ENOTCONN, unix.ECONNABORTED, unix.ECANCELED: // unmounted; aborted
		r.q.hangup()
	default:
		r.refused = errno
		r.q.stats.FailedReads++
		r.q.report("%s by io_uring, CPU %d: %w", devFuse, e.cpu.id, errno)
	}
}

// take makes a request of what the kernel has put into an entry, and submits it.
func (r *ring) take(e *entry) {
	h := *fuseabi.Overlay[fuseabi.InHeader](e.header.InOut[:])
	sl, payload := &e.sl, int(e.header.RingEntInOut.PayloadSz)
	args := int(h.Len) - inHeaderSize - payload
	sl.unique, sl.opcode, sl.busy = h.Unique, h.Opcode, true
	r.q.inFlight++
	if r.q.watcher != nil {
		r.q.watcher.Read(h.Unique)
	}
	r.q.stats.Requests++
	r.q.stats.ByRing++
	r.q.stats.BytesIn += uint64(h.Len)
	sl.out[0], sl.out[1] = e.header.InOut[:outHeaderSize], nil
	sl.outCount = 1
	if r.q.state != stateReading {
		r.q.finish(sl, unix.ENODEV, 0) // nobody waits for it any more
		return
	}
	if args < 0 || args > len(e.header.OpIn) || payload > len(e.payload) {
		r.q.report("a request %d of %d bytes has a payload of %d", h.Opcode, h.Len, payload)
		r.q.reject(sl, unix.EIO)
		return
	}
	sl.in[0], sl.in[1], sl.in[2] = e.header.InOut[:inHeaderSize], e.header.OpIn[:args], e.payload[:payload]
	sl.inCount = 3
	if r.q.probing && r.q.answerProbe(sl, &h) {
		return
	}
	if errno := r.admit(sl, &h); errno != 0 {
		r.q.reject(sl, errno)
		return
	}
	if h.Opcode == fuseabi.FUSE_SETLKW {
		r.lockQueue.push(sl)
		return
	}
	r.q.submit(sl)
}

// admit finds room for the reply, or a reason to refuse the request.
func (r *ring) admit(sl *slot, h *fuseabi.InHeader) syscall.Errno {
	if !expectsReply(h.Opcode) {
		sl.outCount = 0
		return 0
	}
	e := sl.entry
	if h.Opcode == fuseabi.FUSE_IOCTL {
		// What it reads and what it writes would lie in the same place.
		sl.in[2] = append([]byte(nil), sl.in[2]...)
	}
	room := replyRoom(h.Opcode, sl.args()) - outHeaderSize
	switch {
	case room < 0:
		room = smallSize - outHeaderSize
	case room <= len(e.payload):
	case h.Opcode == fuseabi.FUSE_READDIR || h.Opcode == fuseabi.FUSE_READDIRPLUS:
		room = len(e.payload) // fewer entries than there would be room for do no harm
	default:
		r.q.report("a request %d asks for a reply of %d bytes, more than %d", h.Opcode, room, len(e.payload))
		return unix.EIO
	}
	sl.out[1] = e.payload[:room]
	sl.outCount = 2
	return 0
}

// admitLocks decides on requests that may wait as long as they like, one at a time, once it is known how many entries
// the kernel has left. Who waits for an entry gets that of the next reply, and not one that is added. So one is kept
// only if there are many left; should the kernel run out of them before one more is added, few are left the next time,
// and the next such request, if not another one, is replied to.
func (r *ring) admitLocks() {
	for !r.lockQueue.isEmpty() {
		if n, _ := r.u.Poll(); n > 0 || r.u.Pending() > 0 {
			return // what has come is counted first
		}
		sl := r.lockQueue.pop()
		if errno := r.admitLock(sl.entry); errno != 0 {
			r.q.reject(sl, errno)
		} else {
			r.q.submit(sl)
		}
		r.u.Submit()
	}
}

// admitLock has the kernel get another entry for one that is not to come back soon.
func (r *ring) admitLock(e *entry) syscall.Errno {
	if r.locks == r.q.lockWaits || e.cpu.out < r.depth/4 {
		return unix.ENOLCK
	}
	if e.cpu.spare == 0 {
		first := len(r.entries)
		if err := r.addEntries(e.cpu, 1, len(e.payload)); err != nil {
			return unix.ENOLCK
		}
		r.register(r.entries[first])
	} else {
		e.cpu.spare--
	}
	r.locks++
	e.sl.forLocks = true
	return 0
}

// commit gives an entry back to the kernel with the reply, of n bytes, in it; 0 means that there is none but the errno.
func (r *ring) commit(e *entry, errno syscall.Errno, n uint32) {
	sl := &e.sl
	if n == 0 {
		n = outHeaderSize
		*fuseabi.Overlay[fuseabi.OutHeader](e.header.InOut[:]) = fuseabi.OutHeader{Len: n, Error: -int32(errno),
			Unique: sl.unique}
	}
	if r.q.watcher != nil {
		r.q.watcher.Reply(sl.unique)
	}
	e.header.RingEntInOut.PayloadSz = n - outHeaderSize
	r.q.stats.Replies++
	r.q.stats.BytesOut += uint64(n)
	if sl.forLocks {
		sl.forLocks = false
		r.locks--
		e.cpu.spare++
	}
	if !r.started {
		return
	}
	r.give(e, fuseabi.FUSE_IO_URING_CMD_COMMIT_AND_FETCH, e.header.RingEntInOut.CommitID)
	if !r.polling && !r.due {
		r.due = true
		r.q.t.Defer(flushRing, r) // what the round brings goes to the kernel together
	}
}

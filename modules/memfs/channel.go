package memfs

import (
	"syscall"
	"time"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/internal/locks"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

const (
	// spins is how often an operation that finds a file locked looks again before it lets
	// the thread's other work go first. Most locks are held for less than a microsecond.
	spins = 16

	// trimPeriod and trimGroups bound how fast freed memory goes back to the system: 2 MiB
	// per group, at some 10 µs (huge pages) to 100 µs of a reactor's time.
	trimPeriod = 10 * time.Millisecond
	trimGroups = 4
)

// channel is the context of a thread's channel.
type channel struct {
	lane
	t        *reactor.Thread
	trimmer  *reactor.Poller // paused unless trimming
	trimming bool
	goingOn  bool // goOn is about to be called
}

func (m *Memfs) createChannel(ch *iochannel.Channel, c *channel) syscall.Errno {
	if !m.fs.initLane(&c.lane) {
		return syscall.ENOMEM
	}
	c.t = ch.Thread()
	c.trimmer = c.t.RegisterPoller("memfs_trim", pollTrim, c, trimPeriod)
	c.trimmer.Pause()
	return 0
}

func destroyChannel(_ *iochannel.Channel, c *channel) {
	c.trimmer.Unregister()
	for c.locks.IsUnfinished() { // nobody else would
		c.locks.GrantMore()
	}
	c.completeWoken(c.locks.TakeWoken())
	c.lane.close()
}

// freesMemory tells the operations after which there may be memory to give back.
var freesMemory = [fsdev.NumIOTypes]bool{
	fsdev.IOUmount: true, fsdev.IOForget: true, fsdev.IOSetattr: true, fsdev.IOUnlink: true, fsdev.IORename: true,
	fsdev.IOFopen: true, fsdev.IOCreate: true, fsdev.IORelease: true, fsdev.IOFallocate: true,
}

// retrying is the Ctx of an IO that waits for a file to be unlocked, and aborted what becomes of it
// when it is aborted.
type retrying struct{ _ byte }

var (
	stateRetry   = new(retrying)
	stateAborted = new(retrying)
)

// SubmitRequest implements [fsdev.Device]. Most operations complete before it returns.
//
// Not in SPDK.
func (m *Memfs) SubmitRequest(ch *iochannel.Channel, io *fsdev.IO) {
	iochannel.Ctx[channel](ch).run(io)
}

// run tries an operation a few times and puts it off if others are in the way.
func (c *channel) run(io *fsdev.IO) {
	errno := c.exec(io)
	for i := 0; errno == errBusy && i < spins; i++ {
		pause(i)
		errno = c.exec(io)
	}
	if freesMemory[io.Type] {
		c.startTrim()
	}
	switch errno {
	case errBusy:
		io.Ctx = stateRetry
		c.t.Defer(retry, io)
	case errMore:
		c.t.Defer(resume, io)
	case errWait:
	default:
		io.Complete(errno)
	}
	c.followUp()
}

// followUp does what an operation has left to be done for others.
func (c *channel) followUp() {
	if r := c.locks.TakeWoken(); r != nil {
		c.completeWoken(r)
	}
	if c.locks.IsUnfinished() && !c.goingOn {
		c.goingOn = true
		c.t.Defer(goOn, c)
	}
}

// goOn has those that wait for locks served, a part of them in a round.
func goOn(_ *reactor.Thread, ctx any) {
	c := ctx.(*channel)
	c.goingOn = false
	c.locks.GrantMore()
	c.followUp()
}

// retry runs an operation that was put off, on the thread's next round.
func retry(_ *reactor.Thread, ctx any) {
	io := ctx.(*fsdev.IO)
	if io.Ctx == stateAborted {
		io.Complete(syscall.EINTR)
		return
	}
	io.Ctx = nil
	c := iochannel.Ctx[channel](io.Channel())
	c.insist = true
	c.run(io)
	c.insist = false
}

// resume goes on with an operation of which a part is done.
func resume(_ *reactor.Thread, ctx any) {
	io := ctx.(*fsdev.IO)
	iochannel.Ctx[channel](io.Channel()).run(io)
}

// pause lets some time pass, more with every attempt, without touching what others wait for.
func pause(attempt int) {
	n := 0
	for i := range 8 << min(attempt, 7) {
		n += i
	}
	pauseSink(n)
}

//go:noinline
func pauseSink(int) {}

// completeWoken completes requests whose wait for a lock has ended by what this channel did, each on its own thread.
func (c *channel) completeWoken(r *locks.Request) {
	for r != nil {
		next := r.Next()
		c.put(r.Node().(*inode))
		if t := r.IO.(*fsdev.IO).Thread(); t == c.t {
			c.t.Defer(completeLock, r)
		} else {
			t.SendMsgRetry(c.t, completeLock, r)
		}
		r = next
	}
}

func completeLock(_ *reactor.Thread, ctx any) {
	r := ctx.(*locks.Request)
	io := r.IO.(*fsdev.IO)
	r.IO = nil
	io.Complete(r.Errno)
}

// abort is ABORT. Errors: EALREADY (it is about to complete).
func (c *channel) abort(target *fsdev.IO) syscall.Errno {
	switch s := target.Ctx.(type) {
	case *retrying:
		target.Ctx = stateAborted // retry comes by and completes it
		return 0
	case *locks.Request:
		if c.locks.Abort(s) {
			c.put(s.Node().(*inode))
			target.Complete(syscall.EINTR)
			return 0
		}
	}
	return syscall.EALREADY
}

func (c *channel) startTrim() {
	if !c.trimming && c.fs.wantsTrim() {
		c.trimming = true
		c.trimmer.Resume()
	}
}

func pollTrim(_ *reactor.Thread, ctx any) reactor.PollerResult {
	c := ctx.(*channel)
	if c.fs.wantsTrim() && c.fs.arena.trim(trimGroups) > 0 {
		return reactor.Busy
	}
	c.trimming = false
	c.trimmer.Pause()
	return reactor.Idle
}

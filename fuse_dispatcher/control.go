package fusedispatcher

import (
	"fmt"
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

// control is what the control thread keeps. Nobody else touches it.
type control struct {
	queue   []*controlOp
	current *controlOp // nil when idle
	desc    *fsdev.Desc
	ch      *iochannel.Channel // the control thread's own fsdev channel
	mounted bool
	ending  *session // the last one, until it is unmounted
	deleted bool

	retrieves map[uint64]*retrieve // questions to the client, by unique
	asked     uint64               // how many there have been
}

// controlOp is an INIT, DESTROY, REMOVE or Delete.
type controlOp struct {
	d     *Dispatcher
	run   func(op *controlOp) // its first step
	then  func(op *controlOp) // what follows the teardown under way
	errno syscall.Errno

	r    *request // INIT, DESTROY
	init initParams

	t   *reactor.Thread // Delete
	cb  DeleteFunc
	ctx any
}

// enqueue asks the control thread to run op after those before it; t is the caller's thread.
func (op *controlOp) enqueue(t *reactor.Thread) bool {
	return op.d.ctl.SendMsgRetry(t, enqueued, op)
}

func enqueued(_ *reactor.Thread, ctx any) {
	op := ctx.(*controlOp)
	c := &op.d.control
	c.queue = append(c.queue, op)
	if c.current == nil {
		op.d.runNext()
	}
}

func (d *Dispatcher) runNext() {
	c := &d.control
	c.current = nil
	if len(c.queue) == 0 {
		return
	}
	c.current = c.queue[0]
	c.queue = c.queue[1:]
	c.current.run(c.current)
}

// enqueueRequest hands an INIT or DESTROY to the control thread.
func (r *request) enqueueRequest(op *controlOp) {
	op.d, op.r = r.c.d, r
	if !op.enqueue(r.ch.Thread()) {
		r.fail(syscall.ENODEV)
	}
}

// reply ends an INIT or DESTROY on the thread of its request, and runs the next operation.
func (op *controlOp) reply(errno syscall.Errno) {
	op.errno = errno
	// The request holds its channel, and that its thread.
	op.r.ch.Thread().SendMsgRetry(op.d.ctl, replied, op)
	op.d.runNext()
}

func replied(_ *reactor.Thread, ctx any) {
	op := ctx.(*controlOp)
	switch {
	case op.errno != 0:
		op.r.fail(op.errno)
	case op.init.reply.Major != 0:
		op.r.replyInit(&op.init)
	default:
		op.r.succeed(0)
	}
}

func doDestroy(r *request) { r.enqueueRequest(&controlOp{run: runDestroy}) }

// runDestroy ends the session. Without one there is nothing to do, and that is a success.
func runDestroy(op *controlOp) { op.tearDown(destroyed) }

func destroyed(op *controlOp) { op.reply(0) }

// onFsdevEvent is called on the control thread, which has opened the fsdev.
func onFsdevEvent(t *reactor.Thread, typ fsdev.EventType, _ *fsdev.Fsdev, ctx any) {
	d := ctx.(*Dispatcher)
	if typ != fsdev.EventRemove {
		panic(fmt.Sprintf("fuse_dispatcher: unknown fsdev event %d", typ))
	}
	enqueued(t, &controlOp{d: d, run: runRemove})
}

func runRemove(op *controlOp) { op.tearDown(removed) }

func removed(op *controlOp) {
	d := op.d
	if d.opts.Event != nil {
		d.opts.Event(d.ctl, d, d.opts.EventCtx)
	}
	d.runNext()
}

// DeleteFunc is called when a dispatcher has been deleted, on the thread that asked.
// errno is EALREADY if it had been deleted before, ENODEV if the control thread has exited,
// else 0.
//
// SPDK: spdk_fuse_dispatcher_delete_cpl_cb
type DeleteFunc func(t *reactor.Thread, ctx any, errno syscall.Errno)

// Delete ends the session, if there is one, waits until all channels of the dispatcher have
// been put, and then calls cb with ctx on t. Requests that come meanwhile are refused. On t
// only.
//
// SPDK: spdk_fuse_dispatcher_delete
func (d *Dispatcher) Delete(t *reactor.Thread, cb DeleteFunc, ctx any) {
	op := &controlOp{d: d, run: runDelete, t: t, cb: cb, ctx: ctx}
	if !op.enqueue(t) {
		op.errno = syscall.ENODEV
		t.Defer(reportDeleted, op)
	}
}

func runDelete(op *controlOp) {
	d := op.d
	if d.control.deleted {
		op.errno = syscall.EALREADY
		op.t.SendMsgRetry(d.ctl, reportDeleted, op)
		d.runNext()
		return
	}
	d.control.deleted = true
	op.tearDown(unregisterDevice)
}

func unregisterDevice(op *controlOp) {
	d := op.d
	d.dev.Unregister(d.ctl, deviceGone, op)
	d.runNext()
}

func deviceGone(t *reactor.Thread, ctx any) {
	op := ctx.(*controlOp)
	op.t.SendMsgRetry(t, reportDeleted, op)
}

func reportDeleted(t *reactor.Thread, ctx any) {
	op := ctx.(*controlOp)
	if op.cb != nil {
		op.cb(t, op.ctx, op.errno)
	}
}

// tearDown ends the session, whatever there is of it, and then calls then.
func (op *controlOp) tearDown(then func(op *controlOp)) {
	d := op.d
	op.then = then
	if s := d.sess.Swap(nil); s != nil {
		d.control.ending = s
	}
	d.control.endRetrieves(d.ctl)
	d.openDesc.Store(nil) // channels that are created from now on have no fsdev channel
	if d.control.desc == nil {
		then(op)
		return
	}
	iochannel.ForEachChannel(d.ctl, d.dev, visitDrain, op, drainedAll)
}

// visitDrain waits until a channel has no request in flight and puts its fsdev channel.
func visitDrain(it *iochannel.Iter) {
	c := iochannel.Ctx[channel](it.Channel())
	c.drain = it
	if c.active == 0 {
		c.drained()
		return
	}
	abortActive(it.Channel().Thread(), c)
}

// abortActive asks the module to end every request of a channel that is being drained.
func abortActive(t *reactor.Thread, ctx any) {
	c := ctx.(*channel)
	if c.drain == nil {
		return // they have ended, and what there may be now belongs to another session
	}
	for r := range c.reqs.Out() {
		if !r.active || r.aborted {
			continue
		}
		if r.aborted = r.abort(); !r.aborted {
			t.Defer(abortActive, c) // no IO is free; some will be
			return
		}
	}
}

// goesOn is called when a request has begun another of its operations: a drain that has aborted the one before does not
// know of it.
func (r *request) goesOn() {
	if r.aborted {
		r.aborted = false
		r.ch.Thread().Defer(abortActive, r.c)
	}
}

func (c *channel) drained() {
	it := c.drain
	c.drain = nil
	if c.fsdevCh != nil {
		c.fsdevCh.Put()
		c.fsdevCh = nil
	}
	it.Continue(0)
}

func drainedAll(t *reactor.Thread, ctx any, status syscall.Errno) {
	op := ctx.(*controlOp)
	if status != 0 {
		panic(fmt.Sprintf("fuse_dispatcher %q: the drain of its channels ended with %v", op.d.opts.FsdevName, status))
	}
	removeMappings(t, op)
}

// umount gives up all references and handles of the client.
func umount(t *reactor.Thread, ctx any) {
	op := ctx.(*controlOp)
	c := &op.d.control
	if !c.mounted {
		closeFsdev(op)
		return
	}
	if c.desc.Umount(c.ch, 0, umounted, op) != 0 {
		t.Defer(umount, op) // no IO is free; some will be
	}
}

func umounted(ctx any, _ *iochannel.Channel, _ syscall.Errno) { closeFsdev(ctx.(*controlOp)) }

func closeFsdev(op *controlOp) {
	c := &op.d.control
	c.mounted = false
	if c.ending != nil {
		c.ending.endBacking()
		c.ending = nil
	}
	if c.ch != nil {
		c.ch.Put()
		c.ch = nil
	}
	c.desc.Close()
	c.desc = nil
	op.then(op)
}

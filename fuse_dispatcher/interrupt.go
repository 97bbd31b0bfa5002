package fusedispatcher

import (
	"syscall"

	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

// doInterrupt aborts the request that the client names, on whichever channel it is, if it is
// SETLKW, which flock(2) is too, or IOCTL. There is no reply if it is found, whether it can be
// aborted or not: its own reply is the answer. If it is not, or the module cannot be asked for
// want of an IO, the reply is EAGAIN, and the client's kernel asks again unless the request has
// completed meanwhile.
//
// The client's kernel sends INTERRUPT for whatever is under way when a program gets any signal,
// and most programs do not know that a rename(2) or a read(2) of a file can fail with EINTR: on
// a local file system neither does. SPDK aborts them.
func doInterrupt(r *request) {
	if r.c.abort(args[InterruptIn](r).Unique) {
		r.end(0)
		return
	}
	iochannel.ForEachChannel(r.ch.Thread(), r.c.d.dev, visitInterrupt, r, interruptDone)
}

func visitInterrupt(it *iochannel.Iter) {
	r := it.Ctx().(*request)
	if iochannel.Ctx[channel](it.Channel()).abort(args[InterruptIn](r).Unique) {
		it.Continue(syscall.EALREADY) // found: look no further
		return
	}
	it.Continue(0)
}

func interruptDone(_ *reactor.Thread, ctx any, status syscall.Errno) {
	r := ctx.(*request)
	if status == 0 {
		r.fail(syscall.EAGAIN)
		return
	}
	r.end(0)
}

// abort asks the module to end the request that the client calls unique, and reports
// whether it is on this channel and could be asked for.
func (c *channel) abort(unique uint64) bool {
	for r := range c.reqs.Out() {
		if r.active && r.hdr.Unique == unique && r.hdr.Opcode != FUSE_INTERRUPT && r.hdr.Opcode != FUSE_NOTIFY_REPLY {
			return !r.op.mayEnd || r.abort()
		}
	}
	return false
}

// abort asks the module to end r, unless no IO is free to do so. What cannot be stopped ends
// in its own time.
func (r *request) abort() bool {
	return r.sess.desc.Abort(r.c.fsdevCh, r.seq, aborted, nil) != syscall.ENOBUFS
}

func aborted(any, *iochannel.Channel, syscall.Errno) {}

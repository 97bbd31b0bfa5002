package fusedispatcher

import (
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

// forgetState is where a FORGET, BATCH_FORGET or REMOVEMAPPING has got to. However long its
// list, it has one operation in flight at a time: a client cannot fill the pools with forgets.
type forgetState struct {
	obj     fsdev.FileObject
	nlookup uint64
	left    uint32 // further entries in r.in
	errno   syscall.Errno
}

func doForget(r *request) {
	r.forget = forgetState{obj: r.object(), nlookup: args[ForgetIn](r).Nlookup}
	r.submitForget()
}

func doBatchForget(r *request) {
	r.forget = forgetState{left: args[BatchForgetIn](r).Count}
	r.nextForget()
}

// nextForget takes the next entry of the list, or ends the request. A list that is longer
// than the request ends where the request does.
func (r *request) nextForget() {
	var one ForgetOne
	if r.forget.left == 0 || !r.in.read(Bytes(&one)) {
		r.end(r.forget.errno)
		return
	}
	r.forget.left--
	r.forget.obj, r.forget.nlookup = r.sess.object(one.NodeID), one.Nlookup
	r.submitForget()
}

// submitForget must not give up, since nobody would ever forget the object otherwise.
func (r *request) submitForget() {
	errno := r.sess.desc.Forget(r.c.fsdevCh, r.seq, r.forget.obj, r.forget.nlookup, forgetDone, r)
	if errno != 0 {
		r.ch.Thread().Defer(retryForget, r)
		return
	}
	r.goesOn()
}

func retryForget(_ *reactor.Thread, ctx any) { ctx.(*request).submitForget() }

func forgetDone(ctx any, _ *iochannel.Channel, errno syscall.Errno) {
	r := ctx.(*request)
	r.noteError(errno)
	r.nextForget()
}

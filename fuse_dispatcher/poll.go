package fusedispatcher

import (
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
	"github.com/spdk-go/spdk-go/iochannel"
)

// defaultPollMask is what a client from before 7.21, which does not say, may wait for: POLLIN,
// POLLOUT, POLLRDNORM and POLLWRNORM.
const defaultPollMask = 0x145

// doPoll asks what a file is ready for. If it is not, and the client waits, the module sends
// [fsdev.NotifyPoll] once it is. A module that says ENOSYS is not asked again: its files are
// always ready.
func doPoll(r *request) {
	in := args[PollIn](r)
	events := in.Events
	if r.sess.minor < 21 {
		events = defaultPollMask
	}
	r.started(r.sess.desc.Poll(r.c.fsdevCh, r.seq, r.object(), fsdev.FileHandle(in.Fh), events, in.Kh,
		in.Flags&FUSE_POLL_SCHEDULE_NOTIFY != 0, pollDone, r))
}

func pollDone(ctx any, _ *iochannel.Channel, errno syscall.Errno, events uint32) {
	r := ctx.(*request)
	if errno != 0 {
		r.fail(errno)
		return
	}
	payload[PollOut](r, 0).Revents = events
	r.succeed(8)
}

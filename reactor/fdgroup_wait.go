package reactor

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/internal/sys"
)

// Wait waits for events, at most timeout nanoseconds, without limit if it is negative, and
// calls the functions of the descriptors that are ready, 256 of them at most; the others
// come first the next time. It returns how many functions it called.
//
// An eventfd of [FDTypeEventfd] that was reset by somebody else in the meantime is passed
// over. If reading one fails, the others are still served and Wait returns that errno with
// their number. EINTR means that a signal came before an event. A group that is nested never
// has events: Wait returns 0 at once, and EINVAL for a negative timeout. Waiting from inside
// a callback on the group that called it is a programming error and panics.
//
// SPDK: spdk_fd_group_wait, in milliseconds
func (g *FDGroup) Wait(timeout int64) (n int, errno syscall.Errno) {
	if g.parent != nil {
		if timeout < 0 {
			return 0, unix.EINVAL
		}
		return 0, 0
	}
	ready, errno := g.poll(timeout)
	n, e := g.serve(ready)
	if e != 0 {
		errno = e
	}
	return n, errno
}

// poll is the first half of Wait: it collects events and returns how many.
func (g *FDGroup) poll(timeout int64) (ready int, errno syscall.Errno) {
	if g.waiting {
		panic(fmt.Sprintf("reactor: a callback of fd group %d waits on the group itself", g.epfd))
	}
	return sys.EpollWait(g.epfd, g.events, timeout)
}

// serve is the second half: it calls the functions for the events that poll has collected.
func (g *FDGroup) serve(ready int) (n int, errno syscall.Errno) {
	events := g.events
	g.waiting = true
	for i := range events[:ready] {
		ev := &events[i]
		h := g.handlerOf(ev)
		if h == nil {
			continue // removed or moved by a callback before
		}
		if h.opts.Type == FDTypeEventfd {
			if e := g.resetEventfd(h.fd); e != 0 {
				if e != unix.EAGAIN && e != unix.EINTR && errno == 0 {
					errno = e
				}
				continue
			}
		}
		owner := h.owner
		owner.event = ev
		if owner.wrapper != nil {
			owner.wrapper(owner.wrapperCtx, h.fn, h.ctx)
		} else {
			h.fn(h.ctx)
		}
		owner.event = nil
		n++
	}
	g.waiting = false
	return n, errno
}

// resetEventfd takes what an eventfd has counted.
func (g *FDGroup) resetEventfd(fd int) syscall.Errno {
	n, err := unix.Read(fd, g.count[:])
	switch {
	case err != nil:
		return err.(syscall.Errno)
	case n != len(g.count):
		return unix.EINVAL // something else was passed off as an eventfd
	}
	return 0
}

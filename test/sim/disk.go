package sim

import (
	"syscall"

	"github.com/spdk-go/spdk-go/reactor"
)

// diskIO is an operation on a channel: it keeps a reference, travels to the thread that serves
// it and comes back.
type diskIO struct {
	w      *world
	c      *channel
	server *thread
	on     *thread // where it is, or waits for room
	to     *thread // where it goes
	wait   reactor.RoomWait
	sent   bool
	lost   bool
}

// startIO begins an operation on t's channel of d.
func (w *world) startIO(t *thread, d *device, server *thread) {
	if d == nil || d.removing || server == nil || server.exited || len(w.ios) >= 16 {
		return
	}
	c := t.chanOf(d)
	if c == nil || c.making || c.refs == 0 {
		return
	}
	c.ch.Ref()
	c.refs++
	c.outstanding++
	d.outstanding++
	io := &diskIO{w: w, c: c, server: server}
	w.ios = append(w.ios, io)
	w.stats.ios++
	io.send(t, server)
}

// send sends the operation from one thread to another; if that has exited, it is served here.
func (io *diskIO) send(from, to *thread) {
	io.on, io.to = from, to
	if from == to {
		io.sent = true
		from.t.Defer(runIO, io)
		return
	}
	switch errno := to.t.SendMsgFrom(from.t, runIO, io); errno {
	case 0:
		io.on, io.sent = to, true
	case syscall.ENOMEM:
		to.refused(errno)
		if from.t.IsExited() {
			io.lose()
			return
		}
		from.waits++
		io.w.waiters++
		to.t.WaitForRoom(from.t, &io.wait, retryIO, io)
	default:
		to.refused(errno)
		if to == io.c.t {
			io.lose()
			return
		}
		io.server = from
		io.send(from, from)
	}
}

func retryIO(th *reactor.Thread, ctx any) {
	io := ctx.(*diskIO)
	if !io.on.called(th, "IO that waited for room") {
		return
	}
	if io.sent {
		io.w.fail("%v is told twice that there is room on %v", io.on, io.to)
	}
	io.on.waits--
	io.w.waiters--
	if !io.lost {
		io.send(io.on, io.to)
	}
}

func runIO(th *reactor.Thread, ctx any) {
	io := ctx.(*diskIO)
	w, t := io.w, io.to
	if !t.called(th, "IO") {
		return
	}
	if io.lost {
		return
	}
	if !io.sent {
		w.fail("an operation on device %d comes to %v unasked", io.c.d.id, t)
	}
	io.sent = false
	if io.server != nil {
		io.server = nil
		io.send(t, io.c.t)
		return
	}
	if t != io.c.t {
		w.fail("an operation on device %d ends on %v", io.c.d.id, t)
	}
	drop(&w.ios, io)
	io.end()
}

// end ends the operation on the channel's thread.
func (io *diskIO) end() {
	c := io.c
	c.outstanding--
	c.d.outstanding--
	c.put()
	if c.removal != nil && c.outstanding == 0 {
		it := c.removal
		c.removal = nil
		it.goOn(0)
	}
}

// lose gives the operation up, because a thread that it was on was forced to exit.
func (io *diskIO) lose() {
	if io.lost {
		return
	}
	io.lost = true
	io.c.outstanding--
	io.c.d.outstanding--
	drop(&io.w.ios, io)
	io.w.forgotten++
}

// remove begins the hot-remove of a device: no IO from now on; when each thread's is done, the
// device is unregistered.
func (w *world) remove(t *thread, d *device) {
	if d == nil || d.removing {
		return
	}
	d.removing = true
	w.stats.removals++
	it := &iter{w: w, id: -d.id, d: d, origin: t, last: -1, removal: true}
	it.begin()
}

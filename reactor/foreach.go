package reactor

import "syscall"

// threadVisit is a walk over the threads.
type threadVisit struct {
	fn, done MsgFunc
	ctx      any
	origin   *Thread
	last     uint64 // id of the thread it was sent to last
	ended    bool   // it is on its way home
	wait     RoomWait
}

// ForEachThread calls fn with ctx on each running thread, one after the other in order of
// their ids, and then done (which may be nil) on from, the caller's thread. Threads created
// meanwhile are visited, threads that have begun to exit when their turn comes are not. from
// does not end before done has been called. All calls are made by message.
//
// SPDK: spdk_for_each_thread
func (f *Framework) ForEachThread(from *Thread, fn MsgFunc, ctx any, done MsgFunc) {
	from.AssertCurrent()
	from.visits++
	v := &threadVisit{fn: fn, done: done, ctx: ctx, origin: from}
	v.goOn(from)
}

// goOn sends the visit to the next thread, or home; on is the caller's.
func (v *threadVisit) goOn(on *Thread) {
	next := on.fw.runningThreadAfter(v.last)
	if next == nil {
		v.ended, next = true, v.origin
	}
	v.last = next.id
	v.send(next, on)
}

func (v *threadVisit) send(to, on *Thread) {
	fn := visitThread
	if v.ended {
		fn = visitDone
	}
	if to == on {
		on.Defer(fn, v)
		return
	}
	switch to.SendMsgFrom(on, fn, v) {
	case syscall.ENOMEM:
		to.WaitForRoom(on, &v.wait, visitAgain, v)
	case syscall.ESRCH: // forced to exit
		if !v.ended {
			v.goOn(on)
		}
	}
}

func visitAgain(on *Thread, ctx any) {
	v := ctx.(*threadVisit)
	v.send(v.wait.to, on)
}

func visitThread(t *Thread, ctx any) {
	v := ctx.(*threadVisit)
	v.fn(t, v.ctx)
	v.goOn(t)
}

func visitDone(t *Thread, ctx any) {
	v := ctx.(*threadVisit)
	t.visits--
	if v.done != nil {
		v.done(t, v.ctx)
	}
}

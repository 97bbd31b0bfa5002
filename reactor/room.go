package reactor

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"syscall"
)

// RoomWait is a place in the queue of those who wait until a thread has room for a message.
// The zero value is ready for use; it can be used again once its function has been called.
//
// Not in SPDK, which has nothing to wait for: it aborts. The shape is that of
// spdk_bdev_io_wait_entry.
type RoomWait struct {
	next  *RoomWait
	from  *Thread // nil: a goroutine waits, on ready
	to    *Thread
	fn    MsgFunc
	ctx   any
	ready chan struct{}
}

// WaitForRoom has fn called with ctx on the thread from, the caller's own, when t may have
// room for a message again, or has exited. It does not keep the room for the caller: fn sends
// again, and waits again if others were faster. w belongs to the reactor until fn is called.
// It cannot fail, and takes no room on either thread.
//
// Not in SPDK, see [RoomWait].
func (t *Thread) WaitForRoom(from *Thread, w *RoomWait, fn MsgFunc, ctx any) {
	from.AssertCurrent()
	if w.from != nil {
		panic(fmt.Sprintf("reactor: thread %q waits for room on %q with an entry that waits already", from.name, t.name))
	}
	w.from, w.to, w.fn, w.ctx = from, t, fn, ctx
	from.roomWaits = append(from.roomWaits, w)
	t.queueForRoom(w)
}

// SendMsgWait is [Thread.SendMsg] for a goroutine that can wait: while t has no room, it
// sleeps. It returns ctx's error when that is done first, and one that wraps ESRCH when t has
// exited; otherwise fn is called. It must not be called on a reactor.
//
// Not in SPDK, see [RoomWait].
func (t *Thread) SendMsgWait(ctx context.Context, fn MsgFunc, arg any) error {
	for {
		switch t.SendMsg(fn, arg) {
		case 0:
			return nil
		case syscall.ESRCH:
			return fmt.Errorf("reactor: message to thread %q, which has exited: %w", t.name, syscall.ESRCH)
		}
		w := &RoomWait{to: t, ready: make(chan struct{}, 1)} // has room: the reactor never waits
		t.queueForRoom(w)
		select {
		case <-w.ready:
		case <-ctx.Done():
			t.leaveQueue(w)
			return ctx.Err()
		}
	}
}

// SendMsgRetry is [Thread.SendMsgFrom] that does not give up: while t has no room, the
// message waits on the caller's thread. It returns false, and fn is never called, when t has
// exited by the time of the call; nor is fn called when either of the two exits while the message
// waits. What the caller sends to t meanwhile may overtake it. It
// allocates when t is full; not for hot paths.
//
// Not in SPDK, whose queue is assumed to be large enough.
func (t *Thread) SendMsgRetry(from *Thread, fn MsgFunc, ctx any) bool {
	switch t.SendMsgFrom(from, fn, ctx) {
	case 0:
		return true
	case syscall.ESRCH:
		return false
	}
	r := &sendRetry{msg: message{fn, ctx}}
	t.WaitForRoom(from, &r.wait, retrySend, r)
	return true
}

type sendRetry struct {
	wait RoomWait
	msg  message
}

func retrySend(t *Thread, ctx any) {
	r := ctx.(*sendRetry)
	to := r.wait.to
	if to.SendMsgFrom(t, r.msg.fn, r.msg.ctx) == syscall.ENOMEM {
		to.WaitForRoom(t, &r.wait, retrySend, r)
	}
}

// queueForRoom makes w wait for room on t. Any goroutine.
func (t *Thread) queueForRoom(w *RoomWait) {
	pushWait(&t.roomQueue, w)
	t.callIfRoom()
}

// leaveQueue takes w out of the queue, if t has not done so already: a thread that is stuck must
// not collect those who gave up.
func (t *Thread) leaveQueue(w *RoomWait) {
	for v := popWaits(&t.roomQueue); v != nil; {
		next := v.next
		if v != w {
			pushWait(&t.roomQueue, v)
		}
		v = next
	}
	t.callIfRoom()
}

// callIfRoom is for who has pushed to the queue. t looks at it after it has made room or exited,
// but may have done so before.
func (t *Thread) callIfRoom() {
	if t.msgs.ring.Count() < t.msgs.size || t.IsExited() {
		for w := popWaits(&t.roomQueue); w != nil; {
			next := w.next
			w.call()
			w = next
		}
	}
}

// pushWait pushes w on a stack.
func pushWait(stack *atomic.Pointer[RoomWait], w *RoomWait) {
	for {
		top := stack.Load()
		w.next = top
		if stack.CompareAndSwap(top, w) {
			return
		}
	}
}

// popWaits takes a whole stack and returns it as a list, the first pushed first.
func popWaits(stack *atomic.Pointer[RoomWait]) (list *RoomWait) {
	for w := stack.Swap(nil); w != nil; {
		next := w.next
		w.next = list
		list, w = w, next
	}
	return list
}

// call tells who waits that there is room.
func (w *RoomWait) call() {
	if w.from == nil {
		w.ready <- struct{}{}
		return
	}
	from := w.from // w is its thread's as soon as it has been pushed
	pushWait(&from.roomCalls, w)
	from.call(urgentRoom)
}

// makeLocalRoom is that of the mailbox. It makes room in the ring too, and if it empties it no
// later batch does.
//
//go:noinline
func (t *Thread) makeLocalRoom() bool {
	before := t.msgs.local.Len()
	ok := t.msgs.makeLocalRoom()
	if t.roomQueue.Load() != nil || t.roomList != nil {
		t.giveRoom(t.msgs.local.Len() - before)
	}
	return ok
}

// giveRoom calls n of those who wait for room, the longest waiting first, and all of them if
// the ring is empty, since nothing makes room then.
//
//go:noinline
func (t *Thread) giveRoom(n int) {
	last := &t.roomList
	for *last != nil {
		last = &(*last).next
	}
	*last = popWaits(&t.roomQueue)
	for all := t.msgs.ring.Empty(); t.roomList != nil && (all || n > 0); n-- {
		w := t.roomList
		t.roomList = w.next
		w.call()
	}
}

// runRoomCalls calls the functions of this thread's waits that have come to their end.
func (t *Thread) runRoomCalls() {
	for w := popWaits(&t.roomCalls); w != nil; {
		next := w.next
		i := slices.Index(t.roomWaits, w)
		t.roomWaits = slices.Delete(t.roomWaits, i, i+1)
		w.from, w.next = nil, nil
		t.watch.message()
		t.watch.fn = w.fn
		w.fn(t, w.ctx)
		if t.locks != 0 {
			t.heldDuringSwitch()
		}
		w = next
	}
}

package reactor

import (
	"path"
	"runtime"
	"syscall"

	"github.com/spdk-go/spdk-go/internal/sys"
	"github.com/spdk-go/spdk-go/mempool"
)

// MsgFunc is the function of a message; t is the thread that the message was sent to.
//
// SPDK: spdk_msg_fn
type MsgFunc func(t *Thread, ctx any)

type message struct {
	fn  MsgFunc
	ctx any
}

// funcName names the function of a message in a report: package.Function.
func (m message) funcName() string {
	f := runtime.FuncForPC(sys.FuncPC(m.fn))
	if f == nil {
		return "?"
	}
	return path.Base(f.Name())
}

// SendMsg has fn called with ctx on t, later. Any goroutine may call it. It returns 0,
// ENOMEM when t has no room for a message, or ESRCH when t has exited; fn is called if and
// only if it returned 0, even if t is forced to exit. Who gets ENOMEM can wait for room:
// [Thread.WaitForRoom], [Thread.SendMsgWait].
//
// SPDK: spdk_thread_send_msg, which aborts the process instead of returning an error.
func (t *Thread) SendMsg(fn MsgFunc, ctx any) syscall.Errno {
	switch t.msgs.ring.Push(message{fn, ctx}) {
	case mempool.Full:
		return syscall.ENOMEM
	case mempool.Closed:
		return syscall.ESRCH
	}
	t.wake()
	return 0
}

// SendMsgFrom is [Thread.SendMsg] for a caller that runs on the thread from, and cheaper
// when both threads belong to one reactor.
//
// Not in SPDK: there spdk_thread_send_msg finds out itself.
func (t *Thread) SendMsgFrom(from *Thread, fn MsgFunc, ctx any) syscall.Errno {
	if r := t.reactor.Load(); from.reactor.Load() == r && !t.IsExited() {
		if t.msgs.hasLocalRoom() || t.makeLocalRoom() {
			m := t.msgs.local.Add()
			m.fn, m.ctx = fn, ctx
			if r == nil { // who polls t by hand may be waiting
				t.wake()
			}
			return 0
		}
	}
	return t.SendMsg(fn, ctx)
}

// Defer has fn called with ctx on t in its next round, before any message. On t only. It
// cannot fail: use it for work whose amount is bounded by objects that exist already, such
// as the completion of an IO.
//
// Not in SPDK, where a message to the calling thread is sent.
func (t *Thread) Defer(fn MsgFunc, ctx any) {
	m := t.deferred.Add()
	m.fn, m.ctx = fn, ctx
}

// Messages returns how many messages t has taken to run them, and how many are in its queues, those of this round's
// batch included. Critical and deferred ones do not count. The queues know both: nothing is counted for it. On t only.
//
// Not in SPDK.
func (t *Thread) Messages() (run uint64, waiting int) { return t.msgs.taken(), t.msgs.count() }

// SendCriticalMsg has fn called on t before anything else. There is one slot: EBUSY says
// that an earlier critical message has not run yet. Any goroutine may call it.
//
// SPDK: spdk_thread_send_critical_msg, which aborts the process when the slot is taken.
func (t *Thread) SendCriticalMsg(fn MsgFunc) syscall.Errno {
	if !t.critical.CompareAndSwap(nil, &fn) {
		if t.IsExited() {
			return syscall.ESRCH
		}
		return syscall.EBUSY
	}
	t.call(urgentCritical)
	return 0
}

// noMoreCritical takes the slot of an exited thread.
var noMoreCritical MsgFunc

// ExecMsg calls fn at once if the caller's thread is t, and sends a message otherwise.
//
// SPDK: spdk_thread_exec_msg
func (t *Thread) ExecMsg(from *Thread, fn MsgFunc, ctx any) syscall.Errno {
	if from == t {
		fn(t, ctx)
		return 0
	}
	return t.SendMsgFrom(from, fn, ctx)
}

// What comes before a thread's messages.
const (
	urgentCritical = 1 << iota // a critical message
	urgentRoom                 // another thread has room
)

// call has a round of t look at what comes before messages. Any goroutine.
func (t *Thread) call(what uint32) {
	t.urgent.Or(what)
	t.wake()
}

func (t *Thread) wake() {
	if r := t.reactor.Load(); r != nil {
		r.wake()
	} else if t.bell.Load() != nil {
		t.ring()
	}
}

//go:noinline
func (t *Thread) runUrgent() {
	what := t.urgent.Swap(0)
	if what&urgentCritical != 0 {
		if fn := t.critical.Swap(nil); fn != nil {
			t.watch.message()
			t.watch.fn = *fn
			(*fn)(t, nil)
			if t.locks != 0 {
				t.heldDuringSwitch()
			}
		}
	}
	if what&urgentRoom != 0 {
		t.runRoomCalls()
	}
}

// runMessages runs at most limit messages that were there at the start.
func (t *Thread) runMessages(limit int) {
	n := min(t.msgs.local.Len(), limit)
	t.runQueue(&t.msgs.local, n)
	batch := t.msgs.take(limit - n)
	if len(batch) == 0 {
		return
	}
	for i := range batch {
		m := &batch[i]
		t.watch.fn = m.fn
		m.fn(t, m.ctx)
		if t.locks != 0 {
			t.heldDuringSwitch()
		}
	}
	t.msgs.done(batch)
	if t.roomQueue.Load() != nil || t.roomList != nil {
		t.giveRoom(len(batch))
	}
}

func (t *Thread) runQueue(q *mempool.FIFO[message], n int) {
	t.watch.message()
	for range n {
		m := q.Front()
		fn, ctx := m.fn, m.ctx
		q.Drop(m)
		t.watch.fn = fn
		fn(t, ctx)
		if t.locks != 0 {
			t.heldDuringSwitch()
		}
	}
}

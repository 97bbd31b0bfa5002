package sim

import (
	"slices"
	"syscall"

	"github.com/spdk-go/spdk-go/reactor"
)

type msgState uint8

const (
	msgFree msgState = iota
	msgSent
)

// msg is a message on its way.
type msg struct {
	w       *world
	state   msgState
	from    int // 0: the outside, else the order of the thread plus 1
	to      *thread
	seq     uint32
	ordered bool // among those of its sender
	call    bool // a deferred call
	retry   bool
	act     action
	next    *msg
}

func (w *world) newMsg(from, to *thread) *msg {
	m := w.freeMsgs
	if m == nil {
		m = &msg{}
	} else {
		w.freeMsgs = m.next
	}
	*m = msg{w: w, state: msgSent, to: to}
	if from != nil {
		m.from = from.ord + 1
	}
	return m
}

func (w *world) free(m *msg) {
	m.state, m.next = msgFree, w.freeMsgs
	w.freeMsgs = m
}

// internal is how many messages the framework itself may have on the way.
func (w *world) internal() int {
	n := len(w.iterating) + len(w.walking) + len(w.ios) + len(w.retrying) + w.forgotten
	for _, d := range w.devs {
		if d.state != deviceOpen || d.fuzzy {
			n += 1 + len(w.live)
		}
	}
	return n
}

// refused checks that a thread that says it is full may be.
func (t *thread) refused(errno syscall.Errno) {
	w := t.w
	exited := t.t.IsExited()
	switch errno {
	case syscall.ENOMEM:
		n := t.inbox + w.internal()
		if w.polling != nil || w.hand != nil {
			n += 8 // a batch that has been run gives its room back at its end
		}
		if n < w.cfg.ring {
			w.fail("%v is full of %d messages: %s", t, n, t.t.Holding())
		}
		w.stats.full++
	case syscall.ESRCH:
		if !exited {
			w.fail("%v has not exited, but takes no messages", t)
		}
	default:
		w.fail("message to %v: %v", t, errno)
	}
	if exited && errno != syscall.ESRCH {
		w.fail("message to %v, which has exited: %v", t, errno)
	}
}

// send sends a message that counts among those of its sender, nil for the outside.
func (w *world) send(from, to *thread, manner int32, act action) syscall.Errno {
	m := w.newMsg(from, to)
	m.act, m.ordered = act, true
	m.seq = to.sent[m.from] + 1
	var errno syscall.Errno
	switch {
	case w.cfg.fault.drops(to):
	case manner == sendFrom:
		errno = to.t.SendMsgFrom(from.t, runMsg, m)
	default:
		errno = to.t.SendMsg(runMsg, m)
	}
	if errno != 0 {
		to.refused(errno)
		w.free(m)
		return errno
	}
	to.sent[m.from]++
	if to.inbox++; to.inbox > 2*w.cfg.ring+batch {
		w.fail("%v takes %d messages", to, to.inbox)
	}
	w.stats.messages++
	return 0
}

// deliver has an action done by a message.
func (w *world) deliver(to *thread, act action) bool {
	act.in = direct
	return w.send(nil, to, sendOutside, act) == 0
}

func (w *world) sendMany(from *thread, a action) {
	to := w.thread(a.a)
	if to == nil || to.exited {
		return
	}
	for range a.c {
		switch a.b {
		case sendOutside:
			w.send(nil, to, a.b, action{})
		case sendRetry:
			w.sendRetry(from, to)
		case sendExec:
			w.sendExec(from, to)
		case sendDefer:
			w.deferCall(from)
		default:
			w.send(from, to, a.b, action{})
		}
	}
}

func (w *world) deferCall(t *thread) {
	m := w.newMsg(t, t)
	m.call = true
	t.deferSent++
	m.seq = t.deferSent
	t.deferred++
	t.t.Defer(runMsg, m)
}

func (w *world) sendExec(from, to *thread) {
	if from != to {
		w.send(from, to, sendFrom, action{})
		return
	}
	before := w.calls
	if errno := to.t.ExecMsg(from.t, runInline, to); errno != 0 || w.calls != before+1 {
		w.fail("ExecMsg on %v itself: %v, %d calls", to, errno, w.calls-before)
	}
}

func runInline(th *reactor.Thread, ctx any) {
	t := ctx.(*thread)
	t.w.calls++
	if t.t != th {
		t.w.fail("ExecMsg on %v runs on another thread", t)
	}
}

// sendRetry sends a message that may wait on its sender.
func (w *world) sendRetry(from, to *thread) {
	m := w.newMsg(from, to)
	m.retry = true
	exited := to.t.IsExited()
	if sent := to.t.SendMsgRetry(from.t, runMsg, m); sent == exited {
		w.fail("SendMsgRetry to %v says %v, exited %v", to, sent, exited)
	}
	if exited {
		w.free(m)
		return
	}
	w.retrying = append(w.retrying, m)
	w.stats.messages++
}

func runMsg(th *reactor.Thread, ctx any) {
	m := ctx.(*msg)
	w, t := m.w, m.to
	if w.dead {
		return
	}
	if m.state != msgSent {
		w.fail("a message to %v runs twice", t)
	}
	if !t.called(th, "message") {
		return
	}
	switch {
	case m.call:
		t.deferRun++
		if m.seq != t.deferRun {
			w.fail("%v runs deferred call %d, want %d", t, m.seq, t.deferRun)
		}
		t.deferred--
	case m.retry:
		drop(&w.retrying, m)
		t.ran++
	default:
		t.got[m.from]++
		if m.seq != t.got[m.from] {
			w.fail("%v runs message %d of sender %d, want %d", t, m.seq, m.from, t.got[m.from])
		}
		t.inbox--
		t.ran++
	}
	act := m.act
	w.free(m)
	if act.op == opRelease || act.op != opNone && !w.draining {
		w.exec(at{t: t, in: inMessage}, act)
	}
}

// critical sends a critical message.
func (w *world) critical(to *thread) {
	if to == nil || to.exited {
		return
	}
	var want syscall.Errno
	switch {
	case to.t.IsExited():
		want = syscall.ESRCH
	case to.critSent != to.critRun:
		want = syscall.EBUSY
	}
	errno := to.t.SendCriticalMsg(to.onCritical)
	if errno != want && !(to.t.IsExited() && errno == syscall.EBUSY) {
		w.fail("critical message to %v: %v, want %v", to, errno, want)
	}
	if errno == 0 {
		to.critSent++
	}
}

func (t *thread) runCritical(th *reactor.Thread) {
	if !t.called(th, "critical message") {
		return
	}
	if t.critRun == t.critSent {
		t.w.fail("a critical message of %v runs twice", t)
	}
	if (t.ran > 0 || t.inCall) && !t.t.IsExited() && !t.w.stopping {
		t.w.fail("a critical message of %v does not come first", t)
	}
	t.critRun++
	t.w.run(at{t: t, in: inCritical}, &t.inCritical)
}

// roomWait is somebody who waits for room, maybe to send more messages.
type roomWait struct {
	w        *world
	wait     reactor.RoomWait
	from, to *thread
	left     int32 // messages to send
	manner   int32 // sendManners: by turns
	waiting  bool
}

// waitForRoom waits n times at once, and sends nothing when there is room.
func (w *world) waitForRoom(from, to *thread, n int32) {
	if to == nil || to.exited {
		return
	}
	for range n {
		(&roomWait{w: w, from: from, to: to}).begin()
	}
}

func (r *roomWait) begin() {
	r.waiting = true
	r.from.waits++
	r.w.waiters++
	r.to.t.WaitForRoom(r.from.t, &r.wait, runRoom, r)
	r.w.stats.waits++
}

func runRoom(th *reactor.Thread, ctx any) {
	r := ctx.(*roomWait)
	if !r.from.called(th, "wait for room") {
		return
	}
	if !r.waiting {
		r.w.fail("%v is told twice that there is room on %v", r.from, r.to)
	}
	r.waiting = false
	r.from.waits--
	r.w.waiters--
	r.send()
}

// flood sends many messages, and waits when there is no room.
func (w *world) flood(from, to *thread, manner, n int32) {
	if to != nil && !to.exited {
		(&roomWait{w: w, from: from, to: to, left: n, manner: manner}).send()
	}
}

func (r *roomWait) send() {
	for ; r.left > 0; r.left-- {
		manner := r.manner
		if manner == sendManners {
			manner = r.left % 3 / 2 * sendFrom
		}
		switch r.w.send(r.from, r.to, manner, action{}) {
		case syscall.ENOMEM:
			if !r.from.t.IsExited() { // what is forced to exit cannot wait
				r.begin()
			}
			return
		case syscall.ESRCH:
			return
		}
	}
}

// forgetRetries forgets messages that may be lost with the exit of t: those that wait to be
// sent to it, and, if it is forced, those that wait on it.
func (w *world) forgetRetries(t *thread, forced bool) {
	before := len(w.retrying)
	w.retrying = slices.DeleteFunc(w.retrying, func(m *msg) bool {
		return m.to == t || forced && m.from == t.ord+1
	})
	w.forgotten += before - len(w.retrying)
}

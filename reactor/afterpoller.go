package reactor

import "syscall"

// maxAfter is how many post-poller handlers can wait. SPDK: SPDK_THREAD_MAX_POST_POLLER_HANDLERS
const maxAfter = 4

// RegisterPostPollerHandler has fn called once, with ctx, when the active poller that is
// running returns: for what a poller collects while it handles a batch, such as one doorbell
// for many requests. On t only. It returns ENOSPC when 4 handlers wait already, and EPERM
// inside a handler; fn is not called then.
//
// SPDK: spdk_thread_register_post_poller_handler, which logs instead.
func (t *Thread) RegisterPostPollerHandler(fn MsgFunc, ctx any) syscall.Errno {
	t.AssertCurrent()
	switch {
	case t.runningAfter:
		return syscall.EPERM
	case len(t.after) == maxAfter:
		return syscall.ENOSPC
	}
	if t.after == nil {
		t.after = make([]message, 0, maxAfter)
	}
	t.after = append(t.after, message{fn, ctx})
	return 0
}

func (t *Thread) runAfter() {
	t.runningAfter = true
	for i := range t.after {
		m := t.after[i]
		t.after[i] = message{}
		m.fn(t, m.ctx)
		if t.locks != 0 {
			t.heldDuringSwitch()
		}
	}
	t.after = t.after[:0]
	t.runningAfter = false
}

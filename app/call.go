package app

import (
	"runtime"
	"syscall"

	"github.com/spdk-go/spdk-go/reactor"
)

// waitCall is a function on its way to a thread, with somebody waiting for it.
type waitCall struct {
	fn   func(t *reactor.Thread, done func())
	done chan struct{} // has room for its one value: the thread never waits
}

// Call runs fn on t and returns when it has returned. Call it from a plain goroutine. ESRCH
// means that t has exited and fn did not run.
//
// Not in SPDK, where control-plane code runs on threads itself.
func Call(t *reactor.Thread, fn func(t *reactor.Thread)) syscall.Errno {
	return CallAsync(t, func(t *reactor.Thread, done func()) {
		fn(t)
		done()
	})
}

// CallAsync runs fn on t and returns when done has been called, exactly once, from any
// goroutine. Errors as for [Call].
//
// Not in SPDK.
func CallAsync(t *reactor.Thread, fn func(t *reactor.Thread, done func())) syscall.Errno {
	c := &waitCall{fn: fn, done: make(chan struct{}, 1)}
	for {
		errno := t.SendMsg(runWaitCall, c)
		if errno == 0 {
			break
		}
		if errno != syscall.ENOMEM {
			return errno
		}
		runtime.Gosched() // the thread's ring is full: it is busy, and we are not
	}
	<-c.done
	return 0
}

func runWaitCall(t *reactor.Thread, ctx any) {
	c := ctx.(*waitCall)
	c.fn(t, func() { c.done <- struct{}{} })
}

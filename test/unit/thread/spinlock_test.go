package thread_test

import (
	"errors"
	"testing"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

// TestSpdkSpin: in C a function that can be replaced hears of misuse and the test goes on, here the
// lock panics, and is as before. It needs no init, and outside of threads the caller's thread is nil.
func TestSpdkSpin(t *testing.T) {
	h := reactortest.New(t, 2)
	var lock reactor.Spinlock
	var (
		create  = func(*reactor.Thread) { lock = reactor.Spinlock{} }
		take    = func(th *reactor.Thread) { lock.Lock(th) }
		give    = func(th *reactor.Thread) { lock.Unlock(th) }
		ask     = func(th *reactor.Thread) { lock.Held(th) }
		destroy = func(*reactor.Thread) { lock.Destroy() }
	)
	nobody, th0, th1 := (*reactor.Thread)(nil), h.Threads[0], h.Threads[1]
	for _, tc := range []struct {
		name string
		by   *reactor.Thread
		do   func(th *reactor.Thread)
		want reactor.SpinError
		held *reactor.Thread // afterwards
	}{
		{"create outside", nobody, create, 0, nil},
		{"lock outside", nobody, take, reactor.SpinNotThread, nil},
		{"ask outside", nobody, ask, reactor.SpinNotThread, nil},
		{"destroy outside", nobody, destroy, 0, nil},

		{"create", th0, create, 0, nil},
		{"lock", th0, take, 0, th0},
		{"unlock", th0, give, 0, nil},
		{"lock", th0, take, 0, th0},
		{"lock twice", th0, take, reactor.SpinDeadlock, th0},
		{"unlock another's", th1, give, reactor.SpinWrongThread, th0},
		{"unlock", th0, give, 0, nil},
		{"lock", th0, take, 0, th0},
		{"unlock", th0, give, 0, nil},
		{"unlock twice", th0, give, reactor.SpinWrongThread, nil},
		{"lock by the other", th1, take, 0, th1},
		{"unlock by the other", th1, give, 0, nil},

		{"lock", th0, take, 0, th0},
		{"destroy while held", th0, destroy, reactor.SpinLockHeld, th0},
		{"unlock", th0, give, 0, nil},
		{"destroy", th0, destroy, 0, nil},
	} {
		err, _ := caught(func() { tc.do(tc.by) }).(error)
		var got reactor.SpinError
		if errors.As(err, &got); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
		for _, th := range h.Threads {
			same(t, tc.name+": does thread "+th.Name()+" hold it", lock.Held(th), th == tc.held)
		}
	}
}

package reactor_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

// misuse returns the SpinError that fn panics with, 0 if it does not panic, and what it says.
func misuse(t *testing.T, fn func()) (e reactor.SpinError, text string) {
	t.Helper()
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if err, ok := v.(error); !ok || !errors.As(err, &e) {
			t.Errorf("panic with %v, not with a SpinError", v)
		}
		text = fmt.Sprint(v)
	}()
	fn()
	return 0, ""
}

// TestSpinlockMisuse: every misuse has its own error, which says who did what, and leaves the lock as
// it was.
func TestSpinlockMisuse(t *testing.T) {
	h := reactortest.New(t, 0)
	a, b := h.AddThread("a"), h.AddThread("b")
	for _, tc := range []struct {
		name string
		do   func(s *reactor.Spinlock)
		want reactor.SpinError
		says string
	}{
		{"lock without a thread", func(s *reactor.Spinlock) { s.Lock(nil) }, reactor.SpinNotThread,
			"reactor: spinlock: lock: called without a thread"},
		{"unlock without a thread", func(s *reactor.Spinlock) { s.Unlock(nil) }, reactor.SpinNotThread,
			"reactor: spinlock: unlock: called without a thread"},
		{"held without a thread", func(s *reactor.Spinlock) { s.Held(nil) }, reactor.SpinNotThread,
			"reactor: spinlock: held: called without a thread"},
		{"lock of one's own", func(s *reactor.Spinlock) { s.Lock(a) }, reactor.SpinDeadlock,
			`reactor: spinlock: lock by thread "a": the thread holds the lock already`},
		{"unlock of another's", func(s *reactor.Spinlock) { s.Unlock(b) }, reactor.SpinWrongThread,
			`reactor: spinlock: unlock by thread "b": the thread does not hold the lock`},
		{"destroy of a held one", func(s *reactor.Spinlock) { s.Destroy() }, reactor.SpinLockHeld,
			`reactor: spinlock: destroy of a lock of thread "a": the lock is destroyed while it is held`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var s reactor.Spinlock
			s.Lock(a)
			for range 2 {
				got, text := misuse(t, func() { tc.do(&s) })
				if got != tc.want || text != tc.says {
					t.Errorf("error %d, %q, want %d, %q", got, text, tc.want, tc.says)
				}
			}
			if !s.Held(a) || s.Held(b) {
				t.Errorf("held by a: %v, by b: %v", s.Held(a), s.Held(b))
			}
			s.Unlock(a)
			if got, _ := misuse(t, func() { s.Unlock(a) }); got != reactor.SpinWrongThread {
				t.Errorf("second unlock: %v", got)
			}
			s.Destroy()
			for what, fn := range map[string]func(){
				"lock": func() { s.Lock(b) }, "unlock": func() { s.Unlock(b) }, "destroy": s.Destroy,
			} {
				if got, text := misuse(t, fn); got != reactor.SpinDestroyed {
					t.Errorf("%s of a destroyed lock: %v, %q", what, got, text)
				}
			}
			if s.Held(a) {
				t.Error("a destroyed lock is held")
			}
		})
	}
}

// TestLockMustNotOutliveItsCallback: whatever kind of callback returns with a lock, it is noticed at
// once.
func TestLockMustNotOutliveItsCallback(t *testing.T) {
	var s reactor.Spinlock
	message := func(th *reactor.Thread, _ any) { s.Lock(th) }
	poller := func(th *reactor.Thread, _ any) reactor.PollerResult { s.Lock(th); return reactor.Busy }
	for name, start := range map[string]func(t *testing.T, th *reactor.Thread){
		"message":          func(_ *testing.T, th *reactor.Thread) { th.SendMsg(message, nil) },
		"own message":      func(_ *testing.T, th *reactor.Thread) { th.SendMsgFrom(th, message, nil) },
		"deferred call":    func(_ *testing.T, th *reactor.Thread) { th.Defer(message, nil) },
		"critical message": func(_ *testing.T, th *reactor.Thread) { th.SendCriticalMsg(message) },
		"wait for room": func(_ *testing.T, th *reactor.Thread) {
			th.WaitForRoom(th, &reactor.RoomWait{}, message, nil)
		},
		"active poller": func(_ *testing.T, th *reactor.Thread) { th.RegisterPoller("", poller, nil, 0) },
		"timed poller":  func(_ *testing.T, th *reactor.Thread) { th.RegisterPoller("", poller, nil, 1) },
		"post-poller handler": func(_ *testing.T, th *reactor.Thread) {
			th.RegisterPoller("", func(th *reactor.Thread, _ any) reactor.PollerResult {
				th.RegisterPostPollerHandler(message, nil)
				return reactor.Busy
			}, nil, 0)
		},
		"interrupt": func(t *testing.T, th *reactor.Thread) {
			fd := eventfd(t)
			if _, err := th.RegisterInterrupt("", fd, 0, poller, nil); err != nil {
				t.Fatal(err)
			}
			th.SetInterruptMode(true)
			signal(t, fd)
		},
		"interrupt of a group": func(t *testing.T, th *reactor.Thread) {
			g, err := reactor.NewFDGroup()
			if err != nil {
				t.Fatal(err)
			}
			fd := eventfd(t)
			if err := g.Add(fd, "", func(any) int { s.Lock(th); return 1 }, nil); err != nil {
				t.Fatal(err)
			}
			if _, err := th.RegisterInterruptGroup("", g); err != nil {
				t.Fatal(err)
			}
			th.SetInterruptMode(true)
			signal(t, fd)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s = reactor.Spinlock{}
			h := reactortest.NewLeaky(t, 0)
			th := h.AddThread("careless")
			start(t, th)
			h.Advance(time.Second)
			got, text := misuse(t, func() { th.Poll(0, 0) })
			const want = `reactor: spinlock: thread "careless" holds 1 locks: a lock is held at the end of a callback`
			if diff := cmp.Diff(want, text); got != reactor.SpinHoldDuringSwitch || diff != "" {
				t.Errorf("error %d, %s", got, diff)
			}
		})
	}
}

// TestSpinlockExcludes has threads of two reactors change what a lock guards.
func TestSpinlockExcludes(t *testing.T) {
	noLeaks(t)
	rounds := 20_000
	if testing.Short() {
		rounds = 2_000
	}
	pinning(t, func(t *testing.T, o reactor.Options) {
		fw := run(t, o, 2)
		c := &contended{}
		const each = 2 // threads on each reactor
		var ths []*reactor.Thread
		for i := range 2 * each {
			ths = append(ths, thread(t, fw, i%2))
		}
		c.left.Store(int64(len(ths)))
		c.done = make(chan struct{})
		for _, th := range ths {
			on(t, th, func(th *reactor.Thread) {
				m := &contender{c: c, left: rounds}
				m.p = th.RegisterPoller("contend", contend, m, 0)
			})
		}
		wait(t, "the last round", c.done)
		if want := rounds * len(ths); c.a != want || c.b != want {
			t.Errorf("%d and %d rounds counted, want %d", c.a, c.b, want)
		}
		c.lock.Destroy()
	})
}

// contended is guarded by its lock, except for left.
type contended struct {
	lock reactor.Spinlock
	a, b int
	left atomic.Int64
	done chan struct{}
}

type contender struct {
	c    *contended
	p    *reactor.Poller
	left int
}

func contend(th *reactor.Thread, ctx any) reactor.PollerResult {
	m := ctx.(*contender)
	c := m.c
	for range 50 {
		c.lock.Lock(th)
		c.a++
		if !c.lock.Held(th) || c.a != c.b+1 {
			panic(fmt.Sprintf("inside: held %v, counts %d and %d", c.lock.Held(th), c.a, c.b))
		}
		c.b++
		c.lock.Unlock(th)
		if c.lock.Held(th) {
			panic("held after the unlock")
		}
		if m.left--; m.left == 0 {
			m.p.Unregister()
			if c.left.Add(-1) == 0 {
				close(c.done)
			}
			return reactor.Idle
		}
	}
	return reactor.Busy
}

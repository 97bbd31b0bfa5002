package reactor_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/reactor"
)

// records is a log that tests wait for lines of.
type records struct {
	mu   sync.Mutex
	all  []map[string]string // attributes of each, and the message under ""
	more chan struct{}       // closed and replaced with every record
}

func newRecords() *records { return &records{more: make(chan struct{})} }

func (l *records) Enabled(context.Context, slog.Level) bool { return true }
func (l *records) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *records) WithGroup(string) slog.Handler            { return l }

func (l *records) Handle(_ context.Context, r slog.Record) error {
	attrs := map[string]string{"": r.Message, "level": r.Level.String()}
	r.Attrs(func(a slog.Attr) bool { attrs[a.Key] = a.Value.String(); return true })
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, attrs)
	close(l.more)
	l.more = make(chan struct{})
	return nil
}

// await returns the first record that is what the test waits for.
func (l *records) await(tb testing.TB, what string, ok func(r map[string]string) bool) map[string]string {
	tb.Helper()
	late := time.After(deadline)
	for seen := 0; ; {
		l.mu.Lock()
		fresh, more := l.all[seen:], l.more
		seen = len(l.all)
		l.mu.Unlock()
		for _, r := range fresh {
			if ok(r) {
				return r
			}
		}
		select {
		case <-more:
		case <-late:
			l.mu.Lock()
			defer l.mu.Unlock()
			tb.Fatalf("%s: no such record within %v, only %v", what, deadline, l.all)
		}
	}
}

// block is what the callbacks of the tests do until they are released.
type block struct{ released chan struct{} }

func (b *block) wait() { <-b.released }

func blockMessage(_ *reactor.Thread, ctx any)       { ctx.(*block).wait() }
func blockEvent(_ *reactor.Reactor, arg1, arg2 any) { arg1.(*block).wait() }

// TestBlockingCallbackIsReported while it blocks, by name, and when the reactor goes on.
func TestBlockingCallbackIsReported(t *testing.T) {
	noLeaks(t)
	// Two threads, of which the second is polled last: it must not be blamed for the first one.
	for name, tc := range map[string]struct {
		block func(t *testing.T, th *reactor.Thread, b *block)
		by    string
	}{
		"message": {func(_ *testing.T, th *reactor.Thread, b *block) { th.SendMsg(blockMessage, b) },
			"message reactor_test.blockMessage of thread guilty"},
		"deferred call": {func(_ *testing.T, th *reactor.Thread, b *block) { th.Defer(blockMessage, b) },
			"message reactor_test.blockMessage of thread guilty"},
		"critical message": {func(_ *testing.T, th *reactor.Thread, b *block) {
			th.SendCriticalMsg(func(th *reactor.Thread, _ any) { b.wait() })
		}, "message reactor_test.TestBlockingCallbackIsReported"},
		"wait for room": {func(_ *testing.T, th *reactor.Thread, b *block) {
			th.WaitForRoom(th, &reactor.RoomWait{}, blockMessage, b)
		}, "message reactor_test.blockMessage of thread guilty"},
		"active poller": {func(_ *testing.T, th *reactor.Thread, b *block) { blockOnce(th, b, 0) },
			"poller sluggish of thread guilty"},
		"timed poller": {func(_ *testing.T, th *reactor.Thread, b *block) { blockOnce(th, b, time.Microsecond) },
			"poller sluggish of thread guilty"},
		"interrupt": {func(t *testing.T, th *reactor.Thread, b *block) {
			fd := eventfd(t)
			var i *reactor.Interrupt
			i, err := th.RegisterInterrupt("sluggish", fd, unix.EPOLLIN, func(th *reactor.Thread, _ any) reactor.PollerResult {
				b.wait()
				i.Unregister()
				return reactor.Busy
			}, nil)
			if err != nil {
				t.Error(err)
			}
			signal(t, fd)
		}, "interrupt sluggish of thread guilty"},
		"event": {func(_ *testing.T, th *reactor.Thread, b *block) {
			th.Reactor().SendEvent(blockEvent, b, nil)
		}, "an event"},
		"visit of the reactors": {func(_ *testing.T, th *reactor.Thread, b *block) {
			th.Framework().ForEachReactor(th.Reactor(), blockEvent, b, nil, nil)
		}, "an event"},
	} {
		t.Run(name, func(t *testing.T) {
			pinning(t, func(t *testing.T, o reactor.Options) {
				log := newRecords()
				o.Log, o.StallThreshold = slog.New(log), 20*time.Millisecond
				fw := run(t, o, 1)
				th, err := fw.CreateThread("guilty", nil)
				if err != nil {
					t.Fatal(err)
				}
				innocent, err := fw.CreateThread("innocent", nil)
				if err != nil {
					t.Fatal(err)
				}
				var p *reactor.Poller
				on(t, innocent, func(th *reactor.Thread) {
					p = th.RegisterPoller("harmless", idle, nil, time.Millisecond)
				})
				b := &block{released: make(chan struct{})}
				release := sync.OnceFunc(func() { close(b.released) })
				defer func() { release(); on(t, innocent, func(*reactor.Thread) { p.Unregister() }) }()
				on(t, th, func(th *reactor.Thread) { tc.block(t, th, b) })
				r := log.await(t, "the report of the stall", func(r map[string]string) bool {
					return strings.HasPrefix(r[""], "reactor is blocked") && strings.HasPrefix(r["by"], tc.by)
				})
				if d, err := time.ParseDuration(r["for"]); err != nil || d < o.StallThreshold || r["core"] != "0" ||
					r["level"] != "WARN" {
					t.Errorf("report %v", r)
				}
				if says := r["os thread"]; strings.Contains(says, "not pinned") != o.NoPin {
					t.Errorf("the OS thread is said to be: %s", says)
				}
				release()
				r = log.await(t, "the report of its end", func(r map[string]string) bool {
					return r[""] == "reactor goes on"
				})
				if d, err := time.ParseDuration(r["was blocked for about"]); err != nil || d < o.StallThreshold {
					t.Errorf("report %v", r)
				}
				eventually(t, "the stall is counted", func() bool {
					s := fw.Reactors()[0].Stats()
					return s.Stalls > 0 && s.MaxStall >= o.StallThreshold
				})
			})
		})
	}
}

// blockOnce registers a poller that blocks in its first run.
func blockOnce(th *reactor.Thread, b *block, period time.Duration) {
	var p *reactor.Poller
	p = th.RegisterPoller("sluggish", func(*reactor.Thread, any) reactor.PollerResult {
		b.wait()
		p.Unregister()
		return reactor.Busy
	}, nil, period)
}

// TestSleepIsNoStall, nor is what nobody wants to hear of.
func TestSleepIsNoStall(t *testing.T) {
	for name, tc := range map[string]struct {
		threshold time.Duration
		sleeps    bool
		want      uint64
	}{
		"sleeping":          {time.Millisecond, true, 0},
		"blocked":           {time.Millisecond, false, 1},
		"not long enough":   {time.Hour, false, 0},
		"nobody wants it":   {-1, false, 0},
		"100 ms by default": {0, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			clock := &manualClock{}
			fw := byHand(t, reactor.Options{StallThreshold: tc.threshold, Clock: clock, Log: discard}, 1)
			r := fw.Reactors()[0]
			th := thread(t, fw, 0)
			for !r.Asleep() {
				r.Poll()
				clock.now += uint64(time.Microsecond)
			}
			blocks := func(*reactor.Thread, any) { clock.now += uint64(time.Second) }
			if tc.sleeps {
				blocks(th, nil)
				th.SendMsg(nothing, nil)
			} else {
				th.SendMsg(blocks, nil)
			}
			for range 3 {
				r.Poll()
			}
			s := r.Stats()
			if s.Stalls != tc.want || s.MaxStall != time.Duration(tc.want)*time.Second {
				t.Errorf("%d stalls, the longest of %v", s.Stalls, s.MaxStall)
			}
		})
	}
}

// manualClock is a clock of 1 GHz that a test puts forward.
type manualClock struct{ now uint64 }

func (c *manualClock) Ticks() uint64   { return c.now }
func (c *manualClock) TicksHz() uint64 { return 1e9 }

package log_test

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/log"
)

// lines is where a logger writes in tests.
type lines struct {
	mu    sync.Mutex
	text  []string
	attrs []map[string]any
	block chan struct{} // nil: never
}

func (h *lines) Enabled(context.Context, slog.Level) bool { return true }
func (h *lines) WithGroup(string) slog.Handler            { return h }
func (h *lines) WithAttrs(attrs []slog.Attr) slog.Handler { return &withAttrs{h, attrs} }

func (h *lines) Handle(ctx context.Context, r slog.Record) error {
	return (&withAttrs{h, nil}).Handle(ctx, r)
}

// withAttrs is a lines with what every line has.
type withAttrs struct {
	*lines
	own []slog.Attr
}

func (h *withAttrs) Handle(_ context.Context, r slog.Record) error {
	if h.block != nil {
		<-h.block
	}
	attrs := map[string]any{"level": r.Level.String()}
	add := func(a slog.Attr) bool { attrs[a.Key] = a.Value.Any(); return true }
	for _, a := range h.own {
		add(a)
	}
	r.Attrs(add)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.text, h.attrs = append(h.text, r.Message), append(h.attrs, attrs)
	return nil
}

// clock is a time that tests move.
type clock struct{ ns atomic.Int64 }

func (c *clock) now() time.Duration { return time.Duration(c.ns.Load()) }

func newTestLimiter(o log.Limits) (*log.Limiter, *lines, *clock) {
	h, c := &lines{}, &clock{}
	o.Now = c.now
	return log.NewLimiter(slog.New(h), "room", o), h, c
}

// attempt tries to write n lines and returns how many were allowed.
func attempt(l *log.Limiter, n int) (allowed int) {
	for range n {
		if line, ok := l.Allow(); ok {
			line.Warn("line", "n", allowed)
			allowed++
		}
		if allowed%4 == 0 {
			l.Flush() // the queue has room for a burst
		}
	}
	l.Flush()
	return allowed
}

func TestLimiterAllowsABurstAndThenARate(t *testing.T) {
	l, h, c := newTestLimiter(log.Limits{Burst: 4, PerSecond: 2})
	for _, step := range []struct {
		after time.Duration
		want  int
	}{
		{0, 4},
		{499 * time.Millisecond, 0},
		{time.Millisecond, 1},
		{time.Second, 2},
		{time.Hour, 4}, // what has not been used is not saved up beyond a burst
		{0, 0},
	} {
		c.ns.Add(int64(step.after))
		if got := attempt(l, 100); got != step.want {
			t.Errorf("%v later %d lines, want %d", step.after, got, step.want)
		}
	}
	if len(h.text) != 11 || l.Dropped() != 600-11 {
		t.Errorf("%d lines and %d dropped, want 11 and 589", len(h.text), l.Dropped())
	}
}

func TestLimiterSaysWhatItDropped(t *testing.T) {
	l, h, c := newTestLimiter(log.Limits{Burst: 1, PerSecond: 1})
	attempt(l, 8)
	c.ns.Add(int64(time.Second))
	attempt(l, 1)
	want := []map[string]any{
		{"level": "WARN", "component": "room", "n": int64(0)},
		{"level": "WARN", "component": "room", "n": int64(0), "dropped_before": uint64(7)},
	}
	if diff := cmp.Diff(want, h.attrs); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

// A million reasons in no time are a burst of lines, also from many goroutines.
func TestLimiterBoundsAMillion(t *testing.T) {
	l, h, _ := newTestLimiter(log.Limits{})
	var allowed atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 250_000 {
				if line, ok := l.Allow(); ok {
					allowed.Add(1)
					line.Error("reason")
				}
			}
		})
	}
	wg.Wait()
	l.Flush()
	if allowed.Load() != 10 || len(h.text) > 10 || int(l.Dropped())+len(h.text) != 1_000_000 {
		t.Errorf("%d allowed, %d written, %d dropped", allowed.Load(), len(h.text), l.Dropped())
	}
}

// A logger that hangs holds up nobody, and costs a bounded number of lines.
func TestLimiterDoesNotWaitForTheLogger(t *testing.T) {
	l, h, c := newTestLimiter(log.Limits{Burst: 2, PerSecond: 1})
	h.block = make(chan struct{})
	for range 100 {
		c.ns.Add(int64(time.Second))
		if line, ok := l.Allow(); ok {
			line.Warn("line")
		}
	}
	if l.Dropped() < 100-4 {
		t.Errorf("%d dropped while the logger hangs", l.Dropped())
	}
	close(h.block)
	l.Flush()
	if n := len(h.text) + int(l.Dropped()); n != 100 {
		t.Errorf("%d lines and %d dropped of 100", len(h.text), l.Dropped())
	}
}

func TestNilLimiter(t *testing.T) {
	var l *log.Limiter
	if _, ok := l.Allow(); ok || l.Dropped() != 0 {
		t.Error("a nil limiter allows a line")
	}
	l.Flush()
}

func TestAllowDoesNotAllocate(t *testing.T) {
	l, _, _ := newTestLimiter(log.Limits{Burst: 1})
	l.Allow()
	if n := testing.AllocsPerRun(1000, func() {
		if line, ok := l.Allow(); ok {
			line.Warn("line", "n", 1)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAllowDropped(b *testing.B) {
	l := log.NewLimiter(slog.New(slog.NewTextHandler(io.Discard, nil)), "bench", log.Limits{})
	b.ReportAllocs()
	for b.Loop() {
		if line, ok := l.Allow(); ok {
			line.Warn("line")
		}
	}
}

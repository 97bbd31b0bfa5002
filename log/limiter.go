package log

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

// Limits say how many lines a [Limiter] lets through.
type Limits struct {
	// Burst is how many lines may follow each other at once; 0 means 10.
	Burst int
	// PerSecond is how many there may be on average; 0 means 1.
	PerSecond float64
	// Now is the time since some moment; nil means that of the kernel's monotonic clock.
	Now func() time.Duration
}

// Limiter lets a component write a bounded number of lines, however often it has reason to.
//
// A nil Limiter lets none through.
//
// SPDK has no such thing, and clients of its targets can fill a disk (SPDK_ERRLOG per request).
type Limiter struct {
	log      *slog.Logger
	now      func() time.Duration
	interval int64 // ns from one line to the next, on average
	burst    int64

	// next is when a line could be written if there had been no bursts: each line moves it on by
	// interval, and it may be ahead of the time by burst intervals.
	next     atomic.Int64
	dropped  atomic.Uint64 // since the last line that was written
	total    atomic.Uint64 // dropped ever
	queue    chan entry
	draining atomic.Bool
}

type entry struct {
	level   slog.Level
	msg     string
	args    []any
	dropped uint64
	flushed chan struct{} // for Flush, instead of a line
}

// NewLimiter returns a limiter of what component writes to to, nil for slog.Default.
func NewLimiter(to *slog.Logger, component string, o Limits) *Limiter {
	if to == nil {
		to = slog.Default()
	}
	if o.Burst <= 0 {
		o.Burst = 10
	}
	if o.PerSecond <= 0 {
		o.PerSecond = 1
	}
	if o.Now == nil {
		start := time.Now()
		o.Now = func() time.Duration { return time.Since(start) }
	}
	return &Limiter{
		log:      to.With("component", component),
		now:      o.Now,
		interval: int64(float64(time.Second) / o.PerSecond),
		burst:    int64(o.Burst),
		queue:    make(chan entry, o.Burst),
	}
}

// Line is the right to write one line.
type Line struct{ l *Limiter }

// Allow says whether a line may be written now, and counts it as dropped if not.
func (l *Limiter) Allow() (Line, bool) {
	if l == nil {
		return Line{}, false
	}
	now := int64(l.now())
	for {
		next := l.next.Load()
		after := max(next, now) + l.interval
		if after-now > l.burst*l.interval {
			l.drop()
			return Line{}, false
		}
		if l.next.CompareAndSwap(next, after) {
			return Line{l}, true
		}
	}
}

func (l *Limiter) drop() {
	l.dropped.Add(1)
	l.total.Add(1)
}

// Dropped returns how many lines have not been written.
func (l *Limiter) Dropped() uint64 {
	if l == nil {
		return 0
	}
	return l.total.Load()
}

// Warn writes the line; args are as in slog.Warn, and belong to the limiter. It does not wait.
func (line Line) Warn(msg string, args ...any) { line.put(slog.LevelWarn, msg, args) }

// Error writes the line at that level.
func (line Line) Error(msg string, args ...any) { line.put(slog.LevelError, msg, args) }

func (line Line) put(level slog.Level, msg string, args []any) {
	l := line.l
	e := entry{level: level, msg: msg, args: args, dropped: l.dropped.Swap(0)}
	select {
	case l.queue <- e:
		l.wake()
	default: // whatever is behind the logger is slower than the limit
		l.dropped.Add(e.dropped)
		l.drop()
	}
}

// wake sees to it that somebody empties the queue.
func (l *Limiter) wake() {
	if l.draining.CompareAndSwap(false, true) {
		go l.drain()
	}
}

func (l *Limiter) drain() {
	for {
		select {
		case e := <-l.queue:
			l.write(&e)
			continue
		default:
		}
		l.draining.Store(false)
		// Who put something in between has not started another.
		if len(l.queue) == 0 || !l.draining.CompareAndSwap(false, true) {
			return
		}
	}
}

func (l *Limiter) write(e *entry) {
	if e.flushed != nil {
		close(e.flushed)
		return
	}
	if e.dropped > 0 {
		e.args = append(e.args, "dropped_before", e.dropped)
	}
	l.log.Log(context.Background(), e.level, e.msg, e.args...)
}

// Flush waits until everything has been written that was allowed before. Not from a reactor.
func (l *Limiter) Flush() {
	if l == nil {
		return
	}
	flushed := make(chan struct{})
	l.queue <- entry{flushed: flushed}
	l.wake()
	<-flushed
}

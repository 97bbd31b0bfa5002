package log

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// maxPending is how many bytes of lines can wait for whoever reads the log, some thousand lines.
const maxPending = 1 << 20

// Async is a writer in front of another one, which may be a terminal or a pipe and take its time: who writes a line
// does not wait for that. When more than a MiB waits, lines are lost, and the log says how many. Any goroutine,
// reactors included.
//
// Not in SPDK, whose reactors wait for the terminal.
type Async struct {
	w    io.Writer
	lost func(lines uint64) []byte
	wake chan struct{} // has room: there is something to write, or the end has come
	done chan struct{}

	mu      sync.Mutex // never held while anything is written
	pending []byte
	dropped uint64
	closed  bool
}

// NewAsync returns a writer to w. lost makes the line that says how many are missing before it; nil: a line of text.
// Close ends it.
func NewAsync(w io.Writer, lost func(lines uint64) []byte) *Async {
	if lost == nil {
		lost = func(lines uint64) []byte { return fmt.Appendf(nil, "%d lines of the log are missing here\n", lines) }
	}
	a := &Async{w: w, lost: lost, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go a.run()
	return a
}

// Write takes a line, or drops it; it never fails.
func (a *Async) Write(line []byte) (int, error) {
	a.mu.Lock()
	if a.closed || len(a.pending)+len(line) > maxPending {
		a.dropped++
	} else {
		a.pending = append(a.pending, line...)
	}
	a.mu.Unlock()
	a.signal()
	return len(line), nil
}

func (a *Async) signal() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// run writes what is pending, until the end.
func (a *Async) run() {
	defer close(a.done)
	var batch []byte
	for range a.wake {
		for {
			var dropped uint64
			a.mu.Lock()
			batch, a.pending = a.pending, batch[:0]
			dropped, a.dropped = a.dropped, 0
			closed := a.closed
			a.mu.Unlock()
			if len(batch) > 0 {
				_, _ = a.w.Write(batch) // there is nobody to tell
			}
			if dropped > 0 {
				_, _ = a.w.Write(a.lost(dropped)) // they came when the batch was full
			}
			if len(batch) > 0 || dropped > 0 {
				continue
			}
			if closed {
				return
			}
			break
		}
	}
}

// Close waits until what is pending has been written, but not for longer than patience. Lines that come later are lost.
// Not from a reactor.
func (a *Async) Close(patience time.Duration) {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.signal()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-a.done:
	case <-timer.C:
	}
}

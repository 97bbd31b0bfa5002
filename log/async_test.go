package log_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/log"
)

// TestAsyncWritesInOrder has everything come out that went in, also what came last.
func TestAsyncWritesInOrder(t *testing.T) {
	var out, want bytes.Buffer
	a := log.NewAsync(&out, nil)
	for i := range 1000 {
		fmt.Fprintf(a, "line %d\n", i)
		fmt.Fprintf(&want, "line %d\n", i)
	}
	a.Close(10 * time.Second)
	if out.String() != want.String() {
		t.Errorf("%d bytes came out, want %d", out.Len(), want.Len())
	}
	a.Write([]byte("late\n"))
	a.Close(10 * time.Second)
}

// TestAsyncNeverWaits writes to a pipe that nobody reads more than fits anywhere, and then reads it.
func TestAsyncNeverWaits(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	a := log.NewAsync(w, func(lines uint64) []byte { return fmt.Appendf(nil, "lost=%d\n", lines) })
	l := slog.New(slog.NewJSONHandler(a, nil))
	const n = 20000
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range n / 4 {
				l.Info(strings.Repeat("x", 200)) // 5 MB in all
			}
		})
	}
	wg.Wait() // for ever, if it waited for the reader
	a.Close(time.Millisecond)
	text := make(chan string)
	go func() {
		b, _ := io.ReadAll(r)
		text <- string(b)
	}()
	a.Close(10 * time.Second)
	w.Close()
	said := <-text
	lines := strings.Count(said, "xxx\"}\n")
	var lost, sum int
	for line := range strings.Lines(said) {
		if _, err := fmt.Sscanf(line, "lost=%d\n", &lost); err == nil {
			sum += lost
		}
	}
	if lines == 0 || sum == 0 || lines+sum != n {
		t.Errorf("%d lines are there and %d are said to be lost, of %d", lines, sum, n)
	}
}

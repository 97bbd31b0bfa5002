// Package rpctest runs a [rpc.Service] in tests, and talks to it as a client of any manners.
package rpctest

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/rpc"
)

// patience is how long anything may take.
const patience = 20 * time.Second

// NewService returns a service whose thread runs on a reactor that is not pinned. Both end with the test.
func NewService(tb testing.TB, log *slog.Logger) *rpc.Service {
	tb.Helper()
	if log == nil {
		log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	fw, err := reactor.NewFramework(reactor.Options{Cores: []int{0}, NoPin: true, Log: log})
	if err != nil {
		tb.Fatal(err)
	}
	t, err := fw.CreateThread("app_thread", nil)
	if err != nil {
		tb.Fatal(err)
	}
	if err := fw.Start(); err != nil {
		tb.Fatal(err)
	}
	svc := rpc.NewService(t, log)
	tb.Cleanup(func() {
		if err := svc.Close(); err != nil {
			tb.Error(err)
		}
		fw.Stop()
	})
	return svc
}

// Listen opens a socket in a directory of the test.
func Listen(tb testing.TB, svc *rpc.Service, o rpc.ListenOptions) *rpc.Server {
	tb.Helper()
	srv, err := svc.Listen(filepath.Join(tb.TempDir(), "rpc.sock"), o)
	if err != nil {
		tb.Fatal(err)
	}
	return srv
}

// Wire is a connection on which a test says what it likes.
type Wire struct {
	tb testing.TB
	nc net.Conn
	r  *bufio.Reader
}

// Dial connects to a server. The connection ends with the test.
func Dial(tb testing.TB, path string) *Wire {
	tb.Helper()
	nc, err := net.Dial("unix", path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(patience))
	return &Wire{tb, nc, bufio.NewReader(nc)}
}

// Say sends text.
func (w *Wire) Say(text string) {
	w.tb.Helper()
	if _, err := w.nc.Write([]byte(text)); err != nil {
		w.tb.Fatal(err)
	}
}

// Hear returns the next line without its end, "" if the connection has ended.
func (w *Wire) Hear() string {
	line, err := w.r.ReadString('\n')
	if ne, ok := err.(net.Error); ok && ne.Timeout() {
		w.tb.Helper()
		w.tb.Fatal("the server says nothing")
	}
	return strings.TrimSuffix(line, "\n")
}

// Silent says whether nothing comes for d.
func (w *Wire) Silent(d time.Duration) bool {
	w.nc.SetReadDeadline(time.Now().Add(d))
	defer w.nc.SetReadDeadline(time.Now().Add(patience))
	_, err := w.r.Peek(1)
	ne, ok := err.(net.Error)
	return ok && ne.Timeout()
}

// Expect says text and compares what the server says with the lines.
func (w *Wire) Expect(text string, lines ...string) {
	w.tb.Helper()
	w.Say(text)
	for _, want := range lines {
		if got := w.Hear(); got != want {
			w.tb.Errorf("to  %s\ngot  %s\nwant %s", text, got, want)
		}
	}
}

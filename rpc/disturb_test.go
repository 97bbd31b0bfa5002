package rpc_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/rpc"
)

// gaps measures how long a reactor is away from its pollers, in time that its own thread spends on the CPU: others that
// take the CPU away do not count, whatever they are.
type gaps struct {
	last    time.Duration
	longest atomic.Int64
	polls   atomic.Int64
}

func threadTime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		panic(err)
	}
	return time.Duration(ts.Nano())
}

func pollGaps(_ *reactor.Thread, ctx any) reactor.PollerResult {
	g := ctx.(*gaps)
	now := threadTime()
	if g.last != 0 {
		g.longest.Store(max(g.longest.Load(), int64(now-g.last)))
	}
	g.last = now
	g.polls.Add(1)
	return reactor.Idle
}

// take returns the longest gap since the last take.
func (g *gaps) take() time.Duration { return time.Duration(g.longest.Swap(0)) }

// newPolledRig is a rig whose reactor has a thread of its own, and a poller.
func newPolledRig(t testing.TB) (*rig, *gaps) {
	t.Helper()
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		t.Fatal(err)
	}
	core := 0
	for !set.IsSet(core) {
		core++
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	fw, err := reactor.NewFramework(reactor.Options{Cores: []int{core}, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	r := startRig(t, fw, log)
	g := &gaps{}
	var poller *reactor.Poller
	r.onThread(func(th *reactor.Thread) { poller = th.RegisterPoller("gaps", pollGaps, g, 100*time.Microsecond) })
	t.Cleanup(func() { r.onThread(func(*reactor.Thread) { poller.Unregister() }) })
	return r, g
}

// onThread runs fn on the rig's thread and waits for it.
func (r *rig) onThread(fn func(th *reactor.Thread)) {
	r.t.Helper()
	done := make(chan struct{})
	errno := r.fw.AppThread().SendMsg(func(th *reactor.Thread, _ any) {
		fn(th)
		close(done)
	}, nil)
	if errno != 0 {
		r.t.Fatal(errno)
	}
	<-done
}

// pest says what it likes to a server again and again, until ctx is done, and whether there is an answer or not.
func pest(ctx context.Context, srv *rpc.Server, say func(nc net.Conn)) {
	for ctx.Err() == nil {
		nc, err := net.Dial("unix", srv.Path())
		if err != nil {
			continue // the backlog is full
		}
		hungUp := context.AfterFunc(ctx, func() { nc.Close() })
		say(nc)
		hungUp()
		nc.Close()
	}
}

// write writes a text and reads until the connection ends, which the server sees to.
func write(text string) func(nc net.Conn) {
	return func(nc net.Conn) {
		_, _ = io.WriteString(nc, text)
		_, _ = io.Copy(io.Discard, nc)
	}
}

// ask writes a text, says that there is no more, and reads the answer.
func ask(text string) func(nc net.Conn) {
	return func(nc net.Conn) {
		_, _ = io.WriteString(nc, text)
		_ = nc.(*net.UnixConn).CloseWrite()
		_, _ = io.Copy(io.Discard, nc)
	}
}

// TestBadInputDisturbsNobody has clients of the worst kinds at a server while another one works, which is answered, and
// the reactor comes back to its pollers as soon as ever.
func TestBadInputDisturbsNobody(t *testing.T) {
	r, g := newPolledRig(t)
	srv := r.listen(rpc.ListenOptions{}) // whose patience ends after that of the client that works
	good := r.dial(srv)
	work := func() {
		t.Helper()
		for range 5 {
			var res echoResult
			if err := good.Call(within(t), "test_echo", echoParams{Text: "x"}, &res); err != nil || res.Text != "x" {
				t.Fatalf("%v, %v", res, err)
			}
		}
	}
	work()
	g.take()
	for range 10 {
		work()
	}
	usual := g.take()
	const limit = 10 * time.Millisecond // it is some 100 µs
	for _, tc := range []struct {
		name    string
		clients int
		say     func(nc net.Conn)
	}{
		{"not JSON", 2, write(`{"method"}`)},
		{"binary", 2, write("\x00\xff\x13\x37" + strings.Repeat("\xfe", 100<<10))},
		{"300 KiB", 2, write(`{"method":"` + strings.Repeat("x", 300<<10) + `"}`)},
		{"deep", 2, write(strings.Repeat("[", 100<<10))},
		{"many values", 2, ask("[" + strings.Repeat("1,", 8000) + "1]")},
		{"half a request and silence", 2, write(`{"jsonrpc":"2.0","method":`)},
		{"65 connections", 65, func(nc net.Conn) { time.Sleep(50 * time.Millisecond) }},
		{"comes and goes", 2, func(net.Conn) {}},
		{"large batches", 2, ask("[" + strings.Repeat(`{"id":1,"method":"test_echo","params":{"text":"a"}},`, 400) +
			`{"id":1,"method":"none"}]`)},
		{"never reads", 2, func(nc net.Conn) {
			for { // more than sockets hold
				if _, err := io.WriteString(nc, `{"id":1,"method":"test_big","params":{"size":100000}}`); err != nil {
					return
				}
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g.take()
			polls := g.polls.Load()
			ctx, quit := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			for range tc.clients {
				wg.Go(func() { pest(ctx, srv, tc.say) })
			}
			for end := time.Now().Add(60 * time.Millisecond); time.Now().Before(end); {
				work()
			}
			quit()
			wg.Wait()
			work()
			longest := g.take()
			t.Logf("longest between two of %d polls: %v, usually %v", g.polls.Load()-polls, longest, usual)
			if longest > limit && !raceEnabled {
				t.Errorf("the reactor was away from its pollers for %v, more than %v", longest, limit)
			}
		})
	}
}

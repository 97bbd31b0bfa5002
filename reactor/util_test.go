package reactor_test

import (
	"log/slog"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/reactor"
)

// journal is where callbacks write down that they ran.
type journal struct{ entries []string }

func (j *journal) add(s string) { j.entries = append(j.entries, s) }

func (j *journal) take() []string {
	e := j.entries
	j.entries = nil
	return e
}

// says returns a message that writes s down.
func (j *journal) says(s string) reactor.MsgFunc {
	return func(*reactor.Thread, any) { j.add(s) }
}

// polls returns a poller that writes s down and answers rc.
func (j *journal) polls(s string, rc reactor.PollerResult) reactor.PollerFunc {
	return func(*reactor.Thread, any) reactor.PollerResult { j.add(s); return rc }
}

// discard is a log for what a test provokes and does not look at.
var discard = slog.New(slog.DiscardHandler)

// nothing is a message that does nothing.
func nothing(*reactor.Thread, any) {}

// eventfd returns an eventfd that lives as long as the test.
func eventfd(tb testing.TB) int {
	tb.Helper()
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { unix.Close(fd) })
	return fd
}

// panics reports whether fn panics.
func panics(fn func()) (did bool) {
	defer func() { did = recover() != nil }()
	fn()
	return false
}

// deadline is long enough for a machine that does other things too.
const deadline = 60 * time.Second

// wait returns when done is closed and fails the test when that takes too long.
func wait(tb testing.TB, what string, done <-chan struct{}) {
	tb.Helper()
	select {
	case <-done:
	case <-time.After(deadline):
		tb.Fatalf("%s: not within %v", what, deadline)
	}
}

// waitWhile returns when done is closed and fails the test when progress, which grows, stands
// still for too long: a machine that does other things too is slow, but a hang is a hang.
func waitWhile(tb testing.TB, what string, progress func() uint64, done <-chan struct{}) {
	tb.Helper()
	for last := progress(); ; {
		select {
		case <-done:
			return
		case <-time.After(deadline):
		}
		now := progress()
		if now == last {
			tb.Fatalf("%s: nothing has happened for %v", what, deadline)
		}
		last = now
	}
}

// eventually polls until ok, and fails the test when that takes too long.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for end := time.Now().Add(deadline); !ok(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(end) {
			tb.Fatalf("%s: not within %v", what, deadline)
		}
	}
}

// on runs fn on t and waits for it.
func on(tb testing.TB, t *reactor.Thread, fn func(t *reactor.Thread)) {
	tb.Helper()
	done := make(chan struct{})
	if errno := t.SendMsg(func(t *reactor.Thread, _ any) { fn(t); close(done) }, nil); errno != 0 {
		tb.Fatalf("message to %s: %v", t.Name(), errno)
	}
	wait(tb, "message to "+t.Name(), done)
}

// noLeaks checks at the end of the test that goroutines and file descriptors are as many
// as they were at its beginning. Call it before anything else registers a cleanup.
func noLeaks(tb testing.TB) {
	tb.Helper()
	goroutines, fds := runtime.NumGoroutine(), openFiles(tb)
	tb.Cleanup(func() {
		if tb.Failed() {
			return
		}
		eventually(tb, "goroutines end", func() bool { return runtime.NumGoroutine() <= goroutines })
		if n := openFiles(tb); n > fds {
			tb.Errorf("%d file descriptors are open, %d were", n, fds)
		}
	})
}

func openFiles(tb testing.TB) int {
	tb.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		tb.Fatal(err)
	}
	return len(names)
}

// run returns a started framework with a reactor for each of cores, stopped at the end of
// the test.
func run(tb testing.TB, o reactor.Options, cores int) *reactor.Framework {
	tb.Helper()
	if !o.NoPin {
		skipUnless(tb, needCPUs(cores))
	}
	for i := range cores {
		o.Cores = append(o.Cores, i)
	}
	fw, err := reactor.NewFramework(o)
	if err != nil {
		tb.Fatal(err)
	}
	if err := fw.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { stop(tb, fw) })
	return fw
}

// thread creates a thread on one core.
func thread(tb testing.TB, fw *reactor.Framework, core int) *reactor.Thread {
	tb.Helper()
	t, err := fw.CreateThread("", reactor.NewCpuset(core))
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

// pinning runs a test with reactors that are pinned and with ones that are not.
func pinning(t *testing.T, test func(t *testing.T, o reactor.Options)) {
	for _, noPin := range []bool{false, true} {
		name := "pinned"
		if noPin {
			name = "unpinned"
		}
		t.Run(name, func(t *testing.T) { test(t, reactor.Options{NoPin: noPin}) })
	}
}

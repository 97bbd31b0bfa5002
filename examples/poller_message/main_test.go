package main

import (
	"io"
	"log/slog"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/reactor"
)

// options let the program run on any machine.
func options() app.Options {
	return app.Options{NoPin: true, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

func TestRun(t *testing.T) {
	pp := &pingPong{}
	if err := pp.run(options()); err != nil {
		t.Fatal(err)
	}
	if pp.sent != rounds || pp.counted != rounds || pp.answered != rounds {
		t.Errorf("%d sent, %d counted, %d answered, want %d of each", pp.sent, pp.counted, pp.answered, rounds)
	}
}

// TestSignal interrupts the program: whatever still held a thread then would hold it for 5 seconds.
func TestSignal(t *testing.T) {
	o := options()
	o.Subsystems = []app.Subsystem{{Name: "signal", Init: func(t *reactor.Thread, _ *app.App, done func(error)) {
		s := &sender{}
		s.poller = t.RegisterPoller("signal", sendSignal, s, 3*period)
		done(nil)
	}}}
	pp := &pingPong{}
	begin := time.Now()
	if err := pp.run(o); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took > 5*time.Second || pp.answered == rounds {
		t.Errorf("the program ended after %v and %d answers", took, pp.answered)
	}
}

type sender struct{ poller *reactor.Poller }

func sendSignal(_ *reactor.Thread, ctx any) reactor.PollerResult {
	ctx.(*sender).poller.Unregister()
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		panic(err)
	}
	return reactor.Busy
}

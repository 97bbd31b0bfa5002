package app

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spdk-go/spdk-go/reactor"
)

// signalWatch turns signals into an orderly shutdown, and impatience into an end.
type signalWatch struct {
	signals chan os.Signal
	quit    chan struct{}
	ended   chan struct{}
}

func watchSignals(a *App) *signalWatch {
	w := &signalWatch{
		signals: make(chan os.Signal, 2),
		quit:    make(chan struct{}),
		ended:   make(chan struct{}),
	}
	// A reader of our output that goes away must not take mounted file systems with it.
	signal.Ignore(syscall.SIGPIPE)
	signal.Notify(w.signals, syscall.SIGINT, syscall.SIGTERM)
	go w.run(a)
	return w
}

func (w *signalWatch) run(a *App) {
	defer close(w.ended)
	select {
	case <-w.signals:
	case <-w.quit:
		return
	}
	if a.o.Shutdown == nil {
		a.Stop(nil)
	} else if errno := a.thread.SendMsg(runShutdown, a); errno != 0 {
		a.Stop(fmt.Errorf("app: shutdown: %w", errno))
	}
	select {
	case sig := <-w.signals:
		abort(a.o.Name, sig.(syscall.Signal))
	case <-w.quit:
	}
}

func (w *signalWatch) stop() {
	signal.Stop(w.signals)
	close(w.quit)
	<-w.ended
}

func runShutdown(t *reactor.Thread, ctx any) {
	a := ctx.(*App)
	a.o.Shutdown(t, a)
}

// abort ends the process by the signal itself, so that its parent sees what happened.
func abort(name string, sig syscall.Signal) {
	fmt.Fprintf(os.Stderr, "%s: second signal (%v) during the shutdown: aborting\n", name, sig)
	signal.Reset(sig)
	if syscall.Kill(os.Getpid(), sig) == nil {
		select {}
	}
	os.Exit(128 + int(sig))
}

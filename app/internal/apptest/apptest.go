// Package apptest runs an application for tests of programs that talk to one.
package apptest

import (
	"io"
	"log/slog"
	"sync"
	"testing"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/reactor"
)

// Start runs an application in the background: o with one reactor that is not pinned, without signals, locks of CPUs
// and log. It may not be up yet when Start returns. The end of the test ends it, or stop, which may be called more than
// once, and waits. An application that ends with an error fails the test.
func Start(tb testing.TB, o app.Options) (stop func()) {
	tb.Helper()
	o.Name = "test"
	o.NoPin, o.CPUMask = true, reactor.NewCpuset(0)
	o.DisableSignalHandlers, o.DisableCPUMaskLocks = true, true
	o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	a, err := app.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	end := make(chan error, 1)
	go func() {
		if err := a.Start(func(*reactor.Thread, *app.App) error { return nil }); err != nil {
			end <- err
			return
		}
		end <- a.Wait()
	}()
	stop = sync.OnceFunc(func() {
		a.Stop(nil)
		if err := <-end; err != nil {
			tb.Errorf("the application: %v", err)
		}
	})
	tb.Cleanup(stop)
	return stop
}

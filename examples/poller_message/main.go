// Command poller_message runs two threads on two reactors.
// Every 100 ms a poller of thread A sends a message to thread B,
// which counts it and answers. After 10 answers the application
// stops. docs/porting.md shows the same program in C beside it.
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/reactor"
)

const (
	rounds = 10
	period = 100 * time.Millisecond
)

type pingPong struct {
	app      *app.App
	a, b     *reactor.Thread
	ticker   *reactor.Poller // A's
	sent     int             // A's
	answered int             // A's
	counted  int             // B's
}

func leave(t *reactor.Thread, _ any) { t.Exit() }

// finish runs on A: it lets go of everything, then stops.
func (pp *pingPong) finish(a *app.App) {
	if pp.b != nil {
		pp.stopTicker()
		pp.b.SendMsgRetry(pp.a, leave, nil)
		pp.b = nil
	}
	a.Stop(nil)
}

func (pp *pingPong) stopTicker() {
	if pp.ticker != nil {
		pp.ticker.Unregister()
		pp.ticker = nil // unregistering it again would panic
	}
}

// pong runs on A, for each answer.
func pong(_ *reactor.Thread, ctx any) {
	pp := ctx.(*pingPong)
	if pp.answered++; pp.answered == rounds {
		pp.finish(pp.app)
	}
}

// ping runs on B, for each message.
func ping(t *reactor.Thread, ctx any) {
	pp := ctx.(*pingPong)
	pp.counted++
	// Nobody would send this answer again: while A has no
	// room for it, the send is tried every round.
	pp.a.SendMsgRetry(t, pong, pp)
}

// tick runs on A, every 100 ms.
func tick(t *reactor.Thread, ctx any) reactor.PollerResult {
	pp := ctx.(*pingPong)
	// Where C aborts, Go tells: B has no room. Try again
	// in 100 ms.
	if pp.b.SendMsgFrom(t, ping, pp) != 0 {
		return reactor.Idle
	}
	if pp.sent++; pp.sent == rounds {
		pp.stopTicker()
	}
	return reactor.Busy
}

// start runs on the app thread, which is A.
func (pp *pingPong) start(t *reactor.Thread, a *app.App) error {
	cpus := reactor.NewCpuset(1)
	b, err := a.Framework().CreateThread("thread_b", cpus)
	if err != nil {
		return err
	}
	pp.app, pp.a, pp.b = a, t, b
	pp.ticker = t.RegisterPoller("tick", tick, pp, period)
	return nil
}

func (pp *pingPong) run(o app.Options) error {
	o.Name = "poller_message"
	o.CPUMask = reactor.NewCpuset(0, 1)
	o.Shutdown = func(_ *reactor.Thread, a *app.App) {
		pp.finish(a)
	}
	return app.Run(o, pp.start)
}

func main() {
	pp := &pingPong{}
	if err := pp.run(app.Options{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("B counted %d messages, A %d answers\n",
		pp.counted, pp.answered)
}

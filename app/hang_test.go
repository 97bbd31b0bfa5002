package app_test

import (
	"context"
	"log/slog"
	"regexp"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/modules/null"
	"github.com/spdk-go/spdk-go/reactor"
)

// TestHangReport leaks one thing after the other, and has the report of the end name it, and the end come once it has
// been let go.
func TestHangReport(t *testing.T) {
	for _, test := range []struct {
		name string
		leak func(t *testing.T, th *reactor.Thread, a *app.App) (release func())
		want []string // lines, as regular expressions
	}{
		{"channel", func(t *testing.T, th *reactor.Thread, a *app.App) func() {
			d := leakDevice(t, th)
			ch := d.IOChannel(th)
			return func() {
				ch.Put()
				d.Close()
			}
		}, []string{
			`takes its time.*"waits for"="subsystem fsdev"`,
			`still there: fsdev" what="device n0, being removed, 1 descriptors of thread app_thread"`,
			`still there: thread" thread=app_thread "held by"=".*channel of fsdev_n0 \(1 references\)`,
		}},
		{"descriptor", func(t *testing.T, th *reactor.Thread, a *app.App) func() {
			d := leakDevice(t, th)
			return func() { d.Close() }
		}, []string{`what="device n0, being removed, 1 descriptors of thread app_thread"`}},
		{"channel without a descriptor", func(t *testing.T, th *reactor.Thread, a *app.App) func() {
			d := leakDevice(t, th)
			first, second := d.IOChannel(th), d.IOChannel(th)
			d.Close()
			return func() {
				first.Put()
				second.Put()
			}
		}, []string{`what="device n0, being removed, waits for its channels"`, `channel of fsdev_n0 \(2 references\)`}},
		{"poller", func(t *testing.T, th *reactor.Thread, a *app.App) func() {
			p := th.RegisterPoller("leaked", func(*reactor.Thread, any) reactor.PollerResult { return reactor.Idle }, nil,
				time.Hour)
			return p.Unregister
		}, []string{`waits for"="threads, which are forced`, `thread=app_thread "held by"="poller leaked"`}},
		{"goroutine", func(t *testing.T, th *reactor.Thread, a *app.App) func() {
			quit := make(chan struct{})
			if err := a.Go(func(context.Context) error { <-quit; return nil }); err != nil {
				t.Fatal(err)
			}
			return func() { close(quit) }
		}, []string{`waits for"=goroutines`, `goroutine" function=app_test.TestHangReport\.\S+ number=1`}},
		{"subsystem", func(t *testing.T, th *reactor.Thread, a *app.App) func() { return letGo.Store },
			[]string{`waits for"="subsystem slow"`, `still there: slow" what="a grudge"`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var said lockedBuffer
			o := options()
			o.Log = slog.New(slog.NewTextHandler(&said, nil))
			o.HangTime = 100 * time.Millisecond
			if test.name == "subsystem" {
				letGo.init()
				o.Subsystems = []app.Subsystem{slow()}
			}
			var release func()
			a, err := app.New(o)
			if err != nil {
				t.Fatal(err)
			}
			if err := a.Start(func(th *reactor.Thread, a *app.App) error {
				release = test.leak(t, th, a)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			a.Stop(nil)
			for _, want := range test.want {
				re := regexp.MustCompile(want)
				eventually(t, "no report of "+want, func() bool { return re.MatchString(said.String()) })
			}
			if test.name == "subsystem" || test.name == "goroutine" {
				release()
			} else {
				app.Call(a.Thread(), func(*reactor.Thread) { release() })
			}
			if err := within(t, "the end", a.Wait); err != nil {
				t.Error(err)
			}
		})
	}
}

// leakDevice opens a device that nobody closes before the end.
func leakDevice(t *testing.T, th *reactor.Thread) *fsdev.Desc {
	t.Helper()
	if _, err := null.Create(th, "n0"); err != nil {
		t.Fatal(err)
	}
	d, err := fsdev.Open(th, "n0", func(*reactor.Thread, fsdev.EventType, *fsdev.Fsdev, any) {}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// latch is what the slow subsystem waits for.
type latch struct{ ch chan struct{} }

func (l *latch) init()  { l.ch = make(chan struct{}) }
func (l *latch) Store() { close(l.ch) }

var letGo latch

func slow() app.Subsystem {
	return app.Subsystem{
		Name: "slow",
		Init: func(_ *reactor.Thread, _ *app.App, done func(error)) { done(nil) },
		Fini: func(_ *reactor.Thread, _ *app.App, done func(error)) {
			go func() {
				<-letGo.ch
				done(nil)
			}()
		},
		Holding: func(*app.App) []string { return []string{"a grudge"} },
	}
}

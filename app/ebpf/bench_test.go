package ebpf_test

import (
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/app/ebpf"
	"github.com/spdk-go/spdk-go/reactor"
)

// BenchmarkCost measures what finding out costs: the same with and without, in turn, many times. It reports
// low quantiles, which a busy machine changes least.
func BenchmarkCost(b *testing.B) {
	for _, test := range []struct {
		name string
		mode reactor.Mode
		prep func(b *testing.B, a *app.App) func()
	}{
		{"message", reactor.ModePoll, messages},     // to a reactor that runs, from itself
		{"wake-up", reactor.ModeInterrupt, wakeUps}, // of a reactor that sleeps, and of who waits for it
		{"getattr", reactor.ModePoll, getattrs},     // by another thread, through the kernel
	} {
		b.Run(test.name, func(b *testing.B) {
			a := startApp(b, app.Options{Mode: test.mode})
			once := test.prep(b, a)
			m := ebpf.Of(a)
			var off, on []time.Duration
			for b.Loop() {
				off = sample(off, once)
				needPrograms(b, m.Start(nil))
				on = sample(on, once)
				if err := m.Stop(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(quantile(off, 0.1), "off-p10-ns")
			b.ReportMetric(quantile(on, 0.1), "on-p10-ns")
			b.ReportMetric(quantile(off, 0.5), "off-p50-ns")
			b.ReportMetric(quantile(on, 0.5), "on-p50-ns")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// sample adds how long a number of calls took each.
func sample(list []time.Duration, once func()) []time.Duration {
	once()
	for range 500 {
		began := time.Now()
		once()
		list = append(list, time.Since(began))
	}
	return list
}

func quantile(list []time.Duration, q float64) float64 {
	slices.Sort(list)
	return float64(list[int(q*float64(len(list)))])
}

// chain is a message that a reactor sends to itself a number of times.
type chain struct {
	left int
	done chan struct{}
}

func (c *chain) next(t *reactor.Thread) {
	if c.left--; c.left < 0 {
		c.done <- struct{}{}
		return
	}
	t.SendMsg(func(t *reactor.Thread, ctx any) { ctx.(*chain).next(t) }, c)
}

// messages has a thread send a thousand messages to itself.
func messages(_ *testing.B, a *app.App) func() {
	c := &chain{done: make(chan struct{}, 1)}
	return func() {
		app.Call(a.Thread(), func(t *reactor.Thread) {
			c.left = 1000
			c.next(t)
		})
		<-c.done
	}
}

func wakeUps(_ *testing.B, a *app.App) func() {
	return func() { app.Call(a.Thread(), func(*reactor.Thread) {}) }
}

// getattrs asks for the attributes of the root of a file system that nothing is cached of.
func getattrs(b *testing.B, a *app.App) func() {
	mt := mountMemfs(b, a, "m0")
	f, err := os.Open(mt.Dir)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	fd := int(f.Fd())
	return func() {
		var st syscall.Stat_t
		if err := syscall.Fstat(fd, &st); err != nil {
			b.Error(err)
		}
	}
}

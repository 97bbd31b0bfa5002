package iochannel_test

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

// start returns a framework of n pinned reactors and perCore threads on each.
func start(tb testing.TB, n, perCore int) []*reactor.Thread {
	tb.Helper()
	skipUnless(tb, needCPUs(n))
	o := reactor.Options{Mode: reactor.ModePoll}
	for i := range n {
		o.Cores = append(o.Cores, i)
	}
	fw, err := reactor.NewFramework(o)
	if err != nil {
		tb.Fatal(err)
	}
	if err := fw.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(fw.Stop)
	var threads []*reactor.Thread
	for range perCore {
		for i := range n {
			t, err := fw.CreateThread("", reactor.NewCpuset(i))
			if err != nil {
				tb.Fatal(err)
			}
			threads = append(threads, t)
		}
	}
	return threads
}

// on runs fn on t and waits for it.
func on(t *reactor.Thread, fn func(t *reactor.Thread)) {
	done := make(chan struct{})
	t.SendMsg(func(t *reactor.Thread, _ any) { fn(t); close(done) }, nil)
	<-done
}

type ctx struct{ _ int }

func register(tb testing.TB, t *reactor.Thread) *iochannel.Device {
	tb.Helper()
	var d *iochannel.Device
	on(t, func(t *reactor.Thread) {
		var err error
		if d, err = iochannel.RegisterDevice[ctx](t, new(int), "bench", nil, nil); err != nil {
			tb.Error(err)
		}
	})
	return d
}

func BenchmarkChannelGetPut(b *testing.B) {
	t := start(b, 1, 1)[0]
	d := register(b, t)
	on(t, func(t *reactor.Thread) {
		ch := d.Get(t)
		b.ReportAllocs()
		for b.Loop() {
			d.Get(t).Put()
		}
		ch.Put()
		d.Unregister(t, nil, nil)
	})
}

// forEachLoop iterates again and again until left is used up.
type forEachLoop struct {
	d    *iochannel.Device
	left int
	done chan struct{}
}

func visitAll(it *iochannel.Iter) { it.Continue(0) }

func again(t *reactor.Thread, c any, _ syscall.Errno) {
	l := c.(*forEachLoop)
	if l.left--; l.left <= 0 {
		close(l.done)
		return
	}
	iochannel.ForEachChannel(t, l.d, visitAll, l, again)
}

func BenchmarkForEachChannel(b *testing.B) {
	for _, c := range []struct{ cores, perCore int }{{1, 1}, {1, 65}, {2, 1}} {
		b.Run(fmt.Sprintf("%dcores_%dthreads", c.cores, c.cores*c.perCore), func(b *testing.B) {
			threads := start(b, c.cores, c.perCore)
			d := register(b, threads[0])
			channels := make([]*iochannel.Channel, len(threads))
			for i, t := range threads {
				on(t, func(t *reactor.Thread) { channels[i] = d.Get(t) })
			}
			b.ReportAllocs()
			b.ResetTimer()
			l := &forEachLoop{d: d, left: b.N, done: make(chan struct{})}
			on(threads[0], func(t *reactor.Thread) { iochannel.ForEachChannel(t, d, visitAll, l, again) })
			<-l.done
			b.StopTimer()
			for i, t := range threads {
				on(t, func(t *reactor.Thread) { channels[i].Put() })
			}
			on(threads[0], func(t *reactor.Thread) { d.Unregister(t, nil, nil) })
		})
	}
}

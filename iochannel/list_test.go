package iochannel_test

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

// TestIterationAmongManyChannels stops iterations over forty threads at each channel, while
// channels come and go: the next one visited is that of the next thread which has one then.
func TestIterationAmongManyChannels(t *testing.T) {
	const threads = 40
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	h := reactortest.New(t, threads)
	d := newDevice(t, h.Threads[0], nil)
	channels := make([]*iochannel.Channel, threads)
	toggle := func(i int) {
		if ch := channels[i]; ch != nil {
			ch.Put()
			h.PollThread(i)
			channels[i] = nil
		} else {
			channels[i] = d.Get(h.Threads[i])
		}
	}
	for round := range 45 {
		// Towards all, none, and half of them having one.
		for range threads {
			if i := rng.IntN(threads); round%3 == 2 || (channels[i] == nil) == (round%3 == 0) {
				toggle(i)
			}
		}
		v := &visits{hold: true}
		v.start(h.Threads[rng.IntN(threads)], d)
		for at := -1; ; {
			next := at + 1
			for next < threads && channels[next] == nil {
				next++
			}
			v.held = nil
			h.PollThreads()
			if next == threads {
				break
			}
			if v.held == nil || v.held.Channel() != channels[next] {
				t.Fatalf("round %d: after thread %d the iteration is not at thread %d", round, at, next)
			}
			at = next
			for range rng.IntN(5) {
				toggle(rng.IntN(threads))
			}
			v.held.Continue(0)
		}
		if v.ends != 1 || v.wrong != "" {
			t.Fatalf("round %d: the iteration ended %d times %s", round, v.ends, v.wrong)
		}
	}
	for i := range channels {
		if channels[i] != nil {
			toggle(i)
		}
	}
	d.unregister(t, h.Threads[0])
	h.PollThreads()
	if d.alive() != 0 || d.gone != 1 {
		t.Errorf("%d channels left, %d callbacks", d.alive(), d.gone)
	}
}

// BenchmarkChannelCreateDestroy is for a device that has channels on other threads too.
func BenchmarkChannelCreateDestroy(b *testing.B) {
	for _, n := range []int{1, 1000} {
		b.Run(fmt.Sprintf("%dthreads", n), func(b *testing.B) {
			h := reactortest.NewLeaky(b, n)
			d := newDevice(b, h.Threads[0], nil)
			for i, t := range h.Threads {
				if i != n/2 {
					d.Get(t)
				}
			}
			t := h.Threads[n/2]
			b.ReportAllocs()
			for b.Loop() {
				d.Get(t).Put()
				t.Poll(0, 0)
			}
		})
	}
}

// churn is an iteration at each step of which a channel comes and goes.
type churn struct {
	d    *device
	last *reactor.Thread
	done bool
}

func visitAndChurn(it *iochannel.Iter) {
	c := it.Ctx().(*churn)
	c.d.Get(c.last).Put()
	c.last.Poll(0, 0)
	it.Continue(0)
}

func churned(_ *reactor.Thread, ctx any, _ syscall.Errno) { ctx.(*churn).done = true }

func BenchmarkForEachChannelChurn(b *testing.B) {
	for _, n := range []int{10, 1000} {
		b.Run(fmt.Sprintf("%dthreads", n), func(b *testing.B) {
			h := reactortest.NewLeaky(b, n)
			c := &churn{d: newDevice(b, h.Threads[0], nil), last: h.Threads[n-1]}
			threads := h.Threads[:n-1]
			for _, t := range threads {
				c.d.Get(t)
			}
			for b.Loop() {
				c.done = false
				iochannel.ForEachChannel(threads[0], c.d.Device, visitAndChurn, c, churned)
				for !c.done {
					for _, t := range threads {
						t.Poll(0, 0)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(threads)), "ns/channel")
		})
	}
}

// BenchmarkRegisterDevice is for a framework that has other devices.
func BenchmarkRegisterDevice(b *testing.B) {
	for _, n := range []int{1, 10000} {
		b.Run(fmt.Sprintf("%ddevices", n), func(b *testing.B) {
			h := reactortest.NewLeaky(b, 1)
			t := h.Threads[0]
			for range n - 1 {
				newDevice(b, t, nil)
			}
			b.ReportAllocs()
			for b.Loop() {
				newDevice(b, t, nil).Unregister(t, nil, nil)
				t.Poll(0, 0)
			}
		})
	}
}

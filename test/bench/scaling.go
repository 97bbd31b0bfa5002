package main

import (
	"math/rand/v2"
	"syscall"
	"time"

	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

// scaling are the curves, in the order of the picture.
var scaling = []scaleSeries{
	{Name: "idle_round", Title: "idle round of a thread", Of: "threads", most: 1000, setup: scaleThreads},
	{Name: "thread_create_exit", Title: "thread: create, exit", Of: "threads", most: 1000, setup: scaleThreadLife},
	{Name: "poller_active", Title: "active poller: call", Of: "pollers", most: 10000, setup: scaleActive},
	{Name: "poller_timed", Title: "timed poller: expire, insert", Of: "pollers", most: 10000, setup: scaleTimed},
	{Name: "poller_register_unregister", Title: "active poller: register, unregister (half of n per round)",
		Of: "pollers", most: 10000, setup: scalePollerLife},
	{Name: "channel_get_put", Title: "channel: get, put (in turn)", Of: "devices", most: 10000, setup: scaleGetPut},
	{Name: "channel_create_destroy", Title: "channel: create, destroy", Of: "devices", most: 10000,
		setup: scaleChannelLife},
	{Name: "channel_create_destroy_threads", Title: "channel: create, destroy", Of: "threads with a channel",
		most: 1000, setup: scaleChannelOnThreads},
	{Name: "foreach_channel", Title: "ForEachChannel: each channel", Of: "threads with a channel", most: 1000,
		setup: scaleForEach},
	{Name: "device_register_unregister", Title: "device: register, unregister", Of: "devices", most: 10000,
		setup: scaleDeviceLife},
}

func nothing() {}

// scaleThreads is a thread's share of a round in which none has anything to do.
func scaleThreads(core, n int) (func(int) time.Duration, func()) {
	e := scaleEnv(core)
	for range n - 1 {
		e.newThread(core)
	}
	return func(ops int) time.Duration {
		r := &rounds{clock: newClock(), left: max(1, ops/n)}
		perOp := float64(ops) / float64(r.left*n)
		e.on(e.threads[0], func(t *reactor.Thread) {
			r.pollers = append(r.pollers, t.RegisterPoller("count", countPoller, r, 0))
			r.start = time.Now()
		})
		return time.Duration(float64(<-r.done) * perOp)
	}, e.fw.Stop
}

func scaleThreadLife(_, n int) (func(int) time.Duration, func()) {
	fw, _, _ := byHand(n - 1)
	return timed(func(ops int) {
		for range ops {
			t, err := fw.CreateThread("t", nil)
			check(err)
			t.Exit()
			for !t.IsExited() {
				t.Poll(0, 0)
			}
		}
	}), nothing
}

func scaleActive(core, n int) (func(int) time.Duration, func()) {
	e := scaleEnv(core)
	run, _ := pollerLoop(e, n)
	return run, e.fw.Stop
}

// expiries counts the calls of timed pollers.
type expiries struct{ n int }

func expired(_ *reactor.Thread, ctx any) reactor.PollerResult {
	ctx.(*expiries).n++
	return reactor.Busy
}

// scaleTimed has about one of n timed pollers expire in each round.
func scaleTimed(_, n int) (func(int) time.Duration, func()) {
	_, threads, clock := byHand(1)
	t := threads[0]
	e := &expiries{}
	rng := rand.New(rand.NewPCG(1, 1))
	for range n {
		t.RegisterPoller("timed", expired, e, time.Duration(max(1, n/2+rng.IntN(n))))
	}
	return timed(func(ops int) {
		for e.n = 0; e.n < ops; {
			clock.now++
			t.Poll(0, clock.now)
		}
	}), nothing
}

// scalePollerLife has the older half of n pollers give way to new ones in each round.
func scalePollerLife(_, n int) (func(int) time.Duration, func()) {
	_, threads, _ := byHand(1)
	t := threads[0]
	e := &expiries{}
	var pollers []*reactor.Poller
	for range n {
		pollers = append(pollers, t.RegisterPoller("active", expired, e, 0))
	}
	half := (n + 1) / 2
	next := 0
	return timed(func(ops int) {
		for done := 0; done < ops; done += half {
			for range half {
				pollers[next].Unregister()
				pollers[next] = t.RegisterPoller("active", expired, e, 0)
				next = (next + 1) % n
			}
			t.Poll(0, 0)
		}
	}), nothing
}

// devices registers n devices. Their keys are their own.
func devices(t *reactor.Thread, n int) []*iochannel.Device {
	list := make([]*iochannel.Device, n)
	for i := range list {
		list[i] = register(t)
	}
	return list
}

func register(t *reactor.Thread) *iochannel.Device {
	d, err := iochannel.RegisterDevice[channelCtx](t, new(int), "scale", nil, nil)
	check(err)
	return d
}

func scaleGetPut(_, n int) (func(int) time.Duration, func()) {
	_, threads, _ := byHand(1)
	t := threads[0]
	list := devices(t, n)
	for _, d := range list {
		d.Get(t)
	}
	next := 0
	return timed(func(ops int) {
		for range ops {
			list[next].Get(t).Put()
			if next++; next == n {
				next = 0
			}
		}
	}), nothing
}

// createDestroy creates a channel of d on t and destroys it.
func createDestroy(d *iochannel.Device, t *reactor.Thread) func(ops int) {
	return func(ops int) {
		for range ops {
			d.Get(t).Put()
			t.Poll(0, 0)
		}
	}
}

// scaleChannelLife is on a thread that has channels of n-1 other devices.
func scaleChannelLife(_, n int) (func(int) time.Duration, func()) {
	_, threads, _ := byHand(1)
	t := threads[0]
	for _, d := range devices(t, n-1) {
		d.Get(t)
	}
	return timed(createDestroy(register(t), t)), nothing
}

// scaleChannelOnThreads is for a device that has channels on n-1 other threads, half of them
// older than the thread.
func scaleChannelOnThreads(_, n int) (func(int) time.Duration, func()) {
	_, threads, _ := byHand(n)
	d := register(threads[0])
	for i, t := range threads {
		if i != n/2 {
			d.Get(t)
		}
	}
	return timed(createDestroy(d, threads[n/2])), nothing
}

func scaleForEach(core, n int) (func(int) time.Duration, func()) {
	e := scaleEnv(core)
	run, cleanup := forEach(e, n)
	return func(ops int) time.Duration {
			times := max(1, ops/n)
			return time.Duration(float64(run(times)) * float64(ops) / float64(times*n))
		}, func() {
			cleanup()
			e.fw.Stop()
		}
}

func scaleDeviceLife(_, n int) (func(int) time.Duration, func()) {
	_, threads, _ := byHand(1)
	t := threads[0]
	devices(t, n-1)
	return timed(func(ops int) {
		for range ops {
			if errno := register(t).Unregister(t, nil, nil); errno != syscall.Errno(0) {
				check(errno)
			}
			t.Poll(0, 0)
		}
	}), nothing
}

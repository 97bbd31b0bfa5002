package main

import (
	"fmt"
	"syscall"
	"time"

	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/mempool"
	"github.com/spdk-go/spdk-go/reactor"
)

// benchmarks are in the order of the table. The figures of SPDK are medians of 5 runs.
var benchmarks = []benchmark{
	{"pool_get_put", 5.6, 1, poolGetPut},
	{"pool_bulk_32", 0.6, 1, poolBulk},
	{"msg_self", 11.7, 1, msgSelf(32)},
	{"msg_self_qd1", 28, 1, msgSelf(1)},
	{"msg_pingpong_rtt", 360, 2, msgPingPong},
	{"msg_oneway", 130, 2, msgOneWay},
	{"event_perf_1core", 23.8, 1, eventsRound(eventsPerCore, true)},
	{"event_perf_2cores", 58.8, 2, eventsRound(eventsPerCore, true)},
	{"reactor_perf_qd1", 35.7, 1, eventsRound(1, false)},
	{"reactor_perf_qd32", 18.9, 1, eventsRound(32, false)},
	{"channel_get_put", 13.4, 1, channelGetPut},
	{"foreach_1", 116, 1, func(e *env) (func(int) time.Duration, func()) { return forEach(e, 1) }},
	{"foreach_65_one_core", 4400, 1, func(e *env) (func(int) time.Duration, func()) { return forEach(e, 65) }},
	{"foreach_2_cores", 612, 2, func(e *env) (func(int) time.Duration, func()) { return forEach(e, 1) }},
	{"poller_loop_1", 20, 1, func(e *env) (func(int) time.Duration, func()) { return pollerLoop(e, 1) }},
	{"poller_loop_1000_each", 5.4, 1, func(e *env) (func(int) time.Duration, func()) { return pollerLoop(e, 1000) }},
	{"dispatch_null_getattr_qd1", 93, 1, dispatch(getattrRequest, 1)},
	{"dispatch_null_lookup_qd1", 115, 1, dispatch(lookupRequest, 1)},
	{"dispatch_null_read4k_qd1", 83, 1, dispatch(readRequest, 1)},
	{"dispatch_null_write4k_qd1", 87, 1, dispatch(writeRequest, 1)},
	{"dispatch_null_getattr_qd32", 79, 1, dispatch(getattrRequest, 32)},
	{"dispatch_null_lookup_qd32", 99, 1, dispatch(lookupRequest, 32)},
	{"dispatch_null_read4k_qd32", 72, 1, dispatch(readRequest, 32)},
	{"dispatch_null_write4k_qd32", 75, 1, dispatch(writeRequest, 32)},
}

// clock is started on the thread that performs the first operation, and stopped on the one
// that performs the last.
type clock struct {
	start time.Time
	done  chan time.Duration
}

func newClock() clock { return clock{done: make(chan time.Duration, 1)} }

func (c *clock) stop() { c.done <- time.Since(c.start) }

// onThread measures a loop that needs nothing of the reactor.
func onThread(e *env, loop func(t *reactor.Thread, n int)) func(n int) time.Duration {
	return func(n int) (d time.Duration) {
		e.on(e.threads[0], func(t *reactor.Thread) {
			start := time.Now()
			loop(t, n)
			d = time.Since(start)
		})
		return d
	}
}

// poolGetPut is get and put of one element through a thread's cache.
func poolGetPut(e *env) (func(int) time.Duration, func()) {
	pool, err := mempool.New[[64]byte]("bench", 1024, nil)
	check(err)
	cache := pool.NewCache(64)
	return onThread(e, func(_ *reactor.Thread, n int) {
		for range n {
			cache.Put(cache.Get())
		}
	}), cache.Close
}

const bulk = 32

// poolBulk is the get and put of one of a bulk of elements through a thread's cache.
func poolBulk(e *env) (func(int) time.Duration, func()) {
	pool, err := mempool.New[[64]byte]("bench", 1024, nil)
	check(err)
	cache := pool.NewCache(2 * bulk)
	elements := make([]*[64]byte, bulk)
	return onThread(e, func(_ *reactor.Thread, n int) {
		for range (n + bulk - 1) / bulk {
			cache.GetBulk(elements)
			cache.PutBulk(elements)
		}
	}), cache.Close
}

// selfMsgs is messages that send themselves again, until enough have been received.
type selfMsgs struct {
	clock
	left int
}

// msgSelf is a message of a thread to itself, with depth in flight.
func msgSelf(depth int) func(e *env) (func(int) time.Duration, func()) {
	return func(e *env) (func(int) time.Duration, func()) {
		return func(n int) time.Duration {
			s := &selfMsgs{clock: newClock(), left: n}
			e.on(e.threads[0], func(t *reactor.Thread) {
				s.start = time.Now()
				for range depth {
					must(t.SendMsgFrom(t, selfMsg, s))
				}
			})
			return <-s.done
		}, func() {}
	}
}

func selfMsg(t *reactor.Thread, ctx any) {
	s := ctx.(*selfMsgs)
	s.left--
	if s.left > 0 {
		must(t.SendMsgFrom(t, selfMsg, s))
	} else if s.left == 0 {
		s.stop()
	}
}

func must(errno syscall.Errno) {
	if errno != 0 {
		panic(fmt.Sprintf("bench: %v", errno))
	}
}

// pingPong is a message that goes back and forth.
type pingPong struct {
	clock
	home, away *reactor.Thread
	_          [64]byte // what follows belongs to home
	left       int
}

// msgPingPong is a round trip between threads of two reactors.
func msgPingPong(e *env) (func(int) time.Duration, func()) {
	return func(n int) time.Duration {
		p := &pingPong{clock: newClock(), home: e.threads[0], away: e.threads[1], left: n}
		e.on(p.home, func(t *reactor.Thread) {
			p.start = time.Now()
			must(p.away.SendMsgFrom(t, ping, p))
		})
		return <-p.done
	}, func() {}
}

func ping(t *reactor.Thread, ctx any) {
	p := ctx.(*pingPong)
	must(p.home.SendMsgFrom(t, pong, p))
}

func pong(t *reactor.Thread, ctx any) {
	p := ctx.(*pingPong)
	if p.left--; p.left == 0 {
		p.stop()
		return
	}
	must(p.away.SendMsgFrom(t, ping, p))
}

// stream is messages from one core to another, as fast as they are taken.
type stream struct {
	clock
	to       *reactor.Thread
	poller   *reactor.Poller
	unsent   int
	_        [64]byte // what follows belongs to the receiver
	unserved int
}

// streamBurst is how many messages the sender sends before it lets its reactor go round.
const streamBurst = 64

// msgOneWay is a message from core to core, many in flight, held back when the ring is full.
func msgOneWay(e *env) (func(int) time.Duration, func()) {
	return func(n int) time.Duration {
		s := &stream{clock: newClock(), to: e.threads[1], unsent: n, unserved: n}
		e.on(e.threads[0], func(t *reactor.Thread) {
			s.start = time.Now()
			s.poller = t.RegisterPoller("stream", sendStream, s, 0)
		})
		return <-s.done
	}, func() {}
}

func sendStream(t *reactor.Thread, ctx any) reactor.PollerResult {
	s := ctx.(*stream)
	for i := range streamBurst {
		if s.unsent == 0 {
			s.poller.Unregister()
			return reactor.Busy
		}
		if s.to.SendMsgFrom(t, receiveStream, s) != 0 {
			if i == 0 {
				return reactor.Idle
			}
			break
		}
		s.unsent--
	}
	return reactor.Busy
}

func receiveStream(_ *reactor.Thread, ctx any) {
	s := ctx.(*stream)
	if s.unserved--; s.unserved == 0 {
		s.stop()
	}
}

type channelCtx struct{ _ [64]byte }

// newDevice registers a device, with a channel on each of threads. The function that it
// returns undoes that.
func newDevice(e *env, threads []*reactor.Thread) (*iochannel.Device, func()) {
	var dev *iochannel.Device
	e.on(e.threads[0], func(t *reactor.Thread) {
		var err error
		dev, err = iochannel.RegisterDevice[channelCtx](t, new(int), "bench", nil, nil)
		check(err)
	})
	channels := make([]*iochannel.Channel, len(threads))
	for i, t := range threads {
		e.on(t, func(t *reactor.Thread) { channels[i] = dev.Get(t) })
	}
	return dev, func() {
		for i, t := range threads {
			e.on(t, func(*reactor.Thread) { channels[i].Put() })
		}
		e.on(e.threads[0], func(t *reactor.Thread) { dev.Unregister(t, nil, nil) })
	}
}

// channelGetPut is get and put of a channel that exists.
func channelGetPut(e *env) (func(int) time.Duration, func()) {
	dev, cleanup := newDevice(e, e.threads[:1])
	return onThread(e, func(t *reactor.Thread, n int) {
		for range n {
			dev.Get(t).Put()
		}
	}), cleanup
}

// visits is iterations over a device's channels, one after another.
type visits struct {
	clock
	dev  *iochannel.Device
	left int
}

// forEach is an iteration over the channels of perCore threads on each reactor, with its
// completion.
func forEach(e *env, perCore int) (func(int) time.Duration, func()) {
	threads := e.threads
	for range perCore - 1 {
		for _, core := range e.cores {
			threads = append(threads, e.newThread(core))
		}
	}
	dev, cleanup := newDevice(e, threads)
	return func(n int) time.Duration {
		v := &visits{clock: newClock(), dev: dev, left: n}
		e.on(e.threads[0], func(t *reactor.Thread) {
			v.start = time.Now()
			iochannel.ForEachChannel(t, dev, visit, v, visited)
		})
		return <-v.done
	}, cleanup
}

func visit(it *iochannel.Iter) { it.Continue(0) }

func visited(t *reactor.Thread, ctx any, status syscall.Errno) {
	v := ctx.(*visits)
	must(status)
	if v.left--; v.left == 0 {
		v.stop()
		return
	}
	iochannel.ForEachChannel(t, v.dev, visit, v, visited)
}

// rounds is a number of rounds of a reactor, counted by one of its pollers.
type rounds struct {
	clock
	pollers []*reactor.Poller
	left    int
}

// pollerLoop is the call of one of count active pollers, with its share of the reactor's loop.
func pollerLoop(e *env, count int) (func(int) time.Duration, func()) {
	return func(n int) time.Duration {
		r := &rounds{clock: newClock(), left: max(1, n/count)}
		perOp := float64(n) / float64(r.left*count)
		e.on(e.threads[0], func(t *reactor.Thread) {
			for range count - 1 {
				r.pollers = append(r.pollers, t.RegisterPoller("idle", idlePoller, r, 0))
			}
			r.pollers = append(r.pollers, t.RegisterPoller("count", countPoller, r, 0))
			r.start = time.Now()
		})
		return time.Duration(float64(<-r.done) * perOp)
	}, func() {}
}

func idlePoller(*reactor.Thread, any) reactor.PollerResult { return reactor.Idle }

func countPoller(_ *reactor.Thread, ctx any) reactor.PollerResult {
	r := ctx.(*rounds)
	if r.left--; r.left == 0 {
		r.stop()
		for _, p := range r.pollers {
			p.Unregister()
		}
	}
	return reactor.Idle
}

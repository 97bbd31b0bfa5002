package reactor_test

import (
	"fmt"
	"testing"

	"github.com/spdk-go/spdk-go/reactor"
)

// start returns a running framework in poll mode with a reactor on each of the first n CPUs
// and a thread on each of them.
func start(tb testing.TB, n int, o reactor.Options) (*reactor.Framework, []*reactor.Thread) {
	tb.Helper()
	skipUnless(tb, needCPUs(n))
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
	for i := range n {
		t, err := fw.CreateThread(fmt.Sprintf("t%d", i), reactor.NewCpuset(i))
		if err != nil {
			tb.Fatal(err)
		}
		threads = append(threads, t)
	}
	return fw, threads
}

// relay is a message that is sent on until its count is used up.
type relay struct {
	left int
	to   []*reactor.Thread
	hop  int
	done chan struct{}
}

func relayMsg(t *reactor.Thread, ctx any) {
	r := ctx.(*relay)
	if r.left--; r.left <= 0 {
		close(r.done)
		return
	}
	r.hop++
	r.to[r.hop%len(r.to)].SendMsgFrom(t, relayMsg, r)
}

func BenchmarkMsgSelf(b *testing.B) {
	for _, depth := range []int{1, 32} {
		b.Run(fmt.Sprintf("qd%d", depth), func(b *testing.B) {
			_, threads := start(b, 1, reactor.Options{Mode: reactor.ModePoll})
			b.ReportAllocs()
			b.ResetTimer()
			var dones []chan struct{}
			for range depth {
				r := &relay{left: b.N/depth + 1, to: threads[:1], done: make(chan struct{})}
				dones = append(dones, r.done)
				threads[0].SendMsg(relayMsg, r)
			}
			for _, d := range dones {
				<-d
			}
		})
	}
}

func BenchmarkMsgPingPong(b *testing.B) {
	_, threads := start(b, 2, reactor.Options{Mode: reactor.ModePoll})
	b.ReportAllocs()
	b.ResetTimer()
	r := &relay{left: 2 * b.N, to: threads, done: make(chan struct{})}
	threads[0].SendMsg(relayMsg, r)
	<-r.done
}

// stream sends messages to another core as fast as it takes them.
type stream struct {
	to       *reactor.Thread
	sent     int
	received int
	total    int
	done     chan struct{}
}

func streamPoller(t *reactor.Thread, ctx any) reactor.PollerResult {
	s := ctx.(*stream)
	for range 32 {
		if s.sent == s.total {
			return reactor.Idle
		}
		if s.to.SendMsgFrom(t, streamMsg, s) != 0 {
			return reactor.Idle
		}
		s.sent++
	}
	return reactor.Busy
}

func streamMsg(t *reactor.Thread, ctx any) {
	s := ctx.(*stream)
	if s.received++; s.received == s.total {
		close(s.done)
	}
}

func BenchmarkMsgOneWay(b *testing.B) {
	_, threads := start(b, 2, reactor.Options{Mode: reactor.ModePoll})
	b.ReportAllocs()
	b.ResetTimer()
	s := &stream{to: threads[1], total: b.N, done: make(chan struct{})}
	poller := make(chan *reactor.Poller)
	threads[0].SendMsg(func(t *reactor.Thread, ctx any) { poller <- t.RegisterPoller("stream", streamPoller, s, 0) }, nil)
	p := <-poller
	<-s.done
	b.StopTimer()
	threads[0].SendMsg(func(*reactor.Thread, any) { p.Unregister(); close(poller) }, nil)
	<-poller
}

// rounds counts the calls of the last of its pollers.
type rounds struct {
	left int
	done chan struct{}
	all  []*reactor.Poller
}

func idlePoller(*reactor.Thread, any) reactor.PollerResult { return reactor.Idle }

func countPoller(_ *reactor.Thread, ctx any) reactor.PollerResult {
	r := ctx.(*rounds)
	if r.left--; r.left == 0 {
		for _, p := range r.all {
			p.Unregister()
		}
		close(r.done)
	}
	return reactor.Idle
}

func BenchmarkPollerLoop(b *testing.B) {
	for _, n := range []int{1, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			_, threads := start(b, 1, reactor.Options{Mode: reactor.ModePoll})
			b.ReportAllocs()
			b.ResetTimer()
			r := &rounds{left: b.N, done: make(chan struct{})}
			threads[0].SendMsg(func(t *reactor.Thread, _ any) {
				for range n - 1 {
					r.all = append(r.all, t.RegisterPoller("idle", idlePoller, r, 0))
				}
				r.all = append(r.all, t.RegisterPoller("count", countPoller, r, 0))
			}, nil)
			<-r.done
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/poller")
		})
	}
}

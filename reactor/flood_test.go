package reactor_test

import (
	"fmt"
	"runtime"
	"sync"
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/reactor"
)

// flood is what one thread receives from many senders.
type flood struct {
	next     []int // per sender
	received int
	total    int
	wrong    string
	done     chan struct{}
}

type flooder struct {
	f    *flood
	id   int
	seqs []seq
}

type seq struct {
	from *flooder
	n    int
}

func receive(_ *reactor.Thread, ctx any) {
	s := ctx.(*seq)
	f := s.from.f
	if f.next[s.from.id] != s.n && f.wrong == "" {
		f.wrong = fmt.Sprintf("sender %d: got %d, want %d", s.from.id, s.n, f.next[s.from.id])
	}
	f.next[s.from.id]++
	if f.received++; f.received == f.total {
		close(f.done)
	}
}

func newFlood(senders, each int) (*flood, []*flooder) {
	f := &flood{next: make([]int, senders), total: senders * each, done: make(chan struct{})}
	var all []*flooder
	for id := range senders {
		s := &flooder{f: f, id: id, seqs: make([]seq, each)}
		for n := range s.seqs {
			s.seqs[n] = seq{s, n}
		}
		all = append(all, s)
	}
	return f, all
}

// TestFloodFromGoroutines sends from many goroutines to one thread whose ring is small:
// nothing is lost, nothing comes twice, and the messages of a sender stay in order.
func TestFloodFromGoroutines(t *testing.T) {
	noLeaks(t)
	each := 5000
	if testing.Short() {
		each = 1000
	}
	pinning(t, func(t *testing.T, o reactor.Options) {
		for _, senders := range []int{1, 16, 64} {
			t.Run(fmt.Sprint(senders), func(t *testing.T) {
				o.HybridSpin, o.MsgRingSize = 1, 64
				fw := run(t, o, 1)
				th := thread(t, fw, 0)
				f, all := newFlood(senders, each)
				var wg sync.WaitGroup
				for _, s := range all {
					wg.Go(func() {
						for n := range s.seqs {
							for th.SendMsg(receive, &s.seqs[n]) == syscall.ENOMEM {
								runtime.Gosched()
							}
						}
					})
				}
				wait(t, "the last message", f.done)
				wg.Wait()
				on(t, th, func(*reactor.Thread) {
					if f.wrong != "" || f.received != f.total {
						t.Errorf("%d of %d messages; %s", f.received, f.total, f.wrong)
					}
				})
			})
		}
	})
}

// TestFloodFromThreads mixes senders on the same reactor, which have a short way, with ones
// on another reactor and plain goroutines.
func TestFloodFromThreads(t *testing.T) {
	noLeaks(t)
	each := 20000
	if testing.Short() {
		each = 4000
	}
	pinning(t, func(t *testing.T, o reactor.Options) {
		o.HybridSpin, o.MsgRingSize = 1, 64
		fw := run(t, o, 2)
		th := thread(t, fw, 0)
		f, all := newFlood(6, each)
		for i, s := range all[:4] {
			from := thread(t, fw, i%2)
			sent := 0
			var p *reactor.Poller
			poll := func(from *reactor.Thread, _ any) reactor.PollerResult {
				for range 5 {
					if sent == each {
						p.Unregister()
						return reactor.Idle
					}
					send := th.SendMsg // a sender may use both ways
					if sent%3 != 0 {
						send = func(fn reactor.MsgFunc, ctx any) syscall.Errno { return th.SendMsgFrom(from, fn, ctx) }
					}
					if send(receive, &s.seqs[sent]) != 0 {
						return reactor.Busy
					}
					sent++
				}
				return reactor.Busy
			}
			on(t, from, func(from *reactor.Thread) { p = from.RegisterPoller("flood", poll, nil, 0) })
		}
		var wg sync.WaitGroup
		for _, s := range all[4:] {
			wg.Go(func() {
				for n := range s.seqs {
					for th.SendMsg(receive, &s.seqs[n]) == syscall.ENOMEM {
						runtime.Gosched()
					}
				}
			})
		}
		wait(t, "the last message", f.done)
		wg.Wait()
		on(t, th, func(*reactor.Thread) {
			if f.wrong != "" {
				t.Error(f.wrong)
			}
		})
	})
}

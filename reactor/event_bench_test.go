package reactor_test

import (
	"fmt"
	"testing"

	"github.com/spdk-go/spdk-go/reactor"
)

// eventRelay is events that send themselves again until their count is used up.
type eventRelay struct {
	left int
	done chan struct{}
}

func relayEvent(r *reactor.Reactor, arg1, _ any) {
	e := arg1.(*eventRelay)
	if e.left--; e.left > 0 {
		r.SendEventFrom(r, relayEvent, e, nil)
	} else if e.left == 0 {
		close(e.done)
	}
}

func startRelay(r *reactor.Reactor, arg1, arg2 any) {
	for range *arg2.(*int) {
		r.SendEventFrom(r, relayEvent, arg1, nil)
	}
}

func BenchmarkEventSelf(b *testing.B) {
	for _, depth := range []int{1, 32} {
		b.Run(fmt.Sprintf("qd%d", depth), func(b *testing.B) {
			fw, _ := start(b, 1, reactor.Options{Mode: reactor.ModePoll})
			b.ReportAllocs()
			b.ResetTimer()
			e := &eventRelay{left: b.N, done: make(chan struct{})}
			fw.Reactors()[0].SendEvent(startRelay, e, &depth)
			<-e.done
		})
	}
}

package trace_test

import (
	"testing"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
	"github.com/spdk-go/spdk-go/trace"
)

// BenchmarkRecord records in the ring of a reactor: what a tracepoint costs that is off, and one that is on, without
// arguments, with such as fit into one entry, with more, and with a text.
func BenchmarkRecord(b *testing.B) {
	tr := newTrace(b, trace.Options{Cores: []int{0}})
	h := reactortest.NewReactors(b, []int{0}, reactor.Options{StallThreshold: -1, Tracer: tr})
	th := h.Thread(nil)
	run := func(name string, mask uint64, record func(th *reactor.Thread)) {
		b.Run(name, func(b *testing.B) {
			if err := tr.DisableTpointGroup("test"); err != nil {
				b.Fatal(err)
			}
			if err := tr.SetTpoints(testGroup, mask); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			th.SendMsg(func(th *reactor.Thread, _ any) {
				for b.Loop() {
					record(th)
				}
			}, nil)
			h.PollReactors()
		})
	}
	traced := func(th *reactor.Thread) {
		if th.Traced(testNumbers) {
			th.TraceRecord(reactor.TraceEntry{Tpoint: testNumbers, Owner: 1, Object: 2, Args: [4]uint64{1, 2, 3, 4}})
		}
	}
	run("off", 0, traced)
	run("plain", ^uint64(0), func(th *reactor.Thread) {
		if th.Traced(testPlain) {
			th.TraceRecord(reactor.TraceEntry{Tpoint: testPlain, Owner: 1, Object: 2})
		}
	})
	run("numbers", ^uint64(0), traced)
	run("text", ^uint64(0), func(th *reactor.Thread) {
		trace.Record(th, testText, 1, 0, 2, trace.Str("text"), trace.Int(3))
	})
}

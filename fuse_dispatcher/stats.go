package fusedispatcher

import (
	"sync"
	"syscall"

	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

// Stats are counts since the dispatcher was created.
//
// Not in SPDK.
type Stats struct {
	// Requests are counted by opcode; those with a number beyond the table are in [0].
	Requests [numOpcodes]uint64
}

type channelStats struct{ requests [numOpcodes]uint64 }

// goneStats are the counts of channels that are gone.
type goneStats struct {
	mu  sync.Mutex
	sum channelStats
}

func (g *goneStats) add(s *channelStats) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for op, n := range s.requests {
		g.sum.requests[op] += n
	}
}

// StatsFunc receives the result of [Dispatcher.Stats] on the thread that asked.
//
// Not in SPDK.
type StatsFunc func(t *reactor.Thread, ctx any, s *Stats)

// Stats adds up the counts of all channels and passes them to cb with ctx on t; those of a
// channel that goes away meanwhile may be missing. On t only.
//
// Not in SPDK.
func (d *Dispatcher) Stats(t *reactor.Thread, cb StatsFunc, ctx any) {
	g := &statsGather{cb: cb, ctx: ctx}
	d.gone.mu.Lock()
	g.sum.Requests = d.gone.sum.requests
	d.gone.mu.Unlock()
	iochannel.ForEachChannel(t, d.dev, visitStats, g, gathered)
}

type statsGather struct {
	sum Stats
	cb  StatsFunc
	ctx any
}

func visitStats(it *iochannel.Iter) {
	g := it.Ctx().(*statsGather)
	for op, n := range iochannel.Ctx[channel](it.Channel()).stats.requests {
		g.sum.Requests[op] += n
	}
	it.Continue(0)
}

func gathered(t *reactor.Thread, ctx any, _ syscall.Errno) {
	g := ctx.(*statsGather)
	g.cb(t, g.ctx, &g.sum)
}

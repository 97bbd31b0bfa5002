package fusedispatcher

import (
	"syscall"

	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

// Stats are counts since the dispatcher was created, over the channels that exist.
//
// Not in SPDK.
type Stats struct {
	// Requests are counted by opcode; those with an opcode that is unknown are in [0].
	Requests [numOpcodes]uint64
}

type channelStats struct{ requests [numOpcodes]uint64 }

// StatsFunc receives the result of [Dispatcher.Stats] on the thread that asked.
//
// Not in SPDK.
type StatsFunc func(t *reactor.Thread, ctx any, s *Stats)

// Stats adds up the counts of all channels and passes them to cb with ctx on t. On t only.
//
// Not in SPDK.
func (d *Dispatcher) Stats(t *reactor.Thread, cb StatsFunc, ctx any) {
	g := &statsGather{cb: cb, ctx: ctx}
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

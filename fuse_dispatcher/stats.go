package fusedispatcher

import (
	"slices"
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

// goneStats are the counts of channels that are gone. mu orders the end of a channel against the
// gathers that may not have reached it yet.
type goneStats struct {
	mu      sync.Mutex
	sum     channelStats
	gathers []*statsGather // not done yet
}

// add takes over the counts of a channel that goes away, for itself and for every gather that
// has not seen the channel.
func (g *goneStats) add(c *channel) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sum.add(&c.stats.requests)
	for _, gather := range g.gathers {
		gather.see(c)
		delete(gather.seen, c) // the next channel may lie at the same address
	}
}

func (s *channelStats) add(requests *[numOpcodes]uint64) {
	for op, n := range requests {
		s.requests[op] += n
	}
}

// StatsFunc receives the result of [Dispatcher.Stats] on the thread that asked.
//
// Not in SPDK.
type StatsFunc func(t *reactor.Thread, ctx any, s *Stats)

// Stats adds up the counts of all channels, those gone included, and passes them to cb with ctx
// on t. On t only.
//
// Not in SPDK.
func (d *Dispatcher) Stats(t *reactor.Thread, cb StatsFunc, ctx any) {
	g := &statsGather{d: d, seen: make(map[*channel]struct{}), cb: cb, ctx: ctx}
	d.gone.mu.Lock()
	g.sum = d.gone.sum
	d.gone.gathers = append(d.gone.gathers, g)
	d.gone.mu.Unlock()
	iochannel.ForEachChannel(t, d.dev, visitStats, g, gathered)
}

// statsGather is a call of Stats on its way. Until it is done, sum and seen are d.gone.mu's.
type statsGather struct {
	d    *Dispatcher
	sum  channelStats
	seen map[*channel]struct{} // whose counts sum has
	cb   StatsFunc
	ctx  any
}

func (g *statsGather) see(c *channel) {
	if _, ok := g.seen[c]; !ok {
		g.seen[c] = struct{}{}
		g.sum.add(&c.stats.requests)
	}
}

func visitStats(it *iochannel.Iter) {
	g := it.Ctx().(*statsGather)
	g.d.gone.mu.Lock()
	g.see(iochannel.Ctx[channel](it.Channel()))
	g.d.gone.mu.Unlock()
	it.Continue(0)
}

func gathered(t *reactor.Thread, ctx any, _ syscall.Errno) {
	g := ctx.(*statsGather)
	g.d.gone.mu.Lock()
	g.d.gone.gathers = slices.DeleteFunc(g.d.gone.gathers, func(o *statsGather) bool { return o == g })
	g.d.gone.mu.Unlock()
	g.cb(t, g.ctx, &Stats{Requests: g.sum.requests})
}

package scheduler_test

import (
	"log/slog"
	"syscall"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
	_ "github.com/spdk-go/spdk-go/reactor/scheduler"
)

// governor writes down what it is told. It has no locks: its methods come one at a time.
type governor struct {
	cores *reactor.Cpuset
	did   map[int]string // the last of each core since they were taken
	fails bool
	ended bool
}

// noGovernor makes the governor unable to begin.
var noGovernor bool

func init() {
	reactor.RegisterGovernor("test", func() reactor.Governor { return &governor{did: map[int]string{}} })
}

func (g *governor) Name() string { return "test" }

func (g *governor) Init(cores *reactor.Cpuset) error {
	if noGovernor {
		return syscall.EPERM
	}
	g.cores = cores
	return nil
}

func (g *governor) Deinit() { g.ended = true }

func (g *governor) note(core int, what string) (bool, error) {
	if g.ended || !g.cores.Get(core) {
		panic("a governor that has ended, or does not have the core, is told to change it")
	}
	g.did[core] = what
	if g.fails {
		return false, syscall.EIO
	}
	return true, nil
}

func (g *governor) CoreAvailFreqs(int) []uint32                                      { return nil }
func (g *governor) CoreFreq(int) uint32                                              { return 0 }
func (g *governor) CoreFreqUp(core int) (bool, error)                                { return g.note(core, "up") }
func (g *governor) CoreFreqDown(core int) (bool, error)                              { return g.note(core, "down") }
func (g *governor) SetCoreFreqMax(core int) (bool, error)                            { return g.note(core, "max") }
func (g *governor) SetCoreFreqMin(core int) (bool, error)                            { return g.note(core, "min") }
func (g *governor) DumpInfo() any                                                    { return nil }
func (g *governor) CoreCapabilities(int) (c reactor.GovernorCapabilities, err error) { return c, nil }

// take returns what cores have been told since the last time.
func (g *governor) take() map[int]string {
	did := g.did
	g.did = map[int]string{}
	return did
}

// manual returns reactors that run by hand, with a scheduler.
func manual(tb testing.TB, scheduler string, cores ...int) *reactortest.Reactors {
	tb.Helper()
	o := reactor.Options{StallThreshold: -1, Log: slog.New(slog.DiscardHandler)}
	h := reactortest.NewReactors(tb, cores, o)
	use(tb, h.Framework, scheduler)
	return h
}

func use(tb testing.TB, fw *reactor.Framework, scheduler string) {
	tb.Helper()
	if err := fw.SetScheduler(scheduler); err != nil {
		tb.Fatal(err)
	}
}

// busy returns a poller's function that finds work which takes d.
func busy(h *reactortest.Reactors, d time.Duration) reactor.PollerFunc {
	return func(*reactor.Thread, any) reactor.PollerResult { h.Advance(d); return reactor.Busy }
}

// idle returns a poller's function that takes d to find nothing.
func idle(h *reactortest.Reactors, d time.Duration) reactor.PollerFunc {
	return func(*reactor.Thread, any) reactor.PollerResult { h.Advance(d); return reactor.Idle }
}

// once has t's reactor run one round in which t has a poller.
func once(t *reactor.Thread, fn reactor.PollerFunc) {
	p := t.RegisterPoller("", fn, nil, 0)
	t.Reactor().Poll()
	p.Unregister()
}

// where returns the cores that threads are on.
func where(threads []*reactor.Thread) []int {
	var cores []int
	for _, t := range threads {
		cores = append(cores, t.Reactor().Core())
	}
	return cores
}

// modes returns the modes of reactors.
func modes(h *reactortest.Reactors) []reactor.Mode {
	var modes []reactor.Mode
	for _, r := range h.Reactors {
		modes = append(modes, r.Mode())
	}
	return modes
}

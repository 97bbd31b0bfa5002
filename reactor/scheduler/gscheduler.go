package scheduler

import (
	"encoding/json"

	"github.com/spdk-go/spdk-go/reactor"
)

// Load of a core, in percent, that decides what happens to its frequency.
// SPDK: g_min_threshold, g_adjust_threshold, g_max_threshold
const (
	loadForMin = 1  // below: the lowest
	loadForUp  = 50 // below: a step down, from here on: a step up
	loadForMax = 99 // from here on: the highest
)

// gscheduler sets frequencies and moves nothing.
//
// SPDK: module/scheduler/gscheduler/gscheduler.c
type gscheduler struct {
	frequencies
	sysfs    string
	topology *reactor.Topology // nil: siblings are not known
}

func (*gscheduler) Name() string { return "gscheduler" }

func (g *gscheduler) Init(f *reactor.Framework) error {
	if err := g.begin(f); err != nil {
		return err
	}
	topology, err := reactor.ReadTopology(g.sysfs)
	if err != nil {
		f.Warn("gscheduler takes every core for itself: which ones are SMT siblings is not known", "error", err)
	}
	g.topology = topology
	historyOf(f).begin()
	beginPeriod(f)
	return nil
}

func (g *gscheduler) Deinit(f *reactor.Framework) { g.end(f) }

func (g *gscheduler) Balance(f *reactor.Framework, cores []reactor.CoreInfo) {
	governor := f.Governor()
	if governor == nil {
		return // somebody has taken it away
	}
	for i := range cores {
		core := cores[i].Core
		load := g.load(cores, i)
		switch {
		case load < loadForMin:
			g.set(f, core, governor.SetCoreFreqMin)
		case load < loadForUp:
			g.set(f, core, governor.CoreFreqDown)
		case load < loadForMax:
			g.set(f, core, governor.CoreFreqUp)
		default:
			g.set(f, core, governor.SetCoreFreqMax)
		}
	}
}

// load returns the highest load of core number i and its siblings, which share its frequency.
func (g *gscheduler) load(cores []reactor.CoreInfo, i int) int {
	siblings := &reactor.Cpuset{}
	if g.topology != nil {
		if s := g.topology.SMTSiblings(cores[i].Core); s != nil {
			siblings = s
		}
	}
	load := 0
	for j := range cores {
		if c := &cores[j]; i == j || siblings.Get(c.Core) {
			load = max(load, percent(c.Current.BusyTicks, c.Current.IdleTicks))
		}
	}
	return load
}

func (*gscheduler) SetOpts(opts json.RawMessage) error { return decode(opts, nil) }

func (*gscheduler) Opts() any { return struct{}{} }

package reactor

import "fmt"

// Governor changes the frequency of cores. Its methods do not block: they may be called on a
// reactor.
//
// SPDK: struct spdk_governor
type Governor interface {
	Name() string
	Init(cores *Cpuset) error // not on a reactor
	Deinit()                  // not on a reactor
	CoreFreq(core int) (kHz uint32)
	CoreFreqUp(core int) (changed bool, err error)
	CoreFreqDown(core int) (changed bool, err error)
	SetCoreFreqMax(core int) (changed bool, err error)
	SetCoreFreqMin(core int) (changed bool, err error)
	CoreCapabilities(core int) (GovernorCapabilities, error)
	DumpInfo() any
}

// GovernorCapabilities is what a governor can do with a core. SPDK: struct spdk_governor_capabilities
type GovernorCapabilities struct {
	Priority bool // the core can go faster than others
}

var governors = map[string]func() Governor{}

// RegisterGovernor makes a governor known by name. Call it from an init function. It panics if the name is taken.
//
// SPDK: spdk_governor_register
func RegisterGovernor(name string, create func() Governor) {
	if governors[name] != nil {
		panic(fmt.Sprintf("reactor: governor %q is registered twice", name))
	}
	governors[name] = create
}

// Governors returns the names of the registered governors. Not in SPDK.
func Governors() []string { return sortedNames(governors) }

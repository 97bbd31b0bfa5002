package reactor

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// GovernorCapabilities is what a governor knows about a core.
//
// SPDK: struct spdk_governor_capabilities
type GovernorCapabilities struct {
	Priority bool // its base frequency is higher than that of others
}

// Governor sets the clock rate of cores, for a scheduler that knows how busy they are. All
// frequencies are in kHz.
//
// Init and Deinit may block and are not called from a reactor. The others never block. Those
// that change something are called from the scheduling reactor only; a change may take
// effect later, and if it fails then, the next call that would change the same core says so.
// They report whether there was anything to change, i.e. the core was not at its limit yet.
// Init, Deinit and the calls of a scheduler come one at a time; those that only look may be
// made by any goroutine meanwhile.
//
// SPDK: struct spdk_governor
type Governor interface {
	// Name is what the governor is registered as.
	Name() string
	// Init takes the cores over and sets them to their maximum, or changes nothing and
	// returns an error that tells the operator why.
	Init(cores *Cpuset) error
	// Deinit leaves the cores as Init found them.
	Deinit()
	// CoreAvailFreqs returns the frequencies that a core can be set to, the highest first.
	CoreAvailFreqs(core int) []uint32
	// CoreFreq returns the frequency that a core is set to, 0 if the governor does not have the core.
	CoreFreq(core int) uint32
	// CoreFreqUp sets a core to the next higher of its frequencies.
	CoreFreqUp(core int) (changed bool, err error)
	// CoreFreqDown sets a core to the next lower of its frequencies.
	CoreFreqDown(core int) (changed bool, err error)
	// SetCoreFreqMax sets a core to its highest frequency.
	SetCoreFreqMax(core int) (changed bool, err error)
	// SetCoreFreqMin sets a core to its lowest frequency.
	SetCoreFreqMin(core int) (changed bool, err error)
	// CoreCapabilities returns what is known about a core.
	CoreCapabilities(core int) (GovernorCapabilities, error)
	// DumpInfo returns what framework_get_governor shows besides the cores, for encoding/json.
	DumpInfo() any
}

// governors is filled by init functions and read-only afterwards.
var governors = struct {
	sync.Mutex
	by map[string]func() Governor
}{by: map[string]func() Governor{}}

// RegisterGovernor makes a governor known by name; factory returns a new one. Call it from
// an init function. It panics if the name is taken.
//
// SPDK: spdk_governor_register, SPDK_GOVERNOR_REGISTER
func RegisterGovernor(name string, factory func() Governor) {
	governors.Lock()
	defer governors.Unlock()
	if name == "" || factory == nil {
		panic(fmt.Sprintf("reactor: governor %q is registered without a name or a factory", name))
	}
	if governors.by[name] != nil {
		panic(fmt.Sprintf("reactor: governor %q is registered twice", name))
	}
	governors.by[name] = factory
}

// GovernorNames returns the names that [NewGovernor] knows, sorted.
//
// Not in SPDK, which keeps its list to itself.
func GovernorNames() []string {
	governors.Lock()
	defer governors.Unlock()
	return slices.Sorted(maps.Keys(governors.by))
}

// NewGovernor returns a governor of a registered name, to be initialized. Another name is
// EINVAL.
//
// SPDK: the lookup in spdk_governor_set
func NewGovernor(name string) (Governor, error) {
	governors.Lock()
	factory := governors.by[name]
	governors.Unlock()
	if factory == nil {
		return nil, fmt.Errorf("reactor: there is no governor %q (known: %s): %w",
			name, strings.Join(GovernorNames(), ", "), syscall.EINVAL)
	}
	return factory(), nil
}

package governor

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/reactor"
)

// Name is what the governor is registered as. Not in SPDK, whose is called dpdk_governor.
const Name = "cpufreq"

func init() {
	reactor.RegisterGovernor(Name, func() reactor.Governor { return New(reactor.SysfsRoot) })
}

// CPUFreq is a [reactor.Governor] over the kernel's cpufreq.
//
// SPDK: dpdk_governor
type CPUFreq struct {
	fs    sysfs
	mu    sync.Mutex // of Init and Deinit
	state atomic.Pointer[state]
}

// state is what there is between Init and Deinit. Only what is atomic changes.
type state struct {
	cores    map[int]*core
	policies []*policy
	info     Info
	wake     chan struct{} // holds one: something is wanted
	quit     chan struct{}
	done     chan struct{} // is closed when apply has ended
}

// core is what is wanted for a core, and what became of it.
type core struct {
	policy *policy
	caps   reactor.GovernorCapabilities
	want   atomic.Int32          // an index of policy.freqs
	failed atomic.Pointer[error] // that was not reported yet
}

// policy is what the kernel sets the frequency of: a core, or several that share it.
type policy struct {
	dir     string
	cores   []*core
	freqs   []uint32 // the highest first
	before  limits
	applied int32         // an index of freqs; of Init, then of the goroutine
	freq    atomic.Uint32 // that the kernel made of it
}

// limits of the frequency, in kHz.
type limits struct{ low, high uint32 }

// Info is what a governor tells about the kernel's driver. SPDK: dump_info_json of dpdk_governor
type Info struct {
	Env      string `json:"env"`              // the driver, by the names that DPDK has for them
	Driver   string `json:"scaling_driver"`   // by the kernel's
	Governor string `json:"scaling_governor"` // of the kernel, within our limits
}

// New returns a governor for the sysfs mounted at root. SPDK: dpdk_governor
func New(root string) *CPUFreq { return &CPUFreq{fs: sysfs{root: root, write: writeNumber}} }

// Name returns "cpufreq". SPDK: name of struct spdk_governor
func (g *CPUFreq) Name() string { return Name }

// Init takes over the frequency of cores and sets them to their maximum, within what the
// hardware can do: limits that were set in sysfs before do not bind it. It fails, and leaves
// all as it was, if a CPU that shares a physical core or a frequency with one of cores is
// not among them (EINVAL), if the kernel has no frequency scaling (ENOTSUP), or with the
// errno of writing to sysfs. It reads and writes files: not on a reactor.
//
// SPDK: init of dpdk_governor
func (g *CPUFreq) Init(cores *reactor.Cpuset) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state.Load() != nil {
		return fmt.Errorf("governor: cpufreq is in use: %w", unix.EBUSY)
	}
	if err := g.checkSiblings(cores); err != nil {
		return err
	}
	s, err := g.fs.probe(cores)
	if err != nil {
		return err
	}
	for i, p := range s.policies {
		if err := g.fs.set(p, 0); err != nil {
			for _, p := range s.policies[:i+1] {
				_ = g.fs.setLimits(p.dir, p.before)
			}
			return fmt.Errorf("governor: the frequency of CPUs cannot be set: "+
				"run as root with /sys writable, or do without a governor: %w", err)
		}
	}
	s.wake, s.quit, s.done = make(chan struct{}, 1), make(chan struct{}), make(chan struct{})
	go g.fs.apply(s)
	g.state.Store(s)
	return nil
}

// checkSiblings sees to it that no CPU is slowed down whose sibling the governor does not
// know to be idle.
func (g *CPUFreq) checkSiblings(cores *reactor.Cpuset) error {
	t, err := reactor.ReadTopology(g.fs.root)
	if err != nil {
		return err
	}
	missing := t.AllSMTSiblings(cores)
	if missing == nil {
		return fmt.Errorf("governor: the kernel does not say which of the CPUs %s are SMT siblings: %w",
			cores.List(), unix.ENOTSUP)
	}
	others := *cores
	others.Negate()
	missing.And(&others)
	if missing.Count() > 0 {
		return fmt.Errorf("governor: the CPUs %s are SMT siblings of some in the core mask %s: "+
			"have all siblings in the mask or none: %w", missing.List(), cores.List(), unix.EINVAL)
	}
	return nil
}

// Deinit puts back the limits that Init found. It waits for a write that is under way: not
// on a reactor. Without an Init before it does nothing.
//
// SPDK: deinit of dpdk_governor
func (g *CPUFreq) Deinit() {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.state.Swap(nil)
	if s == nil {
		return
	}
	close(s.quit)
	<-s.done
	for _, p := range s.policies {
		_ = g.fs.setLimits(p.dir, p.before) // a CPU may have gone offline, with what was set
	}
}

// core returns a core that Init took over.
func (g *CPUFreq) core(id int) (*state, *core) {
	s := g.state.Load()
	if s == nil {
		return nil, nil
	}
	return s, s.cores[id]
}

// CoreAvailFreqs returns the frequencies that core can be set to, in kHz, the highest first;
// nil if the governor does not have the core. Drivers that name none, such as intel_pstate
// and amd-pstate, can be set to any: these are then 100 MHz apart. Any goroutine may call it.
//
// SPDK: get_core_avail_freqs of dpdk_governor
func (g *CPUFreq) CoreAvailFreqs(core int) []uint32 {
	_, c := g.core(core)
	if c == nil {
		return nil
	}
	return slices.Clone(c.policy.freqs)
}

// CoreFreq returns the frequency that core is set to, in kHz, as the kernel has it; 0 if the
// governor does not have the core. Any goroutine may call it.
//
// SPDK: get_core_curr_freq of dpdk_governor
func (g *CPUFreq) CoreFreq(core int) uint32 {
	_, c := g.core(core)
	if c == nil {
		return 0
	}
	return c.policy.freq.Load()
}

// CoreFreqUp wants the next higher frequency for core. CPUs that share their frequency get
// the highest that is wanted for any of them. Errors: EINVAL if the governor does not have
// the core; what the previous change met with.
//
// SPDK: core_freq_up of dpdk_governor
func (g *CPUFreq) CoreFreqUp(core int) (changed bool, err error) { return g.change(core, -1) }

// CoreFreqDown wants the next lower frequency for core; the rest is as with
// [CPUFreq.CoreFreqUp].
//
// SPDK: core_freq_down of dpdk_governor
func (g *CPUFreq) CoreFreqDown(core int) (changed bool, err error) { return g.change(core, 1) }

// SetCoreFreqMax wants the highest frequency for core; the rest is as with
// [CPUFreq.CoreFreqUp].
//
// SPDK: set_core_freq_max of dpdk_governor
func (g *CPUFreq) SetCoreFreqMax(core int) (changed bool, err error) {
	return g.change(core, -allFreqs)
}

// SetCoreFreqMin wants the lowest frequency for core; the rest is as with
// [CPUFreq.CoreFreqUp].
//
// SPDK: set_core_freq_min of dpdk_governor
func (g *CPUFreq) SetCoreFreqMin(core int) (changed bool, err error) { return g.change(core, allFreqs) }

// allFreqs is more steps than there are.
const allFreqs = 1 << 20

// change moves what is wanted for a core by some steps towards lower frequencies.
func (g *CPUFreq) change(id int, steps int32) (changed bool, err error) {
	s, c := g.core(id)
	if c == nil {
		return false, fmt.Errorf("governor: CPU %d is not governed: %w", id, unix.EINVAL)
	}
	if e := c.failed.Swap(nil); e != nil {
		return false, *e
	}
	old := c.want.Load()
	want := min(max(old+steps, 0), int32(len(c.policy.freqs))-1)
	if want == old || !c.want.CompareAndSwap(old, want) { // or it failed just now: the next call says so
		return false, nil
	}
	select {
	case s.wake <- struct{}{}: // this never waits
	default:
	}
	return true, nil
}

// CoreCapabilities returns what the kernel says about core. Error: EINVAL if the governor
// does not have the core. Any goroutine may call it.
//
// SPDK: get_core_capabilities of dpdk_governor
func (g *CPUFreq) CoreCapabilities(core int) (reactor.GovernorCapabilities, error) {
	_, c := g.core(core)
	if c == nil {
		return reactor.GovernorCapabilities{}, fmt.Errorf("governor: CPU %d is not governed: %w", core, unix.EINVAL)
	}
	return c.caps, nil
}

// DumpInfo returns an [Info], empty before Init. Any goroutine may call it.
//
// SPDK: dump_info_json of dpdk_governor
func (g *CPUFreq) DumpInfo() any {
	s := g.state.Load()
	if s == nil {
		return Info{}
	}
	return s.info
}

// apply has the kernel do what is wanted until it is told to stop.
func (f *sysfs) apply(s *state) {
	defer close(s.done)
	for {
		select {
		case <-s.quit:
			return
		case <-s.wake:
		}
		for _, p := range s.policies {
			f.applyPolicy(p)
		}
	}
}

// applyPolicy sets the highest of the frequencies that are wanted for the cores of a policy.
// If that fails, they want what they have.
func (f *sysfs) applyPolicy(p *policy) {
	wanted := make([]int32, len(p.cores))
	for i, c := range p.cores {
		wanted[i] = c.want.Load()
	}
	highest := slices.Min(wanted)
	if highest == p.applied {
		return
	}
	err := f.set(p, highest)
	if err == nil {
		return
	}
	_ = f.setLimits(p.dir, limits{p.freqs[p.applied], p.freqs[p.applied]}) // one of both may have been changed
	err = fmt.Errorf("governor: the frequency could not be changed: %w", err)
	for i, c := range p.cores {
		c.failed.Store(&err)
		c.want.CompareAndSwap(wanted[i], p.applied)
	}
}

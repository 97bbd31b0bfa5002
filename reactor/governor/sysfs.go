package governor

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/reactor"
)

const (
	maxFreqs = 64      // that a core has, SPDK_MAX_LCORE_FREQS
	freqStep = 100_000 // kHz, where the driver names no frequencies
)

// sysfs is the part of it that is about the frequency of CPUs.
type sysfs struct {
	root  string
	write func(name string, kHz uint32) error
}

// probe reads what there is to know about cores.
func (f *sysfs) probe(cores *reactor.Cpuset) (*state, error) {
	s := &state{cores: map[int]*core{}}
	byFirst := map[int]*policy{} // by the first CPU of the policy
	bases := map[int]uint32{}
	for cpu := range cores.All() {
		dir := filepath.Join(f.root, fmt.Sprintf("devices/system/cpu/cpu%d/cpufreq", cpu))
		shared, err := f.sharedWith(cpu, dir)
		if err != nil {
			return nil, err
		}
		others := *cores
		others.Negate()
		others.And(shared)
		if others.Count() > 0 {
			return nil, fmt.Errorf("governor: the CPUs %s share their frequency with CPU %d but are not in the core mask %s: "+
				"have all of them in the mask or none: %w", others.List(), cpu, cores.List(), unix.EINVAL)
		}
		first := shared.CPUs()[0]
		p := byFirst[first]
		if p == nil {
			if p, err = f.probePolicy(dir); err != nil {
				return nil, fmt.Errorf("governor: CPU %d: %w", cpu, err)
			}
			byFirst[first] = p
			s.policies = append(s.policies, p)
		}
		c := &core{policy: p}
		p.cores = append(p.cores, c)
		s.cores[cpu] = c
		if base, err := readNumber(filepath.Join(dir, "base_frequency")); err == nil { // few drivers have it
			bases[cpu] = base
		}
	}
	lowest := slices.Min(append(slices.Collect(maps.Values(bases)), math.MaxUint32))
	for cpu, base := range bases {
		s.cores[cpu].caps.Priority = base > lowest
	}
	if len(s.policies) > 0 {
		driver, _ := readText(filepath.Join(s.policies[0].dir, "scaling_driver"))
		governor, _ := readText(filepath.Join(s.policies[0].dir, "scaling_governor"))
		s.info = Info{Env: envOf(driver), Driver: driver, Governor: governor}
	}
	return s, nil
}

// sharedWith returns the CPUs whose frequency is the same as that of cpu, itself included.
func (f *sysfs) sharedWith(cpu int, dir string) (*reactor.Cpuset, error) {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("governor: CPU %d has no frequency scaling, as in most virtual machines "+
			"(there is no %s): do without a governor: %w", cpu, dir, unix.ENOTSUP)
	}
	text, err := readText(filepath.Join(dir, "affected_cpus"))
	if errors.Is(err, fs.ErrNotExist) {
		return reactor.NewCpuset(cpu), nil
	}
	if err != nil {
		return nil, err
	}
	shared, err := reactor.ParseCpuset("[" + strings.Join(strings.Fields(text), ",") + "]")
	if err != nil {
		return nil, fmt.Errorf("governor: %s/affected_cpus: %w", dir, err)
	}
	shared.Set(cpu, true)
	return shared, nil
}

// probePolicy reads what a policy can be set to and what it is.
func (f *sysfs) probePolicy(dir string) (*policy, error) {
	p := &policy{dir: dir}
	hardware, err := readLimits(dir, "cpuinfo_min_freq", "cpuinfo_max_freq")
	if err != nil {
		return nil, err
	}
	if p.before, err = readLimits(dir, "scaling_min_freq", "scaling_max_freq"); err != nil {
		return nil, err
	}
	for _, name := range []string{"scaling_available_frequencies", "scaling_boost_frequencies"} {
		text, err := readText(filepath.Join(dir, name))
		if err != nil {
			continue
		}
		for _, field := range strings.Fields(text) {
			kHz, err := strconv.ParseUint(field, 10, 32)
			if err != nil {
				return nil, fmt.Errorf("%s/%s: %q is not a frequency", dir, name, field)
			}
			if uint32(kHz) >= hardware.low && uint32(kHz) <= hardware.high { // boost may be off
				p.freqs = append(p.freqs, uint32(kHz))
			}
		}
	}
	slices.Sort(p.freqs)
	p.freqs = slices.Compact(p.freqs)
	slices.Reverse(p.freqs)
	if len(p.freqs) == 0 {
		p.freqs = steps(hardware)
	}
	return p, nil
}

// steps returns frequencies from the highest to the lowest, both included.
func steps(l limits) []uint32 {
	step := uint32(freqStep)
	if l.high > l.low && (l.high-l.low)/step > maxFreqs-2 {
		step = (l.high-l.low)/(maxFreqs-1) + 1
	}
	var freqs []uint32
	for f := l.high; f > l.low && f <= l.high; f -= step { // it may wrap
		freqs = append(freqs, f)
	}
	return append(freqs, l.low)
}

// set sets a policy to one of its frequencies.
func (f *sysfs) set(p *policy, index int32) error {
	kHz := p.freqs[index]
	if err := f.setLimits(p.dir, limits{kHz, kHz}); err != nil {
		return err
	}
	p.applied = index
	if now, err := readNumber(filepath.Join(p.dir, "scaling_max_freq")); err == nil {
		kHz = now // there may be other limits, such as heat
	}
	p.freq.Store(kHz)
	return nil
}

// setLimits writes both limits, in an order in which the lower is never above the upper.
func (f *sysfs) setLimits(dir string, l limits) error {
	lowNow, err := readNumber(filepath.Join(dir, "scaling_min_freq"))
	if err != nil {
		return err
	}
	low := func() error { return f.write(filepath.Join(dir, "scaling_min_freq"), l.low) }
	high := func() error { return f.write(filepath.Join(dir, "scaling_max_freq"), l.high) }
	if l.high < lowNow {
		low, high = high, low
	}
	if err := high(); err != nil {
		return err
	}
	return low()
}

// envOf translates the name of a driver to what DPDK calls the way to use it.
func envOf(driver string) string {
	switch driver {
	case "intel_pstate", "intel_cpufreq":
		return "intel-pstate"
	case "amd-pstate", "amd-pstate-epp":
		return "amd-pstate"
	case "cppc_cpufreq":
		return "cppc-cpufreq"
	case "":
		return "unknown"
	}
	return driver
}

func readText(name string) (string, error) {
	text, err := os.ReadFile(name)
	return strings.TrimSpace(string(text)), err
}

func readNumber(name string) (uint32, error) {
	text, err := readText(name)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%s: %q is not a frequency", name, text)
	}
	return uint32(n), nil
}

func readLimits(dir, low, high string) (l limits, err error) {
	if l.low, err = readNumber(filepath.Join(dir, low)); err != nil {
		return l, err
	}
	if l.high, err = readNumber(filepath.Join(dir, high)); err != nil {
		return l, err
	}
	return l, nil
}

// writeNumber writes to a file that is there already.
func writeNumber(name string, kHz uint32) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(strconv.FormatUint(uint64(kHz), 10))
	return errors.Join(err, file.Close())
}

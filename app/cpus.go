package app

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/reactor"
)

// startCPUs is what the process may use, asked before any thread of it was pinned, as
// runtime.NumCPU does.
var startCPUs, startCPUsErr = readAffinity()

func readAffinity() (*reactor.Cpuset, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("app: sched_getaffinity: %w", err)
	}
	cpus := reactor.NewCpuset()
	for i := range reactor.MaxCPU {
		if set.IsSet(i) {
			cpus.Set(i, true)
		}
	}
	return cpus, nil
}

// noCoreDump lowers the limit of the process, which can raise it again.
func noCoreDump() error {
	var limit unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_CORE, &limit)
	if err == nil {
		limit.Cur = 0
		err = unix.Setrlimit(unix.RLIMIT_CORE, &limit)
	}
	if err != nil {
		return fmt.Errorf("app: the limit of core files: %w", err)
	}
	return nil
}

// AllowedCPUs returns the CPUs that the process was allowed to use when it started.
//
// Not in SPDK, where DPDK probes them.
func AllowedCPUs() (*reactor.Cpuset, error) {
	if startCPUsErr != nil {
		return nil, startCPUsErr
	}
	cpus := *startCPUs
	return &cpus, nil
}

// CheckCPUs returns an error, wrapping EINVAL, that names the CPUs of want which are not in
// allowed.
//
// SPDK: the check at the end of spdk_app_parse_core_mask
func CheckCPUs(want, allowed *reactor.Cpuset) error {
	missing := *allowed
	missing.Negate()
	missing.And(want)
	if missing.Count() == 0 {
		return nil
	}
	return &cpuError{missing: missing, allowed: *allowed}
}

// cpuError is EINVAL in words that a command line can show.
type cpuError struct{ missing, allowed reactor.Cpuset }

func (e *cpuError) Error() string {
	return fmt.Sprintf("CPU %s cannot be used here (only %s)", e.missing.List(), e.allowed.List())
}

func (e *cpuError) Unwrap() error { return syscall.EINVAL }

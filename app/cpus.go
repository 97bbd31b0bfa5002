package app

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
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
	missing := slices.DeleteFunc(want.CPUs(), allowed.Get)
	if len(missing) == 0 {
		return nil
	}
	return &cpuError{missing: missing, allowed: allowed.CPUs()}
}

// cpuError is EINVAL in words that a command line can show.
type cpuError struct{ missing, allowed []int }

func (e *cpuError) Error() string {
	return fmt.Sprintf("CPU %s cannot be used here (only %s)", formatCPUs(e.missing), formatCPUs(e.allowed))
}

func (e *cpuError) Unwrap() error { return syscall.EINVAL }

// formatCPUs writes CPUs as a list of ranges: 0-3,8.
func formatCPUs(cpus []int) string {
	var b strings.Builder
	for i := 0; i < len(cpus); {
		j := i
		for j+1 < len(cpus) && cpus[j+1] == cpus[j]+1 {
			j++
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(cpus[i]))
		if j > i {
			b.WriteByte('-')
			b.WriteString(strconv.Itoa(cpus[j]))
		}
		i = j + 1
	}
	return b.String()
}

package app

import (
	"os"
	"strconv"
	"strings"
)

// cpuTimes is how long a CPU has been at what, in the kernel's ticks of 10 ms.
type cpuTimes struct{ usr, sys, irq uint64 }

// procStat is what /proc/stat says of each CPU.
type procStat map[int]cpuTimes

// readProcStat reads /proc/stat; what cannot be read is not there.
//
// SPDK: parse_proc_stat
func readProcStat() procStat {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return nil
	}
	return parseProcStat(string(text))
}

func parseProcStat(text string) procStat {
	stat := procStat{}
	for line := range strings.Lines(text) {
		// cpuN user nice system idle iowait irq softirq steal guest guest_nice
		fields := strings.Fields(line)
		if len(fields) < 8 {
			continue
		}
		number, ok := strings.CutPrefix(fields[0], "cpu")
		cpu, err := strconv.Atoi(number)
		if !ok || err != nil {
			continue
		}
		at := func(i int) uint64 {
			n, _ := strconv.ParseUint(fields[i], 10, 64)
			return n
		}
		stat[cpu] = cpuTimes{usr: at(1), sys: at(3), irq: at(6) + at(7)}
	}
	return stat
}

// since returns what a CPU has done since then. The kernel's counts of a CPU may start anew, when it was offline.
//
// SPDK: app_get_proc_stat
func (s procStat) since(then procStat, cpu int) cpuTimes {
	now, before := s[cpu], then[cpu]
	return cpuTimes{
		usr: now.usr - min(before.usr, now.usr),
		sys: now.sys - min(before.sys, now.sys),
		irq: now.irq - min(before.irq, now.irq),
	}
}

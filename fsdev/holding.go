package fsdev

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spdk-go/spdk-go/reactor"
)

// Holding says in words, a line per device, what there still is of devices and who has it open, for the report of an
// end that does not come. A device without descriptors that is being removed waits for its channels, which the threads
// that have them name, see [reactor.Thread.Holding]. Any goroutine.
//
// Not in SPDK.
func Holding(f *reactor.Framework) (lines []string) {
	m := managerOf(f)
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, dev := range m.fsdevs {
		state := "registered"
		if dev.status != fsdevReady {
			state = "being removed"
		}
		line := fmt.Sprintf("device %s, %s", dev.name, state)
		byThread := map[string]int{}
		for _, d := range dev.descs {
			byThread[d.t.Name()]++
		}
		var open []string
		for _, name := range slices.Sorted(maps.Keys(byThread)) {
			open = append(open, fmt.Sprintf("%d descriptors of thread %s", byThread[name], name))
		}
		if len(open) == 0 && dev.status != fsdevReady {
			open = []string{"waits for its channels"}
		}
		lines = append(lines, strings.Join(append([]string{line}, open...), ", "))
	}
	return lines
}

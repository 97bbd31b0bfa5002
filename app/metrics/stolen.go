package metrics

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spdk-go/spdk-go/app/ebpf"
)

// maxThieves is how many processes are named per reactor.
const maxThieves = 10

// otherThieves is what those that are not named are called, which no process is.
const otherThieves = "(other)"

// stolen makes counters of what processes took from reactors, by their names. The kernel's table forgets processes when
// there are too many, so that what it says of a name can shrink, which counters must not.
type stolen struct {
	since time.Time // the kernel's table is of this start
	cores map[int]*victim
}

type victim struct {
	seen  map[uint32]uint64 // by process: what the table said last
	took  map[string]uint64 // by name; what is not here is in other
	other uint64
}

// begin forgets everything if the kernel has begun anew since.
func (s *stolen) begin(since time.Time) {
	if s.cores == nil || !since.Equal(s.since) {
		s.since, s.cores = since, map[int]*victim{}
	}
}

// from returns what each took from a reactor, in ns. Who is named no longer, since others took more, is in the rest.
func (s *stolen) from(core int, takers []ebpf.Taker, other uint64) map[string]uint64 {
	v := s.cores[core]
	if v == nil {
		v = &victim{took: map[string]uint64{}}
		s.cores[core] = v
	}
	total, seen := other, make(map[uint32]uint64, len(takers))
	for _, t := range takers {
		total += t.NS
		seen[t.PID] = t.NS
		grown := t.NS
		if was := v.seen[t.PID]; was <= t.NS { // else it was forgotten meanwhile, and began anew
			grown -= was
		}
		v.took[thiefName(t.Comm)] += grown
	}
	v.seen = seen
	names := slices.SortedFunc(maps.Keys(v.took), func(a, b string) int {
		return cmp.Or(cmp.Compare(v.took[b], v.took[a]), strings.Compare(a, b))
	})
	var named uint64
	for i, name := range names {
		if i >= maxThieves {
			delete(v.took, name)
			continue
		}
		named += v.took[name]
	}
	if named < total {
		v.other = max(v.other, total-named)
	}
	list := maps.Clone(v.took)
	list[otherThieves] = v.other
	return list
}

// thiefName returns what the kernel's threads of a kind have in common: kworker of kworker/1:2, swapper of swapper/0.
func thiefName(comm string) string {
	if name, _, _ := strings.Cut(comm, "/"); name != "" {
		return name
	}
	return comm
}

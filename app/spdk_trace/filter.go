package main

import (
	"slices"
	"strings"

	"github.com/spdk-go/spdk-go/trace"
)

// filter says what to show. What is empty lets everything through.
type filter struct {
	cores   []int
	groups  []string
	tpoints []string
	owner   string
}

// apply returns the entries to show.
func (f *filter) apply(list []trace.Entry) []trace.Entry {
	return slices.DeleteFunc(list, func(e trace.Entry) bool { return !f.shows(&e) })
}

func (f *filter) shows(e *trace.Entry) bool {
	if len(f.cores) > 0 && !slices.Contains(f.cores, e.Core) {
		return false
	}
	is := func(name string) bool { return strings.EqualFold(name, e.Tpoint.Name) }
	if len(f.tpoints) > 0 && !slices.ContainsFunc(f.tpoints, is) {
		return false
	}
	in := func(name string) bool { return inGroup(e.Tpoint, name) }
	if len(f.groups) > 0 && !slices.ContainsFunc(f.groups, in) {
		return false
	}
	return f.owner == "" || strings.Contains(e.Owner.Description, f.owner)
}

// inGroup reports whether tp is in a group: one that this program knows, or, since files do not name groups, one that
// the tracepoint's name begins with.
func inGroup(tp *trace.TpointOpts, name string) bool {
	for _, g := range trace.Groups() {
		if g.Name == name {
			return int(tp.Tpoint>>6) == int(g.ID)
		}
	}
	begin := name + "_"
	return len(tp.Name) > len(begin) && strings.EqualFold(tp.Name[:len(begin)], begin)
}

package iobuf

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
)

// LeakError is what [Finish] reports when buffers have not been put. It is an EBUSY.
//
// Not in SPDK, which logs the numbers of small and large buffers.
type LeakError struct {
	Leaks []Leak
}

// Leak is the number of buffers that a module has got and not put. Not in SPDK.
type Leak struct {
	Module       string
	Small, Large int
}

// Error implements error. Not in SPDK.
func (e *LeakError) Error() string {
	var s []string
	for _, l := range e.Leaks {
		s = append(s, fmt.Sprintf("%q has %d small and %d large ones", l.Module, l.Small, l.Large))
	}
	return "iobuf: buffers have not been put: module " + strings.Join(s, ", module ")
}

// Unwrap returns EBUSY. Not in SPDK.
func (e *LeakError) Unwrap() error { return syscall.EBUSY }

// findLeaks adds up what modules still have of the pool's buffers and reports whether they
// have any.
func (p *pool) findLeaks(to *LeakError) bool {
	found := false
	for i := range p.bufs {
		owner := p.bufs[i].owner
		if owner == nil {
			continue
		}
		found = true
		k := slices.IndexFunc(to.Leaks, func(l Leak) bool { return l.Module == owner.name })
		if k < 0 {
			k = len(to.Leaks)
			to.Leaks = append(to.Leaks, Leak{Module: owner.name})
		}
		if p.class == small {
			to.Leaks[k].Small++
		} else {
			to.Leaks[k].Large++
		}
	}
	if free := p.ring.Count(); !found && free != len(p.bufs) {
		panic(fmt.Sprintf("iobuf: %d of %d %s buffers are in the pool and nobody has the others",
			free, len(p.bufs), p.class))
	}
	return found
}

package uring

import "unsafe"

// leak is nil, which the compiler cannot know.
//
// The kernel gets addresses as numbers, which neither keep memory reachable nor follow it when it moves. Objects of
// the Go heap do not move, but stacks do, and what the compiler believes not to escape may be there. So whoever turns
// a pointer into such a number goes through addr, from where the object might leak, and so is not on a stack. Keeping
// it reachable is up to the caller.
var leak func(any)

// addr returns the address of p, which is on the heap, static, or mapped.
func addr[T any](p *T) uint64 {
	if leak != nil {
		leak(p)
	}
	return uint64(uintptr(unsafe.Pointer(p)))
}

// sliceAddr returns the address of the first element of s, or 0 if s is nil.
func sliceAddr[T any](s []T) uint64 { return addr(unsafe.SliceData(s)) }

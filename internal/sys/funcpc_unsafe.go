package sys

import "unsafe"

// FuncPC returns the address of the code of fn, a function that is not nil, for
// runtime.FuncForPC. Unlike package reflect it looks unseen by the race detector, so that a
// watchdog can name what another goroutine is running: the closure may be young, but it does not
// change.
//
//go:norace
func FuncPC(fn any) uintptr {
	// The data word of an interface with a function in it is the function: a pointer to a closure,
	// of which the first word is the address of the code.
	words := (*[2]unsafe.Pointer)(unsafe.Pointer(&fn))
	return *(*uintptr)(words[1])
}

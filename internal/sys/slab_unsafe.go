package sys

import "unsafe"

// SlabIndex returns the index in slab of the element that p points to, or -1 when p does
// not point to the start of one.
func SlabIndex[T any](slab []T, p *T) int {
	size := unsafe.Sizeof(slab[0])
	off := uintptr(unsafe.Pointer(p)) - uintptr(unsafe.Pointer(unsafe.SliceData(slab)))
	i := off / size
	if i >= uintptr(len(slab)) || i*size != off {
		return -1
	}
	return int(i)
}

// SlabPlace is [SlabIndex] of a pointer that is known to point to an element of slab.
func SlabPlace[T any](slab []T, p *T) uint {
	off := uintptr(unsafe.Pointer(p)) - uintptr(unsafe.Pointer(unsafe.SliceData(slab)))
	return uint(off / unsafe.Sizeof(slab[0]))
}

// Addr returns the address of b's first byte, for a system call that takes it as a number.
// b must be reachable until the call returns.
func Addr(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

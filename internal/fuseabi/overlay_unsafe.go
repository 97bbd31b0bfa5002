package fuseabi

import (
	"fmt"
	"unsafe"
)

// Overlay returns the T that begins at b[0], sharing b's memory.
//
// Preconditions: T is a structure of this package (no pointers in it); len(b) is at least its
// size; b[0] is aligned for it. Lengths that come from a client are checked by the caller before:
// a violation here is a mistake of the program and panics.
//
// The result keeps b's memory alive if the garbage collector owns it. For mmap'd memory the
// caller sees to it that the result is not used after munmap.
func Overlay[T any](b []byte) *T {
	p := (*T)(unsafe.Pointer(unsafe.SliceData(b)))
	if uintptr(len(b)) < unsafe.Sizeof(*p) || uintptr(unsafe.Pointer(p))%unsafe.Alignof(*p) != 0 {
		overlayPanic(uintptr(len(b)), unsafe.Sizeof(*p), uintptr(unsafe.Pointer(p)), unsafe.Alignof(*p))
	}
	return p
}

//go:noinline
func overlayPanic(length, size, addr, align uintptr) {
	if length < size {
		panic(fmt.Sprintf("fuseabi.Overlay: %d bytes cannot hold a structure of %d", length, size))
	}
	panic(fmt.Sprintf("fuseabi.Overlay: address %#x is not a multiple of %d", addr, align))
}

// Bytes returns the memory of *p as bytes.
//
// Preconditions: T is a structure of this package (no pointers in it, no implicit padding), and
// p is not nil.
func Bytes[T any](p *T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(p)), unsafe.Sizeof(*p))
}

// Size returns the size of T in bytes.
func Size[T any]() int {
	var p *T
	return int(unsafe.Sizeof(*p))
}

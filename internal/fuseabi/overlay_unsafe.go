package fuseabi

import (
	"fmt"
	"unsafe"
)

// Overlay returns the T that begins at b[0], sharing b's memory.
//
// Preconditions: T is a structure of this package (no pointers in it); len(b) is at least its
// size; b[0] is aligned to 8 bytes. Lengths that come from a client are checked by the caller before:
// a violation here is a mistake of the program and panics.
//
// The result keeps b's memory alive if the garbage collector owns it. For mmap'd memory the
// caller sees to it that the result is not used after munmap.
func Overlay[T any](b []byte) *T {
	p := (*T)(unsafe.Pointer(unsafe.SliceData(b)))
	if uintptr(len(b)) < unsafe.Sizeof(*p) || uintptr(unsafe.Pointer(p))%8 != 0 {
		overlayPanic(b, unsafe.Sizeof(*p))
	}
	return p
}

// OverlayWords is [Overlay] on memory that is aligned because of its type.
func OverlayWords[T any](w []uint64) *T {
	p := (*T)(unsafe.Pointer(unsafe.SliceData(w)))
	if 8*uintptr(len(w)) < unsafe.Sizeof(*p) {
		overlayWordsPanic(w, unsafe.Sizeof(*p))
	}
	return p
}

// Aligned reports whether b[0] is aligned for every structure of this package.
func Aligned(b []byte) bool {
	return uintptr(unsafe.Pointer(unsafe.SliceData(b)))%8 == 0
}

//go:noinline
func overlayPanic(b []byte, size uintptr) {
	if uintptr(len(b)) < size {
		panic(fmt.Sprintf("fuseabi.Overlay: %d bytes cannot hold a structure of %d", len(b), size))
	}
	panic(fmt.Sprintf("fuseabi.Overlay: address %p is not a multiple of 8", b))
}

//go:noinline
func overlayWordsPanic(w []uint64, size uintptr) {
	panic(fmt.Sprintf("fuseabi.OverlayWords: %d words cannot hold a structure of %d bytes", len(w), size))
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

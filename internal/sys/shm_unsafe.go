package sys

import (
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// MapShared maps the first n bytes of f, which must have them, for reading and writing. What is written is seen by
// everybody who maps or reads f. [Unmap] ends it; f can be closed before.
func MapShared(f *os.File, n int) ([]byte, error) {
	return unix.Mmap(int(f.Fd()), 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}

// Reserve has the first n bytes of f take up room, so that a write to a mapping of them cannot fail. f is at least as
// long then.
func Reserve(f *os.File, n int) error { return unix.Fallocate(int(f.Fd()), 0, 0, int64(n)) }

// Populate has b, a mapping, be there at once: who touches it later need not wait for the kernel. It does what it can.
func Populate(b []byte) { _ = unix.Madvise(b, unix.MADV_POPULATE_WRITE) }

// Flock locks f for this process and nobody else, at once or not at all: EWOULDBLOCK. The lock is kept until f is
// closed or its process ends.
func Flock(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }

// Word returns the eight bytes at b[off:], where a word begins, for atomic access. It lives as long as b.
func Word(b []byte, off int) *atomic.Uint64 {
	w := b[off : off+8 : off+8]
	if p := unsafe.Pointer(unsafe.SliceData(w)); uintptr(p)%8 == 0 {
		return (*atomic.Uint64)(p)
	}
	panic("sys: a word that is not aligned")
}

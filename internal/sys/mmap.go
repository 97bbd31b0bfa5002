package sys

import "golang.org/x/sys/unix"

// MapAnon returns n bytes of zeroed memory of their own, aligned to a page, that neither
// move nor concern the garbage collector. They take up room as they are touched.
func MapAnon(n int) ([]byte, error) {
	return unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
}

// Unmap gives back what [MapAnon] returned. A later access to it ends the process.
func Unmap(b []byte) error { return unix.Munmap(b) }

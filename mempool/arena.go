package mempool

import (
	"fmt"
	"math"
	"math/bits"
	"syscall"

	"github.com/spdk-go/spdk-go/internal/sys"
)

// arenaAlign is what the size of a buffer must be a multiple of, so that no two share a
// cache line.
const arenaAlign = 64

// Arena is a region of memory outside of the Go heap, cut into buffers of one size: it starts
// at a page, never moves, and the garbage collector does not look at it, so that its address
// may be given to the kernel. It knows its buffers; who has them is kept elsewhere, for
// example in a [Ring]. Its methods but Close may be called from any goroutine.
//
// SPDK: the memory that the pools of iobuf get from spdk_malloc
type Arena struct {
	mem     []byte
	count   int
	size    int
	inverse uint64 // a multiplication is quicker than a division
}

// NewArena maps memory for count buffers of size bytes, a multiple of 64. It is all zero, and
// takes up memory only once it is touched. The error is EINVAL, or ENOMEM when the system
// grants no more memory. The caller has to Close it.
//
// SPDK: spdk_malloc
func NewArena(count, size int) (*Arena, error) {
	if count < 1 || size < arenaAlign || size%arenaAlign != 0 {
		return nil, fmt.Errorf("mempool: arena of %d buffers of %d bytes: there must be 1 or more, "+
			"of a multiple of %d bytes: %w", count, size, arenaAlign, syscall.EINVAL)
	}
	if hi, lo := bits.Mul64(uint64(count), uint64(size)); hi != 0 || lo > math.MaxInt {
		return nil, fmt.Errorf("mempool: arena of %d buffers of %d bytes does not fit an address space: %w",
			count, size, syscall.ENOMEM)
	}
	mem, err := sys.MapAnon(count * size)
	if err != nil {
		return nil, fmt.Errorf("mempool: arena of %d buffers of %d bytes: mmap of %d MiB: %w",
			count, size, count*size>>20, err)
	}
	return &Arena{mem: mem, count: count, size: size, inverse: inverseOf(size)}, nil
}

// Count returns the number of buffers, 0 after Close. Not in SPDK.
func (a *Arena) Count() int { return a.count }

// BufSize returns the size of a buffer in bytes. Not in SPDK.
func (a *Arena) BufSize() int { return a.size }

// Bytes returns all of the memory, for example to register it with the kernel. Not in SPDK.
func (a *Arena) Bytes() []byte { return a.mem }

// Buf returns buffer i, from 0 to Count-1, with length and capacity BufSize. Not in SPDK.
func (a *Arena) Buf(i int) []byte {
	if uint(i) >= uint(a.count) {
		panic(fmt.Sprintf("mempool: buffer %d of an arena of %d", i, a.count))
	}
	return a.mem[i*a.size : (i+1)*a.size : (i+1)*a.size]
}

// Index returns the number of the buffer that b is, whatever b's length, or -1 if b does not
// start where a buffer starts. It believes nothing of what it is given.
//
// Not in SPDK, where a put trusts its caller.
func (a *Arena) Index(b []byte) int {
	off := uint64(sys.Addr(b) - sys.Addr(a.mem))
	if off >= uint64(len(a.mem)) {
		return -1
	}
	return indexOf(off, a.size, a.inverse)
}

// inverseOf returns 2^64 / size, rounded up.
func inverseOf(size int) uint64 { return math.MaxUint64/uint64(size) + 1 }

// indexOf returns off/size, or -1 if off is not a multiple of size.
func indexOf(off uint64, size int, inverse uint64) int {
	// Rounding the inverse up makes the quotient exact for every multiple of size; what is none
	// fails the test.
	i, _ := bits.Mul64(off, inverse)
	if i*uint64(size) != off {
		return -1
	}
	return int(i)
}

// Close unmaps the memory. Nobody may use a buffer any more: that ends the process with
// SIGSEGV. Closing again is harmless.
//
// SPDK: spdk_free
func (a *Arena) Close() error {
	if a.mem == nil {
		return nil
	}
	mem := a.mem
	a.mem, a.count = nil, 0
	if err := sys.Unmap(mem); err != nil {
		return fmt.Errorf("mempool: arena: munmap: %w", err)
	}
	return nil
}

package uring

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// setup is io_uring_setup(2).
func setup(entries uint32, p *Params) (int, syscall.Errno) {
	fd, _, errno := syscall.Syscall(unix.SYS_IO_URING_SETUP, uintptr(entries), uintptr(unsafe.Pointer(p)), 0)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), 0
}

// sysEnter is io_uring_enter(2). It is a Syscall and not a RawSyscall: file systems copy data inside, and may take
// their time.
func (r *Ring) sysEnter(submit, wait, flags uint32) (int, syscall.Errno) {
	arg, size := uintptr(0), uintptr(0)
	if flags&IORING_ENTER_EXT_ARG != 0 {
		arg, size = uintptr(unsafe.Pointer(&r.arg)), SizeofGeteventsArg
	}
	n, _, errno := syscall.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.enterFd), uintptr(submit), uintptr(wait),
		uintptr(flags), arg, size)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// tsAddr returns where r.ts is. A Ring is made by Open, which returns it: it is on the heap and stays there.
func (r *Ring) tsAddr() uint64 { return uint64(uintptr(unsafe.Pointer(&r.ts))) }

// register is io_uring_register(2). arg is kept where it is until the call returns.
func (r *Ring) register(op uint32, arg unsafe.Pointer, n uint32) (int, syscall.Errno) {
	for {
		v, _, errno := syscall.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(r.fd), uintptr(op), uintptr(arg),
			uintptr(n), 0, 0)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return -1, errno
		}
		return int(v), 0
	}
}

// layout finds the queues in the mapped memory. The offsets are the kernel's.
func (r *Ring) layout(p *Params) {
	word := func(off uint32) *uint32 { return (*uint32)(unsafe.Pointer(&r.ringMem[off])) }
	sqeShift, cqeShift := shifts(p.Flags)
	r.sq = sq{
		sqes:     unsafe.Slice((*SQE)(unsafe.Pointer(&r.sqeMem[0])), p.SqEntries<<sqeShift),
		khead:    word(p.SqOff.Head),
		ktail:    word(p.SqOff.Tail),
		kflags:   word(p.SqOff.Flags),
		kdropped: word(p.SqOff.Dropped),
		mask:     *word(p.SqOff.RingMask),
		entries:  *word(p.SqOff.RingEntries),
		shift:    sqeShift,
	}
	r.cq = cq{
		cqes:      unsafe.Slice((*CQE)(unsafe.Pointer(&r.ringMem[p.CqOff.Cqes])), p.CqEntries<<cqeShift),
		khead:     word(p.CqOff.Head),
		ktail:     word(p.CqOff.Tail),
		kflags:    word(p.CqOff.Flags),
		koverflow: word(p.CqOff.Overflow),
		mask:      *word(p.CqOff.RingMask),
		entries:   *word(p.CqOff.RingEntries),
		shift:     cqeShift,
	}
	if p.Flags&IORING_SETUP_NO_SQARRAY == 0 {
		// Entry i of the queue is always SQE i: nobody needs the indirection.
		array := unsafe.Slice(word(p.SqOff.Array), p.SqEntries)
		for i := range array {
			array[i] = uint32(i)
		}
	}
}

// BigCQE returns the 16 bytes behind the i-th of the completions that are ready, on a ring with
// IORING_SETUP_CQE32; on others it panics.
func (r *Ring) BigCQE(i int) [2]uint64 {
	if r.cq.shift == 0 {
		panic("uring: BigCQE of a ring without IORING_SETUP_CQE32")
	}
	return *(*[2]uint64)(unsafe.Pointer(&r.cq.cqes[((r.cq.head+uint32(i))&r.cq.mask)<<1+1]))
}

// SQE128 is an entry of the submission queue of a ring with IORING_SETUP_SQE128.
type SQE128 struct {
	SQE
	rest [64]byte
}

const _ = -(unsafe.Sizeof(SQE128{}) ^ 128)

// GetSQE128 is [Ring.GetSQE] of a ring with IORING_SETUP_SQE128; of others it panics.
func (r *Ring) GetSQE128() *SQE128 {
	if r.sq.shift == 0 {
		panic("uring: GetSQE128 of a ring without IORING_SETUP_SQE128")
	}
	return (*SQE128)(unsafe.Pointer(r.GetSQE()))
}

// Cmd returns the bytes of a command to a driver, 80 of them. [SQE.PrepUringCmd] clears the first 16.
func (s *SQE128) Cmd() []byte { return unsafe.Slice((*byte)(unsafe.Pointer(&s.Addr3)), 80) }

// Cmd returns the bytes of a command to a driver, 16 of them. [SQE.PrepUringCmd] clears them.
func (s *SQE) Cmd() []byte { return unsafe.Slice((*byte)(unsafe.Pointer(&s.Addr3)), 16) }

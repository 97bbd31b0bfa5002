package uring

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/internal/sys"
)

// slicePtr returns where a slice is, or nil if it is empty.
func slicePtr[T any](s []T) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(s)) }

func (r *Ring) registerFds(op uint32, fds []int32) (int, syscall.Errno) {
	return r.register(op, slicePtr(fds), uint32(len(fds)))
}

func (r *Ring) registerRsrc(op uint32, arg *RsrcRegister) syscall.Errno {
	_, errno := r.register(op, unsafe.Pointer(arg), SizeofRsrcRegister)
	return errno
}

// updateFiles pins fds by escaping: the kernel finds the address inside of the argument.
func (r *Ring) updateFiles(offset uint32, fds []int32) (int, syscall.Errno) {
	arg := FilesUpdate{Offset: offset, Fds: sliceAddr(fds)}
	return r.register(IORING_REGISTER_FILES_UPDATE, unsafe.Pointer(&arg), uint32(len(fds)))
}

func (r *Ring) registerAllocRange(arg *FileIndexRange) syscall.Errno {
	_, errno := r.register(IORING_REGISTER_FILE_ALLOC_RANGE, unsafe.Pointer(arg), 0)
	return errno
}

func iovecs(bufs [][]byte) []unix.Iovec {
	iovs := make([]unix.Iovec, len(bufs))
	for i, b := range bufs {
		setIovec(&iovs[i], b)
	}
	return iovs
}

// setIovec points v to b.
func setIovec(v *unix.Iovec, b []byte) {
	v.Base = unsafe.SliceData(b)
	v.SetLen(len(b))
}

func (r *Ring) registerBuffers(bufs [][]byte, tags []uint64) syscall.Errno {
	iovs := iovecs(bufs)
	if tags == nil {
		_, errno := r.register(IORING_REGISTER_BUFFERS, slicePtr(iovs), uint32(len(iovs)))
		return errno
	}
	arg := RsrcRegister{Nr: uint32(len(iovs)), Data: sliceAddr(iovs), Tags: sliceAddr(tags)}
	return r.registerRsrc(IORING_REGISTER_BUFFERS2, &arg)
}

func (r *Ring) updateBuffers(offset uint32, bufs [][]byte, tags []uint64) (int, syscall.Errno) {
	iovs := iovecs(bufs)
	arg := RsrcUpdate2{Offset: offset, Data: sliceAddr(iovs), Tags: sliceAddr(tags), Nr: uint32(len(iovs))}
	return r.register(IORING_REGISTER_BUFFERS_UPDATE, unsafe.Pointer(&arg), SizeofRsrcUpdate2)
}

func (r *Ring) syncCancel(arg *SyncCancelReg) syscall.Errno {
	_, errno := r.register(IORING_REGISTER_SYNC_CANCEL, unsafe.Pointer(arg), 1)
	return errno
}

func (r *Ring) registerMaxWorkers(arg *[2]uint32) syscall.Errno {
	_, errno := r.register(IORING_REGISTER_IOWQ_MAX_WORKERS, unsafe.Pointer(arg), 2)
	return errno
}

func (r *Ring) registerAffinity(cpus *unix.CPUSet) syscall.Errno {
	_, errno := r.register(IORING_REGISTER_IOWQ_AFF, unsafe.Pointer(cpus), uint32(unsafe.Sizeof(*cpus)))
	return errno
}

func (r *Ring) registerRingFd(op uint32, arg *RsrcUpdate) syscall.Errno {
	_, errno := r.register(op, unsafe.Pointer(arg), 1)
	return errno
}

// loadProbe asks the kernel for its opcodes.
func (r *Ring) loadProbe() error {
	if _, errno := r.register(IORING_REGISTER_PROBE, unsafe.Pointer(&r.probe), uint32(len(r.probe.ops))); errno != 0 {
		return r.explain("asking for the opcodes of the kernel", errno)
	}
	return nil
}

const _ = -(unsafe.Sizeof(Probe{}) ^ (SizeofProbeHeader + 256*SizeofProbeOp))

func (r *Ring) registerBufRing(op uint32, arg *BufReg) syscall.Errno {
	_, errno := r.register(op, unsafe.Pointer(arg), 1)
	return errno
}

// bufRing lays the entries of a ring of provided buffers over memory; tail is the word that holds the id of the first
// and, above it, the ring's tail.
func bufRing(mem []byte, entries uint32) (bufs []Buf, tail *uint32) {
	bufs = unsafe.Slice((*Buf)(unsafe.Pointer(&mem[0])), entries)
	return bufs, (*uint32)(unsafe.Pointer(&mem[unsafe.Offsetof(Buf{}.Bid)]))
}

// memAddr returns where mapped memory is.
func memAddr(mem []byte) uint64 { return uint64(sys.Addr(mem)) }

func (r *Ring) registerRestrictions(list []Restriction) syscall.Errno {
	_, errno := r.register(IORING_REGISTER_RESTRICTIONS, slicePtr(list), uint32(len(list)))
	return errno
}

package sys

import (
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Sleeper is where one thread sleeps until another wakes it, in the kernel: where the goroutine that sleeps is locked
// to its thread, a Go channel has a third thread woken first, which hands its processor over. Its zero value is ready.
type Sleeper struct {
	woken atomic.Uint32
}

const (
	futexWait = 0 | 128 // FUTEX_WAIT | FUTEX_PRIVATE_FLAG, linux/futex.h
	futexWake = 1 | 128
)

// Sleep waits for a Wake since the last Sleep. One thread at a time.
func (s *Sleeper) Sleep() {
	for s.woken.Swap(0) == 0 {
		_, _, _ = syscall.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&s.woken)), futexWait, 0, 0, 0, 0)
	}
}

// Wake ends a Sleep, or the next one. It does not wait. Any thread.
func (s *Sleeper) Wake() {
	if s.woken.Swap(1) == 0 {
		_, _, _ = syscall.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&s.woken)), futexWake, 1, 0, 0, 0)
	}
}

package sandbox

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_X86_64

// archCalls are older forms of others, which golang.org/x/sys and the C library prefer where they are. Numbers of the
// x32 ABI, which have bit 30 set, are in no list.
var archCalls = []uint32{unix.SYS_NEWFSTATAT, unix.SYS_POLL, unix.SYS_EPOLL_WAIT}

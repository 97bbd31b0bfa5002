package uring

import "fmt"

// Probe says which opcodes a kernel has.
//
// What is missing must be done otherwise: a module that serves files asks [Ring.Missing] for the opcodes that it would
// like to use, and gives what they would do to its pool of blocking workers. Of the opcodes that this package prepares
// only IORING_OP_FTRUNCATE (Linux 6.9) is younger than 5.19; but an opcode that is there can still refuse a certain
// file (EOPNOTSUPP), which wants a worker too.
type Probe struct {
	ProbeHeader
	ops [256]ProbeOp
}

// Has says whether the kernel has an opcode.
func (p *Probe) Has(op uint8) bool { return p.ops[op].Flags&IO_URING_OP_SUPPORTED != 0 }

// Last returns the last opcode that the kernel has.
func (p *Probe) Last() uint8 { return p.LastOp }

// Has says whether the kernel has an opcode.
func (r *Ring) Has(op uint8) bool { return r.probe.Has(op) }

// Probe returns what the kernel has.
func (r *Ring) Probe() *Probe { return &r.probe }

// Missing returns those of the opcodes that the kernel lacks: what they do needs a worker.
func (r *Ring) Missing(ops ...uint8) []uint8 {
	var missing []uint8
	for _, op := range ops {
		if !r.Has(op) {
			missing = append(missing, op)
		}
	}
	return missing
}

var opNames = [IORING_OP_LAST]string{"NOP", "READV", "WRITEV", "FSYNC", "READ_FIXED", "WRITE_FIXED", "POLL_ADD",
	"POLL_REMOVE", "SYNC_FILE_RANGE", "SENDMSG", "RECVMSG", "TIMEOUT", "TIMEOUT_REMOVE", "ACCEPT", "ASYNC_CANCEL",
	"LINK_TIMEOUT", "CONNECT", "FALLOCATE", "OPENAT", "CLOSE", "FILES_UPDATE", "STATX", "READ", "WRITE", "FADVISE",
	"MADVISE", "SEND", "RECV", "OPENAT2", "EPOLL_CTL", "SPLICE", "PROVIDE_BUFFERS", "REMOVE_BUFFERS", "TEE", "SHUTDOWN",
	"RENAMEAT", "UNLINKAT", "MKDIRAT", "SYMLINKAT", "LINKAT", "MSG_RING", "FSETXATTR", "SETXATTR", "FGETXATTR",
	"GETXATTR", "SOCKET", "URING_CMD", "SEND_ZC", "SENDMSG_ZC", "READ_MULTISHOT", "WAITID", "FUTEX_WAIT", "FUTEX_WAKE",
	"FUTEX_WAITV", "FIXED_FD_INSTALL", "FTRUNCATE", "BIND", "LISTEN", "RECV_ZC", "EPOLL_WAIT", "READV_FIXED",
	"WRITEV_FIXED", "PIPE", "NOP128", "URING_CMD128"}

// OpName returns the name of an opcode, for logs: "READ".
func OpName(op uint8) string {
	if int(op) < len(opNames) {
		return opNames[op]
	}
	return fmt.Sprintf("opcode %d", op)
}

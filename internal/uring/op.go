package uring

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// Result is how an operation of a [Queue] ended.
type Result struct {
	// N is what the system call returns: bytes, a descriptor, events. Of a transfer it is the number of bytes that
	// were moved, also when Errno says that the rest could not be.
	N     int
	Errno syscall.Errno // 0: it worked
	Flags uint32        // IORING_CQE_F_ of the last completion
}

// DoneFunc is told how an operation ended. It runs on the queue's thread, from [Queue.Poll], exactly once; or, for an
// operation that completes many times, once for each, and the last one lacks IORING_CQE_F_MORE. It may start others.
type DoneFunc func(ctx any, res Result)

// Op is an operation of a [Queue]: a slot of its table. It belongs to the caller between [Queue.Get] and [Queue.Start],
// and must not be touched after that.
type Op struct {
	// SQE is what will be submitted. Fill it with one of its Prep methods, or with [Op.Read] and its kin, which finish
	// what is started; Flags, Personality and, for transfers, OpFlags (RWF_) may be set after that. UserData is the
	// queue's. Entries cannot be linked: the queue does not say when it submits.
	SQE SQE

	// Once has a transfer complete with what the first try moved, however little: what one wants of a pipe, and of
	// regular files if one takes a short read for the end of the file, which saves a call.
	Once bool

	fn  DoneFunc
	ctx any
	h   Handle

	// of transfers
	kind transfer
	bufs [][]byte     // what is left
	one  [1][]byte    // room for the bufs of one buffer
	iovs []unix.Iovec // room for those that are submitted at once
	skip int          // bytes of bufs[0] that were moved
	done int          // bytes that were moved
	off  int64        // of what is left
	used int          // of iovs

	started   bool
	polling   bool // waits for the descriptor to be ready, to try again
	cancelled bool
	pause     bool    // before the cancellation is tried again
	tries     uint8   // of the cancellation that have failed
	list      *opList // it is in
	prev      *Op
	next      *Op
}

type transfer uint8

const (
	noTransfer transfer = iota
	reading
	writing
	readingFixed
	writingFixed
)

// Handle returns what [Queue.Cancel] wants.
func (op *Op) Handle() Handle { return op.h }

// Read makes the operation read from a descriptor, at an offset or [CurrentPosition], until bufs are full, the file
// ends, or an error; fewer bytes without an error are the end of the file. Neither bufs nor the slices in it may be
// changed until it completes; they may be empty.
func (op *Op) Read(fd int, bufs [][]byte, off int64) { op.move(reading, fd, bufs, off) }

// Write makes the operation write all of bufs, or up to an error. A device may also just take no more.
func (op *Op) Write(fd int, bufs [][]byte, off int64) { op.move(writing, fd, bufs, off) }

// ReadBuf is [Op.Read] into one buffer.
func (op *Op) ReadBuf(fd int, buf []byte, off int64) {
	op.one[0] = buf
	op.move(reading, fd, op.one[:], off)
}

// WriteBuf is [Op.Write] of one buffer.
func (op *Op) WriteBuf(fd int, buf []byte, off int64) {
	op.one[0] = buf
	op.move(writing, fd, op.one[:], off)
}

// ReadFixed is [Op.Read] into slices of registered buffer index, one after the other.
func (op *Op) ReadFixed(fd int, bufs [][]byte, off int64, index uint16) {
	op.move(readingFixed, fd, bufs, off)
	op.SQE.BufIndex = index
}

// WriteFixed is [Op.Write] of slices of registered buffer index, one after the other.
func (op *Op) WriteFixed(fd int, bufs [][]byte, off int64, index uint16) {
	op.move(writingFixed, fd, bufs, off)
	op.SQE.BufIndex = index
}

func (op *Op) move(kind transfer, fd int, bufs [][]byte, off int64) {
	op.SQE = SQE{Fd: int32(fd)}
	op.kind, op.bufs, op.off = kind, bufs, off
	op.skip, op.done = 0, 0
	op.trim()
}

// trim drops the buffers that are done.
func (op *Op) trim() {
	for len(op.bufs) > 0 && op.skip == len(op.bufs[0]) {
		op.bufs, op.skip = op.bufs[1:], 0
	}
}

// advance notes that n bytes were moved.
func (op *Op) advance(n int) {
	op.done += n
	if op.off >= 0 {
		op.off += int64(n)
	}
	for n > 0 && len(op.bufs) > 0 {
		rest := len(op.bufs[0]) - op.skip
		if n < rest {
			op.skip += n
			return
		}
		op.bufs, op.skip = op.bufs[1:], 0
		n -= rest
	}
	op.trim()
}

// prepare points the entry to what is left.
func (op *Op) prepare() {
	s := &op.SQE
	s.Off = uint64(op.off)
	single := len(op.bufs) <= 1 || op.kind >= readingFixed || len(op.iovs) == 1
	if single {
		var buf []byte
		if len(op.bufs) > 0 {
			buf = op.bufs[0][op.skip:]
		}
		s.Addr, s.Len = sliceAddr(buf), bufLen(buf)
		s.Opcode = [...]uint8{reading: IORING_OP_READ, writing: IORING_OP_WRITE, readingFixed: IORING_OP_READ_FIXED,
			writingFixed: IORING_OP_WRITE_FIXED}[op.kind]
		return
	}
	n, skip := 0, op.skip
	for _, b := range op.bufs {
		if n == len(op.iovs) {
			break
		}
		if len(b) != skip {
			setIovec(&op.iovs[n], b[skip:])
			n++
		}
		skip = 0
	}
	op.used = max(op.used, n)
	s.Addr, s.Len = sliceAddr(op.iovs), uint32(n)
	s.Opcode = IORING_OP_READV
	if op.kind == writing {
		s.Opcode = IORING_OP_WRITEV
	}
}

// ready returns what poll(2) must say of the descriptor before a transfer can go on.
func (op *Op) ready() uint32 {
	if op.kind == reading || op.kind == readingFixed {
		return unix.POLLIN
	}
	return unix.POLLOUT
}

// clear drops what the operation kept reachable.
func (op *Op) clear() {
	clear(op.iovs[:op.used])
	op.fn, op.ctx, op.bufs, op.one[0] = nil, nil, nil, nil
	op.kind, op.used, op.Once = noTransfer, 0, false
	op.started, op.polling, op.cancelled, op.pause, op.tries = false, false, false, false, 0
}

// opList is a list of operations, each in one at most.
type opList struct{ first, last *Op }

func (l *opList) push(op *Op) {
	op.list, op.prev, op.next = l, l.last, nil
	if l.last != nil {
		l.last.next = op
	} else {
		l.first = op
	}
	l.last = op
}

func (l *opList) remove(op *Op) {
	if op.prev != nil {
		op.prev.next = op.next
	} else {
		l.first = op.next
	}
	if op.next != nil {
		op.next.prev = op.prev
	} else {
		l.last = op.prev
	}
	op.list, op.prev, op.next = nil, nil, nil
}

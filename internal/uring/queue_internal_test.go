package uring

import (
	"errors"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func record(ctx any, res Result) { *ctx.(*[]Result) = append(*ctx.(*[]Result), res) }

// TestDecisions gives a queue completions that no kernel posted, and looks at what it makes of them.
func TestDecisions(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	type step struct {
		res    int32
		flags  uint32
		cancel bool // before
		opcode uint8
		off    uint64
		length uint32
	}
	bufs := func() [][]byte {
		return [][]byte{make([]byte, 10), {}, make([]byte, 20), make([]byte, 30), make([]byte, 40)}
	}
	read := func(op *Op) { op.Read(3, bufs(), 1000) }
	write := func(op *Op) { op.Write(3, bufs(), CurrentPosition) }
	fsync := func(op *Op) { op.SQE.PrepFsync(3, 0) }
	mkdir := func(op *Op) { op.SQE.PrepMkdirat(3, []byte{0}, 0) }
	none := uint64(1<<64 - 1)
	const done = IORING_OP_LAST
	for _, tc := range []struct {
		name  string
		prep  func(op *Op)
		first step
		steps []step
		want  Result
	}{
		{"in one", read, step{opcode: IORING_OP_READV, off: 1000, length: 3}, []step{{res: 60, opcode: IORING_OP_READ,
			off: 1060, length: 40}, {res: 40, opcode: done}}, Result{N: 100}},
		{"in parts", read, step{opcode: IORING_OP_READV, off: 1000, length: 3}, []step{
			{res: 10, opcode: IORING_OP_READV, off: 1010, length: 3},
			{res: 50, opcode: IORING_OP_READ, off: 1060, length: 40},
			{res: 39, opcode: IORING_OP_READ, off: 1099, length: 1},
			{res: 0, opcode: done}}, Result{N: 99}},
		{"interrupted", write, step{opcode: IORING_OP_WRITEV, off: none, length: 3}, []step{
			{res: -int32(unix.EINTR), opcode: IORING_OP_WRITEV, off: none, length: 3},
			{res: 59, opcode: IORING_OP_WRITEV, off: none, length: 2},
			{res: -int32(unix.EINTR), opcode: IORING_OP_WRITEV, off: none, length: 2},
			{res: -int32(unix.ENOSPC), opcode: done}}, Result{N: 59, Errno: unix.ENOSPC}},
		{"not ready", write, step{opcode: IORING_OP_WRITEV, off: none, length: 3}, []step{
			{res: 15, opcode: IORING_OP_WRITEV, off: none, length: 3},
			{res: -int32(unix.EAGAIN), opcode: IORING_OP_POLL_ADD},
			{res: unix.POLLOUT, opcode: IORING_OP_WRITEV, off: none, length: 3},
			{res: 85, opcode: done}}, Result{N: 100}},
		{"poll fails", read, step{opcode: IORING_OP_READV, off: 1000, length: 3}, []step{
			{res: -int32(unix.EAGAIN), opcode: IORING_OP_POLL_ADD},
			{res: -int32(unix.EBADF), opcode: done}}, Result{Errno: unix.EBADF}},
		{"cancelled between", read, step{opcode: IORING_OP_READV, off: 1000, length: 3}, []step{
			{res: 5, cancel: true, opcode: done}}, Result{N: 5, Errno: unix.ECANCELED}},
		{"cancelled and complete", fsync, step{opcode: IORING_OP_FSYNC}, []step{{res: 0, cancel: true, opcode: done}},
			Result{}},
		{"cancelled in a worker", fsync, step{opcode: IORING_OP_FSYNC}, []step{
			{res: -int32(unix.EINTR), cancel: true, opcode: done}}, Result{Errno: unix.ECANCELED}},
		{"cancelled while not ready", read, step{opcode: IORING_OP_READV, off: 1000, length: 3}, []step{
			{res: -int32(unix.EAGAIN), opcode: IORING_OP_POLL_ADD},
			{res: unix.POLLIN, cancel: true, opcode: done}}, Result{Errno: unix.ECANCELED}},
		{"interrupted, to be repeated", fsync, step{opcode: IORING_OP_FSYNC}, []step{
			{res: -int32(unix.EINTR), opcode: IORING_OP_FSYNC}, {res: 0, opcode: done}}, Result{}},
		{"interrupted, not to be repeated", mkdir, step{opcode: IORING_OP_MKDIRAT}, []step{
			{res: -int32(unix.EINTR), opcode: done}}, Result{Errno: unix.EINTR}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := Open(Options{Entries: 32})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			q := NewQueue(r, QueueOptions{Depth: 1, IOVs: 3})
			var got []Result
			op := q.Get(record, &got)
			tc.prep(op)
			h := q.Start(op)
			check := func(i int, want step) {
				t.Helper()
				s := r.sq.sqes[(r.sq.tail-1)&r.sq.mask]
				if s.Opcode != want.opcode || s.UserData != uint64(h) ||
					want.opcode != IORING_OP_POLL_ADD && (s.Off != want.off || s.Len != want.length) {
					t.Fatalf("after step %d: %s off %d len %d, want %+v", i, OpName(s.Opcode), s.Off, s.Len, want)
				}
			}
			check(0, tc.first)
			for i, s := range tc.steps {
				if s.cancel {
					_ = q.Cancel(h)
				}
				q.complete(&CQE{UserData: uint64(h), Res: s.res, Flags: s.flags})
				if s.opcode != done {
					check(i+1, s)
				} else if len(got) != 1 || got[0] != tc.want {
					t.Fatalf("%+v, want %+v", got, tc.want)
				}
			}
			if q.InFlight() != 0 || q.table.Used() != 0 {
				t.Error("it is there yet")
			}
			q.complete(&CQE{UserData: uint64(h)})
			if q.Stats().Stale != 1 {
				t.Error("a second completion is not stale")
			}
		})
	}
}

// TestCancelIsTriedAgain has the kernel miss an operation that it is asked to cancel, again and again.
func TestCancelIsTriedAgain(t *testing.T) {
	r, err := Open(Options{Entries: 32})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	q := NewQueue(r, QueueOptions{Depth: 2})
	var got []Result
	op := q.Get(record, &got)
	op.ReadBuf(3, make([]byte, 1), CurrentPosition)
	h := q.Start(op)
	_ = q.Cancel(h)
	last := func(opcode uint8, about Handle) {
		t.Helper()
		if s := r.sq.sqes[(r.sq.tail-1)&r.sq.mask]; s.Opcode != opcode || s.UserData != uint64(h|about) {
			t.Fatalf("%s of %v, want %s of %v", OpName(s.Opcode), Handle(s.UserData), OpName(opcode), h|about)
		}
		r.sq.tail = 0 // the kernel has not seen any of it
	}
	last(IORING_OP_ASYNC_CANCEL, cancelOf)
	for i := range 20 {
		res := [...]unix.Errno{unix.ENOENT, unix.EALREADY}[i%2]
		q.complete(&CQE{UserData: uint64(h | cancelOf), Res: -int32(res)})
		if s := r.sq.sqes[0]; s.Addr != addr(&pauses[min(i, len(pauses)-1)]) {
			t.Errorf("pause %d is another one", i)
		}
		last(IORING_OP_TIMEOUT, pauseOf)
		q.complete(&CQE{UserData: uint64(h | pauseOf), Res: -int32(unix.ETIME)})
		last(IORING_OP_ASYNC_CANCEL, cancelOf)
	}
	q.complete(&CQE{UserData: uint64(h), Res: -int32(unix.ECANCELED)})
	// What is said of one that has completed concerns nobody, also not who has its slot now.
	next := q.Get(record, &got)
	next.ReadBuf(3, make([]byte, 1), CurrentPosition)
	for _, about := range []Handle{cancelOf, pauseOf} {
		q.complete(&CQE{UserData: uint64(h | about), Res: -int32(unix.ENOENT)})
	}
	if r.sq.tail != 0 || len(got) != 1 || got[0].Errno != unix.ECANCELED || q.Stats().Stale != 0 {
		t.Errorf("%d submitted, %+v, %+v", r.sq.tail, got, q.Stats())
	}
	q.Drop(next)
}

// TestCloseGivesUp keeps the memory of what the kernel does not let go.
func TestCloseGivesUp(t *testing.T) {
	r, err := Open(Options{Entries: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	pr, pw, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pr.Close()
	defer pw.Close()
	q := NewQueue(r, QueueOptions{Depth: 1})
	var got []Result
	op := q.Get(record, &got)
	op.SQE.PrepPollAdd(int(pr.Fd()), unix.POLLIN, 0)
	op.cancelled = true // so that it is not: a disk that does not answer
	q.Start(op)
	err = q.Close(time.Millisecond)
	if !errors.Is(err, syscall.ETIMEDOUT) || len(got) != 0 {
		t.Errorf("%v, %v", err, got)
	}
	abandoned.Lock()
	defer abandoned.Unlock()
	if n := len(abandoned.queues); n == 0 || abandoned.queues[n-1] != q {
		t.Error("its memory is not kept")
	}
	abandoned.queues = nil
}

// TestNothingIsRetained pins that a slot that was given back holds on to nothing.
func TestNothingIsRetained(t *testing.T) {
	r, err := Open(Options{Entries: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	q := NewQueue(r, QueueOptions{Depth: 1, IOVs: 4})
	var got []Result
	op := q.Get(record, &got)
	op.Read(-1, [][]byte{make([]byte, 1), make([]byte, 1)}, 0)
	q.Start(op)
	for len(got) == 0 {
		q.Poll()
	}
	if op.fn != nil || op.ctx != nil || op.bufs != nil || op.one[0] != nil || op.list != nil {
		t.Errorf("%+v", op)
	}
	for _, v := range op.iovs {
		if v.Base != nil {
			t.Error("an iovec is left")
		}
	}
}

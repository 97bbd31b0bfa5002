package uring_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/internal/uring"
)

// TestRingAllocatesNothing pins that submitting and completing takes no memory.
func TestRingAllocatesNothing(t *testing.T) {
	onEvery(t, func(t *testing.T, r *uring.Ring) {
		fd, _ := tempFile(t, "hello world")
		buf := make([]byte, 16)
		if n := testing.AllocsPerRun(200, func() {
			for i := range uint64(4) {
				s := r.GetSQE()
				s.PrepRead(fd, buf, 0)
				s.UserData = i
			}
			for left := 4; left > 0; {
				if _, errno := r.Wait(1, patience); errno != 0 {
					t.Fatal(errno)
				}
				n, _ := r.Poll()
				left -= n
				r.Advance(n)
			}
		}); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

// TestQueueAllocatesNothing pins the same of operations, with all that can happen to them.
func TestQueueAllocatesNothing(t *testing.T) {
	onQueues(t, uring.QueueOptions{Depth: 64, IOVs: 2}, func(t *testing.T, q *uring.Queue) {
		fd, _ := tempFile(t, "hello world")
		pr, _ := pipe(t, unix.O_NONBLOCK)
		mem := make([]byte, 16)
		bufs := [][]byte{mem[:1], mem[1:3], mem[3:8], mem[8:]}
		st := &unix.Statx_t{}
		empty := name("")
		var c call
		if n := testing.AllocsPerRun(100, func() {
			for range 10 { // more than there is room for
				op := q.Get(done, &c)
				op.Read(fd, bufs, 0)
				q.Start(op)
				op = q.Get(done, &c)
				op.SQE.PrepStatx(fd, empty, unix.AT_EMPTY_PATH, unix.STATX_SIZE, st)
				q.Start(op)
				op = q.Get(done, &c)
				op.ReadBuf(pr, mem, uring.CurrentPosition)
				h := q.Start(op)
				q.Poll()
				_ = q.Cancel(h)
			}
			for q.InFlight() != 0 {
				_, _ = q.Wait(patience)
			}
		}); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

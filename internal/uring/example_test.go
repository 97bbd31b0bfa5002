package uring_test

import (
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/spdk-go/spdk-go/internal/uring"
)

// reader is the context of an operation: it owns what the kernel writes to.
type reader struct {
	buf [64]byte
}

func readDone(ctx any, res uring.Result) {
	r := ctx.(*reader)
	fmt.Printf("%d bytes, %v: %s\n", res.N, res.Errno == 0, r.buf[:res.N])
}

func Example() {
	runtime.LockOSThread() // the ring belongs to this thread
	defer runtime.UnlockOSThread()
	ring, err := uring.Open(uring.Options{Entries: 64, Wanted: uring.ReactorFlags})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ring.Close()
	queue := uring.NewQueue(ring, uring.QueueOptions{})
	defer queue.Close(time.Second)

	f, err := os.CreateTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	defer os.Remove(f.Name())
	fmt.Fprint(f, "hello world")

	r := &reader{}
	op := queue.Get(readDone, r)
	op.ReadBuf(int(f.Fd()), r.buf[:], 6)
	queue.Start(op)
	for queue.InFlight() != 0 {
		queue.Poll() // a reactor's poller
	}
	// Output: 5 bytes, true: world
}

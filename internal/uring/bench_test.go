package uring_test

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/internal/uring"
)

const benchBlock, benchFile = 4096, 16 << 20

// benchPlaces are where the benchmarks read: from the page cache of a file system that reads at once what it has, and
// from one that leaves that to a worker.
var benchPlaces = []string{"cached", "tmpfs"}

// benchFd opens a file there.
func benchFd(b *testing.B, place string) int {
	b.Helper()
	dir := b.TempDir()
	if _, err := os.Stat("/dev/shm"); err == nil && place == "tmpfs" {
		dir = "/dev/shm"
	}
	f, err := os.CreateTemp(dir, "uring-bench-")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = f.Close(); _ = os.Remove(f.Name()) })
	if _, err := f.Write(make([]byte, benchFile)); err != nil {
		b.Fatal(err)
	}
	return int(f.Fd())
}

func benchOff(i int) int64 { return int64(i*benchBlock) & (benchFile - 1) }

// BenchmarkPread is what the others are compared with: one system call per read.
func BenchmarkPread(b *testing.B) {
	for _, place := range benchPlaces {
		b.Run(place, func(b *testing.B) {
			fd := benchFd(b, place)
			buf := make([]byte, benchBlock)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if n, err := unix.Pread(fd, buf, benchOff(i)); n != benchBlock || err != nil {
					b.Fatal(n, err)
				}
				i++
			}
		})
	}
}

var benchDepths = []int{1, 32}

// BenchmarkRing submits and completes batches by hand.
func BenchmarkRing(b *testing.B) {
	for _, what := range []string{"nop", "cached", "fixed", "tmpfs"} {
		for _, depth := range benchDepths {
			b.Run(fmt.Sprintf("%s/depth%d", what, depth), func(b *testing.B) {
				r := open(b, uring.ReactorFlags, 64)
				fd := benchFd(b, what)
				buf := make([]byte, benchBlock)
				if err := r.RegisterBuffers([][]byte{buf}); err != nil {
					b.Fatal(err)
				}
				if err := r.RegisterFiles([]int32{int32(fd)}); err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				b.ResetTimer()
				i := 0
				for left := b.N; left > 0; {
					batch := min(depth, left)
					for range batch {
						s := r.GetSQE()
						switch what {
						case "nop":
							s.PrepNop()
						case "cached", "tmpfs":
							s.PrepRead(fd, buf, benchOff(i))
						default:
							s.PrepReadFixed(0, buf, benchOff(i), 0)
							s.Flags |= uring.IOSQE_FIXED_FILE
						}
						i++
					}
					if _, errno := r.Submit(); errno != 0 {
						b.Fatal(errno)
					}
					for got := 0; got < batch; {
						n, _ := r.Poll()
						r.Advance(n)
						got += n
					}
					left -= batch
				}
			})
		}
	}
}

func benchDone(ctx any, res uring.Result) {
	if res.Errno != 0 {
		panic(res.Errno)
	}
	*ctx.(*int)++
}

// BenchmarkQueue does the same with callbacks.
func BenchmarkQueue(b *testing.B) {
	for _, what := range []string{"nop", "cached", "tmpfs"} {
		for _, depth := range benchDepths {
			b.Run(fmt.Sprintf("%s/depth%d", what, depth), func(b *testing.B) {
				q := uring.NewQueue(open(b, uring.ReactorFlags, 64), uring.QueueOptions{})
				fd := benchFd(b, what)
				buf := make([]byte, benchBlock)
				completed := new(int)
				b.ReportAllocs()
				b.ResetTimer()
				i := 0
				for left := b.N; left > 0; {
					batch := min(depth, left)
					for range batch {
						op := q.Get(benchDone, completed)
						if what == "nop" {
							op.SQE.PrepNop()
						} else {
							op.ReadBuf(fd, buf, benchOff(i))
						}
						q.Start(op)
						i++
					}
					for got := 0; got < batch; {
						got += q.Poll()
					}
					left -= batch
				}
				if *completed != b.N {
					b.Fatalf("%d of %d", *completed, b.N)
				}
			})
		}
	}
}

// BenchmarkTable takes, finds and gives back a slot.
func BenchmarkTable(b *testing.B) {
	tab := uring.NewTable[[8]uint64](1024, 1)
	b.ReportAllocs()
	for b.Loop() {
		_, h := tab.Get()
		if tab.Lookup(h) == nil {
			b.Fatal("lost")
		}
		tab.Put(h)
	}
}

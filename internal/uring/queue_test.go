package uring_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/internal/uring"
)

// call collects what a callback was told.
type call struct {
	n   int
	res uring.Result
	mem [][]byte
}

func done(ctx any, res uring.Result) {
	c := ctx.(*call)
	c.n++
	c.res = res
}

// onQueues runs a test on a queue of every flavour of rings. At the end nothing may be left.
func onQueues(t *testing.T, o uring.QueueOptions, test func(t *testing.T, q *uring.Queue)) {
	onEvery(t, func(t *testing.T, r *uring.Ring) {
		q := uring.NewQueue(r, o)
		test(t, q)
		if err := q.Close(patience); err != nil {
			t.Error(err)
		}
		s := q.Stats()
		if s.Stale != 0 || q.InFlight() != 0 || q.Busy() {
			t.Errorf("%+v, %d in flight, busy: %v", s, q.InFlight(), q.Busy())
		}
	})
}

// begin begins an operation, for which there must be a slot.
func begin(t testing.TB, q *uring.Queue, c *call) *uring.Op {
	t.Helper()
	op := q.Get(done, c)
	if op == nil {
		t.Fatal("no slot")
	}
	return op
}

// until polls until cond holds.
func until(t testing.TB, q *uring.Queue, cond func() bool) {
	t.Helper()
	end := time.Now().Add(patience)
	for !cond() {
		if time.Now().After(end) {
			t.Fatalf("it does not happen\n%s", state(q))
		}
		if _, errno := q.Wait(50 * time.Millisecond); errno != 0 && errno != unix.ETIME {
			t.Fatal(errno)
		}
	}
}

// state is what there is to know of a queue and its ring, the kernel's view included.
func state(q *uring.Queue) string {
	r := q.Ring()
	b, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", r.Fd()))
	return fmt.Sprintf("%d in flight, busy: %v, %+v\n%d ready, %d pending, %+v\n%s%v", q.InFlight(), q.Busy(), q.Stats(),
		r.Ready(), r.Pending(), r.Stats(), b, err)
}

func finished(t testing.TB, q *uring.Queue, c *call) uring.Result {
	t.Helper()
	until(t, q, func() bool { return c.n > 0 })
	if c.n != 1 {
		t.Fatalf("called %d times", c.n)
	}
	return c.res
}

func expectResult(t testing.TB, got uring.Result, n int, errno unix.Errno) {
	t.Helper()
	if got.N != n || got.Errno != errno {
		t.Errorf("%d, %v, want %d, %v", got.N, got.Errno, n, errno)
	}
}

// split cuts memory into pieces, some of them empty.
func split(rng *rand.Rand, mem []byte, pieces int) [][]byte {
	var bufs [][]byte
	for range pieces - 1 {
		n := rng.IntN(len(mem) + 1)
		if rng.IntN(3) == 0 {
			n = 0
		}
		n = min(n, 2*(len(mem)/pieces)+1, len(mem))
		bufs = append(bufs, mem[:n:n])
		mem = mem[n:]
	}
	return append(bufs, mem)
}

// TestTransfersOfFiles reads and writes with more buffers than are submitted at once, up to the end and beyond.
func TestTransfersOfFiles(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	onQueues(t, uring.QueueOptions{IOVs: 3, Depth: 4}, func(t *testing.T, q *uring.Queue) {
		rng := rand.New(rand.NewPCG(seed, 1))
		fd, path := tempFile(t, "")
		for range 20 {
			want := make([]byte, rng.IntN(5000))
			for i := range want {
				want[i] = byte(rng.Uint32())
			}
			if err := os.Truncate(path, 0); err != nil {
				t.Fatal(err)
			}
			off := rng.IntN(100)
			var c call
			op := begin(t, q, &c)
			op.Write(fd, split(rng, want, 1+rng.IntN(12)), int64(off))
			q.Start(op)
			expectResult(t, finished(t, q, &c), len(want), 0)
			c = call{}
			op = begin(t, q, &c)
			op.WriteBuf(fd, want, int64(off))
			q.Start(op)
			expectResult(t, finished(t, q, &c), len(want), 0)

			got := make([]byte, len(want)+rng.IntN(3)*50)
			c = call{}
			op = begin(t, q, &c)
			op.Read(fd, split(rng, got, 1+rng.IntN(12)), int64(off))
			q.Start(op)
			expectResult(t, finished(t, q, &c), len(want), 0)
			if !bytes.Equal(got[:len(want)], want) {
				t.Fatal("other data")
			}
		}
		for _, bufs := range [][][]byte{nil, {nil}, {{}, {}}} {
			var c call
			op := begin(t, q, &c)
			op.Read(fd, bufs, 0)
			q.Start(op)
			expectResult(t, finished(t, q, &c), 0, 0)
		}
		var c call
		op := begin(t, q, &c)
		op.ReadBuf(-1, make([]byte, 10), 0)
		q.Start(op)
		expectResult(t, finished(t, q, &c), 0, unix.EBADF)
	})
}

func TestTransfersFixed(t *testing.T) {
	onQueues(t, uring.QueueOptions{}, func(t *testing.T, q *uring.Queue) {
		fd, path := tempFile(t, "hello world")
		mem := make([]byte, 8192)
		if err := q.Ring().RegisterBuffers([][]byte{make([]byte, 10), mem}); err != nil {
			t.Fatal(err)
		}
		var c call
		op := begin(t, q, &c)
		op.ReadFixed(fd, [][]byte{mem[:4], mem[5000:5003], mem[100:200]}, 0, 1)
		q.Start(op)
		expectResult(t, finished(t, q, &c), 11, 0)
		if got := string(mem[:4]) + string(mem[5000:5003]) + string(mem[100:104]); got != "hello world" {
			t.Errorf("%q", got)
		}
		c = call{}
		op = begin(t, q, &c)
		op.WriteFixed(fd, [][]byte{mem[100:104], mem[:1]}, 1, 1)
		q.Start(op)
		expectResult(t, finished(t, q, &c), 5, 0)
		if got := content(t, path); got != "horldhworld" {
			t.Errorf("%q", got)
		}
		// an index of the files, too
		if err := q.Ring().RegisterFiles([]int32{int32(fd)}); err != nil {
			t.Fatal(err)
		}
		c = call{}
		op = begin(t, q, &c)
		op.ReadBuf(0, mem[:64], 0)
		op.SQE.Flags |= uring.IOSQE_FIXED_FILE
		q.Start(op)
		expectResult(t, finished(t, q, &c), 11, 0)
	})
}

// TestTransfersOfPipes has everything come in parts: what is read is written bit by bit, and what is written does not
// fit. With O_NONBLOCK the kernel says EAGAIN in between.
func TestTransfersOfPipes(t *testing.T) {
	for name, flags := range map[string]int{"blocking": 0, "nonblocking": unix.O_NONBLOCK} {
		t.Run(name, func(t *testing.T) {
			onQueues(t, uring.QueueOptions{IOVs: 2}, func(t *testing.T, q *uring.Queue) {
				pr, pw := pipe(t, flags)
				if _, err := unix.FcntlInt(uintptr(pw), unix.F_SETPIPE_SZ, 4096); err != nil {
					t.Fatal(err)
				}
				rng := rand.New(rand.NewPCG(1, 2))
				data, got := make([]byte, 100_000), make([]byte, 100_000)
				for i := range data {
					data[i] = byte(rng.Uint32())
				}
				var in, out call
				rd, wr := begin(t, q, &in), begin(t, q, &out)
				rd.Read(pr, split(rng, got, 9), uring.CurrentPosition)
				wr.Write(pw, split(rng, data, 7), uring.CurrentPosition)
				q.Start(rd)
				q.Start(wr)
				expectResult(t, finished(t, q, &in), len(data), 0)
				expectResult(t, finished(t, q, &out), len(data), 0)
				if !bytes.Equal(got, data) {
					t.Error("other data")
				}
				if q.Stats().Resubmitted == 0 {
					t.Error("nothing came in parts")
				}

				// once is once, and the end is the end
				for _, s := range []struct {
					once  bool
					close bool
					n     int
				}{{true, false, 3}, {false, true, 3}} {
					if _, err := unix.Write(pw, []byte("abc")); err != nil {
						t.Fatal(err)
					}
					in = call{}
					rd = begin(t, q, &in)
					rd.ReadBuf(pr, got[:100], uring.CurrentPosition)
					rd.Once = s.once
					q.Start(rd)
					if s.close {
						q.Poll()
						q.Poll()
						if in.n != 0 {
							t.Fatal("a part is enough")
						}
						_ = unix.Close(pw)
					}
					expectResult(t, finished(t, q, &in), s.n, 0)
				}
			})
		})
	}
}

// TestNowaitIsNotRepeated leaves EAGAIN to those who ask for it.
func TestNowaitIsNotRepeated(t *testing.T) {
	onQueues(t, uring.QueueOptions{}, func(t *testing.T, q *uring.Queue) {
		pr, _ := pipe(t, 0)
		var c call
		op := begin(t, q, &c)
		op.ReadBuf(pr, make([]byte, 8), uring.CurrentPosition)
		op.SQE.OpFlags = unix.RWF_NOWAIT
		q.Start(op)
		expectResult(t, finished(t, q, &c), 0, unix.EAGAIN)
	})
}

type ordered struct {
	id   int
	into *[]int
}

func noteOrder(ctx any, _ uring.Result) {
	o := ctx.(*ordered)
	*o.into = append(*o.into, o.id)
}

// TestQueueKeepsOrder starts far more than the submission queue holds.
func TestQueueKeepsOrder(t *testing.T) {
	onQueues(t, uring.QueueOptions{Depth: 500}, func(t *testing.T, q *uring.Queue) {
		var got []int
		for i := range 500 {
			op := q.Get(noteOrder, &ordered{i, &got})
			op.SQE.PrepNop()
			q.Start(op)
		}
		if q.Get(noteOrder, nil) != nil || q.Depth() != 500 {
			t.Error("more than the depth")
		}
		if q.Stats().Waited == 0 || !q.Busy() {
			t.Error("nothing waited")
		}
		until(t, q, func() bool { return len(got) == 500 })
		for i, id := range got {
			if i != id {
				t.Fatalf("%d came as number %d", id, i)
			}
		}
	})
}

// TestCancel cancels operations in each of their states.
func TestCancel(t *testing.T) {
	for name, flags := range map[string]int{"blocking": 0, "nonblocking": unix.O_NONBLOCK} {
		t.Run(name, func(t *testing.T) {
			onQueues(t, uring.QueueOptions{Depth: 100}, func(t *testing.T, q *uring.Queue) {
				pr, pw := pipe(t, flags)
				read := func(c *call) uring.Handle {
					op := begin(t, q, c)
					c.mem = [][]byte{make([]byte, 10)}
					op.Read(pr, c.mem, uring.CurrentPosition)
					return q.Start(op)
				}
				// in flight
				var a call
				h := read(&a)
				q.Poll()
				if errno := q.Cancel(h); errno != 0 || a.n != 0 {
					t.Fatal(errno, a.n)
				}
				if errno := q.Cancel(h); errno != 0 {
					t.Error("twice:", errno)
				}
				expectResult(t, finished(t, q, &a), 0, unix.ECANCELED)
				if errno := q.Cancel(h); errno != unix.ENOENT {
					t.Error("afterwards:", errno)
				}
				// not submitted yet, the operation and the cancellation in one batch
				a = call{}
				h = read(&a)
				_ = q.Cancel(h)
				expectResult(t, finished(t, q, &a), 0, unix.ECANCELED)
				// half done
				if _, err := unix.Write(pw, []byte("abc")); err != nil {
					t.Fatal(err)
				}
				a = call{}
				h = read(&a)
				re := q.Stats().Resubmitted
				until(t, q, func() bool { return q.Stats().Resubmitted > re })
				q.Poll()
				_ = q.Cancel(h)
				expectResult(t, finished(t, q, &a), 3, unix.ECANCELED)
				// waiting for room, and others whose cancellation waits for room
				cs := make([]call, 100)
				for i := range cs {
					h = read(&cs[i])
					if i == 99 {
						if errno := q.Cancel(h); errno != 0 {
							t.Fatal(errno)
						}
					}
				}
				expectResult(t, finished(t, q, &cs[99]), 0, unix.ECANCELED)
				q.CancelAll()
				for i := range cs {
					expectResult(t, finished(t, q, &cs[i]), 0, unix.ECANCELED)
				}
				// begun only
				op := begin(t, q, &a)
				if errno := q.Cancel(op.Handle()); errno != unix.ENOENT {
					t.Error("not started:", errno)
				}
				q.Drop(op)
			})
		})
	}
}

// TestCancelRaces cancels what is completing meanwhile: each completes once, one way or the other.
func TestCancelRaces(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	onQueues(t, uring.QueueOptions{Depth: 64}, func(t *testing.T, q *uring.Queue) {
		rng := rand.New(rand.NewPCG(seed, 1))
		pr, pw := pipe(t, 0)
		file, _ := tempFile(t, "hello world")
		soon := &uring.Timespec{TvNsec: 20_000}
		outcomes := map[unix.Errno]int{}
		for range 100 {
			cs := make([]call, 30)
			hs := make([]uring.Handle, 30)
			for i := range cs {
				op := begin(t, q, &cs[i])
				cs[i].mem = [][]byte{make([]byte, 1)}
				switch rng.IntN(4) {
				case 0:
					op.Read(file, cs[i].mem, 0)
					op.SQE.Flags |= uring.IOSQE_ASYNC // races with a worker
				case 1:
					op.SQE.PrepNop()
				case 2:
					op.SQE.PrepTimeout(soon, 0, 0)
				default:
					op.Read(pr, cs[i].mem, uring.CurrentPosition)
				}
				hs[i] = q.Start(op)
				if rng.IntN(4) == 0 {
					q.Poll()
				}
				if rng.IntN(5) == 0 {
					if _, err := unix.Write(pw, []byte("x")); err != nil {
						t.Fatal(err)
					}
				}
				_ = q.Cancel(hs[rng.IntN(i+1)])
			}
			for _, h := range hs {
				_ = q.Cancel(h)
			}
			for i := range cs {
				res := finished(t, q, &cs[i])
				outcomes[res.Errno]++
				if res.Errno != 0 && res.Errno != unix.ECANCELED && res.Errno != unix.ETIME {
					t.Fatalf("%+v", res)
				}
			}
			// what was not read goes to nobody
			for {
				var p [1]unix.PollFd
				p[0] = unix.PollFd{Fd: int32(pr), Events: unix.POLLIN}
				if n, err := unix.Poll(p[:], 0); n != 1 || err != nil {
					break
				}
				_, _ = unix.Read(pr, make([]byte, 100))
			}
		}
		t.Log(outcomes)
		if outcomes[0] == 0 || outcomes[unix.ECANCELED] == 0 {
			t.Error("no race")
		}
	})
}

// TestMultishot is called back until the last completion.
func TestMultishot(t *testing.T) {
	onQueues(t, uring.QueueOptions{}, func(t *testing.T, q *uring.Queue) {
		pr, pw := pipe(t, 0)
		var c call
		op := begin(t, q, &c)
		op.SQE.PrepPollAdd(pr, unix.POLLIN, uring.IORING_POLL_ADD_MULTI)
		h := q.Start(op)
		for i := range 3 {
			q.Poll()
			if _, err := unix.Write(pw, []byte("x")); err != nil {
				t.Fatal(err)
			}
			until(t, q, func() bool { return c.n == i+1 })
			if c.res.N != unix.POLLIN || c.res.Flags&uring.IORING_CQE_F_MORE == 0 {
				t.Fatalf("%+v", c.res)
			}
		}
		_ = q.Cancel(h)
		until(t, q, func() bool { return c.n == 4 })
		expectResult(t, c.res, 0, unix.ECANCELED)
	})
}

// TestForeignAndStale posts completions that the queue did not ask for.
func TestForeignAndStale(t *testing.T) {
	r, other := open(t, 0, 8), open(t, 0, 8)
	var foreign []uint64
	q := uring.NewQueue(r, uring.QueueOptions{Kind: 3, ForeignCtx: &foreign, Foreign: func(ctx any, c *uring.CQE) {
		*ctx.(*[]uint64) = append(*ctx.(*[]uint64), c.UserData)
	}})
	var c call
	op := begin(t, q, &c)
	pr, _ := pipe(t, 0)
	op.ReadBuf(pr, make([]byte, 1), uring.CurrentPosition)
	h := q.Start(op)
	invented := []uint64{
		uint64(h) + 1,     // another slot
		uint64(h) + 1<<24, // the next generation
		uint64(h) - 1<<24, // the one before
		3<<56 | 0xfffffe,  // no such slot
		4<<56 | uint64(1), // another kind
		0,                 // and another
		uint64(uring.Discard(3)),
	}
	for _, u := range invented {
		want(t, other, 0, func(s *uring.SQE) { s.PrepMsgRing(r.Fd(), 1, u, 0) })
	}
	until(t, q, func() bool { return len(foreign) == 2 })
	if s := q.Stats(); s.Stale != 4 || c.n != 0 || foreign[0] != invented[4] {
		t.Errorf("%+v, foreign %x, called %d times", s, foreign, c.n)
	}
	if err := q.Close(patience); err != nil {
		t.Fatal(err)
	}
	expectResult(t, c.res, 0, unix.ECANCELED)
	plain := uring.NewQueue(r, uring.QueueOptions{})
	want(t, other, 0, func(s *uring.SQE) { s.PrepMsgRing(r.Fd(), 1, 1<<56, 0) })
	plain.Poll()
	if s := plain.Stats(); s.Stale != 1 {
		t.Errorf("%+v", s)
	}
}

// chain starts another operation from its callback, so many times.
type chain struct {
	q    *uring.Queue
	left int
}

func (c *chain) start() {
	op := c.q.Get(chained, c)
	op.SQE.PrepNop()
	c.q.Start(op)
}

func chained(ctx any, _ uring.Result) {
	if c := ctx.(*chain); c.left > 0 {
		c.left--
		c.start()
	}
}

// TestStartFromCallback reuses the slot that has just been given back.
func TestStartFromCallback(t *testing.T) {
	onQueues(t, uring.QueueOptions{Depth: 1}, func(t *testing.T, q *uring.Queue) {
		c := &chain{q, 100}
		c.start()
		until(t, q, func() bool { return c.left == 0 && q.InFlight() == 0 })
		if s := q.Stats(); s.Started != 101 || s.Completed != 101 {
			t.Errorf("%+v", s)
		}
	})
}

func panics(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s: no panic", what)
		}
	}()
	f()
}

func TestWrongUsePanics(t *testing.T) {
	r := open(t, uring.ReactorFlags, 8)
	q := uring.NewQueue(r, uring.QueueOptions{Depth: 4})
	var c call
	op := begin(t, q, &c)
	op.SQE.PrepNop()
	op.SQE.Flags |= uring.IOSQE_IO_LINK
	panics(t, "a link", func() { q.Start(op) })
	op.SQE.Flags = 0
	q.Start(op)
	panics(t, "drop of what was started", func() { q.Drop(op) })
	onThread(func() { panics(t, "another thread", func() { q.Poll() }) })
	panics(t, "no slots", func() { uring.NewTable[int](0, 0) })
	panics(t, "no buffers", func() { uring.NewQueue(r, uring.QueueOptions{IOVs: 5000}) })
	panics(t, "a small ring", func() { r.GetSQE128() })
	panics(t, "tags", func() { _ = r.RegisterBuffersTagged(make([][]byte, 2), nil) })
}

// TestPollFromCallback is not possible, and says so.
func TestPollFromCallback(t *testing.T) {
	q := uring.NewQueue(open(t, 0, 8), uring.QueueOptions{Depth: 4})
	told := false
	op := q.Get(func(any, uring.Result) {
		panics(t, "poll from a callback", func() { q.Poll() })
		told = true
	}, nil)
	op.SQE.PrepNop()
	q.Start(op)
	until(t, q, func() bool { return told })
}

// TestClose ends what is in flight, and what waits.
func TestClose(t *testing.T) {
	onEvery(t, func(t *testing.T, r *uring.Ring) {
		q := uring.NewQueue(r, uring.QueueOptions{Depth: 50})
		pr, _ := pipe(t, 0)
		cs := make([]call, 50)
		for i := range cs {
			op := begin(t, q, &cs[i])
			op.ReadBuf(pr, make([]byte, 1), uring.CurrentPosition)
			q.Start(op)
			if i == 20 {
				q.Poll()
			}
		}
		if err := q.Close(-1); err != nil {
			t.Fatal(err)
		}
		for i := range cs {
			if cs[i].n != 1 || cs[i].res.Errno != unix.ECANCELED {
				t.Fatalf("%d: %+v", i, cs[i])
			}
		}
		if q.Get(done, nil) != nil {
			t.Error("something new")
		}
		if err := q.Close(0); err != nil {
			t.Error(err)
		}
	})
}

// TestBudget bounds what one poll does.
func TestBudget(t *testing.T) {
	q := uring.NewQueue(open(t, 0, 64), uring.QueueOptions{Depth: 64, Budget: 10})
	cs := make([]call, 64)
	for i := range cs {
		op := begin(t, q, &cs[i])
		op.SQE.PrepNop()
		q.Start(op)
	}
	for _, want := range []int{10, 10, 10, 10, 10, 10, 4, 0} {
		if n := q.Poll(); n != want {
			t.Fatalf("%d calls, want %d", n, want)
		}
	}
}

// TestOpsOfOthers runs operations that are no transfers.
func TestOpsOfOthers(t *testing.T) {
	onQueues(t, uring.QueueOptions{}, func(t *testing.T, q *uring.Queue) {
		_, path := tempFile(t, "hello")
		st := &unix.Statx_t{}
		var c call
		op := begin(t, q, &c)
		op.SQE.PrepStatx(unix.AT_FDCWD, name(path), 0, unix.STATX_SIZE, st)
		q.Start(op)
		expectResult(t, finished(t, q, &c), 0, 0)
		if st.Size != 5 {
			t.Errorf("%d bytes", st.Size)
		}
		c = call{}
		op = begin(t, q, &c)
		op.SQE.PrepOpenat2(unix.AT_FDCWD, name(path), &unix.OpenHow{Flags: unix.O_CLOEXEC})
		q.Start(op)
		res := finished(t, q, &c)
		if res.Errno != 0 || unix.Close(res.N) != nil {
			t.Errorf("%+v", res)
		}
	})
}

func TestExplainedErrors(t *testing.T) {
	r := open(t, 0, 4)
	if err := r.RegisterFiles([]int32{9999}); !errors.Is(err, unix.EBADF) {
		t.Error(err)
	}
	if err := r.UnregisterPersonality(77); !errors.Is(err, unix.EINVAL) {
		t.Error(err)
	}
}

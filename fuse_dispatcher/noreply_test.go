package fusedispatcher_test

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
	"github.com/spdk-go/spdk-go/reactor"
)

func TestUnknownOpcodesAreENOSYSWithTheRightUnique(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	for _, op := range []uint32{0, 7, 19, FUSE_ACCESS, FUSE_BMAP, 54, 63, CUSE_INIT, 1 << 20, 1<<31 - 1, 1 << 31,
		1<<32 - 1, CUSE_INIT_BSWAP_RESERVED, FUSE_INIT_BSWAP_RESERVED} {
		for _, n := range []int{0, 1, 200} {
			b.Do(0, FUSE_STATFS, node, 96) // with another unique
			if r := b.Do(0, op, node, 200, make([]byte, n)); r.Errno != syscall.ENOSYS || r.Len != 16 {
				t.Errorf("opcode %d: %v, reply of %d bytes", op, r.Errno, r.Len)
			}
			if r := b.Do(0, op, node, 15, make([]byte, n)); r.Len != 0 {
				t.Errorf("opcode %d without room: reply of %d bytes", op, r.Len)
			}
		}
	}
	for _, op := range []uint32{7, 54, 1<<32 - 1} {
		if n := fusedispatcher.OpcodeName(op); n != "UNKNOWN" {
			t.Errorf("opcode %d is called %q", op, n)
		}
	}
}

func TestStatsCountOpcodes(t *testing.T) {
	b := newBed(t, 2, fusedispatcher.Opts{})
	b.Init(45)
	b.Do(0, FUSE_STATFS, node, 96)
	b.Do(1, FUSE_STATFS, node, 96)
	b.Do(1, 1<<32-1, node, 96)
	b.Do(1, 7, node, 96)
	var want fusedispatcher.Stats
	want.Requests[FUSE_INIT], want.Requests[FUSE_STATFS] = 1, 2
	want.Requests[0], want.Requests[7] = 1, 1
	check := func(when string, meanwhile func()) {
		t.Helper()
		var got fusedispatcher.Stats
		b.D.Stats(b.T, func(_ *reactor.Thread, ctx any, s *fusedispatcher.Stats) { *ctx.(*fusedispatcher.Stats) = *s }, &got)
		meanwhile()
		b.PollThreads()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	check("all channels there", func() {})
	put := func(i, rounds int) {
		b.Chans[i].Put()
		b.Chans[i] = nil
		for range rounds {
			b.Poll(b.Threads[i])
		}
	}
	for rounds := range 3 {
		check(fmt.Sprintf("a channel goes %d rounds before anybody is asked", rounds), func() { put(1, rounds) })
		b.Chans[1] = b.D.IOChannel(b.Threads[1])
		b.Do(1, FUSE_STATFS, node, 96)
		want.Requests[FUSE_STATFS]++
		check(fmt.Sprintf("a channel goes %d rounds before it is asked", rounds), func() {
			b.Poll(b.T)
			put(1, rounds)
		})
		b.Chans[1] = b.D.IOChannel(b.Threads[1])
		b.Do(1, FUSE_STATFS, node, 96)
		want.Requests[FUSE_STATFS]++
		check(fmt.Sprintf("a channel that was asked goes within %d rounds", rounds), func() {
			b.Poll(b.T)
			b.Poll(b.Threads[1])
			put(1, rounds)
		})
		b.Chans[1] = b.D.IOChannel(b.Threads[1])
		b.Do(1, FUSE_STATFS, node, 96)
		want.Requests[FUSE_STATFS]++
	}
	put(1, 2)
	check("a channel gone", func() {})
}

// A request of less than a header is answered as far as it can be told what it is.
func TestRequestsShorterThanAHeader(t *testing.T) {
	for _, session := range []bool{true, false} {
		b := newBed(t, 1, fusedispatcher.Opts{})
		if session {
			b.Init(45)
		}
		for _, op := range []uint32{FUSE_GETATTR, FUSE_FORGET, FUSE_INIT, FUSE_DESTROY, 1<<32 - 1} {
			m := b.Message(op, node)
			for n := range 40 {
				for _, room := range []int{0, 15, 16, 200} {
					r := b.Finish(b.Send(0, cut(m[:n:n], n/2), [][]byte{make([]byte, room)}))
					wantLen := uint32(16)
					if room < 16 || op == FUSE_FORGET && n > 4 {
						wantLen = 0
					}
					if r.Errno != syscall.EINVAL || r.Len != wantLen {
						t.Errorf("%d bytes of opcode %d, room for %d: %v, reply of %d bytes", n, op, room, r.Errno, r.Len)
					}
				}
				r := b.Finish(b.Send(0, [][]byte{m[:n:n]}, nil))
				if r.Errno != syscall.EINVAL || r.Len != 0 {
					t.Errorf("%d bytes of opcode %d, no reply vector: %v, reply of %d bytes", n, op, r.Errno, r.Len)
				}
			}
			r := b.Finish(b.Send(0, nil, [][]byte{make([]byte, 16)}))
			if r.Errno != syscall.EINVAL {
				t.Errorf("nothing: %v", r.Errno)
			}
		}
		if len(b.FS.Calls) > 0 {
			t.Errorf("the module saw %d requests", len(b.FS.Calls))
		}
	}
}

func TestForgetsAreNeverAnswered(t *testing.T) {
	type seen struct{ Obj, N uint64 }
	for _, tt := range []struct {
		name   string
		op     uint32
		node   uint64
		parts  [][]byte
		module syscall.Errno
		want   []seen
		errno  syscall.Errno
	}{
		{"one", FUSE_FORGET, node, [][]byte{u64(3)}, 0, []seen{{node, 3}}, 0},
		{"the root", FUSE_FORGET, 1, [][]byte{u64(1)}, 0, []seen{{uint64(fakeRoot), 1}}, 0},
		{"no count", FUSE_FORGET, node, nil, 0, nil, syscall.EINVAL},
		{"half a count", FUSE_FORGET, node, [][]byte{u32(3)}, 0, nil, syscall.EINVAL},
		{"the module fails", FUSE_FORGET, node, [][]byte{u64(3)}, syscall.ESTALE, []seen{{node, 3}}, syscall.ESTALE},
		{"batch", FUSE_BATCH_FORGET, 0, [][]byte{Bytes(&BatchForgetIn{Count: 3}), forgets(10, 1, 1, 2, 12, 3)}, 0,
			[]seen{{10, 1}, {uint64(fakeRoot), 2}, {12, 3}}, 0},
		{"batch without a header", FUSE_BATCH_FORGET, 0, nil, 0, nil, syscall.EINVAL},
		{"batch in which all fail", FUSE_BATCH_FORGET, 0, [][]byte{Bytes(&BatchForgetIn{Count: 2}), forgets(10, 1, 11, 2)},
			syscall.ESTALE, []seen{{10, 1}, {11, 2}}, syscall.ESTALE},
		{"notify reply", FUSE_NOTIFY_REPLY, node, [][]byte{make([]byte, 100)}, 0, nil, syscall.ENOENT},
		{"empty notify reply", FUSE_NOTIFY_REPLY, node, nil, 0, nil, syscall.EINVAL},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newSession(t, fusedispatcher.Opts{})
			b.FS.Do = func(io *fsdev.IO) { io.Complete(tt.module) }
			r := b.Quiet(tt.op, tt.node, tt.parts...)
			if r.Errno != tt.errno {
				t.Errorf("completed with %v", r.Errno)
			}
			var got []seen
			for _, io := range b.FS.Calls {
				got = append(got, seen{uint64(io.Object), io.Nlookup})
			}
			var want []seen
			for range 3 {
				want = append(want, tt.want...)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the module saw (-want +got):\n%s", diff)
			}
		})
	}
}

// No forget is lost when there is no IO for it, and one request has one in flight at most.
func TestBatchForgetOutlastsAnEmptyPool(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	release := b.Exhaust()
	var list []uint64
	for i := range uint64(200) {
		list = append(list, i+10, i)
	}
	r := b.Start(0, FUSE_BATCH_FORGET, 0, 0, Bytes(&BatchForgetIn{Count: 200}), forgets(list...))
	for range 50 {
		b.PollOnce()
	}
	if r.Done != 0 {
		t.Fatal("completed without having forgotten")
	}
	release()
	b.FS.Calls = nil
	b.FS.Do = func(io *fsdev.IO) {
		if b.FS.Hold(io); len(b.FS.Pending) > 1 {
			t.Errorf("%d forgets in flight", len(b.FS.Pending))
		}
	}
	for i := range 200 {
		b.PollThreads()
		if len(b.FS.Pending) != 1 {
			t.Fatalf("%d in flight after %d", len(b.FS.Pending), i)
		}
		b.FS.Release(0)
	}
	b.Finish(r)
	if len(b.FS.Calls) != 200 {
		t.Errorf("%d forgets", len(b.FS.Calls))
	}
}

// startLock has a request wait for a lock.
func startLock(b *bed, i int) *reply {
	return b.Start(i, FUSE_SETLKW, node, 16,
		Bytes(&LkIn{Lk: FileLock{Type: syscall.F_WRLCK}, LkFlags: FUSE_LK_FLOCK}))
}

// Only what a program expects to fail with EINTR is aborted at a signal.
func TestInterruptIsForWhatMayFailWithEINTR(t *testing.T) {
	for _, c := range handlerCases {
		want := c.Op == FUSE_SETLKW || c.Op == FUSE_IOCTL
		t.Run(c.Name(), func(t *testing.T) {
			b := newLockSession(t, true)
			b.FS.Do = b.FS.Hold
			aborts := 0
			b.FS.Abort = func(io *fsdev.IO) {
				aborts++
				io.Complete(syscall.EALREADY)
			}
			w := b.Start(0, c.Op, node, c.Room, c.Parts()...)
			if len(b.FS.Pending) == 0 {
				return // it does not reach the module, and is done
			}
			if r := b.Do(0, FUSE_INTERRUPT, 0, 16, u64(w.Hdr.Unique)); r.Errno != 0 || r.Len != 0 {
				t.Errorf("INTERRUPT: %v, reply of %d bytes", r.Errno, r.Len)
			}
			if (aborts == 1) != want || w.Done != 0 {
				t.Errorf("the module was asked %d times to abort", aborts)
			}
			b.FS.Do, b.FS.Abort = nil, nil
			b.FS.Release(0)
			b.PollThreads()
		})
	}
}

func TestInterruptEndsARequestOnAnyChannel(t *testing.T) {
	for _, room := range []int{0, 16, 4096} { // it needs none
		for target := range 3 {
			for from := range 3 {
				t.Run(fmt.Sprintf("from %d, request on %d, room for %d", from, target, room), func(t *testing.T) {
					b := newBed(t, 3, fusedispatcher.Opts{})
					b.Init(45)
					b.FS.Do = b.FS.Hold
					var waiting []*reply
					for i := range 3 {
						waiting = append(waiting, startLock(b, i))
					}
					r := b.Do(from, FUSE_INTERRUPT, 0, room, u64(waiting[target].Hdr.Unique))
					if r.Errno != 0 || r.Len != 0 {
						t.Errorf("INTERRUPT: %v, reply of %d bytes", r.Errno, r.Len)
					}
					for i, w := range waiting {
						if (w.Done == 1) != (i == target) {
							t.Errorf("request %d completed %d times", i, w.Done)
						}
					}
					if got := waiting[target]; got.Errno != syscall.EINTR || got.Len != 16 {
						t.Errorf("%v, reply of %d bytes", got.Errno, got.Len)
					}
					b.FS.Release(0)
					b.PollThreads()
				})
			}
		}
	}
}

func TestInterruptIsAnsweredOnlyToBeSentAgain(t *testing.T) {
	b := newBed(t, 2, fusedispatcher.Opts{})
	b.Init(45)
	r := b.Do(0, FUSE_INTERRUPT, 0, 16, u64(12345))
	if r.Errno != syscall.EAGAIN || r.Len != 16 {
		t.Errorf("an unknown request: %v, reply of %d bytes", r.Errno, r.Len)
	}
	// Not even an INTERRUPT can interrupt itself, or another.
	own := b.Message(FUSE_INTERRUPT, 0, u64(b.Unique+2))
	if r := b.Finish(b.Send(0, [][]byte{own}, [][]byte{make([]byte, 16)})); r.Errno != syscall.EAGAIN {
		t.Errorf("itself: %v", r.Errno)
	}
	if r := b.Do(0, FUSE_INTERRUPT, 0, 15, u64(12345)); r.Errno != syscall.EAGAIN || r.Len != 0 {
		t.Errorf("an unknown request, no room: %v, reply of %d bytes", r.Errno, r.Len)
	}
	// What cannot be stopped ends in its own time.
	b.FS.Do = b.FS.Hold
	b.FS.Abort = func(io *fsdev.IO) { io.Complete(syscall.EALREADY) }
	w := startLock(b, 1)
	if r := b.Do(0, FUSE_INTERRUPT, 0, 16, u64(w.Hdr.Unique)); r.Errno != 0 || r.Len != 0 || w.Done != 0 {
		t.Errorf("INTERRUPT: %v, reply of %d bytes; the request completed %d times", r.Errno, r.Len, w.Done)
	}
	b.FS.Release(0)
	b.PollThreads()
	if w.Errno != 0 || w.Done != 1 {
		t.Errorf("the request completed %d times with %v", w.Done, w.Errno)
	}
	// Without an IO to ask the module with, the client has to come again.
	b.FS.Abort = nil
	w = startLock(b, 0)
	release := b.Exhaust()
	for i := range 2 {
		if r := b.Do(i, FUSE_INTERRUPT, 0, 16, u64(w.Hdr.Unique)); r.Errno != syscall.EAGAIN {
			t.Errorf("on channel %d, no IO: %v", i, r.Errno)
		}
	}
	release()
	if r := b.Do(0, FUSE_INTERRUPT, 0, 16, u64(w.Hdr.Unique)); r.Errno != 0 || w.Errno != syscall.EINTR {
		t.Errorf("at the second try: %v, the request %v", r.Errno, w.Errno)
	}
}

// Two dispatchers of one fsdev share each thread's fsdev channel; an INTERRUPT must not end a
// request of the other's client.
func TestInterruptLeavesOtherClientsAlone(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	d, err := fusedispatcher.Create(b.T, fusedispatcher.Opts{FsdevName: fsName, MaxRequests: 16})
	if err != nil {
		t.Fatal(err)
	}
	first, firstChan := b.D, b.Chans[0]
	b.D, b.Chans[0] = d, d.IOChannel(b.T)
	b.Init(45)
	b.FS.Do = b.FS.Hold
	theirs := startLock(b, 0) // the second request of its channel
	b.D, firstChan, b.Chans[0] = first, b.Chans[0], firstChan
	mine := startLock(b, 0) // and of this
	b.Do(0, FUSE_INTERRUPT, 0, 16, u64(mine.Hdr.Unique))
	if mine.Done != 1 || theirs.Done != 0 {
		t.Errorf("INTERRUPT ended %d of my requests and %d of another client", mine.Done, theirs.Done)
	}
	b.FS.Release(0)
	b.PollThreads()
	firstChan.Put()
	d.Delete(b.T, nil, nil)
	b.PollThreads()
}

// TestIdleThreadsKeepNothingFromOthers pins that a thread that has been served once leaves
// enough for any number of others.
func TestIdleThreadsKeepNothingFromOthers(t *testing.T) {
	const threads = 20 // the fsdev layer's small pool of the tests ends at 31
	b := newBed(t, threads, fusedispatcher.Opts{MaxRequests: 8})
	b.Init(45)
	for i := range threads {
		if r := b.Do(i, FUSE_STATFS, node, 96); r.Errno != 0 {
			t.Errorf("thread %d: %v", i, r.Errno)
		}
	}
}

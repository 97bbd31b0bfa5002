package fusedev

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/internal/fuseabi"
)

func (b *bench) wantAnswers(want ...reply) {
	b.tb.Helper()
	if diff := cmp.Diff(want, b.answers()); diff != "" {
		b.tb.Errorf("replies differ (-want, +got):\n%s", diff)
	}
}

func (b *bench) wantHeld(n int) {
	b.tb.Helper()
	if len(b.srv.held) != n {
		b.tb.Fatalf("the server holds %d requests, want %d", len(b.srv.held), n)
	}
}

func (b *bench) wantFault(part string) {
	b.tb.Helper()
	if got := b.reported(); len(got) == 0 || !strings.Contains(got[0], part) {
		b.tb.Errorf("faults are %v, want one with %q", got, part)
	}
}

func TestQueueSmallRequest(t *testing.T) {
	b := newBench(t, Options{})
	u := b.ask(fuseabi.FUSE_GETATTR, fuseabi.Bytes(&fuseabi.GetattrIn{Fh: 5}))
	v := b.ask(fuseabi.FUSE_LOOKUP, []byte("name\x00"))
	b.poll()
	b.wantHeld(2)
	if diff := cmp.Diff(request(fuseabi.FUSE_LOOKUP, v, []byte("name\x00")), b.srv.held[1].in); diff != "" {
		t.Errorf("the request arrived changed:\n%s", diff)
	}
	b.srv.complete(1, syscall.ENOENT, 0)
	b.srv.complete(0, 0, fuseabi.SizeofAttrOut)
	b.wantAnswers(reply{-int32(syscall.ENOENT), v, 0}, reply{0, u, fuseabi.SizeofAttrOut})
	got := b.q.stats
	want := QueueStats{Requests: 2, Replies: 2, BytesIn: 40 + 16 + 40 + 5, BytesOut: 16 + 16 + 104}
	want.EmptyReads = got.EmptyReads
	if got.EmptyReads == 0 {
		t.Error("no empty read was counted")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("statistics differ (-want, +got):\n%s", diff)
	}
}

// TestQueueSizes sends requests whose size, or whose reply's size, is at a limit, and looks where they end up.
func TestQueueSizes(t *testing.T) {
	const big = 64<<10 + headerRoom // the size of a large buffer
	args := func(b ...[]byte) [][]byte { return b }
	for _, c := range []struct {
		name   string
		opcode uint32
		args   [][]byte
		room   int // len of the reply's buffer
		large  int // large buffers that the request holds
	}{
		{"write that just fits a slot", fuseabi.FUSE_WRITE, writeIn(smallSize - 80), smallSize, 0},
		{"write that just does not", fuseabi.FUSE_WRITE, writeIn(smallSize - 79), smallSize, 1},
		{"largest write", fuseabi.FUSE_WRITE, writeIn(64 << 10), smallSize, 1},
		{"empty read", fuseabi.FUSE_READ, args(readIn(0)), 16, 0},
		{"read that just fits a slot", fuseabi.FUSE_READ, args(readIn(smallSize - 16)), smallSize, 0},
		{"read that just does not", fuseabi.FUSE_READ, args(readIn(smallSize - 15)), smallSize + 1, 1},
		{"largest read", fuseabi.FUSE_READ, args(readIn(64 << 10)), 16 + 64<<10, 1},
		{"read before 7.9", fuseabi.FUSE_READ, args(readIn(64 << 10)[:24]), 16 + 64<<10, 1},
		{"read cut short", fuseabi.FUSE_READ, args(readIn(64 << 10)[:23]), smallSize, 0},
		{"huge readdir", fuseabi.FUSE_READDIR, args(readIn(1 << 30)), big, 1},
		{"huge readdirplus", fuseabi.FUSE_READDIRPLUS, args(readIn(1<<32 - 1)), big, 1},
		{"size of an attribute", fuseabi.FUSE_GETXATTR, args(fuseabi.Bytes(&fuseabi.GetxattrIn{}), []byte("user.x\x00")),
			24, 0},
		{"largest attribute", fuseabi.FUSE_LISTXATTR, args(fuseabi.Bytes(&fuseabi.GetxattrIn{Size: 64 << 10})),
			16 + 64<<10, 1},
		{"symbolic link", fuseabi.FUSE_READLINK, nil, smallSize, 0},
		{"ioctl", fuseabi.FUSE_IOCTL, args(fuseabi.Bytes(&fuseabi.IoctlIn{OutSize: 100})), 132, 0},
		{"no arguments", fuseabi.FUSE_STATFS, nil, smallSize, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, Options{})
			before := len(b.q.mem.big)
			b.ask(c.opcode, c.args...)
			b.poll()
			b.wantHeld(1)
			if got := len(b.srv.held[0].out); got != c.room {
				t.Errorf("the reply may have %d bytes, want %d", got, c.room)
			}
			if got := before - len(b.q.mem.big); got != c.large {
				t.Errorf("%d large buffers are in use, want %d", got, c.large)
			}
			want := request(c.opcode, 2, c.args...)
			if diff := cmp.Diff(want, b.srv.held[0].in); diff != "" {
				t.Errorf("the request arrived changed:\n%s", diff)
			}
		})
	}
}

func TestQueueWithoutReply(t *testing.T) {
	b := newBench(t, Options{})
	forget := fuseabi.Bytes(&fuseabi.ForgetIn{Nlookup: 1})
	b.ask(fuseabi.FUSE_FORGET, forget)
	b.ask(fuseabi.FUSE_BATCH_FORGET, fuseabi.Bytes(&fuseabi.BatchForgetIn{}))
	b.ask(fuseabi.FUSE_NOTIFY_REPLY, fuseabi.Bytes(&fuseabi.NotifyRetrieveIn{}))
	b.poll()
	b.wantHeld(3)
	for range 3 {
		if b.srv.held[0].out != nil {
			t.Errorf("opcode %d got a buffer for a reply", b.srv.held[0].opcode)
		}
		b.srv.complete(0, 0, 0)
	}
	// An interrupt has a reply only if it is to be sent again.
	u := b.ask(fuseabi.FUSE_INTERRUPT, fuseabi.Bytes(&fuseabi.InterruptIn{Unique: 2}))
	b.poll()
	s := b.srv.held[0]
	b.srv.held = nil
	s.cb(s.ctx, 0, 0)
	b.wantAnswers()
	v := b.ask(fuseabi.FUSE_INTERRUPT, fuseabi.Bytes(&fuseabi.InterruptIn{Unique: 2}))
	b.poll()
	b.srv.complete(0, syscall.EAGAIN, 0)
	b.wantAnswers(reply{-int32(syscall.EAGAIN), v, 0})
	_ = u
}

// TestQueueBackPressure sends more than the queue can hold and checks that it is all served, in order, without ever
// taking the last two large buffers or more slots than there are.
func TestQueueBackPressure(t *testing.T) {
	for _, c := range []struct {
		name string
		o    Options
		op   uint32
		args [][]byte
		max  int // requests in flight
	}{
		{"slots", Options{Slots: 4}, fuseabi.FUSE_STATFS, nil, 4},
		{"large requests", Options{BigBuffers: 6}, fuseabi.FUSE_WRITE, writeIn(16 << 10), 4},
		{"large replies", Options{BigBuffers: 6}, fuseabi.FUSE_READ, [][]byte{readIn(16 << 10)}, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, c.o)
			const n = 9
			var want []reply
			for range n {
				want = append(want, reply{0, b.ask(c.op, c.args...), 8})
			}
			var got []reply
			for len(got) < n {
				b.poll()
				b.wantHeld(min(c.max, n-len(got)))
				b.srv.complete(0, 0, 8)
				got = append(got, b.answers()...)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("replies differ (-want, +got):\n%s", diff)
			}
			if b.q.stats.Stalls == 0 {
				t.Error("no stall was counted")
			}
		})
	}
}

func TestQueueRetriesWithoutResources(t *testing.T) {
	b := newBench(t, Options{})
	b.srv.enobufs = 3
	u := b.ask(fuseabi.FUSE_GETATTR, fuseabi.Bytes(&fuseabi.GetattrIn{}))
	v := b.ask(fuseabi.FUSE_STATFS)
	b.t.Poll(0, 0)
	if b.srv.enobufs != 2 {
		t.Fatalf("the request was submitted %d times in the first round", 3-b.srv.enobufs)
	}
	if b.q.stats.Requests != 1 {
		t.Errorf("%d requests were read although the first had no place", b.q.stats.Requests)
	}
	// The timed poller does it too, as when the reactor sleeps in between.
	b.q.poller.Pause()
	for range 4 {
		b.h.Advance(retryPeriod)
		b.poll()
	}
	b.wantHeld(1)
	b.q.poller.Resume()
	b.h.Advance(retryPeriod)
	b.poll()
	b.wantHeld(2)
	b.srv.complete(0, 0, 0)
	b.srv.complete(0, 0, 0)
	b.wantAnswers(reply{0, u, 0}, reply{0, v, 0})
	if b.q.stats.Retries != 3 {
		t.Errorf("%d retries were counted, want 3", b.q.stats.Retries)
	}
	if got := b.q.retryPoller.State().String(); got != "paused" {
		t.Errorf("the poller for retries is %s", got)
	}
}

func TestQueueAnswersForTheServer(t *testing.T) {
	t.Run("submit refused", func(t *testing.T) {
		b := newBench(t, Options{})
		b.srv.errno = syscall.ENOTCONN
		u := b.ask(fuseabi.FUSE_STATFS)
		b.ask(fuseabi.FUSE_FORGET, fuseabi.Bytes(&fuseabi.ForgetIn{}))
		b.poll()
		b.wantAnswers(reply{-int32(syscall.ENOTCONN), u, 0})
	})
	t.Run("reply missing", func(t *testing.T) {
		b := newBench(t, Options{})
		u := b.ask(fuseabi.FUSE_STATFS)
		v := b.ask(fuseabi.FUSE_STATFS)
		b.poll()
		held := b.srv.held
		b.srv.held = nil
		held[0].cb(held[0].ctx, 0, 0)
		held[1].cb(held[1].ctx, syscall.ENOMEM, 0)
		b.wantAnswers(reply{-int32(syscall.EIO), u, 0}, reply{-int32(syscall.ENOMEM), v, 0})
	})
	t.Run("reply too long", func(t *testing.T) {
		b := newBench(t, Options{})
		u := b.ask(fuseabi.FUSE_READ, readIn(100))
		b.poll()
		s := b.srv.held[0]
		b.srv.held = nil
		s.cb(s.ctx, 0, 117)
		b.wantAnswers(reply{-int32(syscall.EIO), u, 0})
		b.wantFault("more than the 116")
	})
	t.Run("read too large", func(t *testing.T) {
		b := newBench(t, Options{})
		u := b.ask(fuseabi.FUSE_READ, readIn(1<<20))
		b.poll()
		b.wantHeld(0)
		b.wantAnswers(reply{-int32(syscall.EIO), u, 0})
		b.wantFault("asks for a reply of")
	})
	t.Run("length wrong", func(t *testing.T) {
		b := newBench(t, Options{})
		req := request(fuseabi.FUSE_STATFS, 6)
		fuseabi.Overlay[fuseabi.InHeader](req).Len++
		b.askRaw(req)
		b.poll()
		b.wantHeld(0)
		b.wantAnswers(reply{-int32(syscall.EIO), 6, 0})
		b.wantFault("says it has")
	})
	t.Run("shorter than a header", func(t *testing.T) {
		b := newBench(t, Options{})
		b.askRaw(request(fuseabi.FUSE_STATFS, 2)[:39])
		u := b.ask(fuseabi.FUSE_STATFS)
		b.poll()
		b.wantHeld(1)
		b.srv.complete(0, 0, 0)
		b.wantAnswers(reply{0, u, 0})
		b.wantFault("shorter than its header")
	})
}

// TestQueueWaitersForLocks checks that a request that unlocks can be read however many wait for the lock.
func TestQueueWaitersForLocks(t *testing.T) {
	b := newBench(t, Options{Slots: 4, LockWaits: 4})
	lk := fuseabi.Bytes(&fuseabi.LkIn{LkFlags: fuseabi.FUSE_LK_FLOCK})
	var refused []reply
	for i := range 10 {
		u := b.ask(fuseabi.FUSE_SETLKW, lk)
		if i >= 4 {
			refused = append(refused, reply{-int32(syscall.ENOLCK), u, 0})
		}
	}
	u := b.ask(fuseabi.FUSE_SETLK, lk)
	b.poll()
	b.wantAnswers(refused...)
	b.wantHeld(5)
	b.srv.complete(4, 0, 0)
	b.srv.complete(0, 0, 0)
	b.wantAnswers(reply{0, u, 0}, reply{0, 2, 0})
	b.ask(fuseabi.FUSE_SETLKW, lk)
	b.poll()
	b.wantHeld(4)
}

func TestQueueInit(t *testing.T) {
	b := newBench(t, Options{})
	u := b.ask(fuseabi.FUSE_INIT, fuseabi.Bytes(&fuseabi.InitIn{Major: 7, Minor: 45}))
	b.poll()
	b.wantHeld(1)
	out := fuseabi.Overlay[fuseabi.InitOut](b.srv.held[0].out[outHeaderSize:])
	*out = fuseabi.InitOut{Major: 7, Minor: 45, MaxWrite: 1 << 20, MaxPages: 256}
	if len(b.owner.inits) != 0 {
		t.Error("INIT is reported done before its reply")
	}
	b.srv.complete(0, 0, fuseabi.SizeofInitOut)
	if diff := cmp.Diff([]syscall.Errno{0}, b.owner.inits); diff != "" {
		t.Errorf("INIT was reported: %s", diff)
	}
	b.wantAnswers(reply{0, u, fuseabi.SizeofInitOut})
	got := *fuseabi.Overlay[fuseabi.InitOut](b.buf[outHeaderSize:])
	if diff := cmp.Diff(fuseabi.InitOut{Major: 7, Minor: 45, MaxWrite: 64 << 10, MaxPages: 256}, got); diff != "" {
		t.Errorf("the reply differs (-want, +got):\n%s", diff)
	}
	b.ask(fuseabi.FUSE_INIT, fuseabi.Bytes(&fuseabi.InitIn{Major: 8}))
	b.poll()
	b.srv.complete(0, syscall.EPROTO, 0)
	if diff := cmp.Diff([]syscall.Errno{0, syscall.EPROTO}, b.owner.inits); diff != "" {
		t.Errorf("INIT was reported: %s", diff)
	}
}

// TestQueueHangup ends the kernel's side while requests are in flight.
func TestQueueHangup(t *testing.T) {
	b := newBench(t, Options{})
	u := b.ask(fuseabi.FUSE_SETLKW, fuseabi.Bytes(&fuseabi.LkIn{}))
	v := b.ask(fuseabi.FUSE_READ, readIn(16<<10))
	b.poll()
	b.wantHeld(2)
	unix.Close(b.kernel)
	b.kernel = -1
	b.poll()

	// One interrupt at a time, in the order of the slots: those for locks come last.
	b.wantHeld(3)
	for _, target := range []uint64{v, u} {
		s := b.srv.held[len(b.srv.held)-1]
		want := append(request(fuseabi.FUSE_INTERRUPT, target|1), fuseabi.Bytes(&fuseabi.InterruptIn{Unique: target})...)
		h := fuseabi.Overlay[fuseabi.InHeader](want)
		h.Len, h.NodeID = uint32(len(want)), 0
		if diff := cmp.Diff(want, s.in); diff != "" {
			t.Errorf("the interrupt of %d differs (-want, +got):\n%s", target, diff)
		}
		b.srv.complete(len(b.srv.held)-1, 0, 0)
		b.poll()
	}
	b.wantHeld(2)
	b.srv.complete(0, syscall.EINTR, 0)
	if b.owner.drains != 0 {
		t.Error("drained with a request in flight")
	}
	b.srv.complete(0, syscall.EINTR, 0)
	b.poll()
	if b.owner.drains != 1 || b.q.state != stateDrained {
		t.Errorf("drained %d times, state %d", b.owner.drains, b.q.state)
	}

	var errnos []syscall.Errno
	b.srv.enobufs = 2
	b.q.control.destroy(func(errno syscall.Errno) { errnos = append(errnos, errno) })
	for range 4 {
		b.h.Advance(retryPeriod)
		b.poll()
	}
	b.wantHeld(1)
	if b.srv.held[0].opcode != fuseabi.FUSE_DESTROY || b.srv.held[0].unique != destroyUnique {
		t.Errorf("DESTROY is opcode %d, unique %#x", b.srv.held[0].opcode, b.srv.held[0].unique)
	}
	b.srv.complete(0, syscall.EIO, 0)
	if diff := cmp.Diff([]syscall.Errno{syscall.EIO}, errnos); diff != "" {
		t.Errorf("DESTROY ended with: %s", diff)
	}
}

// TestQueueHangupRefused checks that a server that takes no requests any more does not keep a session from ending.
func TestQueueHangupRefused(t *testing.T) {
	b := newBench(t, Options{})
	for range 5 {
		b.ask(fuseabi.FUSE_STATFS)
	}
	b.poll()
	b.srv.errno = syscall.ENODEV
	unix.Close(b.kernel)
	b.kernel = -1
	b.poll()
	for range 5 {
		b.srv.complete(0, 0, 0)
	}
	if b.owner.drains != 1 {
		t.Errorf("drained %d times", b.owner.drains)
	}
}

func TestQueueReadErrors(t *testing.T) {
	for _, c := range []struct {
		err    error
		stop   bool
		state  queueState
		faults int
		want   QueueStats
	}{
		{unix.EINTR, false, stateReading, 0, QueueStats{}},
		{unix.ENOENT, false, stateReading, 0, QueueStats{AbortedReads: 1}},
		{unix.ENODEV, true, stateDrained, 0, QueueStats{}},
		{unix.ECONNABORTED, true, stateDrained, 0, QueueStats{}},
		{unix.EINVAL, true, stateReading, 1, QueueStats{FailedReads: 1}},
	} {
		t.Run(c.err.Error(), func(t *testing.T) {
			b := newBench(t, Options{})
			if got := b.q.readFailed(c.err); got != c.stop {
				t.Errorf("stop is %v", got)
			}
			if n := len(b.reported()); b.q.state != c.state || n != c.faults {
				t.Errorf("state %d, %d faults, want %d, %d", b.q.state, n, c.state, c.faults)
			}
			if diff := cmp.Diff(c.want, b.q.stats); diff != "" {
				t.Errorf("statistics differ (-want, +got):\n%s", diff)
			}
			for range 1_000_000 {
				b.q.readFailed(c.err)
			}
			if n := len(b.reported()); n > 10*c.faults {
				t.Errorf("%d lines after a million more", n)
			}
		})
	}
}

func TestQueueWithoutChannel(t *testing.T) {
	b := newBench(t, Options{})
	o := b.q
	srv := &fakeServer{dev: b.srv.dev}
	b.q.stop()
	b.poll()
	if errno := srv.dev.Unregister(b.t, nil, nil); errno != 0 {
		t.Fatal(errno)
	}
	if err := o.start(); !errors.Is(err, unix.ENOMEM) || !errors.Is(err, errNoChannel) {
		t.Errorf("start without a channel: %v", err)
	}
	// What the end of the bench expects.
	var err error
	if b.srv.dev, err = registerFake(b.t, b.srv); err != nil {
		t.Fatal(err)
	}
}

func TestQueueDoesNotAllocate(t *testing.T) {
	b := newBench(t, Options{})
	small := request(fuseabi.FUSE_GETATTR, 2, fuseabi.Bytes(&fuseabi.GetattrIn{}))
	write := request(fuseabi.FUSE_WRITE, 4, writeIn(16<<10)...)
	read := request(fuseabi.FUSE_READ, 6, readIn(16<<10))
	b.srv.held = make([]submitted, 0, 8)
	n := testing.AllocsPerRun(200, func() {
		for _, req := range [][]byte{small, write, read} {
			b.askRaw(req)
		}
		b.t.Poll(0, 0)
		for len(b.srv.held) > 0 {
			b.srv.complete(len(b.srv.held)-1, 0, 16)
		}
		for range 3 {
			if _, err := unix.Read(b.kernel, b.buf); err != nil {
				t.Fatal(err)
			}
		}
	})
	if n != 0 {
		t.Errorf("%v allocations for three requests", n)
	}
}

func BenchmarkQueueRoundTrip(b *testing.B) {
	bn := newBench(b, Options{})
	req := request(fuseabi.FUSE_GETATTR, 2, fuseabi.Bytes(&fuseabi.GetattrIn{}))
	bn.srv.held = make([]submitted, 0, 8)
	b.ReportAllocs()
	for b.Loop() {
		bn.askRaw(req)
		bn.t.Poll(0, 0)
		bn.srv.complete(0, 0, 104)
		if _, err := unix.Read(bn.kernel, bn.buf); err != nil {
			b.Fatal(err)
		}
	}
}

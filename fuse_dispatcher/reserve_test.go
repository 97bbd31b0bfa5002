package fusedispatcher_test

import (
	"slices"
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
)

// newFull makes a session with as many requests as there can be, all of which wait for locks.
func newFull(t *testing.T, most int) (b *bed, waiting []*reply) {
	b = newSession(t, fusedispatcher.Opts{MaxRequests: most})
	b.FS.Do = func(io *fsdev.IO) {
		if io.Type == fsdev.IOSetlk {
			b.FS.Hold(io)
			return
		}
		fill(io)
		io.Complete(0)
	}
	for i := range uint64(most) {
		lk := LkIn{Owner: i, Lk: FileLock{Type: syscall.F_WRLCK}}
		waiting = append(waiting, b.Start(0, FUSE_SETLKW, node, 16, Bytes(&lk)))
	}
	b.PollThreads()
	if r := tryOne(b, FUSE_STATFS); r != syscall.ENOBUFS {
		t.Fatalf("STATFS with %d waiting: %v", most, r)
	}
	return b, waiting
}

// tryOne submits a request without arguments and returns what SubmitRequest does.
func tryOne(b *bed, op uint32) syscall.Errno {
	_, errno := b.TrySend(0, [][]byte{b.Message(op, node)}, [][]byte{make([]byte, 96)})
	return errno
}

// A client that has filled its channel with what waits for locks can give up one after the other.
func TestInterruptsGetThroughToAFullChannel(t *testing.T) {
	const most = 48
	b, waiting := newFull(t, most)
	for i, w := range waiting {
		r := b.Do(0, FUSE_INTERRUPT, 0, 16, u64(w.Hdr.Unique))
		if r.Errno != 0 || r.Len != 0 {
			t.Errorf("INTERRUPT %d: %v, reply of %d bytes", i, r.Errno, r.Len)
		}
		b.Expect(w, syscall.EINTR)
		for _, w := range waiting[i+1:] {
			b.ExpectNone(w)
		}
	}
	b.Do(0, FUSE_STATFS, node, 96)
}

// The other opcodes that end something get through, too, and nothing else does.
func TestWhatAFullChannelTakes(t *testing.T) {
	for _, op := range []uint32{FUSE_DESTROY, FUSE_INIT} {
		b, waiting := newFull(t, 4)
		var r *reply
		if op == FUSE_INIT {
			r = b.StartInit(0)
		} else {
			r = b.StartDestroy(0)
		}
		b.Expect(r, 0)
		for _, w := range waiting {
			b.Expect(w, syscall.EINTR)
		}
	}
	b, _ := newFull(t, 4)
	for range 100 {
		b.Expect(b.Start(0, FUSE_FORGET, node, 0, u64(1)), 0)
		b.Expect(b.Start(0, FUSE_BATCH_FORGET, 0, 0, forgets(node, node)), 0)
	}
	taken := []uint32{FUSE_FORGET, FUSE_BATCH_FORGET, FUSE_INIT, FUSE_DESTROY, FUSE_INTERRUPT}
	for op := range uint32(64) {
		if slices.Contains(taken, op) {
			continue
		}
		if errno := tryOne(b, op); errno != syscall.ENOBUFS {
			t.Errorf("opcode %d: %v", op, errno)
		}
	}
	_, errno := b.TrySend(0, [][]byte{b.Message(FUSE_FORGET, node)[:39]}, nil)
	if errno != syscall.ENOBUFS {
		t.Errorf("a part of a header: %v", errno)
	}
	b.FS.Release(0)
	b.PollThreads()
}

// What is kept is bounded, and is there again.
func TestReserveIsBounded(t *testing.T) {
	b, _ := newFull(t, 4)
	b.FS.Do = b.FS.Hold
	for range 3 {
		var live []*reply
		for range fusedispatcher.ControlReserve {
			live = append(live, b.Start(0, FUSE_FORGET, node, 0, u64(1)))
		}
		if errno := tryOne(b, FUSE_FORGET); errno != syscall.ENOBUFS {
			t.Errorf("one more: %v", errno)
		}
		for _, io := range b.FS.Pending[4:] {
			io.Complete(0)
		}
		b.FS.Pending = b.FS.Pending[:4]
		for _, r := range live {
			b.Expect(r, 0)
		}
	}
	b.FS.Release(0)
	b.PollThreads()
	b.FS.Do = nil
	b.Do(0, FUSE_STATFS, node, 96)
}

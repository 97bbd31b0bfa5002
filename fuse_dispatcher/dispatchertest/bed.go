package dispatchertest

import (
	"log/slog"
	"slices"
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/reactor/reactortest"
)

// FSName is the name of a bed's [FS].
const FSName = "fs0"

// MaxMinor is the minor version of the newest client there is.
const MaxMinor = 45

// AllFlags is what a client offers in INIT that can do everything.
const AllFlags = 1<<63 - 1

var smallPool = fsdev.Opts{IOPoolSize: 64, IOCacheSize: 2}

// Bed is a dispatcher over an [FS], with a channel on every thread.
type Bed struct {
	*reactortest.Harness
	TB     testing.TB      // that hears of what goes wrong
	T      *reactor.Thread // the first: app and control thread
	FS     *FS
	D      *fusedispatcher.Dispatcher
	Chans  []*iochannel.Channel // nil if it was put
	Unique uint64               // of the last request
	Live   []*Reply             // submitted and not completed
	Events int                  // removals of the device

	cur  *reactor.Thread // that is being polled
	opts fusedispatcher.Opts
}

// New makes a bed without a session. At the end of the test it checks that a new INIT works and
// that nothing is left after a Delete.
//
// Of o, FsdevName and the event callback are the bed's own. 48 requests and silence are the
// defaults.
func New(tb testing.TB, threads int, o fusedispatcher.Opts) *Bed {
	tb.Helper()
	b := &Bed{Harness: reactortest.New(tb, threads), TB: tb}
	b.T = b.Threads[0]
	if err := fsdev.Initialize(b.T, smallPool); err != nil {
		tb.Fatal(err)
	}
	b.FS = NewFS(tb, b.T, FSName)
	o.FsdevName = FSName
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.MaxRequests == 0 {
		o.MaxRequests = 48
	}
	o.Event = func(t *reactor.Thread, d *fusedispatcher.Dispatcher, ctx any) {
		if t != b.T || d != b.D || ctx != b {
			tb.Errorf("event on %s with %v", t.Name(), ctx)
		}
		b.Events++
	}
	o.EventCtx = b
	b.opts = o
	b.Recreate()
	tb.Cleanup(b.close)
	return b
}

// NewSession makes a bed of one thread whose client has sent INIT with all flags there are.
func NewSession(tb testing.TB, o fusedispatcher.Opts) *Bed {
	tb.Helper()
	b := New(tb, 1, o)
	b.Init(MaxMinor)
	return b
}

// Recreate replaces a deleted dispatcher by one with the same options.
func (b *Bed) Recreate() {
	b.TB.Helper()
	var err error
	if b.D, err = fusedispatcher.Create(b.T, b.opts); err != nil {
		b.TB.Fatal(err)
	}
	b.Chans = b.Chans[:0]
	for _, t := range b.Threads {
		b.Chans = append(b.Chans, b.D.IOChannel(t))
	}
}

func (b *Bed) close() {
	if b.TB.Failed() {
		return
	}
	b.TB.Helper()
	fs := b.FS
	fs.Do, fs.Raw, fs.Mount, fs.Umount, fs.Abort, fs.Refuse = nil, nil, nil, nil, nil, nil
	if b.D != nil {
		if b.Chans[0] == nil {
			b.Chans[0] = b.D.IOChannel(b.T)
		}
		b.Init(MaxMinor)
		b.PutChannels()
		if errno := b.Delete(b.T); errno == nil || *errno != 0 {
			b.TB.Errorf("Delete: %v", errno)
		}
	}
	if len(b.Live) > 0 {
		b.TB.Errorf("%d requests have not been completed", len(b.Live))
	}
	if fs.Mounts != 0 {
		b.TB.Errorf("MOUNT less UMOUNT: %d", fs.Mounts)
	}
	finished := false
	fsdev.Finish(b.T, func(_ *reactor.Thread, _ any, err error) {
		finished = true
		if err != nil {
			b.TB.Error(err)
		}
	}, nil)
	b.PollThreads()
	if !finished {
		b.TB.Error("fsdev.Finish has not called back")
	}
}

// On calls fn as if from t: what completes in it must belong there.
func (b *Bed) On(t *reactor.Thread, fn func()) {
	b.cur = t
	defer func() { b.cur = nil }()
	fn()
}

// Current returns the thread that is being polled, or nil.
func (b *Bed) Current() *reactor.Thread { return b.cur }

// Poll gives a thread one round and reports whether it was busy.
func (b *Bed) Poll(t *reactor.Thread) (busy bool) {
	b.On(t, func() { busy = t.Poll(0, 0) })
	return busy
}

// PollOnce gives every thread that has not exited one round and reports whether any was busy.
func (b *Bed) PollOnce() (busy bool) {
	for _, t := range b.Threads {
		if !t.IsExited() {
			busy = b.Poll(t) || busy
		}
	}
	return busy
}

// PollThreads polls until no thread has anything to do.
func (b *Bed) PollThreads() {
	for i := 0; b.PollOnce(); i++ {
		if i > 1_000_000 {
			b.TB.Helper()
			b.TB.Fatal("the threads never come to rest")
		}
	}
}

// Message returns a request with its own unique, which is even.
func (b *Bed) Message(op uint32, node uint64, parts ...[]byte) []byte {
	b.Unique += 2
	return Message(Header{Opcode: op, Unique: b.Unique, NodeID: node, UID: 1001, GID: 1002, PID: 1003}, parts...)
}

// TrySend submits a request on thread i, of which in holds a header. If it is refused, it counts
// as never sent.
func (b *Bed) TrySend(i int, in, out [][]byte) (*Reply, syscall.Errno) {
	r := &Reply{b: b, t: b.Threads[i], Out: out}
	r.known = copy(Bytes(&r.Hdr), slices.Concat(in...))
	for _, seg := range out {
		for j := range seg {
			seg[j] = paint
		}
	}
	b.Live = append(b.Live, r)
	r.inside = true
	errno := b.D.SubmitRequest(b.Chans[i], in, out, submitDone, r)
	r.inside = false
	if errno != 0 {
		b.Live = slices.DeleteFunc(b.Live, func(l *Reply) bool { return l == r })
	}
	return r, errno
}

// Send is TrySend of what must not be refused.
func (b *Bed) Send(i int, in, out [][]byte) *Reply {
	b.TB.Helper()
	r, errno := b.TrySend(i, in, out)
	if errno != 0 {
		b.TB.Errorf("SubmitRequest: %v", errno)
	}
	return r
}

// Start submits a request on thread i, with room bytes for its reply.
func (b *Bed) Start(i int, op uint32, node uint64, room int, parts ...[]byte) *Reply {
	b.TB.Helper()
	return b.Send(i, [][]byte{b.Message(op, node, parts...)}, [][]byte{make([]byte, room)})
}

// Do takes a request through to its completion.
func (b *Bed) Do(i int, op uint32, node uint64, room int, parts ...[]byte) *Reply {
	b.TB.Helper()
	return b.Finish(b.Start(i, op, node, room, parts...))
}

// Finish polls, and ends the test unless the request is over.
func (b *Bed) Finish(r *Reply) *Reply {
	b.TB.Helper()
	b.PollThreads()
	if r.Done != 1 {
		b.TB.Fatalf("opcode %d completed %d times", r.Hdr.Opcode, r.Done)
	}
	return r
}

// Expect polls and wants a request to be over, with errno.
func (b *Bed) Expect(r *Reply, errno syscall.Errno) {
	b.TB.Helper()
	b.PollThreads()
	if r.Done != 1 || r.Errno != errno {
		b.TB.Errorf("opcode %d completed %d times with %v, want %v", r.Hdr.Opcode, r.Done, r.Errno, errno)
	}
}

// ExpectNone polls and wants a request still to be under way.
func (b *Bed) ExpectNone(r *Reply) {
	b.TB.Helper()
	b.PollThreads()
	if r.Done != 0 {
		b.TB.Errorf("opcode %d completed with %v", r.Hdr.Opcode, r.Errno)
	}
}

// Quiet sends a request that must not be answered, with room and without.
func (b *Bed) Quiet(op uint32, node uint64, parts ...[]byte) (r *Reply) {
	b.TB.Helper()
	m := b.Message(op, node, parts...)
	for _, out := range [][][]byte{nil, {make([]byte, 16)}, {make([]byte, 4096)}} {
		r = b.Finish(b.Send(0, [][]byte{m}, out))
		if r.Len != 0 {
			b.TB.Errorf("opcode %d: reply of %d bytes", op, r.Len)
		}
	}
	return r
}
